//! Compares requests to token, revocation and authorization endpoints byte for byte, for every
//! server of the catalog and every encoding. The lines in `tests/vectors/requests.txt` were
//! recorded while the `oauth2` crate built these requests.

use std::fmt::Write as _;

use url::Url;
use valetkey::http::HttpRequest;
use valetkey::internals::protocol::{
    AuthorizationRequest, Hints, Revocable, TokenClient, revocation_requests,
};
use valetkey::internals::provider::{
    BodyFormat, ClientAuthentication, Pkce, Revocation, RevocationAuth, RevocationTokens,
};
use valetkey::internals::provider::{CompiledProvider, CompiledServer};
use valetkey::internals::secret::{AuthorizationCode, PkceVerifier, RefreshToken, State};
use valetkey::model::{Parameters, Scopes, ServerId, Timestamp};
use valetkey::provider::{AuthorizationServer, ClientRegistration, Provider};
use valetkey::{AccessToken, catalog};

const VECTORS: &str = include_str!("../vectors/requests.txt");

/// Characters that the encodings write differently.
const ODD: &str = "a:b%c+d é~*-._!'()/=&\"\\ü€\u{7f}";

fn line(out: &mut String, name: &str, request: &HttpRequest) {
    let mut headers: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    headers.sort();
    writeln!(
        out,
        "{name}\t{} {}\t{}\t{}",
        request.method,
        request.url,
        headers.join("; "),
        String::from_utf8_lossy(request.body.as_bytes())
    )
    .unwrap();
}

fn requests(out: &mut String, name: &str, server: &AuthorizationServer, registration: &ClientRegistration) {
    let parameters = Parameters::new();
    let client = TokenClient {
        server: &CompiledServer::compile(server.clone()).unwrap(),
        registration,
        parameters: &parameters,
        now: Timestamp::from_unix_millis(0),
    };
    let endpoint = Url::parse("https://as.test/t?p=1").unwrap();
    let scopes: Scopes = "b a".parse().unwrap();
    let code = AuthorizationCode::new(ODD);
    let verifier = PkceVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    let refresh_token = RefreshToken::new(ODD);
    let sent = client.code_request(
        &endpoint,
        &code,
        registration.redirect_uri(),
        Some(&verifier),
        None,
    );
    match sent {
        Ok(request) => line(out, &format!("{name} code"), &request),
        Err(error) => writeln!(out, "{name} code\t{error}").unwrap(),
    }
    match client.refresh_request(&endpoint, &refresh_token, &scopes) {
        Ok(request) => line(out, &format!("{name} refresh"), &request),
        Err(error) => writeln!(out, "{name} refresh\t{error}").unwrap(),
    }
    let tokens = Revocable {
        access_token: Some(&AccessToken::new("at~/+%")),
        refresh_token: Some(&refresh_token),
    };
    match revocation_requests(
        server,
        registration,
        Some(&endpoint),
        tokens,
        Timestamp::from_unix_millis(0),
    ) {
        Ok(requests) => requests
            .iter()
            .for_each(|request| line(out, &format!("{name} revoke"), request)),
        Err(error) => writeln!(out, "{name} revoke\t{error}").unwrap(),
    }
}

fn authorization(out: &mut String, server: &AuthorizationServer, provider: &Provider) {
    let (id, name) = (&server.id, &provider.id);
    let provider = CompiledProvider::compile(provider.clone()).unwrap();
    let url = AuthorizationRequest {
        server: &CompiledServer::compile(server.clone()).unwrap(),
        added: provider.added_to_authorization(),
        parameters: &Parameters::new(),
        endpoint: &Url::parse("https://as.test/a?p=B2C_1&state=theirs&q=%7E+x").unwrap(),
        client_id: ODD,
        redirect_uri: "https://App.test:443/cb?x=%41&y=é",
        scopes: &"b https://a.test/x~y".parse().unwrap(),
        state: &State::new(ODD),
        verifier: Some(&PkceVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")),
        hints: &Hints::default(),
    }
    .url();
    writeln!(out, "{id} {name} authorize\t{url}").unwrap();
}

fn written() -> String {
    let mut out = String::new();
    let confidential = ClientRegistration::new(ODD, ODD, "https://App.test:443/cb?x=%41");
    let public = ClientRegistration::public(ODD, "https://App.test:443/cb?x=%41");
    let servers = catalog::servers();
    for server in &servers {
        for (kind, registration) in [("confidential", &confidential), ("public", &public)] {
            requests(&mut out, &format!("{} {kind}", server.id), server, registration);
        }
    }
    for provider in catalog::providers() {
        let server = servers
            .iter()
            .find(|server| server.id == provider.server)
            .unwrap();
        authorization(&mut out, server, &provider);
    }
    use ClientAuthentication::{
        Basic, BasicUnencoded, BasicWithClientId, None as Nothing, Post, SecretAsUser,
    };
    for authentication in [
        Post,
        Basic,
        BasicUnencoded,
        BasicWithClientId,
        SecretAsUser,
        Nothing,
    ] {
        for body in [BodyFormat::Form, BodyFormat::Json] {
            for renamed in [false, true] {
                let server = odd(authentication, body, renamed);
                let name = format!(
                    "{authentication:?} {body:?} {}",
                    if renamed { "renamed" } else { "plain" }
                );
                requests(&mut out, &name, &server, &confidential);
                authorization(&mut out, &server, &catalog::gmail());
            }
        }
    }
    out
}

/// Returns a server with every deviation.
fn odd(authentication: ClientAuthentication, body: BodyFormat, renamed: bool) -> AuthorizationServer {
    let id = ServerId::new("odd").unwrap();
    let mut server = AuthorizationServer::new(id, "https://as.test/a", "https://as.test/t");
    server.client_authentication = authentication;
    server.body_format = body;
    server.revocation = Revocation::Endpoint {
        url: "https://as.test/r".into(),
        authentication: RevocationAuth::SameAsToken,
        tokens: RevocationTokens::Both,
        grant_wide: false,
    };
    if renamed {
        server.scope_separator = ",".into();
        server.pkce = Pkce::Refused;
        server.resources = vec!["https://api.test/é?x=~".into(), "urn:b".into()];
        for (name, value) in [
            ("audience", "a~ b+c%"),
            ("empty", ""),
            ("who", "{client_id}|{redirect_uri}"),
        ] {
            server.token_parameters.insert(name.into(), value.into());
            server.refresh_parameters.insert(name.into(), value.into());
            server.authorization_parameters.insert(name.into(), value.into());
        }
        server.refresh_parameters.insert("scope".into(), "{scope}".into());
        server.token_renames.insert("client_id".into(), "app~id".into());
        server
            .token_renames
            .insert("client_secret".into(), "app secret".into());
        server.token_renames.insert("redirect_uri".into(), String::new());
        server
            .authorization_renames
            .insert("client_id".into(), "app_id".into());
        server.token_query.insert("back".into(), "{redirect_uri}".into());
        server.token_headers.insert("x-app".into(), "v1".into());
        server.refresh_grant_type = Some("re new~".into());
        server.raw_scope = true;
        if body == BodyFormat::Json {
            server.authorization_fragment = Some("/oauth".into());
        }
    }
    server
}

#[test]
fn every_request_is_as_it_was() {
    let written = written();
    if std::env::var_os("VALETKEY_WRITE_VECTORS").is_some() {
        std::fs::write(
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/requests.txt"),
            &written,
        )
        .unwrap();
        return;
    }
    let (now, before): (Vec<_>, Vec<_>) = (written.lines().collect(), VECTORS.lines().collect());
    for (now, before) in now.iter().zip(&before) {
        assert_eq!(now, before);
    }
    assert_eq!(now.len(), before.len());
    assert!(now.len() > 100, "only {} requests", now.len());
}
