//! `resolve` compared with its floor: the point read and the AES-256-GCM decryption that it cannot
//! avoid.
//!
//! `cargo bench --bench resolve`, or with `-- --smoke` for a short run.

#[allow(unreachable_pub, reason = "a module of the bench")]
mod harness;

use std::alloc::System;
use std::cell::Cell;

use harness::floor::Floor;
use harness::people::{self, step};
use harness::{Scenario, is_smoke};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use valetkey::internals::vault::{ConnectionQuery, GrantStore as _, remembering_nothing};
use valetkey::model::Owner;
use valetkey::resolver::Turn;
use valetkey::vault::{SealedVault, SqliteVault, Vault};
use valetkey::{ActingUser, Resolver};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The number of users that a process serves within a few minutes.
const HOT: usize = 100;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let floor = Floor::new(&directory.path().join("floor.db"));
    let hot = Resolving::over(people::vault(&directory.path().join("hot.db")), HOT);
    let warm = Resolving::over(people::vault(&directory.path().join("warm.db")), 10 * HOT);
    let turns = hot.turns();
    let listed = Listed::over(people::vault(&directory.path().join("listed.db")));
    let reading = remembering_nothing(SqliteVault::options())
        .open(directory.path().join("read.db"), people::master_key())
        .expect("a vault");
    let reading = Listed::over(reading);
    let again = remembering_nothing(SqliteVault::options())
        .open(directory.path().join("again.db"), people::master_key())
        .expect("a vault");
    let again = Resolving::over(again, HOT);
    let sqlite = SqliteVault::in_memory(people::master_key()).expect("a vault");
    let sqlite = Resolving::over(sqlite, HOT);
    let memory = Resolving::over(SealedVault::in_memory(), HOT);
    let many = if is_smoke() { 2 * HOT } else { 100_000 };
    let much_memory = Resolving::over(SealedVault::in_memory(), many).among(HOT);

    harness::run(
        &mut [
            Scenario::new("floor: point read + open", || floor.read()),
            Scenario::new("resolve, 100 people", || hot.resolve()).at_most(0.95),
            Scenario::new("resolve, 1000 people", || warm.resolve()).at_most(1.15),
            Scenario::new("resolve, read again", || again.resolve()),
            Scenario::new("resolve, not connected", || hot.miss()).at_most(0.9),
            Scenario::new("resolve again in a turn", || turns.resolve()).at_most(0.50),
            Scenario::new("resolve, SQLite in memory", || sqlite.resolve()).at_most(1.7),
            Scenario::new("resolve, vault in memory, 100", || memory.resolve()),
            Scenario::new("resolve, vault in memory, 100000", || much_memory.resolve()),
            Scenario::new("list a person's five", || listed.five()).at_most(1.0),
            Scenario::new("a page of 100", || listed.page()).at_most(4.0),
            Scenario::new("list a person's five, read again", || reading.five()),
            Scenario::new("a page of 100, read again", || reading.page()),
        ],
        |run| {
            let region = Region::new(ALLOCATOR);
            run();
            region.change().allocations
        },
    );
}

/// The public API over the same work.
struct Resolving {
    resolver: Resolver,
    people: Vec<ActingUser>,
    stranger: ActingUser,
    next: Cell<usize>,
}

impl Resolving {
    fn over(vault: impl Vault, count: usize) -> Self {
        people::connect_all(&vault, count);
        Self {
            resolver: Resolver::new(people::connections(vault)),
            people: (0..count).map(people::person).collect(),
            stranger: people::stranger(),
            next: Cell::new(0),
        }
    }

    /// Resolves only for the first people, so that the caches of the processor hold as much as with
    /// fewer people in the vault.
    fn among(mut self, count: usize) -> Self {
        self.people.truncate(count);
        self
    }

    fn resolve(&self) -> valetkey::resolver::ResolvedToken {
        let person = &self.people[step(&self.next, self.people.len())];
        self.resolver.resolve(person, "sandbox").expect("a token")
    }

    /// Turns of these people, each with a token.
    fn turns(&self) -> Turns {
        let turns = self
            .people
            .iter()
            .map(|person| self.resolver.turn(person.clone()));
        Turns {
            turns: turns.collect(),
            next: Cell::new(0),
        }
    }

    fn miss(&self) -> valetkey::Error {
        self.resolver
            .resolve(&self.stranger, "sandbox")
            .expect_err("not connected")
    }
}

/// Turns in which the token was resolved before.
struct Turns {
    turns: Vec<Turn>,
    next: Cell<usize>,
}

impl Turns {
    fn resolve(&self) -> valetkey::resolver::ResolvedToken {
        let turn = &self.turns[step(&self.next, self.turns.len())];
        turn.resolve("sandbox").expect("a token")
    }
}

/// Lists of connections, of which one person has five.
struct Listed(SqliteVault);

impl Listed {
    fn over(vault: SqliteVault) -> Self {
        people::connect_all(&vault, 10 * HOT);
        for _ in 1..5 {
            people::connect(&vault, &people::person(0));
        }
        Self(vault)
    }

    fn five(&self) {
        let (tenant, person) = (people::tenant(), people::person(0));
        let owner = Owner::Personal(person.user().clone());
        let mut query = ConnectionQuery::of(&tenant);
        query.owner = Some(&owner);
        assert_eq!(self.0.connections(&query).expect("a list").len(), 5);
    }

    fn page(&self) {
        let tenant = people::tenant();
        let mut query = ConnectionQuery::of(&tenant);
        query.limit = 100;
        assert_eq!(self.0.connections(&query).expect("a page").len(), 100);
    }
}
