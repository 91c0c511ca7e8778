//! Vault files that something has damaged.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use valetkey::model::{
    Connection, ConnectionId, IssuedBy, Owner, ProviderId, Scopes, ServerId, TenantId, Timestamp, UserId,
};
use valetkey::secret::{AccessToken, RefreshToken, State};
use valetkey::vault::envelope::MasterKey;
use valetkey::vault::{
    Attempt, ClaimOutcome, ClaimRequest, ConnectionQuery, Found, Grant, Holder, Renewed, SqliteVault,
    StateHash, TokenQuery, Tokens, Vault,
};

use crate::edit;

/// Alice has two connections, Bob one; the last generation of each is in the log alone.
const USERS: [&str; 3] = ["alice", "alice", "bob"];

struct Files {
    database: Vec<u8>,
    log: Vec<u8>,
    /// The same in one file, as closing leaves it.
    closed: Vec<u8>,
}

static FILES: LazyLock<Files> = LazyLock::new(|| {
    let directory = directory();
    let path = directory.path().join("vault.db");
    let vault = SqliteVault::open(&path, key()).unwrap();
    for number in 0..3 {
        let mut connection = Connection::new(
            id(number),
            tenant(),
            Owner::Personal(UserId::new(USERS[usize::from(number)]).unwrap()),
            ProviderId::new("gmail").unwrap(),
            IssuedBy {
                server: ServerId::new("google").unwrap(),
                token_endpoint: "https://issuer.test/token".into(),
                client_id: "client".into(),
            },
            at(0),
        );
        for generation in 1..=2 {
            connection.generation = generation;
            vault
                .store_grant(&Grant {
                    consent: &StateHash::of(&State::new("none")),
                    connection: &connection,
                    tokens: &tokens(number, generation),
                    members: &[],
                })
                .unwrap();
        }
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

/// In memory where there is such a thing: a fuzzer that waits for a disk sees little.
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

/// A file that was altered anywhere yields each connection's own token, an error or nothing; never a panic, and never
/// a token of somebody else.
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

fn silent(error: &valetkey::vault::VaultError) {
    let printed = format!("{error:?} {error}");
    assert!(!printed.contains("MARKER"), "an error repeats a token");
}

fn checked<T>(result: Result<T, valetkey::vault::VaultError>) -> Option<T> {
    result.inspect_err(silent).ok()
}

fn use_all(vault: &SqliteVault) {
    let check = |number: u8, token: &AccessToken| {
        let own = (1..=3).any(|generation| token.expose_secret() == access(number, generation));
        assert!(own, "another token than its own");
    };
    for number in 0..3 {
        if let Some(Some(stored)) = checked(vault.token(&tenant(), id(number)))
            && let Some(token) = &stored.access_token
        {
            check(number, token);
        }
    }
    for user in ["alice", "bob"] {
        let found = checked(vault.find_token(&TokenQuery {
            tenant: &tenant(),
            user: Some(&UserId::new(user).unwrap()),
            provider: &ProviderId::new("gmail").unwrap(),
            label: None,
            scopes: &Scopes::default(),
        }));
        if let Some(Found::One(stored)) = found
            && let Some(token) = &stored.access_token
        {
            let number = (0..3)
                .find(|number| id(*number) == stored.connection)
                .expect("a known id");
            assert!(USERS[usize::from(number)] == user, "somebody else's token");
            check(number, token);
        }
    }
    let all = checked(vault.connections(&ConnectionQuery::of(&tenant())));
    assert!(!format!("{all:?}").contains("MARKER"));
    let claim = checked(vault.claim_refresh(&ClaimRequest {
        tenant: &tenant(),
        connection: id(0),
        holder: Holder::from_bytes([1; 16]),
        generation: 2,
        attempt: Attempt::Forced,
        now: at(1),
        lease: Duration::from_secs(30),
    }));
    if let Some(ClaimOutcome::Granted(claimed)) = claim {
        let token = claimed.refresh_token.expose_secret();
        assert!(token == refresh(0, 2), "another refresh token than its own");
        let renewed = tokens(0, 3);
        let outcome = vault.commit_refresh(
            &tenant(),
            id(0),
            &claimed.claim,
            &Renewed {
                tokens: &renewed,
                granted: None,
                expires_at: None,
                at: at(2),
                by: None,
            },
        );
        checked(outcome);
    }
    if let Some(Some(revoked)) = checked(vault.revoke(&tenant(), id(1), None, at(3)))
        && let Some(tokens) = &revoked.tokens
    {
        check(1, &tokens.access_token);
    }
    if checked(vault.clear_residue()).is_some()
        && let Some(Some(stored)) = checked(vault.token(&tenant(), id(1)))
    {
        assert!(
            stored.access_token.is_none() || stored.status == valetkey::model::Status::Active,
            "a revoked connection has a token"
        );
    }
}
