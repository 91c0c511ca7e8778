//! A transfer is interrupted at every point and run again.

use std::sync::Arc;

use valetkey::internals::vault::*;
use valetkey::vault::{MasterKey, Transfer};

use crate::support::transfer::{FailingStore, How, arrived, full, heads, seen};

fn key(byte: u8) -> MasterKey {
    use base64::Engine as _;
    MasterKey::from_base64(&base64::engine::general_purpose::STANDARD.encode([byte; 32])).unwrap()
}

/// The side whose writes fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Source,
    Target,
}

/// Interrupts a transfer after this number of writes on one side. Returns `false` if it ended
/// before.
fn interrupt(side: Side, writes: usize, how: How) -> bool {
    let (from, to) = (
        FailingStore::default().healthy(),
        FailingStore::default().healthy(),
    );
    let source: Arc<dyn Vault> = Arc::new(from.vault(key(1)));
    let host = full(Arc::clone(&source));
    let (exported, before) = (heads(&source), seen(&host, &source));
    drop(to.vault(key(2)));
    let dying = |of: Side, store: &FailingStore, byte| {
        let store = if of == side {
            store.dying_after(writes, how)
        } else {
            store.healthy()
        };
        store.vault(key(byte))
    };
    let ended = Transfer::new(&dying(Side::Source, &from, 1), &dying(Side::Target, &to, 2)).run(|_| {});
    if ended.is_ok() {
        return false;
    }
    // Every handle is new, as after a restart of the process.
    let target: Arc<dyn Vault> = Arc::new(to.vault(key(2)));
    let again = Transfer::new(&from.vault(key(1)), &target).run(|_| {}).unwrap();
    assert_eq!(again.unreadable, 0);
    arrived(&host, &target, &before, &exported);
    true
}

#[test]
fn a_transfer_survives_an_interruption_at_each_write() {
    for side in [Side::Source, Side::Target] {
        for how in [How::Before, How::After] {
            let interrupted = (0..).take_while(|writes| interrupt(side, *writes, how)).count();
            let least = if side == Side::Source { 3 } else { 15 };
            assert!(interrupted >= least, "{side:?} {how:?}: {interrupted} points");
        }
    }
}

#[cfg(feature = "sqlite")]
mod killed {
    use std::process::{Command, Stdio};
    use std::sync::Arc;

    use valetkey::internals::vault::*;
    use valetkey::vault::{SqliteVault, Transfer};

    use super::key;
    use crate::support::transfer::{arrived, full, heads, seen};

    const CHILD: &str = "transfer::interrupted::killed::a_process_that_is_killed_loses_nothing";

    /// The child: moves, and ends without any cleanup after this number of pages.
    fn child() -> bool {
        let Some(directory) = std::env::var_os("VALETKEY_TRANSFER") else {
            return false;
        };
        let directory = std::path::PathBuf::from(directory);
        let mut left: usize = std::env::var("VALETKEY_TRANSFER_PAGES").unwrap().parse().unwrap();
        let from = SqliteVault::open(directory.join("from.db"), key(1)).unwrap();
        let to = SqliteVault::open(directory.join("to.db"), key(2)).unwrap();
        let ended = Transfer::new(&from, &to).run(|_| match left.checked_sub(1) {
            Some(fewer) => left = fewer,
            None => std::process::abort(),
        });
        assert!(ended.is_ok(), "{ended:?}");
        true
    }

    #[test]
    fn a_process_that_is_killed_loses_nothing() {
        if child() {
            return;
        }
        let mut killed = 0;
        for pages in (0..).step_by(if crate::support::vault::full() { 1 } else { 7 }) {
            let directory = tempfile::tempdir().unwrap();
            let path = |name: &str| directory.path().join(name);
            let source: Arc<dyn Vault> = Arc::new(SqliteVault::open(path("from.db"), key(1)).unwrap());
            let host = full(Arc::clone(&source));
            let (exported, before) = (heads(&source), seen(&host, &source));
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", CHILD])
                .env("VALETKEY_TRANSFER", directory.path())
                .env("VALETKEY_TRANSFER_PAGES", pages.to_string())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap();
            let target: Arc<dyn Vault> = Arc::new(SqliteVault::open(path("to.db"), key(2)).unwrap());
            Transfer::new(&source, &target).run(|_| {}).unwrap();
            arrived(&host, &target, &before, &exported);
            if status.success() {
                break;
            }
            killed += 1;
        }
        assert!(
            killed >= 3,
            "{killed} processes were killed: the test proves nothing"
        );
    }
}
