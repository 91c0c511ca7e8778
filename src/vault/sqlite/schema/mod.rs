//! The tables of schema 4 with the indexes of schema 5, and the check that a file has exactly
//! these.
//!
//! Sealed tokens have their own table: listing connections never touches a page with ciphertext.
//! The owner `''` is the workspace itself, because a user's name is never empty. Numbers of
//! `tenants` are never reused (AUTOINCREMENT), because processes remember them; a tenant without a
//! name is being erased. All sealed records lie in `secrets`, whose rows never move, including
//! wrapped keys and verifiers.
//!
//! `pulse` is the first table, so that its row is on page 2 of every file that is made with this
//! schema.

use rusqlite::{Connection, TransactionBehavior};

use crate::vault::VaultError;
use crate::vault::sqlite::db::beat;
use crate::vault::sqlite::failure::failed;

/// "vkey": distinguishes a vault from other SQLite files.
pub(super) const APPLICATION_ID: i32 = 0x766b_6579;
/// The schema version that this crate writes.
pub(super) const NEWEST: u32 = 5;
/// The first schema with the tables of today. Later ones only add tables and indexes to it.
pub(super) const FIRST_OF_TODAY: u32 = 3;

const V4: &str = include_str!("v4.sql");
/// The indexes that the filters of lists use.
const LISTS: &str = include_str!("lists.sql");
/// The objects that were added to schema 3, each with the schema that added it.
const ADDED: [(u32, &str); 7] = [
    (4, "definitions"),
    (4, "definitions_by_name"),
    (4, "definitions_by_key"),
    (5, "connections_by_provider"),
    (5, "connections_revoked"),
    (5, "grants_ended"),
    (5, "grants_unrefreshable"),
];
/// The objects that SQLite itself creates for the tables above.
const OF_SQLITE: [(&str, &str, Option<&str>); 2] = [
    (
        "table",
        "sqlite_sequence",
        Some("CREATE TABLE sqlite_sequence(name,seq)"),
    ),
    ("index", "sqlite_autoindex_tenants_1", None),
];

/// The index of the old audit, under its name in new files.
const LEGACY_INDEX: &str = "audit_legacy_by_tenant";

/// The names of the audit's tables of schemas 1 and 2 after a migration, which leaves their rows in
/// place.
const MIGRATED: [(&str, &str, Option<&str>); 2] = [
    (
        "table",
        "audit_legacy",
        Some(
            "CREATE TABLE \"audit_legacy\" (\n    number INTEGER PRIMARY KEY,\n    at INTEGER NOT NULL,\n    \
             tenant INTEGER,\n    kind TEXT NOT NULL,\n    body BLOB NOT NULL,\n    mac BLOB NOT NULL\n) STRICT",
        ),
    ),
    (
        "index",
        "audit_by_tenant",
        Some("CREATE INDEX audit_by_tenant ON \"audit_legacy\" (tenant, number)"),
    ),
];

/// Returns the statements of the schema, each exactly as SQLite stores it.
fn statements() -> impl Iterator<Item = &'static str> {
    [V4, LISTS]
        .into_iter()
        .flat_map(|statements| statements.split(';'))
        .map(str::trim)
        .filter(|statement| !statement.is_empty())
}

/// Returns the type, name and text of a statement, as in `sqlite_schema`.
fn object(statement: &'static str) -> Option<(&'static str, &'static str, Option<&'static str>)> {
    let rest = statement.strip_prefix("CREATE ")?;
    let rest = rest.strip_prefix("UNIQUE ").unwrap_or(rest);
    let (kind, rest) = rest.split_once(' ')?;
    let (name, _) = rest.split_once(' ')?;
    let kind = match kind {
        "TABLE" => "table",
        "INDEX" => "index",
        _ => return None,
    };
    Some((kind, name, Some(statement)))
}

/// The state of a file, as SQLite sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The file is empty.
    Empty,
    /// A vault with this schema version.
    Vault(u32),
}

/// A single statement, so that all its values are of one state: another process may be creating the
/// vault.
const STATE: &str = "SELECT (SELECT application_id FROM pragma_application_id),
    (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)";

/// Distinguishes a vault from an empty file and from anything else. Writes nothing.
pub(super) fn state(db: &Connection) -> Result<State, VaultError> {
    let (application, version, objects) = db
        .query_row(STATE, [], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, i64>(2)?,
            ))
        })
        .map_err(failed)?;
    if application == i64::from(APPLICATION_ID) {
        return match u32::try_from(version).map_err(|_| VaultError::Damaged)? {
            0 => Err(VaultError::Damaged),
            found if found > NEWEST => Err(VaultError::NewerVersion {
                found,
                supported: NEWEST,
            }),
            version => Ok(State::Vault(version)),
        };
    }
    if application == 0 && version == 0 && objects == 0 {
        Ok(State::Empty)
    } else {
        Err(VaultError::NotAVault)
    }
}

/// Creates the tables in an empty file, unless another process was faster. The file has no vault
/// row yet.
pub(super) fn create(db: &mut Connection) -> Result<(), VaultError> {
    let transaction = db
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    if state(&transaction)? != State::Empty {
        return Ok(());
    }
    for statement in statements() {
        transaction.execute_batch(statement).map_err(failed)?;
    }
    beat::found(&transaction)?;
    transaction
        .pragma_update(None, "application_id", APPLICATION_ID)
        .and_then(|()| transaction.pragma_update(None, "user_version", NEWEST))
        .map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// Creates the tables and indexes that a file of an older schema lacks. Those of schemas 1 and 2
/// were renamed before.
pub(super) fn create_missing(db: &Connection) -> Result<(), VaultError> {
    for statement in statements() {
        let Some((_, name, _)) = object(statement) else {
            continue;
        };
        let is_there = db
            .prepare("SELECT 1 FROM sqlite_schema WHERE name = ?1")
            .and_then(|mut found| found.exists([name]))
            .map_err(failed)?;
        if !is_there && name != LEGACY_INDEX {
            db.execute_batch(statement).map_err(failed)?;
        }
    }
    Ok(())
}

/// Refuses a file of schema 1 or 2 with triggers or views, which this crate never created.
pub(super) fn verify_old(db: &Connection) -> Result<(), VaultError> {
    let is_foreign = db
        .prepare("SELECT 1 FROM sqlite_schema WHERE type NOT IN ('table', 'index')")
        .and_then(|mut statement| statement.exists([]))
        .map_err(failed)?;
    if is_foreign {
        Err(VaultError::Tampered)
    } else {
        Ok(())
    }
}

/// Refuses a file with any object that differs from this schema, which is not older than
/// [`FIRST_OF_TODAY`]: a trigger, a view, a changed index.
pub(super) fn verify(db: &Connection, version: u32) -> Result<(), VaultError> {
    let expected: Vec<_> = statements()
        .filter_map(object)
        .filter(|(_, name, _)| {
            ADDED
                .iter()
                .all(|(since, added)| version >= *since || added != name)
        })
        .chain(OF_SQLITE)
        .collect();
    let mut statement = db
        .prepare("SELECT type, name, sql FROM sqlite_schema")
        .map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut found = 0;
    while let Some(row) = rows.next().map_err(failed)? {
        let text = |at: usize| {
            let value = row.get_ref(at).map_err(failed)?;
            value.as_str_or_null().map_err(|_| VaultError::Tampered)
        };
        let (kind, name, sql) = (text(0)?, text(1)?, text(2)?);
        let is_ours = expected
            .iter()
            .chain(&MIGRATED)
            .any(|object| (Some(object.0), Some(object.1), object.2) == (kind, name, sql));
        if !is_ours {
            return Err(VaultError::Tampered);
        }
        found += 1;
    }
    if found == expected.len() {
        Ok(())
    } else {
        Err(VaultError::Tampered)
    }
}

#[cfg(test)]
mod tests;
