//! When a person without a connection of their own may act through the tenant's shared one.

use std::collections::BTreeMap;

use crate::model::ProviderId;

/// Whether shared connections are used, for each provider.
#[derive(Debug, Clone, Default)]
pub struct SharingPolicy {
    default: SharedConnections,
    providers: BTreeMap<ProviderId, SharedConnections>,
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
        }
    }

    /// Sets it for one provider.
    #[must_use]
    pub fn provider(mut self, provider: ProviderId, shared: SharedConnections) -> Self {
        self.providers.insert(provider, shared);
        self
    }

    pub(crate) fn of(&self, provider: &ProviderId) -> SharedConnections {
        self.providers.get(provider).copied().unwrap_or(self.default)
    }
}
