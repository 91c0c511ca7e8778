//! Consent, refresh, revocation and upkeep of connections.

mod account;
mod builder;
mod complete;
mod connections;
mod consent;
mod dial;
mod due;
mod ending;
pub(crate) mod flight;
mod flow;
pub(crate) mod freshness;
mod grant;
mod health;
mod maintain;
mod outbox;
pub(crate) mod outlook;
mod poll;
pub(crate) mod refresh;
mod retry;
mod revocation;
mod revoke;
pub(crate) mod services;
pub(crate) mod settings;
mod start;
mod ticket;
pub(crate) mod unsaved;
pub(crate) mod usage;
mod workers;

pub use builder::ConnectionsBuilder;
pub use connections::Connections;
pub(crate) use connections::Inner;
pub use consent::{Consent, ConsentOptions};
pub use health::{Health, HealthState, Misconfiguration, Usable};
pub use maintain::{Budget, Upkeep};
pub use poll::ConsentState;
pub use retry::Retried;
pub use revocation::{AtProvider, EndedTokens, Revocation};
pub use settings::Settings;
pub use ticket::PreparedConsent;
pub use usage::UseAudit;

use crate::error::Result;
use crate::model::{
    ActingUser, Connection, ConnectionId, ConsentId, Operator, Principal, ProviderId, Status, UserId,
};
use crate::protocol::AuthorizationResponse;
use crate::secret::{Binding, Ticket};
use crate::vault::{AuditEntry, AuditOrder, Forgotten};

/// What can be done with connections: the seam that a host mocks in its own tests.
///
/// [`Connections`] is the implementation. Methods that take a [`Principal`] work for an [`ActingUser`] on their own
/// connections and for an [`Operator`] on all of the tenant's; what is out of reach is [`NotFound`](crate::Error::NotFound).
pub trait ConnectionManager: Send + Sync {
    /// Begins a consent for this person: where to send their browser, and what to keep in it meanwhile.
    ///
    /// # Errors
    ///
    /// [`UnknownProvider`](crate::Error::UnknownProvider), [`Misconfigured`](crate::Error::Misconfigured) without a
    /// client registration, [`Parameter`](crate::Error::Parameter) or [`NotFound`](crate::Error::NotFound) for the
    /// options, or a failure of the vault.
    fn start(&self, acting_user: &ActingUser, provider: &str, options: ConsentOptions) -> Result<Consent>;

    /// Begins a consent for a connection that the tenant's people share. The operator walks it, and completes it
    /// as [`Operator::acting_user`].
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    fn start_shared(&self, operator: &Operator, provider: &str, options: ConsentOptions) -> Result<Consent>;

    /// Prepares a consent for a person who is not in front of a browser now: an agent in a chat asks for it, or an
    /// operator sends it. The ticket goes into a link on the host's own origin; only this person can open it, for 24
    /// hours, until the consent is answered.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    fn prepare(
        &self,
        acting_user: &ActingUser,
        provider: &str,
        options: ConsentOptions,
    ) -> Result<PreparedConsent>;

    /// Begins the consent that was prepared: the person has opened the link. Opened again while the consent is pending,
    /// in whatever browser of this person, the link gives the same authorization URL and binding again. Once that has
    /// expired unanswered, it begins a new one.
    ///
    /// # Errors
    ///
    /// [`Consent`](crate::Error::Consent) if the ticket is unknown or expired, or is somebody else's (it stays good for
    /// them then), and as [`start`](Self::start). If this person has answered the consent,
    /// [`Used`](crate::error::ConsentError::Used) names it, so that [`poll`](Self::poll) says how.
    fn open(&self, acting_user: &ActingUser, ticket: &Ticket) -> Result<Consent>;

    /// Where a consent of this person stands, by its [id](Consent::id): one that was started or prepared in whatever
    /// process. A ticket and the flow that it opened are one consent.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound) if there is none, it was somebody else's, or it is forgotten; or a failure of the
    /// vault.
    fn poll(&self, acting_user: &ActingUser, id: ConsentId) -> Result<ConsentState>;

    /// Withdraws a consent of this person: its link opens nothing any more, and a flow that it opened cannot be completed.
    /// Gives where the consent stands then, which is not [`Cancelled`](ConsentState::Cancelled) if it had ended before.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    fn cancel(&self, acting_user: &ActingUser, id: ConsentId) -> Result<ConsentState>;

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
    fn complete(
        &self,
        acting_user: &ActingUser,
        response: AuthorizationResponse,
        binding: &Binding,
    ) -> Result<Connection>;

    /// The connections in reach, oldest first, without the revoked ones unless asked for.
    ///
    /// # Errors
    ///
    /// A failure of the vault.
    fn list(&self, by: &dyn Principal, filter: &ConnectionFilter) -> Result<Vec<Connection>>;

    /// One connection.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound), or a failure of the vault.
    fn get(&self, by: &dyn Principal, id: ConnectionId) -> Result<Connection>;

    /// How a connection fares.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound), or a failure of the vault.
    fn health(&self, by: &dyn Principal, id: ConnectionId) -> Result<Health>;

    /// Refreshes the tokens now, whether or not they are about to expire.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`](crate::Error::NotPermitted) for a shared connection and a mere user, and all that
    /// [`Resolver::resolve`](crate::Resolver::resolve) returns.
    fn refresh(&self, by: &dyn Principal, id: ConnectionId) -> Result<Connection>;

    /// Tries the refused refresh tokens of a provider again, while they are in quarantine: after a mistake was mended
    /// that the server blamed on the grants, such as a wrong client secret. At most `limit` of them, those after the
    /// connection `after`; [`Retried::next`] says where to go on. For an operator, on all of the tenant's connections.
    ///
    /// # Errors
    ///
    /// A failure of the vault, or of the registration. A token that is refused again is counted, not an error.
    fn retry_rejected(
        &self,
        operator: &Operator,
        provider: &str,
        after: Option<ConnectionId>,
        limit: usize,
    ) -> Result<Retried>;

    /// Revokes a connection: here first and at once, then at the provider, with the grants that consents had replaced
    /// before. The answer says what was done in both places. A revoked connection can be revoked again: what its
    /// provider has not confirmed is tried again.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound), [`NotPermitted`](crate::Error::NotPermitted), or a failure of the vault.
    /// A failure at the provider is no error: it is part of the answer.
    fn revoke(&self, by: &dyn Principal, id: ConnectionId) -> Result<Revocation>;

    /// Makes a connection the one that is taken when its owner has several and names none.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound), [`NotPermitted`](crate::Error::NotPermitted), or a failure of the vault.
    fn set_default(&self, by: &dyn Principal, id: ConnectionId) -> Result<()>;

    /// Reads the audit, in the order that the page names: a person what concerns them, an operator all of the tenant's.
    ///
    /// # Errors
    ///
    /// A failure of the vault.
    fn audit(&self, by: &dyn Principal, page: &AuditPage) -> Result<Vec<AuditEntry>>;

    /// Erases everything of a person: connections, tokens, consents, pending revocations. The provider is asked nothing;
    /// revoke first where the grants there are to end too. `None` if the workspace is not known.
    ///
    /// # Errors
    ///
    /// A failure of the vault.
    fn forget_user(&self, operator: &Operator, user: &UserId) -> Result<Option<Forgotten>>;

    /// Erases everything of the operator's workspace, its keys first: what was sealed with them is lost to everybody,
    /// backups aside.
    ///
    /// # Errors
    ///
    /// A failure of the vault.
    fn forget_tenant(&self, operator: &Operator) -> Result<Option<Forgotten>>;

    /// Does what is due: stores tokens that could not be stored, refreshes tokens that are about to expire and grants
    /// that lie idle, tries pending revocations again, writes the gathered uses, deletes expired consent requests, dead
    /// former grants, quarantines that are over and old entries of the audit, clears what erasing left behind. At most
    /// what the budget allows. Safe to call from every process at once.
    ///
    /// # Errors
    ///
    /// A failure of the vault. A refresh or a revocation that fails is counted, not an error.
    fn maintain(&self, budget: Budget) -> Result<Upkeep>;
}

/// Which entries of the audit to read.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct AuditPage {
    /// In which order.
    pub order: AuditOrder,
    /// Only those that follow this number in that order: the last one of the page before. Zero: from the beginning.
    pub after: u64,
    /// Only those of this connection.
    pub connection: Option<ConnectionId>,
    /// At most so many. Absent: 1000.
    pub limit: Option<usize>,
}

impl AuditPage {
    /// What happened to one connection.
    #[must_use]
    pub fn of(connection: ConnectionId) -> Self {
        Self {
            connection: Some(connection),
            ..Self::default()
        }
    }

    /// The same, from the last entry back.
    #[must_use]
    pub const fn newest_first(mut self) -> Self {
        self.order = AuditOrder::NewestFirst;
        self
    }

    /// The same, after this number.
    #[must_use]
    pub const fn after(mut self, number: u64) -> Self {
        self.after = number;
        self
    }

    /// The same, at most so many.
    #[must_use]
    pub const fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }
}

/// Which connections to list.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ConnectionFilter {
    /// Only this person's own. For anybody but an operator and the person: none.
    pub user: Option<UserId>,
    /// Only those to this service.
    pub provider: Option<ProviderId>,
    /// Only those of this status.
    pub status: Option<StatusFilter>,
    /// Whether revoked ones are listed too. [`StatusFilter::Revoked`] implies it.
    pub with_revoked: bool,
    /// Only those after this one: the last of the page before.
    pub after: Option<ConnectionId>,
    /// At most so many. Absent: 1000.
    pub limit: Option<usize>,
}

/// A status to list by, whatever its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatusFilter {
    /// Those that hold tokens.
    Active,
    /// Those that only a new consent brings back.
    NeedsConsent,
    /// Those that were revoked.
    Revoked,
}

impl StatusFilter {
    /// Whether a status is of this kind.
    #[must_use]
    pub const fn matches(self, status: Status) -> bool {
        matches!(
            (self, status),
            (Self::Active, Status::Active)
                | (Self::NeedsConsent, Status::NeedsConsent(_))
                | (Self::Revoked, Status::Revoked)
        )
    }
}

impl ConnectionFilter {
    /// Those to one service.
    #[must_use]
    pub fn provider(provider: ProviderId) -> Self {
        Self {
            provider: Some(provider),
            ..Self::default()
        }
    }

    /// The same, of one person alone.
    #[must_use]
    pub fn user(mut self, user: UserId) -> Self {
        self.user = Some(user);
        self
    }

    /// The same, of one status alone.
    #[must_use]
    pub fn status(mut self, status: StatusFilter) -> Self {
        self.status = Some(status);
        self
    }

    /// The same, revoked ones included.
    #[must_use]
    pub fn with_revoked(mut self) -> Self {
        self.with_revoked = true;
        self
    }

    /// The same, after this connection.
    #[must_use]
    pub fn after(mut self, id: ConnectionId) -> Self {
        self.after = Some(id);
        self
    }

    /// The same, at most so many.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }
}
