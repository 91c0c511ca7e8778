//! What a host needs to test its own use of this crate: no network, no waiting.

pub mod vault_contract;
