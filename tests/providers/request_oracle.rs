//! Compares the requests with those of another implementation, the `oauth2` crate: authorization,
//! code, refresh, revocation, PKCE.
//!
//! The library does not send requests with that crate, because it copies secrets into memory that
//! it does not wipe.

use std::collections::BTreeMap;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, AuthUrl, ClientId, ClientSecret, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, RevocationUrl, Scope, StandardRevocableToken, TokenUrl,
};
use proptest::prelude::*;
use url::{Url, form_urlencoded};
use valetkey::http::HttpRequest;
use valetkey::internals::protocol::{
    AuthorizationRequest, Hints, Revocable, TokenClient, revocation_requests,
};
use valetkey::internals::provider::{ClientAuthentication, Revocation, RevocationAuth, RevocationTokens};
use valetkey::internals::provider::{CompiledProvider, CompiledServer};
use valetkey::internals::secret::{AuthorizationCode, PkceVerifier, RefreshToken, State};
use valetkey::model::{Parameters, ProviderId, Scopes, ServerId, Timestamp};
use valetkey::provider::{AuthorizationServer, ClientRegistration, Provider};

const REDIRECT: &str = "https://app.test/callback?x=%41";
const AUTHORIZATION_ENDPOINT: &str = "https://as.test/authorize";
const TOKEN_ENDPOINT: &str = "https://as.test/token";
const REVOCATION_ENDPOINT: &str = "https://as.test/revoke";
static NO_VALUES: Parameters = Parameters::new();

/// The request that the other implementation was about to send.
#[derive(Debug, thiserror::Error)]
#[error("not sent")]
struct Prepared(oauth2::HttpRequest);

#[allow(clippy::result_large_err, reason = "the request is the error")]
fn keep(request: oauth2::HttpRequest) -> Result<oauth2::HttpResponse, Prepared> {
    Err(Prepared(request))
}

fn prepared<T, E: oauth2::ErrorResponse>(sent: Result<T, RequestTokenError<Prepared, E>>) -> Seen {
    match sent {
        Err(RequestTokenError::Request(Prepared(request))) => Seen {
            method: request.method().to_string(),
            url: request.uri().to_string(),
            headers: [ACCEPT, CONTENT_TYPE, AUTHORIZATION].map(|name| {
                let value = request.headers().get(name)?;
                Some(value.to_str().unwrap().to_owned())
            }),
            fields: fields(request.body()),
        },
        _ => panic!("it was to be kept, not sent"),
    }
}

/// A request as a server reads it. The order of fields is irrelevant (RFC 6749 appendix B).
#[derive(Debug, PartialEq)]
struct Seen {
    method: String,
    url: String,
    headers: [Option<String>; 3],
    fields: BTreeMap<String, String>,
}

impl From<HttpRequest> for Seen {
    fn from(request: HttpRequest) -> Self {
        Self {
            method: request.method.to_string(),
            url: request.url.to_string(),
            headers: [ACCEPT, CONTENT_TYPE, AUTHORIZATION].map(|name| {
                let value = request.headers.get(name)?;
                Some(value.to_str().unwrap().to_owned())
            }),
            fields: fields(request.body.as_bytes()),
        }
    }
}

fn fields(form: &[u8]) -> BTreeMap<String, String> {
    form_urlencoded::parse(form).into_owned().collect()
}

/// A server without deviations, and its clients in both implementations.
struct Both {
    server: CompiledServer,
    registration: ClientRegistration,
    auth_type: AuthType,
    id: String,
    secret: Option<String>,
}

impl Both {
    fn new(authentication: ClientAuthentication, id: &str, secret: &str) -> Self {
        let mut server = AuthorizationServer::new(
            ServerId::new("as").unwrap(),
            AUTHORIZATION_ENDPOINT,
            TOKEN_ENDPOINT,
        );
        server.client_authentication = authentication;
        server.revocation = Revocation::Endpoint {
            url: REVOCATION_ENDPOINT.into(),
            authentication: RevocationAuth::SameAsToken,
            tokens: RevocationTokens::Refresh,
            grant_wide: false,
        };
        let (registration, secret) = match authentication {
            ClientAuthentication::None => (ClientRegistration::public(id, REDIRECT), None),
            _ => (
                ClientRegistration::new(id, secret, REDIRECT),
                Some(secret.to_owned()),
            ),
        };
        let auth_type = match authentication {
            ClientAuthentication::Basic => AuthType::BasicAuth,
            _ => AuthType::RequestBody,
        };
        Self {
            server: CompiledServer::compile(server).unwrap(),
            registration,
            auth_type,
            id: id.into(),
            secret,
        }
    }

    fn ours(&self) -> TokenClient<'_> {
        TokenClient {
            server: &self.server,
            registration: &self.registration,
            parameters: &NO_VALUES,
            now: Timestamp::from_unix_millis(0),
        }
    }

    fn agree(&self, code: &str, verifier: &str, refresh_token: &str) {
        let mut theirs = BasicClient::new(ClientId::new(self.id.clone()))
            .set_auth_type(self.auth_type.clone())
            .set_redirect_uri(RedirectUrl::new(REDIRECT.into()).unwrap())
            .set_token_uri(TokenUrl::new(TOKEN_ENDPOINT.into()).unwrap())
            .set_revocation_url(RevocationUrl::new(REVOCATION_ENDPOINT.into()).unwrap());
        if let Some(secret) = &self.secret {
            theirs = theirs.set_client_secret(ClientSecret::new(secret.clone()));
        }
        let endpoint = Url::parse(TOKEN_ENDPOINT).unwrap();

        let exchange = theirs
            .exchange_code(oauth2::AuthorizationCode::new(code.into()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.into()));
        let ours = self.ours().code_request(
            &endpoint,
            &AuthorizationCode::new(code),
            REDIRECT,
            Some(&PkceVerifier::new(verifier)),
            None,
        );
        assert_eq!(Seen::from(ours.unwrap()), prepared(exchange.request(&keep)));

        let token = oauth2::RefreshToken::new(refresh_token.into());
        let ours =
            self.ours()
                .refresh_request(&endpoint, &RefreshToken::new(refresh_token), &Scopes::default());
        let refresh = theirs.exchange_refresh_token(&token);
        assert_eq!(Seen::from(ours.unwrap()), prepared(refresh.request(&keep)));

        let held = RefreshToken::new(refresh_token);
        let held = Revocable {
            access_token: None,
            refresh_token: Some(&held),
        };
        let endpoint = Url::parse(REVOCATION_ENDPOINT).unwrap();
        let ours = revocation_requests(
            &self.server,
            &self.registration,
            Some(&endpoint),
            held,
            Timestamp::from_unix_millis(0),
        );
        let revocation = theirs
            .revoke_token(StandardRevocableToken::RefreshToken(token))
            .unwrap();
        let ours = Seen::from(ours.unwrap().remove(0));
        assert_eq!(ours, prepared(revocation.request(&keep)));
    }
}

fn authorization_agrees(id: &str, state: &str, verifier: &str, scopes: &[String]) {
    let both = Both::new(ClientAuthentication::None, id, "");
    let provider = Provider::new(
        ProviderId::new("notes").unwrap(),
        both.server.id.clone(),
        "Notes",
        ["https://api.test"],
    );
    let provider = CompiledProvider::compile(provider).unwrap();
    let ours = AuthorizationRequest {
        server: &both.server,
        added: provider.added_to_authorization(),
        parameters: &NO_VALUES,
        endpoint: &Url::parse(AUTHORIZATION_ENDPOINT).unwrap(),
        client_id: id,
        redirect_uri: REDIRECT,
        scopes: &scopes.join(" ").parse().unwrap(),
        state: &State::new(state),
        verifier: Some(&PkceVerifier::new(verifier)),
        hints: &Hints::default(),
    }
    .url();
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(verifier.into()));
    let (theirs, _) = BasicClient::new(ClientId::new(id.into()))
        .set_auth_uri(AuthUrl::new(AUTHORIZATION_ENDPOINT.into()).unwrap())
        .set_redirect_uri(RedirectUrl::new(REDIRECT.into()).unwrap())
        .authorize_url(|| CsrfToken::new(state.into()))
        .add_scopes(scopes.iter().cloned().map(Scope::new))
        .set_pkce_challenge(challenge)
        .url();
    let read = |url: &Url| -> BTreeMap<String, String> { url.query_pairs().into_owned().collect() };
    let (mut ours, mut theirs) = (read(&ours), read(&theirs));
    // Scopes are a set (RFC 6749 §3.3).
    let sorted = |query: &mut BTreeMap<String, String>| {
        let scope = query.remove("scope").unwrap_or_default();
        let mut scopes: Vec<String> = scope.split(' ').map(str::to_owned).collect();
        scopes.sort();
        scopes.dedup();
        scopes
    };
    assert_eq!(sorted(&mut ours), sorted(&mut theirs));
    assert_eq!(ours, theirs);
}

proptest! {
    #[test]
    fn tokens_are_asked_for_and_revoked_in_the_same_words(
        id in "[ -~é€]{1,24}",
        secret in "[ -~é€]{1,40}",
        code in "[!-~]{1,60}",
        verifier in "[A-Za-z0-9._~-]{43}",
        refresh_token in "[!-~]{1,60}",
    ) {
        use ClientAuthentication::{Basic, None, Post};
        for authentication in [Post, Basic, None] {
            Both::new(authentication, &id, &secret).agree(&code, &verifier, &refresh_token);
        }
    }

    #[test]
    fn consent_is_asked_for_in_the_same_words(
        id in "[ -~é€]{1,24}",
        state in "[!-~]{1,60}",
        verifier in "[A-Za-z0-9._~-]{43}",
        scopes in proptest::collection::vec("[a-z]{1,8}(:|/)[!#-Z^-~]{1,8}", 1..4),
    ) {
        authorization_agrees(&id, &state, &verifier, &scopes);
    }
}
