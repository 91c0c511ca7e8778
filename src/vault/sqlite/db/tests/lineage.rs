//! Combinations of files from different times.

use super::*;
use crate::vault::sqlite::db::beat::{self, Beat};
use crate::vault::sqlite::db::log::{self, Log};
use crate::vault::sqlite::tests as rows;

/// A copy, and the state that was visible when it was made.
struct Time {
    copy: Copy,
    steps: Vec<String>,
}

/// Returns copies of a vault that is being written, with its log continued, moved in part, moved as
/// a whole and begun again.
fn times(path: &Path) -> Vec<Time> {
    let mut times = Vec::new();
    let tables = open(path);
    let mut take = |tables: &SqliteTables| {
        times.push(Time {
            copy: Copy::take(path),
            steps: steps(tables),
        });
    };
    let checkpoint = |mode: &str| {
        let db = rusqlite::Connection::open(path).unwrap();
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        db.query_row(&sql, [], |_| Ok(())).unwrap();
    };
    take(&tables);
    for round in 0..3 {
        for number in 0..3 {
            step(&tables, &format!("{round}-{number}")).unwrap();
            take(&tables);
        }
        // A reader prevents the rest of the log from being moved.
        let reader = rusqlite::Connection::open(path).unwrap();
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM tenants")
            .unwrap();
        step(&tables, &format!("{round}-after")).unwrap();
        checkpoint("PASSIVE");
        take(&tables);
        step(&tables, &format!("{round}-later")).unwrap();
        reader.execute_batch("COMMIT").unwrap();
        take(&tables);
        checkpoint(["PASSIVE", "RESTART", "TRUNCATE"][round]);
        take(&tables);
    }
    drop(tables);
    times.push(Time {
        copy: Copy::take(path),
        steps: steps(&open(path)),
    });
    times
}

#[test]
fn any_mix_of_times_is_refused_or_equals_one_of_them() {
    let (directory, path) = file();
    let times = times(&path);
    let mixed = directory.path().join("mixed.db");
    let (mut opened, mut refused) = (0, 0);
    for (at, database) in times.iter().enumerate() {
        for (other, log) in times.iter().enumerate() {
            for shared_memory in [&[][..], &log.copy.shared_memory, &times[0].copy.shared_memory] {
                let copy = Copy {
                    database: database.copy.database.clone(),
                    log: log.copy.log.clone(),
                    shared_memory: shared_memory.to_vec(),
                };
                copy.put(&mixed);
                match SqliteTables::open(&mixed) {
                    Ok((tables, _)) => {
                        let found = steps(&tables);
                        assert!(
                            times.iter().any(|time| time.steps == found),
                            "database {at}, log {other}: {found:?}"
                        );
                        if at == other {
                            assert_eq!(found, database.steps, "{at}");
                        }
                        tables.integrity_check().unwrap();
                        opened += 1;
                    }
                    Err(error) => {
                        assert!(matches!(error, VaultError::Mixed), "{error:?}");
                        assert_ne!(at, other, "a file and its own log");
                        let after = Copy::take(&mixed);
                        assert!(after.database == copy.database && after.log == copy.log);
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(
        opened > times.len() && refused > times.len(),
        "{opened} {refused}"
    );
}

#[test]
fn a_log_without_its_database_is_refused() {
    let (_directory, path) = file();
    let tables = open(&path);
    step(&tables, "one").unwrap();
    let copy = Copy::take(&path);
    drop(tables);
    for database in [None, Some(b"")] {
        copy.put(&path);
        fs::remove_file(&path).unwrap();
        if let Some(content) = database {
            fs::write(&path, content).unwrap();
        }
        assert!(matches!(SqliteTables::open(&path), Err(VaultError::Mixed)));
        assert_eq!(path.exists(), database.is_some(), "nothing was made");
    }
}

#[test]
fn a_backup_beside_an_older_log_is_refused() {
    let (directory, path) = file();
    let tables = open(&path);
    step(&tables, "one").unwrap();
    let backup = directory.path().join("backup.db");
    tables.backup(&backup).unwrap();
    step(&tables, "two").unwrap();
    let log = Copy::take(&path);
    drop(tables);
    log.put(&path);
    fs::copy(&backup, &path).unwrap();
    assert!(matches!(SqliteTables::open(&path), Err(VaultError::Mixed)));
}

#[test]
fn a_log_that_was_cut_short_is_a_time_before() {
    let (_directory, path) = file();
    let tables = open(&path);
    assert!(tables.clear_residue().unwrap());
    let mut expected = vec![steps(&tables)];
    for number in 0..5 {
        step(&tables, &number.to_string()).unwrap();
        expected.push(steps(&tables));
    }
    let copy = Copy::take(&path);
    drop(tables);
    let lengths = (0..copy.log.len()).step_by(1_111);
    for len in lengths {
        let mut cut = copy.clone();
        cut.log.truncate(len);
        cut.put(&path);
        let found = steps(&SqliteTables::open(&path).unwrap().0);
        assert!(expected.contains(&found), "{len}: {found:?}");
    }
}

#[test]
fn each_transaction_has_one_beat_and_is_linked_to_the_one_before() {
    let (_directory, path) = file();
    let tables = open(&path);
    assert!(tables.clear_residue().unwrap());
    let first = beat::read(&tables.store.writer()).unwrap();
    for number in 0..4 {
        step(&tables, &number.to_string()).unwrap();
        tables.write(|_| Ok(Write::Unchanged(()))).unwrap();
    }
    let last = beat::read(&tables.store.writer()).unwrap();
    assert_eq!(last.number, first.number + 4);
    let Log::Committed(log) = log::read(&beside(&path, "-wal")).unwrap() else {
        panic!("there were transactions");
    };
    let numbers: Vec<_> = log
        .beats
        .iter()
        .map(|(_, beat)| beat.number - first.number)
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert!(log.beats.iter().all(|(page, _)| *page == 2));
    assert_eq!(log.beats[3].1, last);
}

/// The page of the beat is recognised by its whole form: no user data can pass for it.
#[test]
fn nothing_else_in_a_vault_looks_like_a_beat() {
    let (directory, path) = file();
    let tables = open(&path);
    let beat = beat::read(&tables.store.writer()).unwrap();
    let page = fs::read(&path).unwrap()[4096..8192].to_vec();
    assert!(Beat::of_page(&page).is_some());
    let tenant = rows::filled(&tables, &[]);
    let mut hostile = rows::connection(1);
    for repeated in [1, 60, 300] {
        hostile.details = page[4096 - 78..].repeat(repeated);
        rows::write(&tables, |rows| {
            rows.put_grant(tenant, &rows::grant(1), crate::vault::tables::Secrets::Keep)?;
            rows.put_connection(tenant, &hostile)
        })
        .unwrap();
    }
    let copy = directory.path().join("copy.db");
    tables.backup(&copy).unwrap();
    let content = fs::read(&copy).unwrap();
    let found: Vec<_> = content
        .chunks(4096)
        .enumerate()
        .filter_map(|(at, page)| Beat::of_page(page).map(|beat| (at, beat)))
        .collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, 1, "the second page");
    assert_ne!(found[0].1.lineage, beat.lineage);
}

/// The log of a process that constantly writes and moves its log is never taken for another's.
#[test]
fn a_busy_process_is_not_in_the_way() {
    let (_directory, path) = file();
    drop(open(&path));
    let mut other = children::Other::start("writes", &path);
    for number in 0..20 {
        other.write(5);
        let (tables, _) = SqliteTables::open(&path).unwrap();
        step(&tables, &format!("mine-{number}")).unwrap();
    }
    drop(other);
    let mine = steps(&open(&path));
    assert_eq!(mine.iter().filter(|name| name.starts_with("mine")).count(), 20);
}

#[test]
fn a_process_that_was_killed_has_lost_nothing() {
    let (_directory, path) = file();
    drop(open(&path));
    children::Other::start("writes_once", &path).kill();
    assert_eq!(steps(&open(&path)), ["other"]);
}
