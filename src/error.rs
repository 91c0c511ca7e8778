//! Errors, grouped by what the host should do next.
//!
//! No error contains a secret, a body, a URL or text that a server wrote.
//!
//! # Examples
//!
//! ```
//! use valetkey::Error;
//! use valetkey::testing::Host;
//!
//! let host = Host::new();
//! match host.resolver.resolve(&host.user("ada"), "notes") {
//!     Err(Error::ConsentRequired(need)) => assert_eq!(need.provider.as_str(), "notes"),
//!     other => panic!("{other:?}"),
//! }
//! ```

mod message;
mod named;
mod need;

use message::{ambiguous, answer_too_large, denied, exchange_failed, unavailable};
pub use named::NamedProvider;
pub use need::{ConsentReason, ConsentRequired};

use std::time::Duration;

pub use crate::model::InvalidValue;
use crate::model::{ConsentId, FailureCode, Label, ProviderId, ServerId};
pub use crate::protocol::AuthorizationError;
#[cfg(feature = "mcp")]
pub use crate::protocol::mcp::McpError;
use crate::provider::{InvalidDescriptor, InvalidParameter, UnknownProvider, unknown_provider_message};
use crate::random::RandomUnavailable;
use crate::vault::{KeyServiceError, VaultError};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate.
///
/// The variants are ordered by what a host does next:
///
/// | next step | variants |
/// |---|---|
/// | show the user a link: [`Turn::ask`](crate::resolver::Turn::ask) | [`ConsentRequired`](Self::ConsentRequired) |
/// | let the user choose an account, a site, or a new consent | [`Ambiguous`](Self::Ambiguous), [`LabelRequired`](Self::LabelRequired), [`ChoiceRequired`](Self::ChoiceRequired), [`Consent`](Self::Consent) |
/// | refuse the call | [`Denied`](Self::Denied), [`NotFound`](Self::NotFound), [`NotPermitted`](Self::NotPermitted), [`InUse`](Self::InUse) |
/// | try again later, if [`is_retryable`](Self::is_retryable) says so | [`Unavailable`](Self::Unavailable), [`Vault`](Self::Vault), [`RandomUnavailable`](Self::RandomUnavailable) |
/// | tell the administrator of the host | [`Misconfigured`](Self::Misconfigured), and [`Vault`](Self::Vault) if it is not retryable |
/// | correct the call | [`UnknownProvider`](Self::UnknownProvider), [`Parameter`](Self::Parameter), [`InvalidValue`](Self::InvalidValue), [`NotOneGrant`](Self::NotOneGrant), [`Request`](Self::Request) |
#[cfg_attr(
    feature = "mcp",
    doc = "| tell the user that this MCP server cannot be connected | [`Mcp`](Self::Mcp) |"
)]
/// | do not repeat the request unchanged: the API has answered it | [`AnswerTooLarge`](Self::AnswerTooLarge) |
///
/// No message contains a secret, a body, a URL or a text that a server wrote.
///
/// # Examples
///
/// ```
/// use valetkey::testing::Host;
///
/// let host = Host::new();
/// let error = host.resolver.resolve(&host.user("ada"), "note").unwrap_err();
/// assert!(error.to_string().starts_with("unknown provider \"note\"; did you mean \"notes\"?"));
/// assert!(!error.is_retryable());
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The user must grant access, or grant it again. Show them a link.
    #[error(transparent)]
    ConsentRequired(Box<ConsentRequired>),

    /// The user connected several accounts. The call names none, and none is the default.
    #[error("{}", ambiguous(provider, labels, *accounts))]
    Ambiguous {
        /// The provider.
        provider: NamedProvider,
        /// The number of connected accounts.
        accounts: usize,
        /// The labels of those accounts that have one, in alphabetical order.
        labels: Vec<Label>,
    },
    /// The call names no label, and the host's policy
    /// [requires one](crate::resolver::Policy::require_label). No connection was read.
    #[error("{0}: denied by policy, which requires a label; pass one with ResolveOptions::label")]
    LabelRequired(NamedProvider),
    /// The account has several sites, and a connection is for one of them. The new tokens were
    /// revoked and nothing was stored. Start the consent again with
    /// [`ConsentOptions::parameter`](crate::ConsentOptions::parameter) set to one of the choices.
    #[error(
        "{provider}: the account offers {} values for \"{parameter}\"; let the user choose one and start again with it",
        choices.len()
    )]
    ChoiceRequired {
        /// The provider.
        provider: NamedProvider,
        /// The connection parameter that needs a value.
        parameter: String,
        /// The values to choose from: 2 to 50 different ones, each allowed by the parameter's rule.
        /// The provider wrote them, so display them as text.
        choices: Vec<String>,
    },
    /// The consent could not be completed.
    #[error(transparent)]
    Consent(#[from] ConsentError),

    /// The host's policy [denies](crate::resolver::Policy::deny) the call, regardless of what is
    /// connected. No connection was read.
    #[error("{}", denied(provider, tool.as_deref()))]
    Denied {
        /// The provider.
        provider: NamedProvider,
        /// The tool that made the call, if the call
        /// [names one](crate::resolver::ResolveOptions::tool).
        tool: Option<Box<str>>,
    },
    /// There is no such record, or it is not visible to the caller.
    #[error("there is no such connection or consent, or it is not visible to the caller")]
    NotFound,
    /// The provider cannot be removed while connections use it. Revoke them first.
    #[error("{0}: connections use this provider; revoke them before you remove it")]
    InUse(NamedProvider),
    /// The connection belongs to the workspace, and only an [`Operator`](crate::Operator) may
    /// change it.
    #[error("only an operator may change a workspace connection")]
    NotPermitted,

    /// The provider failed temporarily. The connection is kept.
    #[error("{}", unavailable(provider.as_ref(), *failure, *retry_after))]
    Unavailable {
        /// The provider. `None` if the request was not for one provider: it discovered a server
        /// by its URL, or has placeholders.
        provider: Option<NamedProvider>,
        /// The failure.
        failure: FailureCode,
        /// The time to wait before another attempt, if it is known.
        retry_after: Option<Duration>,
    },
    /// The vault failed. This does not mean that the user is not connected.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The operating system returned no random numbers.
    #[error("the operating system returned no random numbers; retry")]
    RandomUnavailable,

    /// An administrator must fix the configuration. The connection is kept.
    #[error(transparent)]
    Misconfigured(#[from] Misconfigured),

    /// No provider has this id. The error lists the known ids.
    #[error("{}", unknown_provider_message(given.as_deref(), known))]
    UnknownProvider {
        /// The requested id, if it consists of at most 64 letters, digits, `.`, `-` and `_`. Any
        /// other text may be hostile, or a misplaced secret, and is not repeated.
        given: Option<String>,
        /// The ids of the known providers, in alphabetical order.
        known: Vec<ProviderId>,
    },
    /// A connection parameter is missing, unknown or malformed.
    #[error(transparent)]
    Parameter(#[from] InvalidParameter),
    /// A plain value, such as an id, a scope or a callback, does not have the required form. The
    /// error says which value and why.
    #[error(transparent)]
    InvalidValue(#[from] InvalidValue),
    /// The services cannot share one grant: this one has a different authorization server, client
    /// or address, or must be connected separately.
    #[error("{0}: this service cannot share the grant; connect it separately")]
    NotOneGrant(NamedProvider),
    /// An MCP server cannot be connected by its URL. The error says what the server did wrong.
    #[cfg(feature = "mcp")]
    #[error(transparent)]
    Mcp(#[from] McpError),
    /// The request may not be sent with this user's token.
    #[error(transparent)]
    Request(#[from] RequestRefused),

    /// The API has processed the request, but its response is too large. Do not repeat the request
    /// unchanged: ask for less, raise the limit, or call
    /// [`Turn::send_stream`](crate::resolver::Turn::send_stream), whose bodies have no limit.
    #[error("{}", answer_too_large(*limit))]
    AnswerTooLarge {
        /// The limit of the body, in bytes:
        /// [`Settings::send_max_bytes`](crate::connections::Settings::send_max_bytes). `None` if
        /// the head is too large: it has more or larger headers than the HTTP client reads (128
        /// headers and 64 KiB in the default client).
        limit: Option<usize>,
    },
}

impl Error {
    /// Returns a temporary failure without a time to wait.
    pub(crate) const fn unavailable(failure: FailureCode) -> Self {
        Self::Unavailable {
            provider: None,
            failure,
            retry_after: None,
        }
    }

    /// Names the provider in the error of one that is unavailable, unless it is named already.
    pub(crate) fn of_provider(mut self, named: impl FnOnce() -> NamedProvider) -> Self {
        if let Self::Unavailable { provider, .. } = &mut self {
            provider.get_or_insert_with(named);
        }
        self
    }

    /// Returns whether the same call may succeed later without a configuration change.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::RandomUnavailable => true,
            Self::Vault(error) => error.is_retryable(),
            _ => false,
        }
    }

    /// Returns the time to wait before another attempt, if it is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. }
            | Self::Vault(VaultError::KeyService(KeyServiceError::Unavailable { retry_after })) => {
                *retry_after
            }
            _ => None,
        }
    }

    /// Returns the consent that is needed, if a missing consent stopped the call.
    #[must_use]
    pub fn consent_required(&self) -> Option<&ConsentRequired> {
        match self {
            Self::ConsentRequired(need) => Some(need),
            _ => None,
        }
    }
}

impl From<RandomUnavailable> for Error {
    fn from(_: RandomUnavailable) -> Self {
        Self::RandomUnavailable
    }
}

impl From<ConsentRequired> for Error {
    fn from(need: ConsentRequired) -> Self {
        Self::ConsentRequired(Box::new(need))
    }
}

impl From<UnknownProvider> for Error {
    fn from(error: UnknownProvider) -> Self {
        Self::UnknownProvider {
            given: error.given,
            known: error.known,
        }
    }
}

impl From<InvalidDescriptor> for Error {
    fn from(error: InvalidDescriptor) -> Self {
        Self::Misconfigured(Misconfigured::Descriptor(Box::new(error)))
    }
}

/// A configuration mistake that only an administrator can fix. The connection and its tokens are
/// kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misconfigured {
    /// The service of the connection is no longer in the registry.
    #[error("no descriptor is registered for the provider \"{0}\"; add it again or revoke the connection")]
    UnknownProvider(ProviderId),
    /// No client is registered for this authorization server.
    #[error("no client is registered for \"{0}\"; call ConnectionsBuilder::client")]
    NoClient(ServerId),
    /// The authorization server that issued the tokens is no longer in the registry. The tokens are
    /// kept.
    #[error(
        "no descriptor is registered for the authorization server \"{0}\"; add it again or revoke the connection"
    )]
    UnknownServer(ServerId),
    /// The authorization server refuses the client id or secret.
    #[error("\"{0}\" rejects the client; correct the client id and secret of its registration")]
    ClientRejected(ServerId),
    /// The authorization server rejects the request itself, or answers it with a redirect.
    #[error("\"{server}\" cannot be used: {failure}; correct its descriptor or client registration")]
    RequestRejected {
        /// The authorization server.
        server: ServerId,
        /// The failure.
        failure: FailureCode,
    },
    /// The descriptor names a different server or token endpoint than the one that issued the
    /// tokens. The tokens are not sent anywhere else: restore the old values, or ask the users to
    /// connect again.
    #[error("the token endpoint of \"{0}\" has changed since the consent; restore it or connect again")]
    IssuerChanged(ServerId),
    /// The registration names a different client than the one that the tokens were issued to. Only
    /// that client can refresh them: restore it, or confirm with
    /// [`ClientRegistration::replacing`](crate::provider::ClientRegistration::replacing) that it no
    /// longer exists. The users are then asked for a new consent.
    #[error(
        "the client of \"{0}\" has changed since the consent; restore it or call ClientRegistration::replacing"
    )]
    ClientChanged(ServerId),
    /// The values of the connection lead to an instance of the server for which the client is not
    /// registered. Nothing was sent, because the client secret and the tokens of one instance must
    /// not reach another. List the instance in
    /// [`ClientRegistration::for_base_urls`](crate::provider::ClientRegistration::for_base_urls).
    #[error(
        "the client of \"{0}\" is not registered for the base URL of this connection; list it in \
         ClientRegistration::for_base_urls"
    )]
    InstanceNotRegistered(ServerId),
    /// The consent requests its own port for the redirect URI
    /// ([`ConsentOptions::loopback_port`](crate::ConsentOptions::loopback_port)), but the client's
    /// redirect URI is not a loopback address.
    #[error(
        "the redirect URI of \"{0}\" is not a loopback address; register one such as http://127.0.0.1/callback"
    )]
    NoLoopbackRedirect(ServerId),
    /// A descriptor is not valid.
    #[error(transparent)]
    Descriptor(Box<InvalidDescriptor>),
    /// The client registration that a [`ClientSource`](crate::provider::ClientSource) returned does
    /// not fit its server.
    #[error("the client registration from the ClientSource is not valid: {0}")]
    Client(Box<InvalidDescriptor>),
    /// A stored parameter of the connection does not fit the descriptor of the authorization
    /// server, which has changed since the consent. Restore the descriptor, or connect again.
    #[error(
        "the stored parameter \"{name}\" does not fit the descriptor of \"{server}\"; restore the descriptor or connect again"
    )]
    StoredParameter {
        /// The authorization server.
        server: ServerId,
        /// The name of the parameter.
        name: String,
    },
    /// The host's HTTP client answered without reading the request's body: it does not support
    /// bodies that are readers.
    #[error("the HTTP client does not support bodies that are readers; send a body in memory")]
    NoUploads,
    /// There is no HTTP client: the feature `ureq` is off, and the host set none.
    #[error("no HTTP client is set; enable the feature `ureq` or call ConnectionsBuilder::http_client")]
    NoHttpClient,
}

impl Misconfigured {
    /// Returns the kind as one lower-case word, for storage and display.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::UnknownProvider(_) => "unknown_provider",
            Self::NoClient(_) => "no_client",
            Self::UnknownServer(_) => "unknown_server",
            Self::ClientRejected(_) => "client_rejected",
            Self::RequestRejected { .. } => "request_rejected",
            Self::IssuerChanged(_) => "issuer_changed",
            Self::ClientChanged(_) => "client_changed",
            Self::InstanceNotRegistered(_) => "instance_not_registered",
            Self::NoLoopbackRedirect(_) => "no_loopback_redirect",
            Self::Descriptor(_) => "descriptor_invalid",
            Self::Client(_) => "client_invalid",
            Self::StoredParameter { .. } => "parameters",
            Self::NoUploads => "no_uploads",
            Self::NoHttpClient => "no_http_client",
        }
    }
}

/// A reason why a consent could not be completed.
///
/// `Unknown` and `Expired` have the same message: a page that distinguishes them would tell an
/// attacker which `state` exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsentError {
    /// No consent has this `state`.
    #[error("this consent is no longer valid; start again")]
    Unknown,
    /// The same user has already completed this consent in the same browser: the callback was
    /// delivered twice, or the link was opened again. Nothing was done a second time.
    /// [`poll`](crate::ConnectionManager::poll) returns the state of the consent with this id: show
    /// the user that state, and do not ask them to start again.
    #[error("this consent is already complete; show its state")]
    Used(ConsentId),
    /// The consent is older than
    /// [`Settings::consent_lifetime`](crate::connections::Settings::consent_lifetime) (ten minutes
    /// by default), or its link older than
    /// [`Settings::ticket_lifetime`](crate::connections::Settings::ticket_lifetime).
    #[error("this consent is no longer valid; start again")]
    Expired,
    /// Another user started the consent. It stays open for them.
    #[error("this consent was started by another user; sign in as that user or start again")]
    WrongUser,
    /// The consent was started in another browser. It stays open there.
    #[error("this consent was started in another browser; continue there or start again")]
    WrongBrowser,
    /// The response comes from a different authorization server than the one that the user was sent
    /// to. The consent stays open.
    #[error(
        "the response comes from a different authorization server than the one that the user was sent to; start \
         again"
    )]
    IssuerMismatch,
    /// The user declined, or the authorization server refused the request.
    #[error("the consent was declined: {0}")]
    Denied(AuthorizationError),
    /// The code could not be exchanged, and it may have been used up. Start again.
    #[error("{}", exchange_failed(*.0))]
    ExchangeFailed(FailureCode),
    /// The user chose a different account than the one being reconnected. Nothing was changed.
    #[error("a different account was chosen; start again with the connected account")]
    AccountMismatch,
    /// The provider did not name the account, so the crate cannot check that it is the one being
    /// reconnected. Nothing was changed.
    #[error("the provider did not name the account, so it cannot be compared with the connected one")]
    AccountUnknown,
    /// Another connection of the same owner received that label or account at the same moment.
    /// Start again.
    #[error("another consent changed the connection at the same moment; start again")]
    Conflict,
}

/// A reason why a request may not be sent with a user's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestRefused {
    /// The URL is outside the provider's API: it has another host, port, scheme or path.
    #[error("the URL is not one of the provider's API hosts, so the token is not sent there")]
    Address,
    /// The request has a header that carries a credential or names a user, so it would act as two
    /// users at once.
    #[error("the request contains credentials; remove that header")]
    ForeignCredentials,
    /// The method is `CONNECT`, `TRACE`, `TRACK` or `PRI`. No service API needs these methods, and
    /// they can carry the token past the service.
    #[error("the methods CONNECT, TRACE, TRACK and PRI are not allowed with a token")]
    Method,
    /// A header, such as `X-HTTP-Method-Override`, asks the server for a different method, path or
    /// host than those that were checked. Set them in the request itself.
    #[error("a header overrides the method, path or host; set them in the request itself")]
    Override,
    /// The URL is relative, and the provider has no base URL.
    #[error("the URL is relative and the provider has no base URL; use an absolute URL")]
    NoBase,
    /// The URL cannot be read.
    #[error("the URL cannot be parsed")]
    Malformed,
    /// The placeholder belongs to another turn, or is in a position where tokens are not allowed.
    #[error("this placeholder belongs to another turn, or is in a position where tokens are not allowed")]
    Placeholder,
    /// The turn has reached the limit of 1,024 different placeholders. Reuse a placeholder, or
    /// begin another turn.
    #[error("the turn has 1024 placeholders, the limit; reuse one or begin another turn")]
    TooManyPlaceholders,
    /// The token contains characters that are not valid in a header.
    #[error("the token contains characters that are not valid in a header")]
    Header,
    /// The HTTP client does not send such a request. Nothing was sent.
    #[error("the HTTP client refuses the request: plain http, or a URL without a host; use https")]
    Client,
    /// The request's body cannot be opened or read, is shorter than its declared length, or was
    /// read already. Part of it may have been sent.
    #[error("the request's body cannot be read: {0}")]
    Upload(std::io::ErrorKind),
}
