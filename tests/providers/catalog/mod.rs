//! Walks every service of the catalog from the consent to the revocation, against a sandbox that
//! simulates it.
//!
//! The expectations are written by hand from the services' documentation, independently of the
//! descriptors under test.

mod expected;
mod walk;

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use valetkey::connections::AtProvider;
use valetkey::error::{ConsentReason, Misconfigured};
use valetkey::model::{Connection, Status};
use valetkey::testing::sandbox::Logged;
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::SealedVault;
use valetkey::{ActingUser, Connections, ConsentOptions, Error, Resolver, catalog};

use self::expected::HTTPS;
use crate::support::world::{person, response};

struct Host {
    sandbox: Sandbox,
    clock: ManualClock,
    connections: Connections,
    resolver: Resolver,
    alice: ActingUser,
}

impl Host {
    fn new(service: &str, server: &str, redirect: &str) -> Self {
        let clock = ManualClock::default();
        let sandbox = Sandbox::playing(service, clock.clone());
        let connections = Connections::builder(SealedVault::in_memory())
            .client(server, sandbox.registration(redirect))
            .http_client(sandbox.clone())
            .clock(clock.clone())
            .build()
            .unwrap_or_else(|error| panic!("{service}: {error}"));
        Self {
            resolver: Resolver::new(connections.clone()),
            sandbox,
            clock,
            connections,
            alice: person("alice"),
        }
    }

    fn connect(&self, service: &str) -> Connection {
        self.try_connect(service, ConsentOptions::default())
            .unwrap_or_else(|error| panic!("{service}: {error}"))
    }

    fn try_connect(&self, service: &str, options: ConsentOptions) -> Result<Connection, Error> {
        let consent = self.connections.start(&self.alice, service, options)?;
        let callback = self.sandbox.approve(consent.authorization_url(), "ada");
        self.connections
            .complete(&self.alice, response(&callback), consent.binding())
    }

    fn requests_to(&self, address: &str) -> Vec<Logged> {
        let mut log = self.sandbox.log();
        log.retain(|logged| logged.address() == address);
        log
    }
}

fn resolved(host: &Host, it: &str) -> String {
    let token = host.resolver.resolve(&host.alice, it);
    let token = token.unwrap_or_else(|error| panic!("{it}: {error}"));
    token.access_token().expose_secret().to_owned()
}

#[test]
fn a_callback_address_that_a_service_does_not_take_is_refused_with_what_it_takes() {
    for (server, redirect, says) in [
        ("spotify", "http://localhost:8080/cb", "not to localhost"),
        ("microsoft", "http://127.0.0.1:8080/cb", "http to localhost"),
        ("smartthings", "http://127.0.0.1:8080/cb", "https only"),
        ("asana", "http://localhost:8080/cb", "https only"),
        ("google", "http://app.test/cb", "127.0.0.1"),
    ] {
        let error = Connections::builder(SealedVault::in_memory())
            .client(
                server,
                valetkey::provider::ClientRegistration::new("id", "secret", redirect),
            )
            .http_client(Sandbox::new(ManualClock::default()))
            .build()
            .unwrap_err();
        assert!(error.to_string().contains(says), "{server}: {error}");
    }
}

#[test]
fn an_old_todoist_app_has_tokens_without_an_end() {
    let host = Host::new("todoist-legacy", "todoist-legacy", HTTPS);
    let connection = host.connect("todoist-legacy");
    assert!(!connection.refreshable);
    assert_eq!(
        valetkey::internals::model::issued_by(&connection).token_endpoint,
        "https://todoist.com/oauth/access_token"
    );
    host.clock.advance(Duration::from_secs(9 * 365 * 24 * 3600));
    resolved(&host, "todoist-legacy");
}

#[test]
fn an_old_oura_app_has_bare_scopes_and_its_grant_stays_with_its_endpoint() {
    let vault = std::sync::Arc::new(SealedVault::in_memory());
    let clock = ManualClock::default();
    let sandbox = Sandbox::playing("oura-legacy", clock.clone());
    let build = |legacy: bool| {
        let mut provider = if legacy {
            catalog::oura_legacy()
        } else {
            catalog::oura()
        };
        provider.id = catalog::oura().id().clone();
        provider.replaces_builtin = true;
        let server = provider.server.to_string();
        Connections::builder(std::sync::Arc::clone(&vault))
            .provider(provider)
            .client(&server, sandbox.registration(HTTPS))
            .http_client(sandbox.clone())
            .clock(clock.clone())
            .build()
            .unwrap()
    };
    let legacy = build(true);
    let alice = person("alice");
    let consent = legacy.start(&alice, "oura", ConsentOptions::default()).unwrap();
    let callback = sandbox.approve(consent.authorization_url(), "ada");
    let connection = legacy
        .complete(&alice, response(&callback), consent.binding())
        .unwrap();
    // The answer adds the prefix; the scopes are the same.
    assert!(
        connection.missing_scopes().is_empty(),
        "{}",
        connection.missing_scopes()
    );
    assert!(connection.granted.contains("heartrate"));

    // The host changes to the new server: the old grant's refresh token is not sent there.
    let current = build(false);
    sandbox.clear_log();
    let error = current.refresh(&alice, connection.id).unwrap_err();
    assert!(
        matches!(error, Error::Misconfigured(Misconfigured::IssuerChanged(_))),
        "{error}"
    );
    assert!(sandbox.log().is_empty());
    legacy.refresh(&alice, connection.id).unwrap();
}

#[test]
fn an_asana_app_with_full_permissions_asks_for_default_and_for_nothing_else() {
    let host = Host::new("asana", "asana", HTTPS);
    let full = ConsentOptions::default().parameter("scope_mode", "full");
    let consent = host.connections.start(&host.alice, "asana", full).unwrap();
    assert_eq!(consent.scopes().to_string(), "default");
    let wrong = ConsentOptions::default().parameter("scope_mode", "both");
    let error = host.connections.start(&host.alice, "asana", wrong).unwrap_err();
    assert!(error.to_string().contains("scope_mode"), "{error}");
}

#[test]
fn a_jira_person_with_a_site_of_another_name_is_told_which_parameter_to_mend() {
    let host = Host::new("jira", "atlassian", HTTPS);
    let other = ConsentOptions::default().parameter("site_url", "https://other.atlassian.net");
    let error = host.try_connect("jira", other.clone()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the parameter \"site_url\" is missing; pass a valid value with ConsentOptions::parameter"
    );
    // The tokens of the refused consent are revoked at the provider.
    assert!(host.sandbox.live_grants().is_empty());
    let connection = host.connect("jira");
    assert_eq!(connection.parameters["cloud_id"], "cloud-1");
    // With an existing connection, they are not revoked: the server might end the connection's
    // tokens together with them.
    let error = host.try_connect("jira", other).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the parameter \"site_url\" is missing; pass a valid value with ConsentOptions::parameter"
    );
    assert_eq!(host.sandbox.live_grants().len(), 2);
    for evil in [
        "https://evil.test",
        "https://evil.test/acme.atlassian.net",
        "https://atlassian.net",
    ] {
        let evil = ConsentOptions::default().parameter("site_url", evil);
        assert!(host.try_connect("jira", evil).is_err());
    }
    // Text that users copy from their browser names the site.
    for copied in [
        "https://acme.atlassian.net/jira/your-work?x#y",
        " https://Acme.atlassian.net/\n",
        "acme.atlassian.net",
    ] {
        let options = ConsentOptions::default().parameter("site_url", copied);
        let connection = host.try_connect("jira", options).unwrap();
        assert_eq!(
            connection.parameters["site_url"], "https://acme.atlassian.net",
            "{copied}"
        );
    }
    let older =
        ConsentOptions::default().parameter("site_url", "https://acme.jira.com/secure/Dashboard.jspa");
    let error = host.try_connect("jira", older).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the parameter \"site_url\" is missing; pass a valid value with ConsentOptions::parameter",
        "the site is not one of the person's"
    );

    // The token reaches the user's own site and no other site behind the same host.
    for (url, allowed) in [
        (
            "https://api.atlassian.com/ex/jira/cloud-1/rest/api/3/issue/A-1",
            true,
        ),
        (
            "https://api.atlassian.com/ex/jira/cloud-2/rest/api/3/issue/A-1",
            false,
        ),
        (
            "https://api.atlassian.com/oauth/token/accessible-resources",
            false,
        ),
        ("https://acme.atlassian.net/rest/api/3/issue/A-1", false),
    ] {
        let request = http::Request::get(url).body(Vec::new()).unwrap();
        assert_eq!(
            host.resolver.send(&host.alice, "jira", request).is_ok(),
            allowed,
            "{url}"
        );
    }
}

#[test]
fn revoking_one_google_service_says_before_which_others_end_with_it() {
    let clock = ManualClock::default();
    let sandbox = Sandbox::playing("gmail", clock.clone());
    let connections = Connections::builder(SealedVault::in_memory())
        .client("google", sandbox.registration(HTTPS))
        .http_client(sandbox.clone())
        .clock(clock)
        .build()
        .unwrap();
    let alice = person("alice");
    let connect = |provider: &str, account: &str| {
        let consent = connections
            .start(&alice, provider, ConsentOptions::default())
            .unwrap();
        let callback = sandbox.approve(consent.authorization_url(), account);
        connections
            .complete(&alice, response(&callback), consent.binding())
            .unwrap()
    };
    let (mail, calendar, other) = (
        connect("gmail", "ada"),
        connect("google-calendar", "ada"),
        connect("gmail", "grace"),
    );
    let together = connections.revoked_together(&alice, mail.id).unwrap();
    assert_eq!(together.iter().map(|it| it.id).collect::<Vec<_>>(), [calendar.id]);
    assert_eq!(connections.revoked_together(&alice, other.id).unwrap(), []);
    connections.revoke(&alice, mail.id).unwrap();
    assert_eq!(
        sandbox.live_grants().len(),
        1,
        "the server has ended the calendar too"
    );
}
