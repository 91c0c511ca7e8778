//! Consents, from the request to the stored connection.

mod account_identity;
mod bad_input;
mod bounds;
mod client_keys;
mod exchange;
mod foreign_callbacks;
mod grant_family;
mod grant_family_model;
mod identity;
mod loopback;
mod needs;
mod no_consent_loops;
mod pushed_requests;
mod redirect;
mod repeated_delivery;
mod start_to_complete;
#[path = "../support/mod.rs"]
mod support;
