//! How the sandbox behaves: what real servers do differently, as settings.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;

use super::refusal::Refusal;
use crate::provider::{
    AuthorizationServer, ClientAuthentication, Pkce, Revocation, RevocationAuth, RevocationTokens,
    RotationClass,
};

/// How the sandbox behaves. The default is a strict server that keeps to the standards.
///
/// Changed with [`Sandbox::adjust`](super::Sandbox::adjust), at any time: what was issued before
/// stays as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Personality {
    /// The time for which an access token lives. None: for ever, and `expires_in` is not sent. One
    /// hour.
    pub access_token_lifetime: Option<Duration>,
    /// The time for which a code lives. One minute.
    pub code_lifetime: Duration,
    /// True if refresh tokens are issued at all. Yes.
    pub issues_refresh_tokens: bool,
    /// What a refresh answer says where the refresh token stays the same: `static` in a
    /// descriptor's `rotation`.
    pub static_refresh_token: RefreshTokenEcho,
    /// True if a refresh answers with the same access token, its life prolonged. No.
    pub repeats_access_token: bool,
    /// True if a refresh kills the access tokens before it. No.
    pub refresh_kills_old_access_token: bool,
    /// What the authorization response says of the issuer.
    pub issuer: IssuerEcho,
    /// Scopes that are dropped from every grant without a word.
    pub withheld_scopes: Vec<String>,
    /// How token answers name the granted scopes.
    pub scope_echo: ScopeEcho,
    /// The `token_type` of token answers; none: the member is missing.
    pub token_type: Option<String>,
    /// How token answers write `expires_in`.
    pub expires_in: ExpiresIn,
    /// True if token answers carry an `id_token`: a JWT with `iss`, `sub`, `aud` and `email`, whose
    /// signature is none. No.
    pub id_token: bool,
    /// The payload of id tokens, if another one: `{id}` stands for the account's id, `{email}` and
    /// `{name}` likewise.
    pub id_token_payload: Option<String>,
    /// The status of token answers. 200.
    pub token_status: StatusCode,
    /// How a dead grant, `invalid_grant`, is told.
    pub dead_grant: Refusal,
    /// True if a client that fails to prove itself is told `invalid_grant`, as some servers do. No.
    pub hides_invalid_client: bool,
    /// While set, every token request is answered so, with `server_error`, and nothing is done.
    pub token_outage: Option<Refusal>,
    /// While set, every revocation is answered so, with `server_error`, and nothing is done.
    pub revocation_outage: Option<Refusal>,
    /// True if a consent of an account adds its tokens to the grant that lives, as servers do for a
    /// browser whose session goes on. No: each consent makes a grant of its own.
    pub one_grant_per_account: bool,
    /// True if revoking one token ends its whole grant. No: each dies separately.
    pub revocation_ends_grant: bool,
    /// True if revoking a refresh token leaves those alive that came after it. Most servers end the
    /// family.
    pub revocation_spares_family: bool,
    /// True if revoking one token ends every grant of the account, as Google does. No.
    pub revocation_ends_account: bool,
    /// What stands between scopes in the authorization request. A space.
    pub scope_separator: String,
    /// The parameter with which an authorization request adds to all that the account granted
    /// before, as at Google. None: each grant stands for itself.
    pub uniting_parameter: Option<(String, String)>,
    /// Parameters without which an authorization request is refused.
    pub required_parameters: BTreeMap<String, String>,
    /// True if an authorization request with a `scope` is refused. No.
    pub refuses_scopes: bool,
    /// The scope without which no refresh token is issued.
    pub offline_scope: Option<String>,
    /// Other names under which scopes are answered; the empty name leaves the scope out.
    pub scope_names: BTreeMap<String, String>,
    /// More members of token answers, as JSON: `{id}` stands for the account's id, `{email}` and
    /// `{name}` likewise.
    pub more_members: BTreeMap<String, String>,
    /// Parameters without which a refresh is refused.
    pub refresh_requires: Vec<String>,
    /// True if a refresh token used again within its grace period is answered with the access token
    /// of the first time and no refresh token, as Todoist does. No.
    pub reuse_repeats_access_token: bool,
    /// What a descriptor says of a server.
    pub(crate) described: Described,
}

/// How a server behaves in the words of a descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// What becomes of an old refresh token. The strictest: single use, and a replay ends the
    /// grant.
    pub rotation: RotationClass,
    /// How the client must prove itself. By [`ClientAuthentication::Post`]; any other way is
    /// refused.
    pub client_authentication: ClientAuthentication,
    /// Whether a PKCE challenge must be there, or must not.
    pub pkce: Pkce,
    /// How the client must prove itself to revoke. As at the token endpoint.
    pub revocation_authentication: RevocationAuth,
    /// Which tokens can be revoked; others are refused. All.
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
            described: Described::default(),
        }
    }
}

impl Default for Described {
    fn default() -> Self {
        Self {
            rotation: RotationClass::SingleUseRevokesFamily,
            client_authentication: ClientAuthentication::Post,
            pkce: Pkce::S256,
            revocation_authentication: RevocationAuth::SameAsToken,
            revocation_takes: RevocationTokens::Both,
        }
    }
}

impl Personality {
    /// Behaves as this descriptor says of its server, as strictly: how the client proves itself, to
    /// get tokens and to revoke them, whether a PKCE challenge must be there, what becomes of an
    /// old refresh token, what stands between scopes, which tokens can be revoked, and whether
    /// `iss` is sent. The rest stays as it is.
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
            pkce: server.pkce,
            revocation_authentication,
            revocation_takes,
        };
    }
}

/// For this crate's own tests alone: they set each of these by itself.
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

/// What a refresh answer says of a refresh token that stays the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshTokenEcho {
    /// Nothing.
    Omit,
    /// The same token again.
    Repeat,
    /// The empty string.
    Empty,
}

/// What the authorization response says of the issuer
/// ([RFC 9207](https://www.rfc-editor.org/rfc/rfc9207)).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IssuerEcho {
    /// Its identifier, in codes and in errors.
    Always,
    /// Its identifier, but not in errors.
    WithCodeOnly,
    /// Nothing.
    Never,
    /// Another identifier: what a mixed-up or hostile server would say.
    Instead(String),
}

/// How a token answer names the granted scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScopeEcho {
    /// A string with spaces, as RFC 6749 says.
    Spaces,
    /// A string with commas.
    Commas,
    /// An array of strings.
    Array,
    /// Not at all.
    Absent,
}

/// How a token answer writes `expires_in`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpiresIn {
    /// A number of seconds, as RFC 6749 says.
    Number,
    /// The number as a string.
    Text,
    /// The number with a decimal point.
    Float,
    /// Not at all.
    Absent,
    /// This piece of JSON, whatever the lifetime: `315360000`, `-1`, `1e400`, `null`.
    Literal(String),
}
