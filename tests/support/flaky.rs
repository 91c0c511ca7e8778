//! A vault in which writes of tokens fail as often as a test requests.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use valetkey::Clock;
use valetkey::internals::model::{Grant, RevocationId};
use valetkey::internals::secret::PkceVerifier;
use valetkey::internals::vault::*;
use valetkey::model::{Actor, Connection, ConnectionId, GrantId, TenantId, Timestamp, UserId};
use valetkey::testing::ManualClock;

/// A vault in memory that fails as many writes of tokens as a test requests.
#[derive(Debug, Clone)]
pub(crate) struct FlakyVault {
    inner: Arc<SealedVault>,
    failures: Arc<AtomicUsize>,
    /// The number of attempted token writes.
    attempts: Arc<AtomicUsize>,
    pub(crate) clock: ManualClock,
    pub(crate) warnings: Vec<VaultWarning>,
}

impl Default for FlakyVault {
    fn default() -> Self {
        Self {
            inner: Arc::new(SealedVault::in_memory()),
            failures: Arc::default(),
            attempts: Arc::default(),
            clock: ManualClock::default(),
            warnings: Vec::new(),
        }
    }
}

impl FlakyVault {
    pub(crate) fn fail(&self, times: usize) {
        self.failures.store(times, Ordering::SeqCst);
    }

    pub(crate) fn attempts(&self) -> usize {
        self.attempts.load(Ordering::SeqCst)
    }

    fn tokens_written(&self) -> Result<(), VaultError> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        let failed = self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match failed {
            Ok(_) => Err(VaultError::Unreachable),
            Err(_) => Ok(()),
        }
    }
}

/// Implements methods by forwarding.
macro_rules! forward {
    ($(fn $method:ident($($name:ident: $type:ty),*) -> $out:ty;)*) => {
        $(fn $method(&self, $($name: $type),*) -> $out {
            self.inner.$method($($name),*)
        })*
    };
}

impl ConsentStore for FlakyVault {
    forward! {
        fn insert_consent(consent: &PendingConsent, verifier: Option<&PkceVerifier>) -> Result<(), VaultError>;
        fn consent(tenant: &TenantId, state: &StateHash) -> Result<Option<PendingConsent>, VaultError>;
        fn open_consent(tenant: &TenantId, state: &StateHash) -> Result<Option<(PendingConsent, Option<PkceVerifier>)>, VaultError>;
        fn consents(tenant: &TenantId, user: &UserId) -> Result<Vec<PendingConsent>, VaultError>;
        fn tenant_consents(tenant: &TenantId, after: Option<&StateHash>, limit: usize) -> Result<Vec<PendingConsent>, VaultError>;
        fn take_consent(tenant: &TenantId, state: &StateHash, now: Timestamp) -> Result<Taken, VaultError>;
        fn close_consent(tenant: &TenantId, state: &StateHash, status: ConsentStatus, now: Timestamp) -> Result<(), VaultError>;
    }
}

impl GrantStore for FlakyVault {
    fn store_grant(&self, new: &NewGrant<'_>) -> Result<StoreOutcome, VaultError> {
        self.tokens_written()?;
        self.inner.store_grant(new)
    }

    forward! {
        fn grant(tenant: &TenantId, id: GrantId) -> Result<Option<Grant>, VaultError>;
        fn connection(tenant: &TenantId, id: ConnectionId) -> Result<Option<Connection>, VaultError>;
        fn connections(query: &ConnectionQuery<'_>) -> Result<Vec<Connection>, VaultError>;
        fn find_token(query: &TokenQuery<'_>) -> Result<Found, VaultError>;
        fn is_local() -> bool;
        fn is_unlocked(tenant: &TenantId) -> Result<bool, VaultError>;
        fn find_token_as_of(query: &TokenQuery<'_>) -> Result<(Found, Option<AsOf>), VaultError>;
        fn find_tokens(queries: &[TokenQuery<'_>]) -> Vec<Option<(Found, AsOf)>>;
        fn remembered_token(query: &TokenQuery<'_>) -> Result<Option<(Found, Option<AsOf>)>, VaultError>;
        fn is_unchanged_since(as_of: AsOf) -> Result<bool, VaultError>;
        fn set_default(tenant: &TenantId, id: ConnectionId, by: Option<&Actor>, now: Timestamp) -> Result<bool, VaultError>;
    }
}

impl RefreshStore for FlakyVault {
    fn commit_refresh(
        &self,
        tenant: &TenantId,
        grant: GrantId,
        claim: &Claim,
        refreshed: &Refreshed<'_>,
    ) -> Result<CommitOutcome, VaultError> {
        self.tokens_written()?;
        self.inner.commit_refresh(tenant, grant, claim, refreshed)
    }

    forward! {
        fn holder() -> Result<Holder, VaultError>;
        fn claim_due(query: &DueQuery<'_>) -> Result<Vec<Claimed>, VaultError>;
        fn claim_refresh(request: &ClaimRequest<'_>) -> Result<ClaimOutcome, VaultError>;
        fn fail_refresh(tenant: &TenantId, grant: GrantId, claim: &Claim, failure: &RefreshFailure) -> Result<CommitOutcome, VaultError>;
    }
}

impl DefinitionStore for FlakyVault {
    forward! {
        fn put_definitions(put: &PutDefinitions<'_>) -> Result<DefinitionWrite, VaultError>;
        fn definition(tenant: &TenantId, key: DefinitionKey<'_>, known: Option<&KnownDefinition>) -> Result<FoundDefinition, VaultError>;
        fn definitions(tenant: &TenantId, kind: DefinitionKind, after: Option<&str>, limit: usize) -> Result<Vec<Definition>, VaultError>;
        fn definition_names(kind: DefinitionKind, after: Option<&str>, limit: usize) -> Result<Vec<String>, VaultError>;
        fn remove_definitions(remove: &RemoveDefinitions<'_>) -> Result<DefinitionRemoval, VaultError>;
    }
}

impl RevocationStore for FlakyVault {
    forward! {
        fn revoke(request: &Revoke<'_>) -> Result<Option<Revoked>, VaultError>;
        fn queue_revocation(late: &LateTokens<'_>) -> Result<bool, VaultError>;
        fn take_revocations(now: Timestamp, lease: Duration, limit: usize) -> Result<Vec<PendingRevocation>, VaultError>;
        fn settle_revocation(tenant: &TenantId, id: RevocationId, settlement: Settlement, now: Timestamp) -> Result<(), VaultError>;
    }
}

impl AuditLog for FlakyVault {
    forward! {
        fn record_uses(uses: &[TokenUse], record: UseRecord) -> Result<(), VaultError>;
        fn audit(filter: &AuditFilter<'_>) -> Result<Vec<AuditEntry>, VaultError>;
        fn audit_heads(tenant: Option<&TenantId>) -> Result<Vec<AuditHead>, VaultError>;
        fn verify_chain(chain: &AuditChain, progress: &mut dyn FnMut(u64, u64)) -> Result<AuditReport, VaultError>;
        fn proves(head: &AuditHead) -> Result<bool, VaultError>;
    }
}

impl Transferable for FlakyVault {
    forward! {
        fn side() -> Sided<'_>;
    }
}

impl Housekeeping for FlakyVault {
    fn clock(&self) -> Option<Arc<dyn Clock>> {
        Some(Arc::new(self.clock.clone()))
    }

    fn warnings(&self) -> Vec<VaultWarning> {
        self.warnings.clone()
    }

    forward! {
        fn sweep(limits: &SweepLimits) -> Result<Swept, VaultError>;
        fn forget(forget: &Forget<'_>) -> Result<Option<Forgotten>, VaultError>;
        fn clear_residue() -> Result<Erasure, VaultError>;
        fn rotate(rotation: Rotation<'_>, now: Timestamp) -> Result<Rotated, VaultError>;
        fn backup(path: &Path) -> Result<(), VaultError>;
    }
}
