//! Revocations, and tokens that wait for the provider: they stay sealed, in a table that resolves
//! never read.

use std::time::Duration;

use crate::model::{ConnectionId, Grant, GrantId, RevocationId, TenantId, Timestamp};
use crate::secret::{AccessToken, RefreshToken};
use crate::vault::change::{self, Decided, Kept};
use crate::vault::codec::{Decoder, Encoder};
use crate::vault::envelope::{Context, Kind};
use crate::vault::sealed::apply::{Applied, Ends, Needs, SealedRevocation};
use crate::vault::sealed::core::Core;
use crate::vault::sealed::rows;
use crate::vault::sealed::snapshot::Reader;
use crate::vault::sealed::tenant::Tenant;
use crate::vault::sealed::tokens::Opened;
use crate::vault::tables::{Of, RevocationRow, RowsMut, Sealed, Tables, Write};
use crate::vault::{
    AuditEntry, AuditKind, EndedGrant, LateTokens, PendingRevocation, Revoke, RevokeWhat, Revoked,
    Settlement, VaultError,
};

type Result<T> = std::result::Result<T, VaultError>;

/// The largest number of pending revocations: a provider that never answers must not fill the disk.
const MOST: usize = 10_000;

/// The largest number of grants that one revocation ends at the provider: the current one and its
/// former ones.
const MOST_ENDED: usize = 256;

/// Returns the encoding of all facts about the grant that a pending revocation needs.
fn body(grant: &Grant) -> Vec<u8> {
    Encoder::new()
        .bytes(grant.id.as_bytes())
        .u64(grant.generation)
        .bytes(&rows::route(grant))
        .finish()
}

fn grant(tenant: &TenantId, body: &[u8]) -> Result<Grant> {
    let mut decoder = Decoder::new(body);
    let id = GrantId::from_bytes(decoder.array()?);
    let generation = decoder.u64()?;
    let mut grant = rows::grant_of_route(tenant, id, decoder.bytes()?)?;
    decoder.finish()?;
    grant.generation = generation;
    Ok(grant)
}

/// Returns the encoding that the tokens are bound to: the whole row, except the schedule.
fn route(row: &RevocationRow) -> Vec<u8> {
    Encoder::new()
        .bytes(row.connection.as_bytes())
        .text(&row.owner)
        .i64(row.give_up_at)
        .bytes(&row.body)
        .finish()
}

fn context<'a>(
    tenant: &'a Tenant,
    grant: &'a Grant,
    row: &'a RevocationRow,
    kind: Kind,
    route: &'a [u8],
) -> Context<'a> {
    Context {
        kind,
        vault: tenant.vault,
        tenant: &tenant.name,
        owner: grant.owner.user(),
        provider: &grant.provider,
        id: row.id.as_bytes(),
        generation: grant.generation,
        route,
    }
}

/// Seals tokens for a pending revocation. Returns `None` if there are none.
pub(in crate::vault) fn seal(
    tenant: &Tenant,
    grant: &Grant,
    row: &RevocationRow,
    access_token: Option<&AccessToken>,
    refresh_token: Option<&RefreshToken>,
) -> Result<Option<Sealed>> {
    if access_token.is_none() && refresh_token.is_none() {
        return Ok(None);
    }
    let route = route(row);
    let seal = |kind, secret: &str| {
        let context = context(tenant, grant, row, kind, &route);
        tenant.key().seal(&context, &[secret.as_bytes()])
    };
    Ok(Some(Sealed {
        access: access_token
            .map(|token| seal(Kind::RevocationAccess, token.expose_secret()))
            .transpose()?,
        rest: refresh_token
            .map(|token| seal(Kind::RevocationRest, token.expose_secret()))
            .transpose()?,
    }))
}

pub(in crate::vault) fn row(
    tenant: &Tenant,
    grant: &Grant,
    id: RevocationId,
    connection: ConnectionId,
    not_before: Timestamp,
    give_up_at: Timestamp,
) -> RevocationRow {
    RevocationRow {
        id,
        connection,
        owner: rows::owner_text(&grant.owner).to_owned(),
        not_before: not_before.as_unix_millis(),
        attempts: 0,
        give_up_at: give_up_at.as_unix_millis(),
        body: body(grant),
        key_version: tenant.key().version(),
    }
}

impl<T: Tables> Core<T> {
    /// Seals the tokens of a revoked grant for a pending revocation.
    pub(super) fn seal_kept(
        &self,
        tenant: &Tenant,
        keep: &Kept,
        grant: &Grant,
        opened: &Opened,
    ) -> Result<Option<SealedRevocation>> {
        let row = row(
            tenant,
            grant,
            keep.id,
            keep.connection,
            keep.not_before,
            keep.give_up_at,
        );
        let (access, refresh) = (opened.access_token.as_ref(), opened.refresh_token.as_ref());
        let secrets = seal(tenant, grant, &row, access, refresh)?;
        Ok(secrets.map(|secrets| SealedRevocation {
            grant: grant.id,
            row,
            secrets,
        }))
    }

    /// Stores pending revocations while there is room.
    pub(super) fn store_kept(
        rows: &mut dyn RowsMut,
        tenant: &Tenant,
        kept: &[SealedRevocation],
    ) -> Result<Vec<(GrantId, RevocationId)>> {
        let mut stored = Vec::with_capacity(kept.len());
        for revocation in kept {
            if rows.has_revocations(MOST)? {
                break;
            }
            rows.insert_revocation(tenant.row, &revocation.row, &revocation.secrets)?;
            stored.push((revocation.grant, revocation.row.id));
        }
        Ok(stored)
    }

    pub(super) fn revoke(&self, request: &Revoke<'_>) -> Result<Option<Revoked>> {
        let Some(tenant) = self.tenant(request.tenant)? else {
            return Ok(None);
        };
        let earlier = match request.what {
            RevokeWhat::Connection(id) => self.take_pending_of(&tenant, id, request.now)?,
            RevokeWhat::Grant(_) => Vec::new(),
        };
        let kept = request.keep_until.map_or(0, |_| MOST_ENDED);
        let pending: Vec<_> = (0..kept)
            .map(|_| RevocationId::generate(request.now))
            .collect::<std::result::Result<_, _>>()?;
        let decided = change::revoke::Request {
            what: request.what,
            by: request.by,
            now: request.now,
            keep_until: request.keep_until,
            last_state: GrantId::generate(request.now)?,
            pending: &pending,
        };
        let needs = Needs {
            ends: Ends::Tokens,
            ..Needs::default()
        };
        let (outcome, applied) = self.change(
            request.tenant,
            request.now,
            needs,
            |reader| load(reader, request.what),
            |read| match change::revoke::revoke(&read.snapshot, &decided) {
                Decided::Write(change, Some(mut outcome)) => {
                    for shown in &mut outcome.connections {
                        shown.used_at = read.used_at(shown.id);
                    }
                    Decided::Write(change, Some(outcome))
                }
                decided => decided,
            },
        )?;
        match outcome {
            None if earlier.is_empty() => Ok(None),
            None => Ok(Some(Revoked {
                connections: self.named(request)?,
                ended: earlier,
                still_used_by: Vec::new(),
            })),
            Some(outcome) => self.revoked(request.tenant, outcome, applied, earlier).map(Some),
        }
    }

    /// Returns the connection that a request names, for an answer about tokens that an earlier
    /// revocation left pending.
    fn named(&self, request: &Revoke<'_>) -> Result<Vec<crate::model::Connection>> {
        let RevokeWhat::Connection(id) = request.what else {
            return Ok(Vec::new());
        };
        Ok(self.connection(request.tenant, id)?.into_iter().collect())
    }

    fn revoked(
        &self,
        name: &TenantId,
        outcome: change::revoke::Outcome,
        mut applied: Applied,
        earlier: Vec<EndedGrant>,
    ) -> Result<Revoked> {
        let mut ended = Vec::with_capacity(outcome.ended.len() + earlier.len());
        for id in outcome.ended {
            let Some((grant, opened)) = applied.opened.remove(&id) else {
                continue;
            };
            debug_assert_eq!(grant.tenant, *name, "a change stays within its tenant");
            ended.push(EndedGrant {
                grant,
                access_token: opened.access_token,
                refresh_token: opened.refresh_token,
                pending: applied
                    .pending
                    .iter()
                    .find(|(of, _)| *of == id)
                    .map(|(_, id)| *id),
                attempts: 0,
            });
        }
        ended.extend(earlier);
        Ok(Revoked {
            connections: outcome.connections,
            ended,
            still_used_by: outcome.still_used_by,
        })
    }

    /// Takes the pending revocations of a connection that an earlier call left: the caller makes
    /// the next attempt.
    fn take_pending_of(&self, tenant: &Tenant, id: ConnectionId, now: Timestamp) -> Result<Vec<EndedGrant>> {
        let found = self.tables.read(|rows| rows.revocations_of(tenant.row, id))?;
        let mut taken = Vec::with_capacity(found.len());
        for (row, sealed) in found {
            if !rows::is_named(row.connection) || row.give_up_at <= now.as_unix_millis() {
                continue;
            }
            if let Some(pending) = self.open_pending(tenant, &row, sealed) {
                taken.push(EndedGrant {
                    grant: pending.grant,
                    access_token: pending.access_token,
                    refresh_token: pending.refresh_token,
                    pending: Some(row.id),
                    attempts: row.attempts,
                });
            }
        }
        Ok(taken)
    }

    pub(super) fn open_pending(
        &self,
        tenant: &Tenant,
        row: &RevocationRow,
        sealed: Sealed,
    ) -> Option<PendingRevocation> {
        let grant = grant(&tenant.name, &row.body).ok()?;
        let route = route(row);
        let open = |kind, record: Option<Vec<u8>>| {
            let context = context(tenant, &grant, row, kind, &route);
            let fields = self.keyring.open(&self.tables, tenant, &context, record?).ok()?;
            fields.into_only_text().ok()
        };
        let access = open(Kind::RevocationAccess, sealed.access);
        let refresh = open(Kind::RevocationRest, sealed.rest);
        if access.is_none() && refresh.is_none() {
            return None;
        }
        Some(PendingRevocation {
            id: row.id,
            connection: row.connection,
            access_token: access.map(|mut text| AccessToken::new(std::mem::take(&mut *text))),
            refresh_token: refresh.map(|mut text| RefreshToken::new(std::mem::take(&mut *text))),
            attempts: row.attempts.saturating_add(1),
            give_up_at: Timestamp::from_unix_millis(row.give_up_at),
            grant,
        })
    }

    pub(super) fn queue_revocation(&self, late: &LateTokens<'_>) -> Result<bool> {
        let id = RevocationId::generate(late.now)?;
        self.repeat(&late.grant.tenant, late.now, |tenant| {
            let row = row(tenant, late.grant, id, late.connection, late.now, late.give_up_at);
            let (access, refresh) = (
                Some(&late.tokens.access_token),
                late.tokens.refresh_token.as_ref(),
            );
            let secrets = seal(tenant, late.grant, &row, access, refresh)?.unwrap_or_default();
            let needed = u32::from(secrets.access.is_some()) + u32::from(secrets.rest.is_some());
            self.write_sealed(tenant, |rows, seals| {
                if rows.has_revocations(MOST)? {
                    return Ok(Write::Unchanged(false));
                }
                if !seals.count(rows, needed)? {
                    return Ok(Write::NewDataKey);
                }
                rows.insert_revocation(tenant.row, &row, &secrets)?;
                Ok(Write::Commit(true))
            })
        })
    }

    pub(super) fn take_revocations(
        &self,
        now: Timestamp,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<PendingRevocation>> {
        let leased = self.write(|rows| {
            let due = rows.due_revocations(now.as_unix_millis(), limit)?;
            for Of { tenant, row, .. } in &due {
                let mut leased = row.0.clone();
                leased.not_before = (now + lease).as_unix_millis();
                leased.attempts = leased.attempts.saturating_add(1);
                rows.schedule_revocation(*tenant, &leased)?;
            }
            Ok(if due.is_empty() {
                Write::Unchanged(due)
            } else {
                Write::Commit(due)
            })
        })?;
        let mut pending = Vec::with_capacity(leased.len());
        for Of { name, row, .. } in leased {
            let (row, sealed) = row;
            let opened = match self.tenant(&name)? {
                Some(tenant) if row.give_up_at > now.as_unix_millis() => {
                    self.open_pending(&tenant, &row, sealed)
                }
                _ => None,
            };
            match opened {
                Some(revocation) => pending.push(revocation),
                // It is too old or does not open, so it can no longer be revoked.
                None => self.settle_revocation(&name, row.id, Settlement::GivenUp, now)?,
            }
        }
        Ok(pending)
    }

    pub(super) fn settle_revocation(
        &self,
        name: &TenantId,
        id: RevocationId,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<()> {
        if self.tenant(name)?.is_none() {
            return Ok(());
        }
        let (audit_key, _) = self.keyring.audit_key(&self.tables)?;
        self.repeat(name, now, |tenant| {
            self.write_sealed(tenant, |rows, seals| {
                let Some((mut row, _)) = rows.revocation(tenant.row, id)? else {
                    return Ok(Write::Unchanged(()));
                };
                if let Settlement::Again { at } = settlement {
                    row.not_before = at.as_unix_millis();
                    row.attempts = row.attempts.max(1);
                    rows.schedule_revocation(tenant.row, &row)?;
                    return Ok(Write::Commit(()));
                }
                let entry = settled(name, &row, settlement, now);
                rows.delete_revocation(tenant.row, id)?;
                let entries = std::slice::from_ref(&entry);
                if !self.keyring.append(rows, seals, &audit_key, entries)? {
                    return Ok(Write::NewDataKey);
                }
                Ok(Write::Commit(()))
            })
        })
    }
}

/// Returns the audit entry about a pending revocation that ended. A row that cannot be read is
/// named as far as possible.
fn settled(name: &TenantId, row: &RevocationRow, settlement: Settlement, now: Timestamp) -> AuditEntry {
    let entry = AuditEntry::new(AuditKind::RevocationEnded, now).detail(settlement.as_str());
    match grant(name, &row.body) {
        Ok(grant) => entry
            .user(grant.owner.user())
            .about(row.connection, &grant.provider, grant.generation),
        Err(_) => entry,
    }
}

fn load(reader: &mut Reader<'_>, what: RevokeWhat) -> Result<()> {
    let grant = match what {
        RevokeWhat::Connection(id) => match reader.connection(id)? {
            Some(connection) if !connection.revoked => connection.grant,
            _ => return Ok(()),
        },
        RevokeWhat::Grant(id) => id,
    };
    reader.grant(grant)?;
    reader.users(grant)?;
    reader.former(grant)?;
    if let Some(current) = reader.successor(grant) {
        reader.users(current)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
