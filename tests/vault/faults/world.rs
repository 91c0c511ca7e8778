//! The names in the scenarios, and the files that they begin with.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use valetkey::AccessToken;
use valetkey::internals::model::{Grant, IssuedBy, new_connection};
use valetkey::internals::secret::RefreshToken;
use valetkey::internals::vault::{
    Attempt, ClaimOutcome, ClaimRequest, GrantStore as _, Holder, Housekeeping as _, NewGrant,
    PendingConsent, RefreshStore as _, Refreshed, RevocationStore as _, Revoke, RevokeWhat, Revoked,
    StateHash, StoreOutcome, Tokens,
};
use valetkey::model::{
    ConnectionId, GrantId, Label, Owner, ProviderId, ServerId, TenantId, Timestamp, UserId,
};
use valetkey::vault::{AuditHead, Erasure, MasterKey, MasterKeys, SqliteVault, VaultError};

use crate::faults::scenario::{
    ACTIVE, BOBS, Beginning, FAMILY, HELD, NEIGHBOUR, Name, REVOKED, Scenario, of,
};
use crate::support::vault;
pub(crate) use crate::support::world::tenant;

/// The time when pending revocations are given up.
pub(crate) const GIVE_UP: Timestamp = at(90_000);

/// Returns the master keys of a host, the active one first. The vault was created with the first
/// key.
pub(crate) fn keys([active, former]: [u8; 2]) -> MasterKeys {
    let key = |byte| MasterKey::from_base64(&STANDARD.encode([byte; 32])).unwrap();
    MasterKeys::new(key(active), [key(former)])
}

pub(crate) fn open(path: &Path) -> Result<SqliteVault, VaultError> {
    SqliteVault::open(path, keys([1, 2]))
}

pub(crate) fn neighbour() -> TenantId {
    TenantId::new("globex").unwrap()
}

pub(crate) fn tenant_of(number: u8) -> TenantId {
    if number == NEIGHBOUR {
        neighbour()
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

/// Services that share a grant are different ones.
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

pub(crate) fn grant_id(name: Name) -> GrantId {
    let mut bytes = [name.number; 16];
    bytes[15] = name.first;
    GrantId::from_bytes(bytes)
}

pub(crate) fn name_of(grant: GrantId) -> Name {
    let bytes = grant.as_bytes();
    of(bytes[0], bytes[15])
}

pub(crate) const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(seconds * 1_000)
}

/// Some tokens are small, some occupy their own pages.
fn repeats(number: u8) -> usize {
    if number.is_multiple_of(2) { 500 } else { 5 }
}

pub(crate) fn access(name: Name, generation: u64) -> String {
    let Name { number, first } = name;
    format!("MARKER-access-{number}-{first}-{generation}.").repeat(repeats(number))
}

pub(crate) fn refresh(name: Name, generation: u64) -> String {
    let Name { number, first } = name;
    format!("MARKER-refresh-{number}-{first}-{generation}.").repeat(repeats(number + 1))
}

pub(crate) fn tokens(name: Name, generation: u64) -> Tokens {
    Tokens {
        access_token: AccessToken::new(access(name, generation)),
        refresh_token: Some(RefreshToken::new(refresh(name, generation))),
        id_token: None,
    }
}

pub(crate) fn refreshed(tokens: &Tokens, at: Timestamp) -> Refreshed<'_> {
    Refreshed {
        refresh_token_expires_at: None,
        tokens,
        granted: None,
        expires_at: None,
        lifetime: None,
        at,
        by: None,
    }
}

pub(crate) fn state() -> StateHash {
    vault::state("the state")
}

pub(crate) fn consent() -> PendingConsent {
    vault::consent("the state")
}

/// The holder of every claim.
const HOLDER: [u8; 16] = [1; 16];

/// Creates the lock file of a killed holder, so that no caller waits for its claims.
pub(crate) fn leave_a_dead_sign(vault: &Path) {
    let name: String = HOLDER.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(vault.with_extension(format!("db-holder-{name}")), "").unwrap();
}

pub(crate) fn claim(
    vault: &SqliteVault,
    name: Name,
    generation: u64,
    now: Timestamp,
) -> Result<ClaimOutcome, VaultError> {
    vault.claim_refresh(&ClaimRequest {
        tenant: &tenant_of(name.number),
        grant: grant_id(name),
        holder: Holder::from_bytes(HOLDER),
        generation,
        attempt: Attempt::Forced,
        now,
        lease: Duration::from_secs(30),
    })
}

pub(crate) fn grant(name: Name) -> Grant {
    let issued_by = IssuedBy::new(
        ServerId::new("google").unwrap(),
        "https://issuer.test/token",
        "client",
    );
    let (tenant, owner) = (tenant_of(name.number), Owner::Personal(user_of(name.number)));
    let provider = provider_of(name.number);
    let mut grant = Grant::new(grant_id(name), tenant, owner, provider, issued_by, at(0));
    grant.generation = name.first.into();
    grant.refreshable = true;
    grant
}

/// Stores a grant for these connections.
pub(crate) fn store(vault: &SqliteVault, name: Name, numbers: &[u8]) -> Result<(), VaultError> {
    let grant = grant(name);
    let connections: Vec<_> = numbers
        .iter()
        .map(|number| {
            let mut connection = new_connection(id(*number), &grant);
            connection.provider = provider_of(*number);
            connection.label = Some(Label::new(format!("label-{number}")).unwrap());
            connection
        })
        .collect();
    let outcome = vault.store_grant(&NewGrant {
        consent: &state(),
        grant: &grant,
        tokens: &tokens(name, name.first.into()),
        connections: &connections,
        former_dead_at: None,
    })?;
    assert!(matches!(outcome, StoreOutcome::Stored { .. }), "{outcome:?}");
    Ok(())
}

/// Revokes one of acme's connections, or the neighbour's.
pub(crate) fn revoke(
    vault: &SqliteVault,
    tenant: &TenantId,
    what: RevokeWhat,
    keep_until: Option<Timestamp>,
) -> Result<Option<Revoked>, VaultError> {
    vault.revoke(&Revoke {
        tenant,
        what,
        by: None,
        now: at(12),
        keep_until,
    })
}

/// Returns a vault of an older schema, and the head of its audit.
fn older(schema: u32) -> (PathBuf, AuditHead) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vectors/schema-{schema}.db"));
    let head = fs::read_to_string(file.with_extension("head")).unwrap();
    (file, head.parse().unwrap())
}

/// The files that a scenario begins with.
pub(crate) struct Template {
    directory: tempfile::TempDir,
    /// The sealed records of each grant; in an older file, of each row that has any.
    pub(crate) sealed: Vec<(Name, Vec<u8>)>,
    /// The heads of its audit.
    pub(crate) heads: Vec<AuditHead>,
}

impl Template {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut template = Self {
            directory,
            sealed: Vec::new(),
            heads: Vec::new(),
        };
        match scenario.begins_with {
            Beginning::Nothing => {}
            Beginning::Older(schema) => template.take_older(schema),
            Beginning::Closed | Beginning::Crashed => template.make(scenario.begins_with),
        }
        template
    }

    fn take_older(&mut self, schema: u32) {
        let (file, head) = older(schema);
        let copy = self.directory.path().join("vault.db");
        fs::write(&copy, fs::read(file).unwrap()).unwrap();
        self.heads.push(head);
        self.sealed = sealed(
            &copy,
            "SELECT zeroblob(16), access, rest FROM secrets WHERE slot IN
                (SELECT slot FROM connections UNION SELECT slot FROM consents UNION SELECT slot FROM outbox)",
        );
    }

    fn make(&mut self, beginning: Beginning) {
        let making = tempfile::tempdir().unwrap();
        let path = making.path().join("vault.db");
        let vault = open(&path).unwrap();
        for number in ACTIVE.into_iter().chain([REVOKED]) {
            store(&vault, of(number, 1), &[number]).unwrap();
        }
        assert!(matches!(
            claim(&vault, of(HELD, 1), 1, at(1)),
            Ok(ClaimOutcome::Granted(_))
        ));
        revoke(&vault, &tenant(), RevokeWhat::Connection(id(REVOKED)), None).unwrap();
        assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
        if beginning == Beginning::Crashed {
            // This leaves data in the log.
            store(&vault, of(1, 2), &[1]).unwrap();
            self.take(&path);
        }
        self.sealed = sealed(
            &path,
            "SELECT uuid, access, rest FROM grants JOIN secrets USING (slot)",
        );
        self.heads = vault.audit_heads(None).unwrap();
        drop(vault);
        if beginning == Beginning::Closed {
            self.take(&path);
        }
    }

    fn take(&self, path: &Path) {
        for file in files(path.parent().unwrap()) {
            let name = file.file_name().unwrap();
            // A crash does not preserve the index of the log, which is rebuilt.
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

    /// Returns the names of the grants that it holds, with their first generations.
    pub(crate) fn names(&self) -> impl Iterator<Item = Name> {
        self.sealed.iter().map(|(name, _)| *name)
    }
}

pub(crate) const ALL_NUMBERS: [u8; 9] = [1, 2, BOBS, HELD, REVOKED, 6, 7, NEIGHBOUR, FAMILY];

pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

/// Returns the records that a query finds in slots, without their lengths and padding.
fn sealed(path: &Path, query: &str) -> Vec<(Name, Vec<u8>)> {
    let db = rusqlite::Connection::open(path).unwrap();
    let mut statement = db.prepare(query).unwrap();
    let rows = statement
        .query_map([], |row| {
            let name = name_of(GrantId::from_bytes(row.get(0)?));
            Ok([(name, row.get(1)?), (name, row.get(2)?)])
        })
        .unwrap();
    rows.flat_map(Result::unwrap)
        .filter_map(|(name, slot): (Name, Vec<u8>)| {
            let (len, rest) = slot.split_first_chunk::<4>()?;
            let record = rest[..u32::from_be_bytes(*len) as usize].to_vec();
            Some((name, record)).filter(|(_, record)| !record.is_empty())
        })
        .collect()
}
