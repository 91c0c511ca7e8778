//! The time of a turn that resolves one token, with its own entry in the audit, while upkeep writes
//! the entries.
//!
//! `cargo bench --bench turns`, or with `-- --smoke` for a short run. The mean contains everything
//! that a call pays for the audit; the percentiles show whether single calls wait for a write.

#[allow(unreachable_pub, reason = "a module of the bench")]
mod harness;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::people;
use harness::{check, is_smoke, quantile};
use valetkey::Resolver;
use valetkey::connections::Budget;

const PEOPLE: usize = 100;
/// The number of turns: fewer than the uses that are collected before a resolve writes some of them
/// itself. A host that calls upkeep stays below that.
const TURNS: usize = 50_000;
/// The interval of upkeep. Hosts call it less often, and it then has more to write.
const INTERVAL: Duration = Duration::from_millis(100);

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let vault = people::vault(&directory.path().join("vault.db"));
    people::connect_all(&vault, PEOPLE);
    let connections = people::connections(vault);
    let resolver = Resolver::new(connections.clone());
    let count = if is_smoke() { 2_000 } else { TURNS };
    let alone = turns(&resolver, count);
    connections.maintain(Budget::default()).expect("upkeep");
    let over = AtomicBool::new(false);
    let beside = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                connections.maintain(Budget::default()).expect("upkeep");
                thread::sleep(INTERVAL);
            }
        });
        let beside = turns(&resolver, count);
        over.store(true, Ordering::Relaxed);
        beside
    });
    report("turns", &alone);
    report("turns beside upkeep", &beside);
    check("p99.9 in us", quantile(&alone, 0.999), 200.0);
    check("longest in us", quantile(&alone, 1.0), 1_000.0);
}

/// Returns the microseconds of each turn.
fn turns(resolver: &Resolver, count: usize) -> Vec<f64> {
    let people: Vec<_> = (0..PEOPLE).map(people::person).collect();
    let mut took = Vec::with_capacity(count);
    for number in 0..count {
        let person = people[number * 37 % PEOPLE].clone();
        let begun = Instant::now();
        let turn = resolver.turn(person);
        turn.resolve("sandbox").expect("a token");
        drop(turn);
        took.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    took
}

#[allow(clippy::print_stdout, reason = "a bench reports on standard output")]
fn report(what: &str, took: &[f64]) {
    println!(
        "{what}: {} of them; mean {:.2} us, median {:.2} us, p99 {:.2} us, p99.9 {:.2} us, longest {:.2} us",
        took.len(),
        took.iter().sum::<f64>() / took.len() as f64,
        quantile(took, 0.5),
        quantile(took, 0.99),
        quantile(took, 0.999),
        quantile(took, 1.0),
    );
}
