//! Resources that require an access token: the account endpoint and a small API for notes.

use http::{HeaderValue, Method, StatusCode, header};
use serde_json::json;

use super::account::TestAccount;
use super::grant::Grant;
use super::log::Received;
use super::refusal::{json as answer, json_text};
use super::state::World;
use super::surface::about;
use crate::http::HttpResponse;
use crate::model::{Scopes, Timestamp};

/// The target of `/api/redirect`: another origin, to which no token may be sent.
pub(super) const ELSEWHERE: &str = "https://elsewhere.test/api/notes";

/// The challenge of [RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1).
pub(super) enum Challenge {
    NoToken,
    InvalidToken,
    InsufficientScope(&'static str),
}

impl From<Challenge> for HttpResponse {
    fn from(challenge: Challenge) -> Self {
        let (status, error, value) = match challenge {
            Challenge::NoToken => (401, "missing_token", "Bearer realm=\"sandbox\"".to_owned()),
            Challenge::InvalidToken => (
                401,
                "invalid_token",
                "Bearer realm=\"sandbox\", error=\"invalid_token\"".to_owned(),
            ),
            Challenge::InsufficientScope(scope) => (
                403,
                "insufficient_scope",
                format!("Bearer realm=\"sandbox\", error=\"insufficient_scope\", scope=\"{scope}\""),
            ),
        };
        let value = HeaderValue::from_str(&value).expect("the challenge is a legal header value");
        answer(status, &json!({ "error": error })).with_header(header::WWW_AUTHENTICATE, value)
    }
}

/// `GET /userinfo`: returns the account.
pub(super) fn userinfo(world: &World, received: &Received, now: Timestamp) -> HttpResponse {
    match bearer(world, received, now) {
        Ok((account, _)) => described(&account),
        Err(challenge) => challenge.into(),
    }
}

fn described(account: &TestAccount) -> HttpResponse {
    answer(
        200,
        &json!({ "sub": account.id, "email": account.email, "name": account.name }),
    )
}

/// The account endpoint of an MCP server's authorization server: needs the scope `openid`.
pub(super) fn signed_in(world: &World, received: &Received, now: Timestamp) -> HttpResponse {
    match presented(world, received, now) {
        Ok(grant) if grant.scopes.contains("openid") => described(&grant.account),
        Ok(_) => Challenge::InsufficientScope("openid").into(),
        Err(challenge) => challenge.into(),
    }
}

/// `GET /api/notes` and `POST /api/notes`: returns the account's notes, or adds one.
pub(super) fn notes(world: &mut World, received: &Received, now: Timestamp) -> HttpResponse {
    let writes = received.method == Method::POST;
    let needed = if writes { "notes.write" } else { "notes.read" };
    let account = match bearer(world, received, now) {
        Ok((account, scopes)) if scopes.contains(needed) => account,
        Ok(_) => return Challenge::InsufficientScope(needed).into(),
        Err(challenge) => return challenge.into(),
    };
    let notes = world.notes.entry(account.id).or_default();
    if writes {
        notes.push(received.body.clone());
    }
    let status = if writes { 201 } else { 200 };
    answer(status, &json!({ "account": account.id, "notes": notes }))
}

/// `PUT /api/file` and `GET /api/file`: stores or returns the account's file.
pub(super) fn file(world: &mut World, received: &Received, put: Vec<u8>, now: Timestamp) -> HttpResponse {
    let writes = received.method == Method::PUT;
    let needed = if writes { "notes.write" } else { "notes.read" };
    let account = match bearer(world, received, now) {
        Ok((account, scopes)) if scopes.contains(needed) => account,
        Ok(_) => return Challenge::InsufficientScope(needed).into(),
        Err(challenge) => return challenge.into(),
    };
    if writes {
        let length = put.len();
        world.files.insert(account.id, put);
        return answer(201, &json!({ "bytes": length }));
    }
    match world.files.get(account.id) {
        Some(file) => HttpResponse::new(StatusCode::OK, file.clone()),
        None => HttpResponse::new(StatusCode::NOT_FOUND, ""),
    }
}

/// `/api/echo`: returns the request's headers including the credential, as a careless API would.
pub(super) fn echo(received: &Received) -> HttpResponse {
    let headers: serde_json::Map<String, serde_json::Value> = received
        .headers
        .iter()
        .map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), text.into())
        })
        .collect();
    answer(
        200,
        &json!({ "method": received.method.as_str(), "headers": headers }),
    )
}

/// `/api/redirect`: a redirect to another origin.
pub(super) fn redirect() -> HttpResponse {
    HttpResponse::new(StatusCode::FOUND, "")
        .with_header(header::LOCATION, HeaderValue::from_static(ELSEWHERE))
}

/// `GET` at a path that accepts any token: returns the account in the service's own format.
pub(super) fn about_account(world: &World, received: &Received, words: &str, now: Timestamp) -> HttpResponse {
    match bearer(world, received, now) {
        Ok((account, _)) => json_text(StatusCode::OK, about(&account, words)),
        Err(challenge) => challenge.into(),
    }
}

/// `DELETE` at the resource that represents a grant: ends the grant of the token.
pub(super) fn delete_grant(world: &mut World, received: &Received, id: &str, now: Timestamp) -> HttpResponse {
    let account = match bearer(world, received, now) {
        Ok((account, _)) => account,
        Err(challenge) => return challenge.into(),
    };
    let token = received
        .header(&header::AUTHORIZATION)
        .and_then(|value| value.split_once(' '));
    let grant = token.and_then(|(_, token)| world.grants.bearer_grant(token, now));
    match grant.filter(|_| id == format!("app-{}", account.id)) {
        Some(grant) => world.grants.end(grant),
        None => return HttpResponse::new(StatusCode::NOT_FOUND, ""),
    }
    answer(200, &json!({ "count": 1 }))
}

/// Returns the account and scopes of the request's access token. A token that is bound to an MCP
/// server is not valid at any other resource.
fn bearer(world: &World, received: &Received, now: Timestamp) -> Result<(TestAccount, Scopes), Challenge> {
    let grant = presented(world, received, now)?;
    match grant.resource {
        Some(_) => Err(Challenge::InvalidToken),
        None => Ok((grant.account, grant.scopes.clone())),
    }
}

/// Returns the grant of the request's access token, wherever it is valid.
pub(super) fn presented<'w>(
    world: &'w World,
    received: &Received,
    now: Timestamp,
) -> Result<&'w Grant, Challenge> {
    let token = received
        .header(&header::AUTHORIZATION)
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token)
        .ok_or(Challenge::NoToken)?;
    world.grants.bearer(token, now).ok_or(Challenge::InvalidToken)
}
