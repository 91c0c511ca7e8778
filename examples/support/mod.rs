//! Code that the examples share: a loopback HTTP server, a PostgreSQL server, and a scripted
//! browser.
#![allow(dead_code, unreachable_pub, reason = "each example uses a part of it")]

pub mod browser;
pub mod cluster;
pub mod loopback;
pub mod visitor;
