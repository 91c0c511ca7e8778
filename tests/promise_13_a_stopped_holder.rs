//! A process is stopped in the middle of a refresh, for longer than its claim holds.

mod processes;

use std::process::Child;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use processes::{Part, Scene, alice, consent, renew, signal};
use valetkey::manager::Settings;
use valetkey::model::Status;
use valetkey::provider::RotationClass;
use valetkey::testing::sandbox::Personality;
use valetkey::{ConnectionManager as _, Connections, Resolver};

const STOPPED: &str = "promise_13_a_late_token_is_saved_but_never_over_a_newer_one";

/// Claims lapse soon, so that the test need not wait half a minute.
fn short() -> Settings {
    let mut settings = Settings::default();
    settings.refresh_lease = Duration::from_secs(2);
    settings
}

/// Holds the answers of the token endpoint back, after the server has made them.
#[derive(Clone, Default)]
struct Valve(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    holding: bool,
    held: usize,
}

impl Valve {
    fn hold(&self) {
        self.0.0.lock().unwrap().holding = true;
    }
    fn open(&self) {
        self.0.0.lock().unwrap().holding = false;
        self.0.1.notify_all();
    }
    fn pass(&self) {
        let mut state = self.0.0.lock().unwrap();
        if state.holding {
            state.held += 1;
            self.0.1.notify_all();
            while state.holding {
                state = self.0.1.wait(state).unwrap();
            }
        }
    }
    fn wait_for_one(&self) {
        let mut state = self.0.0.lock().unwrap();
        while state.held == 0 {
            state = self.0.1.wait(state).unwrap();
        }
        state.held = 0;
    }
}

struct Stopped {
    scene: Scene,
    valve: Valve,
    connections: Connections,
    child: Child,
    connection: valetkey::ConnectionId,
}

/// A child whose refresh the server has answered, and which is stopped before it reads the answer.
fn stopped(change: impl FnOnce(&mut Personality)) -> Stopped {
    let valve = Valve::default();
    let hand = valve.clone();
    let scene = Scene::behind(change, move |path, answer| {
        let answered = answer();
        if path == "/token" {
            hand.pass();
        }
        answered
    });
    let connections = scene.connections_with(short());
    let connection = consent(&scene, &connections).id;
    valve.hold();
    let child = scene.spawn(STOPPED, "");
    valve.wait_for_one();
    signal(&child, "-STOP");
    Stopped {
        scene,
        valve,
        connections,
        child,
        connection,
    }
}

impl Stopped {
    fn generation(&self) -> u64 {
        self.connections
            .get(&alice(), self.connection)
            .unwrap()
            .generation
    }

    /// Waits until the claim has lapsed, by what the vault says of it.
    fn wait_for_lapse(&self) {
        let flight = self
            .connections
            .get(&alice(), self.connection)
            .unwrap()
            .refresh
            .in_flight
            .unwrap();
        let lasts = flight.until.saturating_since(flight.since);
        std::thread::sleep(lasts + Duration::from_millis(200));
    }

    fn go_on(&mut self) {
        signal(&self.child, "-CONT");
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "the child does not end"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn promise_13_a_late_token_is_saved_but_never_over_a_newer_one() {
    if let Some(part) = Part::of(STOPPED) {
        // Whatever comes of it: the parent looks at what is stored.
        let _ = renew(&Resolver::new(part.connections_with(short())));
        return;
    }
    // Nobody took over: the late token is the only good one, and is saved although its claim has lapsed.
    let mut alone = stopped(|it| it.rotation = RotationClass::SingleUseRevokesFamily);
    alone.wait_for_lapse();
    alone.valve.open();
    alone.go_on();
    assert_eq!(alone.generation(), 2);
    let token = Resolver::new(alone.connections.clone())
        .resolve(&alice(), "notes")
        .unwrap();
    assert!(alone.scene.sandbox.is_live(token.access_token().expose_secret()));

    // Somebody took over: the newer generation stays.
    let mut overtaken = stopped(|it| it.rotation = RotationClass::OldStaysValid);
    overtaken.wait_for_lapse();
    overtaken.valve.open();
    let resolver = Resolver::new(overtaken.connections.clone());
    assert_eq!(renew(&resolver).unwrap(), 2);
    let newer = resolver.resolve(&alice(), "notes").unwrap();
    overtaken.go_on();
    assert_eq!(overtaken.generation(), 2);
    let kept = resolver.resolve(&alice(), "notes").unwrap();
    assert_eq!(
        kept.access_token().expose_secret(),
        newer.access_token().expose_secret()
    );

    // It was revoked meanwhile: the late token is not stored, and is revoked at the server.
    let mut revoked = stopped(|it| it.rotation = RotationClass::SingleUse);
    revoked.connections.revoke(&alice(), revoked.connection).unwrap();
    revoked.valve.open();
    revoked.go_on();
    let record = revoked.connections.get(&alice(), revoked.connection).unwrap();
    assert_eq!(record.status, Status::Revoked);
    let live: usize = revoked
        .scene
        .sandbox
        .live_grants()
        .iter()
        .map(|grant| grant.refresh_tokens)
        .sum();
    assert_eq!(
        live, 0,
        "a refresh token of a revoked connection lives on at the server"
    );
}
