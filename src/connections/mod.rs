//! The connections of a host: the facade over the engine.

mod builder;
mod identity;
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

use crate::engine::additions;
use crate::engine::consent::{complete, link, poll, scopes, start};
use crate::engine::health;
use crate::engine::lists;
#[cfg(feature = "mcp")]
use crate::engine::mcp;
use crate::engine::refresh;
use crate::engine::refresh::retry;
use crate::engine::revoke;
use crate::engine::upkeep::maintain;
use crate::engine::{Context, Engine};
use crate::error::{Error, Result};
use crate::model::{
    ActingUser, Actor, Connection, ConnectionId, ConsentId, Operator, Owner, Principal, ProviderId, ServerId,
    Status, TenantId, UserId,
};
use crate::protocol::AuthorizationResponse;
use crate::provider::{AuthorizationServer, ClientRegistration, Provider};
use crate::secret::{Binding, Ticket};
use crate::trace::{self, About, Seam};
use crate::vault::{AuditEntry, AuditFilter, Forget, Forgotten};

/// The connections of a host: consent, refresh, revocation and upkeep.
///
/// Cheap to clone, `Send + Sync`, without an async runtime or background threads. Build one for
/// each process and share it, so that concurrent refreshes of a grant share one request.
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

/// Providers and clients that a tenant gains while the host runs. They are stored in the vault, so
/// every process that uses it knows them at once.
impl Connections {
    /// Adds a provider for one tenant, together with its authorization server unless that is known
    /// already. A provider or a server with the same id that the tenant added before is replaced.
    ///
    /// ```
    /// use valetkey::provider::{AuthorizationServer, ClientRegistration, Provider};
    /// use valetkey::testing::Host;
    ///
    /// let host = Host::new(); let tenant = host.user("ada").tenant().clone(); let server =
    /// AuthorizationServer::from_json( r#"{ "id": "acme", "authorization_endpoint":
    /// "https://acme.example/authorize", "token_endpoint": "https://acme.example/token" }"#, )?;
    /// let provider = Provider::from_json( r#"{"id": "board", "server": "acme", "name": "Board",
    /// "api_base": "https://api.acme.example"}"#, )?; host.connections.add_provider(&tenant,
    /// Some(server), provider)?; let client = ClientRegistration::new("id", "secret",
    /// "https://agent.example/callback"); host.connections.add_client(&tenant, "acme", client)?;
    /// assert_eq!(host.connections.added_providers(&tenant)?[0].name(), "Board");
    /// # Ok::<(), valetkey::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::Error::Misconfigured) if a descriptor is not valid, the server is
    /// unknown, or the host has configured one with the same id; [`Vault`](crate::Error::Vault) if
    /// the vault fails.
    ///
    /// # Security
    ///
    /// A provider decides where tokens are sent. Call this for an operator of the tenant, and never
    /// with a descriptor from an agent.
    pub fn add_provider(
        &self,
        tenant: &TenantId,
        server: Option<AuthorizationServer>,
        provider: Provider,
    ) -> Result<()> {
        additions::add_provider(&self.engine, tenant, server, provider)
    }

    /// Adds a tenant's OAuth app at an authorization server, or replaces the one that was added
    /// before. A registration from the [`ClientSource`](crate::provider::ClientSource) takes
    /// precedence over it, and it takes precedence over the one for all tenants.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::Error::Misconfigured) if the server is unknown or the registration
    /// does not fit it; [`Vault`](crate::Error::Vault) if the vault fails, or with
    /// [`NotSupported`](crate::vault::VaultError::NotSupported) if the registration has a private
    /// key: return it from a [`ClientSource`](crate::provider::ClientSource), so that the key stays
    /// where the host keeps it.
    pub fn add_client(
        &self,
        tenant: &TenantId,
        server: impl AsRef<str>,
        registration: ClientRegistration,
    ) -> Result<()> {
        additions::add_client(&self.engine, tenant, server.as_ref(), &registration)
    }

    /// Returns the providers that were added for a tenant, in the order of their ids.
    ///
    /// # Errors
    ///
    /// [`Vault`](crate::Error::Vault) if the vault fails or a stored provider was altered.
    pub fn added_providers(&self, tenant: &TenantId) -> Result<Vec<Provider>> {
        additions::added_providers(&self.engine, tenant)
    }

    /// Returns the authorization servers at which a client was added for a tenant, with the client
    /// ids. A client that registered itself is listed under the issuer of its server.
    ///
    /// # Errors
    ///
    /// [`Vault`](crate::Error::Vault) if the vault fails or a stored client was altered.
    pub fn added_clients(&self, tenant: &TenantId) -> Result<Vec<(ServerId, String)>> {
        additions::added_clients(&self.engine, tenant)
    }

    /// Removes a provider that was added for a tenant. Its authorization server and the client
    /// there are removed with it unless another added provider uses them. Returns `false` if there
    /// is no such provider.
    ///
    /// Revocations that the authorization server has not confirmed yet are given up.
    ///
    /// # Errors
    ///
    /// [`InUse`](crate::Error::InUse) while a connection to it is not revoked;
    /// [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn remove_provider(&self, tenant: &TenantId, provider: impl AsRef<str>) -> Result<bool> {
        additions::remove_provider(&self.engine, tenant, provider.as_ref())
    }

    /// Removes a client that was added for a tenant, with its secret. Connections whose tokens were
    /// issued to it can no longer be refreshed. Returns `false` if there is no such client.
    ///
    /// # Errors
    ///
    /// [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn remove_client(&self, tenant: &TenantId, server: impl AsRef<str>) -> Result<bool> {
        additions::remove_client(&self.engine, tenant, server.as_ref())
    }
}

impl Connections {
    /// Starts a consent for a connection of the acting user. Send the browser to
    /// [`Consent::authorization_url`], and keep [`Consent::binding`] in a cookie of that browser
    /// until [`complete`](Self::complete).
    ///
    /// # Errors
    ///
    /// [`UnknownProvider`](crate::Error::UnknownProvider) if no provider has this id;
    /// [`Misconfigured`](crate::Error::Misconfigured) if its authorization server has no valid
    /// client registration; [`Parameter`](crate::Error::Parameter) for a parameter in the options
    /// that is missing, unknown or malformed; [`NotFound`](crate::Error::NotFound) if the options
    /// name a connection that is not within reach; [`NotOneGrant`](crate::Error::NotOneGrant) if
    /// one grant cannot serve the named services; [`Vault`](crate::Error::Vault) if the vault
    /// fails.
    pub fn start(
        &self,
        acting_user: &ActingUser,
        provider: impl AsRef<str>,
        options: ConsentOptions,
    ) -> Result<Consent> {
        let owner = Owner::Personal(acting_user.user().clone());
        start::start(&self.engine, acting_user, owner, provider.as_ref(), options)
    }

    /// Starts a consent for the MCP server at a URL. Discovers its authorization server, registers
    /// the [client of this host](ConnectionsBuilder::mcp) there if it is not known yet, and stores
    /// both for the tenant. The provider's id is the canonical URL, which
    /// [`Consent::provider`] returns.
    ///
    /// ```
    /// use valetkey::connections::{McpClient, McpOptions};
    /// use valetkey::testing::{ManualClock, Sandbox};
    /// use valetkey::vault::SealedVault;
    /// use valetkey::{ActingUser, AuthorizationResponse, Connections, Resolver, TenantId};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sandbox = Sandbox::playing_mcp(ManualClock::default());
    /// let connections = Connections::builder(SealedVault::in_memory())
    ///     .mcp(McpClient::new("Acme Agent", "https://agent.example/callback"))
    ///     .http_client(sandbox.clone())
    ///     .build()?;
    /// let alice = ActingUser::authenticated(TenantId::new("acme")?, "alice")?;
    ///
    /// let consent = connections.start_mcp(&alice, Sandbox::MCP_SERVER, McpOptions::default())?;
    /// let callback = sandbox.approve(consent.authorization_url(), "ada"); // the user's browser
    /// let response = AuthorizationResponse::parse(&callback)?;
    /// let connection = connections.complete(&alice, response, consent.binding())?;
    /// assert_eq!(connection.provider.as_str(), Sandbox::MCP_SERVER);
    /// let token = Resolver::new(connections).turn(alice).resolve(Sandbox::MCP_SERVER)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Mcp`](crate::Error::Mcp) says what the server did wrong; nothing is stored then.
    /// [`Unavailable`](crate::Error::Unavailable) if a server does not answer. Otherwise those of
    /// [`start`](Self::start).
    ///
    /// # Security
    ///
    /// Requests go to public addresses only, have a time limit and a size limit, and follow no
    /// redirect. The token is sent below the URL of the server only. Whether a user may connect
    /// this server is the host's decision: the consent page of its authorization server names the
    /// client, not the MCP server.
    #[cfg(feature = "mcp")]
    pub fn start_mcp(&self, acting_user: &ActingUser, url: &str, options: McpOptions) -> Result<Consent> {
        let owner = Owner::Personal(acting_user.user().clone());
        mcp::start::start(&self.engine, acting_user, owner, url, options)
    }

    /// Starts a consent for a workspace connection. The operator gives the consent and completes it
    /// as [`Operator::acting_user`].
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start).
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

    /// Prepares a consent for a user who is not in front of a browser now. An agent in a chat or an
    /// operator passes the link on. Put the ticket into a link on the host's origin. Only this user
    /// can open it, for [`Settings::ticket_lifetime`], until the consent is answered.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start).
    pub fn prepare(
        &self,
        acting_user: &ActingUser,
        provider: impl AsRef<str>,
        options: ConsentOptions,
    ) -> Result<PreparedConsent> {
        let owner = Owner::Personal(acting_user.user().clone());
        link::prepare(&self.engine, acting_user, owner, provider.as_ref(), options)
    }

    /// Starts a prepared consent when the user opens its link. If the user opens the link again
    /// while the consent is pending, in any browser, the authorization URL and binding are the
    /// same. If the authorization has expired unanswered, a new one starts.
    ///
    /// # Errors
    ///
    /// [`Consent`](crate::Error::Consent) if the ticket is unknown, has expired or belongs to
    /// another user, for whom it stays valid. If this user has answered the consent,
    /// [`Used`](crate::error::ConsentError::Used) carries its id, and [`poll`](Self::poll) returns
    /// the outcome. Otherwise those of [`start`](Self::start).
    pub fn open_link(&self, acting_user: &ActingUser, ticket: &Ticket) -> Result<Consent> {
        link::open_prepared(&self.engine, acting_user, ticket)
    }

    /// Returns the state of a consent of this user by its [id](Consent::id), whichever process
    /// started it. A ticket and the flow that it opened are one consent.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound) if this user has no such consent or it was deleted;
    /// [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn poll(&self, acting_user: &ActingUser, id: ConsentId) -> Result<ConsentState> {
        poll::poll(&self.engine, acting_user, id)
    }

    /// Withdraws a consent of this user. Its link no longer works, and a flow that it opened cannot
    /// be completed. Returns the state afterwards, which is not
    /// [`Cancelled`](ConsentState::Cancelled) if the consent had already ended.
    ///
    /// # Errors
    ///
    /// Those of [`poll`](Self::poll).
    pub fn cancel(&self, acting_user: &ActingUser, id: ConsentId) -> Result<ConsentState> {
        poll::cancel(&self.engine, acting_user, id)
    }

    /// Returns the pending consents of a user of the operator's tenant, oldest first: links that
    /// are unopened or unanswered, and flows in progress.
    ///
    /// # Errors
    ///
    /// [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn pending(&self, operator: &Operator, user: &UserId) -> Result<Vec<OpenConsent>> {
        poll::open_consents(&self.engine, operator.tenant(), user)
    }

    /// Returns the pending consents of all users of the operator's tenant, oldest first. This reads
    /// every consent request of the tenant, in pages of 500; upkeep deletes those that ended.
    ///
    /// ```
    /// use valetkey::ConsentOptions;
    /// use valetkey::testing::Host;
    ///
    /// let host = Host::new();
    /// let (ada, olga) = (host.user("ada"), host.operator("olga"));
    /// let link = host.connections.prepare(&ada, "notes", ConsentOptions::default())?;
    /// let open = host.connections.all_pending(&olga)?;
    /// assert_eq!(open[0].id, link.id());
    /// host.connections.withdraw(&olga, &open[0].user, open[0].id)?;
    /// assert!(host.connections.all_pending(&olga)?.is_empty());
    /// # Ok::<(), valetkey::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn all_pending(&self, operator: &Operator) -> Result<Vec<OpenConsent>> {
        poll::tenant_consents(&self.engine, operator.tenant())
    }

    /// Withdraws a consent of a user of the operator's tenant, for example after a link was sent to
    /// the wrong address. The audit records a denial.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound) if the user has no such consent or it was deleted;
    /// [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn withdraw(&self, operator: &Operator, user: &UserId, id: ConsentId) -> Result<ConsentState> {
        poll::withdraw(&self.engine, operator.tenant(), user, id)
    }

    /// Completes a consent: checks that the response belongs to it, exchanges the code, determines
    /// the account, and stores the encrypted tokens.
    ///
    /// # Errors
    ///
    /// [`Consent`](crate::Error::Consent) says what was wrong and whether the consent is still
    /// open. Nothing is stored unless every step succeeds. Browsers may deliver a callback twice.
    /// For a second delivery by the same user in the same browser, during or after the first, the
    /// error is [`Used`](crate::error::ConsentError::Used). A code is never exchanged twice. Show
    /// the user the state that [`poll`](Self::poll) returns for the id in that error.
    ///
    /// # Security
    ///
    /// `acting_user` is the user of the session in which the callback arrived, and `binding` comes
    /// from the cookie of that browser. Never take either from the query of the callback, which an
    /// attacker can write.
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

    /// Returns the connections that the caller can see, oldest first. Revoked connections are
    /// excluded unless the filter includes them.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`](crate::Error::InvalidValue) if the filter names a malformed provider;
    /// [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn list(&self, by: &dyn Principal, filter: &ConnectionFilter) -> Result<Vec<Connection>> {
        let limit = filter.limit.unwrap_or(1_000);
        if filter.status.is_none() && filter.kind.is_none() {
            return lists::page(&self.engine, by, filter, filter.after, limit);
        }
        // The vault leaves out most connections with another status, but not all of them, and does
        // not filter by kind, so pages are read until enough connections match.
        let mut found = Vec::new();
        let mut after = filter.after;
        let size = limit.clamp(100, 1_000);
        while found.len() < limit {
            let page = lists::page(&self.engine, by, filter, after, size)?;
            let last = page.len() < size;
            after = page.last().map(|connection| connection.id);
            found.extend(page.into_iter().filter(|it| filter.admits(it)));
            if last {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Counts the connections of the operator's tenant by provider and status, including revoked
    /// ones, for metrics. Providers without connections are absent.
    ///
    /// This reads every connection of the tenant, in pages of 100. Call it at the interval of a
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
    /// [`NotFound`](crate::Error::NotFound) if there is no such connection within the reach of the
    /// caller; [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn get(&self, by: &dyn Principal, id: ConnectionId) -> Result<Connection> {
        lists::visible(&self.engine, by, id)
    }

    /// Returns the health of a connection: its state, and whether a turn gets a token from it.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound) if there is no such connection within the reach of the
    /// caller; [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn health(&self, by: &dyn Principal, id: ConnectionId) -> Result<Health> {
        let connection = lists::visible(&self.engine, by, id)?;
        Ok(health::health(&self.engine, &connection))
    }

    /// Refreshes the tokens of a connection now, whether or not they are about to expire.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`](crate::Error::NotPermitted) for a workspace connection unless the caller is
    /// an operator, and those of [`Turn::resolve`](crate::resolver::Turn::resolve).
    pub fn refresh(&self, by: &dyn Principal, id: ConnectionId) -> Result<Connection> {
        let connection = lists::managed(&self.engine, by, id)?;
        refresh::refresh_now(&self.engine, &connection, &by.actor())?;
        lists::visible(&self.engine, by, id)
    }

    /// Retries the refused refresh tokens of a provider that are in quarantine. Call it after an
    /// operator has fixed the cause of the refusals, such as a wrong client secret. At most `limit`
    /// grants in the operator's tenant are tried, starting after the connection `after`;
    /// [`Retried::next`] says where to continue.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::Error::Misconfigured) if the registration is missing or still
    /// wrong; [`Vault`](crate::Error::Vault) if the vault fails. Tokens that are refused again are
    /// counted in the result.
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
    /// [`NotFound`](crate::Error::NotFound) if there is no such connection within the reach of the
    /// caller; [`NotPermitted`](crate::Error::NotPermitted) for a workspace connection unless the
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
    /// [`NotFound`](crate::Error::NotFound) if there is no such connection within the reach of the
    /// caller; [`NotPermitted`](crate::Error::NotPermitted) for a workspace connection unless the
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

    /// Reads the audit in the order of the page: a user sees the entries about themselves, an
    /// operator those of the tenant.
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
    /// these keys can be decrypted afterwards, except from a backup.
    ///
    /// # Errors
    ///
    /// [`Vault`](crate::Error::Vault) if the vault fails.
    pub fn forget_tenant(&self, operator: &Operator) -> Result<Option<Forgotten>> {
        self.forget(operator, None)
    }

    /// Performs the work that is due, within the budget: stores tokens that could not be stored,
    /// refreshes expiring tokens and idle grants, retries pending revocations, writes collected
    /// token uses, deletes expired consent requests, dead former grants, ended quarantines and old
    /// audit entries, and erases residue. All processes may call it concurrently.
    ///
    /// # Errors
    ///
    /// [`Vault`](crate::Error::Vault) if the vault fails. A refresh or a revocation that fails is
    /// counted in the report.
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
    /// [`Error::NotFound`] if the principal cannot see the connection; [`Error::Vault`] if the
    /// vault fails.
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
    /// [`Error::NotFound`] if the principal cannot see the connection; [`Error::Vault`] if the
    /// vault fails.
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
