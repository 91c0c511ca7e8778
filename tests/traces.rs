//! A subscriber that records every level while every service is used: spans with their outcome, and
//! no secret.

mod support;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Request;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_core::span::Current;
use valetkey::http::{HttpClient, HttpError, HttpRequest, HttpResponse, UreqClient};
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::{MasterKey, SealedVault, SqliteVault, Vault};
use valetkey::{ActingUser, Connections, ConsentOptions, Resolver, catalog};

use crate::support::examples::loopback::Loopback;
use crate::support::printed::secrets;
use crate::support::world::{self, person, response};

/// Everything that was traced and logged.
struct Heard {
    text: String,
    spans: Vec<(
        &'static str,
        BTreeMap<&'static str, String>,
        &'static Metadata<'static>,
    )>,
    /// Returns the events of this crate: their level and their fields.
    events: Vec<(Level, BTreeMap<&'static str, String>)>,
}

static HEARD: Mutex<Heard> = Mutex::new(Heard {
    text: String::new(),
    spans: Vec::new(),
    events: Vec::new(),
});

fn heard() -> MutexGuard<'static, Heard> {
    HEARD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Collects the fields of one record.
#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

struct Ear;

thread_local! {
    /// The open spans, innermost last.
    static OPEN: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) };
}

impl Subscriber for Ear {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        let mut heard = heard();
        writeln!(heard.text, "{} {:?}", span.metadata().name(), fields.0).unwrap();
        heard
            .spans
            .push((span.metadata().name(), fields.0, span.metadata()));
        Id::from_u64(heard.spans.len() as u64)
    }
    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        let mut heard = heard();
        writeln!(heard.text, "{:?}", fields.0).unwrap();
        let at = usize::try_from(span.into_u64()).unwrap() - 1;
        heard.spans[at].1.append(&mut fields.0);
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut heard = heard();
        writeln!(heard.text, "{} {:?}", event.metadata().target(), fields.0).unwrap();
        if event.metadata().target() == "valetkey" {
            heard.events.push((*event.metadata().level(), fields.0));
        }
    }
    fn enter(&self, span: &Id) {
        OPEN.with_borrow_mut(|open| open.push(span.clone()));
    }
    fn exit(&self, _: &Id) {
        OPEN.with_borrow_mut(Vec::pop);
    }
    fn current_span(&self) -> Current {
        let open = OPEN.with_borrow(|open| open.last().cloned());
        let Some(span) = open else {
            return Current::none();
        };
        let at = usize::try_from(span.into_u64()).unwrap() - 1;
        Current::new(span, heard().spans[at].2)
    }
}

impl log::Log for Ear {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        writeln!(heard().text, "{} {}", record.target(), record.args()).unwrap();
    }
    fn flush(&self) {}
}

/// A service that the test can disconnect.
#[derive(Clone)]
struct Line<C>(C, std::sync::Arc<Mutex<bool>>);

impl<C: HttpClient> HttpClient for Line<C> {
    fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if *self.1.lock().unwrap() {
            return Err(HttpError::Timeout);
        }
        self.0.send(request)
    }
}

struct Walk {
    connections: Connections,
    sandbox: Sandbox,
    clock: ManualClock,
    cut: std::sync::Arc<Mutex<bool>>,
    alice: ActingUser,
}

impl Walk {
    /// Performs consent, use, expiry, an outage and revocation, with and without success; the
    /// results of `act` are ignored.
    fn through(&self, service: &str) {
        let (connections, alice) = (&self.connections, &self.alice);
        let resolver = Resolver::new(connections.clone());
        let _ = resolver.resolve(alice, service);
        let _ = resolver.resolve(alice, "sk-made-up-by-a-model");
        let consent = connections
            .start(alice, service, ConsentOptions::default())
            .unwrap();
        let callback = self.sandbox.approve(consent.authorization_url(), "ada");
        let stranger = connections.complete(&person("bob"), response(&callback), consent.binding());
        assert!(stranger.is_err());
        let connection = connections
            .complete(alice, response(&callback), consent.binding())
            .unwrap_or_else(|error| panic!("{service}: {error}"));
        let turn = resolver.turn(alice.clone());
        drop(turn.resolve(service).unwrap());
        let request = || Request::get("/things?q=1").body(Vec::new()).unwrap();
        let _ = turn.send(service, request());
        self.clock.advance(Duration::from_secs(2 * 86_400));
        *self.cut.lock().unwrap() = true;
        let _ = turn.resolve(service);
        *self.cut.lock().unwrap() = false;
        self.clock.advance(Duration::from_secs(3_600));
        let _ = turn.resolve(service);
        let _ = resolver.send(alice, service, request());
        let _ = connections.refresh(alice, connection.id);
        self.sandbox.revoke_at_server("ada");
        let _ = connections.refresh(alice, connection.id);
        connections.maintain(Default::default()).unwrap();
        connections.revoke(alice, connection.id).unwrap();
    }
}

fn build(
    sandbox: &Sandbox,
    server: &str,
    redirect: &str,
    clock: &ManualClock,
    vault: impl Vault,
    line: impl HttpClient,
    extend: impl FnOnce(valetkey::connections::ConnectionsBuilder) -> valetkey::connections::ConnectionsBuilder,
) -> valetkey::Result<Connections> {
    let builder = Connections::builder(vault)
        .client(server, sandbox.registration(redirect))
        .http_client(line)
        .clock(clock.clone());
    extend(builder).build()
}

/// Every service, in process.
fn services(all: &mut Vec<String>) -> usize {
    let mut walked = 0;
    for provider in catalog::providers() {
        let clock = ManualClock::default();
        let sandbox = Sandbox::playing(provider.id.as_str(), clock.clone());
        let cut = std::sync::Arc::new(Mutex::new(false));
        let at = |redirect| {
            let line = Line(sandbox.clone(), std::sync::Arc::clone(&cut));
            build(
                &sandbox,
                provider.server.as_str(),
                redirect,
                &clock,
                SealedVault::in_memory(),
                line,
                |it| it,
            )
        };
        let connections = at("https://app.test/callback")
            .or_else(|_| at("http://127.0.0.1:8080/callback"))
            .unwrap();
        let walk = Walk {
            connections,
            sandbox: sandbox.clone(),
            clock: clock.clone(),
            cut,
            alice: person("alice"),
        };
        walk.through(provider.id.as_str());
        all.extend(secrets(&sandbox));
        walked += 1;
    }
    walked
}

/// The same over loopback HTTP, through the default client, with a vault in a file.
fn loopback(all: &mut Vec<String>) {
    let clock = ManualClock::default();
    let server = Loopback::bind("127.0.0.1", 0).unwrap();
    let sandbox = Sandbox::at(&server.origin(), clock.clone());
    let served = sandbox.clone();
    server.serve(move |request| served.handle(request));
    let directory = tempfile::tempdir().unwrap();
    let key = MasterKey::generate().unwrap();
    all.push(key.to_base64().to_string());
    let vault = SqliteVault::open(directory.path().join("vault.db"), key).unwrap();
    let cut = std::sync::Arc::new(Mutex::new(false));
    let line = Line(
        UreqClient::new().dangerous_loopback_http(),
        std::sync::Arc::clone(&cut),
    );
    let connections = build(&sandbox, "sandbox", world::REDIRECT, &clock, vault, line, |it| {
        it.server(sandbox.server())
            .provider(sandbox.provider("notes"))
            .dangerous_loopback_http()
    })
    .unwrap();
    let walk = Walk {
        connections,
        sandbox: sandbox.clone(),
        clock,
        cut,
        alice: person("alice"),
    };
    walk.through("notes");
    all.extend(secrets(&sandbox));
}

// librefang/librefang#5525, metabrainz/picard#3409, evcc-io/evcc#33339: tokens in debug logs.
#[test]
fn promise_24_everything_is_traced_and_no_secret_is() {
    log::set_boxed_logger(Box::new(Ear)).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    tracing::subscriber::set_global_default(Ear).unwrap();

    let mut all = Vec::new();
    assert_eq!(services(&mut all), 21);
    let in_process = heard().text.len();
    loopback(&mut all);

    let heard = heard();
    let over_the_wire = &heard.text[in_process..];
    assert!(over_the_wire.contains("ureq"), "the HTTP client was not heard");
    let names: BTreeSet<_> = heard.spans.iter().map(|(name, _, _)| *name).collect();
    let seams = [
        "complete", "maintain", "refresh", "resolve", "revoke", "send", "start",
    ];
    assert!(seams.iter().all(|seam| names.contains(seam)), "{names:?}");

    let ours = || heard.spans.iter().filter(|(name, _, _)| seams.contains(name));
    for (name, fields, _) in ours() {
        for field in ["outcome", "elapsed_us"] {
            assert!(
                fields.contains_key(field),
                "{name} ended without {field}: {fields:?}"
            );
        }
        let expected: &[&str] = match *name {
            "maintain" => &[],
            // The user is only known once their consent is found.
            "complete" if fields["outcome"] != "ok" => &["tenant", "user"],
            "resolve" if fields["outcome"] == "unknown_provider" => &["tenant", "user"],
            "refresh" => &["tenant", "connection", "provider"],
            "revoke" => &["tenant", "user", "connection", "provider"],
            _ => &["tenant", "user", "provider"],
        };
        for field in expected {
            assert!(fields.contains_key(field), "{name} has no {field}: {fields:?}");
        }
    }
    let told: BTreeSet<_> = ours()
        .filter_map(|(_, fields, _)| Some(format!("{} {}", fields["outcome"], fields.get("reason")?)))
        .collect();
    for outcome in [
        "consent wrong_user",
        "consent_required not_connected",
        "consent_required rejected",
        "unavailable timed_out",
    ] {
        assert!(told.contains(outcome), "{outcome} is not among {told:?}");
    }
    let levels: BTreeSet<_> = heard
        .events
        .iter()
        .map(|(level, fields)| format!("{level} {}", fields["message"]))
        .collect();
    for event in [
        "INFO consent_started",
        "INFO consent_completed",
        "INFO refreshed",
        "WARN refresh_failed: timed_out",
        "WARN consent_needed: rejected",
        "INFO revoked",
    ] {
        assert!(levels.contains(event), "{event} is not among {levels:?}");
    }
    for (_, fields) in &heard.events {
        let detail = fields.get("detail").map(|detail| format!(": {detail}"));
        let whole = format!("{}{}", fields["kind"], detail.unwrap_or_default());
        assert_eq!(fields["message"], whole);
        assert!(fields.contains_key("tenant"), "{fields:?}");
    }

    assert!(all.len() > 100, "only {} secrets were in play", all.len());
    all.push("sk-made-up-by-a-model".into());
    for secret in &all {
        let place = heard.text.find(secret.as_str());
        assert!(
            place.is_none(),
            "a secret of {} bytes was traced at {place:?}",
            secret.len()
        );
    }
    for word in [
        "grant_type",
        "code_verifier",
        "client_secret",
        "?state=",
        "&scope=",
    ] {
        assert!(!heard.text.contains(word), "{word} was traced");
    }
    // The default client logs the address of a request, including the query that the caller wrote.
    for line in heard.text.lines().filter(|line| line.contains("q=1")) {
        assert!(line.starts_with("ureq"), "{line}");
    }
}
