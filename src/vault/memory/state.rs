//! All that the vault in memory holds.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::{Actor, ConnectionId, Owner, ProviderId, Status, TenantId, Timestamp};
use crate::secret::PkceVerifier;
use crate::vault::lifecycle::{self, Keep};
use crate::vault::memory::entry::Entry;
use crate::vault::memory::outbox::Outbox;
use crate::vault::{
    AuditEntry, AuditHead, AuditKind, Holder, PendingConsent, Revoked, Settlement, StateHash, Tokens,
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

    pub(super) fn revoke(
        &mut self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
        now: Timestamp,
        queue: Option<Timestamp>,
    ) -> Option<Revoked> {
        let key = (tenant.clone(), id);
        let entry = self.entries.get_mut(&key)?;
        if !lifecycle::revoke(&mut entry.lifecycle) {
            return None;
        }
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
        self.tell_of(tenant, id, AuditEntry::new(AuditKind::Revoked, now).by(by));
        Some(Revoked {
            connection,
            tokens,
            refused,
            queued,
        })
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

pub(super) fn about_consent(consent: &PendingConsent, kind: AuditKind, at: Timestamp) -> AuditEntry {
    let mut entry = AuditEntry::new(kind, at).user(Some(&consent.user));
    entry.provider = Some(consent.provider.clone());
    entry.connection = consent.purpose.target();
    entry
}
