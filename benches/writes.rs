//! The cost of writes compared with the minimum of a durable write, and how long key rotation
//! blocks other writers.
//!
//! `cargo bench --bench writes`. Each write is one transaction with `synchronous=FULL`, so its time
//! is that of the disk.

#[allow(unreachable_pub, reason = "a module of the bench")]
mod harness;

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::people::{self, step};
use harness::{Scenario, is_smoke, quantile};
use rusqlite::Connection as Database;
use valetkey::internals::vault::{Housekeeping as _, RevocationStore as _, Revoke, RevokeWhat};
use valetkey::model::Connection;
use valetkey::vault::{MasterKey, MasterKeys, SqliteVault};
use valetkey::{Clock as _, SystemClock};

const PEOPLE: usize = 200;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let disk = Disk::new(&directory.path().join("plain"));
    let bare = Bare::new(&directory.path().join("bare.db"));
    let vault = Written::over(people::vault(&directory.path().join("vault.db")));
    let synced = SqliteVault::options().with_claim_sync();
    let synced = synced.open(directory.path().join("synced.db"), people::master_key());
    let synced = Written::over(synced.expect("a vault"));
    harness::run(
        &mut [
            Scenario::new("bare upsert, FULL, secure_delete", || bare.upsert()),
            Scenario::new("8 KiB and fdatasync", || disk.write()),
            Scenario::new("store a grant", || vault.store()),
            Scenario::new("claim and commit a refresh", || vault.refresh()),
            Scenario::new("the same with claim sync", || synced.refresh()),
            Scenario::new("store, revoke, clear the log", || vault.revoke()),
        ],
        |run| {
            run();
            0
        },
    );
    rotation(directory.path());
}

/// The minimum that makes bytes durable.
struct Disk(Cell<Option<File>>);

impl Disk {
    fn new(path: &Path) -> Self {
        Self(Cell::new(Some(File::create(path).expect("a file"))))
    }

    fn write(&self) {
        let mut file = self.0.take().expect("one at a time");
        file.rewind().expect("a file");
        file.write_all(&[7; 8192]).expect("written");
        file.sync_data().expect("durable");
        self.0.set(Some(file));
    }
}

/// SQLite without this crate.
struct Bare {
    database: Database,
    next: Cell<usize>,
    written: Cell<u8>,
}

impl Bare {
    fn new(path: &Path) -> Self {
        let database = Database::open(path).expect("a database");
        database
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
                 CREATE TABLE secrets (user TEXT PRIMARY KEY, sealed BLOB) STRICT;",
            )
            .expect("a schema");
        Self {
            database,
            next: Cell::new(0),
            written: Cell::new(0),
        }
    }

    fn upsert(&self) {
        let person = people::user(step(&self.next, PEOPLE));
        // SQLite writes nothing if a row does not change.
        let sealed = vec![self.written.replace(self.written.get().wrapping_add(1)); people::TOKEN_BYTES];
        self.database
            .prepare_cached(
                "INSERT INTO secrets VALUES (?1, ?2) ON CONFLICT (user) DO UPDATE SET sealed = excluded.sealed",
            )
            .and_then(|mut statement| statement.execute((person, sealed)))
            .expect("stored");
    }
}

/// The vault's own transactions: encrypted, counted and audited.
struct Written {
    vault: SqliteVault,
    connections: RefCell<Vec<Connection>>,
    next: Cell<usize>,
}

impl Written {
    fn over(vault: SqliteVault) -> Self {
        let connections = (0..PEOPLE).map(|number| people::connect(&vault, &people::person(number)));
        Self {
            connections: RefCell::new(connections.collect()),
            vault,
            next: Cell::new(0),
        }
    }

    fn store(&self) {
        let number = step(&self.next, PEOPLE);
        let connection = &mut self.connections.borrow_mut()[number];
        people::connect_again(&self.vault, &people::person(number), connection);
    }

    fn refresh(&self) {
        let connection = &mut self.connections.borrow_mut()[step(&self.next, PEOPLE)];
        people::refresh(&self.vault, connection);
    }

    fn revoke(&self) {
        let connection = people::connect(&self.vault, &people::stranger());
        let revoked = self.vault.revoke(&Revoke {
            tenant: &connection.tenant,
            what: RevokeWhat::Connection(connection.id),
            by: None,
            now: SystemClock.now(),
            keep_until: None,
        });
        assert!(matches!(revoked, Ok(Some(_))));
        let _ = self.vault.clear_residue().expect("cleared");
    }
}

/// Rotates every key of a vault while another handle requests the write lock continuously. The
/// longest wait of that handle is the time that one chunk holds the lock.
#[allow(clippy::print_stdout, reason = "a bench reports on standard output")]
fn rotation(directory: &Path) {
    let (tenants, records) = if is_smoke() { (20, 200) } else { (2_000, 20_000) };
    let path = directory.join("rotated.db");
    fill(&people::vault(&path), tenants, records);
    let new = MasterKey::generate().expect("random numbers");
    let keys = MasterKeys::new(new, [people::master_key()]);
    let vault = SqliteVault::open(&path, keys).expect("a vault");

    let (rewrapping, waited) = beside_a_writer(&path, || {
        let limit = usize::MAX;
        let rewrapped = vault.rotate_master_key(limit, SystemClock.now());
        let rewrapped = rewrapped.expect("rotated").done;
        assert!(rewrapped > tenants, "only {rewrapped}");
    });
    report("rewrap the keys of tenants", tenants, rewrapping, &waited);

    let added = vault.rotate_data_key(&tenant_of(0), SystemClock.now());
    assert_eq!(added.expect("rotated").done, 1);
    let (resealing, waited) = beside_a_writer(&path, || {
        let limit = usize::MAX;
        let resealed = vault.reseal_tokens(limit, SystemClock.now());
        assert_eq!(resealed.expect("resealed").done, records);
    });
    report("reseal one tenant's tokens", records, resealing, &waited);

    fn report(what: &str, count: usize, took: Duration, waited: &[f64]) {
        println!(
            "{what}: {count} in {:.0} ms, {:.1} us each; another writer waited {:.2} ms (p99), {:.2} ms (longest)",
            took.as_secs_f64() * 1e3,
            took.as_secs_f64() * 1e6 / count as f64,
            quantile(waited, 0.99),
            quantile(waited, 1.0),
        );
    }
}

fn tenant_of(number: usize) -> valetkey::TenantId {
    valetkey::TenantId::new(format!("tenant-{number}")).expect("valid")
}

/// The first tenant has nearly all users, each other tenant has one.
fn fill(vault: &SqliteVault, tenants: usize, records: usize) {
    for number in 1..records + tenants {
        let person = valetkey::ActingUser::authenticated(
            tenant_of(number.saturating_sub(records)),
            people::user(number),
        )
        .expect("valid");
        people::connect(vault, &person);
    }
}

/// Returns the duration of the work, and the milliseconds that each transaction of the other handle
/// waited for the lock.
fn beside_a_writer(path: &Path, work: impl FnOnce()) -> (Duration, Vec<f64>) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut database = Database::open(path).expect("a database");
            // SQLite's busy handler sleeps longer after each attempt, which would distort the
            // measurement.
            database
                .busy_handler(Some(|_| {
                    thread::sleep(Duration::from_micros(50));
                    true
                }))
                .expect("a handler");
            let mut waited = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let asked = Instant::now();
                database.execute_batch("BEGIN IMMEDIATE").expect("the lock");
                waited.push(asked.elapsed().as_secs_f64() * 1e3);
                database.execute_batch("ROLLBACK").expect("given back");
                thread::sleep(Duration::from_micros(200));
            }
            waited
        });
        let began = Instant::now();
        work();
        let took = began.elapsed();
        over.store(true, Ordering::Relaxed);
        (took, other.join().expect("the other writer"))
    })
}
