//! The vault: its contract, its file and the changes that others can make to that file.

mod audit;
mod audit_times;
mod connections_open;
mod contract;
mod database_writer;
mod definitions;
mod erased_by_keys;
mod faults;
mod file_descriptors;
mod forget;
mod independent;
mod key_services;
mod lying_index;
mod migration;
mod older_files;
mod open;
mod residue;
mod rights;
mod rotation;
#[path = "../support/mod.rs"]
mod support;
mod transfer;
mod transplant;
mod users;
