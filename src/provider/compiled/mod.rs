//! Descriptors as the engine uses them: parsed once, when connections are built.
//!
//! A compiled descriptor owns its templates, header names and patterns. Its operations cannot fail
//! because of the descriptor; the values of a connection are checked once, by
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
