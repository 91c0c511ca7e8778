//! An MCP server: a tool needs a consent, the client shows the link, and the same call succeeds
//! afterwards.
//!
//! `cargo run --example host_mcp`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;

use http::Request;
use serde_json::{Value, json};
use valetkey::Error as ValetkeyError;
use valetkey::gateway::Mount;
use valetkey::resolver::Turn;
use valetkey::resolver::mcp::{RequestStateKey, input_required};
use valetkey::testing::Host;
use valetkey::vault::MasterKey;

/// Answers `tools/call`. The turn belongs to the user whom the server authenticated, whatever the
/// client sends.
fn call(turn: &Turn, states: &RequestStateKey, parameters: &Value) -> Result<Value, Box<dyn Error>> {
    if let Some(state) = parameters["requestState"].as_str() {
        states.open(turn, "tools/call", parameters, state)?;
    }
    match turn.send("notes", Request::get("/notes").body(Vec::new())?) {
        Ok(notes) => {
            let text = String::from_utf8_lossy(notes.body());
            Ok(json!({ "content": [{ "type": "text", "text": turn.redact(&text) }] }))
        }
        Err(ValetkeyError::ConsentRequired(need)) => {
            let asked = turn.ask(&need)?;
            let link = Mount::new("https://agent.example")?.connect_url(asked.prepared().ticket());
            let state = states.seal(turn, "tools/call", parameters, &[&asked])?;
            Ok(input_required(&[(&asked, &link)], Some(&state)))
        }
        Err(error) => Err(error.into()),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let host = Host::new();
    let states = RequestStateKey::of(&MasterKey::generate()?);
    let ada = host.user("ada");
    let mut parameters = json!({ "name": "read_notes", "arguments": { "limit": 10 } });
    let asked = call(&host.resolver.turn(ada.clone()), &states, &parameters)?;
    println!("the client is asked to show a link: {asked:#}");
    // The link opens the gateway, which leads her browser to the provider and back.
    host.connect(&ada, "notes");
    parameters["requestState"] = asked["requestState"].clone();
    let answer = call(&host.resolver.turn(ada), &states, &parameters)?;
    println!("the client calls again: {answer:#}");
    Ok(())
}
