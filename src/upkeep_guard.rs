//! Runs upkeep on its own thread, for hosts without a scheduler.

use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::connections::{Budget, UpkeepReport};
use crate::error::Result;
use crate::manager::ConnectionManager;

/// The minimum pause between two runs, regardless of the report: upkeep that has more to do or
/// fails must not spin.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// A thread that calls [`maintain`](crate::Connections::maintain) regularly until the guard is
/// dropped.
///
/// The first run starts at once. Afterwards the thread waits as long as the report says
/// ([`UpkeepReport::next`]), at most the interval and at least one second; after a failure it waits
/// for the interval. Several processes may have a guard for the same vault: one of them claims each
/// refresh.
///
/// Dropping the guard wakes the thread and waits until it has ended. A run in progress is completed
/// first, which takes at most the time of the [budget](Budget::time) plus the last request.
///
/// ```
/// use valetkey::UpkeepGuard;
/// use valetkey::testing::Host;
///
/// let host = Host::new();
/// let upkeep = UpkeepGuard::spawn(host.connections.clone())?;
/// // … the host serves its users …
/// drop(upkeep);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "upkeep ends when the guard is dropped"]
pub struct UpkeepGuard {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl UpkeepGuard {
    /// Starts upkeep with the default options.
    ///
    /// # Errors
    ///
    /// The operating system's error if it cannot start a thread.
    pub fn spawn(connections: impl ConnectionManager + 'static) -> io::Result<Self> {
        UpkeepOptions::default().spawn(connections)
    }

    /// Returns options for upkeep: its interval, its budget, and a callback for the results.
    pub fn options() -> UpkeepOptions {
        UpkeepOptions::default()
    }

    /// Starts a run now, or right after the one in progress.
    pub fn wake(&self) {
        self.shared.lock().is_woken = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for UpkeepGuard {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // If a callback owns the guard, it may be dropped on this thread, which cannot wait for
            // itself.
            if thread.thread().id() != thread::current().id() {
                // A panic of the callback was reported when it happened.
                let _ = thread.join();
            }
        }
    }
}

impl fmt::Debug for UpkeepGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpkeepGuard").finish_non_exhaustive()
    }
}

/// A callback for the result of each run.
type OnRun = Box<dyn FnMut(&Result<UpkeepReport>) + Send>;

/// Options of an [`UpkeepGuard`].
///
/// ```
/// use std::time::Duration;
/// use valetkey::UpkeepGuard;
/// use valetkey::connections::Budget;
/// use valetkey::testing::Host;
///
/// let host = Host::new();
/// let (failures, failed) = std::sync::mpsc::channel();
/// let upkeep = UpkeepGuard::options()
///     .interval(Duration::from_secs(30))
///     .budget(Budget::default().workers(2))
///     .on_run(move |result| {
///         if let Err(error) = result {
///             let _ = failures.send(error.to_string());
///         }
///     })
///     .spawn(host.connections.clone())?;
/// drop(upkeep);
/// assert!(failed.recv().is_err(), "no run failed");
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "nothing happens until `spawn` is called"]
pub struct UpkeepOptions {
    interval: Duration,
    budget: Budget,
    on_run: OnRun,
}

impl Default for UpkeepOptions {
    /// Runs once a minute with the default budget.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            budget: Budget::default(),
            on_run: Box::new(|_| {}),
        }
    }
}

impl UpkeepOptions {
    /// Sets the longest pause between two runs: 60 s by default, and at least 1 s.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(SHORTEST_PAUSE);
        self
    }

    /// Sets the budget of each run.
    pub const fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Calls this closure after each run with its report or error. It runs on the upkeep thread and
    /// delays the next run; if it panics, upkeep ends.
    pub fn on_run(mut self, on_run: impl FnMut(&Result<UpkeepReport>) + Send + 'static) -> Self {
        self.on_run = Box::new(on_run);
        self
    }

    /// Starts upkeep.
    ///
    /// # Errors
    ///
    /// The operating system's error if it cannot start a thread.
    pub fn spawn(self, connections: impl ConnectionManager + 'static) -> io::Result<UpkeepGuard> {
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("valetkey-upkeep".into())
            .spawn(move || self.run(&connections, &seen))?;
        Ok(UpkeepGuard {
            shared,
            thread: Some(thread),
        })
    }

    fn run(mut self, connections: &dyn ConnectionManager, shared: &Shared) {
        loop {
            let result = connections.maintain(self.budget);
            (self.on_run)(&result);
            if shared.is_over_after(pause_after(&result, self.interval)) {
                return;
            }
        }
    }
}

fn pause_after(result: &Result<UpkeepReport>, interval: Duration) -> Duration {
    match result {
        Ok(report) => report.next.clamp(SHORTEST_PAUSE, interval),
        Err(_) => interval,
    }
}

impl fmt::Debug for UpkeepOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpkeepOptions")
            .field("interval", &self.interval)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// A message from the guard to the thread.
#[derive(Default)]
struct Shared {
    wishes: Mutex<Wishes>,
    changed: Condvar,
}

#[derive(Default)]
struct Wishes {
    is_over: bool,
    is_woken: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the pause is over or a message arrives, and returns whether upkeep should end.
    fn is_over_after(&self, pause: Duration) -> bool {
        let (mut wishes, _) = self
            .changed
            .wait_timeout_while(self.lock(), pause, |wishes| !wishes.is_over && !wishes.is_woken)
            .unwrap_or_else(PoisonError::into_inner);
        wishes.is_woken = false;
        wishes.is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::Connections;
    use crate::error::Error;
    use crate::vault::SealedVault;

    #[test]
    fn no_result_lets_it_spin_and_none_lets_it_miss_the_interval() {
        let connections = Connections::builder(SealedVault::in_memory())
            .http_client(|_| unreachable!("there is nothing to refresh"))
            .build()
            .unwrap();
        let done = connections.maintain(Budget::default()).unwrap();
        let interval = Duration::from_secs(600);
        for (next, pause) in [(0, 1), (1, 1), (60, 60), (3_600, 600)] {
            let next = Duration::from_secs(next);
            let pause = Duration::from_secs(pause);
            assert_eq!(pause_after(&Ok(UpkeepReport { next, ..done }), interval), pause);
        }
        assert_eq!(pause_after(&Err(Error::NotFound), interval), interval);
        let options = UpkeepOptions::default().interval(Duration::ZERO);
        assert_eq!(options.interval, SHORTEST_PAUSE);
    }
}
