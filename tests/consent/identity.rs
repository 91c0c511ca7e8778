//! Connections to an MCP server by the identity of an organization.

use std::time::Duration;

use valetkey::error::{ConsentError, Misconfigured};
use valetkey::model::FailureCode;
use valetkey::provider::{AuthorizationServer, Provider};
use valetkey::testing::sandbox::Refusal;
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::SealedVault;
use valetkey::{ActingUser, Connections, ConsentOptions, Error, Resolver};

const REDIRECT: &str = "https://host.test/callback";

struct Host {
    sandbox: Sandbox,
    clock: ManualClock,
    connections: Connections,
    resolver: Resolver,
}

/// Returns a host with the identity provider `sandbox` and the MCP server `mcp`.
fn host() -> Host {
    host_with(|server| server)
}

fn host_with(change: impl FnOnce(AuthorizationServer) -> AuthorizationServer) -> Host {
    let clock = ManualClock::default();
    let sandbox = Sandbox::playing_mcp(clock.clone());
    let server = AuthorizationServer::from_json(
        r#"{
            "id": "mcp-server",
            "authorization_endpoint": "https://auth.sandbox.test/authorize",
            "token_endpoint": "https://auth.sandbox.test/token",
            "revocation": {"endpoint": {"url": "https://auth.sandbox.test/revoke"}},
            "resources": ["https://mcp.sandbox.test/mcp"]
        }"#,
    )
    .unwrap()
    .issuer(Sandbox::MCP_ISSUER);
    let provider = Provider::from_json(
        r#"{
            "id": "mcp",
            "server": "mcp-server",
            "name": "Sandbox MCP",
            "default_scopes": ["mcp.read"],
            "api_hosts": [{"origin": "https://mcp.sandbox.test", "path_prefix": "/mcp"}],
            "api_base": "https://mcp.sandbox.test/mcp"
        }"#,
    )
    .unwrap();
    let connections = Connections::builder(SealedVault::in_memory())
        .server(sandbox.server())
        .server(change(server))
        .provider(provider)
        .client("sandbox", sandbox.registration(REDIRECT))
        .client("mcp-server", sandbox.registration(REDIRECT))
        .http_client(sandbox.clone())
        .clock(clock.clone())
        .build()
        .unwrap();
    Host {
        resolver: Resolver::new(connections.clone()),
        sandbox,
        clock,
        connections,
    }
}

fn user(name: &str) -> ActingUser {
    ActingUser::authenticated("acme", name).unwrap()
}

impl Host {
    fn connect(&self, name: &str, id_token: &str, options: ConsentOptions) -> Result<(), Error> {
        let connected =
            self.connections
                .connect_with_identity(&user(name), "mcp", "sandbox", id_token, options);
        connected.map(drop)
    }

    /// Calls the tool that says who is calling.
    fn who(&self, name: &str) -> Result<String, Error> {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami"}}"#;
        let request = http::Request::post("https://mcp.sandbox.test/mcp")
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .body(call.as_bytes().to_vec())
            .unwrap();
        let answer = self.resolver.send(&user(name), "mcp", request)?;
        let answer: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        let text = answer["result"]["content"][0]["text"].as_str();
        Ok(text.unwrap().to_owned())
    }
}

#[test]
fn each_user_acts_under_the_identity_that_the_organization_asserts() {
    let host = host();
    for name in ["ada", "grace"] {
        let id_token = host.sandbox.id_token(name);
        host.connect(name, &id_token, ConsentOptions::default()).unwrap();
    }
    assert_eq!(host.who("ada").unwrap(), "ada");
    assert_eq!(host.who("grace").unwrap(), "grace");
    assert!(matches!(host.who("mary"), Err(Error::ConsentRequired(_))));

    let log = host.sandbox.log();
    let [exchange, grant, ..] = log.as_slice() else {
        panic!("two requests for each user");
    };
    assert_eq!(exchange.address(), "https://sandbox.test/token");
    for (name, value) in [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:id-jag"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ("audience", Sandbox::MCP_ISSUER),
        ("resource", Sandbox::MCP_SERVER),
        ("scope", "mcp.read"),
    ] {
        assert_eq!(exchange.parameter(name), Some(value), "{name}");
    }
    assert_eq!(grant.address(), "https://auth.sandbox.test/token");
    assert_eq!(
        grant.parameter("grant_type"),
        Some("urn:ietf:params:oauth:grant-type:jwt-bearer")
    );
    assert_eq!(grant.parameter("resource"), Some(Sandbox::MCP_SERVER));
    // The identity goes to the organization's server alone.
    assert!(grant.parameter("subject_token").is_none());
}

#[test]
fn an_expired_token_is_replaced_with_a_new_identity_and_a_revoked_one_is_gone() {
    let host = host();
    let id_token = host.sandbox.id_token("ada");
    host.connect("ada", &id_token, ConsentOptions::default()).unwrap();
    host.clock.advance(Duration::from_secs(2 * 3600));
    let Err(Error::ConsentRequired(_)) = host.who("ada") else {
        panic!("there is no refresh token");
    };
    let ada = user("ada");
    let connections = host.connections.list(&ada, &Default::default()).unwrap();
    let id = connections[0].id;
    host.connect("ada", &id_token, ConsentOptions::default().reconnect(id))
        .unwrap();
    assert_eq!(host.who("ada").unwrap(), "ada");
    assert_eq!(host.connections.list(&ada, &Default::default()).unwrap().len(), 1);

    host.connections.revoke(&ada, id).unwrap();
    assert!(host.sandbox.live_grants().is_empty());
    assert!(matches!(host.who("ada"), Err(Error::ConsentRequired(_))));
}

#[test]
fn a_refusal_of_either_server_stores_nothing() {
    let host = host();
    let refused = |error: &Error| {
        matches!(
            error,
            Error::Consent(ConsentError::ExchangeFailed(FailureCode::GrantRejected))
        )
    };
    let error = host
        .connect("ada", "forged", ConsentOptions::default())
        .unwrap_err();
    assert!(refused(&error), "{error:?}");
    assert_eq!(host.sandbox.count("/token"), 1, "the second server was not asked");

    // The second server refuses the assertion: it knows no such client.
    let id_token = host.sandbox.id_token("ada");
    host.sandbox.answer_at("https://auth.sandbox.test/token", |_| {
        Ok(valetkey::http::HttpResponse::new(
            http::StatusCode::BAD_REQUEST,
            r#"{"error":"invalid_grant"}"#,
        ))
    });
    let error = host
        .connect("ada", &id_token, ConsentOptions::default())
        .unwrap_err();
    assert!(refused(&error), "{error:?}");
    host.sandbox.answer_as_usual_at("https://auth.sandbox.test/token");

    for (body, expected) in [
        (
            r#"{"access_token":"x","issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}"#,
            FailureCode::UnreadableAnswer,
        ),
        (
            r#"{"issued_token_type":"urn:ietf:params:oauth:token-type:id-jag"}"#,
            FailureCode::UnreadableAnswer,
        ),
        ("[]", FailureCode::UnreadableAnswer),
    ] {
        host.sandbox.answer_at("https://sandbox.test/token", move |_| {
            Ok(valetkey::http::HttpResponse::new(http::StatusCode::OK, body))
        });
        let error = host
            .connect("ada", &id_token, ConsentOptions::default())
            .unwrap_err();
        assert!(
            matches!(&error, Error::Consent(ConsentError::ExchangeFailed(code)) if *code == expected),
            "{body}: {error:?}"
        );
    }
    host.sandbox.answer_as_usual_at("https://sandbox.test/token");
    host.sandbox
        .adjust(|it| it.token_outage = Some(Refusal::Html(502)));
    host.connect("ada", &id_token, ConsentOptions::default())
        .unwrap_err();
    let ada = user("ada");
    assert!(
        host.connections
            .list(&ada, &Default::default())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn an_identity_for_another_resource_or_server_is_refused() {
    for change in [
        |server: AuthorizationServer| server.issuer("https://other.test"),
        |server: AuthorizationServer| server.resource("https://mcp.sandbox.test/other"),
    ] {
        let host = host_with(change);
        let id_token = host.sandbox.id_token("ada");
        let error = host
            .connect("ada", &id_token, ConsentOptions::default())
            .unwrap_err();
        assert!(
            matches!(
                error,
                Error::Misconfigured(Misconfigured::RequestRejected { .. })
                    | Error::Consent(ConsentError::ExchangeFailed(_))
            ),
            "{error:?}"
        );
        assert_eq!(host.sandbox.count("/token"), 1);
    }
}

#[test]
fn an_unknown_identity_provider_is_the_administrators_mistake() {
    let host = host();
    let id_token = host.sandbox.id_token("ada");
    let error = host
        .connections
        .connect_with_identity(&user("ada"), "mcp", "okta", &id_token, ConsentOptions::default())
        .unwrap_err();
    assert!(
        matches!(&error, Error::Misconfigured(Misconfigured::UnknownServer(id)) if id.as_str() == "okta"),
        "{error:?}"
    );
    assert!(host.sandbox.log().is_empty());
}

#[test]
fn neither_the_identity_nor_the_assertion_is_printed_or_stored() {
    let host = host();
    let id_token = host.sandbox.id_token("ada");
    host.connect("ada", &id_token, ConsentOptions::default()).unwrap();
    let ada = user("ada");
    let shown = format!(
        "{:?} {:?} {:?}",
        host.connections,
        host.connections.list(&ada, &Default::default()).unwrap(),
        host.connections.audit(&ada, &Default::default()).unwrap()
    );
    for secret in host.sandbox.issued_secrets() {
        assert!(!shown.contains(&secret));
    }
}
