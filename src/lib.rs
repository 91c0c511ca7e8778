//! Per-user OAuth 2 connections for agent runtimes: consent, an encrypted vault, refresh and resolution.
//!
//! A person gives their consent in a browser once; at each turn the host resolves the *acting user* and a provider to
//! that person's access token, or sends a request with it. Embeddable and synchronous: no server, no runtime, no
//! thread of its own.
//!
//! ```
//! use valetkey::testing::{ManualClock, Sandbox};
//! use valetkey::vault::MemoryVault;
//! use valetkey::{ActingUser, AuthorizationResponse, Connections, ConsentOptions, Resolver};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let sandbox = Sandbox::new(ManualClock::default());
//! let connections = Connections::builder(MemoryVault::new())
//! #   .server(sandbox.server()).provider(sandbox.provider("notes")).http_client(sandbox.clone())
//! #   .clock(ManualClock::default())
//!     .client("sandbox", sandbox.registration("https://app.example/callback"))
//!     .build()?;
//! let alice = ActingUser::authenticated("acme", "alice")?;
//!
//! let consent = connections.start(&alice, "notes", ConsentOptions::default())?;
//! # let callback_url = sandbox.approve(consent.authorization_url(), "ada");
//! connections.complete(&alice, AuthorizationResponse::parse(&callback_url)?, consent.binding())?;
//!
//! let token = Resolver::new(connections).resolve(&alice, "notes")?;
//! assert!(!token.is_workspace());
//! # Ok(())
//! # }
//! ```
//!
//! # The rooms, from the top
//!
//! | module | what is in it |
//! |---|---|
#![cfg_attr(
    feature = "gateway",
    doc = "| [`gateway`] | the HTTP face: token endpoint, callback, one-time links, API, admin page |"
)]
//! | [`resolver`] | acting user → token; personal and shared connections; requests sent as a person |
//! | [`connections`] | [`Connections`] and its operations: consent, refresh, revocation, health, upkeep |
//! | [`loopback`] | a consent in the browser of the person who uses a native app |
//! | [`vault`] | the encrypted store: SQLite, memory, or a host's own database |
//! | [`provider`] | services and authorization servers as data; the [`catalog`] |
//! | [`http`] | the seam to the network, and the default client |
//! | [`model`], [`clock`], [`error`] | plain data, time, what can go wrong |
#![cfg_attr(
    feature = "testing",
    doc = "| [`testing`] | a sandbox server, a manual clock, faults, the vault contract |"
)]
//!
//! # Design
//!
//! **One transactional vault**, not a token store beside a metadata store: a rotated refresh token, its expiry and its
//! generation commit together or not at all. **Generation compare-and-swap** everywhere: each write of tokens names the
//! pair it saw. **Descriptors are data**: a server's quirks are closed enums, there is no code hook. **Secrets are
//! types**. **Fail closed**: no master key, no vault; there is no "encryption off".
//!
//! # Security
//!
//! The library cannot check who a person is: everything rests on [`ActingUser::authenticated`]. Take both names from
//! your authenticated session. What else is promised, to whom, and what is not, is in `SECURITY.md`.

// The parts that the feature `_internals` shows to this crate's own tests are `pub` where they are defined.
#![cfg_attr(not(feature = "_internals"), allow(unreachable_pub))]

pub mod clock;
pub mod connections;
mod engine;
pub mod error;
#[cfg(feature = "gateway")]
pub mod gateway;
pub mod http;
pub mod loopback;
mod manager;
pub mod model;
pub(crate) mod protocol;
pub mod provider;
mod random;
pub mod resolver;
pub(crate) mod secret;
mod trace;
mod upkeep_guard;
pub mod vault;

#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "_internals")]
#[doc(hidden)]
pub mod internals;

pub use crate::clock::{Clock, SystemClock};
pub use crate::connections::{Connections, Consent, ConsentOptions};
pub use crate::error::{Error, Result};
pub use crate::manager::ConnectionManager;
pub use crate::model::{ActingUser, ConnectionId, Operator, TenantId, Timestamp, UserId};
pub use crate::protocol::AuthorizationResponse;
pub use crate::provider::catalog;
pub use crate::resolver::Resolver;
pub use crate::secret::{AccessToken, Binding, ClientSecret, Ticket};
pub use crate::upkeep_guard::{UpkeepGuard, UpkeepOptions};

#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;
