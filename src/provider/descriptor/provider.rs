//! A provider, as hosts use it.

use serde::{Deserialize, Serialize};

use crate::model::{ProviderId, Scopes, ServerId};
use crate::provider::unreadable::read;
use crate::provider::{ApiHost, InvalidDescriptor, ProviderDescriptor};

/// A service that can be connected, as data.
///
/// A descriptor is a document: [`from_json`](Self::from_json) reads JSON, and serde reads other
/// formats. `docs/descriptors.md` describes its members, and `docs/descriptor.schema.json` is their
/// schema. URLs and hosts are templates, filled from the values of the connection.
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
    /// Returns a service at this server, with nothing else known. `api_hosts` are the only places
    /// that the host's requests may be sent to with the access token: `https://api.example` for a
    /// whole origin, `https://api.example/v1` for everything below a path. Without any, it is
    /// everything below the [API base](Self::api_base).
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

    /// Reads a provider from a JSON document. Missing members have the defaults of
    /// [`new`](Self::new). Unknown members are rejected. The values are checked when the
    /// connections are built, and by
    /// [`DescriptorFile::validate`](crate::provider::DescriptorFile::validate).
    ///
    /// # Errors
    ///
    /// [`InvalidDescriptor`] names the line and the column at which the document cannot be read,
    /// and what is expected there.
    pub fn from_json(document: &str) -> Result<Self, InvalidDescriptor> {
        read(document)
    }

    /// Sets the scopes to request if the host names none: the minimum for useful access.
    #[must_use]
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.0.default_scopes = scopes;
        self
    }

    /// Sets the base URL of the service's API. `send` resolves a request with only a path against
    /// it.
    #[must_use]
    pub fn api_base(mut self, url: impl Into<String>) -> Self {
        self.0.api_base = Some(url.into());
        self
    }

    /// Lets this descriptor replace the built-in one with its id. Without this call,
    /// [`build`](crate::connections::ConnectionsBuilder::build) rejects a descriptor with such an
    /// id.
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

    /// Returns the id of the authorization server that grants access to the service.
    #[must_use]
    pub const fn server(&self) -> &ServerId {
        &self.0.server
    }

    /// Returns the display name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the group under which the service is displayed. It may be empty.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.0.group
    }

    /// Returns the places that the host's requests may be sent to with the access token, as URL
    /// prefixes. If there are none, it is everything below the API base.
    pub fn api_hosts(&self) -> impl Iterator<Item = String> {
        self.0.api_hosts.iter().map(ApiHost::to_url)
    }

    /// Returns the scopes to request if the host names none.
    #[must_use]
    pub const fn default_scopes(&self) -> &Scopes {
        &self.0.default_scopes
    }

    /// Returns the scopes that are always requested in addition: to identify the account, or to
    /// obtain a refresh token.
    #[must_use]
    pub const fn required_scopes(&self) -> &Scopes {
        &self.0.required_scopes
    }

    /// Returns the scopes for reading only, for
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

    /// Returns the minimum scopes for writing something useful (or reading it, if nothing can be
    /// written), if they are known.
    #[must_use]
    pub const fn least_privilege_scopes(&self) -> Option<&Scopes> {
        self.0.tiers.least_privilege.as_ref()
    }

    /// Returns notes for users of the service, in sentences.
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
