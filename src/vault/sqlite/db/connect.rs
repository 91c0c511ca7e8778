//! Opens connections, which all have the same configuration.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::vault::VaultError;
use crate::vault::sqlite::failure::failed;

/// Earlier versions can corrupt a write-ahead log that two processes share.
const OLDEST_SQLITE: i32 = 3_051_003;
pub(in crate::vault::sqlite) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// More than the number of statements, so that no connection compiles a statement twice.
const STATEMENTS: usize = 128;

/// The features that are disabled because others may have prepared the file, and the setting that
/// keeps bound values from recompiling a statement.
const CONFIGURATION: [(DbConfig, bool, &str); 7] = [
    (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true, "stable plans"),
    (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true, "defensive"),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false, "no triggers"),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false, "no views"),
    (
        DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA,
        false,
        "no trusted schema",
    ),
    (DbConfig::SQLITE_DBCONFIG_DQS_DML, false, "no quoted strings"),
    (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false, "no quoted strings"),
];

const PRAGMAS: [(&str, i64); 7] = [
    ("temp_store", 2),
    ("synchronous", 2),
    ("secure_delete", 1),
    ("foreign_keys", 1),
    ("cell_size_check", 1),
    ("trusted_schema", 0),
    ("cache_size", -8000),
];

/// Without these, macOS reports data as written that is still in the drive's cache.
#[cfg(target_os = "macos")]
const SYSTEM_PRAGMAS: [(&str, i64); 2] = [("fullfsync", 1), ("checkpoint_fullfsync", 1)];
#[cfg(not(target_os = "macos"))]
const SYSTEM_PRAGMAS: [(&str, i64); 0] = [];

pub(super) fn check_library() -> Result<(), VaultError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(VaultError::Unsupported("older than 3.51.3"));
    }
    Ok(())
}

/// Opens another connection to a file. It leaves the log unchanged when it is closed.
pub(super) fn connect(path: &Path) -> Result<Connection, VaultError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let db = Connection::open_with_flags(path, flags).map_err(failed)?;
    checkpoint_on_close(&db, false)?;
    configure(&db)?;
    Ok(db)
}

/// Opens a database in memory.
pub(super) fn in_memory() -> Result<Connection, VaultError> {
    let db = Connection::open_in_memory().map_err(failed)?;
    configure(&db)?;
    Ok(db)
}

/// Sets whether closing the last connection moves the log into the database and deletes it.
pub(super) fn checkpoint_on_close(db: &Connection, wanted: bool) -> Result<(), VaultError> {
    let option = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    set(db, option, !wanted, "checkpoint on close")
}

fn set(db: &Connection, option: DbConfig, value: bool, name: &'static str) -> Result<(), VaultError> {
    // A refused option is not an error to SQLite: it returns the value that applies.
    if db.set_db_config(option, value).map_err(failed)? == value {
        Ok(())
    } else {
        Err(VaultError::Unsupported(name))
    }
}

fn configure(db: &Connection) -> Result<(), VaultError> {
    db.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    for (option, value, name) in CONFIGURATION {
        set(db, option, value, name)?;
    }
    for (pragma, value) in PRAGMAS.into_iter().chain(SYSTEM_PRAGMAS) {
        db.pragma_update(None, pragma, value).map_err(failed)?;
        expect(db, pragma, value)?;
    }
    Ok(())
}

/// Checks the value of a pragma that safety depends on: a misspelt or refused pragma is not an
/// error to SQLite.
pub(super) fn expect(db: &Connection, pragma: &'static str, value: i64) -> Result<(), VaultError> {
    let found: i64 = db
        .pragma_query_value(None, pragma, |row| row.get(0))
        .map_err(failed)?;
    if found == value {
        Ok(())
    } else {
        Err(VaultError::Unsupported(pragma))
    }
}
