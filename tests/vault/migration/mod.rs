//! Migration from schemas 1 and 2 to the newest one: with many rows, while processes are killed,
//! several at once, and without holding the write lock for long.

#![cfg(feature = "sqlite")]
#![allow(clippy::print_stdout, reason = "a test tells how many cases it tried")]

mod older;

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use older::{Row, filled, owner, uuid, workspace};
use rusqlite::Connection as Database;
use valetkey::TenantId;
use valetkey::internals::vault::{Attempt, ClaimOutcome, ClaimRequest, ConnectionQuery, Taken};
use valetkey::model::{ConnectionId, NeedsConsent, Owner, Status};
use valetkey::vault::{SqliteVault, VaultError};

use crate::support::vault::log::Watch;
use crate::support::vault::*;

/// Checks that all records that [`filled`] wrote exist.
fn everything_is_there(vault: &SqliteVault, schema: u32, rows: u32) {
    let step = (rows / 50).max(20);
    for number in 0..rows {
        let tenant = TenantId::new(workspace(number)).unwrap();
        let row = Row::of(number, schema);
        connection_is_there(vault, &tenant, number, row);
        // Each of these is a separate write, so only ten of them are made.
        if number % step < 10 {
            secrets_are_there(vault, &tenant, number, row);
        }
    }
    let mut pending = vault
        .take_revocations(at(100), Duration::from_secs(5), rows as usize + 9)
        .unwrap();
    // The kept file has one.
    pending.retain(|one| one.connection != id(3));
    let revoked = (0..rows).filter(|number| Row::of(*number, schema) == Row::Revoked);
    assert_eq!(pending.len(), revoked.count());
    for one in &pending {
        let number = u32::from_be_bytes(*one.connection.as_bytes().first_chunk().unwrap());
        let refresh = one.refresh_token.as_ref().unwrap().expose_secret();
        assert_eq!(refresh, format!("refresh-{number}"));
        assert_eq!((one.attempts, one.give_up_at), (3, at(9_000)));
    }
    assert_eq!(access(vault, &tenant(), 1).as_deref(), Some("access-1-2"));
    assert_intact(vault);
    vault.integrity_check().unwrap();
}

fn connection_is_there(vault: &SqliteVault, tenant: &TenantId, number: u32, row: Row) {
    let kinds: &[u8] = if row == Row::Shared { &[1, 2] } else { &[1] };
    for kind in kinds {
        let id = ConnectionId::from_bytes(uuid(number, *kind));
        let stored = vault.connection(tenant, id).unwrap().unwrap();
        assert_eq!(stored.owner, Owner::Personal(owner(number).try_into().unwrap()));
        let (status, token) = match row {
            Row::Revoked => (Status::Revoked, None),
            Row::Expired => (Status::NeedsConsent(NeedsConsent::Expired), None),
            _ => (Status::Active, Some(format!("access-{number}"))),
        };
        assert_eq!(stored.status, status);
        let found = find(vault, tenant, id)
            .unwrap()
            .and_then(|found| found.access_token);
        assert_eq!(found.map(|found| found.expose_secret().to_owned()), token);
        let keeper = if row == Row::Shared { 3 } else { 1 };
        assert_eq!(stored.grant.as_bytes(), &uuid(number, keeper));
        if matches!(row, Row::Active | Row::Claimed) {
            assert_eq!(stored.used_at.unwrap().as_unix_millis(), i64::from(number));
        }
    }
}

fn secrets_are_there(vault: &SqliteVault, tenant: &TenantId, number: u32, row: Row) {
    let id = ConnectionId::from_bytes(uuid(number, 1));
    let stored = vault.connection(tenant, id).unwrap().unwrap();
    let outcome = vault.claim_refresh(&ClaimRequest {
        tenant,
        grant: stored.grant,
        holder: vault.holder().unwrap(),
        generation: 1,
        attempt: Attempt::Forced,
        now: at(1),
        lease: Duration::ZERO,
    });
    match (outcome.unwrap(), row) {
        (ClaimOutcome::Granted(claimed), Row::Active | Row::Shared | Row::Claimed) => {
            let refresh = claimed.refresh_token.expose_secret();
            assert_eq!(refresh, format!("refresh-{number}"));
            // A claim that did not end is still recorded.
            assert_eq!(claimed.outcome_unknown, row == Row::Claimed);
        }
        (ClaimOutcome::NotActive(status), Row::Expired | Row::Revoked) => assert_eq!(status, stored.status),
        (outcome, _) => panic!("{number}: {outcome:?}"),
    }
    if row == Row::Claimed {
        let taken = vault.take_consent(tenant, &state(&format!("state-{number}")), at(1));
        match taken.unwrap() {
            Taken::Consent(_, Some(verifier)) => {
                assert_eq!(verifier.expose_secret(), format!("verifier-{number}"));
            }
            other => panic!("{number}: {other:?}"),
        }
    }
}

#[test]
fn everything_of_an_older_file_is_there_and_progress_is_reported() {
    let rows = if full() { 100_000 } else { 1_000 };
    for schema in [1, 2] {
        let (_directory, path) = filled(schema, rows);
        let mut reports = Vec::new();
        let began = Instant::now();
        let vault = SqliteVault::open_with_progress(&path, key(1), |done, total| reports.push((done, total)))
            .unwrap();
        let took = began.elapsed();
        let total = reports[0].1;
        assert!(total > u64::from(rows), "{total}");
        assert_eq!(reports[0].0, 0);
        assert_eq!(reports[reports.len() - 1].0, total);
        assert!(reports.is_sorted_by_key(|(done, _)| *done));
        assert!(reports.iter().all(|(_, of)| *of == total));
        assert!(reports.len() as u64 >= total / 100, "{}", reports.len());
        println!("schema {schema}: {total} records in {took:?}");
        everything_is_there(&vault, schema, rows);
        // The second call has nothing to report.
        drop(vault);
        SqliteVault::open_with_progress(&path, key(1), |_, _| panic!("migrated again")).unwrap();
    }
}

/// The last line of a child that has migrated.
const MIGRATED: &str = "migrated";

/// The child of the tests below: migrates, and prints a line for each report.
#[test]
fn migrate_in_a_child() {
    let Some(path) = std::env::var_os("VALETKEY_MIGRATE") else {
        return;
    };
    let path = Path::new(&path);
    while std::env::var_os("VALETKEY_WAIT").is_some() && !path.with_file_name("go").exists() {
        thread::yield_now();
    }
    SqliteVault::open_with_progress(path, key(1), |done, _| println!("{done}")).unwrap();
    println!("{MIGRATED}");
}

fn child(path: &Path, wait: Option<&str>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "migration::migrate_in_a_child", "--nocapture"])
        .env("VALETKEY_MIGRATE", path)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    if let Some(wait) = wait {
        command.env("VALETKEY_WAIT", wait);
    }
    command.spawn().unwrap()
}

/// Lets the child make this many reports and run for a while longer, then kills it. Returns how
/// many reports it had made; `None` if it had finished before.
fn kill(child: &mut Child, reports: u64, then: Duration) -> Option<u64> {
    // The pipe is kept until the child is dead, so that the child does not fail when it writes to
    // it.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = 0;
    let mut is_done = false;
    while !is_done && seen < reports {
        let Some(line) = lines.next() else { break };
        let line = line.unwrap();
        is_done = line == MIGRATED;
        // The output of the test harness does not contain reports.
        seen += u64::from(line.parse::<u64>().is_ok());
    }
    let until = Instant::now() + then;
    while !is_done && Instant::now() < until {
        thread::yield_now();
    }
    child.kill().unwrap();
    let status = child.wait().unwrap();
    is_done |= lines.map(Result::unwrap).any(|line| line == MIGRATED);
    assert!(
        is_done || status.signal() == Some(9),
        "the child ended by itself and migrated nothing: {status}"
    );
    (!is_done).then_some(seen)
}

#[test]
fn a_migration_that_is_killed_again_and_again_loses_nothing() {
    let (rows, kills) = if full() { (3_000, 200) } else { (1_500, 12) };
    for schema in [1, 2] {
        let mut random = Random::new(u64::from(schema));
        let (mut killed, mut amid) = (0, 0);
        while killed < kills {
            let (_directory, path) = filled(schema, rows);
            // Some die before their first report, in the first transactions.
            loop {
                let (reports, then) = (random.below(4), Duration::from_micros(random.below(20_000)));
                let mut child = child(&path, None);
                let Some(seen) = kill(&mut child, reports, then) else {
                    break;
                };
                killed += 1;
                amid += usize::from(seen > 0);
            }
            everything_is_there(&open(&path).unwrap(), schema, rows);
        }
        println!("schema {schema}: killed {killed} times, {amid} of them amid the records");
        assert!(amid > 0, "no kill fell into the migration of a record");
    }
}

#[test]
fn several_processes_migrate_at_once_and_some_die() {
    let rows = if full() { 3_000 } else { 600 };
    for schema in [1, 2] {
        let (_directory, path) = filled(schema, rows);
        let mut children: Vec<Child> = (0..5).map(|_| child(&path, Some("go"))).collect();
        std::fs::write(path.with_file_name("go"), "").unwrap();
        let mut victim = children.pop().unwrap();
        kill(&mut victim, 2, Duration::from_millis(1));
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}");
            let output = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.lines().any(|line| line == MIGRATED), "{output}");
        }
        let vault = open(&path).unwrap();
        everything_is_there(&vault, schema, rows);
    }
}

/// A process of an older version does not know the tables that it finds, so it cannot write to them
/// by mistake.
#[test]
fn an_older_version_finds_no_table_once_a_migration_has_begun() {
    for schema in [1, 2] {
        let (_directory, path) = filled(schema, 10);
        let old = Database::open(&path).unwrap();
        let statements = [
            "UPDATE vault SET created_at = created_at",
            "UPDATE connections SET slot = slot",
            "UPDATE consents SET created_at = created_at",
            "UPDATE outbox SET attempts = attempts",
            "UPDATE audit_head SET number = number",
        ];
        for statement in statements {
            old.execute(statement, []).unwrap();
        }
        let cut_off = std::panic::catch_unwind(|| {
            SqliteVault::open_with_progress(&path, key(1), |_, _| panic!("cut off"))
        });
        assert!(cut_off.is_err());
        for statement in statements {
            assert!(old.execute(statement, []).is_err(), "{statement}");
        }
        drop(old);
        everything_is_there(&open(&path).unwrap(), schema, 10);
    }
}

/// A record that cannot be opened remains an error to its readers. The rest of the file moves.
#[test]
fn a_record_that_was_altered_does_not_stop_the_migration() {
    for schema in [1, 2] {
        let (_directory, path) = filled(schema, 100);
        let altered = ConnectionId::from_bytes(uuid(10, 1));
        let db = Database::open(&path).unwrap();
        let changed = db.execute(
            "UPDATE secrets SET access = zeroblob(40) || substr(access, 41)
             WHERE slot = (SELECT slot FROM connections WHERE uuid = ?1)",
            [altered.as_bytes()],
        );
        // STRICT tables do not accept text in a blob column.
        assert!(changed.is_err());
        db.execute(
            "UPDATE secrets SET access = CAST(substr(access, 1, 40) || zeroblob(length(access) - 40) AS BLOB)
             WHERE slot = (SELECT slot FROM connections WHERE uuid = ?1)",
            [altered.as_bytes()],
        )
        .unwrap();
        drop(db);
        let vault = open(&path).unwrap();
        let of = TenantId::new(workspace(10)).unwrap();
        let found = find(&vault, &of, altered);
        assert!(matches!(found, Err(VaultError::Tampered)), "{found:?}");
        for number in (0..100).filter(|number| *number != 10) {
            let tenant = TenantId::new(workspace(number)).unwrap();
            connection_is_there(&vault, &tenant, number, Row::of(number, schema));
        }
        let mut all = ConnectionQuery::of(&of);
        all.with_revoked = true;
        assert!(vault.connections(&all).unwrap().len() > 60);
    }
}

/// A transaction that writes few pages holds the write lock for a short time.
#[test]
fn a_migration_writes_in_small_transactions() {
    for schema in [1, 2] {
        let (_directory, path) = filled(schema, 3_000);
        let watch = Watch::new(&path);
        drop(SqliteVault::open(&path, key(1)).unwrap());
        let pages = watch.pages();
        assert!(pages.len() > 20, "{}", pages.len());
        assert!(pages.iter().all(|pages| *pages <= 200), "{pages:?}");
    }
}
