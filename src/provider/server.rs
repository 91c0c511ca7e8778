//! An authorization server: endpoints, client authentication, quirks.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::ServerId;
use crate::provider::{
    AnswerShape, BodyFormat, ClientAuthentication, DeadGrant, IssuerPolicy, ParameterRule, Pkce,
    RedirectRules, RefreshWith, Revocation, RotationClass,
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
    /// Names the server.
    pub id: ServerId,
    /// The issuer identifier, if it has one fixed string
    /// ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
    #[serde(default)]
    pub issuer: Option<String>,
    /// Where consent is asked for.
    pub authorization_endpoint: String,
    /// Where codes and refresh tokens are exchanged.
    pub token_endpoint: String,
    /// Where refresh tokens are exchanged, if elsewhere.
    #[serde(default)]
    pub refresh_endpoint: Option<String>,
    /// How the client proves itself.
    #[serde(
        default = "defaults::client_authentication",
        deserialize_with = "crate::provider::tagged::deserialize"
    )]
    pub client_authentication: ClientAuthentication,
    /// Whether PKCE is sent.
    #[serde(
        default = "defaults::pkce",
        deserialize_with = "crate::provider::tagged::deserialize"
    )]
    pub pkce: Pkce,
    /// What stands between scopes in the authorization request. A space, by RFC 6749; some want a
    /// comma.
    #[serde(default = "defaults::scope_separator")]
    pub scope_separator: String,
    /// How token requests are written.
    #[serde(
        default = "defaults::body_format",
        deserialize_with = "crate::provider::tagged::deserialize"
    )]
    pub body_format: BodyFormat,
    /// More parameters for the authorization request. None may bear a name that the protocol uses,
    /// but for `response_type` with a `code` in it.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub authorization_parameters: BTreeMap<String, String>,
    /// With these in the authorization request, the server adds what is asked for to what it
    /// granted before. Absent: it does not, and all is asked for again.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub extending_parameters: BTreeMap<String, String>,
    /// More parameters for the code exchange. A `grant_type` takes the place of the standard one.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub token_parameters: BTreeMap<String, String>,
    /// More parameters for the refresh. `{redirect_uri}` and `{scope}` (the granted ones) stand for
    /// those values.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub refresh_parameters: BTreeMap<String, String>,
    /// The values that a connection brings for the URLs.
    #[serde(default)]
    pub parameters: Vec<ParameterRule>,
    /// What becomes of an old refresh token.
    #[serde(
        default = "defaults::rotation",
        deserialize_with = "crate::provider::tagged::deserialize"
    )]
    pub rotation: RotationClass,
    /// The time for which a refresh token lives unused, if it dies of that.
    #[serde(default, with = "crate::provider::seconds::optional")]
    pub refresh_token_idle: Option<Duration>,
    /// The time for which a refresh token lives from the consent at most, whatever is done.
    #[serde(default, with = "crate::provider::seconds::optional")]
    pub refresh_token_lifetime: Option<Duration>,
    /// The lifetime of an access token whose answer names none. Absent: used until it is refused.
    #[serde(default, with = "crate::provider::seconds::optional")]
    pub default_expires_in: Option<Duration>,
    /// How a grant is revoked.
    #[serde(
        default = "defaults::revocation",
        deserialize_with = "crate::provider::tagged::deserialize"
    )]
    pub revocation: Revocation,
    /// True if each consent makes a grant of its own, even in a browser whose session goes on: then
    /// the tokens of a connection that is connected again are revoked at once. Otherwise they are
    /// kept sealed, and revoked together with the connection: revoking them earlier could end the
    /// new ones.
    #[serde(default)]
    pub separate_grants: bool,
    /// What is done with `iss`.
    #[serde(
        default = "defaults::issuer_policy",
        deserialize_with = "crate::provider::tagged::deserialize"
    )]
    pub issuer_policy: IssuerPolicy,
    /// Scopes that the server never names in its answer although it grants them, such as
    /// `offline_access`, or `openid` where a `resource` is asked for and the answer lists only its
    /// scopes.
    #[serde(default)]
    pub unechoed_scopes: Vec<String>,
    /// What stands before a scope in the answer and not in the request, if the server adds a
    /// prefix.
    #[serde(default)]
    pub scope_prefix: Option<String>,
    /// True if the answer may write scopes in other letter case.
    #[serde(default)]
    pub scopes_ignore_case: bool,
    /// Answers that mean a dead grant, beside `invalid_grant`.
    #[serde(default)]
    pub dead_grants: Vec<DeadGrant>,
    /// Which redirect URIs the server accepts.
    #[serde(default)]
    pub redirects: RedirectRules,
    /// Where the tokens will be used: `resource` in every request
    /// ([RFC 8707](https://www.rfc-editor.org/rfc/rfc8707#section-2)). Absolute URIs without a
    /// fragment.
    #[serde(default)]
    pub resources: Vec<String>,
    /// Other names for parameters of the authorization request; the empty name leaves the parameter
    /// out.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub authorization_renames: BTreeMap<String, String>,
    /// Other names for parameters of token requests; the empty name leaves the parameter out.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub token_renames: BTreeMap<String, String>,
    /// More headers for token requests.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub token_headers: BTreeMap<String, String>,
    /// More parameters for the query of token requests. Never a credential: queries end up in logs.
    #[serde(default, deserialize_with = "crate::provider::scalar::map")]
    pub token_query: BTreeMap<String, String>,
    /// The name under which the callback brings the code, if not `code`.
    #[serde(default)]
    pub code_parameter: Option<String>,
    /// The route of a single-page consent screen: the request goes behind it, into the fragment
    /// (`/oauth/authorize`).
    #[serde(default)]
    pub authorization_fragment: Option<String>,
    /// True if scopes stand in the authorization URL as they are, without percent-encoding where a
    /// query allows it.
    #[serde(default)]
    pub raw_scope: bool,
    /// Where token answers say what.
    #[serde(default)]
    pub answer: AnswerShape,
    /// What renews an access token.
    #[serde(default, deserialize_with = "crate::provider::tagged::deserialize")]
    pub refresh_with: RefreshWith,
    /// The `grant_type` of a refresh, if not `refresh_token`.
    #[serde(default)]
    pub refresh_grant_type: Option<String>,
    /// True if the revocation endpoint is not documented to end the grant: its yes is reported as
    /// an attempt.
    #[serde(default)]
    pub revocation_is_best_effort: bool,
    /// The statuses by which the revocation endpoint says that the grant was ended before.
    #[serde(default, deserialize_with = "crate::provider::status::list")]
    pub already_revoked: Vec<u16>,
    /// The page where the person can remove access themselves, beside what `revocation` does.
    #[serde(default)]
    pub access_page: Option<String>,
    /// Where the host registers its client.
    #[serde(default)]
    pub register_at: Option<String>,
    /// What whoever registers the client should know, in sentences.
    #[serde(default)]
    pub notes: Vec<String>,
    /// True if this descriptor takes the place of the built-in one with its id. Without it, such an
    /// id is a mistake.
    #[serde(default)]
    pub replaces_builtin: bool,
}

impl ServerDescriptor {
    /// A server that keeps to the standards: `client_secret_post`, PKCE, space-separated scopes,
    /// form bodies, unknown rotation (so the strictest), no revocation endpoint.
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
    //! What a descriptor from a file means where it is silent: the same as
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
