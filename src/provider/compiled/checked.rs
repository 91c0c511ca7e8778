//! Checks the values of a connection against its server once, and computes the endpoints.

use url::Url;

use crate::model::Parameters;
use crate::provider::compiled::server::CompiledServer;
use crate::provider::template::{Expanded, Template, Unfilled};

/// The endpoints of a server for one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Endpoints {
    /// The endpoint that asks for consent.
    pub authorization: Url,
    /// The endpoint that exchanges codes.
    pub token: Url,
    /// The endpoint that exchanges refresh tokens; usually the same.
    pub refresh: Url,
    /// The endpoint that revokes tokens, if any.
    pub revocation: Option<Url>,
    /// The endpoint that takes authorization requests, if any.
    pub pushed: Option<Url>,
}

/// A parameter of a connection that does not fit the descriptor: it is missing, or its value is not
/// allowed in a place where the descriptor uses it. A stored value fits unless the descriptor has
/// changed since it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct UnfitParameter {
    /// The name of the parameter.
    pub name: String,
}

impl From<Unfilled> for UnfitParameter {
    fn from(unfilled: Unfilled) -> Self {
        let name = match unfilled {
            Unfilled::Missing(name) | Unfilled::Value(name) => name,
            // A template without placeholders produced a URL when it was validated.
            Unfilled::Address { first, .. } => first.unwrap_or_default(),
        };
        Self { name }
    }
}

/// The values of one connection, all of which fit the endpoints of its server.
#[derive(Debug, Clone)]
pub struct CheckedParameters<'a> {
    server: &'a CompiledServer,
    values: &'a Parameters,
    authorization: Expanded<'a>,
    token: Expanded<'a>,
    refresh: Option<Expanded<'a>>,
    revocation: Option<Expanded<'a>>,
    pushed: Option<Expanded<'a>>,
}

impl CompiledServer {
    /// Checks the values of a connection.
    ///
    /// # Errors
    ///
    /// [`UnfitParameter`] names the first value that is missing or not allowed in the URL of an
    /// endpoint.
    pub fn check<'a>(&'a self, values: &'a Parameters) -> Result<CheckedParameters<'a>, UnfitParameter> {
        let templates = self.endpoint_templates();
        let optional = |template: &'a Option<Template>| {
            let template = template.as_ref();
            template.map(|template| template.located(values)).transpose()
        };
        let revocation = match optional(&templates.revocation) {
            // A value from the token response is not known when the consent starts.
            Err(Unfilled::Missing(_)) => None,
            expanded => expanded?,
        };
        Ok(CheckedParameters {
            server: self,
            values,
            authorization: templates.authorization.located(values)?,
            token: templates.token.located(values)?,
            refresh: optional(&templates.refresh)?,
            pushed: optional(&templates.pushed)?,
            revocation,
        })
    }
}

impl<'a> CheckedParameters<'a> {
    /// Returns the endpoints for these values.
    #[must_use]
    pub fn endpoints(&self) -> Endpoints {
        let url = |place: &Expanded<'_>| place.url.clone();
        Endpoints {
            authorization: url(&self.authorization),
            token: url(&self.token),
            refresh: url(self.refresh.as_ref().unwrap_or(&self.token)),
            revocation: self.revocation.as_ref().map(url),
            pushed: self.pushed.as_ref().map(url),
        }
    }

    pub(super) const fn server(&self) -> &'a CompiledServer {
        self.server
    }

    pub(super) const fn values(&self) -> &'a Parameters {
        self.values
    }

    /// Returns the endpoints that receive codes, secrets, verifiers and refresh tokens, and the one
    /// that the user is sent to.
    pub(super) fn places(&self) -> impl Iterator<Item = &Expanded<'a>> {
        let required = [&self.authorization, &self.token];
        let optional = [&self.refresh, &self.revocation, &self.pushed];
        required.into_iter().chain(optional.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServerId;
    use crate::provider::{AuthorizationServer, Revocation};

    fn gitlab() -> AuthorizationServer {
        let mut server = AuthorizationServer::new(
            ServerId::new("gitlab").unwrap(),
            "{base_url}/oauth/authorize",
            "{base_url}/oauth/token",
        );
        server.revocation = Revocation::ByUser {
            url: "{base_url}/profile".into(),
        };
        server
    }

    fn endpoints(server: &AuthorizationServer, values: &Parameters) -> Result<Endpoints, UnfitParameter> {
        let server = CompiledServer::compile(server.clone()).unwrap();
        server.check(values).map(|checked| checked.endpoints())
    }

    #[test]
    fn codes_and_refresh_tokens_go_to_the_token_endpoint_unless_the_server_says_otherwise() {
        let values = Parameters::from([("base_url".into(), "https://git.example/lab".into())]);
        let mut server = gitlab();
        let found = endpoints(&server, &values).unwrap();
        assert_eq!(
            found.authorization.as_str(),
            "https://git.example/lab/oauth/authorize"
        );
        assert_eq!(found.token, found.refresh);
        assert_eq!(found.revocation, None);
        let compiled = CompiledServer::compile(server.clone()).unwrap();
        let page = compiled.revocation_page(&values).unwrap();
        assert_eq!(page.as_str(), "https://git.example/lab/profile");

        server.refresh_endpoint = Some("{base_url}/oauth/refresh".into());
        let found = endpoints(&server, &values).unwrap();
        assert_eq!(found.token.path(), "/lab/oauth/token");
        assert_eq!(found.refresh.path(), "/lab/oauth/refresh");
    }

    #[test]
    fn a_value_that_does_not_fit_is_named() {
        let mut server = gitlab();
        server.authorization_endpoint = "https://{site}/{path}".into();
        for (site, base, expected) in [
            (Some("as.test"), None, "base_url"),
            (Some("as.test"), Some("https://u@git.example"), "base_url"),
            (None, Some("https://git.example"), "site"),
            (Some("a?b"), Some("https://git.example"), "site"),
            // A word, but not a host: the last label makes it an IPv4 address.
            (Some("1.2.3.999"), Some("https://git.example"), "site"),
        ] {
            let mut values = Parameters::from([("path".into(), "p".into())]);
            values.extend(site.map(|site| ("site".into(), site.into())));
            values.extend(base.map(|base| ("base_url".into(), base.into())));
            let name = endpoints(&server, &values).unwrap_err().name;
            assert_eq!(name, expected, "{site:?} {base:?}");
        }
    }

    #[test]
    fn the_revocation_endpoint_may_wait_for_a_value_and_must_fit_once_it_is_there() {
        let mut server = gitlab();
        server.revocation = Revocation::DeleteWithBearer {
            url: "{base_url}/grants/{grant}".into(),
        };
        let mut values = Parameters::from([("base_url".into(), "https://git.example".into())]);
        assert_eq!(endpoints(&server, &values).unwrap().revocation, None);
        values.insert("grant".into(), "g-1".into());
        let found = endpoints(&server, &values).unwrap().revocation.unwrap();
        assert_eq!(found.as_str(), "https://git.example/grants/g-1");
        values.insert("grant".into(), "../x".into());
        assert_eq!(endpoints(&server, &values).unwrap_err().name, "grant");
    }
}
