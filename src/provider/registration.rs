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
        }
    }

    /// A public client: PKCE and no secret.
    pub fn public(client_id: impl Into<String>, redirect_uri: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: None,
            redirect_uri: redirect_uri.into(),
        }
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
