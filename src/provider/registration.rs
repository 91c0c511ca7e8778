//! The host's OAuth app at an authorization server.

use std::sync::Arc;

use crate::model::InvalidValue;
use crate::provider::signing_key::SigningKey;
use crate::secret::ClientSecret;

/// The host's OAuth app at an authorization server
/// ([RFC 6749 §2](https://www.rfc-editor.org/rfc/rfc6749#section-2)).
///
/// The registration is checked against its server when the connections are built, or when a
/// [`ClientSource`](crate::provider::ClientSource) returns it for the first time.
///
/// # Security
///
/// If the host of an endpoint comes from a value of the connection (`{base_url}/oauth/token`), the
/// value decides who receives the client secret, the code, the verifier and the refresh token. A
/// client is therefore valid only at the base URLs that [`for_base_urls`](Self::for_base_urls)
/// lists. Without a list, it is valid only for values that the descriptor itself names: the default
/// (`https://gitlab.com`) and those of a closed set.
///
/// # Examples
///
/// ```
/// use valetkey::provider::ClientRegistration;
///
/// let redirect_uri = "https://agent.example/callback";
/// let client = ClientRegistration::new("client-id", "client-secret", redirect_uri)
///     .for_base_urls(["https://gitlab.acme.example"]);
/// assert_eq!(client.redirect_uri(), redirect_uri);
/// ```
#[derive(Debug)]
pub struct ClientRegistration {
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<ClientSecret>,
    pub(crate) key: Option<Arc<SigningKey>>,
    pub(crate) redirect_uri: String,
    /// The ids of former clients that, as the host confirmed, no longer exist.
    pub(crate) replaced: Vec<String>,
    pub(crate) base_urls: Vec<String>,
}

impl ClientRegistration {
    /// Returns the registration of a confidential client.
    pub fn new(
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
        redirect_uri: impl Into<String>,
    ) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: Some(ClientSecret::new(client_secret)),
            key: None,
            redirect_uri: redirect_uri.into(),
            replaced: Vec::new(),
            base_urls: Vec::new(),
        }
    }

    /// Returns the registration of a public client, which uses PKCE and has no secret.
    pub fn public(client_id: impl Into<String>, redirect_uri: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: None,
            key: None,
            redirect_uri: redirect_uri.into(),
            replaced: Vec::new(),
            base_urls: Vec::new(),
        }
    }

    /// Returns the registration of a confidential client that signs assertions with a private key
    /// instead of sending a secret, at servers whose descriptor says `private_key_jwt`.
    ///
    /// The key is PKCS#8, in PEM (`-----BEGIN PRIVATE KEY-----`) or DER. It determines the
    /// algorithm: RSA keys of at least 2048 bits sign with RS256, or with
    /// [PS256](Self::signing_with_pss); keys on P-256 and P-384 with ES256 and ES384; Ed25519 keys
    /// with `EdDSA`. Register the public key at the server.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if it is not such a key.
    ///
    /// # Security
    ///
    /// The registration does not keep the text of the key. The parsed key stays in memory for as
    /// long as the registration and is not wiped.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use valetkey::provider::ClientRegistration;
    ///
    /// let key = std::fs::read("/run/secrets/oauth-key.pem")?;
    /// let redirect_uri = "https://agent.example/callback";
    /// let client = ClientRegistration::with_private_key("client-id", &key, redirect_uri)?
    ///     .key_id("2026-11");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_private_key(
        client_id: impl Into<String>,
        pkcs8: &[u8],
        redirect_uri: impl Into<String>,
    ) -> Result<Self, InvalidValue> {
        let key = SigningKey::read(pkcs8)?;
        Ok(Self {
            key: Some(Arc::new(key)),
            ..Self::public(client_id, redirect_uri)
        })
    }

    /// Names the private key in assertions (`kid`), for servers that know several keys of the
    /// client. Has no effect on a registration without a key.
    #[must_use]
    pub fn key_id(mut self, id: impl Into<String>) -> Self {
        if let Some(key) = self.key.as_mut().and_then(Arc::get_mut) {
            key.set_id(id.into());
        }
        self
    }

    /// Signs with PS256 instead of RS256. Has no effect on a registration without an RSA key.
    #[must_use]
    pub fn signing_with_pss(mut self) -> Self {
        if let Some(key) = self.key.as_mut().and_then(Arc::get_mut) {
            key.use_pss();
        }
        self
    }

    /// Confirms that this registration replaces the client with this id.
    ///
    /// Tokens that were issued to another client cannot be refreshed with this one. Without the
    /// confirmation, such a connection is
    /// [misconfigured](crate::error::Misconfigured::ClientChanged), because the change may be a
    /// mistake. With it, the user is asked for a new consent as soon as the access token expires.
    /// Call this method once for each former client.
    #[must_use]
    pub fn replacing(mut self, client_id: impl Into<String>) -> Self {
        self.replaced.push(client_id.into());
        self
    }

    /// Returns whether the host confirmed that this registration replaces the client with this id.
    #[must_use]
    pub fn replaces(&self, client_id: &str) -> bool {
        self.replaced.iter().any(|replaced| replaced == client_id)
    }

    /// Returns whether this client replaced another one.
    pub(crate) const fn replaces_any(&self) -> bool {
        !self.replaced.is_empty()
    }

    /// Limits the client to these instances of its server: the base URLs at which it is registered.
    ///
    /// A base URL is `https://gitlab.acme.example`, optionally with a port and a path.
    /// `https://*.acme.example` stands for every host below `acme.example`; use it only if one
    /// vendor runs all of them. The list replaces the descriptor's default, and each call replaces
    /// the list. Endpoints whose host does not depend on a value of the connection are not
    /// affected.
    ///
    /// A consent, a refresh or a revocation at another instance fails with
    /// [`Misconfigured::InstanceNotRegistered`](crate::error::Misconfigured::InstanceNotRegistered)
    /// before a request is sent.
    ///
    /// # Security
    ///
    /// IP addresses and hosts inside a network (`localhost`, `*.internal`, names without a dot) are
    /// refused as values of a connection unless this list contains their base URL without `*`.
    #[must_use]
    pub fn for_base_urls(mut self, base_urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.base_urls = base_urls.into_iter().map(Into::into).collect();
        self
    }

    /// Returns the base URLs at which the client is registered, unchanged.
    #[must_use]
    pub fn base_urls(&self) -> &[String] {
        &self.base_urls
    }

    /// Returns the client id.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns the redirect URI, byte for byte as it is sent.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }
}

/// Converts the client id to that of the [`oauth2`] crate.
impl From<&ClientRegistration> for oauth2::ClientId {
    fn from(registration: &ClientRegistration) -> Self {
        Self::new(registration.client_id.clone())
    }
}
