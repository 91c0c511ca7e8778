//! No secret and no text written by a server in anything that is printed, logged or stored.

mod logs;
mod plaintext_in_files;
mod printed_values;
#[path = "../support/mod.rs"]
mod support;
mod words_of_servers;
