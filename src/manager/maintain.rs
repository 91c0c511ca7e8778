//! Upkeep, as a call that the host makes: once a minute or so, from any process, from one thread.
//!
//! Nothing here needs to be done by one process alone. Each refresh is claimed like any other, so two processes that
//! find the same connection due make one request.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::manager::Inner;
use crate::manager::refresh::Wanted;
use crate::model::Timestamp;
use crate::vault::{Attempt, Due, Erasure};

/// Access tokens that expire within this time are renewed by upkeep: what `resolve` would call due, and a minute
/// more, so that a turn seldom waits.
const HORIZON: Duration = Duration::from_secs(6 * 60);

/// How much upkeep one call may do.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Budget {
    /// At most so many rows are deleted: 1000.
    pub rows: usize,
    /// At most so many connections are refreshed, one after the other: 100.
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
    /// The same with so many rows.
    #[must_use]
    pub const fn rows(mut self, rows: usize) -> Self {
        self.rows = rows;
        self
    }

    /// The same with so many refreshes. Zero for a process that must not touch the network.
    #[must_use]
    pub const fn refreshes(mut self, refreshes: usize) -> Self {
        self.refreshes = refreshes;
        self
    }

    /// The same with so much time.
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
    /// How many uses of tokens were written, for the audit and for the time of the last use.
    pub uses_recorded: usize,
    /// How many connections were refreshed.
    pub refreshed: usize,
    /// How many refreshes failed, for now or for good; each connection's health says why.
    pub failed: usize,
    /// How many pending revocations were settled at their provider.
    pub revocations_settled: usize,
    /// How many expired consents were deleted.
    pub consents_purged: usize,
    /// How many refused refresh tokens were erased at the end of their quarantine.
    pub quarantines_ended: usize,
    /// Whether every file is free of erased secrets.
    pub residue: Erasure,
    /// When to call again: at once if the budget ran out, else in a minute.
    pub next: Duration,
}

impl Inner {
    pub(crate) fn maintain(&self, budget: Budget) -> Result<Upkeep> {
        let until = Instant::now() + budget.time;
        let now = self.now();
        let uses = self.usage.take();
        let uses_recorded = uses.len();
        if !uses.is_empty()
            && let Err(error) = self.record(&uses)
        {
            self.usage.put_back(uses);
            return Err(error.into());
        }
        // A used consent is remembered for one more lifetime, so that a late replay is told from a stranger's guess.
        let before = now.saturating_sub(self.settings.consent_lifetime);
        let consents_purged = self.vault.purge_consents(before, budget.rows)?;
        let quarantines_ended = self.vault.erase_quarantined(now, budget.rows)?;
        let (refreshed, failed, spent) = self.refresh_due(now, budget, until)?;
        let revocations_settled = self.drain_outbox(budget.refreshes)?;
        let residue = self.vault.clear_residue()?;
        let spent = spent || consents_purged == budget.rows || quarantines_ended == budget.rows;
        Ok(Upkeep {
            uses_recorded,
            refreshed,
            failed,
            revocations_settled,
            consents_purged,
            quarantines_ended,
            residue,
            next: if spent {
                Duration::ZERO
            } else {
                Duration::from_secs(60)
            },
        })
    }

    /// Renews what is due. Returns how many were renewed and how many failed, and whether the budget ran out.
    fn refresh_due(&self, now: Timestamp, budget: Budget, until: Instant) -> Result<(usize, usize, bool)> {
        let (mut refreshed, mut failed) = (0, 0);
        let due = self.due(now, budget.refreshes)?;
        let all = due.len();
        for due in due {
            if Instant::now() >= until {
                return Ok((refreshed, failed, true));
            }
            let renewed = self.renew(Wanted {
                tenant: &due.tenant,
                connection: due.connection,
                provider: &due.provider,
                keeper: due.connection,
                generation: due.generation,
                attempt: Attempt::Due,
                by: None,
                deadline: Instant::now() + self.settings.resolve_deadline,
            });
            match renewed {
                Ok(_) => refreshed += 1,
                // The store itself fails: there is no use in going on.
                Err(error @ Error::Vault(_)) => return Err(error),
                Err(_) => failed += 1,
            }
        }
        Ok((refreshed, failed, all == budget.refreshes && all > 0))
    }

    /// What is to be renewed, soonest death first: access tokens about to expire, then grants that would die of
    /// lying idle, when half of that time has passed.
    fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Due>> {
        let mut due = self.vault.due(now, HORIZON, limit)?;
        for server in self.registry.servers() {
            let Some(idle) = server.refresh_token_idle else {
                continue;
            };
            let left = limit.saturating_sub(due.len());
            if left == 0 {
                break;
            }
            let since = now.saturating_sub(idle / 2);
            for idle in self.vault.idle(since, &server.id, left)? {
                if due.iter().all(|known| known.connection != idle.connection) {
                    due.push(idle);
                }
            }
        }
        // Without a client there is no way to ask; the operator knows by `health` and by the turns that fail.
        due.retain(|due| self.service(due.provider.as_str()).is_ok());
        Ok(due)
    }
}
