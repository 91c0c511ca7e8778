//! A vault is moved into another one: everything arrives, nothing is refreshed twice, and an
//! interruption at any point loses nothing.

mod interrupted;
mod refused;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use valetkey::internals::vault::*;
use valetkey::vault::{MasterKey, SealedVault, Transfer, VaultError};
use valetkey::{ActingUser, ConsentOptions, Error};

use crate::support::transfer::{FailingStore, How, full, moves, seen, users};

/// The kinds of vaults, each empty and under its own master key.
fn kinds(directory: &std::path::Path) -> Vec<(&'static str, Arc<dyn Vault>)> {
    let mut kinds: Vec<(&'static str, Arc<dyn Vault>)> = vec![
        ("memory", Arc::new(SealedVault::in_memory())),
        (
            "host's store",
            Arc::new(
                FailingStore::default()
                    .healthy()
                    .vault(MasterKey::generate().unwrap()),
            ),
        ),
    ];
    #[cfg(feature = "sqlite")]
    {
        static FILES: AtomicUsize = AtomicUsize::new(0);
        let number = FILES.fetch_add(1, Ordering::SeqCst);
        let path = directory.join(format!("{number}.db"));
        let key = MasterKey::generate().unwrap();
        kinds.push(("file", Arc::new(SqliteVault::open(path, key).unwrap())));
        let key = MasterKey::generate().unwrap();
        kinds.push(("SQLite in memory", Arc::new(SqliteVault::in_memory(key).unwrap())));
    }
    kinds
}

#[test]
fn every_kind_of_vault_moves_into_every_other() {
    let directory = tempfile::tempdir().unwrap();
    let count = kinds(directory.path()).len();
    for from in 0..count {
        for to in 0..count {
            let (name, source) = kinds(directory.path()).remove(from);
            let (other, target) = kinds(directory.path()).remove(to);
            let _named = Named(name, other);
            moves(&source, &target);
        }
    }
}

/// Prints which pair was moved when a test fails.
struct Named(&'static str, &'static str);

impl Drop for Named {
    #[expect(clippy::print_stderr, reason = "a test's failure must say where it happened")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("from {} into {}", self.0, self.1);
        }
    }
}

#[test]
fn a_moved_vault_can_be_moved_again() {
    let vaults: [Arc<dyn Vault>; 3] = [(); 3].map(|()| {
        let store = FailingStore::default().healthy();
        Arc::new(store.vault(MasterKey::generate().unwrap())) as Arc<dyn Vault>
    });
    let first = moves(&vaults[0], &vaults[1]);
    let second = Transfer::new(&vaults[1], &vaults[2]).run(|_| {}).unwrap();
    // Four tokens were used and three refreshed, and the second move has its entry.
    assert_eq!(second.audit_entries, first.audit_entries + 4 + 3 + 1);
    assert_eq!(second.connections, first.connections);
}

#[test]
fn a_process_that_opened_the_target_before_uses_it_after_the_transfer() {
    let (from, to) = (
        FailingStore::default().healthy(),
        FailingStore::default().healthy(),
    );
    let key = || MasterKey::from_base64("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap();
    let source: Arc<dyn Vault> = Arc::new(from.vault(key()));
    let host = full(Arc::clone(&source));
    let early: Arc<dyn Vault> = Arc::new(to.vault(key()));
    assert_eq!(
        early.audit_heads(None).unwrap().len(),
        1,
        "it has read the vault's own row"
    );
    let waiting = host.another().vault(Arc::clone(&early)).build().unwrap();

    let dying = to.dying_after(4, How::Before).vault(key());
    assert!(Transfer::new(&source, &dying).run(|_| {}).is_err());
    // The copy is not complete, so that nothing is reported as missing.
    for (user, provider) in users() {
        let found = waiting.resolver.resolve(&user, provider);
        assert!(
            matches!(found, Err(Error::Vault(VaultError::Incomplete))),
            "{found:?}"
        );
        let consent = waiting
            .connections
            .start(&user, provider, ConsentOptions::default());
        assert!(
            matches!(consent, Err(Error::Vault(VaultError::Incomplete))),
            "{consent:?}"
        );
    }
    Transfer::new(&source, &to.vault(key())).run(|_| {}).unwrap();
    for (user, provider) in users() {
        waiting.resolver.resolve(&user, provider).unwrap();
    }
    let newcomer = ActingUser::authenticated("newcomer", "nina").unwrap();
    waiting.connect(&newcomer, "notes");
    seen(&waiting, &early);
}
