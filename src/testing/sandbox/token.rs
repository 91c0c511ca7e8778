//! The token endpoint ([RFC 6749 §3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::account::TestAccount;
use super::client::authenticate;
use super::grant::{GrantId, fresh};
use super::identity;
use super::log::Received;
use super::personality::{ExpiresIn, Personality, RefreshTokenEcho, ScopeEcho};
use super::refusal::json_text;
use super::refused::{Refused, parameter};
use super::state::World;
use super::surface::about;
use crate::http::HttpResponse;
use crate::model::{Scope, Scopes, Timestamp};

/// The tokens of a response.
struct Tokens {
    access: String,
    refresh: Option<String>,
    id: Option<String>,
    scopes: Scopes,
    more: Vec<(String, String)>,
}

/// The answer of the token endpoint.
enum Answer {
    Tokens(Tokens),
    Assertion(HttpResponse),
}

/// Answers a token request.
pub(super) fn answer(world: &mut World, received: &Received, issuer: &str, now: Timestamp) -> HttpResponse {
    if let Some(outage) = &world.personality.token_outage {
        return outage.answer("server_error");
    }
    match issue(world, received, issuer, now) {
        Ok(Answer::Tokens(tokens)) => written(&world.personality, &tokens),
        Ok(Answer::Assertion(answer)) => answer,
        Err(refused) => refused.answer(world),
    }
}

fn issue(world: &mut World, received: &Received, issuer: &str, now: Timestamp) -> Result<Answer, Refused> {
    let usual = world.personality.described.client_authentication;
    let client = authenticate(world, received, issuer, usual, now)?;
    let client = Caller { id: &client, issuer };
    match parameter(received, "grant_type")? {
        Some("authorization_code") => exchange(world, received, client, now).map(Answer::Tokens),
        Some("refresh_token") => refresh(world, received, client, now).map(Answer::Tokens),
        Some(identity::TOKEN_EXCHANGE) => {
            identity::exchange(world, received, client.id, now).map(Answer::Assertion)
        }
        Some(identity::JWT_BEARER) => {
            let grant = identity::accept(world, received, (client.id, client.issuer), now)?;
            let access = world.grants.issue_access(grant, expiry(&world.personality, now));
            Ok(Answer::Tokens(completed(world, grant, access, None)))
        }
        Some(_) => Err(Refused::UnsupportedGrantType),
        None => Err(Refused::InvalidRequest),
    }
}

/// The authenticated client, and the issuer whose endpoint it called.
#[derive(Clone, Copy)]
struct Caller<'a> {
    id: &'a str,
    issuer: &'a str,
}

/// Checks that the request names the resource of its code or grant
/// ([RFC 8707 §2.2](https://www.rfc-editor.org/rfc/rfc8707#section-2.2)).
fn names_resource(received: &Received, granted: Option<&str>) -> Result<(), Refused> {
    let named = parameter(received, "resource").map_err(|_| Refused::InvalidTarget)?;
    match granted {
        Some(granted) if named != Some(granted) => Err(Refused::InvalidTarget),
        _ => Ok(()),
    }
}

fn exchange(
    world: &mut World,
    received: &Received,
    client: Caller<'_>,
    now: Timestamp,
) -> Result<Tokens, Refused> {
    let code = parameter(received, "code")?.ok_or(Refused::InvalidRequest)?;
    let redirect_uri = parameter(received, "redirect_uri")?;
    let verifier = parameter(received, "code_verifier")?;
    if let Some(issued) = world.grants.code(code) {
        if issued.issuer != client.issuer {
            return Err(Refused::InvalidGrant);
        }
        names_resource(received, issued.resource.as_deref())?;
    }
    let join = world.personality.one_grant_per_account;
    let grant = world
        .grants
        .redeem(code, client.id, redirect_uri, verifier, join, now)
        .map_err(|_| Refused::InvalidGrant)?;
    let access = world.grants.issue_access(grant, expiry(&world.personality, now));
    let offline = world.personality.offline_scope.as_deref();
    let offline = offline.is_none_or(|scope| world.grants.grant(grant).scopes.contains(scope));
    let may_refresh = world
        .client(client.issuer, client.id)
        .is_none_or(|client| client.may_refresh);
    let refresh = (world.personality.issues_refresh_tokens && offline && may_refresh)
        .then(|| world.grants.issue_refresh(grant));
    Ok(completed(world, grant, access, refresh))
}

fn refresh(
    world: &mut World,
    received: &Received,
    client: Caller<'_>,
    now: Timestamp,
) -> Result<Tokens, Refused> {
    let token = parameter(received, "refresh_token")?.ok_or(Refused::InvalidRequest)?;
    let personality = world.personality.clone();
    let grant = world
        .grants
        .refreshable(token, personality.described.rotation, now)
        .map_err(|_| Refused::InvalidGrant)?;
    let granted = world.grants.grant(grant);
    if granted.client != client.id || granted.issuer != client.issuer {
        return Err(Refused::InvalidGrant);
    }
    names_resource(received, granted.resource.as_deref())?;
    for name in &personality.refresh_requires {
        if parameter(received, name)?.is_none_or(str::is_empty) {
            return Err(Refused::InvalidRequest);
        }
    }
    if personality.reuse_repeats_access_token
        && world.grants.is_replaced(token)
        && let Some(access) = world.grants.latest_access(grant)
    {
        return Ok(completed(world, grant, access, None));
    }
    if let Some(asked) = parameter(received, "scope")? {
        narrow(world, grant, asked)?;
    }
    let refresh = match world.grants.rotate(token, personality.described.rotation, now) {
        Some(new) => Some(new),
        None => match personality.static_refresh_token {
            RefreshTokenEcho::Omit => None,
            RefreshTokenEcho::Repeat => Some(token.to_owned()),
            RefreshTokenEcho::Empty => Some(String::new()),
        },
    };
    let expires_at = expiry(&personality, now);
    let same = if personality.repeats_access_token {
        world.grants.prolong_access(grant, expires_at)
    } else {
        None
    };
    let access = match same {
        Some(access) => access,
        None => {
            if personality.refresh_kills_old_access_token {
                world.grants.kill_access_tokens(|of| of == grant);
            }
            world.grants.issue_access(grant, expires_at)
        }
    };
    Ok(completed(world, grant, access, refresh))
}

/// A `scope` in a refresh request permanently narrows the grant, as at some servers; it can never
/// widen it ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)).
fn narrow(world: &mut World, grant: GrantId, asked: &str) -> Result<(), Refused> {
    let asked: Scopes = asked.parse().map_err(|_| Refused::InvalidScope)?;
    if !asked.difference(&world.grants.grant(grant).scopes).is_empty() {
        return Err(Refused::InvalidScope);
    }
    world.grants.narrow(grant, asked);
    Ok(())
}

fn completed(world: &mut World, grant: GrantId, access: String, refresh: Option<String>) -> Tokens {
    let signed_in = world.is_mcp_issuer(&world.grants.grant(grant).issuer)
        && world.grants.grant(grant).scopes.contains("openid");
    let id = (world.personality.id_token || signed_in).then(|| id_token(world, grant));
    world.other_secrets.extend(id.clone());
    Tokens {
        access,
        refresh,
        id,
        scopes: echoed(&world.personality, &world.grants.grant(grant).scopes),
        more: world
            .personality
            .more_members
            .iter()
            .map(|(name, json)| (name.clone(), about(&world.grants.grant(grant).account, json)))
            .collect(),
    }
}

/// Returns an ID token for the account of a grant.
fn id_token(world: &World, grant: GrantId) -> String {
    let grant = world.grants.grant(grant);
    let payload = match &world.personality.id_token_payload {
        Some(payload) => about(&grant.account, payload),
        None => id_token_payload(&grant.issuer, &grant.account, &grant.client),
    };
    jwt(&payload)
}

/// Returns the usual payload of an ID token.
pub(super) fn id_token_payload(issuer: &str, account: &TestAccount, client: &str) -> String {
    let claims = serde_json::json!({
        "iss": issuer,
        "sub": account.id,
        "aud": client,
        "email": account.email,
    });
    claims.to_string()
}

/// Returns a JWT whose signature is a random value that a leak test can search for.
pub(super) fn jwt(payload: &str) -> String {
    format!(
        "{}.{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        URL_SAFE_NO_PAD.encode(payload),
        fresh("sbx-id-")
    )
}

/// Returns the scopes by their names in the response.
fn echoed(personality: &Personality, scopes: &Scopes) -> Scopes {
    scopes
        .iter()
        .filter_map(|scope| match personality.scope_names.get(scope.as_str()) {
            Some(name) => Scope::new(name.as_str()).ok(),
            None => Some(scope.clone()),
        })
        .collect()
}

fn expiry(personality: &Personality, now: Timestamp) -> Option<Timestamp> {
    personality.access_token_lifetime.map(|lifetime| now + lifetime)
}

/// Returns the response as text: some of its variants are JSON that no JSON library would write.
fn written(personality: &Personality, tokens: &Tokens) -> HttpResponse {
    let mut members = vec![("access_token", quoted(&tokens.access))];
    if let Some(kind) = &personality.token_type {
        members.push(("token_type", quoted(kind)));
    }
    if let Some(seconds) = expires_in(personality) {
        members.push(("expires_in", seconds));
    }
    if let Some(refresh) = &tokens.refresh {
        members.push(("refresh_token", quoted(refresh)));
    }
    let scopes = &tokens.scopes;
    match personality.scope_echo {
        ScopeEcho::Spaces => members.push(("scope", quoted(&scopes.join(" ")))),
        ScopeEcho::Commas => members.push(("scope", quoted(&scopes.join(",")))),
        ScopeEcho::Array => {
            let list: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
            members.push(("scope", serde_json::json!(list).to_string()));
        }
        ScopeEcho::Absent => {}
    }
    if let Some(id) = &tokens.id {
        members.push(("id_token", quoted(id)));
    }
    members.extend(
        tokens
            .more
            .iter()
            .map(|(name, json)| (name.as_str(), json.clone())),
    );
    let members: Vec<String> = members
        .into_iter()
        .map(|(name, value)| format!("{}:{value}", quoted(name)))
        .collect();
    json_text(personality.token_status, format!("{{{}}}", members.join(",")))
}

fn expires_in(personality: &Personality) -> Option<String> {
    if let ExpiresIn::Literal(json) = &personality.expires_in {
        return Some(json.clone());
    }
    let seconds = personality.access_token_lifetime?.as_secs();
    match personality.expires_in {
        ExpiresIn::Number => Some(seconds.to_string()),
        ExpiresIn::Text => Some(quoted(&seconds.to_string())),
        ExpiresIn::Float => Some(format!("{seconds}.0")),
        ExpiresIn::Absent | ExpiresIn::Literal(_) => None,
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
