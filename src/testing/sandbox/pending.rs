//! Requests that wait for the person's answer.

use crate::model::Scopes;

/// A request that waits for the person's answer. Kept here, so that the page cannot change it.
pub(super) struct Pending {
    pub(super) client: String,
    pub(super) redirect: Redirect,
    pub(super) scopes: Scopes,
    pub(super) challenge: Option<String>,
    /// True if what the account granted before is added.
    pub(super) unites: bool,
}

/// Where the person is sent back to, and what is said there in every case.
pub(super) struct Redirect {
    pub(super) uri: String,
    pub(super) state: Option<String>,
}
