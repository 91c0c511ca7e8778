//! Four connections that read beside the writer.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use rusqlite::Connection;

use crate::vault::VaultError;
use crate::vault::sqlite::db::place::Place;

/// In measurements, more than four slots brought no gain, and each has its own page cache.
pub(super) const SLOTS: usize = 4;

static NEXT_HOME: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The slot at which this thread begins its search. Threads with different slots rarely
    /// collide.
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

    /// Returns whether any of them has been needed.
    pub(super) fn are_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Passes a connection to the file at `place` to `read`, with its number. A connection stays in
    /// its slot until the end. While none can be opened, because there are no free descriptors,
    /// `without` reads instead.
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
        // The home of a thread that is being torn down is not available.
        let home = HOME.try_with(|home| *home).unwrap_or(0);
        let (before, from) = self.slots.split_at(home);
        for (number, slot) in (home..).zip(from).chain((0..).zip(before)) {
            match slot.try_lock() {
                Ok(free) => return (number, free),
                // A thread panicked with it. Its view ended during the unwinding, so nothing needs
                // repair.
                Err(TryLockError::Poisoned(free)) => return (number, free.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let waited = self.slots[home].lock().unwrap_or_else(PoisonError::into_inner);
        (home, waited)
    }
}
