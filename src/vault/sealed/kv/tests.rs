//! The contract of the tables, for a store of keys and values.

use super::*;
use crate::vault::sealed::MemoryStore;
use crate::vault::tables_contract;

#[test]
fn a_store_of_keys_and_values_keeps_the_contract_of_the_tables() {
    tables_contract::check(&|| Kv::new(MemoryStore::new()));
}
