//! Per-user OAuth 2 connections for agent runtimes.

pub mod clock;
pub mod error;
pub mod http;
pub mod model;
pub mod protocol;
pub mod provider;
mod random;
pub mod secret;
pub mod vault;

#[cfg(feature = "testing")]
pub mod testing;

pub use crate::clock::{Clock, SystemClock};
pub use crate::model::{ActingUser, ConnectionId, Operator, TenantId, Timestamp, UserId};
pub use crate::secret::{AccessToken, AuthorizationCode, Binding, ClientSecret, RefreshToken};
