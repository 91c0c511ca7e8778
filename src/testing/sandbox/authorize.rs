//! The authorization endpoint
//! ([RFC 6749 §3.1](https://www.rfc-editor.org/rfc/rfc6749#section-3.1)).

use std::collections::BTreeSet;

use http::{HeaderValue, StatusCode, header};
use url::Url;

use super::grant::{Code, fresh};
use super::log::{Pairs, Received, Repeated, single};
use super::pages;
use super::pending::{Pending, Redirect};
use super::personality::IssuerEcho;
use super::pushed;
use super::state::World;
use crate::http::HttpResponse;
use crate::model::{Scopes, Timestamp};
use crate::provider::{Pkce, loopback_port, with_loopback_port};

/// Responds with the consent page, an error page, or an error redirect.
pub(super) fn ask(world: &mut World, received: &Received, issuer: &str, now: Timestamp) -> HttpResponse {
    let query = match pushed::parameters(world, &received.query, issuer, now) {
        Ok(query) => query,
        Err(what) => return pages::error(what),
    };
    let (client, redirect) = match trusted_redirect(world, &query, issuer) {
        Ok(trusted) => trusted,
        Err(what) => return pages::error(what),
    };
    let (scopes, challenge) = match checked(world, &query) {
        Ok(checked) => checked,
        Err(error) => return redirect.with_error(world, error),
    };
    let resource = match single(&query, "resource") {
        Ok(resource) => world.granted_resource(issuer, resource),
        Err(Repeated) => return redirect.with_error(world, "invalid_target"),
    };
    let Ok(resource) = resource else {
        return redirect.with_error(world, "invalid_target");
    };
    let id = fresh("request-");
    let uniting = world.personality.uniting_parameter.as_ref();
    let unites = uniting.is_some_and(|(name, value)| first(&query, name) == Some(value));
    let returns_to = Url::parse(&redirect.uri).map_or_else(|_| String::new(), |uri| origin(&uri));
    let hint = first(&query, "login_hint").and_then(|hint| world.account(hint));
    let page = pages::consent(&id, &client, &returns_to, &scopes, (&world.accounts, hint));
    let pending = Pending {
        client,
        redirect,
        scopes,
        challenge,
        resource,
        unites,
    };
    world.pending.insert(id, pending);
    page
}

/// Processes the user's decision and redirects the browser.
pub(super) fn decide(world: &mut World, received: &Received, now: Timestamp) -> HttpResponse {
    let form = &received.form;
    let Some(pending) = first(form, "request").and_then(|id| world.pending.remove(id)) else {
        return pages::error("This request is not known, or was answered already.");
    };
    if first(form, "decision") != Some("allow") {
        return pending.redirect.with_error(world, "access_denied");
    }
    let Some(account) = first(form, "account").and_then(|account| world.account(account)) else {
        return pages::error("No account was chosen.");
    };
    let ticked = |scope: &str| form.iter().any(|(name, value)| name == "scope" && value == scope);
    let withheld = &world.personality.withheld_scopes;
    let before = world
        .grants
        .live(now)
        .into_iter()
        .filter(|grant| pending.unites && grant.account.id == account.id);
    let before = before.fold(Scopes::default(), |all, grant| all.union(&grant.scopes));
    let scopes: Scopes = pending
        .scopes
        .iter()
        .filter(|scope| ticked(scope.as_str()) && !withheld.iter().any(|held| held == scope.as_str()))
        .cloned()
        .collect();
    let code = world.grants.issue_code(Code {
        client: pending.client,
        account,
        scopes: scopes.union(&before),
        redirect_uri: pending.redirect.uri.clone(),
        challenge: pending.challenge,
        issuer: pending.redirect.issuer.clone(),
        resource: pending.resource,
        expires_at: now + world.personality.code_lifetime,
    });
    pending.redirect.back(world, &[("code", &code)])
}

/// Returns the client and the redirect URI, if both are valid. Otherwise the browser is not
/// redirected ([RFC 6749 §4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1)).
fn trusted_redirect(world: &World, query: &Pairs, issuer: &str) -> Result<(String, Redirect), &'static str> {
    let client = single(query, "client_id").map_err(|Repeated| "The client is named twice.")?;
    let client = client.ok_or("The client is not known.")?.to_owned();
    let known = world.client(issuer, &client).ok_or("The client is not known.")?;
    let uri = single(query, "redirect_uri").map_err(|Repeated| "The redirect address is named twice.")?;
    match uri {
        Some(uri) if is_registered(known.redirect_uris, uri) => {
            let redirect = Redirect {
                uri: uri.to_owned(),
                state: first(query, "state").map(str::to_owned),
                issuer: issuer.to_owned(),
            };
            Ok((client, redirect))
        }
        _ => Err("The redirect address is not registered for this client."),
    }
}

/// Compares byte for byte, as RFC 9700 §2.1 requires, except for the port of a loopback address
/// (RFC 8252 §7.3).
fn is_registered(redirect_uris: &BTreeSet<String>, uri: &str) -> bool {
    let is_same = |registered: &String, port| with_loopback_port(registered, port).as_deref() == Some(uri);
    redirect_uris.contains(uri)
        || loopback_port(uri).is_some_and(|port| redirect_uris.iter().any(|known| is_same(known, port)))
}

fn checked(world: &World, query: &Pairs) -> Result<(Scopes, Option<String>), &'static str> {
    let invalid = |Repeated| "invalid_request";
    match single(query, "response_type").map_err(invalid)? {
        Some("code") => {}
        Some(_) => return Err("unsupported_response_type"),
        None => return Err("invalid_request"),
    }
    if single(query, "state").map_err(invalid)?.is_none_or(str::is_empty) {
        return Err("invalid_request");
    }
    for (name, value) in &world.personality.required_parameters {
        if single(query, name).map_err(invalid)? != Some(value) {
            return Err("invalid_request");
        }
    }
    let challenge = single(query, "code_challenge").map_err(invalid)?;
    let method = single(query, "code_challenge_method").map_err(invalid)?;
    let well_formed = match world.personality.described.pkce {
        // 32 bytes in base64url are 43 characters; `plain` is rejected.
        Pkce::S256 => method == Some("S256") && challenge.is_some_and(|value| value.len() == 43),
        Pkce::Refused => method.is_none() && challenge.is_none(),
    };
    if !well_formed {
        return Err("invalid_request");
    }
    let scopes = single(query, "scope").map_err(invalid)?;
    if scopes.is_some() && world.personality.refuses_scopes {
        return Err("invalid_scope");
    }
    let separator = world.personality.scope_separator.as_str();
    let named = scopes
        .unwrap_or_default()
        .split(separator)
        .filter(|scope| !scope.is_empty());
    // A scope that contains another server's separator is not valid.
    let scopes = Scopes::new(named).map_err(|_| "invalid_scope")?;
    if separator != "," && scopes.iter().any(|scope| scope.as_str().contains(',')) {
        return Err("invalid_scope");
    }
    Ok((scopes, challenge.map(str::to_owned)))
}

impl Redirect {
    fn with_error(&self, world: &World, error: &'static str) -> HttpResponse {
        self.back(world, &[("error", error)])
    }

    fn back(&self, world: &World, answer: &[(&str, &str)]) -> HttpResponse {
        let Ok(mut url) = Url::parse(&self.uri) else {
            return pages::error("The redirect address is not valid.");
        };
        let is_error = answer.iter().any(|(name, _)| *name == "error");
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(answer);
            if let Some(state) = &self.state {
                query.append_pair("state", state);
            }
            match &world.personality.issuer {
                IssuerEcho::Always => {
                    query.append_pair("iss", &self.issuer);
                }
                IssuerEcho::WithCodeOnly if !is_error => {
                    query.append_pair("iss", &self.issuer);
                }
                IssuerEcho::Instead(other) => {
                    query.append_pair("iss", other);
                }
                IssuerEcho::WithCodeOnly | IssuerEcho::Never => {}
            }
        }
        let location = HeaderValue::from_str(url.as_str()).expect("a URL is a legal header value");
        // 303: the browser returns with a GET, regardless of the form's method.
        HttpResponse::new(StatusCode::SEE_OTHER, "")
            .with_header(header::LOCATION, location)
            .with_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
            .with_header(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
    }
}

/// Returns the origin, or only the scheme of a URL without an origin, such as an app's private
/// scheme.
fn origin(url: &Url) -> String {
    if url.origin().is_tuple() {
        url.origin().ascii_serialization()
    } else {
        format!("{}:", url.scheme())
    }
}

fn first<'a>(pairs: &'a Pairs, name: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}
