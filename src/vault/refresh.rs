//! Refreshes: claims, and how they end.

use std::time::Duration;

use crate::model::{
    Actor, FailureCode, Grant, GrantId, InFlight, NeedsConsent, ProviderId, Scopes, ServerId, Status,
    TenantId, Timestamp,
};
use crate::secret::{IdToken, RefreshToken};
use crate::vault::{Tokens, VaultError};

/// Stores claims on refreshes and their results.
///
/// The decisions are pure functions in [`change::lifecycle`](crate::vault::change::lifecycle), the
/// same for every vault. A refresh is a matter of the grant: all connections that use it are
/// refreshed together.
pub trait RefreshStore {
    /// Identifies this handle in claims: the same at every call, another for every handle that is
    /// opened.
    ///
    /// A vault that several processes share can tell whether the holder of a claim still lives, so
    /// that nobody waits for the claim of a process that died.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if there are no random numbers, or the sign of life cannot be stored.
    fn holder(&self) -> Result<Holder, VaultError>;

    /// Claims grants that are due at one authorization server: the soonest expiry first, then the
    /// longest idle. A grant that is claimed already or backs off is passed over before the limit
    /// applies, so that several hosts divide the work between them.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read or written. A grant whose tokens do not open is
    /// left out.
    fn claim_due(&self, query: &DueQuery<'_>) -> Result<Vec<Claimed>, VaultError>;

    /// Claims the refresh of a grant, durably, and returns its refresh token.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the claim was not stored.
    fn claim_refresh(&self, request: &ClaimRequest<'_>) -> Result<ClaimOutcome, VaultError>;

    /// Stores refreshed tokens if the generation is still the one that was claimed.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if they were not stored; the caller still has them and can try again.
    fn commit_refresh(
        &self,
        tenant: &TenantId,
        grant: GrantId,
        claim: &Claim,
        refreshed: &Refreshed<'_>,
    ) -> Result<CommitOutcome, VaultError>;

    /// Ends a claim without new tokens, or records that an active grant needs a new consent.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not stored; a claim then lapses by itself.
    fn fail_refresh(
        &self,
        tenant: &TenantId,
        grant: GrantId,
        claim: &Claim,
        failure: &RefreshFailure,
    ) -> Result<CommitOutcome, VaultError>;
}

/// The holder of claims: 16 random bytes, new each time a vault is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Holder([u8; 16]);

impl Holder {
    /// The holder with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A request to claim a refresh.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct ClaimRequest<'a> {
    /// The workspace.
    pub tenant: &'a TenantId,
    /// The grant.
    pub grant: GrantId,
    /// Who claims.
    pub holder: Holder,
    /// The generation to be refreshed. If another one is stored, another caller was faster.
    pub generation: u64,
    /// Why.
    pub attempt: Attempt,
    /// The current time.
    pub now: Timestamp,
    /// The time for which the claim holds.
    pub lease: Duration,
}

/// Why a refresh is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attempt {
    /// The token is about to expire or has expired. Waits for the back-off of earlier failures.
    Due,
    /// Somebody requested it. Does not wait for the back-off.
    Forced,
    /// Somebody requested another try with a refused refresh token that is in quarantine. Does not
    /// wait for the back-off.
    Quarantined,
}

/// Selects grants to be refreshed before somebody waits for them.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct DueQuery<'a> {
    /// The authorization server that issued them.
    pub server: &'a ServerId,
    /// Who claims.
    pub holder: Holder,
    /// The current time.
    pub now: Timestamp,
    /// The time for which the claims hold.
    pub lease: Duration,
    /// Those whose access token expires before `now` plus this. A token that lives for less than
    /// twice as long is due when half of its life has passed: otherwise it would be due again right
    /// after its refresh.
    pub horizon: Duration,
    /// Those whose tokens were issued before this time, where the server ends idle grants.
    pub idle_since: Option<Timestamp>,
    /// At most this many.
    pub limit: usize,
}

/// A granted claim: later calls prove it by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct Claim {
    /// The generation that is being refreshed.
    pub generation: u64,
    /// Raised by each claim of the grant.
    pub fence: u64,
}

/// The outcome of a claim request.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClaimOutcome {
    /// It is granted: no other caller sends a request until it lapses.
    Granted(Box<Claimed>),
    /// Another caller holds a claim.
    Held(InFlight),
    /// Another generation is stored than the one to be refreshed: read again.
    Moved,
    /// No attempt before this time.
    BackingOff(Timestamp),
    /// There is no refresh token.
    NotRefreshable,
    /// The grant is not active.
    NotActive(Status),
    /// There is no such grant.
    Gone,
}

/// A granted claim and what it gives access to.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct Claimed {
    /// The proof.
    pub claim: Claim,
    /// The grant, as it is stored.
    pub grant: Grant,
    /// The refresh token to be used.
    pub refresh_token: RefreshToken,
    /// The id token that is held, to be carried over.
    pub id_token: Option<IdToken>,
    /// True if an earlier attempt with this refresh token may have reached the server although no
    /// answer was read.
    pub outcome_unknown: bool,
}

impl Claimed {
    /// Returns the service that the grant's consent named.
    #[must_use]
    pub const fn provider(&self) -> &ProviderId {
        &self.grant.provider
    }
}

/// Refreshed tokens, to be stored.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "handed to every vault")]
pub struct Refreshed<'a> {
    /// The tokens, whole: the caller has carried over what the answer left out.
    pub tokens: &'a Tokens,
    /// The scopes, if the answer names them.
    pub granted: Option<&'a Scopes>,
    /// The time when the access token expires, if known.
    pub expires_at: Option<Timestamp>,
    /// The lifetime that the server named last for this grant: in this answer or, if it names none,
    /// in an earlier one.
    pub lifetime: Option<Duration>,
    /// The time when the refresh token expires, if the answer says so. Absent: what an earlier
    /// answer said goes on to hold.
    pub refresh_token_expires_at: Option<Timestamp>,
    /// The time when the request was sent.
    pub at: Timestamp,
    /// Who requested it; absent where it was due.
    pub by: Option<&'a Actor>,
}

/// The outcome of a write that names a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitOutcome {
    /// It is stored.
    Stored,
    /// It is stored in a former grant, to be revoked one day: the connections use another grant by
    /// now.
    Former,
    /// Another generation or, where the fence counts, another claim is stored: nothing was changed.
    Superseded,
    /// The grant is revoked or gone: nothing was changed.
    Gone,
}

/// Why a claim ended without new tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshFailure {
    /// For now: the tokens are kept.
    Transient {
        /// The failure. If it leaves open whether the server acted, that is remembered.
        code: FailureCode,
        /// The time when it happened.
        at: Timestamp,
        /// No attempt before this time.
        not_before: Timestamp,
        /// A check of the configuration that failed, where the failure is the operator's.
        setup: Option<u16>,
    },
    /// The API refused the access token although it had just been refreshed: nothing was sent to
    /// the authorization server. Only the generation of the claim counts; the tokens are kept.
    TokenRefused {
        /// The time when it happened.
        at: Timestamp,
    },
    /// For good: the access token is erased. The refresh token is kept sealed and out of reach
    /// until `quarantined_until`, or erased at once without it.
    Rejected {
        /// The reason why a new consent is needed.
        reason: NeedsConsent,
        /// The time when it happened.
        at: Timestamp,
        /// Until when the refused refresh token is kept.
        quarantined_until: Option<Timestamp>,
    },
    /// No request was made: an active grant cannot be used any more, and its tokens are erased.
    /// Only the generation of the claim counts.
    ConsentNeeded {
        /// The reason why a new consent is needed.
        reason: NeedsConsent,
        /// The time when it happened.
        at: Timestamp,
    },
}
