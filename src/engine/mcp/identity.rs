//! The description of a host as an MCP client.

use serde_json::Value;

use crate::protocol::mcp::ClientMetadata;
use crate::provider::ClientAuthentication;

/// The host as a client of MCP servers: the facts that it registers with at authorization servers
/// that do not know it yet.
///
/// ```
/// use valetkey::connections::McpClient;
///
/// let client = McpClient::new("Acme Agent", "https://agent.example/callback")
///     .home_page("https://agent.example");
/// assert_eq!(client.metadata_document(), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpClient {
    pub(crate) name: String,
    pub(crate) redirect_uri: String,
    pub(crate) home_page: Option<String>,
    pub(crate) document_url: Option<String>,
}

impl McpClient {
    /// Returns a client with this name, which consent pages show, and this redirect URI: `https`,
    /// or a loopback address or a private-use scheme for a native app.
    pub fn new(name: impl Into<String>, redirect_uri: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            redirect_uri: redirect_uri.into(),
            home_page: None,
            document_url: None,
        }
    }

    /// Sets the home page, which consent pages may link to.
    #[must_use]
    pub fn home_page(mut self, url: impl Into<String>) -> Self {
        self.home_page = Some(url.into());
        self
    }

    /// Sets the https URL at which the host serves
    /// [`metadata_document`](Self::metadata_document). Authorization servers that support it take
    /// this URL as the client id, and no registration is needed.
    #[must_use]
    pub fn document_url(mut self, url: impl Into<String>) -> Self {
        self.document_url = Some(url.into());
        self
    }

    /// Returns the client id metadata document, to be served as JSON at the
    /// [document URL](Self::document_url); `None` without such a URL.
    #[must_use]
    pub fn metadata_document(&self) -> Option<Value> {
        let url = self.document_url.as_deref()?;
        Some(self.metadata(ClientAuthentication::None).document(url))
    }

    pub(crate) fn metadata(&self, authentication: ClientAuthentication) -> ClientMetadata<'_> {
        ClientMetadata {
            name: &self.name,
            uri: self.home_page.as_deref(),
            redirect_uri: &self.redirect_uri,
            authentication,
        }
    }
}
