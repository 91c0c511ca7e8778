//! What crosses the [`Vault`](crate::vault::Vault) boundary.

use std::time::Duration;

use ring::digest::{SHA256, digest};

use crate::model::{
    Connection, ConnectionId, ConsentId, FailureCode, InFlight, IssuedBy, Label, NeedsConsent, Owner,
    Parameters, ProviderId, RefreshState, Scopes, ServerId, Status, TenantId, Timestamp, UserId,
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
}

impl Purpose {
    /// The connection that is to be renewed, if one was named.
    #[must_use]
    pub const fn target(self) -> Option<ConnectionId> {
        match self {
            Self::Connect => None,
            Self::Reconnect(id) | Self::SwitchAccount(id) => Some(id),
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
    /// The record to store, whole. Its generation is 1 for a new connection, else the one it replaces plus 1.
    pub connection: &'a Connection,
    /// Its tokens.
    pub tokens: &'a Tokens,
}

/// How storing a grant ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreOutcome {
    /// It is stored.
    Stored,
    /// Nothing was stored: the generation to be replaced has moved on; or the owner has another connection to that
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

/// How far a new master key has come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rewrapped {
    /// How many keys were wrapped anew.
    pub rewrapped: usize,
    /// The ids of other master keys by which keys are still wrapped. None: those can be dropped.
    pub still_named: Vec<[u8; 16]>,
}

/// How far new data keys have come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resealed {
    /// How many connections' tokens were sealed anew.
    pub resealed: usize,
    /// How many old data keys were destroyed.
    pub destroyed: usize,
    /// How many old data keys still seal something.
    pub remaining: usize,
}

/// Whether erased secrets are gone from every file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Erasure {
    /// They are gone.
    Cleared,
    /// The record is erased, but a reader keeps the write-ahead log from being cut: a copy of the ciphertext is in it
    /// until `maintain` has cleared it.
    Pending,
}
