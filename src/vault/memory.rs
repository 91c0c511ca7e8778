//! A vault without a file.

mod consents;
mod entry;
mod forget;
mod outbox;
mod state;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock as _, SystemClock};
use crate::model::{
    Actor, Connection, ConnectionId, NeedsConsent, ServerId, Status, TenantId, Timestamp, UserId,
};
use crate::random;
use crate::secret::{IdToken, PkceVerifier, RefreshToken};
use crate::vault::lifecycle::{self, Keep};
use crate::vault::memory::entry::Entry;
use crate::vault::memory::state::State;
use crate::vault::{
    AuditEntry, AuditFilter, AuditKind, AuditOrder, Claim, ClaimOutcome, ClaimRequest, Claimed,
    CommitOutcome, ConnectionQuery, ConsentStatus, Due, Erasure, Forgotten, Found, Grant, Handout, Holder,
    PendingConsent, PendingRevocation, RefreshFailure, Renewed, Revoked, Settlement, StateHash, StoreOutcome,
    StoredToken, TokenQuery, Tokens, Use, Vault, VaultError,
};

/// A vault in plain memory, for unit tests: nothing is sealed, nothing survives.
///
/// Tests of a host are better served by `SqliteVault::in_memory`, which
/// seals and stores as the real one does.
#[derive(Default)]
pub struct MemoryVault {
    state: Mutex<State>,
}

impl MemoryVault {
    /// An empty vault.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryVault").finish_non_exhaustive()
    }
}

impl Vault for MemoryVault {
    fn insert_consent(
        &self,
        consent: &PendingConsent,
        verifier: Option<&PkceVerifier>,
    ) -> Result<(), VaultError> {
        self.state().insert_consent(consent, verifier);
        Ok(())
    }

    fn consent(&self, tenant: &TenantId, state: &StateHash) -> Result<Option<PendingConsent>, VaultError> {
        Ok(self.state().consent(tenant, state))
    }

    fn consents(&self, tenant: &TenantId, user: &UserId) -> Result<Vec<PendingConsent>, VaultError> {
        Ok(self.state().consents_of(tenant, user))
    }

    fn take_consent(
        &self,
        tenant: &TenantId,
        state: &StateHash,
        now: Timestamp,
    ) -> Result<Option<Option<PkceVerifier>>, VaultError> {
        Ok(self.state().take_consent(tenant, state, now))
    }

    fn close_consent(
        &self,
        tenant: &TenantId,
        state: &StateHash,
        status: ConsentStatus,
    ) -> Result<(), VaultError> {
        self.state().close_consent(tenant, state, status);
        Ok(())
    }

    fn purge_consents(&self, before: Timestamp, limit: usize) -> Result<usize, VaultError> {
        Ok(self.state().purge_consents(before, limit))
    }

    fn store_grant(&self, grant: &Grant<'_>) -> Result<StoreOutcome, VaultError> {
        Entry::check_size(grant.tokens)?;
        Ok(self.state().store(grant))
    }

    fn connection(&self, tenant: &TenantId, id: ConnectionId) -> Result<Option<Connection>, VaultError> {
        let vault = self.state();
        let found = vault.entry(tenant, id).map(|entry| vault.shown(entry));
        found.transpose()
    }

    fn connections(&self, query: &ConnectionQuery<'_>) -> Result<Vec<Connection>, VaultError> {
        let vault = self.state();
        let mut found: Vec<Connection> = vault
            .entries
            .values()
            .filter(|Entry { connection, .. }| {
                let matches = match query.shares {
                    Some(_) => connection.shares == query.shares,
                    None => {
                        !connection.is_keeper
                            && query.owner.is_none_or(|owner| connection.owner == *owner)
                            && query
                                .provider
                                .is_none_or(|provider| connection.provider == *provider)
                    }
                };
                connection.tenant == *query.tenant
                    && matches
                    && (query.with_revoked || connection.status != Status::Revoked)
                    && query.after.is_none_or(|after| connection.id > after)
            })
            .map(|entry| vault.shown(entry))
            .collect::<Result<_, _>>()?;
        found.sort_by_key(|connection| connection.id);
        found.truncate(query.limit);
        Ok(found)
    }

    fn set_default(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
    ) -> Result<bool, VaultError> {
        let mut vault = self.state();
        let Some(entry) = vault.entry(tenant, id) else {
            return Ok(false);
        };
        if entry.connection.status == Status::Revoked || entry.connection.is_keeper {
            return Ok(false);
        }
        let (owner, provider) = (entry.connection.owner.clone(), entry.connection.provider.clone());
        for entry in vault.siblings(tenant, &owner, &provider) {
            entry.connection.is_default = entry.connection.id == id;
        }
        vault.tell_of(
            tenant,
            id,
            AuditEntry::new(AuditKind::DefaultSet, SystemClock.now()).by(by),
        );
        Ok(true)
    }

    fn record_use(&self, uses: &[Use]) -> Result<(), VaultError> {
        let mut vault = self.state();
        for used in uses {
            if let Some(entry) = vault.entry_mut(&used.tenant, used.connection) {
                entry.connection.used_at = entry.connection.used_at.max(Some(used.at));
            }
        }
        Ok(())
    }

    fn find_token(&self, query: &TokenQuery<'_>) -> Result<Found, VaultError> {
        let vault = self.state();
        let matching: Vec<_> = vault
            .entries
            .values()
            .filter(|entry| {
                let connection = &entry.connection;
                connection.tenant == *query.tenant
                    && connection.owner.user() == query.user
                    && connection.provider == *query.provider
                    && connection.status != Status::Revoked
                    && !connection.is_keeper
                    && query
                        .label
                        .is_none_or(|label| connection.label.as_ref() == Some(label))
            })
            .collect();
        let chosen = match matching.as_slice() {
            [] => return Ok(Found::Nothing),
            [only] => Some(only),
            several => several.iter().find(|entry| entry.connection.is_default),
        };
        chosen.map_or(Ok(Found::Several), |entry| {
            vault.stored_token(entry, Some(query.scopes)).map(Found::One)
        })
    }

    fn token(&self, tenant: &TenantId, id: ConnectionId) -> Result<Option<StoredToken>, VaultError> {
        let vault = self.state();
        vault
            .entry(tenant, id)
            .filter(|entry| entry.connection.status != Status::Revoked)
            .map(|entry| vault.stored_token(entry, None))
            .transpose()
    }

    fn holder(&self) -> Result<Holder, VaultError> {
        let mut vault = self.state();
        if let Some(holder) = vault.holder {
            return Ok(holder);
        }
        let mut bytes = [0; 16];
        random::fill(&mut bytes)?;
        Ok(*vault.holder.insert(Holder::from_bytes(bytes)))
    }

    fn due(&self, now: Timestamp, horizon: Duration, limit: usize) -> Result<Vec<Due>, VaultError> {
        let vault = self.state();
        let mut due: Vec<_> = vault
            .refreshable()
            .filter(|entry| {
                entry
                    .connection
                    .expires_at
                    .is_some_and(|expiry| expiry < now + horizon)
            })
            .filter(|entry| entry.lifecycle.backs_off(now).is_none())
            .filter(|entry| !entry.lifecycle.held.is_some_and(|held| held.is_live(now)))
            .map(Entry::due)
            .collect();
        due.sort_by_key(|due| due.expires_at);
        due.truncate(limit);
        Ok(due)
    }

    fn idle(
        &self,
        refreshed_before: Timestamp,
        server: &ServerId,
        limit: usize,
    ) -> Result<Vec<Due>, VaultError> {
        let vault = self.state();
        let mut idle: Vec<_> = vault
            .refreshable()
            .filter(|entry| entry.connection.issued_by.server == *server)
            .filter(|entry| entry.connection.refreshed_at < refreshed_before)
            .collect();
        idle.sort_by_key(|entry| entry.connection.refreshed_at);
        Ok(idle.into_iter().take(limit).map(Entry::due).collect())
    }

    fn claim_refresh(&self, request: &ClaimRequest<'_>) -> Result<ClaimOutcome, VaultError> {
        let mut vault = self.state();
        let Some(entry) = vault.entry_mut(request.tenant, request.connection) else {
            return Ok(ClaimOutcome::Gone);
        };
        let (claim, outcome_unknown) = match lifecycle::claim(&mut entry.lifecycle, request, None).granted() {
            Ok(granted) => granted,
            Err(refused) => return Ok(refused),
        };
        entry.show();
        let refresh_token = entry.refresh_token.as_ref().ok_or(VaultError::Tampered)?;
        Ok(ClaimOutcome::Granted(Box::new(Claimed {
            claim,
            connection: entry.connection.clone(),
            refresh_token: RefreshToken::new(refresh_token.expose_secret()),
            id_token: entry
                .id_token
                .as_ref()
                .map(|token| IdToken::new(token.expose_secret())),
            outcome_unknown,
        })))
    }

    fn commit_refresh(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        claim: &Claim,
        renewed: &Renewed<'_>,
    ) -> Result<CommitOutcome, VaultError> {
        let mut vault = self.state();
        let Some(entry) = vault.entry_mut(tenant, id) else {
            return Ok(CommitOutcome::Gone);
        };
        Entry::check_size(renewed.tokens)?;
        let refreshable = renewed.tokens.refresh_token.is_some();
        let outcome = lifecycle::commit(&mut entry.lifecycle, claim, refreshable);
        if outcome == CommitOutcome::Stored {
            entry.keep_tokens(renewed.tokens);
            entry.connection.refreshed_at = renewed.at;
            entry.connection.expires_at = renewed.expires_at;
            if let Some(granted) = renewed.granted {
                entry.connection.granted = granted.clone();
            }
            entry.show();
            vault.tell_of(
                tenant,
                id,
                AuditEntry::new(AuditKind::Refreshed, renewed.at).by(renewed.by),
            );
        }
        Ok(outcome)
    }

    fn fail_refresh(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        claim: &Claim,
        failure: &RefreshFailure,
    ) -> Result<CommitOutcome, VaultError> {
        let mut vault = self.state();
        let Some(entry) = vault.entry_mut(tenant, id) else {
            return Ok(CommitOutcome::Gone);
        };
        let (outcome, keep) = lifecycle::fail(&mut entry.lifecycle, claim, failure);
        entry.erase(keep);
        entry.show();
        if let RefreshFailure::Rejected { reason, at, .. } = failure
            && outcome == CommitOutcome::Stored
        {
            let told = AuditEntry::new(AuditKind::RefreshRejected, *at).detail(reason.as_str());
            vault.tell_of(tenant, id, told);
        }
        Ok(outcome)
    }

    fn need_consent(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        generation: u64,
        reason: NeedsConsent,
    ) -> Result<CommitOutcome, VaultError> {
        let mut vault = self.state();
        let Some(entry) = vault.entry_mut(tenant, id) else {
            return Ok(CommitOutcome::Gone);
        };
        if entry.connection.shares.is_some() {
            return Ok(CommitOutcome::Superseded);
        }
        let outcome = lifecycle::need_consent(&mut entry.lifecycle, generation, reason);
        if outcome == CommitOutcome::Stored {
            entry.erase(Keep::Nothing);
            entry.show();
            let told = AuditEntry::new(AuditKind::ConsentNeeded, SystemClock.now()).detail(reason.as_str());
            vault.tell_of(tenant, id, told);
        }
        Ok(outcome)
    }

    fn erase_quarantined(&self, now: Timestamp, limit: usize) -> Result<usize, VaultError> {
        let mut vault = self.state();
        let mut erased = Vec::new();
        for entry in vault.entries.values_mut() {
            if erased.len() < limit && lifecycle::end_quarantine(&mut entry.lifecycle, now) {
                entry.erase(Keep::Nothing);
                entry.show();
                let told = entry.told(AuditEntry::new(AuditKind::QuarantineErased, now));
                erased.push((entry.connection.tenant.clone(), told));
            }
        }
        for (tenant, told) in &erased {
            vault.tell(tenant, told.clone());
        }
        Ok(erased.len())
    }

    fn revoke(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Result<Option<Revoked>, VaultError> {
        Ok(self.state().revoke(tenant, id, by, now, None))
    }

    fn revoke_and_queue(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
        now: Timestamp,
        give_up_at: Timestamp,
    ) -> Result<Option<Revoked>, VaultError> {
        Ok(self.state().revoke(tenant, id, by, now, Some(give_up_at)))
    }

    fn queue_revocation(
        &self,
        connection: &Connection,
        tokens: &Tokens,
        now: Timestamp,
        give_up_at: Timestamp,
    ) -> Result<bool, VaultError> {
        Entry::check_size(tokens)?;
        let (access, refresh) = (Some(&tokens.access_token), tokens.refresh_token.as_ref());
        let added = self
            .state()
            .outbox
            .add(connection, access, refresh, now, give_up_at);
        Ok(added.is_some())
    }

    fn take_revocations(
        &self,
        now: Timestamp,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<PendingRevocation>, VaultError> {
        let mut vault = self.state();
        let taken = vault.outbox.take(now, lease, limit);
        let (old, pending) = taken
            .into_iter()
            .partition::<Vec<_>, _>(|pending| pending.give_up_at <= now);
        for old in old {
            vault.settle(&old.tenant, old.id, Settlement::GivenUp, now);
        }
        Ok(pending)
    }

    fn settle_revocation(
        &self,
        tenant: &TenantId,
        id: u64,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        self.state().settle(tenant, id, settlement, now);
        Ok(())
    }

    fn forget_user(
        &self,
        tenant: &TenantId,
        user: &UserId,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Result<Option<Forgotten>, VaultError> {
        Ok(self.state().forget_user(tenant, user, by, now))
    }

    fn forget_tenant(&self, tenant: &TenantId, now: Timestamp) -> Result<Option<Forgotten>, VaultError> {
        Ok(self.state().forget_tenant(tenant, now))
    }

    fn record_handouts(&self, handouts: &[Handout]) -> Result<(), VaultError> {
        let mut vault = self.state();
        for handout in handouts {
            if let Some(entry) = vault.entry_mut(&handout.tenant, handout.connection) {
                entry.connection.used_at = entry.connection.used_at.max(Some(handout.at));
            }
            if vault.knows(&handout.tenant) {
                vault.tell(&handout.tenant, handout.entry());
            }
        }
        Ok(())
    }

    fn audit(&self, filter: &AuditFilter<'_>) -> Result<Vec<AuditEntry>, VaultError> {
        let vault = self.state();
        let mut entries: Vec<_> = vault
            .audit
            .iter()
            .filter(|(tenant, entry)| tenant == filter.tenant && filter.reaches(entry.number))
            .map(|(_, entry)| entry)
            .filter(|entry| filter.wants(entry))
            .collect();
        if filter.order == AuditOrder::NewestFirst {
            entries.reverse();
        }
        Ok(entries.into_iter().take(filter.limit).cloned().collect())
    }

    fn clear_residue(&self) -> Result<Erasure, VaultError> {
        Ok(Erasure::Cleared)
    }
}
