//! Services that the catalog does not contain, from a configuration file: every deviation that a
//! descriptor can express, tested against a server that requires it.

mod api;
mod exchange;
mod mistakes;
mod walk;
