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
    pub(super) remembering: Remembering,
    /// The time when the claim of a refresh waits for the disk.
    pub(super) claim_sync: ClaimSync,
}

/// The way in which it is decided whether remembered rows are still those of the database.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Remembering {
    /// By the log's index where it can be read, else by the version.
    #[default]
    ByLogIndex,
    /// By `PRAGMA data_version`.
    ByVersion,
    /// No row is remembered: tests compare this with the other ways.
    #[cfg(any(test, feature = "_internals"))]
    Not,
}

/// The time when the claim of a refresh waits for the disk.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum ClaimSync {
    /// With the tokens of the refresh.
    #[default]
    Later,
    /// Before the request is sent.
    AtOnce,
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
        self.remembering = Remembering::ByVersion;
        self
    }

    /// Reads rows again for each query.
    #[cfg(any(test, feature = "_internals"))]
    pub(crate) const fn remembering_nothing(mut self) -> Self {
        self.remembering = Remembering::Not;
        self
    }

    /// Makes the claim of a refresh survive a power cut. A refresh then waits for the disk twice:
    /// before its request, and when its tokens are stored.
    ///
    /// Without this option, the claim is visible to all processes before the request is sent, and
    /// survives the end of a process, however it ends. A power cut during the request can lose it.
    /// All other changes survive a power cut in either case. This option may differ between
    /// processes.
    ///
    /// The claim has no influence on which requests are sent after a power cut: no process is left
    /// that waits for a response, and the stored refresh token is the only one there is. If the
    /// server had replaced it by then, it refuses the next request, with or without this option.
    /// With the claim, the refusal is reported as [`LostInFlight`], because the vault knows that
    /// a request was sent. Without it, the refusal is reported as [`Rejected`].
    ///
    /// [`LostInFlight`]: crate::model::NeedsConsent::LostInFlight
    /// [`Rejected`]: crate::model::NeedsConsent::Rejected
    pub const fn with_claim_sync(mut self) -> Self {
        self.claim_sync = ClaimSync::AtOnce;
        self
    }

    pub(super) const fn claim_sync(&self) -> CommitSync {
        match self.claim_sync {
            ClaimSync::Later => CommitSync::Later,
            ClaimSync::AtOnce => CommitSync::AtOnce,
        }
    }

    pub(super) const fn remembers(&self) -> bool {
        match self.remembering {
            Remembering::ByLogIndex | Remembering::ByVersion => true,
            #[cfg(any(test, feature = "_internals"))]
            Remembering::Not => false,
        }
    }

    /// Returns whether the index of the log may validate remembered rows: a file system that the
    /// host vouches for may keep a mapping and reads of a file apart.
    pub(super) const fn may_read_log_index(&self) -> bool {
        matches!(self.remembering, Remembering::ByLogIndex) && self.trusted.is_none()
    }
}
