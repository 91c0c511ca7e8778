//! Claims on a refresh: who asks for what, what is given, how it ends.

use std::time::Duration;

use crate::model::{
    Actor, Connection, ConnectionId, FailureCode, InFlight, NeedsConsent, ProviderId, Scopes, Status,
    TenantId, Timestamp,
};
use crate::secret::{IdToken, RefreshToken};
use crate::vault::Tokens;

/// Who may hold claims: 16 random bytes, new each time a vault is opened. A vault says which by
/// [`Vault::holder`](crate::vault::Vault::holder); a claim under another name may be taken for a dead one's.
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

/// A wish to refresh.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct ClaimRequest<'a> {
    /// The workspace.
    pub tenant: &'a TenantId,
    /// The connection.
    pub connection: ConnectionId,
    /// Who asks.
    pub holder: Holder,
    /// The generation that is to be renewed. If another is stored, somebody was faster.
    pub generation: u64,
    /// Why.
    pub attempt: Attempt,
    /// Now.
    pub now: Timestamp,
    /// How long the claim holds.
    pub lease: Duration,
}

/// Why a refresh is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attempt {
    /// The token is about to expire or has expired. Waits for the back-off of earlier failures.
    Due,
    /// Somebody asked for it by name. Does not wait for the back-off.
    Forced,
    /// Somebody asked to try a refused refresh token again, while it is in quarantine. Does not wait for the back-off.
    Quarantined,
}

/// A connection whose tokens should be renewed before somebody waits for them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct Due {
    /// The workspace.
    pub tenant: TenantId,
    /// The connection.
    pub connection: ConnectionId,
    /// The generation to be renewed.
    pub generation: u64,
    /// The service.
    pub provider: ProviderId,
    /// When the access token expires, if known.
    pub expires_at: Option<Timestamp>,
}

/// A granted claim: what later calls prove it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct Claim {
    /// The generation being renewed.
    pub generation: u64,
    /// Raised by each claim of the connection.
    pub fence: u64,
}

/// How a claim ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClaimOutcome {
    /// It is granted; nobody else will dial until it lapses.
    Granted(Box<Claimed>),
    /// Somebody else is at it.
    Held(InFlight),
    /// Another generation is stored than the one to be renewed: read again.
    Moved,
    /// No attempt before this time.
    BackingOff(Timestamp),
    /// There is no refresh token.
    NotRefreshable,
    /// The connection is not active.
    NotActive(Status),
    /// There is no such connection.
    Gone,
}

/// What a granted claim gives.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct Claimed {
    /// The proof.
    pub claim: Claim,
    /// The record, as it stands.
    pub connection: Connection,
    /// The refresh token to be used.
    pub refresh_token: RefreshToken,
    /// The id token held, to be carried over.
    pub id_token: Option<IdToken>,
    /// Whether an earlier attempt with this refresh token may have reached the server without its answer reaching us.
    pub outcome_unknown: bool,
}

/// Renewed tokens, to be stored.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "handed to every vault")]
pub struct Renewed<'a> {
    /// The tokens, whole: what the answer left out was carried over by the caller.
    pub tokens: &'a Tokens,
    /// The scopes, if the answer names them.
    pub granted: Option<&'a Scopes>,
    /// When the access token expires, if known.
    pub expires_at: Option<Timestamp>,
    /// When the request was sent.
    pub at: Timestamp,
    /// Who asked for it by name; absent where it was due.
    pub by: Option<&'a Actor>,
}

/// How a write that names a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitOutcome {
    /// It is stored.
    Stored,
    /// Another generation or, where the fence counts, another claim is stored: nothing was changed.
    Superseded,
    /// The connection is revoked or gone: nothing was changed.
    Gone,
}

/// Why a claim ended without new tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshFailure {
    /// For now: the tokens are kept.
    Transient {
        /// What happened. If it leaves open whether the server acted, that is remembered.
        code: FailureCode,
        /// When.
        at: Timestamp,
        /// No attempt before this time.
        not_before: Timestamp,
    },
    /// For good: the access token is erased; the refresh token is kept sealed and out of reach until
    /// `quarantined_until`, or erased at once without it.
    Rejected {
        /// Why a new consent is needed.
        reason: NeedsConsent,
        /// When.
        at: Timestamp,
        /// Until when the refused refresh token is kept.
        quarantined_until: Option<Timestamp>,
    },
}
