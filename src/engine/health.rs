//! The health of a connection: its state, in a few closed words, and whether a turn gets a token
//! from it.

use std::time::Duration;

use crate::engine::Context;
use crate::engine::freshness::Times;
use crate::engine::outlook;
use crate::engine::outlook::{Obstacle, Outlook};
use crate::error::{Error, Misconfigured};
use crate::model::{Connection, FailureCode, NeedsConsent, Status, Timestamp};
use crate::provider::RotationClass;
use crate::vault::change::lifecycle::lasts;

/// The health of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// The state.
    pub state: HealthState,
    /// Whether a turn gets a token.
    pub(crate) usable: Usable,
    /// The time when its tokens were issued, by refresh or by consent.
    pub refreshed_at: Timestamp,
    /// The last failure since then.
    pub last_failure: Option<FailureCode>,
    /// The time when that failure happened.
    pub failed_at: Option<Timestamp>,
    /// The time when a new consent will be needed whatever is done, at servers that end a grant so
    /// long after it was given.
    pub reconsent_by: Option<Timestamp>,
    /// The time when the grant dies if it is not refreshed before, at servers that end grants which
    /// lie idle. `maintain` sees to it.
    pub idle_until: Option<Timestamp>,
}

/// Whether a turn gets a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usable {
    /// The stored one.
    Now,
    /// One that is refreshed first, unless the provider refuses that.
    AfterRefresh,
    /// None. The state says what to do.
    No,
}

/// The state of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthState {
    /// The token is good; where known, for so long.
    Healthy {
        /// The time for which the access token is good for still.
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
    /// The provider's API refused the token although it had just been refreshed. The token is
    /// handed out and may serve other requests. If it serves none, the access was withdrawn at the
    /// service: connecting again may help.
    RefusedByApi {
        /// The time when it refused.
        since: Timestamp,
    },
    /// The tokens cannot be refreshed before the operator corrects the configuration.
    Misconfigured(Misconfigured),
    /// Only a new consent helps.
    NeedsConsent(NeedsConsent),
    /// It was revoked.
    Revoked,
}

impl Health {
    /// Returns whether a turn gets a token without a refresh. A connection whose tokens cannot be
    /// refreshed serves its turns until the access token expires.
    #[must_use]
    pub fn is_usable_now(&self) -> bool {
        self.usable == Usable::Now
    }

    /// Returns whether a turn gets a token once it has been refreshed, unless the provider refuses
    /// that. The turn does it. If the connection is not [usable now](Self::is_usable_now) either, a
    /// turn gets no token, and the [state](Self::state) says what to do.
    #[must_use]
    pub fn needs_refresh_first(&self) -> bool {
        self.usable == Usable::AfterRefresh
    }
}

pub(crate) fn health(cx: &Context, connection: &Connection) -> Health {
    let server = cx.registry.server(connection.issued_by.server.as_str());
    let (state, usable) = fares(cx, connection);
    let server = server.filter(|_| connection.refreshable);
    let by_age = server
        .and_then(|server| server.refresh_token_lifetime)
        .map(|lifetime| connection.consented_at + lifetime);
    let by_rest = server
        .and_then(|server| server.refresh_token_idle)
        .map(|idle| connection.refreshed_at + idle);
    let told = connection
        .refresh
        .refresh_token_expires_at
        .filter(|_| connection.refreshable);
    // Where each refresh brings a new refresh token, its time begins again; otherwise nothing
    // lengthens it.
    let moves = server.is_some_and(|server| server.rotation != RotationClass::Static);
    Health {
        state,
        usable,
        refreshed_at: connection.refreshed_at,
        last_failure: connection.refresh.last_failure,
        failed_at: connection.refresh.failed_at,
        reconsent_by: earlier(by_age, told.filter(|_| !moves)),
        idle_until: earlier(by_rest, told.filter(|_| moves)),
    }
}

fn fares(cx: &Context, connection: &Connection) -> (HealthState, Usable) {
    let outlook = outlook(cx, connection);
    if outlook == Outlook::Revoked {
        return (HealthState::Revoked, Usable::No);
    }
    // Without these a turn gets nothing, and a consent cannot begin.
    match cx.service(&connection.tenant, connection.provider.as_str()) {
        Ok(_) => {}
        Err(Error::Misconfigured(error)) => {
            return (HealthState::Misconfigured(error), Usable::No);
        }
        Err(Error::Unavailable { failure, .. }) => {
            let until = cx.now();
            return (HealthState::BackingOff { until, failure }, Usable::No);
        }
        Err(_) => {
            let error = Misconfigured::UnknownProvider(connection.provider.clone());
            return (HealthState::Misconfigured(error), Usable::No);
        }
    }
    let usable = match outlook {
        Outlook::Spent(reason) => return (HealthState::NeedsConsent(reason), Usable::No),
        Outlook::Revoked => Usable::No,
        Outlook::Token(_) | Outlook::Expiring => Usable::Now,
        Outlook::Refresh => Usable::AfterRefresh,
    };
    let obstacle = outlook::obstacle(cx, connection.into()).filter(|_| connection.refreshable);
    if let Some(obstacle) = obstacle {
        let usable = if usable == Usable::AfterRefresh {
            Usable::No
        } else {
            usable
        };
        return (hindered(obstacle), usable);
    }
    let now = cx.now();
    let refresh = &connection.refresh;
    let flight = refresh.in_flight;
    if let Some(flight) = flight.filter(|it| lasts(it.since, it.until, Duration::ZERO, now)) {
        return (HealthState::Refreshing { since: flight.since }, usable);
    }
    let state = match (outlook, refresh.token_refused_at) {
        (Outlook::Token(_), Some(since)) => HealthState::RefusedByApi { since },
        (Outlook::Token(expires_in), None) => HealthState::Healthy { expires_in },
        _ => HealthState::Expiring,
    };
    (state, usable)
}

fn outlook(cx: &Context, connection: &Connection) -> Outlook {
    Outlook::of(
        connection.status,
        Times::from(connection),
        cx.now(),
        Duration::ZERO,
    )
}

/// Shows a connection as a turn would find it. One that is stored as active, and from which only a
/// new consent brings a token, is shown so before a turn has noticed.
pub(crate) fn shown(cx: &Context, mut connection: Connection) -> Connection {
    match outlook(cx, &connection) {
        Outlook::Spent(reason) => connection.status = Status::NeedsConsent(reason),
        Outlook::Refresh
            if matches!(
                outlook::issuer(cx, (&connection).into()),
                Err(Obstacle::ClientReplaced)
            ) =>
        {
            connection.status = Status::NeedsConsent(NeedsConsent::ClientChanged);
        }
        _ => {}
    }
    connection
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

/// Returns the state of a connection whose tokens cannot be refreshed now.
fn hindered(obstacle: Obstacle) -> HealthState {
    match obstacle {
        Obstacle::Misconfigured(error) => HealthState::Misconfigured(error),
        Obstacle::UnknownProvider(id) => HealthState::Misconfigured(Misconfigured::UnknownProvider(id)),
        Obstacle::ClientReplaced => HealthState::NeedsConsent(NeedsConsent::ClientChanged),
        Obstacle::ClientSourceFailed { at } => HealthState::BackingOff {
            until: at,
            failure: FailureCode::ClientSourceFailed,
        },
        Obstacle::BackingOff {
            until,
            failure,
            server,
        } => match outlook::failed(&server, failure, Duration::ZERO) {
            Error::Misconfigured(error) => HealthState::Misconfigured(error),
            _ => HealthState::BackingOff { until, failure },
        },
    }
}
