//! Revocation. [`flow`] has the steps in their order; the other files hold one step each.

pub(crate) mod at_provider;
pub(crate) mod flow;
pub(crate) mod report;

pub(crate) use flow::*;
