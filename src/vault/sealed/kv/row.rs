//! Rows and their index entries.

use std::ops::ControlFlow;

use super::Result;
use super::key::Key;
use crate::vault::VaultError;
use crate::vault::codec::{Decoder, Encoder};
use crate::vault::sealed::store::Transaction;
use crate::vault::tables::TenantRow;

/// The number of keys that are read at a time.
const PAGE: usize = 128;

/// A type of row that belongs to a tenant.
pub(super) trait Row: Sized {
    /// Returns the key of the row.
    fn key(&self, tenant: TenantRow) -> Key;

    /// Returns all index entries that lead to the row.
    fn indexes(&self, tenant: TenantRow) -> Vec<Key>;

    fn encode(&self) -> Vec<u8>;

    /// Reads all fields. The caller checks that no other field follows.
    fn decode(record: &mut Decoder<'_>) -> Result<Self>;
}

/// The error for an inserted row whose key exists already.
#[derive(Debug, thiserror::Error)]
#[error("the row exists already")]
pub(super) struct Duplicate;

pub(super) fn decode<R: Row>(bytes: &[u8]) -> Result<R> {
    let mut record = Decoder::new(bytes);
    let row = R::decode(&mut record)?;
    record.finish()?;
    Ok(row)
}

/// Reads a row.
pub(super) fn get<R: Row>(tx: &dyn Transaction, key: &Key) -> Result<Option<R>> {
    tx.get(key.as_bytes())?.map(|bytes| decode(&bytes)).transpose()
}

/// Reads a row that an index entry leads to.
pub(super) fn expect<R: Row>(tx: &dyn Transaction, key: &Key) -> Result<R> {
    get(tx, key)?.ok_or(VaultError::Damaged)
}

/// Inserts or replaces a row and brings its index entries up to date.
pub(super) fn put<R: Row>(tx: &mut dyn Transaction, tenant: TenantRow, row: &R) -> Result<()> {
    let key = row.key(tenant);
    let before = get::<R>(tx, &key)?.map_or_else(Vec::new, |before| before.indexes(tenant));
    let after = row.indexes(tenant);
    for index in before.iter().filter(|index| !after.contains(index)) {
        tx.delete(index.as_bytes())?;
    }
    for index in after.iter().filter(|index| !before.contains(index)) {
        tx.put(index.as_bytes(), key.as_bytes())?;
    }
    tx.put(key.as_bytes(), &row.encode())
}

/// Inserts a row that must not exist yet.
pub(super) fn insert<R: Row>(tx: &mut dyn Transaction, tenant: TenantRow, row: &R) -> Result<()> {
    if tx.get(row.key(tenant).as_bytes())?.is_some() {
        return Err(VaultError::storage(Duplicate));
    }
    put(tx, tenant, row)
}

/// Deletes a row and its index entries, if it exists.
pub(super) fn delete<R: Row>(tx: &mut dyn Transaction, tenant: TenantRow, key: &Key) -> Result<()> {
    let Some(row) = get::<R>(tx, key)? else {
        return Ok(());
    };
    for index in row.indexes(tenant) {
        tx.delete(index.as_bytes())?;
    }
    tx.delete(key.as_bytes())
}

/// Calls `visit` with the keys from `from` up to but not including `to` and their values, in
/// ascending order, until it breaks.
pub(super) fn each(
    tx: &dyn Transaction,
    mut from: Key,
    to: &Key,
    mut visit: impl FnMut(Key, Vec<u8>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    loop {
        let page = tx.scan(from.as_bytes(), to.as_bytes(), PAGE)?;
        let Some((last, _)) = page.last() else {
            return Ok(());
        };
        from = Key::from_bytes(last.clone()).next();
        let is_last = page.len() < PAGE;
        for (key, value) in page {
            if visit(Key::from_bytes(key), value)?.is_break() {
                return Ok(());
            }
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Applies `choose` to the keys in a range and their values, in ascending order, and returns its
/// results without the `None`s. At most `limit`.
pub(super) fn collect<T>(
    tx: &dyn Transaction,
    from: Key,
    to: &Key,
    limit: usize,
    mut choose: impl FnMut(Key, Vec<u8>) -> Result<Option<T>>,
) -> Result<Vec<T>> {
    let mut all = Vec::new();
    if limit == 0 {
        return Ok(all);
    }
    each(tx, from, to, |key, value| {
        all.extend(choose(key, value)?);
        Ok(if all.len() < limit {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    })?;
    Ok(all)
}

/// Returns all rows to which the index entries that begin with `index` lead.
pub(super) fn indexed<R: Row>(tx: &dyn Transaction, index: Key) -> Result<Vec<R>> {
    let end = index.clone().end();
    collect(tx, index, &end, usize::MAX, |_, key| {
        expect(tx, &Key::from_bytes(key)).map(Some)
    })
}

/// Returns whether a key begins with this one.
pub(super) fn any(tx: &dyn Transaction, beginning: Key) -> Result<bool> {
    let end = beginning.clone().end();
    Ok(!tx.scan(beginning.as_bytes(), end.as_bytes(), 1)?.is_empty())
}

/// Deletes all keys that begin with this one.
pub(super) fn clear(tx: &mut dyn Transaction, beginning: Key) -> Result<()> {
    let end = beginning.clone().end();
    for key in collect(tx, beginning, &end, usize::MAX, |key, _| Ok(Some(key)))? {
        tx.delete(key.as_bytes())?;
    }
    Ok(())
}

/// Reads a number that has its own key.
pub(super) fn number(tx: &dyn Transaction, key: &Key) -> Result<Option<u64>> {
    let Some(value) = tx.get(key.as_bytes())? else {
        return Ok(None);
    };
    let mut record = Decoder::new(&value);
    let number = record.u64()?;
    record.finish()?;
    Ok(Some(number))
}

/// Stores a number under its own key.
pub(super) fn put_number(tx: &mut dyn Transaction, key: &Key, number: u64) -> Result<()> {
    tx.put(key.as_bytes(), &Encoder::new().u64(number).finish())
}

/// Stores a sealed record under its own key, or deletes the key if the record is empty.
pub(super) fn put_sealed(tx: &mut dyn Transaction, key: &Key, sealed: &[u8]) -> Result<()> {
    if sealed.is_empty() {
        tx.delete(key.as_bytes())
    } else {
        tx.put(key.as_bytes(), sealed)
    }
}
