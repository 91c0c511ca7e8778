//! Putting a backup in the place of a vault.
//!
//! Each step leaves something that opens: the old file, complete without its log; then the new file, complete without
//! a log. The new file begins a lineage of its own, so that no log that a crash leaves behind is taken for its log.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use rusqlite::Connection;

use crate::vault::VaultError;
use crate::vault::sqlite3::db::backup::{Partial, begin_lineage, integrity_check, sync};
use crate::vault::sqlite3::db::connect::{check_library, connect};
use crate::vault::sqlite3::db::files::{self, User, beside};
use crate::vault::sqlite3::db::in_use::{InUse, OpenFiles};
use crate::vault::sqlite3::db::{header, open};
use crate::vault::sqlite3::failure::failed;
use crate::vault::sqlite3::sql::Sql;
use crate::vault::sqlite3::{holders, mounts, schema};

const MISSING: VaultError = VaultError::UnsafePath("there is no such backup");

/// Replaces the vault at `to` by a copy of the file at `backup`. The backup stays as it is.
pub(in crate::vault::sqlite3) fn restore(backup: &Path, to: &Path) -> Result<(), VaultError> {
    check_library()?;
    let (backup, to) = (files::resolve(backup)?, files::resolve(to)?);
    if backup == to {
        return Err(VaultError::UnsafePath("the backup is the vault itself"));
    }
    mounts::check(&to)?;
    let target = Target::lock(&to)?;
    let partial = Partial::beside(&to)?;
    copy(&backup, &partial.path)?;
    verify(&partial.path)?;
    begin_lineage(&partial.path)?;
    sync(&partial.path)?;
    target.settle()?;
    for suffix in ["-wal", "-shm", "-journal"] {
        files::remove(&beside(&to, suffix))?;
    }
    files::sync_directory(&to)?;
    fs::rename(&partial.path, &to).map_err(files::unwritable)?;
    files::sync_directory(&to)
}

/// The vault that is to be replaced, out of everybody's reach until this is dropped.
struct Target {
    /// Holds SQLite's exclusive lock. None if there is no file, or none that SQLite can lock.
    locked: Option<Connection>,
    /// Last, because it must outlive the connection.
    _in_use: Option<InUse>,
}

impl Target {
    fn lock(path: &Path) -> Result<Self, VaultError> {
        if holders::has_living(path) {
            return Err(VaultError::InUse);
        }
        let Some(in_use) = enter(path)? else {
            return Ok(Self {
                locked: None,
                _in_use: None,
            });
        };
        let locked = match exclusive(path) {
            Ok(db) => Some(db),
            Err(VaultError::Busy) => return Err(VaultError::InUse),
            Err(VaultError::Damaged | VaultError::NotAVault) => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            locked,
            _in_use: Some(in_use),
        })
    }

    /// Makes the file complete without its log, as far as that can be done: it is what a crash leaves.
    fn settle(&self) -> Result<(), VaultError> {
        let Some(db) = &self.locked else {
            return Ok(());
        };
        let settled = db.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()));
        match settled.map_err(failed) {
            // A damaged file is replaced as it is.
            Ok(()) | Err(VaultError::Damaged | VaultError::NotAVault) => Ok(()),
            Err(VaultError::Busy) => Err(VaultError::InUse),
            Err(error) => Err(error),
        }
    }
}

/// Marks the file as used by this process. `None` if there is none.
fn enter(path: &Path) -> Result<Option<InUse>, VaultError> {
    let mut open = OpenFiles::lock();
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(VaultError::storage(error)),
    };
    files::check_kind(&metadata)?;
    let user = User::learn(path)?;
    user.check(&metadata)?;
    files::check_companions(path, &user)?;
    if open.has(path, &metadata) {
        return Err(VaultError::InUse);
    }
    let file = files::open_regular(path)?.ok_or(VaultError::UnsafePath("not a regular file"))?;
    match header::check(path, &file) {
        // Damage is what a backup is for; a file of something else is not ours to replace.
        Ok(_) | Err(VaultError::Damaged) => {}
        Err(error) => return Err(error),
    }
    open.enter(path, file).map(Some)
}

/// Every connection in WAL mode keeps a shared lock on the database file, even while it does nothing. Only the
/// exclusive locking mode, set before the first access, asks for all of them to be gone.
fn exclusive(path: &Path) -> Result<Connection, VaultError> {
    let db = connect(path)?;
    db.busy_timeout(std::time::Duration::ZERO).map_err(failed)?;
    db.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))
        .and_then(|()| db.execute_batch("BEGIN EXCLUSIVE; COMMIT"))
        .map_err(failed)?;
    Ok(db)
}

/// Copies the backup, and the log that may lie beside it if it was made with file tools.
fn copy(backup: &Path, partial: &Path) -> Result<(), VaultError> {
    let from = files::open_regular(backup)?.ok_or(MISSING)?;
    let to = fs::OpenOptions::new()
        .write(true)
        .open(partial)
        .map_err(files::unwritable)?;
    copy_content(&from, &to)?;
    if let Some(log) = files::open_regular(&beside(backup, "-wal"))? {
        let to = files::private()
            .open(beside(partial, "-wal"))
            .map_err(files::unwritable)?;
        copy_content(&log, &to)?;
    }
    Ok(())
}

fn copy_content(mut from: &File, mut to: &File) -> Result<(), VaultError> {
    io::copy(&mut from, &mut to).map_err(files::unwritable)?;
    to.sync_all().map_err(files::unwritable)
}

/// Opens the copy as any vault is opened, and reads all of it.
fn verify(path: &Path) -> Result<(), VaultError> {
    if fs::metadata(path).map_err(VaultError::storage)?.len() == 0 {
        return Err(VaultError::NotAVault);
    }
    let opened = open::open(path)?;
    schema::verify(&opened.writer)?;
    integrity_check(Sql(&opened.writer))?;
    if schema::has_vault(&opened.writer)? {
        Ok(())
    } else {
        Err(VaultError::NotAVault)
    }
}
