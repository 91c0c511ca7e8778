//! Wraps data keys and audit keys: directly with a master key, or through a key service.

use zeroize::Zeroizing;

use crate::vault::VaultError;
use crate::vault::envelope::MasterKeys;
use crate::vault::envelope::aead::{KEY_LEN, NONCE_LEN, TAG_LEN};
use crate::vault::envelope::key_encryption::KeyContext;
use crate::vault::envelope::key_service::Lifetime;
use crate::vault::envelope::master_keys::KeySource;

/// The format of a key that a master key wraps.
const BY_MASTER_KEY: u8 = 1;
/// The format of a key that is wrapped by a key which a service wraps.
const BY_SERVICE: u8 = 2;
const HEADER_LEN: usize = 1 + 16;
const SEALED_LEN: usize = NONCE_LEN + KEY_LEN + TAG_LEN;

/// A key that was unwrapped.
pub(super) struct Unwrapped {
    pub(super) secret: Box<Zeroizing<[u8; KEY_LEN]>>,
    /// The time during which the key may be used, if a key service limits it.
    pub(super) lifetime: Option<Lifetime>,
}

/// Wraps a key with the active master key. `binding` receives the header and returns the additional
/// data.
pub(super) fn wrap(
    secret: &Zeroizing<[u8; KEY_LEN]>,
    keys: &MasterKeys,
    context: &KeyContext<'_>,
    nonce: [u8; NONCE_LEN],
    binding: impl Fn(&[u8]) -> Vec<u8>,
) -> Result<Vec<u8>, VaultError> {
    match keys.active() {
        KeySource::Local(master) => {
            let mut wrapped = begin(BY_MASTER_KEY, master.id(), &[]);
            let aad = binding(&wrapped);
            let from = push_secret(&mut wrapped, nonce, secret);
            master.kek().seal(nonce, &aad, &mut wrapped, from)?;
            Ok(std::mem::take(&mut wrapped))
        }
        KeySource::Service(service) => {
            let key = service.current(context)?;
            let len = u16::try_from(key.wrapped.len()).map_err(|_| VaultError::TooLarge)?;
            let mut wrapped = begin(
                BY_SERVICE,
                service.id(),
                &[&len.to_be_bytes(), key.wrapped.as_ref()],
            );
            let aad = binding(&wrapped);
            let from = push_secret(&mut wrapped, nonce, secret);
            key.cipher.seal(nonce, &aad, &mut wrapped, from)?;
            Ok(std::mem::take(&mut wrapped))
        }
    }
}

/// Unwraps a key with the master key that it names. `binding` receives the header and returns the
/// additional data.
pub(super) fn unwrap(
    wrapped: &[u8],
    keys: &MasterKeys,
    context: &KeyContext<'_>,
    binding: impl Fn(&[u8]) -> Vec<u8>,
) -> Result<Unwrapped, VaultError> {
    let at = wrapped
        .len()
        .checked_sub(SEALED_LEN)
        .ok_or(VaultError::Tampered)?;
    let (header, sealed) = wrapped.split_at_checked(at).ok_or(VaultError::Tampered)?;
    let (format, id, by_service) = header_of(header)?;
    let aad = binding(header);
    match (format, keys.get(id).ok_or(VaultError::UnknownMasterKey)?) {
        (BY_MASTER_KEY, KeySource::Local(master)) if by_service.is_empty() => Ok(Unwrapped {
            secret: open(master.kek(), sealed, &aad)?,
            lifetime: None,
        }),
        (BY_SERVICE, KeySource::Service(service)) => {
            let (len, opaque) = by_service.split_first_chunk::<2>().ok_or(VaultError::Tampered)?;
            if opaque.len() != usize::from(u16::from_be_bytes(*len)) {
                return Err(VaultError::Tampered);
            }
            let key = service.unwrapped(context, opaque)?;
            Ok(Unwrapped {
                secret: open(&key.cipher, sealed, &aad)?,
                lifetime: Some(key.lifetime),
            })
        }
        _ => Err(VaultError::Tampered),
    }
}

/// Returns the beginning of a wrapped key, with room for the rest, so that the key does not move.
fn begin(format: u8, id: &[u8; 16], more: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let more_len: usize = more.iter().map(|part| part.len()).sum();
    let mut wrapped = Zeroizing::new(Vec::with_capacity(HEADER_LEN + more_len + SEALED_LEN));
    wrapped.push(format);
    wrapped.extend_from_slice(id);
    for part in more {
        wrapped.extend_from_slice(part);
    }
    wrapped
}

/// Appends the nonce and the key that is about to be sealed. Returns where the key begins.
fn push_secret(wrapped: &mut Vec<u8>, nonce: [u8; NONCE_LEN], secret: &Zeroizing<[u8; KEY_LEN]>) -> usize {
    wrapped.extend_from_slice(&nonce);
    let from = wrapped.len();
    wrapped.extend_from_slice(secret.as_slice());
    from
}

fn header_of(header: &[u8]) -> Result<(u8, &[u8; 16], &[u8]), VaultError> {
    let (format, rest) = header.split_first().ok_or(VaultError::Tampered)?;
    let (id, by_service) = rest.split_first_chunk::<16>().ok_or(VaultError::Tampered)?;
    if matches!(*format, BY_MASTER_KEY | BY_SERVICE) && (*format == BY_SERVICE || by_service.is_empty()) {
        Ok((*format, id, by_service))
    } else {
        Err(VaultError::Tampered)
    }
}

fn open(
    cipher: &super::Cipher,
    sealed: &[u8],
    aad: &[u8],
) -> Result<Box<Zeroizing<[u8; KEY_LEN]>>, VaultError> {
    let (nonce, sealed) = sealed
        .split_first_chunk::<NONCE_LEN>()
        .ok_or(VaultError::Tampered)?;
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let opened = cipher.open(*nonce, aad, &mut buffer)?;
    let mut secret = Box::new(Zeroizing::new([0; KEY_LEN]));
    if opened.len() != KEY_LEN {
        return Err(VaultError::Tampered);
    }
    secret.copy_from_slice(opened);
    Ok(secret)
}
