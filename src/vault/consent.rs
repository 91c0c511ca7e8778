//! Consent requests: the records between `start` and `complete`.

use std::collections::BTreeMap;

use ring::digest::{SHA256, digest};

use crate::model::{
    ActingUser, ConnectionId, ConsentId, Label, Owner, Parameters, ProviderId, Scopes, ServerId, TenantId,
    Timestamp, UserId,
};
use crate::protocol::Hints;
use crate::secret::{Binding, PkceVerifier, State, Ticket};
use crate::vault::VaultError;

/// The largest number of consent requests that a vault keeps for one user of a tenant, ended ones
/// included.
pub const MAX_CONSENTS: usize = 64;

/// Stores consent requests.
///
/// A stored request is sealed together with its PKCE verifier (an empty one if there is no PKCE): a
/// request that was altered in the database does not open.
pub trait ConsentStore {
    /// Stores a consent request that has begun.
    ///
    /// A user has at most [`MAX_CONSENTS`] requests. To make room, the vault deletes the oldest
    /// request that has ended or expired, or else the oldest pending one: that one can no longer be
    /// completed, and the audit records a denial. A request whose code is being exchanged is not
    /// deleted.
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

    /// Reads a pending consent request and its verifier, and leaves it pending. Returns `None` if
    /// there is no such request or it is no longer pending. An expired request is pending until it
    /// is deleted.
    ///
    /// # Errors
    ///
    /// Those of [`consent`](Self::consent).
    fn open_consent(
        &self,
        tenant: &TenantId,
        state: &StateHash,
    ) -> Result<Option<(PendingConsent, Option<PkceVerifier>)>, VaultError>;

    /// Reads the consent requests that a user began, whatever their status, until they are deleted.
    /// The order is unspecified.
    ///
    /// # Errors
    ///
    /// Those of [`consent`](Self::consent).
    fn consents(&self, tenant: &TenantId, user: &UserId) -> Result<Vec<PendingConsent>, VaultError>;

    /// Reads the consent requests of a tenant, whatever their status, until they are deleted, in
    /// the order of their keys: at most `limit`, starting after the request with the key `after`.
    ///
    /// # Errors
    ///
    /// Those of [`consent`](Self::consent).
    fn tenant_consents(
        &self,
        tenant: &TenantId,
        after: Option<&StateHash>,
        limit: usize,
    ) -> Result<Vec<PendingConsent>, VaultError>;

    /// Takes a pending consent request and erases its stored verifier. Of any number of callers,
    /// exactly one receives it.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not taken; [`VaultError::Tampered`] if it was altered.
    fn take_consent(&self, tenant: &TenantId, state: &StateHash, now: Timestamp)
    -> Result<Taken, VaultError>;

    /// Stores how a taken consent request ended without a grant. A request that is not taken stays
    /// unchanged.
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
    /// Returns the hash of a `state`.
    #[must_use]
    pub fn of(state: &State) -> Self {
        Self::of_text(state.expose_secret())
    }

    /// Returns the hash of a binding.
    #[must_use]
    pub fn of_binding(binding: &Binding) -> Self {
        Self::of_text(binding.expose_secret())
    }

    /// Returns the hash of a ticket. It is hashed twice, so that no `state`, which is text, can
    /// have the same hash.
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

    /// Returns the hash with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A consent request between `start` and `complete`, without its verifier.
///
/// Plain data, all of it fixed at the start: a callback is compared with this record and never
/// trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct PendingConsent {
    /// Identifies the consent to users and in logs.
    pub id: ConsentId,
    /// The key of the record.
    pub state: StateHash,
    /// The hash of the binding that the browser keeps.
    pub binding: StateHash,
    /// The tenant.
    pub tenant: TenantId,
    /// The user who began it. Only this user can complete it.
    pub user: UserId,
    /// The owner of the resulting connection.
    pub owner: Owner,
    /// The service.
    pub provider: ProviderId,
    /// The authorization server.
    pub server: ServerId,
    /// The issuer that an `iss` parameter must match.
    pub issuer: Option<String>,
    /// The only endpoint that the code is sent to.
    pub token_endpoint: String,
    /// The client id of the request.
    pub client_id: String,
    /// The redirect URI, byte for byte as it was sent.
    pub redirect_uri: String,
    /// The requested scopes.
    pub scopes: Scopes,
    /// For a consent that serves several services: each service with its scopes, the named one
    /// included. Otherwise empty.
    #[cfg_attr(feature = "serde", serde(default))]
    pub services: BTreeMap<ProviderId, Scopes>,
    /// The values of the descriptor's placeholders.
    pub parameters: Parameters,
    /// The label of the resulting connection.
    pub label: Option<Label>,
    /// The purpose: to create a connection or to renew one.
    pub purpose: Purpose,
    /// True if the consent must fail when the provider does not name the account.
    #[cfg_attr(feature = "serde", serde(default))]
    pub require_account: bool,
    /// The address that the host redirects the browser to afterwards. The host sets it; it is never
    /// taken from a callback.
    pub return_to: Option<String>,
    /// The host's options for the authorization request.
    #[cfg_attr(feature = "serde", serde(default))]
    pub request: RequestOptions,
    /// The time when it began.
    pub created_at: Timestamp,
    /// The time when it expires.
    pub expires_at: Timestamp,
    /// The status.
    pub status: ConsentStatus,
}

impl PendingConsent {
    /// Returns a pending consent for a new connection of this owner, which its user is to give. It
    /// requests no scopes, expires at once, and belongs to no browser: like that of a ticket, its
    /// binding equals its state.
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

    /// Returns whether it is a ticket, which waits for its user, and not a flow that a browser has
    /// begun. A flow that was opened from a ticket has the ticket's id.
    #[must_use]
    pub fn is_prepared(&self) -> bool {
        self.binding == self.state
    }
}

/// The host's options for an authorization request. They are stored with the consent request, so
/// that the authorization request can be built later or again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct RequestOptions {
    /// The scopes that the host requested instead of the provider's default ones.
    pub scopes: Option<Scopes>,
    /// The scopes that the host requested in addition.
    pub added_scopes: Scopes,
    /// Hints for the consent page.
    pub hints: Hints,
}

/// The purpose of a consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Purpose {
    /// Connects an account. If the account is connected already, that connection is renewed.
    Connect,
    /// Renews this connection; another account is refused.
    Reconnect(ConnectionId),
    /// Renews this connection with any account that the user chooses.
    SwitchAccount(ConnectionId),
    /// Extends the grant of this connection by a service or by scopes; another account is refused.
    Extend(ConnectionId),
}

impl Purpose {
    /// Returns the connection to be renewed or extended, if one was named.
    #[must_use]
    pub const fn target(self) -> Option<ConnectionId> {
        match self {
            Self::Connect => None,
            Self::Reconnect(id) | Self::SwitchAccount(id) | Self::Extend(id) => Some(id),
        }
    }
}

/// The status of a consent request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ConsentStatus {
    /// No callback has arrived.
    Pending,
    /// The callback arrived, and the code is being exchanged.
    Taken,
    /// The connection is stored.
    Completed(ConnectionId),
    /// The user declined, or the server refused the request.
    Denied,
    /// The code could not be exchanged, or the response could not be used.
    Failed,
    /// The user withdrew it, or the agent that had requested it did.
    Cancelled,
}
