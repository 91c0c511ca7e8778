//! The account of a connection: identified by the service and compared at every later consent, or
//! marked as not verified.

use std::sync::Arc;

use valetkey::error::ConsentError;
use valetkey::model::{Connection, EventKind};
use valetkey::provider::Provider;
use valetkey::testing::Fault;
use valetkey::testing::sandbox::Personality;
use valetkey::vault::SealedVault;
use valetkey::{ActingUser, ConsentOptions, Error, Result};

use crate::support::world::{World, person, response};

/// Returns a host with services whose descriptors do not identify the account.
fn without_source(change: impl FnOnce(&mut Personality)) -> World {
    World::described(SealedVault::in_memory(), change, forget_account)
}

fn with_id_token() -> World {
    without_source(|it| it.id_token = true)
}

fn forget_account(_: &mut valetkey::provider::AuthorizationServer, provider: &mut Provider) {
    provider.account = None;
}

fn reconnect(
    world: &World,
    alice: &ActingUser,
    account: &str,
    connection: &Connection,
) -> Result<Connection> {
    let options = ConsentOptions::default().reconnect(connection.id);
    world.try_connect(alice, account, options)
}

fn consent_error(outcome: Result<Connection>) -> ConsentError {
    match outcome {
        Err(Error::Consent(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn id_of(connection: &Connection) -> Option<&str> {
    connection.account.as_ref().map(|account| account.id.as_str())
}

#[test]
fn promise_33_without_a_source_the_connection_works_and_is_marked() {
    let world = without_source(|_| {});
    let alice = person("alice");
    let connection = world.connect(&alice, "ada");
    assert!(!connection.is_account_verified());
    assert_eq!(
        world.events.kinds(),
        [
            EventKind::ConsentStarted,
            EventKind::ConsentCompleted,
            EventKind::AccountNotVerified
        ]
    );
    world.resolver.resolve(&alice, "notes").unwrap();
    let stored = world.connections.get(&alice, connection.id).unwrap();
    assert!(!stored.is_account_verified());
}

#[test]
fn promise_33_without_a_source_connecting_again_makes_no_second_connection() {
    let world = without_source(|_| {});
    let alice = person("alice");
    let first = world.connect(&alice, "ada");
    let plain = world.connect(&alice, "ada");
    let named = reconnect(&world, &alice, "grace", &first).unwrap();
    assert_eq!((plain.id, named.id), (first.id, first.id));
    assert!(
        !named.is_account_verified(),
        "another account may have been chosen"
    );
    assert_eq!(
        world.connections.list(&alice, &Default::default()).unwrap().len(),
        1
    );
}

#[test]
fn promise_33_the_id_token_names_the_account_where_nothing_else_does() {
    let world = with_id_token();
    let alice = person("alice");
    let connection = world.connect(&alice, "ada");
    let account = connection.account.clone().unwrap();
    assert_eq!(
        (account.id.as_str(), account.email.as_deref()),
        ("ada", Some("ada@example.test"))
    );
    assert!(!world.events.kinds().contains(&EventKind::AccountNotVerified));
    assert_eq!(world.http.requests_to("/userinfo"), 0);

    let refused = reconnect(&world, &alice, "grace", &connection);
    assert_eq!(consent_error(refused), ConsentError::AccountMismatch);
    assert_eq!(world.connections.get(&alice, connection.id).unwrap(), connection);
    assert_eq!(
        world.sandbox.live_grants().len(),
        1,
        "the other account's tokens are given back"
    );
    // A plain start with another account creates another connection.
    let other = world.connect(&alice, "grace");
    assert_ne!(other.id, connection.id);
    assert_eq!(
        reconnect(&world, &alice, "ada", &connection).unwrap().id,
        connection.id
    );
}

#[test]
fn promise_33_the_descriptors_source_comes_before_the_id_token() {
    let world = World::like(|it| {
        it.id_token = true;
        it.id_token_payload = Some("not even JSON".into());
    });
    let connection = world.connect(&person("alice"), "ada");
    assert_eq!(id_of(&connection), Some("ada"));
}

#[test]
fn promise_33_an_id_token_that_cannot_be_believed_fails_the_consent() {
    for payload in [
        "not JSON",
        r#"{"aud":"sandbox-client"}"#,
        r#"{"sub":"{id}"}"#,
        r#"{"sub":"{id}","aud":"somebody-else"}"#,
        r#"{"sub":"{id}","aud":"sandbox-client","iss":"https://elsewhere.test"}"#,
    ] {
        let world = with_id_token();
        world
            .sandbox
            .adjust(|it| it.id_token_payload = Some(payload.into()));
        let alice = person("alice");
        let refused = world.try_connect(&alice, "ada", ConsentOptions::default());
        assert_eq!(consent_error(refused), ConsentError::AccountUnknown, "{payload}");
        assert!(
            world.sandbox.live_grants().is_empty(),
            "the tokens are given back"
        );
        world.sandbox.adjust(|it| it.id_token_payload = None);
        assert_eq!(
            id_of(&world.connect(&alice, "ada")),
            Some("ada"),
            "the person can start again"
        );
    }
}

#[test]
fn promise_33_an_id_token_that_is_missing_once_does_not_pass_another_account() {
    let world = with_id_token();
    let alice = person("alice");
    let connection = world.connect(&alice, "ada");
    world.sandbox.adjust(|it| it.id_token = false);
    for account in ["ada", "grace"] {
        let refused = reconnect(&world, &alice, account, &connection);
        assert_eq!(consent_error(refused), ConsentError::AccountUnknown);
    }
    assert_eq!(world.connections.get(&alice, connection.id).unwrap(), connection);
    world.resolver.resolve(&alice, "notes").unwrap();
}

#[test]
fn promise_33_an_account_endpoint_that_fails_fails_the_consent() {
    let world = World::new();
    let alice = person("alice");
    for fault in [
        Fault::Timeout,
        Fault::Status(503, String::new()),
        Fault::Status(200, "<html>".into()),
    ] {
        world.http.on("/userinfo").next(fault);
        let refused = world.try_connect(&alice, "ada", ConsentOptions::default());
        assert_eq!(consent_error(refused), ConsentError::AccountUnknown);
        assert!(
            world.sandbox.live_grants().is_empty(),
            "the tokens are given back"
        );
    }
    let connection = world.connect(&alice, "ada");
    world.http.on("/userinfo").next(Fault::Timeout);
    let refused = reconnect(&world, &alice, "grace", &connection);
    assert_eq!(consent_error(refused), ConsentError::AccountUnknown);
    assert_eq!(world.connections.get(&alice, connection.id).unwrap(), connection);
}

#[test]
fn promise_33_giving_tokens_back_never_ends_a_connection_that_works() {
    let world = World::like(|it| {
        it.one_grant_per_account = true;
        it.revocation_ends_grant = true;
    });
    let alice = person("alice");
    let connection = world.connect(&alice, "ada");
    let token = world.resolver.resolve(&alice, "notes").unwrap();
    world.http.on("/userinfo").next(Fault::Timeout);
    let refused = reconnect(&world, &alice, "ada", &connection);
    assert_eq!(consent_error(refused), ConsentError::AccountUnknown);
    assert!(world.sandbox.is_live(token.access_token().expose_secret()));
}

#[test]
fn promise_33_a_host_can_require_that_the_account_is_named() {
    let world = without_source(|_| {});
    let alice = person("alice");
    let options = || ConsentOptions::default().require_account();
    let refused = world.try_connect(&alice, "ada", options());
    assert_eq!(consent_error(refused), ConsentError::AccountUnknown);
    assert!(world.sandbox.live_grants().is_empty());
    assert!(
        world
            .connections
            .list(&alice, &Default::default())
            .unwrap()
            .is_empty()
    );

    // The option survives storage in a link.
    let prepared = world.connections.prepare(&alice, "notes", options()).unwrap();
    let consent = world.connections.open_link(&alice, prepared.ticket()).unwrap();
    let callback = world.sandbox.approve(consent.authorization_url(), "ada");
    let refused = world
        .connections
        .complete(&alice, response(&callback), consent.binding());
    assert_eq!(consent_error(refused), ConsentError::AccountUnknown);

    world.sandbox.adjust(|it| it.id_token = true);
    world.try_connect(&alice, "ada", options()).unwrap();
}

#[test]
fn promise_33_a_connection_becomes_verified_when_its_service_names_the_account() {
    let vault = Arc::new(SealedVault::in_memory());
    let mut world = World::described(Arc::clone(&vault), |_| {}, forget_account);
    let alice = person("alice");
    let unverified = world.connect(&alice, "ada");
    assert!(!unverified.is_account_verified());
    // The same host with a descriptor that names an account endpoint.
    *world = world.another().build().unwrap();
    let verified = world.connect(&alice, "ada");
    assert_eq!((verified.id, id_of(&verified)), (unverified.id, Some("ada")));
    assert_eq!(
        world.connections.list(&alice, &Default::default()).unwrap().len(),
        1
    );
    let refused = reconnect(&world, &alice, "grace", &verified);
    assert_eq!(consent_error(refused), ConsentError::AccountMismatch);
}

#[test]
fn promise_33_a_switch_to_an_account_that_is_not_named_forgets_the_old_name() {
    let world = with_id_token();
    let alice = person("alice");
    let connection = world.connect(&alice, "ada");
    world.sandbox.adjust(|it| it.id_token = false);
    let options = ConsentOptions::default().reconnect_any_account(connection.id);
    let switched = world.try_connect(&alice, "grace", options).unwrap();
    assert_eq!((switched.id, id_of(&switched)), (connection.id, None));
}

#[test]
fn promise_33_an_extension_by_another_account_is_refused() {
    let world = with_id_token();
    let alice = person("alice");
    let notes = world.connect(&alice, "ada");
    let consent = world
        .connections
        .start(&alice, "mail", ConsentOptions::default().extending(notes.id))
        .unwrap();
    let callback = world.sandbox.approve(consent.authorization_url(), "grace");
    let refused = world.complete(&alice, &callback, &consent);
    assert_eq!(consent_error(refused), ConsentError::AccountMismatch);
    assert_eq!(world.connections.get(&alice, notes.id).unwrap(), notes);
}
