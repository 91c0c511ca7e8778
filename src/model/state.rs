//! The state of a connection and of its grant, and the account it belongs to.

use std::collections::BTreeMap;

use crate::model::{ServerId, Timestamp};

/// Values that fill the placeholders of a descriptor's URLs, such as `tenant` or `base_url`.
pub type Parameters = BTreeMap<String, String>;

/// The status of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Status {
    /// The connection has tokens.
    Active,
    /// The connection needs a new consent.
    NeedsConsent(NeedsConsent),
    /// The connection was revoked locally. All its tokens are erased.
    Revoked,
}

/// A reason why a connection needs a new consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum NeedsConsent {
    /// The server permanently rejected the refresh token.
    Rejected,
    /// The access token expired and there is no refresh token.
    Expired,
    /// A refresh was interrupted after the request was sent, and the server no longer accepts the
    /// old token: the new one was lost.
    LostInFlight,
    /// The server has refused the refresh token for more than a day without giving a reason. The
    /// token is kept for a while, so that it can be
    /// [retried](crate::ConnectionManager::retry_rejected) on request.
    Unexplained,
    /// The host's client at the authorization server was replaced, as the host
    /// [confirmed](crate::provider::ClientRegistration::replacing). No other client can refresh the
    /// tokens of the former one.
    ClientChanged,
}

impl NeedsConsent {
    /// Returns the reason as one lower-case word, for storage and display.
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

    /// Returns the reason with this name, as written by [`as_str`](Self::as_str).
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == code)
    }
}

/// The account that a connection uses, as reported by the provider.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Account {
    /// The provider's stable id of the account.
    pub id: String,
    /// The e-mail address, if the provider gives one.
    pub email: Option<String>,
    /// A display name.
    pub label: Option<String>,
}

/// The server and client that issued the tokens, and the endpoints that the tokens may be sent to.
/// This data is recorded at consent, authenticated together with the tokens, and compared with the
/// descriptor before each request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(unnameable_types, reason = "the operations of a vault are sealed")]
pub struct IssuedBy {
    /// The authorization server.
    pub server: ServerId,
    /// The token endpoint that issued the tokens.
    pub token_endpoint: String,
    /// The endpoint that receives the refresh token; at most servers, the token endpoint.
    pub refresh_endpoint: String,
    /// The endpoint that revokes the tokens, if the descriptor named one at the time.
    pub revocation_endpoint: Option<String>,
    /// The client id that the tokens were issued to.
    pub client_id: String,
}

impl IssuedBy {
    /// Returns an issuer with one token endpoint for everything and no revocation endpoint.
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

/// The state of a grant's refreshes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
#[allow(unnameable_types, reason = "the operations of a vault are sealed")]
pub struct RefreshState {
    /// The number of consecutive failures since the last success.
    pub failures: u32,
    /// The earliest time of the next attempt.
    pub not_before: Option<Timestamp>,
    /// The last failure, until a success clears it.
    pub last_failure: Option<FailureCode>,
    /// The time when the last failure happened.
    pub failed_at: Option<Timestamp>,
    /// The claim of a refresh that is in progress.
    pub in_flight: Option<InFlight>,
    /// The time until which a rejected refresh token is kept, encrypted and unused, so that it can
    /// be retried on request.
    pub quarantined_until: Option<Timestamp>,
    /// A short checksum of the client registration and the endpoint of the last failed attempt, if
    /// the failure is [for an administrator](FailureCode::needs_administrator) to fix. A change of
    /// the registration ends the back-off.
    #[cfg_attr(feature = "serde", serde(default))]
    pub failed_setup: Option<u16>,
    /// The time when the API refused the access token of this generation right after a refresh.
    #[cfg_attr(feature = "serde", serde(default))]
    pub token_refused_at: Option<Timestamp>,
    /// The time when the refresh token expires, if the server reported it in a token response.
    #[cfg_attr(feature = "serde", serde(default))]
    pub refresh_token_expires_at: Option<Timestamp>,
}

/// A refresh that is in progress, or was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(unnameable_types, reason = "the operations of a vault are sealed")]
pub struct InFlight {
    /// The time of the claim.
    pub since: Timestamp,
    /// The time when the claim expires if its holder does not end it.
    pub until: Timestamp,
}

/// The reason for a failed refresh, as a closed code. `health`, errors and pages use the same
/// words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum FailureCode {
    /// The request was not sent: the name, the connection or TLS failed.
    Unreachable,
    /// The server's certificate is not trusted, so the request was not sent. An administrator adds
    /// the root of a private certificate authority to the HTTP client, or the provider renews its
    /// certificate.
    Untrusted,
    /// The host's HTTP client refused the request: plain `http`, or an address that it does not
    /// allow. An administrator must fix this.
    NotSent,
    /// The server did not answer in time. It may have processed the request.
    TimedOut,
    /// The connection broke after the request was sent. The server may have processed it.
    Interrupted,
    /// The server reported an internal error (5xx, `server_error`, `temporarily_unavailable`).
    ServerError,
    /// Too many requests (429, `slow_down`).
    RateLimited,
    /// The response was not a token response: wrong type, broken JSON, no access token.
    UnreadableAnswer,
    /// The response exceeds a limit of this crate (1 MiB in total, 64 KiB per token) or the HTTP
    /// client's limit for headers (128 in the default client).
    AnswerTooLarge,
    /// The server issued a token of another type than `bearer`. If the API accepts it as a bearer
    /// token, set `answer.any_token_type` in the descriptor.
    UnknownTokenType,
    /// The server rejected the client: wrong id or secret. An administrator must fix this.
    ClientRejected,
    /// The server rejected the request itself (`invalid_request`, `unsupported_grant_type`, …). An
    /// administrator must fix this.
    RequestRejected,
    /// The server permanently rejected the grant (`invalid_grant` and similar codes).
    GrantRejected,
    /// The endpoint answered with a redirect. The crate never follows redirects with credentials.
    Redirected,
    /// The server refused the request with an unusual status and an empty body, which does not say
    /// what it refuses.
    Unexplained,
    /// No request was sent: the host's configuration no longer fits the connection. An
    /// administrator must fix this.
    Misconfigured,
    /// No request was sent: the host's [`ClientSource`](crate::provider::ClientSource) failed.
    ClientSourceFailed,
}

impl FailureCode {
    /// Returns the code as one lower-case word, for storage and display.
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
            Self::UnknownTokenType => "unknown_token_type",
            Self::ClientRejected => "client_rejected",
            Self::RequestRejected => "request_rejected",
            Self::GrantRejected => "grant_rejected",
            Self::Redirected => "redirected",
            Self::Unexplained => "unexplained",
            Self::Misconfigured => "misconfigured",
            Self::ClientSourceFailed => "client_source_failed",
        }
    }

    /// Returns the code with this name, as written by [`as_str`](Self::as_str).
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.as_str() == code)
    }

    /// Every code.
    pub const ALL: [Self; 17] = [
        Self::Unreachable,
        Self::Untrusted,
        Self::NotSent,
        Self::TimedOut,
        Self::Interrupted,
        Self::ServerError,
        Self::RateLimited,
        Self::UnreadableAnswer,
        Self::AnswerTooLarge,
        Self::UnknownTokenType,
        Self::ClientRejected,
        Self::RequestRejected,
        Self::GrantRejected,
        Self::Redirected,
        Self::Unexplained,
        Self::Misconfigured,
        Self::ClientSourceFailed,
    ];

    /// Returns whether the server may have processed the request although no response was read.
    #[must_use]
    pub const fn outcome_unknown(self) -> bool {
        matches!(
            self,
            Self::TimedOut
                | Self::Interrupted
                | Self::ServerError
                | Self::UnreadableAnswer
                | Self::AnswerTooLarge
                | Self::UnknownTokenType
        )
    }

    /// Returns whether only an administrator can fix the failure: the user's grant is still valid.
    #[must_use]
    pub const fn needs_administrator(self) -> bool {
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
            Self::Untrusted => "the provider's certificate is not trusted",
            Self::NotSent => "the HTTP client refused the request",
            Self::TimedOut => "the provider did not answer in time",
            Self::Interrupted => "the connection to the provider was interrupted",
            Self::ServerError => "the provider reported an internal error",
            Self::RateLimited => "the provider received too many requests",
            Self::UnreadableAnswer => "the provider's answer could not be read",
            Self::AnswerTooLarge => {
                "the provider's answer exceeds a limit: 1 MiB in total, 64 KiB per token, 128 headers"
            }
            Self::UnknownTokenType => {
                "the provider issued a token of another type than bearer; if its API accepts the token, allow any \
                 token type in the descriptor"
            }
            Self::ClientRejected => "the provider rejected the client credentials",
            Self::RequestRejected => "the provider rejected the request",
            Self::GrantRejected => "the provider rejected the grant",
            Self::Redirected => "the provider answered with a redirect",
            Self::Unexplained => "the provider refused the request without giving a reason",
            Self::Misconfigured => "the configuration does not fit the connection",
            Self::ClientSourceFailed => "the client registration could not be looked up",
        })
    }
}
