//! The HTTP face of the connections: the token endpoint, the callback, the API and the admin page.
//!
//! A pure function from [`http::Request`] to [`http::Response`]: no server, no runtime, no global. Any Rust server can
//! mount it under a path; an asynchronous one calls [`Gateway::handle`] where blocking is allowed (`spawn_blocking`),
//! for completing a consent talks to the provider. The client secret and the tokens never leave it.
//!
//! | route | what it does |
//! |---|---|
//! | `GET /` | the page: connections, filters |
//! | `GET /connect`, `POST /connect` | choose a service, and which others share its consent; begin a consent, or make a one-time link |
//! | `GET /connect/{ticket}` | the one-time link: begins the consent for the person that it was made for; opened again, continues it |
//! | `GET /callback/{server}` | completes a consent; each authorization server has its own. Delivered again, leads to the connection |
//! | `GET /consents/{id}` | leads to where a consent stands, and waits while it is being completed |
//! | `GET /connections/{id}` and below | one connection: renew, make default, revoke |
//! | `POST /v1/oauth/token` | a code for a connection, for front ends that receive the callback themselves |
//! | `/v1/connections`, `/v1/consents`, `/v1/audit`, `/v1/providers`, `/v1/session` | the API; `/v1/openapi.json` describes it |
//! | `GET /healthz` | whether the vault answers |
//!
//! The host says who is calling: see [`Authenticator`]. Each change that a browser asks for needs a CSRF token;
//! what is out of a caller's reach is 404, as if it did not exist.
//!
//! Answers carry the headers that protect the gateway's own pages. `Strict-Transport-Security` and `Permissions-Policy`
//! concern the whole origin, so the host or the server in front of it sets them.

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
mod request;
mod route;
mod time;
#[cfg(feature = "tower")]
pub mod tower;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::request::Parts;
use http::{Method, Request, Response};
use zeroize::Zeroizing;

pub use caller::{Authenticator, Caller, Refused, Role};
pub use mount::{InvalidMount, Mount};

use crate::connections::Connections;
use crate::model::{Event, EventKind, Timestamp};
use cookie::Cookies;
use refusal::{Format, Refusal};
use request::Incoming;
use route::Route;

/// The HTTP face of the connections. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    connections: Connections,
    authenticator: Arc<dyn Authenticator>,
    mount: Mount,
    title: String,
    account_link: Option<(String, String)>,
    return_to: Vec<String>,
    max_body: usize,
    page_size: usize,
    openapi: Vec<u8>,
    /// Whether a request has arrived below the mount yet.
    reached: AtomicBool,
}

/// Why a gateway is not built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidGateway {
    /// The address of [`GatewayBuilder::account_link`] is neither a path nor an `https` URL.
    #[error("the address of the account link is neither a path of this host nor an https URL")]
    AccountLink,
}

/// Builds a [`Gateway`]: see [`Gateway::builder`].
pub struct GatewayBuilder {
    connections: Connections,
    authenticator: Arc<dyn Authenticator>,
    mount: Mount,
    title: String,
    account_link: Option<(String, String)>,
    return_to: Vec<String>,
    max_body: usize,
    page_size: usize,
}

impl GatewayBuilder {
    /// What the pages are headed with: "Connections" by default.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Adds a link of the host's to the head of each page, such as "Sign out". Its address begins with one `/`, or with
    /// `https://`; [`build`](Self::build) refuses any other.
    #[must_use]
    pub fn account_link(mut self, label: impl Into<String>, address: impl Into<String>) -> Self {
        self.account_link = Some((label.into(), address.into()));
        self
    }

    /// Lets consents name this very address as the place to go afterwards
    /// ([`ConsentOptions::return_to`](crate::ConsentOptions)). Without it, and for every other address, the person
    /// comes back to the page. May be called several times.
    #[must_use]
    pub fn allow_return_to(mut self, address: impl Into<String>) -> Self {
        self.return_to.push(address.into());
        self
    }

    /// The largest body that is read: 64 KiB by default. The server in front should have a bound of its own.
    #[must_use]
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// How many connections a page shows: 50 by default, at most 200.
    #[must_use]
    pub fn page_size(mut self, rows: usize) -> Self {
        self.page_size = rows.clamp(1, 200);
        self
    }

    /// Builds the gateway.
    ///
    /// # Errors
    ///
    /// [`InvalidGateway::AccountLink`] if the account link leads to neither a path nor an `https` URL.
    pub fn build(self) -> Result<Gateway, InvalidGateway> {
        if let Some((_, address)) = &self.account_link
            && !is_address(address)
        {
            return Err(InvalidGateway::AccountLink);
        }
        let openapi = api::openapi::document(&self.mount);
        Ok(Gateway {
            inner: Arc::new(Inner {
                connections: self.connections,
                authenticator: self.authenticator,
                mount: self.mount,
                title: self.title,
                account_link: self.account_link,
                return_to: self.return_to,
                max_body: self.max_body,
                page_size: self.page_size,
                openapi,
                reached: AtomicBool::new(false),
            }),
        })
    }
}

/// Whether a link may lead there: a path of this origin, or an `https` URL.
fn is_address(address: &str) -> bool {
    let path = address.starts_with('/') && !address.starts_with("//") && !address.starts_with("/\\");
    let plain = !address.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\');
    let https = address.starts_with("https://") && url::Url::parse(address).is_ok();
    plain && (path || https)
}

impl Gateway {
    /// Begins to build a gateway to these connections, at this place, for whom this authenticator lets in.
    #[must_use]
    pub fn builder(
        connections: Connections,
        mount: Mount,
        authenticator: impl Authenticator,
    ) -> GatewayBuilder {
        GatewayBuilder {
            connections,
            authenticator: Arc::new(authenticator),
            mount,
            title: "Connections".into(),
            account_link: None,
            return_to: Vec::new(),
            max_body: 64 * 1024,
            page_size: 50,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn mount(&self) -> &Mount {
        &self.inner.mount
    }

    /// Answers a request.
    ///
    /// Its path is the one that the browser sees, the base path of the [`Mount`] included; where a router or proxy has
    /// removed the base path, call [`handle_stripped`](Self::handle_stripped). A request whose path is not below the
    /// mount is answered with 404 and the code `outside_mount`, and until the first one that is, each sends the event
    /// [`OutsideMount`](EventKind::OutsideMount).
    ///
    /// May block on the vault and, when it completes a consent, renews or revokes, on the provider: always with a bound.
    #[must_use]
    pub fn handle(&self, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
        self.respond(request, |path| self.inner.mount.strip(path))
    }

    /// Answers a request whose path has lost the base path of the [`Mount`] on its way: behind axum's `nest`, or a proxy
    /// that strips a prefix. Links and cookies are made for the mount all the same.
    #[must_use]
    pub fn handle_stripped(&self, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
        self.respond(request, |path| Some(path))
    }

    /// Answers a request whose path may have lost the base path of the [`Mount`] or not.
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
        // It may hold a code.
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
        let format = if path.contains("/v1/") || request::is_json(&head.headers) {
            Format::Json
        } else {
            Format::Html
        };
        self.refuse(head, path, format, &Refusal::outside_mount(), None)
    }

    /// Answers a request, and says who made it as soon as that is known.
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
        if route.is_once() && request::is_prefetch(&head.headers) {
            // A browser that looks ahead must not begin or end a consent.
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

    /// Whether a change was asked for by the gateway's own page, or by a caller whom no other site can speak for.
    fn check_origin(&self, head: &Parts, caller: &Caller, incoming: &Incoming<'_>) -> Result<(), Refusal> {
        if !caller.is_ambient() {
            return Ok(());
        }
        if request::is_foreign(&head.headers, self.mount.origin()) {
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

    const fn cookies(&self) -> Cookies {
        Cookies {
            secure: self.mount.is_secure(),
        }
    }

    fn now(&self) -> Timestamp {
        self.connections.now()
    }

    /// An address of the gateway's own.
    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.mount.base_path())
    }
}

impl std::fmt::Debug for GatewayBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayBuilder")
            .field("mount", &self.mount)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("mount", &self.inner.mount)
            .finish_non_exhaustive()
    }
}
