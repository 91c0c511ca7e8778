//! One person's consent requests cost others nothing: what is read for a person does not grow with anybody else's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use valetkey::testing::Host;
use valetkey::vault::envelope::MasterKey;
use valetkey::vault::{MemoryStore, Mode, SealedVault, Store, Transaction, VaultError};
use valetkey::{ActingUser, ConsentOptions};

use crate::support::world::person;

/// A store that counts the values that it gives out.
#[derive(Debug, Default, Clone)]
struct Counting {
    inner: Arc<MemoryStore>,
    read: Arc<AtomicUsize>,
}

struct Counted<'a> {
    inner: &'a mut dyn Transaction,
    read: &'a AtomicUsize,
}

impl Store for Counting {
    fn transact(
        &self,
        mode: Mode,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        self.inner.transact(mode, &mut |inner| {
            work(&mut Counted {
                inner,
                read: &self.read,
            })
        })
    }

    fn erase_residue(&self) -> Result<bool, VaultError> {
        self.inner.erase_residue()
    }
}

impl Transaction for Counted<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        self.read.fetch_add(1, Ordering::Relaxed);
        self.inner.get(key)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), VaultError> {
        self.inner.put(key, value)
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), VaultError> {
        self.inner.delete(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>, VaultError> {
        let found = self.inner.scan(from, to, limit)?;
        self.read.fetch_add(found.len(), Ordering::Relaxed);
        Ok(found)
    }
}

#[test]
fn what_is_read_for_a_person_does_not_grow_with_the_requests_of_others() {
    let store = Counting::default();
    let vault = SealedVault::open(store.clone(), MasterKey::generate().unwrap()).unwrap();
    let Host { connections, .. } = Host::builder().vault(vault).build().unwrap();
    let prepare = |who: &ActingUser| {
        connections
            .prepare(who, "notes", ConsentOptions::default())
            .unwrap()
    };
    let alice = person("alice");
    let hers = prepare(&alice);
    let cost = |act: &dyn Fn()| {
        let before = store.read.load(Ordering::Relaxed);
        act();
        store.read.load(Ordering::Relaxed) - before
    };
    let poll = || {
        let _ = connections.poll(&alice, hers.id()).unwrap();
    };
    let open = || drop(connections.open_link(&alice, hers.ticket()).unwrap());
    open();
    let (polled, opened) = (cost(&poll), cost(&open));
    for number in 0..20 {
        let mallory = person(&format!("mallory-{number}"));
        for _ in 0..20 {
            prepare(&mallory);
        }
    }
    assert_eq!(cost(&poll), polled);
    assert_eq!(cost(&open), opened);
    // Nor does it grow without bound with her own: the oldest makes room.
    for _ in 0..70 {
        prepare(&alice);
    }
    let full = cost(&|| drop(prepare(&alice)));
    for _ in 0..100 {
        prepare(&alice);
    }
    assert_eq!(cost(&|| drop(prepare(&alice))), full);
}
