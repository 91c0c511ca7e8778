//! A store in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use zeroize::Zeroizing;

use crate::vault::VaultError;
use crate::vault::sealed::store::{Store, Transaction};

/// A value, whose bytes are overwritten when it is dropped.
type Value = Zeroizing<Vec<u8>>;

/// A [`Store`] in memory: for tests, and for vaults that end with their process.
///
/// Any number of transactions read at a time; a writer runs alone. The bytes of values that are
/// overwritten or deleted are overwritten in memory at the end of the transaction.
#[derive(Default)]
#[allow(unnameable_types, reason = "public for this crate's own tests")]
pub struct MemoryStore {
    values: RwLock<BTreeMap<Vec<u8>, Value>>,
}

impl MemoryStore {
    /// Returns an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl Store for MemoryStore {
    // A panic in `work` poisons the lock. The changes of `work` were undone.
    fn read(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        work(&mut Reading { values: &values })
    }

    fn write(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        let mut writing = Writing {
            values: &mut values,
            undo: Vec::new(),
        };
        work(&mut writing)?;
        writing.undo.clear();
        Ok(())
    }

    fn erase_residue(&self) -> Result<bool, VaultError> {
        Ok(true)
    }
}

/// The error for a write in a transaction that only reads.
#[derive(Debug, thiserror::Error)]
#[error("a transaction that only reads cannot write")]
struct ReadOnly;

/// A transaction that only reads.
struct Reading<'a> {
    values: &'a BTreeMap<Vec<u8>, Value>,
}

impl Transaction for Reading<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        Ok(get(self.values, key))
    }

    fn put(&mut self, _: &[u8], _: &[u8]) -> Result<(), VaultError> {
        Err(VaultError::storage(ReadOnly))
    }

    fn delete(&mut self, _: &[u8]) -> Result<(), VaultError> {
        Err(VaultError::storage(ReadOnly))
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>, VaultError> {
        Ok(scan(self.values, from, to, limit))
    }
}

/// A transaction that writes. Its changes are made at once, and undone in reverse order when it is
/// dropped, including during a panic, unless the record of them was cleared.
struct Writing<'a> {
    values: &'a mut BTreeMap<Vec<u8>, Value>,
    undo: Vec<(Vec<u8>, Option<Value>)>,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        for (key, before) in self.undo.drain(..).rev() {
            match before {
                Some(value) => self.values.insert(key, value),
                None => self.values.remove(&key),
            };
        }
    }
}

impl Transaction for Writing<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        Ok(get(self.values, key))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), VaultError> {
        let before = self.values.insert(key.to_vec(), Zeroizing::new(value.to_vec()));
        self.undo.push((key.to_vec(), before));
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), VaultError> {
        if let Some((key, before)) = self.values.remove_entry(key) {
            self.undo.push((key, Some(before)));
        }
        Ok(())
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>, VaultError> {
        Ok(scan(self.values, from, to, limit))
    }
}

fn get(values: &BTreeMap<Vec<u8>, Value>, key: &[u8]) -> Option<Vec<u8>> {
    values.get(key).map(|value| value.to_vec())
}

fn scan(values: &BTreeMap<Vec<u8>, Value>, from: &[u8], to: &[u8], limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    // The map panics if the end of a range lies before its start.
    if to <= from {
        return Vec::new();
    }
    values
        .range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)))
        .take(limit)
        .map(|(key, value)| (key.clone(), value.to_vec()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn dump(store: &MemoryStore) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut all = Vec::new();
        store
            .read(&mut |tx| {
                all = tx.scan(&[], &[0xff], 100)?;
                Ok(())
            })
            .unwrap();
        all
    }

    fn filled() -> MemoryStore {
        let store = MemoryStore::new();
        store
            .write(&mut |tx| {
                tx.put(b"a", b"1")?;
                tx.put(b"b", b"2")
            })
            .unwrap();
        store
    }

    fn change(tx: &mut dyn Transaction) {
        tx.put(b"a", b"3").unwrap();
        tx.put(b"a", b"4").unwrap();
        tx.delete(b"b").unwrap();
        tx.put(b"b", b"5").unwrap();
        tx.delete(b"b").unwrap();
        tx.put(b"c", b"6").unwrap();
        assert_eq!(tx.get(b"a").unwrap(), Some(b"4".to_vec()));
        assert_eq!(tx.scan(b"a", b"d", 9).unwrap().len(), 2);
    }

    #[test]
    fn changes_of_a_transaction_that_fails_are_undone() {
        let store = filled();
        let before = dump(&store);
        let result = store.write(&mut |tx| {
            change(tx);
            Err(VaultError::Busy)
        });
        assert!(matches!(result, Err(VaultError::Busy)));
        assert_eq!(dump(&store), before);
    }

    #[test]
    fn changes_of_a_transaction_that_panics_are_undone_and_the_store_goes_on() {
        let store = filled();
        let before = dump(&store);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            store.write(&mut |tx| {
                change(tx);
                panic!("in the middle of a transaction")
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(dump(&store), before);
        store
            .write(&mut |tx| {
                change(tx);
                Ok(())
            })
            .unwrap();
        assert_eq!(
            dump(&store),
            [(b"a".to_vec(), b"4".to_vec()), (b"c".to_vec(), b"6".to_vec())]
        );
    }

    #[test]
    fn a_scan_is_ordered_bounded_and_excludes_its_end() {
        let store = MemoryStore::new();
        store
            .write(&mut |tx| {
                for key in [b"c", b"a", b"d", b"b"] {
                    tx.put(key, b"")?;
                }
                let keys = |found: Vec<(Vec<u8>, Vec<u8>)>| found.concat_keys();
                assert_eq!(keys(tx.scan(b"b", b"d", 9)?), b"bc");
                assert_eq!(keys(tx.scan(b"a", b"e", 3)?), b"abc");
                assert_eq!(keys(tx.scan(b"c", b"c", 9)?), b"");
                assert_eq!(keys(tx.scan(b"d", b"a", 9)?), b"");
                Ok(())
            })
            .unwrap();
    }

    trait ConcatKeys {
        fn concat_keys(self) -> Vec<u8>;
    }

    impl ConcatKeys for Vec<(Vec<u8>, Vec<u8>)> {
        fn concat_keys(self) -> Vec<u8> {
            self.into_iter().flat_map(|(key, _)| key).collect()
        }
    }

    #[test]
    fn a_transaction_that_only_reads_cannot_write() {
        let store = filled();
        let result = store.read(&mut |tx| tx.put(b"a", b"9"));
        assert!(matches!(result, Err(VaultError::Storage(_))));
        let result = store.read(&mut |tx| tx.delete(b"a"));
        assert!(matches!(result, Err(VaultError::Storage(_))));
    }

    #[test]
    fn two_transactions_read_at_the_same_time() {
        let store = filled();
        let both = std::sync::Barrier::new(2);
        // Without parallel readers the second reader would never reach the barrier.
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    store
                        .read(&mut |tx| {
                            both.wait();
                            tx.get(b"a").map(|_| ())
                        })
                        .unwrap();
                });
            }
        });
    }
}
