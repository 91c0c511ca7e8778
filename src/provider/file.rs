//! Descriptors as a host's configuration holds them.

use crate::provider::problem::InvalidDescriptor;
use crate::provider::registry::RegistryBuilder;
use crate::provider::{AuthorizationServer, Provider, Transport};

/// Authorization servers and providers of a host's own: what a descriptor file holds. With feature `serde` it is read
/// from JSON, TOML, YAML or whatever else serde reads; unknown fields are refused, and the error says which are known.
///
/// `docs/descriptors.md` describes every field with an example.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(
        default,
        deny_unknown_fields,
        expecting = "a descriptor file, written as an object"
    )
)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct DescriptorFile {
    /// The servers.
    pub servers: Vec<AuthorizationServer>,
    /// The providers; their servers are in the file or in the catalogue.
    pub providers: Vec<Provider>,
}

impl DescriptorFile {
    /// Checks every descriptor as [`build`](crate::connections::ConnectionsBuilder::build) does. Providers may name
    /// built-in servers. URLs must be `https`.
    ///
    /// # Errors
    ///
    /// [`InvalidDescriptor`] for the first mistake: it names the descriptor, the field and the problem.
    pub fn validate(&self) -> Result<(), InvalidDescriptor> {
        self.validate_all().into_iter().next().map_or(Ok(()), Err)
    }

    /// Returns the mistakes in the file: the first of each field of each descriptor. The file can be used if there are
    /// none.
    #[must_use]
    pub fn validate_all(&self) -> Vec<InvalidDescriptor> {
        let mut registry = RegistryBuilder::default();
        for server in &self.servers {
            registry.add_server(server.clone());
        }
        for provider in &self.providers {
            registry.add_provider(provider.clone());
        }
        registry.mistakes(Transport::HttpsOnly)
    }
}
