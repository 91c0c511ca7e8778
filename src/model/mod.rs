//! Plain data: who acts, what is connected, what was granted. No I/O, no clock, no secret.

mod actor;
mod civil;
mod connection;
mod event;
mod grant;
mod id;
mod scope;
mod state;
mod timestamp;
mod warning;

pub use actor::{ActingUser, Actor, Operator, Owner, Principal, Reach};
#[cfg(feature = "gateway")]
pub(crate) use civil::Civil;
pub use connection::Connection;
pub use event::{Event, EventKind, EventLevel, EventSink};
pub use grant::{Grant, Origin};
pub use id::{
    ConnectionId, ConsentId, GrantId, InvalidId, Label, ProviderId, RevocationId, ServerId, TenantId, UserId,
};
pub(crate) use id::{StoredName, check as check_name};
pub use scope::{InvalidScope, Scope, Scopes};
pub use state::{Account, FailureCode, InFlight, IssuedBy, NeedsConsent, Parameters, RefreshState, Status};
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use warning::VaultWarning;
