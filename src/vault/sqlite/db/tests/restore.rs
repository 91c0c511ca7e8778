//! Restoring a backup.

use super::*;

/// Returns a closed vault that has a step after its backup.
fn vault() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let (directory, path) = file();
    let backup = directory.path().join("backup.db");
    let tables = open(&path);
    step(&tables, "before").unwrap();
    tables.backup(&backup).unwrap();
    step(&tables, "after").unwrap();
    drop(tables);
    (directory, path, backup)
}

fn files(directory: &tempfile::TempDir) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_backup_takes_the_place_of_a_vault_and_stays() {
    let (directory, path, backup) = vault();
    let content = fs::read(&backup).unwrap();
    for _ in 0..2 {
        SqliteTables::restore(&backup, &path).unwrap();
        assert_eq!(files(&directory), ["backup.db", "vault.db"]);
        let tables = open(&path);
        assert_eq!(steps(&tables), ["before"]);
        step(&tables, "again").unwrap();
    }
    assert_eq!(fs::read(&backup).unwrap(), content);
    let new = directory.path().join("new.db");
    SqliteTables::restore(&backup, &new).unwrap();
    assert_eq!(steps(&open(&new)), ["before"]);
}

/// Reading and closing it would drop the locks that this process has on it.
#[test]
fn a_vault_that_is_open_is_not_taken_for_a_backup() {
    let (directory, path, backup) = vault();
    let (to, name) = (directory.path().join("new.db"), directory.path().join("name.db"));
    let tables = open(&path);
    fs::hard_link(&path, &name).unwrap();
    for backup in [&path, &name] {
        let restored = SqliteTables::restore(backup, &to);
        assert!(matches!(restored, Err(VaultError::InUse)), "{restored:?}");
        assert!(!to.exists());
    }
    fs::remove_file(name).unwrap();
    step(&tables, "still writes").unwrap();
    // A backup may have several names: tools that save space create them.
    fs::hard_link(&backup, directory.path().join("link.db")).unwrap();
    SqliteTables::restore(&backup, &to).unwrap();
}

/// A crash has left a log, which belongs to the old file.
#[test]
fn the_old_log_goes_with_the_old_file() {
    let (directory, path, backup) = vault();
    let tables = open(&path);
    step(&tables, "in the log").unwrap();
    let copy = Copy::take(&path);
    drop(tables);
    copy.put(&path);
    SqliteTables::restore(&backup, &path).unwrap();
    assert_eq!(files(&directory), ["backup.db", "vault.db"]);
    assert_eq!(steps(&open(&path)), ["before"]);
    // Even if it still existed, it would not be applied to the new file.
    fs::write(beside(&path, "-wal"), &copy.log).unwrap();
    assert!(matches!(SqliteTables::open(&path), Err(VaultError::Mixed)));
}

#[test]
fn a_vault_that_is_open_is_not_replaced() {
    let (_directory, path, backup) = vault();
    let in_use = || {
        let restored = SqliteTables::restore(&backup, &path);
        assert!(matches!(restored, Err(VaultError::InUse)), "{restored:?}");
    };
    let tables = open(&path);
    in_use();
    step(&tables, "still writes").unwrap();
    drop(tables);
    let other = children::Other::start("holds", &path);
    in_use();
    drop(other);
    SqliteTables::restore(&backup, &path).unwrap();
}

#[test]
fn what_is_not_a_complete_vault_is_not_restored() {
    let (directory, path, backup) = vault();
    let content = fs::read(&path).unwrap();
    let mut damaged = fs::read(&backup).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 8192].fill(0x5a);
    let bad = directory.path().join("bad.db");
    for (content, name) in [
        (b"text".to_vec(), "text"),
        (Vec::new(), "empty"),
        (damaged.clone(), "damaged"),
        (damaged[..middle].to_vec(), "cut"),
    ] {
        fs::write(&bad, content).unwrap();
        assert!(SqliteTables::restore(&bad, &path).is_err(), "{name}");
    }
    fs::remove_file(&bad).unwrap();
    assert!(SqliteTables::restore(&bad, &path).is_err(), "missing");
    drop(SqliteTables::open(&bad).unwrap());
    assert!(matches!(
        SqliteTables::restore(&bad, &path),
        Err(VaultError::NotAVault)
    ));
    assert!(SqliteTables::restore(&path, &path).is_err());
    assert_eq!(fs::read(&path).unwrap(), content);
    assert_eq!(files(&directory), ["backup.db", "bad.db", "vault.db"]);
}

#[test]
fn a_damaged_vault_is_replaced_and_a_foreign_file_is_not() {
    let (_directory, path, backup) = vault();
    let mut content = fs::read(&path).unwrap();
    content.truncate(5000);
    content[200..].fill(0x5a);
    fs::write(&path, content).unwrap();
    assert!(SqliteTables::open(&path).is_err());
    SqliteTables::restore(&backup, &path).unwrap();
    assert_eq!(steps(&open(&path)), ["before"]);
    fs::write(&path, "a letter").unwrap();
    let restored = SqliteTables::restore(&backup, &path);
    assert!(matches!(restored, Err(VaultError::NotAVault)), "{restored:?}");
    assert_eq!(fs::read(&path).unwrap(), b"a letter");
}

#[test]
fn a_copy_with_its_log_is_restored_with_it() {
    let (directory, path, _) = vault();
    let tables = open(&path);
    step(&tables, "in the log").unwrap();
    let copy = Copy::take(&path);
    drop(tables);
    let made = directory.path().join("made.db");
    copy.put(&made);
    SqliteTables::restore(&made, &path).unwrap();
    assert_eq!(steps(&open(&path)), ["before", "after", "in the log"]);
    // A log of another time is refused here as well.
    let mut mixed = copy;
    mixed.database = fs::read(&path).unwrap();
    mixed.put(&made);
    assert!(matches!(
        SqliteTables::restore(&made, &path),
        Err(VaultError::Mixed)
    ));
}

/// A file and a log that do not match are not merged in the process.
#[test]
fn a_mixed_vault_is_replaced() {
    let (_directory, path, backup) = vault();
    let tables = open(&path);
    step(&tables, "in the log").unwrap();
    let copy = Copy::take(&path);
    drop(tables);
    SqliteTables::restore(&backup, &path).unwrap();
    fs::write(beside(&path, "-wal"), &copy.log).unwrap();
    assert!(matches!(SqliteTables::open(&path), Err(VaultError::Mixed)));
    SqliteTables::restore(&backup, &path).unwrap();
    assert_eq!(steps(&open(&path)), ["before"]);
}
