//! What every vault must pass, whoever wrote it.
//!
//! Not part of this crate's semantic versioning: a new version may check more of the contract.
//!
//! ```no_run
//! use std::sync::Arc;
//! use valetkey::vault::MemoryVault;
//!
//! valetkey::testing::vault_contract::check(&|| Arc::new(MemoryVault::new()));
//! ```

mod audit;
mod claims;
mod connections;
mod consents;
mod sharing;
mod tokens;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    Account, Connection, ConnectionId, ConsentId, IssuedBy, Label, Owner, ProviderId, Scopes, ServerId,
    TenantId, Timestamp, UserId,
};
use crate::secret::{AccessToken, IdToken, PkceVerifier, RefreshToken, State};
use crate::vault::{
    Attempt, Claim, ClaimOutcome, ClaimRequest, ConsentStatus, Found, Grant, PendingConsent, Purpose,
    StateHash, StoreOutcome, TokenQuery, Tokens, Vault,
};

/// Makes an empty vault.
type Make<'a> = &'a dyn Fn() -> Arc<dyn Vault>;

/// Checks the whole written contract of [`Vault`] against vaults that `make` makes, an empty one for each check.
///
/// # Panics
///
/// At the first promise that the vault breaks, with the name of the check in the message.
pub fn check(make: &dyn Fn() -> Arc<dyn Vault>) {
    for (name, check) in consents::CHECKS
        .iter()
        .chain(connections::CHECKS)
        .chain(tokens::CHECKS)
        .chain(claims::CHECKS)
        .chain(sharing::CHECKS)
        .chain(upkeep::CHECKS)
        .chain(audit::CHECKS)
    {
        let guard = Name(name);
        check(make);
        std::mem::forget(guard);
    }
}

/// Says which check was running when it panics.
struct Name(&'static str);

impl Drop for Name {
    #[allow(clippy::print_stderr, reason = "a test's failure must say where it happened")]
    fn drop(&mut self) {
        eprintln!("the vault contract is broken: {}", self.0);
    }
}

type Check = (&'static str, fn(Make<'_>));

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_800_000_000_000 + seconds * 1_000)
}

/// Takes what must be there.
#[track_caller]
fn must<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("an operation failed: {error:?}"),
    }
}

#[track_caller]
fn some<T>(option: Option<T>, what: &str) -> T {
    match option {
        Some(value) => value,
        None => panic!("{what} is missing"),
    }
}

fn tenant(name: &str) -> TenantId {
    must(TenantId::new(name))
}

fn user(name: &str) -> UserId {
    must(UserId::new(name))
}

fn provider(name: &str) -> ProviderId {
    must(ProviderId::new(name))
}

fn label(name: &str) -> Label {
    must(Label::new(name))
}

fn scopes(list: &str) -> Scopes {
    must(list.parse())
}

fn personal(name: &str) -> Owner {
    Owner::Personal(user(name))
}

fn state(name: &str) -> StateHash {
    StateHash::of(&State::new(name))
}

fn id(number: u8) -> ConnectionId {
    ConnectionId::from_bytes([number; 16])
}

fn verifier() -> PkceVerifier {
    PkceVerifier::new("verifier-1")
}

fn consent(tenant_name: &str, state_name: &str) -> PendingConsent {
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
        return_to: Some("/settings".into()),
        created_at: at(0),
        expires_at: at(600),
        status: ConsentStatus::Pending,
    }
}

fn connection(tenant_name: &str, number: u8, owner: Owner) -> Connection {
    let issued_by = IssuedBy {
        server: must(ServerId::new("google")),
        token_endpoint: "https://issuer.test/token".into(),
        client_id: "client-1".into(),
    };
    let mut connection = Connection::new(
        id(number),
        tenant(tenant_name),
        owner,
        provider("gmail"),
        issued_by,
        at(0),
    );
    connection.refreshable = true;
    connection.requested = scopes("mail.read mail.send");
    connection.granted = scopes("mail.read");
    connection.expires_at = Some(at(3_600));
    connection
}

fn account(id: &str) -> Option<Account> {
    Some(Account {
        id: id.into(),
        email: Some("alice@example.test".into()),
        label: None,
    })
}

fn tokens(name: &str) -> Tokens {
    Tokens {
        access_token: AccessToken::new(format!("access-{name}")),
        refresh_token: Some(RefreshToken::new(format!("refresh-{name}"))),
        id_token: Some(IdToken::new(format!("id-{name}"))),
    }
}

#[track_caller]
fn grant(vault: &dyn Vault, connection: &Connection, tokens: &Tokens) -> StoreOutcome {
    must(vault.store_grant(&Grant {
        consent: &state("no such consent"),
        connection,
        tokens,
        members: &[],
    }))
}

/// A vault with connection 1 of alice, generation 1, tokens "1".
#[track_caller]
fn with_one(make: Make<'_>) -> (Arc<dyn Vault>, Connection) {
    let vault = make();
    let connection = connection("acme", 1, personal("alice"));
    assert_eq!(grant(&*vault, &connection, &tokens("1")), StoreOutcome::Stored);
    (vault, connection)
}

#[track_caller]
fn stored(vault: &dyn Vault, connection: &Connection) -> Connection {
    some(
        must(vault.connection(&connection.tenant, connection.id)),
        "a connection",
    )
}

/// The access token that is stored for a connection, if it has one.
#[track_caller]
fn access(vault: &dyn Vault, connection: &Connection) -> Option<String> {
    must(vault.token(&connection.tenant, connection.id))
        .and_then(|token| token.access_token)
        .map(|token| token.expose_secret().to_owned())
}

#[track_caller]
fn find(vault: &dyn Vault, owner: &Owner, named: Option<&Label>, wanted: &Scopes) -> Found {
    must(vault.find_token(&TokenQuery {
        tenant: &tenant("acme"),
        user: owner.user(),
        provider: &provider("gmail"),
        label: named,
        scopes: wanted,
    }))
}

const LEASE: Duration = Duration::from_secs(30);

#[track_caller]
fn claim(vault: &dyn Vault, generation: u64, attempt: Attempt, now: i64) -> ClaimOutcome {
    must(vault.claim_refresh(&ClaimRequest {
        tenant: &tenant("acme"),
        connection: id(1),
        holder: must(vault.holder()),
        generation,
        attempt,
        now: at(now),
        lease: LEASE,
    }))
}

/// A claim that must be granted: its proof, and whether an outcome is unknown.
#[track_caller]
fn granted(outcome: ClaimOutcome) -> (Claim, bool) {
    match outcome {
        ClaimOutcome::Granted(claimed) => (claimed.claim, claimed.outcome_unknown),
        other => panic!("the claim was not granted: {other:?}"),
    }
}
