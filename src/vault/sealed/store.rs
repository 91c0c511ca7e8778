//! The interface to a host's own database.

use std::fmt::Debug;
use std::sync::Arc;

use crate::vault::VaultError;

/// A database of keys and values, ordered by key. A host implements it to keep a vault in the
/// database that it already has.
///
/// The store never sees a secret. Tokens, verifiers and keys are encrypted before they reach it,
/// and every row is bound to its place, so that an altered or moved row is detected. Keys and
/// values contain the names of tenants, users, providers and accounts in the clear.
///
/// # Contract
///
/// * **Transactions.** [`read`](Self::read) and [`write`](Self::write) call `work` with one
///   transaction. Either all its changes are kept or none. If `work` returns an error or panics,
///   none is kept, and the error is returned unchanged.
/// * **Serializability.** The result of concurrent transactions is as if they had run one after the
///   other, in all processes that use the database. Snapshot isolation is not enough: two
///   transactions may each read data that the other writes. A transaction that only reads sees a
///   single state.
/// * **Visibility of own changes.** `get` and `scan` return the changes that the same transaction
///   has made.
/// * **Durability.** When `write` returns `Ok`, the changes survive a crash of the process and of
///   the machine. A provider that rotates refresh tokens has already invalidated the former one: if
///   the write is lost, the user has to consent again.
/// * **Retries.** After a conflict with another transaction, `write` may call `work` again, with a
///   new transaction that shows none of the former changes. `read` calls `work` once, and returns
///   [`VaultError::Busy`] if the transaction fails in the end. A wait for a lock is bounded and
///   ends in [`VaultError::Busy`] as well.
/// * **Sizes.** Keys have at most 256 bytes and are not empty. Values have up to 200 KiB and may be
///   empty. One transaction changes up to a few thousand keys.
/// * **Failures.** A read that fails is an error and never an absent value. Errors contain no value
///   and no key.
///
/// # Erasure
///
/// The vault erases a secret by storing another value in its place or by deleting its key. After
/// the transaction, no later transaction can read the former value, and the store keeps no version,
/// journal or undo record of it for longer than its own operation requires. A store that can
/// overwrite the bytes in place does so.
///
/// Many databases cannot: their logs, snapshots and unused pages hold former values for some time.
/// Such a store removes them in [`erase_residue`](Self::erase_residue) and reports whether anything
/// is left. A former value is ciphertext; once the key that sealed it is erased as well, it can no
/// longer be decrypted.
///
/// # Example
///
/// `examples/custom_store.rs` keeps a vault in an append-only file.
pub trait Store: Debug + Send + Sync + 'static {
    /// Runs `work` once, in a transaction that only reads: [`Transaction::put`] and
    /// [`Transaction::delete`] are not called.
    ///
    /// # Errors
    ///
    /// The error of `work`, unchanged, or a [`VaultError`] if the transaction did not run.
    fn read(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), VaultError>,
    ) -> Result<(), VaultError>;

    /// Runs `work` in one transaction that reads and writes.
    ///
    /// # Errors
    ///
    /// The error of `work`, unchanged, or a [`VaultError`] if the transaction did not run. After
    /// any error nothing is kept.
    fn write(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), VaultError>,
    ) -> Result<(), VaultError>;

    /// Removes the remains of overwritten and deleted values from files, logs and unused pages, as
    /// far as possible now. Returns `true` only if nothing is left.
    ///
    /// A store that cannot know this, such as one on a server that keeps its own logs, returns
    /// `false`. Backups that the host has made do not count.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the attempt failed.
    fn erase_residue(&self) -> Result<bool, VaultError>;
}

/// A transaction of a [`Store`].
pub trait Transaction {
    /// Returns the value of a key, or `None` if there is no such key.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the database cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, VaultError>;

    /// Sets the value of a key, whether it exists or not.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not written. The transaction then fails as a whole.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), VaultError>;

    /// Deletes a key and its value. Does nothing if there is no such key.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if it was not deleted. The transaction then fails as a whole.
    fn delete(&mut self, key: &[u8]) -> Result<(), VaultError>;

    /// Returns the keys from `from` (inclusive) to `to` (exclusive) and their values, in ascending
    /// order of the bytes of the keys. Returns at most `limit`, and fewer only if there are no
    /// others. Returns none if `to` is not greater than `from`.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the database cannot be read.
    #[allow(clippy::type_complexity, reason = "pairs of key and value")]
    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>, VaultError>;
}

/// Forwards to the shared store, so that several handles can use it.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn read(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        (**self).read(work)
    }

    fn write(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        (**self).write(work)
    }

    fn erase_residue(&self) -> Result<bool, VaultError> {
        (**self).erase_residue()
    }
}
