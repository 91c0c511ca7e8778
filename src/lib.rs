//! Per-user OAuth 2 connections for agent runtimes.

pub mod clock;
pub mod error;
#[cfg(feature = "gateway")]
pub mod gateway;
pub mod http;
pub mod manager;
pub mod model;
pub mod protocol;
pub mod provider;
mod random;
pub mod resolver;
pub mod secret;
pub mod vault;

#[cfg(feature = "testing")]
pub mod testing;

pub use crate::clock::{Clock, SystemClock};
pub use crate::error::{Error, Result};
pub use crate::manager::{ConnectionManager, Connections, Consent, ConsentOptions};
pub use crate::model::{ActingUser, ConnectionId, Operator, TenantId, Timestamp, UserId};
pub use crate::provider::catalog;
pub use crate::resolver::Resolver;
pub use crate::secret::{AccessToken, AuthorizationCode, Binding, ClientSecret, RefreshToken, Ticket};
