//! Consent requests: what is stored between `start` and `complete`.

use std::collections::BTreeMap;

use ring::digest::{SHA256, digest};

use crate::model::{
    ActingUser, ConnectionId, ConsentId, Label, Owner, Parameters, ProviderId, Scopes, ServerId, TenantId,
    Timestamp, UserId,
};
use crate::protocol::Hints;
use crate::secret::{Binding, PkceVerifier, State, Ticket};
use crate::vault::VaultError;

/// The largest number of consent requests that a vault keeps for one person of one tenant, ended
/// ones included.
pub const MAX_CONSENTS: usize = 64;

/// Stores consent requests.
///
/// A stored request is sealed together with its PKCE verifier (an empty one where there is no
/// PKCE): a request that was altered in the database does not open.
pub trait ConsentStore {
    /// Stores a consent request that has begun.
    ///
    /// A person has at most [`MAX_CONSENTS`] requests. To make room, the oldest of those that have
    /// ended or expired is deleted, or else the oldest pending one: then nobody can complete it,
    /// and the audit records a denial. A request whose code is being exchanged is not deleted.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not stored.
    fn insert_consent(
        &self,
        consent: &PendingConsent,
        verifier: Option<&PkceVerifier>,
    ) -> Result<(), VaultError>;

    /// Reads a consent request, whatever its status, until it is deleted. The verifier is not
    /// returned.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read; [`VaultError::Tampered`] if a pending request
    /// was altered.
    fn consent(&self, tenant: &TenantId, state: &StateHash) -> Result<Option<PendingConsent>, VaultError>;

    /// Reads a pending consent request and its verifier, and leaves it pending. `None` if there is
    /// no such request, or it is no longer pending. One that has expired is pending until it is
    /// deleted.
    ///
    /// # Errors
    ///
    /// As [`consent`](Self::consent).
    fn open_consent(
        &self,
        tenant: &TenantId,
        state: &StateHash,
    ) -> Result<Option<(PendingConsent, Option<PkceVerifier>)>, VaultError>;

    /// Reads the consent requests that a person began, whatever their status, until they are
    /// deleted, in no order.
    ///
    /// # Errors
    ///
    /// As [`consent`](Self::consent).
    fn consents(&self, tenant: &TenantId, user: &UserId) -> Result<Vec<PendingConsent>, VaultError>;

    /// Takes a pending consent request and erases its stored verifier. Of any number of callers
    /// exactly one gets it.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not taken; [`VaultError::Tampered`] if it was altered.
    fn take_consent(&self, tenant: &TenantId, state: &StateHash, now: Timestamp)
    -> Result<Taken, VaultError>;

    /// Stores how a taken consent request ended, if not in a stored grant. One that is not taken
    /// stays as it is.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not stored.
    fn close_consent(
        &self,
        tenant: &TenantId,
        state: &StateHash,
        status: ConsentStatus,
        now: Timestamp,
    ) -> Result<(), VaultError>;
}

/// The outcome of [`ConsentStore::take_consent`].
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "a vault must be able to build one")]
#[allow(clippy::large_enum_variant, reason = "moved once")]
pub enum Taken {
    /// There is no such request, it is no longer pending, or it expired before `now`.
    Nothing,
    /// The request, as it was stored, and its verifier if it has one.
    Consent(PendingConsent, Option<PkceVerifier>),
}

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
    /// Where the consent is to serve several services: each of them, the named one included, with
    /// its scopes.
    #[cfg_attr(feature = "serde", serde(default))]
    pub services: BTreeMap<ProviderId, Scopes>,
    /// The values of the descriptor's placeholders.
    pub parameters: Parameters,
    /// The label that the connection will bear.
    pub label: Option<Label>,
    /// A new connection, or which one again.
    pub purpose: Purpose,
    /// True if the consent fails if the provider does not name the account.
    #[cfg_attr(feature = "serde", serde(default))]
    pub require_account: bool,
    /// Where the host sends the browser afterwards; the host's own value, never one from a
    /// callback.
    pub return_to: Option<String>,
    /// What the host asked of the authorization request.
    #[cfg_attr(feature = "serde", serde(default))]
    pub request: RequestOptions,
    /// The time when it began.
    pub created_at: Timestamp,
    /// The time when it can be completed no more.
    pub expires_at: Timestamp,
    /// Where it stands.
    pub status: ConsentStatus,
}

impl PendingConsent {
    /// Returns a pending consent for a new connection of this owner, which its person is to give.
    /// It asks for nothing yet, ends at once, and is held by no browser: its binding is its state,
    /// as that of a ticket.
    #[must_use]
    pub fn new(
        id: ConsentId,
        state: StateHash,
        acting_user: &ActingUser,
        owner: Owner,
        provider: ProviderId,
        server: ServerId,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            state,
            binding: state,
            tenant: acting_user.tenant().clone(),
            user: acting_user.user().clone(),
            owner,
            provider,
            server,
            issuer: None,
            token_endpoint: String::new(),
            client_id: String::new(),
            redirect_uri: String::new(),
            scopes: Scopes::default(),
            services: BTreeMap::new(),
            parameters: Parameters::new(),
            label: None,
            require_account: false,
            purpose: Purpose::Connect,
            return_to: None,
            request: RequestOptions::default(),
            created_at: now,
            expires_at: now,
            status: ConsentStatus::Pending,
        }
    }

    /// Returns whether it is a ticket, which waits for its person, and not a flow that a browser is
    /// in. A flow that a ticket opened has the ticket's id.
    #[must_use]
    pub fn is_prepared(&self) -> bool {
        self.binding == self.state
    }
}

/// The host's wishes for an authorization request: kept with a consent request, so that the request
/// can be written later, or again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct RequestOptions {
    /// The scopes that the host named instead of the provider's default ones.
    pub scopes: Option<Scopes>,
    /// The scopes that the host asked for in addition.
    pub added_scopes: Scopes,
    /// What the consent page is asked to offer or to ask.
    pub hints: Hints,
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
