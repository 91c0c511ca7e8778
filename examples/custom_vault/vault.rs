//! The trait, method by method: load, let `lifecycle` decide, store. Secrets are sealed before the batch
//! that stores them and opened after the one that read them.

use std::sync::Arc;
use std::time::Duration;

use valetkey::model::{
    Actor, Connection, ConnectionId, NeedsConsent, Scopes, ServerId, Status, TenantId, Timestamp, UserId,
};
use valetkey::secret::PkceVerifier;
use valetkey::vault::envelope::MasterKeys;
use valetkey::vault::lifecycle::{self, Keep, Lifecycle};
use valetkey::vault::{
    AuditEntry, AuditFilter, AuditKind, Claim, ClaimOutcome, ClaimRequest, Claimed, CommitOutcome,
    ConnectionQuery, ConsentStatus, Due, Erasure, Forgotten, Found, Grant, Handout, Holder, PendingConsent,
    PendingRevocation, RefreshFailure, Renewed, Revoked, Settlement, StateHash, StoreOutcome, StoredToken,
    TokenQuery, Tokens, Use, Vault, VaultError,
};

use valetkey::{Clock as _, SystemClock};

use crate::audit::about_consent;
use crate::rows::Entry;
use crate::sealing::Sealer;
use crate::sharing::Kept;
use crate::shelf::{Shelf, Table};

/// A vault on the host's own shelf.
#[derive(Debug)]
pub struct ShelfVault {
    pub shelf: Arc<Shelf>,
    pub sealer: Sealer,
    holder: Holder,
}

impl ShelfVault {
    pub fn open(shelf: Arc<Shelf>, keys: impl Into<MasterKeys>) -> Result<Self, VaultError> {
        let sealer = Sealer::open(Arc::clone(&shelf), keys.into())?;
        // Any number that no other handle has; a version 7 UUID is one.
        let holder = ConnectionId::generate(SystemClock.now())?;
        Ok(Self {
            shelf,
            sealer,
            holder: Holder::from_bytes(*holder.as_bytes()),
        })
    }

    /// Stores what `decide` makes of a connection's lifecycle, erases what it does not keep, and tells it.
    fn change(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        told: Option<AuditEntry>,
        decide: impl FnOnce(&mut Lifecycle) -> (CommitOutcome, Keep),
    ) -> Result<CommitOutcome, VaultError> {
        let Some(pen) = self.sealer.known_pen(tenant)? else {
            return Ok(CommitOutcome::Gone);
        };
        self.shelf.batch(|batch| {
            let Some(mut entry) = batch.entry(tenant, id)? else {
                return Ok(CommitOutcome::Gone);
            };
            if entry.connection.shares.is_some() {
                // Its tokens are not its own to end.
                return Ok(CommitOutcome::Superseded);
            }
            let (outcome, keep) = decide(&mut entry.lifecycle);
            if outcome == CommitOutcome::Stored {
                batch.take_tokens(tenant, id, keep);
                let connection = batch.put_entry(entry)?;
                if let Some(told) = told {
                    pen.tell_of(batch, &connection, told)?;
                }
            }
            Ok(outcome)
        })
    }

    /// Active connections of all tenants that can be refreshed and match.
    fn refreshable(&self, wanted: impl Fn(&Entry) -> bool) -> Result<Vec<Entry>, VaultError> {
        let mut entries = self.shelf.batch(|batch| batch.all_entries())?;
        entries.retain(|entry| {
            entry.lifecycle.status == Status::Active && entry.lifecycle.refreshable && wanted(entry)
        });
        Ok(entries)
    }

    /// A token as a turn wants it. All of it was read in one batch: its generation is its keeper's.
    fn stored_token(&self, kept: Kept, wanted: Option<&Scopes>) -> Result<StoredToken, VaultError> {
        let Kept {
            shown,
            keeper,
            sealed,
        } = kept;
        let access_token = if keeper.status == Status::Active {
            // An active connection has a token: somebody took it away.
            let record = sealed.ok_or(VaultError::Tampered)?;
            Some(self.sealer.open_access(&keeper, record)?)
        } else {
            None
        };
        Ok(StoredToken {
            connection: shown.id,
            shares: shown.shares,
            generation: shown.generation,
            status: shown.status,
            access_token,
            refreshed_at: shown.refreshed_at,
            expires_at: shown.expires_at,
            refreshable: shown.refreshable,
            missing: wanted
                .map(|wanted| wanted.difference(&keeper.granted))
                .unwrap_or_default(),
            parameters: shown.parameters,
            refresh: shown.refresh,
        })
    }
}

impl Vault for ShelfVault {
    fn insert_consent(
        &self,
        consent: &PendingConsent,
        verifier: Option<&PkceVerifier>,
    ) -> Result<(), VaultError> {
        let pen = self.sealer.pen(&consent.tenant, 2)?;
        let sealed = verifier
            .map(|verifier| pen.seal_verifier(consent, verifier))
            .transpose()?;
        self.shelf.batch(|batch| {
            if let Some(sealed) = sealed {
                let key = Table::Verifiers.key(&consent.tenant, consent.state.as_bytes());
                batch.put(key, sealed);
            }
            batch.put_consent(consent)?;
            let started = about_consent(consent, AuditKind::ConsentStarted, consent.created_at);
            pen.tell(batch, started)?;
            Ok(())
        })
    }

    fn consent(&self, tenant: &TenantId, state: &StateHash) -> Result<Option<PendingConsent>, VaultError> {
        self.shelf.batch(|batch| batch.consent(tenant, state))
    }

    fn consents(&self, tenant: &TenantId, user: &UserId) -> Result<Vec<PendingConsent>, VaultError> {
        self.shelf.batch(|batch| {
            let mut consents = batch.consents()?;
            consents.retain(|consent| consent.tenant == *tenant && consent.user == *user);
            Ok(consents)
        })
    }

    fn take_consent(
        &self,
        tenant: &TenantId,
        state: &StateHash,
        now: Timestamp,
    ) -> Result<Option<Option<PkceVerifier>>, VaultError> {
        let read = self.shelf.batch(|batch| {
            let sealed = batch.get(&Table::Verifiers.key(tenant, state.as_bytes()));
            Ok(batch
                .pending_consent(tenant, state, now)?
                .map(|consent| (consent, sealed)))
        })?;
        let Some((consent, sealed)) = read else {
            return Ok(None);
        };
        // Opened first: a consent whose verifier does not open must not be used up.
        let verifier = sealed
            .map(|record| self.sealer.open_verifier(&consent, record))
            .transpose()?;
        self.shelf.batch(|batch| {
            let Some(mut consent) = batch.pending_consent(tenant, state, now)? else {
                return Ok(None);
            };
            consent.status = ConsentStatus::Taken;
            batch.put_consent(&consent)?;
            batch.take(Table::Verifiers.key(tenant, state.as_bytes()));
            Ok(Some(verifier))
        })
    }

    fn close_consent(
        &self,
        tenant: &TenantId,
        state: &StateHash,
        status: ConsentStatus,
    ) -> Result<(), VaultError> {
        let Some(pen) = self.sealer.known_pen(tenant)? else {
            return Ok(());
        };
        let kind = match status {
            ConsentStatus::Denied | ConsentStatus::Cancelled => AuditKind::ConsentDenied,
            _ => AuditKind::ConsentFailed,
        };
        self.shelf.batch(|batch| match batch.consent(tenant, state)? {
            Some(consent) if consent.status == ConsentStatus::Taken => {
                pen.tell(batch, about_consent(&consent, kind, SystemClock.now()))?;
                batch.put_consent(&PendingConsent { status, ..consent })
            }
            _ => Ok(()),
        })
    }

    fn purge_consents(&self, before: Timestamp, limit: usize) -> Result<usize, VaultError> {
        self.shelf.batch(|batch| {
            let mut dead = batch.consents()?;
            dead.retain(|consent| consent.expires_at < before);
            dead.truncate(limit);
            for consent in &dead {
                batch.drop_consent(consent);
            }
            Ok(dead.len())
        })
    }

    fn store_grant(&self, grant: &Grant<'_>) -> Result<StoreOutcome, VaultError> {
        let new = grant.connection;
        let pen = self.sealer.pen(&new.tenant, 3)?;
        let sealed = pen.seal_tokens(new, new.generation, grant.tokens)?;
        self.shelf.batch(|batch| {
            if !batch.join(grant)? {
                return Ok(StoreOutcome::Conflict);
            }
            batch.put_tokens(&new.tenant, new.id, sealed);
            let mut user = new.owner.user().cloned();
            if let Some(mut consent) = batch.consent(&new.tenant, grant.consent)? {
                let completed = grant.members.first().unwrap_or(new).id;
                consent.status = ConsentStatus::Completed(completed);
                batch.put_consent(&consent)?;
                batch.take(Table::Verifiers.key(&new.tenant, grant.consent.as_bytes()));
                user = Some(consent.user);
            }
            let told = if new.is_keeper {
                grant.members
            } else {
                std::slice::from_ref(new)
            };
            for connection in told {
                let entry = AuditEntry::new(AuditKind::ConsentCompleted, new.refreshed_at)
                    .user(user.as_ref())
                    .about(connection.id, &connection.provider, new.generation);
                pen.tell(batch, entry)?;
            }
            Ok(StoreOutcome::Stored)
        })
    }

    fn connection(&self, tenant: &TenantId, id: ConnectionId) -> Result<Option<Connection>, VaultError> {
        self.shelf.batch(|batch| match batch.entry(tenant, id)? {
            Some(entry) => batch.shown(entry.connection).map(Some),
            None => Ok(None),
        })
    }

    fn connections(&self, query: &ConnectionQuery<'_>) -> Result<Vec<Connection>, VaultError> {
        self.shelf.batch(|batch| {
            batch
                .entries(query.tenant)?
                .into_iter()
                .map(|entry| entry.connection)
                .filter(|connection| match query.shares {
                    Some(_) => connection.shares == query.shares,
                    None => {
                        !connection.is_keeper
                            && query.owner.is_none_or(|owner| connection.owner == *owner)
                            && query
                                .provider
                                .is_none_or(|provider| connection.provider == *provider)
                    }
                })
                .filter(|connection| query.with_revoked || connection.status != Status::Revoked)
                .filter(|connection| query.after.is_none_or(|after| connection.id > after))
                .take(query.limit)
                .map(|connection| batch.shown(connection))
                .collect()
        })
    }

    fn set_default(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
    ) -> Result<bool, VaultError> {
        let Some(pen) = self.sealer.known_pen(tenant)? else {
            return Ok(false);
        };
        self.shelf.batch(|batch| match batch.entry(tenant, id)? {
            Some(entry) if entry.connection.status != Status::Revoked && !entry.connection.is_keeper => {
                batch.choose_default(&entry.connection)?;
                let told = AuditEntry::new(AuditKind::DefaultSet, SystemClock.now()).by(by);
                pen.tell_of(batch, &entry.connection, told)?;
                Ok(true)
            }
            _ => Ok(false),
        })
    }

    fn record_use(&self, uses: &[Use]) -> Result<(), VaultError> {
        self.shelf.batch(|batch| {
            for used in uses {
                batch.used(&used.tenant, used.connection, used.at)?;
            }
            Ok(())
        })
    }

    fn find_token(&self, query: &TokenQuery<'_>) -> Result<Found, VaultError> {
        let found = self.shelf.batch(|batch| {
            let mut matching = batch.entries(query.tenant)?;
            matching.retain(|Entry { connection, .. }| {
                connection.owner.user() == query.user
                    && connection.provider == *query.provider
                    && connection.status != Status::Revoked
                    && !connection.is_keeper
                    && query
                        .label
                        .is_none_or(|label| connection.label.as_ref() == Some(label))
            });
            if matching.len() > 1 {
                matching.retain(|entry| entry.connection.is_default);
                if matching.is_empty() {
                    return Ok(Err(Found::Several));
                }
            }
            let Some(Entry { connection, .. }) = matching.pop() else {
                return Ok(Err(Found::Nothing));
            };
            batch.kept(connection).map(Ok)
        })?;
        match found {
            Ok(kept) => self.stored_token(kept, Some(query.scopes)).map(Found::One),
            Err(none) => Ok(none),
        }
    }

    fn token(&self, tenant: &TenantId, id: ConnectionId) -> Result<Option<StoredToken>, VaultError> {
        let found = self.shelf.batch(|batch| match batch.entry(tenant, id)? {
            Some(entry) if entry.connection.status != Status::Revoked => {
                batch.kept(entry.connection).map(Some)
            }
            _ => Ok(None),
        })?;
        found.map(|kept| self.stored_token(kept, None)).transpose()
    }

    fn holder(&self) -> Result<Holder, VaultError> {
        Ok(self.holder)
    }

    fn due(&self, now: Timestamp, horizon: Duration, limit: usize) -> Result<Vec<Due>, VaultError> {
        let mut due = self.refreshable(|entry| {
            let soon = entry
                .connection
                .expires_at
                .is_some_and(|expiry| expiry < now + horizon);
            let held = entry.lifecycle.held.is_some_and(|held| held.is_live(now));
            soon && !held && entry.lifecycle.backs_off(now).is_none()
        })?;
        due.sort_by_key(|entry| entry.connection.expires_at);
        Ok(due.into_iter().take(limit).map(Entry::due).collect())
    }

    fn idle(
        &self,
        refreshed_before: Timestamp,
        server: &ServerId,
        limit: usize,
    ) -> Result<Vec<Due>, VaultError> {
        let mut idle = self.refreshable(|entry| {
            entry.connection.issued_by.server == *server && entry.connection.refreshed_at < refreshed_before
        })?;
        idle.sort_by_key(|entry| entry.connection.refreshed_at);
        Ok(idle.into_iter().take(limit).map(Entry::due).collect())
    }

    fn erase_quarantined(&self, now: Timestamp, limit: usize) -> Result<usize, VaultError> {
        let mut over = self.shelf.batch(|batch| batch.all_entries())?;
        over.retain_mut(|entry| lifecycle::end_quarantine(&mut entry.lifecycle, now));
        over.truncate(limit);
        let mut pens = Vec::with_capacity(over.len());
        for Entry { connection, .. } in &over {
            pens.extend(
                self.sealer
                    .known_pen(&connection.tenant)?
                    .map(|pen| (pen, connection.id)),
            );
        }
        self.shelf.batch(|batch| {
            let mut erased = 0;
            for (pen, id) in pens {
                // Decided again: it may have been renewed meanwhile.
                if let Some(mut entry) = batch.entry(pen.tenant, id)?
                    && lifecycle::end_quarantine(&mut entry.lifecycle, now)
                {
                    batch.take_tokens(pen.tenant, id, Keep::Nothing);
                    let connection = batch.put_entry(entry)?;
                    let told = AuditEntry::new(AuditKind::QuarantineErased, now);
                    pen.tell_of(batch, &connection, told)?;
                    erased += 1;
                }
            }
            Ok(erased)
        })
    }

    fn claim_refresh(&self, request: &ClaimRequest<'_>) -> Result<ClaimOutcome, VaultError> {
        let (tenant, id) = (request.tenant, request.connection);
        let (seen, sealed) = self.shelf.batch(|batch| {
            let sealed = batch.get(&Table::Rest.key(tenant, id.as_bytes()));
            Ok((batch.entry(tenant, id)?, sealed))
        })?;
        let Some(mut seen) = seen else {
            return Ok(ClaimOutcome::Gone);
        };
        if let Err(refused) = lifecycle::claim(&mut seen.lifecycle, request, None).granted() {
            return Ok(refused);
        }
        // Opened first: a claim whose token does not open would keep everybody else waiting for nothing.
        let record = sealed.ok_or(VaultError::Tampered)?;
        let (refresh_token, id_token) = self.sealer.open_rest(&seen.connection, record)?;
        let refresh_token = refresh_token.ok_or(VaultError::Tampered)?;
        // And decided again: somebody may have been faster. The token is still the right one then, because a
        // claim is granted for the generation that the request names and for no other.
        self.shelf.batch(|batch| {
            let Some(mut entry) = batch.entry(tenant, id)? else {
                return Ok(ClaimOutcome::Gone);
            };
            let (claim, outcome_unknown) =
                match lifecycle::claim(&mut entry.lifecycle, request, None).granted() {
                    Ok(granted) => granted,
                    Err(refused) => return Ok(refused),
                };
            Ok(ClaimOutcome::Granted(Box::new(Claimed {
                claim,
                connection: batch.put_entry(entry)?,
                refresh_token,
                id_token,
                outcome_unknown,
            })))
        })
    }

    fn commit_refresh(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        claim: &Claim,
        renewed: &Renewed<'_>,
    ) -> Result<CommitOutcome, VaultError> {
        // For what the seal is bound to and no refresh changes: the owner and the provider.
        let Some(connection) = self.connection(tenant, id)? else {
            return Ok(CommitOutcome::Gone);
        };
        let generation = claim.generation.saturating_add(1);
        let pen = self.sealer.pen(tenant, 3)?;
        let sealed = pen.seal_tokens(&connection, generation, renewed.tokens)?;
        let refreshable = renewed.tokens.refresh_token.is_some();
        self.shelf.batch(|batch| {
            let Some(mut entry) = batch.entry(tenant, id)? else {
                return Ok(CommitOutcome::Gone);
            };
            let outcome = lifecycle::commit(&mut entry.lifecycle, claim, refreshable);
            if outcome == CommitOutcome::Stored {
                entry.connection.refreshed_at = renewed.at;
                entry.connection.expires_at = renewed.expires_at;
                if let Some(granted) = renewed.granted {
                    entry.connection.granted = granted.clone();
                }
                let connection = batch.put_entry(entry)?;
                batch.put_tokens(tenant, id, sealed);
                pen.tell_of(
                    batch,
                    &connection,
                    AuditEntry::new(AuditKind::Refreshed, renewed.at).by(renewed.by),
                )?;
            }
            Ok(outcome)
        })
    }

    fn fail_refresh(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        claim: &Claim,
        failure: &RefreshFailure,
    ) -> Result<CommitOutcome, VaultError> {
        let told = match failure {
            RefreshFailure::Rejected { reason, at, .. } => {
                Some(AuditEntry::new(AuditKind::RefreshRejected, *at).detail(reason.as_str()))
            }
            _ => None,
        };
        self.change(tenant, id, told, |lifecycle| {
            lifecycle::fail(lifecycle, claim, failure)
        })
    }

    fn need_consent(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        generation: u64,
        reason: NeedsConsent,
    ) -> Result<CommitOutcome, VaultError> {
        let told = AuditEntry::new(AuditKind::ConsentNeeded, SystemClock.now()).detail(reason.as_str());
        self.change(tenant, id, Some(told), |lifecycle| {
            let outcome = lifecycle::need_consent(lifecycle, generation, reason);
            (outcome, Keep::Nothing)
        })
    }

    fn revoke(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Result<Option<Revoked>, VaultError> {
        self.erase(tenant, id, by, now, None)
    }

    fn revoke_and_queue(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
        now: Timestamp,
        give_up_at: Timestamp,
    ) -> Result<Option<Revoked>, VaultError> {
        self.erase(tenant, id, by, now, Some(give_up_at))
    }

    fn queue_revocation(
        &self,
        connection: &Connection,
        tokens: &Tokens,
        now: Timestamp,
        give_up_at: Timestamp,
    ) -> Result<bool, VaultError> {
        self.queue_late(connection, tokens, now, give_up_at)
    }

    fn take_revocations(
        &self,
        now: Timestamp,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<PendingRevocation>, VaultError> {
        self.lease_pending(now, lease, limit)
    }

    fn settle_revocation(
        &self,
        tenant: &TenantId,
        id: u64,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        self.settle(tenant, id, settlement, now)
    }

    fn forget_user(
        &self,
        tenant: &TenantId,
        user: &UserId,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Result<Option<Forgotten>, VaultError> {
        self.erase_user(tenant, user, by, now)
    }

    fn forget_tenant(&self, tenant: &TenantId, now: Timestamp) -> Result<Option<Forgotten>, VaultError> {
        self.erase_tenant(tenant, now)
    }

    fn record_handouts(&self, handouts: &[Handout]) -> Result<(), VaultError> {
        self.store_handouts(handouts)
    }

    fn audit(&self, filter: &AuditFilter<'_>) -> Result<Vec<AuditEntry>, VaultError> {
        self.read_audit(filter)
    }

    fn clear_residue(&self) -> Result<Erasure, VaultError> {
        // A map keeps no log of what was in it. A database that does says `Pending` until its log is cut.
        Ok(Erasure::Cleared)
    }
}
