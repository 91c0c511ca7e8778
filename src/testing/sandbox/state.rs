//! The mutable state of the sandbox.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use url::Url;

use super::account::TestAccount;
use super::edit::Edit;
use super::grant::Grants;
use super::log::Logged;
use super::mcp::places::Places;
use super::pending::{Assertion, Pending, Pushed};
use super::personality::Personality;
use super::registered::{Client, Registered};
use super::surface::Surface;
use crate::http::HttpClient;

/// The request names no resource of the authorization server, or none at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoSuchResource;

/// The public key of a client.
pub(super) struct ClientKey {
    pub(super) algorithm: &'static str,
    pub(super) id: Option<String>,
    pub(super) public_key: Vec<u8>,
}

/// The mutable state of the sandbox. A single lock keeps its events in one order.
pub(super) struct World {
    pub(super) base: Url,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    /// The secrets of other apps, by client id.
    pub(super) other_clients: BTreeMap<String, String>,
    /// The public key of the host's app, if it has one.
    pub(super) client_key: Option<ClientKey>,
    /// The ids of client assertions that were used.
    pub(super) used_assertions: BTreeSet<String>,
    /// The users of ID tokens that [`Sandbox::id_token`](super::Sandbox::id_token) returned.
    pub(super) identities: BTreeMap<String, TestAccount>,
    /// Assertions for other authorization servers that were not used yet.
    pub(super) assertions: BTreeMap<String, Assertion>,
    /// Pushed authorization requests, by reference.
    pub(super) pushed: BTreeMap<String, Pushed>,
    /// The clients that registered themselves.
    pub(super) registered: Registered,
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
    /// The addresses of MCP servers and their authorization servers.
    pub(super) mcp: Places,
    /// The client that reads the documents of clients whose id is a URL.
    pub(super) documents: Option<Arc<dyn HttpClient>>,
    /// Changes of answers, by address.
    pub(super) edits: BTreeMap<String, Edit>,
}

impl World {
    /// Returns the account with this id or e-mail address.
    pub(super) fn account(&self, id_or_email: &str) -> Option<TestAccount> {
        self.accounts
            .iter()
            .find(|account| account.is(id_or_email))
            .copied()
    }

    /// Returns a client that is known at this issuer: one that registered itself there, or an app
    /// of the host, which every issuer knows.
    pub(super) fn client(&self, issuer: &str, id: &str) -> Option<Client<'_>> {
        if let Some(registered) = self.registered.get(issuer, id) {
            return Some(registered);
        }
        let secret = if id == self.client_id {
            &self.client_secret
        } else {
            self.other_clients.get(id)?
        };
        Some(Client {
            secret: Some(secret),
            secret_expires_at: None,
            authentication: None,
            redirect_uris: &self.redirect_uris,
            may_refresh: true,
        })
    }

    /// Returns whether this is the authorization server of an MCP server, now or formerly.
    pub(super) fn is_mcp_issuer(&self, issuer: &str) -> bool {
        self.mcp.is_issuer(issuer)
    }

    /// Returns the resource to which a consent binds its tokens: the one that was asked for, if it
    /// is an MCP server of this issuer. Other issuers know no resources.
    pub(super) fn granted_resource(
        &self,
        issuer: &str,
        asked: Option<&str>,
    ) -> Result<Option<String>, NoSuchResource> {
        if !self.is_mcp_issuer(issuer) || !self.personality.checks_resource {
            return Ok(None);
        }
        match asked {
            Some(asked) if self.mcp.issuers_of(asked).iter().any(|known| known == issuer) => {
                Ok(Some(asked.to_owned()))
            }
            _ => Err(NoSuchResource),
        }
    }

    /// Returns the issuer: the origin without a trailing slash, or that of the service it plays.
    pub(super) fn issuer(&self) -> String {
        if let Some(issuer) = self.surface.as_ref().and_then(|surface| surface.issuer.clone()) {
            return issuer;
        }
        self.base.origin().ascii_serialization()
    }
}
