//! What every step of the engine works with: the vault, the registry, the clock, and the state that a process shares.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::clock::Clock;
use crate::engine::refresh::join::InProgress;
use crate::engine::refresh::unsaved::UnsavedTokens;
use crate::engine::refresh::{NotRefreshed, RefreshedToken};
use crate::engine::settings::Settings;
use crate::engine::upkeep::resting::Resting;
use crate::engine::usage::Usage;
use crate::error::{Misconfigured, Result};
use crate::http::{HttpClient, HttpRequest};
use crate::model::{
    ActingUser, ConnectionId, Event, EventKind, EventSink, Parameters, ProviderId, TenantId, Timestamp,
    UserId,
};
use crate::provider::instance::{Instance, InstanceProblem};
use crate::provider::{
    AuthorizationServer, ClientRegistration, Endpoints, InvalidParameter, Provider, Registry, Transport,
};
use crate::trace::{self, About};
use crate::vault::{Holder, Vault};

/// The shared state of the connections of a host.
pub(crate) struct Context {
    pub(crate) vault: Arc<dyn Vault>,
    pub(crate) registry: Registry,
    pub(crate) transport: Transport,
    pub(crate) http: Arc<dyn HttpClient>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: Option<Arc<dyn EventSink>>,
    pub(crate) settings: Settings,
    pub(crate) holder: Holder,
    pub(crate) in_progress: InProgress<Result<RefreshedToken, NotRefreshed>>,
    pub(crate) unsaved: UnsavedTokens,
    pub(crate) usage: Usage,
    /// The server with which upkeep begins, so that each is the first in turn.
    pub(crate) first_server: AtomicUsize,
    /// The servers that upkeep leaves alone for now.
    pub(crate) resting: Resting,
}

impl Context {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The provider, its authorization server and the host's client there.
    pub(crate) fn service(&self, provider: &str) -> Result<Service<'_>> {
        let entry = self.registry.find(provider)?;
        let client = self
            .registry
            .client(&entry.server.id)
            .ok_or_else(|| Misconfigured::NoClient(entry.server.id.clone()))?;
        Ok(Service {
            provider: entry.provider,
            server: entry.server,
            client,
            transport: self.transport,
        })
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

    /// What a span of this person at this provider says, of what is known.
    pub(crate) fn about<'a>(&'a self, acting_user: &'a ActingUser, provider: &str) -> About<'a> {
        About {
            tenant: Some(acting_user.tenant()),
            user: Some(acting_user.user()),
            provider: self.registry.provider(provider).map(|entry| &entry.provider.id),
            connection: None,
        }
    }
}

/// A provider with all that is needed to talk to its authorization server.
#[derive(Clone, Copy)]
pub(crate) struct Service<'a> {
    pub(crate) provider: &'a Arc<Provider>,
    pub(crate) server: &'a Arc<AuthorizationServer>,
    pub(crate) client: &'a ClientRegistration,
    pub(crate) transport: Transport,
}

impl Service<'_> {
    /// The endpoints for a connection with these parameters, if the client is registered for them.
    pub(crate) fn endpoints(&self, parameters: &Parameters) -> Result<Endpoints> {
        self.check_instance(parameters, &Parameters::new())?;
        Ok(self.server.endpoints(parameters)?)
    }

    /// Refuses values that lead to an instance for which the client is not registered, or to a host inside a network.
    /// Those that were just `given` are checked wherever the rule takes them from.
    pub(crate) fn check_instance(&self, parameters: &Parameters, given: &Parameters) -> Result<()> {
        let instance = Instance {
            server: self.server,
            provider: Some(self.provider),
            client: self.client,
            transport: self.transport,
            parameters,
        };
        instance.check(given).map_err(|problem| match problem {
            InstanceProblem::NotRegistered => {
                Misconfigured::InstanceNotRegistered(self.server.id.clone()).into()
            }
            InstanceProblem::InternalHost(name) => InvalidParameter::internal_host(name).into(),
        })
    }

    /// Adds what the provider wants in every request to its API.
    pub(crate) fn add_to_request(&self, parameters: &Parameters, request: &mut HttpRequest) {
        let client_id = self.client.client_id();
        self.provider
            .add_to_request(parameters, client_id, &mut request.url, &mut request.headers);
    }
}
