//! Several hosts, or several handles of one host, that need the same token.

use super::*;

// Menci/Floway#67: the loser of a race got `invalid_grant` and destroyed the winner's tokens.
#[test]
fn a_refusal_of_the_old_token_does_not_touch_the_new_one() {
    let vault = Arc::new(SealedVault::in_memory());
    let behaviour = |it: &mut valetkey::testing::sandbox::Personality| it.rotation = RotationClass::SingleUse;
    let (world, alice) = connected_like(World::with(Arc::clone(&vault), behaviour));
    let winner = world.another().build().unwrap().resolver;
    world.expire();
    let gate = Gate::new();
    world.http.on("/token").next(Fault::Hold(gate.clone()));
    std::thread::scope(|scope| {
        let loser = scope.spawn(|| world.resolver.resolve(&alice, "notes"));
        gate.wait_for_arrivals(1);
        // The loser takes longer than its claim lasts; another caller takes over and wins.
        world.clock.advance(Duration::from_secs(31));
        let won = winner.resolve(&alice, "notes").unwrap();
        assert_eq!(won.generation(), 2);
        gate.open();
        let adopted = loser.join().unwrap().unwrap();
        assert_eq!(
            adopted.access_token().expose_secret(),
            won.access_token().expose_secret()
        );
    });
    let connection = &world.connections.list(&alice, &Default::default()).unwrap()[0];
    assert_eq!((connection.status, connection.generation), (Status::Active, 2));
    world.expire();
    assert_eq!(world.resolver.resolve(&alice, "notes").unwrap().generation(), 3);
}

// eca#462, openai/codex#29017, openwork#4441: several hosts competed for a single-use token.
#[test]
fn hosts_of_one_vault_take_turns() {
    let vault = Arc::new(SealedVault::in_memory());
    let (world, alice) = connected_like(World::over(Arc::clone(&vault)));
    let hosts: Vec<_> = (0..4)
        .map(|_| world.another().build().unwrap().resolver)
        .collect();
    for generation in 2..6 {
        world.expire();
        let start = Barrier::new(hosts.len());
        std::thread::scope(|scope| {
            for host in &hosts {
                scope.spawn(|| {
                    start.wait();
                    assert_eq!(host.resolve(&alice, "notes").unwrap().generation(), generation);
                });
            }
        });
    }
    assert_eq!(world.sandbox.count("/token"), 4);
}

// authlib/authlib#673, #266: the lock belonged to an object of one request; spring-security#15145
// has none.
#[test]
fn clones_of_the_connections_share_one_flight() {
    let (world, alice) = connected();
    world.expire();
    let gate = Gate::new();
    world.http.on("/token").next(Fault::Hold(gate.clone()));
    let start = Barrier::new(9);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let own = Resolver::new(world.connections.clone());
            let (start, alice) = (&start, &alice);
            scope.spawn(move || {
                start.wait();
                assert_eq!(own.resolve(alice, "notes").unwrap().generation(), 2);
            });
        }
        start.wait();
        gate.wait_for_arrivals(1);
        gate.open();
    });
    assert_eq!(world.sandbox.count("/token"), 1);
}
