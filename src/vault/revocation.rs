//! What a revocation gives out, what of it waits for the provider, and what it leaves.

use crate::model::{Connection, ConnectionId, IssuedBy, Parameters, ProviderId, TenantId, Timestamp};
use crate::secret::{AccessToken, RefreshToken};
use crate::vault::Tokens;

/// A connection that was just revoked.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct Revoked {
    /// The record, revoked.
    pub connection: Connection,
    /// What it held, if anything could be opened: to be revoked at the provider.
    pub tokens: Option<Tokens>,
    /// The refused refresh token that it had in quarantine: to be revoked as well, because a refusal may be wrong.
    pub refused: Option<RefreshToken>,
    /// The number of the pending revocation, if its tokens were kept for one.
    pub queued: Option<u64>,
    /// The connections that go on with the tokens, where it shared them. Then there is nothing to revoke at the provider.
    pub still_used_by: Vec<ConnectionId>,
}

/// A revocation that the provider has not confirmed yet.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct PendingRevocation {
    /// Its number.
    pub id: u64,
    /// The workspace.
    pub tenant: TenantId,
    /// The connection that was revoked. It may be connected again meanwhile, with other tokens.
    pub connection: ConnectionId,
    /// The service.
    pub provider: ProviderId,
    /// Where the tokens came from: they are sent nowhere else.
    pub issued_by: IssuedBy,
    /// The values of the descriptor's placeholders.
    pub parameters: Parameters,
    /// The access token, unless it was erased before.
    pub access_token: Option<AccessToken>,
    /// The refresh token, if there was one.
    pub refresh_token: Option<RefreshToken>,
    /// How many attempts have begun, this one included.
    pub attempts: u32,
    /// When it will be given up and its tokens be erased.
    pub give_up_at: Timestamp,
}

/// How an attempt at a pending revocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// The provider confirmed it. The tokens are erased.
    Confirmed,
    /// The provider refused. The tokens are erased.
    Refused,
    /// Nobody will try again. The tokens are erased.
    GivenUp,
    /// It is tried again after this time.
    Again {
        /// When.
        at: Timestamp,
    },
}

impl Settlement {
    /// The end as one lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Refused => "refused",
            Self::GivenUp => "given_up",
            Self::Again { .. } => "again",
        }
    }
}

/// Whether erased secrets are gone from every file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Erasure {
    /// They are gone.
    Cleared,
    /// Nothing can use them, but a sealed copy is there until `maintain` has cleared it: a reader keeps the write-ahead log
    /// from being cut, or the provider has not confirmed the revocation yet.
    Pending,
}
