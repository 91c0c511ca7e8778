//! The age up to which remembered answers of a database across a network are used again.
//!
//! Such a database does not tell cheaply whether anything was committed. An answer is therefore
//! used for a bounded time, which begins before the read is sent: whatever was committed by then is
//! part of the answer. So when a change on another machine has been stored, no use that begins
//! later than the bound is based on the state before it. This needs neither a message between the
//! machines nor a comparison of their clocks.
//!
//! Changes of this process count at once. Writes are numbered, and a table of places has the number
//! of the last write that concerned each place. An answer remembers the number of the last write
//! before it was read. Topics share places, so an answer may be dropped in vain, and is never kept
//! in vain.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Monotonic;
use crate::model::GrantId;

/// The number of places. Each takes eight bytes.
const PLACES: u64 = 4_096;

/// A thing that an answer depends on, or that a write concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Topic<'a> {
    /// Everything of the tenant with this number.
    Tenant(i64),
    /// The connections of an owner; empty for workspace connections.
    Owner(i64, &'a str),
    /// A grant.
    Grant(i64, GrantId),
    /// A definition: its kind and its name.
    Definition(i64, &'a str, &'a str),
}

impl Topic<'_> {
    /// Returns the place of the topic. Collisions that an attacker chooses cost a read each.
    pub(crate) fn place(self) -> Place {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(self) % PLACES;
        Place(u16::try_from(hash).unwrap_or(u16::MAX))
    }
}

/// The place of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u16);

/// The beginning of a read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    at: Duration,
    writes: u64,
}

/// The time at which an answer was asked for, and what it depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    until: Duration,
    writes: u64,
    places: [Place; 3],
}

/// The bound on the age of remembered answers, and the writes of this process.
#[derive(Debug)]
pub(crate) struct Staleness {
    clock: Box<dyn Monotonic>,
    most: Duration,
    writes: AtomicU64,
    places: Box<[AtomicU64]>,
}

impl Staleness {
    /// Returns a bound. With zero, nothing is remembered.
    #[cfg(any(test, feature = "postgres"))]
    pub(crate) fn new(most: Duration, clock: Box<dyn Monotonic>) -> Self {
        Self {
            clock,
            most,
            writes: AtomicU64::new(0),
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Begins a read that is sent after this returns.
    pub(crate) fn begin(&self) -> Begun {
        Begun {
            at: self.clock.elapsed(),
            writes: self.writes.load(Ordering::SeqCst),
        }
    }

    /// Returns the grounds on which the answer to a read may be used: for at most `valid` if that
    /// is shorter than the bound, and until this process changes one of its topics.
    pub(crate) fn moment(&self, begun: Begun, topics: [Topic<'_>; 3], valid: Option<Duration>) -> Moment {
        let most = valid.map_or(self.most, |valid| valid.min(self.most));
        Moment {
            until: begun.at.saturating_add(most),
            writes: begun.writes,
            places: topics.map(Topic::place),
        }
    }

    /// Returns whether an answer may be used now.
    pub(crate) fn allows(&self, moment: &Moment) -> bool {
        let is_unwritten = |place: &Place| {
            self.places
                .get(usize::from(place.0))
                .is_some_and(|last| last.load(Ordering::SeqCst) <= moment.writes)
        };
        moment.places.iter().all(is_unwritten) && self.clock.elapsed() < moment.until
    }

    /// Drops all answers that depend on these places. A write calls this after its transaction has
    /// ended, however it ended, and before it returns.
    #[cfg(any(test, feature = "postgres"))]
    pub(crate) fn wrote(&self, places: impl IntoIterator<Item = Place>) {
        let number = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        for place in places {
            if let Some(last) = self.places.get(usize::from(place.0)) {
                last.fetch_max(number, Ordering::SeqCst);
            }
        }
    }
}

#[cfg(test)]
mod tests;
