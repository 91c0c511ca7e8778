//! The key that authenticates rows which hold no secret.

use std::fmt;

use ring::hmac;
use zeroize::Zeroizing;

use crate::vault::VaultError;
use crate::vault::envelope::aad;
use crate::vault::envelope::aead::KEY_LEN;

/// Authenticates the rows of one tenant.
pub struct RowKey(hmac::Key);

impl RowKey {
    pub(super) fn new(key: &Zeroizing<[u8; KEY_LEN]>) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()))
    }

    /// Returns the MAC of a row: HMAC-SHA256 over the encoded parts, the first of which names the table.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let tag = hmac::sign(&self.0, &aad::encode(parts));
        let mut mac = [0; 32];
        mac.copy_from_slice(tag.as_ref());
        mac
    }

    /// Checks the MAC of a row in constant time.
    ///
    /// # Errors
    ///
    /// [`VaultError::Tampered`] if it does not belong to these parts.
    pub fn verify(&self, parts: &[&[u8]], mac: &[u8; 32]) -> Result<(), VaultError> {
        hmac::verify(&self.0, &aad::encode(parts), mac).map_err(|_| VaultError::Tampered)
    }
}

impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowKey([redacted])")
    }
}
