//! Revocation. [`flow`] has the steps in order; each other file implements one step.

pub(crate) mod at_provider;
mod bulk;
pub(crate) mod flow;
pub(crate) mod report;

pub(crate) use bulk::revoke_all;
pub(crate) use flow::*;
