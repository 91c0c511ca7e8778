//! A clock controlled by the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::clock::Clock;
use crate::model::Timestamp;

/// A clock that only the test advances. Clones share the time.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// The initial time of [`ManualClock::default`]: 2030-01-01 00:00:00 UTC. If a test used the
    /// system clock by mistake, the difference would be noticed.
    pub const START: Timestamp = Timestamp::from_unix_millis(1_893_456_000_000);

    /// Creates a clock with this time.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.as_unix_millis())))
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        self.change(|now| now + by);
    }

    /// Moves the time back, as an operator or a time server might.
    pub fn rewind(&self, by: Duration) {
        self.change(|now| now.saturating_sub(by));
    }

    /// Sets the time.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_unix_millis(), Ordering::SeqCst);
    }

    fn change(&self, change: impl Fn(Timestamp) -> Timestamp) {
        // The closure always returns a value, so the update cannot fail; it is retried if another
        // thread moved the clock.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |millis| {
            Some(change(Timestamp::from_unix_millis(millis)).as_unix_millis())
        });
    }
}

impl Default for ManualClock {
    /// Creates a clock at [`ManualClock::START`].
    fn default() -> Self {
        Self::new(Self::START)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_move_together_and_nothing_else_moves_them() {
        let clock = ManualClock::default();
        let twin = clock.clone();
        assert_eq!(twin.now(), ManualClock::START);
        clock.advance(Duration::from_secs(90));
        assert_eq!(
            twin.now().saturating_since(ManualClock::START),
            Duration::from_secs(90)
        );
        twin.rewind(Duration::from_secs(100));
        assert!(clock.now() < ManualClock::START);
        clock.set(Timestamp::from_unix_millis(7));
        assert_eq!(twin.now(), Timestamp::from_unix_millis(7));
    }

    #[test]
    fn the_ends_of_time_are_no_panic() {
        let clock = ManualClock::default();
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), Timestamp::from_unix_millis(i64::MAX));
    }
}
