//! Eight processes with eight threads each on one connection that is always about to expire:
//! exactly as many token requests as generations.

use valetkey::Resolver;

use crate::support::processes::{Part, Scene, alice, consent, count, renew};

const TEST: &str = "one_request_per_generation::promise_10_one_dial_per_generation";

#[test]
fn promise_10_one_dial_per_generation() {
    if let Some(part) = Part::of(TEST) {
        return refresh_until(&part);
    }
    let scene = Scene::new(|_| {});
    let connections = scene.connections();
    let connection = consent(&scene, &connections);
    let target = count(200, 10_000);
    let exchanges = scene.token_requests();

    let children: Vec<_> = (0..8).map(|_| scene.spawn(TEST, &target.to_string())).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success(), "a child saw a refresh fail");
    }
    let generation = connections.get(&alice(), connection.id).unwrap().generation;
    assert!(generation > u64::try_from(target).unwrap());
    let dials = scene.token_requests() - exchanges;
    assert_eq!(u64::try_from(dials).unwrap(), generation - connection.generation);
    // The server's strictest mode: one replay would have ended the grant.
    assert_eq!(scene.sandbox.live_grants().len(), 1);
}

fn refresh_until(part: &Part) {
    let target: u64 = part.argument.parse().unwrap();
    let resolver = Resolver::new(part.connections());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| while renew(&resolver).unwrap() <= target {});
        }
    });
}
