//! The context of all engine operations: the vault, the registry, the clock and the state shared
//! within a process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::clock::Clock;
use crate::engine::directory::{Directory, StoredClient};
#[cfg(feature = "mcp")]
use crate::engine::mcp::identity::McpClient;
#[cfg(feature = "mcp")]
use crate::engine::mcp::registering::Registering;
use crate::engine::refresh::join::InProgress;
use crate::engine::refresh::unsaved::UnsavedTokens;
use crate::engine::refresh::{NotRefreshed, RefreshedToken};
use crate::engine::settings::Settings;
use crate::engine::upkeep::rest::Resting;
use crate::engine::usage::Usage;
use crate::error::{Error, Misconfigured, NamedProvider, Result};
use crate::http::{HttpClient, HttpRequest};
use crate::model::{
    ActingUser, ConnectionId, Event, EventKind, EventSink, FailureCode, Parameters, ProviderId, ServerId,
    TenantId, Timestamp, UserId,
};
use crate::provider::compiled::{
    Client, CompiledProvider, CompiledServer, Endpoints, InstanceProblem, UnfitParameter,
};
use crate::provider::{InvalidParameter, NoClient, Registry, Transport};
use crate::trace::{self, About};
use crate::vault::{Holder, Vault};

/// The shared state of a host's connections.
pub(crate) struct Context {
    pub(crate) vault: Arc<dyn Vault>,
    pub(crate) registry: Registry,
    /// The servers, providers and clients that are stored in the vault.
    pub(crate) directory: Directory,
    pub(crate) http: Arc<dyn HttpClient>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The clock that all hosts on this vault share, which decides when a claim has lapsed.
    pub(crate) claims_clock: Arc<dyn Clock>,
    pub(crate) events: Option<Arc<dyn EventSink>>,
    pub(crate) settings: Settings,
    pub(crate) holder: Holder,
    pub(crate) in_progress: InProgress<Result<RefreshedToken, NotRefreshed>>,
    pub(crate) unsaved: UnsavedTokens,
    pub(crate) usage: Usage,
    /// The server with which upkeep begins, so that each is first in turn.
    pub(crate) first_server: AtomicUsize,
    /// The servers and clients that upkeep does not contact for now.
    pub(crate) resting: Resting,
    /// The host as a client of MCP servers.
    #[cfg(feature = "mcp")]
    pub(crate) mcp_client: Option<McpClient>,
    /// The registrations in progress.
    #[cfg(feature = "mcp")]
    pub(crate) registering: Registering,
}

impl Context {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the time by the clock that decides claims.
    pub(crate) fn claim_time(&self) -> Timestamp {
        self.claims_clock.now()
    }

    /// Returns the provider, its authorization server and the tenant's client there.
    pub(crate) fn service(&self, tenant: &TenantId, provider: &str) -> Result<Service> {
        let entry = self.find(tenant, provider)?;
        let client = self.client(tenant, &entry.server);
        Ok(Service {
            tenant: tenant.clone(),
            client: client.map_err(|error| error.of_provider(|| NamedProvider::of(&entry.provider)))?,
            provider: entry.provider,
            server: entry.server,
            transport: self.registry.transport(),
        })
    }

    /// Returns the provider with this id, and its server: from the registry, otherwise from those
    /// that the tenant added.
    pub(crate) fn entry(&self, tenant: &TenantId, provider: &str) -> Result<Option<Entry>> {
        if let Some(entry) = self.entry_of_host(provider) {
            return Ok(Some(entry));
        }
        let Some(provider) = self.provider_of_tenant(tenant, provider)? else {
            return Ok(None);
        };
        let server = self
            .server(tenant, provider.server.as_str())?
            .ok_or_else(|| Misconfigured::UnknownServer(provider.server.clone()))?;
        Ok(Some(Entry { provider, server }))
    }

    /// Returns the provider with this id, and its server, if the host has it.
    pub(crate) fn entry_of_host(&self, provider: &str) -> Option<Entry> {
        let entry = self.registry.provider(provider)?;
        Some(Entry {
            provider: Arc::clone(entry.provider),
            server: Arc::clone(entry.server),
        })
    }

    /// Returns the display name of a provider with its id, or the id alone if it is not known.
    pub(crate) fn named(&self, tenant: &TenantId, provider: &ProviderId) -> NamedProvider {
        let entry = self.entry(tenant, provider.as_str()).ok().flatten();
        entry.map_or_else(
            || provider.clone().into(),
            |entry| NamedProvider::of(&entry.provider),
        )
    }

    /// Returns the provider with this id, if the tenant added it.
    pub(crate) fn provider_of_tenant(
        &self,
        tenant: &TenantId,
        provider: &str,
    ) -> Result<Option<Arc<CompiledProvider>>> {
        let stored = self
            .directory
            .provider(&*self.vault, &self.registry, tenant, provider)?;
        Ok(stored.map(|stored| Arc::clone(&stored.provider)))
    }

    /// Returns the provider with this id, if a turn of this tenant may use it: its server has a
    /// client, or registers one before the next consent.
    pub(crate) fn usable(&self, tenant: &TenantId, provider: &str) -> Result<Entry> {
        let entry = self.find(tenant, provider)?;
        // The hot path. A client of the tenant's own is read where it is used: for a refresh.
        if self.registry.clients().has_all(&entry.server.id) {
            return Ok(entry);
        }
        match self.client(tenant, &entry.server) {
            Err(Error::Misconfigured(Misconfigured::NoClient(_)))
                if self.is_discovered(tenant, &entry.server)? => {}
            client => _ = client.map_err(|error| error.of_provider(|| NamedProvider::of(&entry.provider)))?,
        }
        Ok(entry)
    }

    /// Returns whether a provider and its clients are part of the host's configuration, so that
    /// [`usable`](Self::usable) reads nothing from the vault.
    pub(crate) fn is_configured(&self, provider: &str) -> bool {
        let entry = self.registry.provider(provider);
        entry.is_some_and(|entry| self.registry.clients().has_all(&entry.server.id))
    }

    /// Returns whether a server was discovered by the URL of an MCP server.
    fn is_discovered(&self, tenant: &TenantId, server: &CompiledServer) -> Result<bool> {
        let known = self.known_server(tenant, server.id.as_str())?;
        Ok(known.is_some_and(|known| known.is_discovered))
    }

    /// Returns the provider with this id, and its server.
    pub(crate) fn find(&self, tenant: &TenantId, provider: &str) -> Result<Entry> {
        let entry = self.entry(tenant, provider)?;
        entry.ok_or_else(|| self.registry.unknown(provider).into())
    }

    /// Returns the server with this id: from the registry, otherwise from those that the tenant
    /// added.
    pub(crate) fn server(&self, tenant: &TenantId, id: &str) -> Result<Option<Arc<CompiledServer>>> {
        Ok(self.known_server(tenant, id)?.map(|known| known.server))
    }

    /// Returns the server with this id, and how the tenant's client there is found.
    pub(crate) fn known_server(&self, tenant: &TenantId, id: &str) -> Result<Option<KnownServer>> {
        if let Some(server) = self.registry.server(id) {
            return Ok(Some(KnownServer {
                server: Arc::clone(server),
                client_name: server.id.clone(),
                is_discovered: false,
            }));
        }
        let stored = self.directory.server(&*self.vault, &self.registry, tenant, id)?;
        Ok(stored.map(|stored| KnownServer {
            server: Arc::clone(&stored.server),
            client_name: stored.client().clone(),
            is_discovered: stored.discovered.is_some(),
        }))
    }

    /// Returns the name under which a tenant's client at a server is stored.
    pub(crate) fn client_name(&self, tenant: &TenantId, server: &CompiledServer) -> Result<ServerId> {
        let known = self.known_server(tenant, server.id.as_str())?;
        Ok(known.map_or_else(|| server.id.clone(), |known| known.client_name))
    }

    /// Returns the client of a tenant at a server that is stored in the vault.
    pub(crate) fn stored_client(
        &self,
        tenant: &TenantId,
        server: &CompiledServer,
    ) -> Result<Option<Arc<StoredClient>>> {
        let name = self.client_name(tenant, server)?;
        self.client_of_tenant(tenant, &name)
    }

    /// Returns the client with this name that is stored in the vault.
    pub(crate) fn client_of_tenant(
        &self,
        tenant: &TenantId,
        name: &ServerId,
    ) -> Result<Option<Arc<StoredClient>>> {
        self.directory
            .client(&*self.vault, &self.registry, tenant, name.as_str())
    }

    /// Returns the client of a tenant at a server: of the host's source, otherwise the one that was
    /// added, otherwise the one for all tenants.
    pub(crate) fn client(&self, tenant: &TenantId, server: &CompiledServer) -> Result<Client> {
        self.client_or(tenant, server, || self.stored_client(tenant, server))
    }

    /// Returns the client of a tenant at a server, as [`client`](Self::client) does. `stored`
    /// returns the one that was added.
    pub(crate) fn client_or<E: From<Error>>(
        &self,
        tenant: &TenantId,
        server: &CompiledServer,
        stored: impl FnOnce() -> Result<Option<Arc<StoredClient>>, E>,
    ) -> Result<Client, E> {
        let clients = self.registry.clients();
        let failed = |problem| match problem {
            NoClient::NotRegistered => Misconfigured::NoClient(server.id.clone()).into(),
            NoClient::Invalid(error) => Misconfigured::Client(Box::new(error)).into(),
            NoClient::SourceFailed => Error::unavailable(FailureCode::ClientSourceFailed),
        };
        let mut own = clients.own(tenant, &server.id).map_err(failed)?;
        if own.is_none() {
            let now = self.now();
            own = stored()?
                .filter(|stored| stored.is_valid_at(now))
                .map(|stored| Arc::clone(&stored.registration));
        }
        let client = clients.find(tenant, server, own, self.registry.transport());
        client.map_err(|problem| failed(problem).into())
    }

    /// Returns the providers of the registry that a tenant can connect. Each server's client is
    /// looked up once.
    pub(crate) fn offered(&self, tenant: &TenantId) -> Result<Vec<&Arc<CompiledProvider>>> {
        let mut usable = BTreeSet::new();
        for server in self.registry.servers() {
            match self.client(tenant, server) {
                Ok(_) => _ = usable.insert(&server.id),
                Err(Error::Misconfigured(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let all = self.registry.providers();
        Ok(all.filter(|provider| usable.contains(&provider.server)).collect())
    }

    pub(crate) fn emit(
        &self,
        tenant: &TenantId,
        user: Option<&UserId>,
        provider: &ProviderId,
        connection: Option<ConnectionId>,
        kind: EventKind,
    ) {
        let event = Event::new(self.now(), kind)
            .at_service(tenant, provider)
            .user(user)
            .connection(connection);
        self.tell(&event);
    }

    pub(crate) fn tell(&self, event: &Event) {
        trace::event(event);
        if let Some(sink) = &self.events {
            sink.emit(event);
        }
    }

    /// Returns the known span fields for this user at this provider.
    pub(crate) fn about<'a>(&'a self, acting_user: &'a ActingUser, provider: &str) -> About<'a> {
        About {
            tenant: Some(acting_user.tenant()),
            user: Some(acting_user.user()),
            provider: self.registry.provider(provider).map(|entry| &entry.provider.id),
            connection: None,
        }
    }
}

/// A provider and its authorization server.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) provider: Arc<CompiledProvider>,
    /// The server that grants access to it.
    pub(crate) server: Arc<CompiledServer>,
}

/// An authorization server, and how the tenant's client there is found.
pub(crate) struct KnownServer {
    pub(crate) server: Arc<CompiledServer>,
    /// The name under which the client is stored: servers of one issuer share it.
    pub(crate) client_name: ServerId,
    /// True if it was discovered by the URL of an MCP server.
    pub(crate) is_discovered: bool,
}

/// A provider with everything needed to contact its authorization server on behalf of one tenant.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) tenant: TenantId,
    pub(crate) provider: Arc<CompiledProvider>,
    pub(crate) server: Arc<CompiledServer>,
    pub(crate) client: Client,
    pub(crate) transport: Transport,
}

impl Service {
    /// Returns the endpoints for a connection with these parameters, if the client is registered
    /// for them.
    pub(crate) fn endpoints(&self, parameters: &Parameters) -> Result<Endpoints> {
        self.instance(parameters, &Parameters::new())
    }

    /// Rejects values that lead to an instance for which the client is not registered, or to a host
    /// in an internal network. Values that were just `given` are checked regardless of where the
    /// rule takes them from.
    pub(crate) fn check_instance(&self, parameters: &Parameters, given: &Parameters) -> Result<()> {
        self.instance(parameters, given).map(drop)
    }

    fn instance(&self, parameters: &Parameters, given: &Parameters) -> Result<Endpoints> {
        let checked = self
            .server
            .check(parameters)
            .map_err(|unfit| stored_parameter(&self.server, unfit))?;
        self.client
            .check_instance(&checked, Some(&self.provider), given, self.transport)
            .map_err(|problem| match problem {
                InstanceProblem::NotRegistered => {
                    Error::from(Misconfigured::InstanceNotRegistered(self.server.id.clone()))
                }
                InstanceProblem::InternalHost(name) => InvalidParameter::internal_host(name).into(),
            })?;
        Ok(checked.endpoints())
    }

    /// Adds the headers and parameters that the provider requires in every API request.
    pub(crate) fn add_to_request(&self, parameters: &Parameters, request: &mut HttpRequest) {
        let client_id = self.client.client_id();
        self.provider
            .add_to_request(parameters, client_id, &mut request.url, &mut request.headers);
    }
}

/// Returns the error for a stored value that does not match the descriptor of its server.
pub(crate) fn stored_parameter(server: &CompiledServer, unfit: UnfitParameter) -> Misconfigured {
    Misconfigured::StoredParameter {
        server: server.id.clone(),
        name: unfit.name,
    }
}
