//! An `Arc` of a vault is a vault: the host keeps one handle, the connections another.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{Actor, Connection, ConnectionId, NeedsConsent, ServerId, TenantId, Timestamp, UserId};
use crate::secret::PkceVerifier;
use crate::vault::{
    AuditEntry, AuditFilter, Claim, ClaimOutcome, ClaimRequest, CommitOutcome, ConnectionQuery,
    ConsentStatus, Due, Erasure, Forgotten, Found, Grant, Handout, Holder, PendingConsent, PendingRevocation,
    RefreshFailure, Renewed, Revoked, Settlement, StateHash, StoreOutcome, StoredToken, TokenQuery, Tokens,
    Use, Vault, VaultError,
};

impl<V: Vault + ?Sized> Vault for Arc<V> {
    fn insert_consent(
        &self,
        consent: &PendingConsent,
        verifier: Option<&PkceVerifier>,
    ) -> Result<(), VaultError> {
        (**self).insert_consent(consent, verifier)
    }
    fn consent(&self, tenant: &TenantId, state: &StateHash) -> Result<Option<PendingConsent>, VaultError> {
        (**self).consent(tenant, state)
    }
    fn consents(&self, tenant: &TenantId, user: &UserId) -> Result<Vec<PendingConsent>, VaultError> {
        (**self).consents(tenant, user)
    }
    fn take_consent(
        &self,
        tenant: &TenantId,
        state: &StateHash,
        now: Timestamp,
    ) -> Result<Option<Option<PkceVerifier>>, VaultError> {
        (**self).take_consent(tenant, state, now)
    }
    fn close_consent(
        &self,
        tenant: &TenantId,
        state: &StateHash,
        status: ConsentStatus,
    ) -> Result<(), VaultError> {
        (**self).close_consent(tenant, state, status)
    }
    fn purge_consents(&self, before: Timestamp, limit: usize) -> Result<usize, VaultError> {
        (**self).purge_consents(before, limit)
    }
    fn store_grant(&self, grant: &Grant<'_>) -> Result<StoreOutcome, VaultError> {
        (**self).store_grant(grant)
    }
    fn connection(&self, tenant: &TenantId, id: ConnectionId) -> Result<Option<Connection>, VaultError> {
        (**self).connection(tenant, id)
    }
    fn connections(&self, query: &ConnectionQuery<'_>) -> Result<Vec<Connection>, VaultError> {
        (**self).connections(query)
    }
    fn set_default(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
    ) -> Result<bool, VaultError> {
        (**self).set_default(tenant, id, by)
    }
    fn record_use(&self, uses: &[Use]) -> Result<(), VaultError> {
        (**self).record_use(uses)
    }
    fn find_token(&self, query: &TokenQuery<'_>) -> Result<Found, VaultError> {
        (**self).find_token(query)
    }
    fn token(&self, tenant: &TenantId, id: ConnectionId) -> Result<Option<StoredToken>, VaultError> {
        (**self).token(tenant, id)
    }
    fn holder(&self) -> Result<Holder, VaultError> {
        (**self).holder()
    }
    fn due(&self, now: Timestamp, horizon: Duration, limit: usize) -> Result<Vec<Due>, VaultError> {
        (**self).due(now, horizon, limit)
    }
    fn idle(
        &self,
        refreshed_before: Timestamp,
        server: &ServerId,
        limit: usize,
    ) -> Result<Vec<Due>, VaultError> {
        (**self).idle(refreshed_before, server, limit)
    }
    fn claim_refresh(&self, request: &ClaimRequest<'_>) -> Result<ClaimOutcome, VaultError> {
        (**self).claim_refresh(request)
    }
    fn commit_refresh(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        claim: &Claim,
        renewed: &Renewed<'_>,
    ) -> Result<CommitOutcome, VaultError> {
        (**self).commit_refresh(tenant, id, claim, renewed)
    }
    fn fail_refresh(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        claim: &Claim,
        failure: &RefreshFailure,
    ) -> Result<CommitOutcome, VaultError> {
        (**self).fail_refresh(tenant, id, claim, failure)
    }
    fn need_consent(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        generation: u64,
        reason: NeedsConsent,
    ) -> Result<CommitOutcome, VaultError> {
        (**self).need_consent(tenant, id, generation, reason)
    }
    fn erase_quarantined(&self, now: Timestamp, limit: usize) -> Result<usize, VaultError> {
        (**self).erase_quarantined(now, limit)
    }
    fn revoke(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Result<Option<Revoked>, VaultError> {
        (**self).revoke(tenant, id, by, now)
    }
    fn revoke_and_queue(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
        now: Timestamp,
        give_up_at: Timestamp,
    ) -> Result<Option<Revoked>, VaultError> {
        (**self).revoke_and_queue(tenant, id, by, now, give_up_at)
    }
    fn queue_revocation(
        &self,
        connection: &Connection,
        tokens: &Tokens,
        now: Timestamp,
        give_up_at: Timestamp,
    ) -> Result<bool, VaultError> {
        (**self).queue_revocation(connection, tokens, now, give_up_at)
    }
    fn take_revocations(
        &self,
        now: Timestamp,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<PendingRevocation>, VaultError> {
        (**self).take_revocations(now, lease, limit)
    }
    fn settle_revocation(
        &self,
        tenant: &TenantId,
        id: u64,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        (**self).settle_revocation(tenant, id, settlement, now)
    }
    fn forget_user(
        &self,
        tenant: &TenantId,
        user: &UserId,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Result<Option<Forgotten>, VaultError> {
        (**self).forget_user(tenant, user, by, now)
    }
    fn forget_tenant(&self, tenant: &TenantId, now: Timestamp) -> Result<Option<Forgotten>, VaultError> {
        (**self).forget_tenant(tenant, now)
    }
    fn record_handouts(&self, handouts: &[Handout]) -> Result<(), VaultError> {
        (**self).record_handouts(handouts)
    }
    fn audit(&self, filter: &AuditFilter<'_>) -> Result<Vec<AuditEntry>, VaultError> {
        (**self).audit(filter)
    }
    fn clear_residue(&self) -> Result<Erasure, VaultError> {
        (**self).clear_residue()
    }
}
