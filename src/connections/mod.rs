//! The connections of a host: the facade over the engine.

mod builder;
#[cfg(feature = "gateway")]
mod web;

pub use crate::connections::builder::ConnectionsBuilder;
pub use crate::engine::consent::link::PreparedConsent;
pub use crate::engine::consent::options::{Consent, ConsentOptions};
pub use crate::engine::consent::poll::{ConsentState, OpenConsent};
pub use crate::engine::health::{Health, HealthState, Misconfiguration, Usable};
pub use crate::engine::lists::{AuditPage, ConnectionFilter, StatusCounts, StatusFilter};
pub use crate::engine::refresh::retry::Retried;
pub use crate::engine::revoke::report::{AtProvider, EndedTokens, Revocation};
pub use crate::engine::settings::{Settings, UseAudit};
pub use crate::engine::upkeep::budget::Budget;
pub use crate::engine::upkeep::maintain::UpkeepReport;
pub use crate::protocol::{Hints, Prompt};

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::consent::complete;
use crate::engine::consent::link;
use crate::engine::consent::poll;
use crate::engine::consent::scopes;
use crate::engine::consent::start;
use crate::engine::health;
use crate::engine::lists;
use crate::engine::refresh;
use crate::engine::refresh::retry;
use crate::engine::revoke;
use crate::engine::upkeep::maintain;
use crate::engine::{Context, Engine};
use crate::error::{Error, Result};
use crate::model::{
    ActingUser, Connection, ConnectionId, ConsentId, Operator, Owner, Principal, ProviderId, Reach, TenantId,
    UserId,
};
use crate::protocol::AuthorizationResponse;
use crate::provider::Provider;
use crate::secret::{Binding, Ticket};
use crate::trace::{self, About, Seam};
use crate::vault::{AuditEntry, AuditFilter, Forget, Forgotten};

/// The connections of a host: consent, refresh, revocation, upkeep.
///
/// Cheap to clone, `Send + Sync`, without a runtime or a lasting thread of its own. Build one for a process and share it:
/// refreshes of the same grant are joined within it.
#[derive(Clone)]
pub struct Connections {
    engine: Arc<Engine>,
}

impl Connections {
    pub(crate) fn new(inner: Context) -> Self {
        Self {
            engine: Arc::new(Engine::new(inner)),
        }
    }

    pub(crate) const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Returns the providers that every tenant can connect: those whose authorization server has a registration for all
    /// tenants.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        let registry = &self.engine.registry;
        registry
            .providers()
            .filter(|provider| registry.clients().for_all(&provider.server).is_some())
            .map(|provider| -> &Provider { provider })
    }

    /// Returns the providers that a tenant can connect, in the order of their ids: those whose authorization server has a
    /// valid client registration of the tenant or for all tenants.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::Error::Unavailable) if the [`ClientSource`](crate::provider::ClientSource) fails.
    pub fn providers_for(&self, tenant: &TenantId) -> Result<Vec<&Provider>> {
        let offered = self.engine.offered(tenant)?;
        Ok(offered
            .into_iter()
            .map(|provider| -> &Provider { provider })
            .collect())
    }
}

impl Connections {
    /// Begins a consent for this person: where to send their browser, and what to keep in it meanwhile.
    ///
    /// # Errors
    ///
    /// [`UnknownProvider`](crate::Error::UnknownProvider), [`Misconfigured`](crate::Error::Misconfigured) without a
    /// client registration, [`Parameter`](crate::Error::Parameter) or [`NotFound`](crate::Error::NotFound) for the
    /// options, or a failure of the vault.
    pub fn start(
        &self,
        acting_user: &ActingUser,
        provider: impl AsRef<str>,
        options: ConsentOptions,
    ) -> Result<Consent> {
        let owner = Owner::Personal(acting_user.user().clone());
        start::start(&self.engine, acting_user, owner, provider.as_ref(), options)
    }

    /// Begins a consent for a connection that the tenant's people share. The operator walks it, and completes it
    /// as [`Operator::acting_user`].
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_workspace(
        &self,
        operator: &Operator,
        provider: impl AsRef<str>,
        options: ConsentOptions,
    ) -> Result<Consent> {
        start::start(
            &self.engine,
            operator.acting_user(),
            Owner::Workspace,
            provider.as_ref(),
            options,
        )
    }

    /// Prepares a consent for a person who is not in front of a browser now: an agent in a chat asks for it, or an
    /// operator sends it. The ticket goes into a link on the host's own origin; only this person can open it, for 24
    /// hours, until the consent is answered.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn prepare(
        &self,
        acting_user: &ActingUser,
        provider: impl AsRef<str>,
        options: ConsentOptions,
    ) -> Result<PreparedConsent> {
        let owner = Owner::Personal(acting_user.user().clone());
        link::prepare(&self.engine, acting_user, owner, provider.as_ref(), options)
    }

    /// Begins the consent that was prepared: the person has opened the link. Opened again while the consent is pending,
    /// in any browser of this person, the link gives the same authorization URL and binding again. Once that has
    /// expired unanswered, it begins a new one.
    ///
    /// # Errors
    ///
    /// [`Consent`](crate::Error::Consent) if the ticket is unknown or expired, or is somebody else's (it stays good for
    /// them then), and as [`start`](Self::start). If this person has answered the consent,
    /// [`Used`](crate::error::ConsentError::Used) names it, so that [`poll`](Self::poll) says how.
    pub fn open_link(&self, acting_user: &ActingUser, ticket: &Ticket) -> Result<Consent> {
        link::open_prepared(&self.engine, acting_user, ticket)
    }

    /// Where a consent of this person stands, by its [id](Consent::id): one that was started or prepared in whatever
    /// process. A ticket and the flow that it opened are one consent.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound) if there is none, it was somebody else's, or it is forgotten; or a failure of the
    /// vault.
    pub fn poll(&self, acting_user: &ActingUser, id: ConsentId) -> Result<ConsentState> {
        poll::poll(&self.engine, acting_user, id)
    }

    /// Withdraws a consent of this person: its link opens nothing any more, and a flow that it opened cannot be completed.
    /// Gives where the consent stands then, which is not [`Cancelled`](ConsentState::Cancelled) if it had ended before.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    pub fn cancel(&self, acting_user: &ActingUser, id: ConsentId) -> Result<ConsentState> {
        poll::cancel(&self.engine, acting_user, id)
    }

    /// Returns the consents of a person that are still open, oldest first: links that were not opened or not answered, and
    /// flows that are under way. For an operator, on the people of the tenant.
    ///
    /// # Errors
    ///
    /// A failure of the vault.
    pub fn pending(&self, operator: &Operator, user: &UserId) -> Result<Vec<OpenConsent>> {
        poll::open_consents(&self.engine, operator.tenant(), user)
    }

    /// Withdraws a consent of a person, as [`cancel`](Self::cancel) does for the person: after a link was sent to a wrong
    /// address, for example. The audit records it as a denial.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound) if the person has no such consent, or it is forgotten; or a failure of the
    /// vault.
    pub fn withdraw(&self, operator: &Operator, user: &UserId, id: ConsentId) -> Result<ConsentState> {
        poll::withdraw(&self.engine, operator.tenant(), user, id)
    }

    /// Completes a consent: checks who came back, exchanges the code, learns the account, seals the tokens.
    ///
    /// # Errors
    ///
    /// [`Consent`](crate::Error::Consent) says what was wrong and whether the consent is still open. Nothing is stored
    /// unless all went well. Browsers deliver callbacks twice: the second one, of the same person in the same browser,
    /// is [`Used`](crate::error::ConsentError::Used), while the first is being completed and afterwards; no code is
    /// exchanged twice. Lead the person to the state that [`poll`](Self::poll) returns for the id in that error.
    ///
    /// # Security
    ///
    /// `acting_user` is the person of the session in which the callback arrived, and `binding` comes from that
    /// browser's cookie. Never take either from the callback's query: an attacker can write that.
    pub fn complete(
        &self,
        acting_user: &ActingUser,
        response: AuthorizationResponse,
        binding: &Binding,
    ) -> Result<Connection> {
        trace::within(
            Seam::Complete,
            || self.engine.about(acting_user, ""),
            || complete::complete(&self.engine, acting_user, response, binding),
        )
    }

    /// The connections in reach, oldest first, without the revoked ones unless asked for.
    ///
    /// # Errors
    ///
    /// A failure of the vault.
    pub fn list(&self, by: &dyn Principal, filter: &ConnectionFilter) -> Result<Vec<Connection>> {
        let limit = filter.limit.unwrap_or(1_000);
        let Some(status) = filter.status else {
            return lists::page(&self.engine, by, filter, filter.after, limit);
        };
        // The vault does not filter by status: pages are read until enough of them match.
        let mut found = Vec::new();
        let mut after = filter.after;
        let size = limit.clamp(100, 1_000);
        while found.len() < limit {
            let page = lists::page(&self.engine, by, filter, after, size)?;
            let last = page.len() < size;
            after = page.last().map(|connection| connection.id);
            found.extend(page.into_iter().filter(|it| status.matches(it.status)));
            if last {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Counts the connections of the operator's workspace by provider and status, revoked ones included: numbers for
    /// metrics. A provider without a connection is absent.
    ///
    /// Reads every connection of the workspace, in pages of 100. Call it at the pace of a metric, not of a request.
    ///
    /// ```
    /// use valetkey::testing::Host;
    ///
    /// let host = Host::new();
    /// host.connect(&host.user("ada"), "notes");
    /// let counts = host.connections.counts(&host.operator("olga"))?;
    /// assert_eq!(counts["notes"].active, 1);
    /// # Ok::<(), valetkey::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Vault`](crate::Error::Vault) if the vault cannot be read.
    pub fn counts(&self, operator: &Operator) -> Result<BTreeMap<ProviderId, StatusCounts>> {
        lists::counts(&self.engine, operator)
    }

    /// One connection.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound), or a failure of the vault.
    pub fn get(&self, by: &dyn Principal, id: ConnectionId) -> Result<Connection> {
        lists::visible(&self.engine, by, id)
    }

    /// How a connection fares.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound), or a failure of the vault.
    pub fn health(&self, by: &dyn Principal, id: ConnectionId) -> Result<Health> {
        let connection = lists::visible(&self.engine, by, id)?;
        Ok(health::health(&self.engine, &connection))
    }

    /// Refreshes the tokens now, whether or not they are about to expire.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`](crate::Error::NotPermitted) for a shared connection and a mere user, and all that
    /// [`Resolver::resolve`](crate::Resolver::resolve) returns.
    pub fn refresh(&self, by: &dyn Principal, id: ConnectionId) -> Result<Connection> {
        let connection = lists::managed(&self.engine, by, id)?;
        refresh::refresh_now(&self.engine, &connection, &by.actor())?;
        lists::visible(&self.engine, by, id)
    }

    /// Tries the refused refresh tokens of a provider again, while they are in quarantine: after a mistake was mended
    /// that the server blamed on the grants, such as a wrong client secret. At most `limit` of them, those after the
    /// connection `after`; [`Retried::next`] says where to go on. For an operator, on all of the tenant's connections.
    ///
    /// # Errors
    ///
    /// A failure of the vault, or of the registration. A token that is refused again is counted, not an error.
    pub fn retry_rejected(
        &self,
        operator: &Operator,
        provider: impl AsRef<str>,
        after: Option<ConnectionId>,
        limit: usize,
    ) -> Result<Retried> {
        retry::retry_rejected(&self.engine, operator, provider.as_ref(), after, limit)
    }

    /// Revokes a connection: here first and at once, then at the provider, with the grants that consents had replaced
    /// before. The answer says what was done in both places. A revoked connection can be revoked again: what its
    /// provider has not confirmed is tried again.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound), [`NotPermitted`](crate::Error::NotPermitted), or a failure of the vault.
    /// A failure at the provider is no error: it is part of the answer.
    pub fn revoke(&self, by: &dyn Principal, id: ConnectionId) -> Result<Revocation> {
        let connection = lists::managed(&self.engine, by, id)?;
        trace::within(
            Seam::Revoke,
            || About::from(&connection),
            || revoke::revoke(&self.engine, &connection, &by.actor()),
        )
    }

    /// Makes a connection the one that is taken when its owner has several and names none.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound), [`NotPermitted`](crate::Error::NotPermitted), or a failure of the vault.
    pub fn set_default(&self, by: &dyn Principal, id: ConnectionId) -> Result<()> {
        let connection = lists::managed(&self.engine, by, id)?;
        if self
            .engine
            .vault
            .set_default(&connection.tenant, id, Some(&by.actor()), self.engine.now())?
        {
            Ok(())
        } else {
            Err(Error::NotFound)
        }
    }

    /// Reads the audit, in the order that the page names: a person what concerns them, an operator all of the tenant's.
    ///
    /// # Errors
    ///
    /// A failure of the vault.
    pub fn audit(&self, by: &dyn Principal, page: &AuditPage) -> Result<Vec<AuditEntry>> {
        let mut filter = AuditFilter::of(by.tenant());
        filter.order = page.order;
        filter.after = page.after;
        filter.connection = page.connection;
        filter.limit = page.limit.unwrap_or(1_000);
        if let Reach::User(user) = by.reach() {
            filter.user = Some(user);
        }
        Ok(self.engine.vault.audit(&filter)?)
    }

    /// Erases everything of a person: connections, tokens, consents, pending revocations. The provider is asked nothing;
    /// revoke first where the grants there are to end too. `None` if the workspace is not known.
    ///
    /// # Errors
    ///
    /// A failure of the vault.
    pub fn forget_user(&self, operator: &Operator, user: &UserId) -> Result<Option<Forgotten>> {
        self.forget(operator, Some(user))
    }

    /// Erases everything of the operator's workspace, its keys first: what was sealed with them is lost to everybody,
    /// backups aside.
    ///
    /// # Errors
    ///
    /// A failure of the vault.
    pub fn forget_tenant(&self, operator: &Operator) -> Result<Option<Forgotten>> {
        self.forget(operator, None)
    }

    /// Does what is due: stores tokens that could not be stored, refreshes tokens that are about to expire and grants
    /// that lie idle, tries pending revocations again, writes the gathered uses, deletes expired consent requests, dead
    /// former grants, quarantines that are over and old entries of the audit, clears what erasing left behind. At most
    /// what the budget allows. Safe to call from every process at once.
    ///
    /// # Errors
    ///
    /// A failure of the vault. A refresh or a revocation that fails is counted, not an error.
    pub fn maintain(&self, budget: Budget) -> Result<UpkeepReport> {
        trace::within(Seam::Maintain, About::default, || {
            maintain::maintain(&self.engine, budget)
        })
    }

    /// Returns the other connections that use the same grant as this one: one consent serves them all. To revoke one
    /// leaves the grant to the others; [`revoke_grant`](Self::revoke_grant) ends them all.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the principal cannot see the connection; [`Error::Vault`] if the vault fails.
    pub fn sharing(&self, by: &dyn Principal, id: ConnectionId) -> Result<Vec<Connection>> {
        let connection = lists::visible(&self.engine, by, id)?;
        let mut family = scopes::family(&self.engine, &connection)?;
        family.retain(|other| other.id != id);
        Ok(family)
    }

    /// Revokes the whole grant of a connection: it and all that [share](Self::sharing) it, here at once, then at the
    /// provider. For one that shares with nobody, as [`revoke`](crate::ConnectionManager::revoke).
    ///
    /// # Errors
    ///
    /// As [`revoke`](crate::ConnectionManager::revoke).
    pub fn revoke_grant(&self, by: &dyn Principal, id: ConnectionId) -> Result<Revocation> {
        let connection = lists::managed(&self.engine, by, id)?;
        revoke::revoke_whole(&self.engine, &connection, &by.actor())
    }

    /// Returns the connections of the same owner that would end with this one: their provider revokes the access
    /// behind all services of the account at once (Google does). Ask before revoking, and tell the person.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the principal cannot see the connection; [`Error::Vault`] if the vault fails.
    pub fn revoked_together(&self, by: &dyn Principal, id: ConnectionId) -> Result<Vec<Connection>> {
        let connection = lists::visible(&self.engine, by, id)?;
        revoke::shares_fate_with(&self.engine, &connection)
    }

    fn forget(&self, operator: &Operator, user: Option<&UserId>) -> Result<Option<Forgotten>> {
        Ok(self.engine.vault.forget(&Forget {
            tenant: operator.tenant(),
            user,
            by: Some(&operator.actor()),
            now: self.engine.now(),
        })?)
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections")
            .field("vault", &self.engine.vault)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests;
