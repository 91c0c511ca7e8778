//! Plain data: who acts, what is connected, what was granted. No I/O, no clock, no secret.

mod actor;
mod civil;
pub(crate) mod connection;
mod event;
#[allow(unnameable_types, reason = "the operations of a vault are sealed")]
pub(crate) mod grant;
pub(crate) mod id;
mod scope;
pub(crate) mod state;
mod timestamp;
mod warning;

pub use actor::{ActingUser, Actor, Operator, Owner, Principal};
#[cfg(feature = "gateway")]
pub(crate) use civil::Civil;
pub use connection::Connection;
pub use event::{Event, EventKind, EventLevel, EventSink};
pub(crate) use grant::{Grant, Origin};
pub use id::{
    ConnectionId, ConsentId, GrantId, InvalidId, Label, ProviderId, ServerId, TenantId, ToolName, TurnId,
    TurnPurpose, UserId,
};
pub(crate) use id::{RevocationId, StoredName};
pub use scope::{InvalidScope, Scope, Scopes};
pub use state::{Account, FailureCode, NeedsConsent, Parameters, Status};
pub(crate) use state::{InFlight, IssuedBy, RefreshState};
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use warning::VaultWarning;
