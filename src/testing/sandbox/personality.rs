//! The behavior of the sandbox: settings for the differences between real servers.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;

use super::refusal::Refusal;
use crate::provider::{
    AssertionAudience, AuthorizationServer, ClientAuthentication, Pkce, Revocation, RevocationAuth,
    RevocationTokens, RotationClass,
};

/// The behavior of the sandbox. The default is a strict server that follows the standards.
///
/// Change it at any time with [`Sandbox::adjust`](super::Sandbox::adjust). Tokens already issued
/// are unaffected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Personality {
    /// The lifetime of access tokens. `None`: unlimited, and `expires_in` is omitted. Default: one
    /// hour.
    pub access_token_lifetime: Option<Duration>,
    /// The lifetime of codes. Default: one minute.
    pub code_lifetime: Duration,
    /// True if refresh tokens are issued. Default: true.
    pub issues_refresh_tokens: bool,
    /// The refresh token in a refresh response when it does not change: `static` in a descriptor's
    /// `rotation`.
    pub static_refresh_token: RefreshTokenEcho,
    /// True if a refresh returns the same access token with an extended lifetime. Default: false.
    pub repeats_access_token: bool,
    /// True if a refresh invalidates earlier access tokens. Default: false.
    pub refresh_kills_old_access_token: bool,
    /// The issuer in the authorization response.
    pub issuer: IssuerEcho,
    /// Scopes that are silently removed from every grant.
    pub withheld_scopes: Vec<String>,
    /// The format of the granted scopes in token responses.
    pub scope_echo: ScopeEcho,
    /// The `token_type` of token responses. `None`: the member is missing.
    pub token_type: Option<String>,
    /// The format of `expires_in` in token responses.
    pub expires_in: ExpiresIn,
    /// True if token responses contain an `id_token`: a JWT with `iss`, `sub`, `aud` and `email`
    /// and without a valid signature. Default: false.
    pub id_token: bool,
    /// The payload of ID tokens, in place of the default: `{id}` stands for the account's id, and
    /// likewise `{email}` and `{name}`.
    pub id_token_payload: Option<String>,
    /// The status of token responses. Default: 200.
    pub token_status: StatusCode,
    /// The form of the `invalid_grant` error for a dead grant.
    pub dead_grant: Refusal,
    /// True if a client that fails to authenticate gets `invalid_grant`, as at some servers.
    /// Default: false.
    pub hides_invalid_client: bool,
    /// If set, every token request gets this response, with `server_error`, and has no effect.
    pub token_outage: Option<Refusal>,
    /// If set, every revocation request gets this response, with `server_error`, and has no effect.
    pub revocation_outage: Option<Refusal>,
    /// True if a consent adds its tokens to the account's live grant, as some servers do within a
    /// browser session. Default: false, each consent creates a separate grant.
    pub one_grant_per_account: bool,
    /// True if revoking one token ends its whole grant. Default: false, each token is revoked
    /// separately.
    pub revocation_ends_grant: bool,
    /// True if revoking a refresh token leaves later ones valid. Most servers end the family.
    pub revocation_spares_family: bool,
    /// True if revoking one token ends all grants of the account, as at Google. Default: false.
    pub revocation_ends_account: bool,
    /// The separator of scopes in the authorization request. Default: a space.
    pub scope_separator: String,
    /// The parameter with which an authorization request adds to all scopes that the account
    /// granted before, as at Google. `None`: each grant is independent.
    pub uniting_parameter: Option<(String, String)>,
    /// Parameters that an authorization request must contain.
    pub required_parameters: BTreeMap<String, String>,
    /// True if an authorization request with a `scope` is rejected. Default: false.
    pub refuses_scopes: bool,
    /// The scope required for a refresh token.
    pub offline_scope: Option<String>,
    /// Alternative names of scopes in responses; the empty name omits the scope.
    pub scope_names: BTreeMap<String, String>,
    /// Additional members of token responses, as JSON: `{id}` stands for the account's id, and
    /// likewise `{email}` and `{name}`.
    pub more_members: BTreeMap<String, String>,
    /// Parameters that a refresh request must contain.
    pub refresh_requires: Vec<String>,
    /// True if reusing a refresh token within its grace period returns the access token of the
    /// first use and no refresh token, as at Todoist. Default: false.
    pub reuse_repeats_access_token: bool,
    /// True if authorization requests must be pushed
    /// ([RFC 9126](https://www.rfc-editor.org/rfc/rfc9126)). Default: false, they may be.
    pub requires_pushed_requests: bool,
    /// If set, every pushed request gets this response, with `server_error`.
    pub push_outage: Option<Refusal>,
    /// True if an MCP server requires a token. Default: true.
    pub requires_token: bool,
    /// True if the challenge of an MCP server names its metadata. Default: true.
    pub challenge_names_metadata: bool,
    /// The scopes in the challenge of an MCP server that got no valid token. Default: `mcp.read`.
    pub challenge_scope: Option<String>,
    /// True if the authorization servers of MCP servers require `resource` in every authorization
    /// and token request and bind tokens to it
    /// ([RFC 8707](https://www.rfc-editor.org/rfc/rfc8707)). Default: true. False: the parameter is
    /// ignored, and tokens are valid at every MCP server.
    pub checks_resource: bool,
    /// True if the authorization servers of MCP servers register clients
    /// ([RFC 7591](https://www.rfc-editor.org/rfc/rfc7591)). Default: true.
    pub registers_clients: bool,
    /// If set, every registration request gets this response, with `invalid_client_metadata`.
    pub registration_refusal: Option<Refusal>,
    /// The authentication method that clients are registered with, whatever they ask for: `none`,
    /// `client_secret_basic` or `client_secret_post`. `None`: the one they ask for.
    pub registered_method: Option<String>,
    /// The lifetime of the client secrets of registered clients. `None`: unlimited.
    pub client_secret_lifetime: Option<Duration>,
    /// True if the authorization servers of MCP servers accept client ID metadata documents: the
    /// client id is the https URL of a document that
    /// [`read_client_documents_with`](super::Sandbox::read_client_documents_with) reads. Default:
    /// true.
    pub accepts_client_documents: bool,
    /// The behavior that a descriptor describes.
    pub(crate) described: Described,
}

/// The behavior of a server as described by a descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The handling of old refresh tokens. Default: the strictest, where tokens are single use and
    /// a replay ends the grant.
    pub rotation: RotationClass,
    /// The client authentication method. Default: [`ClientAuthentication::Post`]; other methods are
    /// rejected.
    pub client_authentication: ClientAuthentication,
    /// The audience of client assertions. Default: the issuer; others are rejected.
    pub client_assertion_audience: AssertionAudience,
    /// The rule for PKCE challenges: required, optional or rejected.
    pub pkce: Pkce,
    /// The client authentication method for revocation. Default: that of the token endpoint.
    pub revocation_authentication: RevocationAuth,
    /// The kinds of tokens that can be revoked; others are rejected. Default: all.
    pub revocation_takes: RevocationTokens,
}

impl Default for Personality {
    fn default() -> Self {
        Self {
            access_token_lifetime: Some(Duration::from_secs(3600)),
            code_lifetime: Duration::from_secs(60),
            issues_refresh_tokens: true,
            static_refresh_token: RefreshTokenEcho::Omit,
            repeats_access_token: false,
            refresh_kills_old_access_token: false,
            issuer: IssuerEcho::Always,
            withheld_scopes: Vec::new(),
            scope_echo: ScopeEcho::Spaces,
            token_type: Some("Bearer".into()),
            expires_in: ExpiresIn::Number,
            id_token: false,
            id_token_payload: None,
            one_grant_per_account: false,
            token_status: StatusCode::OK,
            dead_grant: Refusal::Json,
            hides_invalid_client: false,
            token_outage: None,
            revocation_outage: None,
            revocation_ends_grant: false,
            revocation_spares_family: false,
            revocation_ends_account: false,
            scope_separator: " ".into(),
            uniting_parameter: None,
            required_parameters: BTreeMap::new(),
            refuses_scopes: false,
            offline_scope: None,
            scope_names: BTreeMap::new(),
            more_members: BTreeMap::new(),
            refresh_requires: Vec::new(),
            reuse_repeats_access_token: false,
            requires_pushed_requests: false,
            push_outage: None,
            requires_token: true,
            challenge_names_metadata: true,
            challenge_scope: Some("mcp.read".into()),
            checks_resource: true,
            registers_clients: true,
            registration_refusal: None,
            registered_method: None,
            client_secret_lifetime: None,
            accepts_client_documents: true,
            described: Described::default(),
        }
    }
}

impl Default for Described {
    fn default() -> Self {
        Self {
            rotation: RotationClass::SingleUseRevokesFamily,
            client_authentication: ClientAuthentication::Post,
            client_assertion_audience: AssertionAudience::Issuer,
            pkce: Pkce::S256,
            revocation_authentication: RevocationAuth::SameAsToken,
            revocation_takes: RevocationTokens::Both,
        }
    }
}

impl Personality {
    /// Adopts the behavior that this descriptor describes, enforced strictly: client authentication
    /// at the token and revocation endpoints, the PKCE rule, the handling of old refresh tokens,
    /// the separator of scopes, the kinds of tokens that can be revoked, and the presence of `iss`.
    /// All other settings are unchanged.
    ///
    /// ```
    /// use valetkey::provider::AuthorizationServer;
    /// use valetkey::testing::Host;
    ///
    /// let server = AuthorizationServer::from_json(
    ///     r#"{
    ///         "id": "acme",
    ///         "authorization_endpoint": "https://login.acme.example/authorize",
    ///         "token_endpoint": "https://login.acme.example/token",
    ///         "rotation": "static"
    ///     }"#,
    /// )?;
    /// let host = Host::builder().personality(|it| it.behave_as(&server)).build()?;
    /// host.connect(&host.user("ada"), "notes");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn behave_as(&mut self, server: &AuthorizationServer) {
        let server = &server.0;
        self.scope_separator.clone_from(&server.scope_separator);
        self.issuer = match server.issuer {
            Some(_) => IssuerEcho::Always,
            None => IssuerEcho::Never,
        };
        let Described {
            mut revocation_authentication,
            mut revocation_takes,
            ..
        } = self.described;
        if let Revocation::Endpoint {
            authentication,
            tokens,
            ..
        } = server.revocation
        {
            (revocation_authentication, revocation_takes) = (authentication, tokens);
        }
        self.described = Described {
            rotation: server.rotation,
            client_authentication: server.client_authentication,
            client_assertion_audience: server.client_assertion_audience,
            pkce: server.pkce,
            revocation_authentication,
            revocation_takes,
        };
    }
}

/// Only for this crate's tests, which set each of these separately.
#[cfg(feature = "_internals")]
mod internals {
    use std::ops::{Deref, DerefMut};

    use super::{Described, Personality};

    #[doc(hidden)]
    impl Deref for Personality {
        type Target = Described;

        fn deref(&self) -> &Described {
            &self.described
        }
    }

    #[doc(hidden)]
    impl DerefMut for Personality {
        fn deref_mut(&mut self) -> &mut Described {
            &mut self.described
        }
    }
}

/// The content of a refresh response about an unchanged refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshTokenEcho {
    /// The response has no refresh token.
    Omit,
    /// The response repeats the token.
    Repeat,
    /// The response contains the empty string.
    Empty,
}

/// The issuer in the authorization response ([RFC 9207](https://www.rfc-editor.org/rfc/rfc9207)).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IssuerEcho {
    /// The server's identifier, in codes and in errors.
    Always,
    /// The server's identifier, but not in errors.
    WithCodeOnly,
    /// No issuer.
    Never,
    /// Another identifier, as from a mix-up attack or a hostile server.
    Instead(String),
}

/// The format of the granted scopes in a token response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScopeEcho {
    /// A string separated by spaces, as in RFC 6749.
    Spaces,
    /// A string separated by commas.
    Commas,
    /// An array of strings.
    Array,
    /// The member is missing.
    Absent,
}

/// The format of `expires_in` in a token response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpiresIn {
    /// A number of seconds, as in RFC 6749.
    Number,
    /// The number as a string.
    Text,
    /// The number with a decimal point.
    Float,
    /// The member is missing.
    Absent,
    /// This JSON text, regardless of the lifetime: `315360000`, `-1`, `1e400`, `null`.
    Literal(String),
}
