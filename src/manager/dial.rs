//! The request of a claimed refresh, and what becomes of its answer.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Misconfigured, Result, Unavailable};
use crate::manager::Inner;
use crate::manager::connections::Service;
use crate::manager::refresh::{CurrentToken, Flown, Grounded};
use crate::manager::settings::back_off;
use crate::manager::unsaved::Fetched;
use crate::model::{Actor, EventKind, FailureCode, Grant, NeedsConsent, Scopes, Timestamp};
use crate::protocol::{TokenClient, TokenFailure, TokenResponse, granted_scopes, parse_refresh_response};
use crate::provider::{Endpoints, RotationClass};
use crate::secret::AccessToken;
use crate::vault::{Claimed, CommitOutcome, Found, Of, RefreshFailure, TokenQuery, Tokens, VaultError};

/// How long upkeep passes over a grant that cannot be tried until somebody changes the configuration.
const PASSED_OVER: Duration = Duration::from_secs(600);

impl Inner {
    pub(super) fn dial(
        &self,
        claimed: Claimed,
        service: Service<'_>,
        endpoints: &Endpoints,
        by: Option<&Actor>,
    ) -> Result<Flown, Grounded> {
        let grant = &claimed.grant;
        let server = service.server.for_connection(&grant.parameters);
        let client = TokenClient {
            server: &server,
            registration: service.client,
        };
        let sent_at = self.now();
        let answer = client
            .refresh_request(&endpoints.refresh, &claimed.refresh_token, &grant.granted)
            .map_err(|_| TokenFailure::new(FailureCode::RequestRejected))
            .and_then(|mut request| {
                request.timeout = self.settings.token_timeout();
                self.http.send(request).map_err(TokenFailure::from)
            })
            .and_then(|response| parse_refresh_response(service.server, &response, || self.held(grant)));
        match answer {
            Ok(answer) => self.commit(fetched(service, claimed, answer, sent_at, by)),
            Err(failure) => self.failed(service, &claimed, &failure),
        }
    }

    /// The access token that a grant holds: a few servers let it live on and issue no other.
    fn held(&self, grant: &Grant) -> Option<AccessToken> {
        let user = self.users(&grant.tenant, grant.id).ok()?.into_iter().next()?;
        let query = TokenQuery {
            tenant: &grant.tenant,
            of: Of::Id(user.id),
            scopes: &Scopes::default(),
        };
        match self.vault.find_token(&query).ok()? {
            Found::One(stored) if stored.grant == grant.id => stored.access_token,
            _ => None,
        }
    }

    /// Stores what cannot be requested twice. Where the vault fails for longer than that takes, it is kept in memory.
    fn commit(&self, fetched: Fetched) -> Result<Flown, Grounded> {
        match self.persist(|| self.store_fetched(&fetched)) {
            Ok(outcome) => self.committed(fetched, outcome),
            Err(error) => {
                self.unsaved.keep(fetched, &error);
                Err(error.into())
            }
        }
    }

    pub(super) fn store_fetched(&self, fetched: &Fetched) -> Result<CommitOutcome, VaultError> {
        let grant = &fetched.grant;
        self.vault
            .commit_refresh(&grant.tenant, grant.id, &fetched.claim, &fetched.refreshed())
    }

    pub(super) fn committed(&self, fetched: Fetched, outcome: CommitOutcome) -> Result<Flown, Grounded> {
        let grant = &fetched.grant;
        match outcome {
            CommitOutcome::Stored => {
                let users = self.emit_to_users(&grant.tenant, grant.id, EventKind::Refreshed);
                Ok(Flown {
                    users,
                    token: CurrentToken {
                        generation: fetched.claim.generation.saturating_add(1),
                        expires_at: fetched.expires_at,
                        access_token: Arc::new(fetched.tokens.access_token),
                    },
                })
            }
            CommitOutcome::Former | CommitOutcome::Superseded => {
                Err(Grounded::Moved(fetched.claim.generation))
            }
            CommitOutcome::Gone => {
                // Revoked while the request was under way: the person said no, so the new tokens must not live on.
                self.end_late_tokens(&fetched);
                Err(Grounded::Moved(fetched.claim.generation))
            }
        }
    }

    fn failed(
        &self,
        service: Service<'_>,
        claimed: &Claimed,
        failure: &TokenFailure,
    ) -> Result<Flown, Grounded> {
        let grant = &claimed.grant;
        let now = self.now();
        let (record, event, grounded) = if failure.code == FailureCode::GrantRejected {
            let reason = rejection(service.server.rotation, claimed.outcome_unknown);
            let quarantine = self.settings.quarantine;
            let record = RefreshFailure::Rejected {
                reason,
                at: now,
                quarantined_until: (!quarantine.is_zero()).then(|| now + quarantine),
            };
            let grounded = Grounded::NeedsConsent(reason.into());
            (record, EventKind::ConsentNeeded(reason), grounded)
        } else {
            let wait = back_off(grant.refresh.failures, failure.retry_after);
            let record = RefreshFailure::Transient {
                code: failure.code,
                at: now,
                not_before: now + wait,
            };
            let grounded = refusal(service, failure.code, wait).into();
            (record, EventKind::RefreshFailed(failure.code), grounded)
        };
        match self
            .vault
            .fail_refresh(&grant.tenant, grant.id, &claimed.claim, &record)?
        {
            CommitOutcome::Stored => {
                let users = self.emit_to_users(&grant.tenant, grant.id, event);
                if users.is_empty() {
                    // A consent replaced the grant meanwhile: its failure is nobody's.
                    return Err(Grounded::Moved(claimed.claim.generation));
                }
                Err(grounded)
            }
            // The answer was about tokens that are not used any more: another caller's success counts.
            CommitOutcome::Superseded | CommitOutcome::Former | CommitOutcome::Gone => {
                Err(Grounded::Moved(claimed.claim.generation))
            }
        }
    }

    /// Ends the claim of a grant that cannot be tried, so that upkeep turns to the others meanwhile.
    pub(super) fn pass_over(&self, claimed: &Claimed) -> Result<(), VaultError> {
        let now = self.now();
        let grant = &claimed.grant;
        let record = RefreshFailure::Transient {
            code: FailureCode::RequestRejected,
            at: now,
            not_before: now + PASSED_OVER,
        };
        self.vault
            .fail_refresh(&grant.tenant, grant.id, &claimed.claim, &record)?;
        Ok(())
    }
}

/// Puts together what is to be stored. What the answer leaves out stays as it was.
fn fetched(
    service: Service<'_>,
    claimed: Claimed,
    answer: TokenResponse,
    sent_at: Timestamp,
    by: Option<&Actor>,
) -> Fetched {
    let grant = claimed.grant;
    let granted = answer
        .scopes
        .as_ref()
        .map(|answered| granted_scopes(service.server, &grant.requested, Some(answered)));
    let lifetime = answer.expires_in.or(grant.lifetime);
    Fetched {
        claim: claimed.claim,
        tokens: Tokens {
            access_token: answer.access_token,
            // RFC 6749 §6: an answer without a refresh token leaves the old one in force.
            refresh_token: Some(answer.refresh_token.unwrap_or(claimed.refresh_token)),
            id_token: answer.id_token.or(claimed.id_token),
        },
        granted,
        expires_at: lifetime
            .or(service.server.default_expires_in)
            .map(|lifetime| sent_at + lifetime),
        lifetime,
        at: sent_at,
        by: by.cloned(),
        grant,
    }
}

fn refusal(service: Service<'_>, code: FailureCode, wait: Duration) -> Error {
    let server = service.server.id.clone();
    match code {
        FailureCode::ClientRejected => Misconfigured::ClientRejected(server).into(),
        FailureCode::RequestRejected | FailureCode::Redirected | FailureCode::NotSent => {
            Misconfigured::RequestRejected {
                server,
                failure: code,
            }
            .into()
        }
        code => Unavailable::new(code, Some(wait)).into(),
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
