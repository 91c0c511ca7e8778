//! Upkeep, as a call that the host makes: once a minute or so, from any process, from one thread.
//!
//! Nothing here needs to be done by one process alone. Each refresh is claimed like any other, so several processes
//! divide the work between them.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::manager::Inner;
use crate::manager::refresh::Grounded;
use crate::model::{GrantId, Timestamp};
use crate::provider::AuthorizationServer;
use crate::trace::{self, About, Seam};
use crate::vault::{Claimed, DueQuery, Erasure, SweepLimits};

/// Access tokens that expire within this time are refreshed by upkeep: what `resolve` would call due, and a minute
/// more, so that a turn seldom waits.
const HORIZON: Duration = Duration::from_secs(6 * 60);

/// How many refreshes are claimed at a time. A claim that waits behind slow requests would lapse, and those who need the
/// token meanwhile would wait for nothing.
const BATCH: usize = 1;

/// After this many failures in a row a server is left alone for the rest of the call.
const STRIKES: u32 = 3;

/// How much upkeep one call may do.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Budget {
    /// At most this many rows of each kind are deleted: 1000.
    pub rows: usize,
    /// At most this many grants are refreshed, one after the other: 100.
    pub refreshes: usize,
    /// No refresh is begun after this time: 30 s. One that has begun is bounded by its own deadline.
    pub time: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            rows: 1_000,
            refreshes: 100,
            time: Duration::from_secs(30),
        }
    }
}

impl Budget {
    /// Returns the same budget with this many rows.
    #[must_use]
    pub const fn rows(mut self, rows: usize) -> Self {
        self.rows = rows;
        self
    }

    /// Returns the same budget with this many refreshes. Zero for a process that must not touch the network.
    #[must_use]
    pub const fn refreshes(mut self, refreshes: usize) -> Self {
        self.refreshes = refreshes;
        self
    }

    /// Returns the same budget with this much time.
    #[must_use]
    pub const fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }
}

/// What upkeep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upkeep {
    /// How many token uses were written, for the audit and for the time of the last use.
    pub uses_recorded: usize,
    /// How many sets of tokens were stored that could not be stored when they were fetched.
    pub tokens_saved: usize,
    /// How many grants were refreshed.
    pub refreshed: usize,
    /// How many refreshes failed, for now or for good; each connection's health says why.
    pub failed: usize,
    /// How many pending revocations were settled at their provider.
    pub revocations_settled: usize,
    /// How many expired consent requests were deleted.
    pub consents_purged: usize,
    /// How many refused refresh tokens were erased at the end of their quarantine.
    pub quarantines_ended: usize,
    /// How many former grants were deleted because their tokens are dead.
    pub former_grants_purged: usize,
    /// How many entries of the audit were deleted because they are too old.
    pub audit_entries_pruned: usize,
    /// Whether every file is free of erased secrets.
    pub residue: Erasure,
    /// When to call again: at once if the budget ran out and something was done, else in a minute.
    pub next: Duration,
}

/// What was refreshed.
#[derive(Default)]
struct Refreshes {
    refreshed: usize,
    failed: usize,
    /// How many requests were made. A grant that cannot be tried costs none.
    requests: usize,
    /// Whether the budget ran out.
    spent: bool,
}

/// A server whose grants are refreshed in turn with those of the others.
struct Queue<'a> {
    server: &'a AuthorizationServer,
    /// Grants that this call has claimed before.
    seen: BTreeSet<GrantId>,
    failures: u32,
}

/// What upkeep does with a queue after one refresh.
#[derive(PartialEq, Eq)]
enum Turn {
    Continues,
    Ended,
}

impl Inner {
    pub(crate) fn maintain(&self, budget: Budget) -> Result<Upkeep> {
        let until = Instant::now() + budget.time;
        let now = self.now();
        // A grant whose new tokens wait here must not be refreshed with its old ones.
        let tokens_saved = self.save_all_unsaved()?;
        let uses_recorded = self.record_gathered()?;
        let swept = self.vault.sweep(&SweepLimits {
            now,
            // A used consent is remembered for one more lifetime, so that a late replay is told from a guess.
            consents_before: now.saturating_sub(self.settings.consent_lifetime),
            retention: self.settings.audit_retention,
            rows: budget.rows,
        })?;
        let refreshes = self.refresh_due(now, budget, until)?;
        let revocations_settled = self.drain_outbox(budget.refreshes)?;
        let residue = self.vault.clear_residue()?;
        let deleted = swept.consents + swept.quarantines + swept.former_grants + swept.audit_entries;
        let again = refreshes.spent && refreshes.refreshed > 0 || swept.more && deleted > 0;
        Ok(Upkeep {
            uses_recorded,
            tokens_saved,
            refreshed: refreshes.refreshed,
            failed: refreshes.failed,
            revocations_settled,
            consents_purged: swept.consents,
            quarantines_ended: swept.quarantines,
            former_grants_purged: swept.former_grants,
            audit_entries_pruned: swept.audit_entries,
            residue,
            next: if again {
                Duration::ZERO
            } else {
                Duration::from_secs(60)
            },
        })
    }

    /// Refreshes what is due, one grant of each server in turn: a server that is slow, or has many, keeps no other
    /// waiting for long.
    fn refresh_due(&self, now: Timestamp, budget: Budget, until: Instant) -> Result<Refreshes> {
        let mut done = Refreshes::default();
        let mut queues = self.queues();
        while !queues.is_empty() {
            let mut left = Vec::new();
            for mut queue in queues {
                if done.requests >= budget.refreshes || Instant::now() >= until {
                    done.spent = budget.refreshes > 0;
                    return Ok(done);
                }
                if self.refresh_one(&mut queue, now, &mut done)? == Turn::Continues {
                    left.push(queue);
                }
            }
            queues = left;
        }
        Ok(done)
    }

    /// The servers with a client registration. Without one there is no way to ask; the operator knows by `health` and by
    /// the turns that fail.
    fn queues(&self) -> Vec<Queue<'_>> {
        let registered = self.registry.servers();
        let mut queues: Vec<_> = registered
            .filter(|server| self.registry.client(&server.id).is_some())
            .map(|server| Queue {
                server,
                seen: BTreeSet::new(),
                failures: 0,
            })
            .collect();
        let first = self.first_server.fetch_add(1, Ordering::Relaxed);
        if !queues.is_empty() {
            let first = first % queues.len();
            queues.rotate_left(first);
        }
        queues
    }

    fn refresh_one(&self, queue: &mut Queue<'_>, now: Timestamp, done: &mut Refreshes) -> Result<Turn> {
        // When half of the time has passed after which an idle grant dies, it is refreshed.
        let idle = queue.server.refresh_token_idle;
        let claimed = self.vault.claim_due(&DueQuery {
            server: &queue.server.id,
            holder: self.holder,
            now: self.now(),
            lease: self.settings.refresh_lease,
            horizon: HORIZON,
            idle_since: idle.map(|idle| now.saturating_sub(idle / 2)),
            limit: BATCH,
        })?;
        if claimed.is_empty() {
            return Ok(Turn::Ended);
        }
        let mut turn = Turn::Continues;
        for claimed in claimed {
            // It was refreshed in this call and is due again: its tokens live shorter than the horizon. All that was
            // due before has had its turn.
            if !queue.seen.insert(claimed.grant.id) {
                turn = Turn::Ended;
            }
            done.requests += 1;
            match self.refresh_in_turn(claimed) {
                Ok(()) => {
                    done.refreshed += 1;
                    queue.failures = 0;
                }
                // The store itself fails: there is no use in going on.
                Err(Grounded::Failed(error @ Error::Vault(_))) => return Err(error),
                Err(Grounded::Failed(Error::Unavailable(_))) => {
                    done.failed += 1;
                    queue.failures += 1;
                }
                Err(Grounded::Untried(_)) => {
                    done.failed += 1;
                    done.requests -= 1;
                }
                Err(_) => done.failed += 1,
            }
        }
        if queue.failures >= STRIKES {
            turn = Turn::Ended;
        }
        Ok(turn)
    }

    fn refresh_in_turn(&self, claimed: Claimed) -> Result<(), Grounded> {
        let (tenant, provider) = (claimed.grant.tenant.clone(), claimed.grant.provider.clone());
        let about = || About {
            tenant: Some(&tenant),
            provider: Some(&provider),
            ..About::default()
        };
        let mut grounded = None;
        let spanned = trace::within(Seam::Refresh, about, || match self.refresh_claimed(claimed) {
            // Another caller was faster: that is a success too.
            Ok(_) | Err(Grounded::Moved(_)) => Ok(()),
            Err(failed) => {
                let error = failed.to_error(&provider);
                grounded = Some(failed);
                Err(error)
            }
        });
        match grounded {
            Some(grounded) => Err(grounded),
            None => Ok(spanned?),
        }
    }
}
