//! Erasing a person or a workspace: each in one batch. Where that is too much for a database, a workspace's keys go
//! first, and its rows after them.

use valetkey::model::{Actor, Connection, TenantId, Timestamp, UserId};
use valetkey::vault::lifecycle::Keep;
use valetkey::vault::{AuditEntry, AuditKind, Forgotten, VaultError};

use crate::audit::link;
use crate::shelf::Table;
use crate::vault::ShelfVault;

impl ShelfVault {
    pub fn erase_user(
        &self,
        tenant: &TenantId,
        user: &UserId,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Result<Option<Forgotten>, VaultError> {
        let Some(pen) = self.sealer.known_pen(tenant)? else {
            return Ok(None);
        };
        let is_theirs =
            |connection: &Connection| connection.tenant == *tenant && connection.owner.user() == Some(user);
        // It does not name the person, but whoever knows the name can recognise it.
        let mut entry =
            AuditEntry::new(AuditKind::UserForgotten, now).by(by.filter(|actor| actor.user() != user));
        let name = [b"user", tenant.as_str().as_bytes(), user.as_str().as_bytes()];
        entry.fingerprint = Some(self.sealer.audit.fingerprint(&name));
        self.shelf.batch(|batch| {
            let mut connections = 0;
            for entry in batch.entries(tenant)? {
                let Connection { id, .. } = &entry.connection;
                if is_theirs(&entry.connection) {
                    batch.take_tokens(tenant, *id, Keep::Nothing);
                    batch.take(Table::Connections.key(tenant, id.as_bytes()));
                    connections += usize::from(!entry.connection.is_keeper);
                }
            }
            for pending in batch.all_pending()? {
                if is_theirs(&pending.connection) {
                    batch.drop_pending(&pending);
                }
            }
            for consent in batch.consents()? {
                let is_theirs = consent.user == *user || consent.owner.user() == Some(user);
                if consent.tenant == *tenant && is_theirs {
                    batch.drop_consent(&consent);
                }
            }
            let proof = pen.tell(batch, entry)?;
            Ok(Some(Forgotten::new(proof, now, connections)))
        })
    }

    pub fn erase_tenant(&self, tenant: &TenantId, now: Timestamp) -> Result<Option<Forgotten>, VaultError> {
        let name = [b"tenant", tenant.as_str().as_bytes()];
        let fingerprint = self.sealer.audit.fingerprint(&name);
        self.shelf.batch(|batch| {
            let rows = |table: Table| {
                let rows = batch.scan(table.key(tenant, &[]));
                rows.map(|(key, _)| key.to_vec()).collect::<Vec<_>>()
            };
            if rows(Table::DataKeys).is_empty() {
                return Ok(None);
            }
            let entries = batch.entries(tenant)?;
            let connections = entries.iter().filter(|entry| !entry.connection.is_keeper).count();
            let doomed: Vec<_> = Table::OF_TENANTS.into_iter().flat_map(rows).collect();
            for key in doomed {
                batch.take(key);
            }
            // There is no key left to seal it with: it is a link in the chain and nothing else.
            let mut entry = AuditEntry::new(AuditKind::TenantForgotten, now);
            entry.number = batch.next_number(Table::Links)?;
            let proof = link(&self.sealer, batch, &entry, &fingerprint)?;
            Ok(Some(Forgotten::new(proof, now, connections)))
        })
    }
}
