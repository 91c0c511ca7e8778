//! Consent: from the choice of scopes to the stored grant.

mod account;
pub(crate) mod complete;
mod flow;
pub(crate) mod identity;
pub(crate) mod link;
pub(crate) mod options;
pub(crate) mod poll;
mod record;
pub(crate) mod scopes;
pub(crate) mod start;
