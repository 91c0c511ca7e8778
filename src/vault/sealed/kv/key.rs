//! The construction of keys.
//!
//! A key is the number of its table followed by components. Numbers are big-endian, and times are
//! shifted so that negative ones sort first; ids have a fixed length. Text is preceded by its
//! length, so that the keys of one name never begin with those of another. Long text is replaced by
//! its hash, so that keys stay short.

use ring::digest::{SHA256, digest};

use crate::vault::VaultError;
use crate::vault::tables::{Chain, TenantRow};

/// The longest text that is part of a key as it is, in bytes.
const MAX_TEXT: usize = 64;

/// The byte before the hash of a longer text, in place of a length.
const HASHED: u8 = 0xff;

/// The kind of record that a key leads to. The numbers are part of the stored format: new ones are
/// added, and existing ones never change.
///
/// `T` is the tenant. The rows come first, each with its indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Table {
    /// The vault's own row.
    Vault = 1,
    /// T → its name, if it has one.
    Tenant = 2,
    /// Name → T.
    TenantByName = 3,
    /// T of a tenant that is being erased → T.
    TenantForgotten = 4,
    /// The highest T that was ever assigned.
    LastTenant = 5,

    /// T, version in descending order → a key without its wrapped bytes.
    Key = 10,
    /// T, version in descending order → the wrapped bytes.
    KeyWrapped = 11,
    /// Master key, T, version → key.
    KeyByMaster = 12,
    /// T, version → retired key.
    KeyRetired = 13,

    /// T, id → connection.
    Connection = 20,
    /// T, id → the time of its last use.
    ConnectionUse = 21,
    /// T, owner, id → connection.
    ConnectionByOwner = 22,
    /// T, owner, provider, id → connection that is not revoked.
    ConnectionLive = 23,
    /// T, grant, id → connection.
    ConnectionByGrant = 24,
    /// T, owner, provider, label → connection that is not revoked. Unique.
    ConnectionByLabel = 25,
    /// T, owner, provider, account → connection that is not revoked. Unique.
    ConnectionByAccount = 26,
    /// T, owner, provider → connection that is the default and not revoked. Unique.
    ConnectionDefault = 27,

    /// T, id → grant.
    Grant = 30,
    /// T, id → sealed access token.
    GrantAccess = 31,
    /// T, id → sealed refresh and id tokens.
    GrantRest = 32,
    /// T, the grant that replaced it, id → grant.
    GrantByFormer = 33,
    /// T, version, id → grant whose tokens this key seals.
    GrantByKey = 34,
    /// Server, expiry, T, id → grant that can be refreshed.
    GrantByExpiry = 35,
    /// Server, time of the last refresh, T, id → grant that can be refreshed.
    GrantByRefresh = 36,
    /// End of the quarantine, T, id → grant.
    GrantByQuarantine = 37,
    /// End of the tokens at the server, T, id → former grant.
    GrantByDeath = 38,

    /// T, state → consent request.
    Consent = 40,
    /// T, state → sealed verifier.
    ConsentVerifier = 41,
    /// T, user, state → consent request.
    ConsentByUser = 42,
    /// T, owner, state → consent request.
    ConsentByOwner = 43,
    /// Expiry, T, state → consent request.
    ConsentByExpiry = 44,
    /// T, version, state → consent request whose verifier this key seals.
    ConsentByKey = 45,

    /// T, id → revocation.
    Revocation = 50,
    /// T, id → sealed access token.
    RevocationAccess = 51,
    /// T, id → sealed refresh and id tokens.
    RevocationRest = 52,
    /// Time of the next attempt, T, id → revocation.
    RevocationByTime = 53,
    /// T, connection, id → revocation.
    RevocationByConnection = 54,
    /// T, owner, id → revocation.
    RevocationByOwner = 55,
    /// T, version, id → revocation whose tokens this key seals.
    RevocationByKey = 56,

    /// T, kind, name → definition.
    Definition = 70,
    /// T, kind, name → sealed content.
    DefinitionContent = 71,
    /// Kind, name, T → definition.
    DefinitionByName = 72,
    /// T, version, kind, name → definition whose content this key seals.
    DefinitionByKey = 73,

    /// Chain, number → audit entry.
    Entry = 60,
    /// Chain → head.
    Head = 61,
    /// Chain, first number → gap.
    Gap = 62,
    /// Chain, number → checkpoint.
    Checkpoint = 63,
    /// Chain → the number up to which pruning has looked.
    PrunedTo = 64,
}

/// A key, or the beginning of keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<u8>);

impl Key {
    /// Returns the beginning of all keys of a table.
    pub(super) fn of(table: Table) -> Self {
        let mut bytes = Vec::with_capacity(48);
        bytes.push(table as u8);
        Self(bytes)
    }

    /// Returns the key with these bytes, which a store returned.
    pub(super) const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Appends a tenant's number.
    pub(super) fn tenant(self, tenant: TenantRow) -> Self {
        self.time(tenant)
    }

    /// Appends a time.
    pub(super) fn time(self, time: i64) -> Self {
        // With its highest bit flipped, a signed number sorts as an unsigned one.
        self.number(time.cast_unsigned() ^ (1 << 63))
    }

    /// Appends a number.
    pub(super) fn number(self, number: u64) -> Self {
        self.id(&number.to_be_bytes())
    }

    /// Appends a version of a key.
    pub(super) fn version(self, version: u32) -> Self {
        self.id(&version.to_be_bytes())
    }

    /// Appends an id. All ids in the same place have the same length.
    pub(super) fn id(mut self, id: &[u8]) -> Self {
        self.0.extend_from_slice(id);
        self
    }

    /// Appends text.
    pub(super) fn text(mut self, text: &str) -> Self {
        match u8::try_from(text.len()) {
            Ok(len) if text.len() <= MAX_TEXT => {
                self.0.push(len);
                self.id(text.as_bytes())
            }
            _ => {
                self.0.push(HASHED);
                self.id(digest(&SHA256, text.as_bytes()).as_ref())
            }
        }
    }

    /// Appends a chain.
    pub(super) fn chain(self, chain: Chain) -> Self {
        match chain {
            Chain::Of(tenant) => self.id(&[0]).tenant(tenant),
            Chain::Legacy => self.id(&[1]),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the first key after this one.
    pub(super) fn next(mut self) -> Self {
        self.0.push(0);
        self
    }

    /// Returns the first key after all keys that begin with this one.
    pub(super) fn end(mut self) -> Self {
        while let Some(last) = self.0.pop() {
            if last < u8::MAX {
                self.0.push(last + 1);
                break;
            }
        }
        self
    }

    /// Returns the tenant of a row's key. The keys of all rows except the vault's own begin with
    /// it.
    pub(super) fn tenant_of_row(&self) -> Result<TenantRow, VaultError> {
        let (_, rest) = self.0.split_first().ok_or(VaultError::Damaged)?;
        let (tenant, _) = rest.split_first_chunk::<8>().ok_or(VaultError::Damaged)?;
        Ok((u64::from_be_bytes(*tenant) ^ (1 << 63)).cast_signed())
    }

    /// Returns the bytes of this key after the first `len`.
    pub(super) fn after(&self, len: usize) -> Result<&[u8], VaultError> {
        self.0.get(len..).ok_or(VaultError::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Key {
        Key::of(Table::ConnectionByOwner).text(text)
    }

    proptest! {
        #[test]
        fn times_sort_as_numbers(left in any::<i64>(), right in any::<i64>()) {
            let key = |time| Key::of(Table::GrantByDeath).time(time);
            prop_assert_eq!(key(left).cmp(&key(right)), left.cmp(&right));
        }

        #[test]
        fn no_text_is_the_beginning_of_another(left in "[ab]{0,80}", right in "[ab]{0,80}") {
            let is_within = text(&right).as_bytes().starts_with(text(&left).as_bytes());
            prop_assert_eq!(is_within, left == right);
        }

        #[test]
        fn the_tenant_of_a_row_is_read_back(tenant in any::<i64>()) {
            let key = Key::of(Table::Grant).tenant(tenant).id(&[7; 16]);
            prop_assert_eq!(key.tenant_of_row().unwrap(), tenant);
        }

        #[test]
        fn a_beginning_ends_after_all_its_keys(
            bytes in prop::collection::vec(prop_oneof![Just(0xff_u8), any::<u8>()], 0..4),
            rest in prop::collection::vec(prop_oneof![Just(0xff_u8), any::<u8>()], 0..4),
        ) {
            let beginning = Key::of(Table::Grant).id(&bytes);
            let within = beginning.clone().id(&rest);
            prop_assert!(within >= beginning && within < beginning.clone().end());
            prop_assert!(!beginning.clone().end().as_bytes().starts_with(beginning.as_bytes()));
        }
    }

    #[test]
    fn the_longest_key_keeps_the_documented_bound() {
        let long = "x".repeat(512);
        let key = Key::of(Table::ConnectionByLabel)
            .tenant(1)
            .text(&long[..64])
            .text(&long[..64])
            .text(&long[..64]);
        assert!(key.as_bytes().len() <= 256);
        let key = Key::of(Table::ConnectionByLabel)
            .tenant(1)
            .text(&long)
            .text(&long)
            .text(&long);
        assert!(key.as_bytes().len() <= 256);
    }
}
