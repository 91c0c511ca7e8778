//! Tests of the test host.

use super::*;
use crate::clock::Clock as _;
use crate::connections::Settings;
use crate::error::Error;
use crate::model::EventKind;
use crate::resolver::Calls;

#[test]
fn connections_resolver_and_sandbox_share_one_clock() {
    let host = Host::new();
    let ada = host.user("ada");
    let connection = host.connect(&ada, "notes");
    assert_eq!(connection.created_at, host.clock.now());
    let first = host.resolver.resolve(&ada, "notes").unwrap();
    let first = first.access_token().expose_secret().to_owned();
    assert!(host.sandbox.is_live(&first));
    host.expire();
    assert!(!host.sandbox.is_live(&first));
    let second = host.resolver.resolve(&ada, "notes").unwrap();
    assert!(host.sandbox.is_live(second.access_token().expose_secret()));
}

#[test]
fn a_person_connects_the_account_of_their_name() {
    let host = Host::new();
    let account = |connection: Connection| connection.account.unwrap().id;
    assert_eq!(account(host.connect(&host.user("grace"), "mail")), "grace");
    assert_eq!(account(host.connect(&host.user("alice"), "mail")), "ada");
    let shared = host.connect_workspace(&host.operator("grace"), "notes");
    assert_eq!(shared.owner, crate::model::Owner::Workspace);
    assert_eq!(account(shared), "grace");
}

#[test]
fn another_host_reads_the_same_vault_and_reports_to_the_same_log() {
    let host = Host::new();
    let ada = host.user("ada");
    host.connect(&ada, "notes");
    let other = host.another().services(["mail"]).build().unwrap();
    other.connect(&ada, "mail");
    assert!(host.resolver.resolve(&ada, "mail").is_ok());
    let unknown = other.connections.start(&ada, "notes", ConsentOptions::default());
    assert!(
        matches!(unknown, Err(Error::UnknownProvider { .. })),
        "{unknown:?}"
    );
    let completed = |kind: &EventKind| *kind == EventKind::ConsentCompleted;
    assert_eq!(host.events.kinds().into_iter().filter(completed).count(), 2);
}

#[test]
fn the_builder_applies_every_change() {
    let extra = EventLog::default();
    let mut described = Vec::new();
    let settings = Settings {
        consent_lifetime: Duration::from_secs(7),
        ..Settings::default()
    };
    let host = Host::builder()
        .at("http://127.0.0.1:4711")
        .personality(|server| server.issues_refresh_tokens = false)
        .describe(|_, provider| {
            provider.name = "Changed".into();
            described.push(provider.id.to_string());
        })
        .redirect_uri("http://127.0.0.1:4712/back")
        .policy(Policy::default().deny(Calls::all()))
        .connections(|_, builder| builder.settings(settings))
        .events(extra.clone())
        .build()
        .unwrap();
    let ada = host.user("ada");
    let consent = host
        .connections
        .start(&ada, "notes", ConsentOptions::default())
        .unwrap();
    let url = consent.authorization_url().as_str();
    assert!(url.starts_with("http://127.0.0.1:4711/authorize?"), "{url}");
    assert!(
        url.contains("redirect_uri=http%3A%2F%2F127.0.0.1%3A4712%2Fback"),
        "{url}"
    );
    assert_eq!(consent.expires_at(), host.clock.now() + Duration::from_secs(7));
    let connection = host.connect(&ada, "notes");
    assert!(
        host.connections
            .providers()
            .iter()
            .any(|provider| provider.name == "Changed")
    );
    assert!(matches!(
        host.resolver.resolve(&ada, "notes"),
        Err(Error::Denied { .. })
    ));
    assert!(matches!(
        host.connections.refresh(&ada, connection.id),
        Err(Error::ConsentRequired(_))
    ));
    assert_eq!(described, ["notes", "mail"]);
    assert_eq!(extra.all(), host.events.all());
    host.events.clear();
    assert!(host.events.all().is_empty() && !extra.all().is_empty());
}

#[test]
fn a_host_can_have_another_client_than_the_one_that_the_sandbox_accepts() {
    let host = Host::new();
    let ada = host.user("ada");
    host.connect(&ada, "notes");
    let id = host.sandbox.client_id();
    let wrong = ClientRegistration::new(id, "wrong", Host::REDIRECT_URI);
    let other = host.another().client(wrong).build().unwrap();
    let refused = other
        .connect_with(&ada, "mail", "ada", ConsentOptions::default())
        .unwrap_err();
    assert!(matches!(refused, Error::Misconfigured(_)), "{refused:?}");
    host.connect(&ada, "mail");
}

#[test]
fn a_workspace_connection_has_the_account_and_the_options_that_are_asked_for() {
    let host = Host::new();
    let operator = host.operator("olga");
    let scopes: crate::model::Scopes = "notes.read".parse().unwrap();
    let options = ConsentOptions::default().scopes(scopes.clone());
    let connection = host
        .connect_workspace_with(&operator, "notes", "grace", options)
        .unwrap();
    assert_eq!(connection.granted, scopes);
    assert_eq!(connection.account.unwrap().id, "grace");
}
