//! Renewing tokens without losing one.
//!
//! Claim durably, dial outside any transaction, commit by compare-and-swap, and only then show the token. Whoever is
//! late or unlucky adopts what is stored; only an answer that is final, to the token that is still stored, ends a
//! connection.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{ConsentReason, ConsentRequired, Error, Misconfigured, Result, Unavailable};
use crate::manager::Inner;
use crate::manager::connections::Service;
use crate::manager::flight::Joined;
use crate::manager::settings::back_off;
use crate::model::{
    Actor, Connection, ConnectionId, EventKind, FailureCode, NeedsConsent, ProviderId, Status, TenantId,
    Timestamp,
};
use crate::protocol::{TokenClient, TokenFailure, TokenResponse, granted_scopes, parse_refresh_response};
use crate::provider::{Endpoints, RotationClass};
use crate::secret::AccessToken;
use crate::trace::{self, About, Seam};
use crate::vault::{
    Attempt, ClaimOutcome, ClaimRequest, Claimed, CommitOutcome, ConnectionQuery, RefreshFailure,
    Renewed as Renewal, StoredToken, Tokens, VaultError,
};

/// How often somebody who waits for another process looks.
pub(super) const POLL: Duration = Duration::from_millis(15);

/// What a refresh gave: stored before anybody sees it, and shared by all who waited.
#[derive(Debug, Clone)]
pub(crate) struct Renewed {
    pub(crate) generation: u64,
    pub(crate) access_token: Arc<AccessToken>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Renewed {
    fn adopted(stored: StoredToken) -> Option<Self> {
        Some(Self {
            generation: stored.generation,
            access_token: Arc::new(stored.access_token?),
            expires_at: stored.expires_at,
        })
    }
}

/// Which refresh is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) tenant: &'a TenantId,
    /// For whom: what an error is about.
    pub(crate) connection: ConnectionId,
    /// Its service.
    pub(crate) provider: &'a ProviderId,
    /// The record that keeps its tokens: claims and flights go by it, so that many services are one refresh.
    pub(crate) keeper: ConnectionId,
    /// The generation that will not do any more.
    pub(crate) generation: u64,
    pub(crate) attempt: Attempt,
    /// Who asked for it by name, if anybody did.
    pub(crate) by: Option<&'a Actor>,
    pub(crate) deadline: Instant,
}

impl Inner {
    /// Renews a connection by name.
    pub(crate) fn refresh_now(&self, connection: &Connection, by: &Actor) -> Result<Renewed> {
        self.renew(Wanted {
            tenant: &connection.tenant,
            connection: connection.id,
            provider: &connection.provider,
            keeper: connection.keeper(),
            generation: connection.generation,
            attempt: Attempt::Forced,
            by: Some(by),
            deadline: Instant::now() + self.settings.resolve_deadline,
        })
    }

    /// Gives a token of a later generation than the one named, or says why there is none.
    pub(crate) fn renew(&self, wanted: Wanted<'_>) -> Result<Renewed> {
        let about = || About {
            tenant: Some(wanted.tenant),
            connection: Some(wanted.connection),
            ..About::default()
        };
        trace::within(Seam::Refresh, about, || self.fly(wanted))
    }

    fn fly(&self, wanted: Wanted<'_>) -> Result<Renewed> {
        loop {
            let joined = self
                .flights
                .join(wanted.tenant, wanted.keeper, wanted.deadline, || {
                    self.lead(wanted)
                });
            match joined {
                // The flight was for an older token than ours: what it brought is what we know to be no good.
                Joined::Outcome(Ok(renewed)) if renewed.generation <= wanted.generation => {}
                Joined::Outcome(outcome) if wanted.keeper == wanted.connection => return outcome,
                Joined::Outcome(Ok(renewed)) if self.still_shares(wanted)? => return Ok(renewed),
                Joined::Outcome(Ok(_)) => return self.in_its_own_words(wanted, Error::NotFound),
                Joined::Outcome(Err(error)) => return self.in_its_own_words(wanted, error),
                Joined::TimedOut => return Err(Unavailable::new(FailureCode::TimedOut, None).into()),
            }
        }
    }

    /// Whether the connection lives by the grant still: what was revoked while the request was under way gets no token.
    fn still_shares(&self, wanted: Wanted<'_>) -> Result<bool> {
        let connection = self.vault.connection(wanted.tenant, wanted.connection)?;
        Ok(connection.is_some_and(|connection| connection.shares == Some(wanted.keeper)))
    }

    /// What a failure of the grant means to one of the connections that share it.
    fn in_its_own_words(&self, wanted: Wanted<'_>, error: Error) -> Result<Renewed> {
        match error {
            Error::ConsentRequired(need) => Err(ConsentRequired {
                provider: wanted.provider.clone(),
                connection: Some(wanted.connection),
                ..*need
            }
            .into()),
            // Nobody shares the record any more: this connection was revoked, or has tokens of its own since.
            Error::NotFound => match self.vault.token(wanted.tenant, wanted.connection)? {
                Some(stored) if stored.generation > wanted.generation => {
                    let status = stored.status;
                    Renewed::adopted(stored).ok_or_else(|| not_active(wanted.provider, wanted, status))
                }
                Some(_) => Err(Unavailable::new(FailureCode::Interrupted, None).into()),
                None => Err(need(wanted.provider, wanted, ConsentReason::NotConnected)),
            },
            other => Err(other),
        }
    }

    /// One attempt, on behalf of everybody in this process.
    fn lead(&self, wanted: Wanted<'_>) -> Result<Renewed> {
        let connection = self
            .vault
            .connection(wanted.tenant, wanted.keeper)?
            .ok_or(Error::NotFound)?;
        trace::provider(&connection.provider);
        let service = self.service(connection.provider.as_str())?;
        let endpoints = service.server.endpoints(&connection.parameters)?;
        let issuer = &connection.issued_by;
        if endpoints.refresh.as_str() != issuer.token_endpoint
            || service.client.client_id() != issuer.client_id
        {
            return Err(Misconfigured::IssuerChanged(service.server.id.clone()).into());
        }
        loop {
            let request = ClaimRequest {
                tenant: wanted.tenant,
                connection: wanted.keeper,
                holder: self.holder,
                generation: wanted.generation,
                attempt: wanted.attempt,
                now: self.now(),
                lease: self.settings.refresh_lease,
            };
            match self.vault.claim_refresh(&request)? {
                ClaimOutcome::Granted(claimed) => return self.dial(wanted, service, &endpoints, *claimed),
                ClaimOutcome::Moved => return self.adopt(wanted, &connection.provider),
                ClaimOutcome::Held(_) => {
                    if Instant::now() + POLL > wanted.deadline {
                        return Err(Unavailable::new(FailureCode::TimedOut, None).into());
                    }
                    thread::sleep(POLL);
                }
                ClaimOutcome::BackingOff(until) => {
                    let failure = connection
                        .refresh
                        .last_failure
                        .unwrap_or(FailureCode::ServerError);
                    let wait = until.saturating_since(self.now());
                    return Err(Unavailable::new(failure, Some(wait)).into());
                }
                ClaimOutcome::NotRefreshable => {
                    return Err(need(&connection.provider, wanted, ConsentReason::Expired));
                }
                ClaimOutcome::NotActive(status) => {
                    return Err(not_active(&connection.provider, wanted, status));
                }
                ClaimOutcome::Gone => return Err(Error::NotFound),
            }
        }
    }

    /// Takes what somebody else has stored meanwhile.
    fn adopt(&self, wanted: Wanted<'_>, provider: &ProviderId) -> Result<Renewed> {
        let stored = self
            .vault
            .token(wanted.tenant, wanted.keeper)?
            .ok_or(Error::NotFound)?;
        let status = stored.status;
        Renewed::adopted(stored).ok_or_else(|| not_active(provider, wanted, status))
    }

    fn dial(
        &self,
        wanted: Wanted<'_>,
        service: Service<'_>,
        endpoints: &Endpoints,
        claimed: Claimed,
    ) -> Result<Renewed> {
        let server = service.server.for_connection(&claimed.connection.parameters);
        let client = TokenClient {
            server: &server,
            registration: service.client,
        };
        let sent_at = self.now();
        let answer = client
            .refresh_request(
                &endpoints.refresh,
                &claimed.refresh_token,
                &claimed.connection.granted,
            )
            .map_err(|_| TokenFailure::new(FailureCode::RequestRejected))
            .and_then(|mut request| {
                request.timeout = self.settings.token_timeout();
                self.http.send(request).map_err(TokenFailure::from)
            })
            .and_then(|response| parse_refresh_response(service.server, &response, || self.held(wanted)));
        match answer {
            Ok(answer) => self.commit(wanted, service, claimed, answer, sent_at),
            Err(failure) => self.failed(wanted, service, &claimed, &failure),
        }
    }

    fn commit(
        &self,
        wanted: Wanted<'_>,
        service: Service<'_>,
        claimed: Claimed,
        answer: TokenResponse,
        sent_at: Timestamp,
    ) -> Result<Renewed> {
        let connection = claimed.connection;
        let granted = answer
            .scopes
            .as_ref()
            .map(|answered| granted_scopes(service.server, &connection.requested, Some(answered)));
        let expires_at = answer
            .expires_in
            .or(service.server.default_expires_in)
            .map(|lifetime| sent_at + lifetime);
        let tokens = Tokens {
            access_token: answer.access_token,
            // RFC 6749 §6: an answer without a refresh token leaves the old one in force.
            refresh_token: Some(answer.refresh_token.unwrap_or(claimed.refresh_token)),
            id_token: answer.id_token.or(claimed.id_token),
        };
        let renewal = Renewal {
            tokens: &tokens,
            granted: granted.as_ref(),
            expires_at,
            at: sent_at,
            by: wanted.by,
        };
        let outcome = self.persist(|| {
            self.vault
                .commit_refresh(wanted.tenant, wanted.keeper, &claimed.claim, &renewal)
        })?;
        match outcome {
            CommitOutcome::Stored => {
                self.emit_to_all(&connection, EventKind::Refreshed);
                Ok(Renewed {
                    generation: claimed.claim.generation + 1,
                    access_token: Arc::new(tokens.access_token),
                    expires_at,
                })
            }
            CommitOutcome::Superseded => self.adopt(wanted, &connection.provider),
            CommitOutcome::Gone => {
                // Revoked while the request was under way: the person said no, so the new token must not live on.
                let mut late = connection.clone();
                late.generation = claimed.claim.generation.saturating_add(1);
                self.end_late_tokens(&late, &tokens);
                Err(gone(&connection, wanted))
            }
        }
    }

    /// Stores what cannot be asked for twice: a busy vault is tried again for as long as a claim holds.
    fn persist(
        &self,
        mut write: impl FnMut() -> Result<CommitOutcome, VaultError>,
    ) -> Result<CommitOutcome, VaultError> {
        let deadline = Instant::now() + self.settings.refresh_lease;
        loop {
            match write() {
                Err(error) if error.is_retryable() && Instant::now() + POLL < deadline => thread::sleep(POLL),
                outcome => return outcome,
            }
        }
    }

    fn failed(
        &self,
        wanted: Wanted<'_>,
        service: Service<'_>,
        claimed: &Claimed,
        failure: &TokenFailure,
    ) -> Result<Renewed> {
        let connection = &claimed.connection;
        let now = self.now();
        let (record, event, error) = if failure.code == FailureCode::GrantRejected {
            let reason = rejection(service.server.rotation, claimed.outcome_unknown);
            let record = RefreshFailure::Rejected {
                reason,
                at: now,
                quarantined_until: (!self.settings.quarantine.is_zero())
                    .then(|| now + self.settings.quarantine),
            };
            (
                record,
                EventKind::ConsentNeeded(reason),
                need(&connection.provider, wanted, reason.into()),
            )
        } else {
            let wait = back_off(connection.refresh.failures, failure.retry_after);
            let record = RefreshFailure::Transient {
                code: failure.code,
                at: now,
                not_before: now + wait,
            };
            let server = service.server.id.clone();
            let error = match failure.code {
                FailureCode::ClientRejected => Misconfigured::ClientRejected(server).into(),
                FailureCode::RequestRejected | FailureCode::Redirected => Misconfigured::RequestRejected {
                    server,
                    failure: failure.code,
                }
                .into(),
                code => Error::from(Unavailable::new(code, Some(wait))),
            };
            (record, EventKind::RefreshFailed(failure.code), error)
        };
        match self
            .vault
            .fail_refresh(wanted.tenant, wanted.keeper, &claimed.claim, &record)?
        {
            CommitOutcome::Stored => {
                self.emit_to_all(connection, event);
                Err(error)
            }
            // The answer was about a token that is not the stored one any more: somebody else's success counts.
            CommitOutcome::Superseded => match self.vault.token(wanted.tenant, wanted.keeper)? {
                Some(stored) if stored.generation > wanted.generation => {
                    let status = stored.status;
                    Renewed::adopted(stored).ok_or_else(|| not_active(&connection.provider, wanted, status))
                }
                _ => Err(Unavailable::new(FailureCode::Interrupted, None).into()),
            },
            CommitOutcome::Gone => Err(gone(connection, wanted)),
        }
    }
}

impl Inner {
    /// Tells the host of a change of a grant: of each connection that lives by it.
    pub(crate) fn emit_to_all(&self, connection: &Connection, kind: EventKind) {
        if connection.is_keeper {
            self.emit_to_others(&connection.tenant, connection.id, connection.id, kind);
        } else {
            let user = connection.owner.user();
            self.emit(
                &connection.tenant,
                user,
                &connection.provider,
                Some(connection.id),
                kind,
            );
        }
    }

    /// The same, of those that share a record, but for one that was told of already.
    pub(crate) fn emit_to_others(
        &self,
        tenant: &TenantId,
        keeper: ConnectionId,
        but: ConnectionId,
        kind: EventKind,
    ) {
        let mut query = ConnectionQuery::of(tenant);
        query.shares = Some(keeper);
        // What changed is stored; whom else it concerns could not be read, and that is no reason to fail.
        for other in self.vault.connections(&query).unwrap_or_default() {
            if other.id != but {
                let user = other.owner.user();
                self.emit(tenant, user, &other.provider, Some(other.id), kind);
            }
        }
    }
}

/// What it means that the server refused the refresh token. Where an earlier request with it may have been answered
/// and the answer was lost, and the server takes each token once, that answer held the only good token.
const fn rejection(rotation: RotationClass, outcome_unknown: bool) -> NeedsConsent {
    match rotation {
        RotationClass::Static | RotationClass::OldStaysValid => NeedsConsent::Rejected,
        _ if outcome_unknown => NeedsConsent::LostInFlight,
        _ => NeedsConsent::Rejected,
    }
}

fn need(provider: &ProviderId, wanted: Wanted<'_>, reason: ConsentReason) -> Error {
    ConsentRequired::new(provider.clone(), reason)
        .renewing(wanted.connection)
        .into()
}

/// The connection is revoked; where several shared the record, each of them knows better what became of it.
fn gone(connection: &Connection, wanted: Wanted<'_>) -> Error {
    if connection.is_keeper {
        return Error::NotFound;
    }
    need(&connection.provider, wanted, ConsentReason::NotConnected)
}

fn not_active(provider: &ProviderId, wanted: Wanted<'_>, status: Status) -> Error {
    match status {
        Status::NeedsConsent(reason) => need(provider, wanted, reason.into()),
        Status::Revoked | Status::Active => need(provider, wanted, ConsentReason::NotConnected),
    }
}
