//! Providers and clients that are added while the host runs.

use crate::connections::Connections;
use crate::engine::additions;
use crate::error::Result;
use crate::model::{ServerId, TenantId};
use crate::provider::{AuthorizationServer, ClientRegistration, Provider};

/// Providers and clients that a tenant gains while the host runs. They are stored in the vault, so
/// every process that uses it knows them at once.
impl Connections {
    /// Adds a provider for one tenant, together with its authorization server unless that is known
    /// already. A provider or a server with the same id that the tenant added before is replaced.
    /// A tenant can have 10,000 added servers, providers and clients in total.
    ///
    /// ```
    /// use valetkey::provider::{AuthorizationServer, ClientRegistration, Provider};
    /// use valetkey::testing::Host;
    ///
    /// let host = Host::new();
    /// let tenant = host.user("ada").tenant().clone();
    /// let server = AuthorizationServer::from_json(
    ///     r#"{
    ///         "id": "acme",
    ///         "authorization_endpoint": "https://acme.example/authorize",
    ///         "token_endpoint": "https://acme.example/token"
    ///     }"#,
    /// )?;
    /// let provider = Provider::from_json(
    ///     r#"{
    ///         "id": "board",
    ///         "server": "acme",
    ///         "name": "Board",
    ///         "api_base": "https://api.acme.example"
    ///     }"#,
    /// )?;
    /// host.connections.add_provider(&tenant, Some(server), provider)?;
    ///
    /// let client = ClientRegistration::new("id", "secret", "https://agent.example/callback");
    /// host.connections.add_client(&tenant, "acme", client)?;
    /// assert_eq!(host.connections.added_providers(&tenant)?[0].name(), "Board");
    /// # Ok::<(), valetkey::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::Error::Misconfigured) if a descriptor is not valid, the server is
    /// unknown, or the host has configured one with the same id; [`Vault`](crate::Error::Vault) if
    /// the vault fails.
    ///
    /// # Security
    ///
    /// A provider decides where tokens are sent. Call this for an operator of the tenant, and never
    /// with a descriptor from an agent.
    pub fn add_provider(
        &self,
        tenant: &TenantId,
        server: Option<AuthorizationServer>,
        provider: Provider,
    ) -> Result<()> {
        additions::add_provider(&self.engine, tenant, server, provider)
    }

    /// Adds a tenant's OAuth app at an authorization server, or replaces the one that was added
    /// before. A registration from the [`ClientSource`](crate::provider::ClientSource) takes
    /// precedence over it, and it takes precedence over the one for all tenants.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::Error::Misconfigured) if the server is unknown, the registration
    /// does not fit it, or the registration has a private key: return such a registration from a
    /// [`ClientSource`](crate::provider::ClientSource), so that the key stays where the host keeps
    /// it. [`InvalidValue`](crate::Error::InvalidValue) if `server` cannot be an id;
    /// [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn add_client(
        &self,
        tenant: &TenantId,
        server: impl AsRef<str>,
        registration: ClientRegistration,
    ) -> Result<()> {
        additions::add_client(&self.engine, tenant, server.as_ref(), &registration)
    }

    /// Returns the providers that were added for a tenant, in the order of their ids.
    ///
    /// # Errors
    ///
    /// [`Vault`](crate::Error::Vault) if the vault fails or a stored provider was altered.
    pub fn added_providers(&self, tenant: &TenantId) -> Result<Vec<Provider>> {
        additions::added_providers(&self.engine, tenant)
    }

    /// Returns the authorization servers at which a client was added for a tenant, with the client
    /// ids. A client that registered itself is listed under the issuer of its server.
    ///
    /// # Errors
    ///
    /// [`Vault`](crate::Error::Vault) if the vault fails or a stored client was altered.
    pub fn added_clients(&self, tenant: &TenantId) -> Result<Vec<(ServerId, String)>> {
        additions::added_clients(&self.engine, tenant)
    }

    /// Removes a provider that was added for a tenant. Its authorization server and the client
    /// there are removed with it unless another added provider uses them. Returns `false` if there
    /// is no such provider.
    ///
    /// Upkeep no longer retries revocations that the authorization server has not confirmed.
    /// If the client registered itself, its server is asked once to delete the registration ([RFC
    /// 7592 §2.3](https://www.rfc-editor.org/rfc/rfc7592#section-2.3)). A server that does not
    /// answer keeps it.
    ///
    /// # Errors
    ///
    /// [`InUse`](crate::Error::InUse) while a connection to it is not revoked;
    /// [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn remove_provider(&self, tenant: &TenantId, provider: impl AsRef<str>) -> Result<bool> {
        additions::remove_provider(&self.engine, tenant, provider.as_ref())
    }

    /// Removes a client that was added for a tenant, with its secret. Connections whose tokens were
    /// issued to it can no longer be refreshed. Returns `false` if there is no such client. If it
    /// registered itself, its server is asked once to delete the registration, as in
    /// [`remove_provider`](Self::remove_provider).
    ///
    /// # Errors
    ///
    /// [`InvalidValue`](crate::Error::InvalidValue) if `server` cannot be an id;
    /// [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn remove_client(&self, tenant: &TenantId, server: impl AsRef<str>) -> Result<bool> {
        additions::remove_client(&self.engine, tenant, server.as_ref())
    }
}
