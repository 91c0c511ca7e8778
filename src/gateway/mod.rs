//! The HTTP interface to the connections: token endpoint, callback, API and admin page.
//!
//! The gateway is a pure function from [`http::Request`] to [`http::Response`]: no server, no
//! runtime, no global state. Any Rust server can mount it under a path. An asynchronous server
//! calls [`Gateway::handle`] where blocking is allowed (`spawn_blocking`), because completing a
//! consent sends requests to the provider. The client secret and the tokens never leave the
//! gateway.
//!
//! | route | effect |
//! |---|---|
//! | `GET /` | shows the list of connections with filters |
//! | `GET /connect`, `POST /connect` | offers the services and those that can share a consent; begins a consent, or creates a one-time link |
//! | `GET /connect/{ticket}` | the one-time link: begins the consent for its user; a later visit continues the consent |
//! | `GET /callback/{server}` | completes a consent; each authorization server has its own. A repeated callback leads to the connection |
//! | `GET /consents/{id}` | redirects to the state of a consent, and waits while it is being completed |
//! | `GET /connections/{id}` and below | shows one connection; refreshes it, makes it the default, revokes it |
//! | `POST /v1/oauth/token` | exchanges a code for a connection, for front ends that receive the callback themselves |
//! | `/v1/connections`, `/v1/consents`, `/v1/audit`, `/v1/providers`, `/v1/session` | the API; `/v1/openapi.json` describes it |
//! | `GET /healthz` | checks that the vault can be read |
//!
//! The host identifies the caller: see [`Authenticator`]. Each change that a browser requests needs
//! a CSRF token. A record out of the caller's reach is answered with 404, as if it did not exist.
//!
//! Responses carry the headers that protect the gateway's own pages. `Strict-Transport-Security`
//! and `Permissions-Policy` concern the whole origin, so the host or the server in front of it sets
//! them.

mod accept;
mod answer;
mod api;
mod begin;
mod caller;
mod cookie;
mod csrf;
mod finish;
mod json;
mod mount;
mod outcome;
mod page;
mod refusal;
mod render;
mod request;
mod route;
mod site;
mod time;
#[cfg(feature = "tower")]
pub mod tower;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::request::Parts;
use http::{Method, Request, Response};
use zeroize::Zeroizing;

pub use caller::{Authenticator, Caller, Refused};
pub use mount::Mount;
pub use page::text::Language;

use crate::connections::Connections;
use crate::model::{Event, EventKind, InvalidValue, Rule};
use accept::Format;
use refusal::Refusal;
use request::Incoming;
use route::Route;
use site::Inner;

/// The HTTP interface to the connections. Cheap to clone. A setting changes the gateway that it is
/// called on, not its clones.
///
/// # Examples
///
/// ```
/// use valetkey::ActingUser;
/// use valetkey::gateway::{Caller, Gateway, Mount, Refused};
/// use valetkey::testing::Host;
///
/// let authenticator = |_: &http::request::Parts| {
///     let alice = ActingUser::authenticated("acme", "alice").map_err(|_| Refused::Forbidden)?;
///     Ok(Caller::user(alice))
/// };
/// let mount = Mount::new("https://agent.example")?.under("/connections")?;
/// let gateway = Gateway::new(Host::new().connections, mount, authenticator);
/// let request = http::Request::get("/connections/").body(Vec::new())?;
/// assert_eq!(gateway.handle(request).status(), 200);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

/// Returns whether a link may lead to `address`: a path of this origin, or an `https` URL.
fn is_address(address: &str) -> bool {
    let path = address.starts_with('/') && !address.starts_with("//") && !address.starts_with("/\\");
    let plain = !address.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\');
    let https = address.starts_with("https://") && url::Url::parse(address).is_ok();
    plain && (path || https)
}

impl Gateway {
    /// Returns a gateway to `connections`, mounted at `mount`. `authenticator` decides who may use
    /// it.
    #[must_use]
    pub fn new(connections: Connections, mount: Mount, authenticator: impl Authenticator) -> Self {
        let openapi = api::openapi::document(&mount);
        Self {
            inner: Arc::new(Inner {
                connections,
                authenticator: Arc::new(authenticator),
                mount,
                title: None,
                language: None,
                account_link: None,
                return_to: Vec::new(),
                max_body: 64 * 1024,
                page_size: 50,
                openapi,
                reached: Arc::default(),
            }),
        }
    }

    /// Sets the title of the pages: "Connections" in their language by default.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.inner).title = Some(title.into());
        self
    }

    /// Sets the language of the pages. By default, each browser chooses with `Accept-Language`; a
    /// browser that asks for no language that exists gets English. The API answers in English.
    #[must_use]
    pub fn language(mut self, language: Language) -> Self {
        Arc::make_mut(&mut self.inner).language = Some(language);
        self
    }

    /// Adds a link of the host, such as "Sign out", to the head of each page. Its address begins
    /// with one `/`, or with `https://`.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if the address leads to neither a path nor an `https` URL.
    pub fn account_link(
        mut self,
        label: impl Into<String>,
        address: impl Into<String>,
    ) -> Result<Self, InvalidValue> {
        let address = address.into();
        if !is_address(&address) {
            return Err(Rule::AccountLink.into());
        }
        Arc::make_mut(&mut self.inner).account_link = Some((label.into(), address));
        Ok(self)
    }

    /// Lets consents name exactly this address as the place to go afterwards
    /// ([`ConsentOptions::return_to`](crate::ConsentOptions)). For every other address, the user
    /// returns to the page. May be called several times.
    #[must_use]
    pub fn allow_return_to(mut self, address: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.inner).return_to.push(address.into());
        self
    }

    /// Sets the largest body that is read: 64 KiB by default. The server in front should set its
    /// own limit.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        Arc::make_mut(&mut self.inner).max_body = bytes;
        self
    }

    /// Sets how many connections a page shows: 50 by default, at most 200.
    #[must_use]
    pub fn page_size(mut self, rows: usize) -> Self {
        Arc::make_mut(&mut self.inner).page_size = rows.clamp(1, 200);
        self
    }

    /// Returns the place where the gateway is mounted.
    #[must_use]
    pub fn mount(&self) -> &Mount {
        &self.inner.mount
    }

    /// Answers a request.
    ///
    /// `request` has the path that the browser sees, including the base path of the [`Mount`].
    /// Where a router or proxy has removed the base path, call
    /// [`handle_stripped`](Self::handle_stripped). A request outside the mount is answered with 404
    /// and the code `outside_mount`. Until the first request inside the mount arrives, each of them
    /// also sends the event [`OutsideMount`](EventKind::OutsideMount).
    ///
    /// May block on the vault and, when it completes a consent, refreshes or revokes, on the
    /// provider. Each wait is bounded.
    #[must_use]
    pub fn handle(&self, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
        self.respond(request, |path| self.inner.mount.strip(path))
    }

    /// Answers a request whose path no longer has the base path of the [`Mount`], for example
    /// behind axum's `nest` or a proxy that strips a prefix. Links and cookies are still made for
    /// the mount.
    #[must_use]
    pub fn handle_stripped(&self, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
        self.respond(request, |path| Some(path))
    }

    /// Answers a request whose path may or may not have the base path of the [`Mount`].
    #[cfg(feature = "tower")]
    fn handle_either(&self, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
        self.respond(request, |path| {
            let is_routed = |path: &&str| Route::of(path).is_some();
            let below = self.inner.mount.strip(path);
            below
                .filter(is_routed)
                .or_else(|| Some(path).filter(is_routed))
                .or(below)
        })
    }

    fn respond(
        &self,
        request: Request<Vec<u8>>,
        strip: impl for<'p> FnOnce(&'p str) -> Option<&'p str>,
    ) -> Response<Vec<u8>> {
        let (head, body) = request.into_parts();
        // The body may hold an authorization code.
        let body = Zeroizing::new(body);
        let head_only = head.method == Method::HEAD;
        let mut response = match strip(head.uri.path()) {
            Some(path) => self.inner.answer(&head, path, &body),
            None => self.inner.outside(&head),
        };
        answer::secure(&mut response, self.inner.mount.is_secure());
        if head_only {
            response.body_mut().clear();
        }
        response
    }
}

impl Inner {
    fn answer(&self, head: &Parts, path: &str, body: &[u8]) -> Response<Vec<u8>> {
        self.reached.store(true, Ordering::Relaxed);
        let mut caller = None;
        self.route(head, path, body, &mut caller)
            .unwrap_or_else(|refusal| {
                let format = Format::of(path, &head.headers);
                self.refuse(head, path, format, &refusal, caller.as_ref())
            })
    }

    /// Answers a request that is not below the mount.
    fn outside(&self, head: &Parts) -> Response<Vec<u8>> {
        if !self.reached.load(Ordering::Relaxed) {
            let event = Event::new(self.now(), EventKind::OutsideMount);
            self.connections.tell(&event);
        }
        let path = head.uri.path();
        let format = if path.contains("/v1/") || accept::is_json(&head.headers) {
            Format::Json
        } else {
            Format::Html
        };
        self.refuse(head, path, format, &Refusal::outside_mount(), None)
    }

    /// Answers a request. Stores the caller in `known` as soon as it is identified.
    fn route(
        &self,
        head: &Parts,
        path: &str,
        body: &[u8],
        known: &mut Option<Caller>,
    ) -> Result<Response<Vec<u8>>, Refusal> {
        if head.uri.query().map_or(0, str::len) + path.len() > request::MAX_TARGET {
            return Err(Refusal::target_too_long());
        }
        let route = Route::of(path).ok_or_else(Refusal::not_found)?;
        let allowed = route.methods();
        if !allowed.contains(&head.method) {
            return Err(Refusal::method(allowed));
        }
        if body.len() > self.max_body {
            return Err(Refusal::body_too_large());
        }
        match route {
            Route::Asset(name) => return page::asset(&name),
            Route::Health => return self.health(),
            _ => {}
        }
        let caller = &*known.insert(self.authenticator.authenticate(head)?);
        if route.is_once() && accept::is_prefetch(&head.headers) {
            // A prefetch must not begin or end a consent.
            return Err(Refusal::prefetch());
        }
        let incoming = Incoming::read(head, body)?;
        if !head.method.is_safe() {
            self.check_origin(head, caller, &incoming)?;
        }
        match route {
            Route::Asset(_) | Route::Health => Err(Refusal::not_found()),
            Route::Token => self.token(caller, &incoming),
            Route::OpenApi => Ok(answer::json_bytes(self.openapi.clone())),
            Route::Session => self.session(caller, head),
            Route::Providers => self.providers(caller),
            Route::ApiList => self.api_list(caller, &incoming),
            Route::ApiOne(id) => self.api_one(caller, &id, &head.method),
            Route::ApiRefresh(id) => self.api_refresh(caller, &id),
            Route::ApiDefault(id) => self.api_default(caller, &id),
            Route::ApiConsents => self.api_consents(caller, &incoming),
            Route::ApiConsent(id) => self.api_withdraw(caller, &incoming, &id),
            Route::ApiAudit => self.api_audit(caller, &incoming),
            Route::List => self.list_page(caller, &incoming),
            Route::Connect if head.method.is_safe() => self.chooser_page(caller, &incoming),
            Route::Connect => self.begin(caller, &incoming),
            Route::Ticket(ticket) => self.open_ticket(caller, &incoming, &ticket),
            Route::Callback(server) => self.callback(caller, &incoming, &server),
            Route::Outcome(word) => self.outcome_page(caller, &incoming, &word),
            Route::Consent(id) => self.consent(caller, &incoming, &id),
            Route::Choice => self.choice_page(caller, &incoming),
            Route::One(id) => self.detail_page(caller, &incoming, &id),
            Route::Refresh(id) => self.refresh_by_form(caller, &incoming, &id),
            Route::Default(id) => self.default_by_form(caller, &id),
            Route::Revoke(id) if head.method.is_safe() => self.confirm_page(caller, &incoming, &id),
            Route::Revoke(id) => self.revoke_by_form(caller, &incoming, &id),
        }
    }

    /// Checks that the gateway's own page requested a change, or a caller for whom no other site
    /// can act.
    fn check_origin(&self, head: &Parts, caller: &Caller, incoming: &Incoming<'_>) -> Result<(), Refusal> {
        if !caller.is_ambient() {
            return Ok(());
        }
        if accept::is_foreign(&head.headers, self.mount.origin()) {
            return Err(Refusal::foreign_origin(
                self.mount.origin(),
                self.mount.base_path(),
            ));
        }
        let token = head
            .headers
            .get(csrf::HEADER)
            .and_then(|value| value.to_str().ok())
            .or_else(|| incoming.field(csrf::FIELD));
        match token {
            Some(token) if csrf::holds(self.cookies(), &head.headers, caller, self.now(), token) => Ok(()),
            _ => Err(Refusal::csrf()),
        }
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("mount", &self.inner.mount)
            .finish_non_exhaustive()
    }
}
