//! The users who may read a vault's files, and the files that are opened.

#![cfg(all(unix, feature = "sqlite"))]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use valetkey::vault::VaultError;

use crate::support::vault::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn promise_26_files_are_for_their_owner_alone() {
    for schema in SCHEMAS {
        files_are_for_their_owner_alone(schema);
    }
}

fn files_are_for_their_owner_alone(schema: u32) {
    let (_directory, path) = place_of(schema);
    if schema < NEWEST {
        // The copy of an older file came with wide rights.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let vault = open(&path).unwrap();
    grant(&vault, &connection(10), &tokens("access", "refresh"));
    let all = files(&path);
    assert_eq!(all.len(), 3, "the file, the log and its index");
    for (file, _) in all {
        assert_eq!(mode(&file), 0o600, "{file:?}");
    }
    drop(vault);
    // Opening a copy with wider rights restricts them.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let _vault = open(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
}

/// The child of the next test, under a umask that removes no rights.
#[test]
fn make_everything_in_a_child() {
    let Some(path) = std::env::var_os("VALETKEY_UMASK") else {
        return;
    };
    let path = Path::new(&path);
    let probe = path.with_file_name("probe");
    fs::write(&probe, "").unwrap();
    assert_eq!(mode(&probe), 0o666, "the mask is not 000");
    fs::remove_file(probe).unwrap();
    let vault = open(path).unwrap();
    vault.holder().unwrap();
    grant(&vault, &connection(10), &tokens("access", "refresh"));
    vault.backup(&path.with_file_name("backup.db")).unwrap();
    let all = files(path);
    assert_eq!(
        all.len(),
        5,
        "the vault, its log and index, a sign of life, a backup"
    );
    for (file, _) in all {
        assert_eq!(mode(&file), 0o600, "{file:?}");
    }
}

#[test]
fn promise_26_files_are_for_their_owner_alone_under_umask_000() {
    for schema in SCHEMAS {
        are_for_their_owner_alone_under_umask_000(schema);
    }
}

fn are_for_their_owner_alone_under_umask_000(schema: u32) {
    let (_directory, path) = place_of(schema);
    let status = std::process::Command::new("sh")
        .args([
            "-c",
            "umask 000; exec \"$0\" --exact rights::make_everything_in_a_child",
        ])
        .arg(std::env::current_exe().unwrap())
        .env("VALETKEY_UMASK", &path)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    assert!(path.with_file_name("backup.db").exists(), "the child did nothing");
}

#[test]
fn promise_26_links_and_directories_are_refused() {
    let (directory, path) = place();
    drop(open(&path).unwrap());
    let link = directory.path().join("link.db");
    symlink(&path, &link).unwrap();
    let dangling = directory.path().join("dangling.db");
    symlink(directory.path().join("nowhere.db"), &dangling).unwrap();
    let inside = directory.path().join("inside");
    fs::create_dir(&inside).unwrap();
    for bad in [&link, &dangling, &inside] {
        let refused = open(bad);
        assert!(
            matches!(refused, Err(VaultError::UnsafePath(_))),
            "{bad:?}: {refused:?}"
        );
    }
    assert!(!directory.path().join("nowhere.db").exists());
    // The host is responsible for links among the directories of the path.
    let alias = directory.path().join("alias");
    symlink(directory.path(), &alias).unwrap();
    assert!(open(&alias.join("vault.db")).is_ok());
}

#[test]
fn a_read_only_file_is_refused() {
    let (_directory, path) = place();
    drop(open(&path).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    let refused = open(&path);
    assert!(matches!(refused, Err(VaultError::ReadOnly)), "{refused:?}");
    assert_eq!(mode(&path), 0o400);
}

#[test]
fn a_directory_that_does_not_exist_is_named() {
    let (directory, path) = place();
    let missing = open(&directory.path().join("missing").join("vault.db"));
    assert!(matches!(missing, Err(VaultError::NoDirectory)), "{missing:?}");
    fs::write(&path, "").unwrap();
    let below_a_file = open(&path.join("vault.db"));
    assert!(
        matches!(below_a_file, Err(VaultError::UnsafePath(_))),
        "{below_a_file:?}"
    );
}
