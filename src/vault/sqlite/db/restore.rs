//! Replaces a vault by a backup.
//!
//! Each step leaves a file that opens: first the old file, complete without its log, then the new
//! file, complete without a log. The new file begins its own lineage, so that a log that a crash
//! leaves behind is never applied to it.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use rusqlite::Connection;

use crate::vault::VaultError;
use crate::vault::sqlite::db::access::{Access, adopt};
use crate::vault::sqlite::db::backup::{Partial, begin_lineage, integrity_check, sync};
use crate::vault::sqlite::db::connect::{check_library, checkpoint_on_close, connect};
use crate::vault::sqlite::db::files::{self, beside};
use crate::vault::sqlite::db::in_use::{InUse, OpenFiles};
use crate::vault::sqlite::db::{header, lineage, open};
use crate::vault::sqlite::failure::{DIRECTORY, FILE, failed, failed_at};
use crate::vault::sqlite::options::SqliteOptions;
use crate::vault::sqlite::sharing::Sharing;
use crate::vault::sqlite::sql::Sql;
use crate::vault::sqlite::{holders, mounts};
use crate::vault::tables::{Rows as _, VaultRow};

const MISSING: VaultError = VaultError::UnsafePath("there is no such backup");

/// Replaces the vault at `to` by a copy of the file at `backup`, whose vault row `check` accepts.
/// The backup remains unchanged.
pub(in crate::vault::sqlite) fn restore(
    backup: &Path,
    to: &Path,
    options: &SqliteOptions,
    check: impl FnOnce(&VaultRow) -> Result<(), VaultError>,
) -> Result<(), VaultError> {
    check_library()?;
    let (backup, to) = (files::resolve(backup)?, files::resolve(to)?);
    if backup == to {
        return Err(VaultError::UnsafePath("the backup is the vault itself"));
    }
    mounts::check(&to, options.trusted.as_deref())?;
    let target = Target::lock(&to, options.sharing)?;
    let partial = Partial::beside(&to)?;
    copy(&backup, &partial.path)?;
    verify(&partial.path, options, check)?;
    begin_lineage(&partial.path)?;
    sync(&partial.path)?;
    let file = files::open_regular(&partial.path)?.ok_or(VaultError::Replaced)?;
    adopt(&file, options.sharing, &to)?;
    drop(file);
    target.settle()?;
    for suffix in ["-wal", "-shm", "-journal"] {
        files::remove(&beside(&to, suffix))?;
    }
    files::sync_directory(&to)?;
    fs::rename(&partial.path, &to).map_err(failed_at(DIRECTORY))?;
    files::sync_directory(&to)
}

/// The vault to be replaced. No other process can use it until this is dropped.
struct Target {
    /// Holds SQLite's exclusive lock. `None` if there is no file, or none that SQLite can lock.
    locked: Option<Connection>,
    content: Content,
    /// Declared last, because it must outlive the connection.
    _in_use: Option<InUse>,
}

/// The check that a database file and its log belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Whole,
    Broken,
}

impl Target {
    fn lock(path: &Path, sharing: Sharing) -> Result<Self, VaultError> {
        if holders::has_living(path, sharing) {
            return Err(VaultError::InUse);
        }
        let Some((in_use, content)) = enter(path, sharing)? else {
            return Ok(Self {
                locked: None,
                content: Content::Broken,
                _in_use: None,
            });
        };
        let locked = match exclusive(path) {
            Ok(db) => Some(db),
            Err(VaultError::Busy) => return Err(VaultError::InUse),
            Err(VaultError::Damaged | VaultError::NotAVault) => None,
            Err(error) => return Err(error),
        };
        if let (Some(db), Content::Whole) = (&locked, content) {
            // If the restore fails, the files are left as any other handle leaves them.
            checkpoint_on_close(db, true)?;
        }
        Ok(Self {
            locked,
            content,
            _in_use: Some(in_use),
        })
    }

    /// Makes the file complete without its log, as far as possible: a crash leaves the file in this
    /// state.
    fn settle(&self) -> Result<(), VaultError> {
        let (Some(db), Content::Whole) = (&self.locked, self.content) else {
            return Ok(());
        };
        // Once the new file has the name, closing must not touch any file with that name.
        checkpoint_on_close(db, false)?;
        let settled = db.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()));
        match settled.map_err(failed) {
            // A damaged file is replaced without being completed.
            Ok(()) | Err(VaultError::Damaged | VaultError::NotAVault) => Ok(()),
            Err(VaultError::Busy) => Err(VaultError::InUse),
            Err(error) => Err(error),
        }
    }
}

/// Marks the file as used by this process. Returns `None` if there is none.
fn enter(path: &Path, sharing: Sharing) -> Result<Option<(InUse, Content)>, VaultError> {
    let mut open = OpenFiles::lock();
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(VaultError::storage(error)),
    };
    files::check_kind(&metadata)?;
    let access = Access::learn(path, sharing)?;
    access.check(&metadata, FILE)?;
    access.check_companions(path)?;
    if open.has(path, &metadata) {
        return Err(VaultError::InUse);
    }
    let file = files::open_regular(path)?.ok_or(VaultError::UnsafePath("not a regular file"))?;
    let content = match header::check(path, &file) {
        Ok(Some(header)) => match lineage::check(path, &file, &header) {
            Ok(()) => Content::Whole,
            Err(VaultError::Mixed) => Content::Broken,
            Err(error) => return Err(error),
        },
        // A backup is meant to replace damaged vaults. A file of another kind is not replaced.
        Ok(None) | Err(VaultError::Damaged) => Content::Broken,
        Err(error) => return Err(error),
    };
    Ok(Some((open.enter(path, file)?, content)))
}

/// Opens the file for this connection alone. Every connection in WAL mode holds a shared lock on
/// the database file, even while it is idle. Only the exclusive locking mode, set before the first
/// access, requires that there are no others.
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
    // Closing a file that this process has open as a vault would drop the locks of that vault.
    let open = OpenFiles::lock();
    if fs::symlink_metadata(backup).is_ok_and(|metadata| open.has(backup, &metadata)) {
        return Err(VaultError::InUse);
    }
    let from = files::open_regular(backup)?.ok_or(MISSING)?;
    let to = fs::OpenOptions::new()
        .write(true)
        .open(partial)
        .map_err(failed_at(FILE))?;
    copy_content(&from, &to)?;
    if let Some(log) = files::open_regular(&beside(backup, "-wal"))? {
        let to = files::private()
            .open(beside(partial, "-wal"))
            .map_err(failed_at(DIRECTORY))?;
        copy_content(&log, &to)?;
    }
    Ok(())
}

fn copy_content(mut from: &File, mut to: &File) -> Result<(), VaultError> {
    io::copy(&mut from, &mut to).map_err(failed_at(FILE))?;
    to.sync_all().map_err(failed_at(FILE))
}

/// Opens the copy like any vault and reads all of it.
fn verify(
    path: &Path,
    options: &SqliteOptions,
    check: impl FnOnce(&VaultRow) -> Result<(), VaultError>,
) -> Result<(), VaultError> {
    if fs::metadata(path).map_err(VaultError::storage)?.len() == 0 {
        return Err(VaultError::NotAVault);
    }
    let refuse = |_: &mut Connection| {
        Err(VaultError::NotSupported(
            "restoring a backup of schema 1 or 2; put the file in its place and open it",
        ))
    };
    let private = SqliteOptions {
        sharing: Sharing::Owner,
        ..options.clone()
    };
    let opened = open::open(path, &private, |_| Ok(()), refuse)?;
    let sql = Sql(&opened.writer);
    integrity_check(sql)?;
    check(&sql.vault()?.ok_or(VaultError::NotAVault)?)
}
