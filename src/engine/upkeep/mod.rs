//! Upkeep: refreshes and revocations that are due, and the deletion of what has ended.

pub(crate) mod due;
pub(crate) mod maintain;
pub(crate) mod rest;
