//! The age up to which remembered answers of a database across a network are used again.
//!
//! Such a database does not tell cheaply whether anything was committed. An answer is therefore
//! used for a bounded time, which begins before the read is sent: whatever was committed by then is
//! part of the answer. So when a change on another machine has been stored, no use that begins
//! later than the bound is based on the state before it. This needs neither a message between the
//! machines nor a comparison of their clocks.
//!
//! Changes of this process count at once: see [`Writes`].

use std::time::Duration;

use crate::clock::Monotonic;
use crate::vault::tables::topic::{Place, Topic, Writes};

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
    writes: Writes,
}

impl Staleness {
    /// Returns a bound. With zero, nothing is remembered.
    #[cfg(any(test, feature = "postgres"))]
    pub(crate) fn new(most: Duration, clock: Box<dyn Monotonic>) -> Self {
        Self {
            clock,
            most,
            writes: Writes::new(),
        }
    }

    /// Begins a read that is sent after this returns.
    pub(crate) fn begin(&self) -> Begun {
        Begun {
            at: self.clock.elapsed(),
            writes: self.writes.last(),
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
        self.writes.are_unwritten(moment.writes, &moment.places) && self.clock.elapsed() < moment.until
    }

    /// Drops all answers that depend on these places. A write calls this after its transaction has
    /// ended, however it ended, and before it returns.
    #[cfg(any(test, feature = "postgres"))]
    pub(crate) fn wrote(&self, places: impl IntoIterator<Item = Place>) {
        self.writes.wrote(places);
    }
}

#[cfg(test)]
mod tests;
