//! What upkeep looks for: tokens that are about to expire, grants that lie idle, quarantines that are over.

use std::time::Duration;

use rusqlite::{Params, Row, params};

use crate::model::{ConnectionId, ProviderId, ServerId, TenantId, Timestamp};
use crate::vault::lifecycle::{self, Held, Keep};
use crate::vault::sqlite::connections::find;
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::store::Step;
use crate::vault::sqlite::{SqliteVault, audit, rows, slots};
use crate::vault::{AuditEntry, AuditKind, Due, Holder, VaultError};

/// The failure's back-off is judged as [`lifecycle::Lifecycle::backs_off`] judges it: one from a clock that was put
/// back by more than its own span is over.
pub(super) const DUE: &str =
    "SELECT t.name, c.uuid, c.generation, c.provider, c.expires_at, c.holder, c.held_fence,
    c.held_since, c.held_until FROM connections c JOIN tenants t ON t.id = c.tenant
    WHERE c.status = 'active' AND c.refreshable = 1 AND c.expires_at < ?1 AND t.name IS NOT NULL
      AND (c.not_before IS NULL OR c.not_before <= ?2
        OR c.not_before - ?2 > 2 * max(0, c.not_before - coalesce(c.failed_at, ?2)))
    ORDER BY c.expires_at";
pub(super) const IDLE: &str =
    "SELECT t.name, c.uuid, c.generation, c.provider, c.expires_at FROM connections c
    JOIN tenants t ON t.id = c.tenant
    WHERE c.server = ?1 AND c.status = 'active' AND c.refreshable = 1 AND c.refreshed_at < ?2
      AND t.name IS NOT NULL
    ORDER BY c.refreshed_at LIMIT ?3";
pub(super) const OVER: &str =
    "SELECT t.name, c.uuid, c.generation, c.provider, c.expires_at FROM connections c
    JOIN tenants t ON t.id = c.tenant WHERE c.quarantined_until <= ?1 AND t.name IS NOT NULL
    ORDER BY c.quarantined_until LIMIT ?2";

fn due(row: &Row<'_>) -> Result<Due, VaultError> {
    Ok(Due {
        tenant: TenantId::new(rows::get::<String>(row, 0)?).map_err(|_| VaultError::Damaged)?,
        connection: ConnectionId::from_bytes(rows::get(row, 1)?),
        generation: u64::try_from(rows::get::<i64>(row, 2)?).map_err(|_| VaultError::Damaged)?,
        provider: ProviderId::new(rows::get::<String>(row, 3)?).map_err(|_| VaultError::Damaged)?,
        expires_at: rows::maybe_timestamp(row, 4)?,
    })
}

impl SqliteVault {
    pub(super) fn read_due(
        &self,
        now: Timestamp,
        horizon: Duration,
        limit: usize,
    ) -> Result<Vec<Due>, VaultError> {
        let until = (now + horizon).as_unix_millis();
        self.collect(DUE, params![until, now.as_unix_millis()], limit, |row| {
            let held = rows::held(row, 5)?;
            Ok(held.is_none_or(|held| !self.is_live(&held, now)))
        })
    }

    pub(super) fn read_idle(
        &self,
        refreshed_before: Timestamp,
        server: &ServerId,
        limit: usize,
    ) -> Result<Vec<Due>, VaultError> {
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let params = params![server.as_str(), refreshed_before.as_unix_millis(), most];
        self.collect(IDLE, params, limit, |_| Ok(true))
    }

    fn collect(
        &self,
        sql: &str,
        params: impl Params,
        limit: usize,
        wanted: impl Fn(&Row<'_>) -> Result<bool, VaultError>,
    ) -> Result<Vec<Due>, VaultError> {
        self.store.read(|db| {
            let mut statement = db.prepare_cached(sql).map_err(failed)?;
            let mut found = statement.query(params).map_err(failed)?;
            let mut all = Vec::new();
            while all.len() < limit {
                match found.next().map_err(failed)? {
                    Some(row) if wanted(row)? => all.push(due(row)?),
                    Some(_) => {}
                    None => break,
                }
            }
            Ok(all)
        })
    }

    fn is_live(&self, held: &Held, now: Timestamp) -> bool {
        held.is_live(now) && !self.holders.is_dead(held.holder)
    }

    /// The holder of a claim, if it is known to be dead.
    pub(super) fn dead_holder(&self, held: Option<Held>) -> Option<Holder> {
        held.map(|held| held.holder)
            .filter(|holder| self.holders.is_dead(*holder))
    }

    pub(super) fn erase_over_quarantines(&self, now: Timestamp, limit: usize) -> Result<usize, VaultError> {
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let over = self.collect(OVER, params![now.as_unix_millis(), most], limit, |_| Ok(true))?;
        let mut erased = 0;
        for due in over {
            if self.tenant(&due.tenant)?.is_none() {
                continue;
            }
            let done = self.write_audited(&due.tenant, |db, tenant| {
                let Some(mut stored) = find(db, tenant.row, &due.tenant, due.connection)? else {
                    return Ok(Step::Abandon(Some(0)));
                };
                if !lifecycle::end_quarantine(&mut stored.lifecycle, now) {
                    return Ok(Step::Abandon(Some(0)));
                }
                let slot = slots::wipe(db, stored.slot, Keep::Nothing)?;
                rows::update_lifecycle(db, stored.row, &stored.lifecycle, slot)?;
                let entry = AuditEntry::new(AuditKind::QuarantineErased, now)
                    .user(stored.connection.owner.user())
                    .about(due.connection, &due.provider, due.generation);
                if !audit::append(db, &self.keyring, tenant, &entry)? {
                    return Ok(Step::Abandon(None));
                }
                Ok(Step::Commit(Some(1)))
            })?;
            erased += done;
        }
        Ok(erased)
    }
}
