//! The sandbox, walked through by hand-built requests: what it calls granted, live and dead must hold
//! before anything else is tested against it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, header};
use serde_json::Value;
use url::{Url, form_urlencoded};
use valetkey::http::{HttpClient, HttpErrorKind, HttpRequest, HttpResponse};
use valetkey::provider::{ClientAuthentication, RotationClass};
use valetkey::testing::sandbox::{ExpiresIn, IssuerEcho, RefreshTokenEcho, Refusal, ScopeEcho};
use valetkey::testing::{Fault, FaultClient, ManualClock, Sandbox};

const REDIRECT: &str = "https://host.test/callback";
// The pair of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A client that knows the protocol and nothing of the library under test.
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

    /// The usual request, with some parameters set otherwise; an empty value leaves one out.
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
fn a_replayed_code_ends_the_grant() {
    let client = Client::new();
    let code = client.code("ada");
    let first = tokens(&client.exchange(&code));
    assert!(client.sandbox.is_live(&first.access) && client.sandbox.is_live(&first.refresh));
    assert_eq!(error(&client.exchange(&code)), refused(400, "invalid_grant"));
    assert!(!client.sandbox.is_live(&first.access) && !client.sandbox.is_live(&first.refresh));
    assert_eq!(client.get("/userinfo", &first.access).status, 401);
}

#[test]
fn static_refresh_tokens_stay() {
    let client = Client::with_rotation(RotationClass::Static);
    let first = client.tokens("ada");
    for (echo, expected) in [
        (RefreshTokenEcho::Omit, Value::Null),
        (RefreshTokenEcho::Repeat, first.refresh.as_str().into()),
        (RefreshTokenEcho::Empty, "".into()),
    ] {
        client.sandbox.adjust(|it| it.static_refresh_token = echo);
        let answer = json(&client.refresh(&first.refresh));
        assert_eq!(answer["refresh_token"], expected);
        assert_ne!(answer["access_token"], first.access.as_str());
    }
}

#[test]
fn rotated_refresh_tokens_may_stay_valid() {
    let client = Client::with_rotation(RotationClass::OldStaysValid);
    let first = client.tokens("ada");
    let second = client.refreshed(&first.refresh);
    assert_ne!(second.refresh, first.refresh);
    assert!(client.sandbox.is_live(&first.refresh) && client.sandbox.is_live(&second.refresh));
}

#[test]
fn codes_and_tokens_of_one_client_are_refused_from_another() {
    let client = Client::with_rotation(RotationClass::Static);
    let _ = client.sandbox.another_registration("other", REDIRECT);
    let as_other = |path: &str, form: &[(&str, &str)]| {
        let other = [("client_id", "other"), ("client_secret", "sbx-cs-other")];
        client.post_as_is(path, &[&other, form].concat(), None)
    };
    let code = client.code("ada");
    let invalid_grant = refused(400, "invalid_grant");
    assert_eq!(error(&as_other("/token", &exchange_form(&code))), invalid_grant);
    let held = tokens(&client.exchange(&code));
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", &held.refresh)];
    assert_eq!(error(&as_other("/token", &refresh)), invalid_grant);
    let revoke = [("token", held.refresh.as_str())];
    assert_eq!(
        error(&as_other("/revoke", &revoke)),
        refused(400, "invalid_request")
    );
    assert!(client.sandbox.is_live(&held.refresh));
    client.refreshed(&held.refresh);
}

#[test]
fn a_grace_period_ends_by_the_clock() {
    let client = Client::with_rotation(RotationClass::Grace(Duration::from_secs(30)));
    let first = client.tokens("ada");
    let second = client.refreshed(&first.refresh);
    client.clock.advance(Duration::from_secs(29));
    let third = client.refreshed(&first.refresh);
    client.clock.advance(Duration::from_secs(1));
    assert_eq!(
        error(&client.refresh(&first.refresh)),
        refused(400, "invalid_grant")
    );
    assert!(client.sandbox.is_live(&second.refresh) && client.sandbox.is_live(&third.refresh));
}

#[test]
fn a_single_use_token_is_refused_the_second_time() {
    let client = Client::with_rotation(RotationClass::SingleUse);
    let first = client.tokens("ada");
    let second = client.refreshed(&first.refresh);
    assert_eq!(
        error(&client.refresh(&first.refresh)),
        refused(400, "invalid_grant")
    );
    assert!(client.sandbox.is_live(&second.refresh));
    let _third = client.refreshed(&second.refresh);
}

#[test]
fn a_replay_may_kill_the_whole_family() {
    let client = Client::with_rotation(RotationClass::SingleUseRevokesFamily);
    let first = client.tokens("ada");
    let second = client.refreshed(&first.refresh);
    assert_eq!(
        error(&client.refresh(&first.refresh)),
        refused(400, "invalid_grant")
    );
    assert!(!client.sandbox.is_live(&second.refresh) && !client.sandbox.is_live(&second.access));
    assert!(client.sandbox.live_grants().is_empty());
}

#[test]
fn access_tokens_expire_stay_the_same_or_die_at_refresh() {
    let client = Client::with_rotation(RotationClass::Static);
    let first = client.tokens("ada");
    client.clock.advance(Duration::from_secs(3599));
    assert_eq!(client.get("/userinfo", &first.access).status, 200);
    client.clock.advance(Duration::from_secs(1));
    let expired = client.get("/userinfo", &first.access);
    assert_eq!(expired.status, 401);
    assert!(
        expired.headers[header::WWW_AUTHENTICATE]
            .to_str()
            .unwrap()
            .contains("invalid_token")
    );

    client.sandbox.adjust(|it| it.repeats_access_token = true);
    assert_eq!(client.refreshed(&first.refresh).access, first.access);
    assert_eq!(client.get("/userinfo", &first.access).status, 200);

    client.sandbox.adjust(|it| {
        it.repeats_access_token = false;
        it.refresh_kills_old_access_token = true;
    });
    let second = client.refreshed(&first.refresh);
    assert!(!client.sandbox.is_live(&first.access) && client.sandbox.is_live(&second.access));

    client.sandbox.expire_access_tokens();
    assert_eq!(client.get("/userinfo", &second.access).status, 401);
    assert!(client.sandbox.is_live(&first.refresh));
}

#[test]
fn a_scope_at_refresh_narrows_for_good_and_never_widens() {
    let client = Client::with_rotation(RotationClass::Static);
    let first = client.tokens("ada");
    let narrow = |scope: &str| {
        client.post(
            "/token",
            &[
                ("grant_type", "refresh_token"),
                ("refresh_token", &first.refresh),
                ("scope", scope),
            ],
        )
    };
    assert_eq!(json(&narrow("notes.read"))["scope"], "notes.read");
    assert_eq!(json(&client.refresh(&first.refresh))["scope"], "notes.read");
    assert_eq!(error(&narrow("notes.write")), refused(400, "invalid_scope"));
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
            // `client_id` in the body besides does no harm where Basic is wanted.
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

#[test]
fn answers_take_the_shapes_of_real_servers() {
    let client = Client::with_rotation(RotationClass::Static);
    let refresh = client.tokens("ada").refresh;
    let answer = || json(&client.refresh(&refresh));
    for (echo, expected) in [
        (ScopeEcho::Commas, "notes.read,notes.write".into()),
        (ScopeEcho::Array, serde_json::json!(["notes.read", "notes.write"])),
        (ScopeEcho::Absent, Value::Null),
    ] {
        client.sandbox.adjust(|it| it.scope_echo = echo);
        assert_eq!(answer()["scope"], expected);
    }
    for (shape, expected) in [
        (ExpiresIn::Text, "3600".into()),
        (ExpiresIn::Float, 3600.0.into()),
        (ExpiresIn::Absent, Value::Null),
        (ExpiresIn::Literal("315360000".into()), 315_360_000.into()),
        (ExpiresIn::Literal("-1".into()), (-1).into()),
    ] {
        client.sandbox.adjust(|it| it.expires_in = shape);
        assert_eq!(answer()["expires_in"], expected);
    }
    client.sandbox.adjust(|it| {
        it.token_type = None;
        it.id_token = true;
        it.token_status = http::StatusCode::CREATED;
    });
    let created = client.refresh(&refresh);
    assert_eq!(created.status, 201);
    assert_eq!(json(&created)["token_type"], Value::Null);
    assert!(json(&created)["id_token"].is_string());

    client
        .sandbox
        .adjust(|it| it.withheld_scopes = vec!["notes.write".into()]);
    let code = client.code("ada");
    assert!(client.exchange(&code).status.is_success());
    let dropped = &client.sandbox.live_grants()[1].scopes;
    assert_eq!(dropped.to_string(), "notes.read");
}

#[test]
fn refusals_take_the_shapes_of_real_servers() {
    let client = Client::new();
    let set = |refusal: Refusal| client.sandbox.adjust(|it| it.dead_grant = refusal);
    for status in [200, 401, 403, 500] {
        set(Refusal::JsonWith(status));
        assert_eq!(
            error(&client.refresh("no-token")),
            refused(status, "invalid_grant")
        );
    }
    set(Refusal::Empty(400));
    let empty = client.refresh("no-token");
    assert_eq!((empty.status.as_u16(), empty.body.len()), (400, 0));
    set(Refusal::Code {
        status: 400,
        error: "invalid_code".into(),
    });
    assert_eq!(error(&client.refresh("no-token")), refused(400, "invalid_code"));
    set(Refusal::Marked("m4rker".into()));
    let marked = json(&client.refresh("no-token"));
    assert_eq!(marked["error"], "invalid_grant");
    assert!(marked["error_description"].as_str().unwrap().contains("m4rker"));

    // An outage does nothing: what was alive before is alive after.
    let live = client.tokens("ada");
    client
        .sandbox
        .adjust(|it| it.token_outage = Some(Refusal::Html(502)));
    assert_eq!(client.refresh(&live.refresh).status, 502);
    let limited = Some(Refusal::RateLimited("900".into()));
    client.sandbox.adjust(|it| it.token_outage = limited);
    assert_eq!(client.refresh(&live.refresh).headers[header::RETRY_AFTER], "900");
    client.sandbox.adjust(|it| it.token_outage = None);
    let _new = client.refreshed(&live.refresh);
}

#[test]
fn the_issuer_is_named_as_set() {
    let client = Client::new();
    let issuer = |echo: IssuerEcho| {
        client.sandbox.adjust(|it| it.issuer = echo);
        let allowed = client.sandbox.approve(client.authorization_url(), "ada");
        let denied = client.sandbox.deny(client.authorization_url());
        (query(&allowed, "iss"), query(&denied, "iss"))
    };
    let own = || Some("https://sandbox.test".to_owned());
    let other = || Some("https://other.test".to_owned());
    assert_eq!(issuer(IssuerEcho::Always), (own(), own()));
    assert_eq!(issuer(IssuerEcho::WithCodeOnly), (own(), None));
    assert_eq!(issuer(IssuerEcho::Never), (None, None));
    assert_eq!(
        issuer(IssuerEcho::Instead("https://other.test".into())),
        (other(), other())
    );
}

#[test]
fn the_log_keeps_everything_and_prints_no_value() {
    let client = Client::new();
    let code = client.code("ada");
    client.sandbox.clear_log();
    let first = tokens(&client.exchange(&code));
    let echoed = client.get("/api/echo", &first.access);
    let credential = format!("Bearer {}", first.access);
    assert_eq!(json(&echoed)["headers"]["authorization"], credential.as_str());
    assert_eq!(client.get("/api/redirect", &first.access).status, 302);

    let log = client.sandbox.log();
    assert_eq!(client.sandbox.count("/token"), 1);
    assert_eq!(log[0].parameter("code"), Some(code.as_str()));
    assert_eq!(log[1].header("authorization"), Some(credential.as_str()));
    assert_eq!(log[2].status(), 302);

    let printed = format!("{log:?} {:?}", client.sandbox);
    assert!(printed.contains("code_verifier"));
    assert!(!printed.contains(Sandbox::SECRET_PREFIX));
    let secrets = client.sandbox.issued_secrets();
    for secret in [&code, &first.access, &first.refresh] {
        assert!(secrets.contains(secret));
    }
    assert!(
        secrets
            .iter()
            .all(|secret| secret.starts_with(Sandbox::SECRET_PREFIX))
    );
}

#[test]
fn an_answer_can_be_lost_on_its_way() {
    let client = Client::new();
    let first = client.tokens("ada");
    let faulty = FaultClient::new(client.sandbox.clone());
    faulty.on("/token").next(Fault::InterruptedAfterSend);
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", &first.refresh)
        .append_pair("client_id", &client.sandbox.client_id())
        .append_pair("client_secret", &client.sandbox.client_secret())
        .finish();
    let request = HttpRequest::new(Method::POST, client.sandbox.base_url().join("/token").unwrap())
        .with_header(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        )
        .with_body(body);
    assert_eq!(faulty.send(request).unwrap_err().kind, HttpErrorKind::Interrupted);
    assert!(!client.sandbox.is_live(&first.refresh));
    assert_eq!(client.sandbox.live_grants()[0].refresh_tokens, 1);
}

#[test]
fn another_origin_cannot_be_reached() {
    let client = Client::new();
    let elsewhere = Url::parse("https://elsewhere.test/token").unwrap();
    let request = HttpRequest::new(Method::GET, elsewhere);
    assert_eq!(
        client.sandbox.send(request).unwrap_err().kind,
        HttpErrorKind::Connect
    );
    assert!(client.sandbox.log().is_empty());
}

#[test]
fn the_same_sandbox_is_served_over_loopback() {
    let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
    let address = server.server_addr().to_ip().unwrap();
    let base = format!("http://{address}");
    let clock = ManualClock::default();
    let client = Client {
        sandbox: Sandbox::at(&base, clock.clone()),
        clock,
    };
    client.sandbox.allow_redirect(REDIRECT);
    let id = client.sandbox.client_id();
    assert!(client.sandbox.server().token_endpoint.starts_with(&base));

    let served = client.sandbox.clone();
    let serving = std::thread::spawn(move || serve_one(&served, &server));
    let path = client.authorization_url();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {}?{} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n",
        path.path(),
        path.query().unwrap()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serving.join().unwrap();

    assert!(answer.starts_with("HTTP/1.1 200"));
    assert!(answer.contains("<h1>Allow access?</h1>") && answer.contains(&id));
    assert_eq!(client.sandbox.count("/authorize"), 1);
}

/// What an example needs to put the sandbox behind a real server.
fn serve_one(sandbox: &Sandbox, server: &tiny_http::Server) {
    let mut received = server.recv().unwrap();
    let url = sandbox.base_url().join(received.url()).unwrap();
    let method = received.method().as_str().parse().unwrap();
    let mut body = Vec::new();
    received.as_reader().read_to_end(&mut body).unwrap();
    let mut request = HttpRequest::new(method, url).with_body(body);
    for header in received.headers() {
        let name: HeaderName = header.field.as_str().as_str().parse().unwrap();
        let value = HeaderValue::from_str(header.value.as_str()).unwrap();
        request = request.with_header(name, value);
    }
    let answer = sandbox.handle(request);
    let mut response =
        tiny_http::Response::from_data(answer.body.as_bytes()).with_status_code(answer.status.as_u16());
    for (name, value) in &answer.headers {
        let header = tiny_http::Header::from_bytes(name.as_str(), value.as_bytes()).unwrap();
        response = response.with_header(header);
    }
    received.respond(response).unwrap();
}
