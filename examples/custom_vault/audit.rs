//! What the audit tells: entries sealed under their tenant's key, each stored in the batch of the change it records,
//! and a chain of MACs over all of them that outlives whoever is forgotten.

use valetkey::model::{Connection, TenantId, Timestamp};
use valetkey::vault::envelope::{DataKey, Link};
use valetkey::vault::{
    AuditEntry, AuditFilter, AuditHead, AuditKind, AuditOrder, Handout, PendingConsent, VaultError,
};

use crate::rows::{decode, encode};
use crate::sealing::Sealer;
use crate::shelf::{Batch, Table};
use crate::vault::ShelfVault;

/// A tenant's data key, at hand before the batch begins that needs it.
pub struct Pen<'a> {
    pub sealer: &'a Sealer,
    pub tenant: &'a TenantId,
    pub key: DataKey,
    pub wrapped: Vec<u8>,
}

impl Pen<'_> {
    /// Refuses to store what nobody could open: the tenant may have been forgotten since the key was read, and
    /// its next key have the same version. Whoever tries again takes the new one.
    pub fn check(&self, batch: &Batch<'_>) -> Result<(), VaultError> {
        let row = batch.get(&Table::DataKeys.key(self.tenant, &self.key.version().to_be_bytes()));
        match row {
            Some(row) if row.ends_with(&self.wrapped) => Ok(()),
            _ => Err(VaultError::Busy),
        }
    }

    /// Adds an entry. The only thing that is sealed within a batch: its number is not known before, and it is short.
    pub fn tell(&self, batch: &mut Batch<'_>, mut entry: AuditEntry) -> Result<AuditHead, VaultError> {
        self.check(batch)?;
        entry.number = batch.next_number(Table::Links)?;
        let number = entry.number;
        let text = encode(&entry)?;
        let body = self
            .key
            .seal_audit(self.sealer.vault, self.tenant, number, &[&text])?;
        let head = link(self.sealer, batch, &entry, &body)?;
        batch.put(Table::Audit.key(self.tenant, &number.to_be_bytes()), body);
        Ok(head)
    }

    pub fn tell_of(
        &self,
        batch: &mut Batch<'_>,
        connection: &Connection,
        entry: AuditEntry,
    ) -> Result<AuditHead, VaultError> {
        let entry = entry.user(connection.owner.user()).about(
            connection.id,
            &connection.provider,
            connection.generation,
        );
        self.tell(batch, entry)
    }
}

/// Adds an entry to the chain. It shows nothing of anybody and is kept for good: it proves receipts.
pub fn link(
    sealer: &Sealer,
    batch: &mut Batch<'_>,
    entry: &AuditEntry,
    body: &[u8],
) -> Result<AuditHead, VaultError> {
    let key = |number: u64| [&[Table::Links as u8], number.to_be_bytes().as_slice()].concat();
    let before = match entry.number {
        1 => [0; 32],
        number => batch
            .get(&key(number - 1))
            .and_then(|mac| mac.try_into().ok())
            .ok_or(VaultError::Damaged)?,
    };
    let link = Link {
        number: entry.number,
        before: &before,
        at: entry.at.as_unix_millis(),
        tenant: None,
        kind: entry.kind.as_str(),
        body,
    };
    let mac = sealer.audit.link(sealer.vault, &link);
    batch.put(key(entry.number), mac.to_vec());
    Ok(AuditHead::new(entry.number, mac))
}

pub fn about_consent(consent: &PendingConsent, kind: AuditKind, at: Timestamp) -> AuditEntry {
    let mut entry = AuditEntry::new(kind, at).user(Some(&consent.user));
    entry.provider = Some(consent.provider.clone());
    entry.connection = consent.purpose.target();
    entry
}

impl ShelfVault {
    pub fn store_handouts(&self, handouts: &[Handout]) -> Result<(), VaultError> {
        let mut known = Vec::new();
        for handout in handouts {
            if let Some(pen) = self.sealer.known_pen(&handout.tenant)? {
                known.push((pen, handout));
            }
        }
        self.shelf.batch(|batch| {
            for (pen, handout) in known {
                batch.used(&handout.tenant, handout.connection, handout.at)?;
                pen.tell(batch, handout.entry())?;
            }
            Ok(())
        })
    }

    pub fn read_audit(&self, filter: &AuditFilter<'_>) -> Result<Vec<AuditEntry>, VaultError> {
        let rows = self.shelf.batch(|batch| {
            let rows = batch.scan(Table::Audit.key(filter.tenant, &[]));
            rows.map(|(key, body)| {
                let number = key.last_chunk().ok_or(VaultError::Damaged)?;
                Ok((u64::from_be_bytes(*number), body.to_vec()))
            })
            .collect::<Result<Vec<_>, VaultError>>()
        })?;
        let mut rows: Vec<_> = rows
            .into_iter()
            .filter(|(number, _)| filter.reaches(*number))
            .collect();
        if filter.order == AuditOrder::NewestFirst {
            rows.reverse();
        }
        let mut wanted = Vec::new();
        for (number, body) in rows {
            if wanted.len() == filter.limit {
                break;
            }
            let entry: AuditEntry = decode(
                self.sealer
                    .open_audit(filter.tenant, number, body)?
                    .expose_next()?,
            )?;
            if filter.wants(&entry) {
                wanted.push(entry);
            }
        }
        Ok(wanted)
    }
}
