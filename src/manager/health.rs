//! How a connection fares, in a few closed words.

use std::time::Duration;

use crate::manager::Inner;
use crate::manager::freshness::{Freshness, Times};
use crate::model::{Connection, FailureCode, NeedsConsent, Status, Timestamp};

/// How a connection fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// In a word.
    pub state: HealthState,
    /// When its tokens were issued, by refresh or by consent.
    pub refreshed_at: Timestamp,
    /// The last failure since then.
    pub last_failure: Option<FailureCode>,
    /// When that was.
    pub failed_at: Option<Timestamp>,
    /// When a new consent will be needed whatever is done, at servers that end a grant so long after it was given.
    pub reconsent_by: Option<Timestamp>,
    /// When the grant dies if it is not refreshed before, at servers that end grants which lie idle. `maintain` sees to it.
    pub idle_until: Option<Timestamp>,
}

/// How a connection fares, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthState {
    /// The token is good; where known, for so long.
    Healthy {
        /// How long the access token is good for still.
        expires_in: Option<Duration>,
    },
    /// The token is about to expire or has expired; the next `resolve` refreshes it.
    Expiring,
    /// A refresh is under way.
    Refreshing {
        /// Since when.
        since: Timestamp,
    },
    /// Refreshing failed, for now.
    BackingOff {
        /// The next attempt.
        until: Timestamp,
        /// Why.
        failure: FailureCode,
    },
    /// Only a new consent helps.
    NeedsConsent(NeedsConsent),
    /// It was revoked.
    Revoked,
}

impl Inner {
    pub(crate) fn health(&self, connection: &Connection) -> Health {
        let server = self.registry.server(connection.issued_by.server.as_str());
        Health {
            state: state(connection, self.now()),
            refreshed_at: connection.refreshed_at,
            last_failure: connection.refresh.last_failure,
            failed_at: connection.refresh.failed_at,
            reconsent_by: server
                .and_then(|server| server.refresh_token_lifetime)
                .filter(|_| connection.refreshable)
                .map(|lifetime| connection.consented_at + lifetime),
            idle_until: server
                .and_then(|server| server.refresh_token_idle)
                .filter(|_| connection.refreshable)
                .map(|idle| connection.refreshed_at + idle),
        }
    }
}

fn state(connection: &Connection, now: Timestamp) -> HealthState {
    match connection.status {
        Status::NeedsConsent(reason) => return HealthState::NeedsConsent(reason),
        Status::Revoked => return HealthState::Revoked,
        Status::Active => {}
    }
    let refresh = &connection.refresh;
    if let Some(flight) = refresh.in_flight.filter(|flight| flight.until > now) {
        return HealthState::Refreshing { since: flight.since };
    }
    if let (Some(until), Some(failure)) = (
        refresh.not_before.filter(|until| *until > now),
        refresh.last_failure,
    ) {
        return HealthState::BackingOff { until, failure };
    }
    match Times::from(connection).freshness(now, Duration::ZERO) {
        Freshness::Fresh(expires_in) => HealthState::Healthy { expires_in },
        Freshness::Stale if !connection.refreshable => HealthState::NeedsConsent(NeedsConsent::Expired),
        Freshness::Expiring | Freshness::Stale => HealthState::Expiring,
    }
}
