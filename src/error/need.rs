//! The consent or choice that a call needs before it can succeed.

use std::fmt;

use super::NamedProvider;
use crate::model::{ConnectionId, Label, NeedsConsent, ProviderId, Scope, Scopes};

/// The maximum number of scopes in a message.
const MOST_SCOPES: usize = 5;

/// A consent that the user must give before the call can use this provider.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsentRequired {
    /// The service.
    pub provider: ProviderId,
    /// The display name of the service.
    pub provider_name: String,
    /// The connection that a new consent would reconnect, if there is one.
    pub connection: Option<ConnectionId>,
    /// The label of the requested connection, if the call names one.
    pub label: Option<Label>,
    /// The reason.
    pub reason: ConsentReason,
    /// The scopes that are needed but not granted.
    pub missing_scopes: Scopes,
    /// Further scopes that the provider's API named when it refused a request and that the
    /// descriptor does not list. A consent does not request them, because an API must not choose
    /// what a user is asked for. A host that knows them adds them to the
    /// [`ConsentOptions`](crate::ConsentOptions) or to the descriptor. The API wrote them, so
    /// `Debug` prints only their number.
    pub scopes_named_by_api: Scopes,
    /// True if a workspace connection is needed, which only an
    /// [`Operator`](crate::Operator) can connect.
    pub workspace: bool,
}

impl ConsentRequired {
    /// Returns a need without a connection or missing scopes.
    pub(crate) fn new(provider: impl Into<NamedProvider>, reason: ConsentReason) -> Self {
        let provider = provider.into();
        Self {
            provider_name: provider.name().into(),
            provider: provider.id().clone(),
            connection: None,
            label: None,
            reason,
            missing_scopes: Scopes::default(),
            scopes_named_by_api: Scopes::default(),
            workspace: false,
        }
    }

    /// Returns the need with a connection to reconnect.
    pub(crate) fn reconnecting(mut self, connection: ConnectionId) -> Self {
        self.connection = Some(connection);
        self
    }

    /// Returns the need for a connection with this label.
    pub(crate) fn labelled(mut self, label: Option<Label>) -> Self {
        self.label = label;
        self
    }

    /// Returns the need with these missing scopes.
    pub(crate) fn missing(mut self, scopes: Scopes) -> Self {
        self.missing_scopes = scopes;
        self
    }

    /// Returns the need with these scopes, which an API named and the descriptor does not list.
    pub(crate) fn named_by_api(mut self, scopes: Scopes) -> Self {
        self.scopes_named_by_api = scopes;
        self
    }

    /// Returns whether a consent for this need also satisfies `other`.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.is_like(other) && other.missing_scopes.difference(&self.missing_scopes).is_empty()
    }

    /// Returns whether the needs differ only in their scopes.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.provider == other.provider
            && self.connection == other.connection
            && self.label == other.label
            && self.reason == other.reason
            && self.workspace == other.workspace
    }

    /// Returns the need for a workspace connection or for a personal one.
    pub(crate) const fn of(mut self, workspace: bool) -> Self {
        self.workspace = workspace;
        self
    }
}

impl std::error::Error for ConsentRequired {}

impl fmt::Display for ConsentRequired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.provider_name)?;
        match self.reason {
            ConsentReason::NotConnected => {
                f.write_str(if self.workspace {
                    "no workspace account is connected"
                } else {
                    "no account is connected"
                })?;
                self.label
                    .as_ref()
                    .map_or(Ok(()), |label| write!(f, " with the label \"{label}\""))
            }
            ConsentReason::MissingScopes if !self.missing_scopes.is_empty() => {
                let more = self.missing_scopes.len().saturating_sub(MOST_SCOPES);
                let shown: Vec<&str> = self
                    .missing_scopes
                    .iter()
                    .take(MOST_SCOPES)
                    .map(Scope::as_str)
                    .collect();
                let one = self.missing_scopes.len() == 1;
                write!(
                    f,
                    "the connection lacks the scope{} {}",
                    if one { "" } else { "s" },
                    shown.join(", ")
                )?;
                if more > 0 {
                    write!(f, " and {more} more")?;
                }
                Ok(())
            }
            reason => write!(f, "{reason}"),
        }?;
        f.write_str("; ask for consent")
    }
}

impl fmt::Debug for ConsentRequired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

/// A reason why consent is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConsentReason {
    /// The user has not connected this service.
    NotConnected,
    /// The connection lacks a scope that the call needs.
    MissingScopes,
    /// The access token expired and cannot be refreshed.
    Expired,
    /// The provider rejected the grant: access was revoked there or has expired.
    Rejected,
    /// A refresh was interrupted, and the provider no longer accepts the old token.
    LostInFlight,
    /// The provider has refused the refresh for more than a day without giving a reason.
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

impl fmt::Display for ConsentReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "no account is connected",
            Self::MissingScopes => "the connection lacks a scope that the API requires",
            Self::Expired => "access expired and cannot be refreshed",
            Self::Rejected => "access was revoked at the provider or has expired",
            Self::LostInFlight => "a refresh was interrupted, and its new token was lost",
            Self::Unexplained => "the provider refuses to refresh access without giving a reason",
            Self::ClientChanged => "the application has a new client registration at the provider",
        })
    }
}
