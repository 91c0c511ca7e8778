//! Pending consents.

use crate::clock::{Clock as _, SystemClock};
use crate::model::{TenantId, Timestamp, UserId};
use crate::secret::PkceVerifier;
use crate::vault::memory::state::State;
use crate::vault::{AuditEntry, AuditKind, ConsentStatus, PendingConsent, StateHash};

impl State {
    pub(super) fn insert_consent(&mut self, consent: &PendingConsent, verifier: Option<&PkceVerifier>) {
        let verifier = verifier.map(|verifier| PkceVerifier::new(verifier.expose_secret()));
        let key = (consent.tenant.clone(), consent.state);
        self.consents.insert(key, (consent.clone(), verifier));
        self.tell(
            &consent.tenant,
            about_consent(consent, AuditKind::ConsentStarted, consent.created_at),
        );
    }

    pub(super) fn consent(&self, tenant: &TenantId, state: &StateHash) -> Option<PendingConsent> {
        let found = self.consents.get(&(tenant.clone(), *state));
        found.map(|(consent, _)| consent.clone())
    }

    pub(super) fn consents_of(&self, tenant: &TenantId, user: &UserId) -> Vec<PendingConsent> {
        let all = self.consents.values().map(|(consent, _)| consent);
        all.filter(|consent| consent.tenant == *tenant && consent.user == *user)
            .cloned()
            .collect()
    }

    #[allow(clippy::option_option, reason = "as in the trait")]
    pub(super) fn take_consent(
        &mut self,
        tenant: &TenantId,
        state: &StateHash,
        now: Timestamp,
    ) -> Option<Option<PkceVerifier>> {
        let (consent, verifier) = self.consents.get_mut(&(tenant.clone(), *state))?;
        if consent.status != ConsentStatus::Pending || consent.expires_at <= now {
            return None;
        }
        consent.status = ConsentStatus::Taken;
        Some(verifier.take())
    }

    pub(super) fn close_consent(&mut self, tenant: &TenantId, state: &StateHash, status: ConsentStatus) {
        if let Some((consent, _)) = self.consents.get_mut(&(tenant.clone(), *state))
            && consent.status == ConsentStatus::Taken
        {
            consent.status = status;
            let kind = match status {
                ConsentStatus::Denied | ConsentStatus::Cancelled => AuditKind::ConsentDenied,
                _ => AuditKind::ConsentFailed,
            };
            let entry = about_consent(consent, kind, SystemClock.now());
            self.tell(tenant, entry);
        }
    }

    pub(super) fn purge_consents(&mut self, before: Timestamp, limit: usize) -> usize {
        let dead: Vec<_> = self
            .consents
            .iter()
            .filter(|(_, (consent, _))| consent.expires_at < before)
            .map(|(key, _)| key.clone())
            .take(limit)
            .collect();
        for key in &dead {
            self.consents.remove(key);
        }
        dead.len()
    }
}

fn about_consent(consent: &PendingConsent, kind: AuditKind, at: Timestamp) -> AuditEntry {
    let mut entry = AuditEntry::new(kind, at).user(Some(&consent.user));
    entry.provider = Some(consent.provider.clone());
    entry.connection = consent.purpose.target();
    entry
}
