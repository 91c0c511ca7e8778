//! What the examples share: a loopback HTTP server, and a browser that needs no person.

pub mod browser;
pub mod loopback;
