//! Consents, from their start to their completion.

#[cfg(feature = "mcp")]
use crate::connections::McpOptions;
use crate::connections::{Connections, Consent, ConsentOptions, ConsentState, OpenConsent, PreparedConsent};
use crate::engine::consent::{complete, link, poll, start};
#[cfg(feature = "mcp")]
use crate::engine::mcp;
use crate::error::Result;
use crate::model::{ActingUser, Connection, ConsentId, Operator, Owner, Principal as _, UserId};
use crate::protocol::AuthorizationResponse;
use crate::secret::{Binding, Ticket};
use crate::trace::{self, Seam};

impl Connections {
    /// Starts a consent for a connection of the acting user. Send the browser to
    /// [`Consent::authorization_url`], and keep [`Consent::binding`] in a cookie of that browser
    /// until [`complete`](Self::complete). The vault keeps at most 64 consent requests of one user:
    /// a new one replaces the oldest.
    ///
    /// # Errors
    ///
    /// [`UnknownProvider`](crate::Error::UnknownProvider) if no provider has this id;
    /// [`Misconfigured`](crate::Error::Misconfigured) if its authorization server has no valid
    /// client registration, or refuses the client or the request;
    /// [`Parameter`](crate::Error::Parameter) for a parameter in the options that is missing,
    /// unknown or malformed; [`NotFound`](crate::Error::NotFound) if the options name a connection
    /// that the user does not have; [`NotOneGrant`](crate::Error::NotOneGrant) if one grant cannot
    /// serve the named services; [`Unavailable`](crate::Error::Unavailable) if the
    /// [`ClientSource`](crate::provider::ClientSource) fails, or a server that takes pushed
    /// requests does not answer; [`Vault`](crate::Error::Vault) if the vault fails.
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
    /// the [client of this host](crate::connections::ConnectionsBuilder::mcp) there if it is not
    /// known yet, and stores both for the tenant. The provider's id is the canonical URL, which
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
    /// [`Mcp`](crate::Error::Mcp) if the URL, the server or its authorization server does not meet
    /// a requirement, which the error names; nothing is stored then.
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

    /// Starts a consent for a workspace connection to the MCP server at a URL, as
    /// [`start_mcp`](Self::start_mcp) does for a user. The operator gives the consent and completes
    /// it as [`Operator::acting_user`].
    ///
    /// # Errors
    ///
    /// Those of [`start_mcp`](Self::start_mcp).
    #[cfg(feature = "mcp")]
    pub fn start_mcp_workspace(
        &self,
        operator: &Operator,
        url: &str,
        options: McpOptions,
    ) -> Result<Consent> {
        mcp::start::start(
            &self.engine,
            operator.acting_user(),
            Owner::Workspace,
            url,
            options,
        )
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

    /// Prepares a consent for a user who is not in front of a browser now: in a chat, or because an
    /// operator sends them a link. The link leads to the host's own origin and ends in the ticket;
    /// its page calls [`open_link`](Self::open_link). Only this user can open it, until the consent
    /// is answered or
    /// [`ticket_lifetime`](crate::connections::Settings::ticket_lifetime) has passed.
    ///
    /// ```
    /// use valetkey::ConsentOptions;
    /// use valetkey::testing::Host;
    ///
    /// let host = Host::new();
    /// let ada = host.user("ada");
    /// let prepared = host.connections.prepare(&ada, "notes", ConsentOptions::default())?;
    /// let link = format!("https://app.example/connect/{}", prepared.ticket().expose_secret());
    /// assert!(link.len() > 43); // with the gateway: `mount.connect_url(prepared.ticket())`
    ///
    /// // Later, in the handler of that path, as the user who is signed in there:
    /// let consent = host.connections.open_link(&ada, prepared.ticket())?;
    /// assert_eq!(consent.id(), prepared.id());
    /// # Ok::<(), valetkey::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start).
    ///
    /// # Security
    ///
    /// Send the link to this user only. Another user who opens it is refused, so the host's sign-in
    /// protects a link that someone else has read.
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
    /// [`Consent`](crate::Error::Consent) if the response does not complete a consent; the
    /// [`ConsentError`](crate::error::ConsentError) says why, and whether the consent stays open.
    /// [`ChoiceRequired`](crate::Error::ChoiceRequired) if the account has several sites and the
    /// options name none; [`Parameter`](crate::Error::Parameter) if the response lacks a value that
    /// the descriptor takes from it; [`Misconfigured`](crate::Error::Misconfigured) if the server
    /// refuses the client or the request, or the descriptor has another token endpoint than when
    /// the consent started; [`Unavailable`](crate::Error::Unavailable) if the
    /// [`ClientSource`](crate::provider::ClientSource) fails; [`Vault`](crate::Error::Vault) if the
    /// vault fails. No connection is created or changed then, unless a vault that fails has stored
    /// it nevertheless.
    ///
    /// Browsers may deliver a callback twice. The error for a second delivery by the same user in
    /// the same browser, during or after the first, is
    /// [`Used`](crate::error::ConsentError::Used), and the code is not exchanged again. Show the
    /// user the state that [`poll`](Self::poll) returns for the id in that error.
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
}
