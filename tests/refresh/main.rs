//! Refreshes: one request for each generation, and no lost token.

mod busy_vault;
mod carried_facts;
mod clock_jumps;
mod forks_and_missing_signs;
mod herd;
mod killed_processes;
mod model;
mod one_holder;
mod one_request_per_generation;
mod quarantine;
mod stopped_holder;
#[path = "../support/mod.rs"]
mod support;
mod tenant_clients;
mod unsaved_tokens;
mod upkeep;
mod upkeep_guard;
mod upkeep_is_fair;
