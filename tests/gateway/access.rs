//! Access control: every route, for every caller and every connection. Refusals reveal nothing.

use http::{Method, Request, header};
use serde_json::json;
use valetkey::model::Connection;
use valetkey::{ActingUser, ConsentOptions};

use crate::support::gateway::{self, BASE, ORIGIN, Site, header_of, json, program, text, with_json};

const ALICE: &str = "acme.alice.user";
const BOB: &str = "acme.bob.user";
const OLGA: &str = "acme.olga.operator";
const MALLORY: &str = "evil.alice.user";
const EVE: &str = "evil.olga.operator";

/// The relation of a caller to a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reach {
    Manages,
    Sees,
    Nothing,
}

fn reach(caller: &str, connection: &Connection) -> Reach {
    let (tenant, rest) = caller.split_once('.').unwrap();
    let (name, role) = rest.split_once('.').unwrap();
    if tenant != connection.tenant.as_str() {
        return Reach::Nothing;
    }
    match (connection.owner.user(), role) {
        (_, "operator") => Reach::Manages,
        (Some(owner), _) if owner.as_str() == name => Reach::Manages,
        (None, _) => Reach::Sees,
        _ => Reach::Nothing,
    }
}

/// Each route of one connection: whether it makes a change, and its status for callers it serves.
/// The last routes end the connection.
fn routes(id: &str) -> Vec<(Method, String, bool, u16)> {
    vec![
        (Method::GET, format!("/v1/connections/{id}"), false, 200),
        (Method::GET, format!("/connections/{id}"), false, 200),
        (Method::GET, format!("/v1/audit?connection={id}"), false, 200),
        (Method::GET, format!("/connections/{id}/revoke"), true, 200),
        (Method::POST, format!("/v1/connections/{id}/refresh"), true, 200),
        (Method::POST, format!("/connections/{id}/refresh"), true, 303),
        (Method::POST, format!("/v1/connections/{id}/default"), true, 200),
        (Method::POST, format!("/connections/{id}/default"), true, 303),
        (Method::POST, format!("/connections/{id}/revoke"), true, 200),
        (Method::DELETE, format!("/v1/connections/{id}"), true, 200),
    ]
}

#[test]
fn every_route_for_every_caller_and_every_connection() {
    let mut tried = 0;
    for caller in [ALICE, BOB, OLGA, MALLORY, EVE] {
        for owner in [Some(ALICE), None, Some(MALLORY)] {
            let site = Site::new();
            let connection = match owner {
                Some(owner) => site.connect(owner, "ada", ConsentOptions::default()),
                None => site.connect_workspace_account("ada"),
            };
            let reach = reach(caller, &connection);
            let absent = routes("018f0000-0000-7000-8000-000000000000");
            for (route, absent) in routes(&connection.id.to_string()).into_iter().zip(absent) {
                let (method, path, changes, ok) = route;
                let absent = site.send(program(caller, absent.0, &absent.1));
                let response = site.send(program(caller, method.clone(), &path));
                let expected = match reach {
                    Reach::Manages => ok,
                    Reach::Sees if changes => 403,
                    Reach::Sees => ok,
                    Reach::Nothing => 404,
                };
                let label = format!("{caller} {method} {path} of {owner:?}");
                assert_eq!(response.status(), expected, "{label}: {}", text(&response));
                assert_eq!(absent.status(), 404, "{label}");
                if expected == 404 {
                    // Other users' connections and those that do not exist get identical responses.
                    assert_eq!(response.body(), absent.body(), "{label}");
                    assert_eq!(response.headers(), absent.headers(), "{label}");
                }
                tried += 1;
            }
            // A refused change has no effect.
            let user = connection.owner.user().map_or("olga", |user| user.as_str());
            let owner = ActingUser::authenticated(connection.tenant.clone(), user).unwrap();
            let now = site.connections.get(&owner, connection.id).unwrap();
            assert_eq!(
                now == connection,
                reach != Reach::Manages,
                "{caller} of {owner:?}"
            );
        }
    }
    assert_eq!(tried, 5 * 3 * 10);
}

#[test]
fn lists_hold_what_is_in_reach_and_filters_widen_nothing() {
    let site = Site::new();
    site.connect(ALICE, "ada", ConsentOptions::default());
    site.connect(BOB, "grace", ConsentOptions::default());
    site.connect_workspace_account("ada");
    site.connect(MALLORY, "grace", ConsentOptions::default());
    let count = |caller, query: &str| {
        let response = site.send(program(caller, Method::GET, &format!("/v1/connections{query}")));
        assert_eq!(response.status(), 200, "{}", text(&response));
        json(&response)["connections"].as_array().unwrap().len()
    };
    for (caller, query, expected) in [
        (ALICE, "", 2),
        (ALICE, "?user=alice", 1),
        (ALICE, "?user=bob", 0),
        (ALICE, "?status=revoked", 0),
        (ALICE, "?provider=mail", 0),
        (OLGA, "", 3),
        (OLGA, "?user=bob", 1),
        (OLGA, "?user=nobody", 0),
        (OLGA, "?status=active", 3),
        (OLGA, "?provider=notes", 3),
        (MALLORY, "", 1),
        (EVE, "?user=alice", 1),
        (EVE, "?user=bob", 0),
    ] {
        assert_eq!(count(caller, query), expected, "{caller} {query}");
    }
    for query in [
        "?status=x",
        "?limit=0",
        "?limit=201",
        "?limit=x",
        "?after=x",
        "?user=%00",
    ] {
        let response = site.send(program(OLGA, Method::GET, &format!("/v1/connections{query}")));
        assert_eq!(response.status(), 400, "{query}");
    }
}

#[test]
fn nobody_gets_in_without_the_hosts_word() {
    let site = Site::new();
    let id = "018f0000-0000-7000-8000-000000000000";
    let mut paths: Vec<(Method, String)> = routes(id)
        .into_iter()
        .map(|(method, path, ..)| (method, path))
        .collect();
    for path in [
        "/",
        "/connect",
        "/connect/x",
        "/callback/sandbox?code=c&state=s",
        "/consent/denied",
        "/v1/connections",
        "/v1/audit",
        "/v1/providers",
        "/v1/session",
        "/v1/openapi.json",
        "/v1/consents",
        "/consents/018f0000-0000-7000-8000-000000000000",
        "/consent/choose",
        "/links",
        "/services",
        "/revoke?user=alice",
        "/audit",
        "/audit.csv",
        "/embed/connections",
        "/fragments/connect",
        "/v1/people",
        "/v1/revocation",
    ] {
        paths.push((Method::GET, path.into()));
    }
    paths.push((Method::POST, "/connect".into()));
    paths.push((Method::POST, "/v1/oauth/token".into()));
    paths.push((Method::POST, "/v1/revocation".into()));
    for (method, path) in paths {
        let request = Request::builder().method(&method).uri(format!("{BASE}{path}"));
        let response = site.send(request.body(Vec::new()).unwrap());
        if method == Method::GET && !path.starts_with("/v1/") {
            assert_eq!(response.status(), 303, "{path}");
            let location = header_of(&response, "location").unwrap();
            let back: String =
                url::form_urlencoded::byte_serialize(format!("{BASE}{path}").as_bytes()).collect();
            assert_eq!(location, format!("/sign-in?return_to={back}"));
        } else if method == Method::POST && !path.starts_with("/v1/") {
            // The page of the form, which never changes anything.
            assert_eq!(response.status(), 303, "{path}");
            let location = header_of(&response, "location").unwrap();
            assert!(
                location.starts_with("/sign-in?return_to=%2Fat%2Fconnect"),
                "{location}"
            );
        } else {
            assert_eq!(response.status(), 401, "{method} {path}");
            assert!(header_of(&response, "www-authenticate").is_some());
        }
        let forbidden = Request::builder().method(&method).uri(format!("{BASE}{path}"));
        let forbidden = forbidden.header(header::COOKIE, "session=nonsense");
        assert_eq!(
            site.send(forbidden.body(Vec::new()).unwrap()).status(),
            403,
            "{path}"
        );
    }
    for path in [
        "/healthz",
        "/assets/gateway.css",
        "/assets/gateway.js",
        "/assets/icon.svg",
        "/assets/icons.svg",
    ] {
        let response = site.send(Request::get(format!("{BASE}{path}")).body(Vec::new()).unwrap());
        assert_eq!(response.status(), 200, "{path}");
    }
}

#[test]
fn a_change_by_a_browser_needs_the_token_of_this_browser_and_person() {
    let site = Site::new();
    let id = site.connect(ALICE, "ada", ConsentOptions::default()).id;
    let forms = [
        ("/connect".to_owned(), vec![("provider", "notes")]),
        (format!("/connections/{id}/refresh"), vec![]),
        (format!("/connections/{id}/default"), vec![]),
        (format!("/connections/{id}/revoke"), vec![]),
        (format!("/v1/connections/{id}/refresh"), vec![]),
        (format!("/v1/connections/{id}/default"), vec![]),
        (
            "/v1/oauth/token".to_owned(),
            vec![("grant_type", "authorization_code")],
        ),
    ];
    let mut alice = site.tab(ALICE);
    let own = alice.token();
    let of_bob_here = {
        let mut tab = site.tab(BOB);
        tab.steal_from(&alice);
        tab.token()
    };
    let of_another_browser = site.tab(ALICE).token();
    assert!(own != of_bob_here && own != of_another_browser);
    for (path, fields) in &forms {
        for token in ["", "x", &of_bob_here, &of_another_browser, &own[..42]] {
            let mut fields = fields.clone();
            fields.push(("csrf_token", token));
            let refused = alice.post_without_token(path, &fields);
            assert_eq!(refused.status(), 403, "{path} with {token}");
        }
        // A header is accepted as well, the query never.
        let refused = alice.post_without_token(&format!("{path}?csrf_token={own}"), fields);
        assert_eq!(refused.status(), 403, "{path}");
    }
    let delete = |token: Option<&str>, origin: Option<(&str, &str)>| {
        let mut request =
            Request::delete(format!("{BASE}/v1/connections/{id}")).header(header::COOKIE, alice.cookie());
        if let Some(token) = token {
            request = request.header("x-csrf-token", token);
        }
        if let Some((name, value)) = origin {
            request = request.header(name, value);
        }
        site.send(request.body(Vec::new()).unwrap()).status().as_u16()
    };
    assert_eq!(delete(None, None), 403);
    for (name, value) in [
        ("origin", "https://evil.test"),
        ("origin", "https://app.test.evil.test"),
        ("origin", "http://app.test"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        assert_eq!(delete(Some(&own), Some((name, value))), 403, "{name}: {value}");
    }
    assert_eq!(
        site.connections.get(&gateway::person(ALICE), id).unwrap().status,
        valetkey::model::Status::Active
    );
    assert_eq!(delete(Some(&own), Some(("origin", ORIGIN))), 200);
}

#[test]
fn methods_media_types_and_sizes_are_checked() {
    let site = Site::new();
    for (method, path, status, allow) in [
        (Method::DELETE, "/", 405, Some("GET, HEAD")),
        (Method::PUT, "/connect", 405, Some("GET, HEAD, POST")),
        (Method::HEAD, "/connect/x", 405, Some("GET")),
        (Method::HEAD, "/callback/sandbox", 405, Some("GET")),
        (Method::GET, "/v1/oauth/token", 405, Some("POST")),
        (Method::OPTIONS, "/v1/connections", 405, Some("GET, HEAD")),
        (Method::POST, "/v1/connections/x", 405, Some("GET, HEAD, DELETE")),
        (Method::GET, "/v1/nothing", 404, None),
        (Method::GET, "/assets/../gateway.css", 404, None),
        (Method::GET, "/assets/nothing", 404, None),
    ] {
        let response = site.send(program(OLGA, method.clone(), path));
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(header_of(&response, "allow"), allow, "{method} {path}");
    }
    let outside = Request::get("/v1/providers").header(header::AUTHORIZATION, format!("Bearer {OLGA}"));
    assert_eq!(site.send(outside.body(Vec::new()).unwrap()).status(), 404);

    let post = |body: &[u8], media_type: Option<&str>| {
        let mut request = program(ALICE, Method::POST, "/v1/oauth/token");
        *request.body_mut() = body.to_vec();
        if let Some(media_type) = media_type {
            request
                .headers_mut()
                .insert(header::CONTENT_TYPE, media_type.parse().unwrap());
        }
        site.send(request).status().as_u16()
    };
    assert_eq!(post(b"{}", None), 415);
    assert_eq!(post(b"<x/>", Some("text/xml")), 415);
    assert_eq!(post(b"{}", Some("multipart/form-data")), 415);
    assert_eq!(post(b"[]", Some("application/json")), 400);
    assert_eq!(post(b"{\"code\":1}", Some("application/json")), 400);
    assert_eq!(
        post(
            b"a=1&a=2",
            Some("application/x-www-form-urlencoded; charset=utf-8")
        ),
        400
    );
    assert_eq!(post(&vec![b'a'; 64 * 1024 + 1], Some("application/json")), 413);
    let long = format!("/v1/connections?user={}", "a".repeat(16 * 1024));
    assert_eq!(site.send(program(ALICE, Method::GET, &long)).status(), 414);
}

#[test]
fn only_operators_start_for_others_and_nobody_across_tenants() {
    let site = Site::new();
    let start = |caller, body: serde_json::Value| {
        site.send(with_json(program(caller, Method::POST, "/connect"), &body))
    };
    for (caller, body, status) in [
        (ALICE, json!({"provider": "notes"}), 201),
        (ALICE, json!({"provider": "notes", "user": "alice"}), 201),
        (ALICE, json!({"provider": "notes", "user": "bob"}), 403),
        (ALICE, json!({"provider": "notes", "shared": true}), 403),
        (OLGA, json!({"provider": "notes", "user": "bob"}), 201),
        (OLGA, json!({"provider": "notes", "shared": true}), 201),
        (OLGA, json!({"provider": "nothing"}), 400),
        (OLGA, json!({}), 400),
        (OLGA, json!({"provider": "notes", "user": "a\u{0}b"}), 400),
        (
            ALICE,
            json!({"provider": "notes", "return_to": "//evil.test"}),
            400,
        ),
        (ALICE, json!({"provider": "notes", "return_to": "/chat"}), 201),
        (ALICE, json!({"reconnect": "x"}), 404),
    ] {
        let response = start(caller, body.clone());
        assert_eq!(response.status(), status, "{caller} {body}: {}", text(&response));
    }
    let of_alice = site
        .connect(ALICE, "ada", ConsentOptions::default())
        .id
        .to_string();
    for (caller, status) in [(ALICE, 201), (OLGA, 201), (BOB, 404), (MALLORY, 404), (EVE, 404)] {
        assert_eq!(
            start(caller, json!({"reconnect": of_alice})).status(),
            status,
            "{caller}"
        );
    }
    // A link that an operator of another tenant makes is for a user of that tenant.
    let link = json(&start(EVE, json!({"provider": "notes", "user": "alice"})));
    let path = link["link"].as_str().unwrap();
    assert_eq!(site.tab(ALICE).get(path).status(), 404);
    assert_eq!(site.tab(MALLORY).get(path).status(), 303);
}

#[test]
fn operators_see_and_withdraw_open_links_and_people_their_own() {
    let site = Site::new();
    let prepare = |who: &str| {
        let person = gateway::person(who);
        let options = ConsentOptions::default();
        site.connections.prepare(&person, "notes", options).unwrap()
    };
    let (of_alice, of_bob) = (prepare(ALICE), prepare(BOB));
    let opened = site
        .connections
        .open_link(&gateway::person(ALICE), of_alice.ticket());
    let listed = |caller: &str, query: &str| {
        let response = site.send(program(caller, Method::GET, &format!("/v1/consents{query}")));
        let consents = (response.status() == 200).then(|| json(&response)["consents"].clone());
        (response.status().as_u16(), consents.unwrap_or_default())
    };
    for (caller, query, status, expected) in [
        (ALICE, "", 200, Some((of_alice.id(), true))),
        (ALICE, "?user=alice", 200, Some((of_alice.id(), true))),
        (ALICE, "?user=bob", 403, None),
        (BOB, "", 200, Some((of_bob.id(), false))),
        (OLGA, "?user=bob", 200, Some((of_bob.id(), false))),
        (OLGA, "", 200, None),
        (EVE, "?user=alice", 200, None),
    ] {
        let (found, consents) = listed(caller, query);
        assert_eq!(found, status, "{caller} {query}");
        let first = consents.get(0);
        let first = first.map(|it| (it["id"].as_str().unwrap().to_owned(), it["opened"] == true));
        let expected = expected.map(|(id, opened)| (id.to_string(), opened));
        assert_eq!(first, expected, "{caller} {query}");
        let text = consents.to_string();
        assert!(!text.contains(of_alice.ticket().expose_secret()) && consents.get(1).is_none());
    }
    let withdraw = |caller: &str, id: valetkey::model::ConsentId, query: &str| {
        site.send(program(
            caller,
            Method::DELETE,
            &format!("/v1/consents/{id}{query}"),
        ))
    };
    assert_eq!(withdraw(ALICE, of_bob.id(), "").status(), 404);
    assert_eq!(withdraw(ALICE, of_bob.id(), "?user=bob").status(), 403);
    assert_eq!(withdraw(EVE, of_alice.id(), "?user=alice").status(), 404);
    assert_eq!(withdraw(OLGA, of_alice.id(), "").status(), 404);
    assert_eq!(
        json(&withdraw(OLGA, of_alice.id(), "?user=alice"))["state"],
        "cancelled"
    );
    assert_eq!(json(&withdraw(BOB, of_bob.id(), ""))["state"], "cancelled");
    assert_eq!(
        json(&withdraw(BOB, of_bob.id(), ""))["state"],
        "cancelled",
        "twice"
    );
    for (caller, query) in [(OLGA, "?user=alice"), (BOB, "")] {
        assert_eq!(listed(caller, query), (200, json!([])));
    }
    // Neither the link nor the flow that it opened can be used.
    let consent = opened.unwrap();
    let callback = site.sandbox.approve(consent.authorization_url(), "ada");
    let response = valetkey::AuthorizationResponse::parse(&callback).unwrap();
    let completed = site
        .connections
        .complete(&gateway::person(ALICE), response, consent.binding());
    assert!(completed.is_err());
    let again = site
        .connections
        .open_link(&gateway::person(ALICE), of_alice.ticket());
    assert!(again.is_err());
    assert_eq!(site.sandbox.count("/token"), 0);
}
