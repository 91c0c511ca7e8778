//! Authorization requests that wait for the user's decision.

use crate::model::Scopes;

/// A request that waits for the user's decision. It is stored here, so that the page cannot change
/// it.
pub(super) struct Pending {
    pub(super) client: String,
    pub(super) redirect: Redirect,
    pub(super) scopes: Scopes,
    pub(super) challenge: Option<String>,
    pub(super) resource: Option<String>,
    /// True if the scopes that the account granted before are added.
    pub(super) unites: bool,
}

/// The address to which the browser is redirected, and the parameters included in every case.
pub(super) struct Redirect {
    pub(super) uri: String,
    pub(super) state: Option<String>,
    /// The issuer that answers.
    pub(super) issuer: String,
}
