//! A vault in one SQLite file: its rows, its files and how it is opened.

mod data;
mod db;
mod failure;
mod holders;
mod migrate;
mod mounts;
mod opening;
mod options;
mod process;
mod rows;
mod schema;
mod sharing;
mod sql;
mod tables;
mod value;
mod vault;
mod writing;

pub use options::SqliteOptions;
pub use vault::SqliteVault;

#[cfg(test)]
pub(in crate::vault::sqlite) mod tests;
