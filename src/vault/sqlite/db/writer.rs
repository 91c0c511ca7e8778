//! One connection that writes, and the readers beside it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use crate::vault::VaultError;
use crate::vault::sqlite::db::beat::{self, Beat};
use crate::vault::sqlite::db::connect::{BUSY_TIMEOUT, expect};
use crate::vault::sqlite::db::continuity::Continuity;
use crate::vault::sqlite::db::log_index::LogIndex;
use crate::vault::sqlite::db::place::Place;
use crate::vault::sqlite::db::readers::{Readers, SLOTS};
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::process::Process;
use crate::vault::sqlite::sql::Sql;
use crate::vault::sqlite::writing::Writing;
use crate::vault::tables::{Stamp, Write};

/// The time to wait for a reader before the log is left for later.
const PATIENCE: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_millis(5);

const MOVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";
const CUT: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// The number of the writer. The readers have the numbers below it.
const WRITER: usize = SLOTS;
const _: () = assert!(WRITER < Stamp::SHARED, "every connection is a source of stamps");

const BEGIN: &str = "BEGIN";
const END: &str = "COMMIT";

/// The levels of `PRAGMA synchronous`.
const NORMAL: i64 = 1;
const FULL: i64 = 2;

/// The time when a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::vault::sqlite) enum CommitSync {
    /// Before the commit returns, so that it survives a power cut.
    AtOnce,
    /// With the next commit that waits. The commit survives the end of the process.
    Later,
}

/// The connections to one database, for the process that opened them.
#[derive(Debug)]
pub(in crate::vault::sqlite) struct Store {
    connections: Arc<Connections>,
    process: Process,
}

#[derive(Debug)]
struct Connections {
    /// Declared before the writer, because fields are dropped in order: the writer closes last and
    /// removes the log.
    readers: Readers,
    writer: Mutex<Connection>,
    /// True while commits of the writer do not wait for the disk.
    syncs_later: AtomicBool,
    continuity: Continuity,
    /// `None` for a database in memory. Declared last: it is released after every connection is
    /// closed.
    place: Option<Place>,
}

impl Store {
    pub(in crate::vault::sqlite) fn new(writer: Connection, place: Option<Place>) -> Self {
        Self {
            connections: Arc::new(Connections {
                readers: Readers::new(),
                writer: Mutex::new(writer),
                syncs_later: AtomicBool::new(false),
                continuity: Continuity::new(),
                place,
            }),
            process: Process::current(),
        }
    }

    pub(in crate::vault::sqlite) fn place(&self) -> Option<&Place> {
        self.connections.place.as_ref()
    }

    /// Returns the index of the log, if it validates remembered rows.
    pub(in crate::vault::sqlite) fn log_index(&self) -> Option<&LogIndex> {
        let index = self.place()?.index.as_deref()?;
        index.is_reliable().then_some(index)
    }

    /// Returns what is known of the commits of this handle.
    pub(in crate::vault::sqlite) fn continuity(&self) -> &Continuity {
        &self.connections.continuity
    }

    /// Fails in a forked child.
    pub(in crate::vault::sqlite) fn check_process(&self) -> Result<(), VaultError> {
        self.process.check()
    }

    /// Runs reads in one view.
    ///
    /// A connection parses the whole schema when it is opened, which takes most of the time until
    /// the first answer of a process. The writer therefore serves reads as well, until a thread
    /// finds it busy; from then on readers serve them, and no read waits for a commit. Without a
    /// file there are no readers, and the writer always serves reads.
    pub(in crate::vault::sqlite) fn read<T>(
        &self,
        read: impl FnOnce(Sql<'_>) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        self.read_once(|_, sql| view(sql.0, read))
    }

    /// Reads with a single statement, which needs no view. `read` receives the number of its
    /// connection: the same number means the same connection for as long as the store exists.
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
        // The writer already has its descriptors.
        connections
            .readers
            .with(place, read, |read| read(WRITER, &self.writer()))
    }

    /// Writes in one transaction that holds the write lock from its beginning.
    pub(in crate::vault::sqlite) fn write<T>(
        &self,
        write: impl FnOnce(&mut Writing<'_>) -> Result<Write<T>, VaultError>,
    ) -> Result<Write<T>, VaultError> {
        self.write_with(CommitSync::AtOnce, write)
    }

    /// Writes as [`write`](Self::write) does, and waits for the disk as `sync` says.
    pub(in crate::vault::sqlite) fn write_with<T>(
        &self,
        sync: CommitSync,
        write: impl FnOnce(&mut Writing<'_>) -> Result<Write<T>, VaultError>,
    ) -> Result<Write<T>, VaultError> {
        self.check_process()?;
        let mut writer = self.writer();
        self.set_sync(&writer, sync)?;
        let end = self
            .write_on(&mut writer, write)
            .map_err(|error| self.cause(error));
        // If this fails, the next write tries again before it begins.
        let _ = self.set_sync(&writer, CommitSync::AtOnce);
        end
    }

    /// Sets when commits wait for the disk.
    fn set_sync(&self, writer: &Connection, sync: CommitSync) -> Result<(), VaultError> {
        let is_later = &self.connections.syncs_later;
        let (level, later) = match sync {
            CommitSync::AtOnce => (FULL, false),
            CommitSync::Later => (NORMAL, true),
        };
        if is_later.load(Ordering::Relaxed) == later {
            return Ok(());
        }
        // Until the level is known, no write may be taken for durable.
        is_later.store(true, Ordering::Relaxed);
        // SQLite applies this pragma when it is compiled, so it must not be a cached statement.
        writer.pragma_update(None, "synchronous", level).map_err(failed)?;
        expect(writer, "synchronous", level)?;
        is_later.store(later, Ordering::Relaxed);
        Ok(())
    }

    fn write_on<T>(
        &self,
        writer: &mut Connection,
        write: impl FnOnce(&mut Writing<'_>) -> Result<Write<T>, VaultError>,
    ) -> Result<Write<T>, VaultError> {
        let transaction = writer
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        // An error drops the transaction, which rolls it back.
        let mut writing = Writing::new(Sql(&transaction));
        let end = write(&mut writing)?;
        if matches!(end, Write::Commit(_)) {
            let (before, next) = beat::write_next(&transaction)?;
            self.check_file(&before)?;
            let places = writing.into_places();
            let index = self.log_index();
            let header = index.and_then(LogIndex::stamp);
            let commit = match index {
                Some(_) => Some(self.continuity().begin(Sql(&transaction), header)?),
                None => None,
            };
            transaction.commit().map_err(failed)?;
            if let (Some(index), Some(commit)) = (index, commit) {
                index.check_commit(header);
                commit.end(Sql(writer), places, || index.stamp());
            }
            // If the file was replaced during the write, the committed data is not in the file that
            // is there now.
            self.check_file(&next)?;
        } else {
            transaction.rollback().map_err(failed)?;
        }
        Ok(end)
    }

    /// Moves the log into the database, where `secure_delete` has overwritten erased data, and
    /// truncates it to zero. Returns `false` if a reader that began before prevents this.
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
            // Writers do not wait meanwhile.
            thread::sleep(RETRY);
        }
    }

    /// Truncates the log if no reader prevents it. SQLite holds the write lock while it truncates
    /// the log, and would wait for readers with it. So the log is moved before, without that lock
    /// and without waiting.
    fn try_cut_log(&self) -> Result<bool, VaultError> {
        let writer = self.writer();
        let beat = beat::read(&writer).map_err(|error| self.cause(error))?;
        self.check_file(&beat)?;
        writer.busy_timeout(Duration::ZERO).map_err(failed)?;
        let cut = checkpoint(&writer, MOVE).and_then(|_| checkpoint(&writer, CUT));
        writer.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        cut
    }

    /// Returns the writing connection. If a thread panicked while holding it, its transaction was
    /// rolled back when it was dropped.
    pub(in crate::vault::sqlite) fn writer(&self) -> MutexGuard<'_, Connection> {
        let writer = &self.connections.writer;
        writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the cause of a failure: a file that was replaced looks damaged, because SQLite still
    /// has pages of the former one.
    fn cause(&self, error: VaultError) -> VaultError {
        let is_replaced = |place: &Place| {
            let anchor = place.in_use.anchor();
            anchor.is_some_and(|anchor| place.guard.is_replaced(anchor))
        };
        match error {
            VaultError::Damaged if self.place().is_some_and(is_replaced) => VaultError::Replaced,
            error => error,
        }
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
            // SQLite cannot close a connection that a parent has opened: it stays open until the
            // child ends or calls `exec`.
            std::mem::forget(Arc::clone(&self.connections));
        }
    }
}

/// Runs a checkpoint of this mode. Returns `false` if other connections prevent its completion.
fn checkpoint(db: &Connection, how: &str) -> Result<bool, VaultError> {
    match db.query_row(how, [], |row| row.get::<_, bool>(0)).map_err(failed) {
        Ok(is_busy) => Ok(!is_busy),
        Err(VaultError::Busy) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Runs reads in one view, however many statements they use.
fn view<T>(db: &Connection, read: impl FnOnce(Sql<'_>) -> Result<T, VaultError>) -> Result<T, VaultError> {
    Sql(db).execute(BEGIN, &[])?;
    let view = View(db);
    let done = read(Sql(view.0));
    drop(view);
    done
}

/// A view that ends when it is dropped.
struct View<'a>(&'a Connection);

impl Drop for View<'_> {
    fn drop(&mut self) {
        // It has written nothing, so a failure to end it has no effect.
        let _ = Sql(self.0).execute(END, &[]);
    }
}
