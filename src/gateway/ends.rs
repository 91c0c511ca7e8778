//! The end of access at a provider, according to its descriptor.

use super::Inner;
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
}

impl Inner {
    /// Returns how access ends at an authorization server.
    pub(super) fn ends(&self, server: &str) -> Ends {
        let server = self.connections.registry().server(server);
        match server.map(|server| &server.revocation) {
            Some(Revocation::Endpoint { .. } | Revocation::DeleteWithBearer { .. }) => Ends::Request,
            Some(Revocation::ByUser { .. }) => Ends::User,
            Some(Revocation::Unsupported) => Ends::Itself,
            None => Ends::Unknown,
        }
    }
}
