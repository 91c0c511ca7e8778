//! Another program locks the file: no panic, no lost token response, and a specific error.

use std::sync::mpsc::channel;
use std::time::Duration;

use valetkey::vault::VaultError;
use valetkey::{Error, Resolver};

use crate::support::processes::{Scene, alice, consent, count, renew};

#[test]
fn promise_15_a_fetched_token_waits_for_the_lock() {
    // The response has arrived when another program takes the lock, and keeps it longer than
    // SQLite's busy timeout of 5 s.
    let (answered, on_answer) = channel();
    let (locked, on_lock) = channel();
    let gate = std::sync::Mutex::new((false, on_lock));
    let scene = Scene::behind(
        |_| {},
        move |path, answer| {
            let answer = answer();
            let mut gate = gate.lock().unwrap();
            // The first token request is for the code; the lock is taken during the refresh.
            if path == "/token" {
                if gate.0 {
                    answered.send(()).unwrap();
                    gate.1.recv().unwrap();
                }
                gate.0 = true;
            }
            answer
        },
    );
    let connections = scene.connections();
    consent(&scene, &connections);
    let resolver = Resolver::new(connections);
    let held_for = Duration::from_secs(count(7, 25).try_into().unwrap());
    std::thread::scope(|scope| {
        let refreshing = scope.spawn(|| renew(&resolver));
        on_answer.recv().unwrap();
        let foreign = rusqlite::Connection::open(&scene.file).unwrap();
        foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
        locked.send(()).unwrap();
        std::thread::sleep(held_for);
        foreign.execute_batch("ROLLBACK").unwrap();
        assert_eq!(
            refreshing.join().unwrap().unwrap(),
            2,
            "the token was fetched and not kept"
        );
    });
    assert_eq!(scene.token_requests(), 2);
}

#[test]
fn promise_15_a_claim_that_cannot_be_written_is_no_request() {
    let scene = Scene::new(|_| {});
    let connections = scene.connections();
    let connection = consent(&scene, &connections);
    let foreign = rusqlite::Connection::open(&scene.file).unwrap();
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = connections.refresh(&alice(), connection.id).unwrap_err();
    assert!(matches!(error, Error::Vault(VaultError::Busy)), "{error:?}");
    assert!(error.is_retryable());
    assert_eq!(
        scene.token_requests(),
        1,
        "a refresh token went out without a claim"
    );
    // Reads continue meanwhile.
    Resolver::new(connections.clone())
        .resolve(&alice(), "notes")
        .unwrap();
    foreign.execute_batch("ROLLBACK").unwrap();
    assert_eq!(
        connections.refresh(&alice(), connection.id).unwrap().generation,
        2
    );
}
