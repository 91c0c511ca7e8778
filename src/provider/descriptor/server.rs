//! An authorization server, as hosts use it.

use serde::{Deserialize, Serialize};

use crate::model::ServerId;
use crate::provider::unreadable::read;
use crate::provider::{InvalidDescriptor, ServerDescriptor};

/// An authorization server, as data. Several providers may share one; a client is registered at a
/// server.
///
/// A descriptor is a document: [`from_json`](Self::from_json) reads JSON, and serde reads other
/// formats. Each deviation of a server from the standards is a member of the document.
/// `docs/descriptors.md` describes them all, and `docs/descriptor.schema.json` is their schema.
/// URLs are templates: `{name}` stands for a value of the connection with a rule in `parameters`.
/// Everything is checked once, when the connections are built.
///
/// ```
/// use valetkey::provider::AuthorizationServer;
///
/// let server = AuthorizationServer::from_json(
///     r#"{
///         "id": "acme",
///         "authorization_endpoint": "https://login.acme.example/authorize",
///         "token_endpoint": "https://login.acme.example/token",
///         "client_authentication": "basic",
///         "rotation": {"grace": 60}
///     }"#,
/// )?;
/// assert_eq!(server.id().as_str(), "acme");
/// # Ok::<(), valetkey::provider::InvalidDescriptor>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuthorizationServer(pub(crate) ServerDescriptor);

impl AuthorizationServer {
    /// Returns a server that follows the standards: `client_secret_post`, PKCE, space-separated
    /// scopes, form bodies, unknown rotation (treated as the strictest), no revocation endpoint.
    #[must_use]
    pub fn new(
        id: ServerId,
        authorization_endpoint: impl Into<String>,
        token_endpoint: impl Into<String>,
    ) -> Self {
        Self(ServerDescriptor::new(id, authorization_endpoint, token_endpoint))
    }

    /// Reads a server from a JSON document. Missing members have the defaults of
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

    /// Sets the issuer identifier, if it is a fixed string
    /// ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.0.issuer = Some(issuer.into());
        self
    }

    /// Sets the separator between scopes in the authorization request. Default: a space; some
    /// servers require a comma.
    #[must_use]
    pub fn scope_separator(mut self, separator: impl Into<String>) -> Self {
        self.0.scope_separator = separator.into();
        self
    }

    /// Adds a resource that the tokens are for: `resource` in every request
    /// ([RFC 8707](https://www.rfc-editor.org/rfc/rfc8707#section-2)), an absolute URI without a
    /// fragment.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.0.resources.push(resource.into());
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

    /// Returns the id of the server.
    #[must_use]
    pub const fn id(&self) -> &ServerId {
        &self.0.id
    }

    /// Returns the page where the host registers its client, if it is known.
    #[must_use]
    pub fn register_at(&self) -> Option<&str> {
        self.0.register_at.as_deref()
    }

    /// Returns notes for the administrator who registers the client, in sentences.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.0.notes
    }
}
