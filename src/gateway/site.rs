//! The gateway's parts, which every answer uses.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::caller::Authenticator;
use super::cookie::Cookies;
use super::directory::Directory;
use super::look::Look;
use super::mount::Mount;
use super::overview::Overviews;
use super::page::text::Language;
use super::refusal::SignIn;
use crate::connections::Connections;
use crate::model::Timestamp;

/// The parts of a gateway.
#[derive(Clone)]
pub(super) struct Inner {
    pub(super) connections: Connections,
    pub(super) authenticator: Arc<dyn Authenticator>,
    pub(super) mount: Mount,
    pub(super) title: Option<String>,
    /// The language of every page; `None` if the browser chooses.
    pub(super) language: Option<Language>,
    pub(super) account_link: Option<(String, String)>,
    /// The address at which another user can sign in.
    pub(super) switch_user: Option<SignIn>,
    pub(super) directory: Option<Arc<dyn Directory>>,
    pub(super) look: Look,
    /// True if users may connect MCP servers by their addresses.
    pub(super) mcp_servers: bool,
    pub(super) return_to: Vec<String>,
    pub(super) max_body: usize,
    pub(super) page_size: usize,
    /// The counts of connections, shared by clones.
    pub(super) overviews: Arc<Overviews>,
    pub(super) openapi: Vec<u8>,
    /// True once a request has arrived below the mount.
    pub(super) reached: Arc<AtomicBool>,
}

impl Inner {
    pub(super) const fn cookies(&self) -> Cookies {
        Cookies {
            secure: self.mount.is_secure(),
        }
    }

    /// Returns whether users may connect MCP servers by their addresses.
    pub(super) const fn offers_mcp(&self) -> bool {
        self.mcp_servers
    }

    pub(super) fn now(&self) -> Timestamp {
        self.connections.now()
    }

    /// Returns the address of a path within the gateway.
    pub(super) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.mount.base_path())
    }
}
