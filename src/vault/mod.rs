//! The transactional, encrypted home of connections, tokens, pending consents and refresh claims.

mod audit;
mod claim;
pub mod envelope;
mod error;
pub mod lifecycle;
mod memory;
mod record;
mod revocation;
mod rotation;
mod shared;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqlite")]
#[allow(dead_code, reason = "in use once the new vault is")]
mod sqlite3;
#[allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "in use once the new vault is"
)]
mod tables;
mod warning;

pub use audit::{
    AuditEntry, AuditFilter, AuditHead, AuditKind, AuditOrder, AuditReport, Forgotten, Handout,
    InvalidAuditHead,
};
pub use claim::{
    Attempt, Claim, ClaimOutcome, ClaimRequest, Claimed, CommitOutcome, Due, Holder, RefreshFailure, Renewed,
};
pub use error::VaultError;
pub use memory::MemoryVault;
pub use record::{
    ConnectionQuery, ConsentStatus, Found, Grant, PendingConsent, Purpose, StateHash, StoreOutcome,
    StoredToken, TokenQuery, Tokens, Use,
};
pub use revocation::{Erasure, PendingRevocation, Revoked, Settlement};
pub use rotation::{Resealed, Rewrapped};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteVault;
pub use warning::VaultWarning;

use std::fmt::Debug;
use std::time::Duration;

use crate::model::{Actor, Connection, ConnectionId, NeedsConsent, ServerId, TenantId, Timestamp, UserId};
use crate::secret::PkceVerifier;

/// Keeps connections and their secrets.
///
/// # Contract
///
/// * **Atomic.** Each method is one transaction: it happens whole or not at all, and it is durable when it
///   returns. A rotated refresh token that is lost in a crash is lost for good.
/// * **Sealed.** Plaintext secrets come in and go out through this trait; what reaches a disk or a network is
///   sealed ([`envelope`] does it), bound to its tenant, owner, provider, connection and generation.
/// * **Compare and swap.** What writes tokens names the generation that it saw. If another one is stored, nothing
///   is written and the outcome says so; it is no error.
/// * **Told.** Each change and its entry in the audit are one. A method that names who acts (`by`) tells it in that entry.
/// * **Separate.** Every method names its tenant. What belongs to another tenant does not exist.
/// * **Honest.** A failure of the store is an error, never an empty answer: "not connected" means that the store
///   was read and there is nothing. A record that cannot be opened is an error and is not overwritten.
/// * **No waiting.** No method waits for the network or for another caller's refresh; a lock on the
///   store is waited for with a bound.
///
/// The decisions (may this claim be granted? does this commit count?) are the same for every vault: they are
/// pure functions in [`lifecycle`]. `testing::vault_contract` checks all of it.
pub trait Vault: Debug + Send + Sync + 'static {
    /// Stores a consent that has begun.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not stored.
    fn insert_consent(
        &self,
        consent: &PendingConsent,
        verifier: Option<&PkceVerifier>,
    ) -> Result<(), VaultError>;

    /// Reads a consent, whatever its status, until it is purged. The verifier stays inside.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read.
    fn consent(&self, tenant: &TenantId, state: &StateHash) -> Result<Option<PendingConsent>, VaultError>;

    /// Reads the consents that a person began, whatever their status, until they are purged, in no order. Verifiers stay
    /// inside.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read.
    fn consents(&self, tenant: &TenantId, user: &UserId) -> Result<Vec<PendingConsent>, VaultError>;

    /// Takes a pending consent: of any number of callers exactly one gets `Some`. The stored verifier is erased.
    ///
    /// `None` if there is no such consent, it is no longer pending, or it expired before `now`.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not taken.
    #[allow(
        clippy::option_option,
        reason = "taken or not; and a taken one may have no verifier"
    )]
    fn take_consent(
        &self,
        tenant: &TenantId,
        state: &StateHash,
        now: Timestamp,
    ) -> Result<Option<Option<PkceVerifier>>, VaultError>;

    /// Says how a taken consent ended, if not in a stored grant.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not stored.
    fn close_consent(
        &self,
        tenant: &TenantId,
        state: &StateHash,
        status: ConsentStatus,
    ) -> Result<(), VaultError>;

    /// Deletes at most `limit` consents (of all tenants) that expired before `before`. Returns how many.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if nothing was deleted.
    fn purge_consents(&self, before: Timestamp, limit: usize) -> Result<usize, VaultError>;

    /// Stores the tokens of a consent: a new connection, or a new generation of the one it replaces, and the
    /// consent as completed, in one transaction.
    ///
    /// With [members](Grant::members), the record keeps the tokens for them: each is stored, shares it from now on and
    /// loses what tokens it had. A record that nobody shares any more afterwards is deleted with its tokens. Each
    /// member has an entry in the audit, and the consent leads to the first of them.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not stored.
    fn store_grant(&self, grant: &Grant<'_>) -> Result<StoreOutcome, VaultError>;

    /// Reads a connection, or a record that keeps tokens for several. One that shares such a record shows its state:
    /// [`Connection::show_grant`].
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read.
    fn connection(&self, tenant: &TenantId, id: ConnectionId) -> Result<Option<Connection>, VaultError>;

    /// Reads the connections that the query matches, ordered by id, without touching a secret. Not the records that keep
    /// tokens for several; who shares one shows its state.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read.
    fn connections(&self, query: &ConnectionQuery<'_>) -> Result<Vec<Connection>, VaultError>;

    /// Marks a connection as the default among its owner's connections to its provider, and no other.
    /// Returns whether there is such a connection.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not stored.
    fn set_default(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
    ) -> Result<bool, VaultError>;

    /// Stores when tokens were last handed out. A time older than the stored one changes nothing.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if nothing was stored.
    fn record_use(&self, uses: &[Use]) -> Result<(), VaultError>;

    /// The hot path: finds the connection that the query names and opens its access token, and nothing else.
    ///
    /// Revoked connections and records that keep tokens for several are passed over. A connection that shares such a
    /// record has its tokens, and what is missing is judged by what was granted to it as a whole. Writes nothing.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read or the token cannot be opened.
    fn find_token(&self, query: &TokenQuery<'_>) -> Result<Found, VaultError>;

    /// As [`find_token`](Self::find_token), for a connection that is already known.
    ///
    /// # Errors
    ///
    /// As [`find_token`](Self::find_token).
    fn token(&self, tenant: &TenantId, id: ConnectionId) -> Result<Option<StoredToken>, VaultError>;

    /// Who claims through this handle: the same at every call, another for every handle that is opened.
    ///
    /// A vault that several processes share can tell whether the holder of a claim still lives, so that the claim of
    /// a process that died is not waited for.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if there are no random numbers, or the sign of life cannot be stored.
    fn holder(&self) -> Result<Holder, VaultError>;

    /// Active connections of all tenants that can be refreshed now and whose access token expires before `now` plus
    /// `horizon`, the soonest first, at most `limit`. Not those whose refresh is claimed or backing off, nor those
    /// whose expiry is unknown.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read.
    fn due(&self, now: Timestamp, horizon: Duration, limit: usize) -> Result<Vec<Due>, VaultError>;

    /// Active connections of all tenants that can be refreshed at one authorization server and whose tokens were last
    /// renewed before `refreshed_before`, the oldest first, at most `limit`: servers end grants that lie idle.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read.
    fn idle(
        &self,
        refreshed_before: Timestamp,
        server: &ServerId,
        limit: usize,
    ) -> Result<Vec<Due>, VaultError>;

    /// Claims the refresh of a connection, durably, and gives out its refresh token: see [`lifecycle::claim`].
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the claim was not stored.
    fn claim_refresh(&self, request: &ClaimRequest<'_>) -> Result<ClaimOutcome, VaultError>;

    /// Stores renewed tokens: see [`lifecycle::commit`].
    ///
    /// # Errors
    ///
    /// [`VaultError`] if they were not stored; the caller still has them and may try again.
    fn commit_refresh(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        claim: &Claim,
        renewed: &Renewed<'_>,
    ) -> Result<CommitOutcome, VaultError>;

    /// Ends a claim without new tokens: see [`lifecycle::fail`].
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not stored; the claim then lapses by itself.
    fn fail_refresh(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        claim: &Claim,
        failure: &RefreshFailure,
    ) -> Result<CommitOutcome, VaultError>;

    /// Erases the tokens of an active connection and records that it needs a new consent, if its generation is
    /// still `generation` and its tokens are its own.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not stored.
    fn need_consent(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        generation: u64,
        reason: NeedsConsent,
    ) -> Result<CommitOutcome, VaultError>;

    /// Erases refused refresh tokens (of all tenants) whose quarantine has ended, at most `limit`. Returns how many.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if nothing was erased.
    fn erase_quarantined(&self, now: Timestamp, limit: usize) -> Result<usize, VaultError>;

    /// Revokes a connection here: erases its sealed tokens and keeps the rest of the record as history. Returns the
    /// tokens, so that they can be revoked at the provider. A connection that is revoked already yields none.
    ///
    /// One that shares tokens leaves the others to go on with them; with the last one the record that kept them is
    /// deleted and gives them out. To revoke that record is to revoke all who share it.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not stored. Tokens that cannot be opened are no error here: they are erased all the same.
    fn revoke(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Result<Option<Revoked>, VaultError>;

    /// As [`revoke`](Self::revoke), and keeps the tokens, sealed and out of reach, for upkeep to revoke at the provider:
    /// in the same transaction, so that no crash loses them. [`Revoked::queued`] is the number for
    /// [`settle_revocation`](Self::settle_revocation); none if there is nothing to revoke or no room. Whoever revokes has a
    /// minute for the first attempt.
    ///
    /// # Errors
    ///
    /// As for [`revoke`](Self::revoke).
    fn revoke_and_queue(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
        now: Timestamp,
        give_up_at: Timestamp,
    ) -> Result<Option<Revoked>, VaultError>;

    /// Keeps tokens that came too late to be stored, for upkeep to revoke at the provider. `connection` is the record that
    /// they were for, with their generation. `false` if there is no room.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if they were not stored.
    fn queue_revocation(
        &self,
        connection: &Connection,
        tokens: &Tokens,
        now: Timestamp,
        give_up_at: Timestamp,
    ) -> Result<bool, VaultError>;

    /// Takes pending revocations (of all tenants) whose time has come, at most `limit`. Nobody else is given them for
    /// `lease`. Those that are too old are given up and erased.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read or written.
    fn take_revocations(
        &self,
        now: Timestamp,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<PendingRevocation>, VaultError>;

    /// Says how an attempt at a pending revocation ended. One that is not there any more is no error.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not stored.
    fn settle_revocation(
        &self,
        tenant: &TenantId,
        id: u64,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<(), VaultError>;

    /// Erases everything of a person in a workspace: connections, consents, pending revocations. Their past entries in
    /// the audit stay, sealed under the workspace's key. `None` if there is no such workspace. The entry that tells of it
    /// names who acted, unless it is that very person.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if nothing was erased.
    fn forget_user(
        &self,
        tenant: &TenantId,
        user: &UserId,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Result<Option<Forgotten>, VaultError>;

    /// Erases everything of a workspace, its keys first: what is sealed with them is lost to everybody, backups aside.
    /// `None` if there is no such workspace.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if its keys were not erased, or not all of its rows: then the next
    /// [`clear_residue`](Self::clear_residue) goes on.
    fn forget_tenant(&self, tenant: &TenantId, now: Timestamp) -> Result<Option<Forgotten>, VaultError>;

    /// Stores that tokens were handed out: the time of the last use of each connection, and an entry in the audit for
    /// each, in one transaction.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if nothing was stored.
    fn record_handouts(&self, handouts: &[Handout]) -> Result<(), VaultError>;

    /// Reads the audit of one tenant, in the order that the filter names: a page at the end costs no more than one at the
    /// beginning.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read or an entry cannot be opened.
    fn audit(&self, filter: &AuditFilter<'_>) -> Result<Vec<AuditEntry>, VaultError>;

    /// Clears what erased secrets may have left behind in files beside the database.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it could not be tried.
    fn clear_residue(&self) -> Result<Erasure, VaultError>;
}
