//! Erasing a person or a workspace.

use crate::model::{Actor, Connection, TenantId, Timestamp, UserId};
use crate::vault::memory::state::State;
use crate::vault::{AuditEntry, AuditKind, Forgotten};

impl State {
    pub(super) fn forget_user(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Option<Forgotten> {
        if !self.knows(tenant) {
            return None;
        }
        let is_theirs =
            |connection: &Connection| connection.tenant == *tenant && connection.owner.user() == Some(user);
        let erased = self.count(is_theirs);
        self.entries.retain(|_, entry| !is_theirs(&entry.connection));
        self.outbox.forget(is_theirs);
        self.consents.retain(|(of, _), (consent, _)| {
            of != tenant || consent.user != *user && consent.owner.user() != Some(user)
        });
        let told = AuditEntry::new(AuditKind::UserForgotten, now).by(by.filter(|actor| actor.user() != user));
        let proof = self.tell(tenant, told);
        Some(Forgotten::new(proof, now, erased))
    }

    pub(super) fn forget_tenant(&mut self, tenant: &TenantId, now: Timestamp) -> Option<Forgotten> {
        if !self.knows(tenant) {
            return None;
        }
        let erased = self.count(|connection| connection.tenant == *tenant);
        self.entries.retain(|(of, _), _| of != tenant);
        self.consents.retain(|(of, _), _| of != tenant);
        self.outbox.forget(|connection| connection.tenant == *tenant);
        let proof = self.tell(tenant, AuditEntry::new(AuditKind::TenantForgotten, now));
        self.audit.retain(|(of, _)| of != tenant);
        Some(Forgotten::new(proof, now, erased))
    }
}
