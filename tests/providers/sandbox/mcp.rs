//! The MCP server that the sandbox plays, by requests of a client that knows only its URL.

use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};
use valetkey::http::{HttpClient, HttpError, HttpRequest, HttpResponse};
use valetkey::testing::sandbox::{IssuerEcho, Refusal};
use valetkey::testing::{ManualClock, Sandbox};

use super::{CHALLENGE, REDIRECT, VERIFIER, error, json as body, query, refused};

const READ: &str = "mcp.read";
const WRITE: &str = "mcp.read mcp.write";

/// A client that starts from the URL of a server.
struct Client {
    sandbox: Sandbox,
    clock: ManualClock,
    url: &'static str,
}

/// A registered client, and the server that it registered with.
#[derive(Debug, Clone)]
struct Known {
    server: Value,
    id: String,
    secret: Option<String>,
}

impl Known {
    fn endpoint(&self, name: &str) -> Url {
        Url::parse(self.server[name].as_str().unwrap()).unwrap()
    }

    fn form<'a>(&'a self, form: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let secret = self.secret.as_deref().map(|secret| ("client_secret", secret));
        [("client_id", self.id.as_str())]
            .into_iter()
            .chain(secret)
            .chain(form.iter().copied())
            .collect()
    }
}

impl Client {
    fn new() -> Self {
        let clock = ManualClock::default();
        Self {
            sandbox: Sandbox::playing_mcp(clock.clone()),
            clock,
            url: Sandbox::MCP_SERVER,
        }
    }

    fn get(&self, url: &str) -> HttpResponse {
        let request = HttpRequest::new(Method::GET, Url::parse(url).unwrap());
        self.sandbox.send(request).unwrap()
    }

    fn post(&self, url: &Url, form: &[(&str, &str)]) -> HttpResponse {
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = HttpRequest::new(Method::POST, url.clone())
            .with_header(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            )
            .with_body(form);
        self.sandbox.send(request).unwrap()
    }

    fn post_json(&self, url: &str, json: &Value) -> HttpResponse {
        let request = HttpRequest::new(Method::POST, Url::parse(url).unwrap())
            .with_header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .with_body(json.to_string());
        self.sandbox.send(request).unwrap()
    }

    fn call(&self, token: Option<&str>, method: &str, params: &Value) -> HttpResponse {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut request = HttpRequest::new(Method::POST, Url::parse(self.url).unwrap())
            .with_header(
                header::ACCEPT,
                HeaderValue::from_static("application/json, text/event-stream"),
            )
            .with_body(message.to_string());
        if let Some(token) = token {
            let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            request = request.with_header(header::AUTHORIZATION, bearer);
        }
        self.sandbox.send(request).unwrap()
    }

    fn tool(&self, token: &str, name: &str) -> HttpResponse {
        let params = json!({ "name": name, "arguments": { "text": "hello" } });
        self.call(Some(token), "tools/call", &params)
    }

    /// Finds the metadata of the authorization server from the URL of the MCP server alone.
    fn discover(&self) -> Value {
        let challenge = self.call(None, "initialize", &json!({}));
        assert_eq!(challenge.status, 401);
        let resource = body(&self.get(&parameter(&challenge, "resource_metadata").unwrap()));
        assert_eq!(resource["resource"], self.url);
        self.server(resource["authorization_servers"][0].as_str().unwrap())
    }

    fn server(&self, issuer: &str) -> Value {
        let issuer = Url::parse(issuer).unwrap();
        let origin = issuer.origin().ascii_serialization();
        let path = issuer.path().trim_end_matches('/');
        let metadata = format!("{origin}/.well-known/oauth-authorization-server{path}");
        body(&self.get(&metadata))
    }

    fn register(&self, server: &Value, client: &Value) -> HttpResponse {
        self.post_json(server["registration_endpoint"].as_str().unwrap(), client)
    }

    fn registered(&self) -> Known {
        let server = self.discover();
        let answer = self.register(&server, &metadata("client_secret_post"));
        assert_eq!(answer.status, 201);
        let answer = body(&answer);
        Known {
            server,
            id: answer["client_id"].as_str().unwrap().to_owned(),
            secret: answer["client_secret"].as_str().map(str::to_owned),
        }
    }

    fn authorization_url(&self, known: &Known, scopes: &str, resource: Option<&str>) -> Url {
        let mut url = known.endpoint("authorization_endpoint");
        url.query_pairs_mut()
            .extend_pairs([
                ("response_type", "code"),
                ("client_id", known.id.as_str()),
                ("redirect_uri", REDIRECT),
                ("scope", scopes),
                ("state", "st4te"),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
            ])
            .extend_pairs(resource.map(|resource| ("resource", resource)));
        url
    }

    fn code(&self, known: &Known, account: &str, scopes: &str) -> String {
        let url = self.authorization_url(known, scopes, Some(self.url));
        query(&self.sandbox.approve(url, account), "code").unwrap()
    }

    fn exchange(&self, known: &Known, code: &str, resource: Option<&str>) -> HttpResponse {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        let resource = resource.map(|resource| ("resource", resource));
        let form: Vec<_> = form.into_iter().chain(resource).collect();
        self.post(&known.endpoint("token_endpoint"), &known.form(&form))
    }

    fn refresh(&self, known: &Known, token: &str, resource: Option<&str>) -> HttpResponse {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let resource = resource.map(|resource| ("resource", resource));
        let form: Vec<_> = form.into_iter().chain(resource).collect();
        self.post(&known.endpoint("token_endpoint"), &known.form(&form))
    }

    fn tokens(&self, known: &Known, account: &str, scopes: &str) -> super::Tokens {
        let code = self.code(known, account, scopes);
        super::tokens(&self.exchange(known, &code, Some(self.url)))
    }
}

fn metadata(method: &str) -> Value {
    json!({
        "client_name": "Test",
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": method,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "application_type": "web",
    })
}

/// Returns a parameter of the challenge.
fn parameter(answer: &HttpResponse, name: &str) -> Option<String> {
    let challenge = answer.headers.get(header::WWW_AUTHENTICATE)?.to_str().unwrap();
    let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
    Some(rest.split_once('"')?.0.to_owned())
}

fn said(answer: &HttpResponse) -> String {
    assert_eq!(answer.status, 200);
    let answer = body(answer);
    answer["result"]["content"][0]["text"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn two_users_call_a_tool_from_the_url_alone() {
    let client = Client::new();
    let known = client.registered();
    let [ada, grace] = ["ada", "grace"].map(|name| client.tokens(&known, name, READ));
    assert_eq!(said(&client.tool(&ada.access, "whoami")), "ada");
    assert_eq!(said(&client.tool(&grace.access, "whoami")), "grace");

    let initialized = body(&client.call(
        Some(&ada.access),
        "initialize",
        &json!({ "protocolVersion": "2025-06-18" }),
    ));
    assert_eq!(initialized["result"]["protocolVersion"], "2025-06-18");
    let tools = body(&client.call(Some(&ada.access), "tools/list", &json!({})));
    assert_eq!(tools["result"]["tools"].as_array().unwrap().len(), 2);
    assert_eq!(
        body(&client.call(Some(&ada.access), "prompts/list", &json!({})))["error"]["code"],
        -32601
    );

    let refreshed = super::tokens(&client.refresh(&known, &ada.refresh, Some(client.url)));
    assert_eq!(said(&client.tool(&refreshed.access, "whoami")), "ada");
    let revoked = client.post(
        &known.endpoint("revocation_endpoint"),
        &known.form(&[("token", &grace.access)]),
    );
    assert_eq!(revoked.status, 200);
    assert_eq!(client.tool(&grace.access, "whoami").status, 401);
}

#[test]
fn a_tool_that_needs_more_asks_for_it() {
    let client = Client::new();
    let known = client.registered();
    let ada = client.tokens(&known, "ada", READ);
    let refused = client.tool(&ada.access, "add_note");
    assert_eq!(refused.status, 403);
    assert_eq!(parameter(&refused, "error").unwrap(), "insufficient_scope");
    assert_eq!(parameter(&refused, "scope").unwrap(), "mcp.write");
    assert!(parameter(&refused, "resource_metadata").is_some());
    let ada = client.tokens(&known, "ada", WRITE);
    assert_eq!(said(&client.tool(&ada.access, "add_note")), "ada has 3 notes");
}

#[test]
fn tokens_are_bound_to_the_resource_that_every_request_names() {
    let client = Client::new();
    let known = client.registered();
    for resource in [
        None,
        Some("https://mcp.sandbox.test/other"),
        Some("https://mcp.sandbox.test/mcp/"),
    ] {
        let walk = client
            .sandbox
            .consent(client.authorization_url(&known, READ, resource));
        let back = walk.redirected_to().unwrap();
        assert_eq!(query(back, "error").unwrap(), "invalid_target", "{resource:?}");
    }
    let code = client.code(&known, "ada", READ);
    let missing = client.exchange(&known, &code, None);
    assert_eq!(error(&missing), refused(400, "invalid_target"));
    let ada = super::tokens(&client.exchange(&known, &code, Some(client.url)));
    for resource in [None, Some("https://mcp.sandbox.test/")] {
        let answer = client.refresh(&known, &ada.refresh, resource);
        assert_eq!(error(&answer), refused(400, "invalid_target"));
    }
    // The token is of no use at another resource, or at another server.
    client
        .sandbox
        .serve_mcp("https://second.sandbox.test/mcp", &[Sandbox::MCP_ISSUER]);
    let second = Client {
        url: "https://second.sandbox.test/mcp",
        ..client
    };
    assert_eq!(second.tool(&ada.access, "whoami").status, 401);
    let notes = HttpRequest::new(Method::GET, Url::parse("https://sandbox.test/api/notes").unwrap())
        .with_header(
            header::AUTHORIZATION,
            HeaderValue::from_str(&format!("Bearer {}", ada.access)).unwrap(),
        );
    assert_eq!(second.sandbox.send(notes).unwrap().status, 401);
    second.sandbox.adjust(|it| it.checks_resource = false);
    assert_eq!(said(&second.tool(&ada.access, "whoami")), "ada");
}

#[test]
fn metadata_is_found_at_every_standard_place() {
    let client = Client::new();
    client
        .sandbox
        .serve_mcp(client.url, &["https://auth.sandbox.test/tenant/one"]);
    for place in [
        "https://mcp.sandbox.test/.well-known/oauth-protected-resource/mcp",
        "https://mcp.sandbox.test/.well-known/oauth-protected-resource",
    ] {
        assert_eq!(body(&client.get(place))["resource"], client.url, "{place}");
    }
    for place in [
        "https://auth.sandbox.test/.well-known/oauth-authorization-server/tenant/one",
        "https://auth.sandbox.test/.well-known/openid-configuration/tenant/one",
        "https://auth.sandbox.test/tenant/one/.well-known/openid-configuration",
    ] {
        let document = body(&client.get(place));
        assert_eq!(
            document["issuer"], "https://auth.sandbox.test/tenant/one",
            "{place}"
        );
        assert_eq!(
            document["token_endpoint"],
            "https://auth.sandbox.test/tenant/one/token"
        );
    }
    let known = client.registered();
    let ada = client.tokens(&known, "ada", READ);
    assert_eq!(said(&client.tool(&ada.access, "whoami")), "ada");

    let place = "https://mcp.sandbox.test/.well-known/oauth-protected-resource/mcp";
    client.sandbox.hide(place);
    assert_eq!(client.get(place).status, 404);
    client.sandbox.answer_as_usual_at(place);
    assert_eq!(client.get(place).status, 200);
    client.sandbox.adjust(|it| {
        it.challenge_names_metadata = false;
        it.challenge_scope = None;
    });
    let challenge = client.call(None, "ping", &json!({}));
    assert_eq!(challenge.headers[header::WWW_AUTHENTICATE], "Bearer");
}

#[test]
fn clients_are_registered_by_the_rules() {
    let client = Client::new();
    let server = client.discover();
    let public = body(&client.register(&server, &metadata("none")));
    assert!(public.get("client_secret").is_none());
    let confidential = body(&client.register(&server, &metadata("client_secret_basic")));
    assert!(
        confidential["client_secret"]
            .as_str()
            .unwrap()
            .starts_with("sbx-cs-")
    );
    assert_eq!(confidential["client_secret_expires_at"], 0);

    // The registration is read and deleted with its own token.
    let place = confidential["registration_client_uri"].as_str().unwrap();
    let manage = |method: Method, token: &Value| {
        let bearer = format!("Bearer {}", token.as_str().unwrap());
        let request = HttpRequest::new(method, Url::parse(place).unwrap())
            .with_header(header::AUTHORIZATION, HeaderValue::from_str(&bearer).unwrap());
        client.sandbox.send(request).unwrap()
    };
    let (own, other) = (
        &confidential["registration_access_token"],
        &public["registration_access_token"],
    );
    assert_eq!(manage(Method::GET, other).status, 401);
    assert_eq!(
        body(&manage(Method::GET, own))["client_id"],
        confidential["client_id"]
    );
    assert_eq!(manage(Method::DELETE, own).status, 204);
    assert_eq!(manage(Method::GET, own).status, 401);
    let issued = client.sandbox.issued_secrets();
    assert!(issued.iter().any(|secret| Some(secret.as_str()) == own.as_str()));

    for (uri, application_type, expected) in [
        ("https://host.test/callback", Some("web"), 201),
        ("https://host.test/callback", None, 201),
        ("http://127.0.0.1/callback", Some("native"), 201),
        ("com.example.app:/callback", Some("native"), 201),
        ("http://127.0.0.1/callback", Some("web"), 400),
        ("http://127.0.0.1/callback", None, 400),
        ("http://host.test/callback", Some("native"), 400),
        ("https://localhost/callback", Some("web"), 400),
        ("https://host.test/callback#x", Some("web"), 400),
        ("callback", Some("native"), 400),
    ] {
        let mut request = metadata("none");
        request["redirect_uris"] = json!([uri]);
        match application_type {
            Some(application_type) => request["application_type"] = application_type.into(),
            None => {
                request.as_object_mut().unwrap().remove("application_type");
            }
        }
        let answer = client.register(&server, &request);
        assert_eq!(answer.status, expected, "{uri} {application_type:?}");
        if expected == 400 {
            assert_eq!(error(&answer), refused(400, "invalid_redirect_uri"));
        }
    }
    for (name, value) in [
        ("token_endpoint_auth_method", json!("tls_client_auth")),
        ("grant_types", json!(["client_credentials"])),
        ("response_types", json!(["token"])),
        ("application_type", json!("desktop")),
    ] {
        let mut request = metadata("none");
        request[name] = value;
        let answer = client.register(&server, &request);
        assert_eq!(error(&answer), refused(400, "invalid_client_metadata"), "{name}");
    }
}

#[test]
fn a_registration_can_be_refused_changed_or_not_offered() {
    let client = Client::new();
    let server = client.discover();
    client
        .sandbox
        .adjust(|it| it.registered_method = Some("none".into()));
    let answer = body(&client.register(&server, &metadata("client_secret_post")));
    assert_eq!(answer["token_endpoint_auth_method"], "none");
    assert!(answer.get("client_secret").is_none());

    client
        .sandbox
        .adjust(|it| it.registration_refusal = Some(Refusal::JsonWith(403)));
    let answer = client.register(&server, &metadata("none"));
    assert_eq!(error(&answer), refused(403, "invalid_client_metadata"));

    client.sandbox.adjust(|it| it.registers_clients = false);
    assert!(client.discover().get("registration_endpoint").is_none());
    assert_eq!(client.register(&server, &metadata("none")).status, 404);
}

#[test]
fn a_client_secret_expires_and_a_registration_is_forgotten() {
    let client = Client::new();
    client
        .sandbox
        .adjust(|it| it.client_secret_lifetime = Some(Duration::from_secs(60)));
    let known = client.registered();
    let ada = client.tokens(&known, "ada", READ);
    client.clock.advance(Duration::from_secs(60));
    let expired = client.refresh(&known, &ada.refresh, Some(client.url));
    assert_eq!(error(&expired), refused(401, "invalid_client"));

    client.sandbox.adjust(|it| it.client_secret_lifetime = None);
    let known = client.registered();
    let ada = client.tokens(&known, "ada", READ);
    assert!(client.sandbox.forget_client(&known.id));
    assert!(!client.sandbox.forget_client(&known.id));
    let forgotten = client.refresh(&known, &ada.refresh, Some(client.url));
    assert_eq!(error(&forgotten), refused(401, "invalid_client"));
    let walk = client
        .sandbox
        .consent(client.authorization_url(&known, READ, Some(client.url)));
    assert_eq!(
        (walk.status(), walk.redirected_to()),
        (StatusCode::BAD_REQUEST, None)
    );
}

#[test]
fn a_client_id_may_be_the_url_of_a_document() {
    let client = Client::new();
    let id = "https://host.test/oauth/client.json";
    let known = Known {
        server: client.discover(),
        id: id.to_owned(),
        secret: None,
    };
    assert_eq!(known.server["client_id_metadata_document_supported"], true);
    let url = client.authorization_url(&known, READ, Some(client.url));
    let status = || client.sandbox.consent(&url).status();
    assert_eq!(status(), 400, "nobody reads documents");

    let good = json!({
        "client_id": id, "client_name": "Test", "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
    });
    let with = |name: &str, value: Value| {
        let mut document = good.clone();
        document[name] = value;
        document.to_string()
    };
    for (document, expected) in [
        (good.to_string(), 200),
        (with("client_id", json!("https://host.test/other.json")), 400),
        (with("client_secret", json!("x")), 400),
        (
            with("token_endpoint_auth_method", json!("client_secret_post")),
            400,
        ),
        (with("redirect_uris", json!(["https://evil.test/"])), 400),
        (with("client_name", json!("x".repeat(5 * 1024))), 400),
        ("not JSON".to_owned(), 400),
    ] {
        let served = document.clone();
        client
            .sandbox
            .read_client_documents_with(move |request: HttpRequest| {
                assert_eq!(request.url.as_str(), id);
                let limit = request.max_response_bytes.unwrap();
                if served.len() > limit {
                    return Err(HttpError::TooLarge);
                }
                Ok(HttpResponse::new(StatusCode::OK, served.clone()))
            });
        assert_eq!(status(), expected, "{document}");
    }
    let document = good.to_string();
    client.sandbox.read_client_documents_with(move |_: HttpRequest| {
        Ok(HttpResponse::new(StatusCode::OK, document.clone()))
    });
    let ada = client.tokens(&known, "ada", READ);
    assert_eq!(said(&client.tool(&ada.access, "whoami")), "ada");
    super::tokens(&client.refresh(&known, &ada.refresh, Some(client.url)));

    client.sandbox.adjust(|it| it.accepts_client_documents = false);
    assert_eq!(client.discover()["client_id_metadata_document_supported"], false);
}

#[test]
fn another_authorization_server_has_its_own_clients_and_tokens() {
    let client = Client::new();
    let known = client.registered();
    let ada = client.tokens(&known, "ada", READ);
    let second = "https://login.sandbox.test";
    client.sandbox.serve_mcp(client.url, &[second]);
    assert_eq!(client.tool(&ada.access, "whoami").status, 401);
    assert_eq!(client.discover()["issuer"], second);

    // The former server still answers, and neither knows the other's clients and grants.
    super::tokens(&client.refresh(&known, &ada.refresh, Some(client.url)));
    let elsewhere = Known {
        server: client.server(second),
        ..known
    };
    let answer = client.refresh(&elsewhere, &ada.refresh, Some(client.url));
    assert_eq!(error(&answer), refused(401, "invalid_client"));
    let moved = client.registered();
    let answer = client.refresh(&moved, &ada.refresh, Some(client.url));
    assert_eq!(error(&answer), refused(400, "invalid_grant"));
    let ada = client.tokens(&moved, "ada", READ);
    assert_eq!(said(&client.tool(&ada.access, "whoami")), "ada");

    client
        .sandbox
        .serve_mcp(client.url, &[Sandbox::MCP_ISSUER, second]);
    assert_eq!(said(&client.tool(&ada.access, "whoami")), "ada");
    let place = "https://mcp.sandbox.test/.well-known/oauth-protected-resource";
    assert_eq!(
        body(&client.get(place))["authorization_servers"],
        json!([Sandbox::MCP_ISSUER, second])
    );
}

#[test]
fn the_issuer_is_promised_and_sent_unless_set_otherwise() {
    let client = Client::new();
    let known = client.registered();
    let url = client.authorization_url(&known, READ, Some(client.url));
    let callback = client.sandbox.approve(&url, "ada");
    assert_eq!(query(&callback, "iss").unwrap(), Sandbox::MCP_ISSUER);
    let promise = "authorization_response_iss_parameter_supported";
    assert_eq!(client.discover()[promise], true);

    client.sandbox.adjust(|it| it.issuer = IssuerEcho::Never);
    assert_eq!(client.discover()[promise], false);
    client.sandbox.edit_document(
        "https://auth.sandbox.test/.well-known/oauth-authorization-server",
        move |document| document[promise] = true.into(),
    );
    assert_eq!(client.discover()[promise], true);
    assert_eq!(query(&client.sandbox.approve(&url, "ada"), "iss"), None);
}

#[test]
fn signing_in_says_who_the_user_is() {
    let client = Client::new();
    let known = client.registered();
    let code = client.code(&known, "grace", "openid mcp.read");
    let answer = body(&client.exchange(&known, &code, Some(client.url)));
    assert!(answer["id_token"].is_string());
    let account = |token: &str| {
        let request = HttpRequest::new(Method::GET, known.endpoint("userinfo_endpoint")).with_header(
            header::AUTHORIZATION,
            HeaderValue::from_str(&format!("Bearer {token}")).unwrap(),
        );
        client.sandbox.send(request).unwrap()
    };
    let answer = body(&account(answer["access_token"].as_str().unwrap()));
    assert_eq!(answer["sub"], "grace");
    let ada = client.tokens(&known, "ada", READ);
    assert_eq!(account(&ada.access).status, 403);
}

#[test]
fn a_server_without_authorization_has_no_metadata() {
    let client = Client::new();
    client.sandbox.adjust(|it| it.requires_token = false);
    let params = json!({ "name": "whoami" });
    assert_eq!(said(&client.call(None, "tools/call", &params)), "anonymous");
    let place = "https://mcp.sandbox.test/.well-known/oauth-protected-resource";
    assert_eq!(client.get(place).status, 404);
}

#[test]
fn faulty_documents_are_what_the_test_makes_them() {
    let client = Client::new();
    let place = "https://auth.sandbox.test/.well-known/oauth-authorization-server";
    client.sandbox.edit_document(place, |document| {
        document["issuer"] = "https://evil.test".into();
        document
            .as_object_mut()
            .unwrap()
            .remove("code_challenge_methods_supported");
    });
    let document = body(&client.get(place));
    assert_eq!(document["issuer"], "https://evil.test");
    assert!(document.get("code_challenge_methods_supported").is_none());

    client.sandbox.answer_at(place, |_| Err(HttpError::Timeout));
    let request = || HttpRequest::new(Method::GET, Url::parse(place).unwrap());
    assert_eq!(client.sandbox.send(request()).unwrap_err(), HttpError::Timeout);
    client.sandbox.answer_at(place, |_| {
        let location = HeaderValue::from_static("https://elsewhere.test/");
        Ok(HttpResponse::new(StatusCode::FOUND, "").with_header(header::LOCATION, location))
    });
    assert_eq!(client.get(place).status, 302);
    let elsewhere = HttpRequest::new(Method::GET, Url::parse("https://elsewhere.test/").unwrap());
    assert_eq!(client.sandbox.send(elsewhere).unwrap_err(), HttpError::Connect);
    let log = client.sandbox.log();
    let answers: Vec<u16> = log
        .iter()
        .filter(|logged| logged.address() == place)
        .map(|logged| logged.status().as_u16())
        .collect();
    assert_eq!(answers, [200, 504, 302]);
}
