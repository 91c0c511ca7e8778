//! The bodies of audit entries that are stored before they have a number.
//!
//! Such a body begins with a format byte and the random id of its entry, to which it is bound. It
//! keeps both when the entry gets its number, so that the MAC of the entry covers them.

use crate::model::TenantId;
use crate::vault::VaultError;
use crate::vault::envelope::aead::NONCE_LEN;
use crate::vault::envelope::record::FORMAT_1;
use crate::vault::envelope::{DataKey, Fields, VaultId, aad};

/// The format of bodies that name their entry.
const FORMAT_3: u8 = 3;
const ID_LEN: usize = 16;

/// Splits the body of an audit entry into the id of the entry, if the body names it, and the sealed
/// record.
#[must_use]
pub fn named_entry(body: &[u8]) -> (Option<[u8; ID_LEN]>, &[u8]) {
    let named = match body.split_first() {
        Some((&FORMAT_3, rest)) => rest.split_first_chunk::<ID_LEN>(),
        _ => None,
    };
    named.map_or((None, body), |(entry, record)| (Some(*entry), record))
}

impl DataKey {
    /// Seals the body of an audit entry with this nonce, which no other seal uses, and binds it to
    /// the id of the entry.
    ///
    /// # Errors
    ///
    /// [`VaultError::TooLarge`] if the fields exceed
    /// [`MAX_SECRET_LEN`](super::MAX_SECRET_LEN).
    pub fn seal_entry(
        &self,
        vault: VaultId,
        tenant: &TenantId,
        entry: [u8; ID_LEN],
        fields: &[&[u8]],
        nonce: [u8; NONCE_LEN],
    ) -> Result<Vec<u8>, VaultError> {
        let record = self.seal_bound(
            FORMAT_1,
            |header| binding(vault, tenant, &entry, header),
            fields,
            nonce,
        )?;
        let mut body = Vec::with_capacity(1 + ID_LEN + record.len());
        body.push(FORMAT_3);
        body.extend_from_slice(&entry);
        body.extend_from_slice(&record);
        Ok(body)
    }

    /// Opens the record in the body of an audit entry that names the entry.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn open_entry(
        &self,
        vault: VaultId,
        tenant: &TenantId,
        entry: [u8; ID_LEN],
        record: Vec<u8>,
    ) -> Result<Fields, VaultError> {
        self.open_bound(FORMAT_1, |header| binding(vault, tenant, &entry, header), record)
    }
}

fn binding(vault: VaultId, tenant: &TenantId, entry: &[u8; ID_LEN], header: &[u8]) -> Vec<u8> {
    aad::encode(&[
        b"audit_entry",
        vault.as_bytes(),
        tenant.as_str().as_bytes(),
        entry,
        header,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const VAULT: VaultId = VaultId::from_bytes([9; 16]);

    #[test]
    fn promise_04_a_body_opens_for_its_own_entry_only() {
        let key = DataKey::generate(1 << 31).unwrap();
        let (acme, other) = (TenantId::new("acme").unwrap(), TenantId::new("zeta").unwrap());
        let body = key
            .seal_entry(VAULT, &acme, [5; 16], &[b"alice"], [7; 12])
            .unwrap();
        let (entry, record) = named_entry(&body);
        assert_eq!(entry, Some([5; 16]));
        let opened = |vault, tenant, entry| key.open_entry(vault, tenant, entry, record.to_vec());
        assert!(opened(VAULT, &acme, [5; 16]).is_ok());
        assert!(opened(VaultId::from_bytes([8; 16]), &acme, [5; 16]).is_err());
        assert!(opened(VAULT, &other, [5; 16]).is_err());
        assert!(opened(VAULT, &acme, [6; 16]).is_err());
        // A body that is bound to a number is not bound to an id, and the other way round.
        for number in [0, 5, u64::from_be_bytes([5; 8])] {
            assert!(key.open_audit(VAULT, &acme, number, record.to_vec()).is_err());
        }
        let numbered = key.seal_audit(VAULT, &acme, 5, &[b"alice"], [7; 12]).unwrap();
        assert_eq!(named_entry(&numbered), (None, &*numbered));
        assert!(opened(VAULT, &acme, [5; 16]).is_ok());
        assert!(key.open_entry(VAULT, &acme, [5; 16], numbered).is_err());
    }

    #[test]
    fn a_body_that_is_too_short_names_no_entry() {
        for body in [&[][..], &[3], &[3; 16]] {
            assert_eq!(named_entry(body), (None, body));
        }
        assert_eq!(named_entry(&[3; 17]), (Some([3; 16]), &[][..]));
    }
}
