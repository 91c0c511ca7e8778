//! Options: who may use a vault in a file, and where the file may be.

use crate::vault::sqlite::db::writer::CommitSync;
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
    /// True if the host does not want the log's index to be read.
    pub(super) without_log_index: bool,
    /// True if claims need not survive a power cut.
    pub(super) without_claim_sync: bool,
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

    /// Validates remembered rows with `PRAGMA data_version` instead of the header of the log's
    /// index (the file `-shm`).
    ///
    /// A resolve returns remembered rows only if nothing was committed since they were read, in any
    /// process of this machine. On Linux and macOS the vault reads this from the first 96 bytes of
    /// the index, which costs one system call and no lock. The statement gives the same guarantee,
    /// costs more, and depends only on SQLite's interface. It also decides on other systems, and on
    /// file systems that the host vouches for.
    pub const fn without_log_index(mut self) -> Self {
        self.without_log_index = true;
        self
    }

    /// Stores the claim of a refresh without waiting for the disk. A refresh then waits once, when
    /// its tokens are stored, instead of twice.
    ///
    /// The claim is visible to all processes before the request is sent, and survives the end of a
    /// process, however it ends. All other changes still survive a power cut. This option may
    /// differ between processes.
    ///
    /// # Security
    ///
    /// A power cut during the request can lose the claim. If the server had replaced the refresh
    /// token by then, the new one is lost with or without this option. Without the claim, however,
    /// the vault does not know that a request was sent: the next refresh sends the old token as if
    /// it had never been used, and its failure is reported as a refusal by the server instead of a
    /// lost response.
    pub const fn without_claim_sync(mut self) -> Self {
        self.without_claim_sync = true;
        self
    }

    pub(super) const fn claim_sync(&self) -> CommitSync {
        if self.without_claim_sync {
            CommitSync::Later
        } else {
            CommitSync::AtOnce
        }
    }

    /// Returns whether the index of the log may validate remembered rows: a file system that the
    /// host vouches for may keep a mapping and reads of a file apart.
    pub(super) const fn may_read_log_index(&self) -> bool {
        !self.without_log_index && self.trusted.is_none()
    }
}
