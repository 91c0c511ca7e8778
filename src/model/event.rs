//! What happened, told to the host as it happens.

use std::fmt::Debug;

use crate::model::{
    ConnectionId, FailureCode, NeedsConsent, ProviderId, TenantId, Timestamp, UserId, VaultWarning,
};

/// Something that happened: to a connection, to a consent request or to the vault. Holds ids and codes, never a
/// secret or a server's text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// In which workspace. Absent where all of the vault is concerned.
    pub tenant: Option<TenantId>,
    /// Who acted, if a person did.
    pub user: Option<UserId>,
    /// At which service. Absent where no service is concerned.
    pub provider: Option<ProviderId>,
    /// To which connection, once there is one.
    pub connection: Option<ConnectionId>,
    /// What.
    pub kind: EventKind,
}

impl Event {
    /// Returns an event of this kind that concerns the whole vault.
    #[must_use]
    pub const fn new(at: Timestamp, kind: EventKind) -> Self {
        Self {
            at,
            tenant: None,
            user: None,
            provider: None,
            connection: None,
            kind,
        }
    }

    /// Returns the same event at this service, in this workspace.
    #[must_use]
    pub fn at_service(mut self, tenant: &TenantId, provider: &ProviderId) -> Self {
        self.tenant = Some(tenant.clone());
        self.provider = Some(provider.clone());
        self
    }

    /// Returns the same event with the person who acted.
    #[must_use]
    pub fn user(mut self, user: Option<&UserId>) -> Self {
        self.user = user.cloned();
        self
    }

    /// Returns the same event about this connection.
    #[must_use]
    pub const fn connection(mut self, connection: Option<ConnectionId>) -> Self {
        self.connection = connection;
        self
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// A consent began.
    ConsentStarted,
    /// A consent was given and the connection stored.
    ConsentCompleted,
    /// The person or the server said no.
    ConsentDenied,
    /// The code could not be exchanged, or its answer could not be used; the person must start again.
    ConsentFailed,
    /// The connection was stored without an account, because the service names none: whose account it is, and whether
    /// a later consent comes from another one, is unknown. Follows [`ConsentCompleted`](Self::ConsentCompleted).
    AccountNotVerified,
    /// The tokens were refreshed and stored.
    Refreshed,
    /// A refresh failed for now; the tokens are kept.
    RefreshFailed(FailureCode),
    /// The connection needs a new consent.
    ConsentNeeded(NeedsConsent),
    /// The connection was revoked here.
    Revoked,
    /// A person without a connection of their own was given the workspace connection's token.
    SharedFallback,
    /// A gateway received a request that is not below its mount, before any that is: a router or proxy passes another path
    /// than the mount names. Correct the mount, or call `Gateway::handle_stripped` where the prefix is removed on the way.
    OutsideMount,
    /// Something about the vault's surroundings weakens what it promises. Sent when the connections are built.
    VaultWarning(VaultWarning),
}

/// Where events go: a log, a metric, a message to the user.
///
/// # Contract
///
/// `emit` is called after the change is stored, outside any lock and transaction, on the caller's thread.
/// It must be quick and must not panic. Events are a courtesy; the vault's audit is the record.
pub trait EventSink: Debug + Send + Sync + 'static {
    /// Takes one event.
    fn emit(&self, event: &Event);
}
