//! What a person has to do before the same call succeeds: consent, or a choice.

use crate::model::{ConnectionId, Label, NeedsConsent, ProviderId, Scopes};

/// Consent is needed before this person can act at this provider.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{provider} needs consent: {reason}")]
#[non_exhaustive]
pub struct ConsentRequired {
    /// The service.
    pub provider: ProviderId,
    /// The connection that a new consent would reconnect, if there is one.
    pub connection: Option<ConnectionId>,
    /// The label of the connection that was asked for, if one was named.
    pub label: Option<Label>,
    /// Why.
    pub reason: ConsentReason,
    /// The scopes that are needed and not granted.
    pub missing_scopes: Scopes,
    /// More scopes that the provider's API named when it refused a request, and that the descriptor
    /// does not know. No consent asks for them, because an API must not choose what a user is asked
    /// for. A host that knows them adds them to the [`ConsentOptions`](crate::ConsentOptions), or
    /// to the descriptor. The API wrote them: `Debug` prints their number.
    pub scopes_named_by_api: Scopes,
    /// True if a workspace connection is needed, which only an operator can connect.
    pub workspace: bool,
}

impl ConsentRequired {
    /// A need without a connection or missing scopes.
    pub(crate) fn new(provider: ProviderId, reason: ConsentReason) -> Self {
        Self {
            provider,
            connection: None,
            label: None,
            reason,
            missing_scopes: Scopes::default(),
            scopes_named_by_api: Scopes::default(),
            workspace: false,
        }
    }

    /// The same need, to be met by reconnecting this connection.
    pub(crate) fn reconnecting(mut self, connection: ConnectionId) -> Self {
        self.connection = Some(connection);
        self
    }

    /// The same need, for a connection with this label.
    pub(crate) fn labelled(mut self, label: Option<Label>) -> Self {
        self.label = label;
        self
    }

    /// The same need, for these scopes.
    pub(crate) fn missing(mut self, scopes: Scopes) -> Self {
        self.missing_scopes = scopes;
        self
    }

    /// The same need, with these scopes that an API named and the descriptor does not know.
    pub(crate) fn named_by_api(mut self, scopes: Scopes) -> Self {
        self.scopes_named_by_api = scopes;
        self
    }

    /// Returns whether a consent for this need meets the other one as well.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.is_like(other) && other.missing_scopes.difference(&self.missing_scopes).is_empty()
    }

    /// Returns whether both needs differ in their scopes alone.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.provider == other.provider
            && self.connection == other.connection
            && self.label == other.label
            && self.reason == other.reason
            && self.workspace == other.workspace
    }

    /// Returns the same need, for a workspace connection or for a personal one.
    pub(crate) const fn of(mut self, workspace: bool) -> Self {
        self.workspace = workspace;
        self
    }
}

impl std::fmt::Debug for ConsentRequired {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsentRequired")
            .field("provider", &self.provider)
            .field("connection", &self.connection)
            .field("label", &self.label)
            .field("reason", &self.reason)
            .field("missing_scopes", &self.missing_scopes)
            .field("scopes_named_by_api", &self.scopes_named_by_api.len())
            .field("workspace", &self.workspace)
            .finish()
    }
}

/// Why consent is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConsentReason {
    /// The person has not connected this service.
    NotConnected,
    /// The connection does not cover all that is needed.
    MissingScopes,
    /// The access token expired and cannot be refreshed.
    Expired,
    /// The provider refused the grant: access was removed there, or it grew too old.
    Rejected,
    /// A refresh was interrupted, and the provider does not accept the old token any more.
    LostInFlight,
    /// The provider has refused the refresh for more than a day and does not say why.
    Unexplained,
    /// The host's client at the authorization server was replaced.
    ClientChanged,
}

impl From<NeedsConsent> for ConsentReason {
    fn from(reason: NeedsConsent) -> Self {
        match reason {
            NeedsConsent::Rejected => Self::Rejected,
            NeedsConsent::Expired => Self::Expired,
            NeedsConsent::LostInFlight => Self::LostInFlight,
            NeedsConsent::Unexplained => Self::Unexplained,
            NeedsConsent::ClientChanged => Self::ClientChanged,
        }
    }
}

impl std::fmt::Display for ConsentReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "not connected yet",
            Self::MissingScopes => "more access is needed than was granted",
            Self::Expired => "the access expired and cannot be refreshed",
            Self::Rejected => "the provider ended the access",
            Self::LostInFlight => "a refresh was interrupted and its token was lost",
            Self::Unexplained => "the provider refuses to refresh the access and does not say why",
            Self::ClientChanged => "this application has a new registration at the provider",
        })
    }
}
