//! Grants and the connections that use them.

use std::sync::Arc;

use crate::model::{
    Actor, Connection, ConnectionId, Grant, GrantId, Label, Owner, Parameters, ProviderId, RefreshState,
    Scopes, Status, TenantId, Timestamp, UserId,
};
use crate::secret::{AccessToken, IdToken, RefreshToken};
use crate::vault::tables::Basis;
use crate::vault::{StateHash, VaultError};

/// Stores grants and connections.
pub trait GrantStore {
    /// Stores the tokens of a consent as a new grant, makes the named connections use it, and
    /// records the consent request as completed, in one transaction. Each connection gets an audit
    /// entry.
    ///
    /// A grant that is no longer used by any connection becomes a former grant of the new one, with
    /// its sealed tokens, and so do its own former grants. A grant without tokens is deleted.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not stored.
    fn store_grant(&self, new: &NewGrant<'_>) -> Result<StoreOutcome, VaultError>;

    /// Reads a grant without its tokens, former grants included.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read.
    fn grant(&self, tenant: &TenantId, id: GrantId) -> Result<Option<Grant>, VaultError>;

    /// Reads a connection.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read; [`VaultError::Tampered`] if the row was altered.
    fn connection(&self, tenant: &TenantId, id: ConnectionId) -> Result<Option<Connection>, VaultError>;

    /// Reads the connections that the query matches, in the order of their ids, without reading a
    /// secret.
    ///
    /// # Errors
    ///
    /// Those of [`connection`](Self::connection).
    fn connections(&self, query: &ConnectionQuery<'_>) -> Result<Vec<Connection>, VaultError>;

    /// Finds the connection that the query names in the store as it is now, and opens its access
    /// token, and nothing else. It skips revoked connections and writes nothing.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read; [`VaultError::Tampered`] if the connection or
    /// its grant was altered.
    fn find_token(&self, query: &TokenQuery<'_>) -> Result<Found, VaultError>;

    /// Finds a token as [`find_token`](Self::find_token) does, and returns the state of the store
    /// that the answer is from; `None` if the store cannot tell later whether the answer still
    /// holds. This is the hot path.
    ///
    /// A store across a network may give an answer that it read a short time ago: never one from
    /// before a change that was stored earlier than its bound, and never one from before a change
    /// that this handle made. It does so only if the answer is a token with all scopes of the
    /// query.
    ///
    /// # Errors
    ///
    /// Those of [`find_token`](Self::find_token).
    fn find_token_as_of(&self, query: &TokenQuery<'_>) -> Result<(Found, Option<AsOf>), VaultError>;

    /// Finds several tokens ahead as [`find_token_as_of`](Self::find_token_as_of) does, and returns
    /// the answers in the order of the queries. A store across a network is asked once for all of
    /// them. The answer is `None` if it cannot be used again later, or if the store failed: the
    /// call that needs the token then asks the store.
    fn find_tokens(&self, queries: &[TokenQuery<'_>]) -> Vec<Option<(Found, AsOf)>>;

    /// Finds a token as [`find_token_as_of`](Self::find_token_as_of) does, but without the network.
    /// Returns `None` if a store across a network would have to be asked.
    ///
    /// # Errors
    ///
    /// Those of [`find_token`](Self::find_token).
    fn remembered_token(&self, query: &TokenQuery<'_>) -> Result<Option<(Found, Option<AsOf>)>, VaultError>;

    /// Returns whether the answers from this state still hold. It never uses the network.
    ///
    /// A call that begins after a commit has returned, in any process of this machine, never
    /// returns `true` for a state from before that commit. A store across a network returns `true`
    /// for a bounded time, unless this handle has changed what the answer depends on.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read.
    fn is_unchanged_since(&self, as_of: AsOf) -> Result<bool, VaultError>;

    /// Returns whether the store is on this machine, so that reads do not use the network.
    fn is_local(&self) -> bool;

    /// Returns whether the keys of the tenant are in memory, so that
    /// [`find_token`](Self::find_token) calls no key service.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read.
    fn is_unlocked(&self, tenant: &TenantId) -> Result<bool, VaultError>;

    /// Makes a connection the default among its owner's connections to its provider. Returns
    /// `false` if there is no such connection or it is revoked.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not stored.
    fn set_default(
        &self,
        tenant: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Result<bool, VaultError>;
}

/// One set of tokens.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct Tokens {
    /// The access token.
    pub access_token: AccessToken,
    /// The refresh token, if one was issued.
    pub refresh_token: Option<RefreshToken>,
    /// The id token, if one was issued.
    pub id_token: Option<IdToken>,
}

/// The tokens of a consent, to be stored.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "handed to every vault")]
pub struct NewGrant<'a> {
    /// The consent request that the tokens come from. It is recorded as completed.
    pub consent: &'a StateHash,
    /// The complete grant. Its generation is one more than the highest generation of its
    /// connections, or 1 if all are new.
    pub grant: &'a Grant,
    /// Its tokens.
    pub tokens: &'a Tokens,
    /// The connections that use it from now on, at least one: new ones, and existing ones with the
    /// same owner and provider as before. The consent is recorded as completed with the first.
    pub connections: &'a [Connection],
    /// The latest time at which the replaced tokens expire at the server, if known.
    pub former_dead_at: Option<Timestamp>,
}

/// The outcome of [`GrantStore::store_grant`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a vault must be able to build one")]
pub enum StoreOutcome {
    /// The grant is stored.
    Stored {
        /// The replaced grants that still hold tokens.
        former: Vec<GrantId>,
    },
    /// Nothing was stored: a generation to be replaced has changed, the owner has another
    /// connection to that provider with the same label or account that is not revoked, or a grant
    /// with this id is stored already, such as by an earlier call whose answer was lost. The caller
    /// reads and decides again.
    Conflict,
}

/// Selects connections.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectionQuery<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// Only those of this owner. `None` selects all owners.
    pub owner: Option<&'a Owner>,
    /// Only those to this service.
    pub provider: Option<&'a ProviderId>,
    /// Only those that use this grant.
    pub grant: Option<GrantId>,
    /// True to include revoked connections.
    pub with_revoked: bool,
    /// The state that the caller looks for. Connections that are not in it may be left out.
    pub sought: Option<Sought>,
    /// Only connections after this one.
    pub after: Option<ConnectionId>,
    /// The largest number of connections to return.
    pub limit: usize,
}

impl<'a> ConnectionQuery<'a> {
    /// Returns a query for all connections of a tenant that are not revoked, without a limit.
    #[must_use]
    pub const fn of(tenant: &'a TenantId) -> Self {
        Self {
            tenant,
            owner: None,
            provider: None,
            grant: None,
            with_revoked: false,
            sought: None,
            after: None,
            limit: usize::MAX,
        }
    }
}

/// A state of connections that a caller looks for, so that a store need not read all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a vault must handle every case")]
pub enum Sought {
    /// Revoked connections.
    Revoked,
    /// Connections that need a new consent: their grant ended, or its token has expired and there
    /// is no refresh token.
    NeedsConsent {
        /// The current time.
        now: Timestamp,
    },
}

/// Selects the token to find.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data, built on the hot path")]
pub struct TokenQuery<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The connection whose token is wanted.
    pub of: Of<'a>,
    /// The scopes that must have been granted.
    pub scopes: &'a Scopes,
}

/// Selects one connection.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_enums, reason = "a vault must handle every case")]
pub enum Of<'a> {
    /// By its owner and provider.
    Owner {
        /// The user; `None` for the workspace connection.
        user: Option<&'a UserId>,
        /// The service.
        provider: &'a ProviderId,
        /// The label, if one was named; otherwise the only connection or the default is selected.
        label: Option<&'a Label>,
    },
    /// By its id.
    Id(ConnectionId),
}

/// The outcome of [`GrantStore::find_token`].
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "moved once or twice: an allocation on the hot path costs more"
)]
#[allow(clippy::exhaustive_enums, reason = "a vault must be able to build one")]
pub enum Found {
    /// There is no such connection.
    Nothing,
    /// The connection and its token.
    One(StoredToken),
    /// There are several connections; none was named and none is the default.
    Several,
}

/// Identifies the state of the store from which an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsOf(pub(in crate::vault) Basis);

/// An access token, and the facts about its connection that a turn needs.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct StoredToken {
    /// The connection.
    pub connection: ConnectionId,
    /// The grant that the connection uses. Claims and refreshes name it.
    pub grant: GrantId,
    /// The generation of the tokens.
    pub generation: u64,
    /// The status.
    pub status: Status,
    /// The token; `None` unless the status is active.
    pub access_token: Option<Arc<AccessToken>>,
    /// The time when the tokens were issued.
    pub refreshed_at: Timestamp,
    /// The time when the token expires, if known.
    pub expires_at: Option<Timestamp>,
    /// True if there is a refresh token.
    pub refreshable: bool,
    /// The scopes of the query that were not granted, judged by the whole grant.
    pub missing: Scopes,
    /// The values of the descriptor's placeholders.
    pub parameters: Parameters,
    /// The claim and the failures of refreshes.
    pub refresh: RefreshState,
}

impl StoredToken {
    /// Returns the same facts with the same token, which both values share.
    pub(crate) fn shared(&self) -> Self {
        Self {
            connection: self.connection,
            grant: self.grant,
            generation: self.generation,
            status: self.status,
            access_token: self.access_token.clone(),
            refreshed_at: self.refreshed_at,
            expires_at: self.expires_at,
            refreshable: self.refreshable,
            missing: self.missing.clone(),
            parameters: self.parameters.clone(),
            refresh: self.refresh,
        }
    }
}
