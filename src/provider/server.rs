//! An authorization server: endpoints, client authentication, quirks.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::ServerId;
use crate::provider::{
    BodyFormat, ClientAuthentication, DeadGrant, IssuerPolicy, ParameterRule, Pkce, RedirectRules,
    Revocation, RotationClass,
};

/// An authorization server, as data. Several providers may share one; client registrations are kept by it.
///
/// Make one with [`AuthorizationServer::new`], then set the fields in which the server deviates. URLs are
/// templates: `{name}` stands for a connection parameter with a rule in [`parameters`](Self::parameters).
/// Everything is checked once, when the connections are built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct AuthorizationServer {
    /// Names the server.
    pub id: ServerId,
    /// The issuer identifier, if it has one fixed string ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
    #[cfg_attr(feature = "serde", serde(default))]
    pub issuer: Option<String>,
    /// Where consent is asked for.
    pub authorization_endpoint: String,
    /// Where codes and refresh tokens are exchanged.
    pub token_endpoint: String,
    /// Where refresh tokens are exchanged, if elsewhere.
    #[cfg_attr(feature = "serde", serde(default))]
    pub refresh_endpoint: Option<String>,
    /// How the client proves itself.
    #[cfg_attr(feature = "serde", serde(default = "defaults::client_authentication"))]
    pub client_authentication: ClientAuthentication,
    /// Whether PKCE is sent.
    #[cfg_attr(feature = "serde", serde(default = "defaults::pkce"))]
    pub pkce: Pkce,
    /// What stands between scopes in the authorization request. A space, by RFC 6749; some want a comma.
    #[cfg_attr(feature = "serde", serde(default = "defaults::scope_separator"))]
    pub scope_separator: String,
    /// How token requests are written.
    #[cfg_attr(feature = "serde", serde(default = "defaults::body_format"))]
    pub body_format: BodyFormat,
    /// More parameters for the authorization request. None may bear a name that the protocol uses.
    #[cfg_attr(feature = "serde", serde(default))]
    pub authorization_parameters: BTreeMap<String, String>,
    /// More parameters for the code exchange.
    #[cfg_attr(feature = "serde", serde(default))]
    pub token_parameters: BTreeMap<String, String>,
    /// More parameters for the refresh. `{redirect_uri}` and `{scope}` (the granted ones) stand for those values.
    #[cfg_attr(feature = "serde", serde(default))]
    pub refresh_parameters: BTreeMap<String, String>,
    /// The values that a connection brings for the URLs.
    #[cfg_attr(feature = "serde", serde(default))]
    pub parameters: Vec<ParameterRule>,
    /// What becomes of an old refresh token.
    #[cfg_attr(feature = "serde", serde(default = "defaults::rotation"))]
    pub rotation: RotationClass,
    /// How long a refresh token lives unused, if it dies of that.
    #[cfg_attr(feature = "serde", serde(default))]
    pub refresh_token_idle: Option<Duration>,
    /// How long a refresh token lives from the consent at most, whatever is done.
    #[cfg_attr(feature = "serde", serde(default))]
    pub refresh_token_lifetime: Option<Duration>,
    /// The lifetime of an access token whose answer names none. Absent: used until it is refused.
    #[cfg_attr(feature = "serde", serde(default))]
    pub default_expires_in: Option<Duration>,
    /// How a grant is revoked.
    #[cfg_attr(feature = "serde", serde(default = "defaults::revocation"))]
    pub revocation: Revocation,
    /// What is done with `iss`.
    #[cfg_attr(feature = "serde", serde(default = "defaults::issuer_policy"))]
    pub issuer_policy: IssuerPolicy,
    /// Scopes that the server never names in its answer although it grants them.
    #[cfg_attr(feature = "serde", serde(default))]
    pub unechoed_scopes: Vec<String>,
    /// What stands before a scope in the answer and not in the request, if the server adds a prefix.
    #[cfg_attr(feature = "serde", serde(default))]
    pub scope_prefix: Option<String>,
    /// Whether the answer may write scopes in other letter case.
    #[cfg_attr(feature = "serde", serde(default))]
    pub scopes_ignore_case: bool,
    /// Answers that mean a dead grant, beside `invalid_grant`.
    #[cfg_attr(feature = "serde", serde(default))]
    pub dead_grants: Vec<DeadGrant>,
    /// Which redirect URIs the server accepts.
    #[cfg_attr(feature = "serde", serde(default))]
    pub redirects: RedirectRules,
}

impl AuthorizationServer {
    /// A server that keeps to the standards: `client_secret_post`, PKCE, space-separated scopes, form
    /// bodies, unknown rotation (so the strictest), no revocation endpoint.
    #[must_use]
    pub fn new(
        id: ServerId,
        authorization_endpoint: impl Into<String>,
        token_endpoint: impl Into<String>,
    ) -> Self {
        Self {
            id,
            issuer: None,
            authorization_endpoint: authorization_endpoint.into(),
            token_endpoint: token_endpoint.into(),
            refresh_endpoint: None,
            client_authentication: ClientAuthentication::Post,
            pkce: Pkce::S256,
            scope_separator: " ".into(),
            body_format: BodyFormat::Form,
            authorization_parameters: BTreeMap::new(),
            token_parameters: BTreeMap::new(),
            refresh_parameters: BTreeMap::new(),
            parameters: Vec::new(),
            rotation: RotationClass::Unknown,
            refresh_token_idle: None,
            refresh_token_lifetime: None,
            default_expires_in: None,
            revocation: Revocation::Unsupported,
            issuer_policy: IssuerPolicy::MatchIfPresent,
            unechoed_scopes: Vec::new(),
            scope_prefix: None,
            scopes_ignore_case: false,
            dead_grants: Vec::new(),
            redirects: RedirectRules::default(),
        }
    }
}

#[cfg(feature = "serde")]
mod defaults {
    //! What a descriptor from a file means where it is silent: the same as [`AuthorizationServer::new`](super::AuthorizationServer::new).

    use super::{BodyFormat, ClientAuthentication, IssuerPolicy, Pkce, Revocation, RotationClass};

    pub(super) const fn client_authentication() -> ClientAuthentication {
        ClientAuthentication::Post
    }
    pub(super) const fn pkce() -> Pkce {
        Pkce::S256
    }
    pub(super) fn scope_separator() -> String {
        " ".into()
    }
    pub(super) const fn body_format() -> BodyFormat {
        BodyFormat::Form
    }
    pub(super) const fn rotation() -> RotationClass {
        RotationClass::Unknown
    }
    pub(super) const fn revocation() -> Revocation {
        Revocation::Unsupported
    }
    pub(super) const fn issuer_policy() -> IssuerPolicy {
        IssuerPolicy::MatchIfPresent
    }
}
