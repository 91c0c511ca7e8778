//! Format 1 of the envelope, written from its documentation with another implementation of AES-GCM and HKDF. Nothing
//! in here is taken from the crate.

#![allow(dead_code, unreachable_pub, reason = "each user takes a part of it")]

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use hkdf::Hkdf;
use hkdf::hmac::{Hmac, Mac as _};
use sha2::Sha256;

pub type Key = [u8; 32];
pub type Nonce = [u8; 12];

/// What a record is bound to.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub kind: &'a str,
    pub vault: [u8; 16],
    pub tenant: &'a str,
    pub owner: Option<&'a str>,
    pub provider: &'a str,
    pub id: [u8; 16],
    pub generation: u64,
}

pub fn derive<const LEN: usize>(master: &Key, info: &str) -> [u8; LEN] {
    let mut derived = [0; LEN];
    Hkdf::<Sha256>::new(Some(b"valetkey/1"), master)
        .expand(info.as_bytes(), &mut derived)
        .unwrap();
    derived
}

pub fn check_value(master: &Key, vault: [u8; 16]) -> [u8; 32] {
    let key: Key = derive(master, "fingerprint");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(&vault);
    mac.finalize().into_bytes().into()
}

/// Each part as u32 length ‖ bytes: additional data and plaintexts alike.
pub fn join<T: AsRef<[u8]>>(parts: &[T]) -> Vec<u8> {
    let mut joined = Vec::new();
    for part in parts {
        let part = part.as_ref();
        joined.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
        joined.extend(part);
    }
    joined
}

/// What [`join`] has joined.
pub fn split(mut joined: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut parts = Vec::new();
    while !joined.is_empty() {
        let (len, rest) = joined.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        parts.push(part.to_vec());
        joined = rest;
    }
    Some(parts)
}

pub fn seal(key: &Key, version: u32, place: &Place<'_>, nonce: Nonce, plaintext: &[u8]) -> Vec<u8> {
    let header = record_header(version);
    let sealed = encrypt(key, nonce, &place.additional_data(&header), plaintext);
    [header.as_slice(), &nonce, &sealed].concat()
}

pub fn open(key: &Key, version: u32, place: &Place<'_>, record: &[u8]) -> Option<Vec<u8>> {
    let (header, rest) = record.split_first_chunk::<5>()?;
    let (nonce, sealed) = rest.split_first_chunk::<12>()?;
    if *header != record_header(version) {
        return None;
    }
    decrypt(key, *nonce, &place.additional_data(header), sealed)
}

pub fn wrap(
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

pub fn unwrap(master: &Key, vault: [u8; 16], tenant: &str, version: u32, wrapped: &[u8]) -> Option<Key> {
    let (header, rest) = wrapped.split_first_chunk::<17>()?;
    let (nonce, sealed) = rest.split_first_chunk::<12>()?;
    if *header != wrapped_header(master) {
        return None;
    }
    let additional_data = wrapped_additional_data(vault, tenant, version, header);
    let opened = decrypt(&derive(master, "kek"), *nonce, &additional_data, sealed)?;
    opened.try_into().ok()
}

impl Place<'_> {
    fn additional_data(&self, header: &[u8]) -> Vec<u8> {
        let owner = match self.owner {
            Some(user) => [&[1], user.as_bytes()].concat(),
            None => vec![0],
        };
        join(&[
            b"valetkey/1".as_slice(),
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

fn record_header(version: u32) -> [u8; 5] {
    let [a, b, c, d] = version.to_be_bytes();
    [1, a, b, c, d]
}

fn wrapped_header(master: &Key) -> [u8; 17] {
    let id: [u8; 16] = derive(master, "id");
    let mut header = [1; 17];
    header[1..].copy_from_slice(&id);
    header
}

fn wrapped_additional_data(vault: [u8; 16], tenant: &str, version: u32, header: &[u8]) -> Vec<u8> {
    join(&[
        b"valetkey/1".as_slice(),
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
