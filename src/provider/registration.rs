//! The host's OAuth app at an authorization server.

use crate::secret::ClientSecret;

/// The host's OAuth app at an authorization server ([RFC 6749 §2](https://www.rfc-editor.org/rfc/rfc6749#section-2)).
///
/// Checked against the server's redirect rules when the connections are built.
#[derive(Debug)]
pub struct ClientRegistration {
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<ClientSecret>,
    pub(crate) redirect_uri: String,
    /// The ids of former clients that the host confirmed to be gone.
    pub(crate) replaced: Vec<String>,
}

impl ClientRegistration {
    /// A confidential client.
    pub fn new(
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
        redirect_uri: impl Into<String>,
    ) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: Some(ClientSecret::new(client_secret)),
            redirect_uri: redirect_uri.into(),
            replaced: Vec::new(),
        }
    }

    /// A public client: PKCE and no secret.
    pub fn public(client_id: impl Into<String>, redirect_uri: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: None,
            redirect_uri: redirect_uri.into(),
            replaced: Vec::new(),
        }
    }

    /// Returns the same registration, confirmed to replace the client of this id.
    ///
    /// Tokens that were issued to another client cannot be refreshed with this one. Without the confirmation such a
    /// connection is [misconfigured](crate::error::Misconfigured::ClientChanged), because the change may be a mistake.
    /// With it, the connection asks its person for a new consent as soon as its access token expires. Call it once for
    /// each former client.
    #[must_use]
    pub fn replacing(mut self, client_id: impl Into<String>) -> Self {
        self.replaced.push(client_id.into());
        self
    }

    /// Returns whether the host confirmed that this registration replaces the client of that id.
    #[must_use]
    pub fn replaces(&self, client_id: &str) -> bool {
        self.replaced.iter().any(|replaced| replaced == client_id)
    }

    /// The client id.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The redirect URI, byte for byte as it is sent.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }
}
