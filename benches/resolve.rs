//! `resolve` beside its floor: the bare point read and AES-256-GCM open that it cannot do without.
//!
//! `cargo bench --bench resolve`, or with `-- --smoke` for a short run.

#[allow(unreachable_pub, reason = "a module of the bench")]
mod harness;

use std::alloc::System;
use std::cell::Cell;
use std::path::Path;

use harness::Scenario;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rusqlite::Connection as Database;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use valetkey::model::{Connection, ConnectionId, IssuedBy, Owner, ProviderId, ServerId};
use valetkey::testing::Sandbox;
use valetkey::vault::envelope::MasterKey;
use valetkey::vault::{Grant, SqliteVault, StateHash, StoreOutcome, Tokens, Vault};
use valetkey::{
    AccessToken, ActingUser, Clock as _, Connections, RefreshToken, Resolver, SystemClock, TenantId, UserId,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// As many people as a process serves in the same minutes.
const HOT: usize = 100;
/// The size of a sealed access token that most providers issue.
const TOKEN_BYTES: usize = 570;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let floor = Floor::new(&directory.path().join("floor.db"));
    let hot = Resolving::new(&directory.path().join("hot.db"), HOT);
    let warm = Resolving::new(&directory.path().join("warm.db"), 10 * HOT);

    harness::run(
        &mut [
            Scenario::new("floor: point read + open", || floor.read()),
            Scenario::new("resolve, 100 people", || hot.resolve()),
            Scenario::new("resolve, 1000 people", || warm.resolve()),
            Scenario::new("resolve, not connected", || hot.miss()),
        ],
        |run| {
            let region = Region::new(ALLOCATOR);
            run();
            region.change().allocations
        },
    );
}

/// What no vault can do without: one cached statement, one blob, one open.
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
    fn new(path: &Path, people: usize) -> Self {
        let sandbox = Sandbox::new(SystemClock);
        let vault = SqliteVault::open(path, MasterKey::generate().expect("random numbers")).expect("a vault");
        let tenant = TenantId::new("acme").expect("valid");
        let people: Vec<_> = (0..people)
            .map(|person| {
                ActingUser::authenticated(tenant.clone(), UserId::new(user(person)).expect("valid"))
            })
            .collect();
        for person in &people {
            connect(&vault, person);
        }
        let connections = Connections::builder(vault)
            .server(sandbox.server())
            .provider(sandbox.provider("sandbox"))
            .client("sandbox", sandbox.registration("https://app.test/callback"))
            .http_client(sandbox)
            .build()
            .expect("connections");
        let stranger = ActingUser::authenticated(tenant, UserId::new("nobody").expect("valid"));
        Self {
            resolver: Resolver::new(connections),
            people,
            stranger,
            next: Cell::new(0),
        }
    }

    fn resolve(&self) -> valetkey::resolver::ResolvedToken {
        let person = &self.people[step(&self.next, self.people.len())];
        self.resolver.resolve(person, "sandbox").expect("a token")
    }

    fn miss(&self) -> valetkey::Error {
        self.resolver
            .resolve(&self.stranger, "sandbox")
            .expect_err("not connected")
    }
}

fn connect(vault: &dyn Vault, person: &ActingUser) {
    let now = SystemClock.now();
    let mut connection = Connection::new(
        ConnectionId::generate(now).expect("random numbers"),
        person.tenant().clone(),
        Owner::Personal(person.user().clone()),
        ProviderId::new("sandbox").expect("valid"),
        IssuedBy {
            server: ServerId::new("sandbox").expect("valid"),
            token_endpoint: "https://sandbox.test/token".into(),
            client_id: "client".into(),
        },
        now,
    );
    connection.refreshable = true;
    connection.expires_at = Some(now + std::time::Duration::from_secs(30 * 24 * 3600));
    let tokens = Tokens {
        access_token: AccessToken::new("x".repeat(TOKEN_BYTES)),
        refresh_token: Some(RefreshToken::new("r".repeat(100))),
        id_token: None,
    };
    let consent = StateHash::from_bytes([0; 32]);
    let stored = vault
        .store_grant(&Grant {
            consent: &consent,
            connection: &connection,
            tokens: &tokens,
            members: &[],
        })
        .expect("stored");
    assert_eq!(stored, StoreOutcome::Stored);
}

fn user(person: usize) -> String {
    format!("person-{person:05}")
}

/// Walks round the people in an order that is not that of the rows.
fn step(next: &Cell<usize>, people: usize) -> usize {
    next.set((next.get() + 37) % people);
    next.get()
}
