//! Plain data: who acts, what is connected, what was granted. No I/O, no clock, no secret.

mod actor;
mod civil;
mod connection;
mod event;
mod grant;
mod id;
mod invalid;
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
    ConnectionId, ConsentId, GrantId, Label, ProviderId, RevocationId, ServerId, TenantId, UserId,
};
pub(crate) use id::{StoredName, check_name};
pub use invalid::InvalidValue;
pub(crate) use invalid::Rule;
pub use scope::{Scope, Scopes};
pub use state::{Account, FailureCode, InFlight, IssuedBy, NeedsConsent, Parameters, RefreshState, Status};
pub use timestamp::Timestamp;
pub use warning::VaultWarning;
