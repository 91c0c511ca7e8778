//! The contract of the tables, and what only holds for a store of keys and values.

use std::cell::Cell;
use std::sync::Arc;

use super::*;
use crate::model::{GrantId, TenantId};
use crate::vault::sealed::MemoryStore;
use crate::vault::tables::VaultRow;
use crate::vault::tables_contract;

#[test]
fn a_store_of_keys_and_values_keeps_the_contract_of_the_tables() {
    tables_contract::check(&|| Kv::new(MemoryStore::new()));
}
