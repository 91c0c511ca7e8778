//! The grounds on which a remembered answer of the tables is used again without reading them.

use crate::vault::tables::staleness::Moment;
use crate::vault::tables::topic::Place;

/// Says when a remembered answer still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Basis {
    /// While the tables are in the state in which it was read, but for writes of this handle that
    /// did not concern these places.
    State(Taken, [Place; 3]),
    /// For a bounded time after it was read, unless this process changes it.
    Moment(Moment),
}

/// A stamp, taken before a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) stamp: Stamp,
    /// The number of the last write of the handle before the stamp was taken.
    pub(crate) writes: u64,
}

/// Identifies a state of the tables: two equal stamps mean that nothing was committed between them,
/// by this process or another, except for writes of the handle that are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The source, a number below [`Self::SOURCES`]. Stamps of two sources are never equal.
    pub(crate) source: usize,
    /// The state that the source reports. It never returns to an earlier one.
    pub(crate) state: [u64; Self::WORDS],
}

impl Stamp {
    pub(crate) const WORDS: usize = 6;
    /// The number of sources of stamps: one for each connection, and one that all of them share.
    pub(crate) const SOURCES: usize = 6;
    /// The source that all connections share.
    #[cfg(feature = "sqlite")]
    pub(crate) const SHARED: usize = Self::SOURCES - 1;
}
