//! Pushed authorization requests ([RFC 9126](https://www.rfc-editor.org/rfc/rfc9126)).

use std::time::Duration;

use serde_json::json;

use super::client::authenticate;
use super::grant::fresh;
use super::log::{Pairs, Received, single};
use super::pending::Pushed;
use super::refusal::json as answer;
use super::refused::Refused;
use super::state::World;
use crate::http::HttpResponse;
use crate::model::Timestamp;

/// The prefix of every reference.
const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// The time within which a reference must be used.
const LIFETIME: Duration = Duration::from_secs(60);

/// `POST` to the endpoint for pushed requests.
pub(super) fn push(world: &mut World, received: &Received, issuer: &str, now: Timestamp) -> HttpResponse {
    if let Some(outage) = &world.personality.push_outage {
        return outage.answer("server_error");
    }
    match stored(world, received, issuer, now) {
        Ok(request_uri) => answer(
            201,
            &json!({ "request_uri": request_uri, "expires_in": LIFETIME.as_secs() }),
        ),
        Err(refused) => refused.answer(world),
    }
}

fn stored(world: &mut World, received: &Received, issuer: &str, now: Timestamp) -> Result<String, Refused> {
    let usual = world.personality.described.client_authentication;
    let client = authenticate(world, received, issuer, usual, now)?;
    let named = single(&received.form, "client_id").map_err(|_| Refused::InvalidRequest)?;
    // RFC 9126 §2.1: the request contains the client's id, and no reference to another request.
    if named != Some(client.as_str()) || received.form.iter().any(|(name, _)| name == "request_uri") {
        return Err(Refused::InvalidRequest);
    }
    let is_credential = |name: &str| name.starts_with("client_") && name != "client_id";
    let parameters = received.form.iter().filter(|(name, _)| !is_credential(name));
    let request_uri = fresh(PREFIX);
    let pushed = Pushed {
        client,
        issuer: issuer.to_owned(),
        parameters: parameters.cloned().collect(),
        expires_at: now + LIFETIME,
    };
    world.pushed.insert(request_uri.clone(), pushed);
    Ok(request_uri)
}

/// Returns the parameters of an authorization request: those of its query, or those that it refers
/// to. A reference is used up.
pub(super) fn parameters(
    world: &mut World,
    query: &Pairs,
    issuer: &str,
    now: Timestamp,
) -> Result<Pairs, &'static str> {
    let reference = single(query, "request_uri").map_err(|_| "The request is named twice.")?;
    let Some(reference) = reference else {
        if world.personality.requires_pushed_requests {
            return Err("Requests must be pushed to this server.");
        }
        return Ok(query.clone());
    };
    let pushed = world.pushed.remove(reference);
    let client = single(query, "client_id").ok().flatten();
    pushed
        .filter(|pushed| Some(pushed.client.as_str()) == client)
        .filter(|pushed| pushed.issuer == issuer && now < pushed.expires_at)
        .map(|pushed| pushed.parameters)
        .ok_or("This request is not known, or was used already.")
}
