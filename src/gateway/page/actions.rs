//! The actions that can help in the state of a connection. No page offers any other.

use crate::engine::health::HealthState;
use crate::error::Misconfigured;
use crate::model::Connection;

/// The actions that a page offers for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Actions {
    pub(super) reconnect: Reconnect,
    /// True if a refresh can be requested now.
    pub(super) refresh: bool,
    /// True if the connection can be revoked.
    pub(super) revoke: bool,
}

/// The use of a new consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reconnect {
    /// It cannot begin, or changes nothing.
    No,
    /// It may help.
    Possible,
    /// It is the solution.
    Needed,
}

impl Actions {
    /// Returns what can be done. `offered` says whether a consent for the service can begin.
    pub(super) fn of(state: &HealthState, connection: &Connection, managed: bool, offered: bool) -> Self {
        if !managed {
            return Self {
                reconnect: Reconnect::No,
                refresh: false,
                revoke: false,
            };
        }
        let lacks_scopes = !connection.missing_scopes().is_empty();
        let reconnect = match state {
            _ if !offered => Reconnect::No,
            HealthState::NeedsConsent(_) | HealthState::Revoked => Reconnect::Needed,
            HealthState::Misconfigured(
                Misconfigured::ClientChanged(_)
                | Misconfigured::IssuerChanged(_)
                | Misconfigured::StoredParameter { .. },
            ) => Reconnect::Needed,
            HealthState::Misconfigured(_) | HealthState::Refreshing { .. } => Reconnect::No,
            HealthState::RefusedByApi { .. } => Reconnect::Needed,
            HealthState::BackingOff { .. } => Reconnect::No,
            HealthState::Healthy { .. } | HealthState::Expiring if lacks_scopes => Reconnect::Needed,
            // A token that cannot be refreshed ends soon.
            HealthState::Healthy { expires_in: Some(_) } if !connection.refreshable => Reconnect::Needed,
            HealthState::Healthy { .. } | HealthState::Expiring => Reconnect::Possible,
        };
        let refresh = match state {
            HealthState::Healthy { .. } | HealthState::Expiring | HealthState::BackingOff { .. } => {
                connection.refreshable && offered
            }
            _ => false,
        };
        Self {
            reconnect,
            refresh,
            revoke: *state != HealthState::Revoked,
        }
    }

    /// Returns whether a new consent solves the connection's problem.
    pub(super) fn wants_consent(self) -> bool {
        self.reconnect == Reconnect::Needed
    }

    /// Returns whether a new consent can begin.
    pub(super) fn reconnects(self) -> bool {
        self.reconnect != Reconnect::No
    }
}
