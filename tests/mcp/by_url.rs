//! From the URL of a server to the call of a tool.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use valetkey::connections::{AtProvider, Budget, McpClient, McpOptions};
use valetkey::http::HttpError;
use valetkey::model::{Owner, Scopes};
use valetkey::provider::ClientRegistration;
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::SealedVault;
use valetkey::{ConnectionManager, Consent, ConsentOptions, Error, Operator};

use crate::host::{Host, ISSUER, REDIRECT, SERVER, person, tenant};

fn parameter(consent: &Consent, name: &str) -> Option<String> {
    let mut pairs = consent.authorization_url().query_pairs();
    pairs
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// Returns the values of a parameter in all token requests so far.
fn sent(host: &Host, name: &str) -> Vec<Option<String>> {
    let log = host.sandbox.log();
    let requests = log.iter().filter(|logged| logged.path().ends_with("/token"));
    requests
        .map(|logged| logged.parameter(name).map(str::to_owned))
        .collect()
}

#[test]
fn row_01_to_05_two_people_call_a_tool_from_the_url_alone() {
    let host = Host::new();
    for (name, account) in [("alice", "ada"), ("bob", "grace")] {
        let connection = host.connect(&person(name), account);
        assert_eq!(connection.provider.as_str(), SERVER);
        assert_eq!(
            host.call(&person(name), "whoami").unwrap(),
            (200, account.to_owned())
        );
    }
    assert_eq!(host.count("/register"), 1, "both people use one client");
    let added = host.connections.added_providers(&tenant()).unwrap();
    assert_eq!(added.len(), 1);
    assert_eq!(
        (added[0].name(), added[0].group()),
        ("mcp.sandbox.test/mcp", "MCP")
    );
    let clients = host.connections.added_clients(&tenant()).unwrap();
    assert_eq!(clients[0].0.as_str(), ISSUER);
}

#[test]
fn row_03_and_04_documents_are_found_at_every_place() {
    const RESOURCE: &str = "https://mcp.sandbox.test/.well-known/oauth-protected-resource";
    let with_path = format!("{RESOURCE}/mcp");
    // Without a challenge that names them, with the path, then at the root.
    for hidden in [&[][..], &[with_path.as_str()][..]] {
        let host = Host::new();
        host.sandbox.adjust(|it| it.challenge_names_metadata = false);
        for place in hidden {
            host.sandbox.hide(place);
        }
        assert!(host.start(&person("alice")).is_ok(), "{hidden:?}");
    }
    let issuer = "https://auth.sandbox.test/tenant/one";
    let places = [
        "https://auth.sandbox.test/.well-known/oauth-authorization-server/tenant/one",
        "https://auth.sandbox.test/.well-known/openid-configuration/tenant/one",
        "https://auth.sandbox.test/tenant/one/.well-known/openid-configuration",
    ];
    for left in 0..places.len() {
        let host = Host::new();
        host.sandbox.serve_mcp(SERVER, &[issuer]);
        for place in &places[..left] {
            host.sandbox.hide(place);
        }
        let connection = host.connect(&person("alice"), "ada");
        assert_eq!(connection.provider.as_str(), SERVER, "{left}");
        let asked: Vec<_> = host
            .sandbox
            .log()
            .iter()
            .map(|logged| logged.address().to_owned())
            .filter(|address| address.contains("tenant/one") && address.contains(".well-known"))
            .collect();
        assert_eq!(asked, places[..=left], "in the order of the specification");
    }
}

#[test]
fn row_06_several_authorization_servers_have_separate_clients_and_tokens() {
    let host = Host::new();
    let other = "https://second.sandbox.test";
    host.sandbox.serve_mcp(SERVER, &[ISSUER, other]);
    let options = || McpOptions::default().authorization_server(other);
    let consent = host
        .connections
        .start_mcp(&person("alice"), SERVER, options())
        .unwrap();
    assert_eq!(
        consent.authorization_url().host_str(),
        Some("second.sandbox.test")
    );
    // The next user gets the server where the tenant has a client.
    let consent = host.start(&person("bob")).unwrap();
    assert_eq!(
        consent.authorization_url().host_str(),
        Some("second.sandbox.test")
    );
    let stranger = McpOptions::default().authorization_server("https://third.sandbox.test");
    let error = host
        .connections
        .start_mcp(&person("bob"), SERVER, stranger)
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Mcp(valetkey::error::McpError::NoAuthorizationServer)
        ),
        "{error:?}"
    );
    assert_eq!(host.sandbox.registered_clients().len(), 1);
}

#[test]
fn row_07_a_client_that_is_known_is_not_registered() {
    let host = Host::new();
    // A client that an administrator registered by hand.
    let by_hand = Host::over(
        Arc::new(SealedVault::in_memory()),
        host.sandbox.clone(),
        host.clock.clone(),
    );
    by_hand.start(&person("admin")).unwrap();
    let (_, client_id) = host.sandbox.registered_clients().remove(0);
    let secret = host.sandbox.issued_secrets().remove(0);
    let registrations = host.count("/register");
    let client = ClientRegistration::new(client_id.as_str(), secret, REDIRECT);
    let options = McpOptions::default().client(client);
    let alice = person("alice");
    let consent = host.connections.start_mcp(&alice, SERVER, options).unwrap();
    assert_eq!(parameter(&consent, "client_id"), Some(client_id));
    host.finish(&alice, &consent, "ada").unwrap();
    assert_eq!(host.call(&alice, "whoami").unwrap().1, "ada");
    host.connect(&person("bob"), "grace");
    assert_eq!(host.count("/register"), registrations);
}

#[test]
fn row_08_the_url_of_a_document_is_the_client_id_where_it_is_supported() {
    let url = "https://agent.example/client.json";
    let client = McpClient::new("Agent", REDIRECT).document_url(url);
    let document = client.metadata_document().unwrap();
    assert_eq!(document["client_id"], url);
    assert_eq!(document["redirect_uris"][0], REDIRECT);
    assert_eq!(document["token_endpoint_auth_method"], "none");
    for (supported, registrations) in [(true, 0), (false, 1)] {
        let clock = ManualClock::default();
        let sandbox = Sandbox::playing_mcp(clock.clone());
        sandbox.adjust(|it| it.accepts_client_documents = supported);
        let host = Host::with(Arc::new(SealedVault::in_memory()), sandbox, clock, client.clone());
        let consent = host.start(&person("alice")).unwrap();
        assert_eq!(
            parameter(&consent, "client_id").as_deref() == Some(url),
            supported
        );
        assert_eq!(host.count("/register"), registrations);
    }
}

#[test]
fn row_10_a_registration_states_its_kind_and_every_method_works() {
    for method in ["none", "client_secret_basic", "client_secret_post"] {
        let host = Host::new();
        host.sandbox
            .adjust(|it| it.registered_method = Some(method.into()));
        let alice = person("alice");
        host.connect(&alice, "ada");
        assert_eq!(host.call(&alice, "whoami").unwrap().1, "ada", "{method}");
        let log = host.sandbox.log();
        let request = log.iter().find(|logged| logged.path() == "/register").unwrap();
        let body: serde_json::Value = serde_json::from_str(request.body()).unwrap();
        assert_eq!(body["application_type"], "web");
        assert_eq!(body["client_name"], "Agent");
    }
}

#[test]
fn row_13_and_15_each_request_has_pkce_and_names_the_resource() {
    let host = Host::new();
    let alice = person("alice");
    let consent = host.start(&alice).unwrap();
    assert_eq!(
        parameter(&consent, "code_challenge_method").as_deref(),
        Some("S256")
    );
    assert_eq!(parameter(&consent, "resource").as_deref(), Some(SERVER));
    let connection = host.finish(&alice, &consent, "ada").unwrap();
    host.connections.refresh(&alice, connection.id).unwrap();
    assert_eq!(sent(&host, "resource"), vec![Some(SERVER.to_owned()); 2]);
    assert!(sent(&host, "code_verifier")[0].is_some());
    assert_eq!(host.call(&alice, "whoami").unwrap().1, "ada");
}

#[test]
fn row_16_and_17_scopes_come_from_the_challenge_else_from_the_metadata() {
    let asked = |host: &Host| host.start(&person("alice")).unwrap().scopes().clone();
    let scopes = |text: &str| text.parse::<Scopes>().unwrap();
    let host = Host::new();
    host.sandbox
        .adjust(|it| it.challenge_scope = Some("mcp.read".into()));
    let without_offline = |found: Scopes| found.difference(&scopes("offline_access"));
    assert_eq!(without_offline(asked(&host)), scopes("mcp.read"));
    host.sandbox.adjust(|it| it.challenge_scope = None);
    assert_eq!(without_offline(asked(&host)), scopes("mcp.read mcp.write"));
    host.sandbox.edit_document(
        "https://mcp.sandbox.test/.well-known/oauth-protected-resource/mcp",
        |document| _ = document.as_object_mut().unwrap().remove("scopes_supported"),
    );
    assert_eq!(without_offline(asked(&host)), Scopes::default());
    host.sandbox
        .adjust(|it| it.offline_scope = Some("offline_access".into()));
    assert_eq!(asked(&host), scopes("offline_access"));
    let named = ConsentOptions::default().scopes(scopes("mcp.read"));
    let options = McpOptions::default().consent(named);
    let consent = host
        .connections
        .start_mcp(&person("alice"), SERVER, options)
        .unwrap();
    assert_eq!(*consent.scopes(), scopes("mcp.read offline_access"));
}

#[test]
fn row_23_the_token_is_sent_to_its_own_server_only() {
    let host = Host::new();
    let alice = person("alice");
    host.connect(&alice, "ada");
    for url in [
        "https://mcp.sandbox.test/other",
        "https://mcp.sandbox.test/",
        "https://mcp.sandbox.test/mcpx",
        "https://auth.sandbox.test/userinfo",
        "https://other.sandbox.test/mcp",
        "http://mcp.sandbox.test/mcp",
    ] {
        let request = http::Request::post(url).body(Vec::new()).unwrap();
        let error = host
            .resolver
            .turn(alice.clone())
            .send(SERVER, request)
            .unwrap_err();
        assert!(matches!(error, Error::Request(_)), "{url}: {error:?}");
    }
}

#[test]
fn the_account_comes_from_the_server_if_it_says_who_signed_in() {
    let host = Host::new();
    let connection = host.connect(&person("alice"), "ada");
    assert_eq!(connection.account, None, "nothing identifies it");
    let openid = ConsentOptions::default().scopes("openid mcp.read".parse().unwrap());
    host.sandbox
        .adjust(|it| it.challenge_scope = Some("openid mcp.read".into()));
    let options = McpOptions::default().consent(openid);
    let bob = person("bob");
    let consent = host.connections.start_mcp(&bob, SERVER, options).unwrap();
    let connection = host.finish(&bob, &consent, "grace").unwrap();
    assert_eq!(connection.account.unwrap().id, "grace");
}

#[test]
fn tokens_are_refreshed_by_upkeep_and_revoked_like_all_others() {
    let host = Host::new();
    let alice = person("alice");
    let connection = host.connect(&alice, "ada");
    let generation = connection.generation;
    host.clock.advance(Duration::from_secs(3_600 - 60));
    let report = host.connections.maintain(Budget::default()).unwrap();
    assert_eq!((report.refreshed, report.failed), (1, 0));
    assert!(host.connections.get(&alice, connection.id).unwrap().generation > generation);
    assert_eq!(host.call(&alice, "whoami").unwrap().0, 200);

    let error = host.connections.remove_provider(&tenant(), SERVER).unwrap_err();
    assert!(matches!(error, Error::InUse(_)), "{error:?}");
    let token = host.resolver.resolve(&alice, SERVER).unwrap();
    let token = token.access_token().expose_secret().to_owned();
    assert!(host.sandbox.is_live(&token));
    let report = host.connections.revoke(&alice, connection.id).unwrap();
    assert!(
        matches!(
            report.at_provider,
            AtProvider::Revoked | AtProvider::Attempted { .. }
        ),
        "{:?}",
        report.at_provider
    );
    assert!(!host.sandbox.is_live(&token));
    assert!(matches!(
        host.call(&alice, "whoami"),
        Err(Error::ConsentRequired(_))
    ));

    assert!(host.connections.remove_provider(&tenant(), SERVER).unwrap());
    assert!(host.connections.added_providers(&tenant()).unwrap().is_empty());
    assert!(host.connections.added_clients(&tenant()).unwrap().is_empty());
    assert!(matches!(
        host.call(&alice, "whoami"),
        Err(Error::UnknownProvider { .. })
    ));
}

#[test]
fn a_refused_call_is_an_ordinary_answer() {
    let host = Host::new();
    let alice = person("alice");
    host.connect(&alice, "ada");
    let request = http::Request::get(SERVER).body(Vec::new()).unwrap();
    let answer = host.resolver.turn(alice).send(SERVER, request).unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn an_operator_connects_a_server_for_the_workspace() {
    let host = Host::new();
    let olga = Operator::authenticated("acme", "olga").unwrap();
    let manager: &dyn ConnectionManager = &host.connections;
    let consent = manager
        .start_mcp_workspace(&olga, SERVER, McpOptions::default())
        .unwrap();
    let connection = host.finish(olga.acting_user(), &consent, "ada").unwrap();
    assert_eq!(connection.owner, Owner::Workspace);
    assert_eq!(connection.provider.as_str(), SERVER);
    let alice = person("alice");
    let consent = manager.start_mcp(&alice, SERVER, McpOptions::default()).unwrap();
    let own = host.finish(&alice, &consent, "grace").unwrap();
    assert_eq!(own.owner.user(), Some(alice.user()));
    assert_eq!(host.count("/register"), 1);
}

/// Returns a host that has registered itself, and the path of its registration.
fn registered() -> (Host, String) {
    let host = Host::new();
    host.start(&person("alice")).unwrap();
    let clients = host.sandbox.registered_clients();
    let path = format!("/register/{}", clients[0].1);
    (host, path)
}

#[test]
fn a_registration_is_deleted_at_the_server_with_its_definition() {
    let (host, path) = registered();
    assert!(host.connections.remove_provider(&tenant(), SERVER).unwrap());
    assert!(host.sandbox.registered_clients().is_empty());
    let log = host.sandbox.log();
    let deleted = log.iter().filter(|logged| logged.path() == path);
    assert_eq!(
        deleted.map(|it| it.method().clone()).collect::<Vec<_>>(),
        [Method::DELETE]
    );

    let (host, path) = registered();
    assert!(host.connections.remove_client(&tenant(), ISSUER).unwrap());
    assert!(!host.connections.remove_client(&tenant(), ISSUER).unwrap());
    assert!(host.sandbox.registered_clients().is_empty());
    assert_eq!(host.count(&path), 1);

    // While the provider is in use, nothing is removed anywhere.
    let host = Host::new();
    host.connect(&person("alice"), "ada");
    assert!(host.connections.remove_provider(&tenant(), SERVER).is_err());
    assert_eq!(host.sandbox.registered_clients().len(), 1);
}

#[test]
fn a_server_that_deletes_no_registration_keeps_no_definition() {
    let (host, path) = registered();
    let address = format!("{ISSUER}{path}");
    host.sandbox.answer_at(&address, |_| Err(HttpError::Timeout));
    assert!(host.connections.remove_provider(&tenant(), SERVER).unwrap());
    assert!(host.connections.added_clients(&tenant()).unwrap().is_empty());

    // The token of a registration goes to its own site only.
    for elsewhere in [
        "https://elsewhere.test/register/c",
        "http://auth.sandbox.test/c",
        "c",
    ] {
        let host = Host::new();
        let register = format!("{ISSUER}/register");
        host.sandbox.edit_document(&register, move |document| {
            document["registration_client_uri"] = elsewhere.into();
        });
        host.start(&person("alice")).unwrap();
        host.sandbox.clear_log();
        assert!(host.connections.remove_client(&tenant(), ISSUER).unwrap());
        assert!(host.sandbox.log().is_empty(), "{elsewhere}");
    }
}

#[test]
fn a_client_that_did_not_register_itself_is_not_deleted() {
    let host = Host::new();
    host.start(&person("alice")).unwrap();
    let clients = host.sandbox.registered_clients();
    let own = ClientRegistration::new("by-hand", "secret", REDIRECT);
    host.connections.add_client(&tenant(), SERVER, own).unwrap();
    host.sandbox.clear_log();
    assert!(host.connections.remove_client(&tenant(), SERVER).unwrap());
    assert_eq!(host.sandbox.registered_clients(), clients);
    assert!(host.sandbox.log().is_empty());
}
