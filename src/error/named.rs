//! The provider that an error is about, with its display name.

use std::fmt;
use std::ops::Deref;

use crate::model::ProviderId;
use crate::provider::compiled::CompiledProvider;

/// A provider in an error: its id, and its display name for the message.
///
/// Dereferences to the id. [`Display`](fmt::Display) writes the display name, such as `Gmail`.
#[derive(Clone, PartialEq, Eq)]
pub struct NamedProvider {
    id: ProviderId,
    name: Box<str>,
}

impl NamedProvider {
    /// Returns the id and the display name of a provider.
    pub(crate) fn of(provider: &CompiledProvider) -> Self {
        Self {
            id: provider.id.clone(),
            name: provider.name.as_str().into(),
        }
    }

    /// Returns the id of the provider.
    #[must_use]
    pub const fn id(&self) -> &ProviderId {
        &self.id
    }

    /// Returns the display name of the provider.
    #[must_use]
    pub const fn name(&self) -> &str {
        &self.name
    }
}

/// Uses the id as the name, if no descriptor is at hand.
impl From<ProviderId> for NamedProvider {
    fn from(id: ProviderId) -> Self {
        let name = id.as_str().into();
        Self { id, name }
    }
}

impl Deref for NamedProvider {
    type Target = ProviderId;

    fn deref(&self) -> &ProviderId {
        &self.id
    }
}

impl PartialEq<ProviderId> for NamedProvider {
    fn eq(&self, other: &ProviderId) -> bool {
        self.id == *other
    }
}

impl fmt::Display for NamedProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for NamedProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}
