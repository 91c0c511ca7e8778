//! The key that authenticates rows without a secret.

use std::fmt;

use ring::hmac;
use zeroize::Zeroizing;

use crate::vault::VaultError;
use crate::vault::envelope::aad;
use crate::vault::envelope::aead::KEY_LEN;

/// The key that authenticates the rows of one tenant. It is derived from the tenant's key with the
/// highest version.
pub struct RowKey(hmac::Key);

impl RowKey {
    pub(super) fn new(key: &Zeroizing<[u8; KEY_LEN]>) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()))
    }

    /// Returns the MAC of a row: HMAC-SHA256 over the encoded parts, the first of which names the
    /// table.
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
    /// [`VaultError::Tampered`] if the MAC does not belong to these parts and this key.
    pub fn verify(&self, parts: &[&[u8]], mac: &[u8; 32]) -> Result<(), VaultError> {
        hmac::verify(&self.0, &aad::encode(parts), mac).map_err(|_| VaultError::Tampered)
    }
}

impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TenantId;
    use crate::vault::envelope::{DataKey, MasterKey, MasterKeys, VaultId};

    const VERSION: u32 = u32::MAX;

    fn row_key(byte: u8) -> RowKey {
        RowKey::new(&Zeroizing::new([byte; KEY_LEN]))
    }

    #[test]
    fn every_part_counts() {
        let key = row_key(1);
        let parts: [&[u8]; 4] = [b"connection", b"alice", b"", b"details"];
        let mac = key.sign(&parts);
        assert_eq!(key.sign(&parts), mac);
        let others: [&[&[u8]]; 9] = [
            &[b"connections", b"alice", b"", b"details"],
            &[b"connection", b"bob", b"", b"details"],
            &[b"connection", b"alice", b"\0", b"details"],
            &[b"connection", b"alice", b"", b"detailt"],
            // The same bytes, divided differently.
            &[b"connection", b"alic", b"e", b"details"],
            &[b"connectionalice", b"", b"details"],
            &[b"connection", b"alice", b"details"],
            &[b"connection", b"alice", b"details", b""],
            &[b"connection", b"alice", b"", b"details", b""],
        ];
        for other in others {
            assert_ne!(key.sign(other), mac, "{other:?}");
            let verified = key.verify(other, &mac);
            assert!(matches!(verified, Err(VaultError::Tampered)), "{other:?}");
        }
    }

    /// The comparison is `ring`'s, which takes constant time. This test checks that every bit is
    /// compared.
    #[test]
    fn every_flipped_bit_of_a_mac_is_refused() {
        let key = row_key(1);
        let parts: [&[u8]; 2] = [b"connection", b"alice"];
        let mac = key.sign(&parts);
        assert!(key.verify(&parts, &mac).is_ok());
        for bit in 0..mac.len() * 8 {
            let mut bad = mac;
            bad[bit / 8] ^= 1 << (bit % 8);
            let verified = key.verify(&parts, &bad);
            assert!(matches!(verified, Err(VaultError::Tampered)), "bit {bit}");
        }
    }

    #[test]
    fn the_keys_of_two_tenants_differ() {
        let keys: MasterKeys = MasterKey::generate().unwrap().into();
        let vault = VaultId::from_bytes([9; 16]);
        let [acme, other] = ["acme", "other"].map(|name| TenantId::new(name).unwrap());
        let parts: [&[u8]; 1] = [b"connection"];
        let ours = DataKey::generate(VERSION).unwrap();
        let theirs = DataKey::generate(VERSION).unwrap();
        let mac = ours.row_key().sign(&parts);
        assert!(theirs.row_key().verify(&parts, &mac).is_err());

        let wrapped = ours.wrap(&keys, vault, &acme).unwrap();
        let unwrapped = DataKey::unwrap(&wrapped, &keys, vault, &acme, VERSION).unwrap();
        assert!(unwrapped.row_key().verify(&parts, &mac).is_ok());
        assert!(DataKey::unwrap(&wrapped, &keys, vault, &other, VERSION).is_err());
    }

    #[test]
    fn the_key_is_derived_and_not_shown() {
        let secret = [0xab; KEY_LEN];
        let direct = RowKey::new(&Zeroizing::new(secret));
        let derived = DataKey::new(VERSION, Box::new(Zeroizing::new(secret))).row_key();
        assert_ne!(direct.sign(&[b"connection"]), derived.sign(&[b"connection"]));
        assert_eq!(format!("{derived:?}"), "RowKey([redacted])");
    }
}
