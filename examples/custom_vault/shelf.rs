//! The stand-in for the host's database: keys and values in order, changed in all-or-nothing batches.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use valetkey::model::TenantId;
use valetkey::vault::VaultError;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A transactional key-value store. A real one also outlives the process: what a batch has stored must be durable
/// when it returns.
#[derive(Debug, Default)]
pub struct Shelf(Mutex<Rows>);

/// What lies on the shelf. Secrets lie apart from metadata, so that a listing never touches them.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub enum Table {
    Vault,
    DataKeys,
    Connections,
    AccessTokens,
    Rest,
    Consents,
    Verifiers,
    Outbox,
    OutboxAccess,
    OutboxRest,
    Audit,
    AuditKey,
    Links,
    Numbers,
}

impl Table {
    /// Those whose rows each belong to a tenant and go with it.
    pub const OF_TENANTS: [Self; 10] = [
        Self::DataKeys,
        Self::Connections,
        Self::AccessTokens,
        Self::Rest,
        Self::Consents,
        Self::Verifiers,
        Self::Outbox,
        Self::OutboxAccess,
        Self::OutboxRest,
        Self::Audit,
    ];

    /// The key of a row. The length keeps tenants apart: no name is the beginning of another one's keys.
    pub fn key(self, tenant: &TenantId, row: &[u8]) -> Vec<u8> {
        let name = tenant.as_str().as_bytes();
        [&[self as u8], name.len().to_be_bytes().as_slice(), name, row].concat()
    }
}

impl Shelf {
    /// Runs `work` alone. If it fails or panics, nothing has happened.
    ///
    /// `work` reads, decides and stores: to encrypt in here is to make everybody else wait for it. A database with
    /// a lock timeout answers [`VaultError::Busy`] when that has run out.
    pub fn batch<T>(
        &self,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        // Whoever panicked in here has undone their changes: a batch does so when dropped.
        let rows = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let undo = Vec::new();
        let mut batch = Batch { rows, undo };
        let done = work(&mut batch)?;
        batch.undo.clear();
        Ok(done)
    }

    /// Every key and every value, as a thief would find them.
    pub fn dump(&self) -> Vec<Vec<u8>> {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.iter()
            .flat_map(|(key, value)| [key.clone(), value.clone()])
            .collect()
    }
}

/// Changes that happen together or not at all.
pub struct Batch<'a> {
    rows: &'a mut Rows,
    undo: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch<'_> {
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.rows.get(key).cloned()
    }

    /// The rows whose keys begin with `prefix`, in order.
    pub fn scan(&self, prefix: Vec<u8>) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.rows
            .range(prefix.clone()..)
            .take_while(move |(key, _)| key.starts_with(&prefix))
            .map(|(key, value)| (key.as_slice(), value.as_slice()))
    }

    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        let before = self.rows.insert(key.clone(), value);
        self.undo.push((key, before));
    }

    /// Deletes a row and gives back what it held.
    pub fn take(&mut self, key: Vec<u8>) -> Option<Vec<u8>> {
        let before = self.rows.remove(&key);
        self.undo.push((key, before.clone()));
        before
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for (key, before) in self.undo.drain(..).rev() {
            match before {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
    }
}
