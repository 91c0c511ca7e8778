//! `resolve` compared with its floor: the point read and the AES-256-GCM decryption that it cannot
//! avoid.
//!
//! `cargo bench --bench resolve`, or with `-- --smoke` for a short run.

#[allow(unreachable_pub, reason = "a module of the bench")]
mod harness;

use std::alloc::System;
use std::cell::Cell;
use std::path::Path;

use harness::people::{self, TOKEN_BYTES, step, user};
use harness::{Scenario, is_smoke};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rusqlite::Connection as Database;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use valetkey::internals::vault::{ConnectionQuery, GrantStore as _};
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
    let listed = Listed::new(&directory.path().join("listed.db"));
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
            Scenario::new("resolve, not connected", || hot.miss()).at_most(0.9),
            Scenario::new("resolve again in a turn", || turns.resolve()).at_most(0.50),
            Scenario::new("resolve, SQLite in memory", || sqlite.resolve()).at_most(1.7),
            Scenario::new("resolve, vault in memory, 100", || memory.resolve()),
            Scenario::new("resolve, vault in memory, 100000", || much_memory.resolve()),
            Scenario::new("list a person's five", || listed.five()),
            Scenario::new("a page of 100", || listed.page()),
        ],
        |run| {
            let region = Region::new(ALLOCATOR);
            run();
            region.change().allocations
        },
    );
}

/// The minimum work of any vault: one cached statement, one blob, one decryption.
struct Floor {
    database: Database,
    key: LessSafeKey,
    users: Vec<String>,
    next: Cell<usize>,
}

impl Floor {
    fn new(path: &Path) -> Self {
        let database = Database::open(path).expect("a database");
        database
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA cache_size = -8000;
                 CREATE TABLE secrets (tenant INTEGER, user TEXT, provider TEXT, sealed BLOB,
                                       UNIQUE (tenant, user, provider)) STRICT;",
            )
            .expect("a schema");
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("a key"));
        for person in 0..HOT {
            let mut sealed = vec![b'x'; TOKEN_BYTES];
            key.seal_in_place_append_tag(
                Nonce::assume_unique_for_key([0; 12]),
                Aad::from([0; 43]),
                &mut sealed,
            )
            .expect("sealing");
            database
                .execute(
                    "INSERT INTO secrets VALUES (1, ?1, 'gmail', ?2)",
                    (user(person), sealed),
                )
                .expect("a row");
        }
        Self {
            database,
            key,
            users: (0..HOT).map(user).collect(),
            next: Cell::new(0),
        }
    }

    fn read(&self) -> Box<str> {
        let user = &self.users[step(&self.next, HOT)];
        let mut statement = self
            .database
            .prepare_cached(
                "SELECT sealed FROM secrets WHERE tenant = 1 AND user = ?1 AND provider = 'gmail'",
            )
            .expect("a statement");
        let mut sealed: Vec<u8> = statement.query_row([user], |row| row.get(0)).expect("a row");
        let open = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key([0; 12]),
                Aad::from([0; 43]),
                &mut sealed,
            )
            .expect("opens");
        Box::from(std::str::from_utf8(open).expect("text"))
    }
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
    fn new(path: &Path) -> Self {
        let vault = people::vault(path);
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
