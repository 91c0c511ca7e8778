//! Implements the seven traits for every vault that is built on [`Core`], and for an `Arc` of any
//! vault.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::model::{
    Actor, Connection, ConnectionId, Grant, GrantId, RevocationId, TenantId, Timestamp, UserId,
};
use crate::secret::PkceVerifier;
use crate::vault::sealed::SealedVault;
use crate::vault::transfer::side::{Sided, Transferable};
use crate::vault::*;

/// Implements one of the seven traits by forwarding every method: to the core of a vault, or to the
/// vault in an `Arc`.
macro_rules! forward {
    ($trait:ident { $(fn $method:ident($($name:ident: $type:ty),*) -> $out:ty;)* }) => {
        impl $trait for SealedVault {
            $(fn $method(&self, $($name: $type),*) -> $out {
                self.core.$method($($name),*)
            })*
        }

        #[cfg(feature = "sqlite")]
        impl $trait for SqliteVault {
            $(fn $method(&self, $($name: $type),*) -> $out {
                self.core().$method($($name),*)
            })*
        }

        #[cfg(feature = "postgres")]
        impl $trait for PostgresVault {
            $(fn $method(&self, $($name: $type),*) -> $out {
                self.core().$method($($name),*)
            })*
        }

        impl<V: $trait + ?Sized> $trait for Arc<V> {
            $(fn $method(&self, $($name: $type),*) -> $out {
                (**self).$method($($name),*)
            })*
        }
    };
}

forward! { ConsentStore {
    fn insert_consent(consent: &PendingConsent, verifier: Option<&PkceVerifier>) -> Result<(), VaultError>;
    fn consent(tenant: &TenantId, state: &StateHash) -> Result<Option<PendingConsent>, VaultError>;
    fn open_consent(tenant: &TenantId, state: &StateHash) -> Result<Option<(PendingConsent, Option<PkceVerifier>)>, VaultError>;
    fn consents(tenant: &TenantId, user: &UserId) -> Result<Vec<PendingConsent>, VaultError>;
    fn tenant_consents(tenant: &TenantId, after: Option<&StateHash>, limit: usize) -> Result<Vec<PendingConsent>, VaultError>;
    fn take_consent(tenant: &TenantId, state: &StateHash, now: Timestamp) -> Result<Taken, VaultError>;
    fn close_consent(tenant: &TenantId, state: &StateHash, status: ConsentStatus, now: Timestamp) -> Result<(), VaultError>;
} }

forward! { DefinitionStore {
    fn put_definitions(put: &PutDefinitions<'_>) -> Result<DefinitionWrite, VaultError>;
    fn definition(tenant: &TenantId, key: DefinitionKey<'_>, known: Option<&KnownDefinition>) -> Result<FoundDefinition, VaultError>;
    fn definitions(tenant: &TenantId, kind: DefinitionKind, after: Option<&str>, limit: usize) -> Result<Vec<Definition>, VaultError>;
    fn definition_names(kind: DefinitionKind, after: Option<&str>, limit: usize) -> Result<Vec<String>, VaultError>;
    fn remove_definitions(remove: &RemoveDefinitions<'_>) -> Result<DefinitionRemoval, VaultError>;
} }

forward! { GrantStore {
    fn store_grant(new: &NewGrant<'_>) -> Result<StoreOutcome, VaultError>;
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
} }

forward! { RefreshStore {
    fn holder() -> Result<Holder, VaultError>;
    fn claim_due(query: &DueQuery<'_>) -> Result<Vec<Claimed>, VaultError>;
    fn claim_refresh(request: &ClaimRequest<'_>) -> Result<ClaimOutcome, VaultError>;
    fn commit_refresh(tenant: &TenantId, grant: GrantId, claim: &Claim, refreshed: &Refreshed<'_>) -> Result<CommitOutcome, VaultError>;
    fn fail_refresh(tenant: &TenantId, grant: GrantId, claim: &Claim, failure: &RefreshFailure) -> Result<CommitOutcome, VaultError>;
} }

forward! { RevocationStore {
    fn revoke(request: &Revoke<'_>) -> Result<Option<Revoked>, VaultError>;
    fn queue_revocation(late: &LateTokens<'_>) -> Result<bool, VaultError>;
    fn take_revocations(now: Timestamp, lease: Duration, limit: usize) -> Result<Vec<PendingRevocation>, VaultError>;
    fn settle_revocation(tenant: &TenantId, id: RevocationId, settlement: Settlement, now: Timestamp) -> Result<(), VaultError>;
} }

forward! { AuditLog {
    fn record_uses(uses: &[TokenUse], record: UseRecord) -> Result<(), VaultError>;
    fn audit(filter: &AuditFilter<'_>) -> Result<Vec<AuditEntry>, VaultError>;
    fn audit_heads(tenant: Option<&TenantId>) -> Result<Vec<AuditHead>, VaultError>;
    fn verify_chain(chain: &AuditChain, progress: &mut dyn FnMut(u64, u64)) -> Result<AuditReport, VaultError>;
    fn proves(head: &AuditHead) -> Result<bool, VaultError>;
} }

forward! { Housekeeping {
    fn clock() -> Option<Arc<dyn Clock>>;
    fn warnings() -> Vec<VaultWarning>;
    fn sweep(limits: &SweepLimits) -> Result<Swept, VaultError>;
    fn forget(forget: &Forget<'_>) -> Result<Option<Forgotten>, VaultError>;
    fn clear_residue() -> Result<Erasure, VaultError>;
    fn rotate(rotation: Rotation<'_>, now: Timestamp) -> Result<Rotated, VaultError>;
    fn backup(path: &Path) -> Result<(), VaultError>;
} }

forward! { Transferable {
    fn side() -> Sided<'_>;
} }
