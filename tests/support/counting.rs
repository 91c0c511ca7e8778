//! A store that counts the values read and the writing transactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use valetkey::internals::vault::MemoryStore;
use valetkey::vault::{Store, Transaction, VaultError};

/// A store in memory. Clones share it and its counts.
#[derive(Debug, Default, Clone)]
pub(crate) struct CountingStore(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    inner: MemoryStore,
    reads: AtomicUsize,
    writes: AtomicUsize,
}

impl CountingStore {
    /// Returns the number of values that were requested or returned.
    pub(crate) fn reads(&self) -> usize {
        self.0.reads.load(Ordering::Relaxed)
    }

    /// Returns the number of writing transactions.
    pub(crate) fn writes(&self) -> usize {
        self.0.writes.load(Ordering::Relaxed)
    }
}

impl Store for CountingStore {
    fn read(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let reads = &self.0.reads;
        self.0
            .inner
            .read(&mut |inner| work(&mut CountingTransaction { inner, reads }))
    }

    fn write(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        self.0.writes.fetch_add(1, Ordering::Relaxed);
        let reads = &self.0.reads;
        self.0
            .inner
            .write(&mut |inner| work(&mut CountingTransaction { inner, reads }))
    }

    fn erase_residue(&self) -> Result<bool, VaultError> {
        self.0.inner.erase_residue()
    }
}

struct CountingTransaction<'a> {
    inner: &'a mut dyn Transaction,
    reads: &'a AtomicUsize,
}

impl Transaction for CountingTransaction<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
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
        self.reads.fetch_add(found.len(), Ordering::Relaxed);
        Ok(found)
    }
}
