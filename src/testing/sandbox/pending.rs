//! Authorization requests that wait for the user's decision.

use super::account::TestAccount;
use super::log::Pairs;
use crate::model::{Scopes, Timestamp};

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

/// A request that was pushed.
pub(super) struct Pushed {
    pub(super) client: String,
    pub(super) issuer: String,
    pub(super) parameters: Pairs,
    pub(super) expires_at: Timestamp,
}

/// The assertion of an identity provider about a user, for another authorization server.
pub(super) struct Assertion {
    pub(super) account: TestAccount,
    pub(super) client: String,
    pub(super) issuer: String,
    pub(super) resource: Option<String>,
    pub(super) scopes: Scopes,
    pub(super) expires_at: Timestamp,
}
