//! One connection that writes, and the readers beside it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use crate::vault::VaultError;
use crate::vault::sqlite::db::beat::{self, Beat};
use crate::vault::sqlite::db::connect::BUSY_TIMEOUT;
use crate::vault::sqlite::db::place::Place;
use crate::vault::sqlite::db::readers::{Readers, SLOTS};
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::process::Process;
use crate::vault::sqlite::sql::Sql;
use crate::vault::tables::{Stamp, Write};

/// The time for which a reader is waited for before the log is left for later.
const PATIENCE: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_millis(5);

const MOVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";
const CUT: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// The number of the writer; the readers have those below it.
const WRITER: usize = SLOTS;
const _: () = assert!(WRITER < Stamp::SOURCES, "every connection is a source of stamps");

const BEGIN: &str = "BEGIN";
const END: &str = "COMMIT";

/// The connections to one database, for the process that opened them.
#[derive(Debug)]
pub(in crate::vault::sqlite) struct Store {
    connections: Arc<Connections>,
    process: Process,
}

#[derive(Debug)]
struct Connections {
    /// Before the writer, because fields are dropped in order: the writer closes last and takes the
    /// log with it.
    readers: Readers,
    writer: Mutex<Connection>,
    /// None for a database in memory. Last: it is released after every connection is closed.
    place: Option<Place>,
}

impl Store {
    pub(in crate::vault::sqlite) fn new(writer: Connection, place: Option<Place>) -> Self {
        Self {
            connections: Arc::new(Connections {
                readers: Readers::new(),
                writer: Mutex::new(writer),
                place,
            }),
            process: Process::current(),
        }
    }

    pub(in crate::vault::sqlite) fn place(&self) -> Option<&Place> {
        self.connections.place.as_ref()
    }

    /// Refuses to be used in a forked child.
    pub(in crate::vault::sqlite) fn check_process(&self) -> Result<(), VaultError> {
        self.process.check()
    }

    /// Reads in one view.
    ///
    /// A connection parses the whole schema when it is opened, which is most of what a process
    /// waits for its first answer. So the writer reads as well, until a thread finds it busy; from
    /// then on nobody waits behind a commit. Without a file there are no readers, and the writer
    /// reads always.
    pub(in crate::vault::sqlite) fn read<T>(
        &self,
        read: impl FnOnce(Sql<'_>) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        self.read_once(|_, sql| view(sql.0, read))
    }

    /// Reads with a single statement, which needs no view around it. `read` learns which connection
    /// it reads with: the same number means the same connection for as long as the store lives.
    pub(in crate::vault::sqlite) fn read_once<T>(
        &self,
        read: impl FnOnce(usize, Sql<'_>) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        self.check_process()?;
        let connections = &*self.connections;
        let Some(place) = &connections.place else {
            return read(WRITER, Sql(&self.writer()));
        };
        if !connections.readers.are_open()
            && let Ok(writer) = connections.writer.try_lock()
        {
            return read(WRITER, Sql(&writer));
        }
        let read = |number, db: &Connection| read(number, Sql(db));
        // The writer has its descriptors already.
        connections
            .readers
            .with(place, read, |read| read(WRITER, &self.writer()))
    }

    /// Writes in one transaction that has the write lock from its beginning.
    pub(in crate::vault::sqlite) fn write<T>(
        &self,
        write: impl FnOnce(Sql<'_>) -> Result<Write<T>, VaultError>,
    ) -> Result<Write<T>, VaultError> {
        self.check_process()?;
        let mut writer = self.writer();
        let transaction = writer
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        // An error drops the transaction, which rolls it back.
        let end = write(Sql(&transaction))?;
        if matches!(end, Write::Commit(_)) {
            let (before, next) = beat::write_next(&transaction)?;
            self.check_file(&before)?;
            transaction.commit().map_err(failed)?;
            // Replaced while it was written: what was committed is not in the file that is there
            // now.
            self.check_file(&next)?;
        } else {
            transaction.rollback().map_err(failed)?;
        }
        Ok(end)
    }

    /// Moves the log into the database, where `secure_delete` has overwritten what was erased, and
    /// cuts it to nothing. `false` if a reader that began before keeps the log as it is.
    pub(in crate::vault::sqlite) fn cut_log(&self) -> Result<bool, VaultError> {
        self.check_process()?;
        if self.place().is_none() {
            return Ok(true);
        }
        let ends = Instant::now() + PATIENCE;
        loop {
            if self.try_cut_log()? {
                return Ok(true);
            }
            if Instant::now() >= ends {
                return Ok(false);
            }
            // Nobody who wants to write waits meanwhile.
            thread::sleep(RETRY);
        }
    }

    /// SQLite holds the write lock while it cuts the log, and would wait for readers inside. So the
    /// log is moved before, without that lock, and nothing is waited for.
    fn try_cut_log(&self) -> Result<bool, VaultError> {
        let writer = self.writer();
        self.check_file(&beat::read(&writer)?)?;
        writer.busy_timeout(Duration::ZERO).map_err(failed)?;
        let cut = checkpoint(&writer, MOVE).and_then(|_| checkpoint(&writer, CUT));
        writer.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        cut
    }

    /// The writing connection. A thread that panicked with it has rolled back: a transaction does
    /// so when dropped.
    pub(in crate::vault::sqlite) fn writer(&self) -> MutexGuard<'_, Connection> {
        let writer = &self.connections.writer;
        writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_file(&self, current: &Beat) -> Result<(), VaultError> {
        match self.place() {
            Some(place) => match place.in_use.anchor() {
                Some(anchor) => place.guard.check(anchor, current),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    #[cfg(test)]
    pub(in crate::vault::sqlite) fn has_open_readers(&self) -> bool {
        self.connections.readers.are_open()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if !self.process.is_current() {
            // SQLite cannot close what a parent has opened: it stays open until the child ends or
            // calls `exec`.
            std::mem::forget(Arc::clone(&self.connections));
        }
    }
}

/// Moves the log into the database in one of SQLite's ways. `false` if others keep it from being
/// done whole.
fn checkpoint(db: &Connection, how: &str) -> Result<bool, VaultError> {
    match db.query_row(how, [], |row| row.get::<_, bool>(0)).map_err(failed) {
        Ok(is_busy) => Ok(!is_busy),
        Err(VaultError::Busy) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads with everything of one moment, however many statements there are.
fn view<T>(db: &Connection, read: impl FnOnce(Sql<'_>) -> Result<T, VaultError>) -> Result<T, VaultError> {
    Sql(db).execute(BEGIN, &[])?;
    let view = View(db);
    let done = read(Sql(view.0));
    drop(view);
    done
}

/// A view that ends however its reader ends.
struct View<'a>(&'a Connection);

impl Drop for View<'_> {
    fn drop(&mut self) {
        // It has written nothing: ending it cannot fail in a way that matters.
        let _ = Sql(self.0).execute(END, &[]);
    }
}
