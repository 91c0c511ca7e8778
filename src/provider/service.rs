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
    /// The id of the service.
    pub id: ProviderId,
    /// The authorization server that grants access to it.
    pub server: ServerId,
    /// The display name.
    pub name: String,
    /// The group under which the service is displayed.
    #[serde(default)]
    pub group: String,
    /// The scopes to request if the host names none: the minimum for useful access.
    #[serde(default)]
    pub default_scopes: Scopes,
    /// Scopes that are always requested in addition: to identify the account, or to obtain a
    /// refresh token.
    #[serde(default)]
    pub required_scopes: Scopes,
    /// The base URL of the service's API. `send` resolves a request with only a path against it.
    #[serde(default)]
    pub api_base: Option<String>,
    /// The only places that the host's requests may be sent to with the access token. Empty: below
    /// `api_base`. The library itself also sends it to the URLs of `account` and `discovery`.
    #[serde(default)]
    pub api_hosts: Vec<ApiHost>,
    /// The request that identifies the connected account.
    #[serde(default)]
    pub account: Option<AccountEndpoint>,
    /// Additional headers of API requests, including those for the account and the discovery. A
    /// request's own header takes precedence; a header without a value is omitted.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub api_headers: BTreeMap<String, String>,
    /// Additional query parameters of API requests, with the same rules. Never a credential:
    /// queries appear in logs.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub api_query: BTreeMap<String, String>,
    /// The header that carries the access token.
    #[serde(default)]
    pub token_header: TokenHeader,
    /// The statuses with which the API refuses the access token: 400 to 499. Default: 401. Some
    /// APIs answer an expired token with 403. `send` then refreshes the token once and repeats the
    /// request.
    #[serde(
        default = "default_token_refused",
        deserialize_with = "crate::provider::status::list"
    )]
    pub token_refused: Vec<u16>,
    /// Additional parameters of the authorization request, in addition to the server's. Names of
    /// the protocol are not allowed.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub authorization_parameters: BTreeMap<String, String>,
    /// Named choices of scopes, in addition to the default.
    #[serde(default)]
    pub tiers: ScopeTiers,
    /// Scopes that depend on a parameter of the connection, regardless of other choices.
    #[serde(default)]
    pub scope_modes: Option<ScopeModes>,
    /// The request that finds, after the consent, the user's site that the connection is for.
    #[serde(default)]
    pub discovery: Option<Discovery>,
    /// The places of the account in the token answer. Checked before [`account`](Self::account).
    #[serde(default)]
    pub account_in_answer: Option<AccountPointers>,
    /// Notes for users of the service, in sentences.
    #[serde(default)]
    pub notes: Vec<String>,
    /// True if this descriptor replaces the built-in one with its id. Without it, such an id is a
    /// mistake.
    #[serde(default)]
    pub replaces_builtin: bool,
    /// Explains scopes to users: a scope without an entry is shown as it is.
    #[serde(default)]
    pub scope_names: Vec<ScopeName>,
}

impl ProviderDescriptor {
    /// Returns a service at this server, with these API hosts and nothing else known.
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

/// RFC 6750 §3.1: an API answers an expired, revoked or malformed access token with 401.
fn default_token_refused() -> Vec<u16> {
    vec![401]
}

impl ProviderDescriptor {
    /// Returns every scope that the descriptor names: the default and required ones, and those of
    /// the tiers and modes.
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

    /// Returns the only scopes that the registration of the client allows with these parameters, if
    /// it decides them.
    pub(crate) fn mode(&self, parameters: &Parameters) -> Option<&Scopes> {
        let modes = self.scope_modes.as_ref()?;
        modes.scopes.get(parameters.get(&modes.parameter)?)
    }

    /// Returns whether scopes only allow reading: they are among those of the read-only tier and
    /// the required ones.
    pub(crate) fn reads_only(&self, scopes: &Scopes) -> bool {
        self.tiers.read_only.as_ref().is_some_and(|tier| {
            let reads = tier.union(&self.required_scopes);
            !scopes.is_empty() && scopes.difference(&reads).is_empty()
        })
    }

    /// Returns the scopes to request: those that the host named, or the default, plus the required
    /// ones and those that were `held` before. If a mode applies, only its scopes.
    pub(crate) fn wanted_scopes(
        &self,
        named: Option<Scopes>,
        held: &Scopes,
        parameters: &Parameters,
    ) -> Scopes {
        if let Some(scopes) = self.mode(parameters) {
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
    /// The origin, such as `https://www.googleapis.com`; a template. If a base URL contains a path,
    /// that path is part of the prefix: a GitLab below `https://host/lab` receives no token for
    /// `https://host/other`.
    pub origin: String,
    /// The prefix of the path, for hosts that serve several services. `/` allows all paths.
    /// `/calendar/v3` allows `/calendar/v3` and `/calendar/v3/events`, not `/calendar/v30`.
    /// `{name}` stands for a value of the connection; while it is not known, nothing is allowed.
    #[serde(default = "root")]
    pub path_prefix: String,
}

fn root() -> String {
    "/".into()
}

impl ApiHost {
    /// Returns a whole origin.
    #[must_use]
    pub fn origin(origin: impl Into<String>) -> Self {
        Self {
            origin: origin.into(),
            path_prefix: "/".into(),
        }
    }

    /// Returns the places below a URL without a query: an origin, optionally with a path.
    pub(crate) fn of_url(url: &str) -> Self {
        let host = url.find("://").map_or(0, |at| at + 3);
        let end = url[host..].find('/').map_or(url.len(), |at| host + at);
        let (origin, path) = url.split_at(end);
        Self::under(origin, if path.is_empty() { "/" } else { path })
    }

    /// Returns the URL in the form that [`of_url`](Self::of_url) reads.
    pub(crate) fn to_url(&self) -> String {
        format!("{}{}", self.origin, self.path_prefix.trim_end_matches('/'))
    }

    /// Returns the places below a path of an origin.
    #[must_use]
    pub fn under(origin: impl Into<String>, path_prefix: impl Into<String>) -> Self {
        Self {
            origin: origin.into(),
            path_prefix: path_prefix.into(),
        }
    }
}

/// The request that identifies the connected account: a GET with the access token, and the places
/// of the account in its answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "an account, written as an object")]
pub struct AccountEndpoint {
    /// The URL, a template.
    pub url: String,
    /// The stable id: the first pointer that leads to a string or a number.
    pub id: Vec<Pointer>,
    /// The e-mail address: the first pointer that leads to a string.
    #[serde(default)]
    pub email: Vec<Pointer>,
    /// The display name: the first pointer that leads to a string.
    #[serde(default)]
    pub label: Vec<Pointer>,
}

/// The places of the account in an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an account in an answer, written as an object"
)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct AccountPointers {
    /// The stable id: the first pointer that leads to a string or a number.
    pub id: Vec<Pointer>,
    /// The e-mail address: the first pointer that leads to a string.
    #[serde(default)]
    pub email: Vec<Pointer>,
    /// The display name: the first pointer that leads to a string.
    #[serde(default)]
    pub label: Vec<Pointer>,
}
