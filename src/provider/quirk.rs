//! How servers deviate, as closed enums.

use std::time::Duration;

/// How the client proves itself at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// `client_id` and `client_secret` in the body. Works at most servers, with any secret.
    Post,
    /// HTTP Basic with id and secret form-encoded first, as
    /// [RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1) says.
    Basic,
    /// HTTP Basic with id and secret as they are. For servers that do not decode; it matters only
    /// for secrets with reserved characters.
    BasicUnencoded,
    /// As `Basic`, and `client_id` in the body as well.
    BasicWithClientId,
    /// HTTP Basic with the secret as the user name and no password.
    SecretAsUser,
    /// A public client: `client_id` in the body, no secret, PKCE.
    None,
}

/// Whether the authorization request carries a PKCE challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pkce {
    /// `S256`, always ([RFC 9700 §2.1.1](https://www.rfc-editor.org/rfc/rfc9700#section-2.1.1)).
    /// There is no `plain`.
    S256,
    /// None: this server refuses the parameters. The descriptor says where that is documented.
    Refused,
}

/// How the body of a token request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BodyFormat {
    /// `application/x-www-form-urlencoded`, as RFC 6749 wants.
    Form,
    /// A flat JSON object.
    Json,
}

/// What becomes of the old refresh token when a new one is issued. It decides what can be saved
/// after a refresh whose answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RotationClass {
    /// The refresh token stays the same.
    Static,
    /// A new one comes and the old one stays valid.
    OldStaysValid,
    /// A new one comes and the old one is still accepted for that many seconds.
    Grace(#[serde(with = "crate::provider::seconds")] Duration),
    /// A new one comes and the old one is dead at once.
    SingleUse,
    /// As `single_use`, and using the old one again kills the new one too.
    SingleUseRevokesFamily,
    /// Not known: treated as the strictest.
    Unknown,
}

/// What the client does with the `iss` parameter of an authorization response
/// ([RFC 9207](https://www.rfc-editor.org/rfc/rfc9207)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IssuerPolicy {
    /// Compared where the descriptor names the issuer and the callback brings one; otherwise
    /// nothing is compared.
    IfKnown,
    /// May be absent; if present it must be the issuer, code point for code point. The descriptor
    /// must name the issuer.
    MatchIfPresent,
    /// Must be there where a code is, and must match: the server promises it.
    Required,
    /// Not compared: the server's issuer is not one fixed string (Microsoft's `common` endpoint).
    Ignored,
}

/// How a grant is revoked at the provider.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Revocation {
    /// [RFC 7009](https://www.rfc-editor.org/rfc/rfc7009), or near enough: a POST with `token` and
    /// `token_type_hint`.
    Endpoint {
        /// The URL, a template.
        url: String,
        /// How the client proves itself there.
        #[serde(
            default = "same_as_token",
            deserialize_with = "crate::provider::tagged::deserialize"
        )]
        authentication: RevocationAuth,
        /// Which tokens it takes.
        #[serde(default = "both", deserialize_with = "crate::provider::tagged::deserialize")]
        tokens: RevocationTokens,
        /// True if revoking one connection ends the others of the same account and client.
        #[serde(default)]
        grant_wide: bool,
    },
    /// A `DELETE` with the access token as bearer, at the resource that stands for the grant.
    DeleteWithBearer {
        /// The URL, a template; often with a value that the token answer brought.
        url: String,
    },
    /// No endpoint. The person can do it at this page.
    ByUser {
        /// The page where access can be removed.
        url: String,
    },
    /// Neither endpoint nor page.
    Unsupported,
}

const fn same_as_token() -> RevocationAuth {
    RevocationAuth::SameAsToken
}

const fn both() -> RevocationTokens {
    RevocationTokens::Both
}

/// How the client proves itself at the revocation endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RevocationAuth {
    /// As at the token endpoint.
    SameAsToken,
    /// In the body, with `client_secret` sent even where it is empty: some servers answer 400
    /// without it.
    Post,
    /// HTTP Basic, form-encoded.
    Basic,
    /// Not at all: the token is proof enough.
    None,
}

/// Which tokens a revocation endpoint takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RevocationTokens {
    /// Both, the refresh token first; each dies separately.
    Both,
    /// One ends the grant: the refresh token, or the access token where there is none.
    Either,
    /// Access tokens only.
    Access,
    /// Refresh tokens only.
    Refresh,
}

/// An answer by which this server says that a grant is dead, beside `invalid_grant`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an answer that means a dead grant, written as an object"
)]
pub struct DeadGrant {
    /// The status, if only this one counts.
    #[serde(default, deserialize_with = "crate::provider::status::optional")]
    pub status: Option<u16>,
    /// The `error` code, if only this one counts. Absent, with a status: any error response of that
    /// status counts, unless it says `invalid_client`: a wrong client secret must not end every
    /// user's connection. Prefer to name the code: a proxy or a firewall answers with the same
    /// statuses.
    #[serde(default)]
    pub error: Option<String>,
}

/// How the access token is put into an API request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a token header, written as an object")]
pub struct TokenHeader {
    /// The header's name.
    pub name: String,
    /// What stands before the token, its space included.
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

/// What renews an access token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefreshWith {
    /// The refresh token, if there is one.
    #[default]
    RefreshToken,
    /// The access token itself, while it lives: it is kept in the place of a refresh token.
    AccessToken,
    /// Nothing: refresh tokens in answers are dropped.
    Nothing,
}
