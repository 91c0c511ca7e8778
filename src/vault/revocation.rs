//! Revocations: ending a connection here, and what waits for the provider.

use std::time::Duration;

use crate::model::{Actor, Connection, ConnectionId, Grant, GrantId, RevocationId, TenantId, Timestamp};
use crate::secret::{AccessToken, RefreshToken};
use crate::vault::{Tokens, VaultError};

/// Revokes connections, and keeps tokens that the provider has not confirmed as revoked.
pub trait RevocationStore {
    /// Revokes here: erases the sealed tokens and keeps the connections as history. Returns the
    /// tokens of the grant and of its former grants, so that they can be revoked at the provider.
    /// `None` if there is no such connection, or it was revoked before and nothing of it waits for
    /// the provider.
    ///
    /// A connection that shares its grant leaves the others to use it: then no tokens end.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not stored. Tokens that cannot be opened are erased all the same.
    fn revoke(&self, request: &Revoke<'_>) -> Result<Option<Revoked>, VaultError>;

    /// Keeps tokens that came too late to be stored in this grant, for upkeep to revoke at the
    /// provider. Returns `false` if there is no room.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if they were not stored.
    fn queue_revocation(&self, late: &LateTokens<'_>) -> Result<bool, VaultError>;

    /// Takes pending revocations (of all tenants) whose time has come, at most `limit`. No other
    /// caller gets them for `lease`. Those that are too old are given up and erased.
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

    /// Stores how an attempt at a pending revocation ended. One that does not exist any more is
    /// ignored.
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
    /// The workspace.
    pub tenant: &'a TenantId,
    /// What to revoke.
    pub what: RevokeWhat,
    /// Who revokes, for the audit.
    pub by: Option<&'a Actor>,
    /// The current time.
    pub now: Timestamp,
    /// Keeps the tokens sealed until this time, for attempts at the provider, in the same
    /// transaction. The caller has a minute for the first attempt. `None` erases them at once.
    pub keep_until: Option<Timestamp>,
}

/// What a [`Revoke`] ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevokeWhat {
    /// One connection. Its grant ends with the last connection that uses it.
    Connection(ConnectionId),
    /// A grant and every connection that uses it, or one former grant.
    Grant(GrantId),
}

/// What a revocation ended.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct Revoked {
    /// The connections that were revoked, as they show themselves now.
    pub connections: Vec<Connection>,
    /// The sets of tokens that ended: of the grant, of its former grants, and those of the
    /// connection that an earlier revocation left pending.
    pub ended: Vec<EndedGrant>,
    /// The connections that go on using the grant. Then no tokens ended.
    pub still_used_by: Vec<ConnectionId>,
}

/// A set of tokens that was just erased here, to be revoked at the provider.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct EndedGrant {
    /// The grant. Of an earlier pending revocation, as far as it is known.
    pub grant: Grant,
    /// Its access token, if it could be opened.
    pub access_token: Option<AccessToken>,
    /// Its refresh token, one in quarantine included: a refusal may be wrong.
    pub refresh_token: Option<RefreshToken>,
    /// The pending revocation that keeps the tokens, if they are kept.
    pub pending: Option<RevocationId>,
    /// The number of attempts that were made before.
    pub attempts: u32,
}

/// Tokens that came too late to be stored.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct LateTokens<'a> {
    /// The grant that they were for, with their generation.
    pub grant: &'a Grant,
    /// The connection that the audit and the pending revocation name.
    pub connection: ConnectionId,
    /// The tokens.
    pub tokens: &'a Tokens,
    /// The time of the first attempt.
    pub now: Timestamp,
    /// The time when to give up.
    pub give_up_at: Timestamp,
}

/// A revocation that the provider has not confirmed yet.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct PendingRevocation {
    /// Identifies it.
    pub id: RevocationId,
    /// The connection that was revoked. It may have been connected again, with other tokens.
    pub connection: ConnectionId,
    /// The grant that the tokens belonged to, with the issuer and the parameters that they are sent
    /// by.
    pub grant: Grant,
    /// The access token, unless it was erased before.
    pub access_token: Option<AccessToken>,
    /// The refresh token, if there was one.
    pub refresh_token: Option<RefreshToken>,
    /// The number of attempts have begun, this one included.
    pub attempts: u32,
    /// The time when it will be given up and its tokens be erased.
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

/// Whether erased secrets are gone from every file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Erasure {
    /// They are gone.
    Cleared,
    /// Nothing can use them, but a sealed copy exists until upkeep has cleared it: a reader keeps
    /// the write-ahead log from being cut, the provider has not confirmed the revocation yet, or
    /// the database cannot overwrite in place.
    Pending,
}
