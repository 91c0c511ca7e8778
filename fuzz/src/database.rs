//! Damaged vault files.

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use valetkey::AccessToken;
use valetkey::internals::model::{Grant, IssuedBy, new_connection};
use valetkey::internals::secret::{RefreshToken, State};
use valetkey::internals::vault::{
    Attempt, ClaimOutcome, ClaimRequest, ConnectionQuery, Found, GrantStore as _, Holder, Housekeeping as _,
    NewGrant, Of, RefreshStore as _, Refreshed, RevocationStore as _, Revoke, RevokeWhat, StateHash,
    TokenQuery, Tokens,
};
use valetkey::model::{
    ConnectionId, GrantId, Owner, ProviderId, Scopes, ServerId, Status, TenantId, Timestamp, UserId,
};
use valetkey::vault::{MasterKey, SqliteVault, VaultError};

use crate::edit;

/// Alice has two connections, Bob one. The second generation of each is only in the log.
const USERS: [&str; 3] = ["alice", "alice", "bob"];

struct Files {
    database: Vec<u8>,
    log: Vec<u8>,
    /// The same data in one file, as after closing.
    closed: Vec<u8>,
}

static FILES: LazyLock<Files> = LazyLock::new(|| {
    let directory = directory();
    let path = directory.path().join("vault.db");
    let vault = SqliteVault::open(&path, key()).unwrap();
    for number in 0..3 {
        store(&vault, number);
        refresh_once(&vault, number, 1).unwrap();
    }
    let (database, log) = (
        fs::read(&path).unwrap(),
        fs::read(path.with_file_name("vault.db-wal")).unwrap(),
    );
    drop(vault);
    Files {
        database,
        log,
        closed: fs::read(&path).unwrap(),
    }
});

/// Returns a directory in memory, if available: a fuzzer that waits for a disk tests little.
fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    tempfile::Builder::new()
        .prefix("valetkey-fuzz-")
        .tempdir_in(place)
        .unwrap()
}

fn key() -> MasterKey {
    MasterKey::from_base64(&STANDARD.encode([1; 32])).unwrap()
}

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(seconds * 1_000)
}

fn id(number: u8) -> ConnectionId {
    ConnectionId::from_bytes([number + 1; 16])
}

fn grant_id(number: u8) -> GrantId {
    GrantId::from_bytes([number + 101; 16])
}

fn store(vault: &SqliteVault, number: u8) {
    let issued_by = IssuedBy::new(
        ServerId::new("google").unwrap(),
        "https://issuer.test/token",
        "client",
    );
    let owner = Owner::Personal(UserId::new(USERS[usize::from(number)]).unwrap());
    let provider = ProviderId::new("gmail").unwrap();
    let mut grant = Grant::new(grant_id(number), tenant(), owner, provider, issued_by, at(0));
    grant.refreshable = true;
    vault
        .store_grant(&NewGrant {
            consent: &StateHash::of(&State::new("none")),
            grant: &grant,
            tokens: &tokens(number, 1),
            connections: &[new_connection(id(number), &grant)],
            former_dead_at: None,
        })
        .unwrap();
}

/// Refreshes the tokens of this generation, if it is the stored one.
fn refresh_once(vault: &SqliteVault, number: u8, generation: u64) -> Result<(), VaultError> {
    let claim = vault.claim_refresh(&ClaimRequest {
        tenant: &tenant(),
        grant: grant_id(number),
        holder: Holder::from_bytes([1; 16]),
        generation,
        attempt: Attempt::Forced,
        now: at(1),
        lease: Duration::from_secs(30),
    })?;
    let ClaimOutcome::Granted(claimed) = claim else {
        return Ok(());
    };
    let token = claimed.refresh_token.expose_secret();
    assert!(
        token == refresh(number, generation),
        "another refresh token than its own"
    );
    let refreshed = Refreshed {
        refresh_token_expires_at: None,
        tokens: &tokens(number, generation + 1),
        granted: None,
        expires_at: None,
        lifetime: None,
        at: at(2),
        by: None,
    };
    vault
        .commit_refresh(&tenant(), grant_id(number), &claimed.claim, &refreshed)
        .map(drop)
}

fn tokens(number: u8, generation: u64) -> Tokens {
    Tokens {
        access_token: AccessToken::new(access(number, generation)),
        refresh_token: Some(RefreshToken::new(refresh(number, generation))),
        id_token: None,
    }
}

fn access(number: u8, generation: u64) -> String {
    format!("MARKER-access-{number}-{generation}-").repeat(9)
}

fn refresh(number: u8, generation: u64) -> String {
    format!("MARKER-refresh-{number}-{generation}-").repeat(9)
}

/// A file that was altered anywhere returns each connection's own token, an error or nothing. It
/// never causes a panic, and never returns another connection's token.
pub fn mutated_database(data: &[u8]) {
    let Some((choice, edits)) = data.split_first() else {
        return;
    };
    let directory = directory();
    let path = directory.path().join("vault.db");
    let log = directory.path().join("vault.db-wal");
    let edited = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        edit(&mut bytes, edits);
        bytes
    };
    match choice % 3 {
        0 => fs::write(&path, edited(&FILES.closed)).unwrap(),
        1 => {
            fs::write(&path, &FILES.database).unwrap();
            fs::write(&log, edited(&FILES.log)).unwrap();
        }
        _ => {
            fs::write(&path, edited(&FILES.database)).unwrap();
            fs::write(&log, &FILES.log).unwrap();
        }
    }
    match SqliteVault::open(&path, key()) {
        Ok(vault) => use_all(&vault),
        Err(error) => silent(&error),
    }
}

fn silent(error: &VaultError) {
    let printed = format!("{error:?} {error}");
    assert!(!printed.contains("MARKER"), "an error repeats a token");
}

fn checked<T>(result: Result<T, VaultError>) -> Option<T> {
    result.inspect_err(silent).ok()
}

fn use_all(vault: &SqliteVault) {
    for number in 0..3 {
        if let Some(token) = find(vault, Of::Id(id(number)), |connection| connection == id(number)) {
            check(number, &token);
        }
    }
    let provider = ProviderId::new("gmail").unwrap();
    for name in ["alice", "bob"] {
        let user = UserId::new(name).unwrap();
        let of = Of::Owner {
            user: Some(&user),
            provider: &provider,
            label: None,
        };
        let mut whose = 0;
        let is_own = |connection| {
            whose = (0..3)
                .find(|number| id(*number) == connection)
                .expect("a known id");
            USERS[usize::from(whose)] == name
        };
        if let Some(token) = find(vault, of, is_own) {
            check(whose, &token);
        }
    }
    let all = checked(vault.connections(&ConnectionQuery::of(&tenant())));
    assert!(!format!("{all:?}").contains("MARKER"));
    let _ = checked(vault.verify_audit(&tenant(), |_, _| {}));
    checked(refresh_once(vault, 0, 2));
    revoke(vault);
}

/// Returns the token that is found, if any.
fn find(
    vault: &SqliteVault,
    of: Of<'_>,
    is_own: impl FnOnce(ConnectionId) -> bool,
) -> Option<Arc<AccessToken>> {
    let found = checked(vault.find_token(&TokenQuery {
        tenant: &tenant(),
        of,
        scopes: &Scopes::default(),
    }));
    let Some(Found::One(stored)) = found else {
        return None;
    };
    assert!(is_own(stored.connection), "somebody else's connection");
    assert!(
        stored.access_token.is_none() || stored.status == Status::Active,
        "a connection that is not active has a token"
    );
    stored.access_token
}

fn check(number: u8, token: &AccessToken) {
    let own = (1..=3).any(|generation| token.expose_secret() == access(number, generation));
    assert!(own, "another token than its own");
}

fn revoke(vault: &SqliteVault) {
    let revoked = checked(vault.revoke(&Revoke {
        tenant: &tenant(),
        what: RevokeWhat::Connection(id(1)),
        by: None,
        now: at(3),
        keep_until: None,
    }));
    let Some(Some(revoked)) = revoked else {
        return;
    };
    for token in revoked
        .ended
        .iter()
        .filter_map(|ended| ended.access_token.as_ref())
    {
        check(1, token);
    }
    checked(vault.clear_residue());
    let found = find(vault, Of::Id(id(1)), |connection| connection == id(1));
    assert!(found.is_none(), "a revoked connection has a token");
}
