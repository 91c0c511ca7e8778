//! Plain data: who acts, what is connected, what was granted. No I/O, no clock, no secrets.
//!
//! # Examples
//!
//! ```
//! use valetkey::model::{Label, Scopes, TenantId};
//!
//! let scopes: Scopes = "notes.write notes.read".parse()?;
//! assert_eq!(scopes.to_string(), "notes.read notes.write");
//! assert_eq!(Label::new("work")?.as_str(), "work");
//! assert!(TenantId::new("").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod actor;
mod civil;
pub(crate) mod connection;
mod event;
#[allow(unnameable_types, reason = "the operations of a vault are sealed")]
pub(crate) mod grant;
pub(crate) mod id;
mod invalid;
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
pub use id::{ConnectionId, ConsentId, GrantId, Label, ProviderId, ServerId, TenantId, UserId};
pub(crate) use id::{RevocationId, StoredName, check_name};
pub use invalid::InvalidValue;
pub(crate) use invalid::Rule;
pub use scope::{Scope, Scopes};
pub use state::{Account, FailureCode, NeedsConsent, Parameters, Status};
pub(crate) use state::{InFlight, IssuedBy, RefreshState};
pub use timestamp::Timestamp;
pub use warning::VaultWarning;
