//! Interprets an API's response about insufficient scopes: a consent requirement or an ordinary
//! response.

use http::StatusCode;
use http::request::Parts;
use zeroize::Zeroizing;

use crate::error::{ConsentReason, ConsentRequired, NamedProvider, Result};
use crate::http::HttpResponse;
use crate::model::Scopes;
use crate::protocol::{BearerError, bearer_error};
use crate::resolver::access::Access;
use crate::resolver::ledger::Ledger;
use crate::resolver::token::ResolvedToken;

/// Returns the response, unless the API reports that the grant does not cover the request and a
/// consent that has not been requested yet could change that.
///
/// The API chooses the scopes that it names. Of those, only scopes in the descriptor become part of
/// the requirement, because the user is asked for them. At a server that was discovered by its URL,
/// all of them do, a limited number of times.
pub(super) fn finish(
    access: &Access<'_>,
    token: &ResolvedToken,
    request: &Parts,
    answer: HttpResponse,
) -> Result<HttpResponse> {
    let Some(named) = insufficient_scope(&answer) else {
        return Ok(answer);
    };
    let named = without_token(named, access.ledger);
    let vault = &access.cx().vault;
    let Some(grant) = vault.grant(access.acting_user.tenant(), token.grant)? else {
        return Ok(answer);
    };
    // Scopes that were already requested, granted or not, are not requested again: that would
    // change nothing.
    let new = named.difference(&grant.granted).difference(&grant.requested);
    // A server that was not described by the host has no list of scopes: what it names is what the
    // operation needs.
    let is_discovered = token.provider.is_discovered();
    let unknown = if is_discovered {
        Scopes::default()
    } else {
        new.difference(&token.provider.known_scopes())
    };
    let known = new.difference(&unknown);
    let (memory, tenant) = (&access.common.memory.step_ups, access.acting_user.tenant());
    let is_new = !known.is_empty() || !unknown.is_empty() && memory.add(tenant, token.connection, &unknown);
    // Such a server may name other scopes each time.
    let is_allowed = || memory.allows(tenant, token.connection, operation(request), &new);
    if !is_new || is_discovered && !is_allowed() {
        return Ok(answer);
    }
    Err(
        ConsentRequired::new(NamedProvider::of(&token.provider), ConsentReason::MissingScopes)
            .reconnecting(token.connection)
            .of(token.is_workspace)
            .missing(known)
            .named_by_api(unknown)
            .into(),
    )
}

/// Returns the scopes that the API names if it refuses for insufficient scopes; empty if it names
/// none.
fn insufficient_scope(answer: &HttpResponse) -> Option<Scopes> {
    // RFC 6750 requires 403; some servers answer 401.
    if !matches!(answer.status, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) {
        return None;
    }
    match bearer_error(&answer.headers) {
        Some(BearerError::InsufficientScope(scopes)) => Some(scopes.unwrap_or_default()),
        _ => None,
    }
}

/// Returns the operation that a request is about: its method and path and, in the protocol
/// revisions that name them in headers, the method and the tool of an MCP message.
fn operation(request: &Parts) -> String {
    let header = |name: &str| {
        let value = request.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    [
        request.method.as_str(),
        request.uri.path(),
        &header("mcp-method"),
        &header("mcp-name"),
    ]
    .join(" ")
}

/// Returns the scopes, unless they contain a token.
fn without_token(scopes: Scopes, ledger: &Ledger) -> Scopes {
    let text = Zeroizing::new(scopes.join(" "));
    match ledger.masks_for([text.as_bytes()]) {
        Some(masks) if !masks.find(text.as_bytes()).is_empty() => Scopes::default(),
        _ => scopes,
    }
}
