//! Files that are replaced while they are open.

use super::*;

/// Returns a vault with three transactions, a copy after the first, and a backup after the second.
fn vault() -> (tempfile::TempDir, PathBuf, SqliteTables, Copy, PathBuf) {
    let (directory, path) = file();
    let tables = open(&path);
    step(&tables, "one").unwrap();
    assert!(tables.clear_residue().unwrap());
    let copy = Copy::take(&path);
    step(&tables, "two").unwrap();
    let backup = directory.path().join("backup.db");
    tables.backup(&backup).unwrap();
    step(&tables, "three").unwrap();
    assert!(tables.clear_residue().unwrap());
    step(&tables, "four").unwrap();
    (directory, path, tables, copy, backup)
}

fn is_replaced(result: Result<(), VaultError>) {
    assert!(matches!(result, Err(VaultError::Replaced)), "{result:?}");
}

#[test]
fn another_file_under_the_name_is_noticed_before_the_next_write() {
    let (directory, path, tables, _, backup) = vault();
    let aside = directory.path().join("aside.db");
    fs::rename(&path, &aside).unwrap();
    is_replaced(step(&tables, "lost"));
    fs::rename(&backup, &path).unwrap();
    is_replaced(step(&tables, "lost"));
    is_replaced(tables.clear_residue().map(drop));
    let _writer = tables.store.writer();
    // The writer is busy: a reader is opened, and finds the other file.
    is_replaced(tables.read(|rows| rows.tenants(0, 9)).map(drop));
    drop(_writer);
    // With the file back in its place, the vault continues to work.
    fs::rename(&aside, &path).unwrap();
    step(&tables, "kept").unwrap();
    assert_eq!(steps(&tables), ["one", "two", "three", "four", "kept"]);
}

#[test]
fn a_backup_that_is_copied_over_it_is_noticed_before_the_next_write() {
    let (_directory, path, tables, _, backup) = vault();
    fs::copy(&backup, &path).unwrap();
    is_replaced(step(&tables, "lost"));
    is_replaced(tables.clear_residue().map(drop));
}

#[test]
fn an_older_copy_that_is_copied_over_it_is_noticed_before_the_next_write() {
    let (_directory, path, tables, copy, _) = vault();
    fs::write(&path, &copy.database).unwrap();
    is_replaced(step(&tables, "lost"));
    fs::write(&path, b"").unwrap();
    is_replaced(step(&tables, "lost"));
}

#[test]
fn another_log_is_noticed_before_the_next_write() {
    let (_directory, path, tables, _, _) = vault();
    let log = beside(&path, "-wal");
    let content = fs::read(&log).unwrap();
    fs::remove_file(&log).unwrap();
    is_replaced(step(&tables, "lost"));
    fs::write(&log, content).unwrap();
    is_replaced(step(&tables, "lost"));
}

#[test]
fn checkpoints_and_other_handles_are_not_taken_for_it() {
    let (_directory, path) = file();
    let tables = open(&path);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let path = &path;
            scope.spawn(move || {
                let other = open(path);
                for number in 0..40 {
                    step(&other, &format!("{thread}-{number}")).unwrap();
                    if number % 5 == thread {
                        other.clear_residue().unwrap();
                    }
                }
            });
        }
        for number in 0..40 {
            step(&tables, &format!("main-{number}")).unwrap();
        }
    });
    assert_eq!(steps(&tables).len(), 160);
}

#[test]
fn a_file_that_is_overwritten_before_the_first_write_is_noticed_too() {
    let (_directory, path, tables, copy, backup) = vault();
    drop(tables);
    let content = fs::read(&path).unwrap();
    for other in [copy.database, fs::read(backup).unwrap()] {
        fs::write(&path, &content).unwrap();
        let (tables, _) = SqliteTables::open(&path).unwrap();
        fs::write(&path, &other).unwrap();
        // SQLite has pages of the former file, so the other one looks damaged where the mark of a
        // transfer would be.
        is_replaced(step(&tables, "lost"));
        is_replaced(tables.clear_residue().map(drop));
        drop(tables);
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(beside(&path, suffix));
        }
    }
}
