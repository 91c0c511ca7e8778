//! From an acting user to an access token: what a host calls in its turn loop.

mod asking;
mod explain;
mod insufficient;
mod ledger;
pub mod mcp;
mod policy;
mod redact;
mod renew;
mod request;
mod resolve;
mod send;
mod stream;
mod token;
mod turn;

pub use explain::{Explanation, Finding, Step, TokenState};
pub use policy::{Calls, Policy, Setting, WorkspaceConnections};
pub use redact::Redactor;
pub use resolve::ResolveOptions;
pub use stream::{Download, Upload};
pub use token::ResolvedToken;
pub use turn::{Asked, Placeholder, Turn};

pub use crate::model::{ToolName, TurnId, TurnPurpose};

use std::sync::Arc;

use crate::connections::Connections;
use crate::engine::outlook::Outlook;
#[allow(unused_imports, reason = "named in the documentation")]
use crate::error::Error;
use crate::error::Result;
use crate::model::ActingUser;
use crate::resolver::asking::Asking;
use crate::resolver::insufficient::StepUps;
use crate::resolver::ledger::Ledger;
use crate::resolver::renew::Renewed;
use crate::trace::{self, Seam};

/// Resolves an acting user and a provider to an access token.
///
/// The person's own connection first; the tenant's shared one as a fallback, where the policy allows it; else
/// [`ConsentRequired`](Error::ConsentRequired). Cheap to clone.
///
/// # From async code
///
/// [`peek`](Self::peek) never touches the network and takes microseconds: call it where you are. [`resolve`](Self::resolve)
/// and [`send`](Self::send) may wait for a provider, always with a bound: call them in `spawn_blocking`.
#[derive(Debug, Clone)]
pub struct Resolver {
    connections: Connections,
    policy: Policy,
    asking: Arc<Asking>,
    renewed: Arc<Renewed>,
    step_ups: Arc<StepUps>,
}

impl Resolver {
    /// A resolver over these connections, with shared connections as a fallback.
    #[must_use]
    pub fn new(connections: Connections) -> Self {
        Self {
            connections,
            policy: Policy::default(),
            asking: Arc::default(),
            renewed: Arc::default(),
            step_ups: Arc::default(),
        }
    }

    /// The same resolver with another policy.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The token of this person at this provider, renewed if need be.
    ///
    /// # Errors
    ///
    /// [`ConsentRequired`](Error::ConsentRequired): show them a link.
    /// [`Denied`](Error::Denied): the host's policy does not allow the call.
    /// [`Ambiguous`](Error::Ambiguous): they have several accounts; name one.
    /// [`Unavailable`](Error::Unavailable): the provider does not answer; try later.
    /// [`Misconfigured`](Error::Misconfigured): the operator must act.
    /// [`Vault`](Error::Vault): the store failed; it says nothing about the person.
    pub fn resolve(&self, acting_user: &ActingUser, provider: &str) -> Result<ResolvedToken> {
        self.resolve_with(acting_user, provider, &ResolveOptions::default())
    }

    /// As [`resolve`](Self::resolve), with a label, required scopes, or a least lifetime.
    ///
    /// # Errors
    ///
    /// As [`resolve`](Self::resolve).
    pub fn resolve_with(
        &self,
        acting_user: &ActingUser,
        provider: &str,
        options: &ResolveOptions,
    ) -> Result<ResolvedToken> {
        // Nobody reads this ledger, so the token itself is not written into it: that would be an allocation for nothing.
        self.lend(&Ledger::default(), acting_user, provider, options)
    }

    /// As [`resolve_with`](Self::resolve_with); the token, and one that was renewed for it, are written down.
    fn resolve_into(
        &self,
        ledger: &Ledger,
        acting_user: &ActingUser,
        provider: &str,
        options: &ResolveOptions,
    ) -> Result<ResolvedToken> {
        let token = self.lend(ledger, acting_user, provider, options)?;
        ledger.note(&token.access_token);
        Ok(token)
    }

    /// Finds the connection and gives its token, renewed if need be; an older one that was renewed is written down.
    fn lend(
        &self,
        ledger: &Ledger,
        acting_user: &ActingUser,
        provider: &str,
        options: &ResolveOptions,
    ) -> Result<ResolvedToken> {
        let about = || self.connections.inner().about(acting_user, provider);
        trace::within(Seam::Resolve, about, || {
            let found = self.find(acting_user, provider, options, &mut |_| {})?;
            let token = self.freshen(acting_user, found, options, ledger)?;
            self.note(acting_user, &token, ledger)?;
            Ok(token)
        })
    }

    /// Returns the token of this person at this provider if it is good as it is; `None` if [`resolve`](Self::resolve) must
    /// refresh it first.
    ///
    /// Uses no network, writes nothing and waits for no other caller. The use is noted in memory, whatever
    /// [`Settings::use_audit`](crate::engine::Settings::use_audit) says, and `maintain` writes it. `None` as well while
    /// some 8,192 noted uses wait for `maintain`: then `resolve`, which may write, makes room.
    ///
    /// # Errors
    ///
    /// As [`resolve`](Self::resolve), without those that come from the network.
    pub fn peek(&self, acting_user: &ActingUser, provider: &str) -> Result<Option<ResolvedToken>> {
        self.peek_with(acting_user, provider, &ResolveOptions::default())
    }

    /// As [`peek`](Self::peek), with a label, required scopes, or a least lifetime.
    ///
    /// # Errors
    ///
    /// As [`peek`](Self::peek).
    pub fn peek_with(
        &self,
        acting_user: &ActingUser,
        provider: &str,
        options: &ResolveOptions,
    ) -> Result<Option<ResolvedToken>> {
        self.peek_into(&Ledger::default(), acting_user, provider, options)
    }

    /// As [`peek_with`](Self::peek_with), for this turn.
    fn peek_into(
        &self,
        ledger: &Ledger,
        acting_user: &ActingUser,
        provider: &str,
        options: &ResolveOptions,
    ) -> Result<Option<ResolvedToken>> {
        let found = self.find(acting_user, provider, options, &mut |_| {})?;
        match found.outlook(self.connections.inner().now(), options) {
            Outlook::Token(_) | Outlook::Expiring => {
                let token = self.hand_out(found)?;
                Ok(Some(token).filter(|token| self.note_without_write(acting_user, token, ledger)))
            }
            Outlook::Refresh | Outlook::Spent(_) | Outlook::Revoked => {
                match self.refusal(acting_user, &found, options)? {
                    Some(refusal) => Err(refusal),
                    None => Ok(None),
                }
            }
        }
    }

    /// Sends a request as this person: the token is put in at the last moment, and the caller never sees it.
    ///
    /// The address must belong to the provider's API; one without a host is taken from its base URL. Redirects are not
    /// followed. A 401 leads to one refresh, of the very token that was refused, and one more try; a 403 that asks for
    /// more scope is [`ConsentRequired`](Error::ConsentRequired), unless the user has granted all that it asks for.
    ///
    /// Headers that belong to the connection are the HTTP client's to write and are left out of the request: `Host`,
    /// `Content-Length`, `Transfer-Encoding`, `Connection` and every header it names, `Keep-Alive`, `Proxy-Connection`,
    /// `TE`, `Trailer`, `Upgrade`, `HTTP2-Settings` and `Expect`.
    ///
    /// These are refused: the methods `CONNECT`, `TRACE`, `TRACK` and `PRI`; headers that carry a credential or name a user
    /// (`Authorization`, `Cookie`, `Private-Token`, `Sudo`, names that end in `api-key` or `access-token`, and their
    /// like), unless the descriptor lists the header in
    /// [`api_headers`](crate::provider::Provider::api_headers); and headers by which a server takes another method, path or
    /// host (`X-HTTP-Method-Override`, `X-Original-URL`, `X-Forwarded-Host`, and their like). Every other method is sent.
    ///
    /// Where the answer repeats the token, in its headers or in its body, `[redacted]` stands in its place: see
    /// [`Turn::redact`] for the encodings that are found. The API is asked not to compress its answer, for a compressed one
    /// cannot be searched.
    ///
    /// # Errors
    ///
    /// [`Request`](Error::Request) if the request may not be sent with this token, and all that
    /// [`resolve`](Self::resolve) returns. Every other answer of the API is `Ok`, whatever its status.
    pub fn send(
        &self,
        acting_user: &ActingUser,
        provider: &str,
        request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Vec<u8>>> {
        self.send_with(acting_user, provider, request, &ResolveOptions::default())
    }

    /// As [`send`](Self::send), for bodies that need not fit into memory: the request's is read while it is sent, the answer's
    /// is a reader.
    ///
    /// # Bounds
    ///
    /// The size of an answer has none. The whole, until the last byte of the answer is read, takes
    /// [`Settings::stream_timeout`](crate::engine::Settings::stream_timeout) at most, or the
    /// [deadline](ResolveOptions::deadline) of the call if that is shorter; the time that the host leaves a download lying
    /// counts. The default HTTP client also gives up when the network stands still for
    /// [`Settings::send_timeout`](crate::engine::Settings::send_timeout); one of the host's own is told to.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); [`RequestRefused::Upload`](crate::error::RequestRefused::Upload) if the body cannot be read;
    /// [`Misconfigured`](Error::Misconfigured) if the host's HTTP client does not send readers.
    pub fn send_stream(
        &self,
        acting_user: &ActingUser,
        provider: &str,
        request: http::Request<Upload>,
    ) -> Result<http::Response<Download>> {
        self.send_stream_with(acting_user, provider, request, &ResolveOptions::default())
    }

    /// Begins a turn of this person: a guard that resolves and sends for them alone, and knows every token of the turn
    /// by its value, so that none gets into a prompt, an answer or a log.
    #[must_use]
    pub fn turn(&self, acting_user: ActingUser) -> Turn {
        Turn::new(self.clone(), acting_user)
    }
}
