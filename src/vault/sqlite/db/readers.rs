//! Four connections that read beside the writer.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use rusqlite::Connection;

use crate::vault::VaultError;
use crate::vault::sqlite::db::place::Place;

/// Measured: beyond four slots nothing is gained, and each has a page cache of its own.
pub(super) const SLOTS: usize = 4;

static NEXT_HOME: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Where this thread begins to look: threads that start apart rarely meet.
    static HOME: usize = NEXT_HOME.fetch_add(1, Ordering::Relaxed) % SLOTS;
}

/// A ring of connections, each opened when it is first needed.
#[derive(Debug)]
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

    /// Returns whether one of them was needed already.
    pub(super) fn are_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Lends a connection to the file at `place`, with its number. A connection stays in its slot
    /// until the end. While none can be opened, for want of descriptors, `without` is asked to
    /// read.
    pub(super) fn with<T, R>(
        &self,
        place: &Place,
        read: R,
        without: impl FnOnce(R) -> Result<T, VaultError>,
    ) -> Result<T, VaultError>
    where
        R: FnOnce(usize, &Connection) -> Result<T, VaultError>,
    {
        self.open.store(true, Ordering::Relaxed);
        let (number, mut slot) = self.slot();
        let db = match &mut *slot {
            Some(db) => db,
            empty => match place.reader() {
                Ok(db) => empty.insert(db),
                Err(VaultError::TooManyOpenFiles | VaultError::CannotOpen) => return without(read),
                Err(error) => return Err(error),
            },
        };
        read(number, db)
    }

    fn slot(&self) -> (usize, MutexGuard<'_, Option<Connection>>) {
        // A thread that is being torn down has lost its home.
        let home = HOME.try_with(|home| *home).unwrap_or(0);
        let (before, from) = self.slots.split_at(home);
        for (number, slot) in (home..).zip(from).chain((0..).zip(before)) {
            match slot.try_lock() {
                Ok(free) => return (number, free),
                // A thread panicked with it, and its view was ended on the way: there is nothing to
                // repair.
                Err(TryLockError::Poisoned(free)) => return (number, free.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let waited = self.slots[home].lock().unwrap_or_else(PoisonError::into_inner);
        (home, waited)
    }
}
