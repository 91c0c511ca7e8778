//! Decides what a turn gets from a connection, and what to do if it gets no token. `resolve`,
//! `peek`, `explain`, `health`, `list` and upkeep share this decision.

use std::sync::Arc;
use std::time::Duration;

use ring::digest;

use crate::engine::Context;
use crate::engine::freshness::{Freshness, Times};
use crate::engine::refresh::NotRefreshed;
use crate::engine::services::{Problem, Services};
use crate::error::{ConsentReason, Error, Misconfigured};
use crate::model::{
    Connection, FailureCode, Grant, IssuedBy, NeedsConsent, Parameters, ProviderId, RefreshState, ServerId,
    Status, TenantId, Timestamp,
};
use crate::provider::UnknownProvider;
use crate::provider::compiled::{Client, CompiledServer, Endpoints};
use crate::vault::VaultError;
use crate::vault::change::lifecycle::lasts;

/// The result for a turn, judged by the stored state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// The stored token. Contains the remaining time, if known.
    Token(Option<Duration>),
    /// The stored token, which is about to expire. It is refreshed first if that is possible at
    /// once.
    Expiring,
    /// A token that must be refreshed first.
    Refresh,
    /// No token until a new consent.
    Spent(NeedsConsent),
    /// No token: the connection was revoked.
    Revoked,
}

impl Outlook {
    /// Evaluates the stored state against the clock. The token must be valid for at least
    /// `min_ttl`.
    pub(crate) fn of(status: Status, times: Times, now: Timestamp, min_ttl: Duration) -> Self {
        match status {
            Status::NeedsConsent(reason) => return Self::Spent(reason),
            Status::Revoked => return Self::Revoked,
            Status::Active => {}
        }
        match times.freshness(now, min_ttl) {
            Freshness::Fresh(left) => Self::Token(left),
            Freshness::Expiring => Self::Expiring,
            Freshness::Stale if times.refreshable => Self::Refresh,
            Freshness::Stale => Self::Spent(NeedsConsent::Expired),
        }
    }
}

/// The data that determines whether a set of tokens can be refreshed.
#[derive(Clone, Copy)]
pub(crate) struct Refreshable<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) provider: &'a ProviderId,
    pub(crate) issued_by: &'a IssuedBy,
    pub(crate) parameters: &'a Parameters,
    pub(crate) refresh: &'a RefreshState,
}

impl<'a> From<&'a Grant> for Refreshable<'a> {
    fn from(grant: &'a Grant) -> Self {
        Self {
            tenant: &grant.tenant,
            provider: &grant.provider,
            issued_by: &grant.issued_by,
            parameters: &grant.parameters,
            refresh: &grant.refresh,
        }
    }
}

impl<'a> From<&'a Connection> for Refreshable<'a> {
    fn from(connection: &'a Connection) -> Self {
        Self {
            tenant: &connection.tenant,
            provider: &connection.provider,
            issued_by: &connection.issued_by,
            parameters: &connection.parameters,
            refresh: &connection.refresh,
        }
    }
}

/// The authorization server that issued a set of tokens, with the tenant's client there.
#[derive(Clone)]
pub(crate) struct Issuer {
    pub(crate) server: Arc<CompiledServer>,
    pub(crate) client: Client,
    pub(crate) endpoints: Arc<Endpoints>,
}

impl Issuer {
    /// Returns two bytes of a digest of everything that determines whether the server accepts the
    /// client. They are stored with a failure to detect that the configuration has changed. Two
    /// bytes are too few to test guesses of the secret.
    pub(crate) fn setup_check(&self) -> u16 {
        let mut digest = digest::Context::new(&digest::SHA256);
        let secret = self.client.client_secret.as_ref();
        let parts = [
            self.server.id.as_str(),
            self.endpoints.refresh.as_str(),
            self.client.client_id(),
            secret.map_or("", |secret| secret.expose_secret()),
        ];
        for part in parts {
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        if let Some(key) = &self.client.key {
            digest.update(key.fingerprint());
        }
        let digest = digest.finish();
        u16::from_be_bytes([digest.as_ref()[0], digest.as_ref()[1]])
    }
}

/// The reason why a refresh is not attempted now.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// The configuration does not match the tokens.
    Misconfigured(Misconfigured),
    /// No service that uses the tokens is in the registry.
    UnknownProvider(ProviderId),
    /// The client that the tokens were issued to no longer exists, as the host confirmed.
    ClientReplaced,
    /// The tenant's client is unknown because its source failed.
    ClientSourceFailed {
        /// The time when the source failed.
        at: Timestamp,
        /// The failure, if the source is the vault.
        vault: Option<VaultError>,
    },
    /// An earlier attempt failed.
    BackingOff {
        /// The time of the next attempt.
        until: Timestamp,
        /// The reason for the last failure.
        failure: FailureCode,
        /// The server that was contacted.
        server: ServerId,
    },
}

impl Obstacle {
    /// Returns the error for a caller that needs the refresh.
    pub(crate) fn to_not_refreshed(&self, now: Timestamp) -> NotRefreshed {
        match self {
            Self::Misconfigured(error) => NotRefreshed::Untried(error.clone().into()),
            Self::UnknownProvider(id) => {
                NotRefreshed::Untried(UnknownProvider::new(id.as_str(), std::iter::empty()).into())
            }
            Self::ClientReplaced => NotRefreshed::NeedsConsent(ConsentReason::ClientChanged),
            Self::ClientSourceFailed { vault, .. } => NotRefreshed::Untried(match vault {
                Some(error) => error.clone().into(),
                None => Error::unavailable(FailureCode::ClientSourceFailed),
            }),
            Self::BackingOff {
                until,
                failure,
                server,
            } => NotRefreshed::Failed(failed(server, *failure, until.saturating_since(now))),
        }
    }
}

/// Returns the error of a failed refresh, both at the attempt and while it backs off.
pub(crate) fn failed(server: &ServerId, failure: FailureCode, wait: Duration) -> Error {
    match failure {
        FailureCode::ClientRejected => Misconfigured::ClientRejected(server.clone()).into(),
        FailureCode::RequestRejected
        | FailureCode::Redirected
        | FailureCode::NotSent
        | FailureCode::Misconfigured => Misconfigured::RequestRejected {
            server: server.clone(),
            failure,
        }
        .into(),
        failure => Error::Unavailable {
            provider: None,
            failure,
            retry_after: Some(wait),
        },
    }
}

/// Returns the server and the client to refresh the tokens with: those that issued them.
pub(crate) fn issuer(cx: &Context, of: Refreshable<'_>) -> Result<Issuer, Obstacle> {
    issuer_among(&Services::of(cx, of.tenant), of)
}

/// Returns the server and the client to refresh the tokens with, one set of many of one tenant.
pub(crate) fn issuer_among(services: &Services<'_>, of: Refreshable<'_>) -> Result<Issuer, Obstacle> {
    let from = of.issued_by;
    let unknown = |problem| match problem {
        Problem::Misconfigured(error) => Obstacle::Misconfigured(error),
        problem => Obstacle::ClientSourceFailed {
            at: services.cx.now(),
            vault: match problem {
                Problem::Vault(error) => Some(error),
                _ => None,
            },
        },
    };
    let offered = services.offered(of.provider).map_err(unknown)?;
    if let Some(moved) = offered.as_ref().filter(|entry| entry.server.id != from.server) {
        return Err(Misconfigured::IssuerChanged(moved.server.id.clone()).into());
    }
    let known = services
        .server(&from.server)
        .map_err(unknown)?
        .ok_or_else(|| Misconfigured::UnknownServer(from.server.clone()))?;
    let server = known.compiled();
    if services.is_replaced(&known, from).map_err(unknown)? {
        return Err(Obstacle::ClientReplaced);
    }
    let client = services.client(&known).map_err(unknown)?;
    let provider = offered.as_ref().map(|entry| &*entry.provider);
    let endpoints = services.endpoints(&known, &client, (of.provider, provider), of.parameters)?;
    if endpoints.refresh.as_str() != from.refresh_endpoint {
        return Err(Misconfigured::IssuerChanged(server.id.clone()).into());
    }
    if client.client_id() != from.client_id {
        return Err(if client.replaces(&from.client_id) {
            Obstacle::ClientReplaced
        } else {
            Misconfigured::ClientChanged(server.id.clone()).into()
        });
    }
    Ok(Issuer {
        server: Arc::clone(server),
        client,
        endpoints,
    })
}

/// Returns why tokens cannot be refreshed now, if this is known without a request.
pub(crate) fn obstacle(cx: &Context, of: Refreshable<'_>) -> Option<Obstacle> {
    obstacle_among(&Services::of(cx, of.tenant), of)
}

/// Returns why tokens cannot be refreshed now, one set of many of one tenant.
pub(crate) fn obstacle_among(services: &Services<'_>, of: Refreshable<'_>) -> Option<Obstacle> {
    let issuer = match issuer_among(services, of) {
        Ok(issuer) => issuer,
        Err(obstacle) => return Some(obstacle),
    };
    let until = backs_off(of.refresh, services.cx.now())?;
    if has_changed(of.refresh, &issuer) {
        return None;
    }
    Some(Obstacle::BackingOff {
        until,
        failure: of.refresh.last_failure.unwrap_or(FailureCode::ServerError),
        server: issuer.server.id.clone(),
    })
}

/// Returns whether the configuration has changed since it made the last attempt fail. If so, the
/// back-off no longer applies.
pub(crate) fn has_changed(refresh: &RefreshState, issuer: &Issuer) -> bool {
    let corrected = matches!(
        refresh.last_failure,
        Some(FailureCode::Misconfigured | FailureCode::ClientSourceFailed)
    );
    let another = |failed| failed != issuer.setup_check();
    corrected || refresh.failed_setup.is_some_and(another)
}

/// Returns the end of the back-off after a failure, if it has not passed.
pub(crate) fn backs_off(refresh: &RefreshState, now: Timestamp) -> Option<Timestamp> {
    refresh
        .not_before
        .filter(|until| lasts(refresh.failed_at.unwrap_or(now), *until, Duration::ZERO, now))
}

impl From<Misconfigured> for Obstacle {
    fn from(error: Misconfigured) -> Self {
        Self::Misconfigured(error)
    }
}
