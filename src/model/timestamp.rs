//! A point in time, as the vault stores it.

use std::ops::Add;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time in whole milliseconds since 1970-01-01 00:00:00 UTC.
///
/// What is stored and what is read back are equal, which `SystemTime` (nanoseconds, platform-dependent
/// range) does not give. Arithmetic saturates: a server's `expires_in` of 10^18 is far away, not a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time with this many milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_unix_millis(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This time, that much earlier.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(millis(after)),
            Err(before) => Self(-millis(before.duration())),
        }
    }
}

impl From<Timestamp> for SystemTime {
    /// Clamps to the epoch what lies before it or out of the platform's range.
    fn from(time: Timestamp) -> Self {
        let millis = u64::try_from(time.0).unwrap_or(0);
        UNIX_EPOCH
            .checked_add(Duration::from_millis(millis))
            .unwrap_or(UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let late = Timestamp::from_unix_millis(i64::MAX - 1);
        assert_eq!(
            late + Duration::from_secs(10),
            Timestamp::from_unix_millis(i64::MAX)
        );
        assert_eq!(
            late.saturating_since(late + Duration::from_secs(1)),
            Duration::ZERO
        );
        assert_eq!(
            Timestamp::from_unix_millis(5) + Duration::MAX,
            Timestamp::from_unix_millis(i64::MAX)
        );
    }

    #[test]
    fn system_time_survives_the_round_trip_to_the_millisecond() {
        let time = Timestamp::from_unix_millis(1_790_000_000_123);
        assert_eq!(Timestamp::from(SystemTime::from(time)), time);
    }
}
