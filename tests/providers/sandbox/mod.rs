//! Tests the sandbox with hand-built requests: its notions of granted, live and dead must be
//! correct before anything else is tested against it.

mod mcp;
mod refresh_tokens;
mod shapes;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, header};
use serde_json::Value;
use url::{Url, form_urlencoded};
use valetkey::http::{HttpClient, HttpError, HttpRequest, HttpResponse};
use valetkey::internals::provider::{ClientAuthentication, RotationClass};
use valetkey::testing::sandbox::{ExpiresIn, IssuerEcho, RefreshTokenEcho, Refusal, ScopeEcho};
use valetkey::testing::{Fault, FaultClient, ManualClock, Sandbox};

const REDIRECT: &str = "https://host.test/callback";
// The pair of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A client that knows the protocol, but not the library under test.
struct Client {
    sandbox: Sandbox,
    clock: ManualClock,
}

struct Tokens {
    access: String,
    refresh: String,
}

impl Client {
    fn new() -> Self {
        let clock = ManualClock::default();
        let sandbox = Sandbox::new(clock.clone());
        sandbox.allow_redirect(REDIRECT);
        Self { sandbox, clock }
    }

    fn with_rotation(rotation: RotationClass) -> Self {
        let client = Self::new();
        client.sandbox.adjust(|it| it.rotation = rotation);
        client
    }

    fn authorization_url(&self) -> Url {
        self.authorization_url_with(&[])
    }

    /// Returns the usual request with some parameters changed; an empty value omits one.
    fn authorization_url_with(&self, other: &[(&str, &str)]) -> Url {
        let client_id = self.sandbox.client_id();
        let mut url = self.sandbox.base_url().join("/authorize").unwrap();
        for (name, usual) in [
            ("response_type", "code"),
            ("client_id", client_id.as_str()),
            ("redirect_uri", REDIRECT),
            ("scope", "notes.read notes.write"),
            ("state", "st4te"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ] {
            let value = other.iter().find(|(key, _)| *key == name);
            let value = value.map_or(usual, |(_, value)| value);
            if !value.is_empty() {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        url
    }

    fn code(&self, account: &str) -> String {
        let callback = self.sandbox.approve(self.authorization_url(), account);
        query(&callback, "code").unwrap()
    }

    fn post(&self, path: &str, form: &[(&str, &str)]) -> HttpResponse {
        let (id, secret) = (self.sandbox.client_id(), self.sandbox.client_secret());
        let client = [("client_id", id.as_str()), ("client_secret", secret.as_str())];
        self.post_as_is(path, &[&client, form].concat(), None)
    }

    fn post_as_is(&self, path: &str, form: &[(&str, &str)], authorization: Option<&str>) -> HttpResponse {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let mut request = HttpRequest::new(Method::POST, self.sandbox.base_url().join(path).unwrap())
            .with_header(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            )
            .with_body(body);
        if let Some(value) = authorization {
            request = request.with_header(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        self.sandbox.send(request).unwrap()
    }

    fn exchange(&self, code: &str) -> HttpResponse {
        self.post("/token", &exchange_form(code))
    }

    fn refresh(&self, token: &str) -> HttpResponse {
        self.post(
            "/token",
            &[("grant_type", "refresh_token"), ("refresh_token", token)],
        )
    }

    fn tokens(&self, account: &str) -> Tokens {
        tokens(&self.exchange(&self.code(account)))
    }

    fn refreshed(&self, token: &str) -> Tokens {
        tokens(&self.refresh(token))
    }

    fn call(&self, method: Method, path: &str, token: &str) -> HttpResponse {
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        let request = HttpRequest::new(method, self.sandbox.base_url().join(path).unwrap())
            .with_header(header::AUTHORIZATION, bearer);
        self.sandbox.send(request).unwrap()
    }

    fn get(&self, path: &str, token: &str) -> HttpResponse {
        self.call(Method::GET, path, token)
    }
}

fn exchange_form(code: &str) -> [(&'static str, &str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ]
}

fn query(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned())
}

fn json(answer: &HttpResponse) -> Value {
    serde_json::from_slice(answer.body.as_bytes()).unwrap()
}

fn error(answer: &HttpResponse) -> (u16, String) {
    let code = json(answer)["error"].as_str().unwrap().to_owned();
    (answer.status.as_u16(), code)
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn tokens(answer: &HttpResponse) -> Tokens {
    assert_eq!(answer.status, 200);
    let answer = json(answer);
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    Tokens {
        access: text("access_token"),
        refresh: text("refresh_token"),
    }
}

#[test]
fn a_whole_walk() {
    let client = Client::new();
    let sandbox = &client.sandbox;

    let walk = sandbox.consent(client.authorization_url());
    assert_eq!(walk.status(), 200);
    assert_eq!(walk.scopes(), ["notes.read", "notes.write"]);
    assert_eq!(walk.accounts(), ["ada", "grace"]);
    assert!(!walk.page().contains("<script"));
    let callback = walk.allow("grace");
    assert!(callback.starts_with("https://host.test/callback?code=sbx-code-"));
    assert_eq!(query(&callback, "state").unwrap(), "st4te");
    assert_eq!(query(&callback, "iss").unwrap(), "https://sandbox.test");

    let answer = client.exchange(&query(&callback, "code").unwrap());
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    let body = json(&answer);
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 3600);
    assert_eq!(body["scope"], "notes.read notes.write");
    let grace = tokens(&answer);

    let whose = json(&client.get("/userinfo", &grace.access));
    assert_eq!(whose["sub"], "grace");
    assert_eq!(whose["email"], "grace@example.test");

    let ada = client.tokens("ada");
    assert_eq!(client.call(Method::POST, "/api/notes", &ada.access).status, 201);
    let notes = |token: &str| json(&client.get("/api/notes", token));
    assert_eq!(notes(&grace.access)["account"], "grace");
    assert_eq!(notes(&grace.access)["notes"].as_array().unwrap().len(), 2);
    assert_eq!(notes(&ada.access)["notes"].as_array().unwrap().len(), 3);

    let live = sandbox.live_grants();
    let who: Vec<&str> = live.iter().map(|grant| grant.account.id).collect();
    assert_eq!(who, ["grace", "ada"]);
    assert_eq!((live[0].access_tokens, live[0].refresh_tokens), (1, 1));
}

#[test]
fn what_cannot_be_trusted_is_not_redirected() {
    let client = Client::new();
    for other in [
        ("client_id", "somebody"),
        ("redirect_uri", "https://host.test/callback/"),
        ("redirect_uri", "https://evil.test/callback"),
        ("redirect_uri", ""),
    ] {
        let walk = client.sandbox.consent(client.authorization_url_with(&[other]));
        assert_eq!(walk.status(), 400, "{other:?}");
        assert_eq!(walk.redirected_to(), None);
    }
}

#[test]
fn a_faulty_request_is_sent_back_with_an_error() {
    let client = Client::new();
    for (other, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", ""), "invalid_request"),
        (("state", ""), "invalid_request"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("scope", "quote\""), "invalid_scope"),
    ] {
        let walk = client.sandbox.consent(client.authorization_url_with(&[other]));
        let back = walk.redirected_to().unwrap();
        assert_eq!(query(back, "error").as_deref(), Some(error), "{other:?}");
        assert_eq!(query(back, "code"), None);
    }
}

#[test]
fn denied_in_part_and_in_full() {
    let client = Client::new();
    let back = client.sandbox.deny(client.authorization_url());
    assert_eq!(query(&back, "error").unwrap(), "access_denied");
    assert_eq!(query(&back, "state").unwrap(), "st4te");
    assert!(client.sandbox.live_grants().is_empty());

    let some = client
        .sandbox
        .approve_some(client.authorization_url(), "ada", &["notes.read"]);
    let answer = client.exchange(&query(&some, "code").unwrap());
    assert_eq!(json(&answer)["scope"], "notes.read");
    let token = tokens(&answer).access;
    let refused = client.call(Method::POST, "/api/notes", &token);
    assert_eq!(refused.status, 403);
    let challenge = refused.headers[header::WWW_AUTHENTICATE].to_str().unwrap();
    assert!(challenge.contains("insufficient_scope") && challenge.contains("notes.write"));
}

#[test]
fn a_page_is_good_for_one_answer() {
    let client = Client::new();
    let page = client.sandbox.consent(client.authorization_url());
    let html = page.page().to_owned();
    let (_, rest) = html.split_once("name=\"request\" value=\"").unwrap();
    let request = rest.split_once('"').unwrap().0;
    let _callback = page.allow("ada");
    let again = client.post_as_is(
        "/authorize/decision",
        &[("request", request), ("decision", "allow"), ("account", "ada")],
        None,
    );
    assert_eq!(again.status, 400);
}

#[test]
fn a_code_needs_its_verifier_its_redirect_uri_and_its_minute() {
    let client = Client::new();
    let code = client.code("ada");
    let mut wrong_verifier = exchange_form(&code);
    wrong_verifier[3].1 = "wrong-verifier-wrong-verifier-wrong-verifier";
    let mut wrong_redirect = exchange_form(&code);
    wrong_redirect[2].1 = "https://host.test/other";
    for form in [
        &wrong_verifier[..],
        &wrong_redirect[..],
        &exchange_form(&code)[..3],
    ] {
        let answer = client.post("/token", form);
        assert_eq!(error(&answer), refused(400, "invalid_grant"));
    }
    client.clock.advance(Duration::from_secs(60));
    assert_eq!(error(&client.exchange(&code)), refused(400, "invalid_grant"));
}

#[test]
fn each_token_is_revoked_by_itself_unless_set_otherwise() {
    let client = Client::new();
    let first = client.tokens("ada");
    let revoke = |token: &str| client.post("/revoke", &[("token", token)]).status;
    assert_eq!(revoke("never-issued"), 200);
    assert_eq!(revoke(&first.refresh), 200);
    assert!(!client.sandbox.is_live(&first.refresh) && client.sandbox.is_live(&first.access));
    assert_eq!(revoke(&first.access), 200);
    assert!(client.sandbox.live_grants().is_empty());

    client.sandbox.adjust(|it| it.revocation_ends_grant = true);
    let second = client.tokens("ada");
    assert_eq!(revoke(&second.access), 200);
    assert!(client.sandbox.live_grants().is_empty());

    let nobody = client.post_as_is("/revoke", &[("token", &second.refresh)], None);
    assert_eq!(error(&nobody), refused(401, "invalid_client"));
}

#[test]
fn a_person_can_remove_the_app() {
    let client = Client::new();
    let (ada, grace) = (client.tokens("ada"), client.tokens("grace"));
    client.sandbox.revoke_at_server("ada");
    assert!(!client.sandbox.is_live(&ada.access) && !client.sandbox.is_live(&ada.refresh));
    assert!(client.sandbox.is_live(&grace.access) && client.sandbox.is_live(&grace.refresh));
}

#[test]
fn the_client_proves_itself_in_one_way_only() {
    use base64::Engine as _;
    let basic = |id: &str, secret: &str| {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"));
        format!("Basic {pair}")
    };
    let client = Client::new();
    let (id, secret) = (client.sandbox.client_id(), client.sandbox.client_secret());
    let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let (basic_encoded, basic_raw) = (basic(&id, &encoded), basic(&id, &secret));
    let in_body = [("client_id", id.as_str()), ("client_secret", secret.as_str())];
    let ways = [
        (ClientAuthentication::Post, &in_body[..], None),
        (ClientAuthentication::Basic, &[], Some(basic_encoded.as_str())),
        (
            ClientAuthentication::BasicUnencoded,
            &[],
            Some(basic_raw.as_str()),
        ),
        (
            ClientAuthentication::BasicWithClientId,
            &in_body[..1],
            Some(basic_encoded.as_str()),
        ),
        (ClientAuthentication::None, &in_body[..1], None),
    ];
    for (wanted, _, _) in ways {
        client.sandbox.adjust(|it| it.client_authentication = wanted);
        assert_eq!(client.sandbox.server().client_authentication, wanted);
        for (used, form, authorization) in ways {
            let code = client.code("ada");
            let form = [form, &exchange_form(&code)].concat();
            let answer = client.post_as_is("/token", &form, authorization);
            // An additional `client_id` in the body is harmless with Basic.
            let harmless =
                wanted == ClientAuthentication::Basic && used == ClientAuthentication::BasicWithClientId;
            if used == wanted || harmless {
                assert_eq!(answer.status, 200, "{wanted:?} by {used:?}");
            } else {
                assert_eq!(
                    error(&answer),
                    refused(401, "invalid_client"),
                    "{wanted:?} by {used:?}"
                );
            }
        }
    }
    client
        .sandbox
        .adjust(|it| it.client_authentication = ClientAuthentication::Post);
    let code = client.code("ada");
    let both = [&in_body[..], &exchange_form(&code)].concat();
    let answer = client.post_as_is("/token", &both, Some(&basic_encoded));
    assert_eq!(error(&answer), refused(400, "invalid_request"));

    client.sandbox.change_client_secret("sbx-cs-new");
    let answer = client.post_as_is("/token", &both, None);
    assert_eq!(error(&answer), refused(401, "invalid_client"));
    client.sandbox.adjust(|it| it.hides_invalid_client = true);
    let answer = client.post_as_is("/token", &both, None);
    assert_eq!(error(&answer), refused(400, "invalid_grant"));
}
