//! Reads the header of the write-ahead log's index, which changes with every commit.
//!
//! SQLite keeps an index of the log in the file `-shm`, which every connection of every process
//! maps into memory. The file begins with two copies of a header of 48 bytes (`WalIndexHdr` in
//! `wal.c`, and "WAL-Index Format" in SQLite's documentation): the format's version, a counter of
//! commits, the number of the last committed frame, the checksum of all frames up to it, and the
//! salts of the log's current round. A read transaction takes its snapshot from this header.
//! Reading it costs one system call without a lock; `PRAGMA data_version` takes and releases a
//! lock.
//!
//! # Why an equal header means that nothing was committed
//!
//! * **A commit changes the header before it returns.** The writer, of whatever process, syncs its
//!   frames, then writes the second copy, and then the first, and only then returns. A read that
//!   begins afterwards sees both writes: `read` and a mapping of the same local file share the
//!   pages of the kernel. SQLite itself relies on as much between two mappings.
//! * **A header never returns to an earlier state.** Within a round of the log the number of the
//!   last frame grows with each commit. A new round (after a checkpoint of any mode, or in a new
//!   log) has new salts, one of them random. Recovery after a crash rebuilds the header from the
//!   frames in the log, so it yields a former header only if the committed frames are the same.
//! * **The header is read before the rows.** The rows are therefore at least as new as the header.
//!   If it is still the same later, no commit lies in between, and the rows are those that a
//!   transaction begun now would read.
//! * **A header that is being written is not used.** Its copies differ then, or differ from the
//!   remembered header. In either case the rows are read again, which also lets SQLite recover the
//!   index if the writer died.
//!
//! A rollback does not write the header, and a checkpoint does not change what is committed. Both
//! may leave the header unchanged.
//!
//! So a resolve that begins after a commit has returned, in any process of this machine, never
//! returns a token that the commit removed.
//!
//! # When it is used
//!
//! Only on Linux and macOS, for a database in WAL mode, and if both copies are equal, initialised,
//! of the known version and in this machine's byte order. Each commit of this process checks that
//! the header it reads has changed; if not, it is not used any more. In all other cases
//! `PRAGMA data_version` decides.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::vault::sqlite::db::files::{beside, fill, reading};
use crate::vault::sqlite::db::identity::Identity;
use crate::vault::tables::Stamp;

const IS_SUPPORTED: bool = cfg!(any(target_os = "linux", target_os = "macos"));

/// The length of one copy of the header.
const COPY: usize = 48;
/// The version of the format, in the byte order of the machine.
const VERSION: u32 = 3_007_000;
/// The place of the byte that says that the header is initialised.
const INITIALISED: usize = 12;

/// An open index of a log.
pub(in crate::vault::sqlite) struct LogIndex {
    path: PathBuf,
    file: File,
    identity: Identity,
    is_reliable: AtomicBool,
}

/// The indexes that this process has opened for one database file. There is one, unless the index
/// was created again while the list existed.
///
/// Closing any descriptor of a file drops all POSIX locks that the process holds on it. SQLite's
/// locks on the index say which readers and writers are active: without them, another process could
/// restart the log or delete the index under a running transaction. So an index is never closed
/// while this process has a connection to the database. The list belongs to the
/// [`Anchor`](super::in_use::Anchor), which lives until the last connection is closed.
#[derive(Debug, Default)]
pub(super) struct Indexes(Mutex<Vec<Arc<LogIndex>>>);

impl Indexes {
    /// Returns the index of the log of `database`, which a connection of this process has open.
    /// Returns `None` where it cannot be used.
    pub(super) fn of(&self, database: &Path) -> Option<Arc<LogIndex>> {
        if !IS_SUPPORTED {
            return None;
        }
        let path = beside(database, "-shm");
        let mut indexes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = Identity::at(&path)?;
        let known = indexes.iter().find(|index| index.identity == identity);
        let index = if let Some(index) = known {
            Arc::clone(index)
        } else {
            let file = reading().open(&path).ok()?;
            // From here on the file must not be closed.
            let Ok(identity) = Identity::of(&path, &file) else {
                std::mem::forget(file);
                return None;
            };
            let index = Arc::new(LogIndex {
                path,
                file,
                identity,
                is_reliable: AtomicBool::new(true),
            });
            indexes.push(Arc::clone(&index));
            index
        };
        (index.is_in_place() && index.stamp().is_some()).then_some(index)
    }
}

impl LogIndex {
    /// Returns the stamp of the database, which holds for every connection. Returns `None` if the
    /// header is being written or cannot be used; the caller then reads the rows.
    pub(in crate::vault::sqlite) fn stamp(&self) -> Option<Stamp> {
        let mut copies = [0; 2 * COPY];
        fill(&self.file, &mut copies, 0).ok()?;
        let (first, second) = copies.split_at(COPY);
        let version = u32::from_ne_bytes(first.get(..4)?.try_into().ok()?);
        if first != second || version != VERSION || first.get(INITIALISED) != Some(&1) {
            return None;
        }
        let mut state = [0; Stamp::WORDS];
        for (word, bytes) in state.iter_mut().zip(first.chunks_exact(size_of::<u64>())) {
            *word = u64::from_ne_bytes(bytes.try_into().ok()?);
        }
        Some(Stamp {
            source: Stamp::SHARED,
            state,
        })
    }

    /// Returns whether the index may be used, and is still the file at its path. Another file there
    /// means that other processes do not share this index.
    pub(in crate::vault::sqlite) fn is_in_place(&self) -> bool {
        self.is_reliable() && Identity::at(&self.path).as_ref() == Some(&self.identity)
    }

    /// Returns whether every commit of this process has changed the header so far.
    pub(in crate::vault::sqlite) fn is_reliable(&self) -> bool {
        self.is_reliable.load(Ordering::Acquire)
    }

    /// Compares the stamps before and after a commit of this process. If they are equal, this file
    /// does not show commits, and is not used any more.
    pub(super) fn check_commit(&self, before: Option<Stamp>) {
        if before.is_some() && before == self.stamp() {
            self.is_reliable.store(false, Ordering::Release);
        }
    }
}

impl fmt::Debug for LogIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogIndex")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

const _: () = assert!(Stamp::WORDS * size_of::<u64>() == COPY, "a stamp holds a header");

#[cfg(all(test, any(target_os = "linux", target_os = "macos")))]
mod tests;
