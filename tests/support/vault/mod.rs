//! Helpers for the tests of the vault's file.

pub(crate) mod log;
mod residue;

#[allow(unused_imports, reason = "each test binary uses a part of it")]
pub(crate) use super::world::tenant;
#[allow(unused_imports, reason = "each test binary uses a part of it")]
pub(crate) use residue::{Searched, residue};

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use valetkey::internals::model::{Grant, IssuedBy, issued_by as issued_by_of, new_connection, use_grant};
use valetkey::internals::secret::{IdToken, RefreshToken, State};
use valetkey::internals::vault::{
    Attempt, AuditChain, ClaimOutcome, ClaimRequest, CommitOutcome, Forget, Found, NewGrant, Of,
    PendingConsent, Refreshed, Retention, Revoke, RevokeWhat, Revoked, StateHash, StoreOutcome, StoredToken,
    SweepLimits, Swept, Taken, TokenQuery, Tokens, chain_of,
};
#[allow(unused_imports, reason = "each test binary uses a part of it")]
pub(crate) use valetkey::internals::vault::{
    AuditLog, ConsentStore, DefinitionStore, GrantStore, Housekeeping, RefreshStore, RevocationStore,
};
use valetkey::model::{
    Connection, ConnectionId, ConsentId, GrantId, Label, Owner, ProviderId, Scopes, ServerId, TenantId,
    Timestamp, UserId,
};
use valetkey::vault::{Forgotten, MasterKey, Rotated, SqliteVault, VaultError};
use valetkey::{AccessToken, ActingUser};

pub(crate) fn full() -> bool {
    std::env::var_os("VALETKEY_FULL").is_some()
}

pub(crate) fn key(byte: u8) -> MasterKey {
    MasterKey::from_base64(&STANDARD.encode([byte; 32])).unwrap()
}

pub(crate) fn open(path: &Path) -> Result<SqliteVault, VaultError> {
    SqliteVault::open(path, key(1))
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(seconds * 1_000)
}

pub(crate) fn user() -> UserId {
    UserId::new("alice").unwrap()
}

/// Returns the owner of a connection: alice, except for number 99.
pub(crate) fn user_of(number: u8) -> UserId {
    UserId::new(if number == 99 { "stranger" } else { "alice" }).unwrap()
}

pub(crate) fn id(number: u8) -> ConnectionId {
    ConnectionId::from_bytes([number; 16])
}

pub(crate) fn state(name: &str) -> StateHash {
    StateHash::of(&State::new(name))
}

fn issued_by() -> IssuedBy {
    IssuedBy::new(
        ServerId::new("google").unwrap(),
        "https://issuer.test/token",
        "client",
    )
}

/// Returns a grant with its own id and this generation, as a consent for this connection makes it.
pub(crate) fn grant_for(connection: &Connection, generation: u64) -> Grant {
    let mut bytes = *connection.id.as_bytes();
    bytes[8..].copy_from_slice(&(generation | 1 << 63).to_be_bytes());
    let mut grant = Grant::new(
        GrantId::from_bytes(bytes),
        connection.tenant.clone(),
        connection.owner.clone(),
        connection.provider.clone(),
        issued_by_of(connection).clone(),
        at(0),
    );
    grant.generation = generation;
    grant.refreshable = true;
    grant
}

/// Returns a connection that is not stored yet.
pub(crate) fn connection(number: u8) -> Connection {
    let grant = Grant::new(
        GrantId::from_bytes([number; 16]),
        tenant(),
        Owner::Personal(user_of(number)),
        ProviderId::new("gmail").unwrap(),
        issued_by(),
        at(0),
    );
    let mut connection = new_connection(id(number), &grant);
    connection.label = Some(Label::new(format!("label-{number}")).unwrap());
    connection
}

pub(crate) fn consent(name: &str) -> PendingConsent {
    PendingConsent {
        binding: state("binding"),
        token_endpoint: "https://issuer.test/token".into(),
        client_id: "client".into(),
        redirect_uri: "https://host.test/".into(),
        expires_at: at(600),
        ..PendingConsent::new(
            ConsentId::from_bytes([1; 16]),
            state(name),
            &ActingUser::authenticated(tenant(), user()).unwrap(),
            Owner::Personal(user()),
            ProviderId::new("gmail").unwrap(),
            ServerId::new("google").unwrap(),
            at(0),
        )
    }
}

pub(crate) fn tokens(access: &str, refresh: &str) -> Tokens {
    Tokens {
        access_token: AccessToken::new(access),
        refresh_token: Some(RefreshToken::new(refresh)),
        id_token: Some(IdToken::new(format!("MARKER-id-{refresh}"))),
    }
}

/// Stores the tokens of a consent for these connections, in a grant of the first one's owner and
/// provider.
pub(crate) fn try_grant(
    vault: &SqliteVault,
    connections: &[Connection],
    tokens: &Tokens,
) -> Result<StoreOutcome, VaultError> {
    let first = &connections[0];
    let mut shown = 0;
    for connection in connections {
        let known = vault.connection(&connection.tenant, connection.id)?;
        shown = shown.max(known.map_or(0, |known| known.generation));
    }
    let grant = grant_for(first, shown + 1);
    let connections: Vec<_> = connections
        .iter()
        .cloned()
        .map(|mut connection| {
            use_grant(&mut connection, &grant);
            connection
        })
        .collect();
    vault.store_grant(&NewGrant {
        consent: &state("none"),
        grant: &grant,
        tokens,
        connections: &connections,
        former_dead_at: Some(at(FORMER_DEAD_AT)),
    })
}

/// The time when the tokens of former grants expire at the server.
pub(crate) const FORMER_DEAD_AT: i64 = 5_000;

/// Stores the tokens of a consent for this connection alone. Returns the grants that it replaced.
pub(crate) fn grant(vault: &SqliteVault, connection: &Connection, tokens: &Tokens) -> Vec<GrantId> {
    grant_all(vault, std::slice::from_ref(connection), tokens)
}

/// Stores the tokens of a consent for several connections, which share one grant from then on.
pub(crate) fn grant_all(vault: &SqliteVault, connections: &[Connection], tokens: &Tokens) -> Vec<GrantId> {
    match try_grant(vault, connections, tokens).unwrap() {
        StoreOutcome::Stored { former } => former,
        StoreOutcome::Conflict => panic!("the grant conflicts"),
    }
}

pub(crate) fn stored(vault: &SqliteVault, number: u8) -> Connection {
    vault.connection(&tenant(), id(number)).unwrap().unwrap()
}

/// Returns the token of a connection of this tenant, found by its id.
pub(crate) fn find(
    vault: &SqliteVault,
    tenant: &TenantId,
    id: ConnectionId,
) -> Result<Option<StoredToken>, VaultError> {
    let found = vault.find_token(&TokenQuery {
        tenant,
        of: Of::Id(id),
        scopes: &Scopes::default(),
    })?;
    match found {
        Found::Nothing => Ok(None),
        Found::One(token) => Ok(Some(token)),
        Found::Several => panic!("an id names one connection"),
    }
}

/// Returns the access token of a connection, if it can be resolved.
pub(crate) fn access(vault: &SqliteVault, tenant: &TenantId, number: u8) -> Option<String> {
    let token = find(vault, tenant, id(number)).unwrap()?.access_token?;
    Some(token.expose_secret().to_owned())
}

pub(crate) fn claim(vault: &SqliteVault, number: u8, attempt: Attempt, now: i64) -> ClaimOutcome {
    let connection = stored(vault, number);
    vault
        .claim_refresh(&ClaimRequest {
            tenant: &tenant(),
            grant: connection.grant,
            holder: vault.holder().unwrap(),
            generation: connection.generation,
            attempt,
            now: at(now),
            lease: Duration::from_secs(30),
        })
        .unwrap()
}

/// Requests a claim, which must be granted.
pub(crate) fn claimed(vault: &SqliteVault, number: u8) -> Box<valetkey::internals::vault::Claimed> {
    match claim(vault, number, Attempt::Forced, 1) {
        ClaimOutcome::Granted(claimed) => claimed,
        other => panic!("the claim was not granted: {other:?}"),
    }
}

/// Returns tokens as a refresh response contains them.
pub(crate) fn refreshed(tokens: &Tokens) -> Refreshed<'_> {
    Refreshed {
        tokens,
        granted: None,
        expires_at: None,
        lifetime: None,
        refresh_token_expires_at: None,
        at: at(2),
        by: None,
    }
}

pub(crate) fn refresh(vault: &SqliteVault, number: u8, tokens: &Tokens) {
    let claimed = claimed(vault, number);
    let outcome = vault.commit_refresh(&tenant(), claimed.grant.id, &claimed.claim, &refreshed(tokens));
    assert_eq!(outcome.unwrap(), CommitOutcome::Stored);
}

/// Returns a request to revoke a connection of "acme". The tokens are kept for the provider until
/// `keep_until`.
pub(crate) fn try_revoke(
    vault: &SqliteVault,
    number: u8,
    keep_until: Option<Timestamp>,
) -> Result<Option<Revoked>, VaultError> {
    vault.revoke(&Revoke {
        tenant: &tenant(),
        what: RevokeWhat::Connection(id(number)),
        by: None,
        now: at(9),
        keep_until,
    })
}

pub(crate) fn revoke(vault: &SqliteVault, number: u8) -> Option<Revoked> {
    try_revoke(vault, number, None).unwrap()
}

/// Revokes, and keeps the tokens for the provider.
pub(crate) fn revoke_and_keep(vault: &SqliteVault, number: u8) -> Revoked {
    let revoked = try_revoke(vault, number, Some(at(9_000))).unwrap().unwrap();
    assert!(!revoked.ended.is_empty());
    assert!(revoked.ended.iter().all(|ended| ended.pending.is_some()));
    revoked
}

pub(crate) fn take(vault: &SqliteVault, name: &str, now: i64) -> Taken {
    vault.take_consent(&tenant(), &state(name), at(now)).unwrap()
}

/// Deletes the records whose time has expired by then, except entries of the audit.
pub(crate) fn sweep(vault: &SqliteVault, now: i64) -> Swept {
    vault.sweep(&sweep_limits(now)).unwrap()
}

pub(crate) fn sweep_limits(now: i64) -> SweepLimits {
    SweepLimits {
        now: at(now),
        consents_before: at(now),
        retention: Retention::default(),
        rows: 1_000,
    }
}

pub(crate) fn forget_user(vault: &SqliteVault, user: &UserId) -> Result<Option<Forgotten>, VaultError> {
    vault.forget(&Forget {
        tenant: &tenant(),
        user: Some(user),
        by: None,
        now: at(5),
    })
}

pub(crate) fn forget_tenant(vault: &SqliteVault, tenant: &TenantId) -> Result<Option<Forgotten>, VaultError> {
    vault.forget(&Forget {
        tenant,
        user: None,
        by: None,
        now: at(5),
    })
}

/// Gives "acme" a new data key.
pub(crate) fn rotate_data_key(vault: &SqliteVault) {
    assert_eq!(vault.rotate_data_key(&tenant(), at(6)).unwrap().done, 1);
}

pub(crate) fn reseal(vault: &SqliteVault, limit: usize) -> Rotated {
    vault.reseal_tokens(limit, at(6)).unwrap()
}

/// Returns every chain of the vault.
pub(crate) fn chains(vault: &SqliteVault) -> Vec<AuditChain> {
    let heads = vault.audit_heads(None).unwrap();
    heads.iter().map(chain_of).collect()
}

#[track_caller]
pub(crate) fn assert_intact(vault: &SqliteVault) {
    for chain in chains(vault) {
        let report = match &chain {
            AuditChain::Tenant(tenant) => vault.verify_audit(tenant, |_, _| {}),
            _ => vault.verify_vault_audit(|_, _| {}),
        };
        let report = report.unwrap();
        assert!(report.is_intact(), "{chain:?}: {report:?}");
    }
}

/// The directory of files that older versions wrote.
pub(crate) fn vector(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vectors/schema-{version}.db"))
}

/// Returns a directory with a file of this schema, or an empty one for the newest.
pub(crate) fn place_of(schema: u32) -> (tempfile::TempDir, PathBuf) {
    let (directory, path) = place();
    if schema < NEWEST {
        fs::write(&path, fs::read(vector(schema)).unwrap()).unwrap();
    }
    (directory, path)
}

/// The newest schema.
pub(crate) const NEWEST: u32 = 5;
/// Every schema whose files can be opened. Tests of the vault's guarantees run with files of each.
pub(crate) const SCHEMAS: [u32; 5] = [NEWEST, 1, 2, 3, 4];

pub(crate) fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault.db");
    (directory, path)
}

/// Returns the content of a file, read by another process: closing a file that SQLite has open
/// would release its locks.
#[cfg(unix)]
pub(crate) fn content(file: &Path) -> Vec<u8> {
    let read = std::process::Command::new("cat").arg(file).output().unwrap();
    assert!(read.status.success(), "{file:?}");
    read.stdout
}

#[cfg(not(unix))]
pub(crate) fn content(file: &Path) -> Vec<u8> {
    fs::read(file).unwrap()
}

/// Returns every file in the directory with its content.
pub(crate) fn files(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|file| (file.clone(), content(&file)))
        .collect()
}

/// Returns the sealed tokens of all grants, former grants included.
pub(crate) fn ciphertexts(path: &Path) -> Vec<Vec<u8>> {
    records(path, "slot IN (SELECT slot FROM grants)")
}

/// Returns every record in these slots: tokens, verifiers, wrapped keys.
pub(crate) fn records(path: &Path, of: &str) -> Vec<Vec<u8>> {
    let db = rusqlite::Connection::open(path).unwrap();
    let sql = format!("SELECT access FROM secrets WHERE {of} UNION ALL SELECT rest FROM secrets WHERE {of}");
    let mut statement = db.prepare(&sql).unwrap();
    statement
        .query_map([], |row| row.get::<_, Vec<u8>>(0))
        .unwrap()
        .map(Result::unwrap)
        .filter_map(|slot| {
            let (len, rest) = slot.split_first_chunk::<4>()?;
            let record = rest[..u32::from_be_bytes(*len) as usize].to_vec();
            Some(record).filter(|record| !record.is_empty())
        })
        .collect()
}

/// A small generator that returns the same numbers in every run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }
}
