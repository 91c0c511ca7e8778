//! Revocation. [`flow`] has the steps in order; each other file implements one step.

pub(crate) mod at_provider;
pub(crate) mod flow;
pub(crate) mod report;

pub(crate) use flow::*;
