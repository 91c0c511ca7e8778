//! Revocations: ending a connection locally, and tokens that wait for revocation at the provider.

use std::time::Duration;

use crate::model::{Actor, Connection, ConnectionId, Grant, GrantId, RevocationId, TenantId, Timestamp};
use crate::secret::{AccessToken, RefreshToken};
use crate::vault::{Tokens, VaultError};

/// Revokes connections, and keeps tokens that the provider has not confirmed as revoked.
pub trait RevocationStore {
    /// Revokes locally: erases the sealed tokens and keeps the connections as history. Returns the
    /// tokens of the grant and of its former grants, so that they can be revoked at the provider.
    /// Returns `None` if there is no such connection, or it was revoked before and none of its
    /// tokens waits for the provider.
    ///
    /// If other connections share the grant, they continue to use it, and no tokens end.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not stored. Tokens that cannot be opened are erased nevertheless.
    fn revoke(&self, request: &Revoke<'_>) -> Result<Option<Revoked>, VaultError>;

    /// Keeps tokens that arrived too late to be stored in this grant, for upkeep to revoke at the
    /// provider. Returns `false` if there is no room.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if they were not stored.
    fn queue_revocation(&self, late: &LateTokens<'_>) -> Result<bool, VaultError>;

    /// Takes pending revocations of all tenants that are due, at most `limit`. No other caller gets
    /// them for the duration of `lease`. Those that are too old are given up and erased.
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

    /// Stores how an attempt at a pending revocation ended. An attempt at a revocation that no
    /// longer exists is ignored.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not stored.
    fn settle_revocation(
        &self,
        tenant: &TenantId,
        id: RevocationId,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<(), VaultError>;
}

/// A request to revoke.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Revoke<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The connection or grant to revoke.
    pub what: RevokeWhat,
    /// The actor who revokes, for the audit.
    pub by: Option<&'a Actor>,
    /// The current time.
    pub now: Timestamp,
    /// Keeps the tokens sealed until this time, in the same transaction, for attempts at the
    /// provider. The caller has a minute for the first attempt. `None` erases them at once.
    pub keep_until: Option<Timestamp>,
}

/// Selects what a [`Revoke`] ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevokeWhat {
    /// One connection. Its grant ends when no other connection uses it.
    Connection(ConnectionId),
    /// A grant and every connection that uses it, or one former grant.
    Grant(GrantId),
}

/// The result of a revocation.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct Revoked {
    /// The revoked connections, in their new state.
    pub connections: Vec<Connection>,
    /// The sets of tokens that ended: those of the grant, of its former grants, and those of the
    /// connection that an earlier revocation left pending.
    pub ended: Vec<EndedGrant>,
    /// The connections that continue to use the grant. If there are any, no tokens ended.
    pub still_used_by: Vec<ConnectionId>,
}

/// A set of tokens that was just erased locally and is to be revoked at the provider.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct EndedGrant {
    /// The grant. For an earlier pending revocation, it holds the facts that were kept.
    pub grant: Grant,
    /// Its access token, if it could be opened.
    pub access_token: Option<AccessToken>,
    /// Its refresh token, including one in quarantine, because the refusal may be wrong.
    pub refresh_token: Option<RefreshToken>,
    /// The pending revocation that keeps the tokens, if they are kept.
    pub pending: Option<RevocationId>,
    /// The number of previous attempts.
    pub attempts: u32,
}

/// Tokens that arrived too late to be stored.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct LateTokens<'a> {
    /// The grant that the tokens were issued for, with their generation.
    pub grant: &'a Grant,
    /// The connection that the audit and the pending revocation name.
    pub connection: ConnectionId,
    /// The tokens.
    pub tokens: &'a Tokens,
    /// The time of the first attempt.
    pub now: Timestamp,
    /// The time after which upkeep gives up.
    pub give_up_at: Timestamp,
}

/// A revocation that the provider has not confirmed yet.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct PendingRevocation {
    /// The id of the revocation.
    pub id: RevocationId,
    /// The connection that was revoked. It may have been connected again, with other tokens.
    pub connection: ConnectionId,
    /// The grant that the tokens belonged to, with the issuer and the parameters that the request
    /// needs.
    pub grant: Grant,
    /// The access token, unless it was erased before.
    pub access_token: Option<AccessToken>,
    /// The refresh token, if there was one.
    pub refresh_token: Option<RefreshToken>,
    /// The number of attempts that have begun, this one included.
    pub attempts: u32,
    /// The time when the vault gives up and erases its tokens.
    pub give_up_at: Timestamp,
}

/// The outcome of an attempt at a pending revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// The provider confirmed the revocation. The tokens are erased.
    Confirmed,
    /// The provider refused. The tokens are erased.
    Refused,
    /// No more attempts are made. The tokens are erased.
    GivenUp,
    /// Another attempt follows after this time.
    Again {
        /// The time of the next attempt.
        at: Timestamp,
    },
}

impl Settlement {
    /// Returns the settlement as one lower-case word.
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

/// The state of erased secrets in the vault's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Erasure {
    /// No file contains them.
    Cleared,
    /// No code can use them, but a sealed copy exists until upkeep has cleared it: a reader
    /// prevents the write-ahead log from being truncated, the provider has not confirmed the
    /// revocation yet, or the database cannot overwrite in place.
    Pending,
}
