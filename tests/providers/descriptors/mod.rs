//! Services that the catalogue does not have, from a configuration file: every deviation that a
//! descriptor can express, walked against a server that insists on it.

mod api;
mod exchange;
mod mistakes;
mod walk;
