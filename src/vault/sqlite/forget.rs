//! Erasing a person or a workspace.
//!
//! A workspace's wrapped keys go first, in one short transaction: from then on nothing of it can be opened by anybody,
//! whatever else is still in the file. Its rows follow in chunks; if that is cut off, the next clearing goes on with it.

use rusqlite::{Connection as Database, Params, params};

use crate::model::{Actor, TenantId, Timestamp, UserId};
use crate::vault::lifecycle::Keep;
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::rows::get;
use crate::vault::sqlite::store::Step;
use crate::vault::sqlite::{SqliteVault, audit, consents, outbox, slots};
use crate::vault::{AuditEntry, AuditKind, Forgotten, VaultError};

const CHUNK: i64 = 250;

pub(super) const CONNECTIONS_OF: &str = "SELECT id, slot FROM connections WHERE tenant = ?1 AND owner = ?2";
pub(super) const CONSENTS_OF: &str =
    "SELECT row, slot FROM consents WHERE tenant = ?1 AND (user = ?2 OR owner = ?2)";
pub(super) const OUTBOX_OF: &str = "SELECT id, slot FROM outbox WHERE tenant = ?1 AND owner = ?2";
pub(super) const KEYS: &str = "SELECT version, slot FROM tenant_keys WHERE tenant = ?1";
pub(super) const DELETE_KEYS: &str = "DELETE FROM tenant_keys WHERE tenant = ?1";
pub(super) const UNNAME: &str = "UPDATE tenants SET name = NULL WHERE id = ?1";
pub(super) const COUNT: &str = "SELECT count(*) FROM connections WHERE tenant = ?1 AND is_keeper = 0";
pub(super) const COUNT_OF: &str =
    "SELECT count(*) FROM connections WHERE tenant = ?1 AND owner = ?2 AND is_keeper = 0";
pub(super) const UNNAMED: &str = "SELECT id FROM tenants WHERE name IS NULL LIMIT 1";
pub(super) const SOME_CONNECTIONS: &str = "SELECT id, slot FROM connections WHERE tenant = ?1 LIMIT ?2";
pub(super) const SOME_CONSENTS: &str = "SELECT row, slot FROM consents WHERE tenant = ?1 LIMIT ?2";
pub(super) const SOME_OUTBOX: &str = "SELECT id, slot FROM outbox WHERE tenant = ?1 LIMIT ?2";
pub(super) const DELETE_CONNECTION: &str = "DELETE FROM connections WHERE id = ?1";
pub(super) const DELETE_TENANT: &str = "DELETE FROM tenants WHERE id = ?1";

/// Rows and the slots of their secrets.
fn list(db: &Database, sql: &str, params: impl Params) -> Result<Vec<(i64, Option<i64>)>, VaultError> {
    let mut statement = db.prepare_cached(sql).map_err(failed)?;
    let mut found = statement.query(params).map_err(failed)?;
    let mut all = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        all.push((get(row, 0)?, get(row, 1)?));
    }
    Ok(all)
}

fn execute(db: &Database, sql: &str, row: i64) -> Result<(), VaultError> {
    db.prepare_cached(sql)
        .and_then(|mut statement| statement.execute([row]))
        .map_err(failed)?;
    Ok(())
}

/// What is to be erased, by table.
struct Doomed {
    connections: Vec<(i64, Option<i64>)>,
    consents: Vec<(i64, Option<i64>)>,
    outbox: Vec<(i64, Option<i64>)>,
}

impl Doomed {
    fn erase(&self, db: &Database) -> Result<(), VaultError> {
        for (row, slot) in &self.connections {
            slots::wipe(db, *slot, Keep::Nothing)?;
            execute(db, DELETE_CONNECTION, *row)?;
        }
        for (row, slot) in &self.consents {
            consents::delete(db, *row, *slot)?;
        }
        for (row, slot) in &self.outbox {
            slots::wipe(db, *slot, Keep::Nothing)?;
            execute(db, outbox::DELETE, *row)?;
        }
        Ok(())
    }

    const fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.consents.is_empty() && self.outbox.is_empty()
    }
}

impl SqliteVault {
    pub(super) fn erase_user(
        &self,
        name: &TenantId,
        user: &UserId,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Result<Option<Forgotten>, VaultError> {
        if self.tenant(name)?.is_none() {
            return Ok(None);
        }
        // The person's name is not in the entry: a keyed fingerprint of it is, and says the same to who knows the name.
        let mut entry =
            AuditEntry::new(AuditKind::UserForgotten, now).by(by.filter(|actor| actor.user() != user));
        entry.fingerprint = Some(self.keyring.audit_key()?.fingerprint(&[
            b"user",
            name.as_str().as_bytes(),
            user.as_str().as_bytes(),
        ]));
        self.write_audited(name, |db, tenant| {
            let of = params![tenant.row, user.as_str()];
            let doomed = Doomed {
                connections: list(db, CONNECTIONS_OF, of)?,
                consents: list(db, CONSENTS_OF, of)?,
                outbox: list(db, OUTBOX_OF, of)?,
            };
            // What keeps tokens for several was never shown as a connection.
            let count: i64 = db.query_row(COUNT_OF, of, |row| row.get(0)).map_err(failed)?;
            let count = usize::try_from(count).unwrap_or_default();
            doomed.erase(db)?;
            if !audit::append(db, &self.keyring, tenant, &entry)? {
                return Ok(Step::Abandon(None));
            }
            let proof = audit::stored_head(db)?;
            let forgotten = Forgotten::new(proof, now, count);
            Ok(Step::Commit(Some(Some(forgotten))))
        })
    }

    pub(super) fn erase_tenant(
        &self,
        name: &TenantId,
        now: Timestamp,
    ) -> Result<Option<Forgotten>, VaultError> {
        let Some(tenant) = self.tenant(name)? else {
            return Ok(None);
        };
        let entry = AuditEntry::new(AuditKind::TenantForgotten, now);
        let fingerprint = self
            .keyring
            .audit_key()?
            .fingerprint(&[b"tenant", name.as_str().as_bytes()]);
        let forgotten = self.store.write(|db| {
            let keys = list(db, KEYS, [tenant.row])?;
            if keys.is_empty() {
                return Ok(Step::Abandon(None));
            }
            for (_, slot) in keys {
                slots::wipe(db, slot, Keep::Nothing)?;
            }
            execute(db, DELETE_KEYS, tenant.row)?;
            execute(db, UNNAME, tenant.row)?;
            let count: i64 = db
                .query_row(COUNT, [tenant.row], |row| row.get(0))
                .map_err(failed)?;
            let count = usize::try_from(count).unwrap_or_default();
            let proof =
                audit::append_bare(db, &self.keyring, Some(tenant.row), &entry, fingerprint.to_vec())?;
            Ok(Step::Commit(Some(Forgotten::new(proof, now, count))))
        })?;
        self.keyring.forget(name);
        while self.sweep_forgotten()? {}
        Ok(forgotten)
    }

    /// Erases some rows of a workspace whose keys are gone. Returns whether there may be more.
    pub(super) fn sweep_forgotten(&self) -> Result<bool, VaultError> {
        let unnamed = self.store.read(|db| {
            let mut statement = db.prepare_cached(UNNAMED).map_err(failed)?;
            let mut found = statement.query([]).map_err(failed)?;
            match found.next().map_err(failed)? {
                Some(row) => get::<i64>(row, 0).map(Some),
                None => Ok(None),
            }
        })?;
        let Some(tenant) = unnamed else {
            return Ok(false);
        };
        self.store.write(|db| {
            let some = params![tenant, CHUNK];
            let doomed = Doomed {
                connections: list(db, SOME_CONNECTIONS, some)?,
                consents: list(db, SOME_CONSENTS, some)?,
                outbox: list(db, SOME_OUTBOX, some)?,
            };
            doomed.erase(db)?;
            if doomed.is_empty() {
                execute(db, DELETE_TENANT, tenant)?;
            }
            Ok(Step::Commit(true))
        })
    }
}
