//! Deviations of servers, as closed enums.

use std::time::Duration;

/// The client authentication at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// `client_id` and `client_secret` in the body. Works at most servers, with any secret.
    Post,
    /// HTTP Basic with form-encoded id and secret, as in
    /// [RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1).
    Basic,
    /// HTTP Basic with unencoded id and secret, for servers that do not decode. The difference
    /// matters only for secrets with reserved characters.
    BasicUnencoded,
    /// Like `Basic`, with `client_id` in the body as well.
    BasicWithClientId,
    /// HTTP Basic with the secret as the user name and no password.
    SecretAsUser,
    /// A JWT that the client signs with its private key ([RFC 7523
    /// §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)), with `client_id` in the body. No
    /// secret is sent.
    PrivateKeyJwt,
    /// A public client: `client_id` in the body, no secret, PKCE.
    None,
}

/// The audience of the JWT with which a client authenticates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AssertionAudience {
    /// The issuer, which the descriptor must name. An assertion for one server is then of no use at
    /// another.
    #[default]
    Issuer,
    /// The URL of the endpoint that gets the request, for servers that accept nothing else.
    Endpoint,
}

/// The use of PKCE in the authorization request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pkce {
    /// `S256`, always ([RFC 9700 §2.1.1](https://www.rfc-editor.org/rfc/rfc9700#section-2.1.1)).
    /// `plain` is not supported.
    S256,
    /// None: this server refuses the parameters. The descriptor links to the documentation.
    Refused,
}

/// The format of a token request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BodyFormat {
    /// `application/x-www-form-urlencoded`, as RFC 6749 requires.
    Form,
    /// A flat JSON object.
    Json,
}

/// The validity of an old refresh token after a new one is issued. It determines whether a grant
/// can be saved after a refresh whose answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RotationClass {
    /// The refresh token stays the same.
    Static,
    /// The server issues a new one, and the old one stays valid.
    OldStaysValid,
    /// The server issues a new one, and accepts the old one for this number of seconds.
    Grace(#[serde(with = "crate::provider::seconds")] Duration),
    /// The server issues a new one, and the old one becomes invalid at once.
    SingleUse,
    /// Like `single_use`, and reuse of the old one also invalidates the new one.
    SingleUseRevokesFamily,
    /// Not known: treated as the strictest class.
    Unknown,
}

/// The check of the `iss` parameter in an authorization response
/// ([RFC 9207](https://www.rfc-editor.org/rfc/rfc9207)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IssuerPolicy {
    /// Compared if the descriptor names the issuer and the callback contains one; otherwise nothing
    /// is compared.
    IfKnown,
    /// May be absent. If present, it must equal the issuer, code point by code point. The
    /// descriptor must name the issuer.
    MatchIfPresent,
    /// Must be present with a code, and must match: the server promises it.
    Required,
    /// Not compared: the server's issuer is not a fixed string (Microsoft's `common` endpoint).
    Ignored,
}

/// The way to revoke a grant at the provider.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Revocation {
    /// [RFC 7009](https://www.rfc-editor.org/rfc/rfc7009), or close to it: a POST with `token` and
    /// `token_type_hint`.
    Endpoint {
        /// The URL, a template.
        url: String,
        /// The client authentication at this endpoint.
        #[serde(
            default = "same_as_token",
            deserialize_with = "crate::provider::tagged::deserialize"
        )]
        authentication: RevocationAuth,
        /// The tokens that the endpoint accepts.
        #[serde(default = "both", deserialize_with = "crate::provider::tagged::deserialize")]
        tokens: RevocationTokens,
        /// True if revoking one connection also ends the other connections of the same account and
        /// client.
        #[serde(default)]
        grant_wide: bool,
    },
    /// A `DELETE` with the access token as bearer, on the resource that represents the grant.
    DeleteWithBearer {
        /// The URL, a template; often with a value from the token answer.
        url: String,
    },
    /// No endpoint. The user can revoke access on this page.
    ByUser {
        /// The page where the user can revoke access.
        url: String,
    },
    /// Neither an endpoint nor a page.
    Unsupported,
}

const fn same_as_token() -> RevocationAuth {
    RevocationAuth::SameAsToken
}

const fn both() -> RevocationTokens {
    RevocationTokens::Both
}

/// The client authentication at the revocation endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RevocationAuth {
    /// The same as at the token endpoint.
    SameAsToken,
    /// In the body, with `client_secret` even if it is empty: some servers answer 400 without it.
    Post,
    /// HTTP Basic, form-encoded.
    Basic,
    /// None: the token is sufficient.
    None,
}

/// The tokens that a revocation endpoint accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RevocationTokens {
    /// Both, the refresh token first; each is revoked separately.
    Both,
    /// Either one, which ends the grant: the refresh token, or the access token if there is none.
    Either,
    /// Access tokens only.
    Access,
    /// Refresh tokens only.
    Refresh,
}

/// An answer that means a dead grant at this server, in addition to `invalid_grant`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an answer that means a dead grant, written as an object"
)]
pub struct DeadGrant {
    /// The status. Absent: any status.
    #[serde(default, deserialize_with = "crate::provider::status::optional")]
    pub status: Option<u16>,
    /// The `error` code. Absent, with a status: any error response with that status, except
    /// `invalid_client`, because a wrong client secret must not end all connections. Name the code
    /// if possible: a proxy or a firewall answers with the same statuses.
    #[serde(default)]
    pub error: Option<String>,
}

/// The header that carries the access token in an API request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a token header, written as an object")]
pub struct TokenHeader {
    /// The header's name.
    pub name: String,
    /// The text before the token, including its space.
    pub prefix: String,
}

impl Default for TokenHeader {
    /// `Authorization: Bearer …`
    /// ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    fn default() -> Self {
        Self {
            name: "authorization".into(),
            prefix: "Bearer ".into(),
        }
    }
}

/// The credential that renews an access token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefreshWith {
    /// The refresh token, if there is one.
    #[default]
    RefreshToken,
    /// The access token itself, while it is valid: it is stored in place of a refresh token.
    AccessToken,
    /// Nothing: refresh tokens in answers are dropped.
    Nothing,
}
