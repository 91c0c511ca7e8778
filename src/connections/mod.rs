//! The operations on connections: consent, refresh, revocation, health and upkeep.

mod builder;
mod consents;
mod identity;
mod run_time;
#[cfg(feature = "gateway")]
mod web;

pub use crate::connections::builder::ConnectionsBuilder;
pub use crate::engine::consent::link::PreparedConsent;
pub use crate::engine::consent::options::{Consent, ConsentOptions};
pub use crate::engine::consent::poll::{ConsentState, OpenConsent};
pub use crate::engine::health::{Health, HealthState};
pub use crate::engine::lists::{AuditPage, ConnectionFilter, StatusCounts};
#[cfg(feature = "mcp")]
pub use crate::engine::mcp::identity::McpClient;
#[cfg(feature = "mcp")]
pub use crate::engine::mcp::options::McpOptions;
pub use crate::engine::refresh::retry::Retried;
pub use crate::engine::revoke::report::{AtProvider, RevocationReport};
pub use crate::engine::settings::Settings;
pub use crate::engine::upkeep::budget::Budget;
pub use crate::engine::upkeep::maintain::UpkeepReport;
pub use crate::protocol::Prompt;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::consent::scopes;
use crate::engine::health;
use crate::engine::lists;
use crate::engine::refresh;
use crate::engine::refresh::retry;
use crate::engine::revoke;
use crate::engine::services::Services;
use crate::engine::upkeep::maintain;
use crate::engine::{Context, Engine};
use crate::error::{Error, Result};
use crate::model::{
    Actor, Connection, ConnectionId, Operator, Principal, ProviderId, Status, TenantId, UserId,
};
use crate::provider::Provider;
use crate::trace::{self, About, Seam};
use crate::vault::{AuditEntry, AuditFilter, Forget, Forgotten};

/// The connections of a host: consent, refresh, revocation and upkeep.
///
/// Cheap to clone and `Send + Sync`; needs no async runtime and starts no background thread. Build
/// one for each process and share it, so that concurrent refreshes of a grant share one request.
#[doc = include_str!("examples.md")]
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

    /// Returns the providers that every tenant can connect: those whose authorization server has a
    /// registration for all tenants.
    #[must_use]
    pub fn providers(&self) -> Vec<&Provider> {
        let registry = &self.engine.registry;
        registry
            .providers()
            .filter(|provider| registry.clients().for_all(&provider.server).is_some())
            .map(|provider| provider.as_provider())
            .collect()
    }

    /// Returns the providers that a tenant can connect, in the order of their ids: those whose
    /// authorization server has a valid client registration of the tenant or for all tenants.
    /// [`added_providers`](Self::added_providers) returns those that the tenant gained at run time.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::Error::Unavailable) if the
    /// [`ClientSource`](crate::provider::ClientSource) fails.
    pub fn providers_for(&self, tenant: &TenantId) -> Result<Vec<&Provider>> {
        let offered = self.engine.offered(tenant)?;
        Ok(offered
            .into_iter()
            .map(|provider| provider.as_provider())
            .collect())
    }
}

impl Connections {
    /// Returns the connections that the caller can see, oldest first. Revoked connections are
    /// excluded unless the filter includes them.
    ///
    /// A list without a status and a kind reads as many connections as it returns. With one of
    /// them, it reads on until enough connections match, so a rare status in a large tenant can
    /// read all of them.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`](crate::Error::InvalidValue) if the filter names a malformed provider;
    /// [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn list(&self, by: &dyn Principal, filter: &ConnectionFilter) -> Result<Vec<Connection>> {
        lists::list(&self.engine, by, filter)
    }

    /// Counts the connections of the operator's tenant by provider and status, including revoked
    /// ones, for metrics. Providers without connections are absent.
    ///
    /// This reads every connection of the tenant, in pages of 500. Call it at the interval of a
    /// metric, not for each request.
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

    /// Returns a connection that the caller can see.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound) if no connection that the caller can see has this
    /// id; [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn get(&self, by: &dyn Principal, id: ConnectionId) -> Result<Connection> {
        lists::visible(&self.engine, by, id)
    }

    /// Returns the health of a connection: its state, and whether a turn gets a token from it.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound) if no connection that the caller can see has this
    /// id; [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn health(&self, by: &dyn Principal, id: ConnectionId) -> Result<Health> {
        let services = Services::of(&self.engine, by.tenant());
        let connection = lists::visible_among(&services, by, id)?;
        Ok(health::health(&services, &connection))
    }

    /// Refreshes the tokens of a connection now, whether or not they are about to expire.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound) if no connection that the caller can see has this
    /// id; [`NotPermitted`](crate::Error::NotPermitted) for a workspace connection unless the
    /// caller is an operator; [`ConsentRequired`](crate::Error::ConsentRequired) if there is no
    /// refresh token or the provider refuses it; [`Unavailable`](crate::Error::Unavailable) if the
    /// provider does not answer or the connection backs off;
    /// [`Misconfigured`](crate::Error::Misconfigured) if an administrator must fix the
    /// configuration; [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn refresh(&self, by: &dyn Principal, id: ConnectionId) -> Result<Connection> {
        let connection = lists::managed(&self.engine, by, id)?;
        refresh::refresh_now(&self.engine, &connection, &by.actor())?;
        lists::visible(&self.engine, by, id)
    }

    /// Retries the refused refresh tokens of a provider that are in quarantine. Call it after an
    /// administrator has fixed the cause of the refusals, such as a wrong client secret. Tries at
    /// most `limit` grants of the operator's tenant, starting after the connection `after`;
    /// [`Retried::next`] says where to continue.
    ///
    /// # Errors
    ///
    /// [`UnknownProvider`](crate::Error::UnknownProvider) if no provider has this id;
    /// [`Misconfigured`](crate::Error::Misconfigured) if the registration is missing or still
    /// wrong; [`Unavailable`](crate::Error::Unavailable) if the
    /// [`ClientSource`](crate::provider::ClientSource) fails; [`Vault`](crate::Error::Vault) if the
    /// vault fails. Tokens that are refused again, and servers that do not answer, are counted in
    /// the result.
    pub fn retry_rejected(
        &self,
        operator: &Operator,
        provider: impl AsRef<str>,
        after: Option<ConnectionId>,
        limit: usize,
    ) -> Result<Retried> {
        retry::retry_rejected(&self.engine, operator, provider.as_ref(), after, limit)
    }

    /// Revokes a connection locally, then at the provider, together with the grants that later
    /// consents replaced. The report describes both outcomes. Revoking a revoked connection retries
    /// what its provider has not confirmed.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound) if no connection that the caller can see has this
    /// id; [`NotPermitted`](crate::Error::NotPermitted) for a workspace connection unless the
    /// caller is an operator; [`Vault`](crate::Error::Vault) if the vault fails. A failure at the
    /// provider is part of the report.
    pub fn revoke(&self, by: &dyn Principal, id: ConnectionId) -> Result<RevocationReport> {
        let connection = lists::managed(&self.engine, by, id)?;
        trace::within(
            Seam::Revoke,
            || About::from(&connection),
            || revoke::revoke(&self.engine, &connection, &by.actor()),
        )
    }

    /// Revokes the connections of the operator's tenant that match a filter, such as all of a user
    /// or all of a service. [`list`](Self::list) with the same filter is the preview.
    ///
    /// First, all of them are revoked locally: from then on, none of them resolves. Then the
    /// requests to the providers are sent, several at a time, for at most
    /// [`Settings::resolve_deadline`] together. [`maintain`](Self::maintain) continues with those
    /// that are left; their reports say [`Unconfirmed`](AtProvider::Unconfirmed).
    ///
    /// At most as many connections as the limit of the filter are revoked. Call again until the
    /// result is empty.
    ///
    /// ```
    /// use valetkey::connections::{AtProvider, ConnectionFilter};
    /// use valetkey::testing::Host;
    ///
    /// let host = Host::new();
    /// let ada = host.user("ada");
    /// host.connect(&ada, "notes");
    /// let of_ada = ConnectionFilter::default().user(ada.user().clone());
    /// let reports = host.connections.revoke_all(&host.operator("olga"), &of_ada)?;
    /// assert_eq!(reports[0].at_provider, AtProvider::Revoked);
    /// assert!(host.connections.list(&ada, &ConnectionFilter::default())?.is_empty());
    /// # Ok::<(), valetkey::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`list`](Self::list), before anything is revoked. [`Vault`](crate::Error::Vault) if
    /// the vault fails in between: the connections that were revoked until then stay revoked.
    pub fn revoke_all(
        &self,
        operator: &Operator,
        filter: &ConnectionFilter,
    ) -> Result<Vec<RevocationReport>> {
        let mut connections = self.list(operator, filter)?;
        connections.retain(|connection| connection.status != Status::Revoked);
        revoke::revoke_all(&self.engine, &connections, &operator.actor())
    }

    /// Makes a connection the default of its owner: the one used if the owner has several and a
    /// call names none.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound) if no connection that the caller can see has this
    /// id; [`NotPermitted`](crate::Error::NotPermitted) for a workspace connection unless the
    /// caller is an operator; [`Vault`](crate::Error::Vault) if the vault fails.
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

    /// Returns entries of the audit, in the order and up to the limit of the page. A user sees the
    /// entries about themselves, an operator all entries of the tenant.
    ///
    /// # Errors
    ///
    /// [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn audit(&self, by: &dyn Principal, page: &AuditPage) -> Result<Vec<AuditEntry>> {
        let mut filter = AuditFilter::of(by.tenant());
        filter.order = page.order;
        filter.after = page.after;
        filter.connection = page.connection;
        filter.limit = page.limit.unwrap_or(1_000);
        let actor = by.actor();
        if let Actor::User(user) = &actor {
            filter.user = Some(user);
        }
        Ok(self.engine.vault.audit(&filter)?)
    }

    /// Erases all data of a user: connections, tokens, consents and pending revocations. No request
    /// is sent to a provider; to end the grants there too, revoke the connections first. Returns
    /// `None` if the tenant is unknown.
    ///
    /// # Errors
    ///
    /// [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn forget_user(&self, operator: &Operator, user: &UserId) -> Result<Option<Forgotten>> {
        self.forget(operator, Some(user))
    }

    /// Erases all data of the operator's tenant, its keys first. Nothing that was encrypted with
    /// these keys can be decrypted afterwards, except from a backup. No request is sent to a
    /// provider; to end the grants there too, revoke the connections first. Returns `None` if the
    /// tenant is unknown.
    ///
    /// # Errors
    ///
    /// [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn forget_tenant(&self, operator: &Operator) -> Result<Option<Forgotten>> {
        self.forget(operator, None)
    }

    /// Performs the work that is due, within the budget. Several processes may call it at the same
    /// time. One call
    ///
    /// 1. stores fetched tokens that could not be stored before,
    /// 2. writes collected token uses,
    /// 3. deletes expired consent requests, former grants whose tokens have expired, refused tokens
    ///    whose quarantine has ended, and old audit entries,
    /// 4. refreshes expiring tokens and idle grants,
    /// 5. retries pending revocations, and
    /// 6. erases what remains of deleted secrets in the vault's files.
    ///
    /// # Errors
    ///
    /// [`Vault`](crate::Error::Vault) if the vault fails in a step; the other steps are performed
    /// all the same. A refresh or a revocation that fails is counted in the report.
    pub fn maintain(&self, budget: Budget) -> Result<UpkeepReport> {
        trace::within(Seam::Maintain, About::default, || {
            maintain::maintain(&self.engine, budget)
        })
    }

    /// Returns the other connections that use the same grant as this one. Revoking one connection
    /// leaves the grant to the others; [`revoke_grant`](Self::revoke_grant) revokes all of them.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound) if no connection that the caller can see has this
    /// id; [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn sharing(&self, by: &dyn Principal, id: ConnectionId) -> Result<Vec<Connection>> {
        let connection = lists::visible(&self.engine, by, id)?;
        let mut family = scopes::family(&self.engine, &connection)?;
        family.retain(|other| other.id != id);
        Ok(family)
    }

    /// Revokes the whole grant of a connection: this connection and all others that
    /// [use the grant](Self::sharing), locally, then at the provider. If no other connection uses
    /// the grant, this is the same as [`revoke`](Self::revoke).
    ///
    /// # Errors
    ///
    /// Those of [`revoke`](Self::revoke).
    pub fn revoke_grant(&self, by: &dyn Principal, id: ConnectionId) -> Result<RevocationReport> {
        let connection = lists::managed(&self.engine, by, id)?;
        revoke::revoke_whole(&self.engine, &connection, &by.actor())
    }

    /// Returns the owner's connections that would end with this one, because their provider revokes
    /// access for all services of the account at once (as Google does). Call it before revoking, to
    /// inform the user.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound) if no connection that the caller can see has this
    /// id; [`Vault`](crate::Error::Vault) if the vault fails.
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
