//! The id of a vault.

use crate::random;
use crate::vault::VaultError;

/// The id of a vault. It is bound into everything that the vault seals, so that nothing can be
/// moved to another vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VaultId([u8; 16]);

impl VaultId {
    /// Returns a new, random id.
    ///
    /// # Errors
    ///
    /// [`VaultError::RandomUnavailable`] if the operating system has no random numbers.
    pub fn generate() -> Result<Self, VaultError> {
        let mut bytes = [0; 16];
        random::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Returns the id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the id.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}
