//! The vault in one SQLite file.

use std::fmt;

use crate::vault::VaultError;
use crate::vault::envelope::MasterKeys;
use crate::vault::sealed::Core;
use crate::vault::sqlite::tables::SqliteTables;

/// A vault in one SQLite file, shared by any number of threads and processes of one machine.
///
/// The file is in WAL mode with full synchronisation: the changes of a method that has returned
/// survive a power cut, except for claims of refreshes unless the host chose
/// [`SqliteOptions::with_claim_sync`]. Secrets are opened after the statement that read them has
/// ended, and sealed before the transaction that writes them begins.
///
/// Rows that were read are remembered, still sealed. A resolve that begins after a commit has
/// returned, in any process of this machine, never returns a token that the commit removed.
///
/// # Where the file may be
///
/// * **On a local disk.** SQLite's locks and shared memory do not work on network file systems, nor
///   on the directories that Docker Desktop, Podman, WSL and VirtualBox share with their virtual
///   machines. On Linux the vault is opened only on file systems that are known to be safe;
///   [`SqliteOptions::trust_file_system`] lets the host vouch for another one. macOS and Windows do
///   not report the kind of a file system: there the host is responsible.
/// * **In its own directory,** which other users cannot write to. If they can, and the directory
///   has no sticky bit, the vault reports a warning
///   ([`VaultWarning::SharedDirectory`](crate::vault::VaultWarning::SharedDirectory)).
/// * **Under one user.** Only its owner and root can use the file;
///   [`SqliteOptions::share_with_group`] admits a group. On Windows the file has the rights of its
///   directory: restrict the directory.
///
/// # Fork
///
/// Open a vault after `fork`, never before: a forked child that has not called `exec` inherits
/// SQLite's state about the locks of its parent. In such a child every call on the inherited vault,
/// and opening the same file again, returns [`VaultError::Forked`]. Dropping the inherited vault
/// has no effect.
///
/// # Security
///
/// A reader of the file sees names, times, scopes and sizes, but no secret.
///
/// [`SqliteOptions::share_with_group`]: crate::vault::SqliteOptions::share_with_group
/// [`SqliteOptions::with_claim_sync`]: crate::vault::SqliteOptions::with_claim_sync
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
    /// Creates a vault in memory, with the same statements and seals. It is gone when it is
    /// dropped.
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

    /// Reads the whole file and checks its integrity. The time grows with the size of the file.
    ///
    /// # Errors
    ///
    /// [`VaultError::Damaged`] if the check fails.
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
