//! The vault's own keys, and those of its tenants: read once, then remembered.

mod opening;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::model::{TenantId, Timestamp};
use crate::vault::envelope::{self, AuditKey, DataKey, MasterKeys, VaultId};
use crate::vault::sealed::chain;
use crate::vault::sealed::reserve::{Limits, Reserve};
use crate::vault::sealed::seals::Seals;
use crate::vault::sealed::tenant::{AUDIT_KEYS, ROW_KEY, Tenant, WrappedKey};
use crate::vault::tables::{
    Chain, KeyRow, RowsMut, Tables, VAULT_CHAIN, VaultRow, Write, check_complete, check_wraps,
};
use crate::vault::{AuditEntry, AuditKind, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// The number of tenants that are remembered: well under a megabyte.
const MAX_TENANTS: usize = 1024;

/// Opens keys with the master keys and remembers them.
pub(in crate::vault) struct Keyring {
    keys: MasterKeys,
    vault: RwLock<Option<Arc<Opened>>>,
    limits: Limits,
    tenants: RwLock<HashMap<TenantId, Arc<Tenant>>>,
}

/// The vault's own row, after a master key was checked against it.
pub(in crate::vault) struct Opened {
    pub(super) id: VaultId,
    /// The key stays wrapped until it is needed: most handles never write an audit entry.
    wrapped: Vec<u8>,
    audit_key: RwLock<Option<Arc<AuditKey>>>,
}

/// Checks that one of the master keys is the one that the vault was created with.
pub(in crate::vault) fn check(keys: &MasterKeys, row: &VaultRow) -> Result<VaultId> {
    let id = VaultId::from_bytes(row.id);
    if envelope::proves(keys, &row.master_key, id, &row.audit_key, &row.key_check)? {
        Ok(id)
    } else {
        // The key is known, but its proof is wrong: the row was altered.
        Err(VaultError::Tampered)
    }
}

impl Keyring {
    pub(super) fn new(keys: MasterKeys) -> Self {
        Self {
            keys,
            vault: RwLock::default(),
            limits: Limits::default(),
            tenants: RwLock::default(),
        }
    }

    #[cfg(test)]
    pub(super) const fn set_max_seals(&mut self, max_seals: u32) {
        self.limits = Limits::new(max_seals);
    }

    pub(super) const fn master_keys(&self) -> &MasterKeys {
        &self.keys
    }

    /// Returns the vault's own row. The first call reads and checks it, or creates it if there is
    /// none.
    pub(super) fn vault<T: Tables>(&self, tables: &T) -> Result<Arc<Opened>> {
        let known = self.vault.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(opened) = known {
            return Ok(opened);
        }
        let row = match tables.read(|rows| rows.vault())? {
            Some(row) => row,
            None => self.make_vault(tables)?,
        };
        let opened = Arc::new(Opened {
            id: check(&self.keys, &row)?,
            wrapped: row.audit_key,
            audit_key: RwLock::default(),
        });
        let mut known = self.vault.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(known.get_or_insert(opened)))
    }

    /// Forgets everything that was read: a transfer has replaced the vault's own row.
    pub(super) fn forget_all(&self) {
        self.tenants
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        *self.vault.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Forgets everything if the vault's own row is another one than when it was read. Returns
    /// whether it was.
    fn forget_replaced<T: Tables>(&self, tables: &T, known: VaultId) -> Result<bool> {
        let stored = tables.read(|rows| rows.vault())?;
        let is_replaced = stored.is_some_and(|row| row.id != *known.as_bytes());
        if is_replaced {
            self.forget_all();
        }
        Ok(is_replaced)
    }

    fn make_vault<T: Tables>(&self, tables: &T) -> Result<VaultRow> {
        let id = VaultId::generate()?;
        let audit_key = AuditKey::generate()?;
        let row = VaultRow {
            id: *id.as_bytes(),
            master_key: *self.keys.active_id(),
            key_check: audit_key.check_value(&self.keys, id),
            audit_key: audit_key.wrap(&self.keys, id)?,
        };
        let made = tables.write(|rows| {
            // Another process may have been faster.
            if let Some(row) = rows.vault()? {
                return Ok(Write::Unchanged(row));
            }
            // The vault's row is written before any other: here it was removed.
            if rows.head(Chain::Of(VAULT_CHAIN))?.is_some() || !rows.tenants(VAULT_CHAIN, 1)?.is_empty() {
                return Err(VaultError::Damaged);
            }
            rows.put_vault(&row)?;
            chain::begin(rows, &audit_key, id, Chain::Of(VAULT_CHAIN))?;
            Ok(Write::Commit(row.clone()))
        })?;
        match made {
            Write::Commit(row) | Write::Unchanged(row) => Ok(row),
            Write::NewDataKey | Write::Moved => Err(VaultError::Busy),
        }
    }

    /// Forgets the vault's own row if the stored one has been wrapped again.
    fn reread<T: Tables>(&self, tables: &T, known: &Opened) -> Result<()> {
        let stored = tables.read(|rows| rows.vault())?;
        if stored.is_some_and(|row| row.audit_key != known.wrapped) {
            *self.vault.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Ok(())
    }

    /// Returns the key of the audit.
    pub(super) fn audit_key<T: Tables>(&self, tables: &T) -> Result<(Arc<AuditKey>, VaultId)> {
        let opened = self.vault(tables)?;
        let known = opened
            .audit_key
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(key) = known.filter(|key| self.keys.allows(key.lifetime())) {
            return Ok((key, opened.id));
        }
        let (opened, key) = match AuditKey::unwrap(&opened.wrapped, &self.keys, opened.id) {
            Ok(key) => (opened, Arc::new(key)),
            // Another process may have destroyed the master key that wrapped it.
            Err(error) => {
                self.reread(tables, &opened)?;
                let opened = self.vault(tables)?;
                let key = AuditKey::unwrap(&opened.wrapped, &self.keys, opened.id).map_err(|_| error)?;
                (opened, Arc::new(key))
            }
        };
        *opened.audit_key.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&key));
        Ok((key, opened.id))
    }

    /// Returns the tenant, if anything was ever stored for it.
    pub(super) fn tenant<T: Tables>(&self, tables: &T, name: &TenantId) -> Result<Option<Arc<Tenant>>> {
        match self.remembered(name) {
            Some(known) => Ok(Some(known)),
            None => self.read(tables, name),
        }
    }

    /// Returns the tenant if it is remembered and its keys may still be used.
    pub(super) fn remembered(&self, name: &TenantId) -> Option<Arc<Tenant>> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let known = tenants.get(name).map(Arc::clone);
        drop(tenants);
        known.filter(|known| self.keys.allows(known.newest.lifetime()))
    }

    /// Returns whether the tenant's keys open without a key service.
    pub(super) fn is_unlocked(&self, name: &TenantId) -> bool {
        if !self.keys.has_service() {
            return true;
        }
        self.remembered(name).is_some()
    }

    /// Returns the tenant with a data key that may still seal. Creates both if they do not exist.
    pub(super) fn sealing_tenant<T: Tables>(&self, tables: &T, name: &TenantId) -> Result<Arc<Tenant>> {
        if let Some(tenant) = self.tenant(tables, name)? {
            return Ok(tenant);
        }
        if !self.add_tenant(tables, name)? {
            // The target of a transfer was filled since this process opened it.
            self.forget_all();
            self.add_tenant(tables, name)?;
        }
        self.read(tables, name)?.ok_or(VaultError::Damaged)
    }

    fn read<T: Tables>(&self, tables: &T, name: &TenantId) -> Result<Option<Arc<Tenant>>> {
        let vault = self.vault(tables)?.id;
        match self.read_of(tables, name, vault) {
            // A process that opened the target of a transfer before the transfer began.
            Err(VaultError::Tampered) if self.forget_replaced(tables, vault)? => {
                let vault = self.vault(tables)?.id;
                self.read_of(tables, name, vault)
            }
            read => read,
        }
    }

    fn read_of<T: Tables>(&self, tables: &T, name: &TenantId, vault: VaultId) -> Result<Option<Arc<Tenant>>> {
        let read = tables.read(|rows| {
            let Some(row) = rows.tenant(name)? else {
                check_complete(rows)?;
                return Ok(None);
            };
            let data = rows.newest_key(row, AUDIT_KEYS)?;
            let audit = rows.newest_key(row, ROW_KEY)?;
            let key = rows.key(row, ROW_KEY)?;
            // A tenant is remembered and dropped together with its keys.
            let Some(keys) = data.zip(audit).zip(key) else {
                check_complete(rows)?;
                return Err(VaultError::Damaged);
            };
            Ok(Some((row, keys)))
        })?;
        let Some((row, ((data, audit), row_key))) = read else {
            return Ok(None);
        };
        let open = |key: &KeyRow| DataKey::unwrap(&key.wrapped, &self.keys, vault, name, key.version);
        let tenant = Arc::new(Tenant {
            row,
            name: name.clone(),
            vault,
            newest: open(&data)?,
            rows: open(&row_key)?.row_key(),
            audit: WrappedKey {
                version: audit.version,
                wrapped: audit.wrapped,
            },
            audit_key: OnceLock::new(),
            older: RwLock::default(),
            reserve: Reserve::default(),
            audit_reserve: Reserve::default(),
        });
        if tenant.newest.lifetime().is_some() {
            // Entries are sealed inside transactions, in which no key service may be called.
            self.entry_key(&tenant)?;
        }
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        if tenants.len() >= MAX_TENANTS {
            // Any tenant will do: a tenant that is needed again is read again.
            if let Some(victim) = tenants.keys().next().cloned() {
                tenants.remove(&victim);
            }
        }
        tenants.insert(name.clone(), Arc::clone(&tenant));
        Ok(Some(tenant))
    }

    pub(super) fn forget(&self, name: &TenantId) {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        tenants.remove(name);
    }

    /// Stores a tenant and its first keys, unless another caller was faster. Returns `false`, and
    /// stores nothing, if the vault is not the one that was opened.
    fn add_tenant<T: Tables>(&self, tables: &T, name: &TenantId) -> Result<bool> {
        let (audit_key, vault) = self.audit_key(tables)?;
        let mut keys = Vec::with_capacity(3);
        for version in [1, AUDIT_KEYS, ROW_KEY] {
            keys.push(self.new_key(vault, name, version)?);
        }
        let written = tables.write(|rows| {
            let stored = rows.vault()?;
            if stored.as_ref().is_some_and(|row| row.id != *vault.as_bytes()) {
                return Ok(Write::Unchanged(false));
            }
            // The master key of the vault itself is never one that is destroyed.
            if stored.is_some_and(|row| row.master_key != *self.keys.active_id()) {
                check_wraps(rows, self.keys.active_id())?;
            }
            if rows.tenant(name)?.is_some() {
                return Ok(Write::Unchanged(true));
            }
            let row = rows.insert_tenant(name)?;
            for key in &keys {
                rows.insert_key(row, key)?;
            }
            chain::begin(rows, &audit_key, vault, Chain::Of(row))?;
            Ok(Write::Commit(true))
        })?;
        Ok(!matches!(written, Write::Unchanged(false)))
    }

    /// Gives a tenant of schema 1 or 2 the keys and the chain of schema 3, unless another process
    /// was faster.
    #[cfg(feature = "sqlite")]
    pub(super) fn upgrade_tenant<T: Tables>(
        &self,
        tables: &T,
        row: crate::vault::tables::TenantRow,
        name: &TenantId,
    ) -> Result<()> {
        let (audit_key, vault) = self.audit_key(tables)?;
        let key = self.new_key(vault, name, ROW_KEY)?;
        tables.write(|rows| {
            if rows.key(row, ROW_KEY)?.is_some() || rows.tenant(name)? != Some(row) {
                return Ok(Write::Unchanged(()));
            }
            rows.insert_key(row, &key)?;
            chain::continue_legacy(rows, &audit_key, vault, Chain::Of(row))?;
            Ok(Write::Commit(()))
        })?;
        Ok(())
    }

    /// Gives the vault of schema 1 or 2 its own chain, unless another process was faster.
    #[cfg(feature = "sqlite")]
    pub(super) fn upgrade_vault<T: Tables>(&self, tables: &T) -> Result<()> {
        let (audit_key, vault) = self.audit_key(tables)?;
        tables.write(|rows| {
            if rows.head(Chain::Of(VAULT_CHAIN))?.is_some() {
                return Ok(Write::Unchanged(()));
            }
            chain::continue_legacy(rows, &audit_key, vault, Chain::Of(VAULT_CHAIN))?;
            Ok(Write::Commit(()))
        })?;
        Ok(())
    }

    /// Handles [`Write::NewDataKey`]: reads the stored keys, and replaces a key that is used up.
    pub(super) fn renew<T: Tables>(&self, tables: &T, stale: &Tenant, now: Timestamp) -> Result<()> {
        self.forget(&stale.name);
        let newest = tables.read(|rows| {
            Ok([
                rows.newest_key(stale.row, AUDIT_KEYS)?,
                rows.newest_key(stale.row, ROW_KEY)?,
            ])
        })?;
        for newest in newest.into_iter().flatten() {
            let is_ours = [stale.newest.version(), stale.audit.version].contains(&newest.version);
            let is_due = if newest.version >= AUDIT_KEYS {
                self.limits.is_half_used(newest.seals)
            } else {
                self.limits.is_used_up(newest.seals)
            };
            if is_ours && is_due {
                self.add_key(tables, stale, newest.version, now)?;
            }
        }
        Ok(())
    }

    /// Gives a tenant its next data key.
    pub(super) fn rotate<T: Tables>(&self, tables: &T, tenant: &Tenant, now: Timestamp) -> Result<bool> {
        let newest = tables.read(|rows| rows.newest_key(tenant.row, AUDIT_KEYS))?;
        let added = match newest {
            Some(newest) => self.add_key(tables, tenant, newest.version, now)?,
            None => false,
        };
        self.forget(&tenant.name);
        Ok(added)
    }

    /// Stores the key after `version`, unless another caller was faster or the tenant was erased.
    fn add_key<T: Tables>(&self, tables: &T, tenant: &Tenant, version: u32, now: Timestamp) -> Result<bool> {
        let is_audit = version >= AUDIT_KEYS;
        let next = version
            .checked_add(1)
            .filter(|next| *next != AUDIT_KEYS && *next != ROW_KEY)
            .ok_or(VaultError::Damaged)?;
        let key = self.new_key(tenant.vault, &tenant.name, next)?;
        let (audit_key, _) = self.audit_key(tables)?;
        let entry = AuditEntry::new(AuditKind::DataKeyRotated, now);
        let done = self.write(tables, tenant, |rows, seals| {
            let newest = rows.newest_key(tenant.row, if is_audit { ROW_KEY } else { AUDIT_KEYS })?;
            if newest.is_none_or(|newest| newest.version != version) {
                return Ok(Write::Unchanged(false));
            }
            check_wraps(rows, &key.master_key)?;
            rows.insert_key(tenant.row, &key)?;
            if is_audit {
                return Ok(Write::Commit(true));
            }
            rows.retire_keys(tenant.row, 1, next)?;
            if !self.append(rows, seals, &audit_key, std::slice::from_ref(&entry))? {
                return Ok(Write::NewDataKey);
            }
            Ok(Write::Commit(true))
        })?;
        Ok(matches!(done, Write::Commit(true)))
    }

    fn new_key(&self, vault: VaultId, name: &TenantId, version: u32) -> Result<KeyRow> {
        Ok(KeyRow {
            version,
            master_key: *self.keys.active_id(),
            wrapped: DataKey::generate(version)?.wrap(&self.keys, vault, name)?,
            seals: 0,
            retired: false,
        })
    }

    /// Writes in one transaction that seals with the keys of this tenant.
    pub(super) fn write<T: Tables, O>(
        &self,
        tables: &T,
        tenant: &Tenant,
        mut write: impl FnMut(&mut dyn RowsMut, &mut Seals<'_>) -> Result<Write<O>>,
    ) -> Result<Write<O>> {
        let mut seals = Seals::new(tenant, self.limits);
        let end = tables.write(|rows| {
            seals.begin_again();
            write(rows, &mut seals)
        })?;
        if matches!(end, Write::Commit(_)) {
            seals.committed();
        }
        Ok(end)
    }

    /// Counts seals without a block, for a transaction of a migration.
    #[cfg(feature = "sqlite")]
    pub(super) fn count_exactly(&self, rows: &mut dyn RowsMut, tenant: &Tenant, seals: u32) -> Result<bool> {
        rows.count_seals(tenant.row, tenant.newest.version(), seals, self.limits.most())
    }

    /// Appends entries to a tenant's chain, in the transaction that they record. Returns `false` if
    /// the tenant's audit key cannot be used any longer; the transaction must then store nothing.
    pub(super) fn append(
        &self,
        rows: &mut dyn RowsMut,
        seals: &mut Seals<'_>,
        key: &AuditKey,
        entries: &[AuditEntry],
    ) -> Result<bool> {
        if entries.is_empty() {
            return Ok(true);
        }
        let count = u32::try_from(entries.len()).map_err(|_| VaultError::TooLarge)?;
        if !seals.count_entries(rows, count)? {
            return Ok(false);
        }
        let tenant = seals.tenant;
        let body_key = self.entry_key(tenant)?;
        chain::append(
            rows,
            key,
            body_key,
            tenant.vault,
            (tenant.row, &tenant.name),
            entries,
        )?;
        Ok(true)
    }
}
