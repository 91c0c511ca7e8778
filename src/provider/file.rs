//! Descriptors in a host's configuration.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::provider::problem::InvalidDescriptor;
use crate::provider::registry::RegistryBuilder;
use crate::provider::unreadable::{unreadable, without_place};
use crate::provider::{AuthorizationServer, Provider, Transport};

/// The content of a descriptor file: a host's own authorization servers and providers.
/// [`from_json`](Self::from_json) reads a JSON document; serde reads TOML, YAML and other formats.
/// Unknown members are rejected, and the error lists the known ones.
///
/// `docs/descriptors.md` describes every member with an example, and `docs/descriptor.schema.json`
/// is the schema for editors.
///
/// # Examples
///
/// ```
/// use valetkey::provider::DescriptorFile;
///
/// let file = DescriptorFile::from_json(
///     r#"{
///         "servers": [{
///             "id": "acme",
///             "authorization_endpoint": "https://acme.example/authorize",
///             "token_endpoint": "http://acme.example/token"
///         }]
///     }"#,
/// )?;
/// let mistake = file.validate().unwrap_err();
/// assert_eq!((mistake.descriptor.as_str(), mistake.field), ("acme", "token_endpoint"));
/// # Ok::<(), valetkey::provider::InvalidDescriptor>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a descriptor file, written as an object"
)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct DescriptorFile {
    /// The authorization servers.
    pub servers: Vec<AuthorizationServer>,
    /// The providers. Their servers are in the file or in the catalog.
    pub providers: Vec<Provider>,
}

impl DescriptorFile {
    /// Reads a file from a JSON document.
    ///
    /// # Errors
    ///
    /// [`InvalidDescriptor`] names the line and the column at which the document cannot be read,
    /// what is expected there, and the descriptor, if only one of them has this mistake.
    /// [`validate`](Self::validate) checks the values.
    pub fn from_json(document: &str) -> Result<Self, InvalidDescriptor> {
        serde_json::from_str(document).map_err(|error| {
            let id = unreadable_in(document, &without_place(&error));
            unreadable(&error, id)
        })
    }

    /// Checks every descriptor as [`build`](crate::connections::ConnectionsBuilder::build) does.
    /// Providers may name built-in servers. URLs must be `https`.
    ///
    /// # Errors
    ///
    /// [`InvalidDescriptor`] for the first mistake: it names the descriptor, the field and the
    /// problem.
    pub fn validate(&self) -> Result<(), InvalidDescriptor> {
        self.validate_all().into_iter().next().map_or(Ok(()), Err)
    }

    /// Returns the mistakes in the file: the first one of each field of each descriptor. The file
    /// is valid if there are none.
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

/// A file whose descriptors are not read yet.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Parts {
    servers: Vec<Value>,
    providers: Vec<Value>,
}

/// Returns the id of the descriptor at which the reading of a file ended with this message, if no
/// other one has the same mistake.
fn unreadable_in(document: &str, message: &str) -> Option<String> {
    let parts: Parts = serde_json::from_str(document).ok()?;
    let servers = parts
        .servers
        .iter()
        .filter(|it| message_of::<AuthorizationServer>(it).is_some_and(|it| it == message));
    let providers = parts
        .providers
        .iter()
        .filter(|it| message_of::<Provider>(it).is_some_and(|it| it == message));
    let mut wrong = servers.chain(providers);
    match (wrong.next(), wrong.next()) {
        (Some(one), None) => one["id"].as_str().map(str::to_owned),
        _ => None,
    }
}

/// Returns why a descriptor cannot be read.
fn message_of<T: DeserializeOwned>(descriptor: &Value) -> Option<String> {
    T::deserialize(descriptor).err().map(|error| error.to_string())
}
