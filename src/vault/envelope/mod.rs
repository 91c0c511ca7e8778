//! How secrets are sealed: for every vault the same.
//!
//! ```text
//! MasterKey ──HKDF-SHA256──▶ kek ──wraps──▶ DataKey (one per tenant) ──seals──▶ records
//! ```
//!
//! All numbers are big-endian.
//!
//! | what | bytes |
//! |---|---|
//! | key-encryption key | HKDF-SHA256 of the master key: salt `"valetkey/1"`, info `"kek"`, 32 bytes |
//! | master-key id | the same with info `"id"`, 16 bytes |
//! | check value | HMAC-SHA256 of the vault's id, under the same with info `"fingerprint"`, 32 bytes |
//! | sealed record | format `0x02` · data-key version u32 · nonce 12 · ciphertext ‖ tag 16 |
//! | its additional data | each part as u32 length ‖ bytes: `"valetkey/2"`, kind, vault, tenant, owner (`0x01` ‖ user, or `0x00` for the workspace), provider, id, generation u64, header (format and version), route (see below) |
//! | sealed record, format 1 | as above with `0x01` and `"valetkey/1"`, without the route: opened by the migration from schemas 1 and 2, and used for the bodies of audit entries |
//! | its plaintext | each field as u32 length ‖ bytes; the fields together at most 64 KiB |
//! | wrapped data key | format `0x01` · master-key id 16 · nonce 12 · ciphertext 48 |
//! | its additional data | as above: `"valetkey/1"`, `"data_key"`, vault, tenant, version u32, header (format and master-key id) |
//!
//! | request state's key | HKDF as above with info `"request-state"`, 32 bytes: see `resolver::mcp::RequestStateKey` |
//! | audit entry's body | as a sealed record, under the tenant's audit key |
//! | its additional data | as above: `"valetkey/1"`, `"audit"`, vault, tenant, number u64, header |
//! | wrapped audit key | as a wrapped data key; its additional data: `"valetkey/1"`, `"audit_key"`, vault, header |
//!
//! The *route* is an encoding, each field as u32 length ‖ bytes, of everything that decides where a secret is sent: see
//! [`Context::route`].
//!
//! | row key | HKDF-SHA256 of the tenant's key with version 2³²−1: salt as above, info `"rows"`, 32 bytes |
//! | MAC of a connection row | HMAC-SHA256 under the row key, of each part as u32 length ‖ bytes: `"valetkey/1"`, `"connection"`, and every column but the MAC |
//!
//! A tenant has data keys, numbered from 1, for its tokens, audit keys, numbered from 2³¹, for the bodies of its
//! audit entries, and one row key: data keys are replaced and destroyed, entries and rows must stay readable. The vault's own
//! audit key authenticates the chain of entries (HKDF label `audit`) and makes fingerprints (label `fingerprint`);
//! it is wrapped, so that the chain outlives the master key that it began with.
//!
//! The cipher is AES-256-GCM with random 96-bit nonces. A vault counts the seals of each data key and
//! takes a new one long before 2³².
//!
//! # Security
//!
//! Plaintext and key schedules are overwritten when they are dropped.

mod aad;
mod aead;
mod audit_key;
mod data_key;
mod fields;
mod master_key;
mod record;
mod row_key;

pub(crate) use aead::Cipher;
pub use audit_key::{AuditKey, Link};
pub use data_key::DataKey;
pub use fields::Fields;
pub use master_key::{MasterKey, MasterKeyError, MasterKeys};
pub use record::{Context, Kind};
pub use row_key::RowKey;

use crate::random::{self, RandomUnavailable};

#[cfg(test)]
mod known_answers;
#[cfg(test)]
pub(in crate::vault) mod vectors;
#[cfg(test)]
mod wycheproof;

/// The most bytes that the fields of one record may have together.
pub const MAX_SECRET_LEN: usize = 64 * 1024;

/// Names a vault for good: bound into all that it seals, so that nothing can be moved from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VaultId([u8; 16]);

impl VaultId {
    /// A new, random id.
    ///
    /// # Errors
    ///
    /// [`RandomUnavailable`] if the operating system has no random numbers.
    pub fn generate() -> Result<Self, RandomUnavailable> {
        let mut bytes = [0; 16];
        random::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes of the id.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}
