//! Resolves an access: finds its token, refreshes it if it is due, and records the use.

use std::sync::Arc;
use std::time::Instant;

use crate::engine::grant_users;
use crate::engine::outlook::{self, Outlook};
use crate::engine::refresh::{self, NotRefreshed, Wanted};
use crate::error::{ConsentReason, Error, NamedProvider, Result};
use crate::model::{EventKind, NeedsConsent};
use crate::resolver::access::Access;
use crate::resolver::find::{Candidate, find, find_at_hand};
use crate::resolver::token::ResolvedToken;
use crate::resolver::uses;
use crate::trace::{self, Seam};
use crate::vault::{Attempt, Claim, CommitOutcome, RefreshFailure};

/// Finds the connection and returns its token, refreshed if necessary.
pub(super) fn resolve(access: &Access<'_>) -> Result<ResolvedToken> {
    trace::within(
        Seam::Resolve,
        || access.about(),
        || {
            let found = find(access, &mut |_| {})?;
            let token = current(access, found)?;
            uses::record(access, &token)?;
            Ok(token)
        },
    )
}

/// Returns the stored token if it is known to be valid as it is, without a request, a write or a
/// wait.
pub(super) fn peek(access: &Access<'_>) -> Result<Option<ResolvedToken>> {
    let vault = &access.cx().vault;
    // A key service is called over the network.
    if !vault.is_unlocked(access.acting_user.tenant())? {
        return Ok(None);
    }
    let Some(found) = find_at_hand(access)? else {
        return Ok(None);
    };
    match found.outlook(access) {
        Outlook::Token(_) | Outlook::Expiring => {
            let token = found.into_token()?;
            Ok(Some(token).filter(|token| uses::note_if_room(access, token)))
        }
        // Why it cannot be refreshed is read from the vault.
        Outlook::Refresh if !vault.is_local() => Ok(None),
        Outlook::Refresh | Outlook::Spent(_) | Outlook::Revoked => match refusal(access, &found)? {
            Some(refusal) => Err(refusal),
            None => Ok(None),
        },
    }
}

/// Returns the token after refreshing it if it is due. If it cannot be refreshed now but is still
/// valid, it is returned as is.
fn current(access: &Access<'_>, found: Candidate) -> Result<ResolvedToken> {
    match found.outlook(access) {
        Outlook::Token(_) => found.into_token(),
        Outlook::Expiring => {
            let cx = access.cx();
            let now = cx.now();
            let refresh = &found.stored.refresh;
            let busy = refresh
                .in_flight
                .is_some_and(|flight| flight.until > cx.claim_time())
                || refresh.not_before.is_some_and(|until| until > now)
                || cx
                    .in_progress
                    .is_running(access.acting_user.tenant(), found.stored.grant);
            if busy {
                return found.into_token();
            }
            match refresh_found(access, &found) {
                // The token is still valid, so a failed early refresh does not fail the turn.
                Err(Error::Unavailable { .. } | Error::Misconfigured(_) | Error::Vault(_)) => {
                    found.into_token()
                }
                Err(Error::ConsentRequired(need)) if need.reason == ConsentReason::ClientChanged => {
                    found.into_token()
                }
                refreshed => {
                    found.remember(access.ledger);
                    refreshed
                }
            }
        }
        Outlook::Refresh => {
            let refreshed = refresh_found(access, &found);
            found.remember(access.ledger);
            refreshed
        }
        Outlook::Spent(_) | Outlook::Revoked => expired(access, &found),
    }
}

/// Returns the error of a call that must fail without contacting the provider: the stored token is
/// not valid for long enough and cannot be refreshed.
pub(super) fn refusal(access: &Access<'_>, found: &Candidate) -> Result<Option<Error>> {
    let cx = access.cx();
    match found.outlook(access) {
        Outlook::Token(_) | Outlook::Expiring => Ok(None),
        Outlook::Spent(_) | Outlook::Revoked => Ok(Some(found.need(NeedsConsent::Expired.into()))),
        Outlook::Refresh => {
            let grant = cx.vault.grant(access.acting_user.tenant(), found.stored.grant)?;
            let obstacle = grant.and_then(|grant| outlook::obstacle(cx, (&grant).into()));
            Ok(
                obstacle.map(|obstacle| match obstacle.to_not_refreshed(cx.now()) {
                    NotRefreshed::NeedsConsent(reason) => found.need(reason),
                    other => other.to_error(NamedProvider::of(&found.provider)),
                }),
            )
        }
    }
}

/// Returns a token newer than the one found.
fn refresh_found(access: &Access<'_>, found: &Candidate) -> Result<ResolvedToken> {
    let cx = access.cx();
    let refreshed = refresh::refresh(
        cx,
        Wanted {
            tenant: access.acting_user.tenant(),
            connection: found.stored.connection,
            provider: &found.provider.id,
            grant: found.stored.grant,
            generation: found.stored.generation,
            attempt: Attempt::Due,
            by: None,
            deadline: access.options.ends(Instant::now(), cx.settings.resolve_deadline),
        },
    );
    let refreshed = refreshed.map_err(|error| match error {
        Error::ConsentRequired(need) => (*need).of(found.is_workspace).into(),
        other => other,
    })?;
    Ok(ResolvedToken {
        access_token: refreshed.access_token,
        provider: Arc::clone(&found.provider),
        connection: found.stored.connection,
        grant: found.stored.grant,
        generation: refreshed.generation,
        expires_at: refreshed.expires_at,
        is_workspace: found.is_workspace,
        parameters: found.stored.parameters.clone(),
    })
}

/// An expired token without a refresh token is erased at once. A token that is still valid but too
/// short-lived is kept.
fn expired(access: &Access<'_>, found: &Candidate) -> Result<ResolvedToken> {
    let cx = access.cx();
    let now = cx.now();
    let stored = &found.stored;
    let reason = NeedsConsent::Expired;
    if stored.expires_at.is_some_and(|expires_at| expires_at <= now) {
        // No claim is held: only the generation counts.
        let claim = Claim {
            generation: stored.generation,
            fence: 0,
        };
        let failure = RefreshFailure::ConsentNeeded { reason, at: now };
        let tenant = access.acting_user.tenant();
        let outcome = cx.vault.fail_refresh(tenant, stored.grant, &claim, &failure)?;
        if outcome == CommitOutcome::Stored {
            grant_users::emit_to_users(cx, tenant, stored.grant, EventKind::ConsentNeeded(reason));
        }
    }
    Err(found.need(reason.into()))
}
