//! A process runs out of file descriptors: reading and writing continue, every other call reports
//! what is missing, and all calls work again once descriptors are free.

#![cfg(all(unix, feature = "sqlite"))]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use valetkey::vault::VaultError;

use crate::support::vault::*;

const PATH: &str = "VALETKEY_DESCRIPTORS";
const THREADS: usize = 8;

/// Files that occupy descriptors.
struct Held(#[allow(dead_code, reason = "held until it is dropped")] Vec<File>);

impl Held {
    /// Occupies all descriptors but `free`.
    fn all_but(free: usize) -> Self {
        let mut held = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            held.push(file);
        }
        held.truncate(held.len() - free);
        Self(held)
    }
}

fn is_for_want_of_descriptors(error: &VaultError) -> bool {
    error.is_retryable() && matches!(error, VaultError::TooManyOpenFiles | VaultError::CannotOpen)
}

/// Opens the vault with one more free descriptor each time, until it succeeds.
fn open_with_ever_more(path: &Path) {
    for free in 0.. {
        let held = Held::all_but(free);
        let opened = open(path);
        drop(held);
        match opened {
            Ok(vault) => {
                drop(vault);
                assert!(free > 2, "{free} descriptors cannot be enough");
                return;
            }
            Err(error) => assert!(is_for_want_of_descriptors(&error), "{free} free: {error:?}"),
        }
    }
}

/// Eight threads read, and one writes, with this many free descriptors.
fn use_with(free: usize, path: &Path) {
    let vault = open(path).unwrap();
    vault.holder().unwrap();
    let held = Held::all_but(free);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..50 {
                    let found = find(&vault, &tenant(), id(1)).unwrap();
                    assert!(found.is_some_and(|token| token.access_token.is_some()));
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..10 {
                refresh(&vault, 1, &tokens("access", "refresh"));
            }
        });
    });
    let refused = vault.backup(&path.with_file_name(format!("backup-{free}.db")));
    if let Err(error) = refused {
        assert!(is_for_want_of_descriptors(&error), "{free} free: {error:?}");
    } else {
        assert!(free > 0, "a backup needs a descriptor");
    }
    drop(held);
    vault.integrity_check().unwrap();
    vault
        .backup(&path.with_file_name(format!("copy-{free}.db")))
        .unwrap();
}

/// The child of the next test, which has few descriptors.
#[test]
fn run_out_of_descriptors_in_a_child() {
    let Some(path) = std::env::var_os(PATH).map(PathBuf::from) else {
        return;
    };
    open_with_ever_more(&path);
    let vault = open(&path).unwrap();
    grant(&vault, &connection(1), &tokens("access", "refresh"));
    for free in 0..8 {
        use_with(free, &path);
    }
    drop(vault);
    open_with_ever_more(&path);
    assert_intact(&open(&path).unwrap());
    fs::write(path.with_extension("done"), "").unwrap();
}

#[test]
fn a_process_without_descriptors_reads_and_writes_and_is_told_what_is_missing() {
    let (_directory, path) = place();
    let output = Command::new("sh")
        .args([
            "-c",
            "ulimit -n 64; exec \"$0\" --exact file_descriptors::run_out_of_descriptors_in_a_child --nocapture",
        ])
        .arg(std::env::current_exe().unwrap())
        .env(PATH, &path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(path.with_extension("done").exists(), "the child did nothing");
}
