//! The request of a claimed refresh, and what becomes of its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::Context;
use crate::engine::outlook::{self, Issuer, Obstacle};
use crate::engine::refresh::unsaved::Fetched;
use crate::engine::refresh::{CurrentToken, Flown, Grounded};
use crate::engine::settings::back_off;
use crate::error::Result;
use crate::model::{Actor, EventKind, FailureCode, Grant, NeedsConsent, Scopes, Timestamp};
use crate::protocol::{
    TokenClient, TokenFailure, TokenResponse, granted_scopes, parse_refresh_response, with_offline_access,
};
use crate::provider::RotationClass;
use crate::secret::{AccessToken, RefreshToken};
use crate::vault::{Claimed, CommitOutcome, Found, Of, RefreshFailure, TokenQuery, Tokens, VaultError};

/// How long upkeep passes over a grant that cannot be tried until somebody changes the configuration. Shorter than the
/// horizon of upkeep: after the change the grant is refreshed before its access token expires.
const PASSED_OVER: Duration = Duration::from_secs(120);

/// A second request is not worth beginning with less time than this.
const SHORTEST_REQUEST: Duration = Duration::from_secs(1);

/// How many attempts are made within the grace period of a server whose answer was lost.
const TRIES_WITHIN_GRACE: u32 = 4;

/// After this many refusals without a reason, and this long after the access token expired, the person is told.
const UNEXPLAINED_FAILURES: u32 = 5;
const UNEXPLAINED_FOR: Duration = Duration::from_secs(24 * 3600);

impl Context {
    pub(crate) fn dial(
        &self,
        claimed: Claimed,
        issuer: &Issuer,
        by: Option<&Actor>,
        deadline: Instant,
    ) -> Result<Flown, Grounded> {
        let sent_at = self.now();
        let mut answer = self.request_tokens(
            &claimed.grant,
            &claimed.refresh_token,
            issuer,
            self.settings.token_timeout(),
        );
        if let Err(failure) = &answer
            && is_lost(failure.code)
            && old_token_is_taken(issuer.server.rotation)
        {
            // The server may have acted. It takes the same token again, so a second request finds out now what the
            // back-off would only put off, and within the grace period, if there is one.
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = left.min(self.settings.token_timeout());
            if timeout >= SHORTEST_REQUEST {
                answer = self.request_tokens(&claimed.grant, &claimed.refresh_token, issuer, timeout);
            }
        }
        match answer {
            Ok(answer) => self.commit(fetched(issuer, claimed, answer, sent_at, by)),
            Err(failure) => self.failed(issuer, &claimed, &failure),
        }
    }

    /// Sends one request with the refresh token.
    pub(crate) fn request_tokens(
        &self,
        grant: &Grant,
        refresh_token: &RefreshToken,
        issuer: &Issuer,
        timeout: Duration,
    ) -> Result<TokenResponse, TokenFailure> {
        let client = TokenClient {
            server: &issuer.server,
            registration: &issuer.client,
            parameters: &grant.parameters,
        };
        let mut request = client
            .refresh_request(&issuer.endpoints.refresh, refresh_token, &grant.granted)
            .map_err(|_| TokenFailure::new(FailureCode::RequestRejected))?;
        request.timeout = timeout;
        let response = self.http.send(request).map_err(TokenFailure::from)?;
        parse_refresh_response(&issuer.server, &response, || self.held(grant))
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

    pub(crate) fn store_fetched(&self, fetched: &Fetched) -> Result<CommitOutcome, VaultError> {
        let grant = &fetched.grant;
        self.vault
            .commit_refresh(&grant.tenant, grant.id, &fetched.claim, &fetched.refreshed())
    }

    pub(crate) fn committed(&self, fetched: Fetched, outcome: CommitOutcome) -> Result<Flown, Grounded> {
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

    fn failed(&self, issuer: &Issuer, claimed: &Claimed, failure: &TokenFailure) -> Result<Flown, Grounded> {
        let grant = &claimed.grant;
        let now = self.now();
        let final_reason = match failure.code {
            FailureCode::GrantRejected => Some(rejection(issuer.server.rotation, claimed.outcome_unknown)),
            _ if stays_unexplained(grant, failure, now) => Some(NeedsConsent::Unexplained),
            _ => None,
        };
        let (record, event, grounded) = if let Some(reason) = final_reason {
            let grounded = Grounded::NeedsConsent(reason.into());
            (
                self.rejected_for(reason),
                EventKind::ConsentNeeded(reason),
                grounded,
            )
        } else {
            let wait = pause(issuer.server.rotation, grant.refresh.failures, failure);
            let record = RefreshFailure::Transient {
                code: failure.code,
                at: now,
                not_before: now + wait,
                setup: failure.code.is_operators_fault().then(|| issuer.setup_check()),
            };
            let grounded = outlook::failed(&issuer.server.id, failure.code, wait).into();
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

    /// A refusal for good: the refresh token goes into quarantine.
    fn rejected_for(&self, reason: NeedsConsent) -> RefreshFailure {
        let (now, quarantine) = (self.now(), self.settings.quarantine);
        RefreshFailure::Rejected {
            reason,
            at: now,
            quarantined_until: (!quarantine.is_zero()).then(|| now + quarantine),
        }
    }

    /// Ends the claim of a grant that cannot be tried, so that upkeep turns to the others meanwhile. Tells the host
    /// once.
    pub(crate) fn pass_over(&self, claimed: &Claimed, obstacle: &Obstacle) -> Result<(), VaultError> {
        let now = self.now();
        let grant = &claimed.grant;
        let expired = grant.expires_at.is_some_and(|expires_at| expires_at <= now);
        let (record, event) = if expired && matches!(obstacle, Obstacle::ClientReplaced) {
            let reason = NeedsConsent::ClientChanged;
            (self.rejected_for(reason), EventKind::ConsentNeeded(reason))
        } else {
            let code = match obstacle {
                Obstacle::ClientSourceFailed { .. } => FailureCode::ClientSourceFailed,
                _ => FailureCode::Misconfigured,
            };
            let record = RefreshFailure::Transient {
                code,
                at: now,
                not_before: now + PASSED_OVER,
                setup: None,
            };
            (record, EventKind::RefreshFailed(code))
        };
        let outcome = self
            .vault
            .fail_refresh(&grant.tenant, grant.id, &claimed.claim, &record)?;
        let last = grant.refresh.last_failure;
        let repeated = last.is_some_and(|last| event == EventKind::RefreshFailed(last));
        if outcome == CommitOutcome::Stored && !repeated {
            self.emit_to_users(&grant.tenant, grant.id, event);
        }
        Ok(())
    }
}

/// Returns whether the request may have been answered although no answer was read.
const fn is_lost(code: FailureCode) -> bool {
    matches!(code, FailureCode::TimedOut | FailureCode::Interrupted)
}

/// Returns whether the server takes a refresh token again that it has answered once, for a while at least.
const fn old_token_is_taken(rotation: RotationClass) -> bool {
    matches!(
        rotation,
        RotationClass::Static | RotationClass::OldStaysValid | RotationClass::Grace(_)
    )
}

/// Returns how long to wait after a failure.
fn pause(rotation: RotationClass, failures: u32, failure: &TokenFailure) -> Duration {
    let wait = back_off(failure.code, failures, failure.retry_after);
    match rotation {
        // The answer was lost, and the old token is taken for this long only.
        RotationClass::Grace(period) if is_lost(failure.code) && failures < TRIES_WITHIN_GRACE => {
            wait.min(period / TRIES_WITHIN_GRACE)
        }
        _ => wait,
    }
}

/// Returns whether a refusal without a reason has lasted so long that the person should know.
fn stays_unexplained(grant: &Grant, failure: &TokenFailure, now: Timestamp) -> bool {
    let says_nothing = match failure.code {
        FailureCode::Unexplained => true,
        FailureCode::ClientRejected => failure.error.is_none(),
        _ => false,
    };
    let refresh = &grant.refresh;
    let expired_at = grant.expires_at.unwrap_or(grant.refreshed_at);
    says_nothing
        && refresh.last_failure == Some(failure.code)
        && refresh.failures >= UNEXPLAINED_FAILURES
        && now.saturating_since(expired_at) >= UNEXPLAINED_FOR
}

/// Puts together what is to be stored. What the answer leaves out stays as it was.
fn fetched(
    issuer: &Issuer,
    claimed: Claimed,
    answer: TokenResponse,
    sent_at: Timestamp,
    by: Option<&Actor>,
) -> Fetched {
    let grant = claimed.grant;
    let granted = answer
        .scopes
        .as_ref()
        .map(|answered| granted_scopes(&issuer.server, &grant.requested, Some(answered)))
        .map(|granted| with_offline_access(granted, &grant.requested));
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
            .or(issuer.server.default_expires_in)
            .map(|lifetime| sent_at + lifetime),
        lifetime,
        refresh_token_expires_at: answer.refresh_token_expires_in.map(|left| sent_at + left),
        at: sent_at,
        by: by.cloned(),
        grant,
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
