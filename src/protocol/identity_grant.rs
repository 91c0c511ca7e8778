//! Access by an identity of the user's organization, without a consent page: the enterprise's
//! identity provider issues an assertion for another authorization server ([RFC
//! 8693](https://www.rfc-editor.org/rfc/rfc8693)), which exchanges it for a token ([RFC 7523
//! §2.1](https://www.rfc-editor.org/rfc/rfc7523#section-2.1)), as the [Identity Assertion JWT
//! Authorization
//! Grant](https://datatracker.ietf.org/doc/draft-ietf-oauth-identity-assertion-authz-grant/)
//! defines it.

use url::Url;

use crate::http::{HttpRequest, HttpResponse};
use crate::model::{FailureCode, Scopes};
use crate::protocol::form::Fields;
use crate::protocol::json;
use crate::protocol::request_error::RequestError;
use crate::protocol::token_error::{TokenFailure, classify};
use crate::protocol::token_request::TokenClient;
use crate::provider::ServerDescriptor;
use crate::secret::IdentityAssertion;

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// The maximum length of an assertion, in bytes.
const MAX_ASSERTION: usize = 64 * 1024;

/// The authorization server for which an identity provider issues an assertion.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The server's issuer identifier.
    pub(crate) issuer: &'a str,
    /// The resources that the access token is for.
    pub(crate) resources: &'a [String],
    /// The requested scopes, separated as the server requires.
    pub(crate) scopes: &'a str,
}

impl TokenClient<'_> {
    /// Returns the request to the identity provider: exchanges the user's ID token for an assertion
    /// for the target ([RFC 8693 §2.1](https://www.rfc-editor.org/rfc/rfc8693#section-2.1)).
    ///
    /// # Errors
    ///
    /// [`RequestError`] if the endpoint or the registration cannot be used.
    pub(crate) fn identity_request<'a>(
        &'a self,
        endpoint: &Url,
        id_token: &'a str,
        target: Target<'a>,
    ) -> Result<HttpRequest, RequestError> {
        let mut fields = Fields::new();
        fields.lend("grant_type", TOKEN_EXCHANGE);
        fields.lend("requested_token_type", ID_JAG);
        fields.lend("audience", target.issuer);
        for resource in target.resources {
            fields.lend("resource", resource);
        }
        if !target.scopes.is_empty() {
            fields.lend("scope", target.scopes);
        }
        fields.lend("subject_token", id_token);
        fields.lend("subject_token_type", ID_TOKEN);
        self.send_fields(endpoint, fields)
    }

    /// Returns the request to the authorization server: exchanges the assertion for an access token
    /// ([RFC 7523 §2.1](https://www.rfc-editor.org/rfc/rfc7523#section-2.1)).
    ///
    /// # Errors
    ///
    /// [`RequestError`] if the endpoint or the registration cannot be used.
    pub(crate) fn assertion_request(
        &self,
        endpoint: &Url,
        assertion: &IdentityAssertion,
        scopes: &Scopes,
    ) -> Result<HttpRequest, RequestError> {
        let scopes = scopes.join(&self.server.scope_separator);
        let mut fields = Fields::new();
        fields.lend("grant_type", JWT_BEARER);
        fields.lend("assertion", assertion.expose_secret());
        if !scopes.is_empty() {
            fields.lend("scope", &scopes);
        }
        for resource in &self.server.resources {
            fields.lend("resource", resource);
        }
        self.send_fields(endpoint, fields)
    }
}

/// Reads the answer of the identity provider
/// ([RFC 8693 §2.2.1](https://www.rfc-editor.org/rfc/rfc8693#section-2.2.1)).
///
/// # Errors
///
/// [`TokenFailure`] if the server refused, or if its answer contains no assertion of the requested
/// type.
pub(crate) fn parse_identity(
    server: &ServerDescriptor,
    response: &HttpResponse,
) -> Result<IdentityAssertion, TokenFailure> {
    if !response.status.is_success() {
        return Err(classify(server, response));
    }
    let body = response.body.as_bytes();
    let issued_type = json::text_of(body, "issued_token_type");
    let is_requested = issued_type.is_some_and(|issued| issued.as_str() == ID_JAG);
    json::text_of(body, "access_token")
        .filter(|assertion| is_requested && assertion.len() <= MAX_ASSERTION)
        .map(|mut assertion| IdentityAssertion::new(std::mem::take(&mut *assertion)))
        .ok_or_else(|| TokenFailure::new(FailureCode::UnreadableAnswer))
}
