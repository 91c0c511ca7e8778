//! Every service, every form of error response, and every place where one can occur, with a marker
//! in every field: the marker appears in no error, `Debug`, panic, event, log line, audit entry or
//! page.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Request, StatusCode};
use valetkey::connections::AuditPage;
use valetkey::gateway::{Gateway, Mount};
use valetkey::http::{HttpClient, HttpError, HttpRequest, HttpResponse};
use valetkey::model::Connection;
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::SealedVault;
use valetkey::{ActingUser, AuthorizationResponse, Connections, ConsentOptions, Error, Resolver, catalog};

use crate::logs::Log;
use crate::support::gateway::{BASE, Door, ORIGIN};
use crate::support::printed::{self, Transcript, secrets};
use crate::support::world::{Events, operator, person, response};

/// An error response: the status, the media type and the body. `{sent}` stands for the request,
/// because some servers repeat it.
type Shape = (u16, &'static str, &'static str);

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const HTML: &str = "text/html; charset=utf-8";

/// Responses that services have been observed to send, and possible ones.
const SHAPES: [Shape; 30] = [
    // RFC 6749 §5.2, with a standard code and a nonstandard one.
    (
        400,
        JSON,
        r#"{"error":"invalid_grant","error_description":"marker {sent}","error_uri":"https://marker.test/marker"}"#,
    ),
    (
        401,
        JSON,
        r#"{"error":"invalid_client","error_description":"marker","marker":{"marker":["marker"]}}"#,
    ),
    (400, JSON, r#"{"error":"marker","error_description":"marker"}"#),
    (
        200,
        JSON,
        r#"{"error":"invalid_grant","error_description":"marker {sent}"}"#,
    ),
    // Google.
    (
        400,
        JSON,
        r#"{"error":"invalid_grant","error_description":"marker","error_subtype":"marker"}"#,
    ),
    (
        401,
        JSON,
        r#"{"error":{"code":401,"message":"marker","status":"marker","errors":[{"message":"marker","reason":"marker"}]}}"#,
    ),
    // Microsoft.
    (
        400,
        JSON,
        r#"{"error":"interaction_required","error_description":"AADSTS50076: marker","error_codes":[50076],"timestamp":"marker","trace_id":"marker","correlation_id":"marker","suberror":"marker","claims":"{marker}"}"#,
    ),
    // Todoist.
    (
        403,
        JSON,
        r#"{"error":"marker","error_code":403,"error_tag":"marker","error_extra":{"access_token":"marker"},"http_code":403}"#,
    ),
    // Asana, at its API.
    (
        401,
        JSON,
        r#"{"errors":[{"message":"marker","help":"marker","phrase":"marker"}]}"#,
    ),
    // Jira: a dead refresh token is a 403.
    (
        403,
        JSON,
        r#"{"error":"unauthorized_client","error_description":"marker"}"#,
    ),
    (401, JSON, r#"{"code":401,"message":"marker"}"#),
    // ClickUp.
    (401, JSON, r#"{"err":"marker","ECODE":"OAUTH_023"}"#),
    (400, JSON, r#"{"err":"marker","ECODE":"marker"}"#),
    // GitLab.
    (401, JSON, r#"{"message":"marker","state":"marker"}"#),
    // Oura.
    (
        401,
        JSON,
        r#"{"status":401,"title":"marker","detail":"marker {sent}"}"#,
    ),
    // Spotify, at its API.
    (401, JSON, r#"{"error":{"status":401,"message":"marker"}}"#),
    // SmartThings.
    (
        422,
        JSON,
        r#"{"requestId":"marker","error":{"code":"marker","message":"marker","details":[{"code":"marker","target":"marker"}]}}"#,
    ),
    // Fitbit, before it moved.
    (
        400,
        JSON,
        r#"{"errors":[{"errorType":"invalid_grant","message":"marker"}],"success":false}"#,
    ),
    // Slack.
    (
        200,
        JSON,
        r#"{"ok":false,"error":"marker","needed":"marker","provided":"marker"}"#,
    ),
    // Wrong types, another root, nothing, text, a form, a page.
    (
        200,
        JSON,
        r#"{"access_token":["marker"],"token_type":{"marker":1},"expires_in":"marker","scope":{"marker":1}}"#,
    ),
    (200, JSON, r#"{"access_token":"marker","token_type":"marker"}"#),
    (200, JSON, r#"{"access_token":"mar"ker"}"#),
    (200, JSON, r#"["marker",{"error":"marker"}]"#),
    (400, JSON, r#""marker""#),
    (400, JSON, ""),
    (500, "text/plain", "marker {sent}"),
    (400, FORM, "error=marker&error_description=marker+{sent}"),
    (502, HTML, "<html><title>marker</title>{sent}</html>"),
    (302, HTML, "<a href=\"https://marker.test/?{sent}\">marker</a>"),
    (429, JSON, r#"{"error":"slow_down","message":"marker"}"#),
];

/// A service that the test can make fail.
#[derive(Clone)]
struct Trap {
    sandbox: Sandbox,
    set: Arc<Mutex<Option<(Shape, Whom)>>>,
}

/// The requests that fail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whom {
    All,
    Questions,
}

impl Trap {
    fn set(&self, shape: Shape, whom: Whom) {
        *self.set.lock().unwrap() = Some((shape, whom));
    }

    fn clear(&self) {
        *self.set.lock().unwrap() = None;
    }
}

impl HttpClient for Trap {
    fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let set = *self.set.lock().unwrap();
        match set {
            Some((shape, whom)) if whom == Whom::All || request.method == http::Method::GET => {
                Ok(refusal(shape, &request))
            }
            _ => self.sandbox.send(request),
        }
    }
}

fn refusal((status, media_type, body): Shape, request: &HttpRequest) -> HttpResponse {
    let sent = String::from_utf8_lossy(request.body.as_bytes()).into_owned();
    let credentials = request.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let credentials = String::from_utf8_lossy(credentials.unwrap_or_default()).into_owned();
    let body = body.replace("{sent}", &(sent + &credentials).replace('"', "'"));
    // The API says which scopes are missing. It must not be able to name the token as one.
    let token = credentials.strip_prefix("Bearer ").unwrap_or("all");
    let challenge = format!(
        r#"Bearer realm="marker", error="insufficient_scope", error_description="marker", scope="read {token}", error_uri="https://marker""#
    );
    HttpResponse::new(StatusCode::from_u16(status).unwrap(), body)
        .with_header(CONTENT_TYPE, HeaderValue::from_static(media_type))
        .with_header(WWW_AUTHENTICATE, HeaderValue::from_str(&challenge).unwrap())
        .with_header(LOCATION, HeaderValue::from_static("https://marker.test/?marker"))
        .with_header(RETRY_AFTER, HeaderValue::from_static("marker"))
        .with_header(
            HeaderName::from_static("x-marker"),
            HeaderValue::from_static("marker"),
        )
}

struct Host {
    trap: Trap,
    clock: ManualClock,
    events: Events,
    connections: Connections,
    resolver: Resolver,
    gateway: Gateway,
    alice: ActingUser,
    service: String,
    server: String,
    /// Secrets created here that never reached the sandbox.
    made: Mutex<Vec<String>>,
}

impl Host {
    fn new(service: &str, server: &str) -> Self {
        let clock = ManualClock::default();
        let trap = Trap {
            sandbox: Sandbox::playing(service, clock.clone()),
            set: Arc::default(),
        };
        let events = Events::default();
        let build = |redirect: &str| {
            Connections::builder(SealedVault::in_memory())
                .client(server, trap.sandbox.registration(redirect))
                .http_client(trap.clone())
                .clock(clock.clone())
                .events(events.clone())
                .build()
        };
        // Some accept only a loopback address, others reject it.
        let connections = build("https://app.test/callback")
            .or_else(|_| build("http://127.0.0.1:8080/callback"))
            .unwrap_or_else(|error| panic!("{service}: {error}"));
        let mount = Mount::new(ORIGIN).unwrap().under(BASE).unwrap();
        Self {
            gateway: Gateway::new(connections.clone(), mount, Door),
            resolver: Resolver::new(connections.clone()),
            trap,
            clock,
            events,
            connections,
            alice: person("alice"),
            service: service.into(),
            server: server.into(),
            made: Mutex::default(),
        }
    }

    fn connect(&self) -> Result<Connection, Error> {
        let options = ConsentOptions::default();
        let consent = self.connections.start(&self.alice, &self.service, options)?;
        let callback = self.trap.sandbox.approve(consent.authorization_url(), "ada");
        self.connections
            .complete(&self.alice, response(&callback), consent.binding())
    }

    /// Everything that a host or a user may look at.
    fn look(&self, it: &mut Transcript, connection: Option<&Connection>) {
        it.debug(&self.connections);
        it.debug(&self.events.all());
        it.outcome(self.connections.audit(&operator(), &AuditPage::default()));
        let mut paths = vec!["/".to_owned(), "/v1/connections".into(), "/v1/audit".into()];
        for known in it
            .outcome(self.connections.list(&operator(), &Default::default()))
            .unwrap()
        {
            it.outcome(self.connections.health(&operator(), known.id));
            paths.push(format!("/connections/{}", known.id));
            paths.push(format!("/v1/connections/{}", known.id));
        }
        paths.extend(connection.map(|known| format!("/connections/{}/revoke", known.id)));
        for path in paths {
            self.page(it, &path);
        }
    }

    fn page(&self, it: &mut Transcript, path: &str) {
        let request = Request::get(format!("{BASE}{path}"))
            .header("cookie", "session=acme.olga.operator")
            .body(Vec::new())
            .unwrap();
        let page = self.gateway.handle(request);
        it.debug(&page.headers());
        it.text(&String::from_utf8_lossy(page.body()));
    }
}

/// An error callback, through the library and through the gateway.
fn callbacks(host: &Host, it: &mut Transcript) -> usize {
    let callbacks = [
        "error=marker&error_description=marker&error_uri=https%3A%2F%2Fmarker.test",
        "error=access_denied&error_description=marker&marker=marker",
        "error=server_error&error_description=marker&code=",
        "error=access_denied&code=marker",
        "error_reason=marker",
        "code=marker&error=marker&error=marker",
    ];
    for callback in callbacks {
        let consent = host
            .connections
            .start(&host.alice, &host.service, ConsentOptions::default())
            .unwrap();
        let state = consent
            .authorization_url()
            .query_pairs()
            .find(|(name, _)| name == "state")
            .map_or_else(|| "none".to_owned(), |(_, state)| state.into_owned());
        let callback = format!("{callback}&state={state}");
        let mut made = host.made.lock().unwrap();
        made.extend([state, consent.binding().expose_secret().to_owned()]);
        match AuthorizationResponse::parse(&callback) {
            Ok(response) => {
                it.debug(&response);
                it.outcome(
                    host.connections
                        .complete(&host.alice, response, consent.binding()),
                );
            }
            Err(error) => it.error(error),
        }
        host.page(it, &format!("/callback/{}?{callback}", host.server));
    }
    callbacks.len()
}

/// Sends one error response at each place. Returns the number of places.
fn refusals(host: &Host, shape: Shape, it: &mut Transcript) -> usize {
    let trap = &host.trap;
    // At the code exchange.
    trap.set(shape, Whom::All);
    it.outcome(host.connect());
    // At the account or site query.
    trap.set(shape, Whom::Questions);
    it.outcome(host.connect());
    trap.clear();
    let connection = host
        .connect()
        .unwrap_or_else(|error| panic!("{}: {error}", host.service));

    // At the API: the response belongs to the host, the error to this crate.
    trap.set(shape, Whom::All);
    let request = Request::get("/things").body(Vec::new()).unwrap();
    if let Err(error) = host.resolver.send(&host.alice, &host.service, request) {
        it.error(error);
    }
    // At the refresh, also by upkeep.
    host.clock.advance(Duration::from_secs(2 * 86_400));
    it.outcome(host.resolver.resolve(&host.alice, &host.service));
    it.outcome(host.connections.refresh(&host.alice, connection.id));
    it.outcome(host.connections.maintain(Default::default()));
    host.look(it, Some(&connection));
    // At the revocation, immediate and later.
    it.outcome(host.connections.revoke(&host.alice, connection.id));
    host.clock.advance(Duration::from_secs(86_400));
    it.outcome(host.connections.maintain(Default::default()));
    trap.clear();
    host.look(it, None);
    for left in host.connections.list(&operator(), &Default::default()).unwrap() {
        host.connections.revoke(&operator(), left.id).unwrap();
    }
    5
}

#[test]
fn promise_24_no_word_of_a_server_is_printed() {
    printed::keep_quiet_about_made_panics();
    let (mut services, mut cells) = (0, 0);
    for provider in catalog::providers() {
        let fresh = || Host::new(provider.id.as_str(), provider.server.as_str());
        cells += checked(&fresh(), callbacks);
        for shape in SHAPES {
            cells += checked(&fresh(), |host, it| refusals(host, shape, it));
        }
        services += 1;
    }
    assert_eq!((services, cells), (21, 21 * (6 + 30 * 5)));
}

/// Runs the closure, and searches everything printed and logged meanwhile.
fn checked(host: &Host, act: impl FnOnce(&Host, &mut Transcript) -> usize) -> usize {
    let mut it = Transcript::default();
    let log = Log::listen();
    let cells = act(host, &mut it);
    it.text(&log.lines());
    let mut all = secrets(&host.trap.sandbox);
    all.append(&mut host.made.lock().unwrap());
    it.assert_clean(&all);
    cells
}
