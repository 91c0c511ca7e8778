//! The time that has passed, for what must not depend on the time of day.

use std::fmt;
#[cfg(any(test, feature = "postgres"))]
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
#[cfg(any(test, feature = "postgres"))]
use std::time::{Instant, SystemTime};

/// The source of the time that has passed. It never goes backwards.
pub(crate) trait Monotonic: fmt::Debug + Send + Sync + 'static {
    /// Returns the time since a fixed instant.
    fn elapsed(&self) -> Duration;
}

/// The time since its creation, including the time for which the machine was suspended.
///
/// The monotonic clock of some systems stands still then. The system clock does not, so the time by
/// which it is ahead is added. An administrator who sets it forward adds time as well, and one who
/// sets it back takes none away.
#[cfg(any(test, feature = "postgres"))]
#[derive(Debug)]
pub(crate) struct Uptime {
    began: Instant,
    began_at: SystemTime,
    ahead: AtomicU64,
}

#[cfg(any(test, feature = "postgres"))]
impl Uptime {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            began_at: SystemTime::now(),
            ahead: AtomicU64::new(0),
        }
    }

    fn combined(&self, monotonic: Duration, system: Duration) -> Duration {
        let ahead = nanos(system.saturating_sub(monotonic));
        let before = self.ahead.fetch_max(ahead, Ordering::SeqCst);
        monotonic.saturating_add(Duration::from_nanos(before.max(ahead)))
    }
}

#[cfg(any(test, feature = "postgres"))]
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(any(test, feature = "postgres"))]
impl Monotonic for Uptime {
    fn elapsed(&self) -> Duration {
        let system = self.began_at.elapsed().unwrap_or_default();
        self.combined(self.began.elapsed(), system)
    }
}

/// A monotonic clock that only the test advances. Clones share the time.
#[cfg(any(test, all(feature = "_internals", feature = "postgres")))]
#[cfg_attr(
    not(feature = "postgres"),
    allow(unreachable_pub, reason = "without PostgreSQL only unit tests use it")
)]
#[derive(Debug, Clone, Default)]
pub struct ManualMonotonic(std::sync::Arc<AtomicU64>);

#[cfg(any(test, all(feature = "_internals", feature = "postgres")))]
#[cfg_attr(
    not(feature = "postgres"),
    allow(unreachable_pub, reason = "without PostgreSQL only unit tests use it")
)]
impl ManualMonotonic {
    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(nanos(by), Ordering::SeqCst);
    }
}

#[cfg(any(test, all(feature = "_internals", feature = "postgres")))]
impl Monotonic for ManualMonotonic {
    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_time_of_a_suspension_counts_and_never_runs_backwards() {
        let uptime = Uptime::new();
        assert_eq!(uptime.combined(seconds(10), seconds(10)), seconds(10));
        // The machine was suspended for an hour.
        assert_eq!(uptime.combined(seconds(11), seconds(3_611)), seconds(3_611));
        // The system clock was set back.
        assert_eq!(uptime.combined(seconds(12), seconds(0)), seconds(3_612));
        assert_eq!(uptime.combined(seconds(13), seconds(1)), seconds(3_613));
    }
}
