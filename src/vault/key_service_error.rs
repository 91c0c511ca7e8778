//! Failures of key services.

use std::time::Duration;

/// A failure of a key service. It contains nothing that the service wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyServiceError {
    /// The service did not accept the credentials, or they do not allow the operation.
    #[error("the key service denied access; check the credentials and the permissions on the key")]
    Denied,
    /// The service has no key of this name.
    #[error("the key service does not have the key; check its name and the region or mount")]
    UnknownKey,
    /// The key exists but is disabled or scheduled for deletion.
    #[error("the key is disabled or scheduled for deletion; enable it, or cancel its deletion")]
    Disabled,
    /// The wrapped key was altered, or it was wrapped by another key or with another context.
    #[error("the wrapped key does not open with this key and context")]
    Mismatch,
    /// The service cannot be reached, is overloaded, or failed. The same call may succeed later.
    #[error("the key service cannot be reached or is overloaded; retry")]
    Unavailable {
        /// The time after which the service asked to be called again.
        retry_after: Option<Duration>,
    },
    /// The response of the service, or the key, cannot be used.
    #[error("the key service cannot be used: {0}")]
    Protocol(&'static str),
}

impl KeyServiceError {
    /// Returns whether the same call may succeed later without a change of the configuration.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
