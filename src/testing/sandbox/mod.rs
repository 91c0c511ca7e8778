//! An authorization server for tests, with an account endpoint and a small API.
//!
//! It keeps its own state and never uses the library's: a token that it reports as live is one that
//! it would accept. All its codes, tokens and secrets begin with [`Sandbox::SECRET_PREFIX`], so
//! that a test can search logs, errors and files for them.

mod account;
mod assertion;
mod authorize;
mod browser;
mod client;
mod described;
mod descriptor;
mod edit;
mod faults;
mod grant;
mod identity;
mod log;
mod mcp;
mod pages;
mod pending;
pub(crate) mod personality;
mod play;
mod playing;
mod pushed;
mod refusal;
mod refused;
mod registered;
mod resource;
mod revoke;
mod services;
mod state;
mod surface;
mod token;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Method, StatusCode};
use url::Url;

pub use self::account::TestAccount;
pub use self::browser::Walk;
pub use self::grant::LiveGrant;
pub use self::log::Logged;
pub use self::personality::{ExpiresIn, IssuerEcho, Personality, RefreshTokenEcho, ScopeEcho};
pub use self::refusal::Refusal;
pub use self::surface::Surface;

use self::grant::Grants;
use self::log::Received;
use self::mcp::places::Places;
use self::registered::Registered;
use self::state::World;
use crate::clock::Clock;
use crate::http::{Body, HttpClient, HttpError, HttpRequest, HttpResponse};

/// An authorization server, an account endpoint and an API, in the process of the test. Clones are
/// the same server.
///
/// As an [`HttpClient`], it answers requests to its own origin and is unreachable at any other. A
/// real browser can use it too: put [`handle`](Self::handle) behind any HTTP server on loopback.
///
/// | path | what it does |
/// |---|---|
/// | `GET /authorize`, `POST /authorize/decision` | the consent page and its form |
/// | `POST /token` | codes and refresh tokens |
/// | `POST /par` | RFC 9126 |
/// | `POST /revoke` | RFC 7009 |
/// | `GET /userinfo` | `sub`, `email`, `name` of the account |
/// | `GET /api/notes`, `POST /api/notes` | the account's notes; needs `notes.read`, `notes.write` |
/// | `/api/echo` | the headers of the request, the credential included |
/// | `PUT /api/file`, `GET /api/file` | one file for each account, of any size that fits into memory |
/// | `/api/redirect` | a redirect to another origin |
///
/// [`playing_mcp`](Self::playing_mcp) adds an MCP server with its own authorization server.
///
/// [`Host`](crate::testing::Host) sets up connections over a sandbox. A host that builds its own
/// connections registers the sandbox like any other server:
///
/// ```
/// use valetkey::testing::Sandbox;
/// use valetkey::vault::SealedVault;
/// use valetkey::{ActingUser, Connections, ConsentOptions, SystemClock};
///
/// let sandbox = Sandbox::new(SystemClock);
/// let connections = Connections::builder(SealedVault::in_memory())
///     .server(sandbox.server())
///     .provider(sandbox.provider("notes"))
///     .client("sandbox", sandbox.registration("https://host.test/callback"))
///     .http_client(sandbox.clone())
///     .build()?;
///
/// let ada = ActingUser::authenticated("acme", "ada")?;
/// let consent = connections.start(&ada, "notes", ConsentOptions::default())?;
/// let callback = sandbox.approve(consent.authorization_url(), "ada"); // the user's browser
/// assert!(callback.starts_with("https://host.test/callback?code=sbx-code-"));
/// # Ok::<(), valetkey::Error>(())
/// ```
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    base: Url,
    clock: Box<dyn Clock>,
    world: Mutex<World>,
}

impl Sandbox {
    /// The prefix of every code, token and client secret of the sandbox.
    pub const SECRET_PREFIX: &'static str = "sbx-";

    /// Creates a server at `https://sandbox.test`, a name that does not resolve (RFC 6761), for
    /// tests in process.
    pub fn new(clock: impl Clock) -> Self {
        Self::at("https://sandbox.test", clock)
    }

    /// Creates a server at this origin, such as `http://127.0.0.1:8080`.
    ///
    /// # Panics
    ///
    /// If it is not an `http` or `https` origin.
    pub fn at(base_url: &str, clock: impl Clock) -> Self {
        let base = Url::parse(base_url).expect("the base URL is a URL");
        assert!(
            matches!(base.scheme(), "http" | "https") && base.path() == "/" && base.query().is_none(),
            "the base URL is an http or https origin"
        );
        let notes = [
            (TestAccount::ADA, ["Note G is done", "Ask Babbage about the mill"]),
            (
                TestAccount::GRACE,
                ["Found a moth", "Nanoseconds: order more wire"],
            ),
        ];
        let world = World {
            base: base.clone(),
            client_id: "sandbox-client".into(),
            // Reserved characters, so that each encoding of the credentials is tested.
            client_secret: "sbx-cs-not:so+secret %26é".into(),
            other_clients: BTreeMap::new(),
            redirect_uris: BTreeSet::new(),
            accounts: TestAccount::ALL.to_vec(),
            personality: Personality::default(),
            pending: BTreeMap::new(),
            grants: Grants::default(),
            other_secrets: Vec::new(),
            notes: notes
                .into_iter()
                .map(|(account, notes)| (account.id, notes.map(str::to_owned).to_vec()))
                .collect(),
            files: BTreeMap::new(),
            log: Vec::new(),
            surface: None,
            client_key: None,
            used_assertions: BTreeSet::new(),
            identities: BTreeMap::new(),
            assertions: BTreeMap::new(),
            pushed: BTreeMap::new(),
            registered: Registered::default(),
            mcp: Places::default(),
            documents: None,
            edits: BTreeMap::new(),
        };
        Self(Arc::new(Inner {
            base,
            clock: Box::new(clock),
            world: Mutex::new(world),
        }))
    }

    /// Answers one request. Except at MCP servers and their authorization servers, routing uses
    /// only the path, so the sandbox can be served under any name. The body is in memory.
    #[must_use]
    pub fn handle(&self, request: HttpRequest) -> HttpResponse {
        self.answer(request)
            .unwrap_or_else(|_| HttpResponse::new(StatusCode::GATEWAY_TIMEOUT, ""))
    }

    fn answer(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let received = Received::new(&request);
        let file = (received.path == "/api/file").then(|| request.body.as_bytes().to_vec());
        // The log keeps its own copy; the request is wiped before anything else happens.
        drop(request);
        let now = self.0.clock.now();
        self.read_client_document(&received);
        let world = &mut *self.world();
        let issuer = world.issuer();
        let mcp = world.mcp.role(&received.address);
        let played = world.surface.as_ref().map(|surface| surface.role(&received));
        let answer = match (&received.method, received.path.as_str()) {
            (&Method::POST, "/authorize/decision") => authorize::decide(world, &received, now),
            _ if mcp.is_some() => mcp::answer(world, &received, &mcp.unwrap_or_default(), now),
            _ if played.is_some() => play::answer(world, &received, played.unwrap_or_default(), now),
            (&Method::GET, "/authorize") => authorize::ask(world, &received, &issuer, now),
            (&Method::POST, "/token") => token::answer(world, &received, &issuer, now),
            (&Method::POST, "/par") => pushed::push(world, &received, &issuer, now),
            (&Method::POST, "/revoke") => revoke::answer(world, &received, &issuer, now),
            (&Method::GET, "/userinfo") => resource::userinfo(world, &received, now),
            (&Method::GET | &Method::POST, "/api/notes") => resource::notes(world, &received, now),
            (&Method::PUT | &Method::GET, "/api/file") => {
                resource::file(world, &received, file.unwrap_or_default(), now)
            }
            (_, "/api/echo") => resource::echo(&received),
            (_, "/api/redirect") => resource::redirect(),
            (
                _,
                "/authorize"
                | "/authorize/decision"
                | "/token"
                | "/par"
                | "/revoke"
                | "/userinfo"
                | "/api/notes",
            ) => HttpResponse::new(StatusCode::METHOD_NOT_ALLOWED, ""),
            _ => HttpResponse::new(StatusCode::NOT_FOUND, ""),
        };
        let answer = match world.edits.get(&received.address) {
            Some(edit) => edit.apply(answer),
            None => Ok(answer),
        };
        let status = answer
            .as_ref()
            .map_or(StatusCode::GATEWAY_TIMEOUT, |answer| answer.status);
        world.log.push(Logged::new(received, status));
        answer
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Control and inspection by tests.
impl Sandbox {
    /// Returns the current behavior of the sandbox.
    #[must_use]
    pub fn personality(&self) -> Personality {
        self.world().personality.clone()
    }

    /// Changes the behavior of the sandbox.
    pub fn adjust(&self, change: impl FnOnce(&mut Personality)) {
        change(&mut self.world().personality);
    }

    /// Returns all requests so far, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<Logged> {
        self.world().log.clone()
    }

    /// Returns the number of requests to this path.
    #[must_use]
    pub fn count(&self, path: &str) -> usize {
        self.world()
            .log
            .iter()
            .filter(|logged| logged.path() == path)
            .count()
    }

    /// Clears the log.
    pub fn clear_log(&self) {
        self.world().log.clear();
    }

    /// Returns whether the sandbox would accept this access or refresh token now.
    #[must_use]
    pub fn is_live(&self, token: &str) -> bool {
        let now = self.0.clock.now();
        self.world().grants.is_live(token, now)
    }

    /// Returns the grants that have a live token.
    #[must_use]
    pub fn live_grants(&self) -> Vec<LiveGrant> {
        let now = self.0.clock.now();
        self.world().grants.live(now)
    }

    /// Returns every code, token and client secret that was ever issued, for a leak test to search
    /// for.
    #[must_use]
    pub fn issued_secrets(&self) -> Vec<String> {
        let world = self.world();
        let mut secrets = world.grants.issued();
        secrets.extend(world.other_secrets.iter().cloned());
        secrets.push(world.client_secret.clone());
        secrets.extend(world.other_clients.values().cloned());
        secrets
    }

    /// Adds an account, which users can choose on the consent page from now on.
    pub fn add_account(&self, account: TestAccount) {
        self.world().accounts.push(account);
    }

    /// Ends all grants of this account, as when the user removes the app at the provider.
    ///
    /// # Panics
    ///
    /// If there is no such account.
    pub fn revoke_at_server(&self, account: &str) {
        let mut world = self.world();
        let account = world.account(account).expect("the account exists");
        world.grants.end_all_of(account);
    }

    /// Expires all access tokens now, regardless of the clock. Refresh tokens stay valid.
    pub fn expire_access_tokens(&self) {
        let now = self.0.clock.now();
        self.world().grants.expire_access_tokens(now);
    }
}

impl HttpClient for Sandbox {
    fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let plays = self
            .world()
            .surface
            .as_ref()
            .map(|surface| surface.knows(&request.url));
        let is_mcp = self.world().mcp.knows(&request.url);
        if !is_mcp && !plays.unwrap_or_else(|| request.url.origin() == self.0.base.origin()) {
            return Err(HttpError::Connect);
        }
        if request.body.is_reader() {
            let reader = std::mem::take(&mut request.body).into_reader();
            request.body = Body::read_from(reader, usize::MAX)?;
        }
        let limit = request.max_response_bytes;
        let mut answer = self.answer(request)?;
        let Some(limit) = limit else {
            let length = answer.body.length();
            answer.body = Body::from_reader(answer.body.into_reader(), length);
            return Ok(answer);
        };
        if answer.body.len() > limit {
            return Err(HttpError::TooLarge);
        }
        Ok(answer)
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("base_url", &self.0.base.as_str())
            .finish_non_exhaustive()
    }
}
