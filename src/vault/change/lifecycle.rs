//! The lifecycle of a grant's tokens: pure functions, the same for every vault.
//!
//! ```text
//! Active(g) --claim--> claimed (g, fence) --commit--> Active(g+1)
//!    ^                   |  \--fail(Rejected), same g and fence--> NeedsConsent
//!    |                   \--fail(Transient), same g and fence--> Active(g), backing off
//!    |  claim lapsed: claim (g, fence+1) with `outcome_unknown`
//! Active(g) --fail(ConsentNeeded), same g--> NeedsConsent
//! NeedsConsent, token in quarantine --claim(Quarantined)--> claimed --commit--> Active(g+1)
//! any --revoke--> Revoked
//! ```
//!
//! A vault stores one [`Lifecycle`] for each grant. Inside a transaction it reads the lifecycle,
//! calls one of these functions, and stores the result. A function changes the lifecycle only as
//! its documentation says. A new consent creates a new grant with its own lifecycle.

use std::time::Duration;

use crate::model::{FailureCode, Grant, InFlight, NeedsConsent, RefreshState, Status, Timestamp};
use crate::vault::{Attempt, Claim, ClaimOutcome, ClaimRequest, CommitOutcome, Holder, RefreshFailure};

/// The state of the tokens of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct Lifecycle {
    /// The status, which says whether the tokens can be used.
    pub status: Status,
    /// The number of token pairs so far.
    pub generation: u64,
    /// True if there is a refresh token that may be used.
    pub refreshable: bool,
    /// The number of claims so far. It never decreases.
    pub fence: u64,
    /// The claim that has not ended. It may have lapsed.
    pub held: Option<Held>,
    /// The generation whose refresh token may have reached the server although no response was
    /// read: the current one, or the previous one, whose request may still be on its way.
    pub unknown_generation: Option<u64>,
    /// The number of failures since the last success.
    pub failures: u32,
    /// The end of the back-off: no attempt is made before this time.
    pub not_before: Option<Timestamp>,
    /// The last failure, until a success clears it.
    pub last_failure: Option<FailureCode>,
    /// The time when the last failure happened.
    pub failed_at: Option<Timestamp>,
    /// The end of the quarantine of a refused refresh token.
    pub quarantined_until: Option<Timestamp>,
    /// A checksum of the configuration with which the last attempt failed, if an administrator has
    /// to correct it.
    pub failed_setup: Option<u16>,
    /// The time when the API refused the access token of this generation although it had just been
    /// refreshed.
    pub token_refused_at: Option<Timestamp>,
    /// The time when the refresh token expires, if the server said so.
    pub refresh_token_expires_at: Option<Timestamp>,
}

/// A stored claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct Held {
    /// The holder.
    pub holder: Holder,
    /// The number of the claim.
    pub fence: u64,
    /// The time when the claim was granted.
    pub since: Timestamp,
    /// The time when the claim lapses.
    pub until: Timestamp,
}

/// The decision about a request to refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a vault must handle every case")]
pub enum Decision {
    /// The claim is granted. The lifecycle contains it and must be stored.
    Granted {
        /// The proof of the claim.
        claim: Claim,
        /// True if an earlier attempt with this refresh token may have reached the server.
        outcome_unknown: bool,
    },
    /// Another claim is live.
    Held(InFlight),
    /// Another generation is stored.
    Moved,
    /// The grant backs off until this time.
    BackingOff(Timestamp),
    /// There is no refresh token.
    NotRefreshable,
    /// The grant is not active.
    NotActive(Status),
}

impl Decision {
    /// Returns the claim, and whether the outcome of an earlier attempt is unknown.
    ///
    /// # Errors
    ///
    /// The [`ClaimOutcome`] to be returned to the caller if the claim was not granted.
    pub const fn granted(self) -> Result<(Claim, bool), ClaimOutcome> {
        Err(match self {
            Self::Granted {
                claim,
                outcome_unknown,
            } => return Ok((claim, outcome_unknown)),
            Self::Held(in_flight) => ClaimOutcome::Held(in_flight),
            Self::Moved => ClaimOutcome::Moved,
            Self::BackingOff(until) => ClaimOutcome::BackingOff(until),
            Self::NotRefreshable => ClaimOutcome::NotRefreshable,
            Self::NotActive(status) => ClaimOutcome::NotActive(status),
        })
    }
}

/// The part of the sealed tokens that is kept when a claim ends without new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a vault must handle every case")]
pub enum Keep {
    /// All tokens.
    All,
    /// Only the refused refresh token, until its quarantine ends. The access token is erased.
    RefreshToken,
    /// No token.
    Nothing,
}

impl Lifecycle {
    /// Returns the lifecycle of tokens that were just issued.
    #[must_use]
    pub const fn granted(generation: u64, refreshable: bool, fence: u64) -> Self {
        Self {
            status: Status::Active,
            generation,
            refreshable,
            fence,
            held: None,
            unknown_generation: None,
            failures: 0,
            not_before: None,
            last_failure: None,
            failed_at: None,
            quarantined_until: None,
            failed_setup: None,
            token_refused_at: None,
            refresh_token_expires_at: None,
        }
    }

    /// Returns whether there is a refused refresh token that may be tried again on request.
    #[must_use]
    pub fn is_quarantined(&self, now: Timestamp) -> bool {
        matches!(self.status, Status::NeedsConsent(_))
            && self.quarantined_until.is_some_and(|until| until > now)
    }

    /// Returns the end of the back-off after a failure, if it is not over yet.
    #[must_use]
    pub fn backs_off(&self, now: Timestamp) -> Option<Timestamp> {
        self.not_before
            .filter(|until| lasts(self.failed_at.unwrap_or(now), *until, Duration::ZERO, now))
    }

    /// Returns the refresh state that the grant shows.
    #[must_use]
    pub fn refresh_state(&self) -> RefreshState {
        RefreshState {
            failures: self.failures,
            not_before: self.not_before,
            last_failure: self.last_failure,
            failed_at: self.failed_at,
            in_flight: self.held.map(Held::in_flight),
            quarantined_until: self.quarantined_until,
            failed_setup: self.failed_setup,
            token_refused_at: self.token_refused_at,
            refresh_token_expires_at: self.refresh_token_expires_at,
        }
    }

    /// Copies the status, the generation and the refresh state into the grant.
    pub fn show_in(&self, grant: &mut Grant) {
        grant.status = self.status;
        grant.generation = self.generation;
        grant.refreshable = self.refreshable;
        grant.refresh = self.refresh_state();
    }
}

impl Held {
    const fn in_flight(self) -> InFlight {
        InFlight {
            since: self.since,
            until: self.until,
        }
    }
}

/// Decides on a request to refresh. Changes the lifecycle only if the claim is granted.
///
/// `dead` is a holder that is known to have ended: its claim counts as lapsed, whatever its time. A
/// live claim of the same holder counts as that of another one, because two threads of one process
/// are two clients to the authorization server.
pub fn claim(lifecycle: &mut Lifecycle, request: &ClaimRequest<'_>, dead: Option<Holder>) -> Decision {
    if lifecycle.generation != request.generation {
        return Decision::Moved;
    }
    let quarantined = request.attempt == Attempt::Quarantined;
    if quarantined && !lifecycle.is_quarantined(request.now) || !quarantined && !lifecycle.refreshable {
        return match lifecycle.status {
            Status::Active => Decision::NotRefreshable,
            status => Decision::NotActive(status),
        };
    }
    if !quarantined && lifecycle.status != Status::Active {
        return Decision::NotActive(lifecycle.status);
    }
    if let Some(held) = lifecycle.held
        && Some(held.holder) != dead
        && lasts(held.since, held.until, request.lease, request.now)
    {
        return Decision::Held(held.in_flight());
    }
    if request.attempt == Attempt::Due
        && let Some(not_before) = lifecycle.backs_off(request.now)
    {
        return Decision::BackingOff(not_before);
    }

    let generation = lifecycle.generation;
    // The claim never ended: its holder may have died before or after it sent its request.
    let this_unknown = lifecycle.held.is_some() || lifecycle.unknown_generation == Some(generation);
    // The request of a process that died may arrive after the response to its successor's request.
    // A server that revokes all tokens of a grant when a token is replayed then revokes the
    // successor's tokens as well.
    let outcome_unknown = this_unknown
        || lifecycle
            .unknown_generation
            .is_some_and(|unknown| unknown.saturating_add(1) == generation);
    if this_unknown {
        lifecycle.unknown_generation = Some(generation);
    }
    lifecycle.fence = lifecycle.fence.saturating_add(1);
    lifecycle.held = Some(Held {
        holder: request.holder,
        fence: lifecycle.fence,
        since: request.now,
        until: request.now + request.lease,
    });
    Decision::Granted {
        claim: Claim {
            generation,
            fence: lifecycle.fence,
        },
        outcome_unknown,
    }
}

/// Returns whether a period that began at `since` and ends at `until` is not over yet.
///
/// The period is also over if the clock was set back by more than the length of the period:
/// otherwise a claim would hold for hours after a correction of the clock. A smaller step back
/// extends the period by that step, so that two hosts whose clocks differ a little never hold the
/// same claim.
pub(crate) fn lasts(since: Timestamp, until: Timestamp, at_least: Duration, now: Timestamp) -> bool {
    let span = until.saturating_since(since).max(at_least);
    until > now && until.saturating_since(now) <= span.saturating_mul(2)
}

/// Decides on refreshed tokens. On [`CommitOutcome::Stored`] they must be stored together with the
/// lifecycle, whose generation has increased by one.
///
/// Only the generation counts, because a holder whose claim has lapsed may have the only valid
/// tokens. This holds even if a later claim was refused meanwhile: its request used a refresh token
/// that the first request had already replaced.
pub fn commit(lifecycle: &mut Lifecycle, claim: &Claim, refreshable: bool) -> CommitOutcome {
    if lifecycle.status == Status::Revoked {
        return CommitOutcome::Gone;
    }
    if lifecycle.generation != claim.generation {
        return CommitOutcome::Superseded;
    }
    let unknown_generation = lifecycle
        .unknown_generation
        .filter(|unknown| *unknown == claim.generation);
    *lifecycle = Lifecycle {
        unknown_generation,
        ..Lifecycle::granted(
            lifecycle.generation.saturating_add(1),
            refreshable,
            lifecycle.fence,
        )
    };
    CommitOutcome::Stored
}

/// Decides on the end of a claim without new tokens. On [`CommitOutcome::Stored`] the lifecycle
/// must be stored, and the tokens must be kept or erased as the second value says.
///
/// The failure counts only if this claim has not ended, because the result of a later claim is
/// newer. [`RefreshFailure::ConsentNeeded`] counts for the generation, with or without a claim.
pub fn fail(lifecycle: &mut Lifecycle, claim: &Claim, failure: &RefreshFailure) -> (CommitOutcome, Keep) {
    if lifecycle.status == Status::Revoked {
        return (CommitOutcome::Gone, Keep::All);
    }
    if let RefreshFailure::ConsentNeeded { reason, .. } = *failure {
        return need_consent(lifecycle, claim.generation, reason);
    }
    if let RefreshFailure::TokenRefused { at } = *failure {
        return refuse_token(lifecycle, claim.generation, at);
    }
    let is_open = lifecycle.generation == claim.generation
        && lifecycle.held.is_some_and(|held| held.fence == claim.fence);
    let quarantined = lifecycle.status != Status::Active;
    if !is_open || quarantined && lifecycle.quarantined_until.is_none() {
        return (CommitOutcome::Superseded, Keep::All);
    }
    lifecycle.held = None;
    if quarantined && matches!(failure, RefreshFailure::Rejected { .. }) {
        // A second refusal changes neither the reason nor the end of the quarantine.
        return (CommitOutcome::Stored, Keep::All);
    }
    lifecycle.failures = lifecycle.failures.saturating_add(1);
    let keep = match *failure {
        RefreshFailure::Transient {
            code,
            at,
            not_before,
            setup,
        } => {
            lifecycle.not_before = Some(not_before);
            lifecycle.failed_setup = setup;
            lifecycle.last_failure = Some(code);
            lifecycle.failed_at = Some(at);
            if code.outcome_unknown() {
                lifecycle.unknown_generation = Some(lifecycle.generation);
            }
            Keep::All
        }
        RefreshFailure::Rejected {
            reason,
            at,
            quarantined_until,
        } => {
            lifecycle.status = Status::NeedsConsent(reason);
            lifecycle.refreshable = false;
            lifecycle.not_before = None;
            lifecycle.last_failure = Some(FailureCode::GrantRejected);
            lifecycle.failed_at = Some(at);
            lifecycle.quarantined_until = quarantined_until;
            if quarantined_until.is_some() {
                Keep::RefreshToken
            } else {
                Keep::Nothing
            }
        }
        // Returned above, because they need no claim.
        RefreshFailure::ConsentNeeded { .. } | RefreshFailure::TokenRefused { .. } => Keep::All,
    };
    (CommitOutcome::Stored, keep)
}

/// Decides that an active grant needs a new consent, claimed or not. Its tokens must be erased.
fn need_consent(lifecycle: &mut Lifecycle, generation: u64, reason: NeedsConsent) -> (CommitOutcome, Keep) {
    if lifecycle.status != Status::Active || lifecycle.generation != generation {
        return (CommitOutcome::Superseded, Keep::All);
    }
    lifecycle.status = Status::NeedsConsent(reason);
    lifecycle.refreshable = false;
    lifecycle.held = None;
    lifecycle.not_before = None;
    (CommitOutcome::Stored, Keep::Nothing)
}

/// Records that the API refuses the current access token, claimed or not.
fn refuse_token(lifecycle: &mut Lifecycle, generation: u64, at: Timestamp) -> (CommitOutcome, Keep) {
    if lifecycle.status != Status::Active || lifecycle.generation != generation {
        return (CommitOutcome::Superseded, Keep::All);
    }
    lifecycle.token_refused_at = Some(at);
    (CommitOutcome::Stored, Keep::All)
}

/// Ends a quarantine that is over. Returns `true` if it ended: then the refused refresh token must
/// be erased and the lifecycle must be stored.
pub fn end_quarantine(lifecycle: &mut Lifecycle, now: Timestamp) -> bool {
    if lifecycle.quarantined_until.is_none_or(|until| until > now) {
        return false;
    }
    lifecycle.quarantined_until = None;
    lifecycle.held = None;
    true
}

/// Revokes the tokens. Returns `true` if they were not revoked before: then they must be erased and
/// the lifecycle must be stored.
pub fn revoke(lifecycle: &mut Lifecycle) -> bool {
    if lifecycle.status == Status::Revoked {
        return false;
    }
    *lifecycle = Lifecycle {
        status: Status::Revoked,
        ..Lifecycle::granted(lifecycle.generation, false, lifecycle.fence)
    };
    true
}

#[cfg(test)]
mod tests;
