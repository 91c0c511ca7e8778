//! The decisions about a connection's tokens: pure functions, the same for every vault.
//!
//! ```text
//! Active(g) --claim--> in flight (g, fence) --commit--> Active(g+1)
//!    ^                   |  \--fail(Rejected), g and fence unchanged--> NeedsConsent
//!    |                   \--fail(Transient), g and fence unchanged--> Active(g), backing off
//!    |  claim lapsed: claim (g, fence+1) with `outcome_unknown`
//! NeedsConsent, refused token in quarantine --claim(Quarantined)--> in flight --commit--> Active(g+1)
//! any --revoke--> Revoked        any --grant--> Active(g+1)
//! ```
//!
//! A vault keeps one [`Lifecycle`] for each connection and calls one of these functions inside the transaction
//! that stores what they leave in it. Nothing was changed unless the function says so.

use std::time::Duration;

use crate::model::{FailureCode, Grant, InFlight, NeedsConsent, RefreshState, Status, Timestamp};
use crate::vault::{Attempt, Claim, ClaimOutcome, ClaimRequest, CommitOutcome, Holder, RefreshFailure};

/// Where the tokens of a connection stand.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct Lifecycle {
    /// Whether the connection can be resolved.
    pub status: Status,
    /// The count of its token pairs.
    pub generation: u64,
    /// Whether there is a refresh token that may be used.
    pub refreshable: bool,
    /// Raised by each claim; never lowered.
    pub fence: u64,
    /// The claim that has begun and has not ended. It may have lapsed.
    pub held: Option<Held>,
    /// The generation whose refresh token may have reached the server without the answer reaching us: this one, or the
    /// one before, whose request may still be on its way.
    pub unknown_generation: Option<u64>,
    /// Failures in a row since the last success.
    pub failures: u32,
    /// No attempt before this time.
    pub not_before: Option<Timestamp>,
    /// The last failure, until a success clears it.
    pub last_failure: Option<FailureCode>,
    /// When the last failure happened.
    pub failed_at: Option<Timestamp>,
    /// Until when a refused refresh token is kept.
    pub quarantined_until: Option<Timestamp>,
}

/// A claim, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_structs, reason = "a vault must be able to build one")]
pub struct Held {
    /// Who holds it.
    pub holder: Holder,
    /// Its number.
    pub fence: u64,
    /// When it was granted.
    pub since: Timestamp,
    /// When it lapses.
    pub until: Timestamp,
}

/// What became of a wish to refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a vault must handle every case")]
pub enum Decision {
    /// The claim is granted: the lifecycle holds it and must be stored.
    Granted {
        /// The proof of the claim.
        claim: Claim,
        /// Whether an earlier attempt with this refresh token may have reached the server.
        outcome_unknown: bool,
    },
    /// A claim is live.
    Held(InFlight),
    /// Another generation is stored.
    Moved,
    /// No attempt before this time.
    BackingOff(Timestamp),
    /// There is no refresh token.
    NotRefreshable,
    /// The connection is not active.
    NotActive(Status),
}

impl Decision {
    /// The claim and whether an earlier outcome is unknown, or the outcome that says why there is no claim.
    ///
    /// # Errors
    ///
    /// The outcome of a claim that was not granted.
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

/// What [`fail`] leaves of the sealed tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a vault must handle every case")]
pub enum Keep {
    /// All of them.
    All,
    /// Not the access token; the refused refresh token stays sealed until its quarantine ends.
    RefreshToken,
    /// None.
    Nothing,
}

impl Lifecycle {
    /// A connection that was just granted.
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
        }
    }

    /// Whether it holds a refused refresh token that may be tried again on request.
    #[must_use]
    pub fn is_quarantined(&self, now: Timestamp) -> bool {
        matches!(self.status, Status::NeedsConsent(_))
            && self.quarantined_until.is_some_and(|until| until > now)
    }

    /// Until when it waits after a failure, if it still does.
    #[must_use]
    pub fn backs_off(&self, now: Timestamp) -> Option<Timestamp> {
        self.not_before
            .filter(|until| lasts(self.failed_at.unwrap_or(now), *until, Duration::ZERO, now))
    }

    /// Returns what a grant shows of it.
    #[must_use]
    pub fn refresh_state(&self) -> RefreshState {
        RefreshState {
            failures: self.failures,
            not_before: self.not_before,
            last_failure: self.last_failure,
            failed_at: self.failed_at,
            in_flight: self.held.map(Held::in_flight),
            quarantined_until: self.quarantined_until,
        }
    }

    /// Writes what a grant shows of it into the grant.
    pub fn show_in(&self, grant: &mut Grant) {
        grant.status = self.status;
        grant.generation = self.generation;
        grant.refreshable = self.refreshable;
        grant.refresh = self.refresh_state();
    }
}

impl Held {
    /// Whether it has not lapsed. It may, all the same, be the claim of a holder that is dead.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        lasts(self.since, self.until, Duration::ZERO, now)
    }

    const fn in_flight(self) -> InFlight {
        InFlight {
            since: self.since,
            until: self.until,
        }
    }
}

/// Decides on a wish to refresh. Changes the lifecycle only if the claim is granted.
///
/// `dead` is a holder that is known to live no more: its claim has lapsed, whatever its time. A claim that is live belongs to somebody, even if to the same holder: two threads of one process are two
/// clients to the authorization server.
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
    // A claim that was never ended: its holder died, and whether it had dialled nobody knows.
    let this_unknown = lifecycle.held.is_some() || lifecycle.unknown_generation == Some(generation);
    // The request of a process that died may still be on its way when its successor's is answered. A server that ends
    // the family at a replay ends the successor's token then: that is a loss in flight too.
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

/// Whether what was set at `since` to end at `until` still lasts.
///
/// If the clock went backwards by more than the span itself, it does not: nothing holds for ever because
/// of an hour that came twice. A smaller step makes it last that much longer, so that two hosts whose
/// clocks differ a little never hold one claim both.
fn lasts(since: Timestamp, until: Timestamp, at_least: Duration, now: Timestamp) -> bool {
    let span = until.saturating_since(since).max(at_least);
    until > now && until.saturating_since(now) <= span.saturating_mul(2)
}

/// Decides on renewed tokens. On [`CommitOutcome::Stored`] they must be stored with the lifecycle, whose generation
/// is raised by one.
///
/// By the generation alone: a holder whose claim has lapsed may have the only good token. It comes back even if
/// a later claim was refused with the token that this one had used up.
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

/// Decides on the end of a claim without new tokens. On [`CommitOutcome::Stored`] the lifecycle must be stored, and
/// of the tokens what the second value says.
///
/// Counts only if this very claim is still open: what another attempt has learned meanwhile is newer.
pub fn fail(lifecycle: &mut Lifecycle, claim: &Claim, failure: &RefreshFailure) -> (CommitOutcome, Keep) {
    if lifecycle.status == Status::Revoked {
        return (CommitOutcome::Gone, Keep::All);
    }
    if let RefreshFailure::ConsentNeeded { reason, .. } = *failure {
        return need_consent(lifecycle, claim.generation, reason);
    }
    let is_open = lifecycle.generation == claim.generation
        && lifecycle.held.is_some_and(|held| held.fence == claim.fence);
    let quarantined = lifecycle.status != Status::Active;
    if !is_open || quarantined && lifecycle.quarantined_until.is_none() {
        return (CommitOutcome::Superseded, Keep::All);
    }
    lifecycle.held = None;
    if quarantined && matches!(failure, RefreshFailure::Rejected { .. }) {
        // It was refused before: a second refusal neither shortens nor lengthens its quarantine.
        return (CommitOutcome::Stored, Keep::All);
    }
    lifecycle.failures = lifecycle.failures.saturating_add(1);
    let keep = match *failure {
        RefreshFailure::Transient { code, at, not_before } => {
            lifecycle.not_before = Some(not_before);
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
        // Handled above: it needs no open claim.
        RefreshFailure::ConsentNeeded { .. } => Keep::All,
    };
    (CommitOutcome::Stored, keep)
}

/// Decides that an active grant needs a new consent, whether or not it is claimed.
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

/// Ends a quarantine. `true` if it was over: then the refused refresh token must be erased and the lifecycle be stored.
pub fn end_quarantine(lifecycle: &mut Lifecycle, now: Timestamp) -> bool {
    if lifecycle.quarantined_until.is_none_or(|until| until > now) {
        return false;
    }
    lifecycle.quarantined_until = None;
    lifecycle.held = None;
    true
}

/// Revokes. `true` if it was not revoked before: then its tokens must be erased and the lifecycle be stored.
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
