//! A vault over any database: what the database stores, and how.

mod kv;
mod memory;
mod store;

pub use kv::Kv;
pub use memory::MemoryStore;
pub use store::{Mode, Store, Transaction};
