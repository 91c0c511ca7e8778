use std::collections::BTreeMap;

use super::*;
use crate::model::ServerId;
use crate::protocol::form::pairs;
use crate::provider::AuthorizationServer;

const NO_VALUES: Parameters = Parameters::new();

fn compiled(server: &AuthorizationServer) -> CompiledServer {
    CompiledServer::compile(server.clone()).unwrap()
}

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

/// Returns the form as a map; a duplicate name fails the test.
fn form(request: &HttpRequest) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for (name, value) in pairs(request.body.as_bytes()) {
        let earlier = map.insert(name.to_string(), value.to_string());
        assert!(earlier.is_none(), "{}", *name);
    }
    map
}

fn code_request(server: &AuthorizationServer, registration: &ClientRegistration) -> HttpRequest {
    TokenClient {
        server: &compiled(server),
        registration,
        parameters: &NO_VALUES,
        now: Timestamp::from_unix_millis(0),
    }
    .code_request(
        &endpoint(),
        &AuthorizationCode::new("c/1 +"),
        registration.redirect_uri(),
        Some(&PkceVerifier::new("verifier")),
        None,
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
            server: &compiled(&server),
            registration: &registration,
            parameters: &NO_VALUES,
            now: Timestamp::from_unix_millis(0),
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
            server: &compiled(server),
            registration: &registration,
            parameters: &NO_VALUES,
            now: Timestamp::from_unix_millis(0),
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
            server: &compiled(&server),
            registration: &registration,
            parameters: &NO_VALUES,
            now: Timestamp::from_unix_millis(0),
        };
        let token = RefreshToken::new("r");
        let found = client.refresh_request(&Url::parse(url).unwrap(), &token, &Scopes::default());
        assert_eq!(found.unwrap_err(), error, "{url}");
    }
}
