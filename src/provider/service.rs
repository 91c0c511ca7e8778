//! A provider: one service at an authorization server.

use std::collections::BTreeMap;

use crate::model::{ProviderId, Scopes, ServerId};
use crate::provider::{Pointer, TokenHeader};

/// A service that can be connected, as data.
///
/// Make one with [`Provider::new`], then set what else is known. URLs and hosts are templates, filled from
/// the connection's parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Provider {
    /// Names the service.
    pub id: ProviderId,
    /// The authorization server that grants access to it.
    pub server: ServerId,
    /// The name for people.
    pub name: String,
    /// The group it is shown under.
    #[cfg_attr(feature = "serde", serde(default))]
    pub group: String,
    /// What is asked for when the host names no scopes: the least that makes the service useful.
    #[cfg_attr(feature = "serde", serde(default))]
    pub default_scopes: Scopes,
    /// What is always asked for besides: to learn whose account it is, to get a refresh token.
    #[cfg_attr(feature = "serde", serde(default))]
    pub required_scopes: Scopes,
    /// Where the service's API begins; a request to `send` with a path alone is resolved against it.
    #[cfg_attr(feature = "serde", serde(default))]
    pub api_base: Option<String>,
    /// Where the access token may be sent. Nowhere else, ever.
    #[cfg_attr(feature = "serde", serde(default))]
    pub api_hosts: Vec<ApiHost>,
    /// How to learn whose account was connected.
    #[cfg_attr(feature = "serde", serde(default))]
    pub account: Option<AccountEndpoint>,
    /// How the access token is put into a request.
    #[cfg_attr(feature = "serde", serde(default))]
    pub token_header: TokenHeader,
    /// More parameters for the authorization request, beside the server's. None may bear a name that the protocol uses.
    #[cfg_attr(feature = "serde", serde(default))]
    pub authorization_parameters: BTreeMap<String, String>,
}

impl Provider {
    /// A service at this server, reachable at these hosts, with nothing else known.
    #[must_use]
    pub fn new(id: ProviderId, server: ServerId, name: impl Into<String>, api_hosts: Vec<ApiHost>) -> Self {
        Self {
            id,
            server,
            name: name.into(),
            group: String::new(),
            default_scopes: Scopes::default(),
            required_scopes: Scopes::default(),
            api_base: None,
            api_hosts,
            account: None,
            token_header: TokenHeader::default(),
            authorization_parameters: BTreeMap::new(),
        }
    }
}

/// A host that may receive the access token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ApiHost {
    /// The origin, such as `https://www.googleapis.com`; a template. A base URL with a path is cut to its origin.
    pub origin: String,
    /// The path must lie under this prefix, where one host serves several services. `/` allows all.
    #[cfg_attr(feature = "serde", serde(default = "root"))]
    pub path_prefix: String,
}

#[cfg(feature = "serde")]
fn root() -> String {
    "/".into()
}

impl ApiHost {
    /// All of an origin.
    #[must_use]
    pub fn origin(origin: impl Into<String>) -> Self {
        Self {
            origin: origin.into(),
            path_prefix: "/".into(),
        }
    }

    /// What lies under a path of an origin.
    #[must_use]
    pub fn under(origin: impl Into<String>, path_prefix: impl Into<String>) -> Self {
        Self {
            origin: origin.into(),
            path_prefix: path_prefix.into(),
        }
    }
}

/// How to learn whose account was connected: a GET with the access token, and where the answer says it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AccountEndpoint {
    /// The URL, a template.
    pub url: String,
    /// The stable id; the first pointer that finds a string or a number.
    pub id: Vec<Pointer>,
    /// The e-mail address; the first pointer that finds a string.
    #[cfg_attr(feature = "serde", serde(default))]
    pub email: Vec<Pointer>,
    /// The name for people; the first pointer that finds a string.
    #[cfg_attr(feature = "serde", serde(default))]
    pub label: Vec<Pointer>,
}
