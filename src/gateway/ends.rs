//! The end of access at a provider, according to its descriptor.

use crate::engine::services::Services;
use crate::model::ServerId;
use crate::provider::Revocation;

/// The way in which access ends at a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ends {
    /// By a request that valetkey sends.
    Request,
    /// Only by the user, on a page of the provider.
    User,
    /// By its expiry: the provider revokes nothing.
    Itself,
    /// The server is not configured.
    Unknown,
}

impl Ends {
    /// Returns the value as one word, for the API.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Request => "by_request",
            Self::User => "by_user",
            Self::Itself => "by_expiry",
            Self::Unknown => "unknown",
        }
    }

    /// Returns how access ends at an authorization server.
    pub(super) fn of(services: &Services<'_>, server: &ServerId) -> Self {
        let server = services.server(server).ok().flatten();
        match server.as_ref().map(|server| &server.compiled().revocation) {
            Some(Revocation::Endpoint { .. } | Revocation::DeleteWithBearer { .. }) => Self::Request,
            Some(Revocation::ByUser { .. }) => Self::User,
            Some(Revocation::Unsupported) => Self::Itself,
            None => Self::Unknown,
        }
    }
}
