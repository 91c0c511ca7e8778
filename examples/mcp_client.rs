//! Two users of an agent at one MCP server that has its own authorization server. Each connects by
//! the server's URL alone, calls a tool under their own identity, and one of them allows more while
//! the other disconnects. Runs against the sandbox, without network:
//!
//! ```text
//! cargo run --example mcp_client
//! ```

#![allow(clippy::print_stdout, reason = "an example")]

use std::error::Error as StdError;

use serde_json::{Value, json};
use valetkey::connections::{McpClient, McpOptions};
use valetkey::resolver::Turn;
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::SealedVault;
use valetkey::{ActingUser, AuthorizationResponse, Connections, Consent, ConsentOptions, Error, Resolver};

const SERVER: &str = Sandbox::MCP_SERVER;

fn main() -> Result<(), Box<dyn StdError>> {
    // A real host leaves the client out, and opens a vault in a file.
    let sandbox = Sandbox::playing_mcp(ManualClock::default());
    let connections = Connections::builder(SealedVault::in_memory())
        .mcp(McpClient::new("Acme Agent", "https://agent.example/callback"))
        .http_client(sandbox.clone())
        .build()?;
    let resolver = Resolver::new(connections.clone());

    let alice = ActingUser::authenticated("acme", "alice")?;
    let bob = ActingUser::authenticated("acme", "bob")?;
    for (user, account) in [(&alice, "ada"), (&bob, "grace")] {
        // Discovers the authorization server and registers the agent there, once for the tenant.
        let consent = connections.start_mcp(user, SERVER, McpOptions::default())?;
        approve(&connections, &sandbox, user, &consent, account)?;
    }
    println!("registered {} client", sandbox.registered_clients().len());

    for user in [&alice, &bob] {
        let turn = resolver.turn(user.clone());
        let answer = call(&turn, "whoami", &json!({}))?;
        println!("{} acts as {answer}", user.user());
    }

    // The tool needs a scope that Alice has not granted yet. The server named it; the agent accepts
    // that, and sends her to the consent page once more.
    let turn = resolver.turn(alice.clone());
    let note = json!({ "text": "Buy milk" });
    let need = match call(&turn, "add_note", &note) {
        Err(Error::ConsentRequired(need)) => need,
        other => return Err(format!("a missing scope was expected: {other:?}").into()),
    };
    println!("asked: {need}");
    let consent = connections.start(&alice, SERVER, ConsentOptions::from(&*need))?;
    approve(&connections, &sandbox, &alice, &consent, "ada")?;
    println!("added: {}", call(&turn, "add_note", &note)?);

    // Bob disconnects: his tokens are revoked at the server, and Alice is not affected.
    let connection = connections.list(&bob, &Default::default())?.remove(0);
    connections.revoke(&bob, connection.id)?;
    match call(&resolver.turn(bob), "whoami", &json!({})) {
        Err(Error::ConsentRequired(_)) => println!("bob is disconnected"),
        other => return Err(format!("a consent was expected: {other:?}").into()),
    }
    println!("alice still acts as {}", call(&turn, "whoami", &json!({}))?);
    Ok(())
}

/// Plays the user in the browser, and completes the consent at the host's callback.
fn approve(
    connections: &Connections,
    sandbox: &Sandbox,
    user: &ActingUser,
    consent: &Consent,
    account: &str,
) -> Result<(), Error> {
    let callback = sandbox.approve(consent.authorization_url(), account);
    let response = AuthorizationResponse::parse(&callback)?;
    connections.complete(user, response, consent.binding())?;
    Ok(())
}

/// Calls a tool of the MCP server as the user of the turn, and returns the text of its answer.
fn call(turn: &Turn, tool: &str, arguments: &Value) -> Result<String, Error> {
    let message = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": { "name": tool, "arguments": arguments },
    });
    let request = http::Request::post(SERVER)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .body(message.to_string().into_bytes())
        .expect("the request is valid");
    let answer = turn.send(SERVER, request)?;
    let answer: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let text = answer["result"]["content"][0]["text"].as_str();
    Ok(text.unwrap_or("an answer without text").to_owned())
}
