//! All that the vault in memory holds.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::{Actor, Connection, ConnectionId, Owner, ProviderId, Scopes, Status, TenantId, Timestamp};
use crate::secret::PkceVerifier;
use crate::vault::lifecycle::{self, Keep};
use crate::vault::memory::entry::Entry;
use crate::vault::memory::outbox::Outbox;
use crate::vault::{
    AuditEntry, AuditHead, AuditKind, ConsentStatus, Grant, Holder, PendingConsent, Revoked, Settlement,
    StateHash, StoreOutcome, StoredToken, Tokens, VaultError,
};

#[derive(Default)]
pub(super) struct State {
    pub(super) holder: Option<Holder>,
    pub(super) consents: HashMap<(TenantId, StateHash), (PendingConsent, Option<PkceVerifier>)>,
    pub(super) entries: HashMap<(TenantId, ConnectionId), Entry>,
    pub(super) outbox: Outbox,
    /// Plain and unchained: nobody else can write here.
    pub(super) audit: Vec<(TenantId, AuditEntry)>,
}

impl State {
    pub(super) fn tell(&mut self, tenant: &TenantId, mut entry: AuditEntry) -> AuditHead {
        entry.number = self.audit.last().map_or(1, |(_, last)| last.number + 1);
        let number = entry.number;
        self.audit.push((tenant.clone(), entry));
        AuditHead { number, mac: [0; 32] }
    }

    pub(super) fn tell_of(&mut self, tenant: &TenantId, id: ConnectionId, entry: AuditEntry) {
        if let Some(entry) = self.entry(tenant, id).map(|about| about.told(entry)) {
            self.tell(tenant, entry);
        }
    }

    pub(super) fn entry(&self, tenant: &TenantId, id: ConnectionId) -> Option<&Entry> {
        self.entries.get(&(tenant.clone(), id))
    }

    pub(super) fn entry_mut(&mut self, tenant: &TenantId, id: ConnectionId) -> Option<&mut Entry> {
        self.entries.get_mut(&(tenant.clone(), id))
    }

    /// Whether anything was ever stored for a tenant and not forgotten.
    pub(super) fn knows(&self, tenant: &TenantId) -> bool {
        self.audit.iter().any(|(of, _)| of == tenant)
    }

    /// Ends a connection; with `queue`, its tokens are kept for the provider until that time.
    pub(super) fn revoke(
        &mut self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
        now: Timestamp,
        queue: Option<Timestamp>,
    ) -> Option<Revoked> {
        let named = self.entry(tenant, id)?;
        if named.lifecycle.status == Status::Revoked {
            return None;
        }
        let told = AuditEntry::new(AuditKind::Revoked, now).by(by);
        let keeper = named.connection.keeper();
        let leaving = if named.connection.is_keeper {
            self.sharing(tenant, id)
        } else {
            named.connection.shares.map(|_| id).into_iter().collect()
        };
        for member in &leaving {
            self.leave(tenant, *member, keeper);
        }
        let still_used_by = self.sharing(tenant, keeper);
        let is_used = !still_used_by.is_empty();
        for member in leaving {
            let told = if is_used {
                told.clone().detail("grant_still_used")
            } else {
                told.clone()
            };
            self.tell_of(tenant, member, told);
        }
        if is_used {
            return Some(Revoked {
                connection: self.entry(tenant, id)?.connection.clone(),
                tokens: None,
                refused: None,
                queued: None,
                still_used_by,
            });
        }
        let entry = self.entries.get_mut(&(tenant.clone(), keeper))?;
        lifecycle::revoke(&mut entry.lifecycle);
        entry.connection.is_default = false;
        entry.show();
        let connection = entry.connection.clone();
        let queued = queue.and_then(|give_up_at| {
            let (access, refresh) = (entry.access_token.as_ref(), entry.refresh_token.as_ref());
            let first = now + Duration::from_secs(60);
            self.outbox.add(&connection, access, refresh, first, give_up_at)
        });
        let (tokens, refused) = match entry.access_token.take() {
            Some(access_token) => (
                Some(Tokens {
                    access_token,
                    refresh_token: entry.refresh_token.take(),
                    id_token: entry.id_token.take(),
                }),
                None,
            ),
            None => (None, entry.refresh_token.take()),
        };
        entry.erase(Keep::Nothing);
        let connection = if connection.is_keeper {
            self.entries.remove(&(tenant.clone(), keeper));
            // What was named may be the last that shared it.
            self.entry(tenant, id)
                .map_or(connection, |named| named.connection.clone())
        } else {
            self.tell_of(tenant, id, told);
            connection
        };
        Some(Revoked {
            connection,
            tokens,
            refused,
            queued,
            still_used_by,
        })
    }

    /// Ends a connection that shares tokens; what it showed last is its own from now on.
    fn leave(&mut self, tenant: &TenantId, id: ConnectionId, keeper: ConnectionId) {
        let Some(keeper) = self.entry(tenant, keeper).map(|entry| entry.connection.clone()) else {
            return;
        };
        if let Some(entry) = self.entry_mut(tenant, id) {
            entry.connection.show_grant(&keeper);
            entry.connection.shares = None;
            entry.connection.is_default = false;
            lifecycle::leave(&mut entry.lifecycle, keeper.generation);
            entry.show();
        }
    }

    /// Who shares a record's tokens.
    fn sharing(&self, tenant: &TenantId, keeper: ConnectionId) -> Vec<ConnectionId> {
        let mut sharing: Vec<_> = self
            .entries
            .iter()
            .filter(|((of, _), entry)| of == tenant && entry.connection.shares == Some(keeper))
            .map(|((_, id), _)| *id)
            .collect();
        sharing.sort();
        sharing
    }

    /// The connection, with the grant's state where it shares one.
    pub(super) fn shown(&self, entry: &Entry) -> Result<Connection, VaultError> {
        let mut connection = entry.connection.clone();
        if let Some(keeper) = connection.shares {
            let keeper = self
                .entry(&connection.tenant, keeper)
                .ok_or(VaultError::Damaged)?;
            connection.show_grant(&keeper.connection);
        }
        Ok(connection)
    }

    /// What a turn must know of a connection.
    pub(super) fn stored_token(
        &self,
        entry: &Entry,
        scopes: Option<&Scopes>,
    ) -> Result<StoredToken, VaultError> {
        let shown = self.shown(entry)?;
        let keeper = self
            .entry(&shown.tenant, shown.keeper())
            .ok_or(VaultError::Damaged)?;
        Ok(StoredToken {
            connection: shown.id,
            shares: shown.shares,
            generation: shown.generation,
            status: shown.status,
            access_token: keeper.access()?,
            refreshed_at: shown.refreshed_at,
            expires_at: shown.expires_at,
            refreshable: shown.refreshable,
            missing: scopes
                .map(|scopes| scopes.difference(&keeper.connection.granted))
                .unwrap_or_default(),
            parameters: shown.parameters,
            refresh: shown.refresh,
        })
    }

    /// How many connections are doomed: what keeps tokens for several was never shown as one.
    pub(super) fn count(&self, doomed: impl Fn(&Connection) -> bool) -> usize {
        let connections = self.entries.values().map(|entry| &entry.connection);
        connections
            .filter(|connection| !connection.is_keeper && doomed(connection))
            .count()
    }

    pub(super) fn store(&mut self, grant: &Grant<'_>) -> StoreOutcome {
        let new = grant.connection;
        let is_taken = [new]
            .into_iter()
            .chain(grant.members)
            .any(|new| self.is_taken(new));
        let left: Vec<_> = [new]
            .into_iter()
            .chain(grant.members)
            .filter_map(|new| self.entry(&new.tenant, new.id)?.connection.shares)
            .filter(|keeper| *keeper != new.id)
            .collect();
        let before = |id| self.entry(&new.tenant, id).map(|entry| &entry.lifecycle);
        let others = grant
            .members
            .iter()
            .map(|member| member.id)
            .chain(left.iter().copied());
        let shown = others
            .filter_map(|id| before(id).map(|lifecycle| lifecycle.generation))
            .max();
        let refreshable = grant.tokens.refresh_token.is_some();
        let decided = lifecycle::grant(
            before(new.id),
            shown.unwrap_or_default(),
            new.generation,
            refreshable,
        );
        let Some(lifecycle) = decided.filter(|_| !is_taken) else {
            return StoreOutcome::Conflict;
        };
        let mut entry = Entry::new(new.clone(), lifecycle);
        entry.keep_tokens(grant.tokens);
        self.put(entry);
        for member in grant.members {
            let before = self.entry(&new.tenant, member.id).map(|entry| &entry.lifecycle);
            let lifecycle = lifecycle::share(before, new.generation);
            self.put(Entry::new(member.clone(), lifecycle));
        }
        for keeper in left {
            if self.sharing(&new.tenant, keeper).is_empty() {
                self.entries.remove(&(new.tenant.clone(), keeper));
            }
        }
        let completed = grant.members.first().unwrap_or(new).id;
        let consent = self.consents.get_mut(&(new.tenant.clone(), *grant.consent));
        let user = consent.map(|(consent, verifier)| {
            consent.status = ConsentStatus::Completed(completed);
            *verifier = None;
            consent.user.clone()
        });
        // A record that keeps tokens for several is nothing that people were told of: they are.
        let told = if new.is_keeper {
            grant.members
        } else {
            std::slice::from_ref(new)
        };
        for connection in told {
            let entry = AuditEntry::new(AuditKind::ConsentCompleted, new.refreshed_at)
                .user(user.as_ref().or(new.owner.user()))
                .about(connection.id, &connection.provider, new.generation);
            self.tell(&new.tenant, entry);
        }
        StoreOutcome::Stored
    }

    fn put(&mut self, entry: Entry) {
        let new = &entry.connection;
        if new.is_default {
            for entry in self.siblings(&new.tenant, &new.owner, &new.provider) {
                entry.connection.is_default = false;
            }
        }
        self.entries.insert((new.tenant.clone(), new.id), entry);
    }

    /// Whether a connection's id, its label or its account is another's.
    fn is_taken(&self, new: &Connection) -> bool {
        let stored = self.entry(&new.tenant, new.id).map(|entry| &entry.connection);
        let is_other = stored.is_some_and(|stored| {
            stored.owner != new.owner || stored.provider != new.provider || stored.is_keeper != new.is_keeper
        });
        let account = new.account.as_ref().map(|account| &account.id);
        let mut siblings = self
            .entries
            .values()
            .map(|entry| &entry.connection)
            .filter(|other| {
                other.tenant == new.tenant
                    && other.owner == new.owner
                    && other.provider == new.provider
                    && other.id != new.id
                    && other.status != Status::Revoked
            });
        let collides = siblings.any(|other| {
            let other_account = other.account.as_ref().map(|account| &account.id);
            (new.label.is_some() && other.label == new.label)
                || (account.is_some() && other_account == account)
        });
        is_other || collides
    }

    pub(super) fn settle(&mut self, tenant: &TenantId, id: u64, settlement: Settlement, now: Timestamp) {
        if let Settlement::Again { at } = settlement {
            self.outbox.again(id, at);
        } else if let Some(connection) = self.outbox.remove(id) {
            let told = AuditEntry::new(AuditKind::RevocationEnded, now)
                .user(connection.owner.user())
                .about(connection.id, &connection.provider, connection.generation)
                .detail(settlement.as_str());
            self.tell(tenant, told);
        }
    }

    pub(super) fn refreshable(&self) -> impl Iterator<Item = &Entry> {
        self.entries
            .values()
            .filter(|entry| entry.lifecycle.status == Status::Active && entry.lifecycle.refreshable)
    }

    pub(super) fn siblings<'a>(
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
