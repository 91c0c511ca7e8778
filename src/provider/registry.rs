//! The servers, providers and client registrations that a host has.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{ProviderId, ServerId};
use crate::provider::instance::RegisteredBase;
use crate::provider::{
    AuthorizationServer, ClientAuthentication, ClientRegistration, DescriptorProblem, InvalidDescriptor,
    Provider, Transport, catalog, validate,
};

/// The servers, providers and client registrations that a host has. Built once, then only read.
#[derive(Debug, Default)]
pub struct Registry {
    servers: BTreeMap<ServerId, Arc<AuthorizationServer>>,
    providers: BTreeMap<ProviderId, Arc<Provider>>,
    clients: BTreeMap<ServerId, ClientRegistration>,
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
            registry.add_server(server);
        }
        for provider in catalog::providers() {
            registry.add_provider(provider);
        }
        registry
    }

    /// Adds a server, or puts it in place of the one with the same id.
    pub fn add_server(&mut self, server: AuthorizationServer) {
        self.servers.insert(server.id.clone(), Arc::new(server));
    }

    /// Adds a provider, or puts it in place of the one with the same id.
    pub fn add_provider(&mut self, provider: Provider) {
        self.providers.insert(provider.id.clone(), Arc::new(provider));
    }

    /// Registers the host's client at a server, or puts it in place of the earlier one.
    pub fn add_client(&mut self, server: ServerId, registration: ClientRegistration) {
        self.clients.insert(server, registration);
    }

    /// The provider with this id, and its server.
    #[must_use]
    pub fn provider(&self, id: &str) -> Option<Service<'_>> {
        let provider = self.providers.get(id)?;
        let server = self.servers.get(&provider.server)?;
        Some(Service { provider, server })
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

    /// Checks every descriptor and every registration.
    ///
    /// # Errors
    ///
    /// [`InvalidDescriptor`] for the first that cannot be used: it names the descriptor, the field and what is wrong.
    pub fn validate(&self, transport: Transport) -> Result<(), InvalidDescriptor> {
        for server in self.servers.values() {
            validate::server(server, transport)?;
        }
        for provider in self.providers.values() {
            let server = self
                .servers
                .get(&provider.server)
                .ok_or_else(|| invalid(provider.id.as_str(), "server", DescriptorProblem::Unknown))?;
            validate::provider(provider, server, transport)?;
        }
        for (id, registration) in &self.clients {
            let server = self
                .servers
                .get(id)
                .ok_or_else(|| invalid(id.as_str(), "client", DescriptorProblem::Unknown))?;
            check_registration(server, registration, transport)?;
        }
        Ok(())
    }
}

fn check_registration(
    server: &AuthorizationServer,
    registration: &ClientRegistration,
    transport: Transport,
) -> Result<(), InvalidDescriptor> {
    let id = server.id.as_str();
    if registration.client_id.is_empty() {
        return Err(invalid(id, "client_id", DescriptorProblem::Value));
    }
    // A value from a file or an environment variable often has a line break or quotes around it. The server would
    // refuse it only after the person has given consent.
    if is_wrapped(&registration.client_id) {
        return Err(invalid(id, "client_id", DescriptorProblem::Wrapped));
    }
    if let Some(secret) = &registration.client_secret
        && is_wrapped(secret.expose_secret())
    {
        return Err(invalid(id, "client_secret", DescriptorProblem::Wrapped));
    }
    let is_base = |base: &String| RegisteredBase::parse(base, transport).is_some();
    if !registration.base_urls.iter().all(is_base) {
        return Err(invalid(id, "base_urls", DescriptorProblem::BaseUrl));
    }
    server
        .redirects
        .check(&registration.redirect_uri)
        .map_err(|problem| invalid(id, "redirect_uri", problem.into()))?;
    let secret = registration
        .client_secret
        .as_ref()
        .is_some_and(|secret| !secret.expose_secret().is_empty());
    let needed = match server.client_authentication {
        ClientAuthentication::None => false,
        ClientAuthentication::Post
        | ClientAuthentication::Basic
        | ClientAuthentication::BasicUnencoded
        | ClientAuthentication::BasicWithClientId
        | ClientAuthentication::SecretAsUser => true,
    };
    if secret == needed && secret == registration.client_secret.is_some() {
        Ok(())
    } else {
        Err(invalid(id, "client_secret", DescriptorProblem::ClientSecret))
    }
}

/// Whether blanks or quotes are around a value that belong to the place it was read from.
fn is_wrapped(value: &str) -> bool {
    let is_quoted = |quote: char| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
    value.trim() != value || is_quoted('"') || is_quoted('\'')
}

fn invalid(descriptor: &str, field: &'static str, problem: DescriptorProblem) -> InvalidDescriptor {
    InvalidDescriptor {
        descriptor: descriptor.into(),
        field,
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Parameters;
    use crate::provider::{
        AccountEndpoint, ApiHost, DeadGrant, IssuerPolicy, ParameterKind, ParameterRule, Revocation,
    };

    fn server() -> AuthorizationServer {
        let id = ServerId::new("as").unwrap();
        AuthorizationServer::new(id, "https://as.test/authorize", "https://as.test/token")
    }

    fn provider() -> Provider {
        let (id, server) = (ProviderId::new("svc").unwrap(), ServerId::new("as").unwrap());
        Provider::new(id, server, "Service", vec![ApiHost::origin("https://api.test")])
    }

    fn validate_server(change: impl FnOnce(&mut AuthorizationServer)) -> Result<(), InvalidDescriptor> {
        let mut registry = Registry::empty();
        let mut server = server();
        change(&mut server);
        registry.add_server(server);
        registry.validate(Transport::HttpsOnly)
    }

    fn validate_provider(change: impl FnOnce(&mut Provider)) -> Result<(), InvalidDescriptor> {
        let mut registry = Registry::empty();
        registry.add_server(server());
        let mut provider = provider();
        change(&mut provider);
        registry.add_provider(provider);
        registry.validate(Transport::HttpsOnly)
    }

    #[test]
    fn a_plain_server_and_provider_are_valid() {
        assert_eq!(validate_server(|_| {}), Ok(()));
        assert_eq!(validate_provider(|_| {}), Ok(()));
    }

    #[test]
    fn each_fault_of_a_server_is_found_and_named() {
        type Change = fn(&mut AuthorizationServer);
        let faults: [(&str, Change); 23] = [
            ("separate_grants", |s| {
                s.separate_grants = true;
                s.extending_parameters.insert("add".into(), "true".into());
            }),
            ("authorization_endpoint", |s| {
                s.authorization_endpoint = "javascript:alert(1)".into()
            }),
            ("authorization_endpoint", |s| {
                s.authorization_endpoint = "https://u@as.test/".into()
            }),
            ("authorization_endpoint", |s| {
                s.authorization_endpoint = "https://as.test/#f".into()
            }),
            ("authorization_endpoint", |s| {
                s.authorization_endpoint = "https://as.test/?state=x".into()
            }),
            ("token_endpoint", |s| {
                s.token_endpoint = "http://as.test/token".into()
            }),
            ("token_endpoint", |s| {
                s.token_endpoint = "http://127.0.0.1/token".into()
            }),
            ("token_endpoint", |s| {
                s.token_endpoint = "https://as.test/{tenant}".into()
            }),
            ("refresh_endpoint", |s| {
                s.refresh_endpoint = Some("as.test".into())
            }),
            ("revocation", |s| {
                s.revocation = Revocation::ByUser {
                    url: "file:///etc".into(),
                }
            }),
            ("issuer", |s| s.issuer_policy = IssuerPolicy::Required),
            ("issuer", |s| s.issuer = Some("https://as.test/?x".into())),
            ("scope_separator", |s| s.scope_separator = "a".into()),
            ("authorization_parameters", |s| {
                s.authorization_parameters.insert("State".into(), "x".into());
            }),
            ("extending_parameters", |s| {
                s.extending_parameters.insert("scope".into(), "x".into());
            }),
            ("token_parameters", |s| {
                s.token_parameters.insert("client_secret".into(), "x".into());
            }),
            ("refresh_parameters", |s| {
                s.refresh_parameters
                    .insert("redirect_uri".into(), "https://x.test/".into());
            }),
            ("unechoed_scopes", |s| s.unechoed_scopes.push("a b".into())),
            ("dead_grants", |s| {
                s.dead_grants.push(DeadGrant {
                    status: None,
                    error: None,
                })
            }),
            ("dead_grants", |s| {
                s.dead_grants.push(DeadGrant {
                    status: Some(500),
                    error: None,
                })
            }),
            ("parameters", |s| {
                let kind = ParameterKind::OneOf(vec![]);
                s.parameters.push(ParameterRule::new("x", kind));
            }),
            ("parameters", |s| {
                let rule = ParameterRule::new("x", ParameterKind::Word);
                s.parameters.push(rule.default_value("a/b"));
            }),
            ("token_endpoint", |s| {
                s.parameters.push(ParameterRule::new("x", ParameterKind::Word));
                s.token_endpoint = "{x}/token".into();
            }),
        ];
        for (index, (field, change)) in faults.into_iter().enumerate() {
            let error = validate_server(change).expect_err(&format!("fault {index}"));
            assert_eq!(
                (error.field, error.descriptor.as_str()),
                (field, "as"),
                "fault {index}"
            );
        }
    }

    #[test]
    fn each_fault_of_a_provider_is_found_and_named() {
        type Change = fn(&mut Provider);
        let faults: [(&str, Change); 10] = [
            ("server", |p| p.server = ServerId::new("nowhere").unwrap()),
            ("api_hosts", |p| {
                p.api_hosts = vec![ApiHost::origin("http://api.test")]
            }),
            ("api_hosts", |p| {
                p.api_hosts = vec![ApiHost::origin("https://api.test/v1")]
            }),
            ("api_hosts", |p| {
                p.api_hosts = vec![ApiHost::under("https://api.test", "v1")]
            }),
            ("api_base", |p| p.api_base = Some("https://api.test/?a=b".into())),
            ("account", |p| {
                let (id, email, label) = (vec!["sub".into()], vec![], vec![]);
                let url = "https://api.test/me".into();
                p.account = Some(AccountEndpoint {
                    url,
                    id,
                    email,
                    label,
                });
            }),
            ("token_header", |p| p.token_header.name = "Host".into()),
            ("token_header", |p| p.token_header.name = "a b".into()),
            ("token_header", |p| p.token_header.prefix = "Bearer\r\n".into()),
            ("authorization_parameters", |p| {
                p.authorization_parameters
                    .insert("redirect_uri".into(), "x".into());
            }),
        ];
        for (index, (field, change)) in faults.into_iter().enumerate() {
            let error = validate_provider(change).expect_err(&format!("fault {index}"));
            assert_eq!(
                (error.field, error.descriptor.as_str()),
                (field, "svc"),
                "fault {index}"
            );
        }
    }

    #[test]
    fn registrations_must_fit_their_server() {
        use ClientAuthentication::{Basic, None, Post};
        let uri = "https://app.test/cb";
        for (authentication, registration, field) in [
            (Post, ClientRegistration::new("id", "secret", uri), Option::None),
            (None, ClientRegistration::public("id", uri), Option::None),
            (
                None,
                ClientRegistration::new("id", "secret", uri),
                Some("client_secret"),
            ),
            (
                Basic,
                ClientRegistration::public("id", uri),
                Some("client_secret"),
            ),
            (
                Post,
                ClientRegistration::new("id", "", uri),
                Some("client_secret"),
            ),
            (
                Post,
                ClientRegistration::new("", "secret", uri),
                Some("client_id"),
            ),
            (
                Post,
                ClientRegistration::new("id", "secret\n", uri),
                Some("client_secret"),
            ),
            (
                Post,
                ClientRegistration::new("id", "\"secret\"", uri),
                Some("client_secret"),
            ),
            (
                Post,
                ClientRegistration::new(" id", "secret", uri),
                Some("client_id"),
            ),
            (None, ClientRegistration::public("'id'", uri), Some("client_id")),
            (
                Post,
                ClientRegistration::new("id", "secret", "http://app.test/cb"),
                Some("redirect_uri"),
            ),
        ] {
            let mut registry = Registry::empty();
            let mut server = server();
            server.client_authentication = authentication;
            registry.add_server(server);
            registry.add_client(ServerId::new("as").unwrap(), registration);
            let found = registry
                .validate(Transport::HttpsOnly)
                .err()
                .map(|error| error.field);
            assert_eq!(found, field);
        }
        let mut registry = Registry::empty();
        registry.add_client(
            ServerId::new("as").unwrap(),
            ClientRegistration::public("id", uri),
        );
        let error = registry.validate(Transport::HttpsOnly).unwrap_err();
        assert_eq!(error.problem, DescriptorProblem::Unknown);
    }

    #[test]
    fn loopback_descriptors_need_the_loopback_transport() {
        let mut registry = Registry::empty();
        let id = ServerId::new("as").unwrap();
        registry.add_server(AuthorizationServer::new(
            id,
            "http://127.0.0.1:1/a",
            "http://127.0.0.1:1/t",
        ));
        assert_eq!(registry.validate(Transport::HttpsOrLoopback), Ok(()));
        assert_eq!(
            registry.validate(Transport::HttpsOnly).unwrap_err().problem,
            DescriptorProblem::NotHttps
        );
    }

    #[test]
    fn the_catalog_is_valid_and_found_by_id() {
        let registry = Registry::with_catalog();
        registry.validate(Transport::HttpsOnly).unwrap();
        let gmail = registry.provider(catalog::GMAIL).unwrap();
        assert_eq!(gmail.server.id.as_str(), catalog::GOOGLE);
        assert!(registry.provider("nothing").is_none());
        for provider in registry.providers() {
            let service = registry.provider(provider.id.as_str()).unwrap();
            let parameters = service
                .server
                .complete_parameters(&Parameters::new(), Transport::HttpsOnly)
                .unwrap();
            service.server.endpoints(&parameters).unwrap();
            if provider.id.as_str() == catalog::JIRA {
                // Which site is known only after the consent.
                assert_eq!(provider.api_base(&parameters), None);
                continue;
            }
            let base = provider.api_base(&parameters).unwrap();
            assert!(provider.allows(&base, &parameters), "{}", provider.id);
            let named = provider.account_url(&parameters).is_some() || provider.account_in_answer.is_some();
            assert!(named, "{}", provider.id);
        }
    }
}
