//! Revocations that the provider has not confirmed yet. Their tokens stay sealed, where nothing resolves them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use valetkey::model::{Actor, Connection, ConnectionId, TenantId, Timestamp};
use valetkey::vault::{AuditEntry, AuditKind, PendingRevocation, Revoked, Settlement, Tokens, VaultError};

use crate::rows::{decode, encode};
use crate::shelf::{Batch, Table};
use crate::vault::ShelfVault;

/// More are not kept: a provider that is away for good must not fill the shelf.
const MOST: usize = 10_000;
/// How long whoever revokes has for the first attempt.
const HEAD_START: Duration = Duration::from_secs(60);

/// The sealed access token and what is sealed beside it, as far as they are there.
pub type Sealed = (Option<Vec<u8>>, Option<Vec<u8>>);

#[derive(Serialize, Deserialize)]
pub struct Pending {
    id: u64,
    /// As it was when its tokens were sealed: they are bound to it.
    pub connection: Connection,
    attempts: u32,
    not_before: Timestamp,
    give_up_at: Timestamp,
}

impl Batch<'_> {
    /// Keeps tokens and numbers them, if there are any and there is room.
    fn queue(
        &mut self,
        connection: &Connection,
        (access, rest): Sealed,
        not_before: Timestamp,
        give_up_at: Timestamp,
    ) -> Result<Option<u64>, VaultError> {
        let is_full = self.scan(vec![Table::Outbox as u8]).count() >= MOST;
        if is_full || access.is_none() && rest.is_none() {
            return Ok(None);
        }
        let id = self.next_number(Table::Outbox)?;
        for (table, record) in [(Table::OutboxAccess, access), (Table::OutboxRest, rest)] {
            if let Some(record) = record {
                self.put(table.key(&connection.tenant, &id.to_be_bytes()), record);
            }
        }
        self.put_pending(&Pending {
            id,
            connection: connection.clone(),
            attempts: 0,
            not_before,
            give_up_at,
        })?;
        Ok(Some(id))
    }

    fn put_pending(&mut self, pending: &Pending) -> Result<(), VaultError> {
        let key = Table::Outbox.key(&pending.connection.tenant, &pending.id.to_be_bytes());
        self.put(key, encode(pending)?);
        Ok(())
    }

    /// The pending revocations of all tenants.
    pub fn all_pending(&self) -> Result<Vec<Pending>, VaultError> {
        let rows = self.scan(vec![Table::Outbox as u8]);
        rows.map(|(_, row)| decode(row)).collect()
    }

    /// Deletes a pending revocation and its tokens.
    pub fn drop_pending(&mut self, pending: &Pending) {
        for table in [Table::Outbox, Table::OutboxAccess, Table::OutboxRest] {
            self.take(table.key(&pending.connection.tenant, &pending.id.to_be_bytes()));
        }
    }
}

impl ShelfVault {
    /// Revokes, and queues the tokens if it is said until when to try.
    pub fn erase(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
        now: Timestamp,
        give_up_at: Option<Timestamp>,
    ) -> Result<Option<Revoked>, VaultError> {
        let Some(pen) = self.sealer.known_pen(tenant)? else {
            return Ok(None);
        };
        let erased = self.shelf.batch(|batch| {
            let Some(ending) = batch.end(tenant, id)? else {
                return Ok(None);
            };
            let queued = match (&ending.last, give_up_at) {
                (Some((keeper, sealed)), Some(give_up_at)) => {
                    batch.queue(keeper, sealed.clone(), now + HEAD_START, give_up_at)?
                }
                _ => None,
            };
            for ended in &ending.ended {
                let mut told = AuditEntry::new(AuditKind::Revoked, now).by(by);
                if !ending.still_used_by.is_empty() {
                    told = told.detail("grant_still_used");
                }
                pen.tell_of(batch, ended, told)?;
            }
            Ok(Some((ending, queued)))
        })?;
        let Some((ending, queued)) = erased else {
            return Ok(None);
        };
        let (access_token, refresh_token, id_token) = match ending.last {
            Some((keeper, sealed)) => self.sealer.open_held(&keeper, sealed),
            None => (None, None, None),
        };
        let (tokens, refused) = match access_token {
            Some(access_token) => {
                let tokens = Tokens {
                    access_token,
                    refresh_token,
                    id_token,
                };
                (Some(tokens), None)
            }
            None => (None, refresh_token),
        };
        Ok(Some(Revoked {
            connection: ending.connection,
            tokens,
            refused,
            queued,
            still_used_by: ending.still_used_by,
        }))
    }

    pub fn queue_late(
        &self,
        connection: &Connection,
        tokens: &Tokens,
        now: Timestamp,
        give_up_at: Timestamp,
    ) -> Result<bool, VaultError> {
        let pen = self.sealer.pen(&connection.tenant, 2)?;
        let sealed = pen.seal_tokens(connection, connection.generation, tokens)?;
        let sealed = (Some(sealed.access), Some(sealed.rest));
        self.shelf.batch(|batch| {
            pen.check(batch)?;
            Ok(batch.queue(connection, sealed, now, give_up_at)?.is_some())
        })
    }

    pub fn lease_pending(
        &self,
        now: Timestamp,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<PendingRevocation>, VaultError> {
        let leased = self.shelf.batch(|batch| {
            let mut due = batch.all_pending()?;
            due.retain(|pending| pending.not_before <= now);
            due.sort_by_key(|pending| pending.not_before);
            due.truncate(limit);
            let mut leased = Vec::new();
            for mut pending in due {
                (pending.not_before, pending.attempts) = (now + lease, pending.attempts.saturating_add(1));
                batch.put_pending(&pending)?;
                let record = |table: Table| {
                    batch.get(&table.key(&pending.connection.tenant, &pending.id.to_be_bytes()))
                };
                let sealed = (record(Table::OutboxAccess), record(Table::OutboxRest));
                leased.push((pending, sealed));
            }
            Ok(leased)
        })?;
        let mut lent = Vec::new();
        for (pending, sealed) in leased {
            let (access_token, refresh_token, _) = self.sealer.open_held(&pending.connection, sealed);
            let Connection {
                id: connection,
                tenant,
                provider,
                issued_by,
                parameters,
                ..
            } = pending.connection;
            // Too old, or what is in it does not open: nobody can revoke it any more.
            if pending.give_up_at <= now || access_token.is_none() && refresh_token.is_none() {
                self.settle(&tenant, pending.id, Settlement::GivenUp, now)?;
                continue;
            }
            lent.push(PendingRevocation {
                id: pending.id,
                tenant,
                connection,
                provider,
                issued_by,
                parameters,
                access_token,
                refresh_token,
                attempts: pending.attempts,
                give_up_at: pending.give_up_at,
            });
        }
        Ok(lent)
    }

    pub fn settle(
        &self,
        tenant: &TenantId,
        id: u64,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let Some(pen) = self.sealer.known_pen(tenant)? else {
            return Ok(());
        };
        self.shelf.batch(|batch| {
            let Some(row) = batch.get(&Table::Outbox.key(tenant, &id.to_be_bytes())) else {
                return Ok(());
            };
            let mut pending: Pending = decode(&row)?;
            if let Settlement::Again { at } = settlement {
                pending.not_before = at;
                return batch.put_pending(&pending);
            }
            batch.drop_pending(&pending);
            let ended = AuditEntry::new(AuditKind::RevocationEnded, now).detail(settlement.as_str());
            pen.tell_of(batch, &pending.connection, ended)?;
            Ok(())
        })
    }
}
