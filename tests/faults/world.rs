//! Who is who in the scenarios, and the files that they begin with.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use valetkey::model::{
    Connection, ConnectionId, ConsentId, IssuedBy, Label, Owner, Parameters, ProviderId, Scopes, ServerId,
    TenantId, Timestamp, UserId,
};
use valetkey::secret::{AccessToken, RefreshToken, State};
use valetkey::vault::envelope::MasterKey;
use valetkey::vault::{
    Attempt, AuditHead, ClaimOutcome, ClaimRequest, ConsentStatus, Erasure, Grant, Holder, PendingConsent,
    Purpose, SqliteVault, StateHash, StoreOutcome, Tokens, Vault as _, VaultError,
};

use crate::scenario::{ACTIVE, BOBS, Beginning, HELD, KEEPER, NEIGHBOUR, REVOKED, Scenario};

/// When pending revocations are given up.
pub(crate) const GIVE_UP: Timestamp = at(90_000);

pub(crate) fn open(path: &Path) -> Result<SqliteVault, VaultError> {
    SqliteVault::open(path, MasterKey::from_base64(&STANDARD.encode([1; 32])).unwrap())
}

pub(crate) fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

/// Whose it is.
pub(crate) fn tenant_of(number: u8) -> TenantId {
    if number == NEIGHBOUR {
        TenantId::new("globex").unwrap()
    } else {
        tenant()
    }
}

pub(crate) fn alice() -> UserId {
    UserId::new("alice").unwrap()
}

pub(crate) fn user_of(number: u8) -> UserId {
    if number == BOBS {
        UserId::new("bob").unwrap()
    } else {
        alice()
    }
}

/// What joins a grant is another service than those that are there.
fn provider_of(number: u8) -> ProviderId {
    let name = match number {
        6 => "google-calendar",
        7 => "google-drive",
        _ => "gmail",
    };
    ProviderId::new(name).unwrap()
}

pub(crate) fn id(number: u8) -> ConnectionId {
    ConnectionId::from_bytes([number; 16])
}

pub(crate) const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(seconds * 1_000)
}

/// Some are small, some have pages of their own.
fn repeats(number: u8) -> usize {
    if number.is_multiple_of(2) { 500 } else { 5 }
}

pub(crate) fn access(number: u8, generation: u64) -> String {
    format!("MARKER-access-{number}-{generation}.").repeat(repeats(number))
}

pub(crate) fn refresh(number: u8, generation: u64) -> String {
    format!("MARKER-refresh-{number}-{generation}.").repeat(repeats(number + 1))
}

pub(crate) fn tokens(number: u8, generation: u64) -> Tokens {
    Tokens {
        access_token: AccessToken::new(access(number, generation)),
        refresh_token: Some(RefreshToken::new(refresh(number, generation))),
        id_token: None,
    }
}

pub(crate) fn state() -> StateHash {
    StateHash::of(&State::new("the state"))
}

pub(crate) fn consent() -> PendingConsent {
    PendingConsent {
        id: ConsentId::from_bytes([1; 16]),
        state: state(),
        binding: StateHash::of(&State::new("the binding")),
        tenant: tenant(),
        user: alice(),
        owner: Owner::Personal(alice()),
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

pub(crate) fn claim(
    vault: &SqliteVault,
    number: u8,
    generation: u64,
    now: Timestamp,
) -> Result<ClaimOutcome, VaultError> {
    vault.claim_refresh(&ClaimRequest {
        tenant: &tenant_of(number),
        connection: id(number),
        holder: Holder::from_bytes([1; 16]),
        generation,
        attempt: Attempt::Forced,
        now,
        lease: Duration::from_secs(30),
    })
}

pub(crate) fn connection(number: u8, generation: u64) -> Connection {
    let issued_by = IssuedBy {
        server: ServerId::new("google").unwrap(),
        token_endpoint: "https://issuer.test/token".into(),
        client_id: "client".into(),
    };
    let owner = Owner::Personal(user_of(number));
    let mut connection = Connection::new(
        id(number),
        tenant_of(number),
        owner,
        provider_of(number),
        issued_by,
        at(0),
    );
    connection.generation = generation;
    connection.label = Some(Label::new(format!("label-{number}")).unwrap());
    connection
}

pub(crate) fn grant(vault: &SqliteVault, number: u8, generation: u64) -> Result<(), VaultError> {
    let outcome = vault.store_grant(&Grant {
        consent: &state(),
        connection: &connection(number, generation),
        tokens: &tokens(number, generation),
        members: &[],
    })?;
    assert_eq!(outcome, StoreOutcome::Stored);
    Ok(())
}

/// Stores a grant for those that share it already and these.
pub(crate) fn share(vault: &SqliteVault, generation: u64, joining: &[u8]) -> Result<(), VaultError> {
    let mut keeper = connection(KEEPER, generation);
    keeper.is_keeper = true;
    keeper.label = None;
    let members: Vec<Connection> = joining
        .iter()
        .map(|number| {
            let mut member = connection(*number, generation);
            member.shares = Some(keeper.id);
            member
        })
        .collect();
    let outcome = vault.store_grant(&Grant {
        consent: &state(),
        connection: &keeper,
        tokens: &tokens(KEEPER, generation),
        members: &members,
    })?;
    assert_eq!(outcome, StoreOutcome::Stored);
    Ok(())
}

/// What a vault of the first schema held, and the head of its audit.
pub(crate) fn older() -> (PathBuf, AuditHead) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/schema-1.db");
    let head = fs::read_to_string(file.with_extension("head")).unwrap();
    (file, head.parse().unwrap())
}

/// The files that a scenario begins with.
pub(crate) struct Template {
    directory: tempfile::TempDir,
    /// The sealed records of each connection, as they lie in its slot.
    pub(crate) sealed: Vec<(u8, Vec<u8>)>,
    /// The end of its audit.
    pub(crate) head: Option<AuditHead>,
}

impl Template {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut template = Self {
            directory,
            sealed: Vec::new(),
            head: None,
        };
        match scenario.begins_with {
            Beginning::Nothing => return template,
            Beginning::Older => {
                let (file, head) = older();
                fs::copy(file, template.directory.path().join("vault.db")).unwrap();
                template.head = Some(head);
                return template;
            }
            Beginning::Closed | Beginning::Crashed => {}
        }
        let making = tempfile::tempdir().unwrap();
        let path = making.path().join("vault.db");
        let vault = open(&path).unwrap();
        for number in ACTIVE.into_iter().chain([REVOKED]) {
            grant(&vault, number, 1).unwrap();
        }
        assert!(matches!(
            claim(&vault, HELD, 1, at(1)),
            Ok(ClaimOutcome::Granted(_))
        ));
        vault.revoke(&tenant(), id(REVOKED), None, at(1)).unwrap();
        assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
        if scenario.begins_with == Beginning::Crashed {
            // So that there is something in the log.
            grant(&vault, 1, 2).unwrap();
            template.take(&path);
        }
        template.sealed = sealed(&path);
        template.head = Some(vault.audit_head().unwrap());
        drop(vault);
        if scenario.begins_with == Beginning::Closed {
            template.take(&path);
        }
        template
    }

    fn take(&self, path: &Path) {
        for file in files(path.parent().unwrap()) {
            let name = file.file_name().unwrap();
            // The index of the log is no file that a crash keeps: it is made anew.
            if name != "vault.db-shm" {
                fs::copy(&file, self.directory.path().join(name)).unwrap();
            }
        }
    }

    pub(crate) fn copy_to(&self, directory: &Path) {
        for file in files(self.directory.path()) {
            fs::copy(&file, directory.join(file.file_name().unwrap())).unwrap();
        }
    }
}

pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

fn sealed(path: &Path) -> Vec<(u8, Vec<u8>)> {
    let db = rusqlite::Connection::open(path).unwrap();
    let mut statement = db
        .prepare("SELECT uuid, access, rest FROM connections JOIN secrets USING (slot)")
        .unwrap();
    let rows = statement
        .query_map([], |row| {
            let id: [u8; 16] = row.get(0)?;
            Ok([(id[0], row.get(1)?), (id[0], row.get(2)?)])
        })
        .unwrap();
    rows.flat_map(Result::unwrap).collect()
}
