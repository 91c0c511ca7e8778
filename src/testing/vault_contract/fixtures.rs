//! Fixtures of the checks: names, records, and shared steps.

pub(super) use std::sync::Arc;
pub(super) use std::time::Duration;

pub(super) use crate::model::{
    Account, Connection, ConnectionId, ConsentId, Grant, GrantId, IssuedBy, Label, NeedsConsent, Owner,
    ProviderId, Scopes, ServerId, TenantId, Timestamp, UserId,
};
pub(super) use crate::protocol::{Hints, Prompt};
pub(super) use crate::secret::{AccessToken, IdToken, PkceVerifier, RefreshToken, State};
pub(super) use crate::vault::{
    Attempt, Claim, ClaimOutcome, ClaimRequest, CommitOutcome, ConsentStatus, Found, NewGrant, Of,
    PendingConsent, Purpose, RefreshFailure, Refreshed, RequestOptions, Revoke, RevokeWhat, Revoked,
    StateHash, StoreOutcome, StoredToken, TokenQuery, Tokens, Vault,
};

/// Creates an empty vault.
pub(super) type Make<'a> = &'a dyn Fn() -> Arc<dyn Vault>;

pub(super) type Check = (&'static str, fn(Make<'_>));

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_800_000_000_000 + seconds * 1_000)
}

/// Unwraps a value that must be present.
#[track_caller]
pub(super) fn must<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("an operation failed: {error:?}"),
    }
}

#[track_caller]
pub(super) fn some<T>(option: Option<T>, what: &str) -> T {
    match option {
        Some(value) => value,
        None => panic!("{what} is missing"),
    }
}

pub(super) fn tenant(name: &str) -> TenantId {
    must(TenantId::new(name))
}

pub(super) fn user(name: &str) -> UserId {
    must(UserId::new(name))
}

pub(super) fn provider(name: &str) -> ProviderId {
    must(ProviderId::new(name))
}

pub(super) fn label(name: &str) -> Label {
    must(Label::new(name))
}

pub(super) fn scopes(list: &str) -> Scopes {
    must(list.parse())
}

pub(super) fn personal(name: &str) -> Owner {
    Owner::Personal(user(name))
}

pub(super) fn state(name: &str) -> StateHash {
    StateHash::of(&State::new(name))
}

pub(super) fn id(number: u8) -> ConnectionId {
    ConnectionId::from_bytes([number; 16])
}

pub(super) fn gid(number: u8) -> GrantId {
    GrantId::from_bytes([number; 16])
}

pub(super) fn verifier() -> PkceVerifier {
    PkceVerifier::new("verifier-1")
}

/// Consent options of a host, with every field set.
pub(super) fn request_options() -> RequestOptions {
    let mut request = RequestOptions {
        scopes: Some(scopes("mail.read")),
        added_scopes: scopes("mail.send"),
        hints: Hints::default(),
    };
    request.hints.login_hint = Some("alice@example.test".into());
    request.hints.prompt = Some(Prompt::SelectAccount);
    request.hints.max_age = Some(Duration::from_millis(1_500));
    request.hints.acr_values = Some("urn:a urn:b".into());
    request
}

pub(super) fn consent(tenant_name: &str, state_name: &str) -> PendingConsent {
    PendingConsent {
        id: ConsentId::from_bytes([7; 16]),
        state: state(state_name),
        binding: state("binding"),
        tenant: tenant(tenant_name),
        user: user("alice"),
        owner: personal("alice"),
        provider: provider("gmail"),
        server: must(ServerId::new("google")),
        issuer: Some("https://issuer.test".into()),
        token_endpoint: "https://issuer.test/token".into(),
        client_id: "client-1".into(),
        redirect_uri: "https://host.test/callback?a=b".into(),
        scopes: scopes("mail.read mail.send"),
        services: [("gmail", "mail.read mail.send"), ("calendar", "calendar")]
            .map(|(name, wanted)| (provider(name), scopes(wanted)))
            .into(),
        parameters: [("site".to_owned(), "a \"b\" c".to_owned())].into(),
        label: Some(label("work")),
        purpose: Purpose::SwitchAccount(id(3)),
        require_account: true,
        return_to: Some("/settings".into()),
        request: request_options(),
        created_at: at(0),
        expires_at: at(600),
        status: ConsentStatus::Pending,
    }
}

/// Returns a grant of generation 1, for the mail of this owner. Its tokens expire at second 3,600.
pub(super) fn grant(tenant_name: &str, number: u8, owner: Owner) -> Grant {
    let mut issued_by = IssuedBy::new(
        must(ServerId::new("google")),
        "https://issuer.test/token",
        "client-1",
    );
    issued_by.refresh_endpoint = "https://issuer.test/refresh".into();
    issued_by.revocation_endpoint = Some("https://issuer.test/revoke".into());
    let mut grant = Grant::new(
        gid(number),
        tenant(tenant_name),
        owner,
        provider("gmail"),
        issued_by,
        at(0),
    );
    grant.refreshable = true;
    grant.requested = scopes("mail.read mail.send");
    grant.granted = scopes("mail.read");
    grant.expires_at = Some(at(3_600));
    grant
}

/// Returns a connection with its own grant, both with this number.
pub(super) fn connection(tenant_name: &str, number: u8, owner: Owner) -> Connection {
    Connection::new(id(number), &grant(tenant_name, number, owner))
}

/// Returns the grant of a consent for this connection alone: the same facts under another id.
pub(super) fn grant_of(connection: &Connection, number: u8, generation: u64) -> Grant {
    let mut grant = Grant::new(
        gid(number),
        connection.tenant.clone(),
        connection.owner.clone(),
        connection.provider.clone(),
        (*connection.issued_by).clone(),
        connection.consented_at,
    );
    grant.generation = generation;
    grant.refreshable = true;
    grant.requested.clone_from(&connection.requested);
    grant.granted.clone_from(&connection.granted);
    grant.parameters.clone_from(&connection.parameters);
    grant.account.clone_from(&connection.account);
    grant.refreshed_at = connection.refreshed_at;
    grant.expires_at = connection.expires_at;
    grant
}

pub(super) fn account(id: &str) -> Option<Account> {
    Some(Account {
        id: id.into(),
        email: Some("alice@example.test".into()),
        label: None,
    })
}

pub(super) fn tokens(name: &str) -> Tokens {
    Tokens {
        access_token: AccessToken::new(format!("access-{name}")),
        refresh_token: Some(RefreshToken::new(format!("refresh-{name}"))),
        id_token: Some(IdToken::new(format!("id-{name}"))),
    }
}

pub(super) fn stored_none() -> StoreOutcome {
    StoreOutcome::Stored { former: Vec::new() }
}

/// Stores a grant for these connections, without a consent request.
#[track_caller]
pub(super) fn store(
    vault: &dyn Vault,
    grant: &Grant,
    connections: &[Connection],
    tokens: &Tokens,
) -> StoreOutcome {
    must(vault.store_grant(&NewGrant {
        consent: &state("no such consent"),
        grant,
        tokens,
        connections,
        former_dead_at: None,
    }))
}

/// Stores a new connection with its own grant, which has the same number.
#[track_caller]
pub(super) fn connect(vault: &dyn Vault, connection: &Connection, name: &str) {
    let grant = grant_of(connection, connection.grant.as_bytes()[0], 1);
    let outcome = store(vault, &grant, std::slice::from_ref(connection), &tokens(name));
    assert_eq!(outcome, stored_none());
}

/// Returns the connection as it is after a new consent for it alone, whose grant has this number.
pub(super) fn renewed(connection: &Connection, number: u8) -> (Grant, Connection) {
    let grant = grant_of(connection, number, connection.generation + 1);
    let mut renewed = connection.clone();
    renewed.use_grant(&grant);
    (grant, renewed)
}

/// Stores a new consent for one existing connection. Returns the connection and the former grants.
#[track_caller]
pub(super) fn reconnect(
    vault: &dyn Vault,
    connection: &Connection,
    number: u8,
    name: &str,
) -> (Connection, Vec<GrantId>) {
    let (grant, renewed) = renewed(connection, number);
    match store(vault, &grant, std::slice::from_ref(&renewed), &tokens(name)) {
        StoreOutcome::Stored { former } => (renewed, former),
        StoreOutcome::Conflict => panic!("the grant conflicts"),
    }
}

/// Returns a vault with connection 1 of alice, which uses grant 1: generation 1, tokens "1".
#[track_caller]
pub(super) fn with_one(make: Make<'_>) -> (Arc<dyn Vault>, Connection) {
    let vault = make();
    let connection = connection("acme", 1, personal("alice"));
    connect(&*vault, &connection, "1");
    (vault, connection)
}

#[track_caller]
pub(super) fn stored(vault: &dyn Vault, connection: &Connection) -> Connection {
    some(
        must(vault.connection(&connection.tenant, connection.id)),
        "a connection",
    )
}

/// Returns the token of a connection, found by its id.
#[track_caller]
pub(super) fn token(vault: &dyn Vault, tenant: &TenantId, id: ConnectionId) -> Option<StoredToken> {
    let query = TokenQuery {
        tenant,
        of: Of::Id(id),
        scopes: &Scopes::default(),
    };
    match must(vault.find_token(&query)) {
        Found::One(token) => Some(token),
        Found::Nothing => None,
        Found::Several => panic!("an id names one connection"),
    }
}

/// Returns the access token stored for a connection, if it has one.
#[track_caller]
pub(super) fn access(vault: &dyn Vault, connection: &Connection) -> Option<String> {
    token(vault, &connection.tenant, connection.id)
        .and_then(|token| token.access_token)
        .map(|token| token.expose_secret().to_owned())
}

#[track_caller]
pub(super) fn find(vault: &dyn Vault, owner: &Owner, named: Option<&Label>, wanted: &Scopes) -> Found {
    must(vault.find_token(&TokenQuery {
        tenant: &tenant("acme"),
        of: Of::Owner {
            user: owner.user(),
            provider: &provider("gmail"),
            label: named,
        },
        scopes: wanted,
    }))
}

pub(super) const LEASE: Duration = Duration::from_secs(30);

/// Claims a grant of tenant "acme".
#[track_caller]
pub(super) fn claim_of(
    vault: &dyn Vault,
    number: u8,
    generation: u64,
    attempt: Attempt,
    now: i64,
) -> ClaimOutcome {
    must(vault.claim_refresh(&ClaimRequest {
        tenant: &tenant("acme"),
        grant: gid(number),
        holder: must(vault.holder()),
        generation,
        attempt,
        now: at(now),
        lease: LEASE,
    }))
}

/// Claims grant 1 of tenant "acme".
#[track_caller]
pub(super) fn claim(vault: &dyn Vault, generation: u64, attempt: Attempt, now: i64) -> ClaimOutcome {
    claim_of(vault, 1, generation, attempt, now)
}

/// Makes a claim that must be granted. Returns its proof and whether an outcome is unknown.
#[track_caller]
pub(super) fn granted(outcome: ClaimOutcome) -> (Claim, bool) {
    match outcome {
        ClaimOutcome::Granted(claimed) => (claimed.claim, claimed.outcome_unknown),
        other => panic!("the claim was not granted: {other:?}"),
    }
}

/// Stores refreshed tokens in a grant of tenant "acme" at second 100.
#[track_caller]
pub(super) fn commit_to(vault: &dyn Vault, number: u8, claim: &Claim, name: &str) -> CommitOutcome {
    let refreshed = Refreshed {
        refresh_token_expires_at: None,
        tokens: &tokens(name),
        granted: None,
        expires_at: Some(at(7_200)),
        lifetime: None,
        at: at(100),
        by: None,
    };
    must(vault.commit_refresh(&tenant("acme"), gid(number), claim, &refreshed))
}

/// Ends a claim on grant 1 of tenant "acme" without new tokens.
#[track_caller]
pub(super) fn fail(vault: &dyn Vault, claim: &Claim, failure: &RefreshFailure) -> CommitOutcome {
    must(vault.fail_refresh(&tenant("acme"), gid(1), claim, failure))
}

/// Records that a grant needs a new consent.
#[track_caller]
pub(super) fn need_consent(
    vault: &dyn Vault,
    of: &Connection,
    generation: u64,
    reason: NeedsConsent,
) -> CommitOutcome {
    let claim = Claim { generation, fence: 0 };
    let failure = RefreshFailure::ConsentNeeded { reason, at: at(50) };
    must(vault.fail_refresh(&of.tenant, of.grant, &claim, &failure))
}

/// Revokes a connection without keeping the tokens.
#[track_caller]
pub(super) fn revoke(vault: &dyn Vault, connection: &Connection, now: i64) -> Option<Revoked> {
    must(vault.revoke(&Revoke {
        tenant: &connection.tenant,
        what: RevokeWhat::Connection(connection.id),
        by: None,
        now: at(now),
        keep_until: None,
    }))
}

/// Returns the token sets that a revocation ended, as names of access and refresh tokens.
pub(super) fn ended(revoked: &Revoked) -> Vec<(Option<&str>, Option<&str>)> {
    let mut ended: Vec<_> = revoked
        .ended
        .iter()
        .map(|ended| {
            (
                ended.access_token.as_ref().map(AccessToken::expose_secret),
                ended.refresh_token.as_ref().map(RefreshToken::expose_secret),
            )
        })
        .collect();
    ended.sort_unstable();
    ended
}
