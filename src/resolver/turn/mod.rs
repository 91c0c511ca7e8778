//! A turn of an agent on behalf of one user: the way in for a host.

mod ask;
mod fill;
mod redact;

use std::fmt;
use std::sync::{Arc, Mutex};

#[allow(unused_imports, reason = "named in the documentation")]
use crate::error::Error;
use crate::error::Result;
use crate::model::{ActingUser, ConsentId, TurnId, TurnPurpose};
use crate::resolver::access::{Access, Common};
use crate::resolver::explain::{self, Explanation};
use crate::resolver::ledger::Ledger;
use crate::resolver::options::ResolveOptions;
use crate::resolver::placeholder::Promise;
use crate::resolver::stream::{Download, Upload};
use crate::resolver::token::ResolvedToken;
use crate::resolver::{refused, resolve, send};

/// A turn of an agent on behalf of one person: from [`Resolver::turn`](crate::Resolver::turn).
///
/// It acts for nobody else, and remembers every token that it handed out or used, including those that were refreshed
/// meanwhile: [`redact`](Self::redact) masks them *by value* in text that goes to a model, a user or a log. It is neither
/// `Clone` nor serialisable; share it between the tools of the turn by reference. Dropping it wipes what it remembers.
///
/// Operations take a provider's id, or [`ResolveOptions`] where the provider alone is not enough.
///
/// ```
/// use valetkey::resolver::TurnPurpose;
/// use valetkey::testing::Host;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let host = Host::new();
/// let alice = host.user("alice");
/// host.connect(&alice, "notes");
/// let turn = host.resolver.turn(alice).purpose(TurnPurpose::new("answer a chat message")?);
/// let token = turn.resolve("notes")?;
/// let careless = format!("I called the API with {}", token.access_token().expose_secret());
/// assert_eq!(turn.redact(&careless), "I called the API with [redacted]");
/// # Ok(())
/// # }
/// ```
pub struct Turn {
    common: Arc<Common>,
    acting_user: ActingUser,
    ledger: Ledger,
    placeholders: Mutex<Vec<Promise>>,
}

impl Turn {
    pub(super) fn new(common: Arc<Common>, acting_user: ActingUser) -> Self {
        // Ordered by time and unique, as every id of this crate. A turn without one is as safe.
        let id = ConsentId::generate(common.engine.now()).ok();
        let mut ledger = Ledger::default();
        ledger.turn = id.and_then(|id| TurnId::new(id.to_string()).ok());
        Self {
            common,
            acting_user,
            ledger,
            placeholders: Mutex::default(),
        }
    }

    /// Sets the id that the host's runtime gave the turn. The audit names it at each use of a token.
    #[must_use]
    pub fn id(mut self, id: TurnId) -> Self {
        self.ledger.turn = Some(id);
        self
    }

    /// Sets a few words about what the turn is for. The audit has them at each use of a token.
    #[must_use]
    pub fn purpose(mut self, purpose: TurnPurpose) -> Self {
        self.ledger.purpose = Some(purpose);
        self
    }

    /// Returns the turn's id; `None` only where the operating system gave no random numbers.
    #[must_use]
    pub const fn turn_id(&self) -> Option<&TurnId> {
        self.ledger.turn.as_ref()
    }

    /// Returns what the turn is for, if the host said so.
    #[must_use]
    pub const fn turn_purpose(&self) -> Option<&TurnPurpose> {
        self.ledger.purpose.as_ref()
    }

    /// Returns the user on whose behalf the turn runs.
    #[must_use]
    pub const fn acting_user(&self) -> &ActingUser {
        &self.acting_user
    }

    /// Returns the token of the acting user at this provider, refreshed if need be.
    ///
    /// # Errors
    ///
    /// [`ConsentRequired`](Error::ConsentRequired): show them a link.
    /// [`Denied`](Error::Denied): the host's policy does not allow the call.
    /// [`Ambiguous`](Error::Ambiguous): they have several accounts; name one.
    /// [`Unavailable`](Error::Unavailable): the provider does not answer; try later.
    /// [`Misconfigured`](Error::Misconfigured): the operator must act.
    /// [`Vault`](Error::Vault): the store failed; it says nothing about the person.
    pub fn resolve<'a>(&self, options: impl Into<ResolveOptions<'a>>) -> Result<ResolvedToken> {
        let token = resolve::resolve(&self.access(&options.into()))?;
        self.ledger.note(&token.access_token);
        Ok(token)
    }

    /// Returns the token of this person at this provider if it is good as it is; `None` if [`resolve`](Self::resolve) must
    /// refresh it first.
    ///
    /// Uses no network, writes nothing and waits for no other caller. The use is noted in memory, whatever
    /// [`Settings::use_audit`](crate::connections::Settings::use_audit) says, and `maintain` writes it. `None` as well while
    /// some 8,192 noted uses wait for `maintain`: then `resolve`, which may write, makes room.
    ///
    /// # Errors
    ///
    /// As [`resolve`](Self::resolve), without those that come from the network.
    pub fn peek<'a>(&self, options: impl Into<ResolveOptions<'a>>) -> Result<Option<ResolvedToken>> {
        let token = resolve::peek(&self.access(&options.into()))?;
        if let Some(token) = &token {
            self.ledger.note(&token.access_token);
        }
        Ok(token)
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
    /// [`redact`](Self::redact) for the encodings that are found. The API is asked not to compress its answer, for a compressed one
    /// cannot be searched.
    ///
    /// # Errors
    ///
    /// [`Request`](Error::Request) if the request may not be sent with this token, and all that
    /// [`resolve`](Self::resolve) returns. Every other answer of the API is `Ok`, whatever its status.
    pub fn send<'a>(
        &self,
        options: impl Into<ResolveOptions<'a>>,
        request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Vec<u8>>> {
        send::send(&self.access(&options.into()), request)
    }

    /// As [`send`](Self::send), for bodies that need not fit into memory: the request's is read while it is sent, the answer's
    /// is a reader.
    ///
    /// # Bounds
    ///
    /// The size of an answer has none. The whole, until the last byte of the answer is read, takes
    /// [`Settings::stream_timeout`](crate::connections::Settings::stream_timeout) at most, or the
    /// [deadline](ResolveOptions::deadline) of the call if that is shorter; the time that the host leaves a download lying
    /// counts. The default HTTP client also gives up when the network stands still for
    /// [`Settings::send_timeout`](crate::connections::Settings::send_timeout); one of the host's own is told to.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); [`RequestRefused::Upload`](crate::error::RequestRefused::Upload) if the body cannot be read;
    /// [`Misconfigured`](Error::Misconfigured) if the host's HTTP client does not send readers.
    pub fn send_stream<'a>(
        &self,
        options: impl Into<ResolveOptions<'a>>,
        request: http::Request<Upload>,
    ) -> Result<http::Response<Download>> {
        send::send_stream(&self.access(&options.into()), request)
    }

    /// Returns another token for one that the API refused, for hosts that send requests by a client of their own. `None`
    /// if there is none: the token cannot be refreshed, or was itself made because the one before was refused. The
    /// answer of the API stands then.
    ///
    /// If a newer token is stored already, that one is returned. Otherwise the token is refreshed, once for each
    /// generation: callers that present the same refused token at the same time share one request. A user can refresh the
    /// token of a workspace connection in the same way.
    ///
    /// # Errors
    ///
    /// [`NotFound`](Error::NotFound) if the connection is gone or out of this user's reach;
    /// [`ConsentRequired`](Error::ConsentRequired) if it needs a new consent by now;
    /// [`Unavailable`](Error::Unavailable), [`Misconfigured`](Error::Misconfigured) or [`Vault`](Error::Vault) as for
    /// [`resolve`](Self::resolve).
    pub fn refresh_refused(&self, refused: &ResolvedToken) -> Result<Option<ResolvedToken>> {
        let options = ResolveOptions::from(refused.provider());
        let token = refused::refresh_refused(&self.access(&options), refused)?;
        if let Some(token) = &token {
            self.ledger.note(&token.access_token);
        }
        Ok(token)
    }

    /// Returns how a call would be decided now, step by step, for an operator. Asks no provider, refreshes nothing and
    /// leaves no trace of a use.
    #[must_use]
    pub fn explain<'a>(&self, options: impl Into<ResolveOptions<'a>>) -> Explanation {
        explain::explain(&self.access(&options.into()))
    }

    fn access<'a>(&'a self, options: &'a ResolveOptions<'a>) -> Access<'a> {
        Access {
            common: &self.common,
            acting_user: &self.acting_user,
            ledger: &self.ledger,
            options,
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("id", &self.turn_id())
            .field("acting_user", &self.acting_user)
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}
