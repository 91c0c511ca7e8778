//! Copies the database while it is in use, and checks the integrity of a file.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::vault::VaultError;
use crate::vault::sqlite::db::connect::connect;
use crate::vault::sqlite::db::writer::Store;
use crate::vault::sqlite::db::{beat, files};
use crate::vault::sqlite::failure::{DIRECTORY, FILE, failed, failed_at};
use crate::vault::sqlite::sql::Sql;

const EXISTS: VaultError = VaultError::UnsafePath("the backup exists already");

/// Writes a consistent copy to a new file, which begins its own lineage.
pub(in crate::vault::sqlite) fn backup(store: &Store, path: &Path) -> Result<(), VaultError> {
    store.check_process()?;
    let path = files::resolve(path)?;
    if fs::symlink_metadata(&path).is_ok() {
        return Err(EXISTS);
    }
    // The copy is complete before it gets its name: an empty file that a crash left there would be
    // opened as a new vault.
    let partial = Partial::beside(&path)?;
    copy_into(store, &partial.path)?;
    begin_lineage(&partial.path)?;
    sync(&partial.path)?;
    publish(&partial.path, &path)
}

/// A file without its final name. It is removed when dropped, unless it was renamed.
pub(super) struct Partial {
    pub(super) path: PathBuf,
}

impl Partial {
    /// Creates an empty file that only its owner can use. SQLite fills it.
    pub(super) fn beside(path: &Path) -> Result<Self, VaultError> {
        let token = crate::random::token_256()?;
        let path = files::beside(path, &format!(".partial-{}", token.as_str()));
        files::private().open(&path).map_err(failed_at(DIRECTORY))?;
        Ok(Self { path })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let _ = fs::remove_file(files::beside(&self.path, suffix));
        }
    }
}

fn copy_into(store: &Store, path: &Path) -> Result<(), VaultError> {
    let Some(text) = path.to_str() else {
        return Err(VaultError::UnsafePath("not UTF-8"));
    };
    let copy = |db: &Connection| db.execute("VACUUM INTO ?1", [text]).map_err(failed);
    match store.place() {
        // A separate connection, so that neither the writer nor a reader waits for the copy.
        Some(place) => copy(&place.connect()?)?,
        None => copy(&store.writer())?,
    };
    Ok(())
}

/// Begins a lineage in a copy that no other connection has open. Leaves no log beside it.
pub(super) fn begin_lineage(path: &Path) -> Result<(), VaultError> {
    let db = connect(path)?;
    let mode = db.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get::<_, String>(0));
    if mode.map_err(failed)? != "delete" {
        return Err(VaultError::Unsupported("no rollback journal"));
    }
    beat::found_again(&db)?;
    db.close().map_err(|(_, error)| failed(error))
}

pub(super) fn sync(path: &Path) -> Result<(), VaultError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(failed_at(FILE))
}

/// Gives a complete copy its name, unless the name is in use by now.
fn publish(partial: &Path, path: &Path) -> Result<(), VaultError> {
    match fs::hard_link(partial, path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(EXISTS),
        // Some file systems do not support hard links.
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
            if fs::symlink_metadata(path).is_ok() {
                return Err(EXISTS);
            }
            fs::rename(partial, path).map_err(failed_at(DIRECTORY))?;
        }
        Err(error) => return Err(failed_at(DIRECTORY)(error)),
    }
    // A file with a second name could not be opened safely.
    files::remove(partial)
        .and_then(|()| files::sync_directory(path))
        .inspect_err(|_| {
            let _ = fs::remove_file(path);
        })
}

/// Reads the whole file and checks its integrity. The time grows with the size of the file.
pub(in crate::vault::sqlite) fn integrity_check(sql: Sql<'_>) -> Result<(), VaultError> {
    let db = sql.0;
    let verdict: String = db
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(failed)?;
    let is_foreign = db
        .prepare("PRAGMA foreign_key_check")
        .and_then(|mut statement| statement.exists([]))
        .map_err(failed)?;
    if verdict == "ok" && !is_foreign {
        Ok(())
    } else {
        Err(VaultError::Damaged)
    }
}
