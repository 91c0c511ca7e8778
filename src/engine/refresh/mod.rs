//! Refreshes tokens without losing any. [`flow`] has the steps in order; each other file implements
//! one step.

pub(crate) mod commit;
pub(crate) mod failure;
pub(crate) mod flow;
pub(crate) mod join;
pub(crate) mod outcome;
pub(crate) mod request;
pub(crate) mod retry;
pub(crate) mod unsaved;

pub(crate) use flow::{refresh, refresh_claimed, refresh_now};
pub(crate) use outcome::{NotRefreshed, RefreshedToken, Wanted};
