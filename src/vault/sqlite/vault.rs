//! The vault in one SQLite file.

use std::fmt;

use crate::vault::VaultError;
use crate::vault::envelope::MasterKeys;
use crate::vault::sealed::Core;
use crate::vault::sqlite::tables::SqliteTables;

/// A vault in one SQLite file, shared by any number of threads and processes of one machine.
///
/// The file is in WAL mode with full synchronisation: what a method has stored survives a power
/// cut. Secrets are opened after the statement that read them has ended, and sealed before the
/// transaction that writes them begins.
///
/// # Where the file may be
///
/// * **On a local disk.** SQLite's locks and shared memory do not hold on network file systems, nor
///   on the directories that Docker Desktop, Podman, WSL and VirtualBox share with their virtual
///   machines. On Linux the vault is opened only on file systems that are known to be good;
///   [`SqliteOptions::trust_file_system`] lets the host vouch for another one. macOS and Windows do
///   not say where a file is: there the host is responsible.
/// * **In a directory of its own,** which other users cannot write to. If they can, and the
///   directory has no sticky bit, the vault warns of it
///   ([`VaultWarning::SharedDirectory`](crate::vault::VaultWarning::SharedDirectory)).
/// * **Under one user.** Only its owner can use the file, and root;
///   [`SqliteOptions::share_with_group`] admits a group. On Windows the file has the rights that
///   its directory gives: restrict the directory.
///
/// # Fork
///
/// Open a vault after `fork`, never before: a forked child that has not called `exec` inherits what
/// SQLite knows about the locks of its parent. In such a child every call on the inherited vault,
/// and opening the same file again, returns [`VaultError::Forked`]. Dropping the inherited vault
/// does nothing.
///
/// # Security
///
/// A reader of the file sees names, times, scopes and sizes, and no secret.
///
/// [`SqliteOptions::share_with_group`]: crate::vault::SqliteOptions::share_with_group
/// [`SqliteOptions::trust_file_system`]: crate::vault::SqliteOptions::trust_file_system
///
/// # Examples
///
/// ```
/// use valetkey::vault::{MasterKey, SqliteVault};
///
/// let vault = SqliteVault::in_memory(MasterKey::generate()?)?;
/// vault.integrity_check()?;
/// # Ok::<(), valetkey::vault::VaultError>(())
/// ```
pub struct SqliteVault {
    core: Core<SqliteTables>,
}

impl SqliteVault {
    /// Makes a vault in memory: the same statements and the same seals, gone when it is dropped.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if SQLite cannot be used or there are no random numbers.
    pub fn in_memory(keys: impl Into<MasterKeys>) -> Result<Self, VaultError> {
        Self::over(SqliteTables::in_memory()?, keys.into())
    }

    pub(super) fn over(tables: SqliteTables, keys: MasterKeys) -> Result<Self, VaultError> {
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
