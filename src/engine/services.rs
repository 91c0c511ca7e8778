//! The services of a tenant as one operation finds them.
//!
//! A list judges many connections by few services. Each service, server and client is looked up
//! once for the whole list: in the registry, in the host's [`ClientSource`], and in the vault,
//! where a lookup reads the state of the database.
//!
//! [`ClientSource`]: crate::provider::ClientSource

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;

use crate::engine::Context;
use crate::engine::context::{Entry, KnownServer, stored_parameter};
use crate::engine::directory::StoredClient;
use crate::error::{Error, Misconfigured, Result};
use crate::model::{FailureCode, IssuedBy, Parameters, ProviderId, ServerId, TenantId};
use crate::provider::compiled::{Client, CompiledProvider, CompiledServer, Endpoints};
use crate::vault::VaultError;

/// The services of one tenant, looked up as they are needed and then remembered.
pub(crate) struct Services<'a> {
    pub(crate) cx: &'a Context,
    tenant: &'a TenantId,
    offered: Memo<ProviderId, Looked<Option<Entry>>>,
    servers: Memo<ServerId, Looked<Option<Rc<Server>>>>,
}

type Memo<K, V> = RefCell<HashMap<K, V>>;

/// The result of a lookup.
pub(crate) type Looked<T> = Result<T, Problem>;

/// The reason why a lookup failed.
#[derive(Debug, Clone)]
pub(crate) enum Problem {
    /// The configuration is wrong.
    Misconfigured(Misconfigured),
    /// A part of the configuration is not available.
    Unavailable(FailureCode),
    /// The vault cannot be read.
    Vault(VaultError),
    /// It is unknown for another reason.
    Unknown,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Misconfigured(error) => Self::Misconfigured(error),
            Error::Unavailable { failure, .. } => Self::Unavailable(failure),
            Error::Vault(error) => Self::Vault(error),
            _ => Self::Unknown,
        }
    }
}

/// An authorization server with the tenant's clients there.
pub(crate) struct Server {
    known: KnownServer,
    stored_client: OnceCell<Looked<Option<Arc<StoredClient>>>>,
    client: OnceCell<Looked<Client>>,
    instances: Memo<ProviderId, HashMap<Parameters, Result<Arc<Endpoints>, Misconfigured>>>,
}

impl Server {
    /// Returns the descriptor.
    pub(crate) const fn compiled(&self) -> &Arc<CompiledServer> {
        &self.known.server
    }
}

impl<'a> Services<'a> {
    /// Returns the services of this tenant. Nothing is looked up yet.
    pub(crate) fn of(cx: &'a Context, tenant: &'a TenantId) -> Self {
        Self {
            cx,
            tenant,
            offered: Memo::default(),
            servers: Memo::default(),
        }
    }

    /// Returns the service with this id, if the host or the tenant has it, and its server.
    pub(crate) fn offered(&self, id: &ProviderId) -> Looked<Option<Entry>> {
        remembered(&self.offered, id, || {
            if let Some(entry) = self.cx.entry_of_host(id.as_str()) {
                return Ok(Some(entry));
            }
            let Some(provider) = self.cx.provider_of_tenant(self.tenant, id.as_str())? else {
                return Ok(None);
            };
            let unknown = || Misconfigured::UnknownServer(provider.server.clone());
            let server = self.server(&provider.server)?;
            let server = server.ok_or_else(|| Problem::Misconfigured(unknown()))?;
            let server = Arc::clone(server.compiled());
            Ok(Some(Entry { provider, server }))
        })
    }

    /// Returns the server with this id, if the host or the tenant has it.
    pub(crate) fn server(&self, id: &ServerId) -> Looked<Option<Rc<Server>>> {
        remembered(&self.servers, id, || {
            let known = self.cx.known_server(self.tenant, id.as_str())?;
            Ok(known.map(|known| {
                Rc::new(Server {
                    known,
                    stored_client: OnceCell::new(),
                    client: OnceCell::new(),
                    instances: Memo::default(),
                })
            }))
        })
    }

    /// Returns the client of the tenant at a server.
    pub(crate) fn client(&self, server: &Server) -> Looked<Client> {
        let client = server.client.get_or_init(|| {
            let stored = || self.stored_client(server);
            self.cx.client_or(self.tenant, server.compiled(), stored)
        });
        client.clone()
    }

    fn stored_client(&self, server: &Server) -> Looked<Option<Arc<StoredClient>>> {
        let stored = server.stored_client.get_or_init(|| {
            let name = &server.known.client_name;
            Ok(self.cx.client_of_tenant(self.tenant, name)?)
        });
        stored.clone()
    }

    /// Returns whether a turn may use a service: its server has a client, or registers one before
    /// the next consent.
    pub(crate) fn is_usable(&self, id: &ProviderId) -> Looked<()> {
        let Some(entry) = self.offered(id)? else {
            return Err(Problem::Misconfigured(Misconfigured::UnknownProvider(id.clone())));
        };
        if self.cx.registry.clients().has_all(&entry.server.id) {
            return Ok(());
        }
        let Some(server) = self.server(&entry.server.id)? else {
            return Err(Problem::Misconfigured(Misconfigured::UnknownServer(
                entry.server.id.clone(),
            )));
        };
        match self.client(&server) {
            Err(Problem::Misconfigured(Misconfigured::NoClient(_))) if server.known.is_discovered => Ok(()),
            client => client.map(drop),
        }
    }

    /// Returns whether tokens were issued by a server, or to a client, that discovery has replaced
    /// since: the server then knows neither.
    pub(crate) fn is_replaced(&self, server: &Server, issued_by: &IssuedBy) -> Looked<bool> {
        if !server.known.is_discovered {
            return Ok(false);
        }
        let is_moved = server.compiled().token_endpoint != issued_by.token_endpoint;
        let client = self.stored_client(server)?;
        let now = self.cx.now();
        let is_known = client.is_some_and(|client| {
            client.registration.client_id() == issued_by.client_id && client.is_valid_at(now)
        });
        Ok(is_moved || !is_known)
    }

    /// Returns the endpoints for a connection with these parameters, if the client is registered
    /// for them.
    pub(crate) fn endpoints(
        &self,
        server: &Server,
        client: &Client,
        (id, provider): (&ProviderId, Option<&CompiledProvider>),
        parameters: &Parameters,
    ) -> Result<Arc<Endpoints>, Misconfigured> {
        if let Some(known) = server
            .instances
            .borrow()
            .get(id)
            .and_then(|all| all.get(parameters))
        {
            return known.clone();
        }
        let endpoints = self.instance(server.compiled(), client, provider, parameters);
        let mut instances = server.instances.borrow_mut();
        let instances = instances.entry(id.clone()).or_default();
        instances.insert(parameters.clone(), endpoints.clone());
        endpoints
    }

    fn instance(
        &self,
        server: &CompiledServer,
        client: &Client,
        provider: Option<&CompiledProvider>,
        parameters: &Parameters,
    ) -> Result<Arc<Endpoints>, Misconfigured> {
        let checked = server
            .check(parameters)
            .map_err(|unfit| stored_parameter(server, unfit))?;
        let transport = self.cx.registry.transport();
        let instance = client.check_instance(&checked, provider, &Parameters::new(), transport);
        if instance.is_err() {
            return Err(Misconfigured::InstanceNotRegistered(server.id.clone()));
        }
        Ok(Arc::new(checked.endpoints()))
    }
}

fn remembered<K: Clone + Eq + Hash, V: Clone>(known: &Memo<K, V>, key: &K, look: impl FnOnce() -> V) -> V {
    if let Some(known) = known.borrow().get(key) {
        return known.clone();
    }
    let found = look();
    known.borrow_mut().insert(key.clone(), found.clone());
    found
}
