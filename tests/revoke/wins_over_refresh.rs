//! A revocation at any point of a refresh: afterwards no usable token is stored, and none is valid
//! at the server.

use std::sync::Barrier;

use valetkey::error::ConsentReason;
use valetkey::internals::provider::RotationClass;
use valetkey::model::Status;
use valetkey::testing::{Fault, Gate};
use valetkey::vault::{MasterKey, SealedVault, SqliteVault};
use valetkey::{ActingUser, Error};

use crate::support::world::{World, person};

fn worlds(rotation: RotationClass) -> [World; 2] {
    let sealed = SqliteVault::in_memory(MasterKey::generate().unwrap()).unwrap();
    let behaviour = |it: &mut valetkey::testing::sandbox::Personality| {
        it.rotation = rotation;
        it.refresh_kills_old_access_token = true;
        // Revoking only the old tokens would leave the late ones valid.
        it.revocation_spares_family = true;
    };
    [
        World::with(SealedVault::in_memory(), behaviour),
        World::with(sealed, behaviour),
    ]
}

fn assert_gone(world: &World, alice: &ActingUser, connection: valetkey::ConnectionId) {
    assert_eq!(
        world.connections.get(alice, connection).unwrap().status,
        Status::Revoked
    );
    let error = world.resolver.resolve(alice, "notes").unwrap_err();
    assert_eq!(
        error.consent_required().unwrap().reason,
        ConsentReason::NotConnected
    );
    let live = world.sandbox.live_grants();
    assert!(live.is_empty(), "a token lives on at the server: {live:?}");
}

#[test]
fn promise_14_revoke_wins_before_and_after_the_server_has_acted() {
    let holds: [fn(Gate) -> Fault; 2] = [Fault::Hold, Fault::HoldAnswer];
    for hold in holds {
        for rotation in [
            RotationClass::Static,
            RotationClass::SingleUse,
            RotationClass::SingleUseRevokesFamily,
        ] {
            for world in worlds(rotation) {
                let alice = person("alice");
                let connection = world.connect(&alice, "ada").id;
                world.expire();
                let gate = Gate::new();
                world.http.on("/token").next(hold(gate.clone()));
                std::thread::scope(|scope| {
                    let refreshing = scope.spawn(|| world.resolver.resolve(&alice, "notes"));
                    gate.wait_for_arrivals(1);
                    world.connections.revoke(&alice, connection).unwrap();
                    gate.open();
                    let error = refreshing.join().unwrap().unwrap_err();
                    assert!(matches!(error, Error::ConsentRequired(_)), "{error:?}");
                });
                assert_gone(&world, &alice, connection);
            }
        }
    }
}

#[test]
fn promise_14_revoke_wins_wherever_it_falls() {
    let rounds = if std::env::var_os("VALETKEY_FULL").is_some() {
        5_000
    } else {
        200
    };
    for world in worlds(RotationClass::SingleUse) {
        let alice = person("alice");
        for _ in 0..rounds {
            let connection = world.connect(&alice, "ada").id;
            world.expire();
            let start = Barrier::new(2);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    start.wait();
                    let _ = world.resolver.resolve(&alice, "notes");
                });
                start.wait();
                world.connections.revoke(&alice, connection).unwrap();
            });
            assert_gone(&world, &alice, connection);
            world.sandbox.clear_log();
        }
    }
}
