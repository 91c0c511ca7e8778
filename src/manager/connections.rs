//! The standard [`ConnectionManager`].

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::clock::Clock;
use crate::error::{Error, Misconfigured, Result};
use crate::http::{HttpClient, HttpRequest};
use crate::manager::due::Resting;
use crate::manager::flight::Flights;
use crate::manager::refresh::{Flown, Grounded};
use crate::manager::unsaved::UnsavedTokens;
use crate::manager::usage::Usage;
use crate::manager::{
    AuditPage, Budget, ConnectionFilter, ConnectionManager, ConnectionsBuilder, Consent, ConsentOptions,
    ConsentState, Health, PreparedConsent, Retried, Revocation, Settings, StatusFilter, Upkeep,
};
use crate::model::{
    ActingUser, Connection, ConnectionId, ConsentId, Event, EventKind, EventSink, Operator, Owner,
    Parameters, Principal, ProviderId, Reach, TenantId, Timestamp, UserId,
};
use crate::protocol::AuthorizationResponse;
use crate::provider::instance::{Instance, InstanceProblem};
use crate::provider::{
    AuthorizationServer, ClientRegistration, Endpoints, InvalidParameter, Provider, Registry, Transport,
};
use crate::secret::{Binding, Ticket};
use crate::trace::{self, About, Seam};
use crate::vault::{AuditEntry, AuditFilter, ConnectionQuery, Forget, Forgotten, Holder, Vault, VaultError};

/// The connections of a host: consent, refresh, revocation, upkeep.
///
/// Cheap to clone, `Send + Sync`, without threads or a runtime of its own. Build one for a process and share it:
/// refreshes of the same grant are joined within it.
#[derive(Clone)]
pub struct Connections {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) vault: Arc<dyn Vault>,
    pub(crate) registry: Registry,
    pub(crate) transport: Transport,
    pub(crate) http: Arc<dyn HttpClient>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: Option<Arc<dyn EventSink>>,
    pub(crate) settings: Settings,
    pub(crate) holder: Holder,
    pub(crate) flights: Flights<Result<Flown, Grounded>>,
    pub(crate) unsaved: UnsavedTokens,
    pub(crate) usage: Usage,
    /// The server with which upkeep begins, so that each is the first in turn.
    pub(crate) first_server: AtomicUsize,
    /// The servers that upkeep leaves alone for now.
    pub(crate) resting: Resting,
}

impl Inner {
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

    /// At most `limit` connections in reach that the filter's owner and provider admit, after one of them.
    fn page(
        &self,
        by: &dyn Principal,
        filter: &ConnectionFilter,
        after: Option<ConnectionId>,
        limit: usize,
    ) -> Result<Vec<Connection>> {
        let read = |owner: Option<Owner>| {
            let mut query = ConnectionQuery::of(by.tenant());
            query.owner = owner.as_ref();
            query.provider = filter.provider.as_ref();
            query.with_revoked = filter.with_revoked || filter.status == Some(StatusFilter::Revoked);
            query.after = after;
            query.limit = limit;
            let connections = self.vault.connections(&query)?;
            Ok::<_, VaultError>(
                connections
                    .into_iter()
                    .map(|connection| self.shown(connection))
                    .collect::<Vec<_>>(),
            )
        };
        match (by.reach(), &filter.user) {
            (Reach::Tenant, wanted) => Ok(read(wanted.clone().map(Owner::Personal))?),
            (Reach::User(user), Some(wanted)) if user != wanted => Ok(Vec::new()),
            (Reach::User(user), Some(_)) => Ok(read(Some(Owner::Personal(user.clone())))?),
            (Reach::User(user), None) => {
                let mut connections = read(Some(Owner::Personal(user.clone())))?;
                connections.extend(read(Some(Owner::Shared))?);
                connections.sort_by_key(|connection| connection.id);
                connections.truncate(limit);
                Ok(connections)
            }
        }
    }

    /// Returns a connection that the principal can see, as a turn would find it.
    pub(crate) fn visible(&self, by: &dyn Principal, id: ConnectionId) -> Result<Connection> {
        Ok(self.shown(self.stored(by, id)?))
    }

    /// Returns a connection that the principal can see, as it is stored.
    fn stored(&self, by: &dyn Principal, id: ConnectionId) -> Result<Connection> {
        self.vault
            .connection(by.tenant(), id)?
            .filter(|connection| connection.owner.is_visible_to(by.reach()))
            .ok_or(Error::NotFound)
    }

    fn forget(&self, operator: &Operator, user: Option<&UserId>) -> Result<Option<Forgotten>> {
        Ok(self.vault.forget(&Forget {
            tenant: operator.tenant(),
            user,
            by: Some(&operator.actor()),
            now: self.now(),
        })?)
    }

    /// Returns a connection that the principal may change, as it is stored.
    pub(crate) fn managed(&self, by: &dyn Principal, id: ConnectionId) -> Result<Connection> {
        let connection = self.stored(by, id)?;
        if connection.owner.is_managed_by(by.reach()) {
            Ok(connection)
        } else {
            Err(Error::NotPermitted)
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The host is going down. Tokens that were fetched are worth one more attempt to store them, and uses one write.
        let _ = self.save_all_unsaved();
        let _ = self.record_gathered();
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

impl Connections {
    /// Begins to build connections over this vault. The catalogue's providers are in it already.
    pub fn builder(vault: impl Vault) -> ConnectionsBuilder {
        ConnectionsBuilder::new(Arc::new(vault))
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The providers that can be connected: those whose authorization server has a client registration.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.inner
            .registry
            .providers()
            .filter(|provider| self.inner.registry.client(&provider.server).is_some())
            .map(AsRef::as_ref)
    }
}

impl ConnectionManager for Connections {
    fn start(&self, acting_user: &ActingUser, provider: &str, options: ConsentOptions) -> Result<Consent> {
        let owner = Owner::Personal(acting_user.user().clone());
        self.inner.start(acting_user, owner, provider, options)
    }

    fn start_shared(&self, operator: &Operator, provider: &str, options: ConsentOptions) -> Result<Consent> {
        self.inner
            .start(operator.acting_user(), Owner::Shared, provider, options)
    }

    fn prepare(
        &self,
        acting_user: &ActingUser,
        provider: &str,
        options: ConsentOptions,
    ) -> Result<PreparedConsent> {
        let owner = Owner::Personal(acting_user.user().clone());
        self.inner.prepare(acting_user, owner, provider, options)
    }

    fn open(&self, acting_user: &ActingUser, ticket: &Ticket) -> Result<Consent> {
        self.inner.open_prepared(acting_user, ticket)
    }

    fn poll(&self, acting_user: &ActingUser, id: ConsentId) -> Result<ConsentState> {
        self.inner.poll(acting_user, id)
    }

    fn cancel(&self, acting_user: &ActingUser, id: ConsentId) -> Result<ConsentState> {
        self.inner.cancel(acting_user, id)
    }

    fn complete(
        &self,
        acting_user: &ActingUser,
        response: AuthorizationResponse,
        binding: &Binding,
    ) -> Result<Connection> {
        trace::within(
            Seam::Complete,
            || self.inner.about(acting_user, ""),
            || self.inner.complete(acting_user, response, binding),
        )
    }

    fn list(&self, by: &dyn Principal, filter: &ConnectionFilter) -> Result<Vec<Connection>> {
        let limit = filter.limit.unwrap_or(1_000);
        let Some(status) = filter.status else {
            return self.inner.page(by, filter, filter.after, limit);
        };
        // The vault does not filter by status: pages are read until enough of them match.
        let mut found = Vec::new();
        let mut after = filter.after;
        let size = limit.clamp(100, 1_000);
        while found.len() < limit {
            let page = self.inner.page(by, filter, after, size)?;
            let last = page.len() < size;
            after = page.last().map(|connection| connection.id);
            found.extend(page.into_iter().filter(|it| status.matches(it.status)));
            if last {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    fn get(&self, by: &dyn Principal, id: ConnectionId) -> Result<Connection> {
        self.inner.visible(by, id)
    }

    fn health(&self, by: &dyn Principal, id: ConnectionId) -> Result<Health> {
        let connection = self.inner.visible(by, id)?;
        Ok(self.inner.health(&connection))
    }

    fn refresh(&self, by: &dyn Principal, id: ConnectionId) -> Result<Connection> {
        let connection = self.inner.managed(by, id)?;
        self.inner.refresh_now(&connection, &by.actor())?;
        self.inner.visible(by, id)
    }

    fn retry_rejected(
        &self,
        operator: &Operator,
        provider: &str,
        after: Option<ConnectionId>,
        limit: usize,
    ) -> Result<Retried> {
        self.inner.retry_rejected(operator, provider, after, limit)
    }

    fn revoke(&self, by: &dyn Principal, id: ConnectionId) -> Result<Revocation> {
        let connection = self.inner.managed(by, id)?;
        trace::within(
            Seam::Revoke,
            || About::from(&connection),
            || self.inner.revoke(&connection, &by.actor()),
        )
    }

    fn set_default(&self, by: &dyn Principal, id: ConnectionId) -> Result<()> {
        let connection = self.inner.managed(by, id)?;
        if self
            .inner
            .vault
            .set_default(&connection.tenant, id, Some(&by.actor()), self.inner.now())?
        {
            Ok(())
        } else {
            Err(Error::NotFound)
        }
    }

    fn audit(&self, by: &dyn Principal, page: &AuditPage) -> Result<Vec<AuditEntry>> {
        let mut filter = AuditFilter::of(by.tenant());
        filter.order = page.order;
        filter.after = page.after;
        filter.connection = page.connection;
        filter.limit = page.limit.unwrap_or(1_000);
        if let Reach::User(user) = by.reach() {
            filter.user = Some(user);
        }
        Ok(self.inner.vault.audit(&filter)?)
    }

    fn forget_user(&self, operator: &Operator, user: &UserId) -> Result<Option<Forgotten>> {
        self.inner.forget(operator, Some(user))
    }

    fn forget_tenant(&self, operator: &Operator) -> Result<Option<Forgotten>> {
        self.inner.forget(operator, None)
    }

    fn maintain(&self, budget: Budget) -> Result<Upkeep> {
        trace::within(Seam::Maintain, About::default, || self.inner.maintain(budget))
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections")
            .field("vault", &self.inner.vault)
            .finish_non_exhaustive()
    }
}
