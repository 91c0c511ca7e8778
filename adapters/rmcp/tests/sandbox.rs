//! An rmcp client at the sandbox's MCP server, as two users.

use std::sync::Arc;
use std::time::Duration;

use rmcp::ServiceExt as _;
use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::{RoleClient, RunningService};
use valetkey::model::Scopes;
use valetkey::provider::{AuthorizationServer, Provider};
use valetkey::resolver::Turn;
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::SealedVault;
use valetkey::{ActingUser, AuthorizationResponse, Connections, ConsentOptions, Error, Resolver};
use valetkey_rmcp::{TurnClient, error_of};

const REDIRECT: &str = "https://host.test/callback";

struct Host {
    sandbox: Sandbox,
    clock: ManualClock,
    connections: Connections,
    resolver: Resolver,
}

impl Host {
    fn new() -> Self {
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
        );
        let provider = Provider::from_json(
            r#"{
                "id": "mcp",
                "server": "mcp-server",
                "name": "Sandbox MCP",
                "default_scopes": ["mcp.read"],
                "api_hosts": [{"origin": "https://mcp.sandbox.test", "path_prefix": "/mcp"}],
                "api_base": "https://mcp.sandbox.test/mcp"
            }"#,
        );
        let connections = Connections::builder(SealedVault::in_memory())
            .server(server.unwrap().issuer(Sandbox::MCP_ISSUER))
            .provider(provider.unwrap())
            .client("mcp-server", sandbox.registration(REDIRECT))
            .http_client(sandbox.clone())
            .clock(clock.clone())
            .build()
            .unwrap();
        Self {
            resolver: Resolver::new(connections.clone()),
            sandbox,
            clock,
            connections,
        }
    }

    fn connect(&self, name: &str, options: ConsentOptions) {
        let user = user(name);
        let consent = self.connections.start(&user, "mcp", options).unwrap();
        let callback = self.sandbox.approve(consent.authorization_url(), name);
        let response = AuthorizationResponse::parse(&callback).unwrap();
        self.connections
            .complete(&user, response, consent.binding())
            .unwrap();
    }

    async fn serve(&self, name: &str) -> (Arc<Turn>, RunningService<RoleClient, ()>) {
        let turn = Arc::new(self.resolver.turn(user(name)));
        let client = TurnClient::new(Arc::clone(&turn), "mcp");
        let service = ().serve(client.transport(Sandbox::MCP_SERVER)).await.unwrap();
        (turn, service)
    }
}

fn user(name: &str) -> ActingUser {
    ActingUser::authenticated("acme", name).unwrap()
}

fn note() -> CallToolRequestParams {
    let arguments = serde_json::json!({ "text": "hello" });
    CallToolRequestParams::new("add_note").with_arguments(arguments.as_object().unwrap().clone())
}

fn said(answer: &CallToolResult) -> String {
    let answer = serde_json::to_value(answer).unwrap();
    answer["content"][0]["text"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_calls_a_tool_as_themselves() {
    let host = Host::new();
    for name in ["ada", "grace"] {
        host.connect(name, ConsentOptions::default());
    }
    for name in ["ada", "grace"] {
        let (_, service) = host.serve(name).await;
        let tools = service.list_all_tools().await.unwrap();
        assert_eq!(tools.len(), 2);
        let answer = service.call_tool(CallToolRequestParams::new("whoami")).await;
        assert_eq!(said(&answer.unwrap()), name);
        service.cancel().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_refreshed_within_the_call() {
    let host = Host::new();
    host.connect("ada", ConsentOptions::default());
    let (_, service) = host.serve("ada").await;
    // The server refuses the token earlier than it said.
    host.sandbox.expire_access_tokens();
    let answer = service.call_tool(CallToolRequestParams::new("whoami")).await;
    assert_eq!(said(&answer.unwrap()), "ada");
    host.clock.advance(Duration::from_secs(2 * 3600));
    let answer = service.call_tool(CallToolRequestParams::new("whoami")).await;
    assert_eq!(said(&answer.unwrap()), "ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_scope_is_asked_for_and_the_same_call_then_succeeds() {
    let host = Host::new();
    host.connect("ada", ConsentOptions::default());
    let (turn, service) = host.serve("ada").await;
    let error = service.call_tool(note()).await.unwrap_err();
    let Some(Error::ConsentRequired(need)) = error_of(&error) else {
        panic!("{error:?}");
    };
    assert!(format!("{need:?}").contains("MissingScopes"), "{need:?}");
    drop(turn);
    let scopes: Scopes = "mcp.read mcp.write".parse().unwrap();
    let connection = host.connections.list(&user("ada"), &Default::default()).unwrap()[0].id;
    host.connect(
        "ada",
        ConsentOptions::default().scopes(scopes).reconnect(connection),
    );
    let answer = service.call_tool(note()).await.unwrap();
    assert_eq!(said(&answer), "ada has 3 notes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_connection_is_reported_as_such_and_the_other_user_is_not_affected() {
    let host = Host::new();
    host.connect("ada", ConsentOptions::default());
    host.connect("grace", ConsentOptions::default());
    let (_, ada) = host.serve("ada").await;
    let (_, grace) = host.serve("grace").await;
    let connection = host.connections.list(&user("ada"), &Default::default()).unwrap()[0].id;
    host.connections.revoke(&user("ada"), connection).unwrap();
    let error = ada
        .call_tool(CallToolRequestParams::new("whoami"))
        .await
        .unwrap_err();
    assert!(
        matches!(error_of(&error), Some(Error::ConsentRequired(_))),
        "{error:?}"
    );
    let answer = grace.call_tool(CallToolRequestParams::new("whoami")).await;
    assert_eq!(said(&answer.unwrap()), "grace");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_a_connection_gets_no_session() {
    let host = Host::new();
    let turn = Arc::new(host.resolver.turn(user("mary")));
    let client = TurnClient::new(turn, "mcp");
    let error = ().serve(client.transport(Sandbox::MCP_SERVER)).await.unwrap_err();
    assert!(host.sandbox.log().is_empty(), "nothing was sent");
    for secret in host.sandbox.issued_secrets() {
        assert!(!format!("{error:?}").contains(&secret));
    }
}
