//! The limits of one upkeep call.

use std::time::Duration;

/// The number of consecutive failures after which upkeep stops contacting a server or client for a
/// while.
pub(crate) const STRIKES: u32 = 3;

/// The limits of one upkeep call.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Budget {
    /// The maximum number of rows of each kind to delete: 1000.
    pub rows: usize,
    /// The maximum number of grants to refresh, and of pending revocations to retry: 100.
    pub refreshes: usize,
    /// No request starts after this time: 30 s. Requests in progress have their own deadline.
    pub time: Duration,
    /// The maximum number of concurrent requests, each on its own thread: 8. One server is
    /// contacted by at most half of them while other servers have work.
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
    /// Sets the maximum number of rows.
    #[must_use]
    pub const fn rows(mut self, rows: usize) -> Self {
        self.rows = rows;
        self
    }

    /// Sets the maximum number of refreshes. Zero suits a process that must not access the network.
    #[must_use]
    pub const fn refreshes(mut self, refreshes: usize) -> Self {
        self.refreshes = refreshes;
        self
    }

    /// Sets the time after which no request starts.
    #[must_use]
    pub const fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Sets the number of workers. A single worker sends requests one after another on the caller's
    /// thread. Zero counts as one.
    #[must_use]
    pub const fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }
}
