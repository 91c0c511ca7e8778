//! What crosses the [`Vault`](crate::vault::Vault) boundary.

use std::collections::BTreeMap;

use ring::digest::{SHA256, digest};

use crate::model::{
    Connection, ConnectionId, ConsentId, Label, Owner, Parameters, ProviderId, RefreshState, Scopes,
    ServerId, Status, TenantId, Timestamp, UserId,
};
use crate::secret::{AccessToken, Binding, IdToken, RefreshToken, State, Ticket};

/// The SHA-256 of a `state`, a binding or a ticket. The values themselves are never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct StateHash([u8; 32]);

impl StateHash {
    /// The hash of a `state`.
    #[must_use]
    pub fn of(state: &State) -> Self {
        Self::of_text(state.expose_secret())
    }

    /// The hash of a binding.
    #[must_use]
    pub fn of_binding(binding: &Binding) -> Self {
        Self::of_text(binding.expose_secret())
    }

    /// The hash of a ticket. Hashed twice: no `state`, which is text, can be made to have the same.
    #[must_use]
    pub fn of_ticket(ticket: &Ticket) -> Self {
        Self::of_bytes(&Self::of_text(ticket.expose_secret()).0)
    }

    fn of_text(text: &str) -> Self {
        Self::of_bytes(text.as_bytes())
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(hash)
    }

    /// The hash with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A consent between `start` and `complete`, without its verifier.
///
/// Plain data, all of it bound at the start: what comes back is compared with this, never trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct PendingConsent {
    /// Names the consent to people and logs.
    pub id: ConsentId,
    /// The key it is found by.
    pub state: StateHash,
    /// The hash of what the browser keeps.
    pub binding: StateHash,
    /// The workspace.
    pub tenant: TenantId,
    /// Who began it, and alone may complete it.
    pub user: UserId,
    /// To whom the connection will belong.
    pub owner: Owner,
    /// The service.
    pub provider: ProviderId,
    /// The authorization server.
    pub server: ServerId,
    /// The issuer that an `iss` is compared with.
    pub issuer: Option<String>,
    /// The only place that the code will be sent to.
    pub token_endpoint: String,
    /// The client that asked.
    pub client_id: String,
    /// The redirect URI, byte for byte as sent.
    pub redirect_uri: String,
    /// The scopes as asked for.
    pub scopes: Scopes,
    /// Where the consent is to serve several services: each of them, the named one included, with its scopes.
    #[cfg_attr(feature = "serde", serde(default))]
    pub services: BTreeMap<ProviderId, Scopes>,
    /// The values of the descriptor's placeholders.
    pub parameters: Parameters,
    /// The label that the connection will bear.
    pub label: Option<Label>,
    /// A new connection, or which one again.
    pub purpose: Purpose,
    /// Where the host sends the browser afterwards; the host's own value, never one from a callback.
    pub return_to: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it can be completed no more.
    pub expires_at: Timestamp,
    /// Where it stands.
    pub status: ConsentStatus,
}

impl PendingConsent {
    /// Whether it is a ticket, which waits for its person, and not a flow that a browser is in. A flow that a ticket
    /// opened has the ticket's id.
    #[must_use]
    pub fn is_prepared(&self) -> bool {
        self.binding == self.state
    }
}

/// What a consent is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Purpose {
    /// To connect an account; if the account is connected already, that connection is renewed.
    Connect,
    /// To connect this one again; another account is refused.
    Reconnect(ConnectionId),
    /// To connect this one again, to whatever account the person chooses.
    SwitchAccount(ConnectionId),
    /// To extend the grant of this one, by a service or by scopes; another account is refused.
    Extend(ConnectionId),
}

impl Purpose {
    /// The connection that is to be renewed or extended, if one was named.
    #[must_use]
    pub const fn target(self) -> Option<ConnectionId> {
        match self {
            Self::Connect => None,
            Self::Reconnect(id) | Self::SwitchAccount(id) | Self::Extend(id) => Some(id),
        }
    }
}

/// Where a consent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ConsentStatus {
    /// Nobody has come back yet.
    Pending,
    /// The callback came; the code is being exchanged.
    Taken,
    /// The connection is stored.
    Completed(ConnectionId),
    /// The person or the server said no.
    Denied,
    /// The code could not be exchanged or the answer not be used.
    Failed,
    /// It was withdrawn, by its person or by the agent that had asked for it.
    Cancelled,
}

/// The tokens of a connection.
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
pub struct Grant<'a> {
    /// The consent that they come from; recorded as completed.
    pub consent: &'a StateHash,
    /// The record to store, whole. Its generation is one more than the highest that it or a member shows; 1 if all are
    /// new.
    pub connection: &'a Connection,
    /// Its tokens.
    pub tokens: &'a Tokens,
    /// Where the record [keeps](Connection::is_keeper) tokens for several services: those that share it from now on, as
    /// they show themselves then. Others that share it already need not be named.
    pub members: &'a [Connection],
}

/// How storing a grant ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreOutcome {
    /// It is stored.
    Stored,
    /// Nothing was stored: a generation to be replaced has moved on; or the owner has another connection to that
    /// provider with the same label or the same account that is not revoked. Read again and decide again.
    Conflict,
}

/// Which connections to read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectionQuery<'a> {
    /// The workspace.
    pub tenant: &'a TenantId,
    /// Only those of this owner. Absent: of every owner.
    pub owner: Option<&'a Owner>,
    /// Only those to this service.
    pub provider: Option<&'a ProviderId>,
    /// Only those that share this record's tokens. The owner and the provider do not count then.
    pub shares: Option<ConnectionId>,
    /// Whether revoked ones are wanted too.
    pub with_revoked: bool,
    /// Only those after this one.
    pub after: Option<ConnectionId>,
    /// At most so many.
    pub limit: usize,
}

impl<'a> ConnectionQuery<'a> {
    /// All connections of a tenant that are not revoked, without a bound.
    #[must_use]
    pub const fn of(tenant: &'a TenantId) -> Self {
        Self {
            tenant,
            owner: None,
            provider: None,
            shares: None,
            with_revoked: false,
            after: None,
            limit: usize::MAX,
        }
    }
}

/// That a token was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Use {
    /// The workspace.
    pub tenant: TenantId,
    /// The connection.
    pub connection: ConnectionId,
    /// When.
    pub at: Timestamp,
}

/// Which token to find.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data, built on the hot path")]
pub struct TokenQuery<'a> {
    /// The workspace.
    pub tenant: &'a TenantId,
    /// The person; absent for the shared connection.
    pub user: Option<&'a UserId>,
    /// The service.
    pub provider: &'a ProviderId,
    /// The label, if one is named; absent: the only one, or the default.
    pub label: Option<&'a Label>,
    /// The scopes that must have been granted.
    pub scopes: &'a Scopes,
}

/// What a [`TokenQuery`] found.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "moved once or twice: an allocation on the hot path is dearer"
)]
pub enum Found {
    /// No such connection.
    Nothing,
    /// The one.
    One(StoredToken),
    /// Several, none named and none the default.
    Several,
}

/// An access token and what a turn must know of its connection.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct StoredToken {
    /// The connection.
    pub connection: ConnectionId,
    /// The record that keeps the tokens, if it is another: claims and failures name that one.
    pub shares: Option<ConnectionId>,
    /// Its generation.
    pub generation: u64,
    /// Its status.
    pub status: Status,
    /// The token; absent unless the status is active.
    pub access_token: Option<AccessToken>,
    /// When the tokens were issued.
    pub refreshed_at: Timestamp,
    /// When the token expires, if known.
    pub expires_at: Option<Timestamp>,
    /// Whether there is a refresh token.
    pub refreshable: bool,
    /// Of the scopes asked for in the query, those that were not granted. Empty for a lookup by id.
    pub missing: Scopes,
    /// The values of the descriptor's placeholders.
    pub parameters: Parameters,
    /// How the attempts to refresh fare.
    pub refresh: RefreshState,
}

impl StoredToken {
    /// The record that keeps the tokens: the connection itself, unless it shares another's.
    #[must_use]
    pub fn keeper(&self) -> ConnectionId {
        self.shares.unwrap_or(self.connection)
    }
}
