//! Descriptors of the sandbox and its client registrations.

use url::Url;

use super::state::ClientKey;
use super::{IssuerEcho, Sandbox};
use crate::model::{ProviderId, Scopes, ServerId};
use crate::provider::{
    AccountEndpoint, ApiHost, AuthorizationServer, ClientAuthentication, ClientRegistration, IssuerPolicy,
    Provider, ProviderDescriptor, Revocation, RevocationAuth, RevocationTokens, ServerDescriptor,
};

/// The data that a host needs about the server.
impl Sandbox {
    /// Returns the base URL.
    #[must_use]
    pub fn base_url(&self) -> &Url {
        &self.0.base
    }

    /// Returns the server's descriptor, which matches the sandbox's behavior at the time of the
    /// call. Its id is `sandbox`.
    #[must_use]
    pub fn server(&self) -> AuthorizationServer {
        let world = self.world();
        let base = world.issuer();
        let id = ServerId::new("sandbox").expect("the id is valid");
        let mut server = ServerDescriptor::new(id, format!("{base}/authorize"), format!("{base}/token"));
        server.client_authentication = world.personality.described.client_authentication;
        server.client_assertion_audience = world.personality.described.client_assertion_audience;
        if world.personality.requires_pushed_requests {
            server.pushed_authorization_request_endpoint = Some(format!("{base}/par"));
        }
        server.pkce = world.personality.described.pkce;
        server.rotation = world.personality.described.rotation;
        server.issuer_policy = match world.personality.issuer {
            IssuerEcho::Never => IssuerPolicy::MatchIfPresent,
            IssuerEcho::Always | IssuerEcho::WithCodeOnly | IssuerEcho::Instead(_) => IssuerPolicy::Required,
        };
        server.revocation = Revocation::Endpoint {
            url: format!("{base}/revoke"),
            authentication: RevocationAuth::SameAsToken,
            tokens: RevocationTokens::Both,
            grant_wide: false,
        };
        server.issuer = Some(base);
        AuthorizationServer(server)
    }

    /// Returns the descriptor of a service at this server. Several services with different ids can
    /// share the server.
    ///
    /// # Panics
    ///
    /// If the id is not valid.
    #[must_use]
    pub fn provider(&self, id: &str) -> Provider {
        let base = self.world().issuer();
        let id = ProviderId::new(id).expect("the provider's id is valid");
        let server = ServerId::new("sandbox").expect("the id is valid");
        let mut provider = ProviderDescriptor::new(
            id,
            server,
            "Sandbox notes",
            vec![ApiHost::under(base.as_str(), "/api")],
        );
        provider.group = "Sandbox".into();
        provider.default_scopes = Scopes::new(["notes.read", "notes.write"]).expect("the scopes are valid");
        provider.api_base = Some(format!("{base}/api"));
        provider.account = Some(AccountEndpoint {
            url: format!("{base}/userinfo"),
            id: vec!["/sub".into()],
            email: vec!["/email".into()],
            label: vec!["/name".into()],
        });
        Provider(provider)
    }

    /// Returns the registration of the host's app at this server, with this redirect URI. It is a
    /// public client if the sandbox's client authentication is `none` (see
    /// [`Personality::behave_as`](super::Personality::behave_as)).
    #[must_use]
    pub fn registration(&self, redirect_uri: &str) -> ClientRegistration {
        self.allow_redirect(redirect_uri);
        let world = self.world();
        match world.personality.described.client_authentication {
            ClientAuthentication::None => ClientRegistration::public(&world.client_id, redirect_uri),
            _ => ClientRegistration::new(&world.client_id, &world.client_secret, redirect_uri),
        }
    }

    /// Returns the registration of the host's app with a private key (PKCS#8 in PEM or DER), and
    /// registers its public key. From then on, the app must sign assertions with it
    /// ([RFC 7523](https://www.rfc-editor.org/rfc/rfc7523)); call [`server`](Self::server)
    /// afterwards.
    ///
    /// # Panics
    ///
    /// If it is not such a key.
    #[must_use]
    pub fn registration_with_key(&self, pkcs8: &[u8], redirect_uri: &str) -> ClientRegistration {
        self.allow_redirect(redirect_uri);
        let client_id = self.client_id();
        let registration = ClientRegistration::with_private_key(client_id, pkcs8, redirect_uri);
        let registration = registration.expect("the key can be read");
        self.trust_key_of(&registration);
        registration
    }

    /// Registers the public key of this registration of the host's app, with its id and algorithm.
    ///
    /// # Panics
    ///
    /// If it has none.
    pub fn trust_key_of(&self, registration: &ClientRegistration) {
        let key = registration.key.as_ref().expect("the registration has a key");
        let world = &mut *self.world();
        world.personality.described.client_authentication = ClientAuthentication::PrivateKeyJwt;
        world.client_key = Some(ClientKey {
            algorithm: key.algorithm(),
            id: key.id().map(str::to_owned),
            public_key: key.public_key().to_vec(),
        });
    }

    /// Returns the registration of another app at this server, with the same redirect URI. Its
    /// codes and tokens are rejected from every other client. Its secret is `sbx-cs-` followed by
    /// the client id.
    #[must_use]
    pub fn another_registration(&self, client_id: &str, redirect_uri: &str) -> ClientRegistration {
        self.allow_redirect(redirect_uri);
        let secret = format!("{}cs-{client_id}", Self::SECRET_PREFIX);
        let world = &mut *self.world();
        world.other_clients.insert(client_id.to_owned(), secret.clone());
        match world.personality.described.client_authentication {
            ClientAuthentication::None => ClientRegistration::public(client_id, redirect_uri),
            _ => ClientRegistration::new(client_id, secret, redirect_uri),
        }
    }

    /// Returns the client id of the host's app.
    #[must_use]
    pub fn client_id(&self) -> String {
        self.world().client_id.clone()
    }

    /// Returns the client secret of the host's app. It is the same in every process and contains
    /// many reserved characters.
    #[must_use]
    pub fn client_secret(&self) -> String {
        self.world().client_secret.clone()
    }

    /// Replaces the client secret; the old one is no longer accepted.
    pub fn change_client_secret(&self, secret: impl Into<String>) {
        let world = &mut *self.world();
        let old = std::mem::replace(&mut world.client_secret, secret.into());
        world.other_secrets.push(old);
    }

    /// Registers an additional redirect URI. Redirect URIs are compared byte for byte, except that
    /// any port of a loopback address is accepted
    /// ([RFC 8252 §7.3](https://www.rfc-editor.org/rfc/rfc8252#section-7.3)).
    pub fn allow_redirect(&self, redirect_uri: impl Into<String>) {
        self.world().redirect_uris.insert(redirect_uri.into());
    }
}
