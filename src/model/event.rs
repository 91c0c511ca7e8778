//! What happened, told to the host as it happens.

use std::fmt::Debug;

use crate::model::{ConnectionId, FailureCode, NeedsConsent, ProviderId, TenantId, Timestamp, UserId};

/// Something that happened to a connection. Holds ids and codes, never a secret or a server's text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// In which workspace.
    pub tenant: TenantId,
    /// Who acted, if a person did.
    pub user: Option<UserId>,
    /// At which service.
    pub provider: ProviderId,
    /// To which connection, once there is one.
    pub connection: Option<ConnectionId>,
    /// What.
    pub kind: EventKind,
}

impl Event {
    /// An event of this kind.
    #[must_use]
    pub const fn new(
        at: Timestamp,
        tenant: TenantId,
        user: Option<UserId>,
        provider: ProviderId,
        connection: Option<ConnectionId>,
        kind: EventKind,
    ) -> Self {
        Self {
            at,
            tenant,
            user,
            provider,
            connection,
            kind,
        }
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
    /// The tokens were renewed and stored.
    Refreshed,
    /// A refresh failed for now; the tokens are kept.
    RefreshFailed(FailureCode),
    /// The connection needs a new consent.
    ConsentNeeded(NeedsConsent),
    /// The connection was revoked here.
    Revoked,
    /// A person without a connection of their own was given the shared one's token.
    SharedFallback,
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
