//! The context of all engine operations: the vault, the registry, the clock and the state shared
//! within a process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::clock::Clock;
use crate::engine::refresh::join::InProgress;
use crate::engine::refresh::unsaved::UnsavedTokens;
use crate::engine::refresh::{NotRefreshed, RefreshedToken};
use crate::engine::settings::Settings;
use crate::engine::upkeep::rest::Resting;
use crate::engine::usage::Usage;
use crate::error::{Error, Misconfigured, Result};
use crate::http::{HttpClient, HttpRequest};
use crate::model::{
    ActingUser, ConnectionId, Event, EventKind, EventSink, FailureCode, Parameters, ProviderId, TenantId,
    Timestamp, UserId,
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
    pub(crate) http: Arc<dyn HttpClient>,
    pub(crate) clock: Arc<dyn Clock>,
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
}

impl Context {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the provider, its authorization server and the tenant's client there.
    pub(crate) fn service(&self, tenant: &TenantId, provider: &str) -> Result<Service> {
        let entry = self.registry.find(provider)?;
        Ok(Service {
            tenant: tenant.clone(),
            provider: Arc::clone(entry.provider),
            server: Arc::clone(entry.server),
            client: self.client(tenant, entry.server)?,
            transport: self.registry.transport(),
        })
    }

    /// Returns a provider that the tenant can use: one with a usable client at its server. This is
    /// the hot path.
    pub(crate) fn usable_provider(
        &self,
        tenant: &TenantId,
        provider: &str,
    ) -> Result<&Arc<CompiledProvider>> {
        let entry = self.registry.find(provider)?;
        self.client(tenant, entry.server)?;
        Ok(entry.provider)
    }

    /// Returns the client of a tenant at a server.
    pub(crate) fn client(&self, tenant: &TenantId, server: &CompiledServer) -> Result<Client> {
        let found = self
            .registry
            .clients()
            .find(tenant, server, self.registry.transport());
        found.map_err(|problem| match problem {
            NoClient::NotRegistered => Misconfigured::NoClient(server.id.clone()).into(),
            NoClient::Invalid(error) => Misconfigured::Client(Box::new(error)).into(),
            NoClient::SourceFailed => Error::unavailable(FailureCode::ClientSourceFailed),
        })
    }

    /// Returns the providers that a tenant can connect. Each server's client is looked up once.
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
