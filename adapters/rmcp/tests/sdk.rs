//! An rmcp client at servers of the official Python SDK, which it knows by their URL alone.
//! `tests/mcp_sdk/run` starts the servers and runs these tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use rmcp::ServiceExt as _;
use rmcp::model::CallToolRequestParams;
use rmcp::service::{RoleClient, RunningService, ServiceError};
use url::Url;
use valetkey::connections::{ConnectionFilter, McpClient, McpOptions};
use valetkey::http::{HttpClient as _, HttpRequest, UreqClient};
use valetkey::vault::SealedVault;
use valetkey::{ActingUser, AuthorizationResponse, Connections, Error, Resolver};
use valetkey_rmcp::{TurnClient, error_of};

const SERVER: &str = "VALETKEY_MCP_SERVER";
const SERVER_OF_OIDC: &str = "VALETKEY_MCP_SERVER_OF_OIDC";

const CALLBACK: &str = "http://127.0.0.1/callback";

struct Host {
    url: String,
    connections: Connections,
    resolver: Resolver,
}

impl Host {
    /// Returns a host for the server that this variable names.
    fn new(variable: &str) -> Self {
        let connections = Connections::builder(SealedVault::in_memory())
            .mcp(McpClient::new("valetkey test", CALLBACK))
            .http_client(client())
            .dangerous_loopback_http()
            .dangerous_private_addresses()
            .build()
            .unwrap();
        Self {
            url: std::env::var(variable).expect("the variable names the server"),
            resolver: Resolver::new(connections.clone()),
            connections,
        }
    }

    fn connect(&self, name: &str) {
        let user = user(name);
        let consent = self
            .connections
            .start_mcp(&user, &self.url, McpOptions::default())
            .unwrap();
        let callback = browse(consent.authorization_url(), name);
        let response = AuthorizationResponse::parse(&callback).unwrap();
        self.connections
            .complete(&user, response, consent.binding())
            .unwrap();
    }

    async fn serve(&self, name: &str) -> RunningService<RoleClient, ()> {
        let turn = Arc::new(self.resolver.turn(user(name)));
        let client = TurnClient::new(turn, self.url.as_str());
        ().serve(client.transport(self.url.as_str())).await.unwrap()
    }

    fn revoke(&self, name: &str) {
        let all = ConnectionFilter::default();
        let connection = self.connections.list(&user(name), &all).unwrap().remove(0);
        let report = self.connections.revoke(&user(name), connection.id).unwrap();
        assert!(format!("{report:?}").contains("Revoked"), "{report:?}");
    }

    /// Changes the state of the server, by an address that only the test uses.
    fn tell(&self, path: &str) {
        let url = self.url.replace("/mcp", path).parse().unwrap();
        let answer = client().send(HttpRequest::new(Method::POST, url)).unwrap();
        assert_eq!(answer.status, 204);
    }
}

fn client() -> UreqClient {
    UreqClient::new().dangerous_loopback_http()
}

fn user(name: &str) -> ActingUser {
    ActingUser::authenticated("acme", name).unwrap()
}

/// Plays the browser of a user who signs in where the server asks for it, and returns the callback.
fn browse(start: &Url, name: &str) -> String {
    let mut url = start.clone();
    let mut cookies: BTreeMap<String, String> = BTreeMap::new();
    for _ in 0..10 {
        if url.path().starts_with("/login") {
            url.query_pairs_mut().append_pair("user", name);
        }
        let jar: Vec<String> = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = HttpRequest::new(Method::GET, url.clone());
        if !jar.is_empty() {
            request = request.with_header(COOKIE, jar.join("; ").parse().unwrap());
        }
        let answer = client().send(request).unwrap();
        assert!(
            answer.status.is_redirection(),
            "{} at {}",
            answer.status,
            url.path()
        );
        for cookie in answer.headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = cookie.split_once('=').unwrap();
            cookies.insert(name.to_owned(), value.to_owned());
        }
        let location = answer.headers[LOCATION].to_str().unwrap();
        url = url.join(location).unwrap();
        if url.as_str().starts_with(CALLBACK) {
            return url.into();
        }
    }
    panic!("the server redirects without end");
}

async fn who(service: &RunningService<RoleClient, ()>) -> Result<String, ServiceError> {
    let answer = service.call_tool(CallToolRequestParams::new("whoami")).await?;
    let answer = serde_json::to_value(&answer).unwrap();
    Ok(answer["content"][0]["text"].as_str().unwrap().to_owned())
}

fn needs_consent(error: &ServiceError) -> bool {
    matches!(error_of(error), Some(Error::ConsentRequired(_)))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the servers that tests/mcp_sdk/run starts"]
async fn two_users_are_connected_by_the_url_alone() {
    let host = Host::new(SERVER);
    for name in ["ada", "grace"] {
        host.connect(name);
    }
    let (ada, grace) = (host.serve("ada").await, host.serve("grace").await);
    assert_eq!(who(&ada).await.unwrap(), "ada");
    assert_eq!(who(&grace).await.unwrap(), "grace");

    // The server refuses all access tokens: they are refreshed within the call.
    host.tell("/expire");
    assert_eq!(who(&ada).await.unwrap(), "ada");
    assert_eq!(who(&grace).await.unwrap(), "grace");

    host.revoke("grace");
    let error = who(&grace).await.unwrap_err();
    assert!(needs_consent(&error), "{error:?}");
    assert_eq!(who(&ada).await.unwrap(), "ada");

    // The server forgets its clients: the next consent registers a new one.
    host.tell("/forget-clients");
    host.tell("/expire");
    let error = who(&ada).await.unwrap_err();
    assert!(needs_consent(&error), "{error:?}");
    host.connect("ada");
    let ada = host.serve("ada").await;
    assert_eq!(who(&ada).await.unwrap(), "ada");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the servers that tests/mcp_sdk/run starts"]
async fn the_authorization_server_may_be_an_openid_provider() {
    let host = Host::new(SERVER_OF_OIDC);
    for name in ["ada", "grace"] {
        host.connect(name);
    }
    let (ada, grace) = (host.serve("ada").await, host.serve("grace").await);
    assert_eq!(who(&ada).await.unwrap(), "ada");
    assert_eq!(who(&grace).await.unwrap(), "grace");

    host.revoke("grace");
    let error = who(&grace).await.unwrap_err();
    assert!(needs_consent(&error), "{error:?}");
    assert_eq!(who(&ada).await.unwrap(), "ada");
}
