//! Interprets an API's response about insufficient scopes: a consent requirement or an ordinary
//! response.

use http::StatusCode;
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
/// The API chooses the scopes that it names. Only scopes in the descriptor become part of the
/// requirement, because the user is asked for them.
pub(super) fn finish(
    access: &Access<'_>,
    token: &ResolvedToken,
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
    let unknown = new.difference(&token.provider.known_scopes());
    let known = new.difference(&unknown);
    let is_new = !known.is_empty()
        || !unknown.is_empty()
            && access
                .common
                .memory
                .step_ups
                .add(access.acting_user.tenant(), token.connection, &unknown);
    if !is_new {
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
    if answer.status != StatusCode::FORBIDDEN {
        return None;
    }
    match bearer_error(&answer.headers) {
        Some(BearerError::InsufficientScope(scopes)) => Some(scopes.unwrap_or_default()),
        _ => None,
    }
}

/// Returns the scopes, unless they contain a token.
fn without_token(scopes: Scopes, ledger: &Ledger) -> Scopes {
    let text = Zeroizing::new(scopes.join(" "));
    match ledger.masks_for([text.as_bytes()]) {
        Some(masks) if !masks.find(text.as_bytes()).is_empty() => Scopes::default(),
        _ => scopes,
    }
}
