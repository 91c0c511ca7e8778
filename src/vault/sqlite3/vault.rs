//! The vault in one SQLite file.

use std::fmt;
use std::path::Path;

use crate::vault::VaultError;
use crate::vault::envelope::MasterKeys;
use crate::vault::sealed::Core;
use crate::vault::sqlite3::SqliteTables;

/// A vault in one SQLite file, shared by any number of threads and processes of one machine.
///
/// The file is in WAL mode with full synchronisation: what a method has stored survives a power cut. Secrets are
/// opened after the statement that read them has ended, and sealed before the transaction that writes them begins.
///
/// # Security
///
/// A reader of the file sees names, times, scopes and sizes, and no secret. Keep it on a local disk: SQLite's locks do
/// not hold on network file systems.
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
    /// [`VaultError::UnsafePath`] for a link, a directory, or a file of another user; [`VaultError::Unsupported`] if
    /// SQLite cannot be trusted with it. The content of the file is unchanged then.
    pub fn open(path: impl AsRef<Path>, keys: impl Into<MasterKeys>) -> Result<Self, VaultError> {
        let (tables, _) = SqliteTables::open(path)?;
        Self::over(tables, keys.into())
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
