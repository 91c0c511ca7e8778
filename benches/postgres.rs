//! The vault in PostgreSQL compared with the minimum of each operation: `SELECT 1` through the same
//! thread and sessions, and a commit without rules, keys and audit.
//!
//! `cargo bench --features postgres --bench postgres` starts a private server on a Unix socket,
//! with `fsync` on. `-- --grow 1000000` measures a grown vault as well. Prints one line and ends
//! where PostgreSQL is not installed.

#[path = "../tests/support/postgres.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod cluster;
#[allow(unreachable_pub, reason = "a module of the bench")]
mod harness;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use cluster::Cluster;
use harness::floor::Floor;
use harness::people::{self, step};
use harness::{Scenario, check, is_smoke, quantile, value_of};
use valetkey::internals::vault::postgres::execute;
use valetkey::internals::vault::{
    Attempt, ClaimOutcome, ClaimRequest, Found, GrantStore as _, Of, RefreshStore as _, TokenQuery,
};
use valetkey::model::{Connection, ProviderId, Scopes};
use valetkey::vault::{PostgresOptions, PostgresVault};
use valetkey::{ActingUser, Clock as _, Resolver, SystemClock};

/// The number of users that a process serves within a few minutes.
const HOT: usize = 100;
const WRITERS: usize = 64;

const ONE: &str = "SELECT CAST(:number AS bigint)";
/// A commit of one row, without rules, keys and audit.
const UPDATE: &str = "UPDATE floor SET generation = generation + 1, sealed = decode(repeat('ab', 600), 'hex')
    WHERE id = :number";

fn main() {
    let Some(cluster) = Cluster::with::<&str>(&[]) else {
        return;
    };
    reads(&cluster);
    remembered(&cluster);
    commits(&cluster);
    claims(&cluster);
    if let Some(times) = value_of("--grow") {
        grow(&cluster, times.parse().expect("a number"));
    }
}

fn options(cluster: &Cluster, schema: &str) -> PostgresOptions {
    PostgresOptions::new(&cluster.address())
        .and_then(|options| options.schema(schema))
        .expect("an address")
        .max_sessions(WRITERS)
}

fn open(options: PostgresOptions) -> PostgresVault {
    options.connect(people::master_key()).expect("a vault")
}

/// A vault whose tokens are looked up without the layers above.
struct Reading {
    vault: PostgresVault,
    people: Vec<ActingUser>,
    provider: ProviderId,
    scopes: Scopes,
    next: Cell<usize>,
}

impl Reading {
    fn over(vault: PostgresVault) -> Self {
        people::connect_all(&vault, HOT);
        Self::among(vault)
    }

    fn among(vault: PostgresVault) -> Self {
        Self {
            vault,
            people: (0..HOT).map(people::person).collect(),
            provider: ProviderId::new("sandbox").expect("valid"),
            scopes: Scopes::default(),
            next: Cell::new(0),
        }
    }

    fn floor(&self) {
        execute(&self.vault, ONE, 1).expect("an answer");
    }

    fn query<'a>(&'a self, person: &'a ActingUser) -> TokenQuery<'a> {
        TokenQuery {
            tenant: person.tenant(),
            of: Of::Owner {
                user: Some(person.user()),
                provider: &self.provider,
                label: None,
            },
            scopes: &self.scopes,
        }
    }

    /// Finds a token in the tables.
    fn find(&self) -> Found {
        let query = self.query(&self.people[step(&self.next, HOT)]);
        self.vault.find_token(&query).expect("a token")
    }

    /// Finds a token that is remembered, if it is.
    fn remembered(&self) -> Found {
        let query = self.query(&self.people[step(&self.next, HOT)]);
        self.vault.find_token_as_of(&query).expect("a token").0
    }
}

fn reads(cluster: &Cluster) {
    let reading = Reading::over(open(options(cluster, "reads")));
    harness::run(
        &mut [
            Scenario::new("floor: SELECT 1, same path", || reading.floor()),
            Scenario::new("find a token, 100 people", || reading.find()).at_most(3.5),
        ],
        |_| 0,
    );
}

fn remembered(cluster: &Cluster) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let floor = Floor::new(&directory.path().join("floor.db"));
    let bound = Duration::from_secs(5);
    let options = || options(cluster, "reads").max_staleness(bound).expect("a bound");
    let reading = Reading::among(open(options()));
    let resolver = Resolver::new(people::connections(open(options())));
    let next = Cell::new(0);
    harness::run(
        &mut [
            Scenario::new("floor: point read + open, SQLite", || floor.read()),
            // Each token is read again every five seconds.
            Scenario::new("find a token, remembered", || reading.remembered()).at_most(0.3),
            Scenario::new("resolve, remembered", || {
                let person = &reading.people[step(&next, HOT)];
                resolver.resolve(person, "sandbox").expect("a token")
            }),
        ],
        |_| 0,
    );
}

/// Commits of many writers of one tenant, and of as many rows without rules, keys and audit.
#[allow(clippy::print_stdout, reason = "a bench reports on standard output")]
fn commits(cluster: &Cluster) {
    let vault = open(options(cluster, "commits"));
    let connections: Vec<Mutex<Connection>> = (0..WRITERS)
        .map(|number| Mutex::new(people::connect(&vault, &people::person(number))))
        .collect();
    cluster.sql(
        "SET search_path = commits; CREATE TABLE floor (id bigint PRIMARY KEY, generation bigint, sealed bytea)
             WITH (fillfactor = 70);
         INSERT INTO floor SELECT id, 0, NULL FROM generate_series(0, 63) AS id",
    );
    let (rounds, slice) = if is_smoke() {
        (1, Duration::from_millis(100))
    } else {
        (5, Duration::from_secs(1))
    };
    let (mut floors, mut own) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        floors.push(rate(slice, |number| {
            let number = i64::try_from(number).expect("a number");
            execute(&vault, UPDATE, number).expect("a commit");
        }));
        // A refresh is two transactions: the claim, and the commit with its audit entry.
        own.push(rate(slice, |number| {
            // Each thread has its own connection.
            let mut connection = connections[number].lock().expect("no thread has panicked");
            people::refresh(&vault, &mut connection);
        }));
    }
    let ratios: Vec<f64> = own.iter().zip(&floors).map(|(own, floor)| own / floor).collect();
    let ratio = quantile(&ratios, 0.5);
    println!(
        "{WRITERS} writers of one tenant: {:.0} refreshes a second (claim and commit with audit), {:.0} bare commits \
         a second, ratio {ratio:.3}",
        quantile(&own, 0.5),
        quantile(&floors, 0.5),
    );
}

/// Returns the number of runs in a second by as many threads as there are writers.
fn rate(slice: Duration, run: impl Fn(usize) + Sync) -> f64 {
    let (start, over, done) = (
        Barrier::new(WRITERS + 1),
        AtomicBool::new(false),
        AtomicUsize::new(0),
    );
    let took = thread::scope(|scope| {
        for number in 0..WRITERS {
            let (start, over, done, run) = (&start, &over, &done, &run);
            scope.spawn(move || {
                start.wait();
                while !over.load(Ordering::Relaxed) {
                    run(number);
                    done.fetch_add(1, Ordering::Relaxed);
                }
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

/// The share of claims that write no index entry.
#[allow(clippy::print_stdout, reason = "a bench reports on standard output")]
fn claims(cluster: &Cluster) {
    let count = if is_smoke() { 20 } else { 1_000 };
    let vault = open(options(cluster, "claims"));
    people::connect_all(&vault, count);
    let connections: Vec<Connection> = (0..count)
        .map(|number| people::connection_of(&vault, &people::person(number)))
        .collect();
    drop(vault);
    let updates = || updates(cluster, "claims");
    let before = updates();
    let vault = open(options(cluster, "claims"));
    let now = SystemClock.now();
    for connection in &connections {
        let claim = vault.claim_refresh(&ClaimRequest {
            tenant: &connection.tenant,
            grant: connection.grant,
            holder: vault.holder().expect("a holder"),
            generation: connection.generation,
            attempt: Attempt::Forced,
            now,
            lease: Duration::from_secs(30),
        });
        assert!(matches!(claim, Ok(ClaimOutcome::Granted(_))));
    }
    // A session reports its statistics when it ends.
    drop(vault);
    let after = updates();
    let (all, hot) = (after.0 - before.0, after.1 - before.1);
    println!(
        "claims: {all} updates of grants, {:.1} % without an index entry",
        100.0 * hot / all
    );
    check("claims with an index entry", 100.0 - 100.0 * hot / all, 0.0);
}

/// Returns the number of updates of grants, and of those that wrote no index entry.
fn updates(cluster: &Cluster, schema: &str) -> (f64, f64) {
    while cluster.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'valetkey'") != "0" {
        thread::yield_now();
    }
    let counts = cluster.sql(&format!(
        "SELECT n_tup_upd || ' ' || n_tup_hot_upd FROM pg_stat_user_tables
          WHERE schemaname = '{schema}' AND relname = 'grants'"
    ));
    let (all, hot) = counts.split_once(' ').expect("two counts");
    (all.parse().expect("a count"), hot.parse().expect("a count"))
}

/// Copies every row of a vault under other names. The copies cannot be decrypted. They make the
/// tables as large as those of a grown vault.
#[allow(clippy::print_stdout, reason = "a bench reports on standard output")]
fn grow(cluster: &Cluster, to: usize) {
    let vault = open(options(cluster, "grown"));
    people::connect_all(&vault, HOT);
    let times = to / HOT;
    cluster.sql(&format!(
        "SET search_path = grown; SET synchronous_commit = off;
         INSERT INTO grants SELECT tenant, substr(decode(md5(encode(uuid, 'hex') || time), 'hex'), 1, 16), former_of,
                status, generation, refreshable, server, expires_at + time, refreshed_at, not_before, held_until,
                quarantined_until, dead_at, route, state, access, rest, key_version, revision, mac
           FROM grants, generate_series(1, {times}) AS time;
         INSERT INTO connections SELECT tenant, substr(decode(md5(encode(uuid, 'hex') || time), 'hex'), 1, 16),
                owner || '-' || time, provider, label, is_default, revoked,
                substr(decode(md5(encode(grant_id, 'hex') || time), 'hex'), 1, 16), account, details, mac
           FROM connections, generate_series(1, {times}) AS time;
         VACUUM ANALYZE grants"
    ));
    cluster.sql("VACUUM ANALYZE grown.connections");
    let bytes: f64 = cluster
        .sql("SELECT pg_total_relation_size('grown.grants') + pg_total_relation_size('grown.connections')")
        .parse()
        .expect("a size");
    let rows: f64 = cluster
        .sql("SELECT count(*) FROM grown.connections")
        .parse()
        .expect("a count");
    println!("{rows} connections: {:.0} bytes each", bytes / rows);
    let reading = Reading::among(vault);
    harness::run(
        &mut [
            Scenario::new("floor: SELECT 1, same path", || reading.floor()),
            Scenario::new("find a token, grown vault", || reading.find()),
        ],
        |_| 0,
    );
}
