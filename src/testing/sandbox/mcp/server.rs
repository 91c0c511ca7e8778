//! The MCP server itself: JSON-RPC over one HTTP address, with two tools.

use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use super::places::metadata_addresses;
use crate::http::HttpResponse;
use crate::model::Timestamp;
use crate::testing::sandbox::account::TestAccount;
use crate::testing::sandbox::log::Received;
use crate::testing::sandbox::refusal::json as answer_json;
use crate::testing::sandbox::resource::{Challenge, presented};
use crate::testing::sandbox::state::World;

/// The revisions of the protocol that the server speaks, the latest first.
const REVISIONS: [&str; 4] = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"];

/// The user on whose behalf a request is made.
struct Caller {
    account: TestAccount,
    writes: bool,
}

/// Answers a request to the server.
pub(super) fn answer(world: &mut World, received: &Received, resource: &str, now: Timestamp) -> HttpResponse {
    let caller = if world.personality.requires_token {
        match caller(world, received, resource, now) {
            Ok(caller) => Some(caller),
            Err(challenge) => return challenged(world, resource, &challenge),
        }
    } else {
        None
    };
    if received.method != Method::POST {
        return HttpResponse::new(StatusCode::METHOD_NOT_ALLOWED, "");
    }
    let accepted = received.header(&header::ACCEPT).unwrap_or_default();
    if !accepted.contains("application/json") || !accepted.contains("text/event-stream") {
        return HttpResponse::new(StatusCode::NOT_ACCEPTABLE, "");
    }
    let Ok(message) = serde_json::from_str::<Value>(&received.body) else {
        return answer_json(400, &error(&Value::Null, -32700, "Parse error"));
    };
    let Some(id) = message.get("id") else {
        return HttpResponse::new(StatusCode::ACCEPTED, "");
    };
    match message["method"].as_str() {
        Some("initialize") => result(id, initialized(&message)),
        Some("ping") => result(id, json!({})),
        Some("tools/list") => result(id, tools()),
        Some("tools/call") => match message["params"]["name"].as_str() {
            Some("whoami") => result(id, who(caller.as_ref())),
            Some("add_note") => match caller {
                Some(caller) if caller.writes => result(id, add_note(world, caller.account, &message)),
                Some(_) => challenged(world, resource, &Challenge::InsufficientScope("mcp.write")),
                None => result(id, text("Only a signed-in user has notes.", true)),
            },
            _ => answer_json(200, &error(id, -32602, "Unknown tool")),
        },
        _ => answer_json(200, &error(id, -32601, "Method not found")),
    }
}

/// Returns the user of the request's token, if it was issued for this resource by an authorization
/// server that the resource names now.
fn caller(world: &World, received: &Received, resource: &str, now: Timestamp) -> Result<Caller, Challenge> {
    let grant = presented(world, received, now)?;
    let is_for_this = !world.personality.checks_resource || grant.resource.as_deref() == Some(resource);
    if !is_for_this || !world.mcp.issuers_of(resource).contains(&grant.issuer) {
        return Err(Challenge::InvalidToken);
    }
    if !grant.scopes.contains("mcp.read") {
        return Err(Challenge::InsufficientScope("mcp.read"));
    }
    Ok(Caller {
        account: grant.account,
        writes: grant.scopes.contains("mcp.write"),
    })
}

/// Returns the challenge with the metadata of the resource
/// ([RFC 9728 §5.1](https://www.rfc-editor.org/rfc/rfc9728#section-5.1)).
fn challenged(world: &World, resource: &str, challenge: &Challenge) -> HttpResponse {
    let usual = world.personality.challenge_scope.as_deref();
    let (status, error, scope) = match challenge {
        Challenge::NoToken => (401, None, usual),
        Challenge::InvalidToken => (401, Some("invalid_token"), usual),
        Challenge::InsufficientScope(scope) => (403, Some("insufficient_scope"), Some(*scope)),
    };
    let metadata = metadata_addresses(resource).into_iter().next();
    let metadata = metadata.filter(|_| world.personality.challenge_names_metadata);
    let parameters = [
        ("error", error),
        ("scope", scope),
        ("resource_metadata", metadata.as_deref()),
    ];
    let parameters: Vec<String> = parameters
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}=\"{}\"", value?)))
        .collect();
    let value = format!("Bearer {}", parameters.join(", "));
    let value = HeaderValue::from_str(value.trim_end()).expect("the challenge is a legal header value");
    answer_json(status, &json!({ "error": error.unwrap_or("unauthorized") }))
        .with_header(header::WWW_AUTHENTICATE, value)
}

fn initialized(message: &Value) -> Value {
    let asked = message["params"]["protocolVersion"].as_str();
    let revision = asked.filter(|asked| REVISIONS.contains(asked));
    json!({
        "protocolVersion": revision.unwrap_or(REVISIONS[1]),
        "capabilities": { "tools": {} },
        "serverInfo": { "name": "valetkey-sandbox", "version": env!("CARGO_PKG_VERSION") },
    })
}

fn tools() -> Value {
    json!({ "tools": [
        {
            "name": "whoami",
            "description": "Returns the account on whose behalf the tool is called.",
            "inputSchema": { "type": "object", "properties": {} },
        },
        {
            "name": "add_note",
            "description": "Adds a note to the account.",
            "inputSchema": {
                "type": "object",
                "properties": { "text": { "type": "string" } },
                "required": ["text"],
            },
        },
    ] })
}

fn who(caller: Option<&Caller>) -> Value {
    text(caller.map_or("anonymous", |caller| caller.account.id), false)
}

fn add_note(world: &mut World, account: TestAccount, message: &Value) -> Value {
    let Some(note) = message["params"]["arguments"]["text"].as_str() else {
        return text("The note has no text.", true);
    };
    let notes = world.notes.entry(account.id).or_default();
    notes.push(note.to_owned());
    text(&format!("{} has {} notes", account.id, notes.len()), false)
}

fn text(text: &str, is_error: bool) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": is_error })
}

fn result(id: &Value, result: Value) -> HttpResponse {
    answer_json(200, &json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

fn error(id: &Value, code: i64, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}
