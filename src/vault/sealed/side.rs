//! A vault as a side of a transfer.

use std::sync::Arc;

use crate::clock::Clock;
use crate::model::{TenantId, Timestamp};
use crate::vault::envelope::{Context, DataKey, Kind, MasterKeys};
use crate::vault::sealed::core::Core;
use crate::vault::sealed::tenant::Tenant;
use crate::vault::sealed::{chain, link, rows, tokens};
use crate::vault::tables::{AuditRow, GrantRow, KeyRow, Rows, RowsMut, Sealed, Tables, VaultRow, Write};
use crate::vault::transfer::side::{ChainKey, Record, Side, Sided};
use crate::vault::{AuditChain, AuditEntry, AuditReport, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

impl<T: Tables> Core<T> {
    pub(super) fn side(&self) -> Sided<'_> {
        Sided(self)
    }

    fn opens_grant(&self, tenant: &Tenant, row: &GrantRow, sealed: &Sealed) -> Result<()> {
        let stored = rows::grant(row, &tenant.name, tenant.row_key())?;
        let access = tokens::context(tenant, &stored.grant, Kind::AccessToken, &row.route);
        let rest = Context {
            kind: Kind::Rest,
            ..access
        };
        if let Some(record) = &sealed.access {
            self.open_access(tenant, &access, record.clone())?;
        }
        if let Some(record) = &sealed.rest {
            self.open_rest(tenant, &rest, record.clone())?;
        }
        Ok(())
    }

    fn opens_entry(&self, tenant: &Tenant, row: &AuditRow) -> Result<()> {
        self.keyring
            .open_entry(&self.tables, tenant, row.number, row.body.clone())
            .map(drop)
    }

    fn open_record(&self, tenant: &Tenant, record: Record<'_>) -> Result<()> {
        match record {
            Record::Connection(row) => rows::verify_connection(row, tenant.row_key()),
            Record::Grant(row, sealed) => self.opens_grant(tenant, row, sealed),
            Record::Consent(row, sealed) => self.opened(tenant, row, sealed.cloned()).map(drop),
            Record::Definition(row, sealed) => self.open_definition(tenant, row, sealed.cloned()).map(drop),
            Record::Revocation(row, sealed) => self
                .open_pending(tenant, row, sealed.clone())
                .map(drop)
                .ok_or(VaultError::Tampered),
            Record::Key(key) => DataKey::unwrap(
                &key.wrapped,
                self.keyring.master_keys(),
                tenant.vault,
                &tenant.name,
                key.version,
            )
            .map(drop),
            Record::Entry(row) => self.opens_entry(tenant, row),
        }
    }
}

impl<T: Tables> Side for Core<T> {
    fn read(&self, work: &mut dyn FnMut(&dyn Rows) -> Result<()>) -> Result<()> {
        self.tables.read(|rows| work(rows))
    }

    fn write(&self, work: &mut dyn FnMut(&mut dyn RowsMut) -> Result<()>) -> Result<()> {
        let written = self
            .tables
            .write_for_transfer(|rows| work(rows).map(Write::Commit))?;
        match written {
            Write::Commit(()) => Ok(()),
            Write::Unchanged(()) | Write::NewDataKey | Write::Moved => Err(VaultError::Busy),
        }
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.tables.clock()
    }

    fn is_held(&self, grant: &GrantRow, now: Timestamp) -> bool {
        let lasts = grant.held_until.is_some_and(|until| until > now.as_unix_millis());
        let held = rows::lifecycle(grant).ok().and_then(|lifecycle| lifecycle.held);
        lasts && held.is_some_and(|held| !self.tables.is_dead(held.holder))
    }

    fn erase_forgotten(&self) -> Result<()> {
        self.sweep_forgotten()
    }

    fn chain_key(&self) -> Result<ChainKey> {
        let (key, vault) = self.keyring.audit_key(&self.tables)?;
        Ok(ChainKey { key, vault })
    }

    fn append(&self, with: &ChainKey, rows: &mut dyn RowsMut, entry: &AuditEntry, body: &[u8]) -> Result<()> {
        chain::append_bare(rows, &with.key, with.vault, entry, body).map(drop)
    }

    fn link(&self, with: &ChainKey, rows: &mut dyn RowsMut) -> Result<()> {
        link::link_all_now(rows, &with.key, with.vault)
    }

    fn link_most(&self) -> Result<()> {
        self.link_all(usize::MAX)
    }

    fn master_keys(&self) -> &MasterKeys {
        self.keyring.master_keys()
    }

    fn vault_for(&self, keys: &MasterKeys) -> Result<VaultRow> {
        let (key, vault) = self.keyring.audit_key(&self.tables)?;
        Ok(VaultRow {
            id: *vault.as_bytes(),
            master_key: *keys.active_id(),
            key_check: key.check_value(keys, vault),
            audit_key: key.wrap(keys, vault)?,
        })
    }

    fn key_for(&self, keys: &MasterKeys, tenant: &TenantId, key: &KeyRow) -> Result<KeyRow> {
        let vault = self.keyring.vault(&self.tables)?.id;
        let opened = DataKey::unwrap(
            &key.wrapped,
            self.keyring.master_keys(),
            vault,
            tenant,
            key.version,
        )?;
        Ok(KeyRow {
            master_key: *keys.active_id(),
            wrapped: opened.wrap(keys, vault, tenant)?,
            ..key.clone()
        })
    }

    fn forget_keys(&self) {
        self.keyring.forget_all();
    }

    fn opens(&self, tenant: &TenantId, record: Record<'_>) -> Result<bool> {
        let Some(tenant) = self.remembered_tenant(tenant)? else {
            return Ok(false);
        };
        match self.open_record(&tenant, record) {
            Ok(()) => Ok(true),
            Err(VaultError::Tampered | VaultError::Damaged) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn verify(&self, chain: &AuditChain) -> Result<AuditReport> {
        self.verify_chain(chain, &mut |_, _| {})
    }
}
