//! The cost of a large vault: a thousand connections compared with a hundred thousand.
//!
//! `cargo bench --bench growth`; with `-- --million` the larger vault has a million (1.5 GB of
//! disk). The first scenario is the floor. The lines at the end compare the scenarios of the large
//! vault with those of the small one.

#[allow(unreachable_pub, reason = "a module of the bench")]
mod harness;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use harness::people::{self, step};
use harness::{Scenario, asked, is_smoke, quantile};
use valetkey::Resolver;
use valetkey::internals::vault::{ConnectionQuery, GrantStore as _};
use valetkey::model::{Connection, Owner, ProviderId};
use valetkey::vault::SqliteVault;

/// Users whose records can be decrypted. All others are copies of theirs.
const REAL: usize = 1_000;
/// The number of users that a process serves within a few minutes.
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
        Scenario::new("list of one user, small", || small.list()),
        Scenario::new("list of one user, large", || large.list()),
        Scenario::new("page of a provider, small", || small.page("sandbox", 100)),
        Scenario::new("page of a provider, large", || large.page("sandbox", 100)),
        Scenario::new("page of an unused provider, large", || large.page("gmail", 0)),
        Scenario::new("store, small", || small.store()),
        Scenario::new("store, large", || large.store()),
    ];
    harness::run(&mut scenarios, |run| {
        run();
        0
    });
    opening(&small, &large);
}

/// The time from the start of a process to its first token, for each round. Closing is not
/// included.
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

/// An open vault, and a copy of it that is opened repeatedly.
struct Grown {
    resolver: Resolver,
    vault: SqliteVault,
    closed: PathBuf,
    /// Those of the users whose records can be decrypted.
    connections: RefCell<Vec<Connection>>,
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
        let vault = people::vault(&path);
        let connections = (0..REAL).map(|number| people::connection_of(&vault, &people::person(number)));
        Self {
            connections: RefCell::new(connections.collect()),
            resolver: Resolver::new(people::connections(people::vault(&path))),
            vault,
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

    fn page(&self, provider: &str, found: usize) {
        let tenant = people::tenant();
        let provider = ProviderId::new(provider).expect("an id");
        let mut query = ConnectionQuery::of(&tenant);
        query.provider = Some(&provider);
        query.limit = 100;
        assert_eq!(self.vault.connections(&query).expect("a page").len(), found);
    }

    /// A new grant of a connection, stored as by another consent.
    fn store(&self) {
        let number = step(&self.next, REAL);
        let connection = &mut self.connections.borrow_mut()[number];
        people::connect_again(&self.vault, &people::person(number), connection);
    }

    /// No other handle has the file open.
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
