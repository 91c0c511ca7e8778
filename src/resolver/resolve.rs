//! Which connection, and is its token good.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::freshness::Times;
use crate::engine::outlook::Outlook;
use crate::engine::refresh::{Grounded, Wanted};
use crate::engine::uses::Handed;
use crate::engine::uses::UseAudit;
use crate::error::{ConsentReason, ConsentRequired, Denied, Error, Result};
use crate::model::{ActingUser, EventKind, Label, NeedsConsent, Scopes, Status, Timestamp, ToolName, UserId};
use crate::provider::compiled::CompiledProvider;
use crate::resolver::explain::{Finding, Step};
use crate::resolver::ledger::Ledger;
use crate::resolver::policy::Call;
use crate::resolver::{ResolvedToken, Resolver, WorkspaceConnections};
use crate::vault::{Attempt, Claim, CommitOutcome, Found, Of, RefreshFailure, StoredToken, TokenQuery};

/// What a turn needs of a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolveOptions {
    /// Which of the person's connections, where they have several.
    pub label: Option<Label>,
    /// Which of the agent's tools calls, where the policy tells them apart.
    pub tool: Option<ToolName>,
    /// The scopes that must have been granted.
    pub scopes: Scopes,
    /// How long the token must be good for at least.
    pub min_ttl: Duration,
    /// How long the call may take, waiting for a refresh and for the API's answer. The settings' bounds hold besides.
    pub deadline: Option<Duration>,
}

impl ResolveOptions {
    /// Names one of several connections.
    #[must_use]
    pub fn label(mut self, label: Label) -> Self {
        self.label = Some(label);
        self
    }

    /// Names the tool that calls.
    ///
    /// # Security
    ///
    /// Take the name from the host's own registry of tools. One that a model may choose freely passes by every rule of
    /// the [`Policy`](crate::resolver::Policy) about tools.
    #[must_use]
    pub fn tool(mut self, tool: ToolName) -> Self {
        self.tool = Some(tool);
        self
    }

    /// Requires these scopes.
    #[must_use]
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }

    /// Gives the call this long at most. `send` has what the refresh leaves of it.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// When a call that began then must end, if it is not to take longer than this besides.
    pub(super) fn ends(&self, began: Instant, bound: Duration) -> Instant {
        began + self.deadline.map_or(bound, |deadline| deadline.min(bound))
    }

    /// Requires the token to be good for at least this long. More than the provider's tokens ever live leads to a
    /// refresh on each call.
    #[must_use]
    pub const fn min_ttl(mut self, min_ttl: Duration) -> Self {
        self.min_ttl = min_ttl;
        self
    }
}

/// A connection that was found, active, with the scopes that are needed.
pub(super) struct Candidate {
    provider: Arc<CompiledProvider>,
    stored: StoredToken,
    shared: bool,
}

impl Candidate {
    pub(super) fn outlook(&self, now: Timestamp, options: &ResolveOptions) -> Outlook {
        let times = Times::from(&self.stored);
        Outlook::of(self.stored.status, times, now, options.min_ttl)
    }

    /// The error that asks for a new consent to this connection.
    fn need(&self, reason: ConsentReason) -> Error {
        ConsentRequired::new(self.provider.id.clone(), reason)
            .renewing(self.stored.connection)
            .of(self.shared)
            .into()
    }

    /// The token that is refreshed was this person's until now, and a tool may have seen it.
    fn remember(self, ledger: &Ledger) {
        if let Some(token) = self.stored.access_token {
            ledger.note(&Arc::new(token));
        }
    }

    fn into_token(self) -> Option<ResolvedToken> {
        Some(ResolvedToken {
            grant: self.stored.grant,
            access_token: Arc::new(self.stored.access_token?),
            provider: self.provider,
            connection: self.stored.connection,
            generation: self.stored.generation,
            expires_at: self.stored.expires_at,
            shared: self.shared,
            parameters: self.stored.parameters,
        })
    }
}

impl Resolver {
    /// The connection that this person acts through: their own, else the shared one where the policy allows it.
    pub(super) fn find(
        &self,
        acting_user: &ActingUser,
        provider: &str,
        options: &ResolveOptions,
        tell: &mut dyn FnMut(Step),
    ) -> Result<Candidate> {
        // A service that the host has not set up is not offered, whatever the person has.
        let inner = self.connections.inner();
        let provider = &inner.service(acting_user.tenant(), provider)?.provider;
        let call = Call {
            acting_user,
            provider: &provider.id,
            tool: options.tool.as_ref(),
            scopes: &options.scopes,
            label: options.label.as_ref(),
        };
        let (policy, setting) = match self.policy.decide(&call) {
            Ok(decided) => decided,
            Err(reason) => {
                tell(Step::Denied(reason));
                return Err(Denied::new(provider.id.clone(), reason).into());
            }
        };
        tell(Step::Policy(policy, setting));
        let (personal, shared) = match policy {
            WorkspaceConnections::Fallback => (true, true),
            WorkspaceConnections::Forbidden => (true, false),
            WorkspaceConnections::Required => (false, true),
        };
        if personal
            && let Some(found) =
                self.look_up(acting_user, Some(acting_user.user()), provider, options, tell)?
        {
            return Ok(found);
        }
        if shared && let Some(found) = self.look_up(acting_user, None, provider, options, tell)? {
            return Ok(found);
        }
        Err(
            ConsentRequired::new(provider.id.clone(), ConsentReason::NotConnected)
                .missing(options.scopes.clone())
                .labelled(options.label.clone())
                .of(!personal)
                .into(),
        )
    }

    fn look_up(
        &self,
        acting_user: &ActingUser,
        user: Option<&UserId>,
        provider: &Arc<CompiledProvider>,
        options: &ResolveOptions,
        tell: &mut dyn FnMut(Step),
    ) -> Result<Option<Candidate>> {
        let mut tell = |finding| {
            tell(if user.is_some() {
                Step::Personal(finding)
            } else {
                Step::Shared(finding)
            });
        };
        let query = TokenQuery {
            tenant: acting_user.tenant(),
            of: Of::Owner {
                user,
                provider: &provider.id,
                label: options.label.as_ref(),
            },
            scopes: &options.scopes,
        };
        let stored = match self.connections.inner().vault.find_token(&query)? {
            Found::Nothing => {
                tell(Finding::Nothing);
                return Ok(None);
            }
            Found::Several => {
                tell(Finding::Several);
                return Err(Error::Ambiguous(provider.id.clone()));
            }
            Found::One(stored) => stored,
        };
        let need = |reason| {
            ConsentRequired::new(provider.id.clone(), reason)
                .renewing(stored.connection)
                .of(user.is_none())
        };
        match stored.status {
            Status::Active => {}
            Status::NeedsConsent(reason) => {
                tell(Finding::NeedsConsent(stored.connection, reason.into()));
                return Err(need(reason.into()).missing(stored.missing).into());
            }
            Status::Revoked => {
                tell(Finding::Nothing);
                return Ok(None);
            }
        }
        if !stored.missing.is_empty() {
            tell(Finding::NeedsConsent(
                stored.connection,
                ConsentReason::MissingScopes,
            ));
            return Err(need(ConsentReason::MissingScopes).missing(stored.missing).into());
        }
        tell(Finding::Active(stored.connection));
        Ok(Some(Candidate {
            provider: Arc::clone(provider),
            stored,
            shared: user.is_none(),
        }))
    }

    /// The token, refreshed if it is due, or as it is while it is good and cannot be refreshed right now.
    pub(super) fn freshen(
        &self,
        acting_user: &ActingUser,
        found: Candidate,
        options: &ResolveOptions,
        ledger: &Ledger,
    ) -> Result<ResolvedToken> {
        let inner = self.connections.inner();
        let now = inner.now();
        match found.outlook(now, options) {
            Outlook::Token(_) => self.hand_out(found),
            Outlook::Expiring => {
                let refresh = &found.stored.refresh;
                let busy = refresh.in_flight.is_some_and(|flight| flight.until > now)
                    || refresh.not_before.is_some_and(|until| until > now)
                    || inner.flights.is_flying(acting_user.tenant(), found.stored.grant);
                if busy {
                    return self.hand_out(found);
                }
                match self.refresh(acting_user, &found, options) {
                    // It is good still: an early refresh that fails is no reason to fail the turn.
                    Err(Error::Unavailable(_) | Error::Misconfigured(_) | Error::Vault(_)) => {
                        self.hand_out(found)
                    }
                    Err(Error::ConsentRequired(need)) if need.reason == ConsentReason::ClientChanged => {
                        self.hand_out(found)
                    }
                    refreshed => {
                        found.remember(ledger);
                        refreshed
                    }
                }
            }
            Outlook::Refresh => {
                let refreshed = self.refresh(acting_user, &found, options);
                found.remember(ledger);
                refreshed
            }
            Outlook::Spent(_) | Outlook::Revoked => self.expired(acting_user, &found, now),
        }
    }

    /// Returns the error with which a call ends now, if that is clear without asking the provider: the stored token is
    /// not good enough and cannot be refreshed.
    pub(super) fn refusal(
        &self,
        acting_user: &ActingUser,
        found: &Candidate,
        options: &ResolveOptions,
    ) -> Result<Option<Error>> {
        let inner = self.connections.inner();
        match found.outlook(inner.now(), options) {
            Outlook::Token(_) | Outlook::Expiring => Ok(None),
            Outlook::Spent(_) | Outlook::Revoked => Ok(Some(found.need(NeedsConsent::Expired.into()))),
            Outlook::Refresh => {
                let grant = inner.vault.grant(acting_user.tenant(), found.stored.grant)?;
                let obstacle = grant.and_then(|grant| inner.obstacle((&grant).into()));
                Ok(obstacle.map(|obstacle| match obstacle.to_grounded(inner.now()) {
                    Grounded::NeedsConsent(reason) => found.need(reason),
                    other => other.to_error(&found.provider.id),
                }))
            }
        }
    }

    /// Gives a token of a later generation than the one that was found.
    pub(super) fn refresh(
        &self,
        acting_user: &ActingUser,
        found: &Candidate,
        options: &ResolveOptions,
    ) -> Result<ResolvedToken> {
        let inner = self.connections.inner();
        let refreshed = inner.refresh(Wanted {
            tenant: acting_user.tenant(),
            connection: found.stored.connection,
            provider: &found.provider.id,
            grant: found.stored.grant,
            generation: found.stored.generation,
            attempt: Attempt::Due,
            by: None,
            deadline: options.ends(Instant::now(), inner.settings.resolve_deadline),
        });
        let refreshed = refreshed.map_err(|error| match error {
            Error::ConsentRequired(need) => (*need).of(found.shared).into(),
            other => other,
        })?;
        Ok(ResolvedToken {
            access_token: refreshed.access_token,
            provider: Arc::clone(&found.provider),
            connection: found.stored.connection,
            grant: found.stored.grant,
            generation: refreshed.generation,
            expires_at: refreshed.expires_at,
            shared: found.shared,
            parameters: found.stored.parameters.clone(),
        })
    }

    /// An expired token with nothing to refresh it by is erased at once; one that is merely too short-lived is not.
    fn expired(&self, acting_user: &ActingUser, found: &Candidate, now: Timestamp) -> Result<ResolvedToken> {
        let inner = self.connections.inner();
        let stored = &found.stored;
        let reason = NeedsConsent::Expired;
        if stored.expires_at.is_some_and(|expires_at| expires_at <= now) {
            // No claim is held: only the generation counts.
            let claim = Claim {
                generation: stored.generation,
                fence: 0,
            };
            let failure = RefreshFailure::ConsentNeeded { reason, at: now };
            let tenant = acting_user.tenant();
            let outcome = inner.vault.fail_refresh(tenant, stored.grant, &claim, &failure)?;
            if outcome == CommitOutcome::Stored {
                inner.emit_to_users(tenant, stored.grant, EventKind::ConsentNeeded(reason));
            }
        }
        Err(found.need(reason.into()))
    }

    pub(super) fn hand_out(&self, found: Candidate) -> Result<ResolvedToken> {
        let provider = Arc::clone(&found.provider);
        let (connection, shared) = (found.stored.connection, found.shared);
        found.into_token().ok_or_else(|| {
            ConsentRequired::new(provider.id.clone(), ConsentReason::NotConnected)
                .renewing(connection)
                .of(shared)
                .into()
        })
    }

    /// Notes that `resolve` handed the token out, and reports the use of a shared connection.
    pub(super) fn note(
        &self,
        acting_user: &ActingUser,
        token: &ResolvedToken,
        ledger: &Ledger,
    ) -> Result<()> {
        let inner = self.connections.inner();
        let handed = self.handed(acting_user, token, ledger);
        if inner.settings.use_audit == UseAudit::Strict {
            inner.record(&[handed.entry()])?;
        } else {
            inner.note_use(handed);
        }
        self.report_shared(acting_user, token);
        Ok(())
    }

    /// Notes that `peek` handed the token out, without a write. Returns `false` if there is no room for the note.
    pub(super) fn note_without_write(
        &self,
        acting_user: &ActingUser,
        token: &ResolvedToken,
        ledger: &Ledger,
    ) -> bool {
        let handed = self.handed(acting_user, token, ledger);
        let noted = self.connections.inner().usage.note_if_room(handed);
        if noted {
            self.report_shared(acting_user, token);
        }
        noted
    }

    fn handed<'a>(
        &self,
        acting_user: &'a ActingUser,
        token: &'a ResolvedToken,
        ledger: &'a Ledger,
    ) -> Handed<'a> {
        Handed {
            to: acting_user,
            connection: token.connection,
            provider: &token.provider.id,
            shared: token.shared,
            turn: ledger.turn.as_ref(),
            purpose: ledger.purpose.as_ref(),
            at: self.connections.inner().now(),
        }
    }

    fn report_shared(&self, acting_user: &ActingUser, token: &ResolvedToken) {
        if token.shared {
            self.connections.inner().emit(
                acting_user.tenant(),
                Some(acting_user.user()),
                &token.provider.id,
                Some(token.connection),
                EventKind::WorkspaceFallback,
            );
        }
    }
}
