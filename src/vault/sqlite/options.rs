//! Options: who may use a vault in a file, and where the file may be.

use crate::vault::sqlite::sharing::Sharing;

/// Options for opening a [`SqliteVault`] where the defaults do not fit.
///
/// Every process that opens the same vault must use the same options.
///
/// ```
/// # use valetkey::vault::SqliteVault;
/// # use valetkey::vault::MasterKey;
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("vault.db");
/// let vault = SqliteVault::options()
///     .share_with_group()
///     .open(&path, MasterKey::generate()?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`SqliteVault`]: crate::vault::SqliteVault
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct SqliteOptions {
    pub(super) sharing: Sharing,
    /// The kind of a file system that the host vouches for.
    pub(super) trusted: Option<String>,
}

impl SqliteOptions {
    /// Allows the members of the file's group to use the vault, whatever their user id.
    ///
    /// Use it for processes that get another user id at each start, and for several users of one
    /// machine. The files get the mode 0660. Their group must be the one that new files of the
    /// process get in the directory: give the directory that group and the setgid bit
    /// (`chgrp agents dir && chmod 2770 dir`), or run all processes in one group.
    ///
    /// Without this option only the owner of the file can open it, and root for maintenance. The
    /// option has no effect on Windows.
    ///
    /// # Security
    ///
    /// Every member of the group can read the metadata in the file, and alter or delete it. The
    /// secrets require the master key.
    pub const fn share_with_group(mut self) -> Self {
        self.sharing = Sharing::Group;
        self
    }

    /// Opens the vault on a file system of this kind although SQLite's locks are not known to work
    /// there. `kind` is the name in [`VaultError::UnknownFileSystem`], such as `virtiofs` or
    /// `fuse.juicefs`.
    ///
    /// # Security
    ///
    /// The host vouches for conditions that the library cannot check: only **one process on one
    /// machine** has the vault open at any time, and the file system stores what it reports as
    /// stored. Otherwise the file can be damaged within minutes, refresh tokens can be used twice,
    /// and a power cut can lose tokens that were reported as stored.
    ///
    /// [`VaultError::UnknownFileSystem`]: crate::vault::VaultError::UnknownFileSystem
    pub fn trust_file_system(mut self, kind: impl Into<String>) -> Self {
        self.trusted = Some(kind.into());
        self
    }
}
