//! Per-user OAuth 2 connections for AI agents.
//!
//! Let each user of your application connect their own Gmail, Outlook or Jira account, and let your
//! agent act with that account and no other. `valetkey` runs the consent flow, stores tokens in an
//! encrypted vault, refreshes them, and gives each agent turn the access token of the user it works
//! for. It is a synchronous library: no server, no async runtime, and no thread unless the host
//! asks for one ([`UpkeepGuard`], [`loopback`], parallel upkeep, a vault in PostgreSQL).
//!
//! ```
//! use valetkey::testing::Host;
//! use valetkey::{AuthorizationResponse, ConsentOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In place of `Connections::open(path, key)?.client(catalog::GOOGLE, registration).build()?`.
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
#![cfg_attr(
    all(
        feature = "gateway",
        feature = "sqlite",
        feature = "testing",
        feature = "ureq"
    ),
    doc = "The [`guide`] leads from a first program to operation.\n"
)]
//! # How the parts fit together
//!
//! [`Connections`] holds the vault, the providers and the client registrations, and has the
//! operations: start and complete a consent, list, revoke, maintain. A *provider* is a service that
//! a user can connect, such as Gmail. A [`Resolver`] creates a [`Turn`](resolver::Turn) for an
//! [`ActingUser`]; the turn resolves tokens, sends requests, and masks tokens in the responses. An
//! [`Error`] tells the host what to do next. The most important one is
//! [`ConsentRequired`](error::ConsentRequired), which becomes a link for the user.
//!
//! # Modules
//!
//! | module | contents |
//! |---|---|
#![cfg_attr(
    feature = "gateway",
    doc = "| [`gateway`] | the HTTP side: callback, one-time links, token endpoint, JSON API, admin page |"
)]
//! | [`resolver`] | turns: from an acting user to a token, a request or a consent request; redaction |
//! | [`connections`] | the operations: consent, refresh, revocation, health, upkeep |
//! | [`loopback`] | a whole consent in a native app |
//! | [`vault`] | the encrypted store: SQLite, memory, or a host's database |
//! | [`provider`] | services and authorization servers as data; the [`catalog`] |
//! | [`http`] | the network interface and the default client |
//! | [`model`], [`clock`], [`error`] | plain data, time, errors |
#![cfg_attr(
    feature = "testing",
    doc = "| [`testing`] | a sandbox server, a manual clock, fault injection, the vault contract |"
)]
//!
//! # Principles
//!
//! - **One transactional vault.** A rotated refresh token, its expiry and its generation commit
//!   together or not at all. Each write of tokens names the generation that it replaces.
//! - **Descriptors are data.** What a server does differently is a member of a JSON document; there
//!   is no code hook.
//! - **Secrets are types.** They cannot be printed, cloned, compared or serialized, and are erased
//!   when they are dropped.
//! - **Failures do not weaken protection.** A vault does not open without its master key, and
//!   encryption cannot be switched off. A vault or a provider that fails is never reported as "not
//!   connected".
//!
//! # Security
//!
//! The library cannot check who a user is. Isolation between users depends on
//! [`ActingUser::authenticated`]: take both names from your authenticated session. `SECURITY.md`
//! lists the guarantees and their limitations.

#![cfg_attr(docsrs, feature(doc_cfg))]
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
mod prehashed;
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

#[doc(inline)]
pub use crate::clock::{Clock, SystemClock};
#[doc(inline)]
pub use crate::connections::{Connections, Consent, ConsentOptions};
#[doc(inline)]
pub use crate::error::{Error, Result};
pub use crate::manager::ConnectionManager;
#[doc(inline)]
pub use crate::model::{ActingUser, ConnectionId, Operator, TenantId, Timestamp, UserId};
pub use crate::protocol::AuthorizationResponse;
#[doc(inline)]
pub use crate::provider::catalog;
#[doc(inline)]
pub use crate::resolver::Resolver;
pub use crate::secret::{AccessToken, Binding, ClientSecret, SecretBytes, Ticket};
pub use crate::upkeep_guard::{UpkeepGuard, UpkeepOptions};

// The guides use the features `gateway`, `sqlite`, `ureq` and `testing`.
#[cfg(all(
    any(doc, doctest),
    feature = "gateway",
    feature = "sqlite",
    feature = "testing",
    feature = "ureq"
))]
pub mod guide;

#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;
