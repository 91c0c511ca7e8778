//! Connection health: the state of a connection and whether a turn gets a token from it.

use std::time::Duration;

use crate::engine::Context;
use crate::engine::freshness::Times;
use crate::engine::outlook;
use crate::engine::outlook::{Obstacle, Outlook};
use crate::engine::services::{Problem, Services};
use crate::error::{Error, Misconfigured};
use crate::model::{Connection, FailureCode, NeedsConsent, Status, Timestamp};
use crate::provider::RotationClass;
use crate::vault::change::lifecycle::lasts;

/// The health of a connection.
///
/// ```
/// use valetkey::connections::HealthState;
/// use valetkey::testing::Host;
///
/// let host = Host::new();
/// let ada = host.user("ada");
/// let id = host.connect(&ada, "notes").id;
/// let health = host.connections.health(&ada, id)?;
/// assert!(health.is_usable_now() && matches!(health.state, HealthState::Healthy { .. }));
///
/// host.expire();
/// let health = host.connections.health(&ada, id)?;
/// assert!(health.needs_refresh_first() && health.state == HealthState::Expiring);
/// # Ok::<(), valetkey::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// The state.
    pub state: HealthState,
    /// The availability of a token.
    pub(crate) usable: Usable,
    /// The time when its tokens were issued, by refresh or by consent.
    pub refreshed_at: Timestamp,
    /// The last failure since then.
    pub last_failure: Option<FailureCode>,
    /// The time when that failure happened.
    pub failed_at: Option<Timestamp>,
    /// The time by which a new consent is needed in any case, at servers that end a grant a fixed
    /// time after it was given.
    pub reconsent_by: Option<Timestamp>,
    /// The time when the grant expires unless it is refreshed before, at servers that end idle
    /// grants. `maintain` refreshes it in time.
    pub idle_until: Option<Timestamp>,
}

/// The availability of a token for a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usable {
    /// The stored token is usable.
    Now,
    /// The token is refreshed first. The turn gets none if the provider refuses.
    AfterRefresh,
    /// No token is available. The state says what to do.
    No,
}

/// The state of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthState {
    /// The token is valid.
    Healthy {
        /// The remaining lifetime of the access token, if known.
        expires_in: Option<Duration>,
    },
    /// The token is about to expire or has expired. The next `resolve` refreshes it.
    Expiring,
    /// A refresh is in progress.
    Refreshing {
        /// The time when it started.
        since: Timestamp,
    },
    /// The last refresh failed temporarily.
    BackingOff {
        /// The time of the next attempt.
        until: Timestamp,
        /// The reason for the failure.
        failure: FailureCode,
    },
    /// The provider's API refused a newly refreshed token. `resolve` still returns the token, and
    /// other requests with it may succeed. If none does, access was revoked at the service:
    /// reconnecting may help.
    RefusedByApi {
        /// The time when the API refused it.
        since: Timestamp,
    },
    /// The tokens cannot be refreshed until an administrator corrects the configuration.
    Misconfigured(Misconfigured),
    /// A new consent is required.
    NeedsConsent(NeedsConsent),
    /// The connection was revoked.
    Revoked,
}

impl Health {
    /// Returns whether a turn gets a token without a refresh. A connection whose tokens cannot be
    /// refreshed serves turns until its access token expires.
    #[must_use]
    pub fn is_usable_now(&self) -> bool {
        self.usable == Usable::Now
    }

    /// Returns whether a turn gets a token after a refresh, which the turn performs, unless the
    /// provider refuses it. If the connection is not [usable now](Self::is_usable_now) either, a
    /// turn gets no token, and the [state](Self::state) says what to do.
    #[must_use]
    pub fn needs_refresh_first(&self) -> bool {
        self.usable == Usable::AfterRefresh
    }
}

/// Returns the health of a connection, one of many of the tenant.
pub(crate) fn health(services: &Services<'_>, connection: &Connection) -> Health {
    let server = services.server(connection.server()).ok().flatten();
    let (state, usable) = assess(services, connection);
    let server = server.as_ref().map(|server| server.compiled());
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
    // If each refresh returns a new refresh token, its lifetime restarts; otherwise nothing extends
    // it.
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

fn assess(services: &Services<'_>, connection: &Connection) -> (HealthState, Usable) {
    let cx = services.cx;
    let outlook = outlook(cx, connection);
    if outlook == Outlook::Revoked {
        return (HealthState::Revoked, Usable::No);
    }
    // Without these, a turn gets no token and a consent cannot start.
    match services.is_usable(&connection.provider) {
        Ok(()) => {}
        Err(Problem::Misconfigured(error)) => {
            return (HealthState::Misconfigured(error), Usable::No);
        }
        Err(Problem::Unavailable(failure)) => {
            let until = cx.now();
            return (HealthState::BackingOff { until, failure }, Usable::No);
        }
        Err(Problem::Vault(_) | Problem::Unknown) => {
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
    let obstacle = outlook::obstacle_among(services, connection.into()).filter(|_| connection.refreshable);
    if let Some(obstacle) = obstacle {
        let usable = if usable == Usable::AfterRefresh {
            Usable::No
        } else {
            usable
        };
        return (hindered(obstacle), usable);
    }
    let now = cx.claim_time();
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

/// Shows a connection as a turn would find it. If a connection is stored as active but needs a new
/// consent, the result says so before a turn has noticed.
pub(crate) fn shown(services: &Services<'_>, mut connection: Connection) -> Connection {
    match outlook(services.cx, &connection) {
        Outlook::Spent(reason) => connection.status = Status::NeedsConsent(reason),
        Outlook::Refresh
            if matches!(
                outlook::issuer_among(services, (&connection).into()),
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
        Obstacle::ClientSourceFailed { at, .. } => HealthState::BackingOff {
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
