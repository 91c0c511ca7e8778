//! Builds [`Connections`] and validates all descriptors.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::clock::{Clock, SystemClock};
use crate::connections::Connections;
use crate::engine::Context;
use crate::engine::directory::Directory;
#[cfg(feature = "mcp")]
use crate::engine::mcp::identity::McpClient;
#[cfg(feature = "mcp")]
use crate::engine::mcp::registering::Registering;
use crate::engine::refresh::join::InProgress;
use crate::engine::refresh::unsaved::UnsavedTokens;
use crate::engine::settings::Settings;
use crate::engine::upkeep::rest::Resting;
use crate::engine::usage::Usage;
#[cfg(not(feature = "ureq"))]
use crate::error::Misconfigured;
use crate::error::Result;
use crate::http::{Guard, HttpClient, PrivateAddresses};
use crate::model::{Event, EventKind, EventSink, InvalidValue, ServerId};
use crate::provider::{
    AuthorizationServer, ClientRegistration, ClientSource, DescriptorFile, Provider, RegistryBuilder,
    Transport,
};
use crate::vault::Vault;

impl Connections {
    /// Starts building connections over this vault. The catalog's providers are included.
    pub fn builder(vault: impl Vault) -> ConnectionsBuilder {
        ConnectionsBuilder::new(Arc::new(vault))
    }

    /// Starts building connections over the vault in the SQLite file at `path`, which is created if
    /// it does not exist.
    ///
    /// ```no_run
    /// use valetkey::provider::ClientRegistration;
    /// use valetkey::vault::MasterKey;
    /// use valetkey::{Connections, catalog};
    ///
    /// let key = MasterKey::from_file("/run/secrets/agent-key")?;
    /// let redirect_uri = "https://app.example/callback";
    /// let client = ClientRegistration::new("client-id", "client-secret", redirect_uri);
    /// let connections = Connections::open("agent.db", key)?
    ///     .client(catalog::GOOGLE, client)
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Vault`](crate::Error::Vault), for the reasons that
    /// [`SqliteVault::open`](crate::vault::SqliteVault::open) lists.
    #[cfg(feature = "sqlite")]
    pub fn open(
        path: impl AsRef<std::path::Path>,
        keys: impl Into<crate::vault::envelope::MasterKeys>,
    ) -> Result<ConnectionsBuilder> {
        Ok(Self::builder(crate::vault::SqliteVault::open(path, keys)?))
    }
}

/// Builds [`Connections`]: see [`Connections::builder`].
pub struct ConnectionsBuilder {
    vault: Arc<dyn Vault>,
    registry: RegistryBuilder,
    transport: Transport,
    http: Option<Arc<dyn HttpClient>>,
    private_addresses: PrivateAddresses,
    clock: Option<Arc<dyn Clock>>,
    events: Option<Arc<dyn EventSink>>,
    settings: Settings,
    invalid: Option<InvalidValue>,
    #[cfg(feature = "mcp")]
    mcp_client: Option<McpClient>,
}

impl ConnectionsBuilder {
    pub(crate) fn new(vault: Arc<dyn Vault>) -> Self {
        Self {
            vault,
            registry: RegistryBuilder::default(),
            transport: Transport::HttpsOnly,
            http: None,
            private_addresses: PrivateAddresses::Refused,
            clock: None,
            events: None,
            settings: Settings::default(),
            invalid: None,
            #[cfg(feature = "mcp")]
            mcp_client: None,
        }
    }

    /// Registers the host's OAuth app at an authorization server, such as
    /// [`catalog::GOOGLE`](crate::catalog::GOOGLE). It serves all providers of that server, and
    /// every tenant for which the source of [`clients`](Self::clients) has no registration.
    #[must_use]
    pub fn client(mut self, server: impl AsRef<str>, registration: ClientRegistration) -> Self {
        match ServerId::new(server.as_ref()) {
            Ok(server) => self.registry.add_client(server, registration),
            Err(error) => self.invalid = Some(error),
        }
        self
    }

    /// Looks up the client registrations of tenants in this source first. For a tenant for which
    /// the source has none, the registration from [`client`](Self::client) applies. There is one
    /// source: a second call replaces it.
    #[must_use]
    pub fn clients(mut self, source: impl ClientSource) -> Self {
        self.registry.set_source(Arc::new(source));
        self
    }

    /// Adds all authorization servers and providers in a file, like [`server`](Self::server) and
    /// [`provider`](Self::provider).
    #[must_use]
    pub fn descriptors(mut self, file: DescriptorFile) -> Self {
        for server in file.servers {
            self.registry.add_server(server);
        }
        for provider in file.providers {
            self.registry.add_provider(provider);
        }
        self
    }

    /// Adds an authorization server. One with the id of a built-in server must state that it
    /// [replaces it](AuthorizationServer::replaces_builtin).
    #[must_use]
    pub fn server(mut self, server: AuthorizationServer) -> Self {
        self.registry.add_server(server);
        self
    }

    /// Adds a provider. One with the id of a built-in provider must state that it
    /// [replaces it](Provider::replaces_builtin).
    #[must_use]
    pub fn provider(mut self, provider: Provider) -> Self {
        self.registry.add_provider(provider);
        self
    }

    /// Describes the host as a client of MCP servers, so that
    /// [`start_mcp`](Connections::start_mcp) can register it at authorization servers.
    #[cfg(feature = "mcp")]
    #[must_use]
    pub fn mcp(mut self, client: McpClient) -> Self {
        self.mcp_client = Some(client);
        self
    }

    /// Sends requests through this client instead of the default one.
    #[must_use]
    pub fn http_client(mut self, client: impl HttpClient) -> Self {
        self.http = Some(Arc::new(client));
        self
    }

    /// Uses this clock instead of the default one: that of the database server for a vault in
    /// PostgreSQL, and the system's for every other vault. The clock of the database server still
    /// decides which claims have lapsed.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Sends events to this sink.
    #[must_use]
    pub fn events(mut self, sink: impl EventSink) -> Self {
        self.events = Some(Arc::new(sink));
        self
    }

    /// Sets timeouts and lifetimes.
    #[must_use]
    pub const fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Allows descriptors to name plain-HTTP endpoints on loopback addresses.
    ///
    /// # Security
    ///
    /// Only for tests and demonstrations against a server on the same machine. All other endpoints
    /// must use `https`.
    #[must_use]
    pub const fn dangerous_loopback_http(mut self) -> Self {
        self.transport = Transport::HttpsOrLoopback;
        self
    }

    /// Allows servers that are found by URL, and the authorization servers that they name, to be in
    /// a private network or on this machine.
    ///
    /// # Security
    ///
    /// A URL from a user, and metadata from a server, then decide which hosts of the network the
    /// host sends requests to, including those that have no authentication of their own. Only for
    /// tests, and for hosts whose users may reach every address that the host reaches. Plain `http`
    /// stays refused unless [`dangerous_loopback_http`](Self::dangerous_loopback_http) allows it.
    #[must_use]
    pub const fn dangerous_private_addresses(mut self) -> Self {
        self.private_addresses = PrivateAddresses::Allowed;
        self
    }

    /// Validates and compiles the added descriptors, checks the registrations, and builds the
    /// connections.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::Error::Misconfigured) if a descriptor or a registration is not
    /// valid, which the error names with the field, or if there is no HTTP client;
    /// [`InvalidValue`](crate::Error::InvalidValue) if [`client`](Self::client) was called with
    /// text that cannot be an id; [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn build(self) -> Result<Connections> {
        if let Some(invalid) = self.invalid {
            return Err(invalid.into());
        }
        let registry = self.registry.build(self.transport)?;
        let http = match self.http {
            Some(client) => client,
            None => default_client(self.transport)?,
        };
        let holder = self.vault.holder()?;
        let shared = self.vault.clock();
        let clock = self.clock.or_else(|| shared.clone());
        let clock = clock.unwrap_or_else(|| Arc::new(SystemClock));
        let inner = Context {
            claims_clock: shared.unwrap_or_else(|| Arc::clone(&clock)),
            clock,
            vault: self.vault,
            registry,
            directory: Directory::default(),
            http: Arc::new(Guard::new(http, self.private_addresses)),
            events: self.events,
            settings: self.settings,
            holder,
            in_progress: InProgress::new(),
            unsaved: UnsavedTokens::default(),
            usage: Usage::default(),
            first_server: AtomicUsize::new(0),
            resting: Resting::default(),
            #[cfg(feature = "mcp")]
            mcp_client: self.mcp_client,
            #[cfg(feature = "mcp")]
            registering: Registering::default(),
        };
        for warning in inner.vault.warnings() {
            inner.tell(&Event::new(inner.now(), EventKind::VaultWarning(warning)));
        }
        Ok(Connections::new(inner))
    }
}

#[cfg(feature = "ureq")]
fn default_client(transport: Transport) -> Result<Arc<dyn HttpClient>> {
    Ok(match transport {
        Transport::HttpsOnly => Arc::new(crate::http::UreqClient::new()),
        Transport::HttpsOrLoopback => Arc::new(crate::http::UreqClient::new().dangerous_loopback_http()),
    })
}

#[cfg(not(feature = "ureq"))]
fn default_client(_: Transport) -> Result<Arc<dyn HttpClient>> {
    Err(Misconfigured::NoHttpClient.into())
}

impl std::fmt::Debug for ConnectionsBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionsBuilder")
            .field("vault", &self.vault)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
