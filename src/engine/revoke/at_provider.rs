//! Revokes tokens at their provider, and retries if it does not answer.

use std::time::Duration;

use http::StatusCode;
use url::Url;

use crate::engine::Context;
use crate::engine::outlook;
use crate::engine::outlook::{Issuer, Obstacle};
use crate::engine::persist;
use crate::engine::refresh::request;
use crate::engine::refresh::unsaved::Fetched;
use crate::engine::revoke::report::AtProvider;
use crate::engine::settings::back_off;
use crate::error::Error;
use crate::error::Misconfigured;
use crate::http::HttpResponse;
use crate::model::{
    Account, Connection, ConnectionId, FailureCode, Grant, GrantId, IssuedBy, NeedsConsent, Owner, Status,
    TenantId,
};
use crate::protocol::{Revocable, RevocationVerdict, revocation_requests, revocation_verdict};
use crate::provider::{Revocation, RevocationTokens, RotationClass, ServerDescriptor};
use crate::vault::{ConnectionQuery, LateTokens, Settlement, Tokens, VaultError};

/// The delay before retrying a refused revocation: the server's state or configuration may have
/// changed.
const AFTER_REFUSAL: Duration = Duration::from_secs(24 * 3600);

/// The result of one round of revocation requests.
enum Round {
    Ended(AtProvider),
    /// The server no longer accepts the access token, and accepts no other token for revocation.
    AccessTokenRefused,
}

/// Tries once to revoke the tokens of a grant, and returns the outcome.
pub(crate) fn end_at_provider(cx: &Context, grant: &Grant, tokens: Revocable<'_>) -> AtProvider {
    let server = match cx.server(&grant.tenant, grant.issued_by.server.as_str()) {
        Ok(Some(server)) => server,
        Ok(None) | Err(Error::Misconfigured(_)) => {
            return AtProvider::NotAttempted(Misconfigured::UnknownServer(grant.issued_by.server.clone()));
        }
        Err(_) => return AtProvider::Unconfirmed { retry_after: None },
    };
    let server = &*server;
    match &server.revocation {
        Revocation::ByUser { .. } => {
            let page = server.revocation_page(&grant.parameters);
            return page.map_or(AtProvider::Unsupported, |url| AtProvider::ByUser {
                url: url.into(),
            });
        }
        Revocation::Unsupported => return AtProvider::Unsupported,
        Revocation::Endpoint { .. } | Revocation::DeleteWithBearer { .. } => {}
    }
    // As with a refresh, tokens are sent only to the server that issued them, by the client that
    // they were issued to.
    let issuer = match outlook::issuer(cx, grant.into()) {
        Ok(issuer) => issuer,
        Err(Obstacle::ClientReplaced) => {
            return AtProvider::NotAttempted(Misconfigured::ClientChanged(server.id.clone()));
        }
        Err(Obstacle::Misconfigured(error)) => return AtProvider::NotAttempted(error),
        Err(
            Obstacle::UnknownProvider(_) | Obstacle::BackingOff { .. } | Obstacle::ClientSourceFailed { .. },
        ) => {
            return AtProvider::Unconfirmed { retry_after: None };
        }
    };
    let recorded = grant.issued_by.revocation_endpoint.as_deref();
    if recorded.is_some() && recorded != issuer.endpoints.revocation.as_ref().map(Url::as_str) {
        return AtProvider::NotAttempted(Misconfigured::IssuerChanged(server.id.clone()));
    }
    let expired = grant.expires_at.is_some_and(|expires_at| expires_at <= cx.now());
    if !(takes_access_token_alone(server) && (expired || tokens.access_token.is_none())) {
        match present(cx, &issuer, grant, tokens) {
            Round::Ended(outcome) => return outcome,
            Round::AccessTokenRefused => {}
        }
    }
    end_refreshed(cx, &issuer, grant, tokens)
}

/// Sends the tokens to the server's revocation endpoint.
fn present(cx: &Context, issuer: &Issuer, grant: &Grant, tokens: Revocable<'_>) -> Round {
    let server = &*issuer.server;
    let endpoint = issuer.endpoints.revocation.as_ref();
    let Ok(requests) = revocation_requests(server, &issuer.client, endpoint, tokens, cx.now()) else {
        return Round::Ended(AtProvider::NotAttempted(Misconfigured::RequestRejected {
            server: server.id.clone(),
            failure: FailureCode::Misconfigured,
        }));
    };
    // After the server has refused a grant, only its refresh token remains.
    let refused = tokens.access_token.is_none() && matches!(grant.status, Status::NeedsConsent(_));
    let held = tokens.access_token.is_some() || tokens.refresh_token.is_some();
    if requests.is_empty() && held && !refused {
        // The server does not accept tokens of the stored kind for revocation.
        return Round::Ended(AtProvider::Unsupported);
    }
    let mut outcome = AtProvider::NothingLeft;
    for mut request in requests {
        request.timeout = cx.settings.http_timeout;
        let answer = cx.http.send(server.bounded(request));
        let refused = |response: &HttpResponse| response.status == StatusCode::UNAUTHORIZED;
        if takes_access_token_alone(server)
            && tokens.refresh_token.is_some()
            && answer.as_ref().is_ok_and(refused)
        {
            return Round::AccessTokenRefused;
        }
        let verdict = answer.map_or(RevocationVerdict::Later(None), |response| {
            revocation_verdict(server, &response)
        });
        outcome = outcome.worse(match verdict {
            RevocationVerdict::Done => AtProvider::Revoked,
            RevocationVerdict::Later(retry_after) => AtProvider::Unconfirmed { retry_after },
            RevocationVerdict::Refused => AtProvider::Refused,
        });
    }
    // RFC 7009 §2.1: revoking an access token may leave the refresh token valid.
    let leaves_refresh_token = tokens.refresh_token.is_some()
        && matches!(
            server.revocation,
            Revocation::Endpoint {
                tokens: RevocationTokens::Access,
                ..
            }
        );
    if outcome == AtProvider::Revoked && (server.revocation_is_best_effort || leaves_refresh_token) {
        let page = server.revocation_page(&grant.parameters);
        return Round::Ended(AtProvider::Attempted {
            url: page.map(Into::into),
        });
    }
    Round::Ended(outcome)
}

/// Revokes a grant whose access token has expired, at a server that accepts only access tokens for
/// revocation: refreshes the grant for this purpose.
fn end_refreshed(cx: &Context, issuer: &Issuer, grant: &Grant, tokens: Revocable<'_>) -> AtProvider {
    let Some(refresh_token) = tokens.refresh_token else {
        // An expired access token needs no revocation.
        return AtProvider::NothingLeft;
    };
    let refused = Status::NeedsConsent(NeedsConsent::Rejected);
    if grant.status == refused || grant.status == Status::NeedsConsent(NeedsConsent::LostInFlight) {
        // The server has already refused the refresh token.
        return AtProvider::NothingLeft;
    }
    let timeout = cx.settings.token_timeout();
    let answer = match request::request_tokens(cx, grant, refresh_token, issuer, timeout) {
        Ok(answer) => answer,
        // The refresh token is dead as well.
        Err(failure) if failure.code == FailureCode::GrantRejected => return AtProvider::NothingLeft,
        Err(failure) => {
            return AtProvider::Unconfirmed {
                retry_after: failure.retry_after,
            };
        }
    };
    let refreshed = Revocable {
        access_token: Some(&answer.access_token),
        refresh_token: answer.refresh_token.as_ref().or(Some(refresh_token)),
    };
    let outcome = match present(cx, issuer, grant, refreshed) {
        Round::Ended(outcome) => outcome,
        Round::AccessTokenRefused => AtProvider::Refused,
    };
    // If the server accepts the old refresh token again, the next attempt needs nothing else.
    // Storing the tokens of each attempt would multiply the copies.
    let replaced = !matches!(
        issuer.server.rotation,
        RotationClass::Static | RotationClass::OldStaysValid
    );
    if replaced && outcome.may_be_tried_again() {
        let mut grant = grant.clone();
        grant.expires_at = answer.expires_in.map(|lifetime| cx.now() + lifetime);
        keep_for_upkeep(
            cx,
            &grant,
            &Tokens {
                access_token: answer.access_token,
                refresh_token: answer.refresh_token,
                id_token: None,
            },
        );
    }
    outcome
}

/// Stores tokens that are not confirmed to be dead, encrypted, for another attempt.
fn keep_for_upkeep(cx: &Context, grant: &Grant, tokens: &Tokens) {
    let Some(connection) = named_by(cx, &grant.tenant, grant.id) else {
        return;
    };
    let now = cx.now();
    // Without room, or with a failing vault, nothing else can be done.
    let _ = persist::persist(cx, || {
        cx.vault.queue_revocation(&LateTokens {
            grant,
            connection,
            tokens,
            now,
            give_up_at: now + cx.settings.revocation_patience,
        })
    });
}

/// Revokes tokens that arrived too late to be stored: now, or by upkeep if the provider does not
/// answer.
pub(crate) fn end_late_tokens(cx: &Context, fetched: &Fetched) -> AtProvider {
    let mut grant = fetched.grant.clone();
    grant.generation = fetched.claim.generation.saturating_add(1);
    // If the provider revokes all access of an account together, these tokens ended with the
    // revocation that they missed. A connection created since must not end with them.
    let others = ends_with(
        cx,
        &grant.tenant,
        &grant.owner,
        &grant.issued_by,
        grant.account.as_ref(),
    );
    if !others.is_ok_and(|others| others.is_empty()) {
        return AtProvider::NothingLeft;
    }
    let outcome = end_at_provider(
        cx,
        &grant,
        Revocable {
            access_token: Some(&fetched.tokens.access_token),
            refresh_token: fetched.tokens.refresh_token.as_ref(),
        },
    );
    if outcome.may_be_tried_again() {
        keep_for_upkeep(cx, &grant, &fetched.tokens);
    }
    outcome
}

/// Returns a connection that used the grant, revoked or not.
fn named_by(cx: &Context, tenant: &TenantId, grant: GrantId) -> Option<ConnectionId> {
    let mut query = ConnectionQuery::of(tenant);
    query.grant = Some(grant);
    query.with_revoked = true;
    query.limit = 1;
    let found = cx.vault.connections(&query).ok()?;
    found.first().map(|connection| connection.id)
}

pub(crate) fn settlement(cx: &Context, outcome: &AtProvider, attempts: u32) -> Settlement {
    match outcome {
        AtProvider::Revoked | AtProvider::Attempted { .. } | AtProvider::NothingLeft => Settlement::Confirmed,
        AtProvider::Refused => Settlement::Again {
            at: cx.now() + AFTER_REFUSAL,
        },
        AtProvider::NotAttempted(_) => Settlement::Again {
            at: cx.now() + back_off(FailureCode::Misconfigured, attempts, None),
        },
        AtProvider::ByUser { .. } | AtProvider::Unsupported | AtProvider::StillUsedBy(_) => {
            Settlement::GivenUp
        }
        AtProvider::Unconfirmed { retry_after } => Settlement::Again {
            at: cx.now() + back_off(FailureCode::ServerError, attempts, *retry_after),
        },
    }
}

/// Returns the owner's live connections that end with tokens of this account and issuer, because
/// the provider revokes all of that access together.
pub(crate) fn ends_with(
    cx: &Context,
    tenant: &TenantId,
    owner: &Owner,
    issued_by: &IssuedBy,
    account: Option<&Account>,
) -> Result<Vec<Connection>, VaultError> {
    let server = cx.server(tenant, issued_by.server.as_str()).ok().flatten();
    let wide = server
        .is_some_and(|server| matches!(server.revocation, Revocation::Endpoint { grant_wide: true, .. }));
    if !wide {
        return Ok(Vec::new());
    }
    let mut query = ConnectionQuery::of(tenant);
    query.owner = Some(owner);
    let mut others = cx.vault.connections(&query)?;
    others.retain(|other| {
        let same_account = match (&other.account, account) {
            (Some(one), Some(other)) => one.id == other.id,
            // If either account is unknown, they may be the same.
            _ => true,
        };
        other.issued_by.server == issued_by.server
            && other.issued_by.client_id == issued_by.client_id
            && same_account
    });
    Ok(others)
}

/// Returns whether the server's revocation endpoint accepts only access tokens.
const fn takes_access_token_alone(server: &ServerDescriptor) -> bool {
    matches!(
        server.revocation,
        Revocation::DeleteWithBearer { .. }
            | Revocation::Endpoint {
                tokens: RevocationTokens::Access,
                ..
            }
    )
}
