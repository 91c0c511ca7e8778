//! The addresses at which the sandbox plays a service: hosts, paths and the text of its account
//! responses.

use http::Method;
use url::Url;

use super::account::TestAccount;
use super::log::Received;

/// The addresses of a played service and the content of its account endpoints.
///
/// They are recorded independently of the descriptors, so that tests detect errors in a descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Surface {
    /// The issuer in `iss`.
    pub issuer: Option<String>,
    /// The authorization endpoint, without a query.
    pub authorization: String,
    /// The token endpoint.
    pub token: String,
    /// The revocation endpoint, if there is one.
    pub revocation: Option<String>,
    /// The prefix of the addresses at which a `DELETE` ends the grant, followed by the id of the
    /// grant (`app-` and the account's id).
    pub deletion: Option<String>,
    /// Responses to a `GET` with any token, as JSON: `{id}`, `{email}` and `{name}` stand for the
    /// account's.
    pub resources: Vec<(String, String)>,
    /// The base addresses of the API: every path below answers 200 to a live token.
    pub api: String,
}

/// The kind of resource at an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Role {
    Authorization,
    Token,
    Revocation,
    Deletion(String),
    Resource(String),
    #[default]
    Nothing,
}

impl Surface {
    /// Creates a service with only these endpoints.
    #[must_use]
    pub fn new(authorization: impl Into<String>, token: impl Into<String>, api: impl Into<String>) -> Self {
        Self {
            issuer: None,
            authorization: authorization.into(),
            token: token.into(),
            revocation: None,
            deletion: None,
            resources: Vec::new(),
            api: api.into(),
        }
    }

    pub(super) fn role(&self, received: &Received) -> Role {
        let address = received.address.as_str();
        let below = |prefix: &str| {
            address
                .strip_prefix(prefix)
                .map(|rest| rest.trim_start_matches('/'))
        };
        match received.method {
            Method::GET if address == self.authorization => Role::Authorization,
            Method::POST if address == self.token => Role::Token,
            Method::POST if Some(address) == self.revocation.as_deref() => Role::Revocation,
            Method::DELETE => match self.deletion.as_deref().and_then(below) {
                Some(id) => Role::Deletion(id.to_owned()),
                None => Role::Nothing,
            },
            Method::GET => match self.resources.iter().find(|(url, _)| url == address) {
                Some((_, words)) => Role::Resource(words.clone()),
                None if below(&self.api).is_some() => Role::Resource("{\"ok\":true}".into()),
                None => Role::Nothing,
            },
            _ => Role::Nothing,
        }
    }

    /// Returns whether this host belongs to the service.
    pub(super) fn knows(&self, url: &Url) -> bool {
        let known = [&self.authorization, &self.token, &self.api];
        let resources = self.resources.iter().map(|(url, _)| url);
        known
            .into_iter()
            .chain(&self.revocation)
            .chain(&self.deletion)
            .chain(resources)
            .filter_map(|known| Url::parse(known).ok())
            .any(|known| known.origin() == url.origin())
    }
}

/// Returns the text with the account's values inserted.
pub(super) fn about(account: &TestAccount, words: &str) -> String {
    words
        .replace("{id}", account.id)
        .replace("{email}", account.email)
        .replace("{name}", account.name)
}
