//! Descriptors as hosts use them: documents, with accessors for a page.

#[cfg(feature = "_internals")]
mod internals;
mod provider;
mod server;

pub use provider::Provider;
pub use server::AuthorizationServer;
