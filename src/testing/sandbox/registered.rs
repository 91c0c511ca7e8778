//! The clients that registered themselves, by issuer.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Timestamp;
use crate::provider::ClientAuthentication;

/// A client, as far as its requests are checked against it.
pub(super) struct Client<'w> {
    pub(super) secret: Option<&'w str>,
    pub(super) secret_expires_at: Option<Timestamp>,
    /// The registered method. `None`: the usual one of the server.
    pub(super) authentication: Option<ClientAuthentication>,
    pub(super) redirect_uris: &'w BTreeSet<String>,
    /// True if the client gets refresh tokens.
    pub(super) may_refresh: bool,
}

/// The registration of a client.
#[derive(Debug, Clone)]
pub(super) struct Registration {
    pub(super) secret: Option<String>,
    pub(super) secret_expires_at: Option<Timestamp>,
    pub(super) authentication: ClientAuthentication,
    pub(super) redirect_uris: BTreeSet<String>,
    pub(super) may_refresh: bool,
    /// The token with which the client manages its registration (RFC 7592).
    pub(super) access_token: Option<String>,
    /// The metadata as the server answered it.
    pub(super) metadata: serde_json::Value,
}

/// The registrations, by issuer and client id. A client is known only at the issuer that it
/// registered with.
#[derive(Debug, Default)]
pub(super) struct Registered(BTreeMap<(String, String), Registration>);

impl Registered {
    pub(super) fn insert(&mut self, issuer: &str, id: &str, registration: Registration) {
        self.0.insert((issuer.to_owned(), id.to_owned()), registration);
    }

    pub(super) fn registration(&self, issuer: &str, id: &str) -> Option<&Registration> {
        self.0.get(&(issuer.to_owned(), id.to_owned()))
    }

    pub(super) fn get(&self, issuer: &str, id: &str) -> Option<Client<'_>> {
        let found = self.registration(issuer, id)?;
        Some(Client {
            secret: found.secret.as_deref(),
            secret_expires_at: found.secret_expires_at,
            authentication: Some(found.authentication),
            redirect_uris: &found.redirect_uris,
            may_refresh: found.may_refresh,
        })
    }

    /// Forgets a client at every issuer. Returns whether there was one.
    pub(super) fn forget(&mut self, id: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(_, known), _| known != id);
        self.0.len() < before
    }

    /// Returns the ids of the clients, with the issuer that knows each.
    pub(super) fn ids(&self) -> Vec<(String, String)> {
        self.0.keys().cloned().collect()
    }
}
