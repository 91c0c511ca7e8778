//! Code that several test binaries share: hosts with a sandbox, vault files, child processes, and
//! the search for secrets.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod counting;
#[path = "../../examples/support/mod.rs"]
pub(crate) mod examples;
#[cfg(feature = "sqlite")]
pub(crate) mod family;
pub(crate) mod flaky;
pub(crate) mod format;
pub(crate) mod gateway;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod printed;
#[cfg(all(feature = "sqlite", feature = "ureq"))]
pub(crate) mod processes;
pub(crate) mod substitute;
pub(crate) mod transfer;
#[cfg(feature = "sqlite")]
pub(crate) mod vault;
pub(crate) mod world;
