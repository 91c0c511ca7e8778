//! Secrets and text written by servers do not appear in anything printed, logged or stored.

mod logs;
mod plaintext_in_files;
mod printed_values;
#[path = "../support/mod.rs"]
mod support;
mod words_of_servers;
