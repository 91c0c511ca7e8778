//! Refreshes without losing a token.
//!
//! Claim durably, send the request outside any transaction, commit by compare-and-swap, and only then show the token.
//! A caller who is late adopts what is stored; only an answer that is final, to the token that is still stored, ends a
//! grant. Claims and flights go by the grant: several connections that use one grant are one refresh.

pub(crate) mod join;
pub(crate) mod request;
pub(crate) mod retry;
pub(crate) mod unsaved;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::engine::Context;
use crate::engine::outlook::{Obstacle, has_changed};
use crate::engine::refresh::join::Joined;
use crate::engine::refresh::unsaved::Saved;
use crate::error::{ConsentReason, ConsentRequired, Error, Result, Unavailable};
use crate::model::{
    Actor, Connection, ConnectionId, EventKind, FailureCode, Grant, GrantId, ProviderId, Scopes, Status,
    TenantId, Timestamp,
};
use crate::secret::AccessToken;
use crate::trace::{self, About, Seam};
use crate::vault::{
    Attempt, ClaimOutcome, ClaimRequest, Claimed, ConnectionQuery, Found, Of, StoredToken, TokenQuery,
    VaultError,
};

/// How often a caller who waits for another process looks.
pub(crate) const POLL: Duration = Duration::from_millis(15);

/// A token that is stored and can be used.
#[derive(Debug, Clone)]
pub(crate) struct CurrentToken {
    pub(crate) generation: u64,
    pub(crate) access_token: Arc<AccessToken>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl CurrentToken {
    fn adopted(stored: StoredToken) -> Option<Self> {
        Some(Self {
            generation: stored.generation,
            access_token: Arc::new(stored.access_token?),
            expires_at: stored.expires_at,
        })
    }
}

/// The token that a flight brought, stored before anybody sees it, and the connections that use its grant.
#[derive(Debug, Clone)]
pub(crate) struct Flown {
    pub(crate) token: CurrentToken,
    pub(crate) users: Arc<[ConnectionId]>,
}

/// Why a flight brought no token.
#[derive(Debug, Clone)]
pub(crate) enum Grounded {
    /// Other tokens are stored than those of this generation, or the connections use another grant: each connection
    /// reads its own.
    Moved(u64),
    /// Only a new consent helps.
    NeedsConsent(ConsentReason),
    /// The refresh failed.
    Failed(Error),
    /// No request was made, and none can be until the configuration changes.
    Untried(Error),
}

impl Grounded {
    /// Returns what it means to an operator.
    pub(crate) fn to_error(&self, provider: &ProviderId) -> Error {
        match self {
            Self::Moved(_) => Unavailable::new(FailureCode::Interrupted, None).into(),
            Self::NeedsConsent(reason) => ConsentRequired::new(provider.clone(), *reason).into(),
            Self::Failed(error) | Self::Untried(error) => error.clone(),
        }
    }
}

impl<E: Into<Error>> From<E> for Grounded {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A refresh that is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) tenant: &'a TenantId,
    /// The connection that it is for: errors are about this one.
    pub(crate) connection: ConnectionId,
    /// Its service.
    pub(crate) provider: &'a ProviderId,
    /// The grant that it uses.
    pub(crate) grant: GrantId,
    /// The generation that is to be replaced.
    pub(crate) generation: u64,
    pub(crate) attempt: Attempt,
    /// Who requested it by name, if anybody did.
    pub(crate) by: Option<&'a Actor>,
    pub(crate) deadline: Instant,
}

impl Context {
    /// Refreshes a connection by name.
    pub(crate) fn refresh_now(&self, connection: &Connection, by: &Actor) -> Result<CurrentToken> {
        self.refresh(Wanted {
            tenant: &connection.tenant,
            connection: connection.id,
            provider: &connection.provider,
            grant: connection.grant,
            generation: connection.generation,
            attempt: Attempt::Forced,
            by: Some(by),
            deadline: Instant::now() + self.settings.resolve_deadline,
        })
    }

    /// Returns a token of a later generation than the one named, or says why there is none.
    pub(crate) fn refresh(&self, wanted: Wanted<'_>) -> Result<CurrentToken> {
        let about = || About {
            tenant: Some(wanted.tenant),
            connection: Some(wanted.connection),
            ..About::default()
        };
        trace::within(Seam::Refresh, about, || self.fly(wanted))
    }

    fn fly(&self, wanted: Wanted<'_>) -> Result<CurrentToken> {
        loop {
            let joined = self
                .flights
                .join(wanted.tenant, wanted.grant, wanted.deadline, || self.lead(wanted));
            match joined {
                // The flight was for older tokens than ours: what it brought is what is to be replaced.
                Joined::Outcome(Ok(flown)) if flown.token.generation <= wanted.generation => {}
                Joined::Outcome(Err(Grounded::Moved(from))) if from < wanted.generation => {}
                Joined::Outcome(Ok(flown)) if flown.users.contains(&wanted.connection) => {
                    return Ok(flown.token);
                }
                // The connection was revoked or given another grant while the request was under way.
                Joined::Outcome(Ok(_) | Err(Grounded::Moved(_))) => return self.adopt(wanted),
                Joined::Outcome(Err(Grounded::NeedsConsent(reason))) => return Err(need(wanted, reason)),
                Joined::Outcome(Err(Grounded::Failed(error) | Grounded::Untried(error))) => {
                    return Err(error);
                }
                Joined::TimedOut => return Err(Unavailable::new(FailureCode::TimedOut, None).into()),
            }
        }
    }

    /// Takes the token that is stored for the connection by now.
    fn adopt(&self, wanted: Wanted<'_>) -> Result<CurrentToken> {
        let query = TokenQuery {
            tenant: wanted.tenant,
            of: Of::Id(wanted.connection),
            scopes: &Scopes::default(),
        };
        let Found::One(stored) = self.vault.find_token(&query)? else {
            return Err(need(wanted, ConsentReason::NotConnected));
        };
        let status = stored.status;
        let moved = stored.grant != wanted.grant || stored.generation > wanted.generation;
        if status == Status::Active && !moved {
            return Err(Unavailable::new(FailureCode::Interrupted, None).into());
        }
        CurrentToken::adopted(stored).ok_or_else(|| need(wanted, reason_of(status)))
    }

    /// One attempt, on behalf of everybody in this process.
    fn lead(&self, wanted: Wanted<'_>) -> Result<Flown, Grounded> {
        let moved = Grounded::Moved(wanted.generation);
        if self.save_unsaved(wanted.tenant, wanted.grant)? == Saved::Settled {
            return Err(moved);
        }
        let Some(grant) = self.vault.grant(wanted.tenant, wanted.grant)? else {
            return Err(moved);
        };
        trace::provider(&grant.provider);
        let issuer = self
            .issuer((&grant).into())
            .map_err(|obstacle| obstacle.to_grounded(self.now()))?;
        let attempt = match wanted.attempt {
            // The back-off was for a configuration that is not in force any more.
            Attempt::Due if has_changed(&grant.refresh, &issuer) => Attempt::Forced,
            attempt => attempt,
        };
        loop {
            let request = ClaimRequest {
                tenant: wanted.tenant,
                grant: wanted.grant,
                holder: self.holder,
                generation: wanted.generation,
                attempt,
                now: self.now(),
                lease: self.settings.refresh_lease,
            };
            match self.vault.claim_refresh(&request)? {
                ClaimOutcome::Granted(claimed) => {
                    return self.dial(*claimed, &issuer, wanted.by, wanted.deadline);
                }
                ClaimOutcome::Moved | ClaimOutcome::Gone => return Err(moved),
                ClaimOutcome::Held(_) => {
                    if Instant::now() + POLL > wanted.deadline {
                        return Err(Unavailable::new(FailureCode::TimedOut, None).into());
                    }
                    thread::sleep(POLL);
                }
                ClaimOutcome::BackingOff(until) => {
                    let obstacle = Obstacle::BackingOff {
                        until,
                        failure: grant.refresh.last_failure.unwrap_or(FailureCode::ServerError),
                        server: issuer.server.id.clone(),
                    };
                    return Err(obstacle.to_grounded(self.now()));
                }
                ClaimOutcome::NotRefreshable => return Err(Grounded::NeedsConsent(ConsentReason::Expired)),
                // The connections were revoked, or use the grant that replaced this one.
                ClaimOutcome::NotActive(Status::Revoked) => return Err(moved),
                ClaimOutcome::NotActive(status) => return Err(Grounded::NeedsConsent(reason_of(status))),
            }
        }
    }

    /// Refreshes a grant that is claimed already.
    pub(crate) fn refresh_claimed(&self, claimed: Claimed) -> Result<Flown, Grounded> {
        let (tenant, id) = (claimed.grant.tenant.clone(), claimed.grant.id);
        trace::provider(&claimed.grant.provider);
        self.flights.lead(&tenant, id, || {
            if self.save_unsaved(&tenant, id)? == Saved::Settled {
                return Err(Grounded::Moved(claimed.claim.generation));
            }
            let deadline = Instant::now() + self.settings.resolve_deadline;
            let issuer = if self.is_offered(&claimed.grant)? {
                self.issuer((&claimed.grant).into())
            } else {
                Err(Obstacle::UnknownProvider(claimed.grant.provider.clone()))
            };
            match issuer {
                Ok(issuer) => self.dial(claimed, &issuer, None, deadline),
                Err(obstacle) => {
                    self.pass_over(&claimed, &obstacle)?;
                    Err(obstacle.to_grounded(self.now()))
                }
            }
        })
    }
}

impl Context {
    /// Tells the host of a change of a grant, once for each connection that uses it. Returns those.
    pub(crate) fn emit_to_users(
        &self,
        tenant: &TenantId,
        grant: GrantId,
        kind: EventKind,
    ) -> Arc<[ConnectionId]> {
        // What changed is stored. That its connections cannot be read now is no reason to fail.
        let users = self.users(tenant, grant).unwrap_or_default();
        for connection in &users {
            let user = connection.owner.user();
            self.emit(tenant, user, &connection.provider, Some(connection.id), kind);
        }
        users.iter().map(|connection| connection.id).collect()
    }

    /// Returns whether any service that uses the grant is in the registry. The service that the consent named need not
    /// be: others can use its grant.
    fn is_offered(&self, grant: &Grant) -> Result<bool, VaultError> {
        let is_known = |provider: &ProviderId| self.registry.provider(provider.as_str()).is_some();
        if is_known(&grant.provider) {
            return Ok(true);
        }
        let users = self.users(&grant.tenant, grant.id)?;
        Ok(users.iter().any(|user| is_known(&user.provider)))
    }

    /// The connections that use a grant. Revoked ones do not.
    pub(crate) fn users(&self, tenant: &TenantId, grant: GrantId) -> Result<Vec<Connection>, VaultError> {
        let mut query = ConnectionQuery::of(tenant);
        query.grant = Some(grant);
        self.vault.connections(&query)
    }
}

fn need(wanted: Wanted<'_>, reason: ConsentReason) -> Error {
    ConsentRequired::new(wanted.provider.clone(), reason)
        .renewing(wanted.connection)
        .into()
}

fn reason_of(status: Status) -> ConsentReason {
    match status {
        Status::NeedsConsent(reason) => reason.into(),
        Status::Revoked | Status::Active => ConsentReason::NotConnected,
    }
}
