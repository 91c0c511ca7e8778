//! The interface of a service that keeps a key-encryption key: a cloud KMS, a transit engine, an
//! HSM.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::model::{TenantId, Timestamp};
use crate::random;
use crate::secret::SecretBytes;
use crate::vault::envelope::aead::{self, Cipher, KEY_LEN, NONCE_LEN};
use crate::vault::envelope::{MasterKey, VaultId, aad};
use crate::vault::{KeyServiceError, VaultError};

/// Encrypts keys with a key that this process does not have: that of a KMS or an HSM.
///
/// There are two ways to use one. [`MasterKey::seal`] seals a whole master key, which is unsealed
/// once when the process starts. With
/// [`MasterKeys::wrapped_by`](crate::vault::MasterKeys::wrapped_by), the service wraps one key for
/// each tenant, which is unwrapped when the tenant is used.
///
/// # Contract
///
/// * [`unwrap`](Self::unwrap) returns exactly the bytes that were given to [`wrap`](Self::wrap),
///   and only with an equal context. A service without additional authenticated data must bind the
///   context in another way, for example by encrypting it together with the key.
/// * Each call ends within a bounded time, such as that of an
///   [`HttpRequest`](crate::http::HttpRequest), and is not repeated by the implementation. The
///   vault calls once for concurrent callers and does not call again for a short time after a
///   failure.
/// * The implementation keeps no key. The vault remembers unwrapped keys for a limited time.
///
/// # Examples
///
/// A [`MasterKey`] is also a key service, for example one that was derived by other means:
///
/// ```
/// use valetkey::vault::{KeyContext, KeyEncryption, KeyServiceError, MasterKey};
///
/// let service = MasterKey::generate()?;
/// let sealed = MasterKey::generate()?.seal(&service)?;
/// let master = MasterKey::unseal(&service, &sealed)?;
/// # let _ = master;
/// # Ok::<(), valetkey::vault::VaultError>(())
/// ```
pub trait KeyEncryption: fmt::Debug + Send + Sync + 'static {
    /// Returns the full name of the key: at AWS its ARN, at an HSM the token and the label.
    ///
    /// The vault stores a hash of the name beside everything that the key wraps. The name must
    /// therefore never change, and no other key may have it.
    fn name(&self) -> &str;

    /// Encrypts a key of 32 bytes and binds it to the context.
    ///
    /// # Errors
    ///
    /// [`KeyServiceError`] by the cause. Nothing was stored then.
    fn wrap(&self, key: &SecretBytes, context: &KeyContext<'_>) -> Result<Vec<u8>, KeyServiceError>;

    /// Decrypts what [`wrap`](Self::wrap) returned.
    ///
    /// # Errors
    ///
    /// [`KeyServiceError`] by the cause; [`Mismatch`](KeyServiceError::Mismatch) if the bytes were
    /// altered or wrapped with another context.
    fn unwrap(&self, wrapped: &[u8], context: &KeyContext<'_>) -> Result<SecretBytes, KeyServiceError>;

    /// Destroys the key: nothing that it wrapped may open afterwards, for anyone.
    ///
    /// `rotate_and_destroy` of a vault calls this after it has verified that nothing in the vault
    /// needs the key. A call after one that has succeeded, in this process or another one, returns
    /// the same outcome. An implementation without a way to destroy keys returns
    /// [`Destruction::ByHost`].
    ///
    /// # Errors
    ///
    /// [`KeyServiceError`] by the cause. The key may or may not be destroyed then, and the call can
    /// be repeated.
    ///
    /// # Security
    ///
    /// The caller must know that nothing else uses the key: no other vault, and no backup that is
    /// still needed.
    fn destroy(&self) -> Result<Destruction, KeyServiceError>;
}

/// The outcome of [`KeyEncryption::destroy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destruction {
    /// The key does not exist any more, so that everything it wrapped is erased.
    Done,
    /// The service destroys the key at this time. Until then it unwraps nothing, but someone with
    /// the right to do so can cancel the destruction.
    Scheduled(Timestamp),
    /// The service has several keys under one name, and some are left: call again.
    Underway,
    /// Only the host can destroy the key. The text says what it must do.
    ByHost(&'static str),
}

impl<K: KeyEncryption + ?Sized> KeyEncryption for Arc<K> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn wrap(&self, key: &SecretBytes, context: &KeyContext<'_>) -> Result<Vec<u8>, KeyServiceError> {
        (**self).wrap(key, context)
    }

    fn unwrap(&self, wrapped: &[u8], context: &KeyContext<'_>) -> Result<SecretBytes, KeyServiceError> {
        (**self).unwrap(wrapped, context)
    }

    fn destroy(&self) -> Result<Destruction, KeyServiceError> {
        (**self).destroy()
    }
}

/// The vault and the tenant that a wrapped key belongs to. It opens nowhere else.
///
/// A service records the context in its own log, so that it shows which tenant's key was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyContext<'a> {
    vault: Option<&'a [u8; 16]>,
    tenant: Option<&'a TenantId>,
}

impl<'a> KeyContext<'a> {
    /// The context of a master key, which does not belong to one vault.
    pub(crate) const fn master_key() -> Self {
        Self {
            vault: None,
            tenant: None,
        }
    }

    /// Returns the context of the keys that belong to a vault as a whole.
    pub(crate) const fn vault(vault: &'a VaultId) -> Self {
        Self {
            vault: Some(vault.as_bytes()),
            tenant: None,
        }
    }

    /// Returns the context of the keys of a tenant.
    pub(crate) const fn tenant_of(vault: &'a VaultId, tenant: &'a TenantId) -> Self {
        Self {
            vault: Some(vault.as_bytes()),
            tenant: Some(tenant),
        }
    }

    /// Returns the tenant whose keys are wrapped. `None` for a master key and for the keys of a
    /// vault as a whole.
    #[must_use]
    pub const fn tenant(&self) -> Option<&'a TenantId> {
        self.tenant
    }

    /// Returns the context as names and values, for a service with an encryption context.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![("valetkey", self.purpose().to_owned())];
        if let Some(vault) = self.vault {
            pairs.push(("vault", vault.iter().map(|byte| format!("{byte:02x}")).collect()));
        }
        if let Some(tenant) = self.tenant {
            pairs.push(("tenant", tenant.as_str().to_owned()));
        }
        pairs
    }

    /// Returns the context as bytes, for a service with additional authenticated data. Different
    /// contexts have different bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let vault = self.vault.map_or(&[][..], |vault| vault);
        let tenant = self.tenant.map_or(&[][..], |tenant| tenant.as_str().as_bytes());
        aad::encode(&[b"key_service", self.purpose().as_bytes(), vault, tenant])
    }

    const fn purpose(&self) -> &'static str {
        match (self.vault, self.tenant) {
            (None, _) => "master key",
            (Some(_), None) => "vault",
            (Some(_), Some(_)) => "tenant",
        }
    }
}

/// Wraps with a key that is derived from the master key for this purpose.
impl KeyEncryption for MasterKey {
    fn name(&self) -> &str {
        self.id_text()
    }

    fn wrap(&self, key: &SecretBytes, context: &KeyContext<'_>) -> Result<Vec<u8>, KeyServiceError> {
        let random = |_| KeyServiceError::Unavailable { retry_after: None };
        let nonce = aead::nonce().map_err(random)?;
        let mut wrapped = Zeroizing::new(Vec::with_capacity(NONCE_LEN + KEY_LEN + aead::TAG_LEN));
        wrapped.extend_from_slice(&nonce);
        wrapped.extend_from_slice(key.expose_secret());
        self.service_cipher()
            .seal(nonce, &context.to_bytes(), &mut wrapped, NONCE_LEN)
            .map_err(|_| KeyServiceError::Protocol("the key to wrap is too long"))?;
        Ok(std::mem::take(&mut wrapped))
    }

    fn unwrap(&self, wrapped: &[u8], context: &KeyContext<'_>) -> Result<SecretBytes, KeyServiceError> {
        let (nonce, sealed) = wrapped
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(KeyServiceError::Mismatch)?;
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let opened = self
            .service_cipher()
            .open(*nonce, &context.to_bytes(), &mut buffer)
            .map_err(|_| KeyServiceError::Mismatch)?;
        Ok(SecretBytes::new(opened.to_vec()))
    }

    /// The key is in the memory of this process, which does not know its copies.
    fn destroy(&self) -> Result<Destruction, KeyServiceError> {
        Ok(Destruction::ByHost(
            "delete the former master key and all its copies: its file or sealed form, backups of it, and the memory \
             of processes that still have it",
        ))
    }
}

impl MasterKey {
    /// Seals the key with a key service, so that it can be kept where others read it.
    ///
    /// # Errors
    ///
    /// [`KeyService`](VaultError::KeyService) if the service does not wrap it.
    pub fn seal(&self, service: &dyn KeyEncryption) -> Result<Vec<u8>, VaultError> {
        let key = SecretBytes::new(self.expose_bytes().to_vec());
        Ok(service.wrap(&key, &KeyContext::master_key())?)
    }

    /// Opens a key that [`seal`](Self::seal) sealed. The service is called once.
    ///
    /// # Errors
    ///
    /// [`Tampered`](VaultError::Tampered) if the bytes were altered or sealed by another key;
    /// [`KeyService`](VaultError::KeyService) if the service does not unwrap them.
    pub fn unseal(service: &dyn KeyEncryption, sealed: &[u8]) -> Result<Self, VaultError> {
        let key = service.unwrap(sealed, &KeyContext::master_key())?;
        Ok(Self::of_bytes(key_bytes(&key)?))
    }
}

/// Returns a new random key and its wrapped form.
pub(super) fn generate(
    service: &dyn KeyEncryption,
    context: &KeyContext<'_>,
) -> Result<(Cipher, Vec<u8>), VaultError> {
    let mut bytes = vec![0; KEY_LEN];
    random::fill(&mut bytes)?;
    let key = SecretBytes::new(bytes);
    let wrapped = service.wrap(&key, context)?;
    Ok((Cipher::new(&*key_bytes(&key)?), wrapped))
}

/// Returns the key that was wrapped by [`generate`].
pub(super) fn open(
    service: &dyn KeyEncryption,
    context: &KeyContext<'_>,
    wrapped: &[u8],
) -> Result<Cipher, KeyServiceError> {
    let key = service.unwrap(wrapped, context)?;
    Ok(Cipher::new(&*key_bytes(&key)?))
}

fn key_bytes(key: &SecretBytes) -> Result<Zeroizing<[u8; KEY_LEN]>, KeyServiceError> {
    let mut bytes = Zeroizing::new([0; KEY_LEN]);
    if key.expose_secret().len() != KEY_LEN {
        return Err(KeyServiceError::Protocol("it returned a key of another length"));
    }
    bytes.copy_from_slice(key.expose_secret());
    Ok(bytes)
}
