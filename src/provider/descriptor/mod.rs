//! The descriptors as a host holds them: documents, and what a page needs of them.

#[cfg(feature = "_internals")]
mod internals;
mod provider;
mod server;

pub use provider::Provider;
pub use server::AuthorizationServer;
