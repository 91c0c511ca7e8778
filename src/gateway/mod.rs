//! The HTTP interface to the connections: token endpoint, callback, API and admin page.
//!
//! The gateway is a function from an `http::Request` to an `http::Response`: no server, no runtime,
//! no global state. Any Rust server can mount it under a path. An asynchronous server calls
//! [`Gateway::handle`] where blocking is allowed (`spawn_blocking`), because completing a consent
//! sends requests to the provider. No response contains a token or the client secret.
//!
//! | route | effect |
//! |---|---|
//! | `GET /` | shows the list of connections with filters |
//! | `GET /connect`, `POST /connect` | offers the services and those that can share a consent; begins a consent, or creates a one-time link |
//! | `GET /mcp`, `POST /mcp` | connects an MCP server by its address, if the host allows it (`Gateway::mcp_servers`) |
//! | `GET /connect/{ticket}` | the one-time link: begins the consent for its user; a later visit continues the consent |
//! | `GET /callback/{server}` | completes a consent; each authorization server has its own. A repeated callback leads to the connection |
//! | `GET /consents/{id}` | redirects to the state of a consent, and waits while it is being completed |
//! | `GET /connections/{id}` and below | shows one connection; refreshes it, makes it the default, revokes it |
//! | `GET /links`, `/services`, `/revoke`, `/audit` | for operators: open links, services, the revocation of all connections of a user or a service, and the audit with its export `/audit.csv` |
//! | `GET /embed/connections`, `/embed/connect` | the list and the choice of a service for a frame in the host's page; below `/fragments` the same as markup |
//! | `POST /v1/oauth/token` | exchanges a code for a connection, for front ends that receive the callback themselves |
//! | `/v1/connections`, `/v1/consents`, `/v1/audit`, `/v1/providers`, `/v1/session` | the API; `/v1/openapi.json` describes it |
//! | `GET /oauth/client.json` | the client ID metadata document of the host, if its `McpClient` has a URL for one |
//! | `GET /healthz` | checks that the vault can be read |
//!
//! The host identifies the caller: see [`Authenticator`]. Each change that a browser requests needs
//! a CSRF token. A record that the caller cannot see is answered with 404, as if it did not exist.
//!
//! Responses carry the headers that protect the gateway's own pages. `Strict-Transport-Security`
//! and `Permissions-Policy` concern the whole origin, so the host or the server in front of it sets
//! them.

mod accept;
mod address;
mod answer;
mod api;
mod begin;
mod caller;
mod client_document;
mod cookie;
mod csrf;
mod csv;
mod directory;
mod ends;
mod finish;
mod history;
mod json;
mod listing;
mod look;
mod mount;
mod outcome;
mod overview;
mod page;
mod refusal;
mod render;
mod request;
mod resume;
mod revocation;
mod route;
mod settings;
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
pub use directory::{Directory, Lookup, Person};
pub use mount::Mount;
pub use page::text::Language;

use crate::connections::Connections;
use crate::model::{Event, EventKind};
use accept::Format;
use look::{Frame, Look};
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
                switch_user: None,
                directory: None,
                look: Look::default(),
                mcp_servers: false,
                return_to: Vec::new(),
                max_body: 64 * 1024,
                page_size: 50,
                overviews: Arc::default(),
                openapi,
                reached: Arc::default(),
            }),
        }
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
        let below = strip(head.uri.path());
        let mut response = match below {
            Some(path) => self.inner.answer(&head, path, &body),
            None => self.inner.outside(&head),
        };
        let frame = below.map_or(Frame::Page, Frame::of);
        answer::secure(
            &mut response,
            self.inner.mount.is_secure(),
            &self.inner.look,
            frame,
        );
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
                self.refuse(head, path, format, &refusal, caller.as_ref(), body)
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
        self.refuse(head, path, format, &Refusal::outside_mount(), None, &[])
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
            Route::ClientDocument => return self.client_document(),
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
        if !head.method.is_safe() || route.is_once() {
            // The list shows what this request changes.
            self.overviews.forget(caller.acting_user().tenant());
        }
        match route {
            Route::Asset(_) | Route::Health | Route::ClientDocument => Err(Refusal::not_found()),
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
            Route::ApiPeople => self.api_people(caller, &incoming),
            Route::ApiRevocation if head.method.is_safe() => self.api_preview(caller, &incoming),
            Route::ApiRevocation => self.api_revoke_all(caller, &incoming),
            Route::List(frame) => self.list_page(caller, &incoming, frame),
            Route::Chooser(frame) => self.chooser_page(caller, &incoming, frame),
            Route::Connect if head.method.is_safe() => self.chooser_page(caller, &incoming, Frame::Page),
            Route::Connect => self.begin(caller, &incoming),
            Route::Mcp if head.method.is_safe() => self.mcp_page(caller, &incoming),
            Route::Mcp => self.begin_mcp(caller, &incoming),
            Route::Ticket(ticket) => self.open_ticket(caller, &incoming, &ticket),
            Route::Callback(server) => self.callback(caller, &incoming, &server),
            Route::Outcome(word) => self.outcome_page(caller, &incoming, &word),
            Route::Consent(id) => self.consent(caller, &incoming, &id),
            Route::Choice => self.choice_page(caller, &incoming),
            Route::Links => self.links_page(caller, &incoming),
            Route::Withdraw(id) => self.withdraw_by_form(caller, &incoming, &id),
            Route::Services => self.services_page(caller, &incoming),
            Route::RevokeAll if head.method.is_safe() => self.revoke_all_page(caller, &incoming),
            Route::RevokeAll => self.revoke_all_by_form(caller, &incoming),
            Route::Audit => self.audit_page(caller, &incoming),
            Route::AuditFile => self.audit_file(caller, &incoming),
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
