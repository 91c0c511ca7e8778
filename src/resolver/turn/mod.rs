//! One turn of one person, and what must not leave it.

mod ask;
mod placeholder;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Mutex;

pub use ask::Asked;
pub use placeholder::Placeholder;

use crate::error::Result;
use crate::model::{ActingUser, ConsentId, TurnId, TurnPurpose};
use crate::resolver::ledger::Ledger;
use crate::resolver::{Download, Redactor, ResolveOptions, ResolvedToken, Resolver, Upload};

/// A turn of an agent on behalf of one person: from [`Resolver::turn`].
///
/// It acts for nobody else, and remembers every token that it handed out or used, those that were renewed meanwhile
/// included: [`redact`](Self::redact) masks them *by value* in whatever goes to a model, a person or a log. Neither
/// `Clone` nor serialisable; share it between the tools of the turn by reference. What it remembers is wiped when it is dropped.
///
/// ```
/// # use valetkey::protocol::AuthorizationResponse;
/// # use valetkey::testing::{ManualClock, Sandbox};
/// # use valetkey::vault::MemoryVault;
/// # use valetkey::resolver::TurnPurpose;
/// # use valetkey::{ActingUser, Connections, ConsentOptions, Resolver};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = Sandbox::new(ManualClock::default());
/// # let connections = Connections::builder(MemoryVault::new())
/// #   .server(sandbox.server()).provider(sandbox.provider("notes")).http_client(sandbox.clone())
/// #   .clock(ManualClock::default())
/// #   .client("sandbox", sandbox.registration("https://app.example/callback"))
/// #   .build()?;
/// # let alice = ActingUser::authenticated("acme", "alice")?;
/// # let consent = connections.start(&alice, "notes", ConsentOptions::default())?;
/// # let callback_url = sandbox.approve(consent.authorization_url(), "ada");
/// # connections.complete(&alice, AuthorizationResponse::parse(&callback_url)?, consent.binding())?;
/// # let resolver = Resolver::new(connections);
/// let turn = resolver.turn(alice).purpose(TurnPurpose::new("answer a chat message")?);
/// let token = turn.resolve("notes")?;
/// let careless = format!("I called the API with {}", token.access_token().expose_secret());
/// assert_eq!(turn.redact(&careless), "I called the API with [redacted]");
/// # Ok(())
/// # }
/// ```
pub struct Turn {
    resolver: Resolver,
    acting_user: ActingUser,
    ledger: Ledger,
    placeholders: Mutex<Vec<placeholder::Promise>>,
}

impl Turn {
    pub(super) fn new(resolver: Resolver, acting_user: ActingUser) -> Self {
        // Ordered by time and unique, as every id of this crate. A turn without one is as safe.
        let id = ConsentId::generate(resolver.connections.inner().now()).ok();
        let mut ledger = Ledger::default();
        ledger.turn = id.and_then(|id| TurnId::new(id.to_string()).ok());
        Self {
            resolver,
            acting_user,
            ledger,
            placeholders: Mutex::default(),
        }
    }

    /// The same turn under the id that the host's runtime gave it. The audit names it at each use of a token.
    #[must_use]
    pub fn with_id(mut self, id: TurnId) -> Self {
        self.ledger.turn = Some(id);
        self
    }

    /// The same turn with a few words of what it is for. The audit has them at each use of a token.
    #[must_use]
    pub fn purpose(mut self, purpose: TurnPurpose) -> Self {
        self.ledger.purpose = Some(purpose);
        self
    }

    /// The turn's id; `None` only where the operating system gave no random numbers.
    #[must_use]
    pub const fn id(&self) -> Option<&TurnId> {
        self.ledger.turn.as_ref()
    }

    /// What the turn is for, if the host said.
    #[must_use]
    pub const fn what_for(&self) -> Option<&TurnPurpose> {
        self.ledger.purpose.as_ref()
    }

    /// Whose turn it is.
    #[must_use]
    pub const fn acting_user(&self) -> &ActingUser {
        &self.acting_user
    }

    /// As [`Resolver::resolve`], for the person of this turn.
    ///
    /// # Errors
    ///
    /// As [`Resolver::resolve`].
    pub fn resolve(&self, provider: &str) -> Result<ResolvedToken> {
        self.resolve_with(provider, &ResolveOptions::default())
    }

    /// As [`Resolver::resolve_with`], for the person of this turn.
    ///
    /// # Errors
    ///
    /// As [`Resolver::resolve`].
    pub fn resolve_with(&self, provider: &str, options: &ResolveOptions) -> Result<ResolvedToken> {
        self.resolver
            .resolve_into(&self.ledger, &self.acting_user, provider, options)
    }

    /// As [`Resolver::peek`], for the person of this turn.
    ///
    /// # Errors
    ///
    /// As [`Resolver::peek`].
    pub fn peek(&self, provider: &str) -> Result<Option<ResolvedToken>> {
        self.peek_with(provider, &ResolveOptions::default())
    }

    /// As [`Resolver::peek_with`], for the person of this turn.
    ///
    /// # Errors
    ///
    /// As [`Resolver::peek`].
    pub fn peek_with(&self, provider: &str, options: &ResolveOptions) -> Result<Option<ResolvedToken>> {
        let token = self
            .resolver
            .peek_into(&self.ledger, &self.acting_user, provider, options)?;
        if let Some(token) = &token {
            self.ledger.note(&token.access_token);
        }
        Ok(token)
    }

    /// As [`Resolver::send`], for the person of this turn. No token of the turn comes back in the answer, whichever it was sent
    /// with.
    ///
    /// # Errors
    ///
    /// As [`Resolver::send`].
    pub fn send(&self, provider: &str, request: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>> {
        self.send_with(provider, request, &ResolveOptions::default())
    }

    /// As [`Resolver::send_with`], for the person of this turn.
    ///
    /// # Errors
    ///
    /// As [`Resolver::send`].
    pub fn send_with(
        &self,
        provider: &str,
        request: http::Request<Vec<u8>>,
        options: &ResolveOptions,
    ) -> Result<http::Response<Vec<u8>>> {
        self.resolver
            .send_into(&self.ledger, &self.acting_user, provider, request, options)
    }

    /// As [`Resolver::send_stream`], for the person of this turn. No token that the turn knew when the answer came is in what is
    /// read of it.
    ///
    /// # Errors
    ///
    /// As [`Resolver::send_stream`].
    pub fn send_stream(
        &self,
        provider: &str,
        request: http::Request<Upload>,
    ) -> Result<http::Response<Download>> {
        self.send_stream_with(provider, request, &ResolveOptions::default())
    }

    /// As [`Resolver::send_stream_with`], for the person of this turn.
    ///
    /// # Errors
    ///
    /// As [`Resolver::send_stream`].
    pub fn send_stream_with(
        &self,
        provider: &str,
        request: http::Request<Upload>,
        options: &ResolveOptions,
    ) -> Result<http::Response<Download>> {
        self.resolver
            .stream_into(&self.ledger, &self.acting_user, provider, request, options)
    }

    /// Returns the text with `[redacted]` in the place of every token of this turn so far; the text itself if there is none
    /// in it. Takes time linear in the text.
    ///
    /// # What is found
    ///
    /// A token with 16 or more letters and digits is found by these, in their order and in either case, whatever stands
    /// between them: blanks and line breaks of all kinds, quotes, prefixes of lines such as `> ` and `# `, invisible
    /// characters, up to 128 bytes in a row. So it is found
    ///
    /// - as it is, wrapped, quoted, in UTF-16, or with backslashes before its punctuation;
    /// - escaped whole or in part, once or twice: percent-encoded; by backslashes (`\n`, `\x2b`, `\u002b`, `\u{2b}`,
    ///   `\U0000002b`, three octal digits); as HTML entities, numeric or named; in quoted-printable;
    /// - in base64 at any alignment and in either alphabet, and so in `Basic` credentials;
    /// - in hexadecimal, with or without separators, as `0x2b, 0x3d`, as a list of decimal numbers, and in the output of
    ///   `xxd` and `hexdump -C`;
    /// - with escape sequences of a terminal or tags such as `<wbr>` in it, and behind line numbers;
    /// - without up to four of its last characters; and if its beginning is cut off, its last 24 characters.
    ///
    /// A shorter token is found with its punctuation and in its own case: as it is, percent-encoded, by backslashes or as HTML
    /// entities, in base64 and in hexadecimal, each wrapped by ASCII blanks and line breaks.
    ///
    /// Some characters at the edges may stay: punctuation that was escaped, characters of base64 that also hold bits of the
    /// neighbouring bytes, and the last line's right margin of a dump, up to 16 characters.
    ///
    /// # Security
    ///
    /// A second line of defence. Not found are other parts of a token; a token that was encrypted, compressed, hashed,
    /// reversed or spelled out; base32 and other bases; base64 of an encoded token; words of two or four bytes in a dump
    /// (`od -x`); one with other letters and digits between its characters, such as tags with attributes. A tool that is handed a token can
    /// still carry it out of the turn in a form of its own. Hand out none, and use [`send`](Self::send).
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.ledger.masks_for([text.as_bytes()]) {
            Some(masks) => masks.redact(text),
            None => Cow::Borrowed(text),
        }
    }

    /// As [`redact`](Self::redact), for bytes.
    #[must_use]
    pub fn redact_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        match self.ledger.masks_for([bytes]) {
            Some(masks) => masks.redact_bytes(bytes),
            None => Cow::Borrowed(bytes),
        }
    }

    /// Masks text that comes in pieces. No token of the turn so far gets through, however it falls on the pieces.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        Redactor::new(self.ledger.masks())
    }

    /// Whether a token of this turn is in the text, in any of the encodings that [`redact`](Self::redact) finds.
    #[must_use]
    pub fn contains_secret(&self, text: &str) -> bool {
        self.contains_secret_bytes(text.as_bytes())
    }

    /// As [`contains_secret`](Self::contains_secret), for bytes.
    #[must_use]
    pub fn contains_secret_bytes(&self, bytes: &[u8]) -> bool {
        !self.secrets_in(bytes).is_empty()
    }

    /// Where tokens of this turn are, in any of the encodings that [`redact`](Self::redact) finds: from the first place to the
    /// last, none overlapping another.
    #[must_use]
    pub fn secrets_in(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        self.ledger
            .masks_for([bytes])
            .map(|masks| masks.find(bytes))
            .unwrap_or_default()
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("id", &self.id())
            .field("acting_user", &self.acting_user)
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}
