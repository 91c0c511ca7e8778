//! Upkeep: called by the host about once a minute, from any process.
//!
//! No task here requires a single process. Each refresh is claimed as usual, so several processes
//! divide the work between them.

use std::time::{Duration, Instant};

use crate::engine::Context;
use crate::engine::refresh::commit;
use crate::engine::upkeep::budget::Budget;
use crate::engine::upkeep::due;
use crate::engine::upkeep::outbox;
use crate::engine::uses;
use crate::error::{Error, Result};
use crate::vault::{Erasure, Retention, SweepLimits};

/// A report of one upkeep call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpkeepReport {
    /// The number of token uses written, for the audit and for the time of the last use.
    pub uses_recorded: usize,
    /// The number of token sets stored now after an earlier attempt to store them had failed.
    pub tokens_saved: usize,
    /// The number of grants refreshed by this call. Grants that another caller refreshed meanwhile
    /// are not counted.
    pub refreshed: usize,
    /// The number of failed refreshes, temporary or permanent. Each connection's health gives the
    /// reason.
    pub failed: usize,
    /// The number of grants skipped because the configuration does not match them. Their health
    /// names the remedy.
    pub passed_over: usize,
    /// The number of pending revocations that their provider settled.
    pub revocations_settled: usize,
    /// The number of expired consent requests that were deleted.
    pub consents_purged: usize,
    /// The number of refused refresh tokens erased at the end of their quarantine.
    pub quarantines_ended: usize,
    /// The number of former grants deleted because their tokens have expired.
    pub former_grants_purged: usize,
    /// The number of audit entries deleted because of their age.
    pub audit_entries_pruned: usize,
    /// The state of erased secrets in the vault's files.
    pub residue: Erasure,
    /// The time to wait before the next call: zero if the budget ran out and something was done,
    /// otherwise a minute.
    pub next: Duration,
}

/// The first failure among several steps, each of which runs regardless of earlier failures.
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
    // A grant whose new tokens are waiting here must not be refreshed with its old ones.
    let tokens_saved = failure.keep(commit::save_all_unsaved(cx));
    let uses_recorded = failure.keep(uses::record_gathered(cx));
    let swept = failure.keep(cx.vault.sweep(&SweepLimits {
        now,
        // A used consent is remembered for one more lifetime, to distinguish a late replay from a
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
    // Last, and even after failures: removes the remains of erased secrets.
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
