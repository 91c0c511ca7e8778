//! Differences by the registration of an app, or by the time of a refresh: a self-managed instance,
//! a personal account, a period in which a used refresh token is accepted once more.

use std::time::Duration;

use url::Url;
use valetkey::internals::provider::CompiledServer;
use valetkey::model::Status;
use valetkey::testing::sandbox::{IssuerEcho, Personality, Surface};
use valetkey::testing::{Fault, FaultClient, ManualClock, Sandbox};
use valetkey::vault::SealedVault;
use valetkey::{Connections, ConsentOptions, Error, Resolver, catalog};

use crate::support::world::{REDIRECT, person, response};

/// A self-managed GitLab, below a path of a host with a port: every address is there, and the token
/// is sent nowhere else.
#[test]
fn a_gitlab_of_ones_own_is_asked_at_its_own_addresses_alone() {
    const BASE: &str = "https://git.acme.test:8443/lab";
    let clock = ManualClock::default();
    let mut surface = Surface::new(
        format!("{BASE}/oauth/authorize"),
        format!("{BASE}/oauth/token"),
        format!("{BASE}/api/v4"),
    );
    surface.revocation = Some(format!("{BASE}/oauth/revoke"));
    let account = r#"{"id":"{id}","email":"{email}","username":"{name}"}"#;
    surface.resources = vec![(format!("{BASE}/api/v4/user"), account.into())];
    let mut personality = Personality::default();
    personality.issuer = IssuerEcho::Never;
    let sandbox = Sandbox::playing_as(surface, personality, clock.clone());
    let connections = Connections::builder(SealedVault::in_memory())
        .client(
            catalog::GITLAB,
            sandbox.registration(REDIRECT).for_base_urls([BASE]),
        )
        .http_client(sandbox.clone())
        .clock(clock)
        .build()
        .unwrap();
    let alice = person("alice");
    let options = ConsentOptions::default().parameter("base_url", "https://Git.acme.test:8443/lab/");
    let consent = connections.start(&alice, catalog::GITLAB, options).unwrap();
    let callback = sandbox.approve(consent.authorization_url(), "ada");
    let connection = connections
        .complete(&alice, response(&callback), consent.binding())
        .unwrap();
    assert_eq!(connection.parameters["base_url"], BASE);
    assert!(connection.account.is_some());

    let resolver = Resolver::new(connections.clone());
    let token = resolver.resolve(&alice, catalog::GITLAB).unwrap();
    for (address, allowed) in [
        ("https://git.acme.test:8443/lab/api/v4/projects", true),
        ("https://git.acme.test:8443/other", false),
        ("https://git.acme.test/lab/api/v4/projects", false),
        ("https://gitlab.com/api/v4/projects", false),
    ] {
        assert_eq!(token.allows(&Url::parse(address).unwrap()), allowed, "{address}");
    }
    connections.revoke(&alice, connection.id).unwrap();
    let log = sandbox.log();
    // The sandbox's own page for the user does not count.
    let asked: Vec<&str> = log
        .iter()
        .map(|logged| logged.address())
        .filter(|address| !address.ends_with("/authorize/decision"))
        .map(|address| address.strip_prefix(BASE).unwrap_or_else(|| panic!("{address}")))
        .collect();
    let revoke = "/oauth/revoke";
    assert_eq!(
        asked,
        ["/oauth/authorize", "/oauth/token", "/api/v4/user", revoke, revoke]
    );
}

/// Work and personal accounts have different pages to revoke access: the descriptor links one and
/// mentions the other in its notes.
#[test]
fn a_personal_microsoft_account_is_told_of_its_own_page() {
    let server = CompiledServer::compile(catalog::microsoft()).unwrap();
    let page = server.revocation_page(&valetkey::model::Parameters::new());
    assert_eq!(page.unwrap().as_str(), "https://myapps.microsoft.com/");
    let says = |note: &String| note.contains("https://account.live.com/consent/Manage");
    assert!(server.notes.iter().any(says), "{:?}", server.notes);
}

/// Todoist accepts a used refresh token for a minute and answers with the access token that it
/// issued for it, but without a refresh token. The lost answer contained the only valid refresh
/// token: the access token is used for its hour, and the loss is reported at its end.
#[test]
fn a_todoist_answer_that_was_lost_serves_its_hour_and_is_declared_at_the_end() {
    let clock = ManualClock::default();
    let sandbox = Sandbox::playing("todoist", clock.clone());
    let http = FaultClient::new(sandbox.clone());
    let connections = Connections::builder(SealedVault::in_memory())
        .client(catalog::TODOIST, sandbox.registration(REDIRECT))
        .http_client(http.clone())
        .clock(clock.clone())
        .build()
        .unwrap();
    let alice = person("alice");
    let consent = connections
        .start(&alice, catalog::TODOIST, ConsentOptions::default())
        .unwrap();
    let callback = sandbox.approve(consent.authorization_url(), "ada");
    let connection = connections
        .complete(&alice, response(&callback), consent.binding())
        .unwrap();
    let resolver = Resolver::new(connections.clone());
    let first = resolver.resolve(&alice, catalog::TODOIST).unwrap();

    clock.advance(Duration::from_secs(3601));
    http.on("/oauth/access_token").next(Fault::InterruptedAfterSend);
    let before = sandbox.count("/oauth/access_token");
    // The answer was lost within the minute, so the request is repeated at once.
    let second = resolver.resolve(&alice, catalog::TODOIST).unwrap();
    assert_eq!(sandbox.count("/oauth/access_token") - before, 2);
    let differs = first.access_token().expose_secret() != second.access_token().expose_secret();
    assert!(differs, "the token is that of the refresh whose answer was lost");
    let held = connections.get(&alice, connection.id).unwrap();
    assert_eq!((held.status, held.refreshable), (Status::Active, true));

    clock.advance(Duration::from_secs(3601));
    let error = resolver.resolve(&alice, catalog::TODOIST).unwrap_err();
    assert!(matches!(error, Error::ConsentRequired(_)), "{error}");
}
