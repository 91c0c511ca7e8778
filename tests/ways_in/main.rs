//! The short ways into the library: what a host writes first.

mod closures;
mod counts;
mod loopback;
mod open;
mod redirect;
mod substitute;
mod tower;
mod upkeep_guard;
