//! What can go wrong.

pub use crate::random::RandomUnavailable;
