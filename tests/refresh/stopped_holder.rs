//! A process is stopped during a refresh for longer than its claim holds.
#![allow(clippy::print_stdout, reason = "how the child tells its parent where it is")]

use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::time::{Duration, Instant};

use valetkey::connections::Settings;
use valetkey::http::{HttpClient as _, HttpError, HttpRequest, HttpResponse, UreqClient};
use valetkey::internals::model::refresh_state;
use valetkey::internals::provider::RotationClass;
use valetkey::model::Status;
use valetkey::testing::sandbox::Personality;
use valetkey::{Connections, Resolver};

use crate::support::processes::{Part, Scene, alice, consent, renew, signal};

const ANSWERED: &str = "the server has answered";
const STOPPED: &str = "stopped_holder::promise_13_a_late_token_is_saved_but_never_over_a_newer_one";

/// A short lease, so that the test need not wait half a minute.
fn short() -> Settings {
    let mut settings = Settings::default();
    settings.refresh_lease = Duration::from_secs(2);
    settings
}

/// A client that waits for a message from the parent after reading the token response, so that a
/// process can be stopped while it holds the only valid token.
fn pausing(request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let is_refresh = request.url.path() == "/token";
    let response = UreqClient::new().dangerous_loopback_http().send(request)?;
    if is_refresh {
        println!("{ANSWERED}");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
    }
    Ok(response)
}

struct Stopped {
    scene: Scene,
    connections: Connections,
    child: Child,
    connection: valetkey::ConnectionId,
}

/// A child that has received the server's refresh response, and is stopped before it stores it.
fn stopped(change: impl FnOnce(&mut Personality)) -> Stopped {
    let scene = Scene::new(change);
    let connections = scene.connections_with(short());
    let connection = consent(&scene, &connections).id;
    let mut child = scene.spawn_talking(STOPPED);
    let output = BufReader::new(child.stdout.take().unwrap());
    assert!(
        output.lines().any(|line| line.unwrap().contains(ANSWERED)),
        "the child never refreshed"
    );
    signal(&child, "-STOP");
    Stopped {
        scene,
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

    /// Waits until the vault reports that the claim has lapsed.
    fn wait_for_lapse(&self) {
        let stored = self.connections.get(&alice(), self.connection).unwrap();
        let flight = refresh_state(&stored).in_flight.unwrap();
        let lasts = flight.until.saturating_since(flight.since);
        std::thread::sleep(lasts + Duration::from_millis(200));
    }

    fn go_on(&mut self) {
        signal(&self.child, "-CONT");
        drop(self.child.stdin.take());
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
        // The result does not matter: the parent checks the stored state.
        let _ = renew(&Resolver::new(part.connections_with(short(), pausing)));
        // The harness must not print into a pipe that is not read.
        std::process::exit(0);
    }
    // No process took over: the late token is the only valid one, and is stored although its claim
    // has lapsed.
    let mut alone = stopped(|it| it.rotation = RotationClass::SingleUseRevokesFamily);
    alone.wait_for_lapse();
    alone.go_on();
    assert_eq!(alone.generation(), 2);
    let token = Resolver::new(alone.connections.clone())
        .resolve(&alice(), "notes")
        .unwrap();
    assert!(alone.scene.sandbox.is_live(token.access_token().expose_secret()));

    // Another process took over: the newer generation remains.
    let mut overtaken = stopped(|it| it.rotation = RotationClass::OldStaysValid);
    overtaken.wait_for_lapse();
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

    // The connection was revoked meanwhile: the late token is not stored, and is revoked at the
    // server.
    let mut revoked = stopped(|it| it.rotation = RotationClass::SingleUse);
    revoked.connections.revoke(&alice(), revoked.connection).unwrap();
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
