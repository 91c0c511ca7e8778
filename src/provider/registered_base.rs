//! The base URLs at which a client is registered.

use url::{Host, Url};

use crate::http::internal_host::is_internal;
use crate::http::is_clean;
use crate::provider::Transport;
use crate::provider::path::strip_segments;

/// One of the base URLs at which a client is registered.
#[derive(Debug)]
pub(crate) struct RegisteredBase {
    base: Url,
    /// True if `base` stands for all hosts below its own, but not for its own host.
    below: bool,
}

impl RegisteredBase {
    /// Parses `https://host`, optionally with a port and a path, or `https://*.domain` for every
    /// host below the domain.
    pub(super) fn parse(text: &str, transport: Transport) -> Option<Self> {
        // The URL parser would trim whitespace and read a backslash as a slash.
        if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
            return None;
        }
        let (below, text) = match text.strip_prefix("https://*.") {
            Some(rest) => (true, format!("https://{rest}")),
            None => (false, text.to_owned()),
        };
        let base = Url::parse(&text).ok()?;
        let is_allowed = base.scheme() == "https" || transport == Transport::HttpsOrLoopback;
        let is_base = is_allowed && is_clean(&base) && base.query().is_none() && !text.contains('*');
        // A wildcard never allows an internal host: the list must name it exactly.
        let is_domain = matches!(base.host(), Some(Host::Domain(_))) && !is_internal(&base);
        (is_base && (!below || is_domain)).then_some(Self { base, below })
    }

    pub(super) fn covers(&self, url: &Url) -> bool {
        let same_host = match (self.base.host_str(), url.host_str()) {
            (Some(domain), Some(host)) if self.below => host
                .strip_suffix(domain)
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            (domain, host) => domain == host,
        };
        same_host
            && self.base.scheme() == url.scheme()
            && self.base.port_or_known_default() == url.port_or_known_default()
            && strip_segments(url.path(), self.base.path()).is_some()
    }

    /// Returns whether the list names this exact host, which permits a host that is not public.
    pub(super) fn names(&self, url: &Url) -> bool {
        !self.below && self.base.origin() == url.origin()
    }
}
