//! A trait with the operations on connections, which a host can substitute in tests.

use std::collections::BTreeMap;

#[cfg(feature = "mcp")]
use crate::connections::McpOptions;
use crate::connections::{
    AuditPage, Budget, ConnectionFilter, Connections, Consent, ConsentOptions, ConsentState, Health,
    OpenConsent, PreparedConsent, Retried, RevocationReport, StatusCounts, UpkeepReport,
};
#[cfg(feature = "mcp")]
use crate::error::McpError;
use crate::error::Result;
use crate::model::{
    ActingUser, Connection, ConnectionId, ConsentId, Operator, Principal, ProviderId, TenantId, UserId,
};
use crate::protocol::AuthorizationResponse;
use crate::provider::Provider;
use crate::secret::{Binding, Ticket};
use crate::vault::{AuditEntry, Forgotten};

/// The operations on connections, for code that a host tests with a substitute.
///
/// [`Connections`] implements the trait and has the same operations as inherent methods.
/// [`loopback`](crate::loopback) and [`UpkeepGuard`](crate::UpkeepGuard) accept any implementation.
/// Providers and clients that are added at run time are not part of the trait.
///
/// An [`ActingUser`] sees their own connections and those of the workspace, and can change their
/// own. An [`Operator`] sees and can change all connections of the tenant. A connection that the
/// caller cannot see is [`NotFound`](crate::Error::NotFound); one that they cannot change is
/// [`NotPermitted`](crate::Error::NotPermitted).
///
/// A substitute forwards the operations that it does not change to the connections of a
/// `testing::Host`, which also creates the connection records.
pub trait ConnectionManager: Send + Sync {
    /// See [`Connections::providers`].
    fn providers(&self) -> Vec<&Provider>;

    /// See [`Connections::providers_for`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::providers_for`].
    fn providers_for(&self, tenant: &TenantId) -> Result<Vec<&Provider>>;

    /// See [`Connections::start`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::start`].
    fn start(&self, acting_user: &ActingUser, provider: &str, options: ConsentOptions) -> Result<Consent>;

    /// See [`Connections::start_workspace`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::start_workspace`].
    fn start_workspace(
        &self,
        operator: &Operator,
        provider: &str,
        options: ConsentOptions,
    ) -> Result<Consent>;

    /// See [`Connections::start_mcp`].
    ///
    /// By default, no MCP client is described: a substitute that was written without the feature
    /// `mcp` compiles with it.
    ///
    /// # Errors
    ///
    /// Those of [`Connections::start_mcp`].
    #[cfg(feature = "mcp")]
    fn start_mcp(&self, acting_user: &ActingUser, url: &str, options: McpOptions) -> Result<Consent> {
        let _ = (acting_user, url, options);
        Err(McpError::NoClientDescription.into())
    }

    /// See [`Connections::start_mcp_workspace`]. By default, no MCP client is described.
    ///
    /// # Errors
    ///
    /// Those of [`Connections::start_mcp_workspace`].
    #[cfg(feature = "mcp")]
    fn start_mcp_workspace(&self, operator: &Operator, url: &str, options: McpOptions) -> Result<Consent> {
        let _ = (operator, url, options);
        Err(McpError::NoClientDescription.into())
    }

    /// See [`Connections::prepare`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::prepare`].
    fn prepare(
        &self,
        acting_user: &ActingUser,
        provider: &str,
        options: ConsentOptions,
    ) -> Result<PreparedConsent>;

    /// See [`Connections::open_link`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::open_link`].
    fn open_link(&self, acting_user: &ActingUser, ticket: &Ticket) -> Result<Consent>;

    /// See [`Connections::poll`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::poll`].
    fn poll(&self, acting_user: &ActingUser, id: ConsentId) -> Result<ConsentState>;

    /// See [`Connections::cancel`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::cancel`].
    fn cancel(&self, acting_user: &ActingUser, id: ConsentId) -> Result<ConsentState>;

    /// See [`Connections::pending`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::pending`].
    fn pending(&self, operator: &Operator, user: &UserId) -> Result<Vec<OpenConsent>>;

    /// See [`Connections::all_pending`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::all_pending`].
    fn all_pending(&self, operator: &Operator) -> Result<Vec<OpenConsent>>;

    /// See [`Connections::withdraw`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::withdraw`].
    fn withdraw(&self, operator: &Operator, user: &UserId, id: ConsentId) -> Result<ConsentState>;

    /// See [`Connections::complete`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::complete`].
    fn complete(
        &self,
        acting_user: &ActingUser,
        response: AuthorizationResponse,
        binding: &Binding,
    ) -> Result<Connection>;

    /// See [`Connections::connect_with_identity`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::connect_with_identity`].
    fn connect_with_identity(
        &self,
        acting_user: &ActingUser,
        provider: &str,
        identity_provider: &str,
        id_token: &str,
        options: ConsentOptions,
    ) -> Result<Connection>;

    /// See [`Connections::list`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::list`].
    fn list(&self, by: &dyn Principal, filter: &ConnectionFilter) -> Result<Vec<Connection>>;

    /// See [`Connections::counts`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::counts`].
    fn counts(&self, operator: &Operator) -> Result<BTreeMap<ProviderId, StatusCounts>>;

    /// See [`Connections::get`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::get`].
    fn get(&self, by: &dyn Principal, id: ConnectionId) -> Result<Connection>;

    /// See [`Connections::health`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::health`].
    fn health(&self, by: &dyn Principal, id: ConnectionId) -> Result<Health>;

    /// See [`Connections::refresh`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::refresh`].
    fn refresh(&self, by: &dyn Principal, id: ConnectionId) -> Result<Connection>;

    /// See [`Connections::retry_rejected`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::retry_rejected`].
    fn retry_rejected(
        &self,
        operator: &Operator,
        provider: &str,
        after: Option<ConnectionId>,
        limit: usize,
    ) -> Result<Retried>;

    /// See [`Connections::revoke`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::revoke`].
    fn revoke(&self, by: &dyn Principal, id: ConnectionId) -> Result<RevocationReport>;

    /// See [`Connections::revoke_all`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::revoke_all`].
    fn revoke_all(&self, operator: &Operator, filter: &ConnectionFilter) -> Result<Vec<RevocationReport>>;

    /// See [`Connections::set_default`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::set_default`].
    fn set_default(&self, by: &dyn Principal, id: ConnectionId) -> Result<()>;

    /// See [`Connections::audit`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::audit`].
    fn audit(&self, by: &dyn Principal, page: &AuditPage) -> Result<Vec<AuditEntry>>;

    /// See [`Connections::forget_user`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::forget_user`].
    fn forget_user(&self, operator: &Operator, user: &UserId) -> Result<Option<Forgotten>>;

    /// See [`Connections::forget_tenant`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::forget_tenant`].
    fn forget_tenant(&self, operator: &Operator) -> Result<Option<Forgotten>>;

    /// See [`Connections::maintain`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::maintain`].
    fn maintain(&self, budget: Budget) -> Result<UpkeepReport>;

    /// See [`Connections::sharing`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::sharing`].
    fn sharing(&self, by: &dyn Principal, id: ConnectionId) -> Result<Vec<Connection>>;

    /// See [`Connections::revoke_grant`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::revoke_grant`].
    fn revoke_grant(&self, by: &dyn Principal, id: ConnectionId) -> Result<RevocationReport>;

    /// See [`Connections::revoked_together`].
    ///
    /// # Errors
    ///
    /// Those of [`Connections::revoked_together`].
    fn revoked_together(&self, by: &dyn Principal, id: ConnectionId) -> Result<Vec<Connection>>;
}

impl ConnectionManager for Connections {
    fn providers(&self) -> Vec<&Provider> {
        Self::providers(self)
    }

    fn providers_for(&self, tenant: &TenantId) -> Result<Vec<&Provider>> {
        Self::providers_for(self, tenant)
    }

    fn start(&self, acting_user: &ActingUser, provider: &str, options: ConsentOptions) -> Result<Consent> {
        Self::start(self, acting_user, provider, options)
    }

    fn start_workspace(
        &self,
        operator: &Operator,
        provider: &str,
        options: ConsentOptions,
    ) -> Result<Consent> {
        Self::start_workspace(self, operator, provider, options)
    }

    #[cfg(feature = "mcp")]
    fn start_mcp(&self, acting_user: &ActingUser, url: &str, options: McpOptions) -> Result<Consent> {
        Self::start_mcp(self, acting_user, url, options)
    }

    #[cfg(feature = "mcp")]
    fn start_mcp_workspace(&self, operator: &Operator, url: &str, options: McpOptions) -> Result<Consent> {
        Self::start_mcp_workspace(self, operator, url, options)
    }

    fn prepare(
        &self,
        acting_user: &ActingUser,
        provider: &str,
        options: ConsentOptions,
    ) -> Result<PreparedConsent> {
        Self::prepare(self, acting_user, provider, options)
    }

    fn open_link(&self, acting_user: &ActingUser, ticket: &Ticket) -> Result<Consent> {
        Self::open_link(self, acting_user, ticket)
    }

    fn poll(&self, acting_user: &ActingUser, id: ConsentId) -> Result<ConsentState> {
        Self::poll(self, acting_user, id)
    }

    fn cancel(&self, acting_user: &ActingUser, id: ConsentId) -> Result<ConsentState> {
        Self::cancel(self, acting_user, id)
    }

    fn pending(&self, operator: &Operator, user: &UserId) -> Result<Vec<OpenConsent>> {
        Self::pending(self, operator, user)
    }

    fn all_pending(&self, operator: &Operator) -> Result<Vec<OpenConsent>> {
        Self::all_pending(self, operator)
    }

    fn withdraw(&self, operator: &Operator, user: &UserId, id: ConsentId) -> Result<ConsentState> {
        Self::withdraw(self, operator, user, id)
    }

    fn complete(
        &self,
        acting_user: &ActingUser,
        response: AuthorizationResponse,
        binding: &Binding,
    ) -> Result<Connection> {
        Self::complete(self, acting_user, response, binding)
    }

    fn connect_with_identity(
        &self,
        acting_user: &ActingUser,
        provider: &str,
        identity_provider: &str,
        id_token: &str,
        options: ConsentOptions,
    ) -> Result<Connection> {
        Self::connect_with_identity(self, acting_user, provider, identity_provider, id_token, options)
    }

    fn list(&self, by: &dyn Principal, filter: &ConnectionFilter) -> Result<Vec<Connection>> {
        Self::list(self, by, filter)
    }

    fn counts(&self, operator: &Operator) -> Result<BTreeMap<ProviderId, StatusCounts>> {
        Self::counts(self, operator)
    }

    fn get(&self, by: &dyn Principal, id: ConnectionId) -> Result<Connection> {
        Self::get(self, by, id)
    }

    fn health(&self, by: &dyn Principal, id: ConnectionId) -> Result<Health> {
        Self::health(self, by, id)
    }

    fn refresh(&self, by: &dyn Principal, id: ConnectionId) -> Result<Connection> {
        Self::refresh(self, by, id)
    }

    fn retry_rejected(
        &self,
        operator: &Operator,
        provider: &str,
        after: Option<ConnectionId>,
        limit: usize,
    ) -> Result<Retried> {
        Self::retry_rejected(self, operator, provider, after, limit)
    }

    fn revoke(&self, by: &dyn Principal, id: ConnectionId) -> Result<RevocationReport> {
        Self::revoke(self, by, id)
    }

    fn revoke_all(&self, operator: &Operator, filter: &ConnectionFilter) -> Result<Vec<RevocationReport>> {
        Self::revoke_all(self, operator, filter)
    }

    fn set_default(&self, by: &dyn Principal, id: ConnectionId) -> Result<()> {
        Self::set_default(self, by, id)
    }

    fn audit(&self, by: &dyn Principal, page: &AuditPage) -> Result<Vec<AuditEntry>> {
        Self::audit(self, by, page)
    }

    fn forget_user(&self, operator: &Operator, user: &UserId) -> Result<Option<Forgotten>> {
        Self::forget_user(self, operator, user)
    }

    fn forget_tenant(&self, operator: &Operator) -> Result<Option<Forgotten>> {
        Self::forget_tenant(self, operator)
    }

    fn maintain(&self, budget: Budget) -> Result<UpkeepReport> {
        Self::maintain(self, budget)
    }

    fn sharing(&self, by: &dyn Principal, id: ConnectionId) -> Result<Vec<Connection>> {
        Self::sharing(self, by, id)
    }

    fn revoke_grant(&self, by: &dyn Principal, id: ConnectionId) -> Result<RevocationReport> {
        Self::revoke_grant(self, by, id)
    }

    fn revoked_together(&self, by: &dyn Principal, id: ConnectionId) -> Result<Vec<Connection>> {
        Self::revoked_together(self, by, id)
    }
}
