//! A client secret is sent only to instances at which the client is registered.

mod inner_hosts;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use valetkey::connections::AtProvider;
use valetkey::error::Misconfigured;
use valetkey::http::{HttpError, HttpRequest, HttpResponse};
use valetkey::model::Connection;
use valetkey::provider::{ClientRegistration, DescriptorFile};
use valetkey::testing::ManualClock;
use valetkey::vault::SealedVault;
use valetkey::{ActingUser, Connections, ConsentOptions, Error, Resolver};

use crate::support::world::{REDIRECT, person, response};

const SECRET: &str = "the-secret";

/// A server in which a value determines every address, including that of the API; in four ways.
const FILE: &str = r#"{
  "servers": [
    { "id": "by-base", "authorization_endpoint": "{site}/authorize", "token_endpoint": "{site}/token",
      "revocation": { "endpoint": { "url": "{site}/revoke", "authentication": "post", "tokens": "both", "grant_wide": false } },
      "parameters": [{ "name": "site", "kind": "base_url", "default": "https://by-default.test" }] },
    { "id": "by-host", "authorization_endpoint": "https://{site}/authorize", "token_endpoint": "https://{site}/token",
      "parameters": [{ "name": "site", "kind": "host" }] },
    { "id": "by-word", "authorization_endpoint": "https://{site}/authorize", "token_endpoint": "https://{site}/token",
      "parameters": [{ "name": "site", "kind": "word" }] },
    { "id": "by-label", "authorization_endpoint": "https://{site}.vendor.test/authorize",
      "token_endpoint": "https://{site}.vendor.test/token", "parameters": [{ "name": "site", "kind": "word" }] },
    { "id": "by-refresh", "authorization_endpoint": "https://fixed.test/authorize", "token_endpoint": "https://fixed.test/token",
      "refresh_endpoint": "{site}/token", "parameters": [{ "name": "site", "kind": "base_url" }] },
    { "id": "by-revocation", "authorization_endpoint": "https://fixed.test/authorize", "token_endpoint": "https://fixed.test/token",
      "revocation": { "delete_with_bearer": { "url": "{site}/grant" } },
      "parameters": [{ "name": "site", "kind": "base_url" }] },
    { "id": "by-answer", "authorization_endpoint": "https://fixed.test/authorize", "token_endpoint": "https://fixed.test/token",
      "refresh_endpoint": "{site}/token || https://fixed.test/token",
      "parameters": [{ "name": "site", "kind": "base_url", "source": { "token_answer": "/site" } }] },
    { "id": "by-list", "authorization_endpoint": "https://{site}.vendor.test/authorize",
      "token_endpoint": "https://{site}.vendor.test/token",
      "parameters": [{ "name": "site", "kind": { "one_of": ["eu", "us"] } }] },
    { "id": "fixed", "authorization_endpoint": "https://fixed.test/authorize", "token_endpoint": "https://fixed.test/token",
      "parameters": [{ "name": "site", "kind": "base_url", "optional": true }] },
    { "id": "fixed-word", "authorization_endpoint": "https://fixed.test/authorize", "token_endpoint": "https://fixed.test/token",
      "parameters": [{ "name": "site", "kind": "word", "optional": true }] }
  ],
  "providers": [
    { "id": "by-base", "server": "by-base", "name": "A", "api_base": "{site}/api",
      "account": { "url": "{site}/me", "id": ["/id"] } },
    { "id": "by-host", "server": "by-host", "name": "A", "api_base": "https://{site}/api" },
    { "id": "by-word", "server": "by-word", "name": "A", "api_base": "https://{site}/api" },
    { "id": "by-label", "server": "by-label", "name": "A", "api_base": "https://{site}.vendor.test/api" },
    { "id": "by-refresh", "server": "by-refresh", "name": "A", "api_base": "https://fixed.test/api" },
    { "id": "by-revocation", "server": "by-revocation", "name": "A", "api_base": "https://fixed.test/api" },
    { "id": "by-answer", "server": "by-answer", "name": "A", "api_base": "{site}/api",
      "account": { "url": "{site}/me", "id": ["/id"] } },
    { "id": "by-list", "server": "by-list", "name": "A", "api_base": "https://{site}.vendor.test/api" },
    { "id": "fixed", "server": "fixed", "name": "A", "api_base": "{site}/api || https://fixed.test/api",
      "account": { "url": "{site}/me || https://fixed.test/me", "id": ["/id"] } },
    { "id": "fixed-word", "server": "fixed-word", "name": "A", "api_base": "https://{site}/api || https://fixed.test/api" }
  ]
}"#;

struct Host {
    connections: Connections,
    vault: Arc<SealedVault>,
    clock: ManualClock,
    /// The contacted addresses, in order.
    asked: Arc<Mutex<Vec<String>>>,
    /// The site in the token answer.
    said: &'static str,
    alice: ActingUser,
}

impl Host {
    fn new(server: &str, registered: &[&str]) -> Self {
        Self::saying(server, registered, "https://by-answer.test")
    }

    fn saying(server: &str, registered: &[&str], said: &'static str) -> Self {
        let (vault, clock, asked) = (
            Arc::new(SealedVault::in_memory()),
            ManualClock::default(),
            Arc::default(),
        );
        let connections = connections(server, registered, said, Arc::clone(&vault), &clock, &asked).unwrap();
        Self {
            connections,
            vault,
            clock,
            asked,
            said,
            alice: person("alice"),
        }
    }

    /// Restarts the process with another list.
    fn restart(&mut self, server: &str, registered: &[&str]) {
        let vault = Arc::clone(&self.vault);
        self.connections =
            connections(server, registered, self.said, vault, &self.clock, &self.asked).unwrap();
    }

    fn connect(&self, server: &str, site: Option<&str>) -> Result<Connection, Error> {
        let consent = self.connections.start(&self.alice, server, options(site))?;
        let state = consent
            .authorization_url()
            .as_str()
            .split("state=")
            .nth(1)
            .and_then(|rest| rest.split('&').next())
            .unwrap()
            .to_owned();
        let callback = format!("{REDIRECT}?state={state}&code=the-code");
        self.connections
            .complete(&self.alice, response(&callback), consent.binding())
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn options(site: Option<&str>) -> ConsentOptions {
    match site {
        Some(site) => ConsentOptions::default().parameter("site", site),
        None => ConsentOptions::default(),
    }
}

fn connections(
    server: &str,
    registered: &[&str],
    said: &'static str,
    vault: Arc<SealedVault>,
    clock: &ManualClock,
    asked: &Arc<Mutex<Vec<String>>>,
) -> Result<Connections, Error> {
    let file: DescriptorFile = serde_json::from_str(FILE).unwrap();
    let log = Arc::clone(asked);
    let client = move |request: HttpRequest| -> Result<HttpResponse, HttpError> {
        log.lock().unwrap().push(request.url.to_string());
        let answer = format!(
            r#"{{"access_token":"at","token_type":"bearer","expires_in":60,"refresh_token":"rt","id":"1","site":"{said}"}}"#
        );
        Ok(HttpResponse::new(StatusCode::OK, answer))
    };
    let mut registration = ClientRegistration::new("the-client", SECRET, REDIRECT);
    if !registered.is_empty() {
        registration = registration.for_base_urls(registered.iter().copied());
    }
    let mut builder = Connections::builder(vault)
        .http_client(client)
        .clock(clock.clone())
        .client(server, registration);
    for server in file.servers {
        builder = builder.server(server);
    }
    for provider in file.providers {
        builder = builder.provider(provider);
    }
    builder.build()
}

fn is_not_registered(error: &Error) -> bool {
    matches!(
        error,
        Error::Misconfigured(Misconfigured::InstanceNotRegistered(_))
    ) && error.to_string().contains("ClientRegistration::for_base_urls")
}

fn is_internal(error: &Error) -> bool {
    matches!(error, Error::Parameter(parameter) if parameter.problem().contains("a host that is not public"))
}

/// However the value determines the host, a consent starts only at an instance at which the client
/// is registered.
#[test]
fn a_consent_begins_at_registered_instances_alone() {
    let own = "https://own.test";
    for (server, registered, site, taken) in [
        ("by-base", &[][..], None, true),
        ("by-base", &[], Some("https://by-default.test"), true),
        ("by-base", &[], Some("by-default.test/"), true),
        ("by-base", &[], Some("https://by-default.test:8443"), false),
        ("by-base", &[], Some("https://by-default.test/lab"), false),
        ("by-base", &[], Some("https://evil.test"), false),
        ("by-base", &[own], Some(own), true),
        ("by-base", &[own], Some("https://own.test/lab"), true),
        ("by-base", &[own], None, false),
        ("by-base", &[own], Some("https://evil.test"), false),
        ("by-base", &[own], Some("https://own.test:444"), false),
        ("by-base", &[own], Some("https://own.test.evil.test"), false),
        ("by-base", &[own], Some("https://evil.test/own.test"), false),
        ("by-base", &[own], Some("https://xown.test"), false),
        ("by-base", &[own], Some("https://a.own.test"), false),
        (
            "by-base",
            &["https://own.test/lab"],
            Some("https://own.test/lab"),
            true,
        ),
        (
            "by-base",
            &["https://own.test/lab"],
            Some("https://own.test/lab/x"),
            true,
        ),
        (
            "by-base",
            &["https://own.test/lab"],
            Some("https://own.test/label"),
            false,
        ),
        (
            "by-base",
            &["https://own.test/lab"],
            Some("https://own.test"),
            false,
        ),
        (
            "by-base",
            &["https://own.test:8443/"],
            Some("https://own.test:8443"),
            true,
        ),
        ("by-base", &["https://own.test:8443/"], Some(own), false),
        (
            "by-base",
            &[own, "https://second.test"],
            Some("https://second.test"),
            true,
        ),
        (
            "by-base",
            &["https://*.own.test"],
            Some("https://a.own.test"),
            true,
        ),
        (
            "by-base",
            &["https://*.own.test"],
            Some("https://a.b.own.test"),
            true,
        ),
        ("by-base", &["https://*.own.test"], Some(own), false),
        (
            "by-base",
            &["https://*.own.test"],
            Some("https://xown.test"),
            false,
        ),
        ("by-host", &[], Some("own.test"), false),
        ("by-host", &[own], Some("own.test"), true),
        ("by-host", &[own], Some("own.test:444"), false),
        ("by-host", &[own], Some("evil.test/own.test"), false),
        ("by-word", &[], Some("own.test"), false),
        ("by-word", &[own], Some("own.test"), true),
        ("by-word", &[own], Some("evil.test"), false),
        ("by-label", &[], Some("acme"), false),
        ("by-label", &["https://acme.vendor.test"], Some("acme"), true),
        ("by-label", &["https://acme.vendor.test"], Some("evil"), false),
        ("by-label", &["https://*.vendor.test"], Some("acme"), true),
        ("by-refresh", &[], Some("https://evil.test"), false),
        ("by-refresh", &[own], Some(own), true),
        ("by-revocation", &[], Some("https://evil.test"), false),
        ("by-revocation", &[own], Some(own), true),
        // The token answer provides the value; a value that was passed in does not count.
        ("by-answer", &[], None, true),
        ("by-answer", &[], Some("https://evil.test"), false),
        ("by-list", &[], Some("eu"), true),
        ("by-list", &["https://eu.vendor.test"], Some("eu"), true),
        ("by-list", &["https://eu.vendor.test"], Some("us"), false),
        ("fixed", &[], None, true),
        ("fixed", &[], Some("https://anywhere.test"), true),
        ("fixed", &[own], None, true),
    ] {
        let host = Host::new(server, registered);
        let started = host.connections.start(&host.alice, server, options(site));
        let context = format!("{server} {registered:?} {site:?}: {started:?}");
        assert_eq!(started.is_ok(), taken, "{context}");
        if let Err(error) = started {
            assert!(is_not_registered(&error), "{context}");
        }
        assert_eq!(host.asked(), Vec::<String>::new(), "{context}");
        // Preparing a consent link is refused like starting the consent.
        let prepared = host.connections.prepare(&host.alice, server, options(site));
        assert_eq!(prepared.is_ok(), taken, "{context}");
    }
}

/// A list that has changed since the consent started, or since the tokens were stored, stops each
/// later step.
#[test]
fn every_step_that_sends_a_secret_asks_the_list() {
    let (own, other) = ("https://own.test", "https://other.test");
    for server in ["by-base", "by-host", "by-word"] {
        let site = if server == "by-base" { own } else { "own.test" };
        // The exchange.
        let mut host = Host::new(server, &[own]);
        let consent = host
            .connections
            .start(&host.alice, server, options(Some(site)))
            .unwrap();
        host.restart(server, &[other]);
        let url = consent.authorization_url().clone();
        let state = url
            .query_pairs()
            .find(|(name, _)| name == "state")
            .unwrap()
            .1
            .into_owned();
        let callback = response(&format!("{REDIRECT}?state={state}&code=the-code"));
        let error = host
            .connections
            .complete(&host.alice, callback, consent.binding())
            .unwrap_err();
        assert!(is_not_registered(&error), "{server}: {error}");
        assert_eq!(host.asked(), Vec::<String>::new(), "{server}");

        // The refresh and the revocation.
        host.restart(server, &[own]);
        let connection = host.connect(server, Some(site)).unwrap();
        host.asked();
        host.restart(server, &[other]);
        host.clock.advance(Duration::from_secs(61));
        let resolver = Resolver::new(host.connections.clone());
        let error = resolver.resolve(&host.alice, server).unwrap_err();
        assert!(is_not_registered(&error), "{server}: {error}");
        let revoked = host.connections.revoke(&host.alice, connection.id).unwrap();
        let sent = matches!(
            revoked.at_provider,
            AtProvider::Revoked | AtProvider::Attempted { .. }
        );
        assert!(!sent, "{server}: {:?}", revoked.at_provider);
        assert_eq!(host.asked(), Vec::<String>::new(), "{server}");
    }
}

/// With the correct list, each step contacts the instance, and only that.
#[test]
fn each_step_goes_to_the_registered_instance() {
    let host = Host::new("by-base", &["https://own.test/lab"]);
    let connection = host.connect("by-base", Some("https://own.test/lab")).unwrap();
    host.clock.advance(Duration::from_secs(61));
    Resolver::new(host.connections.clone())
        .resolve(&host.alice, "by-base")
        .unwrap();
    host.connections.revoke(&host.alice, connection.id).unwrap();
    let paths = ["token", "me", "token", "revoke", "revoke"];
    assert_eq!(
        host.asked(),
        paths.map(|path| format!("https://own.test/lab/{path}"))
    );
}

/// A value that the server provided is kept when the connection is renewed, including by a link.
#[test]
fn a_connection_is_renewed_at_the_instance_that_its_server_named() {
    let host = Host::new("by-answer", &[]);
    let connection = host.connect("by-answer", None).unwrap();
    assert_eq!(connection.parameters["site"], "https://by-answer.test");
    let again = || ConsentOptions::default().reconnect(connection.id);
    host.connections.start(&host.alice, "by-answer", again()).unwrap();
    let prepared = host
        .connections
        .prepare(&host.alice, "by-answer", again())
        .unwrap();
    host.connections
        .open_link(&host.alice, prepared.ticket())
        .unwrap();
    let elsewhere = again().parameter("site", "https://evil.test");
    let error = host
        .connections
        .start(&host.alice, "by-answer", elsewhere)
        .unwrap_err();
    assert!(is_not_registered(&error), "{error}");
}

#[test]
fn a_base_url_that_cannot_be_compared_is_refused_when_the_connections_are_built() {
    for base in [
        "own.test",
        "http://own.test",
        "https://",
        "https://*",
        "https://*.test",
        "https://*.corp.internal",
        "https://*.10.0.0.1",
        "https://a.*.own.test",
        "https://own.test/?x=1",
        "https://own.test/#x",
        "https://user@own.test",
        "ftp://own.test",
        " https://own.test",
        "https://own.test\n",
        "https:\\\\own.test",
        "",
    ] {
        let (clock, asked) = (ManualClock::default(), Arc::default());
        let built = connections(
            "by-base",
            &[base],
            "",
            Arc::new(SealedVault::in_memory()),
            &clock,
            &asked,
        );
        let error = built.err().unwrap_or_else(|| panic!("{base:?} is taken"));
        assert!(error.to_string().contains("base_urls"), "{base:?}: {error}");
    }
}
