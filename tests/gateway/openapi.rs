//! The API's description is accurate: every route exists, and every response conforms to it,
//! whatever the request.

use http::{Method, Request, Response, header};
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};
use valetkey::ConsentOptions;
use valetkey::testing::Fault;

use crate::support::gateway::{self, Site, json, program, text, with_json};

const ALICE: &str = "acme.alice.user";
const OLGA: &str = "acme.olga.operator";

/// Returns each operation of the document: method, path and description.
fn operations(document: &Value) -> Vec<(Method, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if method != "parameters" {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                all.push((method, path.clone(), operation.clone()));
            }
        }
    }
    all
}

/// Fails unless the document allows this response to this operation.
fn assert_described(document: &Value, operation: &Value, response: &Response<Vec<u8>>) {
    let status = response.status().as_str().to_owned();
    let id = operation["operationId"].as_str().unwrap();
    let described = &operation["responses"][&status];
    assert!(
        described.is_object(),
        "{id}: {status} is not described: {}",
        text(response)
    );
    let content = &described["content"]["application/json"]["schema"];
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "application/json",
        "{id}"
    );
    let body = json(response);
    let validator = validator(document, content);
    if let Err(why) = validator.validate(&body) {
        panic!("{id} {status}: {why} at {}: {body}", why.instance_path());
    }
}

/// Returns a schema of the document, with the schemas it may refer to.
fn validator(document: &Value, schema: &Value) -> Validator {
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    let options = jsonschema::options().should_validate_formats(true);
    options.build(&schema).unwrap()
}

fn document(site: &Site) -> Value {
    json(&site.send(program(ALICE, Method::GET, "/v1/openapi.json")))
}

#[test]
fn the_document_says_where_it_is_and_names_each_route_of_the_api() {
    let site = Site::new();
    let document = document(&site);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], "https://app.test/at");
    let operations = operations(&document);
    assert_eq!(operations.len(), 17);
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    for path in &paths {
        let methods: Vec<&Method> = operations
            .iter()
            .filter(|it| it.1 == **path)
            .map(|it| &it.0)
            .collect();
        let concrete = path.replace("{id}", "018f0000-0000-7000-8000-000000000000");
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ] {
            // The page answers GET at this path.
            if **path == "/connect" && method == Method::GET {
                continue;
            }
            let response = site.send(with_json(program(OLGA, method.clone(), &concrete), &json!({})));
            let exists = response.status() != 405;
            assert_eq!(exists, methods.contains(&&method), "{method} {path}");
        }
    }
    // Every referenced name exists, and every schema is used.
    let text = document.to_string();
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(
            text.contains(&format!("\"#/components/schemas/{name}\"")),
            "{name} is not used"
        );
    }
}

#[test]
fn answers_in_every_state_fit_their_description() {
    let site = Site::new();
    let document = document(&site);
    let operations = operations(&document);
    let own = site.connect(ALICE, "ada", ConsentOptions::default()).id;
    site.connect_workspace_account("grace");
    let all = |expected: &[(&str, u16)]| {
        for (method, path, operation) in &operations {
            let id = operation["operationId"].as_str().unwrap();
            if id == "revokeConnection" && expected.iter().all(|(name, _)| *name != id) {
                continue;
            }
            let path = path.replace("{id}", &own.to_string());
            let body = match id {
                "prepareConsent" => json!({"provider": "notes"}),
                "revokeAll" => json!({"user": "nobody"}),
                "exchangeCode" => {
                    json!({"grant_type": "authorization_code", "code": "c", "state": "s", "server": "sandbox"})
                }
                _ => Value::Null,
            };
            let path = match id {
                "previewRevocation" => format!("{path}?provider=notes"),
                _ => path,
            };
            let mut request = program(OLGA, method.clone(), &path);
            if !body.is_null() {
                request = with_json(request, &body);
            }
            let response = site.send(request);
            assert_described(&document, operation, &response);
            if let Some((_, status)) = expected.iter().find(|(name, _)| *name == id) {
                assert_eq!(response.status(), *status, "{id}: {}", text(&response));
            }
        }
    };
    all(&[
        ("health", 200),
        ("listConnections", 200),
        ("readAudit", 200),
        ("searchPeople", 200),
        ("previewRevocation", 200),
        ("revokeAll", 200),
        ("prepareConsent", 201),
        ("exchangeCode", 400),
    ]);
    site.clock.advance(std::time::Duration::from_secs(3_590));
    all(&[("refreshConnection", 200)]);
    site.http.on("/token").next(Fault::Status(429, String::new()));
    all(&[("refreshConnection", 503), ("getConnection", 200)]);
    site.clock.advance(std::time::Duration::from_secs(7_200));
    site.sandbox.revoke_at_server("ada");
    all(&[("refreshConnection", 409), ("getConnection", 200)]);
    all(&[("revokeConnection", 200)]);
    all(&[
        ("getConnection", 200),
        ("revokeConnection", 200),
        ("makeDefault", 404),
        ("readAudit", 200),
    ]);
    assert_eq!(
        site.connections
            .list(&gateway::person(ALICE), &Default::default())
            .unwrap()
            .len(),
        1
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_sent_is_answered_as_described(
        which in any::<prop::sample::Index>(),
        id in prop_oneof![Just("018f0000-0000-7000-8000-000000000000".to_owned()), "[a-z0-9%-]{0,40}"],
        query in "([a-z]{1,9}=[ -~]{0,12}&?){0,4}|(status|kind|limit|after|user|provider|connection|since|until|order|all|q)=[a-z0-9-]{0,10}",
        body in prop_oneof![
            Just(Vec::new()),
            proptest::collection::vec(any::<u8>(), 0..200),
            "\\{(\"(grant_type|code|state|iss|server|redirect_uri|provider|user|label|shared|reconnect|extends|again|also|access|parameters)\":(\"[a-z_/]{0,20}\"|true|1|null|\\{\"[a-z]{0,3}\":\"x\"\\}|\\[\"[a-z]{0,9}\"\\]|\\[1\\]))?\\}"
                .prop_map(String::into_bytes),
            "((grant_type|code|state|provider|user|label|extends|also)=[a-z_%]{0,20}&?){0,4}".prop_map(String::into_bytes),
        ],
        media_type in prop_oneof![
            Just(None),
            Just(Some("application/json")),
            Just(Some("application/x-www-form-urlencoded")),
            Just(Some("text/plain")),
        ],
        caller in prop_oneof![Just(Some(ALICE)), Just(Some(OLGA)), Just(Some("x")), Just(None)],
        ambient in any::<bool>(),
    ) {
        let site = Site::new();
        let document = document(&site);
        let mut operations = operations(&document);
        let (method, path, operation) = operations.swap_remove(which.index(operations.len()));
        let query: String = query.chars().map(|c| if c == ' ' || "\"<>\\^`{|}#%".contains(c) { '.' } else { c }).collect();
        let uri = format!("{}{}?{query}", gateway::BASE, path.replace("{id}", &id));
        let mut request = Request::builder().method(method).uri(uri).header(header::ACCEPT, "application/json");
        if let Some(caller) = caller {
            request = if ambient {
                request.header(header::COOKIE, format!("session={caller}"))
            } else {
                request.header(header::AUTHORIZATION, format!("Bearer {caller}"))
            };
        }
        if let Some(media_type) = media_type {
            request = request.header(header::CONTENT_TYPE, media_type);
        }
        let Ok(request) = request.body(body) else { return Ok(()) };
        // An empty id, or one that ends in a lone percent sign, changes the path.
        prop_assume!(!path.contains("{id}") || (!id.is_empty() && !id.contains('%')));
        assert_described(&document, &operation, &site.send(request));
    }
}
