//! When a person without a connection of their own may act through the tenant's shared one.

use std::collections::BTreeMap;

use crate::model::{ProviderId, Scopes};

/// Whether shared connections are used, for each provider.
#[derive(Debug, Clone, Default)]
pub struct SharingPolicy {
    default: SharedConnections,
    providers: BTreeMap<ProviderId, SharedConnections>,
    personal_scopes: Option<Scopes>,
}

/// Whether a provider's shared connection is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SharedConnections {
    /// For people without a connection of their own. A personal one always wins, even one that needs consent: nobody
    /// is switched to another identity without a word.
    #[default]
    Fallback,
    /// Never: everybody acts with their own.
    Forbidden,
    /// Always: personal connections to this provider are not looked at.
    Required,
}

impl SharingPolicy {
    /// The same for every provider that is not named.
    #[must_use]
    pub const fn new(default: SharedConnections) -> Self {
        Self {
            default,
            providers: BTreeMap::new(),
            personal_scopes: None,
        }
    }

    /// Sets it for one provider.
    #[must_use]
    pub fn provider(mut self, provider: ProviderId, shared: SharedConnections) -> Self {
        self.providers.insert(provider, shared);
        self
    }

    /// What needs one of these scopes is done with a person's own connection alone, where else the shared one would be a
    /// fallback: reading may fall back, sending never.
    ///
    /// It goes by the scopes that the caller [names](crate::resolver::ResolveOptions::scopes), so name them for each tool. A
    /// tool that must never act through the shared connection, whatever it names, gets a resolver with a policy of its own.
    #[must_use]
    pub fn personal_scopes(mut self, scopes: Scopes) -> Self {
        self.personal_scopes = Some(scopes);
        self
    }

    pub(crate) fn of(&self, provider: &ProviderId) -> SharedConnections {
        self.providers.get(provider).copied().unwrap_or(self.default)
    }

    /// What holds for a call that needs these scopes.
    pub(super) fn for_scopes(&self, provider: &ProviderId, scopes: &Scopes) -> SharedConnections {
        let personal = self
            .personal_scopes
            .as_ref()
            .is_some_and(|personal| scopes.iter().any(|scope| personal.contains(scope.as_str())));
        match self.of(provider) {
            SharedConnections::Fallback if personal => SharedConnections::Forbidden,
            other => other,
        }
    }
}
