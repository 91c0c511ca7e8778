//! Records refreshes that failed or could not be tried, and computes the back-off.

use std::time::Duration;

use crate::engine::Context;
use crate::engine::additions;
use crate::engine::grant_users;
use crate::engine::outlook::{self, Issuer, Obstacle};
use crate::engine::refresh::outcome::{NotRefreshed, RefreshedToken};
use crate::engine::refresh::request::is_lost;
use crate::engine::settings::back_off;
use crate::error::Result;
use crate::model::{EventKind, FailureCode, Grant, NeedsConsent, Timestamp};
use crate::protocol::TokenFailure;
use crate::provider::RotationClass;
use crate::vault::{Claimed, CommitOutcome, RefreshFailure, VaultError};

/// The time that upkeep skips a grant that cannot be tried until the configuration changes. It is
/// shorter than upkeep's horizon: after the change, the grant is refreshed before its access token
/// expires.
const PASSED_OVER: Duration = Duration::from_secs(120);

/// The number of attempts within the grace period of a server whose response was lost.
const TRIES_WITHIN_GRACE: u32 = 4;

/// The user is asked to reconnect after this many refusals without a reason, and this long after
/// the access token expired.
const UNEXPLAINED_FAILURES: u32 = 5;
const UNEXPLAINED_FOR: Duration = Duration::from_secs(24 * 3600);

/// Records a failed refresh and reports it to the host. Returns the result for the callers.
pub(crate) fn failed(
    cx: &Context,
    issuer: &Issuer,
    claimed: &Claimed,
    failure: &TokenFailure,
) -> Result<RefreshedToken, NotRefreshed> {
    let grant = &claimed.grant;
    let now = cx.now();
    let final_reason = match failure.code {
        FailureCode::ClientRejected if is_forgotten(cx, grant)? => Some(NeedsConsent::ClientChanged),
        FailureCode::GrantRejected => Some(rejection(issuer.server.rotation, claimed.outcome_unknown)),
        _ if stays_unexplained(grant, failure, now) => Some(NeedsConsent::Unexplained),
        _ => None,
    };
    let (record, event, not_refreshed) = if let Some(reason) = final_reason {
        let not_refreshed = NotRefreshed::NeedsConsent(reason.into());
        (
            rejected_for(cx, reason),
            EventKind::ConsentNeeded(reason),
            not_refreshed,
        )
    } else {
        let wait = pause(issuer.server.rotation, grant.refresh.failures, failure);
        let record = RefreshFailure::Transient {
            code: failure.code,
            at: now,
            not_before: now + wait,
            setup: failure.code.needs_administrator().then(|| issuer.setup_check()),
        };
        let not_refreshed = outlook::failed(&issuer.server.id, failure.code, wait).into();
        (record, EventKind::RefreshFailed(failure.code), not_refreshed)
    };
    match cx
        .vault
        .fail_refresh(&grant.tenant, grant.id, &claimed.claim, &record)?
    {
        CommitOutcome::Stored => {
            let users = grant_users::emit_to_users(cx, &grant.tenant, grant.id, event);
            if users.is_empty() {
                // A consent replaced the grant meanwhile, so the failure concerns no connection.
                return Err(NotRefreshed::Moved(claimed.claim.generation));
            }
            Err(not_refreshed)
        }
        // The response was about tokens that are no longer in use: another caller's success counts.
        CommitOutcome::Superseded | CommitOutcome::Former | CommitOutcome::Gone => {
            Err(NotRefreshed::Moved(claimed.claim.generation))
        }
    }
}

/// Returns whether the server has forgotten a client that registered itself. The registration is
/// then discarded, and the next consent registers another one.
fn is_forgotten(cx: &Context, grant: &Grant) -> Result<bool> {
    let issued_by = &grant.issued_by;
    additions::discard_client(cx, &grant.tenant, issued_by.server.as_str(), &issued_by.client_id)
}

/// Handles a permanent refusal by moving the refresh token into quarantine.
fn rejected_for(cx: &Context, reason: NeedsConsent) -> RefreshFailure {
    let (now, quarantine) = (cx.now(), cx.settings.quarantine);
    RefreshFailure::Rejected {
        reason,
        at: now,
        quarantined_until: (!quarantine.is_zero()).then(|| now + quarantine),
    }
}

/// Ends the claim of a grant that cannot be tried, so that upkeep processes other grants meanwhile.
/// Reports it to the host once.
pub(crate) fn pass_over(cx: &Context, claimed: &Claimed, obstacle: &Obstacle) -> Result<(), VaultError> {
    let now = cx.now();
    let grant = &claimed.grant;
    let expired = grant.expires_at.is_some_and(|expires_at| expires_at <= now);
    let (record, event) = if expired && matches!(obstacle, Obstacle::ClientReplaced) {
        let reason = NeedsConsent::ClientChanged;
        (rejected_for(cx, reason), EventKind::ConsentNeeded(reason))
    } else {
        let code = match obstacle {
            Obstacle::ClientSourceFailed { .. } => FailureCode::ClientSourceFailed,
            _ => FailureCode::Misconfigured,
        };
        let record = RefreshFailure::Transient {
            code,
            at: now,
            not_before: now + PASSED_OVER,
            setup: None,
        };
        (record, EventKind::RefreshFailed(code))
    };
    let outcome = cx
        .vault
        .fail_refresh(&grant.tenant, grant.id, &claimed.claim, &record)?;
    let last = grant.refresh.last_failure;
    let repeated = last.is_some_and(|last| event == EventKind::RefreshFailed(last));
    if outcome == CommitOutcome::Stored && !repeated {
        grant_users::emit_to_users(cx, &grant.tenant, grant.id, event);
    }
    Ok(())
}

/// Returns the back-off after a failure.
fn pause(rotation: RotationClass, failures: u32, failure: &TokenFailure) -> Duration {
    let wait = back_off(failure.code, failures, failure.retry_after);
    match rotation {
        // The response was lost, and the server accepts the old token only for this long.
        RotationClass::Grace(period) if is_lost(failure.code) && failures < TRIES_WITHIN_GRACE => {
            wait.min(period / TRIES_WITHIN_GRACE)
        }
        _ => wait,
    }
}

/// Returns whether refusals without a reason have lasted long enough to ask the user to reconnect.
fn stays_unexplained(grant: &Grant, failure: &TokenFailure, now: Timestamp) -> bool {
    let says_nothing = match failure.code {
        FailureCode::Unexplained => true,
        FailureCode::ClientRejected => failure.error.is_none(),
        _ => false,
    };
    let refresh = &grant.refresh;
    let expired_at = grant.expires_at.unwrap_or(grant.refreshed_at);
    says_nothing
        && refresh.last_failure == Some(failure.code)
        && refresh.failures >= UNEXPLAINED_FAILURES
        && now.saturating_since(expired_at) >= UNEXPLAINED_FOR
}

/// Returns the meaning of a refused refresh token. If the server accepts each token once, and the
/// response to an earlier request may have been lost, that response held the only valid token.
const fn rejection(rotation: RotationClass, outcome_unknown: bool) -> NeedsConsent {
    match rotation {
        RotationClass::Static | RotationClass::OldStaysValid => NeedsConsent::Rejected,
        _ if outcome_unknown => NeedsConsent::LostInFlight,
        _ => NeedsConsent::Rejected,
    }
}
