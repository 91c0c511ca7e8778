//! What can go wrong with a vault.

use std::error::Error as StdError;
use std::sync::Arc;

use crate::random::RandomUnavailable;

/// A failure of the vault. Never means "not connected".
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The master key is not the one that the vault was made with. Nothing was changed.
    #[error("the master key does not open this vault")]
    WrongMasterKey,
    /// A data key names a master key that was not given.
    #[error("a data key is wrapped by a master key that was not given")]
    UnknownMasterKey,
    /// A sealed record does not open: it was altered, moved or truncated. Nothing was changed.
    #[error("a sealed record does not open: it was altered or moved")]
    Tampered,
    /// The file is no vault of this crate.
    #[error("the file is not a valetkey vault")]
    NotAVault,
    /// The file was written by a newer version of this crate.
    #[error("the vault has schema version {found}; this version of valetkey reads up to {supported}")]
    NewerVersion {
        /// The version of the file.
        found: u32,
        /// The newest version that can be read.
        supported: u32,
    },
    /// The file is damaged or cut short.
    #[error("the vault file is damaged")]
    Damaged,
    /// The database file and its log are of different times. Nothing was changed.
    #[error("the database file and its log do not belong together; restore both from one backup")]
    Mixed,
    /// The file was replaced or overwritten while it was open. What was written last may be lost.
    #[error("the vault file was replaced while it was open")]
    Replaced,
    /// The vault is open, here or in another process.
    #[error("the vault is open")]
    InUse,
    /// The file or its directory cannot be written.
    #[error("the vault file is read-only")]
    ReadOnly,
    /// The path is not a regular file of this user: a link, a directory, somebody else's.
    #[error("the vault path is not safe: {0}")]
    UnsafePath(&'static str),
    /// The bundled SQLite is too old, or a setting that safety rests on did not take.
    #[error("the SQLite library cannot be used: {0}")]
    Unsupported(&'static str),
    /// This kind of vault cannot do that.
    #[error("this vault does not support {0}")]
    NotSupported(&'static str),
    /// Another process has held the write lock for too long. Nothing was changed; try again.
    #[error("the vault is locked by another process")]
    Busy,
    /// The database cannot be reached for now, such as during a failover. Whether the last write was stored is
    /// unknown; the same call can be repeated.
    #[error("the vault's database cannot be reached")]
    Unreachable,
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// A secret is larger than 64 KiB.
    #[error("a secret is larger than 64 KiB")]
    TooLarge,
    /// The operating system gave no random numbers.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
    /// The store failed. The source is not part of this crate's stable interface.
    #[error("the vault's storage failed")]
    Storage(#[source] Arc<dyn StdError + Send + Sync>),
}

impl VaultError {
    /// A failure of the store beneath.
    pub fn storage(source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Storage(Arc::new(source))
    }

    /// Whether the same call may succeed later without anybody mending anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy | Self::DiskFull | Self::Unreachable)
    }
}
