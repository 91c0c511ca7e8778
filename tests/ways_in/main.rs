//! The short ways into the library: what a host writes first.

mod closures;
mod counts;
mod open;
