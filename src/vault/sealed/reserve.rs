//! The seals that a key allows, and those that are counted ahead.

use std::sync::atomic::{AtomicU32, Ordering};

/// A tenant gets a new data key after this many seals. Random nonces of 96 bits are good for 2^32.
const MAX_SEALS: u32 = 1 << 30;
/// The number of seals that are counted ahead.
const BLOCK: u32 = 1 << 10;
/// More than the number of seals in one transaction.
const MOST_AT_ONCE: u32 = 1 << 12;

/// The limit of each key, and the numbers that follow from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    most: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { most: MAX_SEALS }
    }
}

impl Limits {
    #[cfg(test)]
    pub(super) const fn new(most: u32) -> Self {
        Self { most }
    }

    pub(super) const fn most(self) -> u32 {
        self.most
    }

    pub(super) fn block(self) -> u32 {
        BLOCK.min(self.most / 8)
    }

    /// Returns whether a data key is replaced after this many seals: a transaction and its block
    /// might exceed the limit.
    pub(super) fn is_used_up(self, seals: u32) -> bool {
        seals.saturating_add(self.block() + MOST_AT_ONCE.min(self.most / 4)) > self.most
    }

    /// Returns whether an audit key is replaced after this many seals. A batch of token uses never
    /// exhausts it.
    pub(super) const fn is_half_used(self, seals: u32) -> bool {
        seals > self.most / 2
    }
}

/// The seals of one key that are counted and not used yet.
#[derive(Debug, Default)]
pub(super) struct Reserve(AtomicU32);

impl Reserve {
    pub(super) fn take(&self, seals: u32) -> bool {
        let left = |left: u32| left.checked_sub(seals);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left)
            .is_ok()
    }

    pub(super) fn add(&self, seals: u32) {
        let more = |left: u32| Some(left.saturating_add(seals));
        // `more` always returns a value.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
}
