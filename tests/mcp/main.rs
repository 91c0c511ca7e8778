//! MCP servers that are connected by their URL, and providers and clients that are added while the
//! host runs.

mod added;
mod bad_input;
mod by_url;
mod changes;
mod host;
mod leaks;
mod many;
#[path = "../support/mod.rs"]
mod support;
