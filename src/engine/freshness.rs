//! Freshness of a stored token: one rule for `resolve`, `explain` and `health`.

use std::time::Duration;

use crate::model::{Connection, GrantId, Timestamp};
use crate::vault::StoredToken;

/// Times further ahead than this were written by a wrong clock.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(24 * 3600);

/// The times of a set of tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) grant: GrantId,
    pub(crate) refreshed_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) refreshable: bool,
}

/// The freshness of a stored token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Valid and not about to expire. Contains the remaining time, if known.
    Fresh(Option<Duration>),
    /// Valid, but due for refresh.
    Expiring,
    /// Not valid for the required time.
    Stale,
}

impl From<&Connection> for Times {
    fn from(connection: &Connection) -> Self {
        Self {
            grant: connection.grant,
            refreshed_at: connection.refreshed_at,
            expires_at: connection.expires_at,
            refreshable: connection.refreshable,
        }
    }
}

impl From<&StoredToken> for Times {
    fn from(stored: &StoredToken) -> Self {
        Self {
            grant: stored.grant,
            refreshed_at: stored.refreshed_at,
            expires_at: stored.expires_at,
            refreshable: stored.refreshable,
        }
    }
}

impl Times {
    /// Evaluates the token against the clock. It must be valid for at least `min_ttl`.
    pub(crate) fn freshness(self, now: Timestamp, min_ttl: Duration) -> Freshness {
        if self.is_implausible(now) {
            return if self.refreshable {
                Freshness::Stale
            } else {
                Freshness::Fresh(None)
            };
        }
        let Some(expires_at) = self.expires_at else {
            // If the expiry is unknown, use the token until it is refused.
            return Freshness::Fresh(None);
        };
        let left = expires_at.saturating_since(now);
        if left.is_zero() || left < min_ttl {
            return Freshness::Stale;
        }
        if self.refreshable && left <= margin(self.grant, self.refreshed_at, expires_at) {
            return Freshness::Expiring;
        }
        Freshness::Fresh(Some(left))
    }

    /// Returns whether the times were written by a clock that was far ahead, in which case the
    /// expiry is unknown.
    ///
    /// `expires_at` is `refreshed_at` plus a lifetime. If `expires_at` is ahead by more than that
    /// lifetime plus a day, then `refreshed_at` is ahead by more than a day.
    fn is_implausible(self, now: Timestamp) -> bool {
        self.refreshed_at.saturating_since(now) > CLOCK_TOLERANCE
    }
}

/// Returns how long before its expiry a token is refreshed: a tenth of its lifetime, at least one
/// minute and at most five, but never more than half of the lifetime. The result varies by ±10 %,
/// so that connections created together are not refreshed together.
fn margin(grant: GrantId, issued_at: Timestamp, expires_at: Timestamp) -> Duration {
    let lifetime = expires_at.saturating_since(issued_at);
    let margin = (lifetime / 10)
        .clamp(Duration::from_secs(60), Duration::from_secs(300))
        .min(lifetime / 2);
    // The last bytes of a version 7 UUID are random, so each grant has a stable offset.
    let spread = u32::from(grant.as_bytes()[15]);
    margin * (9 * 255 + 2 * spread) / (10 * 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_millis(seconds * 1000)
    }

    fn id(last: u8) -> GrantId {
        let mut bytes = [0; 16];
        bytes[15] = last;
        GrantId::from_bytes(bytes)
    }

    fn judged(refreshed_at: i64, expires_at: Option<i64>, refreshable: bool, now: i64) -> Freshness {
        let times = Times {
            grant: id(127),
            refreshed_at: at(refreshed_at),
            expires_at: expires_at.map(at),
            refreshable,
        };
        times.freshness(at(now), Duration::ZERO)
    }

    #[test]
    fn the_margin_is_a_tenth_within_bounds_and_never_the_whole_life() {
        let middle = |lifetime| margin(id(127), at(0), at(lifetime)).as_secs_f64();
        assert!((middle(1200) - 120.0).abs() < 1.0);
        assert!((middle(300) - 60.0).abs() < 1.0);
        assert!((middle(3600) - 300.0).abs() < 2.0);
        assert!((middle(20) - 10.0).abs() < 0.1);
        assert_eq!(margin(id(0), at(10), at(0)), Duration::ZERO);
        assert_eq!(margin(id(0), at(0), at(1200)), Duration::from_secs(108));
        assert_eq!(margin(id(255), at(0), at(1200)), Duration::from_secs(132));
    }

    #[test]
    fn a_token_is_fresh_then_expiring_then_stale() {
        for (now, expected) in [
            (0, Freshness::Fresh(Some(Duration::from_secs(3600)))),
            (HOUR - 200, Freshness::Expiring),
            (HOUR, Freshness::Stale),
        ] {
            assert_eq!(judged(0, Some(HOUR), true, now), expected, "{now}");
        }
        assert_eq!(judged(0, None, true, 400 * DAY), Freshness::Fresh(None));
        assert_eq!(
            judged(0, Some(HOUR), false, HOUR - 200),
            Freshness::Fresh(Some(Duration::from_secs(200)))
        );
    }

    #[test]
    fn times_from_a_clock_that_was_far_ahead_are_not_believed() {
        // Issued when the clock was a year ahead. Without the rule, the token would count as valid
        // for a year.
        let (issued, expires) = (365 * DAY, 365 * DAY + HOUR);
        assert_eq!(judged(issued, Some(expires), true, 0), Freshness::Stale);
        assert_eq!(judged(issued, None, true, 0), Freshness::Stale);
        // Without a refresh token and with an unknown expiry, the token is used until it is
        // refused.
        assert_eq!(judged(issued, Some(expires), false, 0), Freshness::Fresh(None));
        // Differences of a few hours between clocks are accepted.
        assert!(matches!(
            judged(DAY, Some(DAY + HOUR), true, 0),
            Freshness::Fresh(_)
        ));
        assert_eq!(judged(DAY + 1, Some(DAY + 1 + HOUR), true, 0), Freshness::Stale);
    }
}
