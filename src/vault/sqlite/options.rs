//! How a vault in a file is opened.

use std::path::Path;

use crate::vault::envelope::MasterKeys;
use crate::vault::sqlite::SqliteVault;
use crate::vault::{Progress, VaultError};

/// Who may use the files of a vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Sharing {
    /// The user who owns them.
    #[default]
    Owner,
    /// The members of their group as well.
    Group,
}

impl Sharing {
    /// The rights of each file.
    pub(crate) const fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Group => 0o660,
        }
    }
}

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
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct SqliteOptions {
    pub(super) sharing: Sharing,
    /// The kind of a file system that the host vouches for.
    pub(super) trusted: Option<String>,
}

impl SqliteOptions {
    /// Lets the members of the file's group use the vault, whatever their user id.
    ///
    /// For processes that get another user id at each start, and for several users of one machine. The files get the
    /// mode 0660. Their group must be the one that new files of the process get in the directory: give the directory
    /// that group and the setgid bit (`chgrp agents dir && chmod 2770 dir`), or run all processes in one group.
    ///
    /// Without this option only the owner of the file can open it; root can as well, for maintenance. Does nothing on
    /// Windows.
    ///
    /// # Security
    ///
    /// Every member of the group can read the metadata in the file, alter and delete it. Its secrets need the master
    /// key.
    pub const fn share_with_group(mut self) -> Self {
        self.sharing = Sharing::Group;
        self
    }

    /// Opens the vault on a file system of this kind although SQLite's locks are not known to hold there. `kind` is
    /// the name in [`VaultError::UnknownFileSystem`], such as `virtiofs` or `fuse.juicefs`.
    ///
    /// # Security
    ///
    /// The host vouches for what the library cannot check: that only **one process on one machine** has the vault open
    /// at any time, and that the file system stores what it reports as stored. Otherwise the file can be damaged
    /// within minutes, refresh tokens can be used twice, and a power cut can lose tokens that were reported as stored.
    pub fn trust_file_system(mut self, kind: impl Into<String>) -> Self {
        self.trusted = Some(kind.into());
        self
    }

    /// Opens the vault, as [`SqliteVault::open`] does.
    ///
    /// # Errors
    ///
    /// As for [`SqliteVault::open`].
    pub fn open(
        &self,
        path: impl AsRef<Path>,
        keys: impl Into<MasterKeys>,
    ) -> Result<SqliteVault, VaultError> {
        self.open_with_progress(path, keys, |_| {})
    }

    /// Opens the vault, as [`SqliteVault::open_with_progress`] does.
    ///
    /// # Errors
    ///
    /// As for [`SqliteVault::open`].
    pub fn open_with_progress(
        &self,
        path: impl AsRef<Path>,
        keys: impl Into<MasterKeys>,
        progress: impl FnMut(Progress),
    ) -> Result<SqliteVault, VaultError> {
        SqliteVault::open_as(self, path.as_ref(), keys.into(), progress)
    }

    /// Puts a backup in the place of the vault at `to`, as [`SqliteVault::restore`] does.
    ///
    /// # Errors
    ///
    /// As for [`SqliteVault::restore`].
    pub fn restore(
        &self,
        backup: impl AsRef<Path>,
        to: impl AsRef<Path>,
        keys: impl Into<MasterKeys>,
    ) -> Result<(), VaultError> {
        SqliteVault::restore_as(self, backup.as_ref(), to.as_ref(), &keys.into())
    }
}
