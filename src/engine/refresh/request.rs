//! The request of a claimed refresh.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Context;
use crate::engine::grant_users;
use crate::engine::outlook::Issuer;
use crate::engine::refresh::unsaved::Fetched;
use crate::error::Result;
use crate::model::{Actor, FailureCode, Grant, Scopes, Timestamp};
use crate::protocol::{
    TokenClient, TokenFailure, TokenResponse, granted_scopes, parse_refresh_response, with_offline_access,
};
use crate::provider::RotationClass;
use crate::secret::{AccessToken, RefreshToken};
use crate::vault::{Claimed, Found, Of, TokenQuery, Tokens};

/// Sends one request with the refresh token.
pub(crate) fn request_tokens(
    cx: &Context,
    grant: &Grant,
    refresh_token: &RefreshToken,
    issuer: &Issuer,
    timeout: Duration,
) -> Result<TokenResponse, TokenFailure> {
    let client = TokenClient {
        server: &issuer.server,
        registration: &issuer.client,
        parameters: &grant.parameters,
        now: cx.now(),
    };
    let mut request = client
        .refresh_request(&issuer.endpoints.refresh, refresh_token, &grant.granted)
        .map_err(|_| TokenFailure::new(FailureCode::RequestRejected))?;
    request.timeout = timeout;
    let request = issuer.server.bounded(request);
    let response = cx.http.send(request).map_err(TokenFailure::from)?;
    parse_refresh_response(&issuer.server, &response, || held(cx, grant))
}

/// The access token of a grant, for the few servers that keep it valid and do not issue another.
fn held(cx: &Context, grant: &Grant) -> Option<AccessToken> {
    let user = grant_users::users(cx, &grant.tenant, grant.id)
        .ok()?
        .into_iter()
        .next()?;
    let query = TokenQuery {
        tenant: &grant.tenant,
        of: Of::Id(user.id),
        scopes: &Scopes::default(),
    };
    match cx.vault.find_token(&query).ok()? {
        Found::One(stored) if stored.grant == grant.id => stored.access_token.and_then(Arc::into_inner),
        _ => None,
    }
}

/// Builds the tokens to store. Fields missing from the response keep their values.
pub(crate) fn fetched(
    issuer: &Issuer,
    claimed: Claimed,
    answer: TokenResponse,
    sent_at: Timestamp,
    by: Option<&Actor>,
) -> Fetched {
    let grant = claimed.grant;
    let granted = answer
        .scopes
        .as_ref()
        .map(|answered| granted_scopes(&issuer.server, &grant.requested, Some(answered)))
        .map(|granted| with_offline_access(granted, &grant.requested));
    let lifetime = answer.expires_in.or(grant.lifetime);
    Fetched {
        claim: claimed.claim,
        tokens: Tokens {
            access_token: answer.access_token,
            // RFC 6749 §6: a response without a refresh token leaves the old one in force.
            refresh_token: Some(answer.refresh_token.unwrap_or(claimed.refresh_token)),
            id_token: answer.id_token.or(claimed.id_token),
        },
        granted,
        expires_at: lifetime
            .or(issuer.server.default_expires_in)
            .map(|lifetime| sent_at + lifetime),
        lifetime,
        refresh_token_expires_at: answer.refresh_token_expires_in.map(|left| sent_at + left),
        at: sent_at,
        by: by.cloned(),
        grant,
    }
}

/// Returns whether the server may have answered the request although no response was read.
pub(crate) const fn is_lost(code: FailureCode) -> bool {
    matches!(code, FailureCode::TimedOut | FailureCode::Interrupted)
}

/// Returns whether the server accepts a refresh token again after answering it, at least for a
/// while.
pub(crate) const fn old_token_is_taken(rotation: RotationClass) -> bool {
    matches!(
        rotation,
        RotationClass::Static | RotationClass::OldStaysValid | RotationClass::Grace(_)
    )
}
