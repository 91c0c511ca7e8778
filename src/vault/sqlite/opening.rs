//! Opens a vault in a file, and replaces it by a backup.

use std::path::Path;

use crate::vault::VaultError;
use crate::vault::envelope::MasterKeys;
use crate::vault::sqlite::migrate;
use crate::vault::sqlite::options::SqliteOptions;
use crate::vault::sqlite::tables::SqliteTables;
use crate::vault::sqlite::vault::SqliteVault;

impl SqliteVault {
    /// Opens the vault at `path`, or creates one there that only its owner can read.
    ///
    /// # Errors
    ///
    /// [`VaultError::WrongMasterKey`] if the vault was created with another key;
    /// [`VaultError::NotAVault`], [`NewerVersion`](VaultError::NewerVersion),
    /// [`Damaged`](VaultError::Damaged), [`Mixed`](VaultError::Mixed),
    /// [`Tampered`](VaultError::Tampered) or [`ReadOnly`](VaultError::ReadOnly) for a file that
    /// cannot be used; [`VaultError::UnsafePath`] for a link, a directory or a file with a second
    /// name; [`OtherOwner`](VaultError::OtherOwner), [`OtherGroup`](VaultError::OtherGroup) or
    /// [`AccessDenied`](VaultError::AccessDenied) for one that this process may not use;
    /// [`VaultError::NoDirectory`] if the directory does not exist;
    /// [`VaultError::UnknownFileSystem`] on a file system where locks may not work;
    /// [`VaultError::TooManyOpenFiles`] or [`CannotOpen`](VaultError::CannotOpen), which are
    /// temporary; [`VaultError::Unsupported`] if SQLite cannot be trusted with the file. The
    /// content of the file is unchanged then.
    pub fn open(path: impl AsRef<Path>, keys: impl Into<MasterKeys>) -> Result<Self, VaultError> {
        Self::open_with_progress(path, keys, |_, _| {})
    }

    /// Opens the vault as [`open`](Self::open) does. A file that an older version wrote is migrated
    /// first; `progress` receives the number of migrated records and the total.
    ///
    /// Several processes can do this at once, and an interrupted migration resumes. The write lock
    /// is never held for long, but the vault cannot be used before all records have moved:
    /// measured, about 40 µs a record.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_with_progress(
        path: impl AsRef<Path>,
        keys: impl Into<MasterKeys>,
        progress: impl FnMut(u64, u64),
    ) -> Result<Self, VaultError> {
        Self::options().open_with_progress(path, keys, progress)
    }

    /// Returns options for opening a vault: who may use the file, and where it may be.
    pub fn options() -> SqliteOptions {
        SqliteOptions::default()
    }

    /// Replaces the vault at `to` by a copy of a backup, or creates one there. The backup remains
    /// unchanged.
    ///
    /// Stop every process that uses the vault at `to` first. A backup contains secrets and
    /// connections that were erased or revoked after it was made: compare the audit heads that you
    /// store elsewhere with [`proves`](Self::proves).
    ///
    /// # Errors
    ///
    /// [`VaultError::InUse`] if a process has the vault at `to` open, or this process has the
    /// backup open; [`VaultError::WrongMasterKey`] if the backup was made with another key;
    /// [`VaultError::NotAVault`], [`Damaged`](VaultError::Damaged) or [`Mixed`](VaultError::Mixed)
    /// if the backup is not a complete vault; [`VaultError::NotSupported`] for a backup of schema 1
    /// or 2, which can be put in place and opened. `to` is unchanged then.
    pub fn restore(
        backup: impl AsRef<Path>,
        to: impl AsRef<Path>,
        keys: impl Into<MasterKeys>,
    ) -> Result<(), VaultError> {
        Self::options().restore(backup, to, keys)
    }
}

impl SqliteOptions {
    /// Opens the vault, as [`SqliteVault::open`] does.
    ///
    /// # Errors
    ///
    /// Those of [`SqliteVault::open`].
    pub fn open(
        &self,
        path: impl AsRef<Path>,
        keys: impl Into<MasterKeys>,
    ) -> Result<SqliteVault, VaultError> {
        self.open_with_progress(path, keys, |_, _| {})
    }

    /// Opens the vault, as [`SqliteVault::open_with_progress`] does.
    ///
    /// # Errors
    ///
    /// Those of [`SqliteVault::open`].
    pub fn open_with_progress(
        &self,
        path: impl AsRef<Path>,
        keys: impl Into<MasterKeys>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<SqliteVault, VaultError> {
        let keys = keys.into();
        let tables = SqliteTables::open_with(path.as_ref(), self, &keys)?;
        let vault = SqliteVault::over(tables, keys)?;
        if vault.core().tables.is_migrating()? {
            migrate::run(vault.core(), &mut progress)?;
            vault.core().tables.verify_schema()?;
        }
        Ok(vault)
    }

    /// Replaces the vault at `to` by a backup, as [`SqliteVault::restore`] does.
    ///
    /// # Errors
    ///
    /// Those of [`SqliteVault::restore`].
    pub fn restore(
        &self,
        backup: impl AsRef<Path>,
        to: impl AsRef<Path>,
        keys: impl Into<MasterKeys>,
    ) -> Result<(), VaultError> {
        SqliteTables::restore_with(backup.as_ref(), to.as_ref(), self, &keys.into())
    }
}
