//! A provider: one service at an authorization server.

use std::collections::BTreeMap;

use crate::model::{Parameters, ProviderId, Scopes, ServerId};
use crate::provider::{Discovery, Pointer, ScopeModes, ScopeName, ScopeTiers, TokenHeader};

/// The document of a [`Provider`](crate::provider::Provider), as the crate reads it.
///
/// URLs and hosts are templates, filled from the connection's parameters.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a provider, written as an object")]
#[non_exhaustive]
pub struct ProviderDescriptor {
    /// Names the service.
    pub id: ProviderId,
    /// The authorization server that grants access to it.
    pub server: ServerId,
    /// The name for people.
    pub name: String,
    /// The group it is shown under.
    #[serde(default)]
    pub group: String,
    /// What is asked for when the host names no scopes: the least that makes the service useful.
    #[serde(default)]
    pub default_scopes: Scopes,
    /// What is always asked for besides: to learn whose account it is, to get a refresh token.
    #[serde(default)]
    pub required_scopes: Scopes,
    /// Where the service's API begins; a request to `send` with a path alone is resolved against
    /// it.
    #[serde(default)]
    pub api_base: Option<String>,
    /// The only places that requests of the host may be sent to with the access token. Empty: below
    /// `api_base`. The library itself also asks `account` and `discovery` with it, wherever these
    /// are.
    #[serde(default)]
    pub api_hosts: Vec<ApiHost>,
    /// How to learn whose account was connected.
    #[serde(default)]
    pub account: Option<AccountEndpoint>,
    /// More headers for API requests, the account request and the discovery included. One that a
    /// request brings itself stays as it is; one without its value is left out.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub api_headers: BTreeMap<String, String>,
    /// More parameters for the query of API requests, in the same way. Never a credential: queries
    /// end up in logs.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub api_query: BTreeMap<String, String>,
    /// How the access token is put into a request.
    #[serde(default)]
    pub token_header: TokenHeader,
    /// The statuses by which the API says that it does not accept the access token: 400 to 499, 401
    /// unless set. Some APIs answer an expired token with 403. `send` then refreshes the token once
    /// and repeats the request.
    #[serde(
        default = "default_token_refused",
        deserialize_with = "crate::provider::status::list"
    )]
    pub token_refused: Vec<u16>,
    /// More parameters for the authorization request, beside the server's. None may bear a name
    /// that the protocol uses.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub authorization_parameters: BTreeMap<String, String>,
    /// Other choices of scopes than the default one.
    #[serde(default)]
    pub tiers: ScopeTiers,
    /// Scopes that a parameter of the connection decides, whatever else is asked for.
    #[serde(default)]
    pub scope_modes: Option<ScopeModes>,
    /// How to find, after the consent, which of the person's sites the connection is for.
    #[serde(default)]
    pub discovery: Option<Discovery>,
    /// Where the token answer itself says whose account it is. Asked before
    /// [`account`](Self::account).
    #[serde(default)]
    pub account_in_answer: Option<AccountPointers>,
    /// What whoever uses the service should know, in sentences.
    #[serde(default)]
    pub notes: Vec<String>,
    /// True if this descriptor takes the place of the built-in one with its id. Without it, such an
    /// id is a mistake.
    #[serde(default)]
    pub replaces_builtin: bool,
    /// Explains scopes to users: a scope without an entry is shown as it is.
    #[serde(default)]
    pub scope_names: Vec<ScopeName>,
}

impl ProviderDescriptor {
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
            api_headers: BTreeMap::new(),
            api_query: BTreeMap::new(),
            token_header: TokenHeader::default(),
            token_refused: default_token_refused(),
            authorization_parameters: BTreeMap::new(),
            tiers: ScopeTiers::default(),
            scope_modes: None,
            discovery: None,
            account_in_answer: None,
            notes: Vec::new(),
            replaces_builtin: false,
            scope_names: Vec::new(),
        }
    }
}

/// RFC 6750 §3.1: an access token that is expired, revoked or malformed is answered with 401.
fn default_token_refused() -> Vec<u16> {
    vec![401]
}

impl ProviderDescriptor {
    /// Every scope that the descriptor names: the default and the required ones, those of the tiers
    /// and of the modes.
    pub(crate) fn known_scopes(&self) -> Scopes {
        let ScopeTiers {
            read_only,
            read_write,
            least_privilege,
        } = &self.tiers;
        let tiers = [read_only, read_write, least_privilege].into_iter().flatten();
        let modes = self.scope_modes.iter().flat_map(|modes| modes.scopes.values());
        let others = tiers.chain(modes);
        others.fold(
            self.default_scopes.union(&self.required_scopes),
            |known, scopes| known.union(scopes),
        )
    }

    /// Returns whether an API response with this status means that the access token was refused.
    #[must_use]
    pub fn refuses_token(&self, status: u16) -> bool {
        self.token_refused.contains(&status)
    }

    /// What to ask for: what the host named or else the default, with what is required and what
    /// `held` before. Where a mode decides, its scopes and no others.
    pub(crate) fn wanted_scopes(
        &self,
        named: Option<Scopes>,
        held: &Scopes,
        parameters: &Parameters,
    ) -> Scopes {
        let mode = self.scope_modes.as_ref().and_then(|modes| {
            let value = parameters.get(&modes.parameter)?;
            modes.scopes.get(value)
        });
        if let Some(scopes) = mode {
            return scopes.clone();
        }
        named
            .unwrap_or_else(|| self.default_scopes.clone())
            .union(&self.required_scopes)
            .union(held)
    }
}

/// A host that may receive the access token.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "an API host, written as an object")]
pub struct ApiHost {
    /// The origin, such as `https://www.googleapis.com`; a template. Where a base URL brings a
    /// path, that path is part of the prefix: a GitLab below `https://host/lab` gets no token of
    /// `https://host/other`.
    pub origin: String,
    /// The path must lie under this prefix, where one host serves several services. `/` allows all.
    /// `/calendar/v3` allows `/calendar/v3` and `/calendar/v3/events`, not `/calendar/v30`.
    /// `{name}` stands for a value of the connection; while it is not known, nothing is allowed.
    #[serde(default = "root")]
    pub path_prefix: String,
}

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

    /// What lies under a URL without a query: an origin, and perhaps a path.
    pub(crate) fn of_url(url: &str) -> Self {
        let host = url.find("://").map_or(0, |at| at + 3);
        let end = url[host..].find('/').map_or(url.len(), |at| host + at);
        let (origin, path) = url.split_at(end);
        Self::under(origin, if path.is_empty() { "/" } else { path })
    }

    /// The URL that [`of_url`](Self::of_url) reads.
    pub(crate) fn to_url(&self) -> String {
        format!("{}{}", self.origin, self.path_prefix.trim_end_matches('/'))
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

/// How to learn whose account was connected: a GET with the access token, and where the answer says
/// it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "an account, written as an object")]
pub struct AccountEndpoint {
    /// The URL, a template.
    pub url: String,
    /// The stable id; the first pointer that finds a string or a number.
    pub id: Vec<Pointer>,
    /// The e-mail address; the first pointer that finds a string.
    #[serde(default)]
    pub email: Vec<Pointer>,
    /// The name for people; the first pointer that finds a string.
    #[serde(default)]
    pub label: Vec<Pointer>,
}

/// Where an answer says whose account it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an account in an answer, written as an object"
)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct AccountPointers {
    /// The stable id; the first pointer that finds a string or a number.
    pub id: Vec<Pointer>,
    /// The e-mail address; the first pointer that finds a string.
    #[serde(default)]
    pub email: Vec<Pointer>,
    /// The name for people; the first pointer that finds a string.
    #[serde(default)]
    pub label: Vec<Pointer>,
}
