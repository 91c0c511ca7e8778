//! An authorization server: endpoints, client authentication, deviations.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::ServerId;
use crate::provider::{
    AnswerShape, AssertionAudience, BodyFormat, ClientAuthentication, DeadGrant, IssuerPolicy, ParameterRule,
    Pkce, RedirectRules, RefreshWith, Revocation, RotationClass,
};

/// The document of an [`AuthorizationServer`](crate::provider::AuthorizationServer), as the crate
/// reads it.
///
/// URLs are templates: `{name}` stands for a connection parameter with a rule in
/// [`parameters`](Self::parameters).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a server, written as an object")]
#[non_exhaustive]
pub struct ServerDescriptor {
    /// The id of the server.
    pub id: ServerId,
    /// The issuer identifier, if it is a fixed string
    /// ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
    #[serde(default)]
    pub issuer: Option<String>,
    /// The endpoint that asks the user for consent.
    pub authorization_endpoint: String,
    /// The endpoint that exchanges codes and refresh tokens.
    pub token_endpoint: String,
    /// The endpoint that exchanges refresh tokens, if it differs.
    #[serde(default)]
    pub refresh_endpoint: Option<String>,
    /// The client authentication.
    #[serde(
        default = "defaults::client_authentication",
        deserialize_with = "crate::provider::tagged::deserialize"
    )]
    pub client_authentication: ClientAuthentication,
    /// The audience of the JWT of `private_key_jwt`.
    #[serde(default, deserialize_with = "crate::provider::tagged::deserialize")]
    pub client_assertion_audience: AssertionAudience,
    /// The endpoint that takes authorization requests before the browser is sent to the server
    /// ([RFC 9126](https://www.rfc-editor.org/rfc/rfc9126)). If it is set, every request is pushed
    /// there, and the browser carries only a reference to it.
    #[serde(default)]
    pub pushed_authorization_request_endpoint: Option<String>,
    /// The use of PKCE.
    #[serde(
        default = "defaults::pkce",
        deserialize_with = "crate::provider::tagged::deserialize"
    )]
    pub pkce: Pkce,
    /// The separator between scopes in the authorization request. A space by RFC 6749; some servers
    /// require a comma.
    #[serde(default = "defaults::scope_separator")]
    pub scope_separator: String,
    /// The format of token requests.
    #[serde(
        default = "defaults::body_format",
        deserialize_with = "crate::provider::tagged::deserialize"
    )]
    pub body_format: BodyFormat,
    /// Additional parameters of the authorization request. Names of the protocol are not allowed,
    /// except `response_type` with a value that contains `code`.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub authorization_parameters: BTreeMap<String, String>,
    /// Additional parameters of the authorization request with which the server extends an earlier
    /// grant by the requested scopes. Absent: the server does not support this, and all scopes are
    /// requested again.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub extending_parameters: BTreeMap<String, String>,
    /// Additional parameters of the code exchange. A `grant_type` replaces the standard one.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub token_parameters: BTreeMap<String, String>,
    /// Additional parameters of the refresh. `{redirect_uri}` and `{scope}` (the granted scopes)
    /// stand for those values.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub refresh_parameters: BTreeMap<String, String>,
    /// The rules for the values of a connection that fill the URLs.
    #[serde(default)]
    pub parameters: Vec<ParameterRule>,
    /// The validity of an old refresh token after a refresh.
    #[serde(
        default = "defaults::rotation",
        deserialize_with = "crate::provider::tagged::deserialize"
    )]
    pub rotation: RotationClass,
    /// The time after which an unused refresh token expires, if there is such a limit.
    #[serde(default, with = "crate::provider::seconds::optional")]
    pub refresh_token_idle: Option<Duration>,
    /// The maximum lifetime of a refresh token from the consent, regardless of its use.
    #[serde(default, with = "crate::provider::seconds::optional")]
    pub refresh_token_lifetime: Option<Duration>,
    /// The lifetime of access tokens whose answer names none. Absent: a token is used until the API
    /// refuses it.
    #[serde(default, with = "crate::provider::seconds::optional")]
    pub default_expires_in: Option<Duration>,
    /// The way to revoke a grant.
    #[serde(
        default = "defaults::revocation",
        deserialize_with = "crate::provider::tagged::deserialize"
    )]
    pub revocation: Revocation,
    /// True if each consent creates a separate grant, even within one browser session: the old
    /// tokens of a reconnected connection are then revoked at once. Otherwise they are kept
    /// encrypted and revoked together with the connection, because revoking them earlier could end
    /// the new ones.
    #[serde(default)]
    pub separate_grants: bool,
    /// The check of `iss`.
    #[serde(
        default = "defaults::issuer_policy",
        deserialize_with = "crate::provider::tagged::deserialize"
    )]
    pub issuer_policy: IssuerPolicy,
    /// Scopes that the server grants but never names in its answer, such as `offline_access`, or
    /// `openid` if the request has a `resource` and the answer lists only its scopes.
    #[serde(default)]
    pub unechoed_scopes: Vec<String>,
    /// The prefix that the server adds to scopes in its answer.
    #[serde(default)]
    pub scope_prefix: Option<String>,
    /// True if the answer may write scopes in different letter case.
    #[serde(default)]
    pub scopes_ignore_case: bool,
    /// Answers that mean a dead grant, in addition to `invalid_grant`.
    #[serde(default)]
    pub dead_grants: Vec<DeadGrant>,
    /// The redirect URIs that the server accepts.
    #[serde(default)]
    pub redirects: RedirectRules,
    /// The resources that the tokens are for: `resource` in every request
    /// ([RFC 8707](https://www.rfc-editor.org/rfc/rfc8707#section-2)). Absolute URIs without a
    /// fragment.
    #[serde(default)]
    pub resources: Vec<String>,
    /// Other names for parameters of the authorization request; an empty name omits the parameter.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub authorization_renames: BTreeMap<String, String>,
    /// Other names for parameters of token requests; an empty name omits the parameter.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub token_renames: BTreeMap<String, String>,
    /// Additional headers of token requests.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub token_headers: BTreeMap<String, String>,
    /// Additional parameters in the query of token requests. Never a credential: queries appear in
    /// logs.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub token_query: BTreeMap<String, String>,
    /// The callback's parameter for the code, if it is not `code`.
    #[serde(default)]
    pub code_parameter: Option<String>,
    /// The route of a single-page consent screen: the parameters are put after it, into the
    /// fragment (`/oauth/authorize`).
    #[serde(default)]
    pub authorization_fragment: Option<String>,
    /// True if scopes in the authorization URL are not percent-encoded where a query allows it.
    #[serde(default)]
    pub raw_scope: bool,
    /// The places of values in token answers.
    #[serde(default)]
    pub answer: AnswerShape,
    /// The credential that renews an access token.
    #[serde(default, deserialize_with = "crate::provider::tagged::deserialize")]
    pub refresh_with: RefreshWith,
    /// The `grant_type` of a refresh, if it is not `refresh_token`.
    #[serde(default)]
    pub refresh_grant_type: Option<String>,
    /// True if the documentation does not say that the revocation endpoint ends the grant: its
    /// success is reported as an attempt.
    #[serde(default)]
    pub revocation_is_best_effort: bool,
    /// The statuses of the revocation endpoint for a grant that was already revoked.
    #[serde(default, deserialize_with = "crate::provider::status::list")]
    pub already_revoked: Vec<u16>,
    /// The page where the user can revoke access, in addition to `revocation`.
    #[serde(default)]
    pub access_page: Option<String>,
    /// The page where the host registers its client.
    #[serde(default)]
    pub register_at: Option<String>,
    /// Notes for the administrator who registers the client, in sentences.
    #[serde(default)]
    pub notes: Vec<String>,
    /// True if this descriptor replaces the built-in one with its id. Without it, such an id is a
    /// mistake.
    #[serde(default)]
    pub replaces_builtin: bool,
}

impl ServerDescriptor {
    /// Returns a server that follows the standards: `client_secret_post`, PKCE, space-separated
    /// scopes, form bodies, unknown rotation (treated as the strictest), no revocation endpoint.
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
            client_assertion_audience: AssertionAudience::Issuer,
            pushed_authorization_request_endpoint: None,
            pkce: Pkce::S256,
            scope_separator: " ".into(),
            body_format: BodyFormat::Form,
            authorization_parameters: BTreeMap::new(),
            extending_parameters: BTreeMap::new(),
            token_parameters: BTreeMap::new(),
            refresh_parameters: BTreeMap::new(),
            parameters: Vec::new(),
            rotation: RotationClass::Unknown,
            refresh_token_idle: None,
            refresh_token_lifetime: None,
            default_expires_in: None,
            revocation: Revocation::Unsupported,
            separate_grants: false,
            issuer_policy: IssuerPolicy::IfKnown,
            unechoed_scopes: Vec::new(),
            scope_prefix: None,
            scopes_ignore_case: false,
            dead_grants: Vec::new(),
            redirects: RedirectRules::default(),
            resources: Vec::new(),
            authorization_renames: BTreeMap::new(),
            token_renames: BTreeMap::new(),
            token_headers: BTreeMap::new(),
            token_query: BTreeMap::new(),
            code_parameter: None,
            authorization_fragment: None,
            raw_scope: false,
            answer: AnswerShape::default(),
            refresh_with: RefreshWith::RefreshToken,
            refresh_grant_type: None,
            revocation_is_best_effort: false,
            already_revoked: Vec::new(),
            access_page: None,
            register_at: None,
            notes: Vec::new(),
            replaces_builtin: false,
        }
    }
}

mod defaults {
    //! Defaults of a descriptor file: the same as in
    //! [`ServerDescriptor::new`](super::ServerDescriptor::new).

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
        IssuerPolicy::IfKnown
    }
}

#[cfg(test)]
mod tests;
