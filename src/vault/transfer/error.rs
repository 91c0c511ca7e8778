//! Errors of a transfer.

use crate::vault::VaultError;

/// A failure of a [`Transfer`](crate::vault::Transfer). Nothing is lost: the source keeps
/// everything, and the same transfer can be run again.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The source could not be read or marked.
    #[error("the source of the transfer failed: {0}")]
    Source(#[source] VaultError),
    /// The target could not be written or read.
    #[error("the target of the transfer failed: {0}")]
    Target(#[source] VaultError),
    /// Both sides are the same vault, or one is a copy of the other.
    #[error("the source and the target are the same vault; name another target")]
    SameVault,
    /// The target contains something that this transfer did not write.
    #[error("the target of the transfer is not empty; name a new database")]
    NotEmpty,
    /// The source is being moved, or was moved, into another target than this one.
    #[error("the source is being moved to another vault; run that transfer again, or cancel it")]
    OtherTarget,
    /// Hosts are waiting for answers to refreshes. Their tokens would be lost.
    #[error("{0} refreshes are under way; stop the hosts or wait, then run the transfer again")]
    RefreshUnderWay(usize),
    /// A record in the target differs from the one in the source.
    #[error("a {0} differs in the target; discard the target, cancel the transfer and begin again")]
    Differs(&'static str),
    /// The transfer has ended: the source cannot be used again.
    #[error("the transfer has ended; use its target")]
    Ended,
}

impl TransferError {
    /// Returns whether the same transfer may succeed later without a change.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Source(error) | Self::Target(error) => error.is_retryable(),
            Self::RefreshUnderWay(_) => true,
            Self::SameVault | Self::NotEmpty | Self::OtherTarget | Self::Differs(_) | Self::Ended => false,
        }
    }
}
