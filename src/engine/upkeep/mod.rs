//! Upkeep: refreshes and revocations that are due, and the deletion of what has ended.

pub(crate) mod budget;
pub(crate) mod due;
mod lane;
pub(crate) mod maintain;
mod outbox;
pub(crate) mod rest;
