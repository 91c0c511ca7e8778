//! The tables, and how older files come to have them.

use rusqlite::{Connection, TransactionBehavior, params};

use crate::vault::VaultError;
use crate::vault::envelope::{AuditKey, MasterKeys, VaultId};
use crate::vault::sqlite::audit;
use crate::vault::sqlite::failure::failed;

/// "vkey": tells a vault from any other SQLite file.
pub(super) const APPLICATION_ID: i32 = 0x766b_6579;

/// Each entry takes the file from the version of its index to the next one. Entries are added, never changed.
const MIGRATIONS: [&str; 2] = [VERSION_1, SHARED_GRANTS];

/// Sealed tokens are in a table of their own: listing connections never touches a page with a secret on it.
/// Owner `''` is the tenant itself (a user's name is never empty). Rows of tenants are never given a number twice
/// (AUTOINCREMENT), because processes remember them; one without a name is being forgotten. Everything sealed lies in
/// `secrets`, whose rows never move: wrapped keys and verifiers too.
const VERSION_1: &str = "
CREATE TABLE vault (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id BLOB NOT NULL CHECK (length(id) = 16),
    created_at INTEGER NOT NULL,
    master_key BLOB NOT NULL CHECK (length(master_key) = 16),
    key_check BLOB NOT NULL CHECK (length(key_check) = 32),
    audit_key BLOB NOT NULL
) STRICT;

CREATE TABLE tenants (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT UNIQUE
) STRICT;

CREATE TABLE tenant_keys (
    tenant INTEGER NOT NULL REFERENCES tenants (id),
    version INTEGER NOT NULL,
    master_key BLOB NOT NULL CHECK (length(master_key) = 16),
    slot INTEGER NOT NULL,
    seals INTEGER NOT NULL DEFAULT 0,
    retired INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, version)
) STRICT, WITHOUT ROWID;

CREATE INDEX tenant_keys_by_master ON tenant_keys (master_key);
CREATE INDEX tenant_keys_retired ON tenant_keys (tenant, version) WHERE retired = 1;

CREATE TABLE connections (
    id INTEGER PRIMARY KEY,
    uuid BLOB NOT NULL CHECK (length(uuid) = 16),
    tenant INTEGER NOT NULL REFERENCES tenants (id),
    owner TEXT NOT NULL,
    provider TEXT NOT NULL,
    label TEXT,
    is_default INTEGER NOT NULL,
    status TEXT NOT NULL,
    account_id TEXT,
    account_email TEXT,
    account_label TEXT,
    requested TEXT NOT NULL,
    granted TEXT NOT NULL,
    parameters TEXT NOT NULL,
    server TEXT NOT NULL,
    token_endpoint TEXT NOT NULL,
    client_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    consented_at INTEGER NOT NULL,
    refreshed_at INTEGER NOT NULL,
    used_at INTEGER,
    expires_at INTEGER,
    generation INTEGER NOT NULL,
    refreshable INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    holder BLOB CHECK (length(holder) = 16),
    held_fence INTEGER,
    held_since INTEGER,
    held_until INTEGER,
    unknown_generation INTEGER,
    failures INTEGER NOT NULL,
    not_before INTEGER,
    last_failure TEXT,
    failed_at INTEGER,
    quarantined_until INTEGER,
    slot INTEGER,
    key_version INTEGER
) STRICT;

CREATE UNIQUE INDEX connections_by_id ON connections (tenant, uuid);
CREATE INDEX connections_by_owner ON connections (tenant, owner, provider, is_default DESC);
CREATE UNIQUE INDEX connections_by_label ON connections (tenant, owner, provider, label)
    WHERE label IS NOT NULL AND status <> 'revoked';
CREATE UNIQUE INDEX connections_by_account ON connections (tenant, owner, provider, account_id)
    WHERE account_id IS NOT NULL AND status <> 'revoked';
CREATE UNIQUE INDEX connections_one_default ON connections (tenant, owner, provider)
    WHERE is_default = 1 AND status <> 'revoked';

CREATE INDEX connections_by_expiry ON connections (expires_at)
    WHERE status = 'active' AND refreshable = 1 AND expires_at IS NOT NULL;
CREATE INDEX connections_by_renewal ON connections (server, refreshed_at)
    WHERE status = 'active' AND refreshable = 1;
CREATE INDEX connections_by_quarantine ON connections (quarantined_until)
    WHERE quarantined_until IS NOT NULL;

CREATE INDEX connections_by_key ON connections (tenant, key_version) WHERE slot IS NOT NULL;

CREATE TABLE secrets (
    slot INTEGER PRIMARY KEY,
    access BLOB NOT NULL,
    rest BLOB NOT NULL
) STRICT;

CREATE TABLE free_slots (
    access INTEGER NOT NULL,
    rest INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    PRIMARY KEY (access, rest, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE consents (
    row INTEGER PRIMARY KEY,
    state BLOB NOT NULL CHECK (length(state) = 32),
    id BLOB NOT NULL CHECK (length(id) = 16),
    binding BLOB NOT NULL CHECK (length(binding) = 32),
    tenant INTEGER NOT NULL REFERENCES tenants (id),
    user TEXT NOT NULL,
    owner TEXT NOT NULL,
    provider TEXT NOT NULL,
    server TEXT NOT NULL,
    issuer TEXT,
    token_endpoint TEXT NOT NULL,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    scopes TEXT NOT NULL,
    parameters TEXT NOT NULL,
    label TEXT,
    purpose TEXT NOT NULL,
    target BLOB,
    return_to TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    completed BLOB,
    slot INTEGER,
    key_version INTEGER
) STRICT;

CREATE UNIQUE INDEX consents_by_state ON consents (tenant, state);
CREATE INDEX consents_by_expiry ON consents (expires_at);
CREATE INDEX consents_by_key ON consents (tenant, key_version) WHERE slot IS NOT NULL;

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL REFERENCES tenants (id),
    uuid BLOB NOT NULL CHECK (length(uuid) = 16),
    owner TEXT NOT NULL,
    provider TEXT NOT NULL,
    server TEXT NOT NULL,
    token_endpoint TEXT NOT NULL,
    client_id TEXT NOT NULL,
    parameters TEXT NOT NULL,
    generation INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    give_up_at INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    key_version INTEGER NOT NULL
) STRICT;

CREATE INDEX outbox_by_time ON outbox (not_before);
CREATE INDEX outbox_by_key ON outbox (tenant, key_version);

CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    tenant INTEGER,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    mac BLOB NOT NULL
) STRICT;

CREATE INDEX audit_by_tenant ON audit (tenant, number);

CREATE TABLE audit_head (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    number INTEGER NOT NULL,
    mac BLOB NOT NULL,
    broken INTEGER,
    seal BLOB NOT NULL
) STRICT;
";

/// One consent for several services: `shares` is the uuid of the row that keeps the tokens.
const SHARED_GRANTS: &str = "
ALTER TABLE connections ADD COLUMN shares BLOB CHECK (shares IS NULL OR length(shares) = 16);
ALTER TABLE connections ADD COLUMN is_keeper INTEGER NOT NULL DEFAULT 0;
ALTER TABLE consents ADD COLUMN services TEXT NOT NULL DEFAULT '';

CREATE INDEX connections_by_keeper ON connections (tenant, shares, uuid) WHERE shares IS NOT NULL;
";

/// The schema version that this crate writes.
pub(super) const fn newest() -> u32 {
    // The array has as many entries as there are versions: a handful.
    #[allow(clippy::cast_possible_truncation, reason = "a handful")]
    let newest = MIGRATIONS.len() as u32;
    newest
}

/// What the file is, as SQLite sees it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is in it yet.
    Empty,
    /// A vault with this schema version.
    Vault(u32),
}

/// One statement, so that all of it is of one moment: somebody else may be making the vault.
const STATE: &str = "SELECT (SELECT application_id FROM pragma_application_id),
    (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)";

/// Tells a vault from an empty file and from anything else. Writes nothing.
pub(super) fn state(db: &Connection) -> Result<State, VaultError> {
    let (application, version, tables) = db
        .query_row(STATE, [], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, i64>(2)?,
            ))
        })
        .map_err(failed)?;
    if application == i64::from(APPLICATION_ID) {
        let version = u32::try_from(version).map_err(|_| VaultError::Damaged)?;
        return match version {
            0 => Err(VaultError::Damaged),
            version if version > newest() => Err(VaultError::NewerVersion {
                found: version,
                supported: newest(),
            }),
            version => Ok(State::Vault(version)),
        };
    }
    if application == 0 && version == 0 && tables == 0 {
        Ok(State::Empty)
    } else {
        Err(VaultError::NotAVault)
    }
}

/// Makes an empty file a vault, if no other process was faster.
pub(super) fn create(db: &mut Connection, keys: &MasterKeys) -> Result<(), VaultError> {
    let id = VaultId::generate()?;
    let check = keys.active().check_value(id);
    let audit_key = AuditKey::generate()?;
    let wrapped = audit_key.wrap(keys, id)?;
    let transaction = db
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    if state(&transaction)? != State::Empty {
        return Ok(());
    }
    for migration in MIGRATIONS {
        transaction.execute_batch(migration).map_err(failed)?;
    }
    transaction
        .execute(
            "INSERT INTO vault (only, id, created_at, master_key, key_check, audit_key)
             VALUES (1, ?1, unixepoch() * 1000, ?2, ?3, ?4)",
            params![id.as_bytes(), keys.active().id(), check, wrapped],
        )
        .map_err(failed)?;
    audit::begin(&transaction, &audit_key, id)?;
    set_version(&transaction)?;
    transaction.commit().map_err(failed)
}

/// Brings an older vault up to the newest schema, in one transaction. Never the other way.
pub(super) fn migrate(db: &mut Connection) -> Result<(), VaultError> {
    apply(db, &MIGRATIONS)
}

fn apply(db: &mut Connection, migrations: &[&str]) -> Result<(), VaultError> {
    let transaction = db
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let State::Vault(version) = state(&transaction)? else {
        return Err(VaultError::Damaged);
    };
    // Read again under the lock: another process may have been faster.
    for (from, migration) in (0_u32..).zip(migrations) {
        if from >= version {
            transaction.execute_batch(migration).map_err(failed)?;
        }
    }
    set_version(&transaction)?;
    transaction.commit().map_err(failed)
}

fn set_version(db: &Connection) -> Result<(), VaultError> {
    db.pragma_update(None, "application_id", APPLICATION_ID)
        .and_then(|()| db.pragma_update(None, "user_version", newest()))
        .map_err(failed)
}

/// What the vault's own row says.
pub(super) struct Opened {
    pub(super) id: VaultId,
    /// Still wrapped: most handles that are opened never write an audit entry.
    pub(super) audit_key: Vec<u8>,
}

/// Checks that one of the keys is the one that the vault was made with. Writes nothing.
pub(super) fn check_key(db: &Connection, keys: &MasterKeys) -> Result<Opened, VaultError> {
    let read = db.query_row(
        "SELECT id, master_key, key_check, audit_key FROM vault",
        [],
        |row| {
            Ok((
                row.get::<_, [u8; 16]>(0)?,
                row.get::<_, [u8; 16]>(1)?,
                row.get::<_, [u8; 32]>(2)?,
                row.get::<_, Vec<u8>>(3)?,
            ))
        },
    );
    let (id, master_key, check, audit_key) = match read {
        Ok(read) => read,
        Err(rusqlite::Error::QueryReturnedNoRows) => return Err(VaultError::Damaged),
        Err(error) => return Err(failed(error)),
    };
    let id = VaultId::from_bytes(id);
    let key = keys.get(&master_key).ok_or(VaultError::WrongMasterKey)?;
    if key.check_value(id) == check {
        Ok(Opened { id, audit_key })
    } else {
        // The key is known and its proof is wrong: the row was altered.
        Err(VaultError::Tampered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_that_is_cut_off_leaves_the_file_as_it_was() {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch(VERSION_1).unwrap();
        db.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        db.pragma_update(None, "user_version", 1).unwrap();
        let tables = |db: &Connection| -> i64 {
            db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
                .unwrap()
        };
        let before = tables(&db);
        // All of the first step and some of the second are taken before it fails.
        let steps = [
            VERSION_1,
            "CREATE TABLE first (a)",
            "CREATE TABLE second (a); CREATE TABLE second (a)",
        ];
        assert!(apply(&mut db, &steps).is_err());
        assert_eq!(tables(&db), before);
        assert_eq!(state(&db).unwrap(), State::Vault(1));
        assert!(apply(&mut db, &[VERSION_1, "CREATE TABLE new (a)"]).is_ok());
        assert_eq!(tables(&db), before + 1);
        // Once is enough.
        migrate(&mut db).unwrap();
        assert_eq!(state(&db).unwrap(), State::Vault(newest()));
    }
}
