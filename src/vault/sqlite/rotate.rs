//! New keys for old: master keys rewrap data keys, data keys reseal records. In chunks, and readers never notice.

use rusqlite::{Connection as Database, params};

use crate::clock::{Clock as _, SystemClock};
use crate::model::TenantId;
use crate::vault::envelope::{Context, DataKey, Kind};
use crate::vault::lifecycle::Keep;
use crate::vault::sqlite::connections::Stored;
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::keys::Tenant;
use crate::vault::sqlite::rows::{self, CONNECTION_COLUMNS, connection_columns, get};
use crate::vault::sqlite::store::Step;
use crate::vault::sqlite::{SqliteVault, audit, slots};
use crate::vault::{AuditEntry, AuditKind, Resealed, Rewrapped, VaultError};

/// How many keys or records one transaction takes: well under 25 ms of the write lock.
const CHUNK: usize = 250;

pub(super) const NEXT_MASTER: &str = "SELECT master_key FROM tenant_keys WHERE master_key > ?1
    ORDER BY master_key LIMIT 1";
pub(super) const WRAPPED_BY: &str = "SELECT k.tenant, k.version, t.name, k.slot, s.access FROM tenant_keys k
    JOIN tenants t ON t.id = k.tenant JOIN secrets s ON s.slot = k.slot WHERE k.master_key = ?1 LIMIT ?2";
pub(super) const REWRAP: &str = "UPDATE tenant_keys SET master_key = ?4
    WHERE tenant = ?1 AND version = ?2 AND master_key = ?3";
const MASTER: &str = "SELECT master_key, audit_key FROM vault WHERE only = 1";
const SET_MASTER: &str = "UPDATE vault SET master_key = ?2, key_check = ?3, audit_key = ?4
    WHERE only = 1 AND master_key = ?1";
pub(super) const RETIRED: &str =
    "SELECT k.version, t.name FROM tenant_keys k JOIN tenants t ON t.id = k.tenant
    WHERE k.retired = 1 AND t.name IS NOT NULL";
pub(super) const SEALED_BY: &str = concat!(
    "SELECT ",
    connection_columns!(),
    ", s.access, s.rest FROM connections c JOIN secrets s ON s.slot = c.slot
    WHERE c.tenant = ?1 AND c.key_version = ?2 AND c.slot IS NOT NULL AND c.id > ?3 ORDER BY c.id LIMIT ?4"
);
pub(super) const SET_VERSION: &str = "UPDATE connections SET key_version = ?4
    WHERE id = ?1 AND slot = ?2 AND key_version = ?3";
pub(super) const IS_NAMED: &str = "SELECT
    EXISTS (SELECT 1 FROM connections WHERE tenant = ?1 AND key_version = ?2 AND slot IS NOT NULL)
    OR EXISTS (SELECT 1 FROM consents WHERE tenant = ?1 AND key_version = ?2 AND slot IS NOT NULL)
    OR EXISTS (SELECT 1 FROM outbox WHERE tenant = ?1 AND key_version = ?2)";
pub(super) const KEY_SLOT: &str =
    "SELECT slot FROM tenant_keys WHERE tenant = ?1 AND version = ?2 AND retired = 1";
pub(super) const DELETE_KEY: &str =
    "DELETE FROM tenant_keys WHERE tenant = ?1 AND version = ?2 AND retired = 1";

/// A key as it lies in its slot, and wrapped anew.
struct Wrapped {
    tenant: i64,
    version: u32,
    slot: i64,
    old: Vec<u8>,
    new: Vec<u8>,
}

/// A connection whose records are sealed by an old key, and its slot as it was read.
struct Old {
    stored: Stored,
    access: Vec<u8>,
    rest: Vec<u8>,
}

/// Whether a slot still holds these bytes.
fn holds(db: &Database, slot: i64, access: &[u8], rest: &[u8]) -> Result<bool, VaultError> {
    let mut statement = db.prepare_cached(slots::READ).map_err(failed)?;
    let mut found = statement.query([slot]).map_err(failed)?;
    match found.next().map_err(failed)? {
        Some(row) => Ok(get::<Vec<u8>>(row, 0)? == access && get::<Vec<u8>>(row, 1)? == rest),
        None => Ok(false),
    }
}

impl SqliteVault {
    /// Wraps keys with the master key in use that are wrapped by a former one, at most `limit`. Call it until nothing
    /// remains; it goes on where it was cut off. Then the former key can be taken out of the host's keeping.
    ///
    /// Give every process the new key as a former one first, then as the one in use; rotate then.
    ///
    /// # Errors
    ///
    /// [`VaultError::UnknownMasterKey`] if a key is wrapped by a master key that was not given.
    pub fn rotate_master_key(&self, limit: usize) -> Result<Rewrapped, VaultError> {
        let active = *self.keyring.master_keys().active().id();
        let mut rewrapped = 0;
        for former in self.named_master_keys()? {
            while former != active && rewrapped < limit {
                let chunk = self.wrapped_by(&former, CHUNK.min(limit - rewrapped))?;
                if chunk.is_empty() {
                    break;
                }
                self.store.write(|db| {
                    for key in &chunk {
                        let changed = db
                            .prepare_cached(REWRAP)
                            .and_then(|mut statement| {
                                statement.execute(params![key.tenant, key.version, former, active])
                            })
                            .map_err(failed)?;
                        // Somebody else rotates as well, or the tenant is gone.
                        if changed == 1 && holds(db, key.slot, &key.old, &[])? {
                            slots::store(db, Some(key.slot), &key.new, &[])?;
                        }
                    }
                    Ok(Step::Commit(()))
                })?;
                rewrapped += chunk.len();
            }
        }
        let mut named = self.named_master_keys()?;
        named.retain(|id| *id != active);
        if named.is_empty() {
            self.adopt_master_key(&active)?;
        }
        Ok(Rewrapped {
            rewrapped,
            still_named: named,
        })
    }

    /// The ids of the master keys by which any key is wrapped.
    fn named_master_keys(&self) -> Result<Vec<[u8; 16]>, VaultError> {
        self.store.read(|db| {
            let mut named = Vec::new();
            let mut statement = db.prepare_cached(NEXT_MASTER).map_err(failed)?;
            loop {
                let after = named.last().map_or(&[][..], |id: &[u8; 16]| id);
                let mut found = statement.query([after]).map_err(failed)?;
                match found.next().map_err(failed)? {
                    Some(row) => {
                        let id = get(row, 0)?;
                        named.push(id);
                    }
                    None => return Ok(named),
                }
            }
        })
    }

    fn wrapped_by(&self, former: &[u8; 16], limit: usize) -> Result<Vec<Wrapped>, VaultError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = self.store.read(|db| {
            let mut statement = db.prepare_cached(WRAPPED_BY).map_err(failed)?;
            let mut found = statement.query(params![former, limit]).map_err(failed)?;
            let mut read = Vec::new();
            while let Some(row) = found.next().map_err(failed)? {
                let record = slots::record(row, 4)?.ok_or(VaultError::Tampered)?;
                let key = Wrapped {
                    tenant: get(row, 0)?,
                    version: get(row, 1)?,
                    slot: get(row, 3)?,
                    old: get(row, 4)?,
                    new: Vec::new(),
                };
                read.push((key, get::<String>(row, 2)?, record));
            }
            Ok(read)
        })?;
        let (vault, keys) = (self.keyring.vault, self.keyring.master_keys());
        let mut chunk = Vec::with_capacity(read.len());
        for (mut key, name, record) in read {
            let name = TenantId::new(name).map_err(|_| VaultError::Damaged)?;
            let opened = DataKey::unwrap(&record, keys, vault, &name, key.version)?;
            key.new = slots::pad(&opened.wrap(keys, vault, &name)?)?;
            chunk.push(key);
        }
        Ok(chunk)
    }

    /// Makes the key in use the vault's own, once no data key names another.
    fn adopt_master_key(&self, active: &[u8; 16]) -> Result<(), VaultError> {
        let (vault, keys) = (self.keyring.vault, self.keyring.master_keys());
        let audit_key = self.keyring.audit_key()?.wrap(keys, vault)?;
        let check = keys.active().check_value(vault);
        let entry = AuditEntry::new(AuditKind::MasterKeyRotated, SystemClock.now());
        self.store.write(|db| {
            let former: [u8; 16] = db.query_row(MASTER, [], |row| row.get(0)).map_err(failed)?;
            if former == *active {
                return Ok(Step::Abandon(()));
            }
            db.execute(SET_MASTER, params![former, active, check, audit_key])
                .map_err(failed)?;
            audit::append_bare(db, &self.keyring, None, &entry, Vec::new())?;
            Ok(Step::Commit(()))
        })
    }

    /// Gives a workspace a new data key. What is stored from now on is sealed with it; the rest is by
    /// [`reseal`](Self::reseal), or when it is next written. Returns whether there is such a workspace.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not stored.
    pub fn rotate_data_key(&self, tenant: &TenantId) -> Result<bool, VaultError> {
        match self.tenant(tenant)? {
            Some(tenant) => self.keyring.rotate(&self.store, &tenant),
            None => Ok(false),
        }
    }

    /// Seals at most `limit` connections' tokens (of all workspaces) with their newest data key, and destroys data
    /// keys that seal nothing any more. Call it now and then, until nothing remains; verifiers of pending consents and
    /// pending revocations hold an old key for as long as they last.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read or written. A record that does not open is left as it is.
    pub fn reseal(&self, limit: usize) -> Result<Resealed, VaultError> {
        let retired = self.store.read(|db| {
            let mut statement = db.prepare_cached(RETIRED).map_err(failed)?;
            let mut found = statement.query([]).map_err(failed)?;
            let mut retired = Vec::new();
            while let Some(row) = found.next().map_err(failed)? {
                retired.push((get::<u32>(row, 0)?, get::<String>(row, 1)?));
            }
            Ok(retired)
        })?;
        let mut done = Resealed::default();
        for (version, name) in retired {
            let name = TenantId::new(name).map_err(|_| VaultError::Damaged)?;
            let mut after = 0;
            while done.resealed < limit {
                let Some(tenant) = self.tenant(&name)? else { break };
                let chunk = self.sealed_by(&tenant, version, after, CHUNK.min(limit - done.resealed))?;
                let Some(last) = chunk.last() else { break };
                after = last.stored.row;
                done.resealed += self.reseal_chunk(&name, version, &chunk)?;
            }
            match self.tenant(&name)? {
                Some(tenant) if self.destroy(&tenant, version)? => done.destroyed += 1,
                Some(_) => done.remaining += 1,
                None => {}
            }
        }
        Ok(done)
    }

    fn sealed_by(
        &self,
        tenant: &Tenant,
        version: u32,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Old>, VaultError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.store.read(|db| {
            let mut statement = db.prepare_cached(SEALED_BY).map_err(failed)?;
            let mut found = statement
                .query(params![tenant.row, version, after, limit])
                .map_err(failed)?;
            let mut chunk = Vec::new();
            while let Some(row) = found.next().map_err(failed)? {
                chunk.push(Old {
                    stored: Stored {
                        row: get(row, 0)?,
                        slot: get(row, rows::SLOT)?,
                        connection: rows::connection(row, &tenant.name)?,
                        lifecycle: rows::lifecycle(row)?,
                    },
                    access: get(row, CONNECTION_COLUMNS)?,
                    rest: get(row, CONNECTION_COLUMNS + 1)?,
                });
            }
            Ok(chunk)
        })
    }

    /// Seals anew outside, and stores inside a transaction what nobody has changed meanwhile.
    fn reseal_chunk(&self, name: &TenantId, version: u32, chunk: &[Old]) -> Result<usize, VaultError> {
        self.write_sealed(
            name,
            |tenant| {
                let mut sealed = Vec::with_capacity(chunk.len());
                let mut seals = 0_u32;
                for old in chunk {
                    let context = self.context(
                        &old.stored.connection,
                        Kind::AccessToken,
                        old.stored.connection.generation,
                    );
                    let rest = Context {
                        kind: Kind::Rest,
                        ..context
                    };
                    let both = self
                        .sealed_anew(tenant, &context, &old.access)
                        .and_then(|access| Ok((access, self.sealed_anew(tenant, &rest, &old.rest)?)));
                    // What does not open is an error to whoever needs it, and nothing to be overwritten.
                    seals += if both.is_ok() { 2 } else { 0 };
                    sealed.push(both.ok());
                }
                Ok((sealed, seals))
            },
            |db, tenant, (sealed, seals)| {
                if !tenant.count_seals(db, &self.keyring, *seals)? {
                    return Ok(Step::Abandon(None));
                }
                let mut stored = 0;
                for (old, sealed) in chunk.iter().zip(sealed) {
                    let (Some(slot), Some((access, rest))) = (old.stored.slot, sealed) else {
                        continue;
                    };
                    if !holds(db, slot, &old.access, &old.rest)? {
                        continue;
                    }
                    let changed = db
                        .prepare_cached(SET_VERSION)
                        .and_then(|mut statement| {
                            statement.execute(params![old.stored.row, slot, version, tenant.key().version()])
                        })
                        .map_err(failed)?;
                    if changed == 1 {
                        slots::store(db, Some(slot), access, rest)?;
                        stored += 1;
                    }
                }
                Ok(Step::Commit(Some(stored)))
            },
        )
    }

    /// One record of a slot under the newest key, as long as it was; zeros stay zeros.
    fn sealed_anew(
        &self,
        tenant: &Tenant,
        context: &Context<'_>,
        padded: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let Some(record) = slots::unpad(padded)? else {
            return Ok(padded.to_vec());
        };
        let fields = self.keyring.open(&self.store, tenant, context, record)?;
        slots::pad(&tenant.key().seal(context, &fields.expose_all()?)?)
    }

    /// Destroys a retired data key, if nothing is sealed with it any more.
    fn destroy(&self, tenant: &Tenant, version: u32) -> Result<bool, VaultError> {
        self.store.write(|db| {
            let named: bool = db
                .prepare_cached(IS_NAMED)
                .and_then(|mut statement| statement.query_row(params![tenant.row, version], |row| row.get(0)))
                .map_err(failed)?;
            if named {
                return Ok(Step::Abandon(false));
            }
            let slot: Option<i64> = {
                let mut statement = db.prepare_cached(KEY_SLOT).map_err(failed)?;
                let mut found = statement.query(params![tenant.row, version]).map_err(failed)?;
                match found.next().map_err(failed)? {
                    Some(row) => get(row, 0)?,
                    None => return Ok(Step::Abandon(false)),
                }
            };
            slots::wipe(db, slot, Keep::Nothing)?;
            db.prepare_cached(DELETE_KEY)
                .and_then(|mut statement| statement.execute(params![tenant.row, version]))
                .map_err(failed)?;
            Ok(Step::Commit(true))
        })
    }
}
