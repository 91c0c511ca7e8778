//! Errors of a vault.

use std::error::Error as StdError;
use std::sync::Arc;

use crate::random::RandomUnavailable;
use crate::vault::KeyServiceError;

/// A failure of the vault, or of the master key that opens it. It never means "not connected", and
/// never contains a key or the path of a file.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The environment variable that should hold the master key is not set, or it is empty.
    #[error("the environment variable {0} is not set; set it to a key from `openssl rand -base64 32`")]
    KeyNotSet(String),
    /// The file of the master key cannot be read.
    #[error("the master key file cannot be read: {0}")]
    KeyUnreadable(std::io::ErrorKind),
    /// The path of the master key names a directory, a pipe or a device.
    #[error("the master key file must be a regular file")]
    KeyNotAFile,
    /// Users other than the owner have rights to the file of the master key.
    #[error(
        "users other than the owner have access to the master key file (mode {mode:04o}); set its mode to 0400"
    )]
    KeyExposed {
        /// The rights of the file.
        mode: u32,
    },
    /// The text of the master key is not base64.
    #[error("the master key is not base64; create one with `openssl rand -base64 32`")]
    KeyNotBase64,
    /// The master key does not have 32 bytes.
    #[error("the master key does not have 32 bytes; create one with `openssl rand -base64 32`")]
    KeyWrongLength,
    /// The master key is not the one that the vault was created with. Nothing was changed.
    #[error("the master key does not open this vault; use the key that it was created with")]
    WrongMasterKey,
    /// A data key names a master key that was not given.
    #[error("a data key is wrapped by an unknown master key; add that key with MasterKeys::with_former")]
    UnknownMasterKey,
    /// The active master key of this process is the former key of a rotation that destroys it.
    /// Nothing was changed.
    #[error(
        "the active master key of this process is about to be destroyed; make its successor active and restart"
    )]
    FormerMasterKey,
    /// The key service that wraps the vault's keys failed.
    #[error(transparent)]
    KeyService(KeyServiceError),
    /// A sealed record does not open: it was altered, moved or truncated. Nothing was changed.
    #[error("a sealed record cannot be opened, because it was altered or moved")]
    Tampered,
    /// The file or the schema is not a vault of this crate.
    #[error("the file or database schema is not a valetkey vault; name another one")]
    NotAVault,
    /// The file was written by a newer version of this crate.
    #[error(
        "the vault has schema version {found}; this version of valetkey reads up to {supported}; upgrade valetkey"
    )]
    NewerVersion {
        /// The version of the file.
        found: u32,
        /// The newest version that can be read.
        supported: u32,
    },
    /// The file is damaged or truncated.
    #[error("the vault is damaged; restore a backup")]
    Damaged,
    /// The database file and its log come from different points in time. Nothing was changed.
    #[error("the database file and its log do not belong together; restore both from one backup")]
    Mixed,
    /// The file was replaced or overwritten while it was open. The most recent writes may be lost.
    #[error("the vault file was replaced while it was open; open it again")]
    Replaced,
    /// The vault is open, here or in another process.
    #[error("the vault is open in this or another process; close it first")]
    InUse,
    /// The vault file is marked as read-only, its file system is mounted read-only, or its database
    /// accepts no writes.
    #[error("the vault's file, file system or database is read-only; make it writable, or name the primary")]
    ReadOnly,
    /// This process has no rights to a file or a directory that the vault needs.
    #[error("this process has no read and write access to {0}; grant its user access")]
    AccessDenied(&'static str),
    /// The directory of the vault does not exist.
    #[error("the directory of the vault does not exist; create it first")]
    NoDirectory,
    /// The process or the system has no free file descriptor. The vault is unchanged.
    #[error("no file descriptor is free; raise the limit of open files, then retry")]
    TooManyOpenFiles,
    /// SQLite could not open a file of the vault, and no permanent cause was found. The vault is
    /// unchanged.
    #[error("SQLite could not open the vault file, its log or its shared memory; retry")]
    CannotOpen,
    /// The path is not a regular file with a single name: it is a link, a directory or a device.
    #[error("the vault path is not safe: {0}")]
    UnsafePath(&'static str),
    /// A file of the vault belongs to another user.
    #[error(
        "a file of the vault belongs to uid {file}, and this process runs as uid {process}; run as its owner, or let \
         the group of the file use the vault (SqliteOptions::share_with_group)"
    )]
    OtherOwner {
        /// The uid that owns the file.
        file: u32,
        /// The uid of this process.
        process: u32,
    },
    /// A file of a vault that is shared with a group belongs to another group.
    #[error(
        "a file of the vault belongs to gid {file}, and new files in its directory to gid {process}; give the \
         directory the group of the vault and the setgid bit"
    )]
    OtherGroup {
        /// The gid of the file.
        file: u32,
        /// The gid of files that this process creates in the directory.
        process: u32,
    },
    /// The vault is on a file system on which SQLite's locks are not known to work.
    #[error(
        "the vault is on the file system {0}, on which SQLite's locks are not known to work; move it to a local disk, \
         or vouch for the file system (SqliteOptions::trust_file_system)"
    )]
    UnknownFileSystem(String),
    /// The parent of this process opened the vault and then forked. The child can neither use that
    /// handle nor open the same file, because SQLite would rely on locks that only the parent has.
    #[error("the vault was opened before a fork; open it after the fork, or start the child with exec")]
    Forked,
    /// The bundled SQLite is too old, the database server does not offer what the vault needs, or a
    /// setting that safety depends on did not take effect.
    #[error("the database cannot be used: {0}")]
    Unsupported(&'static str),
    /// This kind of vault does not support the operation.
    #[error("this vault does not support {0}")]
    NotSupported(&'static str),
    /// Another process has held the write lock for too long, or the database has no free
    /// connection. Nothing was changed; try again.
    #[error("the vault is locked by another process, or its database is full of connections; retry")]
    Busy,
    /// The database is temporarily unreachable, such as during a failover. Whether the last write
    /// was stored is unknown; the same call can be repeated.
    #[error("the vault's database cannot be reached; retry")]
    Unreachable,
    /// The content of this vault is in another one now, or a transfer is moving it there. Nothing
    /// was written. See [`Transfer`](crate::vault::Transfer).
    #[error("the vault was moved to another one, or is being moved; use that one")]
    Moved,
    /// A transfer into this vault has not ended. See [`Transfer`](crate::vault::Transfer).
    #[error("the transfer into this vault has not ended; retry the transfer until it succeeds")]
    Incomplete,
    /// The disk is full.
    #[error("the disk is full; free some space, then retry")]
    DiskFull,
    /// A token or another secret is larger than 64 KiB and cannot be stored.
    #[error("a secret is larger than 64 KiB")]
    TooLarge,
    /// The operating system returned no random numbers.
    #[error("the operating system returned no random numbers; retry")]
    RandomUnavailable,
    /// The store failed. The source is not part of this crate's stable interface.
    #[error("the vault's storage failed; see the source of this error")]
    Storage(#[source] Arc<dyn StdError + Send + Sync>),
}

impl From<RandomUnavailable> for VaultError {
    fn from(_: RandomUnavailable) -> Self {
        Self::RandomUnavailable
    }
}

impl From<KeyServiceError> for VaultError {
    fn from(error: KeyServiceError) -> Self {
        match error {
            // Altered or moved data is the same error, whether the service or the vault notices it.
            KeyServiceError::Mismatch => Self::Tampered,
            error => Self::KeyService(error),
        }
    }
}

impl VaultError {
    /// Wraps a failure of the underlying store.
    pub fn storage(source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Storage(Arc::new(source))
    }

    /// Returns whether the same call may succeed later without a change of the configuration.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Busy
            | Self::DiskFull
            | Self::Unreachable
            | Self::TooManyOpenFiles
            | Self::CannotOpen
            | Self::RandomUnavailable => true,
            Self::KeyService(error) => error.is_retryable(),
            _ => false,
        }
    }
}
