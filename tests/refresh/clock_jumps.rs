//! The clock jumps by an hour, forward and back, during operations: no duplicate request and no
//! endless claim.

use std::time::Duration;

use valetkey::testing::{Fault, Gate};

use crate::support::world::{World, person};

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn promise_16_a_step_of_the_clock_during_a_refresh_is_no_second_dial() {
    for backwards in [true, false] {
        let world = World::new();
        let alice = person("alice");
        world.connect(&alice, "ada");
        world.expire();
        world.sandbox.clear_log();
        // Another host of the same vault sees the claims of the first.
        let elsewhere = world
            .another()
            .connections(|sandbox, builder| builder.http_client(sandbox.clone()))
            .build()
            .unwrap();
        let gate = Gate::new();
        world.http.on("/token").next(Fault::Hold(gate.clone()));
        std::thread::scope(|scope| {
            let refreshing = scope.spawn(|| {
                world
                    .resolver
                    .resolve(&alice, "notes")
                    .map(|token| token.generation())
            });
            gate.wait_for_arrivals(1);
            if backwards {
                // By less than the duration of a claim, so that it is still held.
                world.clock.rewind(Duration::from_secs(20));
            } else {
                world.clock.advance(Duration::from_secs(20));
            }
            let waiting = scope.spawn(|| {
                elsewhere
                    .resolver
                    .resolve(&alice, "notes")
                    .map(|token| token.generation())
            });
            gate.open();
            assert_eq!(refreshing.join().unwrap().unwrap(), 2);
            // After the step back, the old token is valid again, and is returned without waiting.
            assert!(matches!(waiting.join().unwrap().unwrap(), 1 | 2));
        });
        assert_eq!(world.sandbox.count("/token"), 1, "backwards: {backwards}");
    }
}

#[test]
fn promise_16_a_claim_from_the_future_does_not_hold_for_ever() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    world.expire();
    // An interrupted refresh leaves its claim or its back-off behind; then the clock goes back by
    // an hour.
    world.http.on("/token").next(Fault::Timeout);
    assert!(world.resolver.resolve(&alice, "notes").is_err());
    world.clock.rewind(HOUR);
    world.clock.advance(Duration::from_secs(1));
    world.sandbox.expire_access_tokens();
    let connection = world.connections.list(&alice, &Default::default()).unwrap()[0].id;
    assert!(world.connections.refresh(&alice, connection).is_ok());
    world.clock.advance(2 * HOUR);
    world.resolver.resolve(&alice, "notes").unwrap();
}

#[test]
fn promise_16_an_hour_ahead_or_back_costs_at_most_one_refresh() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    world.sandbox.clear_log();
    world.clock.rewind(HOUR);
    for _ in 0..3 {
        world.resolver.resolve(&alice, "notes").unwrap();
    }
    assert_eq!(world.sandbox.count("/token"), 0);
    world.clock.advance(3 * HOUR);
    for _ in 0..3 {
        world.resolver.resolve(&alice, "notes").unwrap();
    }
    assert_eq!(world.sandbox.count("/token"), 1);
}
