//! The addresses of MCP servers and of their authorization servers.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

/// The role of an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::testing::sandbox) enum Role {
    /// An MCP server, with its resource identifier.
    Server(String),
    /// The metadata of a resource (RFC 9728).
    ResourceMetadata(String),
    /// The metadata of an authorization server (RFC 8414 or OpenID Connect Discovery).
    ServerMetadata(String),
    /// An endpoint of an issuer.
    Endpoint(String, Endpoint),
    /// The registration of a client at an issuer.
    Registration(String, String),
    #[default]
    Nothing,
}

/// An endpoint of an authorization server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::testing::sandbox) enum Endpoint {
    Authorization,
    Token,
    Revocation,
    Pushed,
    Register,
    Account,
    Keys,
}

impl Endpoint {
    const ALL: [(&'static str, Self); 7] = [
        ("authorize", Self::Authorization),
        ("token", Self::Token),
        ("revoke", Self::Revocation),
        ("par", Self::Pushed),
        ("register", Self::Register),
        ("userinfo", Self::Account),
        ("jwks", Self::Keys),
    ];

    /// Returns the address of this endpoint at an issuer.
    pub(in crate::testing::sandbox) fn at(self, issuer: &str) -> String {
        let name = Self::ALL.iter().find(|(_, endpoint)| *endpoint == self);
        format!(
            "{}/{}",
            issuer.trim_end_matches('/'),
            name.map_or("", |(name, _)| *name)
        )
    }
}

/// The MCP servers, and every issuer that any of them has ever named.
#[derive(Debug, Default)]
pub(in crate::testing::sandbox) struct Places {
    /// The issuers that each resource names.
    servers: BTreeMap<String, Vec<String>>,
    issuers: BTreeSet<String>,
}

impl Places {
    /// Adds a server, or replaces the issuers of a known one. Former issuers keep answering.
    pub(super) fn serve(&mut self, resource: &str, issuers: &[&str]) {
        let issuers: Vec<String> = issuers.iter().map(|issuer| (*issuer).to_owned()).collect();
        self.issuers.extend(issuers.iter().cloned());
        self.servers.insert(resource.to_owned(), issuers);
    }

    pub(in crate::testing::sandbox) fn is_issuer(&self, issuer: &str) -> bool {
        self.issuers.contains(issuer)
    }

    /// Returns the issuers that a resource names.
    pub(in crate::testing::sandbox) fn issuers_of(&self, resource: &str) -> &[String] {
        self.servers.get(resource).map_or(&[], Vec::as_slice)
    }

    /// Returns whether this host belongs to a server or an issuer.
    pub(in crate::testing::sandbox) fn knows(&self, url: &Url) -> bool {
        let known = self.servers.keys().chain(&self.issuers);
        known
            .filter_map(|known| Url::parse(known).ok())
            .any(|known| known.origin() == url.origin())
    }

    /// Returns the role of an address without a query.
    pub(in crate::testing::sandbox) fn role(&self, address: &str) -> Option<Role> {
        let server = self.servers.keys().find_map(|resource| {
            let is_metadata = metadata_addresses(resource).iter().any(|known| known == address);
            if plain(resource) == address {
                Some(Role::Server(resource.clone()))
            } else if is_metadata {
                Some(Role::ResourceMetadata(resource.clone()))
            } else {
                None
            }
        });
        server.or_else(|| self.issuers.iter().find_map(|issuer| at_issuer(issuer, address)))
    }
}

fn at_issuer(issuer: &str, address: &str) -> Option<Role> {
    if discovery_addresses(issuer).iter().any(|known| known == address) {
        return Some(Role::ServerMetadata(issuer.to_owned()));
    }
    let below = address
        .strip_prefix(issuer.trim_end_matches('/'))?
        .strip_prefix('/')?;
    if let Some(id) = below.strip_prefix("register/") {
        return Some(Role::Registration(issuer.to_owned(), id.to_owned()));
    }
    let endpoint = Endpoint::ALL.iter().find(|(name, _)| *name == below);
    endpoint.map(|(_, endpoint)| Role::Endpoint(issuer.to_owned(), *endpoint))
}

/// Returns the addresses of a resource's metadata: with its path, and at the root
/// ([RFC 9728 §3.1](https://www.rfc-editor.org/rfc/rfc9728#section-3.1)).
pub(super) fn metadata_addresses(resource: &str) -> Vec<String> {
    well_known(resource, "oauth-protected-resource")
}

/// Returns the addresses of an issuer's metadata: those of RFC 8414 and OpenID Connect with the
/// well-known part inserted, and that of OpenID Connect with it appended.
fn discovery_addresses(issuer: &str) -> Vec<String> {
    let inserted = |name| well_known(issuer, name).into_iter().next();
    let appended = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    let inserted = [
        inserted("oauth-authorization-server"),
        inserted("openid-configuration"),
    ];
    inserted.into_iter().flatten().chain([appended]).collect()
}

/// Returns the well-known addresses with the path of `of`, and without it.
fn well_known(of: &str, name: &str) -> Vec<String> {
    let Ok(url) = Url::parse(of) else {
        return Vec::new();
    };
    let root = format!("{}/.well-known/{name}", url.origin().ascii_serialization());
    let path = url.path().trim_end_matches('/');
    vec![format!("{root}{path}"), root]
}

/// Returns the address without its query, as requests are logged.
fn plain(resource: &str) -> String {
    Url::parse(resource).map_or_else(
        |_| resource.to_owned(),
        |url| format!("{}{}", url.origin().ascii_serialization(), url.path()),
    )
}
