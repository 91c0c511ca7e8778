//! Dynamic registration of clients ([RFC 7591](https://www.rfc-editor.org/rfc/rfc7591)) and client
//! id metadata documents.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use crate::model::Timestamp;
use crate::protocol::json::text;
use crate::protocol::mcp::McpError;
use crate::provider::ClientAuthentication;
use crate::secret::ClientSecret;

/// The facts that a client states about itself.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct ClientMetadata<'a> {
    /// The name that the consent page shows.
    pub name: &'a str,
    /// The home page.
    pub uri: Option<&'a str>,
    /// The URI that the browser returns to.
    pub redirect_uri: &'a str,
    /// The client authentication.
    pub authentication: ClientAuthentication,
}

impl ClientMetadata<'_> {
    fn members(&self) -> Value {
        let mut members = json!({
            "client_name": self.name,
            "redirect_uris": [self.redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": method(self.authentication),
        });
        if let Some(uri) = self.uri {
            members["client_uri"] = uri.into();
        }
        members
    }

    /// Returns the body of a registration request
    /// ([RFC 7591 §3.1](https://www.rfc-editor.org/rfc/rfc7591#section-3.1)). `application_type`
    /// tells servers with the rules of OpenID Connect whether the redirect URI is one of a native
    /// app.
    #[must_use]
    pub fn registration(&self) -> Vec<u8> {
        let mut members = self.members();
        members["application_type"] = application_type(self.redirect_uri).into();
        members.to_string().into_bytes()
    }

    /// Returns the metadata document of a client whose id is this URL.
    #[must_use]
    pub fn document(&self, client_id: &str) -> Value {
        let mut members = self.members();
        members["client_id"] = client_id.into();
        members
    }
}

fn application_type(redirect_uri: &str) -> &'static str {
    let url = Url::parse(redirect_uri);
    let is_web = url.is_ok_and(|url| url.scheme() == "https");
    if is_web { "web" } else { "native" }
}

const fn method(authentication: ClientAuthentication) -> &'static str {
    match authentication {
        ClientAuthentication::Post => "client_secret_post",
        ClientAuthentication::None => "none",
        _ => "client_secret_basic",
    }
}

/// A registered client.
#[non_exhaustive]
pub struct Registered {
    /// The client id.
    pub client_id: String,
    /// The secret, if the client has one.
    pub client_secret: Option<ClientSecret>,
    /// The time when the secret expires.
    pub secret_expires_at: Option<Timestamp>,
    /// The client authentication that the server chose.
    pub authentication: ClientAuthentication,
    /// The token that manages the registration; empty if there is none.
    pub access_token: Zeroizing<String>,
    /// The URL at which it is managed.
    pub management: Option<String>,
}

/// Shows neither of the secrets.
impl std::fmt::Debug for Registered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registered")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    client_id: String,
    /// The secrets are read in place, because the parser would use buffers that are not wiped.
    #[serde(borrow)]
    client_secret: Option<&'a RawValue>,
    #[serde(default)]
    client_secret_expires_at: Option<i64>,
    token_endpoint_auth_method: Option<String>,
    redirect_uris: Option<Vec<String>>,
    #[serde(borrow)]
    registration_access_token: Option<&'a RawValue>,
    registration_client_uri: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: Option<String>,
}

/// Reads the answer to a registration request
/// ([RFC 7591 §3.2](https://www.rfc-editor.org/rfc/rfc7591#section-3.2)).
///
/// # Errors
///
/// [`McpError::RegistrationRefused`] or [`McpError::RedirectUriRefused`] if the server refuses;
/// [`McpError::Registration`] if the answer is not a usable client.
pub fn parse_registration(
    status: u16,
    body: &[u8],
    asked: &ClientMetadata<'_>,
) -> Result<Registered, McpError> {
    if !matches!(status, 200 | 201) {
        let refusal: Option<Refusal> = serde_json::from_slice(body).ok();
        let code = refusal.and_then(|refusal| refusal.error);
        return Err(match code.as_deref() {
            Some("invalid_redirect_uri") => McpError::RedirectUriRefused,
            _ => McpError::RegistrationRefused,
        });
    }
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|_| McpError::Registration)?;
    let uris = answer.redirect_uris.as_ref();
    if uris.is_some_and(|uris| !uris.iter().any(|uri| uri == asked.redirect_uri)) {
        return Err(McpError::RedirectUriRefused);
    }
    let authentication = match answer.token_endpoint_auth_method.as_deref() {
        None => asked.authentication,
        Some("client_secret_basic") => ClientAuthentication::Basic,
        Some("client_secret_post") => ClientAuthentication::Post,
        Some("none") => ClientAuthentication::None,
        Some(_) => return Err(McpError::ClientAuthentication),
    };
    let secret = answer.client_secret.and_then(text);
    let client_secret = match authentication {
        // Some servers issue a secret to a client that does not use one.
        ClientAuthentication::None => None,
        _ => Some(secret.ok_or(McpError::Registration)?),
    };
    let is_usable = |text: &str| !text.is_empty() && text.trim() == text && text.len() <= 2_048;
    if !is_usable(&answer.client_id) {
        return Err(McpError::Registration);
    }
    // Zero means that the secret does not expire.
    let seconds = answer.client_secret_expires_at.filter(|seconds| *seconds > 0);
    let expires_at = seconds.map(|seconds| Timestamp::from_unix_millis(seconds.saturating_mul(1_000)));
    Ok(Registered {
        client_id: answer.client_id,
        secret_expires_at: expires_at.filter(|_| client_secret.is_some()),
        client_secret: client_secret.map(|secret| ClientSecret::new(secret.as_str())),
        authentication,
        access_token: answer
            .registration_access_token
            .and_then(text)
            .unwrap_or_default(),
        management: answer.registration_client_uri,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: ClientMetadata<'static> = ClientMetadata {
        name: "Agent",
        uri: None,
        redirect_uri: "https://agent.example/callback",
        authentication: ClientAuthentication::Basic,
    };

    fn read(body: &Value) -> Result<Registered, McpError> {
        parse_registration(201, body.to_string().as_bytes(), &ASKED)
    }

    #[test]
    fn the_request_says_which_kind_of_application_it_is() {
        let kind = |redirect_uri| {
            let asked = ClientMetadata {
                redirect_uri,
                ..ASKED
            };
            let body: Value = serde_json::from_slice(&asked.registration()).unwrap();
            body["application_type"].as_str().unwrap().to_owned()
        };
        assert_eq!(kind("https://agent.example/callback"), "web");
        assert_eq!(kind("http://127.0.0.1/callback"), "native");
        assert_eq!(kind("com.example.agent:/callback"), "native");
        let document = ASKED.document("https://agent.example/client.json");
        assert_eq!(document["client_id"], "https://agent.example/client.json");
        assert_eq!(document["redirect_uris"][0], ASKED.redirect_uri);
    }

    #[test]
    fn a_registration_is_read() {
        let registered = read(&json!({
            "client_id": "c1",
            "client_secret": "s1",
            "client_secret_expires_at": 1_900_000_000,
            "token_endpoint_auth_method": "client_secret_post",
            "redirect_uris": [ASKED.redirect_uri],
            "registration_access_token": "r1",
            "registration_client_uri": "https://as.example/register/c1",
        }))
        .unwrap();
        assert_eq!(registered.client_id, "c1");
        assert_eq!(registered.client_secret.unwrap().expose_secret(), "s1");
        assert_eq!(registered.authentication, ClientAuthentication::Post);
        let expires_at = registered.secret_expires_at.unwrap();
        assert_eq!(expires_at, Timestamp::from_unix_millis(1_900_000_000_000));
        assert_eq!(registered.access_token.as_str(), "r1");
        let public = read(&json!({
            "client_id": "c1", "client_secret": "unused", "token_endpoint_auth_method": "none"
        }))
        .unwrap();
        assert!(public.client_secret.is_none());
        let lasting = read(&json!({"client_id": "c1", "client_secret": "s", "client_secret_expires_at": 0}));
        assert_eq!(lasting.unwrap().secret_expires_at, None);
    }

    #[test]
    fn refusals_and_unusable_answers_are_named() {
        for (status, body, problem) in [
            (
                400,
                r#"{"error": "invalid_redirect_uri"}"#,
                McpError::RedirectUriRefused,
            ),
            (
                400,
                r#"{"error": "invalid_client_metadata"}"#,
                McpError::RegistrationRefused,
            ),
            (403, "<html>", McpError::RegistrationRefused),
            (500, "", McpError::RegistrationRefused),
            (201, "", McpError::Registration),
            (201, "{}", McpError::Registration),
            (201, r#"{"client_id": "c1"}"#, McpError::Registration),
            (
                201,
                r#"{"client_id": "", "client_secret": "s"}"#,
                McpError::Registration,
            ),
            (
                201,
                r#"{"client_id": " c1", "client_secret": "s"}"#,
                McpError::Registration,
            ),
            (
                201,
                r#"{"client_id": "c1", "client_secret": "s", "redirect_uris": ["https://evil.example"]}"#,
                McpError::RedirectUriRefused,
            ),
            (
                201,
                r#"{"client_id": "c1", "token_endpoint_auth_method": "tls_client_auth"}"#,
                McpError::ClientAuthentication,
            ),
        ] {
            let found = parse_registration(status, body.as_bytes(), &ASKED);
            assert_eq!(found.map(drop), Err(problem), "{status} {body}");
        }
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let registered = read(&json!({
            "client_id": "c1", "client_secret": "m4rker-secret", "registration_access_token": "m4rker-token"
        }));
        assert!(!format!("{:?}", registered.unwrap()).contains("m4rker"));
    }
}
