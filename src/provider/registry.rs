//! The servers, providers and client registrations that a host has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{ProviderId, ServerId};
use crate::provider::{
    AuthorizationServer, ClientRegistration, DescriptorProblem, InvalidDescriptor, Provider, Transport,
    UnknownProvider, catalog, validate,
};

/// The servers, providers and client registrations that a host has. Built once, then only read.
#[derive(Debug, Default)]
pub struct Registry {
    servers: BTreeMap<ServerId, Arc<AuthorizationServer>>,
    providers: BTreeMap<ProviderId, Arc<Provider>>,
    clients: BTreeMap<ServerId, ClientRegistration>,
    /// The catalogue's servers that are in place.
    built_in_servers: BTreeSet<ServerId>,
    /// The catalogue's providers that are in place.
    built_in_providers: BTreeSet<ProviderId>,
    /// The catalogue's servers that others took the place of.
    replaced_servers: BTreeSet<ServerId>,
    /// Descriptors that were added with an id that they may not have.
    misnamed: Vec<InvalidDescriptor>,
}

/// A provider and its authorization server, as one look into the [`Registry`] finds them.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Service<'a> {
    /// The provider.
    pub provider: &'a Arc<Provider>,
    /// The server that grants access to it.
    pub server: &'a Arc<AuthorizationServer>,
}

impl Registry {
    /// A registry with nothing in it.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// A registry with the whole [`catalog`], and no client registrations yet.
    #[must_use]
    pub fn with_catalog() -> Self {
        let mut registry = Self::empty();
        for server in catalog::servers() {
            registry.built_in_servers.insert(server.id.clone());
            registry.servers.insert(server.id.clone(), Arc::new(server));
        }
        for provider in catalog::providers() {
            registry.built_in_providers.insert(provider.id.clone());
            registry.providers.insert(provider.id.clone(), Arc::new(provider));
        }
        registry
    }

    /// Adds a server. One with the id of a built-in server takes its place if it
    /// [says so](AuthorizationServer::replaces_builtin); another server with a known id is a mistake, which
    /// [`validate`](Self::validate) reports.
    pub fn add_server(&mut self, server: AuthorizationServer) {
        let replaced = self.built_in_servers.remove(&server.id);
        if replaced {
            self.replaced_servers.insert(server.id.clone());
        }
        let is_known = replaced || self.servers.contains_key(&server.id);
        self.misnamed.extend(id_problem(
            server.id.as_str(),
            replaced,
            is_known,
            server.replaces_builtin,
        ));
        self.servers.insert(server.id.clone(), Arc::new(server));
    }

    /// Adds a provider. One with the id of a built-in provider takes its place if it
    /// [says so](Provider::replaces_builtin); another provider with a known id is a mistake, which
    /// [`validate`](Self::validate) reports.
    pub fn add_provider(&mut self, provider: Provider) {
        let replaced = self.built_in_providers.remove(&provider.id);
        let is_known = replaced || self.providers.contains_key(&provider.id);
        self.misnamed.extend(id_problem(
            provider.id.as_str(),
            replaced,
            is_known,
            provider.replaces_builtin,
        ));
        self.providers.insert(provider.id.clone(), Arc::new(provider));
    }

    /// Registers the host's client at a server. A second one for the same server is a mistake, which
    /// [`validate`](Self::validate) reports.
    pub fn add_client(&mut self, server: ServerId, registration: ClientRegistration) {
        let id = server.clone();
        if self.clients.insert(server, registration).is_some() {
            let problem = DescriptorProblem::TwoClients;
            self.misnamed
                .push(InvalidDescriptor::new(id.as_str(), "client", problem));
        }
    }

    /// The provider with this id, and its server.
    #[must_use]
    pub fn provider(&self, id: &str) -> Option<Service<'_>> {
        let provider = self.providers.get(id)?;
        let server = self.servers.get(&provider.server)?;
        Some(Service { provider, server })
    }

    /// The provider with this id, and its server.
    ///
    /// # Errors
    ///
    /// [`UnknownProvider`] names the ids that are known.
    pub fn find(&self, id: &str) -> Result<Service<'_>, UnknownProvider> {
        let known = || self.providers.keys().cloned();
        self.provider(id).ok_or_else(|| UnknownProvider::new(id, known()))
    }

    /// The server with this id.
    #[must_use]
    pub fn server(&self, id: &str) -> Option<&Arc<AuthorizationServer>> {
        self.servers.get(id)
    }

    /// The host's client at a server.
    #[must_use]
    pub fn client(&self, server: &ServerId) -> Option<&ClientRegistration> {
        self.clients.get(server)
    }

    /// The authorization servers, in the order of their ids.
    pub fn servers(&self) -> impl Iterator<Item = &Arc<AuthorizationServer>> {
        self.servers.values()
    }

    /// The providers, in the order of their ids.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }

    /// Checks every descriptor that was added to the catalogue, and every registration. Tests of this crate check the
    /// catalogue.
    ///
    /// # Errors
    ///
    /// [`InvalidDescriptor`] for the first mistake: it names the descriptor, the field and the problem.
    pub fn validate(&self, transport: Transport) -> Result<(), InvalidDescriptor> {
        self.validate_all(transport)
            .into_iter()
            .next()
            .map_or(Ok(()), Err)
    }

    /// Returns every mistake that [`validate`](Self::validate) would find one after the other: the first of each field of
    /// each descriptor. Empty: all are valid.
    #[must_use]
    pub fn validate_all(&self, transport: Transport) -> Vec<InvalidDescriptor> {
        let mut mistakes = self.misnamed.clone();
        for (id, server) in &self.servers {
            if !self.built_in_servers.contains(id) {
                mistakes.extend(validate::server(server, transport));
            }
        }
        for provider in self.providers.values() {
            mistakes.extend(self.mistakes_of(provider, transport));
        }
        for (id, registration) in &self.clients {
            let valid = match self.servers.get(id) {
                Some(server) => validate::registration(server, registration, transport),
                None => Err(InvalidDescriptor::new(id.as_str(), "client", self.no_server(id))),
            };
            mistakes.extend(valid.err());
        }
        mistakes
    }

    fn mistakes_of(&self, provider: &Provider, transport: Transport) -> Vec<InvalidDescriptor> {
        let is_built_in = self.built_in_providers.contains(&provider.id);
        let is_moved = self.replaced_servers.contains(&provider.server);
        if is_built_in && !is_moved {
            return Vec::new();
        }
        let Some(server) = self.servers.get(&provider.server) else {
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

    /// Why no client can be registered for this id.
    fn no_server(&self, id: &ServerId) -> DescriptorProblem {
        match self.providers.get(id.as_str()) {
            Some(provider) => DescriptorProblem::ProviderNotServer {
                server: provider.server.as_str().into(),
            },
            None => self.unknown_server(id),
        }
    }

    fn unknown_server(&self, id: &ServerId) -> DescriptorProblem {
        DescriptorProblem::UnknownServer {
            given: id.as_str().into(),
            known: self.servers.keys().map(|id| id.as_str().into()).collect(),
        }
    }
}

/// Returns the mistake in the id of a descriptor that is added.
fn id_problem(id: &str, replaces: bool, is_known: bool, says_so: bool) -> Option<InvalidDescriptor> {
    let (field, problem) = match (replaces, is_known, says_so) {
        (true, _, true) | (false, false, false) => return None,
        (true, _, false) => ("id", DescriptorProblem::ReplacesBuiltin),
        (false, true, _) => ("id", DescriptorProblem::Twice),
        (false, false, true) => ("replaces_builtin", DescriptorProblem::ReplacesNothing),
    };
    Some(InvalidDescriptor::new(id, field, problem))
}

#[cfg(test)]
mod tests;
