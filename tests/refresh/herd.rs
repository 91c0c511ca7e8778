//! A thousand threads on one expired connection: one token request, and each returns by its
//! deadline.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use valetkey::Error;
use valetkey::connections::Settings;
use valetkey::testing::{Fault, Gate, Host};
use valetkey::vault::{MasterKey, SqliteVault};

use crate::support::world::{World, person};

const THREADS: usize = 1_000;

#[test]
fn promise_17_a_herd_makes_one_request() {
    let world = World::over(SqliteVault::in_memory(MasterKey::generate().unwrap()).unwrap());
    let alice = person("alice");
    world.connect(&alice, "ada");
    world.expire();
    world.sandbox.clear_log();
    let gate = Gate::new();
    world.http.on("/token").next(Fault::Hold(gate.clone()));
    let start = Barrier::new(THREADS + 1);
    std::thread::scope(|scope| {
        let herd: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    world.resolver.resolve(&alice, "notes").unwrap().generation()
                })
            })
            .collect();
        start.wait();
        gate.wait_for_arrivals(1);
        gate.open();
        assert!(herd.into_iter().all(|thread| thread.join().unwrap() == 2));
    });
    assert_eq!(world.sandbox.count("/token"), 1);
}

// NangoHQ/nango#1005: waiting must be bounded, regardless of the holder.
#[test]
fn promise_17_nobody_waits_past_their_bound() {
    let vault = SqliteVault::in_memory(MasterKey::generate().unwrap()).unwrap();
    let mut settings = Settings::default();
    settings.resolve_deadline = Duration::from_millis(300);
    let host = Host::builder()
        .vault(vault)
        .connections(|_, builder| builder.settings(settings))
        .build()
        .unwrap();
    let alice = person("alice");
    host.connect(&alice, "notes");
    host.expire();

    let gate = Gate::new();
    host.http.on("/token").next(Fault::Hold(gate.clone()));
    let resolver = &host.resolver;
    std::thread::scope(|scope| {
        let leader = scope.spawn(|| resolver.resolve(&alice, "notes").map(|token| token.generation()));
        gate.wait_for_arrivals(1);
        let began = Instant::now();
        let error = resolver.resolve(&alice, "notes").unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        assert!(error.is_retryable());
        // The deadline plus a generous allowance for a busy machine. Without a deadline, this would
        // last until the gate opens.
        assert!(began.elapsed() < Duration::from_secs(20));
        gate.open();
        assert_eq!(leader.join().unwrap().unwrap(), 2);
    });
}
