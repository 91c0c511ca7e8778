//! The formats of a vault, implemented from their documentation with another implementation of
//! AES-GCM and HKDF. No code here is taken from the crate.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use hkdf::Hkdf;
use hkdf::hmac::{Hmac, Mac as _};
use sha2::Sha256;

pub(crate) type Key = [u8; 32];
pub(crate) type Nonce = [u8; 12];

const DOMAIN_1: &[u8] = b"valetkey/1";
const DOMAIN_2: &[u8] = b"valetkey/2";

/// The values to which a record is bound.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) kind: &'a str,
    pub(crate) vault: [u8; 16],
    pub(crate) tenant: &'a str,
    pub(crate) owner: Option<&'a str>,
    pub(crate) provider: &'a str,
    pub(crate) id: [u8; 16],
    pub(crate) generation: u64,
    /// Part of format 2 only.
    pub(crate) route: &'a [u8],
}

pub(crate) fn derive<const LEN: usize>(master: &Key, info: &str) -> [u8; LEN] {
    let mut derived = [0; LEN];
    Hkdf::<Sha256>::new(Some(DOMAIN_1), master)
        .expand(info.as_bytes(), &mut derived)
        .unwrap();
    derived
}

pub(crate) fn check_value(master: &Key, vault: [u8; 16]) -> [u8; 32] {
    hmac(&derive(master, "fingerprint"), &vault)
}

/// Returns the MAC of a row, under the key with version 2^32-1 of its tenant.
pub(crate) fn row_mac(row_key: &Key, parts: &[&[u8]]) -> [u8; 32] {
    hmac(&derive(row_key, "rows"), &join(&[&[DOMAIN_1], parts].concat()))
}

/// Returns the MAC of an entry, a head, a gap or a checkpoint, under the audit key of the vault.
pub(crate) fn audit_mac(audit_key: &Key, parts: &[&[u8]]) -> [u8; 32] {
    hmac(&derive(audit_key, "audit"), &join(&[&[DOMAIN_1], parts].concat()))
}

fn hmac(key: &Key, message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Encodes an optional value.
pub(crate) fn optional<T: AsRef<[u8]>>(value: Option<T>) -> Vec<u8> {
    value.map_or_else(Vec::new, |value| [&[1], value.as_ref()].concat())
}

/// Encodes each part as u32 length ‖ bytes: additional data and plaintexts alike.
pub(crate) fn join<T: AsRef<[u8]>>(parts: &[T]) -> Vec<u8> {
    let mut joined = Vec::new();
    for part in parts {
        let part = part.as_ref();
        joined.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
        joined.extend(part);
    }
    joined
}

/// Splits the result of [`join`].
pub(crate) fn split(mut joined: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut parts = Vec::new();
    while !joined.is_empty() {
        let (len, rest) = joined.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        parts.push(part.to_vec());
        joined = rest;
    }
    Some(parts)
}

pub(crate) fn seal(key: &Key, version: u32, place: &Place<'_>, nonce: Nonce, plaintext: &[u8]) -> Vec<u8> {
    let header = record_header(2, version);
    let additional_data = place.additional_data(&header);
    seal_under(key, header, nonce, &additional_data, plaintext)
}

pub(crate) fn open(key: &Key, version: u32, place: &Place<'_>, record: &[u8]) -> Option<Vec<u8>> {
    let header = record_header(2, version);
    open_under(key, header, &place.additional_data(&header), record)
}

/// Encodes as schemas 1 and 2 did.
pub(crate) fn seal_format_1(
    key: &Key,
    version: u32,
    place: &Place<'_>,
    nonce: Nonce,
    plaintext: &[u8],
) -> Vec<u8> {
    let header = record_header(1, version);
    let additional_data = place.additional_data_of_format_1(&header);
    seal_under(key, header, nonce, &additional_data, plaintext)
}

/// Returns the body of an audit entry.
pub(crate) fn seal_audit(
    key: &Key,
    version: u32,
    (vault, tenant, number): ([u8; 16], &str, u64),
    nonce: Nonce,
    plaintext: &[u8],
) -> Vec<u8> {
    let header = record_header(1, version);
    let additional_data = audit_additional_data(vault, tenant, number, &header);
    seal_under(key, header, nonce, &additional_data, plaintext)
}

pub(crate) fn open_audit(
    key: &Key,
    version: u32,
    (vault, tenant, number): ([u8; 16], &str, u64),
    body: &[u8],
) -> Option<Vec<u8>> {
    let header = record_header(1, version);
    open_under(
        key,
        header,
        &audit_additional_data(vault, tenant, number, &header),
        body,
    )
}

fn seal_under(key: &Key, header: [u8; 5], nonce: Nonce, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let sealed = encrypt(key, nonce, aad, plaintext);
    [header.as_slice(), &nonce, &sealed].concat()
}

fn open_under(key: &Key, expected: [u8; 5], aad: &[u8], record: &[u8]) -> Option<Vec<u8>> {
    let (header, rest) = record.split_first_chunk::<5>()?;
    let (nonce, sealed) = rest.split_first_chunk::<12>()?;
    if *header != expected {
        return None;
    }
    decrypt(key, *nonce, aad, sealed)
}

pub(crate) fn wrap(
    master: &Key,
    vault: [u8; 16],
    tenant: &str,
    version: u32,
    nonce: Nonce,
    data_key: &Key,
) -> Vec<u8> {
    let header = wrapped_header(master);
    let additional_data = wrapped_additional_data(vault, tenant, version, &header);
    let kek = derive(master, "kek");
    let sealed = encrypt(&kek, nonce, &additional_data, data_key);
    [header.as_slice(), &nonce, &sealed].concat()
}

pub(crate) fn unwrap(
    master: &Key,
    vault: [u8; 16],
    tenant: &str,
    version: u32,
    wrapped: &[u8],
) -> Option<Key> {
    let header = wrapped_header(master);
    unwrap_under(
        master,
        &wrapped_additional_data(vault, tenant, version, &header),
        wrapped,
    )
}

pub(crate) fn unwrap_audit_key(master: &Key, vault: [u8; 16], wrapped: &[u8]) -> Option<Key> {
    let header = wrapped_header(master);
    let additional_data = join(&[DOMAIN_1, b"audit_key", &vault, &header]);
    unwrap_under(master, &additional_data, wrapped)
}

fn unwrap_under(master: &Key, aad: &[u8], wrapped: &[u8]) -> Option<Key> {
    let (header, rest) = wrapped.split_first_chunk::<17>()?;
    let (nonce, sealed) = rest.split_first_chunk::<12>()?;
    if *header != wrapped_header(master) {
        return None;
    }
    decrypt(&derive(master, "kek"), *nonce, aad, sealed)?
        .try_into()
        .ok()
}

impl Place<'_> {
    fn additional_data(&self, header: &[u8]) -> Vec<u8> {
        [self.parts(DOMAIN_2, header), join(&[self.route])].concat()
    }

    fn additional_data_of_format_1(&self, header: &[u8]) -> Vec<u8> {
        self.parts(DOMAIN_1, header)
    }

    fn parts(&self, domain: &[u8], header: &[u8]) -> Vec<u8> {
        let owner = match self.owner {
            Some(user) => [&[1], user.as_bytes()].concat(),
            None => vec![0],
        };
        join(&[
            domain,
            self.kind.as_bytes(),
            &self.vault,
            self.tenant.as_bytes(),
            &owner,
            self.provider.as_bytes(),
            &self.id,
            &self.generation.to_be_bytes(),
            header,
        ])
    }
}

fn record_header(format: u8, version: u32) -> [u8; 5] {
    let [a, b, c, d] = version.to_be_bytes();
    [format, a, b, c, d]
}

fn audit_additional_data(vault: [u8; 16], tenant: &str, number: u64, header: &[u8]) -> Vec<u8> {
    join(&[
        DOMAIN_1,
        b"audit",
        &vault,
        tenant.as_bytes(),
        &number.to_be_bytes(),
        header,
    ])
}

fn wrapped_header(master: &Key) -> [u8; 17] {
    let id: [u8; 16] = derive(master, "id");
    let mut header = [1; 17];
    header[1..].copy_from_slice(&id);
    header
}

fn wrapped_additional_data(vault: [u8; 16], tenant: &str, version: u32, header: &[u8]) -> Vec<u8> {
    join(&[
        DOMAIN_1,
        b"data_key",
        &vault,
        tenant.as_bytes(),
        &version.to_be_bytes(),
        header,
    ])
}

fn encrypt(key: &Key, nonce: Nonce, aad: &[u8], msg: &[u8]) -> Vec<u8> {
    let cipher = Aes256Gcm::new(&(*key).into());
    cipher.encrypt(&nonce.into(), Payload { msg, aad }).unwrap()
}

fn decrypt(key: &Key, nonce: Nonce, aad: &[u8], msg: &[u8]) -> Option<Vec<u8>> {
    let cipher = Aes256Gcm::new(&(*key).into());
    cipher.decrypt(&nonce.into(), Payload { msg, aad }).ok()
}
