//! The pages: headers, escaping, states, length, and the absence of secrets.

use std::sync::Arc;

use http::{Method, Request, Response, header};
use valetkey::ConsentOptions;
use valetkey::gateway::{Gateway, Mount};
use valetkey::internals::provider::{Revocation, RevocationAuth, RevocationTokens};
use valetkey::internals::vault::{AuditLog as _, TokenUse, UseRecord};
use valetkey::model::{
    Account, FailureCode, Label, Owner, ProviderId, Scopes, Status, TenantId, Timestamp, UserId,
};
use valetkey::testing::Fault;
use valetkey::vault::{MasterKey, SealedVault};

use crate::support::counting::CountingStore;
use crate::support::gateway::planted::plant;
use crate::support::gateway::{self, BASE, Site, header_of, program, text};

const ALICE: &str = "acme.alice.user";
const OLGA: &str = "acme.olga.operator";

#[test]
fn every_answer_bears_the_headers_that_keep_it_in() {
    let site = Site::new();
    let id = site.connect(ALICE, "ada", ConsentOptions::default()).id;
    let paths = [
        "/",
        "/connect",
        &format!("/connections/{id}"),
        &format!("/connections/{id}/revoke"),
        "/consent/denied",
        "/nothing",
        "/v1/connections",
        "/v1/audit",
        "/v1/session",
        "/v1/nothing",
        "/connect/x",
        "/callback/sandbox",
        "/healthz",
        "/assets/gateway.css",
        "/v1/openapi.json",
    ];
    for path in paths {
        let response = site.send(program(ALICE, Method::GET, path));
        let policy = header_of(&response, "content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {part}");
        }
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(
            header_of(&response, "referrer-policy"),
            Some("no-referrer"),
            "{path}"
        );
        assert_eq!(
            header_of(&response, "x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert_eq!(header_of(&response, "x-frame-options"), Some("DENY"), "{path}");
        let kept = header_of(&response, "cache-control").unwrap();
        assert_eq!(
            kept == "no-store",
            !path.starts_with("/assets/"),
            "{path}: {kept}"
        );
        assert!(response.headers().get("access-control-allow-origin").is_none());
        if header_of(&response, "content-type").is_some_and(|it| it.starts_with("text/html")) {
            let html = text(&response);
            assert!(
                !html.contains("<style") && !html.contains(" style=") && !html.contains(" onclick="),
                "{path}"
            );
            let scripts: Vec<_> = html.match_indices("<script").collect();
            assert_eq!(scripts.len(), 1, "{path}");
            assert!(html.contains("<script src=\"/at/assets/gateway.js"), "{path}");
            let elsewhere = html
                .match_indices("src=\"")
                .filter(|(at, _)| !html[at + 5..].starts_with("/at/"));
            assert_eq!(elsewhere.count(), 0, "{path}");
        }
    }
    let head = site.send(program(ALICE, Method::HEAD, "/"));
    assert!(head.status() == 200 && head.body().is_empty());
}

const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' autofocus onfocus='alert(1)",
    "{{ 7*7 }}{% raw %}",
    "javascript:alert(1)",
    "</title><svg/onload=alert(1)>&lt;",
];

/// Returns the text outside tags and the attribute names of a page, as a strict parser finds them.
fn tags(html: &str) -> Vec<&str> {
    html.split('<')
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap())
        .collect()
}

fn handles_events(tag: &str) -> bool {
    tag.split_whitespace()
        .any(|word| word.starts_with("on") && word.contains('='))
}

#[test]
fn what_people_and_providers_write_stays_text_everywhere() {
    for hostile in HOSTILE {
        let site_vault = Arc::new(SealedVault::in_memory());
        let scope: String = hostile
            .chars()
            .filter(|c| matches!(c, '!' | '#'..='[' | ']'..='~'))
            .collect();
        let id = plant(&Arc::clone(&site_vault), 1, |connection| {
            connection.owner = Owner::Personal(UserId::new(hostile).unwrap());
            connection.label = Some(Label::new(hostile).unwrap());
            connection.granted = Scopes::new([scope.clone()]).unwrap();
            connection.requested = Scopes::new([scope.clone() + "x"]).unwrap();
            connection.account = Some(Account {
                id: hostile.into(),
                email: Some(hostile.into()),
                label: Some(format!("{hostile}!")),
            });
        });
        let uses = [TokenUse {
            tenant: TenantId::new("acme").unwrap(),
            connection: id,
            provider: ProviderId::new("notes").unwrap(),
            at: Timestamp::from_unix_millis(1_700_000_000_000),
            user: UserId::new(hostile).unwrap(),
            shared: true,
            purpose: Some(format!("p-{hostile}")),
            turn: Some(format!("t-{hostile}")),
        }];
        site_vault.record_uses(&uses, UseRecord::Entries).unwrap();
        let site = Site::over(site_vault);
        let mut olga = site.tab(OLGA);
        let trail = olga.get(&format!("/connections/{id}"));
        let trail = text(&trail).split("id=\"trail\"").nth(1).unwrap();
        let words: String = hostile.chars().filter(char::is_ascii_alphanumeric).collect();
        let told: String = trail
            .replace("&#60;", "")
            .replace("&#62;", "")
            .replace("&#34;", "")
            .replace("&#39;", "");
        let told: String = told
            .replace("&#38;", "")
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        assert!(
            told.contains(&format!("p{words}")) && told.contains(&format!("t{words}")),
            "{trail}"
        );
        let encoded: String = url::form_urlencoded::byte_serialize(hostile.as_bytes()).collect();
        let mut pages: Vec<(String, Response<Vec<u8>>)> = [
            "/".to_owned(),
            format!("/?q={encoded}"),
            format!("/?user={encoded}"),
            format!("/?q=nothing{encoded}&user={encoded}"),
            format!("/connect?user={encoded}"),
            format!("/connections/{id}"),
            format!("/connections/{id}?done={encoded}"),
            format!("/connections/{id}/revoke"),
            format!("/consent/denied?provider={encoded}"),
            format!("/consent/{encoded}"),
        ]
        .into_iter()
        .map(|path| {
            let page = olga.get(&path);
            (path, page)
        })
        .collect();
        pages.push((
            "link".into(),
            olga.post("/connect", &[("provider", "notes"), ("user", hostile)]),
        ));
        pages.push((
            "revoked".into(),
            olga.post(&format!("/connections/{id}/revoke"), &[]),
        ));
        let mut shown = 0;
        for (path, page) in &pages {
            let html = text(page);
            shown += usize::from(html.contains("alert(1)") || html.contains("7*7"));
            for tag in tags(html) {
                let name = tag.split([' ', '\n', '/']).next().unwrap();
                assert!(!matches!(name, "img" | "svg/onload=alert(1)"), "{path}: {tag}");
                // Attribute values are quoted, and no quotation mark of an input ends one.
                let outside: String = tag.split('"').step_by(2).collect();
                assert!(
                    !outside.contains("alert(1)") && !handles_events(&outside),
                    "{path}: <{tag}>"
                );
                assert!(!tag.contains("href=\"javascript:"), "{path}: {tag}");
            }
            assert!(!html.contains("<script>"), "{path}");
        }
        assert!(shown >= 8, "{hostile} was shown on {shown} pages only");
    }
}

#[test]
fn ten_thousand_connections_are_paged_through_without_gap_or_repetition() {
    let store = CountingStore::default();
    let vault = SealedVault::open(store.clone(), MasterKey::generate().unwrap()).unwrap();
    for number in 0..10_000 {
        plant(&vault, number, |connection| {
            connection.account = Some(Account {
                id: format!("id-{number}"),
                email: Some(format!("account-{number}@example.test")),
                label: None,
            });
        });
    }
    let site = Site::over(vault);
    let mut seen = std::collections::BTreeSet::new();
    let mut path = Some("/v1/connections?limit=200".to_owned());
    let mut reads = Vec::new();
    while let Some(next) = path {
        let before = store.reads();
        let page = gateway::json(&site.send(program(OLGA, Method::GET, &next)));
        for connection in page["connections"].as_array().unwrap() {
            assert!(
                seen.insert(connection["id"].as_str().unwrap().to_owned()),
                "a repetition"
            );
        }
        reads.push(store.reads() - before);
        path = page["next_after"]
            .as_str()
            .map(|after| format!("/v1/connections?limit=200&after={after}"));
    }
    assert_eq!(seen.len(), 10_000);
    // Paging by key costs the same at the end as at the beginning; paging by offset would cost more
    // with each page.
    let (least, most) = (reads.iter().min().unwrap(), reads.iter().max().unwrap());
    assert!(*least > 200 && *most < 2 * *least, "{reads:?}");

    // A search for a rare text reads a part of them and continues where it ended.
    let mut path = Some("/?q=account-9999@".to_owned());
    let mut pages = Vec::new();
    while let Some(next) = path {
        let before = store.reads();
        let page = text(&site.send(program(OLGA, Method::GET, &next))).to_owned();
        assert!(
            store.reads() - before < 30 * most,
            "the work of a page is bounded"
        );
        let (link, has_next) = (page.split("rel=\"next\"").next(), page.contains("rel=\"next\""));
        let link = link
            .filter(|_| has_next)
            .and_then(|link| link.rsplit("href=\"/at").next());
        let address = link.and_then(|link| link.split('"').next());
        path = address.map(|address| address.replace("&#38;", "&"));
        pages.push(page);
    }
    assert_eq!(pages.len(), 3);
    assert!(pages[0].contains("No connections match so far") && pages[0].contains("Continue the search"));
    assert!(pages[1].contains("account-9999@example.test") && pages[1].contains("Continue the search"));
    assert_eq!(pages[1].matches("<li class=\"row").count(), 1);
    assert!(pages[2].contains("No more connections match") && pages[2].contains("First page"));
    // The user has a list, which an index answers.
    let named = site.send(program(OLGA, Method::GET, "/?q=user-9999"));
    assert!(text(&named).contains("account-9999@") && text(&named).contains("Continue the search"));
    let malformed = site.send(program(OLGA, Method::GET, "/?q=user&others=x"));
    assert_eq!(malformed.status(), 400);
    let first = site.send(program(OLGA, Method::GET, "/"));
    assert_eq!(text(&first).matches("<li class=\"row").count(), 50);
    assert!(text(&first).contains("Next page") && !text(&first).contains("First page"));
    let next = text(&first)
        .split("href=\"/at/?after=")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let second = site.send(program(OLGA, Method::GET, &format!("/?after={next}")));
    assert!(text(&second).contains("account-50@") && text(&second).contains("First page"));
}

#[test]
fn health_is_told_in_words() {
    let site = Site::new();
    let id = site.connect(ALICE, "ada", ConsentOptions::default()).id;
    let page = |site: &Site| text(&site.send(program(ALICE, Method::GET, "/"))).to_owned();
    assert!(page(&site).contains("Healthy"));
    site.http.on("/token").next(Fault::Status(429, String::new()));
    let mut alice = site.tab(ALICE);
    let failed = alice.post(&format!("/connections/{id}/refresh"), &[]);
    assert!(text(&failed).contains("Next attempt at"), "{}", text(&failed));
    assert!(text(&failed).contains(&FailureCode::RateLimited.to_string()));
    site.clock.advance(std::time::Duration::from_secs(7_200));
    site.sandbox.revoke_at_server("ada");
    let failed = alice.post(&format!("/connections/{id}/refresh"), &[]);
    assert!(
        text(&failed).contains("Needs consent")
            && text(&failed).contains("access was revoked at Sandbox notes or has expired")
    );
    assert!(page(&site).contains("Reconnect"));
    let nobody = text(&site.send(program("acme.new.user", Method::GET, "/"))).to_owned();
    assert!(nobody.contains("Nothing is connected yet") && nobody.contains("class=\"card\""));
}

#[test]
fn revoking_says_what_will_happen_and_what_did() {
    let wide = |server: &mut valetkey::provider::AuthorizationServer| {
        server.revocation = Revocation::Endpoint {
            url: "https://sandbox.test/revoke".into(),
            authentication: RevocationAuth::SameAsToken,
            tokens: RevocationTokens::Both,
            grant_wide: true,
        };
    };
    let site = Site::with(SealedVault::in_memory(), wide);
    let id = site.connect(ALICE, "ada", ConsentOptions::default()).id;
    site.connect("acme.bob.user", "ada", ConsentOptions::default());
    site.connect("acme.bob.user", "grace", ConsentOptions::default());
    let mut olga = site.tab(OLGA);
    let confirm = olga.get(&format!("/connections/{id}/revoke"));
    assert!(
        text(&confirm).contains("These connections end as well")
            && text(&confirm).contains("ada@example.test, bob")
    );
    assert!(!text(&confirm).contains("grace@example.test"));
    // Users see the entries that concern them.
    let own = site.tab(ALICE).get(&format!("/connections/{id}/revoke"));
    assert!(!text(&own).contains("bob"));
    assert_eq!(
        site.connections.get(&gateway::person(ALICE), id).unwrap().status,
        Status::Active
    );
    site.http.on("/revoke").next(Fault::Timeout);
    let revoked = olga.post(&format!("/connections/{id}/revoke"), &[]);
    assert!(text(&revoked).contains("Not confirmed"));
    // While tokens are kept for the next attempt, the page does not claim that they are erased.
    assert!(
        text(&revoked).contains("The tokens can no longer be used") && !text(&revoked).contains("Erased")
    );
    let again = olga.get(&format!("/connections/{id}/revoke"));
    assert_eq!(again.status(), 303);

    let by_user = |server: &mut valetkey::provider::AuthorizationServer| {
        server.revocation = Revocation::ByUser {
            url: "https://sandbox.test/apps?a=b".into(),
        };
    };
    let site = Site::with(SealedVault::in_memory(), by_user);
    let id = site.connect(ALICE, "ada", ConsentOptions::default()).id;
    let mut alice = site.tab(ALICE);
    let revoked = alice.post(&format!("/connections/{id}/revoke"), &[]);
    assert!(
        text(&revoked).contains("href=\"https://sandbox.test/apps?a=b\""),
        "{}",
        text(&revoked)
    );
}

#[test]
fn a_service_that_shares_its_consent_says_so_before_it_is_revoked() {
    let site = Site::new();
    let notes = site.connect(ALICE, "ada", ConsentOptions::default().also("mail"));
    let alice = gateway::person(ALICE);
    let others = site.connections.sharing(&alice, notes.id).unwrap();
    let mut tab = site.tab(ALICE);
    let detail = tab.get(&format!("/connections/{}", notes.id));
    let link = format!("href=\"{BASE}/connections/{}\"", others[0].id);
    assert!(text(&detail).contains("Shares its consent with") && text(&detail).contains(&link));
    let list = text(&tab.get("/")).to_owned();
    let grant = notes.grant.to_string();
    assert!(!list.contains(&grant), "a grant is not a connection");
    assert_eq!(tab.get(&format!("/connections/{grant}")).status(), 404);
    let confirm = tab.get(&format!("/connections/{}/revoke", notes.id));
    assert!(
        text(&confirm).contains("They keep their access"),
        "{}",
        text(&confirm)
    );
    let revoked = tab.post(&format!("/connections/{}/revoke", notes.id), &[]);
    assert!(text(&revoked).contains("Still in use"), "{}", text(&revoked));
    let json = site.send(program(ALICE, Method::GET, "/v1/connections"));
    assert_eq!(gateway::json(&json)["connections"][0]["grant"], grant);
    let last = tab.get(&format!("/connections/{}/revoke", others[0].id));
    assert!(!text(&last).contains("They keep their access"));
}

#[test]
fn an_account_that_is_not_verified_is_marked_in_the_page_and_in_json() {
    let vault = Arc::new(SealedVault::in_memory());
    let id = plant(&Arc::clone(&vault), 1, |connection| {
        connection.owner = Owner::Personal(UserId::new("alice").unwrap());
    });
    let site = Site::over(vault);
    let mut tab = site.tab(ALICE);
    let marked = |html: &str| html.contains("Account not verified") && html.contains("not verified:");
    assert!(marked(text(&tab.get(&format!("/connections/{id}")))));
    let json = site.send(program(ALICE, Method::GET, &format!("/v1/connections/{id}")));
    assert_eq!(gateway::json(&json)["account_verified"], false);

    let named = Site::new();
    let connection = named.connect(ALICE, "ada", ConsentOptions::default());
    let mut tab = named.tab(ALICE);
    assert!(!text(&tab.get(&format!("/connections/{}", connection.id))).contains("not verified"));
    let json = named.send(program(ALICE, Method::GET, "/v1/connections"));
    assert_eq!(gateway::json(&json)["connections"][0]["account_verified"], true);
}

#[test]
fn no_secret_stands_on_any_page() {
    let site = Site::new();
    let mut all = String::new();
    let mut alice = site.tab(ALICE);
    let mut keep = |response: &Response<Vec<u8>>| {
        all.push_str(text(response));
        for (name, value) in response.headers() {
            if name != header::SET_COOKIE && name != header::LOCATION {
                all.push_str(value.to_str().unwrap());
            }
        }
    };
    let address = alice.depart(&[("provider", "notes")]);
    let callback = site.sandbox.approve(&address, "ada");
    keep(&alice.get(&callback));
    keep(&alice.get(&callback));
    let id = site
        .connections
        .list(&gateway::person(ALICE), &Default::default())
        .unwrap()[0]
        .id;
    for path in [
        "/".to_owned(),
        format!("/connections/{id}"),
        "/v1/connections".into(),
        "/v1/audit".into(),
        "/v1/session".into(),
    ] {
        keep(&alice.get(&path));
    }
    for fault in [
        Fault::Status(500, "marker".into()),
        Fault::Status(400, r#"{"error":"marker"}"#.into()),
    ] {
        site.http.on("/token").next(fault);
        keep(&alice.post(&format!("/connections/{id}/refresh"), &[]));
        site.clock.advance(std::time::Duration::from_secs(7_200));
    }
    keep(&alice.post(&format!("/connections/{id}/refresh"), &[]));
    keep(&alice.post(&format!("/v1/connections/{id}/refresh"), &[]));
    keep(&alice.post(&format!("/connections/{id}/revoke"), &[]));
    keep(&alice.get("/?status=all"));
    let mut secrets = site.sandbox.issued_secrets();
    secrets.extend(
        alice
            .cookies
            .iter()
            .filter(|(name, _)| *name != "session")
            .map(|(_, value)| value.clone()),
    );
    for logged in site.sandbox.log() {
        secrets.extend(logged.parameter("code_verifier").map(str::to_owned));
        secrets.extend(logged.query("state").map(str::to_owned));
    }
    assert!(secrets.len() > 6 && all.len() > 5_000);
    for secret in secrets.iter().filter(|secret| secret.len() > 8) {
        assert!(
            !all.contains(secret),
            "a secret of {} bytes stands on a page",
            secret.len()
        );
    }
    assert!(!all.contains("marker"), "a server's words stand on a page");
    assert!(!format!("{:?}", site.gateway).contains("sbx-"));
}

#[test]
fn on_plain_http_cookies_lose_what_browsers_would_refuse() {
    let site = Site::new();
    let cookie = |gateway: &Gateway, base: &str| {
        let request = Request::get(format!("{base}/")).header(header::COOKIE, format!("session={OLGA}"));
        let response = gateway.handle(request.body(Vec::new()).unwrap());
        header_of(&response, "set-cookie").unwrap().to_owned()
    };
    assert!(cookie(&site.gateway, BASE).contains("; Secure"));
    let mount = Mount::dangerous_loopback_http("http://127.0.0.1:8080").unwrap();
    let plain = Gateway::new(site.connections.clone(), mount, gateway::Door);
    let kept = cookie(&plain, "");
    assert!(
        kept.starts_with("valetkey-csrf=") && !kept.contains("Secure"),
        "{kept}"
    );
}
