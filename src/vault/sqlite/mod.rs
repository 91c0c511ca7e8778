//! The vault in one SQLite file.

mod audit;
mod backup;
mod connections;
mod consents;
mod due;
mod erase;
mod failure;
mod forget;
mod grants;
mod holders;
mod keys;
mod mounts;
mod open;
mod outbox;
mod readers;
mod refresh;
mod rotate;
mod rows;
mod schema;
mod slots;
mod store;
mod tokens;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Transaction;

use crate::model::{Actor, Connection, ConnectionId, NeedsConsent, ServerId, TenantId, Timestamp, UserId};
use crate::secret::PkceVerifier;
use crate::vault::envelope::MasterKeys;
use crate::vault::sqlite::holders::Holders;
use crate::vault::sqlite::keys::{Keyring, Tenant};
use crate::vault::sqlite::open::InUse;
use crate::vault::sqlite::readers::Readers;
use crate::vault::sqlite::store::{Step, Store};
use crate::vault::{
    AuditEntry, AuditFilter, Claim, ClaimOutcome, ClaimRequest, CommitOutcome, ConnectionQuery,
    ConsentStatus, Due, Erasure, Forgotten, Found, Grant, Handout, Holder, PendingConsent, PendingRevocation,
    RefreshFailure, Renewed, Revoked, Settlement, StateHash, StoreOutcome, StoredToken, TokenQuery, Tokens,
    Use, Vault, VaultError,
};

/// A vault in one SQLite file, sealed by [`envelope`](crate::vault::envelope), shared by any number of threads
/// and processes of one machine.
///
/// The file is in WAL mode with full synchronisation: what a method has stored survives a power cut. Secrets are
/// decrypted after the statement that read them has ended, and sealed before the transaction that writes them
/// begins.
///
/// # Security
///
/// The file shows names, times, scopes and sizes to whoever can read it, and no secret. Keep it on a local disk:
/// SQLite's locks do not hold on network file systems.
pub struct SqliteVault {
    store: Store,
    keyring: Keyring,
    holders: Holders,
    /// None for a vault in memory.
    path: Option<PathBuf>,
    /// Last, because fields are dropped in order: after every connection.
    _in_use: Option<InUse>,
}

impl SqliteVault {
    /// Opens the vault at `path`, or makes one there, readable by its owner alone.
    ///
    /// # Errors
    ///
    /// [`VaultError::WrongMasterKey`] if the vault was made with another key; [`VaultError::NotAVault`],
    /// [`NewerVersion`](VaultError::NewerVersion), [`Damaged`](VaultError::Damaged) or
    /// [`ReadOnly`](VaultError::ReadOnly) for a file that cannot be used; [`VaultError::UnsafePath`] for a link, a
    /// directory or somebody else's file; [`VaultError::Unsupported`] if SQLite cannot be trusted with it. The
    /// content of the file is unchanged then.
    pub fn open(path: impl AsRef<Path>, keys: impl Into<MasterKeys>) -> Result<Self, VaultError> {
        let keys = keys.into();
        let (writer, opened, path, in_use) = open::open(path.as_ref(), &keys)?;
        Ok(Self {
            store: Store::new(writer, Some(Readers::new(path.clone()))),
            keyring: Keyring::new(opened, keys),
            holders: Holders::new(Some(path.clone())),
            path: Some(path),
            _in_use: Some(in_use),
        })
    }

    /// Makes a vault in memory: the same statements and the same seals, gone when it is dropped.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if SQLite cannot be used or there are no random numbers.
    pub fn in_memory(keys: impl Into<MasterKeys>) -> Result<Self, VaultError> {
        let keys = keys.into();
        let (writer, opened) = open::in_memory(&keys)?;
        Ok(Self {
            store: Store::new(writer, None),
            keyring: Keyring::new(opened, keys),
            holders: Holders::new(None),
            path: None,
            _in_use: None,
        })
    }

    fn tenant(&self, name: &TenantId) -> Result<Option<Arc<Tenant>>, VaultError> {
        self.keyring.tenant(&self.store, name)
    }

    /// Seals outside and stores inside a transaction. `write` answers `Abandon(None)` if the data key was used
    /// up or replaced meanwhile; then it is all done again with the next one.
    fn write_sealed<S, T>(
        &self,
        name: &TenantId,
        seal: impl Fn(&Tenant) -> Result<S, VaultError>,
        write: impl Fn(&Transaction<'_>, &Tenant, &S) -> Result<Step<Option<T>>, VaultError>,
    ) -> Result<T, VaultError> {
        for _ in 0..4 {
            let tenant = self.keyring.sealing_tenant(&self.store, name)?;
            let sealed = seal(&tenant)?;
            let done = self
                .store
                .write(|transaction| write(transaction, &tenant, &sealed))?;
            match done {
                Some(done) => return Ok(done),
                None => self.keyring.renew(&self.store, &tenant)?,
            }
        }
        // Somebody replaces the key again and again: as good as a lock that is never free.
        Err(VaultError::Busy)
    }
}

impl SqliteVault {
    /// Writes what seals nothing but its audit entry. `write` answers as for [`write_sealed`](Self::write_sealed).
    fn write_audited<T>(
        &self,
        name: &TenantId,
        write: impl Fn(&Transaction<'_>, &Tenant) -> Result<Step<Option<T>>, VaultError>,
    ) -> Result<T, VaultError> {
        self.write_sealed(name, |_| Ok(()), |db, tenant, ()| write(db, tenant))
    }
}

impl fmt::Debug for SqliteVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteVault")
            .field("id", &self.keyring.vault)
            .finish_non_exhaustive()
    }
}

impl Vault for SqliteVault {
    fn insert_consent(
        &self,
        consent: &PendingConsent,
        verifier: Option<&PkceVerifier>,
    ) -> Result<(), VaultError> {
        self.write_consent(consent, verifier)
    }

    fn consent(&self, tenant: &TenantId, state: &StateHash) -> Result<Option<PendingConsent>, VaultError> {
        self.read_consent(tenant, state)
    }

    fn consents(&self, tenant: &TenantId, user: &UserId) -> Result<Vec<PendingConsent>, VaultError> {
        self.read_consents(tenant, user)
    }

    fn take_consent(
        &self,
        tenant: &TenantId,
        state: &StateHash,
        now: Timestamp,
    ) -> Result<Option<Option<PkceVerifier>>, VaultError> {
        self.take_pending_consent(tenant, state, now)
    }

    fn close_consent(
        &self,
        tenant: &TenantId,
        state: &StateHash,
        status: ConsentStatus,
    ) -> Result<(), VaultError> {
        self.close_taken_consent(tenant, state, status)
    }

    fn purge_consents(&self, before: Timestamp, limit: usize) -> Result<usize, VaultError> {
        self.delete_consents(before, limit)
    }

    fn store_grant(&self, grant: &Grant<'_>) -> Result<StoreOutcome, VaultError> {
        self.write_grant(grant)
    }

    fn connection(&self, tenant: &TenantId, id: ConnectionId) -> Result<Option<Connection>, VaultError> {
        self.read_connection(tenant, id)
    }

    fn connections(&self, query: &ConnectionQuery<'_>) -> Result<Vec<Connection>, VaultError> {
        self.read_connections(query)
    }

    fn set_default(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
    ) -> Result<bool, VaultError> {
        self.write_default(tenant, id, by)
    }

    fn record_use(&self, uses: &[Use]) -> Result<(), VaultError> {
        self.write_uses(uses)
    }

    fn find_token(&self, query: &TokenQuery<'_>) -> Result<Found, VaultError> {
        self.read_token(query)
    }

    fn token(&self, tenant: &TenantId, id: ConnectionId) -> Result<Option<StoredToken>, VaultError> {
        self.read_token_of(tenant, id)
    }

    fn holder(&self) -> Result<Holder, VaultError> {
        self.holders.own()
    }

    fn due(&self, now: Timestamp, horizon: Duration, limit: usize) -> Result<Vec<Due>, VaultError> {
        self.read_due(now, horizon, limit)
    }

    fn idle(
        &self,
        refreshed_before: Timestamp,
        server: &ServerId,
        limit: usize,
    ) -> Result<Vec<Due>, VaultError> {
        self.read_idle(refreshed_before, server, limit)
    }

    fn claim_refresh(&self, request: &ClaimRequest<'_>) -> Result<ClaimOutcome, VaultError> {
        self.write_claim(request)
    }

    fn commit_refresh(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        claim: &Claim,
        renewed: &Renewed<'_>,
    ) -> Result<CommitOutcome, VaultError> {
        self.write_renewed(tenant, id, claim, renewed)
    }

    fn fail_refresh(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        claim: &Claim,
        failure: &RefreshFailure,
    ) -> Result<CommitOutcome, VaultError> {
        self.write_failure(tenant, id, claim, failure)
    }

    fn need_consent(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        generation: u64,
        reason: NeedsConsent,
    ) -> Result<CommitOutcome, VaultError> {
        self.write_need(tenant, id, generation, reason)
    }

    fn erase_quarantined(&self, now: Timestamp, limit: usize) -> Result<usize, VaultError> {
        self.erase_over_quarantines(now, limit)
    }

    fn revoke(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Result<Option<Revoked>, VaultError> {
        self.erase_connection(tenant, id, by, now, None)
    }

    fn revoke_and_queue(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
        now: Timestamp,
        give_up_at: Timestamp,
    ) -> Result<Option<Revoked>, VaultError> {
        self.erase_connection(tenant, id, by, now, Some(give_up_at))
    }

    fn queue_revocation(
        &self,
        connection: &Connection,
        tokens: &Tokens,
        now: Timestamp,
        give_up_at: Timestamp,
    ) -> Result<bool, VaultError> {
        self.write_revocation(connection, tokens, now, give_up_at)
    }

    fn take_revocations(
        &self,
        now: Timestamp,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<PendingRevocation>, VaultError> {
        self.lease_revocations(now, lease, limit)
    }

    fn settle_revocation(
        &self,
        tenant: &TenantId,
        id: u64,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        self.end_revocation(tenant, id, settlement, now)
    }

    fn forget_user(
        &self,
        tenant: &TenantId,
        user: &UserId,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Result<Option<Forgotten>, VaultError> {
        self.erase_user(tenant, user, by, now)
    }

    fn forget_tenant(&self, tenant: &TenantId, now: Timestamp) -> Result<Option<Forgotten>, VaultError> {
        self.erase_tenant(tenant, now)
    }

    fn record_handouts(&self, handouts: &[Handout]) -> Result<(), VaultError> {
        self.write_handouts(handouts)
    }

    fn audit(&self, filter: &AuditFilter<'_>) -> Result<Vec<AuditEntry>, VaultError> {
        self.read_audit(filter)
    }

    fn clear_residue(&self) -> Result<Erasure, VaultError> {
        self.cut_log()
    }
}

#[cfg(test)]
mod tests;
