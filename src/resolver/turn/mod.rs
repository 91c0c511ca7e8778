//! A turn of an agent on behalf of one user: the entry point for a host.

mod ask;
mod fill;
mod redact;

use std::fmt;
use std::sync::{Arc, Mutex};

#[allow(unused_imports, reason = "named in the documentation")]
use crate::error::Error;
use crate::error::Result;
use crate::model::{ActingUser, ConsentId, check_name};
use crate::resolver::access::{Access, Common};
use crate::resolver::explain::{self, Explanation};
use crate::resolver::ledger::Ledger;
use crate::resolver::options::ResolveOptions;
use crate::resolver::placeholder::Promise;
use crate::resolver::stream::{Download, Upload};
use crate::resolver::token::ResolvedToken;
use crate::resolver::{find, refused, resolve, send};

/// A turn of an agent on behalf of one user: returned by [`Resolver::turn`](crate::Resolver::turn).
///
/// It acts only for this user, and records every token that it returned or used, including those
/// that were refreshed meanwhile: [`redact`](Self::redact) masks them *by value* in text for a
/// model, a user or a log. It is neither `Clone` nor serializable; tools of the turn share it by
/// reference. Dropping it wipes the recorded tokens.
///
/// Operations take a provider's id, or [`ResolveOptions`] with further requirements.
///
/// ```
/// use valetkey::testing::Host;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let host = Host::new();
/// let alice = host.user("alice");
/// host.connect(&alice, "notes");
/// let turn = host.resolver.turn(alice).purpose("answer a chat message")?;
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
        // Unique and ordered by time, like every id of this crate. A turn without one is equally
        // safe.
        let id = ConsentId::generate(common.engine.now()).ok();
        let mut ledger = Ledger::of_turn();
        ledger.turn = id.map(|id| id.to_string().into());
        Self {
            common,
            acting_user,
            ledger,
            placeholders: Mutex::default(),
        }
    }

    /// Sets the id of the turn in the host's runtime. The audit includes it in each token use; it
    /// grants no access.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`](Error::InvalidValue) if the id is empty, is longer than 512 bytes, or
    /// contains a control character or an invisible one.
    pub fn id(mut self, id: impl AsRef<str>) -> Result<Self> {
        self.ledger.turn = Some(checked("turn id", id.as_ref())?);
        Ok(self)
    }

    /// Sets a short description of the turn's purpose. The audit includes it in each token use: it
    /// must not contain a secret or a user's message.
    ///
    /// # Errors
    ///
    /// Those of [`id`](Self::id).
    pub fn purpose(mut self, purpose: impl AsRef<str>) -> Result<Self> {
        self.ledger.purpose = Some(checked("purpose of the turn", purpose.as_ref())?);
        Ok(self)
    }

    /// Returns the turn's id; `None` only if the operating system had no random numbers.
    #[must_use]
    pub fn turn_id(&self) -> Option<&str> {
        self.ledger.turn.as_deref()
    }

    /// Returns the purpose of the turn, if the host set it.
    #[must_use]
    pub fn turn_purpose(&self) -> Option<&str> {
        self.ledger.purpose.as_deref()
    }

    /// Returns the user on whose behalf the turn runs.
    #[must_use]
    pub const fn acting_user(&self) -> &ActingUser {
        &self.acting_user
    }

    /// Returns the access token of the acting user at a provider, refreshed if necessary. Blocks
    /// for at most [`Settings::resolve_deadline`](crate::connections::Settings::resolve_deadline)
    /// (20 s by default) while a refresh is in progress.
    ///
    /// # Errors
    ///
    /// [`ConsentRequired`](Error::ConsentRequired) if the user must give a consent: show them a
    /// link, see [`ask`](Self::ask). [`Denied`](Error::Denied) or
    /// [`LabelRequired`](Error::LabelRequired) if the host's policy does not allow the call.
    /// [`Ambiguous`](Error::Ambiguous) if the user has several accounts and the options name none.
    /// [`Unavailable`](Error::Unavailable) if the provider does not answer: try again later.
    /// [`Misconfigured`](Error::Misconfigured) if an administrator must correct the configuration.
    /// [`UnknownProvider`](Error::UnknownProvider) if no provider has this id.
    /// [`InvalidValue`](Error::InvalidValue) if the options name a tool that cannot be a name.
    /// [`Vault`](Error::Vault) if the vault fails, which does not mean that the user is not
    /// connected.
    ///
    /// # Security
    ///
    /// Code that has the token can send it anywhere. Prefer [`send`](Self::send), or check the
    /// address with [`ResolvedToken::header_for`].
    pub fn resolve<'a>(&self, options: impl Into<ResolveOptions<'a>>) -> Result<ResolvedToken> {
        let token = resolve::resolve(&self.access(&options.into()))?;
        self.ledger.note(&token.access_token);
        Ok(token)
    }

    /// Returns the stored token of the acting user at a provider if it is valid as it is; `None` if
    /// [`resolve`](Self::resolve) must refresh it first.
    ///
    /// It uses no network, does not write, and does not wait for another caller. The use is
    /// recorded in memory, whatever the [`Settings`](crate::connections::Settings) say, and
    /// `maintain` writes it.
    ///
    /// The result is also `None` while about 8,192 recorded uses wait for `maintain` (`resolve`,
    /// which may write, then makes room), and while a key service has to unwrap the keys of the
    /// tenant first (see [`MasterKeys::wrapped_by`](crate::vault::MasterKeys::wrapped_by)).
    ///
    /// A vault in PostgreSQL answers from memory: the result is a token only if the same token was
    /// read less than `PostgresOptions::max_staleness` ago, and never for a provider or a client
    /// registration that the tenant added.
    ///
    /// # Errors
    ///
    /// Those of [`resolve`](Self::resolve) that do not come from the network.
    pub fn peek<'a>(&self, options: impl Into<ResolveOptions<'a>>) -> Result<Option<ResolvedToken>> {
        let token = resolve::peek(&self.access(&options.into()))?;
        if let Some(token) = &token {
            self.ledger.note(&token.access_token);
        }
        Ok(token)
    }

    /// Reads the stored tokens of several providers ahead, in one round trip to a vault across the
    /// network, so that the calls of this turn find them in memory. Pass the same options as to
    /// these calls. A vault on this machine gains nothing.
    ///
    /// It refreshes nothing, records no use and reports no error: a call that needs a token which
    /// could not be read reads it again and reports the error. A token that was read is used for at
    /// most `PostgresOptions::max_staleness`, as after [`resolve`](Self::resolve). The absence of a
    /// connection is not remembered.
    ///
    /// ```
    /// use valetkey::testing::Host;
    ///
    /// let host = Host::new();
    /// let ada = host.user("ada");
    /// host.connect(&ada, "notes");
    /// let turn = host.resolver.turn(ada);
    /// turn.prefetch(["notes", "mail"]);
    /// turn.resolve("notes")?;
    /// # Ok::<(), valetkey::Error>(())
    /// ```
    pub fn prefetch<'a, O>(&self, calls: impl IntoIterator<Item = O>)
    where
        O: Into<ResolveOptions<'a>>,
    {
        let options: Vec<ResolveOptions<'a>> = calls.into_iter().map(Into::into).collect();
        let accesses: Vec<_> = options.iter().map(|options| self.access(options)).collect();
        find::prefetch(&accesses);
    }

    /// Sends a request as the acting user. The token is added when the request is sent, and the
    /// caller never sees it.
    ///
    /// The address must belong to the provider's API; an address without a host is resolved against
    /// its base URL. Redirects are not followed. If the API refuses the token (401), the token is
    /// refreshed once and the request is sent again. If the API requires more scopes (403), the
    /// error is [`ConsentRequired`](Error::ConsentRequired), unless the user has granted these
    /// scopes.
    ///
    /// Headers that the HTTP client writes itself are removed from the request: `Host`,
    /// `Content-Length`, `Transfer-Encoding`, `Connection` and every header that it names,
    /// `Keep-Alive`, `Proxy-Connection`, `TE`, `Trailer`, `Upgrade`, `HTTP2-Settings` and `Expect`.
    ///
    /// A request is refused if it has
    ///
    /// - the method `CONNECT`, `TRACE`, `TRACK` or `PRI`;
    /// - a header that carries a credential or names a user (`Authorization`, `Cookie`,
    ///   `Private-Token`, `Sudo`, names that end in `api-key` or `access-token`, and similar ones),
    ///   unless the descriptor lists the header in `api_headers`;
    /// - a header that makes a server use another method, path or host (`X-HTTP-Method-Override`,
    ///   `X-Original-URL`, `X-Forwarded-Host`, and similar ones).
    ///
    /// If the response contains a token of this turn in its headers or its body, `[redacted]`
    /// replaces it; see [`redact`](Self::redact) for the encodings that are found. The request asks
    /// the API not to compress its response, because a compressed response cannot be searched.
    ///
    /// # Errors
    ///
    /// [`Request`](Error::Request) if the request may not be sent with this token;
    /// [`Unavailable`](Error::Unavailable) if the API does not answer in time;
    /// [`AnswerTooLarge`](Error::AnswerTooLarge) if the response exceeds a limit; and those of
    /// [`resolve`](Self::resolve). Every other response of the API is `Ok`, whatever its status.
    pub fn send<'a>(
        &self,
        options: impl Into<ResolveOptions<'a>>,
        request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Vec<u8>>> {
        send::send(&self.access(&options.into()), request)
    }

    /// Sends a request like [`send`](Self::send), with bodies that need not fit into memory. The
    /// body of the request is read while it is sent, and the body of the response is a reader.
    ///
    /// # Bounds
    ///
    /// The size of a response is not limited. The exchange, until the last byte of the response is
    /// read, takes at most
    /// [`Settings::stream_timeout`](crate::connections::Settings::stream_timeout), or the
    /// [deadline](ResolveOptions::deadline) of the call if that is shorter. Time in which the host
    /// does not read counts. The default HTTP client also gives up if no data arrives for
    /// [`Settings::send_timeout`](crate::connections::Settings::send_timeout); a host's own client
    /// receives this limit.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send);
    /// [`RequestRefused::Upload`](crate::error::RequestRefused::Upload) if the body cannot be read;
    /// [`Misconfigured`](Error::Misconfigured) if the host's HTTP client does not support
    /// streaming.
    pub fn send_stream<'a>(
        &self,
        options: impl Into<ResolveOptions<'a>>,
        request: http::Request<Upload>,
    ) -> Result<http::Response<Download>> {
        send::send_stream(&self.access(&options.into()), request)
    }

    /// Returns another token for one that the API refused, for hosts that use their own HTTP
    /// client. Returns `None` if the token cannot be refreshed, or if it was itself refreshed
    /// because the previous one was refused. The API's response is then final.
    ///
    /// If a newer token is already stored, it is returned. Otherwise the token is refreshed once
    /// for each generation: concurrent callers with the same refused token share one request. A
    /// user can also refresh the token of a workspace connection in this way.
    ///
    /// # Errors
    ///
    /// [`NotFound`](Error::NotFound) if the connection does not exist or is not within this user's
    /// reach; [`ConsentRequired`](Error::ConsentRequired) if it needs a new consent;
    /// [`Unavailable`](Error::Unavailable), [`Misconfigured`](Error::Misconfigured) or
    /// [`Vault`](Error::Vault) for the causes that [`resolve`](Self::resolve) lists.
    pub fn refresh_refused(&self, refused: &ResolvedToken) -> Result<Option<ResolvedToken>> {
        let options = ResolveOptions::from(refused.provider());
        let token = refused::refresh_refused(&self.access(&options), refused)?;
        if let Some(token) = &token {
            self.ledger.note(&token.access_token);
        }
        Ok(token)
    }

    /// Returns how a call would be decided now, step by step, for the administrator of the host. It
    /// sends no request, refreshes nothing and records no use.
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

/// Validates a name for the audit.
fn checked(what: &'static str, name: &str) -> Result<Box<str>> {
    check_name(what, name)?;
    Ok(name.into())
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
