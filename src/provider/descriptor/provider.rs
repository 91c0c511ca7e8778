//! A provider, as a host holds it.

use serde::{Deserialize, Serialize};

use crate::model::{ProviderId, Scopes, ServerId};
use crate::provider::unreadable::read;
use crate::provider::{ApiHost, InvalidDescriptor, ProviderDescriptor};

/// A service that can be connected, as data.
///
/// A descriptor is a document: [`from_json`](Self::from_json) reads one, and so does any other
/// format of serde. `docs/descriptors.md` describes its members, and `docs/descriptor.schema.json`
/// is their schema. URLs and hosts are templates, filled from the values of the connection.
///
/// ```
/// use valetkey::provider::Provider;
///
/// let provider = Provider::from_json(
///     r#"{
///         "id": "acme-notes",
///         "server": "acme",
///         "name": "Acme Notes",
///         "default_scopes": ["notes.read"],
///         "api_base": "https://api.acme.example/v1",
///         "account": {"url": "https://api.acme.example/v1/me", "id": ["/id"], "email": ["/email"]}
///     }"#,
/// )?;
/// assert_eq!(provider.name(), "Acme Notes");
/// # Ok::<(), valetkey::provider::InvalidDescriptor>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Provider(pub(crate) ProviderDescriptor);

impl Provider {
    /// Makes a service at this server, with nothing else known. `api_hosts` are the only places to
    /// which requests of the host may be sent with the access token: `https://api.example` for a
    /// whole origin, `https://api.example/v1` for what lies under a path of it. Without any, it is
    /// what lies below the [API base](Self::api_base).
    #[must_use]
    pub fn new(
        id: ProviderId,
        server: ServerId,
        name: impl Into<String>,
        api_hosts: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let hosts = api_hosts.into_iter().map(|host| ApiHost::of_url(&host.into()));
        Self(ProviderDescriptor::new(id, server, name, hosts.collect()))
    }

    /// Reads a provider from a JSON document. What the document does not say is as in
    /// [`new`](Self::new). Members that are not known are refused. Whether the values make sense is
    /// checked when the connections are built, and by
    /// [`DescriptorFile::validate`](crate::provider::DescriptorFile::validate).
    ///
    /// # Errors
    ///
    /// [`InvalidDescriptor`] names the line and the column at which the document cannot be read,
    /// and what is expected there.
    pub fn from_json(document: &str) -> Result<Self, InvalidDescriptor> {
        read(document)
    }

    /// Sets what is asked for when the host names no scopes: the least that makes the service
    /// useful.
    #[must_use]
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.0.default_scopes = scopes;
        self
    }

    /// Sets where the service's API begins; a request to `send` with a path alone is resolved
    /// against it.
    #[must_use]
    pub fn api_base(mut self, url: impl Into<String>) -> Self {
        self.0.api_base = Some(url.into());
        self
    }

    /// Lets this descriptor take the place of the built-in one with its id. Without it, such an id
    /// is a mistake.
    #[must_use]
    pub const fn replaces_builtin(mut self) -> Self {
        self.0.replaces_builtin = true;
        self
    }

    /// Returns the id of the service.
    #[must_use]
    pub const fn id(&self) -> &ProviderId {
        &self.0.id
    }

    /// Returns the id of the authorization server that grants access to it.
    #[must_use]
    pub const fn server(&self) -> &ServerId {
        &self.0.server
    }

    /// Returns the name for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the group that the service is shown under. It may be empty.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.0.group
    }

    /// Returns the places to which requests of the host may be sent with the access token, as URL
    /// prefixes. If there are none, it is what lies below the API base.
    pub fn api_hosts(&self) -> impl Iterator<Item = String> {
        self.0.api_hosts.iter().map(ApiHost::to_url)
    }

    /// Returns what is asked for when the host names no scopes.
    #[must_use]
    pub const fn default_scopes(&self) -> &Scopes {
        &self.0.default_scopes
    }

    /// Returns what is always asked for besides: to learn whose account it is, to get a refresh
    /// token.
    #[must_use]
    pub const fn required_scopes(&self) -> &Scopes {
        &self.0.required_scopes
    }

    /// Returns the scopes for reading alone, for
    /// [`ConsentOptions::scopes`](crate::ConsentOptions::scopes), if the service has such scopes.
    #[must_use]
    pub const fn read_only_scopes(&self) -> Option<&Scopes> {
        self.0.tiers.read_only.as_ref()
    }

    /// Returns the scopes for reading and writing, if the service has such scopes.
    #[must_use]
    pub const fn read_write_scopes(&self) -> Option<&Scopes> {
        self.0.tiers.read_write.as_ref()
    }

    /// Returns the least scopes with which something useful can be written (or read, where nothing
    /// can be written), if they are known.
    #[must_use]
    pub const fn least_privilege_scopes(&self) -> Option<&Scopes> {
        self.0.tiers.least_privilege.as_ref()
    }

    /// Returns what whoever uses the service should know, in sentences.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.0.notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_host_is_an_origin_and_a_path() {
        for (url, origin, path) in [
            ("https://api.example", "https://api.example", "/"),
            ("https://api.example/", "https://api.example", "/"),
            ("https://api.example:8443/v1", "https://api.example:8443", "/v1"),
            ("https://{site}.example/v1/x", "https://{site}.example", "/v1/x"),
            ("{base_url}", "{base_url}", "/"),
            ("{base_url}/api", "{base_url}", "/api"),
        ] {
            let id = ProviderId::new("p").unwrap();
            let provider = Provider::new(id, ServerId::new("s").unwrap(), "P", [url]);
            assert_eq!(provider.0.api_hosts, [ApiHost::under(origin, path)], "{url}");
            let shown: Vec<String> = provider.api_hosts().collect();
            assert_eq!(shown, [url.trim_end_matches('/')]);
        }
    }
}
