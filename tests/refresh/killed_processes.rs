//! Processes are repeatedly killed during refreshes, with all kinds of servers. Afterwards each
//! connection matches the server's state, or reports why it does not.
#![allow(clippy::print_stderr, reason = "the figures are the result")]

use std::time::{Duration, Instant};

use valetkey::error::ConsentReason;
use valetkey::internals::model::refresh_state;
use valetkey::internals::provider::RotationClass;
use valetkey::model::Connection;
use valetkey::{Connections, Resolver};

use crate::support::processes::{Part, Scene, alice, consent, count, renew};

const TEST: &str = "killed_processes::promise_11_kill_during_refresh";

#[derive(Debug, Default)]
struct Figures {
    kills: usize,
    in_flight: usize,
    declared: usize,
}

#[test]
fn promise_11_kill_during_refresh() {
    if let Some(part) = Part::of(TEST) {
        let resolver = Resolver::new(part.connections());
        loop {
            renew(&resolver).unwrap();
        }
    }
    let kills = count(100, 10_000) / 4;
    let servers = [
        (RotationClass::Static, false),
        (RotationClass::Grace(Duration::from_secs(120)), false),
        (RotationClass::SingleUse, true),
        (RotationClass::SingleUseRevokesFamily, true),
    ];
    for (seed, (rotation, may_lose)) in servers.into_iter().enumerate() {
        let figures = kill_again_and_again(rotation, kills, u64::try_from(seed).unwrap());
        eprintln!("{rotation:?}: {figures:?}");
        assert!(
            figures.in_flight > 0,
            "no kill ever fell into a refresh: the test proves nothing"
        );
        assert!(may_lose || figures.declared == 0, "{rotation:?}: {figures:?}");
    }
}

fn kill_again_and_again(rotation: RotationClass, kills: usize, seed: u64) -> Figures {
    let scene = Scene::new(|it| it.rotation = rotation);
    let connections = scene.connections();
    let resolver = Resolver::new(connections.clone());
    let mut connection = consent(&scene, &connections);
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed);
    let mut figures = Figures::default();
    while figures.kills < kills {
        let before = scene.token_requests();
        let mut child = scene.spawn(TEST, "");
        at_work(&scene, before, &mut child);
        std::thread::sleep(Duration::from_micros(random.below(6_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        figures.kills += 1;

        let stored = read(&connections, &connection);
        if refresh_state(&stored).in_flight.is_some() {
            figures.in_flight += 1;
        }
        let mut lost = declared_lost(&resolver, &stored);
        if !lost {
            // The stored tokens are those that the server accepts: the access token is live, and
            // the refresh token works. The exception is a request of the dead process that was
            // still in progress and made a strict server end the family: the connection reports it.
            let token = resolver.resolve(&alice(), "notes").unwrap();
            lost = declared_lost(&resolver, &stored);
            let live = scene.sandbox.is_live(token.access_token().expose_secret());
            assert!(live || lost, "a silent divergence");
        }
        if lost {
            figures.declared += 1;
            connection = consent(&scene, &connections);
        }
        if figures.kills.is_multiple_of(100) {
            scene.sandbox.clear_log();
        }
    }
    figures
}

/// Refreshes the tokens, or finds the connection reported as lost in flight. That is only allowed
/// if the child had not completed a refresh.
fn declared_lost(resolver: &Resolver, stored: &Connection) -> bool {
    let Err(error) = renew(resolver) else { return false };
    let need = error.consent_required().unwrap_or_else(|| panic!("{error:?}"));
    assert_eq!(
        need.reason,
        ConsentReason::LostInFlight,
        "an unexplained new consent"
    );
    assert!(
        refresh_state(stored).in_flight.is_some(),
        "lost without a refresh in flight"
    );
    true
}

fn read(connections: &Connections, connection: &Connection) -> Connection {
    connections.get(&alice(), connection.id).unwrap()
}

/// Waits until the child has sent a request.
fn at_work(scene: &Scene, before: usize, child: &mut std::process::Child) {
    let began = Instant::now();
    while scene.token_requests() == before {
        assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "the child never made a request"
        );
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// A small random generator: the times of the kills must vary, but be reproducible from the seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
