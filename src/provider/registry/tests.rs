use super::*;
use crate::model::Parameters;
use crate::provider::{
    AccountEndpoint, ApiHost, ClientAuthentication, DeadGrant, IssuerPolicy, ParameterKind, ParameterRule,
    Revocation, catalog,
};

/// Returns the first mistake.
fn validate(registry: &RegistryBuilder, transport: Transport) -> Result<(), InvalidDescriptor> {
    registry
        .mistakes(transport)
        .into_iter()
        .next()
        .map_or(Ok(()), Err)
}

fn server() -> AuthorizationServer {
    let id = ServerId::new("as").unwrap();
    AuthorizationServer::new(id, "https://as.test/authorize", "https://as.test/token")
}

fn provider() -> Provider {
    let (id, server) = (ProviderId::new("svc").unwrap(), ServerId::new("as").unwrap());
    Provider::new(id, server, "Service", ["https://api.test"])
}

fn validate_server(change: impl FnOnce(&mut AuthorizationServer)) -> Result<(), InvalidDescriptor> {
    let mut registry = RegistryBuilder::default();
    let mut server = server();
    change(&mut server);
    registry.add_server(server);
    validate(&registry, Transport::HttpsOnly)
}

fn validate_provider(change: impl FnOnce(&mut Provider)) -> Result<(), InvalidDescriptor> {
    let mut registry = RegistryBuilder::default();
    registry.add_server(server());
    let mut provider = provider();
    change(&mut provider);
    registry.add_provider(provider);
    validate(&registry, Transport::HttpsOnly)
}

#[test]
fn a_plain_server_and_provider_are_valid() {
    assert_eq!(validate_server(|_| {}), Ok(()));
    assert_eq!(validate_provider(|_| {}), Ok(()));
}

#[test]
fn each_fault_of_a_server_is_found_and_named() {
    type Change = fn(&mut AuthorizationServer);
    let faults: [(&str, Change); 24] = [
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
        ("parameters", |s| {
            let rule = ParameterRule::new("x", ParameterKind::Word);
            s.parameters.push(rule.default_value("1.2.3.999"));
            s.token_endpoint = "https://{x}/token".into();
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
        let mut registry = RegistryBuilder::default();
        let mut server = server();
        server.client_authentication = authentication;
        registry.add_server(server);
        registry.add_client(ServerId::new("as").unwrap(), registration);
        let found = validate(&registry, Transport::HttpsOnly)
            .err()
            .map(|error| error.field);
        assert_eq!(found, field);
    }
    let mut registry = RegistryBuilder::default();
    registry.add_client(
        ServerId::new("as").unwrap(),
        ClientRegistration::public("id", uri),
    );
    let error = validate(&registry, Transport::HttpsOnly).unwrap_err();
    assert!(
        matches!(error.problem, DescriptorProblem::UnknownServer { .. }),
        "{error}"
    );
}

#[test]
fn loopback_descriptors_need_the_loopback_transport() {
    let mut registry = RegistryBuilder::default();
    let id = ServerId::new("as").unwrap();
    registry.add_server(AuthorizationServer::new(
        id,
        "http://127.0.0.1:1/a",
        "http://127.0.0.1:1/t",
    ));
    assert_eq!(validate(&registry, Transport::HttpsOrLoopback), Ok(()));
    assert_eq!(
        validate(&registry, Transport::HttpsOnly).unwrap_err().problem,
        DescriptorProblem::NotHttps
    );
}

/// Building connections does not check the catalog, so this test does.
#[test]
fn every_descriptor_of_the_catalog_is_valid() {
    let mut registry = RegistryBuilder::default();
    for mut server in catalog::servers() {
        server.replaces_builtin = true;
        registry.add_server(server);
    }
    for mut provider in catalog::providers() {
        provider.replaces_builtin = true;
        registry.add_provider(provider);
    }
    assert_eq!(registry.mistakes(Transport::HttpsOnly), []);
    assert!(registry.build(Transport::HttpsOnly).is_ok());
}

#[test]
fn the_built_in_descriptors_are_compiled_once_for_the_process() {
    let registry = || RegistryBuilder::default().build(Transport::HttpsOnly).unwrap();
    let (one, other) = (registry(), registry());
    for (one, other) in one.servers().zip(other.servers()) {
        assert!(Arc::ptr_eq(one, other), "{}", one.id);
    }
    for (one, other) in one.providers().zip(other.providers()) {
        assert!(Arc::ptr_eq(one, other), "{}", one.id);
    }
}

#[test]
fn a_descriptor_takes_the_place_of_a_built_in_one_only_if_it_says_so() {
    use DescriptorProblem::{ReplacesBuiltin, ReplacesNothing, Twice};
    let cases: [(&str, bool, usize, Option<DescriptorProblem>); 6] = [
        ("google", false, 1, Some(ReplacesBuiltin)),
        ("google", true, 1, None),
        ("google", true, 2, Some(Twice)),
        ("mine", false, 1, None),
        ("mine", false, 2, Some(Twice)),
        ("mine", true, 1, Some(ReplacesNothing)),
    ];
    for (id, says_so, times, problem) in cases {
        let mut registry = RegistryBuilder::default();
        let mut server = catalog::google();
        server.id = ServerId::new(id).unwrap();
        server.replaces_builtin = says_so;
        (0..times).for_each(|_| registry.add_server(server.clone()));
        let found = validate(&registry, Transport::HttpsOnly)
            .err()
            .map(|error| error.problem);
        assert_eq!(found, problem, "server {id} {says_so} {times}");

        let mut registry = RegistryBuilder::default();
        let mut provider = catalog::gmail();
        provider.id = ProviderId::new(id.replace("google", "gmail")).unwrap();
        provider.replaces_builtin = says_so;
        (0..times).for_each(|_| registry.add_provider(provider.clone()));
        let found = validate(&registry, Transport::HttpsOnly)
            .err()
            .map(|error| error.problem);
        assert_eq!(found, problem, "provider {id} {says_so} {times}");
    }
}

#[test]
fn a_built_in_provider_at_a_replaced_server_is_named_with_that_server() {
    let mut registry = RegistryBuilder::default();
    let mut server = server();
    server.id = ServerId::new(catalog::ATLASSIAN).unwrap();
    server.replaces_builtin = true;
    registry.add_server(server);
    let error = validate(&registry, Transport::HttpsOnly).unwrap_err();
    assert_eq!(
        (error.descriptor.as_str(), error.replaced_server.as_deref()),
        ("jira", Some("atlassian"))
    );
    assert!(
        error.to_string().contains("\"atlassian\", which was replaced"),
        "{error}"
    );
}

#[test]
fn a_second_client_for_a_server_is_a_mistake() {
    let mut registry = RegistryBuilder::default();
    for secret in ["one", "two"] {
        let client = ClientRegistration::new("id", secret, "https://app.test/cb");
        registry.add_client(ServerId::new("google").unwrap(), client);
    }
    let error = validate(&registry, Transport::HttpsOnly).unwrap_err();
    assert_eq!(error.problem, DescriptorProblem::TwoClients);
    assert_eq!(registry.mistakes(Transport::HttpsOnly).len(), 1);
}

#[test]
fn an_unknown_id_is_answered_with_the_ids_to_use() {
    let registered = |id: &str| {
        let mut registry = RegistryBuilder::default();
        let client = ClientRegistration::new("id", "secret", "https://app.test/cb");
        registry.add_client(ServerId::new(id).unwrap(), client);
        validate(&registry, Transport::HttpsOnly).unwrap_err().to_string()
    };
    let error = registered("gmail");
    assert!(error.contains("\"google\""), "{error}");
    let error = registered("gogle");
    assert!(
        error.contains("\"gogle\"") && error.contains("google, microsoft"),
        "{error}"
    );
    let error = validate_provider(|it| it.server = ServerId::new("acmee").unwrap()).unwrap_err();
    assert!(
        error.to_string().contains("\"acmee\"; known are: as, asana, "),
        "{error}"
    );
}

#[test]
fn the_catalog_is_found_by_id() {
    let registry = RegistryBuilder::default().build(Transport::HttpsOnly).unwrap();
    let gmail = registry.provider(catalog::GMAIL).unwrap();
    assert_eq!(gmail.server.id.as_str(), catalog::GOOGLE);
    assert!(registry.provider("nothing").is_none());
    for provider in registry.providers() {
        let entry = registry.provider(provider.id.as_str()).unwrap();
        let parameters = entry
            .server
            .complete_parameters(&Parameters::new(), Transport::HttpsOnly)
            .unwrap();
        entry.server.check(&parameters).unwrap();
        if provider.id.as_str() == catalog::JIRA {
            // The site is known only after the consent.
            assert_eq!(provider.api_base(&parameters), None);
            continue;
        }
        let base = provider.api_base(&parameters).unwrap();
        assert!(provider.allows(&base, &parameters), "{}", provider.id);
        let named = provider.account_url(&parameters).is_some() || provider.account_in_answer.is_some();
        assert!(named, "{}", provider.id);
    }
}
