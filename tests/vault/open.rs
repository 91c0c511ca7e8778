//! Files that are opened, files that are refused and remain unchanged, and the effects of other
//! processes on them.

#![cfg(feature = "sqlite")]

use std::fs;
use std::path::{Path, PathBuf};

use valetkey::vault::{MasterKeys, SqliteVault, VaultError};

use crate::support::vault::*;

#[test]
fn it_can_be_opened_again() {
    let (_directory, path) = place();
    for _ in 0..3 {
        let vault = open(&path).unwrap();
        grant(&vault, &connection(1), &tokens("access", "refresh"));
    }
    assert_eq!(stored(&open(&path).unwrap(), 1).generation, 3);
    let names: Vec<_> = files(&path).into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, [path], "a closed vault is one file");
}

#[test]
fn promise_05_a_wrong_key_says_so_and_changes_nothing() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    grant(&vault, &connection(1), &tokens("access", "refresh"));
    let before = content(&path);
    let wrong = SqliteVault::open(&path, key(2));
    assert!(matches!(wrong, Err(VaultError::WrongMasterKey)), "{wrong:?}");
    assert!(content(&path) == before, "with another process at work");
    // The state after a crash: the log still holds all data.
    let crashed = tempfile::tempdir().unwrap();
    for (file, content) in files(&path) {
        let name = file.file_name().unwrap();
        if !name.to_str().unwrap().ends_with("-shm") {
            fs::write(crashed.path().join(name), content).unwrap();
        }
    }
    let copy = crashed.path().join("vault.db");
    let log = crashed.path().join("vault.db-wal");
    let (before, log_before) = (fs::read(&copy).unwrap(), fs::read(&log).unwrap());
    assert!(!log_before.is_empty());
    let wrong = SqliteVault::open(&copy, key(2));
    assert!(matches!(wrong, Err(VaultError::WrongMasterKey)), "{wrong:?}");
    assert!(fs::read(&copy).unwrap() == before);
    assert!(fs::read(&log).unwrap() == log_before);
    drop(vault);
    let before = fs::read(&path).unwrap();
    let wrong = SqliteVault::open(&path, key(2));
    assert!(matches!(wrong, Err(VaultError::WrongMasterKey)), "{wrong:?}");
    assert!(fs::read(&path).unwrap() == before);
    assert!(open(&path).is_ok() && open(&copy).is_ok());
}

/// Opens the vault after its own row was altered, and returns the error. The file does not change.
fn opened_after(path: &Path, sql: &str) -> VaultError {
    let db = rusqlite::Connection::open(path).unwrap();
    assert_eq!(db.execute(sql, []).unwrap(), 1);
    drop(db);
    let before = fs::read(path).unwrap();
    let refused = open(path).unwrap_err();
    assert!(fs::read(path).unwrap() == before, "{sql}");
    refused
}

#[test]
fn promise_05_a_wrong_key_leaves_an_older_file_as_it_is() {
    for schema in [1, 2] {
        let (_directory, path) = place_of(schema);
        let wrong = SqliteVault::open(&path, key(2));
        assert!(matches!(wrong, Err(VaultError::WrongMasterKey)), "{wrong:?}");
        assert!(fs::read(&path).unwrap() == fs::read(vector(schema)).unwrap());
        // The same holds in the middle of a migration, which only a process with the key continues.
        let cut_off = std::panic::catch_unwind(|| {
            SqliteVault::open_with_progress(&path, key(1), |_, _| panic!("cut off"))
        });
        assert!(cut_off.is_err());
        let before = content(&path);
        let wrong = SqliteVault::open(&path, key(2));
        assert!(matches!(wrong, Err(VaultError::WrongMasterKey)), "{wrong:?}");
        assert!(content(&path) == before);
        assert_eq!(
            access(&open(&path).unwrap(), &tenant(), 1).as_deref(),
            Some("access-1-2")
        );
    }
}

#[test]
fn promise_05_an_altered_proof_of_the_key_is_not_taken_for_a_wrong_key() {
    let (_directory, path) = place();
    drop(open(&path).unwrap());
    let found = opened_after(&path, "UPDATE vault SET key_check = randomblob(32)");
    assert!(matches!(found, VaultError::Tampered), "{found:?}");
    // The proof is bound to the vault.
    let (_directory, path) = place();
    drop(open(&path).unwrap());
    let found = opened_after(&path, "UPDATE vault SET id = randomblob(16)");
    assert!(matches!(found, VaultError::Tampered), "{found:?}");
    let found = opened_after(&path, "UPDATE vault SET master_key = randomblob(16)");
    assert!(matches!(found, VaultError::WrongMasterKey), "{found:?}");
}

#[test]
fn promise_05_a_key_that_was_not_given_is_missed_and_nothing_changes() {
    let (_directory, path) = place();
    drop(open(&path).unwrap());
    let vault = SqliteVault::open(&path, MasterKeys::new(key(2), [key(1)])).unwrap();
    grant(&vault, &connection(1), &tokens("access", "refresh"));
    drop(vault);
    let before = fs::read(&path).unwrap();
    // The first key proves itself, but wraps no key of this tenant.
    let vault = open(&path).unwrap();
    let found = find(&vault, &tenant(), id(1));
    assert!(matches!(found, Err(VaultError::UnknownMasterKey)), "{found:?}");
    drop(vault);
    assert!(fs::read(&path).unwrap() == before);
}

#[test]
fn what_is_no_vault_is_refused_and_left_alone() {
    let (directory, path) = place();
    let other = |name: &str, sql: &str| {
        let path = directory.path().join(name);
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch(sql)
            .unwrap();
        path
    };
    let foreign = [
        other("foreign.db", "CREATE TABLE t (a)"),
        other("foreign-id.db", "PRAGMA application_id = 7; CREATE TABLE t (a)"),
        other("wal.db", "PRAGMA journal_mode = WAL; CREATE TABLE t (a)"),
        other("version.db", "PRAGMA user_version = 1"),
    ];
    let text = directory.path().join("text");
    fs::write(
        &text,
        "This is a text of some length, and no database at all.".repeat(9),
    )
    .unwrap();
    let short = directory.path().join("short");
    fs::write(&short, "x").unwrap();
    for file in foreign.iter().chain([&text, &short]) {
        let before = fs::read(file).unwrap();
        let refused = open(file);
        assert!(
            matches!(refused, Err(VaultError::NotAVault)),
            "{file:?}: {refused:?}"
        );
        assert!(fs::read(file).unwrap() == before);
    }

    drop(open(&path).unwrap());
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(newer);
    let before = fs::read(&path).unwrap();
    let refused = open(&path);
    assert!(
        matches!(refused, Err(VaultError::NewerVersion { found: 99, .. })),
        "{refused:?}"
    );
    assert!(fs::read(&path).unwrap() == before);
}

/// Returns the files of another program that was killed in a transaction: its database, which has
/// new pages already, and the journal that rolls them back.
fn killed_in_a_transaction(directory: &Path, setup: &str) -> PathBuf {
    let alive = directory.join("alive.db");
    let db = rusqlite::Connection::open(&alive).unwrap();
    db.execute_batch(setup).unwrap();
    db.execute_batch(
        "PRAGMA cache_size = 2; BEGIN;
         INSERT INTO t SELECT randomblob(900) FROM t a, t b, t c LIMIT 500",
    )
    .unwrap();
    let dead = directory.join("dead.db");
    for suffix in ["", "-journal"] {
        let copy = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        fs::copy(copy(&alive), copy(&dead)).unwrap();
    }
    dead
}

#[test]
fn the_journal_of_another_program_is_not_rolled_back() {
    let table = "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2), (3), (4), (5), (6), (7), (8)";
    for setup in [table.to_owned(), format!("PRAGMA application_id = 7; {table}")] {
        let (directory, _) = place();
        let dead = killed_in_a_transaction(directory.path(), &setup);
        let journal = dead.with_extension("db-journal");
        let before = (fs::read(&dead).unwrap(), fs::read(&journal).unwrap());
        let refused = open(&dead);
        assert!(matches!(refused, Err(VaultError::NotAVault)), "{refused:?}");
        let after = (fs::read(&dead).unwrap(), fs::read(&journal).unwrap());
        assert!(before == after, "{setup}: SQLite has written to a foreign file");
        // The journal would have been rolled back by SQLite.
        let rows: i64 = rusqlite::Connection::open(&dead)
            .unwrap()
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 8);
        assert!(fs::read(&dead).unwrap() != before.0);
    }
}

/// The state that a power cut leaves just before the first transaction of a file ends: all of its
/// pages, and the journal of an empty file.
#[test]
fn a_file_whose_making_was_cut_off_becomes_a_vault() {
    let (_directory, path) = place();
    let journal = path.with_extension("db-journal");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("BEGIN; CREATE TABLE t (a)").unwrap();
    let mut header = fs::read(&journal).unwrap();
    db.execute_batch("COMMIT").unwrap();
    drop(db);
    header[..8].copy_from_slice(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7");
    fs::write(&journal, header).unwrap();
    assert!(fs::metadata(&path).unwrap().len() > 0);
    let vault = open(&path).unwrap();
    grant(&vault, &connection(1), &tokens("access", "refresh"));
    assert_intact(&vault);
}

#[test]
fn a_cut_file_is_damaged() {
    let (directory, path) = place();
    let vault = open(&path).unwrap();
    grant(&vault, &connection(1), &tokens(&"a".repeat(20_000), "refresh"));
    drop(vault);
    let whole = fs::read(&path).unwrap();
    for len in [1, 15, 16, 50, 99, 100, 512, 4_095, 4_096, 8_192, whole.len() - 1] {
        let cut = directory.path().join(format!("cut-{len}"));
        fs::write(&cut, &whole[..len]).unwrap();
        let refused = open(&cut);
        assert!(
            matches!(refused, Err(VaultError::Damaged)),
            "{len} bytes: {refused:?}"
        );
        assert!(fs::read(&cut).unwrap() == whole[..len]);
    }
}

#[test]
fn an_empty_file_becomes_a_vault() {
    let (_directory, path) = place();
    fs::write(&path, "").unwrap();
    drop(open(&path).unwrap());
    assert!(open(&path).is_ok());
}

#[test]
fn a_vault_without_its_row_is_damaged() {
    let (_directory, path) = place();
    drop(open(&path).unwrap());
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("DELETE FROM vault").unwrap();
    drop(db);
    assert!(matches!(open(&path), Err(VaultError::Damaged)));
}

#[test]
fn many_handles_may_make_it_at_once() {
    // The race is between two reads of the slower handle, so it is repeated many times.
    for _ in 0..50 {
        let (_directory, path) = place();
        std::thread::scope(|scope| {
            for number in 1..=8 {
                let path = &path;
                scope.spawn(move || {
                    let vault = open(path).unwrap();
                    grant(&vault, &connection(number), &tokens("access", "refresh"));
                });
            }
        });
        let vault = open(&path).unwrap();
        for number in 1..=8 {
            assert!(access(&vault, &tenant(), number).is_some(), "{number} is lost");
        }
    }
}

/// The child of the next test: opens the vault, stores a connection and closes it again.
#[test]
fn open_and_close_in_a_child() {
    if let Some(path) = std::env::var_os("VALETKEY_OPEN") {
        let vault = open(Path::new(&path)).unwrap();
        grant(&vault, &connection(7), &tokens("theirs", "theirs"));
    }
}

/// SQLite's locks belong to the process, and closing any descriptor of the file drops them all:
/// another process that closes the file last would then delete the log that this one still writes
/// to.
#[test]
fn nothing_is_lost_when_another_process_closes_the_vault() {
    let (_directory, path) = place();
    drop(open(&path).unwrap());
    let vault = open(&path).unwrap();
    let again = open(&path).unwrap();
    assert!(find(&vault, &tenant(), id(1)).unwrap().is_none());
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt as _;

        let inode = format!(":{} ", fs::metadata(&path).unwrap().ino());
        // The list is read in pieces, and locks of other tests come and go in between, so a line
        // can be missing from one reading. A lock that is not held is in none.
        let is_listed = || {
            let locks = fs::read_to_string("/proc/locks").unwrap();
            locks.is_empty() || locks.lines().any(|lock| lock.contains(&inode))
        };
        assert!((0..100).any(|_| is_listed()), "no lock is held on the file");
    }
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "open::open_and_close_in_a_child"])
        .env("VALETKEY_OPEN", &path)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    assert!(
        path.with_file_name("vault.db-wal").exists(),
        "the log was taken away"
    );
    grant(&vault, &connection(1), &tokens("access", "refresh"));
    drop((vault, again));
    let vault = open(&path).unwrap();
    for number in [1, 7] {
        assert!(access(&vault, &tenant(), number).is_some(), "{number} is lost");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_system_that_is_not_known_to_be_good_is_refused_by_name() {
    let (_directory, backup) = place();
    drop(open(&backup).unwrap());
    let (path, kind) = (Path::new("/proc/vault.db"), "proc");
    let is_named = |refused: Result<(), VaultError>| {
        assert!(
            matches!(&refused, Err(VaultError::UnknownFileSystem(named)) if named == kind),
            "{refused:?}"
        );
    };
    is_named(open(path).map(drop));
    is_named(SqliteVault::restore(&backup, path, key(1)));
    let other = SqliteVault::options().trust_file_system("virtiofs");
    is_named(other.open(path, key(1)).map(drop));
    // The host vouches for the file system, but the file cannot be created there.
    let trusting = SqliteVault::options().trust_file_system(kind);
    let error = trusting.open(path, key(1)).unwrap_err();
    assert!(!matches!(error, VaultError::UnknownFileSystem(_)), "{error:?}");
}
