//! Descriptors as data.

use serde::{Deserialize, Serialize};
use url::Url;
use valetkey::internals::protocol::{AuthorizationRequest, Hints};
use valetkey::internals::provider::{CompiledProvider, CompiledServer, Transport};
use valetkey::internals::secret::{PkceVerifier, State};
use valetkey::model::{Parameters, ProviderId, Scopes, ServerId};
use valetkey::provider::{AuthorizationServer, DescriptorFile, Provider};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Descriptors {
    server: AuthorizationServer,
    provider: Provider,
}

/// A valid descriptor can be used, only with https and with the protocol's own parameters
/// unchanged.
pub fn provider_descriptor(data: &[u8]) {
    let Ok(descriptors) = serde_json::from_slice::<Descriptors>(data) else {
        return;
    };
    let written = serde_json::to_string(&descriptors).unwrap();
    let again: Descriptors = serde_json::from_str(&written).unwrap();
    assert!(again == descriptors, "what was written is read otherwise");

    let Descriptors {
        mut server,
        mut provider,
    } = descriptors;
    if provider.server != server.id {
        return;
    }
    // Ids that differ from those of built-in descriptors.
    server.id = ServerId::new("fuzzed-server").unwrap();
    provider.id = ProviderId::new("fuzzed-provider").unwrap();
    provider.server = server.id.clone();
    (server.replaces_builtin, provider.replaces_builtin) = (false, false);
    let file = DescriptorFile {
        servers: vec![server.clone()],
        providers: vec![provider.clone()],
    };
    if file.validate().is_err() {
        return;
    }
    let server = CompiledServer::compile(server).expect("a validated server");
    let provider = CompiledProvider::compile(provider).expect("a validated provider");
    for pattern in server.parameters.iter().filter_map(|rule| rule.pattern.as_ref()) {
        assert!(pattern.is_usable(), "a pattern that was validated");
        let longest = "a".repeat(2048);
        assert!(
            !pattern.matches(&format!("{longest}a")),
            "a value without a bound"
        );
        let _ = pattern.matches(&longest);
    }
    // Values without a default receive one that fits their rule.
    let mut given = Parameters::new();
    for rule in server.parameters.iter().filter(|rule| rule.default.is_none()) {
        let value = match &rule.kind {
            valetkey::internals::provider::ParameterKind::OneOf(values) => values[0].clone(),
            valetkey::internals::provider::ParameterKind::BaseUrl => "https://host.example/lab".into(),
            _ => "word".into(),
        };
        given.insert(rule.name.clone(), value);
    }
    let parameters = match server.complete_parameters(&given, Transport::HttpsOnly) {
        Ok(parameters) => parameters,
        // A pattern may require something else.
        Err(_) if server.parameters.iter().any(|rule| rule.pattern.is_some()) => return,
        Err(error) => panic!("values that suit their rules: {error}"),
    };
    let checked = server.check(&parameters).expect("values that were completed");
    let endpoints = checked.endpoints();
    let all = [
        Some(&endpoints.authorization),
        Some(&endpoints.token),
        Some(&endpoints.refresh),
        endpoints.revocation.as_ref(),
    ];
    for url in all.into_iter().flatten() {
        check_url(url);
    }

    let (state, verifier) = (State::new("s".repeat(43)), PkceVerifier::new("v".repeat(43)));
    let url = AuthorizationRequest {
        server: &server,
        added: provider.added_to_authorization(),
        parameters: &parameters,
        endpoint: &endpoints.authorization,
        client_id: "client",
        redirect_uri: "https://app.test/callback",
        scopes: &Scopes::default(),
        state: &state,
        verifier: Some(&verifier),
        hints: &Hints::default(),
    }
    .url();
    check_url(&url);
    assert!(url.origin() == endpoints.authorization.origin());
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "client"),
        ("redirect_uri", "https://app.test/callback"),
        ("state", state.expose_secret()),
    ] {
        let mut found = url.query_pairs().filter(|(found, _)| found == name);
        assert!(found.next().is_some_and(|(_, found)| found == value), "{name}");
        assert!(found.next().is_none(), "{name} comes twice");
    }
    assert!(
        !url.as_str().contains(verifier.expose_secret()),
        "the verifier is in the URL"
    );

    // The token is sent only to the hosts that the descriptor names.
    let elsewhere = Url::parse("https://elsewhere.invalid/api").unwrap();
    let names_it = provider
        .api_hosts
        .iter()
        .any(|host| host.origin.contains("elsewhere"));
    assert!(names_it || !provider.allows(&elsewhere, &parameters));
    for url in [provider.api_base(&parameters), provider.account_url(&parameters)] {
        url.iter().for_each(check_url);
    }
}

fn check_url(url: &Url) {
    assert!(url.scheme() == "https", "{}", url.scheme());
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
}
