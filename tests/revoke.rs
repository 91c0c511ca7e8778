//! Revoking: here at once, then at the provider, and an honest word on both.

mod world;

use valetkey::error::ConsentReason;
use valetkey::manager::{AtProvider, ConnectionFilter};
use valetkey::model::{EventKind, Status};
use valetkey::provider::Revocation;
use valetkey::testing::sandbox::Refusal;
use valetkey::testing::{Fault, ManualClock, Sandbox};
use valetkey::vault::{Erasure, MemoryVault};
use valetkey::{ConnectionManager as _, Connections, ConsentOptions, Resolver};
use world::{REDIRECT, World, person, response};

#[test]
fn nothing_resolves_and_the_server_has_ended_the_grant() {
    let world = World::new();
    let alice = person("alice");
    let connection = world.connect(&alice, "ada");
    let token = world
        .resolver
        .resolve(&alice, "notes")
        .unwrap()
        .access_token()
        .expose_secret()
        .to_owned();
    let revocation = world.connections.revoke(&alice, connection.id).unwrap();
    assert_eq!(revocation.connection.status, Status::Revoked);
    assert_eq!(revocation.here, Erasure::Cleared);
    assert_eq!(revocation.at_provider, AtProvider::Revoked);
    assert!(!world.sandbox.is_live(&token));
    assert!(world.sandbox.live_grants().is_empty());
    let error = world.resolver.resolve(&alice, "notes").unwrap_err();
    assert_eq!(
        error.consent_required().unwrap().reason,
        ConsentReason::NotConnected
    );
    assert_eq!(world.events.kinds().last(), Some(&EventKind::Revoked));

    // The refresh token goes first: it is the one that must not live on.
    let log = world.sandbox.log();
    let hints: Vec<_> = log
        .iter()
        .filter(|it| it.path() == "/revoke")
        .map(|it| it.parameter("token_type_hint"))
        .collect();
    assert_eq!(hints, [Some("refresh_token"), Some("access_token")]);
}

#[test]
fn a_provider_that_does_not_answer_keeps_nothing_usable_here() {
    let world = World::new();
    let alice = person("alice");
    let connection = world.connect(&alice, "ada");
    world.http.on("/revoke").next(Fault::Timeout);
    let revocation = world.connections.revoke(&alice, connection.id).unwrap();
    assert!(
        matches!(revocation.at_provider, AtProvider::Unconfirmed { .. }),
        "{:?}",
        revocation.at_provider
    );
    assert!(world.resolver.resolve(&alice, "notes").is_err());
}

#[test]
fn a_busy_provider_is_not_called_revoked() {
    let world = World::new();
    let alice = person("alice");
    let connection = world.connect(&alice, "ada");
    world
        .sandbox
        .adjust(|it| it.revocation_outage = Some(Refusal::JsonWith(503)));
    let revocation = world.connections.revoke(&alice, connection.id).unwrap();
    assert!(matches!(revocation.at_provider, AtProvider::Unconfirmed { .. }));
}

#[test]
fn revoking_twice_is_no_error() {
    let world = World::new();
    let alice = person("alice");
    let connection = world.connect(&alice, "ada");
    world.connections.revoke(&alice, connection.id).unwrap();
    let again = world.connections.revoke(&alice, connection.id).unwrap();
    assert_eq!(again.at_provider, AtProvider::NothingLeft);
}

#[test]
fn a_provider_without_an_endpoint_names_the_page_or_says_so() {
    for (capability, expected) in [
        (Revocation::Unsupported, AtProvider::Unsupported),
        (
            Revocation::ByUser {
                url: "https://sandbox.test/apps".into(),
            },
            AtProvider::ByUser {
                url: "https://sandbox.test/apps".into(),
            },
        ),
    ] {
        let sandbox = Sandbox::new(ManualClock::default());
        let mut server = sandbox.server();
        server.revocation = capability;
        let connections = Connections::builder(MemoryVault::new())
            .server(server)
            .provider(sandbox.provider("notes"))
            .client("sandbox", sandbox.registration(REDIRECT))
            .http_client(sandbox.clone())
            .clock(ManualClock::default())
            .build()
            .unwrap();
        let alice = person("alice");
        let consent = connections
            .start(&alice, "notes", ConsentOptions::default())
            .unwrap();
        let callback = sandbox.approve(consent.authorization_url(), "ada");
        let connection = connections
            .complete(&alice, response(&callback), consent.binding())
            .unwrap();
        assert_eq!(
            connections.revoke(&alice, connection.id).unwrap().at_provider,
            expected
        );
        assert_eq!(sandbox.count("/revoke"), 0);
        assert!(Resolver::new(connections).resolve(&alice, "notes").is_err());
    }
}

#[test]
fn the_record_stays_as_history_and_comes_back_with_a_new_consent() {
    let world = World::new();
    let alice = person("alice");
    let connection = world.connect(&alice, "ada");
    world.connections.revoke(&alice, connection.id).unwrap();
    assert!(
        world
            .connections
            .list(&alice, &ConnectionFilter::default())
            .unwrap()
            .is_empty()
    );
    let all = world
        .connections
        .list(&alice, &ConnectionFilter::default().with_revoked())
        .unwrap();
    assert_eq!(all.len(), 1);
    let again = world.connect(&alice, "ada");
    assert_eq!(again.id, connection.id);
    assert_eq!(again.status, Status::Active);
    world.resolver.resolve(&alice, "notes").unwrap();
}
