//! Revocation: locally first, then at the provider, with a report of both.

use std::time::Duration;

use valetkey::connections::{AtProvider, AuditPage, Budget, ConnectionFilter};
use valetkey::error::ConsentReason;
use valetkey::internals::provider::Revocation;
use valetkey::model::{EventKind, Status};
use valetkey::testing::sandbox::Refusal;
use valetkey::testing::{Fault, Host};
use valetkey::vault::{AuditKind, Erasure};

use crate::support::family::vaults;
use crate::support::world::{self, World, operator, person};

#[test]
fn nothing_resolves_and_the_server_has_ended_the_grant() {
    let (world, alice, connection) = World::connected();
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

    // The refresh token is revoked first, because it must not remain valid.
    let log = world.sandbox.log();
    let hints: Vec<_> = log
        .iter()
        .filter(|it| it.path() == "/revoke")
        .map(|it| it.parameter("token_type_hint"))
        .collect();
    assert_eq!(hints, [Some("refresh_token"), Some("access_token")]);
}

/// Runs upkeep, and returns the number of settled pending revocations.
fn settled(world: &World) -> usize {
    let report = world.connections.maintain(Budget::default()).unwrap();
    report.revocations_settled
}

#[test]
fn revoking_twice_is_no_error() {
    let (world, alice, connection) = World::connected();
    world.connections.revoke(&alice, connection.id).unwrap();
    let again = world.connections.revoke(&alice, connection.id).unwrap();
    assert_eq!(again.at_provider, AtProvider::NothingLeft);
}

/// The capabilities and responses of a provider, and the expected report.
struct Case {
    name: &'static str,
    /// The capability in the descriptor; `None` for the sandbox's own.
    capability: Option<fn() -> Revocation>,
    /// The result of each request to the endpoint.
    fault: Option<fn() -> Fault>,
    expected: fn(&AtProvider) -> bool,
    /// The number of requests, and the work left to upkeep.
    requests: usize,
    here: Erasure,
}

const CASES: [Case; 6] = [
    Case {
        name: "it confirms",
        capability: None,
        fault: None,
        expected: |it| *it == AtProvider::Revoked,
        requests: 2,
        here: Erasure::Cleared,
    },
    Case {
        name: "it does not answer",
        capability: None,
        fault: Some(|| Fault::Timeout),
        expected: |it| matches!(it, AtProvider::Unconfirmed { .. }),
        requests: 2,
        here: Erasure::Pending,
    },
    Case {
        name: "it is busy",
        capability: None,
        fault: Some(|| Fault::Status(503, String::new())),
        expected: |it| matches!(it, AtProvider::Unconfirmed { .. }),
        requests: 2,
        here: Erasure::Pending,
    },
    Case {
        name: "it refuses",
        capability: None,
        fault: Some(|| Fault::Status(400, String::new())),
        expected: |it| *it == AtProvider::Refused,
        requests: 2,
        here: Erasure::Pending,
    },
    Case {
        name: "it has no endpoint",
        capability: Some(|| Revocation::Unsupported),
        fault: None,
        expected: |it| *it == AtProvider::Unsupported,
        requests: 0,
        here: Erasure::Cleared,
    },
    Case {
        name: "it has a page",
        capability: Some(|| Revocation::ByUser { url: PAGE.into() }),
        fault: None,
        expected: |it| matches!(it, AtProvider::ByUser { url } if url == PAGE),
        requests: 0,
        here: Erasure::Cleared,
    },
];

const PAGE: &str = "https://sandbox.test/apps";

#[test]
fn what_is_reported_follows_from_what_the_provider_offers_and_answers() {
    for (case, vault) in CASES
        .iter()
        .flat_map(|case| vaults().map(|vault| (case, vault())))
    {
        let host = Host::builder().vault(vault).describe(|server, _| {
            if let Some(capability) = case.capability {
                server.revocation = capability();
            }
        });
        let host = host.build().unwrap();
        let alice = person("alice");
        let connection = host.connect(&alice, "notes");
        for _ in 0..case.requests {
            if let Some(fault) = case.fault {
                host.http.on("/revoke").next(fault());
            }
        }
        let revocation = host.connections.revoke(&alice, connection.id).unwrap();
        let name = case.name;
        assert!((case.expected)(&revocation.at_provider), "{name}: {revocation:?}");
        assert_eq!(revocation.here, case.here, "{name}");
        assert_eq!(host.http.requests_to("/revoke"), case.requests, "{name}");
        // Regardless of the provider, nothing usable is stored.
        assert_eq!(revocation.connection.status, Status::Revoked, "{name}");
        assert!(host.resolver.resolve(&alice, "notes").is_err(), "{name}");
    }
}

#[test]
fn the_record_stays_as_history_and_comes_back_with_a_new_consent() {
    let (world, alice, connection) = World::connected();
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
        .list(&alice, &ConnectionFilter::default().include_revoked())
        .unwrap();
    assert_eq!(all.len(), 1);
    let again = world.connect(&alice, "ada");
    assert_eq!(again.id, connection.id);
    assert_eq!(again.status, Status::Active);
    world.resolver.resolve(&alice, "notes").unwrap();
}

// NangoHQ/nango#459, elastic/kibana#277618, PostHog/posthog#70044: "disconnect" left the grant
// valid at the provider.
#[test]
fn what_the_provider_did_not_confirm_is_tried_again_by_upkeep() {
    let (world, alice, connection) = World::connected();
    world
        .sandbox
        .adjust(|it| it.revocation_outage = Some(Refusal::JsonWith(503)));
    let revocation = world.connections.revoke(&alice, connection.id).unwrap();
    assert!(matches!(revocation.at_provider, AtProvider::Unconfirmed { .. }));
    assert_eq!(world.sandbox.live_grants().len(), 1);

    world.clock.advance(Duration::from_secs(600));
    assert_eq!(settled(&world), 0);
    world.sandbox.adjust(|it| it.revocation_outage = None);
    world.clock.advance(Duration::from_secs(3_600));
    assert_eq!(settled(&world), 1);
    assert!(world.sandbox.live_grants().is_empty());
    let requests = world.http.requests();
    world.clock.advance(Duration::from_secs(3_600));
    assert_eq!(settled(&world), 0);
    assert_eq!(world.http.requests(), requests);
}

#[test]
fn a_revocation_that_never_succeeds_is_given_up_and_leaves_nothing() {
    let (world, alice, connection) = World::connected();
    world
        .sandbox
        .adjust(|it| it.revocation_outage = Some(Refusal::JsonWith(503)));
    world.connections.revoke(&alice, connection.id).unwrap();
    world.clock.advance(Duration::from_secs(8 * 24 * 3_600));
    world.connections.maintain(Budget::default()).unwrap();
    world.sandbox.adjust(|it| it.revocation_outage = None);
    let requests = world.http.requests();
    world.clock.advance(Duration::from_secs(24 * 3_600));
    world.connections.maintain(Budget::default()).unwrap();
    assert_eq!(world.http.requests(), requests);
}

#[test]
fn the_audit_tells_a_person_their_own_and_an_operator_all() {
    let world = World::new();
    let (alice, bob) = (person("alice"), person("bob"));
    let connection = world.connect(&alice, "ada");
    world.connect(&bob, "grace");
    world.connections.revoke(&alice, connection.id).unwrap();
    let kinds = |by: &dyn valetkey::model::Principal, page: &AuditPage| -> Vec<AuditKind> {
        world
            .connections
            .audit(by, page)
            .unwrap()
            .into_iter()
            .map(|entry| entry.kind)
            .collect()
    };
    let all = AuditPage::default();
    assert!(kinds(&alice, &all).contains(&AuditKind::Revoked));
    assert!(!kinds(&bob, &all).contains(&AuditKind::Revoked));
    assert!(kinds(&operator(), &all).len() > kinds(&alice, &all).len());
    assert!(kinds(&world::stranger("alice"), &all).is_empty());
    assert!(kinds(&operator(), &AuditPage::of(connection.id)).contains(&AuditKind::ConsentCompleted));
}

#[test]
fn a_forgotten_person_has_nothing_left() {
    let world = World::new();
    let (alice, bob) = (person("alice"), person("bob"));
    world.connect(&alice, "ada");
    world.connect(&bob, "grace");
    let receipt = world
        .connections
        .forget_user(&operator(), alice.user())
        .unwrap()
        .unwrap();
    assert_eq!(receipt.connections, 1);
    assert!(
        world
            .connections
            .list(&alice, &ConnectionFilter::default().include_revoked())
            .unwrap()
            .is_empty()
    );
    assert!(world.resolver.resolve(&alice, "notes").is_err());
    world.resolver.resolve(&bob, "notes").unwrap();
    assert_eq!(
        world
            .connections
            .forget_tenant(&operator())
            .unwrap()
            .unwrap()
            .connections,
        1
    );
    assert!(world.resolver.resolve(&bob, "notes").is_err());
    // A tenant that returns starts afresh.
    world.connect(&bob, "grace");
    world.resolver.resolve(&bob, "notes").unwrap();
}
