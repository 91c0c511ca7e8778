//! The vault in one SQLite file.

use std::fmt;
use std::path::Path;

use crate::vault::envelope::MasterKeys;
use crate::vault::sealed::Core;
use crate::vault::sqlite::{SqliteOptions, SqliteTables, migrate};
use crate::vault::{Progress, VaultError};

/// A vault in one SQLite file, shared by any number of threads and processes of one machine.
///
/// The file is in WAL mode with full synchronisation: what a method has stored survives a power cut. Secrets are
/// opened after the statement that read them has ended, and sealed before the transaction that writes them begins.
///
/// # Where the file may be
///
/// * **On a local disk.** SQLite's locks and shared memory do not hold on network file systems, nor on the directories
///   that Docker Desktop, Podman, WSL and VirtualBox share with their virtual machines. On Linux the vault is opened
///   only on file systems that are known to be good; [`SqliteOptions::trust_file_system`] lets the host vouch for
///   another one. macOS and Windows do not say where a file is: there the host is responsible.
/// * **In a directory of its own,** which other users cannot write to. If they can, and the directory has no sticky
///   bit, the vault warns of it ([`VaultWarning::SharedDirectory`](crate::vault::VaultWarning::SharedDirectory)).
/// * **Under one user.** Only its owner can use the file, and root; [`SqliteOptions::share_with_group`] admits a group.
///   On Windows the file has the rights that its directory gives: restrict the directory.
///
/// # Fork
///
/// Open a vault after `fork`, never before: a forked child that has not called `exec` inherits what SQLite knows about
/// the locks of its parent. In such a child every call on the inherited vault, and opening the same file again, returns
/// [`VaultError::Forked`]. Dropping the inherited vault does nothing.
///
/// # Security
///
/// A reader of the file sees names, times, scopes and sizes, and no secret.
pub struct SqliteVault {
    core: Core<SqliteTables>,
}

impl SqliteVault {
    /// Opens the vault at `path`, or makes one there that only its owner can read.
    ///
    /// # Errors
    ///
    /// [`VaultError::WrongMasterKey`] if the vault was made with another key; [`VaultError::NotAVault`],
    /// [`NewerVersion`](VaultError::NewerVersion), [`Damaged`](VaultError::Damaged), [`Mixed`](VaultError::Mixed),
    /// [`Tampered`](VaultError::Tampered) or [`ReadOnly`](VaultError::ReadOnly) for a file that cannot be used;
    /// [`VaultError::UnsafePath`] for a link, a directory or a file with a second name;
    /// [`OtherOwner`](VaultError::OtherOwner), [`OtherGroup`](VaultError::OtherGroup) or
    /// [`AccessDenied`](VaultError::AccessDenied) for one that this process may not use;
    /// [`VaultError::NoDirectory`] if the directory does not exist; [`VaultError::UnknownFileSystem`] on a file system
    /// where locks may not hold; [`VaultError::TooManyOpenFiles`] or [`CannotOpen`](VaultError::CannotOpen), which are
    /// temporary; [`VaultError::Unsupported`] if SQLite cannot be trusted with the file. The content of the file is
    /// unchanged then.
    pub fn open(path: impl AsRef<Path>, keys: impl Into<MasterKeys>) -> Result<Self, VaultError> {
        Self::open_with_progress(path, keys, |_| {})
    }

    /// Opens the vault as [`open`](Self::open) does. A file that an older version wrote is migrated first; `progress`
    /// is told how many of its records have been moved.
    ///
    /// Several processes can do this at once, and a migration that was interrupted continues. The write lock is never
    /// held for long, but nobody can use the vault before everything has moved: measured, some 40 µs a record.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn open_with_progress(
        path: impl AsRef<Path>,
        keys: impl Into<MasterKeys>,
        progress: impl FnMut(Progress),
    ) -> Result<Self, VaultError> {
        Self::options().open_with_progress(path, keys, progress)
    }

    /// Returns options for opening a vault: who may use the file, and where it may be.
    pub fn options() -> SqliteOptions {
        SqliteOptions::default()
    }

    pub(super) fn open_as(
        options: &SqliteOptions,
        path: &Path,
        keys: MasterKeys,
        mut progress: impl FnMut(Progress),
    ) -> Result<Self, VaultError> {
        let vault = Self::over(SqliteTables::open_with(path, options, &keys)?, keys)?;
        if vault.core.tables.is_migrating()? {
            migrate::run(&vault.core, &mut progress)?;
            vault.core.tables.verify_schema()?;
        }
        Ok(vault)
    }

    /// Makes a vault in memory: the same statements and the same seals, gone when it is dropped.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if SQLite cannot be used or there are no random numbers.
    pub fn in_memory(keys: impl Into<MasterKeys>) -> Result<Self, VaultError> {
        Self::over(SqliteTables::in_memory()?, keys.into())
    }

    fn over(tables: SqliteTables, keys: MasterKeys) -> Result<Self, VaultError> {
        let core = Core::new(tables, keys);
        core.check_key()?;
        Ok(Self { core })
    }

    pub(in crate::vault) const fn core(&self) -> &Core<SqliteTables> {
        &self.core
    }

    /// Replaces the vault at `to`, or makes one there, by a copy of a backup. The backup stays as it is.
    ///
    /// Stop every process that uses the vault at `to` first. Erased secrets and revoked connections come back with
    /// a backup that is older than their end: compare the audit heads that you keep elsewhere with
    /// [`proves`](Self::proves).
    ///
    /// # Errors
    ///
    /// [`VaultError::InUse`] if a process has the vault at `to` open, or this process has the backup open;
    /// [`VaultError::WrongMasterKey`] if the backup was made with another key; [`VaultError::NotAVault`],
    /// [`Damaged`](VaultError::Damaged) or [`Mixed`](VaultError::Mixed) if the backup is not a complete vault;
    /// [`VaultError::NotSupported`] for a backup of schema 1 or 2, which can be put in place and opened. `to` is
    /// unchanged then.
    pub fn restore(
        backup: impl AsRef<Path>,
        to: impl AsRef<Path>,
        keys: impl Into<MasterKeys>,
    ) -> Result<(), VaultError> {
        Self::options().restore(backup, to, keys)
    }

    pub(super) fn restore_as(
        options: &SqliteOptions,
        backup: &Path,
        to: &Path,
        keys: &MasterKeys,
    ) -> Result<(), VaultError> {
        SqliteTables::restore_with(backup, to, options, keys)
    }

    /// Reads the whole file and checks that it is what SQLite wrote. Takes as long as reading it.
    ///
    /// # Errors
    ///
    /// [`VaultError::Damaged`] if it is not.
    pub fn integrity_check(&self) -> Result<(), VaultError> {
        self.core.tables.integrity_check()
    }
}

impl fmt::Debug for SqliteVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteVault")
            .field("path", &self.core.tables.path())
            .finish_non_exhaustive()
    }
}
