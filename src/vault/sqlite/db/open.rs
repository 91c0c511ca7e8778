//! Opens the file. Nothing is written before the file is known to be a vault of this user.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::vault::sqlite::db::access::{Access, adopt};
use crate::vault::sqlite::db::connect::{BUSY_TIMEOUT, check_library, checkpoint_on_close, connect};
use crate::vault::sqlite::db::files::{self, beside};
use crate::vault::sqlite::db::in_use::{InUse, OpenFiles};
use crate::vault::sqlite::db::lineage::Guard;
use crate::vault::sqlite::db::place::Place;
use crate::vault::sqlite::db::{connect as connections, header, lineage};
use crate::vault::sqlite::failure::{DIRECTORY, FILE, failed, failed_at};
use crate::vault::sqlite::migrate::begin;
use crate::vault::sqlite::mounts;
use crate::vault::sqlite::options::SqliteOptions;
use crate::vault::sqlite::schema::{self, State};
use crate::vault::{VaultError, VaultWarning};

const RETRY: Duration = Duration::from_millis(5);

/// A file that was opened.
pub(in crate::vault::sqlite) struct Opened {
    pub(in crate::vault::sqlite) writer: Connection,
    pub(in crate::vault::sqlite) place: Place,
    pub(in crate::vault::sqlite) warnings: Vec<VaultWarning>,
}

/// Opens the file at `path`, or creates it. A file that is new, or whose creation was interrupted,
/// has the tables and no vault row. `check` decides whether an existing file may be used: if not,
/// it remains byte for byte unchanged. A file of schema 3 then gains the tables that it lacks. A
/// file of schema 1 or 2 is passed to `upgrade`, which begins its migration.
pub(in crate::vault::sqlite) fn open(
    path: &Path,
    options: &SqliteOptions,
    check: impl FnOnce(&Connection) -> Result<(), VaultError>,
    upgrade: impl FnOnce(&mut Connection) -> Result<(), VaultError>,
) -> Result<Opened, VaultError> {
    check_library()?;
    let path = files::resolve(path)?;
    mounts::check(&path, options.trusted.as_deref())?;
    let warnings = files::warnings(&path, options.sharing);
    let (in_use, access) = admit(&path, options)?;
    let mut writer = connect(&path)?;
    if let Some(anchor) = in_use.anchor() {
        anchor.check_place(&path)?;
    }
    if writer.is_readonly("main").map_err(failed)? {
        return Err(VaultError::ReadOnly);
    }
    if schema::state(&writer)? == State::Empty {
        // The file is created in rollback mode, so that its first page identifies it from the
        // beginning.
        schema::create(&mut writer)?;
    }
    match schema::state(&writer)? {
        State::Vault(schema::NEWEST) => check(&writer)?,
        State::Vault(version) if version >= schema::FIRST_OF_TODAY => {
            if !begin::is_under_way(&writer)? {
                schema::verify(&writer, version)?;
            }
            check(&writer)?;
            begin::add_tables(&mut writer)?;
        }
        State::Vault(_) => {
            schema::verify_old(&writer)?;
            check(&writer)?;
            upgrade(&mut writer)?;
        }
        State::Empty => return Err(VaultError::Damaged),
    }
    if !begin::is_under_way(&writer)? {
        schema::verify(&writer, schema::NEWEST)?;
    }
    // Only from here on may closing write to the file.
    checkpoint_on_close(&writer, true)?;
    access.restrict(&path)?;
    use_log(&writer)?;
    let guard = Guard::new(&path, &writer, in_use.anchor())?;
    let index = if options.may_read_log_index() {
        in_use.anchor().and_then(|anchor| anchor.indexes.of(&path))
    } else {
        None
    };
    let place = Place {
        path,
        guard,
        index,
        in_use,
    };
    Ok(Opened {
        writer,
        place,
        warnings,
    })
}

/// Creates a database in memory, with tables and without a vault row.
pub(in crate::vault::sqlite) fn in_memory() -> Result<Connection, VaultError> {
    check_library()?;
    let mut db = connections::in_memory()?;
    schema::create(&mut db)?;
    Ok(db)
}

/// Switches to a write-ahead log. If several connections do this at once, SQLite refuses at once
/// instead of waiting, to avoid a deadlock, so the call is repeated.
fn use_log(db: &Connection) -> Result<(), VaultError> {
    let ends = Instant::now() + BUSY_TIMEOUT;
    loop {
        let mode = db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode.map_err(failed) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) => return Err(VaultError::Unsupported("no write-ahead log")),
            Err(VaultError::Busy) if Instant::now() < ends => thread::sleep(RETRY),
            Err(error) => return Err(error),
        }
    }
}

/// Creates the file for its owner only, or checks the existing one, which remains unchanged.
fn admit(path: &Path, options: &SqliteOptions) -> Result<(InUse, Access), VaultError> {
    let mut open = OpenFiles::lock();
    make(path, options)?;
    let metadata = fs::symlink_metadata(path).map_err(VaultError::storage)?;
    files::check_kind(&metadata)?;
    let access = Access::learn(path, options.sharing)?;
    access.check(&metadata, FILE)?;
    if let Some(in_use) = open.share(path, &metadata)? {
        return Ok((in_use, access));
    }
    access.check_companions(path)?;
    let file = files::open_regular(path)?.ok_or(VaultError::UnsafePath("not a regular file"))?;
    if let Some(header) = header::check(path, &file)? {
        lineage::check(path, &file, &header)?;
    }
    Ok((open.enter(path, file)?, access))
}

/// Creates an empty file if there is none. A log without its database file is not a new vault.
fn make(path: &Path, options: &SqliteOptions) -> Result<(), VaultError> {
    let has_log = fs::symlink_metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    let is_missing = || {
        fs::symlink_metadata(path).map_or_else(
            |error| error.kind() == ErrorKind::NotFound,
            // Another process that creates the file has no log before the file has a header.
            |file| file.is_file() && file.len() == 0,
        )
    };
    if has_log && is_missing() {
        return Err(VaultError::Mixed);
    }
    match files::making(options.sharing).open(path) {
        Ok(file) => adopt(&file, options.sharing, path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed_at(DIRECTORY)(error)),
    }
}
