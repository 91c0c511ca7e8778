//! A host that knows nothing but the URL of the sandbox's MCP server.

use std::sync::Arc;

use serde_json::{Value, json};
use valetkey::connections::{McpClient, McpOptions};
use valetkey::model::Connection;
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::{SealedVault, Vault};
use valetkey::{ActingUser, AuthorizationResponse, Connections, Consent, Resolver, Result, TenantId};

pub(crate) const SERVER: &str = Sandbox::MCP_SERVER;
pub(crate) const ISSUER: &str = Sandbox::MCP_ISSUER;
pub(crate) const REDIRECT: &str = "https://agent.example/callback";

/// The host, its sandbox and its clock.
pub(crate) struct Host {
    pub(crate) sandbox: Sandbox,
    pub(crate) clock: ManualClock,
    pub(crate) vault: Arc<dyn Vault>,
    pub(crate) connections: Connections,
    pub(crate) resolver: Resolver,
}

impl Host {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::default();
        let sandbox = Sandbox::playing_mcp(clock.clone());
        Self::over(Arc::new(SealedVault::in_memory()), sandbox, clock)
    }

    pub(crate) fn over(vault: Arc<dyn Vault>, sandbox: Sandbox, clock: ManualClock) -> Self {
        Self::with(vault, sandbox, clock, McpClient::new("Agent", REDIRECT))
    }

    pub(crate) fn with(
        vault: Arc<dyn Vault>,
        sandbox: Sandbox,
        clock: ManualClock,
        client: McpClient,
    ) -> Self {
        let connections = Connections::builder(Arc::clone(&vault))
            .mcp(client)
            .http_client(sandbox.clone())
            .clock(clock.clone())
            .build()
            .unwrap();
        Self {
            resolver: Resolver::new(connections.clone()),
            sandbox,
            clock,
            vault,
            connections,
        }
    }

    pub(crate) fn start(&self, who: &ActingUser) -> Result<Consent> {
        self.connections.start_mcp(who, SERVER, McpOptions::default())
    }

    pub(crate) fn finish(&self, who: &ActingUser, consent: &Consent, account: &str) -> Result<Connection> {
        let callback = self.sandbox.approve(consent.authorization_url().clone(), account);
        let response = AuthorizationResponse::parse(&callback).unwrap();
        self.connections.complete(who, response, consent.binding())
    }

    pub(crate) fn connect(&self, who: &ActingUser, account: &str) -> Connection {
        let consent = self.start(who).unwrap();
        self.finish(who, &consent, account).unwrap()
    }

    /// Calls a tool of the server. Returns the status and the text of the answer.
    pub(crate) fn call(&self, who: &ActingUser, tool: &str) -> Result<(u16, String)> {
        let message = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": tool, "arguments": { "text": "hello" } },
        });
        let request = http::Request::post(SERVER)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .body(message.to_string().into_bytes())
            .unwrap();
        let answer = self.resolver.turn(who.clone()).send(SERVER, request)?;
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let text = body["result"]["content"][0]["text"].as_str().unwrap_or_default();
        Ok((answer.status().as_u16(), text.to_owned()))
    }

    /// Returns the number of requests to a path so far.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.sandbox.count(path)
    }
}

pub(crate) fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

pub(crate) fn person(name: &str) -> ActingUser {
    ActingUser::authenticated(tenant(), name).unwrap()
}
