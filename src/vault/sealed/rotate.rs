//! Rotates keys: wraps data keys with a new master key, and seals tokens with new data keys. It
//! works in chunks that do not disturb readers.

use crate::model::{TenantId, Timestamp};
use crate::vault::envelope::{Context, DataKey, Kind};
use crate::vault::sealed::core::Core;
use crate::vault::sealed::tenant::Tenant;
use crate::vault::sealed::{chain, rows, tokens};
use crate::vault::tables::{
    Epoch, GrantRow, KeyChange, KeyRow, Of, RowsMut, Sealed, Secrets, Tables, Write, check_wraps,
};
use crate::vault::{AuditEntry, AuditKind, Rotated, Rotation, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// The number of keys or grants in one transaction: well under 25 ms of the write lock.
const CHUNK: usize = 250;

/// A grant whose tokens an old key seals, and the same tokens under the newest key.
struct Resealed {
    before: GrantRow,
    access: Vec<u8>,
    rest: Vec<u8>,
}

impl<T: Tables> Core<T> {
    pub(super) fn rotate(&self, rotation: Rotation<'_>, now: Timestamp) -> Result<Rotated> {
        match rotation {
            Rotation::MasterKey { limit } => self.rotate_master_key(limit, now),
            Rotation::DataKey(name) => {
                let added = match self.tenant(name)? {
                    Some(tenant) => self.keyring.rotate(&self.tables, &tenant, now)?,
                    None => false,
                };
                Ok(Rotated {
                    done: usize::from(added),
                    ..Rotated::default()
                })
            }
            Rotation::Tokens { limit } => self.reseal(limit, now),
            Rotation::Destroy { former, limit } => self.rotate_and_destroy(former, limit, now),
        }
    }

    fn rotate_master_key(&self, limit: usize, now: Timestamp) -> Result<Rotated> {
        let active = *self.keyring.master_keys().active_id();
        let mut rotated = Rotated::default();
        let mut named = self.tables.read(|rows| rows.master_keys())?;
        for former in named.iter().filter(|id| **id != active) {
            while rotated.done < limit {
                let chunk = CHUNK.min(limit - rotated.done);
                let keys = self.tables.read(|rows| rows.keys_wrapped_by(former, chunk))?;
                if keys.is_empty() {
                    break;
                }
                rotated.done += keys.len();
                self.rewrap(keys, |rows| mark_rewrapped(rows, former, &active))?;
            }
        }
        named = self.tables.read(|rows| rows.master_keys())?;
        named.retain(|id| *id != active);
        if named.is_empty() {
            self.adopt_master_key(now)?;
        }
        rotated.still_named = named;
        Ok(rotated)
    }

    /// Wraps keys again with the active master key. `check` runs at the beginning of the
    /// transaction that stores them.
    pub(super) fn rewrap(
        &self,
        keys: Vec<Of<KeyRow>>,
        check: impl Fn(&mut dyn RowsMut) -> Result<()>,
    ) -> Result<()> {
        let (vault, master) = (self.keyring.vault(&self.tables)?.id, self.keyring.master_keys());
        let mut wrapped = Vec::with_capacity(keys.len());
        for Of { tenant, name, row } in keys {
            let key = DataKey::unwrap(&row.wrapped, master, vault, &name, row.version)?;
            let after = KeyRow {
                master_key: *master.active_id(),
                wrapped: key.wrap(master, vault, &name)?,
                ..row.clone()
            };
            wrapped.push((tenant, row, after));
        }
        self.write(|rows| {
            check(rows)?;
            for (tenant, before, after) in &wrapped {
                // Another process may rotate as well, or the tenant may be gone. Then the key stays
                // unchanged.
                rows.rewrap_key(*tenant, before, after)?;
            }
            Ok(Write::Commit(()))
        })
    }

    /// Makes the active master key the vault's own, once all data keys are wrapped by it.
    fn adopt_master_key(&self, now: Timestamp) -> Result<()> {
        let (key, vault) = self.keyring.audit_key(&self.tables)?;
        let master = self.keyring.master_keys();
        let active = *master.active_id();
        let check = key.check_value(master, vault);
        let audit_key = key.wrap(master, vault)?;
        let entry = AuditEntry::new(AuditKind::MasterKeyRotated, now);
        self.write(|rows| {
            let Some(mut row) = rows.vault()? else {
                return Err(VaultError::Damaged);
            };
            if row.master_key == active {
                return Ok(Write::Unchanged(()));
            }
            check_wraps(rows, &active)?;
            row.master_key = active;
            row.key_check = check;
            row.audit_key.clone_from(&audit_key);
            rows.put_vault(&row)?;
            chain::append_bare(rows, &key, vault, &entry, &[])?;
            Ok(Write::Commit(()))
        })
    }

    pub(super) fn reseal(&self, limit: usize, now: Timestamp) -> Result<Rotated> {
        let mut rotated = Rotated::default();
        for Of {
            name, row: version, ..
        } in self.tables.read(|rows| rows.retired_keys())?
        {
            let mut after = None;
            while rotated.done < limit {
                let Some(tenant) = self.tenant(&name)? else { break };
                let chunk = CHUNK.min(limit - rotated.done);
                let grants = self
                    .tables
                    .read(|rows| rows.grants_sealed_by(tenant.row, version, after, chunk))?;
                let Some((last, _)) = grants.last() else { break };
                after = Some(last.id);
                rotated.done += self.reseal_chunk(&name, &grants, now)?;
            }
            rotated.done += self.reseal_definitions_of(&name, version, limit - rotated.done, now)?;
            match self.tenant(&name)? {
                Some(tenant) if self.destroy(&tenant, version)? => rotated.destroyed += 1,
                Some(_) => rotated.remaining += 1,
                None => {}
            }
        }
        Ok(rotated)
    }

    /// Seals the definitions of a tenant that an old key seals again, at most `limit`.
    fn reseal_definitions_of(
        &self,
        name: &TenantId,
        version: u32,
        limit: usize,
        now: Timestamp,
    ) -> Result<usize> {
        let mut done = 0;
        let mut after: Option<(String, String)> = None;
        while done < limit {
            let Some(tenant) = self.tenant(name)? else { break };
            let chunk = CHUNK.min(limit - done);
            let from = after.as_ref().map(|(kind, name)| (kind.as_str(), name.as_str()));
            let found = self
                .tables
                .read(|rows| rows.definitions_sealed_by(tenant.row, version, from, chunk))?;
            let Some((last, _)) = found.last() else { break };
            after = Some((last.kind.clone(), last.name.clone()));
            done += self.reseal_definitions(name, &found, now)?;
        }
        Ok(done)
    }

    /// Seals again outside, and stores inside a transaction the records that have not changed
    /// meanwhile.
    fn reseal_chunk(&self, name: &TenantId, grants: &[(GrantRow, Sealed)], now: Timestamp) -> Result<usize> {
        self.repeat(name, now, |tenant| {
            // A record that does not open is an error to its readers, and is not overwritten.
            let resealed: Vec<_> = grants
                .iter()
                .filter_map(|(row, sealed)| self.resealed(tenant, row, sealed).ok())
                .collect();
            let needed = u32::try_from(2 * resealed.len()).map_err(|_| VaultError::TooLarge)?;
            self.write_sealed(tenant, |rows, seals| {
                let mut stored = 0;
                for Resealed { before, access, rest } in &resealed {
                    let now = rows.grant(tenant.row, before.id)?;
                    if now.is_none_or(|now| now.revision != before.revision) {
                        continue;
                    }
                    let mut row = GrantRow {
                        key_version: tenant.key().version(),
                        revision: before.revision.saturating_add(1),
                        ..before.clone()
                    };
                    rows::sign_grant(&mut row, tenant.row_key());
                    rows.put_grant(tenant.row, &row, Secrets::Set { access, rest })?;
                    stored += 1;
                }
                // Like every change, this locks grants before keys.
                if !seals.count(rows, needed)? {
                    return Ok(Write::NewDataKey);
                }
                Ok(Write::Commit(stored))
            })
        })
    }

    fn resealed(&self, tenant: &Tenant, row: &GrantRow, sealed: &Sealed) -> Result<Resealed> {
        let stored = rows::grant(row, &tenant.name, tenant.row_key())?;
        let access = tokens::context(tenant, &stored.grant, Kind::AccessToken, &row.route);
        let rest = Context {
            kind: Kind::Rest,
            ..access
        };
        Ok(Resealed {
            before: row.clone(),
            access: self.sealed_again(tenant, &access, sealed.access.as_ref())?,
            rest: self.sealed_again(tenant, &rest, sealed.rest.as_ref())?,
        })
    }

    fn sealed_again(
        &self,
        tenant: &Tenant,
        context: &Context<'_>,
        record: Option<&Vec<u8>>,
    ) -> Result<Vec<u8>> {
        let Some(record) = record else {
            return Ok(Vec::new());
        };
        let fields = self.keyring.open(&self.tables, tenant, context, record.clone())?;
        tenant.key().seal(context, &fields.expose_all()?)
    }

    /// Destroys a retired data key if it no longer seals anything.
    fn destroy(&self, tenant: &Tenant, version: u32) -> Result<bool> {
        self.write(|rows| {
            if rows.names_key(tenant.row, version)? {
                return Ok(Write::Unchanged(false));
            }
            rows.delete_key(tenant.row, version)?;
            Ok(Write::Commit(true))
        })
    }
}

/// Notes that the active master key wraps former data keys from now on.
fn mark_rewrapped(rows: &mut dyn RowsMut, former: &[u8; 16], active: &[u8; 16]) -> Result<()> {
    check_wraps(rows, active)?;
    match Epoch::read(rows)? {
        Some(found) if found.change == KeyChange::Rewrapped && found.active == *active => Ok(()),
        // It would keep readable what the other rotation is about to erase.
        Some(found) if found.change == KeyChange::Replacing => Err(VaultError::NotSupported(
            "`rotate_master_key` while `rotate_and_destroy` has not ended; repeat that one until it has",
        )),
        _ => Epoch {
            change: KeyChange::Rewrapped,
            former: *former,
            active: *active,
        }
        .put(rows),
    }
}
