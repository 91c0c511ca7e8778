//! The gateway over HTTP: routes, pages and links.

mod access;
mod attention;
mod audit;
mod client_document;
mod consent;
mod embed;
mod host;
mod language;
mod lists;
#[cfg(feature = "mcp")]
mod mcp_page;
mod openapi;
mod operators;
mod pages;
mod people;
mod read_only;
mod repeats;
mod scopes;
#[path = "../support/mod.rs"]
mod support;
mod together;
mod tower;
mod values;
