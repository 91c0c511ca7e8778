//! The limits of one call of upkeep.

use std::time::Duration;

/// After this many failures in a row a server, or a client there, is left alone for a while.
pub(crate) const STRIKES: u32 = 3;

/// The limits of one call of upkeep.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Budget {
    /// At most this many rows of each kind are deleted: 1000.
    pub rows: usize,
    /// At most this many grants are refreshed, and at most this many pending revocations are tried:
    /// 100.
    pub refreshes: usize,
    /// No request is begun after this time: 30 s. One that has begun is bounded by its own
    /// deadline.
    pub time: Duration,
    /// At most this many requests are made at a time, each on a thread of its own: 8. No server is
    /// asked by more than half of them while another server has work too.
    pub workers: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            rows: 1_000,
            refreshes: 100,
            time: Duration::from_secs(30),
            workers: 8,
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

    /// Returns the same budget with this many refreshes. Zero for a process that must not touch the
    /// network.
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

    /// Returns the same budget with this many workers. One worker makes one request after the
    /// other, on the caller's thread; zero counts as one.
    #[must_use]
    pub const fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }
}
