//! Upkeep: what is due is renewed before anybody waits for it, within the budget, once.

mod world;

use std::time::Duration;

use valetkey::manager::Budget;
use valetkey::testing::Fault;
use valetkey::vault::MemoryVault;
use valetkey::{ConnectionManager as _, Connections};
use world::{REDIRECT, World, person};

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
    let template = World::new();
    let sandbox = &template.sandbox;
    let mut server = sandbox.server();
    server.refresh_token_idle = Some(Duration::from_secs(30 * 24 * 3_600));
    server.refresh_token_lifetime = Some(Duration::from_secs(180 * 24 * 3_600));
    // Tokens that live for ever: nothing but idleness makes them due.
    sandbox.adjust(|it| it.access_token_lifetime = None);
    let connections = Connections::builder(MemoryVault::new())
        .server(server)
        .provider(sandbox.provider("notes"))
        .client("sandbox", sandbox.registration(REDIRECT))
        .http_client(sandbox.clone())
        .clock(template.clock.clone())
        .build()
        .unwrap();
    let alice = person("alice");
    let consent = connections.start(&alice, "notes", Default::default()).unwrap();
    let callback = sandbox.approve(consent.authorization_url(), "ada");
    let connection = connections
        .complete(&alice, world::response(&callback), consent.binding())
        .unwrap();
    let health = connections.health(&alice, connection.id).unwrap();
    assert_eq!(
        health.reconsent_by,
        Some(connection.consented_at + Duration::from_secs(180 * 24 * 3_600))
    );

    template.clock.advance(Duration::from_secs(14 * 24 * 3_600));
    assert_eq!(connections.maintain(Budget::default()).unwrap().refreshed, 0);
    template.clock.advance(Duration::from_secs(2 * 24 * 3_600));
    assert_eq!(connections.maintain(Budget::default()).unwrap().refreshed, 1);
    assert_eq!(connections.maintain(Budget::default()).unwrap().refreshed, 0);
    let later = connections.health(&alice, connection.id).unwrap();
    assert_eq!(
        later.reconsent_by, health.reconsent_by,
        "a refresh does not put off the end of the grant"
    );
    assert!(later.idle_until > health.idle_until);
}
