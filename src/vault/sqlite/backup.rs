//! A copy of the vault while it is in use, and asking SQLite whether the file is whole.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use crate::vault::VaultError;
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::{SqliteVault, open};

const EXISTS: VaultError = VaultError::UnsafePath("the backup exists already");

/// Gives a whole copy its name, unless somebody took that meanwhile.
fn publish(partial: &Path, path: &Path) -> Result<(), VaultError> {
    match fs::hard_link(partial, path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(EXISTS),
        // Some file systems have no second names.
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
            if fs::symlink_metadata(path).is_ok() {
                return Err(EXISTS);
            }
            fs::rename(partial, path).map_err(open::unwritable)?;
        }
        Err(error) => return Err(open::unwritable(error)),
    }
    synced(path).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

/// Makes the name of a file last.
fn synced(path: &Path) -> Result<(), VaultError> {
    #[cfg(unix)]
    if let Some(directory) = path.parent() {
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(VaultError::storage)?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

impl SqliteVault {
    /// Writes a consistent copy of the vault to a new file, readable by its owner alone, while others read and write.
    ///
    /// The copy is a vault: sealed with the same keys, opened with the same master key. Nothing that was erased before
    /// is in it; what is erased later stays in it for as long as the copy is kept.
    ///
    /// # Errors
    ///
    /// [`VaultError::UnsafePath`] if there is something at `path` already; [`VaultError`] if the copy could not be
    /// written. Nothing is there then: the copy gets its name when it is whole. A crash may leave a file beside it whose
    /// name goes on with `.partial-`; it can be deleted.
    ///
    /// # Security
    ///
    /// Putting an older copy back brings back what was revoked since. Keep the head of the audit elsewhere and check
    /// what you open with [`verify_against`](Self::verify_against).
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<(), VaultError> {
        let path = open::resolve(path.as_ref())?;
        if fs::symlink_metadata(&path).is_ok() {
            return Err(EXISTS);
        }
        // Whole before it has its name: an empty file that a crash left there would be opened as a new vault.
        let token = crate::random::token_256()?;
        let partial = open::beside(&path, &format!(".partial-{}", token.as_str()));
        // SQLite fills an empty file, which has the right mode from its beginning.
        open::private()
            .create_new(true)
            .open(&partial)
            .map_err(open::unwritable)?;
        let copied = self.copy_into(&partial).and_then(|()| publish(&partial, &path));
        // The outcome in hand says more than an error about the remains.
        let _ = fs::remove_file(&partial);
        copied
    }

    fn copy_into(&self, path: &Path) -> Result<(), VaultError> {
        let Some(text) = path.to_str() else {
            return Err(VaultError::UnsafePath("not UTF-8"));
        };
        match &self.path {
            // A connection of its own: neither the writer nor a reader waits for the copy.
            Some(own) => {
                let db = open::connect(own)?;
                db.execute("VACUUM INTO ?1", [text]).map_err(failed)?;
            }
            None => {
                let db = self.store.writer();
                db.execute("VACUUM INTO ?1", [text]).map_err(failed)?;
            }
        }
        File::open(path)
            .and_then(|file| file.sync_all())
            .map_err(VaultError::storage)
    }

    /// Reads the whole file and checks that it is what SQLite wrote. Takes as long as reading it.
    ///
    /// # Errors
    ///
    /// [`VaultError::Damaged`] if it is not.
    pub fn integrity_check(&self) -> Result<(), VaultError> {
        self.store.read(|db| {
            let verdict: String = db
                .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
                .map_err(failed)?;
            let foreign = db
                .prepare("PRAGMA foreign_key_check")
                .and_then(|mut statement| statement.exists([]))
                .map_err(failed)?;
            if verdict == "ok" && !foreign {
                Ok(())
            } else {
                Err(VaultError::Damaged)
            }
        })
    }
}
