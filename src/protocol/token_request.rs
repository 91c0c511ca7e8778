//! Sends codes and refresh tokens to the token endpoint
//! ([RFC 6749 §4.1.3](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3),
//! [§6](https://www.rfc-editor.org/rfc/rfc6749#section-6)).

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Uri};
use url::Url;
use zeroize::Zeroizing;

use crate::http::{Body, HttpRequest, is_clean};
use crate::model::{Parameters, Scopes, Timestamp};
use crate::protocol::client_assertion;
use crate::protocol::client_auth::{Encoding, basic};
use crate::protocol::form::{Fields, pairs};
use crate::protocol::request_error::RequestError;
use crate::provider::compiled::{AddedParameters, CompiledServer};
use crate::provider::value::AddedValue;
use crate::provider::{BodyFormat, ClientAuthentication, ClientRegistration, Pkce};
use crate::random;
use crate::secret::{AuthorizationCode, PkceVerifier, RefreshToken, State};

/// The host's client at the token endpoint of a server.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct TokenClient<'a> {
    /// The server.
    pub server: &'a CompiledServer,
    /// The host's registration there.
    pub registration: &'a ClientRegistration,
    /// The values of the connection.
    pub parameters: &'a Parameters,
    /// The time, for assertions.
    pub now: Timestamp,
}

/// The only parameter of a token request whose value a descriptor may replace.
const GRANT_TYPE: &str = "grant_type";

/// The values of placeholders in added parameters and headers, in addition to those of the
/// registration.
#[derive(Clone, Copy, Default)]
struct Known<'a> {
    granted: Option<&'a Scopes>,
    redirect_uri: Option<&'a str>,
    state: Option<&'a State>,
}

impl TokenClient<'_> {
    /// Returns the request that exchanges a code
    /// ([RFC 6749 §4.1.3](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3)).
    ///
    /// `redirect_uri` is sent byte for byte; the verifier is sent if the server supports PKCE.
    /// `state` is the value of `{state}` in the descriptor's `token_parameters`: a few servers
    /// require it again.
    ///
    /// # Errors
    ///
    /// [`RequestError`] if the endpoint or the registration cannot be used.
    ///
    /// # Security
    ///
    /// A code is valid for one exchange: send the request once, whatever its outcome. `endpoint`
    /// must be the one that was recorded when the consent started, never a newer one.
    pub fn code_request(
        &self,
        endpoint: &Url,
        code: &AuthorizationCode,
        redirect_uri: &str,
        verifier: Option<&PkceVerifier>,
        state: Option<&State>,
    ) -> Result<HttpRequest, RequestError> {
        if Url::parse(redirect_uri).is_err() {
            return Err(RequestError::RedirectUri);
        }
        let added = self.server.added_to_exchange();
        let grant_type = self.grant_type(added);
        let mut fields = Fields::new();
        fields.lend(
            GRANT_TYPE,
            grant_type
                .as_ref()
                .map_or("authorization_code", |grant_type| grant_type.as_str()),
        );
        fields.lend("code", code.expose_secret());
        if let (Pkce::S256, Some(verifier)) = (self.server.pkce, verifier) {
            fields.lend("code_verifier", verifier.expose_secret());
        }
        self.name_the_client(endpoint, &mut fields)?;
        fields.lend("redirect_uri", redirect_uri);
        let known = Known {
            state,
            ..Known::default()
        };
        self.add(&mut fields, added, known);
        self.request(endpoint, fields, redirect_uri)
    }

    /// Returns the request that exchanges a refresh token
    /// ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)).
    ///
    /// No `scope` is sent unless the descriptor's `refresh_parameters` contain it, because some
    /// servers make a narrower scope permanent. `granted` are the scopes that `{scope}` stands for
    /// there.
    ///
    /// # Errors
    ///
    /// [`RequestError`] if the endpoint or the registration cannot be used.
    ///
    /// # Security
    ///
    /// A refresh token may be valid for a single use, and a second use may end the grant: send the
    /// request once, to the server that issued the token.
    pub fn refresh_request(
        &self,
        endpoint: &Url,
        refresh_token: &RefreshToken,
        granted: &Scopes,
    ) -> Result<HttpRequest, RequestError> {
        let added = self.server.added_to_refresh();
        let described = self.grant_type(added);
        let grant_type = self.server.refresh_grant_type.as_deref();
        let grant_type = grant_type.or_else(|| described.as_ref().map(|described| described.as_str()));
        let mut fields = Fields::new();
        fields.lend(GRANT_TYPE, grant_type.unwrap_or("refresh_token"));
        fields.lend("refresh_token", refresh_token.expose_secret());
        self.name_the_client(endpoint, &mut fields)?;
        let known = Known {
            granted: Some(granted),
            ..Known::default()
        };
        self.add(&mut fields, added, known);
        self.request(endpoint, fields, &self.registration.redirect_uri)
    }

    /// Adds `client_id`, and `client_secret` or an assertion if one is sent in the body
    /// ([RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)).
    fn name_the_client<'f>(&'f self, endpoint: &Url, fields: &mut Fields<'f>) -> Result<(), RequestError> {
        fields.lend("client_id", &self.registration.client_id);
        if self.server.client_authentication == ClientAuthentication::Post {
            let secret = self.registration.client_secret.as_ref();
            let secret = secret.ok_or(RequestError::ClientSecret)?;
            fields.lend("client_secret", secret.expose_secret());
        }
        if self.server.client_authentication == ClientAuthentication::PrivateKeyJwt {
            client_assertion::add(fields, self.server, self.registration, endpoint, self.now)?;
        }
        Ok(())
    }

    /// Adds the descriptor's parameters.
    fn add<'f>(&'f self, fields: &mut Fields<'f>, parameters: &'f AddedParameters, known: Known<'_>) {
        for (name, value) in parameters {
            if name != GRANT_TYPE
                && let Some(value) = self.value(value, known)
            {
                fields.give(name, value);
            }
        }
        for resource in &self.server.resources {
            fields.lend("resource", resource);
        }
    }

    /// Returns the descriptor's replacement for the standard `grant_type`.
    fn grant_type(&self, added: &AddedParameters) -> Option<Zeroizing<String>> {
        added
            .get(GRANT_TYPE)
            .and_then(|value| self.value(value, Known::default()))
    }

    /// Returns the value of an added parameter or header, with the known values of this request
    /// filled in. `None` if it is empty or not known.
    fn value(&self, value: &AddedValue, known: Known<'_>) -> Option<Zeroizing<String>> {
        let redirect_uri = known.redirect_uri.unwrap_or(&self.registration.redirect_uri);
        let filled = value.fill(self.parameters, |name| match name {
            "client_id" => Some(self.registration.client_id.clone()),
            "redirect_uri" => Some(redirect_uri.to_owned()),
            "scope" => known
                .granted
                .map(|scopes| scopes.join(&self.server.scope_separator)),
            "state" => known.state.map(|state| state.expose_secret().to_owned()),
            "random" => random::token_256().ok().map(|random| random.as_str().to_owned()),
            _ => None,
        });
        filled.filter(|text| !text.is_empty())
    }

    /// Builds the request from these fields, with the names and in the format that this server
    /// requires.
    fn request<'f>(
        &'f self,
        endpoint: &Url,
        mut fields: Fields<'f>,
        redirect_uri: &str,
    ) -> Result<HttpRequest, RequestError> {
        if !is_clean(endpoint) {
            return Err(RequestError::Endpoint);
        }
        if Uri::try_from(endpoint.as_str()).is_err() {
            return Err(RequestError::Target);
        }
        let keeps_id = match self.server.client_authentication {
            ClientAuthentication::BasicWithClientId => true,
            _ => self.encoding().is_none(),
        };
        fields.rename(|name| match self.server.token_renames.get(name) {
            // Omitted, or replaced by an added parameter.
            Some(new) if new.is_empty() => None,
            Some(new) => Some(new),
            None if !keeps_id && name == "client_id" => None,
            None => Some(name),
        });
        let (media_type, body) = match self.server.body_format {
            BodyFormat::Form => ("application/x-www-form-urlencoded", Body::from(fields)),
            BodyFormat::Json => ("application/json", fields.to_json()),
        };
        let mut endpoint = endpoint.clone();
        let known = Known {
            redirect_uri: Some(redirect_uri),
            ..Known::default()
        };
        for (name, value) in self.server.added_to_token_query() {
            if let Some(value) = self.value(value, known) {
                endpoint.query_pairs_mut().append_pair(name, &value);
            }
        }
        let mut request = HttpRequest::new(Method::POST, endpoint)
            .with_header(ACCEPT, HeaderValue::from_static("application/json"))
            .with_header(CONTENT_TYPE, HeaderValue::from_static(media_type))
            .with_body(body);
        for (name, value) in self.server.added_token_headers() {
            if let Some(value) = self.value(value, Known::default()) {
                let value = HeaderValue::from_str(&value).map_err(|_| RequestError::Header)?;
                request = request.with_header(name.clone(), value);
            }
        }
        self.with_basic(request)
    }

    /// Returns a token request with these fields and the authentication of the client.
    pub(super) fn send_fields<'f>(
        &'f self,
        endpoint: &Url,
        mut fields: Fields<'f>,
    ) -> Result<HttpRequest, RequestError> {
        self.name_the_client(endpoint, &mut fields)?;
        self.request(endpoint, fields, &self.registration.redirect_uri)
    }

    /// Returns the request that pushes an authorization request
    /// ([RFC 9126 §2.1](https://www.rfc-editor.org/rfc/rfc9126#section-2.1)): the parameters of its
    /// URL, with the authentication of the client.
    ///
    /// # Errors
    ///
    /// [`RequestError`] if the endpoint or the registration cannot be used.
    pub fn pushed_request(&self, endpoint: &Url, authorization: &Url) -> Result<HttpRequest, RequestError> {
        if !is_clean(endpoint) {
            return Err(RequestError::Endpoint);
        }
        let pushed: Vec<_> = pairs(authorization.query().unwrap_or_default().as_bytes()).collect();
        let mut fields = Fields::new();
        for (name, value) in pushed.iter().filter(|(name, _)| name.as_str() != "client_id") {
            fields.lend(name, value);
        }
        self.name_the_client(endpoint, &mut fields)?;
        let request = HttpRequest::new(Method::POST, endpoint.clone())
            .with_header(ACCEPT, HeaderValue::from_static("application/json"))
            .with_header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            )
            .with_body(fields);
        self.with_basic(request)
    }

    /// Adds the client's credentials to the header, if this server expects them there.
    fn with_basic(&self, request: HttpRequest) -> Result<HttpRequest, RequestError> {
        let Some(encoding) = self.encoding() else {
            return Ok(request);
        };
        let secret = self.registration.client_secret.as_ref();
        let secret = secret.ok_or(RequestError::ClientSecret)?;
        let header = basic(&self.registration.client_id, secret, encoding);
        request
            .with_secret_header(AUTHORIZATION, header)
            .map_err(|_| RequestError::Header)
    }

    /// Returns the encoding of credentials in the header; `None` if there are none.
    fn encoding(&self) -> Option<Encoding> {
        match self.server.client_authentication {
            ClientAuthentication::Post | ClientAuthentication::None | ClientAuthentication::PrivateKeyJwt => {
                None
            }
            ClientAuthentication::SecretAsUser => Some(Encoding::SecretAsUser),
            ClientAuthentication::Basic | ClientAuthentication::BasicWithClientId => Some(Encoding::Form),
            ClientAuthentication::BasicUnencoded => Some(Encoding::Plain),
        }
    }
}

#[cfg(test)]
mod tests;
