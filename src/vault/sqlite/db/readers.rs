//! Four connections that read beside the writer.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use rusqlite::Connection;

use crate::vault::VaultError;
use crate::vault::sqlite::db::open::Place;

/// Measured: beyond four slots nothing is gained, and each has a page cache of its own.
const SLOTS: usize = 4;

static NEXT_HOME: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Where this thread begins to look: threads that start apart rarely meet.
    static HOME: usize = NEXT_HOME.fetch_add(1, Ordering::Relaxed) % SLOTS;
}

#[derive(Debug)]
/// A ring of connections, each opened when it is first needed.
pub(super) struct Readers {
    slots: [Mutex<Option<Connection>>; SLOTS],
    open: AtomicBool,
}

impl Readers {
    pub(super) fn new() -> Self {
        Self {
            slots: Default::default(),
            open: AtomicBool::new(false),
        }
    }

    /// Whether one of them was needed already.
    pub(super) fn are_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Lends a connection to the file at `place`.
    pub(super) fn with<T>(
        &self,
        place: &Place,
        read: impl FnOnce(&Connection) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        self.open.store(true, Ordering::Relaxed);
        let mut slot = self.slot();
        let db = match &mut *slot {
            Some(db) => db,
            empty => empty.insert(place.reader()?),
        };
        read(db)
    }

    fn slot(&self) -> MutexGuard<'_, Option<Connection>> {
        // A thread that is being torn down has lost its home.
        let home = HOME.try_with(|home| *home).unwrap_or(0);
        let (before, from) = self.slots.split_at(home);
        for slot in from.iter().chain(before) {
            match slot.try_lock() {
                Ok(free) => return free,
                // A thread panicked with it, and its view was ended on the way: there is nothing to repair.
                Err(TryLockError::Poisoned(free)) => return free.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        from.first()
            .map_or_else(|| self.slots[0].lock(), Mutex::lock)
            .unwrap_or_else(PoisonError::into_inner)
    }
}
