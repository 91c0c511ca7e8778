//! Tenants and their data keys: read once, then remembered.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::{Connection, params};

use crate::model::TenantId;
use crate::vault::VaultError;
use crate::vault::envelope::{Context, DataKey, Fields, MasterKeys, VaultId};
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::store::{Step, Store};

/// After so many seals a tenant gets a new data key. Random nonces of 96 bits are good for 2^32.
const MAX_SEALS: u32 = 1 << 30;
/// How many tenants are remembered: well under a megabyte.
const MAX_TENANTS: usize = 1024;

pub(super) const TENANT: &str = "SELECT id FROM tenants WHERE name = ?1";
pub(super) const NEWEST_KEY: &str = "SELECT version, wrapped, seals FROM tenant_keys
    WHERE tenant = ?1 ORDER BY version DESC LIMIT 1";
pub(super) const KEY: &str = "SELECT wrapped FROM tenant_keys WHERE tenant = ?1 AND version = ?2";
pub(super) const COUNT_SEALS: &str = "UPDATE tenant_keys SET seals = seals + ?3
    WHERE tenant = ?1 AND version = ?2 AND seals + ?3 <= ?4
      AND version = (SELECT max(version) FROM tenant_keys WHERE tenant = ?1)";

/// Opens data keys with the master keys and remembers them.
pub(super) struct Keyring {
    pub(super) vault: VaultId,
    keys: MasterKeys,
    max_seals: u32,
    tenants: RwLock<HashMap<TenantId, Arc<Tenant>>>,
}

/// A tenant, its row, and the data keys that were needed so far.
pub(super) struct Tenant {
    pub(super) row: i64,
    name: TenantId,
    newest: DataKey,
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
        let counted = db
            .prepare_cached(COUNT_SEALS)
            .and_then(|mut statement| {
                statement.execute(params![self.row, self.newest.version(), seals, keyring.max_seals])
            })
            .map_err(failed)?;
        Ok(counted == 1)
    }
}

impl Keyring {
    pub(super) fn new(vault: VaultId, keys: MasterKeys) -> Self {
        Self {
            vault,
            keys,
            max_seals: MAX_SEALS,
            tenants: RwLock::default(),
        }
    }

    #[cfg(test)]
    pub(super) const fn with_max_seals(mut self, max_seals: u32) -> Self {
        self.max_seals = max_seals;
        self
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
        self.add_key(store, name, 1)?;
        self.read(store, name)?.ok_or(VaultError::Damaged)
    }

    /// What to do when [`Tenant::count_seals`] says no: read what is stored, and add a key if that one is used up.
    pub(super) fn renew(&self, store: &Store, stale: &Tenant) -> Result<(), VaultError> {
        self.forget(&stale.name);
        let newest = store.read(|db| newest_key(db, stale.row))?;
        match newest {
            Some((version, _, _)) if version != stale.newest.version() => Ok(()),
            Some((version, _, _)) => {
                let next = version.checked_add(1).ok_or(VaultError::Damaged)?;
                self.add_key(store, &stale.name, next)
            }
            None => Ok(()),
        }
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
                Some(row) => row.get::<_, Vec<u8>>(0).map_err(failed),
                // A record of a key that there is not: it cannot be one of ours any more.
                None => Err(VaultError::Tampered),
            }
        })?;
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
            let row = tenant_row(db, name)?;
            match row {
                Some(row) => Ok(newest_key(db, row)?.map(|key| (row, key))),
                None => Ok(None),
            }
        })?;
        let Some((row, (version, wrapped, _))) = read else {
            return Ok(None);
        };
        let newest = DataKey::unwrap(&wrapped, &self.keys, self.vault, name, version)?;
        let tenant = Arc::new(Tenant {
            row,
            name: name.clone(),
            newest,
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

    fn forget(&self, name: &TenantId) {
        self.tenants
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }

    /// Stores a new data key, unless somebody else was faster.
    fn add_key(&self, store: &Store, name: &TenantId, version: u32) -> Result<(), VaultError> {
        let wrapped = DataKey::generate(version)?.wrap(&self.keys, self.vault, name)?;
        store.write(|db| {
            db.execute("INSERT OR IGNORE INTO tenants (name) VALUES (?1)", [name.as_str()])
                .map_err(failed)?;
            let row = tenant_row(db, name)?.ok_or(VaultError::Damaged)?;
            db.execute(
                "INSERT OR IGNORE INTO tenant_keys (tenant, version, master_key, wrapped) VALUES (?1, ?2, ?3, ?4)",
                params![row, version, self.keys.active().id(), wrapped],
            )
            .map_err(failed)?;
            Ok(Step::Commit(()))
        })?;
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

fn newest_key(db: &Connection, tenant: i64) -> Result<Option<(u32, Vec<u8>, u32)>, VaultError> {
    let mut statement = db.prepare_cached(NEWEST_KEY).map_err(failed)?;
    let mut rows = statement.query([tenant]).map_err(failed)?;
    match rows.next().map_err(failed)? {
        Some(row) => {
            let read = (|| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))();
            read.map(Some).map_err(failed)
        }
        None => Ok(None),
    }
}
