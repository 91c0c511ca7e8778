//! Upkeep, as a call that the host makes: once a minute or so, from any process.
//!
//! Nothing here needs to be done by one process alone. Each refresh is claimed like any other, so
//! several processes divide the work between them.

use std::time::{Duration, Instant};

use crate::engine::Context;
use crate::engine::refresh::commit;
use crate::engine::upkeep::budget::Budget;
use crate::engine::upkeep::due;
use crate::engine::upkeep::outbox;
use crate::engine::uses;
use crate::error::{Error, Result};
use crate::vault::{Erasure, Retention, SweepLimits};

/// What upkeep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpkeepReport {
    /// The number of token uses that were written, for the audit and for the time of the last use.
    pub uses_recorded: usize,
    /// The number of sets of tokens that were stored that could not be stored when they were
    /// fetched.
    pub tokens_saved: usize,
    /// The number of grants this call refreshed. What another caller refreshed meanwhile is not
    /// counted.
    pub refreshed: usize,
    /// The number of refreshes failed, for now or for good; each connection's health says why.
    pub failed: usize,
    /// The number of grants that were passed over because the configuration does not fit them.
    /// Their health names the remedy.
    pub passed_over: usize,
    /// The number of pending revocations that were settled at their provider.
    pub revocations_settled: usize,
    /// The number of expired consent requests that were deleted.
    pub consents_purged: usize,
    /// The number of refused refresh tokens that were erased at the end of their quarantine.
    pub quarantines_ended: usize,
    /// The number of former grants that were deleted because their tokens are dead.
    pub former_grants_purged: usize,
    /// The number of entries of the audit that were deleted because they are too old.
    pub audit_entries_pruned: usize,
    /// Whether every file is free of erased secrets.
    pub residue: Erasure,
    /// The time when to call again: at once if the budget ran out and something was done, else in a
    /// minute.
    pub next: Duration,
}

/// The first failure of several steps, each of which is tried whatever became of those before.
#[derive(Default)]
struct FirstFailure(Option<Error>);

impl FirstFailure {
    fn keep<T, E: Into<Error>>(&mut self, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.0.get_or_insert_with(|| error.into());
                None
            }
        }
    }
}

pub(crate) fn maintain(cx: &Context, budget: Budget) -> Result<UpkeepReport> {
    let until = Instant::now() + budget.time;
    let now = cx.now();
    let mut failure = FirstFailure::default();
    // A grant whose new tokens wait here must not be refreshed with its old ones.
    let tokens_saved = failure.keep(commit::save_all_unsaved(cx));
    let uses_recorded = failure.keep(uses::record_gathered(cx));
    let swept = failure.keep(cx.vault.sweep(&SweepLimits {
        now,
        // A used consent is remembered for one more lifetime, so that a late replay is told from a
        // guess.
        consents_before: now.saturating_sub(cx.settings.consent_lifetime),
        retention: Retention {
            uses: cx.settings.use_retention,
            changes: cx.settings.change_retention,
        },
        rows: budget.rows,
    }));
    let refreshes = failure.keep(due::refresh_due(cx, budget, until));
    let drained = failure.keep(outbox::drain_outbox(cx, budget, until));
    // Last, and whatever failed before: this is what erased secrets leave behind.
    let residue = failure.keep(cx.vault.clear_residue());
    if let Some(error) = failure.0 {
        return Err(error);
    }
    let (swept, refreshes) = (swept.unwrap_or_default(), refreshes.unwrap_or_default());
    let drained = drained.unwrap_or_default();
    let deleted = swept.consents + swept.quarantines + swept.former_grants + swept.audit_entries;
    let again = refreshes.spent && refreshes.refreshed > 0
        || drained.spent && drained.settled > 0
        || swept.more && deleted > 0;
    Ok(UpkeepReport {
        uses_recorded: uses_recorded.unwrap_or_default(),
        tokens_saved: tokens_saved.unwrap_or_default(),
        refreshed: refreshes.refreshed,
        failed: refreshes.failed,
        passed_over: refreshes.passed_over,
        revocations_settled: drained.settled,
        consents_purged: swept.consents,
        quarantines_ended: swept.quarantines,
        former_grants_purged: swept.former_grants,
        audit_entries_pruned: swept.audit_entries,
        residue: residue.unwrap_or(Erasure::Pending),
        next: if again {
            Duration::ZERO
        } else {
            Duration::from_secs(60)
        },
    })
}
