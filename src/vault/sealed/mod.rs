//! Stand-ins until the vault is written.
#![allow(unused_variables, missing_docs, clippy::todo)]
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use crate::clock::Clock;
use crate::model::{Actor, Connection, ConnectionId, Grant, GrantId, RevocationId, TenantId, Timestamp, UserId};
use crate::secret::PkceVerifier;
use crate::vault::*;
use crate::vault::envelope::MasterKeys;

#[derive(Debug, Clone, Copy)]
pub enum Mode { Read, Write }
pub trait Store: std::fmt::Debug + Send + Sync + 'static {}
pub trait Transaction {}
#[derive(Debug, Default)]
pub struct MemoryStore;
impl Store for MemoryStore {}
#[derive(Debug)]
pub struct SealedVault<S>(S);
pub type MemoryVault = SealedVault<MemoryStore>;
impl SealedVault<MemoryStore> { #[must_use] pub fn new() -> Self { Self(MemoryStore) } }
impl Default for SealedVault<MemoryStore> { fn default() -> Self { Self::new() } }
impl<S: Store> SealedVault<S> { pub fn open(store: S, keys: impl Into<MasterKeys>) -> Result<Self, VaultError> { Ok(Self(store)) } }

impl<S: Store> ConsentStore for SealedVault<S> {
    fn insert_consent(&self, consent: &PendingConsent, verifier: Option<&PkceVerifier>) -> Result<(), VaultError> { todo!() }
    fn consent(&self, tenant: &TenantId, state: &StateHash) -> Result<Option<PendingConsent>, VaultError> { todo!() }
    fn consents(&self, tenant: &TenantId, user: &UserId) -> Result<Vec<PendingConsent>, VaultError> { todo!() }
    fn take_consent(&self, tenant: &TenantId, state: &StateHash, now: Timestamp) -> Result<Taken, VaultError> { todo!() }
    fn close_consent(&self, tenant: &TenantId, state: &StateHash, status: ConsentStatus, now: Timestamp) -> Result<(), VaultError> { todo!() }
}

impl<S: Store> GrantStore for SealedVault<S> {
    fn store_grant(&self, new: &NewGrant<'_>) -> Result<StoreOutcome, VaultError> { todo!() }
    fn grant(&self, tenant: &TenantId, id: GrantId) -> Result<Option<Grant>, VaultError> { todo!() }
    fn connection(&self, tenant: &TenantId, id: ConnectionId) -> Result<Option<Connection>, VaultError> { todo!() }
    fn connections(&self, query: &ConnectionQuery<'_>) -> Result<Vec<Connection>, VaultError> { todo!() }
    fn find_token(&self, query: &TokenQuery<'_>) -> Result<Found, VaultError> { todo!() }
    fn set_default(&self, tenant: &TenantId, id: ConnectionId, by: Option<&Actor>, now: Timestamp) -> Result<bool, VaultError> { todo!() }
}

impl<S: Store> RefreshStore for SealedVault<S> {
    fn holder(&self) -> Result<Holder, VaultError> { todo!() }
    fn claim_due(&self, query: &DueQuery<'_>) -> Result<Vec<Claimed>, VaultError> { todo!() }
    fn claim_refresh(&self, request: &ClaimRequest<'_>) -> Result<ClaimOutcome, VaultError> { todo!() }
    fn commit_refresh(&self, tenant: &TenantId, grant: GrantId, claim: &Claim, refreshed: &Refreshed<'_>) -> Result<CommitOutcome, VaultError> { todo!() }
    fn fail_refresh(&self, tenant: &TenantId, grant: GrantId, claim: &Claim, failure: &RefreshFailure) -> Result<CommitOutcome, VaultError> { todo!() }
}

impl<S: Store> RevocationStore for SealedVault<S> {
    fn revoke(&self, request: &Revoke<'_>) -> Result<Option<Revoked>, VaultError> { todo!() }
    fn queue_revocation(&self, late: &LateTokens<'_>) -> Result<bool, VaultError> { todo!() }
    fn take_revocations(&self, now: Timestamp, lease: Duration, limit: usize) -> Result<Vec<PendingRevocation>, VaultError> { todo!() }
    fn settle_revocation(&self, tenant: &TenantId, id: RevocationId, settlement: Settlement, now: Timestamp) -> Result<(), VaultError> { todo!() }
}

impl<S: Store> AuditLog for SealedVault<S> {
    fn record_uses(&self, uses: &[TokenUse], record: UseRecord) -> Result<(), VaultError> { todo!() }
    fn audit(&self, filter: &AuditFilter<'_>) -> Result<Vec<AuditEntry>, VaultError> { todo!() }
    fn audit_heads(&self, tenant: Option<&TenantId>) -> Result<Vec<AuditHead>, VaultError> { todo!() }
    fn verify_audit(&self, chain: &AuditChain, progress: &mut dyn FnMut(Progress)) -> Result<AuditReport, VaultError> { todo!() }
    fn proves(&self, head: &AuditHead) -> Result<bool, VaultError> { todo!() }
}

impl<S: Store> Housekeeping for SealedVault<S> {
    fn clock(&self) -> Arc<dyn Clock> { todo!() }
    fn warnings(&self) -> Vec<VaultWarning> { todo!() }
    fn sweep(&self, limits: &SweepLimits) -> Result<Swept, VaultError> { todo!() }
    fn forget(&self, forget: &Forget<'_>) -> Result<Option<Forgotten>, VaultError> { todo!() }
    fn clear_residue(&self) -> Result<Erasure, VaultError> { todo!() }
    fn rotate(&self, rotation: Rotation<'_>, now: Timestamp) -> Result<Rotated, VaultError> { todo!() }
    fn backup(&self, path: &Path) -> Result<(), VaultError> { todo!() }
}
