//! One writer, and readers beside it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::vault::VaultError;
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::readers::Readers;

/// The connections of one vault.
pub(super) struct Store {
    /// Before the writer, because fields are dropped in order: the writer closes last and takes the log with it.
    readers: Option<Readers>,
    writer: Mutex<Connection>,
}

/// How a write transaction ends.
pub(super) enum Step<T> {
    /// What was written is kept.
    Commit(T),
    /// Nothing was written, or nothing of it is kept.
    Abandon(T),
}

impl Store {
    /// A store; without readers (a database in memory) the writer reads as well.
    pub(super) const fn new(writer: Connection, readers: Option<Readers>) -> Self {
        Self {
            readers,
            writer: Mutex::new(writer),
        }
    }

    /// Reads. Opens no secret in there: the connection is lent for the statement alone.
    ///
    /// A connection parses the whole schema when it is opened, which is most of what a process waits for its first answer. So
    /// the writer reads as well, until somebody finds it busy; from then on nobody waits behind a commit.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let Some(readers) = &self.readers else {
            return read(&self.writer());
        };
        if readers.are_open() {
            return readers.with(read);
        }
        match self.writer.try_lock() {
            Ok(writer) => read(&writer),
            Err(_) => readers.with(read),
        }
    }

    /// Writes in one transaction that has the write lock from its beginning.
    pub(super) fn write<T>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> Result<Step<T>, VaultError>,
    ) -> Result<T, VaultError> {
        let mut writer = self.writer();
        let transaction = writer
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        // An error drops the transaction, which rolls it back.
        match write(&transaction)? {
            Step::Commit(done) => {
                transaction.commit().map_err(failed)?;
                Ok(done)
            }
            Step::Abandon(done) => {
                transaction.rollback().map_err(failed)?;
                Ok(done)
            }
        }
    }

    /// The writing connection. Whoever panicked with it has rolled back: a transaction does so when dropped.
    pub(super) fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn has_open_readers(&self) -> bool {
        self.readers.as_ref().is_some_and(Readers::are_open)
    }

    pub(super) const fn has_file(&self) -> bool {
        self.readers.is_some()
    }
}
