//! Codes and refresh tokens on their way to the token endpoint
//! ([RFC 6749 §4.1.3](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3),
//! [§6](https://www.rfc-editor.org/rfc/rfc6749#section-6)).

use std::borrow::Cow;
use std::fmt;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, Response};
use oauth2::basic::BasicClient;
use oauth2::{AuthType, ClientId, EndpointNotSet, EndpointSet, RedirectUrl, RequestTokenError, TokenUrl};
use url::Url;
use zeroize::{Zeroize as _, Zeroizing};

use crate::http::{Body, HttpRequest, is_clean};
use crate::model::Scopes;
use crate::protocol::client_auth::{Encoding, basic};
use crate::protocol::form::{Form, pairs};
use crate::provider::value::filled;
use crate::provider::{AuthorizationServer, BodyFormat, ClientAuthentication, ClientRegistration, Pkce};
use crate::random;
use crate::secret::{AuthorizationCode, PkceVerifier, RefreshToken};

/// Why a request cannot be made. Nothing was sent. The operator's to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The endpoint is not https (or http to a loopback address), or has a user or a fragment.
    #[error("the endpoint is not an https URL without user and fragment")]
    Endpoint,
    /// The redirect URI is no URL.
    #[error("the redirect URI is not a URL")]
    RedirectUri,
    /// The server wants a client secret and the registration has none.
    #[error("the registration has no client secret")]
    ClientSecret,
    /// The credential has a character that no header may have.
    #[error("the credential cannot be put into a header")]
    Header,
    /// The endpoint cannot be written as an HTTP request target.
    #[error("the endpoint cannot be put into a request")]
    Target,
}

/// The host's client, as it speaks to the token endpoint of a server.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "two references")]
pub struct TokenClient<'a> {
    /// The server.
    pub server: &'a AuthorizationServer,
    /// The host's registration there.
    pub registration: &'a ClientRegistration,
}

/// `oauth2` builds requests, and sends them by a function: this one refuses, and hands out the body, which is all
/// that is not known without it.
struct Prepared(Body);

impl Prepared {
    #[allow(
        clippy::unnecessary_wraps,
        reason = "the function that `oauth2` calls to send"
    )]
    fn refuse(request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Self> {
        Err(Self(Body::from(request.into_body())))
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prepared")
    }
}

impl fmt::Display for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request is prepared")
    }
}

impl std::error::Error for Prepared {}

type Client = BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

// What `oauth2` leaves unwiped: the string in its code, verifier and client secret, and the earlier, shorter
// buffers of the body as it grew. Its refresh token is taken back and wiped, its finished body is taken over. With
// Basic it is never given the client secret: the header is built here.
impl TokenClient<'_> {
    /// The request that exchanges a code ([RFC 6749 §4.1.3](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3)).
    ///
    /// `redirect_uri` is sent byte for byte; the verifier is sent if the server takes PKCE.
    ///
    /// # Errors
    ///
    /// [`RequestError`] if the endpoint or the registration cannot be used.
    ///
    /// # Security
    ///
    /// A code is good for one exchange: send the request once, whatever becomes of it. `endpoint` must be the one
    /// that was recorded when the consent began, never a newer one.
    pub fn code_request(
        &self,
        endpoint: &Url,
        code: &AuthorizationCode,
        redirect_uri: &str,
        verifier: Option<&PkceVerifier>,
    ) -> Result<HttpRequest, RequestError> {
        let redirect_uri_text = redirect_uri;
        let redirect_uri =
            RedirectUrl::new(redirect_uri.to_owned()).map_err(|_| RequestError::RedirectUri)?;
        let client = self.client(endpoint)?;
        let mut request = client
            .exchange_code(oauth2::AuthorizationCode::new(code.expose_secret().to_owned()))
            .set_redirect_uri(Cow::Owned(redirect_uri));
        if let (Pkce::S256, Some(verifier)) = (self.server.pkce, verifier) {
            let verifier = oauth2::PkceCodeVerifier::new(verifier.expose_secret().to_owned());
            request = request.set_pkce_verifier(verifier);
        }
        for (name, value) in &self.server.token_parameters {
            let value = self.value(value, None);
            if !value.is_empty() {
                request = request.add_extra_param(name, value);
            }
        }
        for resource in &self.server.resources {
            request = request.add_extra_param("resource", resource);
        }
        let body = taken(request.request(&Prepared::refuse))?;
        self.finish(endpoint, body, redirect_uri_text, None)
    }

    /// The request that exchanges a refresh token ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)).
    ///
    /// No `scope` is sent unless the descriptor's `refresh_parameters` have it: at some servers a narrower
    /// one lasts. `granted` are the scopes that `{scope}` stands for there.
    ///
    /// # Errors
    ///
    /// [`RequestError`] if the endpoint or the registration cannot be used.
    ///
    /// # Security
    ///
    /// A refresh token may be good for a single use, and used twice it may end the grant: send the request once,
    /// to the server that issued the token.
    pub fn refresh_request(
        &self,
        endpoint: &Url,
        refresh_token: &RefreshToken,
        granted: &Scopes,
    ) -> Result<HttpRequest, RequestError> {
        let client = self.client(endpoint)?;
        let refresh_token = oauth2::RefreshToken::new(refresh_token.expose_secret().to_owned());
        let mut request = client.exchange_refresh_token(&refresh_token);
        for (name, value) in &self.server.refresh_parameters {
            let value = self.value(value, Some(granted));
            if !value.is_empty() {
                request = request.add_extra_param(name, value);
            }
        }
        for resource in &self.server.resources {
            request = request.add_extra_param("resource", resource);
        }
        let body = taken(request.request(&Prepared::refuse));
        refresh_token.into_secret().zeroize();
        let grant_type = self.server.refresh_grant_type.as_deref();
        self.finish(endpoint, body?, &self.registration.redirect_uri, grant_type)
    }

    /// The value of an added parameter or header, with what is known of this request in it.
    fn value(&self, value: &str, granted: Option<&Scopes>) -> String {
        filled(value, |name| match name {
            "client_id" => Some(self.registration.client_id.clone()),
            "redirect_uri" => Some(self.registration.redirect_uri.clone()),
            "scope" => granted.map(|scopes| scopes.join(&self.server.scope_separator)),
            "random" => random::token_256().ok().map(|random| random.as_str().to_owned()),
            _ => None,
        })
    }

    fn client(&self, endpoint: &Url) -> Result<Client, RequestError> {
        if !is_clean(endpoint) {
            return Err(RequestError::Endpoint);
        }
        let mut client = BasicClient::new(ClientId::new(self.registration.client_id.clone()))
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(TokenUrl::from_url(endpoint.clone()));
        if self.server.client_authentication == ClientAuthentication::Post {
            let secret = self.registration.client_secret.as_ref();
            let secret = secret.ok_or(RequestError::ClientSecret)?;
            client = client.set_client_secret(oauth2::ClientSecret::new(secret.expose_secret().to_owned()));
        }
        Ok(client)
    }

    /// Takes the body that `oauth2` wrote, with `client_id` in it, to what the server wants.
    fn finish(
        &self,
        endpoint: &Url,
        body: Body,
        redirect_uri: &str,
        grant_type: Option<&str>,
    ) -> Result<HttpRequest, RequestError> {
        let (encoding, keeps_id) = match self.server.client_authentication {
            ClientAuthentication::Post | ClientAuthentication::None => (None, true),
            ClientAuthentication::SecretAsUser => (Some(Encoding::SecretAsUser), false),
            ClientAuthentication::Basic => (Some(Encoding::Form), false),
            ClientAuthentication::BasicUnencoded => (Some(Encoding::Plain), false),
            ClientAuthentication::BasicWithClientId => (Some(Encoding::Form), true),
        };
        let renames = &self.server.token_renames;
        // The name by which this server knows a parameter; none where it is left out, or replaced by one added below.
        let named = |name: String| match renames.get(&name) {
            Some(new) if new.is_empty() => None,
            Some(new) => Some(new.clone()),
            None if !keeps_id && name == "client_id" => None,
            None => Some(name),
        };
        let renamed = |(name, value): (String, Zeroizing<String>)| {
            let value = match grant_type {
                Some(grant_type) if name == "grant_type" => Zeroizing::new(grant_type.to_owned()),
                _ => value,
            };
            Some((named(name)?, value))
        };
        let (media_type, body) = match self.server.body_format {
            BodyFormat::Form if keeps_id && renames.is_empty() && grant_type.is_none() => {
                ("application/x-www-form-urlencoded", body)
            }
            BodyFormat::Form => {
                let mut form = Form::new();
                for (name, value) in pairs(body.as_bytes()).filter_map(renamed) {
                    form.push(&name, &value);
                }
                ("application/x-www-form-urlencoded", form.into_body())
            }
            BodyFormat::Json => (
                "application/json",
                json(pairs(body.as_bytes()).filter_map(renamed), body.len() + 256),
            ),
        };
        let mut endpoint = endpoint.clone();
        for (name, value) in &self.server.token_query {
            let value = match value.as_str() {
                "{redirect_uri}" => redirect_uri.to_owned(),
                value => self.value(value, None),
            };
            endpoint.query_pairs_mut().append_pair(name, &value);
        }
        let mut request = HttpRequest::new(Method::POST, endpoint)
            .with_header(ACCEPT, HeaderValue::from_static("application/json"))
            .with_header(CONTENT_TYPE, HeaderValue::from_static(media_type))
            .with_body(body);
        for (name, value) in &self.server.token_headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| RequestError::Header)?;
            let value = HeaderValue::from_str(&self.value(value, None)).map_err(|_| RequestError::Header)?;
            request = request.with_header(name, value);
        }
        if let Some(encoding) = encoding {
            let secret = self.registration.client_secret.as_ref();
            let secret = secret.ok_or(RequestError::ClientSecret)?;
            let header = basic(&self.registration.client_id, secret, encoding);
            request = request
                .with_secret_header(AUTHORIZATION, header)
                .map_err(|_| RequestError::Header)?;
        }
        Ok(request)
    }
}

/// The body of the request that `oauth2` was about to send.
fn taken<T, E>(sent: Result<T, RequestTokenError<Prepared, E>>) -> Result<Body, RequestError>
where
    E: oauth2::ErrorResponse,
{
    match sent {
        Err(RequestTokenError::Request(Prepared(body))) => Ok(body),
        Ok(_) | Err(_) => Err(RequestError::Target),
    }
}

/// A flat object of strings.
fn json(pairs: impl Iterator<Item = (String, Zeroizing<String>)>, form_len: usize) -> Body {
    // Six bytes for each is the most that escaping makes of one, and the form is no shorter than its values: with
    // this room nothing moves.
    let mut body = Zeroizing::new(Vec::with_capacity(6 * form_len + 2));
    body.push(b'{');
    for (name, value) in pairs {
        if body.len() > 1 {
            body.push(b',');
        }
        for (text, end) in [(name.as_str(), b':'), (value.as_str(), 0)] {
            // A string cannot fail to be written into a vector.
            drop(serde_json::to_writer(&mut *body, text));
            if end != 0 {
                body.push(end);
            }
        }
    }
    body.push(b'}');
    Body::from(std::mem::take(&mut *body))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::ServerId;

    fn server(authentication: ClientAuthentication) -> AuthorizationServer {
        let id = ServerId::new("as").unwrap();
        let mut server = AuthorizationServer::new(id, "https://as.test/a", "https://as.test/t");
        server.client_authentication = authentication;
        server
    }

    fn registration() -> ClientRegistration {
        ClientRegistration::new("client", "a:b%c+d é", "https://App.test:443/cb?x=%41")
    }

    fn endpoint() -> Url {
        Url::parse("https://as.test/t?p=1").unwrap()
    }

    /// The form as a map; a name that comes twice fails the test.
    fn form(request: &HttpRequest) -> BTreeMap<String, String> {
        let mut map = BTreeMap::new();
        for (name, value) in pairs(request.body.as_bytes()) {
            assert!(map.insert(name.clone(), value.to_string()).is_none(), "{name}");
        }
        map
    }

    fn code_request(server: &AuthorizationServer, registration: &ClientRegistration) -> HttpRequest {
        TokenClient { server, registration }
            .code_request(
                &endpoint(),
                &AuthorizationCode::new("c/1 +"),
                registration.redirect_uri(),
                Some(&PkceVerifier::new("verifier")),
            )
            .unwrap()
    }

    #[test]
    fn each_way_of_authentication_is_the_only_one() {
        use ClientAuthentication::{Basic, BasicUnencoded, BasicWithClientId, None, Post};
        let form_basic = Some("Basic Y2xpZW50OmElM0FiJTI1YyUyQmQrJUMzJUE5");
        let plain_basic = Some("Basic Y2xpZW50OmE6YiVjK2Qgw6k=");
        for (authentication, header, id, secret) in [
            (Post, Option::None, true, true),
            (None, Option::None, true, false),
            (Basic, form_basic, false, false),
            (BasicUnencoded, plain_basic, false, false),
            (BasicWithClientId, form_basic, true, false),
        ] {
            let server = server(authentication);
            let registration = registration();
            let client = TokenClient {
                server: &server,
                registration: &registration,
            };
            let refresh = client
                .refresh_request(&endpoint(), &RefreshToken::new("r"), &Scopes::default())
                .unwrap();
            for request in [code_request(&server, &registration), refresh] {
                let found = request.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
                assert_eq!(found, header.map(str::as_bytes), "{authentication:?}");
                let form = form(&request);
                assert_eq!(form.get("client_id").map(String::as_str), id.then_some("client"));
                assert_eq!(
                    form.get("client_secret").map(String::as_str),
                    secret.then_some("a:b%c+d é")
                );
                assert!(
                    !request.url.as_str().contains("client"),
                    "credentials stay out of URLs"
                );
            }
        }
    }

    #[test]
    fn the_code_goes_with_the_very_redirect_uri_and_the_verifier() {
        let mut server = server(ClientAuthentication::Post);
        server.token_parameters.insert("audience".into(), "api".into());
        let request = code_request(&server, &registration());
        assert_eq!(
            (request.method.as_str(), request.url.as_str()),
            ("POST", "https://as.test/t?p=1")
        );
        assert_eq!(request.headers[ACCEPT], "application/json");
        assert_eq!(request.headers[CONTENT_TYPE], "application/x-www-form-urlencoded");
        let found = form(&request);
        let expected = [
            ("audience", "api"),
            ("client_id", "client"),
            ("client_secret", "a:b%c+d é"),
            ("code", "c/1 +"),
            ("code_verifier", "verifier"),
            ("grant_type", "authorization_code"),
            ("redirect_uri", "https://App.test:443/cb?x=%41"),
        ];
        assert_eq!(
            found,
            expected.map(|(name, value)| (name.into(), value.into())).into()
        );

        server.pkce = Pkce::Refused;
        assert!(!form(&code_request(&server, &registration())).contains_key("code_verifier"));
    }

    #[test]
    fn scope_is_sent_at_refresh_only_where_the_descriptor_says() {
        let mut server = server(ClientAuthentication::Post);
        let registration = registration();
        let scopes: Scopes = "b a".parse().unwrap();
        let refresh = |server: &AuthorizationServer, scopes: &Scopes| {
            let client = TokenClient {
                server,
                registration: &registration,
            };
            form(
                &client
                    .refresh_request(&endpoint(), &RefreshToken::new("r"), scopes)
                    .unwrap(),
            )
        };
        let plain = refresh(&server, &scopes);
        assert_eq!(plain["grant_type"], "refresh_token");
        assert_eq!(plain["refresh_token"], "r");
        assert_eq!(plain.len(), 4, "with the client's id and secret");

        server.refresh_parameters.insert("scope".into(), "{scope}".into());
        server
            .refresh_parameters
            .insert("redirect_uri".into(), "{redirect_uri}".into());
        let found = refresh(&server, &scopes);
        assert_eq!(found["scope"], "a b");
        assert_eq!(found["redirect_uri"], "https://App.test:443/cb?x=%41");
        assert!(!refresh(&server, &Scopes::default()).contains_key("scope"));
    }

    #[test]
    fn a_json_server_gets_the_same_pairs_as_an_object() {
        let mut server = server(ClientAuthentication::Basic);
        server.body_format = BodyFormat::Json;
        let request = code_request(&server, &registration());
        assert_eq!(request.headers[CONTENT_TYPE], "application/json");
        let body: BTreeMap<String, String> = serde_json::from_slice(request.body.as_bytes()).unwrap();
        assert_eq!(body["code"], "c/1 +");
        assert_eq!(body["redirect_uri"], "https://App.test:443/cb?x=%41");
        assert!(!body.contains_key("client_id") && !body.contains_key("client_secret"));
    }

    #[test]
    fn what_cannot_be_sent_safely_is_not_made() {
        let registration = ClientRegistration::public("client", "https://app.test/cb");
        for (authentication, url, error) in [
            (
                ClientAuthentication::None,
                "http://as.test/t",
                RequestError::Endpoint,
            ),
            (
                ClientAuthentication::None,
                "https://u@as.test/t",
                RequestError::Endpoint,
            ),
            (
                ClientAuthentication::None,
                "https://as.test/t#f",
                RequestError::Endpoint,
            ),
            (
                ClientAuthentication::Post,
                "https://as.test/t",
                RequestError::ClientSecret,
            ),
            (
                ClientAuthentication::Basic,
                "https://as.test/t",
                RequestError::ClientSecret,
            ),
        ] {
            let server = server(authentication);
            let client = TokenClient {
                server: &server,
                registration: &registration,
            };
            let token = RefreshToken::new("r");
            let found = client.refresh_request(&Url::parse(url).unwrap(), &token, &Scopes::default());
            assert_eq!(found.unwrap_err(), error, "{url}");
        }
    }
}
