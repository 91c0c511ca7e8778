//! Keeps remembered rows across the commits of this handle that did not concern them.
//!
//! Each commit changes the [header of the log's index](super::log_index), so the header alone would
//! drop all remembered rows with every commit. This module knows a *run* of headers that differ
//! only by commits of this handle, and lets each of them count as the first. These commits are
//! numbered, with the places that they concerned, and drop what depends on those.
//!
//! # Why no other commit is overlooked
//!
//! * **Before.** The header is read while this handle holds the write lock, so it is the one that
//!   the commit follows. If it is not the latest of the run, another handle has committed, and the
//!   run ends.
//! * **After.** Between the commit and the next read of the header, another handle may commit.
//!   `PRAGMA data_version` tells: its value changes with the commits of every other connection, and
//!   not with those of the same one. It is read last. If it is still what it was within the
//!   transaction, the header is the one that this commit wrote.
//! * **Meanwhile.** While a commit is under way, a header outside of the run may be its own or that
//!   of another handle. A reader that sees one reads the rows, and does not remember them.
//! * **Order.** The places are recorded before the header joins the run, so a reader that finds the
//!   header in the run also finds the places.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::vault::VaultError;
use crate::vault::sqlite::db::stamp;
use crate::vault::sqlite::sql::Sql;
use crate::vault::tables::{Place, Stamp, Taken, Writes};

/// The number of times that a reader looks again because a commit has ended meanwhile.
const ATTEMPTS: usize = 3;

/// The headers that differ only by commits of this handle, and the numbers of these commits.
#[derive(Debug)]
pub(in crate::vault::sqlite) struct Continuity {
    state: RwLock<State>,
    writes: Writes,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct State {
    run: Option<Run>,
    is_committing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: Stamp,
    latest: Stamp,
}

impl State {
    /// Returns the first header of the run, if this is its latest.
    fn first(&self, header: Stamp) -> Option<Stamp> {
        self.run.filter(|run| run.latest == header).map(|run| run.first)
    }
}

impl Continuity {
    pub(super) fn new() -> Self {
        Self {
            state: RwLock::default(),
            writes: Writes::new(),
        }
    }

    pub(in crate::vault::sqlite) const fn writes(&self) -> &Writes {
        &self.writes
    }

    /// Takes the stamp of the present state. `header` reads the header. Returns `None` if it cannot
    /// be used, or if a commit of this handle is under way and may have changed it.
    pub(in crate::vault::sqlite) fn take(&self, header: impl Fn() -> Option<Stamp>) -> Option<Taken> {
        for _ in 0..ATTEMPTS {
            let writes = self.writes.last();
            let (known, now) = {
                let known = self.read();
                let now = header()?;
                if let Some(stamp) = known.first(now) {
                    return Some(Taken { stamp, writes });
                }
                (*known, now)
            };
            if known.is_committing {
                return None;
            }
            let mut state = self.write();
            // If the state is another one, a commit has begun or ended since, and this header may
            // be older.
            if *state == known {
                state.run = Some(Run {
                    first: now,
                    latest: now,
                });
                return Some(Taken { stamp: now, writes });
            }
        }
        None
    }

    /// Returns whether nothing was committed since a stamp was taken, except for commits of this
    /// handle that did not concern these places. `header` is the present one.
    pub(in crate::vault::sqlite) fn is_unchanged_since(
        &self,
        taken: Taken,
        places: &[Place; 3],
        header: Stamp,
    ) -> bool {
        self.read().first(header) == Some(taken.stamp) && self.writes.are_unwritten(taken.writes, places)
    }

    /// Begins a commit of the connection that holds the write lock. `header` is the present one.
    pub(super) fn begin(&self, writer: Sql<'_>, header: Option<Stamp>) -> Result<Commit<'_>, VaultError> {
        let version = stamp::version(writer)?;
        self.write().is_committing = true;
        Ok(Commit {
            continuity: self,
            before: header,
            version,
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A commit that is under way. If it is dropped, it may have been stored or not, and the run ends.
pub(super) struct Commit<'a> {
    continuity: &'a Continuity,
    before: Option<Stamp>,
    version: u64,
}

impl Commit<'_> {
    /// Adds the header to the run, if only this commit has changed it. `places` are those that the
    /// commit concerned; `None` if it may have concerned anything.
    pub(super) fn end(
        self,
        writer: Sql<'_>,
        places: Option<BTreeSet<Place>>,
        header: impl FnOnce() -> Option<Stamp>,
    ) {
        let Some(places) = places else { return };
        self.continuity.writes.wrote(places);
        let after = header();
        let is_alone = stamp::version(writer).is_ok_and(|version| version == self.version);
        let Some(after) = after.filter(|_| is_alone) else {
            return;
        };
        let mut state = self.continuity.write();
        let first = self.before.and_then(|before| state.first(before));
        state.run = Some(Run {
            first: first.unwrap_or(after),
            latest: after,
        });
        state.is_committing = false;
        drop(state);
        std::mem::forget(self);
    }
}

impl Drop for Commit<'_> {
    fn drop(&mut self) {
        *self.continuity.write() = State::default();
    }
}

#[cfg(test)]
mod tests;
