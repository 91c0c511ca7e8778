//! Upkeep refreshes due grants before a turn has to wait, within the budget, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use valetkey::Connections;
use valetkey::connections::Budget;
use valetkey::http::{HttpClient as _, HttpError, HttpRequest};
use valetkey::model::ServerId;
use valetkey::testing::{Fault, FaultClient, Host, ManualClock, Sandbox};
use valetkey::vault::SealedVault;

use crate::support::world::{self, REDIRECT, World, person};

#[test]
fn what_is_about_to_expire_is_renewed_and_nothing_else() {
    let world = World::new();
    world.connect(&person("early"), "ada");
    world.clock.advance(Duration::from_secs(1_800));
    world.connect(&person("late"), "grace");
    world.sandbox.clear_log();
    let upkeep = world.connections.maintain(Budget::default()).unwrap();
    assert_eq!((upkeep.refreshed, world.sandbox.count("/token")), (0, 0));
    assert_eq!(upkeep.next, Duration::from_secs(60));

    world.clock.advance(Duration::from_secs(1_500));
    let upkeep = world.connections.maintain(Budget::default()).unwrap();
    assert_eq!((upkeep.refreshed, upkeep.failed), (1, 0));
    let requests = world.http.requests();
    assert_eq!(
        world
            .resolver
            .resolve(&person("early"), "notes")
            .unwrap()
            .generation(),
        2
    );
    assert_eq!(
        world
            .resolver
            .resolve(&person("late"), "notes")
            .unwrap()
            .generation(),
        1
    );
    assert_eq!(
        world.http.requests(),
        requests,
        "a turn waited for what upkeep had done"
    );
}

#[test]
fn the_budget_is_kept_and_the_next_call_goes_on() {
    let world = World::new();
    for number in 0..5 {
        world.connect(&person(&format!("person-{number}")), "ada");
    }
    world.expire();
    world.sandbox.clear_log();
    let upkeep = world
        .connections
        .maintain(Budget::default().refreshes(3))
        .unwrap();
    assert_eq!((upkeep.refreshed, upkeep.next), (3, Duration::ZERO));
    let upkeep = world
        .connections
        .maintain(Budget::default().refreshes(3))
        .unwrap();
    assert_eq!(upkeep.refreshed, 2);
    let none = world
        .connections
        .maintain(Budget::default().refreshes(0))
        .unwrap();
    assert_eq!((none.refreshed, none.next), (0, Duration::from_secs(60)));
    assert_eq!(world.sandbox.count("/token"), 5);
}

#[test]
fn a_failure_is_counted_and_backs_off() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    world.expire();
    world.http.on("/token").next(Fault::Timeout);
    assert_eq!(world.connections.maintain(Budget::default()).unwrap().failed, 1);
    let requests = world.http.requests();
    let upkeep = world.connections.maintain(Budget::default()).unwrap();
    assert_eq!((upkeep.failed, upkeep.refreshed), (0, 0));
    assert_eq!(world.http.requests(), requests);
}

#[test]
fn a_grant_that_lies_idle_is_touched_at_half_its_time() {
    let host = Host::builder()
        // Tokens without expiry: they are due only because they are idle.
        .personality(|it| it.access_token_lifetime = None)
        .describe(|server, _| {
            server.refresh_token_idle = Some(Duration::from_secs(30 * 24 * 3_600));
            server.refresh_token_lifetime = Some(Duration::from_secs(180 * 24 * 3_600));
        })
        .build()
        .unwrap();
    let connections = &host.connections;
    let alice = person("alice");
    let connection = host.connect(&alice, "notes");
    let health = connections.health(&alice, connection.id).unwrap();
    assert_eq!(
        health.reconsent_by,
        Some(connection.consented_at + Duration::from_secs(180 * 24 * 3_600))
    );

    host.clock.advance(Duration::from_secs(14 * 24 * 3_600));
    assert_eq!(connections.maintain(Budget::default()).unwrap().refreshed, 0);
    host.clock.advance(Duration::from_secs(2 * 24 * 3_600));
    assert_eq!(connections.maintain(Budget::default()).unwrap().refreshed, 1);
    assert_eq!(connections.maintain(Budget::default()).unwrap().refreshed, 0);
    let later = connections.health(&alice, connection.id).unwrap();
    assert_eq!(
        later.reconsent_by, health.reconsent_by,
        "a refresh does not put off the end of the grant"
    );
    assert!(later.idle_until > health.idle_until);
}

#[test]
fn tokens_that_live_shorter_than_upkeep_looks_ahead_are_not_refreshed_without_end() {
    let world = World::like(|it| it.access_token_lifetime = Some(Duration::from_secs(240)));
    world.connect(&person("alice"), "ada");
    world.clock.advance(Duration::from_secs(200));
    let upkeep = world.connections.maintain(Budget::default()).unwrap();
    assert!((1..=2).contains(&upkeep.refreshed), "{upkeep:?}");
    assert_eq!(upkeep.next, Duration::from_secs(60));
}

/// The work of other callers is not counted.
#[test]
fn a_grant_that_was_revoked_meanwhile_is_neither_refreshed_nor_failed() {
    let (world, alice, connection) = World::connected();
    world.expire();
    let (connections, who) = (world.connections.clone(), alice);
    world.http.on("/token").next(Fault::answer(move |_| {
        connections.revoke(&who, connection.id).unwrap();
        let body = r#"{"access_token":"late","refresh_token":"late-too","expires_in":3600}"#;
        Ok(valetkey::http::HttpResponse::new(http::StatusCode::OK, body))
    }));
    let upkeep = world.connections.maintain(Budget::default()).unwrap();
    assert_eq!((upkeep.refreshed, upkeep.failed), (0, 0), "{upkeep:?}");
}

/// Grants of a service that the host no longer has: they cannot be tried.
#[test]
fn grants_that_cannot_be_tried_keep_no_other_from_being_refreshed() {
    let mut world = World::new();
    for number in 0..150 {
        let somebody = person(&format!("person-{number}"));
        let consent = world
            .connections
            .start(&somebody, "mail", Default::default())
            .unwrap();
        let callback = world.sandbox.approve(consent.authorization_url(), "ada");
        world.complete(&somebody, &callback, &consent).unwrap();
    }
    world.clock.advance(Duration::from_secs(10));
    world.connect(&person("alice"), "ada");
    *world = world.another().services(["notes"]).build().unwrap();
    world.expire();
    let upkeep = world.connections.maintain(Budget::default()).unwrap();
    assert_eq!((upkeep.refreshed, upkeep.failed, upkeep.passed_over), (1, 0, 150));
    assert_eq!(upkeep.next, Duration::from_secs(60));
    let upkeep = world.connections.maintain(Budget::default()).unwrap();
    assert_eq!(
        (upkeep.refreshed, upkeep.passed_over),
        (0, 0),
        "they are passed over for a while"
    );
}

#[test]
fn a_server_that_does_not_answer_keeps_no_other_waiting() {
    let clock = ManualClock::default();
    let dead = Arc::new(AtomicBool::new(false));
    let [first, second] =
        ["https://first.test", "https://second.test"].map(|base| Sandbox::at(base, clock.clone()));
    let client = {
        let (first, second, dead) = (first.clone(), second.clone(), Arc::clone(&dead));
        move |request: HttpRequest| match request.url.host_str() {
            Some("first.test") if dead.load(Ordering::SeqCst) => Err(HttpError::Timeout),
            Some("first.test") => first.send(request),
            _ => second.send(request),
        }
    };
    let client = FaultClient::new(client);
    let mut builder = Connections::builder(SealedVault::in_memory())
        .http_client(client)
        .clock(clock.clone());
    for (id, sandbox) in [("first", &first), ("second", &second)] {
        let (mut server, mut provider) = (sandbox.server(), sandbox.provider(id));
        server.id = ServerId::new(id).unwrap();
        provider.server = server.id.clone();
        builder = builder
            .client(id, sandbox.registration(REDIRECT))
            .server(server)
            .provider(provider);
    }
    let connections = builder.build().unwrap();
    for number in 0..5 {
        let somebody = person(&format!("person-{number}"));
        for (id, sandbox) in [("first", &first), ("second", &second)] {
            let consent = connections.start(&somebody, id, Default::default()).unwrap();
            let callback = sandbox.approve(consent.authorization_url(), "ada");
            connections
                .complete(&somebody, world::response(&callback), consent.binding())
                .unwrap();
        }
    }
    clock.advance(Duration::from_secs(3_601));
    dead.store(true, Ordering::SeqCst);
    let upkeep = connections
        .maintain(Budget::default().refreshes(8).workers(1))
        .unwrap();
    assert_eq!((upkeep.refreshed, upkeep.failed), (5, 3));
    dead.store(false, Ordering::SeqCst);
    // The server is skipped for a while, also in the next call.
    assert_eq!(connections.maintain(Budget::default()).unwrap().refreshed, 0);
    // Afterwards the untried grants come first, then those that failed.
    clock.advance(Duration::from_secs(15));
    assert_eq!(connections.maintain(Budget::default()).unwrap().refreshed, 2);
    clock.advance(Duration::from_secs(60));
    assert_eq!(connections.maintain(Budget::default()).unwrap().refreshed, 3);
}
