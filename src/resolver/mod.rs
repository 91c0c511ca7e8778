//! Resolves the access token of an acting user in the host's turn loop.
//!
//! # Examples
//!
//! ```
//! use valetkey::testing::Host;
//!
//! let host = Host::new();
//! let ada = host.user("ada");
//! host.connect(&ada, "notes");
//! let token = host.resolver.resolve(&ada, "notes")?;
//! assert!(!token.access_token().expose_secret().is_empty());
//! # Ok::<(), valetkey::Error>(())
//! ```

mod access;
mod asked;
mod consent_request;
mod decision;
mod explain;
mod find;
mod held;
mod ledger;
pub mod mcp;
mod memory;
#[cfg(feature = "mcp")]
mod moved;
mod options;
mod placeholder;
mod policy;
mod redact;
mod refused;
mod request;
mod resolve;
mod send;
mod step_up;
mod stream;
mod token;
mod turn;
mod uses;

pub use consent_request::ConsentRequest;
pub use explain::Explanation;
pub use options::ResolveOptions;
pub use policy::{Calls, Policy, WorkspaceConnections};
pub use redact::Redactor;
pub use stream::{Download, Upload};
pub use token::ResolvedToken;
pub use turn::Turn;

use std::sync::Arc;

use crate::connections::Connections;
use crate::error::Result;
use crate::model::ActingUser;
use crate::resolver::access::{Access, Common};
use crate::resolver::ledger::Ledger;

/// Creates turns, in which acting users resolve tokens and send requests.
///
/// A turn uses the user's own connection. A user without one acts through the workspace connection,
/// unless the [`Policy`] forbids it; otherwise the result is
/// [`ConsentRequired`](crate::Error::ConsentRequired). Cheap to clone.
///
/// # From async code
///
/// [`Turn::peek`] never uses the network and takes microseconds: call it directly.
/// [`Turn::resolve`] and [`Turn::send`] may wait for a provider, for a bounded time: call them in
/// `spawn_blocking`.
///
/// # Examples
///
/// ```
/// use valetkey::Resolver;
/// use valetkey::testing::Host;
///
/// let host = Host::new();
/// let ada = host.user("ada");
/// host.connect(&ada, "notes");
/// let resolver = Resolver::new(host.connections.clone());
/// let request = http::Request::get("/notes").body(Vec::new())?;
/// assert_eq!(resolver.send(&ada, "notes", request)?.status(), 200);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Resolver {
    common: Arc<Common>,
}

impl Resolver {
    /// Creates a resolver over these connections. Until [`policy`](Self::policy) is called, nothing
    /// is denied, and workspace connections serve users without a personal one.
    #[must_use]
    pub fn new(connections: Connections) -> Self {
        let engine = Arc::clone(connections.engine());
        Self {
            common: Arc::new(Common {
                connections,
                engine,
                policy: Policy::default(),
                memory: Arc::default(),
            }),
        }
    }

    /// Sets the policy. The memory of pending consent requests is kept.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        let Common {
            connections,
            engine,
            memory,
            ..
        } = &*self.common;
        Self {
            common: Arc::new(Common {
                connections: connections.clone(),
                engine: Arc::clone(engine),
                policy,
                memory: Arc::clone(memory),
            }),
        }
    }

    /// Starts a turn of this user. The turn resolves and sends only for them, and records every
    /// token that it uses, so that [`Turn::redact`] can mask these tokens in prompts, responses and
    /// logs.
    #[must_use]
    pub fn turn(&self, acting_user: ActingUser) -> Turn {
        Turn::new(Arc::clone(&self.common), acting_user)
    }

    /// Returns a token outside of a turn: a shortcut for [`Turn::resolve`] in a turn without an id.
    ///
    /// # Errors
    ///
    /// Those of [`Turn::resolve`].
    pub fn resolve<'a>(
        &self,
        acting_user: &ActingUser,
        options: impl Into<ResolveOptions<'a>>,
    ) -> Result<ResolvedToken> {
        self.in_no_turn(acting_user, &options.into(), resolve::resolve)
    }

    /// Returns a stored token outside of a turn: a shortcut for [`Turn::peek`] in a turn without an
    /// id.
    ///
    /// # Errors
    ///
    /// Those of [`Turn::peek`].
    pub fn peek<'a>(
        &self,
        acting_user: &ActingUser,
        options: impl Into<ResolveOptions<'a>>,
    ) -> Result<Option<ResolvedToken>> {
        self.in_no_turn(acting_user, &options.into(), resolve::peek)
    }

    /// Sends a request outside of a turn: a shortcut for [`Turn::send`] in a turn without an id.
    ///
    /// # Errors
    ///
    /// Those of [`Turn::send`].
    pub fn send<'a>(
        &self,
        acting_user: &ActingUser,
        options: impl Into<ResolveOptions<'a>>,
        request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Vec<u8>>> {
        self.in_no_turn(acting_user, &options.into(), |access| send::send(access, request))
    }

    fn in_no_turn<T>(
        &self,
        acting_user: &ActingUser,
        options: &ResolveOptions<'_>,
        step: impl FnOnce(&Access<'_>) -> T,
    ) -> T {
        step(&Access {
            common: &self.common,
            acting_user,
            ledger: &Ledger::default(),
            options,
        })
    }
}
