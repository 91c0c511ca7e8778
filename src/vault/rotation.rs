//! How far new keys have come.

/// How far a new master key has come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rewrapped {
    /// How many keys were wrapped anew.
    pub rewrapped: usize,
    /// The ids of other master keys by which keys are still wrapped. None: those can be dropped.
    pub still_named: Vec<[u8; 16]>,
}

/// How far new data keys have come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resealed {
    /// How many connections' tokens were sealed anew.
    pub resealed: usize,
    /// How many old data keys were destroyed.
    pub destroyed: usize,
    /// How many old data keys still seal something.
    pub remaining: usize,
}
