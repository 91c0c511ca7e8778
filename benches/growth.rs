//! What a vault costs when it has grown: a thousand connections beside a hundred thousand.
//!
//! `cargo bench --bench growth`; with `-- --million` the larger one has a million (1.5 GB of disk).
//! The first scenario is the floor; those at the large vault are compared with their like at the
//! small one by the lines at the end.

#[allow(unreachable_pub, reason = "a module of the bench")]
mod harness;

use std::cell::Cell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use harness::people::{self, step};
use harness::{Scenario, asked, is_smoke, quantile};
use valetkey::Resolver;
use valetkey::internals::vault::{ConnectionQuery, GrantStore as _};
use valetkey::model::Owner;
use valetkey::vault::SqliteVault;

/// People whose records open. All others are copies of theirs.
const REAL: usize = 1_000;
/// As many people as a process serves in the same minutes.
const HOT: usize = 100;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let times = if is_smoke() {
        2
    } else if asked("--million") {
        1_000
    } else {
        100
    };
    let small = Grown::new(directory.path().join("small.db"), 1);
    let large = Grown::new(directory.path().join("large.db"), times);

    let mut scenarios = [
        Scenario::new("resolve, small", || small.resolve()),
        Scenario::new("resolve, large", || large.resolve()).at_most(1.25),
        Scenario::new("list of one person, small", || small.list()),
        Scenario::new("list of one person, large", || large.list()),
        Scenario::new("store, small", || small.store()),
        Scenario::new("store, large", || large.store()),
    ];
    harness::run(&mut scenarios, |run| {
        run();
        0
    });
    opening(&small, &large);
}

/// What a process that begins waits for its first answer, round by round. What its end costs is not
/// counted.
#[allow(clippy::print_stdout, reason = "a bench reports on standard output")]
fn opening(small: &Grown, large: &Grown) {
    let rounds = if is_smoke() { 3 } else { 200 };
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (grown, took) in [small, large].into_iter().zip(&mut took) {
            took.push(grown.open().as_secs_f64() * 1e6);
        }
    }
    for (name, took) in ["small", "large"].iter().zip(&took) {
        println!(
            "open and first resolve, {name}: {:.0} us (median), {:.0} us (p10)",
            quantile(took, 0.5),
            quantile(took, 0.1),
        );
    }
}

/// A vault that is open, and a copy of it that is opened again and again.
struct Grown {
    resolver: Resolver,
    vault: SqliteVault,
    closed: PathBuf,
    next: Cell<usize>,
}

impl Grown {
    fn new(path: PathBuf, times: usize) -> Self {
        let vault = people::vault(&path);
        people::connect_all(&vault, REAL);
        drop(vault);
        people::multiply(&path, times);
        let closed = path.with_extension("closed.db");
        std::fs::copy(&path, &closed).expect("a copy of a file that is closed");
        Self {
            resolver: Resolver::new(people::connections(people::vault(&path))),
            vault: people::vault(&path),
            closed,
            next: Cell::new(0),
        }
    }

    fn resolve(&self) {
        resolve(&self.resolver, step(&self.next, HOT));
    }

    fn list(&self) {
        let (tenant, person) = (people::tenant(), people::person(step(&self.next, REAL)));
        let owner = Owner::Personal(person.user().clone());
        let mut query = ConnectionQuery::of(&tenant);
        query.owner = Some(&owner);
        assert_eq!(self.vault.connections(&query).expect("a list").len(), 1);
    }

    /// A new grant of a connection, as another consent stores it.
    fn store(&self) {
        people::connect_again(&self.vault, &people::person(step(&self.next, REAL)));
    }

    /// No other handle is open at that file.
    fn open(&self) -> Duration {
        let number = step(&self.next, HOT);
        let began = Instant::now();
        let resolver = Resolver::new(people::connections(people::vault(&self.closed)));
        resolve(&resolver, number);
        began.elapsed()
    }
}

fn resolve(resolver: &Resolver, number: usize) {
    resolver
        .resolve(&people::person(number), "sandbox")
        .expect("a token");
}
