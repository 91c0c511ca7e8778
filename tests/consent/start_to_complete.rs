//! From `start` to `complete`: permissions, inputs and repetitions.

use std::sync::Barrier;
use std::time::Duration;

use valetkey::error::{ConsentError, Misconfigured};
use valetkey::model::{EventKind, Label, Owner, Scopes, Status};
use valetkey::testing::Fault;
use valetkey::testing::sandbox::{IssuerEcho, ScopeEcho};
use valetkey::{AuthorizationResponse, Binding, ConsentOptions, Error};

use crate::support::world::{REDIRECT, World, operator, person, response, stranger};

pub(crate) fn consent_error(error: &Error) -> ConsentError {
    match error {
        Error::Consent(error) => *error,
        other => panic!("not a consent error: {other:?}"),
    }
}

#[test]
fn a_consent_gives_a_connection_with_its_account_and_scopes() {
    let world = World::new();
    let connection = world.connect(&person("ada"), "ada");
    assert_eq!(connection.owner, Owner::Personal(person("ada").user().clone()));
    assert_eq!(connection.status, Status::Active);
    assert_eq!(
        connection.account.unwrap().email.as_deref(),
        Some("ada@example.test")
    );
    assert_eq!(connection.granted.to_string(), "notes.read notes.write");
    assert_eq!(connection.generation, 1);
    assert!(connection.refreshable);
    assert_eq!(
        world.events.kinds(),
        [EventKind::ConsentStarted, EventKind::ConsentCompleted]
    );
}

#[test]
fn promise_21_the_code_is_exchanged_with_pkce_and_the_same_redirect_uri() {
    let world = World::new();
    world.connect(&person("ada"), "ada");
    let log = world.sandbox.log();
    let exchange = log.iter().find(|logged| logged.path() == "/token").unwrap();
    assert_eq!(exchange.parameter("grant_type"), Some("authorization_code"));
    assert_eq!(exchange.parameter("redirect_uri"), Some(REDIRECT));
    assert_eq!(exchange.parameter("code_verifier").map(str::len), Some(43));
    assert!(exchange.query("client_secret").is_none());
}

#[test]
fn promise_18_a_consent_that_expired_or_was_used_reaches_no_network() {
    let world = World::new();
    let alice = person("alice");
    let unknown = AuthorizationResponse::parse("?code=c&state=nobody").unwrap();
    let unknown = world
        .connections
        .complete(&alice, unknown, &Binding::new("b"))
        .unwrap_err();

    let (consent, callback) = world.approved(&alice);
    world.clock.advance(Duration::from_secs(601));
    let expired = world.complete(&alice, &callback, &consent).unwrap_err();
    assert_eq!(consent_error(&expired), ConsentError::Expired);
    assert_eq!(world.token_requests(), 0);

    let (consent, callback) = world.approved(&alice);
    world.complete(&alice, &callback, &consent).unwrap();
    let used = world.complete(&alice, &callback, &consent).unwrap_err();
    assert_eq!(consent_error(&used), ConsentError::Used(consent.id()));
    assert_eq!(world.token_requests(), 1);

    // A guess must not reveal whether a state exists.
    assert_eq!(unknown.to_string(), expired.to_string());
    assert_ne!(unknown.to_string(), used.to_string());
}

#[test]
fn promise_18_many_callbacks_at_once_are_one_exchange() {
    let world = World::new();
    let alice = person("alice");
    let (consent, callback) = world.approved(&alice);
    let threads = if std::env::var_os("VALETKEY_FULL").is_some() {
        1_000
    } else {
        32
    };
    let start = Barrier::new(threads);
    let completed = std::thread::scope(|scope| {
        let attempts: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    world.complete(&alice, &callback, &consent).is_ok()
                })
            })
            .collect();
        attempts
            .into_iter()
            .map(|attempt| attempt.join().unwrap())
            .filter(|held| *held)
            .count()
    });
    assert_eq!(completed, 1);
    assert_eq!(world.token_requests(), 1);
}

#[test]
fn promise_20_a_promised_issuer_must_be_there_where_a_code_is() {
    let world = World::new();
    let alice = person("alice");
    world.sandbox.adjust(|it| it.issuer = IssuerEcho::Never);
    let error = world
        .try_connect(&alice, "ada", ConsentOptions::default())
        .unwrap_err();
    assert_eq!(consent_error(&error), ConsentError::IssuerMismatch);

    world.sandbox.adjust(|it| it.issuer = IssuerEcho::WithCodeOnly);
    let consent = world.start(&alice, ConsentOptions::default());
    let denied = world.sandbox.deny(consent.authorization_url());
    let error = world.complete(&alice, &denied, &consent).unwrap_err();
    assert!(matches!(consent_error(&error), ConsentError::Denied(_)));
}

#[test]
fn a_denied_consent_is_said_to_be_denied_and_cannot_be_reused() {
    let world = World::new();
    let alice = person("alice");
    let consent = world.start(&alice, ConsentOptions::default());
    let denied = world.sandbox.deny(consent.authorization_url());
    let error = world.complete(&alice, &denied, &consent).unwrap_err();
    assert!(matches!(consent_error(&error), ConsentError::Denied(_)));
    let again = world.complete(&alice, &denied, &consent).unwrap_err();
    assert_eq!(consent_error(&again), ConsentError::Used(consent.id()));
    assert_eq!(world.token_requests(), 0);
    assert!(world.events.kinds().contains(&EventKind::ConsentDenied));
}

#[test]
fn a_code_is_never_sent_twice() {
    let world = World::new();
    let alice = person("alice");
    let (consent, callback) = world.approved(&alice);
    world.http.on("/token").next(Fault::InterruptedAfterSend);
    let error = world.complete(&alice, &callback, &consent).unwrap_err();
    assert!(matches!(consent_error(&error), ConsentError::ExchangeFailed(_)));
    let again = world.complete(&alice, &callback, &consent).unwrap_err();
    assert_eq!(consent_error(&again), ConsentError::Used(consent.id()));
    assert_eq!(world.token_requests(), 1);
    assert!(world.events.kinds().contains(&EventKind::ConsentFailed));
}

#[test]
fn promise_20_a_changed_token_endpoint_gets_no_code_and_the_consent_stays_open() {
    let world = World::new();
    let alice = person("alice");
    let (consent, callback) = world.approved(&alice);

    let moved = world
        .another()
        .describe(|server, _| server.token_endpoint = "https://evil.test/token".into());
    let error = moved
        .build()
        .unwrap()
        .connections
        .complete(&alice, response(&callback), consent.binding())
        .unwrap_err();
    assert!(matches!(
        error,
        Error::Misconfigured(Misconfigured::IssuerChanged(_))
    ));
    assert_eq!(world.http.requests(), 0);
    world.complete(&alice, &callback, &consent).unwrap();
}

// n8n-io/n8n#6268, nextcloud/integration_google#79, getsentry/junior#319: a consent with a declined
// scope "succeeds" and fails later.
#[test]
fn a_scope_that_was_not_granted_is_known_at_once() {
    let world = World::new();
    let alice = person("alice");
    let consent = world.start(&alice, ConsentOptions::default());
    let callback = world
        .sandbox
        .approve_some(consent.authorization_url(), "ada", &["notes.read"]);
    let connection = world.complete(&alice, &callback, &consent).unwrap();
    assert_eq!(connection.missing_scopes().to_string(), "notes.write");
}

#[test]
fn granted_is_what_the_answer_says_or_what_was_asked_for() {
    for (echo, granted) in [
        (ScopeEcho::Spaces, "notes.read"),
        (ScopeEcho::Commas, "notes.read"),
        (ScopeEcho::Array, "notes.read"),
        (ScopeEcho::Absent, "notes.read notes.write"),
    ] {
        let world = World::like(|it| it.scope_echo = echo);
        let alice = person("alice");
        let consent = world.start(&alice, ConsentOptions::default());
        let callback = world
            .sandbox
            .approve_some(consent.authorization_url(), "ada", &["notes.read"]);
        let connection = world.complete(&alice, &callback, &consent).unwrap();
        assert_eq!(connection.granted.to_string(), granted, "{echo:?}");
    }
}

// PipedreamHQ/pipedream#18448, home-assistant/core#172475: a connection could not be reconnected.
#[test]
fn connecting_the_same_account_again_keeps_the_connection() {
    let (world, alice, first) = World::connected();
    world.clock.advance(Duration::from_secs(60));
    let again = world.connect(&alice, "ada");
    assert_eq!(again.id, first.id);
    assert_eq!(again.created_at, first.created_at);
    assert_eq!(again.generation, 2);
    let other = world.connect(&alice, "grace");
    assert_ne!(other.id, first.id);
}

#[test]
fn reconnecting_refuses_another_account_unless_told_otherwise() {
    let (world, alice, first) = World::connected();
    let before = world.resolver.resolve(&alice, "notes").unwrap();

    let error = world
        .try_connect(&alice, "grace", ConsentOptions::default().reconnect(first.id))
        .unwrap_err();
    assert_eq!(consent_error(&error), ConsentError::AccountMismatch);
    let after = world.resolver.resolve(&alice, "notes").unwrap();
    assert_eq!(
        after.access_token().expose_secret(),
        before.access_token().expose_secret()
    );

    let switched = world
        .try_connect(
            &alice,
            "grace",
            ConsentOptions::default().reconnect_any_account(first.id),
        )
        .unwrap();
    assert_eq!(switched.id, first.id);
    assert_eq!(switched.account.unwrap().id, "grace");
}

#[test]
fn reconnecting_asks_again_for_what_was_asked_for_before() {
    let world = World::new();
    let alice = person("alice");
    let read = ConsentOptions::default().scopes("notes.read".parse().unwrap());
    let first = world.try_connect(&alice, "ada", read).unwrap();
    let write: Scopes = "notes.write".parse().unwrap();
    let consent = world.start(
        &alice,
        ConsentOptions::default().scopes(write).reconnect(first.id),
    );
    assert_eq!(consent.scopes().to_string(), "notes.read notes.write");
}

#[test]
fn a_label_that_is_in_use_means_that_connection() {
    let world = World::new();
    let alice = person("alice");
    let work = || ConsentOptions::default().label(Label::new("work").unwrap());
    let first = world.try_connect(&alice, "ada", work()).unwrap();
    let again = world.try_connect(&alice, "ada", work()).unwrap();
    assert_eq!(again.id, first.id);
    let error = world.try_connect(&alice, "grace", work()).unwrap_err();
    assert_eq!(consent_error(&error), ConsentError::AccountMismatch);
}

#[test]
fn somebody_elses_connection_cannot_be_reconnected() {
    let world = World::new();
    let first = world.connect(&person("alice"), "ada");
    for who in [person("bob"), stranger("alice")] {
        let options = ConsentOptions::default().reconnect(first.id);
        let error = world.connections.start(&who, "notes", options).unwrap_err();
        assert!(matches!(error, Error::NotFound));
    }
    let shared = world.connect_workspace_account("grace");
    let options = ConsentOptions::default().reconnect(shared.id);
    assert!(matches!(
        world.connections.start(&person("alice"), "notes", options),
        Err(Error::NotFound)
    ));
}

#[test]
fn promise_18_the_state_says_nothing_and_never_repeats() {
    let world = World::new();
    let alice = person("alice");
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1_000 {
        let consent = world.start(&alice, ConsentOptions::default());
        let state = consent
            .authorization_url()
            .query_pairs()
            .find(|(name, _)| name == "state")
            .unwrap()
            .1
            .into_owned();
        assert_eq!(state.len(), 43);
        assert!(seen.insert(state));
        assert!(seen.insert(consent.binding().expose_secret().to_owned()));
    }
}

#[test]
fn expired_consents_are_purged_by_upkeep() {
    let world = World::new();
    let alice = person("alice");
    for _ in 0..5 {
        world.start(&alice, ConsentOptions::default());
    }
    assert_eq!(
        world
            .connections
            .maintain(Default::default())
            .unwrap()
            .consents_purged,
        0
    );
    world.clock.advance(Duration::from_secs(1_201));
    let budget = valetkey::connections::Budget::default().rows(3);
    assert_eq!(world.connections.maintain(budget).unwrap().consents_purged, 3);
    assert_eq!(world.connections.maintain(budget).unwrap().consents_purged, 2);
}

#[test]
fn an_operator_connects_what_the_tenant_shares() {
    let world = World::new();
    let connection = world.connect_workspace_account("grace");
    assert_eq!(connection.owner, Owner::Workspace);
    let seen = world.connections.list(&operator(), &Default::default()).unwrap();
    assert_eq!(seen.len(), 1);
}

#[test]
fn a_prepared_consent_is_opened_by_its_person_alone_and_given_once() {
    let world = World::new();
    let (alice, bob) = (person("alice"), person("bob"));
    let options = ConsentOptions::default()
        .scopes("notes.read".parse().unwrap())
        .return_to("/done");
    let prepared = world.connections.prepare(&alice, "notes", options).unwrap();
    assert_eq!(world.http.requests(), 0);

    let error = world.connections.open_link(&bob, prepared.ticket()).unwrap_err();
    assert_eq!(consent_error(&error), ConsentError::WrongUser);
    let error = world
        .connections
        .open_link(&stranger("alice"), prepared.ticket())
        .unwrap_err();
    assert_eq!(consent_error(&error), ConsentError::Unknown);

    let consent = world.connections.open_link(&alice, prepared.ticket()).unwrap();
    assert_eq!(consent.scopes().to_string(), "notes.read");
    let callback = world.sandbox.approve(consent.authorization_url(), "ada");
    world.complete(&alice, &callback, &consent).unwrap();

    let error = world
        .connections
        .open_link(&alice, prepared.ticket())
        .unwrap_err();
    assert_eq!(consent_error(&error), ConsentError::Used(prepared.id()));
}

#[test]
fn a_ticket_is_no_state_and_no_binding() {
    let world = World::new();
    let alice = person("alice");
    let prepared = world
        .connections
        .prepare(&alice, "notes", ConsentOptions::default())
        .unwrap();
    let ticket = prepared.ticket().expose_secret();
    let forged = AuthorizationResponse::parse(&format!("?code=c&state={ticket}")).unwrap();
    let error = world
        .connections
        .complete(&alice, forged, &Binding::new(ticket))
        .unwrap_err();
    assert_eq!(consent_error(&error), ConsentError::Unknown);
    assert_eq!(world.http.requests(), 0);
    world.clock.advance(Duration::from_secs(24 * 3600));
    let error = world
        .connections
        .open_link(&alice, prepared.ticket())
        .unwrap_err();
    assert_eq!(consent_error(&error), ConsentError::Expired);
}
