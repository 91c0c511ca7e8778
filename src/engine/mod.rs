//! Consent, refresh, revocation and upkeep.

pub(crate) mod additions;
pub(crate) mod consent;
pub(crate) mod context;
pub(crate) mod directory;
pub(crate) mod freshness;
pub(crate) mod grant_users;
pub(crate) mod health;
pub(crate) mod lists;
#[cfg(feature = "mcp")]
pub(crate) mod mcp;
pub(crate) mod outlook;
pub(crate) mod persist;
pub(crate) mod refresh;
pub(crate) mod revoke;
pub(crate) mod services;
pub(crate) mod settings;
mod shutdown;
pub(crate) mod upkeep;
pub(crate) mod usage;
pub(crate) mod uses;
pub(crate) mod workers;

pub(crate) use context::Context;
pub(crate) use shutdown::Engine;
