//! The mutable state of the sandbox.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::account::TestAccount;
use super::grant::Grants;
use super::log::Logged;
use super::pending::Pending;
use super::personality::Personality;
use super::surface::Surface;

/// The mutable state of the sandbox. A single lock keeps its events in one order.
pub(super) struct World {
    pub(super) base: Url,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    /// The secrets of other apps, by client id.
    pub(super) other_clients: BTreeMap<String, String>,
    pub(super) redirect_uris: BTreeSet<String>,
    pub(super) accounts: Vec<TestAccount>,
    pub(super) personality: Personality,
    pub(super) pending: BTreeMap<String, Pending>,
    pub(super) grants: Grants,
    /// ID tokens, and client secrets that were replaced.
    pub(super) other_secrets: Vec<String>,
    pub(super) notes: BTreeMap<&'static str, Vec<String>>,
    pub(super) files: BTreeMap<&'static str, Vec<u8>>,
    pub(super) log: Vec<Logged>,
    /// The addresses at which the sandbox plays a service. `None`: its own.
    pub(super) surface: Option<Surface>,
}

impl World {
    /// Returns the account with this id or e-mail address.
    pub(super) fn account(&self, id_or_email: &str) -> Option<TestAccount> {
        self.accounts
            .iter()
            .find(|account| account.is(id_or_email))
            .copied()
    }

    /// Returns the secret of a client, if it is known.
    pub(super) fn secret_of(&self, client: &str) -> Option<&str> {
        if client == self.client_id {
            return Some(&self.client_secret);
        }
        self.other_clients.get(client).map(String::as_str)
    }

    /// Returns the issuer: the origin without a trailing slash, or that of the service it plays.
    pub(super) fn issuer(&self) -> String {
        if let Some(issuer) = self.surface.as_ref().and_then(|surface| surface.issuer.clone()) {
            return issuer;
        }
        self.base.origin().ascii_serialization()
    }
}
