//! `resolve` on several threads, and next to a thread that commits continuously.
//!
//! `cargo bench --bench threads`. The result is the throughput of the whole group, compared with
//! that of one thread in the same round.

#[allow(unreachable_pub, reason = "a module of the bench")]
mod harness;

use std::cell::Cell;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::people::{self, step};
use harness::{is_smoke, quantile};
use valetkey::Resolver;

const PEOPLE: usize = 100;
const GROUPS: [usize; 5] = [1, 2, 4, 8, 64];

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("vault.db");
    let vault = people::vault(&path);
    people::connect_all(&vault, PEOPLE);
    let resolver = Resolver::new(people::connections(vault));

    let (rounds, slice) = if is_smoke() {
        (1, Duration::from_millis(20))
    } else {
        (15, Duration::from_millis(200))
    };
    let mut rates = GROUPS.map(|_| Vec::new());
    let mut beside = Vec::new();
    for _ in 0..rounds {
        for (threads, rates) in GROUPS.iter().zip(&mut rates) {
            rates.push(rate(&resolver, *threads, slice));
        }
        beside.push(beside_a_writer(&resolver, &path, slice));
    }
    report(&rates, &beside);
}

/// Resolves for one second on this many threads.
fn rate(resolver: &Resolver, threads: usize, slice: Duration) -> f64 {
    let (start, over, done) = (
        Barrier::new(threads + 1),
        AtomicBool::new(false),
        AtomicUsize::new(0),
    );
    let took = thread::scope(|scope| {
        for number in 0..threads {
            let (start, over, done) = (&start, &over, &done);
            scope.spawn(move || {
                let next = Cell::new(number);
                let mut count = 0;
                start.wait();
                while !over.load(Ordering::Relaxed) {
                    resolve(resolver, &next);
                    count += 1;
                }
                done.fetch_add(count, Ordering::Relaxed);
            });
        }
        start.wait();
        let began = Instant::now();
        thread::sleep(slice);
        over.store(true, Ordering::Relaxed);
        began
    })
    .elapsed();
    done.load(Ordering::Relaxed) as f64 / took.as_secs_f64()
}

fn resolve(resolver: &Resolver, next: &Cell<usize>) {
    let person = people::person(step(next, PEOPLE));
    resolver.resolve(&person, "sandbox").expect("a token");
}

/// Returns the latency of resolves while another handle commits: the median and the 99th
/// percentile, in microseconds.
fn beside_a_writer(resolver: &Resolver, path: &std::path::Path, slice: Duration) -> (f64, f64) {
    let over = AtomicBool::new(false);
    let mut micros = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let vault = people::vault(path);
            let next = Cell::new(0);
            while !over.load(Ordering::Relaxed) {
                let person = people::person(step(&next, PEOPLE));
                people::refresh(&vault, &mut people::connection_of(&vault, &person));
            }
        });
        let (began, next) = (Instant::now(), Cell::new(0));
        while began.elapsed() < slice {
            let asked = Instant::now();
            resolve(resolver, &next);
            micros.push(asked.elapsed().as_secs_f64() * 1e6);
        }
        over.store(true, Ordering::Relaxed);
    });
    (quantile(&micros, 0.5), quantile(&micros, 0.99))
}

#[allow(clippy::print_stdout, reason = "a bench reports on standard output")]
fn report(rates: &[Vec<f64>], beside: &[(f64, f64)]) {
    for (threads, own) in GROUPS.iter().zip(rates) {
        let ratios: Vec<f64> = own.iter().zip(&rates[0]).map(|(own, one)| own / one).collect();
        println!(
            "{threads:>3} threads: {:>9.0} resolves a second, {:.2} times one thread",
            quantile(own, 0.5),
            quantile(&ratios, 0.5),
        );
    }
    let of = |pick: fn(&(f64, f64)) -> f64| quantile(&beside.iter().map(pick).collect::<Vec<_>>(), 0.5);
    println!(
        "beside a writer: {:.1} us (median), {:.1} us (p99)",
        of(|both| both.0),
        of(|both| both.1),
    );
}
