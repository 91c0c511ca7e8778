//! Per-user OAuth 2 connections for agent runtimes: consent, an encrypted vault, refresh and
//! resolution.
//!
//! A user gives consent in a browser once. At each turn the host resolves the *acting user* and a
//! provider to that user's access token, or sends a request with it. The crate is embeddable and
//! synchronous: it needs no server and no runtime, and starts a thread only where the host asks for
//! one ([`UpkeepGuard`], [`loopback`], parallel upkeep).
//!
//! ```
//! use valetkey::testing::Host;
//! use valetkey::{AuthorizationResponse, ConsentOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In place of `Connections::open("agent.db", key)?.client(catalog::GOOGLE, registration).build()?`.
//! let host = Host::new();
//! let alice = host.user("alice");
//!
//! let consent = host.connections.start(&alice, "notes", ConsentOptions::default())?;
//! let callback = host.sandbox.approve(consent.authorization_url(), "ada"); // the user's browser
//! host.connections.complete(&alice, AuthorizationResponse::parse(&callback)?, consent.binding())?;
//!
//! let turn = host.resolver.turn(alice);
//! let response = turn.send("notes", http::Request::get("/notes").body(Vec::new())?)?;
//! assert!(response.status().is_success());
//! # Ok(())
//! # }
//! ```
//!
//! # Modules, from the top
//!
//! | module | what is in it |
//! |---|---|
#![cfg_attr(
    feature = "gateway",
    doc = "| [`gateway`] | the HTTP face: token endpoint, callback, one-time links, API, admin page |"
)]
//! | [`resolver`] | turns: acting user → token, personal and workspace connections, requests sent as a user |
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
//! **One transactional vault**, not a token store beside a metadata store: a rotated refresh token,
//! its expiry and its generation commit together or not at all. **Generation compare-and-swap**
//! everywhere: each write of tokens names the pair it saw. **Descriptors are data**: a server's
//! quirks are members of a document, there is no code hook. **Secrets are types**. **Fail closed**:
//! no master key, no vault; there is no "encryption off".
//!
//! # Security
//!
//! The library cannot check who a person is: everything rests on [`ActingUser::authenticated`].
//! Take both names from your authenticated session. What else is promised, to whom, and what is
//! not, is in `SECURITY.md`.

// The parts that the feature `_internals` shows to this crate's own tests are `pub` where they are
// defined.
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
#[cfg(all(test, feature = "ureq", feature = "gateway"))]
mod messages;
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
