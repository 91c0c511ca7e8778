//! The audit key of a vault, which authenticates the chains of its audit and makes fingerprints.

use std::fmt;

use ring::hmac;
use zeroize::Zeroizing;

use crate::random;
use crate::vault::VaultError;
use crate::vault::envelope::aead::{self, KEY_LEN};
use crate::vault::envelope::key_encryption::KeyContext;
use crate::vault::envelope::key_service::Lifetime;
use crate::vault::envelope::master_key::derive;
use crate::vault::envelope::master_keys::KeySource;
use crate::vault::envelope::wrapping::{self, Unwrapped};
use crate::vault::envelope::{MasterKeys, VaultId, aad};

/// The key that authenticates the chains of audit entries and makes keyed fingerprints.
pub struct AuditKey {
    secret: Box<Zeroizing<[u8; KEY_LEN]>>,
    chain: hmac::Key,
    fingerprint: hmac::Key,
    lifetime: Option<Lifetime>,
}

/// The parts of an audit entry that its MAC covers. The body is sealed.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "the caller must name every part")]
pub struct Link<'a> {
    /// The number of the entry in its chain, from 1.
    pub number: u64,
    /// The MAC of the entry before it; zeros for the first.
    pub before: &'a [u8; 32],
    /// The time, in milliseconds since 1970.
    pub at: i64,
    /// The number of the tenant in the database; `None` if the entry concerns the whole vault.
    pub tenant: Option<i64>,
    /// The kind of the entry.
    pub kind: &'a str,
    /// The sealed body.
    pub body: &'a [u8],
}

impl AuditKey {
    /// Returns a new, random key.
    ///
    /// # Errors
    ///
    /// [`VaultError::RandomUnavailable`] if the operating system has no random numbers.
    pub fn generate() -> Result<Self, VaultError> {
        let mut secret = Box::new(Zeroizing::new([0; KEY_LEN]));
        random::fill(secret.as_mut_slice())?;
        Ok(Self::new(secret))
    }

    fn new(secret: Box<Zeroizing<[u8; KEY_LEN]>>) -> Self {
        let subkey = |label: &[u8]| {
            let mut key = Zeroizing::new([0_u8; KEY_LEN]);
            derive(&secret, label, key.as_mut_slice());
            hmac::Key::new(hmac::HMAC_SHA256, key.as_slice())
        };
        Self {
            chain: subkey(b"audit"),
            fingerprint: subkey(b"fingerprint"),
            secret,
            lifetime: None,
        }
    }

    /// Returns the time during which the key may be used, if a key service limits it.
    pub(crate) const fn lifetime(&self) -> Option<Lifetime> {
        self.lifetime
    }

    /// Returns the value that a vault stores in order to recognise the active master key.
    ///
    /// The key of a service is not here: it proves itself by unwrapping the audit key.
    pub(crate) fn check_value(&self, keys: &MasterKeys, vault: VaultId) -> [u8; 32] {
        match keys.active() {
            KeySource::Local(master) => master.check_value(vault),
            KeySource::Service(_) => self.own_check_value(vault),
        }
    }

    fn own_check_value(&self, vault: VaultId) -> [u8; 32] {
        let mut key = Zeroizing::new([0_u8; KEY_LEN]);
        derive(&self.secret, b"check", key.as_mut_slice());
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()),
            vault.as_bytes(),
        );
        let mut value = [0; 32];
        value.copy_from_slice(tag.as_ref());
        value
    }

    /// Wraps the key with the active master key and binds it to the vault.
    ///
    /// # Errors
    ///
    /// [`VaultError::RandomUnavailable`] if the operating system has no random numbers,
    /// [`VaultError::KeyService`] if the key service of the master key fails.
    pub fn wrap(&self, keys: &MasterKeys, vault: VaultId) -> Result<Vec<u8>, VaultError> {
        let context = KeyContext::vault(&vault);
        wrapping::wrap(&self.secret, keys, &context, aead::nonce()?, |header| {
            binding(vault, header)
        })
    }

    /// Unwraps a key with the master key that it names.
    ///
    /// # Errors
    ///
    /// [`VaultError::UnknownMasterKey`] if that master key was not given, [`VaultError::Tampered`]
    /// if the wrapped key was altered or belongs to another vault, [`VaultError::KeyService`] if
    /// the key service of the master key fails.
    pub fn unwrap(wrapped: &[u8], keys: &MasterKeys, vault: VaultId) -> Result<Self, VaultError> {
        let context = KeyContext::vault(&vault);
        let Unwrapped { secret, lifetime } =
            wrapping::unwrap(wrapped, keys, &context, |header| binding(vault, header))?;
        Ok(Self {
            lifetime,
            ..Self::new(secret)
        })
    }

    /// Returns the MAC of an entry, which authenticates the entry and all entries before it.
    #[must_use]
    pub fn link(&self, vault: VaultId, link: &Link<'_>) -> [u8; 32] {
        let tenant = link.tenant.map(i64::to_be_bytes);
        self.sign(&[
            b"link",
            vault.as_bytes(),
            &link.number.to_be_bytes(),
            link.before,
            &link.at.to_be_bytes(),
            tenant.as_ref().map_or(&[], |tenant| tenant.as_slice()),
            link.kind.as_bytes(),
            link.body,
        ])
    }

    /// Returns the MAC of an entry that has no number yet. Its body names the entry.
    #[must_use]
    pub fn pending(&self, vault: VaultId, tenant: i64, at: i64, kind: &str, body: &[u8]) -> [u8; 32] {
        self.sign(&[
            b"pending",
            vault.as_bytes(),
            &tenant.to_be_bytes(),
            &at.to_be_bytes(),
            kind.as_bytes(),
            body,
        ])
    }

    /// Returns the seal of the head of the one chain that schemas 1 and 2 kept. It authenticates
    /// the newest entry as the newest, and the number of the first entry that was found to be
    /// broken during a write.
    #[must_use]
    pub fn head(&self, vault: VaultId, number: u64, mac: &[u8; 32], broken: Option<u64>) -> [u8; 32] {
        let broken = broken.map(u64::to_be_bytes);
        self.sign(&[
            b"head",
            vault.as_bytes(),
            &number.to_be_bytes(),
            mac,
            broken.as_ref().map_or(&[], |broken| broken.as_slice()),
        ])
    }

    /// Returns the seal of the head of a tenant's chain or of the vault's own chain (`chain` 0),
    /// with the same parts as [`head`](Self::head) and the number of the chain.
    #[must_use]
    pub fn chain_head(
        &self,
        vault: VaultId,
        chain: i64,
        number: u64,
        mac: &[u8; 32],
        broken: Option<u64>,
    ) -> [u8; 32] {
        let broken = broken.map(u64::to_be_bytes);
        self.sign(&[
            b"chain head",
            vault.as_bytes(),
            &chain.to_be_bytes(),
            &number.to_be_bytes(),
            mac,
            broken.as_ref().map_or(&[], |broken| broken.as_slice()),
        ])
    }

    /// Returns the seal of a gap, which authenticates that the entries from `first` to `last` of a
    /// chain were pruned. `before` is the MAC of the entry before the gap, and `mac` is the MAC of
    /// its last entry.
    #[must_use]
    pub fn gap(
        &self,
        vault: VaultId,
        chain: i64,
        first: u64,
        last: u64,
        before: &[u8; 32],
        mac: &[u8; 32],
    ) -> [u8; 32] {
        self.sign(&[
            b"gap",
            vault.as_bytes(),
            &chain.to_be_bytes(),
            &first.to_be_bytes(),
            &last.to_be_bytes(),
            before,
            mac,
        ])
    }

    /// Returns the seal of a checkpoint, which authenticates a head that was exported.
    #[must_use]
    pub fn checkpoint(&self, vault: VaultId, chain: i64, number: u64, mac: &[u8; 32]) -> [u8; 32] {
        self.sign(&[
            b"checkpoint",
            vault.as_bytes(),
            &chain.to_be_bytes(),
            &number.to_be_bytes(),
            mac,
        ])
    }

    fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let tag = hmac::sign(&self.chain, &aad::encode(parts));
        let mut mac = [0; 32];
        mac.copy_from_slice(tag.as_ref());
        mac
    }

    /// Returns a keyed fingerprint of a value. It reveals nothing about the value; with the key, a
    /// known value can be recognised.
    #[must_use]
    pub fn fingerprint(&self, parts: &[&[u8]]) -> [u8; 8] {
        // The parts can contain a token, so that the encoding is overwritten.
        let encoded = Zeroizing::new(aad::encode(parts));
        let tag = hmac::sign(&self.fingerprint, &encoded);
        let mut fingerprint = [0; 8];
        fingerprint.copy_from_slice(tag.as_ref().get(..8).unwrap_or(&[0; 8]));
        fingerprint
    }
}

/// Returns whether the master key with this id is the one that a vault was created with.
///
/// # Errors
///
/// [`VaultError::WrongMasterKey`] if there is no such key, and those of [`AuditKey::unwrap`].
pub(crate) fn proves(
    keys: &MasterKeys,
    id: &[u8; 16],
    vault: VaultId,
    wrapped_audit_key: &[u8],
    check: &[u8; 32],
) -> Result<bool, VaultError> {
    match keys.get(id).ok_or(VaultError::WrongMasterKey)? {
        KeySource::Local(master) => Ok(master.check_value(vault) == *check),
        KeySource::Service(_) => {
            let audit_key = AuditKey::unwrap(wrapped_audit_key, keys, vault)?;
            Ok(audit_key.own_check_value(vault) == *check)
        }
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditKey([redacted])")
    }
}

fn binding(vault: VaultId, header: &[u8]) -> Vec<u8> {
    aad::encode(&[b"audit_key", vault.as_bytes(), header])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::envelope::MasterKey;

    const VAULT: VaultId = VaultId::from_bytes([9; 16]);

    #[test]
    fn a_wrapped_key_comes_back_in_its_own_vault() {
        let keys: MasterKeys = MasterKey::generate().unwrap().into();
        let key = AuditKey::generate().unwrap();
        let wrapped = key.wrap(&keys, VAULT).unwrap();
        let back = AuditKey::unwrap(&wrapped, &keys, VAULT).unwrap();
        assert_eq!(back.fingerprint(&[b"a"]), key.fingerprint(&[b"a"]));
        let elsewhere = AuditKey::unwrap(&wrapped, &keys, VaultId::from_bytes([8; 16]));
        assert!(matches!(elsewhere, Err(VaultError::Tampered)));
    }

    #[test]
    fn every_part_of_a_link_counts() {
        let key = AuditKey::generate().unwrap();
        let link = Link {
            number: 1,
            before: &[0; 32],
            at: 5,
            tenant: Some(1),
            kind: "refreshed",
            body: b"body",
        };
        let others = [
            Link { number: 2, ..link },
            Link {
                before: &[1; 32],
                ..link
            },
            Link { at: 6, ..link },
            Link {
                tenant: Some(2),
                ..link
            },
            Link { tenant: None, ..link },
            Link {
                kind: "revoked",
                ..link
            },
            Link {
                body: b"bodz",
                ..link
            },
        ];
        let mac = key.link(VAULT, &link);
        assert_eq!(key.link(VAULT, &link), mac);
        for other in others {
            assert_ne!(key.link(VAULT, &other), mac, "{other:?}");
        }
        assert_ne!(key.link(VaultId::from_bytes([8; 16]), &link), mac);
        assert_ne!(AuditKey::generate().unwrap().link(VAULT, &link), mac);
        assert_ne!(key.head(VAULT, 1, &mac, None), key.head(VAULT, 1, &mac, Some(1)));
    }

    /// Each list holds the same call with one part changed at a time; no two may have the same MAC.
    fn assert_all_differ(macs: &[[u8; 32]]) {
        for (at, mac) in macs.iter().enumerate() {
            assert!(!macs[..at].contains(mac), "{at}");
        }
    }

    const OTHER_VAULT: VaultId = VaultId::from_bytes([8; 16]);
    const ONES: [u8; 32] = [1; 32];
    const TWOS: [u8; 32] = [2; 32];

    #[test]
    fn every_part_of_a_head_counts() {
        let key = AuditKey::generate().unwrap();
        assert_eq!(
            key.chain_head(VAULT, 1, 2, &ONES, None),
            key.chain_head(VAULT, 1, 2, &ONES, None)
        );
        assert_all_differ(&[
            key.chain_head(VAULT, 1, 2, &ONES, None),
            key.chain_head(OTHER_VAULT, 1, 2, &ONES, None),
            key.chain_head(VAULT, 0, 2, &ONES, None),
            key.chain_head(VAULT, -1, 2, &ONES, None),
            key.chain_head(VAULT, 1, 3, &ONES, None),
            key.chain_head(VAULT, 1, 2, &TWOS, None),
            key.chain_head(VAULT, 1, 2, &ONES, Some(0)),
            key.chain_head(VAULT, 1, 2, &ONES, Some(1)),
            AuditKey::generate().unwrap().chain_head(VAULT, 1, 2, &ONES, None),
            // The head of schemas 1 and 2 names no chain and stands for none.
            key.head(VAULT, 2, &ONES, None),
            key.head(VAULT, 1, &ONES, None),
        ]);
    }

    #[test]
    fn every_part_of_a_gap_counts() {
        let key = AuditKey::generate().unwrap();
        assert_eq!(
            key.gap(VAULT, 1, 2, 3, &ONES, &TWOS),
            key.gap(VAULT, 1, 2, 3, &ONES, &TWOS)
        );
        assert_all_differ(&[
            key.gap(VAULT, 1, 2, 3, &ONES, &TWOS),
            key.gap(OTHER_VAULT, 1, 2, 3, &ONES, &TWOS),
            key.gap(VAULT, 0, 2, 3, &ONES, &TWOS),
            key.gap(VAULT, 1, 1, 3, &ONES, &TWOS),
            key.gap(VAULT, 1, 2, 4, &ONES, &TWOS),
            key.gap(VAULT, 1, 3, 2, &ONES, &TWOS),
            key.gap(VAULT, 1, 2, 3, &TWOS, &TWOS),
            key.gap(VAULT, 1, 2, 3, &ONES, &ONES),
            key.gap(VAULT, 1, 2, 3, &TWOS, &ONES),
            AuditKey::generate().unwrap().gap(VAULT, 1, 2, 3, &ONES, &TWOS),
        ]);
    }

    #[test]
    fn every_part_of_a_checkpoint_counts() {
        let key = AuditKey::generate().unwrap();
        assert_eq!(
            key.checkpoint(VAULT, 1, 2, &ONES),
            key.checkpoint(VAULT, 1, 2, &ONES)
        );
        assert_all_differ(&[
            key.checkpoint(VAULT, 1, 2, &ONES),
            key.checkpoint(OTHER_VAULT, 1, 2, &ONES),
            key.checkpoint(VAULT, 2, 2, &ONES),
            key.checkpoint(VAULT, 1, 3, &ONES),
            key.checkpoint(VAULT, 2, 1, &ONES),
            key.checkpoint(VAULT, 1, 2, &TWOS),
            AuditKey::generate().unwrap().checkpoint(VAULT, 1, 2, &ONES),
            // A checkpoint is not a head, although it has the same parts.
            key.chain_head(VAULT, 1, 2, &ONES, None),
        ]);
    }

    #[test]
    fn every_part_of_a_pending_entry_counts() {
        let key = AuditKey::generate().unwrap();
        assert_eq!(
            key.pending(VAULT, 1, 5, "refreshed", b"body"),
            key.pending(VAULT, 1, 5, "refreshed", b"body")
        );
        assert_all_differ(&[
            key.pending(VAULT, 1, 5, "refreshed", b"body"),
            key.pending(OTHER_VAULT, 1, 5, "refreshed", b"body"),
            key.pending(VAULT, 2, 5, "refreshed", b"body"),
            key.pending(VAULT, 1, 6, "refreshed", b"body"),
            key.pending(VAULT, 1, 5, "refreshe", b"dbody"),
            key.pending(VAULT, 1, 5, "refreshed", b"bodz"),
            AuditKey::generate()
                .unwrap()
                .pending(VAULT, 1, 5, "refreshed", b"body"),
        ]);
    }

    #[test]
    fn a_fingerprint_belongs_to_its_parts_and_its_key() {
        let key = AuditKey::generate().unwrap();
        let parts: [&[u8]; 3] = [b"acme", b"1", b"token"];
        assert_eq!(key.fingerprint(&parts), key.fingerprint(&parts));
        assert_ne!(
            key.fingerprint(&parts),
            key.fingerprint(&[b"acme", b"1t", b"oken"])
        );
        assert_ne!(
            key.fingerprint(&parts),
            AuditKey::generate().unwrap().fingerprint(&parts)
        );
        let mac = key.sign(&parts);
        assert_ne!(key.fingerprint(&parts), mac[..8], "the two subkeys differ");
    }
}
