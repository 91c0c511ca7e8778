//! Common mistakes of hosts with the mount, the address, the sign-in and the links: each is
//! reported.

use http::{Method, Request, Response, header};
use valetkey::ConsentOptions;
use valetkey::gateway::{Gateway, Mount};
use valetkey::model::EventKind;
use valetkey::testing::{EventLog, Host};

use crate::support::gateway::{self, BASE, Door, ORIGIN, Site, header_of, json, program, text};

const ALICE: &str = "acme.alice.user";

fn get(path: &str) -> Request<Vec<u8>> {
    let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {ALICE}"));
    request.body(Vec::new()).unwrap()
}

fn listening() -> (Gateway, EventLog) {
    let host = Host::new();
    let mount = Mount::new(ORIGIN).unwrap().under(BASE).unwrap();
    let gateway = Gateway::new(host.connections, mount, Door);
    (gateway, host.events)
}

#[test]
fn a_request_outside_the_mount_says_so() {
    let (gateway, kept) = listening();
    for path in ["/", "/v1/providers", "/connect", "/attic", "/%61t/v1/providers"] {
        let response = gateway.handle(get(path));
        assert_eq!(response.status(), 404, "{path}");
        if path.contains("/v1/") {
            assert_eq!(json(&response)["error"], "outside_mount", "{path}");
        } else {
            assert!(text(&response).contains("mounted"), "{path}");
        }
    }
    let mut with_json = get("/nothing");
    with_json
        .headers_mut()
        .insert(header::ACCEPT, "application/json".parse().unwrap());
    assert_eq!(json(&gateway.handle(with_json))["error"], "outside_mount");
    assert_eq!(kept.kinds(), [EventKind::OutsideMount; 6]);

    // A correctly mounted gateway does not report each stray request.
    assert_eq!(gateway.handle(get("/at/v1/providers")).status(), 200);
    assert_eq!(gateway.handle(get("/v1/providers")).status(), 404);
    assert_eq!(kept.kinds().len(), 6);
}

#[test]
fn a_path_that_lost_its_prefix_on_the_way_is_handled_by_name() {
    let (gateway, kept) = listening();
    for path in [
        "/",
        "/v1/providers",
        "/connect",
        "/healthz",
        "/assets/gateway.css",
    ] {
        let response = gateway.handle_stripped(get(path));
        assert_eq!(response.status(), 200, "{path}: {}", text(&response));
    }
    let page = gateway.handle_stripped(get("/"));
    assert!(
        text(&page).contains("href=\"/at/assets/"),
        "links are those of the mount"
    );
    assert_eq!(gateway.handle_stripped(get("/at/v1/providers")).status(), 404);
    let signed_out = Request::get("/connect/ticket").body(Vec::new()).unwrap();
    let response = gateway.handle_stripped(signed_out);
    let location = header_of(&response, "location").unwrap();
    assert_eq!(location, "/sign-in?return_to=%2Fat%2Fconnect%2Fticket");
    assert!(kept.kinds().is_empty());
}

#[test]
fn a_link_survives_the_sign_in() {
    let site = Site::new();
    let prepared = site
        .connections
        .prepare(&gateway::person(ALICE), "notes", ConsentOptions::default())
        .unwrap();
    let link = site.gateway.mount().connect_url(prepared.ticket());
    let path = link.strip_prefix(ORIGIN).unwrap();
    let response = site.send(Request::get(path).body(Vec::new()).unwrap());
    assert_eq!(response.status(), 303);
    let sign_in = url::Url::parse(ORIGIN)
        .unwrap()
        .join(header_of(&response, "location").unwrap())
        .unwrap();
    assert_eq!(sign_in.path(), "/sign-in");
    let (_, back) = sign_in
        .query_pairs()
        .find(|(name, _)| name == "return_to")
        .unwrap();
    assert_eq!(back, path);
    assert_eq!(site.tab(ALICE).get(&back).status(), 303, "and is still good");
}

/// An authenticator whose sign-in address the test chooses.
#[derive(Debug)]
struct Elsewhere(&'static str);

impl valetkey::gateway::Authenticator for Elsewhere {
    fn authenticate(
        &self,
        _: &http::request::Parts,
    ) -> Result<valetkey::gateway::Caller, valetkey::gateway::Refused> {
        Err(valetkey::gateway::Refused::SignIn {
            address: self.0.into(),
            return_parameter: "next".into(),
        })
    }
}

#[test]
fn the_way_back_fits_the_sign_in_address_and_a_code_stays_at_its_host() {
    let site = Site::new();
    for (address, path, expected) in [
        ("/sign-in", "/at/?q=a", "/sign-in?next=%2Fat%2F%3Fq%3Da"),
        ("/sign-in?x=1#f", "/at/", "/sign-in?x=1&next=%2Fat%2F#f"),
        (
            "/sign-in",
            "/at/callback/s?code=c&state=s",
            "/sign-in?next=%2Fat%2Fcallback%2Fs%3Fcode%3Dc%26state%3Ds",
        ),
        (
            "https://app.test/in",
            "/at/callback/s?code=c",
            "https://app.test/in?next=https%3A%2F%2Fapp.test%2Fat%2Fcallback%2Fs%3Fcode%3Dc",
        ),
        (
            "https://sso.test/in",
            "/at/connect/t",
            "https://sso.test/in?next=https%3A%2F%2Fapp.test%2Fat%2Fconnect%2Ft",
        ),
        (
            "https://sso.test/in",
            "/at/callback/s?code=c",
            "https://sso.test/in?next=https%3A%2F%2Fapp.test%2Fat%2F",
        ),
        (
            "https://app.test.evil.test/in",
            "/at/callback/s?code=c",
            "https://app.test.evil.test/in?next=https%3A%2F%2Fapp.test%2Fat%2F",
        ),
    ] {
        let mount = Mount::new(ORIGIN).unwrap().under(BASE).unwrap();
        let gateway = Gateway::new(site.connections.clone(), mount, Elsewhere(address));
        let response = gateway.handle(Request::get(path).body(Vec::new()).unwrap());
        assert_eq!(
            header_of(&response, "location"),
            Some(expected),
            "{address} {path}"
        );
    }
}

#[test]
fn an_account_link_leads_to_this_host_or_to_https() {
    let site = Site::new();
    for (address, fits) in [
        ("/account", true),
        ("/", true),
        ("https://sso.test/account", true),
        ("account", false),
        ("", false),
        ("//evil.test", false),
        ("/\\evil.test", false),
        ("\\\\evil.test", false),
        ("http://sso.test/", false),
        ("javascript:alert(1)", false),
        ("data:text/html,x", false),
        ("/a b", false),
        ("/a\r\nb", false),
        ("https://", false),
    ] {
        let mount = Mount::new(ORIGIN).unwrap();
        let built = Gateway::new(site.connections.clone(), mount, Door).account_link("Account", address);
        let refused = built.err().map(|error| error.rule());
        assert_eq!(refused, (!fits).then_some("account_link"), "{address:?}");
    }
}

#[test]
fn a_page_under_another_address_is_told_the_right_one() {
    let site = Site::new();
    let mut alice = site.tab(ALICE);
    let token = alice.token();
    for (name, value) in [("origin", "https://localhost"), ("sec-fetch-site", "cross-site")] {
        let request = Request::post(format!("{BASE}/connect"))
            .header(header::COOKIE, alice.cookie())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(name, value)
            .body(format!("provider=notes&csrf_token={token}").into_bytes())
            .unwrap();
        let refused = site.send(request);
        assert_eq!(refused.status(), 403);
        assert!(
            text(&refused).contains("https://app.test/at/"),
            "{}",
            text(&refused)
        );
    }
}

#[test]
fn a_person_who_is_refused_sees_who_they_are_and_how_to_change_it() {
    let site = Site::new();
    let mount = Mount::new(ORIGIN).unwrap().under(BASE).unwrap();
    let gateway = Gateway::new(site.connections.clone(), mount, Door)
        .account_link("Switch user", "/sign-in")
        .unwrap();
    let prepared = site
        .connections
        .prepare(&gateway::person(ALICE), "notes", ConsentOptions::default())
        .unwrap();
    let link = gateway.mount().connect_url(prepared.ticket());
    let of = |who: &str| -> Response<Vec<u8>> {
        let request =
            Request::get(&link[ORIGIN.len()..]).header(header::AUTHORIZATION, format!("Bearer {who}"));
        gateway.handle(request.body(Vec::new()).unwrap())
    };
    let refused = of("acme.bob.user");
    assert_eq!(refused.status(), 404);
    for part in [">bob<", "Switch user", "href=\"/sign-in\""] {
        assert!(text(&refused).contains(part), "{part}: {}", text(&refused));
    }
    site.clock.advance(std::time::Duration::from_secs(24 * 3600 + 1));
    let late = of(ALICE);
    assert_eq!(late.status(), 404);
    assert!(text(&late).contains("expired"), "{}", text(&late));
}

#[test]
fn a_connection_that_has_ended_promises_nothing() {
    let site = Site::new();
    site.connect(ALICE, "ada", ConsentOptions::default());
    let second = site.connect(ALICE, "grace", ConsentOptions::default());
    let mut alice = site.tab(ALICE);
    let promises = ["Current token expires", "Make default", "Add a service"];
    let path = format!("/connections/{}", second.id);
    let page = alice.get(&path);
    for promise in promises {
        assert!(text(&page).contains(promise), "{promise}: {}", text(&page));
    }
    site.sandbox.revoke_at_server("grace");
    let refreshed = site.connections.refresh(&gateway::person(ALICE), second.id);
    assert!(refreshed.unwrap_err().consent_required().is_some());
    let page = alice.get(&format!("{path}?done=connected"));
    for promise in promises {
        assert!(!text(&page).contains(promise), "{promise}: {}", text(&page));
    }
    assert!(text(&page).contains("Needs consent") && !text(&page).contains("Connected. Agents"));
}

#[test]
fn a_service_without_scopes_does_not_ask_for_little() {
    let site = Site::offering(|sandbox, builder| {
        let mut all = sandbox.provider("everything");
        all.default_scopes = Default::default();
        all.required_scopes = Default::default();
        builder.provider(all)
    });
    for path in ["/connect", "/connect?provider=notes"] {
        let page = site.send(program(ALICE, Method::GET, path));
        assert!(
            text(&page).contains("Full access to the data you select there"),
            "{path}"
        );
        assert!(!text(&page).contains("nothing but who you are"), "{path}");
    }
}
