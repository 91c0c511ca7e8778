//! The health of a connection: its state, in a few closed words, and whether a turn gets a token from it.

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// The state.
    pub state: HealthState,
    /// Whether a turn gets a token now. A connection whose tokens cannot be refreshed serves its turns until the
    /// access token expires.
    pub usable: Usable,
    /// When its tokens were issued, by refresh or by consent.
    pub refreshed_at: Timestamp,
    /// The last failure since then.
    pub last_failure: Option<FailureCode>,
    /// When that failure happened.
    pub failed_at: Option<Timestamp>,
    /// When a new consent will be needed whatever is done, at servers that end a grant so long after it was given.
    pub reconsent_by: Option<Timestamp>,
    /// When the grant dies if it is not refreshed before, at servers that end grants which lie idle. `maintain` sees to it.
    pub idle_until: Option<Timestamp>,
}

/// Whether a turn gets a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Usable {
    /// The stored one.
    Now,
    /// One that is refreshed first, unless the provider refuses that.
    AfterRefresh,
    /// None. The [state](Health::state) says what to do.
    No,
}

/// The state of a connection.
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
    /// The provider's API refused the token although it had just been refreshed. The token is handed out and may serve
    /// other requests. If it serves none, the access was withdrawn at the service: connecting again may help.
    RefusedByApi {
        /// When it refused.
        since: Timestamp,
    },
    /// The tokens cannot be refreshed before the operator corrects the configuration.
    Misconfigured(Misconfiguration),
    /// Only a new consent helps.
    NeedsConsent(NeedsConsent),
    /// It was revoked.
    Revoked,
}

/// What the operator has to correct.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Misconfiguration {
    /// The service is not in the registry: add its descriptor again, or revoke the connection.
    UnknownProvider,
    /// The authorization server that issued the tokens is not in the registry: add it again, or revoke the connection.
    UnknownServer,
    /// No client is registered at the authorization server: register it again, or revoke the connection.
    NoClient,
    /// The client registration of the tenant does not fit the authorization server: correct it.
    ClientInvalid,
    /// Another client is registered than the one that the tokens were issued to: put the former client back, or
    /// [confirm](crate::provider::ClientRegistration::replacing) that it was replaced.
    ClientChanged,
    /// The descriptor names another token endpoint than the one that issued the tokens: restore it, or connect again.
    IssuerChanged,
    /// The descriptor's URLs cannot be filled with the parameters of the connection: correct the descriptor, or connect
    /// again.
    Parameters,
    /// The client is not registered for the instance that the connection belongs to: list its base URL in
    /// [`ClientRegistration::for_base_urls`](crate::provider::ClientRegistration::for_base_urls).
    InstanceNotRegistered,
    /// The authorization server refuses the client id or secret: correct the registration.
    ClientRejected,
    /// The authorization server refuses the request as such: correct the descriptor.
    RequestRejected,
}

impl Misconfiguration {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::UnknownProvider,
        Self::UnknownServer,
        Self::NoClient,
        Self::ClientInvalid,
        Self::ClientChanged,
        Self::IssuerChanged,
        Self::Parameters,
        Self::InstanceNotRegistered,
        Self::ClientRejected,
        Self::RequestRejected,
    ];

    /// Returns the kind as one lower-case word, for storage and display.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownProvider => "unknown_provider",
            Self::UnknownServer => "unknown_server",
            Self::NoClient => "no_client",
            Self::ClientInvalid => "client_invalid",
            Self::ClientChanged => "client_changed",
            Self::IssuerChanged => "issuer_changed",
            Self::Parameters => "parameters",
            Self::InstanceNotRegistered => "instance_not_registered",
            Self::ClientRejected => "client_rejected",
            Self::RequestRejected => "request_rejected",
        }
    }

    /// Returns the kind of failure that only the operator can correct.
    const fn of_failure(failure: FailureCode) -> Option<Self> {
        match failure {
            FailureCode::ClientRejected => Some(Self::ClientRejected),
            FailureCode::RequestRejected | FailureCode::Redirected | FailureCode::NotSent => {
                Some(Self::RequestRejected)
            }
            _ => None,
        }
    }
}

impl From<&Misconfigured> for Misconfiguration {
    fn from(error: &Misconfigured) -> Self {
        match error {
            Misconfigured::UnknownServer(_) => Self::UnknownServer,
            Misconfigured::NoClient(_) => Self::NoClient,
            Misconfigured::ClientChanged(_) => Self::ClientChanged,
            Misconfigured::IssuerChanged(_) => Self::IssuerChanged,
            Misconfigured::ClientRejected(_) => Self::ClientRejected,
            Misconfigured::InstanceNotRegistered(_) => Self::InstanceNotRegistered,
            Misconfigured::Client(_) => Self::ClientInvalid,
            Misconfigured::StoredParameter { .. } | Misconfigured::Descriptor(_) => Self::Parameters,
            Misconfigured::RequestRejected { .. }
            | Misconfigured::NoUploads
            | Misconfigured::NoLoopbackRedirect(_)
            | Misconfigured::NoHttpClient => Self::RequestRejected,
        }
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
    // Where each refresh brings a new refresh token, its time begins again; otherwise nothing lengthens it.
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
            return (HealthState::Misconfigured((&error).into()), Usable::No);
        }
        Err(Error::Unavailable { failure, .. }) => {
            let until = cx.now();
            return (HealthState::BackingOff { until, failure }, Usable::No);
        }
        Err(_) => {
            return (
                HealthState::Misconfigured(Misconfiguration::UnknownProvider),
                Usable::No,
            );
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
        return (hindered(&obstacle), usable);
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

/// Shows a connection as a turn would find it. One that is stored as active, and from which only a new consent
/// brings a token, is shown so before a turn has noticed.
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

/// The state of a connection whose tokens cannot be refreshed now.
fn hindered(obstacle: &Obstacle) -> HealthState {
    match obstacle {
        Obstacle::Misconfigured(error) => HealthState::Misconfigured(error.into()),
        Obstacle::UnknownProvider(_) => HealthState::Misconfigured(Misconfiguration::UnknownProvider),
        Obstacle::ClientReplaced => HealthState::NeedsConsent(NeedsConsent::ClientChanged),
        Obstacle::ClientSourceFailed { at } => HealthState::BackingOff {
            until: *at,
            failure: FailureCode::ClientSourceFailed,
        },
        Obstacle::BackingOff { until, failure, .. } => match Misconfiguration::of_failure(*failure) {
            Some(problem) => HealthState::Misconfigured(problem),
            None => HealthState::BackingOff {
                until: *until,
                failure: *failure,
            },
        },
    }
}
