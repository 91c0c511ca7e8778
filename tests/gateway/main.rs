//! The gateway over HTTP: routes, pages and links.

mod access;
mod attention;
mod audit;
mod consent;
mod host;
mod language;
mod openapi;
mod pages;
mod repeats;
mod scopes;
#[path = "../support/mod.rs"]
mod support;
mod together;
mod tower;
mod values;
