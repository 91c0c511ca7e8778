//! An asynchronous host: the gateway and a turn loop, mounted in axum.
//!
//! The library blocks. Where it may wait for a provider, the host calls it on a blocking thread
//! (`spawn_blocking`). `peek` never waits for a provider and can be called directly in a handler.
//!
//! `cargo run --example axum_host` walks through it once and exits.
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

#[path = "support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{any, get};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri, header};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use valetkey::gateway::{Authenticator, Caller, Gateway, Mount, Refused};
use valetkey::http::UreqClient;
use valetkey::testing::Sandbox;
use valetkey::vault::{MasterKey, SqliteVault};
use valetkey::{ActingUser, Connections, ConsentOptions, Error as ValetkeyError, Resolver, SystemClock};

use support::browser::{Browser, Page};
use support::loopback::Loopback;

/// The path at which the gateway is mounted.
const MOUNTED_AT: &str = "/connections";
/// The largest body that the host reads.
const MAX_BODY: usize = 64 * 1024;

struct Host {
    sessions: Sessions,
    gateway: Gateway,
    connections: Connections,
    resolver: Resolver,
}

/// Stands for the host's own sessions: the cookie holds a random id, which the host maps to a user.
#[derive(Debug, Clone, Default)]
struct Sessions(Arc<Mutex<HashMap<String, ActingUser>>>);

impl Sessions {
    /// Begins a session for a user who has signed in, and returns its id.
    fn begin(&self, person: ActingUser) -> Option<String> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).ok()?;
        let id = URL_SAFE_NO_PAD.encode(bytes);
        self.lock().insert(id.clone(), person);
        Some(id)
    }

    fn signed_in(&self, headers: &HeaderMap) -> Option<ActingUser> {
        self.lock().get(session(headers)?).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, ActingUser>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authenticator for Sessions {
    fn authenticate(&self, head: &Parts) -> Result<Caller, Refused> {
        // The gateway adds the way back, so that a one-time link survives the sign-in.
        let sign_in = || Refused::SignIn {
            address: "/sign-in".into(),
            return_parameter: "return_to".into(),
        };
        let person = self.signed_in(&head.headers).ok_or_else(sign_in)?;
        let session = session(&head.headers).ok_or_else(sign_in)?;
        Ok(Caller::user(person).in_session(session))
    }
}

fn session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies
        .split(';')
        .find_map(|pair| pair.trim().strip_prefix("session="))
}

/// Passes a request to the gateway, on a thread where it may block.
async fn connections_page(State(host): State<Arc<Host>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let request = Request::from_parts(head, Vec::from(body));
    match spawn_blocking(move || host.gateway.handle(request)).await {
        Ok(response) => response.map(Body::from),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A turn of an agent: it reads the notes of the user who talks to it.
async fn turn(State(host): State<Arc<Host>>, headers: HeaderMap) -> Response {
    let Some(person) = host.sessions.signed_in(&headers) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    // `peek` takes microseconds and does not use the network, so an asynchronous thread can call
    // it. Here it decides the agent's first message.
    let ready = matches!(host.resolver.peek(&person, "notes"), Ok(Some(_)));
    let reply = spawn_blocking(move || answer(&host, &person)).await;
    match reply {
        Ok(Ok(reply)) => format!("ready: {ready}; {reply}").into_response(),
        Ok(Err(_)) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Refreshes the token if necessary, so it may wait. `send` adds the token to the request and keeps
/// it out of the result.
fn answer(host: &Host, person: &ActingUser) -> Result<String, ValetkeyError> {
    let request = http::Request::get("/notes").body(Vec::new()).unwrap_or_default();
    match host.resolver.send(person, "notes", request) {
        Ok(response) => Ok(format!("notes: {}", String::from_utf8_lossy(response.body()))),
        Err(ValetkeyError::ConsentRequired(need)) => {
            let prepared = host
                .connections
                .prepare(person, "notes", ConsentOptions::from(&*need))?;
            let link = host.gateway.mount().connect_url(prepared.ticket());
            Ok(format!("please connect your notes: {link}"))
        }
        Err(error) if error.is_retryable() => Ok("please ask again in a while".into()),
        Err(error) => Err(error),
    }
}

/// Signs Ada in. A real host would ask for a password or use an identity provider.
async fn sign_in(State(host): State<Arc<Host>>, uri: Uri) -> Response {
    let ada = ActingUser::authenticated("acme", "ada");
    let Some(session) = ada.ok().and_then(|ada| host.sessions.begin(ada)) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let cookie = format!("session={session}; Path=/; HttpOnly; SameSite=Lax");
    let cookie = [(header::SET_COOKIE, cookie)];
    match way_back(uri.query().unwrap_or_default()) {
        Some(path) => (cookie, Redirect::to(&path)).into_response(),
        None => (cookie, "Hello, Ada.").into_response(),
    }
}

/// Returns the path of this host to go back to. Addresses of other hosts are ignored.
fn way_back(query: &str) -> Option<String> {
    let (_, path) = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "return_to")?;
    path.starts_with(&format!("{MOUNTED_AT}/"))
        .then(|| path.into_owned())
}

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_io()
        .build()?
        .block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let provider = Loopback::bind("127.0.0.1", 0)?;
    let sandbox = Sandbox::at(&provider.origin(), SystemClock);
    let served = sandbox.clone();
    provider.serve(move |request| served.handle(request));

    let mount = Mount::dangerous_loopback_http(&origin)?.under(MOUNTED_AT)?;
    let connections = Connections::builder(SqliteVault::in_memory(MasterKey::generate()?)?)
        .server(sandbox.server())
        .provider(sandbox.provider("notes"))
        .client("sandbox", sandbox.registration(&mount.callback_url("sandbox")))
        .http_client(UreqClient::new().dangerous_loopback_http())
        .dangerous_loopback_http()
        .build()?;
    let sessions = Sessions::default();
    let host = Arc::new(Host {
        gateway: Gateway::new(connections.clone(), mount, sessions.clone()),
        sessions,
        connections: connections.clone(),
        resolver: Resolver::new(connections),
    });
    // Not `nest`: `handle` expects the path that the browser sees. Behind `nest`, call
    // `handle_stripped`.
    let app = Router::new()
        .route("/sign-in", get(sign_in))
        .route("/turn", get(turn))
        .route(MOUNTED_AT, any(connections_page))
        .route(&format!("{MOUNTED_AT}/"), any(connections_page))
        .route(&format!("{MOUNTED_AT}/{{*path}}"), any(connections_page))
        .with_state(host);
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let walked = spawn_blocking(move || walk(&origin).map_err(|error| error.to_string())).await?;
    server.abort();
    Ok(walked?)
}

/// A user with a browser.
fn walk(origin: &str) -> Result<(), Box<dyn Error>> {
    let mut ada = Browser::new();
    ada.open(&format!("{origin}/sign-in"))?;
    let asked = ada.open(&format!("{origin}/turn"))?;
    let link = asked
        .html
        .split("notes: ")
        .nth(1)
        .ok_or("the agent gives a link")?
        .to_owned();
    println!("1. The agent has no access to Ada's notes yet and gives her a one-time link");

    // This browser is not signed in yet: the link survives the sign-in.
    let mut ada = Browser::new();
    let page = ada.open(&link)?;
    let connection = allow(&mut ada, &page)?;
    if !connection.html.contains("ada@example.test") {
        return Err("the account is shown".into());
    }
    println!("2. She opened it, signed in, allowed access at the provider, and returned to her connection");

    let told = ada.open(&format!("{origin}/turn"))?;
    if !(told.html.contains("ready: true") && told.html.contains("Note G")) {
        return Err(format!("the agent reads the notes: {}", told.html).into());
    }
    println!("3. The agent read them: {}", told.html);
    Ok(())
}

fn allow(browser: &mut Browser, page: &Page) -> Result<Page, Box<dyn Error>> {
    let scopes = page.values("scope");
    let mut form = vec![("account", "ada"), ("decision", "allow")];
    form.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
    browser.submit(page, &form)
}
