//! The keys of a tenant, and how a master key wraps them.

use std::fmt;

use zeroize::Zeroizing;

use crate::model::TenantId;
use crate::random;
use crate::vault::VaultError;
use crate::vault::envelope::aead::{self, Cipher, KEY_LEN, NONCE_LEN};
use crate::vault::envelope::key_encryption::KeyContext;
use crate::vault::envelope::key_service::Lifetime;
use crate::vault::envelope::master_key::derive;
use crate::vault::envelope::wrapping::{self, Unwrapped};
use crate::vault::envelope::{MasterKeys, RowKey, VaultId, aad};

/// A key of one tenant. A tenant has several, which differ by their version.
pub struct DataKey {
    version: u32,
    secret: Box<Zeroizing<[u8; KEY_LEN]>>,
    cipher: Cipher,
    lifetime: Option<Lifetime>,
}

impl DataKey {
    /// Returns a new, random key.
    ///
    /// # Errors
    ///
    /// [`VaultError::RandomUnavailable`] if the operating system has no random numbers.
    pub fn generate(version: u32) -> Result<Self, VaultError> {
        let mut secret = Box::new(Zeroizing::new([0; KEY_LEN]));
        random::fill(secret.as_mut_slice())?;
        Ok(Self::new(version, secret))
    }

    pub(super) fn new(version: u32, secret: Box<Zeroizing<[u8; KEY_LEN]>>) -> Self {
        let cipher = Cipher::new(&secret);
        Self {
            version,
            secret,
            cipher,
            lifetime: None,
        }
    }

    /// Returns the time during which the key may be used, if a key service limits it.
    pub(crate) const fn lifetime(&self) -> Option<Lifetime> {
        self.lifetime
    }

    /// Returns the version of the key among the tenant's keys.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Returns the key that authenticates a tenant's rows, derived from this one.
    #[must_use]
    pub fn row_key(&self) -> RowKey {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        derive(&self.secret, b"rows", key.as_mut_slice());
        RowKey::new(&key)
    }

    pub(super) const fn cipher(&self) -> &Cipher {
        &self.cipher
    }

    /// Wraps the key with the active master key and binds it to the vault, the tenant and the
    /// version.
    ///
    /// # Errors
    ///
    /// [`VaultError::RandomUnavailable`] if the operating system has no random numbers,
    /// [`VaultError::KeyService`] if the key service of the master key fails.
    pub fn wrap(&self, keys: &MasterKeys, vault: VaultId, tenant: &TenantId) -> Result<Vec<u8>, VaultError> {
        self.wrap_with_nonce(keys, vault, tenant, aead::nonce()?)
    }

    pub(super) fn wrap_with_nonce(
        &self,
        keys: &MasterKeys,
        vault: VaultId,
        tenant: &TenantId,
        nonce: [u8; NONCE_LEN],
    ) -> Result<Vec<u8>, VaultError> {
        let context = KeyContext::tenant_of(&vault, tenant);
        wrapping::wrap(&self.secret, keys, &context, nonce, |header| {
            binding(vault, tenant, self.version, header)
        })
    }

    /// Unwraps a key with the master key that it names.
    ///
    /// # Errors
    ///
    /// [`VaultError::UnknownMasterKey`] if that master key was not given, [`VaultError::Tampered`]
    /// if the wrapped key was altered or belongs to another vault, tenant or version,
    /// [`VaultError::KeyService`] if the key service of the master key fails.
    pub fn unwrap(
        wrapped: &[u8],
        keys: &MasterKeys,
        vault: VaultId,
        tenant: &TenantId,
        version: u32,
    ) -> Result<Self, VaultError> {
        let context = KeyContext::tenant_of(&vault, tenant);
        let Unwrapped { secret, lifetime } = wrapping::unwrap(wrapped, keys, &context, |header| {
            binding(vault, tenant, version, header)
        })?;
        Ok(Self {
            lifetime,
            ..Self::new(version, secret)
        })
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey(version {})", self.version)
    }
}

fn binding(vault: VaultId, tenant: &TenantId, version: u32, header: &[u8]) -> Vec<u8> {
    aad::encode(&[
        b"data_key",
        vault.as_bytes(),
        tenant.as_str().as_bytes(),
        &version.to_be_bytes(),
        header,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::envelope::MasterKey;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    fn keys(byte: u8) -> MasterKeys {
        MasterKey::new(Box::new(Zeroizing::new([byte; 32]))).into()
    }

    const VAULT: VaultId = VaultId::from_bytes([9; 16]);

    #[test]
    fn a_wrapped_key_comes_back() {
        let key = DataKey::generate(3).unwrap();
        let wrapped = key.wrap(&keys(1), VAULT, &tenant("acme")).unwrap();
        assert_eq!(wrapped.len(), 77);
        let back = DataKey::unwrap(&wrapped, &keys(1), VAULT, &tenant("acme"), 3).unwrap();
        assert_eq!(back.secret.as_slice(), key.secret.as_slice());
        assert_eq!(back.version(), 3);
    }

    #[test]
    fn promise_03_every_flipped_bit_and_every_wrong_length_of_a_wrapped_key_is_refused() {
        let wrapped = DataKey::generate(1)
            .unwrap()
            .wrap(&keys(1), VAULT, &tenant("acme"))
            .unwrap();
        let unwrap = |bytes: &[u8]| DataKey::unwrap(bytes, &keys(1), VAULT, &tenant("acme"), 1);
        for bit in 0..wrapped.len() * 8 {
            let mut bad = wrapped.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let expected_unknown = (1..17).contains(&(bit / 8));
            match unwrap(&bad).unwrap_err() {
                VaultError::UnknownMasterKey => assert!(expected_unknown, "bit {bit}"),
                VaultError::Tampered => assert!(!expected_unknown, "bit {bit}"),
                other => panic!("{other:?}"),
            }
        }
        for len in 0..wrapped.len() {
            assert!(unwrap(&wrapped[..len]).is_err(), "{len} bytes");
        }
        for more in 1..=64 {
            let mut bad = wrapped.clone();
            bad.resize(wrapped.len() + more, 0);
            assert!(unwrap(&bad).is_err(), "{more} bytes more");
        }
    }

    #[test]
    fn promise_04_a_wrapped_key_opens_nowhere_else() {
        let wrapped = DataKey::generate(1)
            .unwrap()
            .wrap(&keys(1), VAULT, &tenant("acme"))
            .unwrap();
        let elsewhere = VaultId::from_bytes([8; 16]);
        for (vault, name, version) in [(elsewhere, "acme", 1), (VAULT, "acm", 1), (VAULT, "acme", 2)] {
            assert!(matches!(
                DataKey::unwrap(&wrapped, &keys(1), vault, &tenant(name), version),
                Err(VaultError::Tampered)
            ));
        }
        assert!(matches!(
            DataKey::unwrap(&wrapped, &keys(2), VAULT, &tenant("acme"), 1),
            Err(VaultError::UnknownMasterKey)
        ));
    }

    #[test]
    fn a_former_master_key_still_unwraps() {
        let wrapped = DataKey::generate(1)
            .unwrap()
            .wrap(&keys(1), VAULT, &tenant("acme"))
            .unwrap();
        let former = MasterKey::new(Box::new(Zeroizing::new([1; 32])));
        let both = MasterKeys::new(MasterKey::generate().unwrap(), [former]);
        assert!(DataKey::unwrap(&wrapped, &both, VAULT, &tenant("acme"), 1).is_ok());
    }
}
