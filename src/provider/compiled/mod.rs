//! Descriptors in the form in which the engine uses them: read once, when connections are built.
//!
//! A compiled descriptor owns its templates, header names and patterns. Its operations cannot fail
//! because of the descriptor; values of a connection are checked once, by
//! [`CompiledServer::check`].

mod checked;
mod client;
mod provider;
mod server;
mod values;

#[cfg(feature = "_internals")]
pub use checked::CheckedParameters;
pub use checked::{Endpoints, UnfitParameter};
pub(crate) use client::{Client, InstanceProblem};
pub use provider::CompiledProvider;
pub use server::{AddedParameters, CompiledServer};
