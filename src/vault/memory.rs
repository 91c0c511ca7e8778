//! A vault without a file.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::{
    Connection, ConnectionId, NeedsConsent, Owner, ProviderId, Scopes, ServerId, Status, TenantId, Timestamp,
};
use crate::random;
use crate::secret::{AccessToken, IdToken, PkceVerifier, RefreshToken};
use crate::vault::envelope::MAX_SECRET_LEN;
use crate::vault::lifecycle::{self, Keep, Lifecycle};
use crate::vault::{
    Claim, ClaimOutcome, ClaimRequest, Claimed, CommitOutcome, ConnectionQuery, ConsentStatus, Due, Erasure,
    Found, Grant, Holder, PendingConsent, RefreshFailure, Renewed, Revoked, StateHash, StoreOutcome,
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

#[derive(Default)]
struct State {
    holder: Option<Holder>,
    consents: HashMap<(TenantId, StateHash), (PendingConsent, Option<PkceVerifier>)>,
    entries: HashMap<(TenantId, ConnectionId), Entry>,
}

struct Entry {
    connection: Connection,
    lifecycle: Lifecycle,
    access_token: Option<AccessToken>,
    refresh_token: Option<RefreshToken>,
    id_token: Option<IdToken>,
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

impl State {
    fn entry(&self, tenant: &TenantId, id: ConnectionId) -> Option<&Entry> {
        self.entries.get(&(tenant.clone(), id))
    }

    fn entry_mut(&mut self, tenant: &TenantId, id: ConnectionId) -> Option<&mut Entry> {
        self.entries.get_mut(&(tenant.clone(), id))
    }

    fn refreshable(&self) -> impl Iterator<Item = &Entry> {
        self.entries
            .values()
            .filter(|entry| entry.lifecycle.status == Status::Active && entry.lifecycle.refreshable)
    }

    fn siblings<'a>(
        &'a mut self,
        tenant: &'a TenantId,
        owner: &'a Owner,
        provider: &'a ProviderId,
    ) -> impl Iterator<Item = &'a mut Entry> {
        self.entries.values_mut().filter(move |entry| {
            let connection = &entry.connection;
            connection.tenant == *tenant && connection.owner == *owner && connection.provider == *provider
        })
    }
}

impl Entry {
    fn new(connection: Connection, lifecycle: Lifecycle, tokens: &Tokens) -> Self {
        let mut entry = Self {
            connection,
            lifecycle,
            access_token: None,
            refresh_token: None,
            id_token: None,
        };
        entry.keep_tokens(tokens);
        entry.show();
        entry
    }

    fn due(&self) -> Due {
        Due {
            tenant: self.connection.tenant.clone(),
            connection: self.connection.id,
            generation: self.connection.generation,
            provider: self.connection.provider.clone(),
            expires_at: self.connection.expires_at,
        }
    }

    fn show(&mut self) {
        self.lifecycle.show_in(&mut self.connection);
    }

    fn keep_tokens(&mut self, tokens: &Tokens) {
        self.access_token = Some(AccessToken::new(tokens.access_token.expose_secret()));
        self.refresh_token = tokens
            .refresh_token
            .as_ref()
            .map(|token| RefreshToken::new(token.expose_secret()));
        self.id_token = tokens
            .id_token
            .as_ref()
            .map(|token| IdToken::new(token.expose_secret()));
    }

    /// The bound that sealing sets: what a unit test stores must be storable.
    fn check_size(tokens: &Tokens) -> Result<(), VaultError> {
        let refresh_token = tokens
            .refresh_token
            .as_ref()
            .map_or(0, |token| token.expose_secret().len());
        let id_token = tokens
            .id_token
            .as_ref()
            .map_or(0, |token| token.expose_secret().len());
        let largest = tokens
            .access_token
            .expose_secret()
            .len()
            .max(refresh_token.saturating_add(id_token));
        if largest > MAX_SECRET_LEN {
            return Err(VaultError::TooLarge);
        }
        Ok(())
    }

    fn erase(&mut self, keep: Keep) {
        if keep != Keep::All {
            self.access_token = None;
        }
        if keep == Keep::Nothing {
            self.refresh_token = None;
            self.id_token = None;
        }
    }

    fn stored_token(&self, scopes: Option<&Scopes>) -> Result<StoredToken, VaultError> {
        let connection = &self.connection;
        let access_token = match (connection.status, &self.access_token) {
            (Status::Active, Some(token)) => Some(AccessToken::new(token.expose_secret())),
            (Status::Active, None) => return Err(VaultError::Tampered),
            _ => None,
        };
        Ok(StoredToken {
            connection: connection.id,
            generation: connection.generation,
            status: connection.status,
            access_token,
            refreshed_at: connection.refreshed_at,
            expires_at: connection.expires_at,
            refreshable: connection.refreshable,
            missing: scopes
                .map(|scopes| scopes.difference(&connection.granted))
                .unwrap_or_default(),
            parameters: connection.parameters.clone(),
            refresh: connection.refresh,
        })
    }
}

impl Vault for MemoryVault {
    fn insert_consent(
        &self,
        consent: &PendingConsent,
        verifier: Option<&PkceVerifier>,
    ) -> Result<(), VaultError> {
        let verifier = verifier.map(|verifier| PkceVerifier::new(verifier.expose_secret()));
        let key = (consent.tenant.clone(), consent.state);
        self.state().consents.insert(key, (consent.clone(), verifier));
        Ok(())
    }

    fn consent(&self, tenant: &TenantId, state: &StateHash) -> Result<Option<PendingConsent>, VaultError> {
        let found = self
            .state()
            .consents
            .get(&(tenant.clone(), *state))
            .map(|(consent, _)| consent.clone());
        Ok(found)
    }

    fn take_consent(
        &self,
        tenant: &TenantId,
        state: &StateHash,
        now: Timestamp,
    ) -> Result<Option<Option<PkceVerifier>>, VaultError> {
        let mut vault = self.state();
        let Some((consent, verifier)) = vault.consents.get_mut(&(tenant.clone(), *state)) else {
            return Ok(None);
        };
        if consent.status != ConsentStatus::Pending || consent.expires_at <= now {
            return Ok(None);
        }
        consent.status = ConsentStatus::Taken;
        Ok(Some(verifier.take()))
    }

    fn close_consent(
        &self,
        tenant: &TenantId,
        state: &StateHash,
        status: ConsentStatus,
    ) -> Result<(), VaultError> {
        if let Some((consent, _)) = self.state().consents.get_mut(&(tenant.clone(), *state))
            && consent.status == ConsentStatus::Taken
        {
            consent.status = status;
        }
        Ok(())
    }

    fn purge_consents(&self, before: Timestamp, limit: usize) -> Result<usize, VaultError> {
        let mut vault = self.state();
        let dead: Vec<_> = vault
            .consents
            .iter()
            .filter(|(_, (consent, _))| consent.expires_at < before)
            .map(|(key, _)| key.clone())
            .take(limit)
            .collect();
        for key in &dead {
            vault.consents.remove(key);
        }
        Ok(dead.len())
    }

    fn store_grant(&self, grant: &Grant<'_>) -> Result<StoreOutcome, VaultError> {
        Entry::check_size(grant.tokens)?;
        let new = grant.connection;
        let mut vault = self.state();
        let stored = vault.entry(&new.tenant, new.id);
        let moved = stored.is_some_and(|entry| {
            entry.connection.owner != new.owner || entry.connection.provider != new.provider
        });
        let refreshable = grant.tokens.refresh_token.is_some();
        let decided = lifecycle::grant(stored.map(|entry| &entry.lifecycle), new.generation, refreshable);
        let Some(lifecycle) = decided.filter(|_| !moved) else {
            return Ok(StoreOutcome::Conflict);
        };
        let account = new.account.as_ref().map(|account| account.id.as_str());
        let collides = vault
            .siblings(&new.tenant, &new.owner, &new.provider)
            .filter(|entry| entry.connection.id != new.id && entry.connection.status != Status::Revoked)
            .any(|entry| {
                let other = &entry.connection;
                let other_account = other.account.as_ref().map(|account| account.id.as_str());
                (new.label.is_some() && other.label == new.label)
                    || (account.is_some() && other_account == account)
            });
        if collides {
            return Ok(StoreOutcome::Conflict);
        }
        if new.is_default {
            for entry in vault.siblings(&new.tenant, &new.owner, &new.provider) {
                entry.connection.is_default = false;
            }
        }
        let entry = Entry::new(new.clone(), lifecycle, grant.tokens);
        vault.entries.insert((new.tenant.clone(), new.id), entry);
        let consent = vault.consents.get_mut(&(new.tenant.clone(), *grant.consent));
        if let Some((consent, verifier)) = consent {
            consent.status = ConsentStatus::Completed(new.id);
            *verifier = None;
        }
        Ok(StoreOutcome::Stored)
    }

    fn connection(&self, tenant: &TenantId, id: ConnectionId) -> Result<Option<Connection>, VaultError> {
        Ok(self
            .state()
            .entry(tenant, id)
            .map(|entry| entry.connection.clone()))
    }

    fn connections(&self, query: &ConnectionQuery<'_>) -> Result<Vec<Connection>, VaultError> {
        let vault = self.state();
        let mut found: Vec<_> = vault
            .entries
            .values()
            .map(|entry| &entry.connection)
            .filter(|connection| {
                connection.tenant == *query.tenant
                    && query.owner.is_none_or(|owner| connection.owner == *owner)
                    && query
                        .provider
                        .is_none_or(|provider| connection.provider == *provider)
                    && (query.with_revoked || connection.status != Status::Revoked)
                    && query.after.is_none_or(|after| connection.id > after)
            })
            .cloned()
            .collect();
        found.sort_by_key(|connection| connection.id);
        found.truncate(query.limit);
        Ok(found)
    }

    fn set_default(&self, tenant: &TenantId, id: ConnectionId) -> Result<bool, VaultError> {
        let mut vault = self.state();
        let Some(entry) = vault.entry(tenant, id) else {
            return Ok(false);
        };
        if entry.connection.status == Status::Revoked {
            return Ok(false);
        }
        let (owner, provider) = (entry.connection.owner.clone(), entry.connection.provider.clone());
        for entry in vault.siblings(tenant, &owner, &provider) {
            entry.connection.is_default = entry.connection.id == id;
        }
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
            entry.stored_token(Some(query.scopes)).map(Found::One)
        })
    }

    fn token(&self, tenant: &TenantId, id: ConnectionId) -> Result<Option<StoredToken>, VaultError> {
        self.state()
            .entry(tenant, id)
            .filter(|entry| entry.connection.status != Status::Revoked)
            .map(|entry| entry.stored_token(None))
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
        let outcome = lifecycle::need_consent(&mut entry.lifecycle, generation, reason);
        if outcome == CommitOutcome::Stored {
            entry.erase(Keep::Nothing);
            entry.show();
        }
        Ok(outcome)
    }

    fn erase_quarantined(&self, now: Timestamp, limit: usize) -> Result<usize, VaultError> {
        let mut vault = self.state();
        let mut erased = 0;
        for entry in vault.entries.values_mut() {
            if erased < limit && lifecycle::end_quarantine(&mut entry.lifecycle, now) {
                entry.erase(Keep::Nothing);
                entry.show();
                erased += 1;
            }
        }
        Ok(erased)
    }

    fn revoke(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        _now: Timestamp,
    ) -> Result<Option<Revoked>, VaultError> {
        let mut vault = self.state();
        let Some(entry) = vault.entry_mut(tenant, id) else {
            return Ok(None);
        };
        if !lifecycle::revoke(&mut entry.lifecycle) {
            return Ok(None);
        }
        entry.connection.is_default = false;
        entry.show();
        let tokens = entry.access_token.take().map(|access_token| Tokens {
            access_token,
            refresh_token: entry.refresh_token.take(),
            id_token: entry.id_token.take(),
        });
        entry.erase(Keep::Nothing);
        Ok(Some(Revoked {
            connection: entry.connection.clone(),
            tokens,
        }))
    }

    fn clear_residue(&self) -> Result<Erasure, VaultError> {
        Ok(Erasure::Cleared)
    }
}
