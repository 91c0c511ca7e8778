//! Files that are opened and files that are refused.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::*;
use crate::vault::sqlite::db::connect::expect;
use crate::vault::{Holder, VaultWarning};

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn refused(path: &Path) -> VaultError {
    SqliteTables::open(path).unwrap_err()
}

fn is_unsafe(path: &Path) {
    let error = refused(path);
    assert!(matches!(error, VaultError::UnsafePath(_)), "{error:?}");
}

#[test]
fn every_connection_is_configured() {
    let (_directory, path) = file();
    let on_disk = open(&path);
    let in_memory = SqliteTables::in_memory().unwrap();
    let check = |db: &Connection| {
        for (option, value) in [
            (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true),
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        ] {
            assert_eq!(db.db_config(option).unwrap(), value, "{option:?}");
        }
        for (pragma, value) in [
            ("cell_size_check", 1),
            ("secure_delete", 1),
            ("synchronous", 2),
            ("foreign_keys", 1),
        ] {
            expect(db, pragma, value).unwrap();
        }
        assert!(expect(db, "foreign_keys", 0).is_err());
    };
    check(&on_disk.store.writer());
    check(&in_memory.store.writer());
    check(&on_disk.store.place().unwrap().reader().unwrap());
}

#[test]
fn a_new_file_is_its_owners_alone_and_one_that_came_with_rights_loses_them() {
    let (_directory, path) = file();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    drop(open(&path));
    assert_eq!(mode(&path), 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let _tables = open(&path);
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn a_file_whose_making_was_cut_off_is_fresh() {
    let (_directory, path) = file();
    for _ in 0..2 {
        assert_eq!(SqliteTables::open(&path).unwrap().1, Fresh::Yes);
    }
    drop(open(&path));
    assert_eq!(SqliteTables::open(&path).unwrap().1, Fresh::No);
}

#[test]
fn many_make_it_at_once() {
    let (_directory, path) = file();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let path = &path;
            scope.spawn(move || step(&open(path), &format!("tenant-{number}")).unwrap());
        }
    });
    assert_eq!(steps(&open(&path)).len(), 8);
}

#[test]
fn links_and_what_is_not_a_file_are_refused() {
    let (directory, path) = file();
    let in_directory = |name: &str| directory.path().join(name);
    drop(open(&path));
    symlink(&path, in_directory("link")).unwrap();
    fs::hard_link(&path, in_directory("second")).unwrap();
    fs::create_dir(in_directory("directory")).unwrap();
    fifo(&in_directory("fifo"));
    let _socket = UnixListener::bind(in_directory("socket")).unwrap();
    for name in ["link", "second", "vault.db", "directory", "fifo", "socket"] {
        is_unsafe(&in_directory(name));
    }
    fs::remove_file(in_directory("second")).unwrap();
    drop(open(&path));
}

#[test]
fn what_sqlite_would_open_beside_it_must_be_a_file_of_ours() {
    for suffix in ["-wal", "-shm", "-journal"] {
        let (directory, path) = file();
        drop(open(&path));
        let companion = beside(&path, suffix);
        fifo(&companion);
        is_unsafe(&path);
        fs::remove_file(&companion).unwrap();
        symlink(directory.path().join("elsewhere"), &companion).unwrap();
        is_unsafe(&path);
    }
}

#[test]
fn other_files_are_told_apart() {
    let (directory, path) = file();
    fs::write(&path, "SQLite").unwrap();
    assert!(matches!(refused(&path), VaultError::Damaged));
    fs::write(&path, "something else").unwrap();
    assert!(matches!(refused(&path), VaultError::NotAVault));
    let other = directory.path().join("other.db");
    Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE vault (id)")
        .unwrap();
    assert!(matches!(refused(&other), VaultError::NotAVault));
    let cut = directory.path().join("cut.db");
    drop(open(&cut));
    let content = fs::read(&cut).unwrap();
    fs::write(&cut, &content[..content.len() / 2]).unwrap();
    assert!(matches!(refused(&cut), VaultError::Damaged));
}

#[test]
fn a_prepared_schema_is_refused() {
    for change in [
        "CREATE TRIGGER t AFTER UPDATE ON pulse BEGIN DELETE FROM audit; END",
        "CREATE VIEW v AS SELECT 1",
        "DROP INDEX connections_default",
    ] {
        let (_directory, path) = file();
        drop(open(&path));
        Connection::open(&path).unwrap().execute_batch(change).unwrap();
        assert!(matches!(refused(&path), VaultError::Tampered), "{change}");
    }
}

#[test]
fn a_directory_that_others_can_write_to_is_named() {
    let (directory, path) = file();
    for (mode, warnings) in [
        (0o700, vec![]),
        (0o755, vec![]),
        (0o770, vec![VaultWarning::SharedDirectory]),
        (0o777, vec![VaultWarning::SharedDirectory]),
        (0o1777, vec![]),
    ] {
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(open(&path).warnings(), warnings, "{mode:o}");
    }
}

#[test]
fn nothing_but_our_own_signs_of_life_is_looked_at() {
    let (directory, path) = file();
    let sign = |hex: &str| {
        directory
            .path()
            .join(format!("vault.db-holder-{}", hex.repeat(16)))
    };
    let tables = open(&path);
    fifo(&sign("01"));
    let _socket = UnixListener::bind(sign("02")).unwrap();
    fs::create_dir(sign("03")).unwrap();
    symlink(&path, sign("04")).unwrap();
    fs::hard_link(&path, sign("08")).unwrap();
    fs::write(sign("05"), "").unwrap();
    fs::write(sign("06"), "").unwrap();
    let is_foreign = std::os::unix::fs::chown(sign("06"), Some(12_345), None).is_ok();
    tables.holder().unwrap();
    for (byte, is_dead) in [
        (1, false),
        (2, false),
        (3, false),
        (4, false),
        (8, false),
        (5, true),
        (7, false),
    ] {
        assert_eq!(tables.is_dead(Holder::from_bytes([byte; 16])), is_dead, "{byte}");
    }
    assert_eq!(tables.is_dead(Holder::from_bytes([6; 16])), !is_foreign);
    for left in ["01", "02", "03", "04", "08"] {
        assert!(fs::symlink_metadata(sign(left)).is_ok(), "{left}");
    }
    assert!(
        sign("05").exists(),
        "the sign of a dead one stays while its claims may"
    );
}

#[test]
fn a_backup_is_a_vault_of_its_own() {
    let (directory, path) = file();
    let tables = open(&path);
    step(&tables, "before").unwrap();
    let copy = directory.path().join("copy.db");
    tables.backup(&copy).unwrap();
    let again = tables.backup(&copy).unwrap_err();
    assert!(matches!(again, VaultError::UnsafePath(_)), "{again:?}");
    step(&tables, "after").unwrap();
    let files = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(files, 4, "the vault with its log and shared memory, and the copy");
    let copy = open(&copy);
    assert_eq!(steps(&copy), ["before"]);
    copy.integrity_check().unwrap();
    let in_memory = SqliteTables::in_memory().unwrap();
    step(&in_memory, "kept").unwrap();
    let kept = directory.path().join("kept.db");
    in_memory.backup(&kept).unwrap();
    assert_eq!(steps(&open(&kept)), ["kept"]);
}
