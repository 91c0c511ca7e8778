//! Consent, refresh, revocation and upkeep, one file for each step.

pub(crate) mod consent;
pub(crate) mod context;
pub(crate) mod freshness;
pub(crate) mod health;
pub(crate) mod lists;
pub(crate) mod outlook;
pub(crate) mod refresh;
pub(crate) mod revoke;
pub(crate) mod settings;
pub(crate) mod upkeep;
pub(crate) mod uses;
pub(crate) mod workers;

pub(crate) use context::Context;
