//! The file and the connections to it.

pub(super) mod access;
pub(super) mod backup;
pub(super) mod beat;
pub(super) mod connect;
pub(super) mod continuity;
pub(super) mod files;
pub(super) mod header;
pub(super) mod identity;
pub(super) mod in_use;
pub(super) mod lineage;
pub(super) mod log;
pub(super) mod log_index;
pub(super) mod open;
pub(super) mod place;
pub(super) mod readers;
pub(super) mod restore;
pub(super) mod stamp;
pub(super) mod writer;

#[cfg(test)]
mod tests;
