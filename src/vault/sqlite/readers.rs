//! Four connections that read beside the writer.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use rusqlite::Connection;

use crate::vault::VaultError;
use crate::vault::sqlite::open;

/// Measured: beyond four slots nothing is gained, and each has a page cache of its own.
const SLOTS: usize = 4;

static NEXT_HOME: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Where this thread begins to look: threads that start apart rarely meet.
    static HOME: usize = NEXT_HOME.fetch_add(1, Ordering::Relaxed) % SLOTS;
}

/// A ring of connections, each opened when it is first needed.
pub(super) struct Readers {
    path: PathBuf,
    slots: [Mutex<Option<Connection>>; SLOTS],
    open: AtomicBool,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            slots: Default::default(),
            open: AtomicBool::new(false),
        }
    }

    /// Whether one of them was needed yet.
    pub(super) fn are_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Lends a connection. The fewer things `read` does with it, the better: no decryption in there.
    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        self.open.store(true, Ordering::Relaxed);
        let mut slot = self.slot();
        let db = match &mut *slot {
            Some(db) => db,
            empty => empty.insert(open::reader(&self.path)?),
        };
        read(db)
    }

    fn slot(&self) -> MutexGuard<'_, Option<Connection>> {
        // A thread that is being torn down has no home of its own any more.
        let home = HOME.try_with(|home| *home).unwrap_or(0);
        let (before, from) = self.slots.split_at(home);
        for slot in from.iter().chain(before) {
            match slot.try_lock() {
                Ok(free) => return free,
                // Whoever panicked held a reading connection: there is nothing to be repaired.
                Err(TryLockError::Poisoned(free)) => return free.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        from.first()
            .map_or_else(|| self.slots[0].lock(), Mutex::lock)
            .unwrap_or_else(PoisonError::into_inner)
    }
}
