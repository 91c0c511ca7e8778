//! Tenants and their data keys: read once, then remembered.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use rusqlite::{Connection, params};

use crate::clock::{Clock as _, SystemClock};
use crate::model::TenantId;
use crate::vault::envelope::{AuditKey, Context, DataKey, Fields, MasterKeys, VaultId};
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::schema::Opened;
use crate::vault::sqlite::store::{Step, Store};
use crate::vault::sqlite::{audit, slots};
use crate::vault::{AuditEntry, AuditKind, VaultError};

/// After so many seals a tenant gets a new data key. Random nonces of 96 bits are good for 2^32.
const MAX_SEALS: u32 = 1 << 30;
/// How many tenants are remembered: well under a megabyte.
const MAX_TENANTS: usize = 1024;

/// From this version on keys seal the bodies of audit entries, below it tokens.
pub(super) const AUDIT_KEYS: u32 = 1 << 31;

pub(super) const TENANT: &str = "SELECT id FROM tenants WHERE name = ?1";
pub(super) const NEWEST_KEY: &str = "SELECT k.version, k.seals, s.access FROM tenant_keys k
    JOIN secrets s ON s.slot = k.slot WHERE k.tenant = ?1 AND k.version < ?2 ORDER BY k.version DESC LIMIT 1";
pub(super) const KEY: &str = "SELECT s.access FROM tenant_keys k JOIN secrets s ON s.slot = k.slot
    WHERE k.tenant = ?1 AND k.version = ?2";
pub(super) const COUNT_SEALS: &str = "UPDATE tenant_keys SET seals = seals + ?3
    WHERE tenant = ?1 AND version = ?2 AND seals + ?3 <= ?4 AND retired = 0";
pub(super) const RETIRE: &str = "UPDATE tenant_keys SET retired = 1 WHERE tenant = ?1 AND version < ?2";
const ADD_KEY: &str = "INSERT INTO tenant_keys (tenant, version, master_key, slot) VALUES (?1, ?2, ?3, ?4)";

/// Opens data keys with the master keys and remembers them.
pub(super) struct Keyring {
    pub(super) vault: VaultId,
    keys: MasterKeys,
    audit: Vec<u8>,
    audit_key: OnceLock<AuditKey>,
    max_seals: u32,
    tenants: RwLock<HashMap<TenantId, Arc<Tenant>>>,
}

/// A tenant, its row, and the keys that were needed so far.
pub(super) struct Tenant {
    pub(super) row: i64,
    pub(super) name: TenantId,
    newest: DataKey,
    /// Wrapped until it is needed: reading tokens never needs it.
    audit: Vec<u8>,
    audit_version: u32,
    audit_key: OnceLock<DataKey>,
    older: RwLock<Vec<Arc<DataKey>>>,
}

impl Tenant {
    pub(super) const fn key(&self) -> &DataKey {
        &self.newest
    }

    /// Counts seals under the newest key, in the transaction that stores them. `false` if the key has had
    /// enough of them or is the newest no more: then nothing of it may be stored.
    pub(super) fn count_seals(
        &self,
        db: &Connection,
        keyring: &Keyring,
        seals: u32,
    ) -> Result<bool, VaultError> {
        self.count(db, keyring, self.newest.version(), seals)
    }

    /// As [`count_seals`](Self::count_seals), for one entry of the audit.
    pub(super) fn count_entry(&self, db: &Connection, keyring: &Keyring) -> Result<bool, VaultError> {
        self.count(db, keyring, self.audit_version, 1)
    }

    fn count(
        &self,
        db: &Connection,
        keyring: &Keyring,
        version: u32,
        seals: u32,
    ) -> Result<bool, VaultError> {
        let counted = db
            .prepare_cached(COUNT_SEALS)
            .and_then(|mut statement| statement.execute(params![self.row, version, seals, keyring.max_seals]))
            .map_err(failed)?;
        Ok(counted == 1)
    }

    /// The key that seals the bodies of audit entries.
    pub(super) fn audit_key(&self, keyring: &Keyring) -> Result<&DataKey, VaultError> {
        if let Some(key) = self.audit_key.get() {
            return Ok(key);
        }
        let key = DataKey::unwrap(
            &self.audit,
            &keyring.keys,
            keyring.vault,
            &self.name,
            self.audit_version,
        )?;
        Ok(self.audit_key.get_or_init(|| key))
    }
}

impl Keyring {
    pub(super) fn new(opened: Opened, keys: MasterKeys) -> Self {
        Self {
            vault: opened.id,
            keys,
            audit: opened.audit_key,
            audit_key: OnceLock::new(),
            max_seals: MAX_SEALS,
            tenants: RwLock::default(),
        }
    }

    /// The key of the vault's audit.
    pub(super) fn audit_key(&self) -> Result<&AuditKey, VaultError> {
        if let Some(key) = self.audit_key.get() {
            return Ok(key);
        }
        let key = AuditKey::unwrap(&self.audit, &self.keys, self.vault)?;
        Ok(self.audit_key.get_or_init(|| key))
    }

    pub(super) const fn master_keys(&self) -> &MasterKeys {
        &self.keys
    }

    #[cfg(test)]
    pub(super) const fn set_max_seals(&mut self, max_seals: u32) {
        self.max_seals = max_seals;
    }

    /// The tenant, if anything was ever stored for it.
    pub(super) fn tenant(&self, store: &Store, name: &TenantId) -> Result<Option<Arc<Tenant>>, VaultError> {
        let known = self
            .tenants
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .map(Arc::clone);
        match known {
            Some(known) => Ok(Some(known)),
            None => self.read(store, name),
        }
    }

    /// The tenant with a data key that may still seal; both are made if need be.
    pub(super) fn sealing_tenant(&self, store: &Store, name: &TenantId) -> Result<Arc<Tenant>, VaultError> {
        if let Some(tenant) = self.tenant(store, name)? {
            return Ok(tenant);
        }
        self.add_tenant(store, name)?;
        self.read(store, name)?.ok_or(VaultError::Damaged)
    }

    /// What to do when a count says no: read what is stored, and add a key in place of one that is used up.
    pub(super) fn renew(&self, store: &Store, stale: &Tenant) -> Result<(), VaultError> {
        self.forget(&stale.name);
        let (data, audit) = store.read(|db| {
            Ok((
                newest_key(db, stale.row, AUDIT_KEYS)?,
                newest_key(db, stale.row, u32::MAX)?,
            ))
        })?;
        for newest in [data, audit].into_iter().flatten() {
            let is_ours = [stale.newest.version(), stale.audit_version].contains(&newest.version);
            if is_ours && newest.seals.saturating_add(2) > self.max_seals {
                self.add_key(store, stale, newest.version)?;
            }
        }
        Ok(())
    }

    /// Gives a tenant its next data key: what is sealed from now on is sealed with it.
    pub(super) fn rotate(&self, store: &Store, tenant: &Tenant) -> Result<bool, VaultError> {
        let newest = store.read(|db| newest_key(db, tenant.row, AUDIT_KEYS))?;
        let added = match newest {
            Some(newest) => self.add_key(store, tenant, newest.version)?,
            None => false,
        };
        self.forget(&tenant.name);
        Ok(added)
    }

    /// Opens a record with the key that it names.
    pub(super) fn open(
        &self,
        store: &Store,
        tenant: &Tenant,
        context: &Context<'_>,
        record: Vec<u8>,
    ) -> Result<Fields, VaultError> {
        let version = DataKey::version_of(&record)?;
        if version == tenant.newest.version() {
            return tenant.newest.open(context, record);
        }
        self.other_key(store, tenant, version)?.open(context, record)
    }

    /// Opens the body of an audit entry.
    pub(super) fn open_entry(
        &self,
        store: &Store,
        tenant: &Tenant,
        number: u64,
        body: Vec<u8>,
    ) -> Result<Fields, VaultError> {
        let version = DataKey::version_of(&body)?;
        if version == tenant.audit_version {
            return tenant
                .audit_key(self)?
                .open_audit(self.vault, &tenant.name, number, body);
        }
        self.other_key(store, tenant, version)?
            .open_audit(self.vault, &tenant.name, number, body)
    }

    fn other_key(&self, store: &Store, tenant: &Tenant, version: u32) -> Result<Arc<DataKey>, VaultError> {
        let find = |keys: &[Arc<DataKey>]| keys.iter().find(|key| key.version() == version).map(Arc::clone);
        let known = find(&tenant.older.read().unwrap_or_else(PoisonError::into_inner));
        if let Some(known) = known {
            return Ok(known);
        }
        let wrapped = store.read(|db| {
            let mut statement = db.prepare_cached(KEY).map_err(failed)?;
            let mut rows = statement.query(params![tenant.row, version]).map_err(failed)?;
            match rows.next().map_err(failed)? {
                Some(row) => slots::record(row, 0),
                None => Ok(None),
            }
        })?;
        // A record of a key that there is not: it was destroyed, and what it sealed with it.
        let wrapped = wrapped.ok_or(VaultError::Tampered)?;
        let key = DataKey::unwrap(&wrapped, &self.keys, self.vault, &tenant.name, version)?;
        let mut older = tenant.older.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = find(&older) {
            return Ok(known);
        }
        let key = Arc::new(key);
        older.push(Arc::clone(&key));
        Ok(key)
    }

    fn read(&self, store: &Store, name: &TenantId) -> Result<Option<Arc<Tenant>>, VaultError> {
        let read = store.read(|db| {
            let Some(row) = tenant_row(db, name)? else {
                return Ok(None);
            };
            let keys = newest_key(db, row, AUDIT_KEYS)?.zip(newest_key(db, row, u32::MAX)?);
            Ok(keys.map(|(data, audit)| (row, data, audit)))
        })?;
        let Some((row, data, audit)) = read else {
            return Ok(None);
        };
        let newest = DataKey::unwrap(&data.wrapped, &self.keys, self.vault, name, data.version)?;
        let tenant = Arc::new(Tenant {
            row,
            name: name.clone(),
            newest,
            audit: audit.wrapped,
            audit_version: audit.version,
            audit_key: OnceLock::new(),
            older: RwLock::default(),
        });
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        if tenants.len() >= MAX_TENANTS {
            // Any will do: the order of the map is random, and whoever is needed comes back.
            if let Some(victim) = tenants.keys().next().cloned() {
                tenants.remove(&victim);
            }
        }
        tenants.insert(name.clone(), Arc::clone(&tenant));
        Ok(Some(tenant))
    }

    pub(super) fn forget(&self, name: &TenantId) {
        self.tenants
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }

    /// Stores a tenant and its first keys, unless somebody else was faster.
    fn add_tenant(&self, store: &Store, name: &TenantId) -> Result<(), VaultError> {
        let mut wrapped = Vec::with_capacity(2);
        for version in [1, AUDIT_KEYS] {
            wrapped.push((version, self.new_key(name, version)?));
        }
        store.write(|db| {
            if tenant_row(db, name)?.is_some() {
                return Ok(Step::Abandon(()));
            }
            db.execute("INSERT INTO tenants (name) VALUES (?1)", [name.as_str()])
                .map_err(failed)?;
            let row = db.last_insert_rowid();
            for (version, wrapped) in &wrapped {
                self.insert_key(db, row, *version, wrapped)?;
            }
            Ok(Step::Commit(()))
        })
    }

    /// Stores the key after `version`, unless somebody else was faster or the tenant was forgotten.
    fn add_key(&self, store: &Store, tenant: &Tenant, version: u32) -> Result<bool, VaultError> {
        let is_audit = version >= AUDIT_KEYS;
        let next = version.checked_add(1).ok_or(VaultError::Damaged)?;
        let wrapped = self.new_key(&tenant.name, next)?;
        let entry = AuditEntry::new(AuditKind::DataKeyRotated, SystemClock.now());
        store.write(|db| {
            let below = if is_audit { u32::MAX } else { AUDIT_KEYS };
            let newest = newest_key(db, tenant.row, below)?;
            if newest.is_none_or(|newest| newest.version != version) {
                return Ok(Step::Abandon(false));
            }
            self.insert_key(db, tenant.row, next, &wrapped)?;
            if !is_audit {
                db.prepare_cached(RETIRE)
                    .and_then(|mut statement| statement.execute(params![tenant.row, next]))
                    .map_err(failed)?;
                if !audit::append(db, self, tenant, &entry)? {
                    return Ok(Step::Abandon(false));
                }
            }
            Ok(Step::Commit(true))
        })
    }

    fn new_key(&self, name: &TenantId, version: u32) -> Result<Vec<u8>, VaultError> {
        let wrapped = DataKey::generate(version)?.wrap(&self.keys, self.vault, name)?;
        slots::pad(&wrapped)
    }

    fn insert_key(&self, db: &Connection, row: i64, version: u32, wrapped: &[u8]) -> Result<(), VaultError> {
        let slot = slots::store(db, None, wrapped, &[])?;
        db.prepare_cached(ADD_KEY)
            .and_then(|mut statement| statement.execute(params![row, version, self.keys.active().id(), slot]))
            .map_err(failed)?;
        Ok(())
    }
}

fn tenant_row(db: &Connection, name: &TenantId) -> Result<Option<i64>, VaultError> {
    let mut statement = db.prepare_cached(TENANT).map_err(failed)?;
    let mut rows = statement.query([name.as_str()]).map_err(failed)?;
    match rows.next().map_err(failed)? {
        Some(row) => row.get(0).map(Some).map_err(failed),
        None => Ok(None),
    }
}

/// A key as it is stored.
struct StoredKey {
    version: u32,
    seals: u32,
    wrapped: Vec<u8>,
}

/// The newest key of a tenant with a version below `below`.
fn newest_key(db: &Connection, tenant: i64, below: u32) -> Result<Option<StoredKey>, VaultError> {
    let mut statement = db.prepare_cached(NEWEST_KEY).map_err(failed)?;
    let mut rows = statement.query(params![tenant, below]).map_err(failed)?;
    let Some(row) = rows.next().map_err(failed)? else {
        return Ok(None);
    };
    Ok(Some(StoredKey {
        version: row.get(0).map_err(failed)?,
        seals: row.get(1).map_err(failed)?,
        wrapped: slots::record(row, 2)?.ok_or(VaultError::Tampered)?,
    }))
}
