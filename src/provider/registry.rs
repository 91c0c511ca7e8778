//! The compiled servers, providers and clients of a host, and the builder that combines them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{ProviderId, ServerId};
use crate::provider::builtin::BUILT_IN;
use crate::provider::clients::Clients;
use crate::provider::compiled::{Client, CompiledProvider, CompiledServer};
use crate::provider::problem::{DescriptorProblem, InvalidDescriptor};
use crate::provider::{
    AuthorizationServer, ClientRegistration, ClientSource, Provider, ProviderDescriptor, ServerDescriptor,
    Transport, UnknownProvider, validate,
};

/// The servers, providers and clients of a host. It is built once, then only read.
#[derive(Debug)]
pub(crate) struct Registry {
    servers: BTreeMap<ServerId, Arc<CompiledServer>>,
    providers: BTreeMap<ProviderId, Arc<CompiledProvider>>,
    clients: Clients,
    transport: Transport,
}

/// A provider and its authorization server, found by one lookup in the [`Registry`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// The provider.
    pub(crate) provider: &'a Arc<CompiledProvider>,
    /// The server that grants access to it.
    pub(crate) server: &'a Arc<CompiledServer>,
}

impl Registry {
    /// Returns the provider with this id, and its server.
    pub(crate) fn provider(&self, id: &str) -> Option<Entry<'_>> {
        let provider = self.providers.get(id)?;
        let server = self.servers.get(&provider.server)?;
        Some(Entry { provider, server })
    }

    /// Returns the error for an id that no provider has. It lists the known ids.
    pub(crate) fn unknown(&self, id: &str) -> UnknownProvider {
        UnknownProvider::new(id, self.providers.keys().cloned())
    }

    /// Checks and compiles a server that is not in the registry.
    ///
    /// # Errors
    ///
    /// [`InvalidDescriptor`] for the first mistake, or if the registry has a server with this id.
    pub(crate) fn compile_server(
        &self,
        server: AuthorizationServer,
    ) -> Result<CompiledServer, InvalidDescriptor> {
        let id = server.0.id.as_str();
        if self.servers.contains_key(id) {
            return Err(InvalidDescriptor::new(id, "id", DescriptorProblem::Twice));
        }
        match validate::server(&server.0, self.transport).into_iter().next() {
            Some(mistake) => Err(mistake),
            None => CompiledServer::compile(server),
        }
    }

    /// Checks a provider that is not in the registry.
    ///
    /// # Errors
    ///
    /// [`InvalidDescriptor`] for the first mistake, or if the registry has a provider with this id.
    pub(crate) fn check_provider(
        &self,
        provider: &Provider,
        server: &CompiledServer,
    ) -> Result<(), InvalidDescriptor> {
        let id = provider.0.id.as_str();
        if self.providers.contains_key(id) {
            return Err(InvalidDescriptor::new(id, "id", DescriptorProblem::Twice));
        }
        let mistakes = validate::provider(&provider.0, server, self.transport);
        match mistakes.into_iter().next() {
            Some(mistake) => Err(mistake),
            None => CompiledProvider::compile(provider.clone()).map(drop),
        }
    }

    /// Checks a client registration against its server.
    ///
    /// # Errors
    ///
    /// [`InvalidDescriptor`] for the first mistake.
    pub(crate) fn check_client(
        &self,
        server: &CompiledServer,
        registration: &ClientRegistration,
    ) -> Result<(), InvalidDescriptor> {
        validate::registration(server, registration, self.transport).map(drop)
    }

    /// Returns the server with this id.
    pub(crate) fn server(&self, id: &str) -> Option<&Arc<CompiledServer>> {
        self.servers.get(id)
    }

    /// Returns the client registrations.
    pub(crate) const fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Returns the kinds of URLs that are allowed.
    pub(crate) const fn transport(&self) -> Transport {
        self.transport
    }

    /// Returns the authorization servers, ordered by id.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &Arc<CompiledServer>> {
        self.servers.values()
    }

    /// Returns the providers, ordered by id.
    pub(crate) fn providers(&self) -> impl Iterator<Item = &Arc<CompiledProvider>> {
        self.providers.values()
    }
}

/// Builds a [`Registry`] from the built-in descriptors, those of the host, and the host's clients.
#[derive(Default)]
pub(crate) struct RegistryBuilder {
    servers: BTreeMap<ServerId, AuthorizationServer>,
    providers: BTreeMap<ProviderId, Provider>,
    clients: BTreeMap<ServerId, ClientRegistration>,
    source: Option<Arc<dyn ClientSource>>,
    /// Descriptors that were added with an id that they may not use.
    misnamed: Vec<InvalidDescriptor>,
}

impl RegistryBuilder {
    /// Adds a server. It replaces the built-in server with the same id if it
    /// [says so](AuthorizationServer::replaces_builtin); any other duplicate id is a mistake, which
    /// [`mistakes`](Self::mistakes) reports.
    pub(crate) fn add_server(&mut self, server: AuthorizationServer) {
        let id = server.0.id.clone();
        let is_twice = self.servers.contains_key(&id);
        let is_built_in = BUILT_IN.servers.contains_key(&id);
        let problem = id_problem(id.as_str(), is_built_in, is_twice, server.0.replaces_builtin);
        self.misnamed.extend(problem);
        self.servers.insert(id, server);
    }

    /// Adds a provider. It replaces the built-in provider with the same id if it
    /// [says so](Provider::replaces_builtin); any other duplicate id is a mistake, which
    /// [`mistakes`](Self::mistakes) reports.
    pub(crate) fn add_provider(&mut self, provider: Provider) {
        let id = provider.0.id.clone();
        let is_twice = self.providers.contains_key(&id);
        let is_built_in = BUILT_IN.providers.contains_key(&id);
        let problem = id_problem(id.as_str(), is_built_in, is_twice, provider.0.replaces_builtin);
        self.misnamed.extend(problem);
        self.providers.insert(id, provider);
    }

    /// Registers the host's client at a server. A second client for the same server is a mistake,
    /// which [`mistakes`](Self::mistakes) reports.
    pub(crate) fn add_client(&mut self, server: ServerId, registration: ClientRegistration) {
        let id = server.clone();
        if self.clients.insert(server, registration).is_some() {
            let problem = DescriptorProblem::TwoClients;
            self.misnamed
                .push(InvalidDescriptor::new(id.as_str(), "client", problem));
        }
    }

    /// Looks up the clients of individual tenants in this source.
    pub(crate) fn set_source(&mut self, source: Arc<dyn ClientSource>) {
        self.source = Some(source);
    }

    /// Checks and compiles every descriptor that was added, and checks every registration.
    ///
    /// # Errors
    ///
    /// [`InvalidDescriptor`] for the first mistake: it names the descriptor, the field and the
    /// problem.
    pub(crate) fn build(self, transport: Transport) -> Result<Registry, InvalidDescriptor> {
        if let Some(mistake) = self.mistakes(transport).into_iter().next() {
            return Err(mistake);
        }
        let (mut servers, mut providers) = (BUILT_IN.servers.clone(), BUILT_IN.providers.clone());
        for (id, server) in self.servers {
            servers.insert(id, Arc::new(CompiledServer::compile(server)?));
        }
        for (id, provider) in self.providers {
            providers.insert(id, Arc::new(CompiledProvider::compile(provider)?));
        }
        let mut clients = BTreeMap::new();
        for (id, registration) in self.clients {
            if let Some(server) = servers.get(&id) {
                let bases = validate::registration(server, &registration, transport)?;
                clients.insert(id, Client::new(Arc::new(registration), bases.into()));
            }
        }
        Ok(Registry {
            servers,
            providers,
            clients: Clients::new(clients, self.source),
            transport,
        })
    }

    /// Returns the mistakes in the added descriptors and registrations: the first one of each
    /// field. A built-in provider at a replaced server is checked too; other built-in descriptors
    /// are not, because tests of this crate check them.
    pub(crate) fn mistakes(&self, transport: Transport) -> Vec<InvalidDescriptor> {
        let mut mistakes = self.misnamed.clone();
        for server in self.servers.values() {
            mistakes.extend(validate::server(&server.0, transport));
        }
        for provider in self.all_providers() {
            mistakes.extend(self.mistakes_of(provider, transport));
        }
        for (id, registration) in &self.clients {
            let valid = match self.server(id) {
                Some(server) => validate::registration(server, registration, transport).map(drop),
                None => Err(InvalidDescriptor::new(id.as_str(), "client", self.no_server(id))),
            };
            mistakes.extend(valid.err());
        }
        mistakes
    }

    fn mistakes_of(&self, provider: &ProviderDescriptor, transport: Transport) -> Vec<InvalidDescriptor> {
        let is_built_in = !self.providers.contains_key(&provider.id);
        if is_built_in && !self.servers.contains_key(&provider.server) {
            return Vec::new();
        }
        let Some(server) = self.server(&provider.server) else {
            let problem = self.unknown_server(&provider.server);
            return vec![InvalidDescriptor::new(provider.id.as_str(), "server", problem)];
        };
        let mut mistakes = validate::provider(provider, server, transport);
        if is_built_in {
            for mistake in &mut mistakes {
                mistake.replaced_server = Some(server.id.as_str().into());
            }
        }
        mistakes
    }

    /// Returns the server with this id: the host's, otherwise the built-in one.
    fn server(&self, id: &ServerId) -> Option<&ServerDescriptor> {
        let built_in = || {
            BUILT_IN
                .servers
                .get(id)
                .map(|server| -> &ServerDescriptor { server })
        };
        self.servers.get(id).map(|server| &server.0).or_else(built_in)
    }

    /// Returns the providers, ordered by id: the host's, and the built-in ones that it has not
    /// replaced.
    fn all_providers(&self) -> impl Iterator<Item = &ProviderDescriptor> {
        let built_in = BUILT_IN
            .providers
            .values()
            .map(|provider| -> &ProviderDescriptor { provider });
        let mut all: BTreeMap<_, _> = built_in.map(|provider| (&provider.id, provider)).collect();
        all.extend(self.providers.iter().map(|(id, provider)| (id, &provider.0)));
        all.into_values()
    }

    /// Returns why no client can be registered for this id.
    fn no_server(&self, id: &ServerId) -> DescriptorProblem {
        let named = self
            .all_providers()
            .find(|provider| provider.id.as_str() == id.as_str());
        match named {
            Some(provider) => DescriptorProblem::ProviderNotServer {
                server: provider.server.as_str().into(),
            },
            None => self.unknown_server(id),
        }
    }

    fn unknown_server(&self, id: &ServerId) -> DescriptorProblem {
        let known: BTreeSet<_> = self.servers.keys().chain(BUILT_IN.servers.keys()).collect();
        DescriptorProblem::UnknownServer {
            given: id.as_str().into(),
            known: known.into_iter().map(|id| id.as_str().into()).collect(),
        }
    }
}

/// Returns the mistake in the id of an added descriptor.
fn id_problem(id: &str, is_built_in: bool, is_twice: bool, says_so: bool) -> Option<InvalidDescriptor> {
    let (field, problem) = match (is_twice, is_built_in, says_so) {
        (true, _, _) => ("id", DescriptorProblem::Twice),
        (false, true, true) | (false, false, false) => return None,
        (false, true, false) => ("id", DescriptorProblem::ReplacesBuiltin),
        (false, false, true) => ("replaces_builtin", DescriptorProblem::ReplacesNothing),
    };
    Some(InvalidDescriptor::new(id, field, problem))
}

#[cfg(test)]
mod tests;
