//! Revocations that the provider has not confirmed yet: their tokens stay sealed, where nothing can resolve them.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection as Database, Row, params};

use crate::model::{Connection, ConnectionId, IssuedBy, ProviderId, ServerId, TenantId, Timestamp};
use crate::vault::lifecycle::Keep;
use crate::vault::sqlite::erase::{Held, Sealed};
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::keys::Tenant;
use crate::vault::sqlite::rows::{self, get, signed};
use crate::vault::sqlite::store::Step;
use crate::vault::sqlite::{SqliteVault, audit, slots};
use crate::vault::{AuditEntry, AuditKind, PendingRevocation, Settlement, Tokens, VaultError};

/// More of them are not kept: a provider that is away for good must not fill the disk.
const MOST: i64 = 10_000;
/// How long whoever revokes has for the first attempt before upkeep makes one.
const HEAD_START: Duration = Duration::from_secs(60);

const COUNT: &str = "SELECT count(*) FROM (SELECT 1 FROM outbox LIMIT ?1)";
const ADOPT: &str = "INSERT INTO outbox (tenant, uuid, owner, provider, server, token_endpoint, client_id, parameters,
    generation, attempts, not_before, give_up_at, slot, key_version)
    SELECT tenant, uuid, owner, provider, server, token_endpoint, client_id, parameters, generation, 0, ?3, ?4, slot,
    key_version FROM connections WHERE tenant = ?1 AND uuid = ?2";
const INSERT: &str =
    "INSERT INTO outbox (tenant, uuid, owner, provider, server, token_endpoint, client_id, parameters,
    generation, attempts, not_before, give_up_at, slot, key_version)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, ?10, ?11, ?12, ?13)";
pub(super) const DUE: &str = "SELECT o.id, t.name, o.uuid, o.owner, o.provider, o.server, o.token_endpoint,
    o.client_id, o.parameters, o.generation, o.attempts, o.give_up_at, s.access, s.rest
    FROM outbox o JOIN tenants t ON t.id = o.tenant JOIN secrets s ON s.slot = o.slot
    WHERE o.not_before <= ?1 AND t.name IS NOT NULL ORDER BY o.not_before LIMIT ?2";
pub(super) const LEASE: &str = "UPDATE outbox SET not_before = ?2, attempts = attempts + 1 WHERE id = ?1";
pub(super) const FIND: &str =
    "SELECT uuid, provider, generation, slot, owner FROM outbox WHERE id = ?1 AND tenant = ?2";
pub(super) const AGAIN: &str = "UPDATE outbox SET not_before = ?2 WHERE id = ?1";
pub(super) const DELETE: &str = "DELETE FROM outbox WHERE id = ?1";

fn is_full(db: &Database) -> Result<bool, VaultError> {
    let mut statement = db.prepare_cached(COUNT).map_err(failed)?;
    let count: i64 = statement.query_row([MOST], |row| row.get(0)).map_err(failed)?;
    Ok(count >= MOST)
}

/// Takes over the slot of a connection that is being revoked. Returns the number of the revocation; none if there is
/// no room for it.
pub(super) fn adopt(
    db: &Database,
    tenant: i64,
    id: ConnectionId,
    now: Timestamp,
    give_up_at: Timestamp,
) -> Result<Option<u64>, VaultError> {
    if is_full(db)? {
        return Ok(None);
    }
    let first = (now + HEAD_START).as_unix_millis();
    db.prepare_cached(ADOPT)
        .and_then(|mut statement| {
            statement.execute(params![tenant, id.as_bytes(), first, give_up_at.as_unix_millis()])
        })
        .map_err(failed)?;
    Ok(u64::try_from(db.last_insert_rowid()).ok())
}

/// Deletes a pending revocation and its tokens.
pub(super) fn delete(db: &Database, id: i64, slot: i64) -> Result<(), VaultError> {
    slots::wipe(db, Some(slot), Keep::Nothing)?;
    db.prepare_cached(DELETE)
        .and_then(|mut statement| statement.execute([id]))
        .map_err(failed)?;
    Ok(())
}

/// A pending revocation, its tokens still sealed.
struct Stored {
    id: i64,
    /// As much of the connection as its seals are bound to.
    connection: Connection,
    attempts: u32,
    give_up_at: Timestamp,
    sealed: Sealed,
}

fn stored(row: &Row<'_>) -> Result<Stored, VaultError> {
    let damaged = |_| VaultError::Damaged;
    let issued_by = IssuedBy {
        server: ServerId::new(get::<String>(row, 5)?).map_err(damaged)?,
        token_endpoint: get(row, 6)?,
        client_id: get(row, 7)?,
    };
    let mut connection = Connection::new(
        ConnectionId::from_bytes(get(row, 2)?),
        TenantId::new(get::<String>(row, 1)?).map_err(damaged)?,
        rows::owner(&get::<String>(row, 3)?)?,
        ProviderId::new(get::<String>(row, 4)?).map_err(damaged)?,
        issued_by,
        Timestamp::from_unix_millis(0),
    );
    connection.parameters = rows::parameters(&get::<String>(row, 8)?)?;
    connection.generation = u64::try_from(get::<i64>(row, 9)?).map_err(|_| VaultError::Damaged)?;
    Ok(Stored {
        id: get(row, 0)?,
        connection,
        attempts: get(row, 10)?,
        give_up_at: Timestamp::from_unix_millis(get(row, 11)?),
        sealed: Sealed {
            access: slots::record(row, 12).unwrap_or_default(),
            rest: slots::record(row, 13).unwrap_or_default(),
        },
    })
}

impl SqliteVault {
    pub(super) fn write_revocation(
        &self,
        connection: &Connection,
        tokens: &Tokens,
        now: Timestamp,
        give_up_at: Timestamp,
    ) -> Result<bool, VaultError> {
        let parameters = rows::parameters_text(&connection.parameters)?;
        self.write_sealed(
            &connection.tenant,
            |tenant| self.seal_tokens(tenant, connection, connection.generation, tokens),
            |db, tenant, sealed| {
                if is_full(db)? {
                    return Ok(Step::Abandon(Some(false)));
                }
                if !tenant.count_seals(db, &self.keyring, sealed.seals())? {
                    return Ok(Step::Abandon(None));
                }
                let slot = sealed.store(db, None)?;
                let values = params![
                    tenant.row,
                    connection.id.as_bytes(),
                    rows::owner_text(&connection.owner),
                    connection.provider.as_str(),
                    connection.issued_by.server.as_str(),
                    connection.issued_by.token_endpoint,
                    connection.issued_by.client_id,
                    parameters,
                    signed(connection.generation),
                    now.as_unix_millis(),
                    give_up_at.as_unix_millis(),
                    slot,
                    tenant.key().version(),
                ];
                db.prepare_cached(INSERT)
                    .and_then(|mut statement| statement.execute(values))
                    .map_err(failed)?;
                Ok(Step::Commit(Some(true)))
            },
        )
    }

    pub(super) fn lease_revocations(
        &self,
        now: Timestamp,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<PendingRevocation>, VaultError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let leased = self.store.write(|db| {
            let mut leased = Vec::new();
            {
                let mut statement = db.prepare_cached(DUE).map_err(failed)?;
                let mut found = statement
                    .query(params![now.as_unix_millis(), limit])
                    .map_err(failed)?;
                while let Some(row) = found.next().map_err(failed)? {
                    leased.push(stored(row)?);
                }
            }
            let mut statement = db.prepare_cached(LEASE).map_err(failed)?;
            for stored in &leased {
                statement
                    .execute(params![stored.id, (now + lease).as_unix_millis()])
                    .map_err(failed)?;
            }
            Ok(if leased.is_empty() {
                Step::Abandon(leased)
            } else {
                Step::Commit(leased)
            })
        })?;
        let mut pending = Vec::with_capacity(leased.len());
        for stored in leased {
            let id = u64::try_from(stored.id).map_err(|_| VaultError::Damaged)?;
            let name = stored.connection.tenant.clone();
            let opened = match self.tenant(&name)? {
                Some(tenant) if stored.give_up_at > now => self.open_pending(&tenant, stored),
                _ => None,
            };
            match opened {
                Some(revocation) => pending.push(revocation),
                // Too old, or what is in it does not open: nobody can revoke it any more.
                None => self.end_revocation(&name, id, Settlement::GivenUp, now)?,
            }
        }
        Ok(pending)
    }

    fn open_pending(&self, tenant: &Arc<Tenant>, stored: Stored) -> Option<PendingRevocation> {
        let Held { access_token, rest } = self.open_held(tenant, &stored.connection, stored.sealed).ok()?;
        let refresh_token = rest.and_then(|rest| rest.refresh_token);
        if access_token.is_none() && refresh_token.is_none() {
            return None;
        }
        Some(PendingRevocation {
            id: u64::try_from(stored.id).ok()?,
            tenant: stored.connection.tenant,
            connection: stored.connection.id,
            provider: stored.connection.provider,
            issued_by: stored.connection.issued_by,
            parameters: stored.connection.parameters,
            access_token,
            refresh_token,
            attempts: stored.attempts.saturating_add(1),
            give_up_at: stored.give_up_at,
        })
    }

    pub(super) fn end_revocation(
        &self,
        name: &TenantId,
        id: u64,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        if self.tenant(name)?.is_none() {
            return Ok(());
        }
        let id = signed(id);
        self.write_audited(name, |db, tenant| {
            if let Settlement::Again { at } = settlement {
                db.prepare_cached(AGAIN)
                    .and_then(|mut statement| statement.execute(params![id, at.as_unix_millis()]))
                    .map_err(failed)?;
                return Ok(Step::Commit(Some(())));
            }
            let found = {
                let mut statement = db.prepare_cached(FIND).map_err(failed)?;
                let mut found = statement.query(params![id, tenant.row]).map_err(failed)?;
                match found.next().map_err(failed)? {
                    Some(row) => {
                        let provider = ProviderId::new(get::<String>(row, 1)?);
                        let provider = provider.map_err(|_| VaultError::Damaged)?;
                        let generation = u64::try_from(get::<i64>(row, 2)?).unwrap_or(0);
                        let entry = AuditEntry::new(AuditKind::RevocationEnded, now)
                            .user(rows::owner(&get::<String>(row, 4)?)?.user())
                            .about(ConnectionId::from_bytes(get(row, 0)?), &provider, generation)
                            .detail(settlement.as_str());
                        Some((entry, get::<i64>(row, 3)?))
                    }
                    None => None,
                }
            };
            let Some((entry, slot)) = found else {
                return Ok(Step::Abandon(Some(())));
            };
            delete(db, id, slot)?;
            if !audit::append(db, &self.keyring, tenant, &entry)? {
                return Ok(Step::Abandon(None));
            }
            Ok(Step::Commit(Some(())))
        })
    }
}
