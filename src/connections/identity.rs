//! Connections by an identity of the user's organization.

use crate::connections::{Connections, ConsentOptions};
use crate::engine::consent::identity;
use crate::error::Result;
use crate::model::{ActingUser, Connection};

impl Connections {
    /// Connects the acting user by an identity of their organization, without a consent page
    /// (enterprise-managed authorization).
    ///
    /// `identity_provider` is the id of the organization's authorization server, which the builder
    /// knows with the host's client there; `id_token` is the ID token with which the user signed in
    /// to the host. The identity provider exchanges it for an assertion for the provider's
    /// authorization server ([RFC 8693](https://www.rfc-editor.org/rfc/rfc8693)), which exchanges
    /// the assertion for an access token
    /// ([RFC 7523 §2.1](https://www.rfc-editor.org/rfc/rfc7523#section-2.1)). Whether the user has
    /// access is the decision of the organization.
    ///
    /// Neither the ID token nor the assertion is stored. Such a grant usually has no refresh token:
    /// once the access token has expired, the connection needs consent again, and the host calls
    /// this method again with a current ID token and
    /// [`ConsentOptions::reconnect`].
    ///
    /// ```
    /// use valetkey::provider::{AuthorizationServer, Provider};
    /// use valetkey::testing::{ManualClock, Sandbox};
    /// use valetkey::vault::SealedVault;
    /// use valetkey::{ActingUser, Connections, ConsentOptions, Resolver};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sandbox = Sandbox::playing_mcp(ManualClock::default());
    /// let server = AuthorizationServer::from_json(
    ///     r#"{
    ///         "id": "board",
    ///         "issuer": "https://auth.sandbox.test",
    ///         "authorization_endpoint": "https://auth.sandbox.test/authorize",
    ///         "token_endpoint": "https://auth.sandbox.test/token",
    ///         "resources": ["https://mcp.sandbox.test/mcp"]
    ///     }"#,
    /// )?;
    /// let provider = Provider::from_json(
    ///     r#"{
    ///         "id": "board",
    ///         "server": "board",
    ///         "name": "Board",
    ///         "api_base": "https://mcp.sandbox.test/mcp"
    ///     }"#,
    /// )?;
    /// let redirect_uri = "https://agent.example/callback";
    /// let connections = Connections::builder(SealedVault::in_memory())
    ///     .server(sandbox.server()) // the organization's identity provider, with the id `sandbox`
    ///     .server(server)
    ///     .provider(provider)
    ///     .client("sandbox", sandbox.registration(redirect_uri))
    ///     .client("board", sandbox.registration(redirect_uri))
    ///     .http_client(sandbox.clone())
    ///     .build()?;
    ///
    /// let alice = ActingUser::authenticated("acme", "alice")?;
    /// let id_token = sandbox.id_token("ada"); // from the sign-in of the organization
    /// let options = ConsentOptions::default();
    /// connections.connect_with_identity(&alice, "board", "sandbox", &id_token, options)?;
    /// let token = Resolver::new(connections).resolve(&alice, "board")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start) and [`complete`](Self::complete).
    /// [`Misconfigured`](crate::Error::Misconfigured) if no server has the id of the identity
    /// provider, the host has no client there, or the provider's server names no issuer;
    /// [`ExchangeFailed`](crate::error::ConsentError::ExchangeFailed) if one of the two servers
    /// refuses.
    ///
    /// # Security
    ///
    /// The ID token must belong to the acting user: the host has verified it when the user signed
    /// in.
    pub fn connect_with_identity(
        &self,
        acting_user: &ActingUser,
        provider: impl AsRef<str>,
        identity_provider: &str,
        id_token: &str,
        options: ConsentOptions,
    ) -> Result<Connection> {
        let identity = (identity_provider, id_token);
        identity::connect(&self.engine, acting_user, provider.as_ref(), identity, options)
    }
}
