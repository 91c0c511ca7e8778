//! Refresh claims and their results.

use std::time::Duration;

use crate::model::{
    Actor, FailureCode, Grant, GrantId, InFlight, NeedsConsent, ProviderId, Scopes, ServerId, Status,
    TenantId, Timestamp,
};
use crate::secret::{IdToken, RefreshToken};
use crate::vault::{Tokens, VaultError};

/// Stores refresh claims and their results.
///
/// The decisions are pure functions in [`change::lifecycle`](crate::vault::change::lifecycle), the
/// same for every vault. A refresh concerns the grant: all connections that use it are refreshed
/// together.
pub trait RefreshStore {
    /// Returns the id of this handle in claims. It is stable for the lifetime of the handle and
    /// unique to it.
    ///
    /// A vault that several processes share can tell whether the holder of a claim is still alive,
    /// so that no caller waits for the claim of a process that has ended.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if there are no random numbers, or the holder's lock file cannot be stored.
    fn holder(&self) -> Result<Holder, VaultError>;

    /// Claims grants that are due at one authorization server: the soonest expiry first, then the
    /// longest idle. Grants that are claimed already or that back off are skipped before the limit
    /// applies, so that several hosts divide the work.
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
    /// [`VaultError`] if it was not stored. The claim then lapses when its time is over.
    fn fail_refresh(
        &self,
        tenant: &TenantId,
        grant: GrantId,
        claim: &Claim,
        failure: &RefreshFailure,
    ) -> Result<CommitOutcome, VaultError>;
}

/// The holder of claims: 16 random bytes, generated when a vault is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Holder([u8; 16]);

impl Holder {
    /// Returns the holder with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the holder.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A request to claim a refresh.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct ClaimRequest<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The grant.
    pub grant: GrantId,
    /// The holder that claims.
    pub holder: Holder,
    /// The generation to be refreshed. If another one is stored, another caller was faster.
    pub generation: u64,
    /// The reason for the request.
    pub attempt: Attempt,
    /// The current time by the clock that decides claims: [`Housekeeping::clock`], or the host's.
    ///
    /// [`Housekeeping::clock`]: crate::vault::Housekeeping::clock
    pub now: Timestamp,
    /// The duration of the claim.
    pub lease: Duration,
}

/// The reason for a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attempt {
    /// The token is about to expire or has expired. The request waits for the back-off of earlier
    /// failures.
    Due,
    /// A caller requested the refresh. The request does not wait for the back-off.
    Forced,
    /// A caller requested another attempt with a refused refresh token that is in quarantine. The
    /// request does not wait for the back-off.
    Quarantined,
}

/// Selects grants to refresh before a caller has to wait for them.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct DueQuery<'a> {
    /// The authorization server that issued them.
    pub server: &'a ServerId,
    /// The holder that claims.
    pub holder: Holder,
    /// The current time.
    pub now: Timestamp,
    /// The current time by the clock that decides claims: [`Housekeeping::clock`], or the host's.
    ///
    /// [`Housekeeping::clock`]: crate::vault::Housekeeping::clock
    pub claim_time: Timestamp,
    /// The duration of the claims.
    pub lease: Duration,
    /// The time span before expiry in which a token is due: those that expire before `now` plus
    /// this. A token whose lifetime is less than twice this span is due after half of its lifetime:
    /// otherwise it would be due again right after its refresh.
    pub horizon: Duration,
    /// The time before which tokens must have been issued to be due, for servers that end idle
    /// grants.
    pub idle_since: Option<Timestamp>,
    /// The largest number of grants to claim.
    pub limit: usize,
}

/// A granted claim. Later calls present it as proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct Claim {
    /// The generation that is being refreshed.
    pub generation: u64,
    /// The number of the claim. Each claim of the grant increases it.
    pub fence: u64,
}

/// The outcome of a claim request.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClaimOutcome {
    /// The claim is granted. No other caller sends a request until it lapses.
    Granted(Box<Claimed>),
    /// Another caller holds a claim.
    Held(InFlight),
    /// Another generation is stored than the one to be refreshed. The caller reads again.
    Moved,
    /// The grant backs off until this time.
    BackingOff(Timestamp),
    /// There is no refresh token.
    NotRefreshable,
    /// The grant is not active.
    NotActive(Status),
    /// There is no such grant.
    Gone,
}

/// A granted claim and the tokens that it gives access to.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct Claimed {
    /// The claim, which proves later calls.
    pub claim: Claim,
    /// The grant as stored.
    pub grant: Grant,
    /// The refresh token to use.
    pub refresh_token: RefreshToken,
    /// The stored id token, to be carried over.
    pub id_token: Option<IdToken>,
    /// True if an earlier attempt with this refresh token may have reached the server although no
    /// response was read.
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
    /// The complete tokens: the caller has carried over those that the response omitted.
    pub tokens: &'a Tokens,
    /// The scopes, if the response contains them.
    pub granted: Option<&'a Scopes>,
    /// The time when the access token expires, if known.
    pub expires_at: Option<Timestamp>,
    /// The lifetime that the server reported last for this grant, in this response or in an earlier
    /// one.
    pub lifetime: Option<Duration>,
    /// The time when the refresh token expires, if the response contains it. If absent, the time
    /// from an earlier response remains valid.
    pub refresh_token_expires_at: Option<Timestamp>,
    /// The time when the request was sent.
    pub at: Timestamp,
    /// The actor who requested the refresh; `None` if it was due.
    pub by: Option<&'a Actor>,
}

/// The outcome of a write that names a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitOutcome {
    /// The result is stored.
    Stored,
    /// The tokens are stored in a former grant, to be revoked later: the connections use another
    /// grant by now.
    Former,
    /// Another generation or, where the number of the claim counts, another claim is stored.
    /// Nothing was changed.
    Superseded,
    /// The grant is revoked or does not exist. Nothing was changed.
    Gone,
}

/// The reason why a claim ended without new tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshFailure {
    /// A temporary failure. The tokens are kept.
    Transient {
        /// The failure. If it leaves open whether the server processed the request, the grant
        /// records that.
        code: FailureCode,
        /// The time when it happened.
        at: Timestamp,
        /// The end of the back-off.
        not_before: Timestamp,
        /// A checksum of the configuration, if an administrator has to correct it.
        setup: Option<u16>,
    },
    /// The API refused the access token although it had just been refreshed. No request was sent to
    /// the authorization server. Only the generation of the claim counts; the tokens are kept.
    TokenRefused {
        /// The time when it happened.
        at: Timestamp,
    },
    /// A permanent failure. The access token is erased. The refresh token is kept sealed and
    /// unusable until `quarantined_until`, or erased at once without it.
    Rejected {
        /// The reason why a new consent is needed.
        reason: NeedsConsent,
        /// The time when it happened.
        at: Timestamp,
        /// The time until which the refused refresh token is kept.
        quarantined_until: Option<Timestamp>,
    },
    /// No request was sent: an active grant can no longer be used, and its tokens are erased. Only
    /// the generation of the claim counts.
    ConsentNeeded {
        /// The reason why a new consent is needed.
        reason: NeedsConsent,
        /// The time when it happened.
        at: Timestamp,
    },
}
