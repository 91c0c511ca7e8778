//! A connection: what is known of it without opening a secret.

use std::collections::BTreeMap;

use crate::model::{ConnectionId, Label, Owner, ProviderId, Scopes, ServerId, TenantId, Timestamp};

/// Values that fill the placeholders of a descriptor's URLs, such as `tenant` or `base_url`.
pub type Parameters = BTreeMap<String, String>;

/// A provider connected for an owner: the record without its tokens.
///
/// Fields are public data; a [`Vault`](crate::vault::Vault) builds one with [`Connection::new`] and sets what it read.
// Vaults keep it in their own formats: a field that comes later needs `#[serde(default)]`, or old records are lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Connection {
    /// Names the connection; a new consent keeps it.
    pub id: ConnectionId,
    /// The workspace it belongs to.
    pub tenant: TenantId,
    /// The person or, for a shared one, the workspace itself.
    pub owner: Owner,
    /// The service.
    pub provider: ProviderId,
    /// Tells several accounts of one owner at one provider apart.
    pub label: Option<Label>,
    /// Whether it is taken when the owner has several and the turn names none.
    pub is_default: bool,
    /// Whether it can be resolved.
    pub status: Status,
    /// Whose account it is at the provider, as far as the provider says.
    pub account: Option<Account>,
    /// The scopes asked for.
    pub requested: Scopes,
    /// The scopes granted: what the server said, or what was asked for if it said nothing (RFC 6749 §5.1).
    pub granted: Scopes,
    /// The values of the descriptor's placeholders for this connection.
    pub parameters: Parameters,
    /// Who issued the tokens. A refresh token goes nowhere else.
    pub issued_by: IssuedBy,
    /// The count of token pairs: raised by a consent and by a refresh, by nothing else.
    pub generation: u64,
    /// Whether a refresh token is held.
    pub refreshable: bool,
    /// When it was first connected.
    pub created_at: Timestamp,
    /// When the person last gave their consent; a refresh does not change it.
    pub consented_at: Timestamp,
    /// When its tokens were last renewed, by refresh or by consent.
    pub refreshed_at: Timestamp,
    /// When a token of it was last handed out; written in batches, so it lags.
    pub used_at: Option<Timestamp>,
    /// When the access token expires, if the server said so. Absent means: use it until it is refused.
    pub expires_at: Option<Timestamp>,
    /// How the attempts to refresh fare.
    pub refresh: RefreshState,
    /// The record that keeps its tokens, where one consent serves several services: all that name the same one share
    /// its status, expiry and refresh. Absent: it has tokens of its own.
    #[cfg_attr(feature = "serde", serde(default))]
    pub shares: Option<ConnectionId>,
    /// Whether it is such a record: it keeps tokens for the connections that share it and serves nobody by itself.
    /// Never listed.
    #[cfg_attr(feature = "serde", serde(default))]
    pub is_keeper: bool,
}

impl Connection {
    /// A connection that has just been granted: active, generation 1, no account, no expiry.
    #[must_use]
    pub fn new(
        id: ConnectionId,
        tenant: TenantId,
        owner: Owner,
        provider: ProviderId,
        issued_by: IssuedBy,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            tenant,
            owner,
            provider,
            label: None,
            is_default: false,
            status: Status::Active,
            account: None,
            requested: Scopes::default(),
            granted: Scopes::default(),
            parameters: Parameters::new(),
            issued_by,
            generation: 1,
            refreshable: false,
            created_at: now,
            consented_at: now,
            refreshed_at: now,
            used_at: None,
            expires_at: None,
            refresh: RefreshState::default(),
            shares: None,
            is_keeper: false,
        }
    }

    /// The record that keeps its tokens: itself, unless it shares another's. Refreshes go by it, and so do their entries in
    /// the audit.
    #[must_use]
    pub fn keeper(&self) -> ConnectionId {
        self.shares.unwrap_or(self.id)
    }

    /// Shows what the record says that keeps its tokens: status, expiry and refresh are the grant's, and of the
    /// scopes those that this service asked for. A revoked connection shares nothing any more.
    pub fn show_grant(&mut self, keeper: &Self) {
        self.status = keeper.status;
        self.issued_by.clone_from(&keeper.issued_by);
        self.generation = keeper.generation;
        self.refreshable = keeper.refreshable;
        self.consented_at = keeper.consented_at;
        self.refreshed_at = keeper.refreshed_at;
        self.expires_at = keeper.expires_at;
        self.refresh = keeper.refresh;
        self.granted = self
            .requested
            .difference(&self.requested.difference(&keeper.granted));
    }

    /// The scopes that were asked for and not granted: a box that the person left unticked.
    #[must_use]
    pub fn missing_scopes(&self) -> Scopes {
        self.requested.difference(&self.granted)
    }
}

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
    /// A refresh was cut off after the request was sent, and the server takes the old token no more:
    /// the new one was lost on the way.
    LostInFlight,
    /// The API refused the access token even after a refresh.
    RejectedAfterRefresh,
}

impl NeedsConsent {
    /// The reason as one lower-case word, for storage and display.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::LostInFlight => "lost_in_flight",
            Self::RejectedAfterRefresh => "rejected_after_refresh",
        }
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

/// Where the tokens came from: recorded at consent, compared before each refresh.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct IssuedBy {
    /// The authorization server.
    pub server: ServerId,
    /// The token endpoint that issued the tokens.
    pub token_endpoint: String,
    /// The client id that they were issued to.
    pub client_id: String,
}

/// How the attempts to refresh fare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RefreshState {
    /// Failures in a row since the last success.
    pub failures: u32,
    /// No attempt before this time.
    pub not_before: Option<Timestamp>,
    /// The last failure, until a success clears it.
    pub last_failure: Option<FailureCode>,
    /// When the last failure happened.
    pub failed_at: Option<Timestamp>,
    /// A refresh that has begun and has not ended.
    pub in_flight: Option<InFlight>,
    /// Until when a refused refresh token is kept, sealed and out of reach, to be tried again on request.
    pub quarantined_until: Option<Timestamp>,
}

/// A refresh that has begun and has not ended, or has been cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct InFlight {
    /// When it was claimed.
    pub since: Timestamp,
    /// When the claim lapses, if its holder does not end it.
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
    /// No answer in time; whether the server acted is unknown.
    TimedOut,
    /// The connection broke after the request was sent; whether the server acted is unknown.
    Interrupted,
    /// The server has an error of its own (5xx, `server_error`, `temporarily_unavailable`).
    ServerError,
    /// Too many requests (429, `slow_down`).
    RateLimited,
    /// The answer was no token answer: wrong type, broken JSON, too large, no access token.
    UnreadableAnswer,
    /// The server refused the client: wrong id or secret. The operator's to mend.
    ClientRejected,
    /// The server refused the request as such (`invalid_request`, `unsupported_grant_type`, …). The operator's to mend.
    RequestRejected,
    /// The server refused the grant for good (`invalid_grant` and its like).
    GrantRejected,
    /// The endpoint answered with a redirect, which is never followed with credentials.
    Redirected,
}

impl FailureCode {
    /// The code as one lower-case word, for storage and display.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
            Self::ServerError => "server_error",
            Self::RateLimited => "rate_limited",
            Self::UnreadableAnswer => "unreadable_answer",
            Self::ClientRejected => "client_rejected",
            Self::RequestRejected => "request_rejected",
            Self::GrantRejected => "grant_rejected",
            Self::Redirected => "redirected",
        }
    }

    /// The code that [`as_str`](Self::as_str) wrote.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.as_str() == code)
    }

    /// Every code.
    pub const ALL: [Self; 10] = [
        Self::Unreachable,
        Self::TimedOut,
        Self::Interrupted,
        Self::ServerError,
        Self::RateLimited,
        Self::UnreadableAnswer,
        Self::ClientRejected,
        Self::RequestRejected,
        Self::GrantRejected,
        Self::Redirected,
    ];

    /// Whether the server may have acted on the request although no answer was read.
    #[must_use]
    pub const fn outcome_unknown(self) -> bool {
        matches!(
            self,
            Self::TimedOut | Self::Interrupted | Self::ServerError | Self::UnreadableAnswer
        )
    }

    /// Whether only the operator can mend it: nothing is wrong with the user's grant.
    #[must_use]
    pub const fn is_operators_fault(self) -> bool {
        matches!(
            self,
            Self::ClientRejected | Self::RequestRejected | Self::Redirected
        )
    }
}

impl std::fmt::Display for FailureCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "the provider cannot be reached",
            Self::TimedOut => "the provider did not answer in time",
            Self::Interrupted => "the connection to the provider broke",
            Self::ServerError => "the provider has an error of its own",
            Self::RateLimited => "the provider asks for fewer requests",
            Self::UnreadableAnswer => "the provider's answer could not be read",
            Self::ClientRejected => "the provider refuses the client credentials",
            Self::RequestRejected => "the provider refuses the request",
            Self::GrantRejected => "the provider refuses the grant",
            Self::Redirected => "the provider answered with a redirect",
        })
    }
}
