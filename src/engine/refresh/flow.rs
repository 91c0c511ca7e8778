//! Refreshes a grant, from the call to the stored token.
//!
//! The grant is claimed durably, the request is sent outside any transaction, and the response is
//! committed by compare-and-swap. Only then does a caller get the token. A late caller uses the
//! stored token. Only a final response about the refresh token that is still stored ends a grant.
//! Claims belong to a grant, so connections that share a grant are refreshed together.

use std::thread;
use std::time::{Duration, Instant};

use crate::engine::Context;
use crate::engine::grant_users;
use crate::engine::outlook::{self, Issuer, Obstacle, has_changed};
use crate::engine::refresh::join::Joined;
use crate::engine::refresh::outcome::{CurrentToken, NotRefreshed, RefreshedToken, Wanted};
use crate::engine::refresh::request::{fetched, is_lost, old_token_is_taken, request_tokens};
use crate::engine::refresh::unsaved::Saved;
use crate::engine::refresh::{commit, failure};
use crate::error::{ConsentReason, ConsentRequired, Error, Result};
use crate::model::{Actor, Connection, FailureCode, Scopes, Status};
use crate::trace::{self, About, Seam};
use crate::vault::{Attempt, ClaimOutcome, ClaimRequest, Claimed, Found, Of, TokenQuery};

/// With less time than this remaining, a second request is not sent.
const SHORTEST_REQUEST: Duration = Duration::from_secs(1);

/// The polling interval of a caller that waits for another process.
const POLL: Duration = Duration::from_millis(15);

/// Refreshes the named connection.
pub(crate) fn refresh_now(cx: &Context, connection: &Connection, by: &Actor) -> Result<CurrentToken> {
    refresh(
        cx,
        Wanted {
            tenant: &connection.tenant,
            connection: connection.id,
            provider: &connection.provider,
            grant: connection.grant,
            generation: connection.generation,
            attempt: Attempt::Forced,
            by: Some(by),
            deadline: Instant::now() + cx.settings.resolve_deadline,
        },
    )
}

/// Returns a token newer than `wanted.generation`, refreshing if necessary.
pub(crate) fn refresh(cx: &Context, wanted: Wanted<'_>) -> Result<CurrentToken> {
    let about = || About {
        tenant: Some(wanted.tenant),
        connection: Some(wanted.connection),
        ..About::default()
    };
    trace::within(Seam::Refresh, about, || {
        refresh_or_join(cx, wanted)
            .map_err(|error| error.of_provider(|| cx.named(wanted.tenant, wanted.provider)))
    })
}

/// Leads the refresh of the grant, or waits for the caller in this process that leads it.
fn refresh_or_join(cx: &Context, wanted: Wanted<'_>) -> Result<CurrentToken> {
    loop {
        let joined = cx
            .in_progress
            .join(wanted.tenant, wanted.grant, wanted.deadline, || {
                refresh_as_leader(cx, wanted)
            });
        match joined {
            // The joined refresh replaced an older token than ours. The token that it returned is
            // the one to replace.
            Joined::Outcome(Ok(refreshed)) if refreshed.token.generation <= wanted.generation => {}
            Joined::Outcome(Err(NotRefreshed::Moved(from))) if from < wanted.generation => {}
            Joined::Outcome(Ok(refreshed)) if refreshed.users.contains(&wanted.connection) => {
                return Ok(refreshed.token);
            }
            // The connection was revoked or moved to another grant during the request.
            Joined::Outcome(Ok(_) | Err(NotRefreshed::Moved(_))) => return use_stored(cx, wanted),
            Joined::Outcome(Err(NotRefreshed::NeedsConsent(reason))) => return Err(need(cx, wanted, reason)),
            Joined::Outcome(Err(NotRefreshed::Failed(error) | NotRefreshed::Untried(error))) => {
                return Err(error);
            }
            Joined::TimedOut => return Err(Error::unavailable(FailureCode::TimedOut)),
        }
    }
}

/// Claims the grant, after waiting for another process's claim to end, and refreshes it.
fn refresh_as_leader(cx: &Context, wanted: Wanted<'_>) -> Result<RefreshedToken, NotRefreshed> {
    let moved = NotRefreshed::Moved(wanted.generation);
    if commit::save_unsaved(cx, wanted.tenant, wanted.grant)? == Saved::Settled {
        return Err(moved);
    }
    let Some(grant) = cx.vault.grant(wanted.tenant, wanted.grant)? else {
        return Err(moved);
    };
    trace::provider(&grant.provider);
    let issuer =
        outlook::issuer(cx, (&grant).into()).map_err(|obstacle| obstacle.to_not_refreshed(cx.now()))?;
    let attempt = match wanted.attempt {
        // The back-off was for a configuration that is no longer in force.
        Attempt::Due if has_changed(&grant.refresh, &issuer) => Attempt::Forced,
        attempt => attempt,
    };
    loop {
        let request = ClaimRequest {
            tenant: wanted.tenant,
            grant: wanted.grant,
            holder: cx.holder,
            generation: wanted.generation,
            attempt,
            now: cx.claim_time(),
            lease: cx.settings.refresh_lease,
        };
        match cx.vault.claim_refresh(&request)? {
            ClaimOutcome::Granted(claimed) => {
                return perform(cx, *claimed, &issuer, wanted.by, wanted.deadline);
            }
            ClaimOutcome::Moved | ClaimOutcome::Gone => return Err(moved),
            ClaimOutcome::Held(_) => {
                if Instant::now() + POLL > wanted.deadline {
                    return Err(Error::unavailable(FailureCode::TimedOut).into());
                }
                thread::sleep(POLL);
            }
            ClaimOutcome::BackingOff(until) => {
                let obstacle = Obstacle::BackingOff {
                    until,
                    failure: grant.refresh.last_failure.unwrap_or(FailureCode::ServerError),
                    server: issuer.server.id.clone(),
                };
                return Err(obstacle.to_not_refreshed(cx.now()));
            }
            ClaimOutcome::NotRefreshable => return Err(NotRefreshed::NeedsConsent(ConsentReason::Expired)),
            // The connections were revoked, or use the grant that replaced this one.
            ClaimOutcome::NotActive(Status::Revoked) => return Err(moved),
            ClaimOutcome::NotActive(status) => return Err(NotRefreshed::NeedsConsent(reason_of(status))),
        }
    }
}

/// Sends the request of a claimed refresh and stores the result.
fn perform(
    cx: &Context,
    claimed: Claimed,
    issuer: &Issuer,
    by: Option<&Actor>,
    deadline: Instant,
) -> Result<RefreshedToken, NotRefreshed> {
    let sent_at = cx.now();
    let mut answer = request_tokens(
        cx,
        &claimed.grant,
        &claimed.refresh_token,
        issuer,
        cx.settings.token_timeout(),
    );
    if let Err(failure) = &answer
        && is_lost(failure.code)
        && old_token_is_taken(issuer.server.rotation)
    {
        // The server may have acted on the request. It accepts the same token again, so a second
        // request finds out now, within the grace period if there is one, instead of after the
        // back-off.
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = left.min(cx.settings.token_timeout());
        if timeout >= SHORTEST_REQUEST {
            answer = request_tokens(cx, &claimed.grant, &claimed.refresh_token, issuer, timeout);
        }
    }
    match answer {
        Ok(answer) => commit::commit(cx, fetched(issuer, claimed, answer, sent_at, by)),
        Err(failure) => failure::failed(cx, issuer, &claimed, &failure),
    }
}

/// Refreshes a grant that is already claimed.
pub(crate) fn refresh_claimed(cx: &Context, claimed: Claimed) -> Result<RefreshedToken, NotRefreshed> {
    let (tenant, id) = (claimed.grant.tenant.clone(), claimed.grant.id);
    trace::provider(&claimed.grant.provider);
    cx.in_progress.lead(&tenant, id, || {
        if commit::save_unsaved(cx, &tenant, id)? == Saved::Settled {
            return Err(NotRefreshed::Moved(claimed.claim.generation));
        }
        let deadline = Instant::now() + cx.settings.resolve_deadline;
        let issuer = if grant_users::is_offered(cx, &claimed.grant)? {
            outlook::issuer(cx, (&claimed.grant).into())
        } else {
            Err(Obstacle::UnknownProvider(claimed.grant.provider.clone()))
        };
        match issuer {
            Ok(issuer) => perform(cx, claimed, &issuer, None, deadline),
            Err(obstacle) => {
                failure::pass_over(cx, &claimed, &obstacle)?;
                Err(obstacle.to_not_refreshed(cx.now()))
            }
        }
    })
}

/// Returns the token that is currently stored for the connection.
fn use_stored(cx: &Context, wanted: Wanted<'_>) -> Result<CurrentToken> {
    let query = TokenQuery {
        tenant: wanted.tenant,
        of: Of::Id(wanted.connection),
        scopes: &Scopes::default(),
    };
    let Found::One(stored) = cx.vault.find_token(&query)? else {
        return Err(need(cx, wanted, ConsentReason::NotConnected));
    };
    let status = stored.status;
    let moved = stored.grant != wanted.grant || stored.generation > wanted.generation;
    if status == Status::Active && !moved {
        return Err(Error::unavailable(FailureCode::Interrupted));
    }
    CurrentToken::from_stored(stored).ok_or_else(|| need(cx, wanted, reason_of(status)))
}

fn need(cx: &Context, wanted: Wanted<'_>, reason: ConsentReason) -> Error {
    ConsentRequired::new(cx.named(wanted.tenant, wanted.provider), reason)
        .reconnecting(wanted.connection)
        .into()
}

fn reason_of(status: Status) -> ConsentReason {
    match status {
        Status::NeedsConsent(reason) => reason.into(),
        Status::Revoked | Status::Active => ConsentReason::NotConnected,
    }
}
