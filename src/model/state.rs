//! The state of a connection and of its grant, and whose it is.

use std::collections::BTreeMap;

use crate::model::{ServerId, Timestamp};

/// Values that fill the placeholders of a descriptor's URLs, such as `tenant` or `base_url`.
pub type Parameters = BTreeMap<String, String>;

/// Whether a connection can be resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Status {
    /// It holds tokens.
    Active,
    /// Only a new consent brings it back.
    NeedsConsent(NeedsConsent),
    /// It was revoked here; nothing of its tokens is left.
    Revoked,
}

/// Why a connection needs a new consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum NeedsConsent {
    /// The server refused the refresh token for good.
    Rejected,
    /// The access token expired and there is no refresh token.
    Expired,
    /// A refresh was cut off after the request was sent, and the server takes the old token no
    /// more: the new one was lost on the way.
    LostInFlight,
    /// The server has refused the refresh token for more than a day without saying why. The token
    /// is kept for a while, to be [tried again](crate::ConnectionManager::retry_rejected) on
    /// request.
    Unexplained,
    /// The host's client at the authorization server was replaced, and the host
    /// [confirmed](crate::provider::ClientRegistration::replacing) that. Nobody can refresh tokens
    /// of the former client.
    ClientChanged,
}

impl NeedsConsent {
    /// The reason as one lower-case word, for storage and display.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::LostInFlight => "lost_in_flight",
            Self::Unexplained => "unexplained",
            Self::ClientChanged => "client_changed",
        }
    }

    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::Rejected,
        Self::Expired,
        Self::LostInFlight,
        Self::Unexplained,
        Self::ClientChanged,
    ];

    /// Returns the reason that [`as_str`](Self::as_str) wrote.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == code)
    }
}

/// Whose account a connection is, in the provider's words.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Account {
    /// The provider's stable id of the account.
    pub id: String,
    /// The e-mail address, if the provider gives one.
    pub email: Option<String>,
    /// A name for people.
    pub label: Option<String>,
}

/// Who issued the tokens, and where they may be sent: recorded at consent, authenticated together
/// with the tokens, and compared with the descriptor before each request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(unnameable_types, reason = "the operations of a vault are sealed")]
pub struct IssuedBy {
    /// The authorization server.
    pub server: ServerId,
    /// The token endpoint that issued the tokens.
    pub token_endpoint: String,
    /// The endpoint that the refresh token is sent to; the token endpoint at most servers.
    pub refresh_endpoint: String,
    /// The endpoint that the tokens are revoked at, if the descriptor named one at the time.
    pub revocation_endpoint: Option<String>,
    /// The client id that they were issued to.
    pub client_id: String,
}

impl IssuedBy {
    /// Returns the issuer with one token endpoint for everything and no revocation endpoint.
    #[must_use]
    pub fn new(server: ServerId, token_endpoint: impl Into<String>, client_id: impl Into<String>) -> Self {
        let token_endpoint = token_endpoint.into();
        Self {
            server,
            refresh_endpoint: token_endpoint.clone(),
            token_endpoint,
            revocation_endpoint: None,
            client_id: client_id.into(),
        }
    }
}

/// How the attempts to refresh fare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
#[allow(unnameable_types, reason = "the operations of a vault are sealed")]
pub struct RefreshState {
    /// Failures in a row since the last success.
    pub failures: u32,
    /// No attempt before this time.
    pub not_before: Option<Timestamp>,
    /// The last failure, until a success clears it.
    pub last_failure: Option<FailureCode>,
    /// The time when the last failure happened.
    pub failed_at: Option<Timestamp>,
    /// A refresh that has begun and has not ended.
    pub in_flight: Option<InFlight>,
    /// Until when a refused refresh token is kept, sealed and out of reach, to be tried again on
    /// request.
    pub quarantined_until: Option<Timestamp>,
    /// A short check of the client registration and the endpoint with which the last attempt
    /// failed, where the failure is the [operator's](FailureCode::is_operators_fault): a changed
    /// registration ends the back-off.
    #[cfg_attr(feature = "serde", serde(default))]
    pub failed_setup: Option<u16>,
    /// The time when the API refused the access token of this generation although it had just been
    /// refreshed.
    #[cfg_attr(feature = "serde", serde(default))]
    pub token_refused_at: Option<Timestamp>,
    /// The time when the refresh token expires, if the server said so in a token answer.
    #[cfg_attr(feature = "serde", serde(default))]
    pub refresh_token_expires_at: Option<Timestamp>,
}

/// A refresh that has begun and has not ended, or has been cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(unnameable_types, reason = "the operations of a vault are sealed")]
pub struct InFlight {
    /// The time when it was claimed.
    pub since: Timestamp,
    /// The time when the claim lapses, if its holder does not end it.
    pub until: Timestamp,
}

/// Why a refresh failed, as a closed code: the same words in `health`, in errors and in the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum FailureCode {
    /// No connection, no name, no TLS: the request was not sent.
    Unreachable,
    /// The certificate of the server is not trusted: the request was not sent. An administrator
    /// adds the root of a company's own authority to the HTTP client, or the provider renews its
    /// certificate.
    Untrusted,
    /// The host's HTTP client refused the request: plain `http`, or an address that it does not
    /// allow. For an administrator to fix.
    NotSent,
    /// No answer in time; whether the server acted is unknown.
    TimedOut,
    /// The connection broke after the request was sent; whether the server acted is unknown.
    Interrupted,
    /// The server has an error of its own (5xx, `server_error`, `temporarily_unavailable`).
    ServerError,
    /// Too many requests (429, `slow_down`).
    RateLimited,
    /// The answer was no token answer: wrong type, broken JSON, no access token.
    UnreadableAnswer,
    /// The answer exceeds a limit of this crate: 1 MiB in all, 64 KiB for each token; or the limit
    /// of the HTTP client for headers, which is 128 in the default client.
    AnswerTooLarge,
    /// The server refused the client: wrong id or secret. The operator's to correct.
    ClientRejected,
    /// The server refused the request as such (`invalid_request`, `unsupported_grant_type`, …). The
    /// operator's to correct.
    RequestRejected,
    /// The server refused the grant for good (`invalid_grant` and its like).
    GrantRejected,
    /// The endpoint answered with a redirect, which is never followed with credentials.
    Redirected,
    /// The server refused the request with a status of its own and an empty body: it does not say
    /// what it refuses.
    Unexplained,
    /// No request was sent: the host's configuration does not fit the connection any more. The
    /// operator's to correct.
    Misconfigured,
    /// No request was sent: the host's [`ClientSource`](crate::provider::ClientSource) failed.
    ClientSourceFailed,
}

impl FailureCode {
    /// The code as one lower-case word, for storage and display.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Untrusted => "untrusted",
            Self::NotSent => "not_sent",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
            Self::ServerError => "server_error",
            Self::RateLimited => "rate_limited",
            Self::UnreadableAnswer => "unreadable_answer",
            Self::AnswerTooLarge => "answer_too_large",
            Self::ClientRejected => "client_rejected",
            Self::RequestRejected => "request_rejected",
            Self::GrantRejected => "grant_rejected",
            Self::Redirected => "redirected",
            Self::Unexplained => "unexplained",
            Self::Misconfigured => "misconfigured",
            Self::ClientSourceFailed => "client_source_failed",
        }
    }

    /// The code that [`as_str`](Self::as_str) wrote.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.as_str() == code)
    }

    /// Every code.
    pub const ALL: [Self; 16] = [
        Self::Unreachable,
        Self::Untrusted,
        Self::NotSent,
        Self::TimedOut,
        Self::Interrupted,
        Self::ServerError,
        Self::RateLimited,
        Self::UnreadableAnswer,
        Self::AnswerTooLarge,
        Self::ClientRejected,
        Self::RequestRejected,
        Self::GrantRejected,
        Self::Redirected,
        Self::Unexplained,
        Self::Misconfigured,
        Self::ClientSourceFailed,
    ];

    /// Returns whether the server may have acted on the request although no answer was read.
    #[must_use]
    pub const fn outcome_unknown(self) -> bool {
        matches!(
            self,
            Self::TimedOut
                | Self::Interrupted
                | Self::ServerError
                | Self::UnreadableAnswer
                | Self::AnswerTooLarge
        )
    }

    /// Returns whether only the operator can correct it: nothing is wrong with the user's grant.
    #[must_use]
    pub const fn is_operators_fault(self) -> bool {
        matches!(
            self,
            Self::ClientRejected
                | Self::RequestRejected
                | Self::Redirected
                | Self::NotSent
                | Self::Misconfigured
        )
    }
}

impl std::fmt::Display for FailureCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "the provider cannot be reached",
            Self::Untrusted => "the certificate of the provider is not trusted",
            Self::NotSent => "the HTTP client does not send such a request",
            Self::TimedOut => "the provider did not answer in time",
            Self::Interrupted => "the connection to the provider broke",
            Self::ServerError => "the provider has an error of its own",
            Self::RateLimited => "the provider asks for fewer requests",
            Self::UnreadableAnswer => "the provider's answer could not be read",
            Self::AnswerTooLarge => {
                "the provider's answer exceeds a limit: 1 MiB in all, 64 KiB for a token, 128 headers"
            }
            Self::ClientRejected => "the provider refuses the client credentials",
            Self::RequestRejected => "the provider refuses the request",
            Self::GrantRejected => "the provider refuses the grant",
            Self::Redirected => "the provider answered with a redirect",
            Self::Unexplained => "the provider refuses the request and does not say why",
            Self::Misconfigured => "the configuration does not fit the connection",
            Self::ClientSourceFailed => "the client registration could not be looked up",
        })
    }
}
