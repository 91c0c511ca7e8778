//! What the tests of the vault's file have in common.

#![allow(dead_code, unused_imports, reason = "each test crate uses a part of it")]

mod residue;

pub(crate) use residue::{Searched, residue};

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use valetkey::model::{
    Connection, ConnectionId, ConsentId, IssuedBy, Label, Owner, Parameters, ProviderId, Scopes, ServerId,
    TenantId, Timestamp, UserId,
};
use valetkey::secret::{AccessToken, IdToken, RefreshToken, State};
use valetkey::vault::envelope::MasterKey;
use valetkey::vault::{
    Attempt, ClaimOutcome, ClaimRequest, CommitOutcome, ConsentStatus, Grant, PendingConsent, Purpose,
    Renewed, SqliteVault, StateHash, StoreOutcome, Tokens, Vault, VaultError,
};

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

pub(crate) fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

pub(crate) fn user() -> UserId {
    UserId::new("alice").unwrap()
}

/// The owner of a connection: everybody's is alice's, but for a stranger's.
pub(crate) fn user_of(number: u8) -> UserId {
    UserId::new(if number == 99 { "stranger" } else { "alice" }).unwrap()
}

pub(crate) fn id(number: u8) -> ConnectionId {
    ConnectionId::from_bytes([number; 16])
}

pub(crate) fn state(name: &str) -> StateHash {
    StateHash::of(&State::new(name))
}

pub(crate) fn connection(number: u8, generation: u64) -> Connection {
    let mut connection = Connection::new(
        id(number),
        tenant(),
        Owner::Personal(user_of(number)),
        ProviderId::new("gmail").unwrap(),
        IssuedBy {
            server: ServerId::new("google").unwrap(),
            token_endpoint: "https://issuer.test/token".into(),
            client_id: "client".into(),
        },
        at(0),
    );
    connection.generation = generation;
    connection.label = Some(Label::new(format!("label-{number}")).unwrap());
    connection
}

pub(crate) fn consent(name: &str) -> PendingConsent {
    PendingConsent {
        id: ConsentId::from_bytes([1; 16]),
        state: state(name),
        binding: state("binding"),
        tenant: tenant(),
        user: user(),
        owner: Owner::Personal(user()),
        provider: ProviderId::new("gmail").unwrap(),
        server: ServerId::new("google").unwrap(),
        issuer: None,
        token_endpoint: "https://issuer.test/token".into(),
        client_id: "client".into(),
        redirect_uri: "https://host.test/".into(),
        scopes: Scopes::default(),
        services: std::collections::BTreeMap::new(),
        parameters: Parameters::new(),
        label: None,
        purpose: Purpose::Connect,
        return_to: None,
        created_at: at(0),
        expires_at: at(600),
        status: ConsentStatus::Pending,
    }
}

pub(crate) fn tokens(access: &str, refresh: &str) -> Tokens {
    Tokens {
        access_token: AccessToken::new(access),
        refresh_token: Some(RefreshToken::new(refresh)),
        id_token: Some(IdToken::new(format!("MARKER-id-{refresh}"))),
    }
}

pub(crate) fn grant(vault: &SqliteVault, connection: &Connection, tokens: &Tokens) {
    let outcome = vault.store_grant(&Grant {
        consent: &state("none"),
        connection,
        tokens,
        members: &[],
    });
    assert_eq!(outcome.unwrap(), StoreOutcome::Stored);
}

pub(crate) fn claim(vault: &SqliteVault, number: u8, generation: u64) -> ClaimOutcome {
    vault
        .claim_refresh(&ClaimRequest {
            tenant: &tenant(),
            connection: id(number),
            holder: vault.holder().unwrap(),
            generation,
            attempt: Attempt::Forced,
            now: at(1),
            lease: Duration::from_secs(30),
        })
        .unwrap()
}

pub(crate) fn refresh(vault: &SqliteVault, number: u8, generation: u64, tokens: &Tokens) {
    let ClaimOutcome::Granted(claimed) = claim(vault, number, generation) else {
        panic!("not granted");
    };
    let renewed = Renewed {
        tokens,
        granted: None,
        expires_at: None,
        at: at(2),
        by: None,
    };
    let outcome = vault.commit_refresh(&tenant(), id(number), &claimed.claim, &renewed);
    assert_eq!(outcome.unwrap(), CommitOutcome::Stored);
}

pub(crate) fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault.db");
    (directory, path)
}

/// The content of a file, read by another process: when this one closes a file that SQLite has open, the locks on it
/// are gone.
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

/// Every file in the directory with what is in it.
pub(crate) fn files(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|file| (file.clone(), content(&file)))
        .collect()
}

/// The sealed records that connections have now.
pub(crate) fn ciphertexts(path: &Path) -> Vec<Vec<u8>> {
    records(path, "slot IN (SELECT slot FROM connections)")
}

/// Every record that lies in a slot now: tokens, verifiers, wrapped keys.
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

/// A small generator that gives every run the same numbers.
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
