//! Consents through the gateway: cookies, callbacks, one-time links, the token endpoint.

use http::{Method, header};
use serde_json::json;
use valetkey::ConsentOptions;
use valetkey::testing::Fault;

use crate::support::gateway::{
    self, BASE, ORIGIN, Site, header_of, json, location, parameters, program, text, with_json,
};

const ALICE: &str = "acme.alice.user";
const BOB: &str = "acme.bob.user";
const OLGA: &str = "acme.olga.operator";

fn count(site: &Site, who: &str) -> usize {
    site.connections
        .list(&gateway::person(who), &Default::default())
        .unwrap()
        .len()
}

#[test]
fn a_form_a_consent_a_callback_and_the_code_is_gone() {
    let site = Site::new();
    let mut alice = site.tab(ALICE);
    let address = alice.depart(&[("provider", "notes"), ("label", "work")]);
    assert!(
        address.contains("redirect_uri=https%3A%2F%2Fapp.test%2Fat%2Fcallback%2Fsandbox"),
        "{address}"
    );
    assert_eq!(alice.flows(), 1);
    let callback = site.sandbox.approve(&address, "ada");
    let back = alice.get(&callback);
    let to = location(&back);
    assert!(
        to.starts_with("/at/connections/") && to.ends_with("?done=connected"),
        "{to}"
    );
    assert!(back.body().is_empty());
    assert_eq!(
        alice.flows(),
        1,
        "a callback that comes again is recognized by it"
    );
    let page = alice.get(&to);
    assert!(text(&page).contains("ada@example.test") && text(&page).contains("work"));
    assert_eq!(count(&site, ALICE), 1);
}

#[test]
fn the_cookie_is_the_hosts_alone_and_short_lived() {
    let site = Site::new();
    let mut alice = site.tab(ALICE);
    let page = alice.post("/connect", &[("provider", "notes")]);
    let cookies: Vec<_> = page.headers().get_all(header::SET_COOKIE).iter().collect();
    let cookie = cookies[0].to_str().unwrap();
    assert!(cookie.starts_with("__Host-valetkey-consent-"), "{cookie}");
    assert!(
        cookie.ends_with("; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure"),
        "{cookie}"
    );
    let csrf = site.tab(ALICE).get("/");
    let cookie = header_of(&csrf, "set-cookie").unwrap().to_owned();
    assert!(cookie.starts_with("__Host-valetkey-csrf="), "{cookie}");
    assert!(
        cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"),
        "{cookie}"
    );
}

#[test]
fn several_consents_are_under_way_in_one_browser() {
    let site = Site::new();
    let mut alice = site.tab(ALICE);
    let first = alice.depart(&[("provider", "notes")]);
    let second = alice.depart(&[("provider", "mail")]);
    assert_eq!(alice.flows(), 2);
    let second = site.sandbox.approve(&second, "grace");
    let first = site.sandbox.approve(&first, "ada");
    assert!(location(&alice.get(&second)).contains("connected"));
    assert!(location(&alice.get(&first)).contains("connected"));
    assert_eq!(count(&site, ALICE), 2);
}

#[test]
fn somebody_else_and_another_browser_and_another_address_are_refused_and_cost_nothing() {
    let site = Site::new();
    let mut alice = site.tab(ALICE);
    let callback = alice.agree("notes", "ada");
    // Bob with Alice's cookies, Alice without hers, a guessed state, another server's address,
    // another tenant.
    let mut bob = site.tab(BOB);
    bob.steal_from(&alice);
    let mut stranger = site.tab("evil.alice.user");
    stranger.steal_from(&alice);
    let mixed_up = callback.replace("/callback/sandbox", "/callback/google");
    let guessed = format!("{ORIGIN}{BASE}/callback/sandbox?code=c&state=guess");
    for response in [
        bob.get(&callback),
        stranger.get(&callback),
        alice.get(&mixed_up),
        alice.get(&guessed),
        alice.get("/callback/sandbox"),
        alice.get("/callback/sandbox?state=a&state=b&code=c"),
    ] {
        assert_eq!(location(&response), "/at/consent/not-valid");
    }
    assert_eq!(
        location(&site.tab(ALICE).get(&callback)),
        "/at/consent/other-browser?provider=notes"
    );
    assert_eq!(site.sandbox.count("/token"), 0);
    // None of these attempts invalidated the genuine callback.
    assert!(location(&alice.get(&callback)).contains("connected"));
}

#[test]
fn what_goes_wrong_is_told_in_words_of_ours() {
    let site = Site::new();
    let mut alice = site.tab(ALICE);
    let denied = site.sandbox.deny(alice.depart(&[("provider", "notes")]));
    let denied = denied + "&error_description=%3Cscript%3Emarker";
    let back = alice.get(&denied);
    assert_eq!(location(&back), "/at/consent/denied?provider=notes");
    let page = alice.get(&location(&back));
    assert!(text(&page).contains("Access was declined") && !text(&page).contains("marker"));

    let callback = alice.agree("notes", "ada");
    site.http.on("/token").next(Fault::Timeout);
    let back = alice.get(&callback);
    assert_eq!(location(&back), "/at/consent/failed?provider=notes");

    let connected = site.connect(ALICE, "ada", ConsentOptions::default());
    let again = alice.depart(&[("reconnect", &connected.id.to_string())]);
    let back = alice.get(&site.sandbox.approve(&again, "grace"));
    assert_eq!(location(&back), "/at/consent/other-account?provider=notes");

    for word in [
        "denied",
        "refused",
        "interaction",
        "try-later",
        "not-valid",
        "other-browser",
        "other-server",
        "withdrawn",
        "failed",
        "conflict",
        "other-account",
        "unknown-account",
        "parameter",
        "not-offered",
        "not-one-grant",
        "not-permitted",
        "misconfigured",
        "unavailable",
        "internal",
    ] {
        for query in [
            "",
            "?provider=notes",
            "?provider=%3Cscript%3Ealert(1)%3C/script%3E",
        ] {
            let page = alice.get(&format!("/consent/{word}{query}"));
            assert_eq!(page.status(), 200, "{word}");
            assert!(!text(&page).contains("alert(1)"));
        }
    }
    assert_eq!(alice.get("/consent/nothing").status(), 404);
}

#[test]
fn a_link_opens_for_its_person_alone_and_is_good_for_one_consent() {
    let site = Site::new();
    let mut olga = site.tab(OLGA);
    let page = olga.post("/connect", &[("provider", "notes"), ("user", "alice")]);
    assert_eq!(page.status(), 201);
    let html = text(&page);
    let link = html
        .split("readonly value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    assert!(link.starts_with("https://app.test/at/connect/"), "{link}");

    for who in [BOB, OLGA, "evil.alice.user"] {
        let refused = site.tab(who).get(&link);
        assert_eq!(refused.status(), 404, "{who}");
        // The response does not reveal whether such a link exists.
        let unknown = site.tab(who).get("/connect/guess");
        assert_eq!(text(&refused), text(&unknown), "{who}");
        assert!(header_of(&refused, "set-cookie").is_none());
    }
    let mut alice = site.tab(ALICE);
    let mut ahead = program(
        ALICE,
        Method::GET,
        link.strip_prefix("https://app.test/at").unwrap(),
    );
    ahead
        .headers_mut()
        .insert("sec-purpose", "prefetch;prerender".parse().unwrap());
    assert_eq!(site.send(ahead).status(), 503, "looking ahead does not use it up");

    let opened = alice.get(&link);
    let address = location(&opened);
    assert!(
        address.starts_with("https://sandbox.test/authorize?"),
        "{address}"
    );
    assert_eq!(location(&alice.get(&link)), address, "the same authorization");
    assert!(location(&alice.get(&site.sandbox.approve(&address, "ada"))).contains("connected"));
    assert_eq!(count(&site, ALICE), 1);
}

#[test]
fn a_shared_connection_is_completed_by_an_operator_who_still_is_one() {
    let site = Site::new();
    let start = with_json(
        program(OLGA, Method::POST, "/connect"),
        &json!({"provider": "notes", "shared": true}),
    );
    let link = json(&site.send(start))["link"].as_str().unwrap().to_owned();
    assert_eq!(site.tab("acme.olga.user").get(&link).status(), 404);
    let mut olga = site.tab(OLGA);
    let address = location(&olga.get(&link));
    let callback = site.sandbox.approve(&address, "ada");
    let mut demoted = site.tab("acme.olga.user");
    demoted.steal_from(&olga);
    assert_eq!(location(&demoted.get(&callback)), "/at/consent/not-valid");
    assert!(location(&olga.get(&callback)).contains("connected"));
    assert!(text(&site.tab(ALICE).get("/")).contains("Workspace connection"));
}

#[test]
fn the_browser_goes_nowhere_but_to_allowed_addresses() {
    let site = Site::new();
    for (address, expected) in [
        ("/chat", Some("/chat")),
        ("//evil.test", None),
        ("https://evil.test/", None),
    ] {
        let (_, link) = site.link(ALICE, ConsentOptions::default().return_to(address));
        let mut alice = site.tab(ALICE);
        let opened = alice.get(&link);
        let callback = site.sandbox.approve(location(&opened), "ada") + "&return_to=https://evil.test/";
        let back = alice.get(&callback);
        match expected {
            Some(expected) => assert_eq!(location(&back), expected),
            None => assert!(location(&back).starts_with("/at/connections/"), "{address}"),
        }
    }
}

#[test]
fn the_token_endpoint_answers_with_the_connection_and_no_token() {
    let site = Site::new();
    let mut alice = site.tab(ALICE);
    let callback = parameters(&alice.agree("notes", "ada"));
    let [code, state, iss] = ["code", "state", "iss"].map(|name| (name, callback[name].as_str()));
    let grant = ("grant_type", "authorization_code");
    let place = ("server", "sandbox");
    let own = ("redirect_uri", "https://app.test/at/callback/sandbox");
    let of_google = ("redirect_uri", "https://app.test/at/callback/google");
    let slashed = ("redirect_uri", "https://app.test/at/callback/sandbox/");
    let whole =
        |place: &[(&'static str, &'static str)]| [[grant, code, state, iss].as_slice(), place].concat();
    for (fields, error) in [
        (vec![place, code, state], "invalid_request"),
        (vec![("grant_type", "password")], "unsupported_grant_type"),
        (vec![grant, place, code], "invalid_request"),
        (vec![grant, place, state], "invalid_request"),
        (vec![grant, place, code, ("state", "guess")], "invalid_grant"),
        (
            vec![grant, place, code, state, ("iss", "https://evil.test")],
            "invalid_grant",
        ),
        (whole(&[]), "invalid_request"),
        (whole(&[("redirect_uri", "")]), "invalid_request"),
        (whole(&[of_google]), "invalid_grant"),
        (whole(&[slashed]), "invalid_grant"),
        (whole(&[("server", "google")]), "invalid_grant"),
        (whole(&[("server", "google"), own]), "invalid_grant"),
    ] {
        let response = alice.post("/v1/oauth/token", &fields);
        assert_eq!(response.status(), 400, "{fields:?}");
        let body = json(&response);
        assert_eq!(body["error"], error, "{fields:?}");
        let description = body["error_description"].as_str().unwrap();
        assert!(
            description
                .bytes()
                .all(|byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
        );
        assert_eq!(site.sandbox.count("/token"), 0, "{fields:?}");
    }
    let response = alice.post("/v1/oauth/token", &whole(&[place, own]));
    assert_eq!(response.status(), 200, "{}", text(&response));
    assert_eq!(header_of(&response, "cache-control"), Some("no-store"));
    assert_eq!(header_of(&response, "pragma"), Some("no-cache"));
    assert_eq!(json(&response)["account"]["email"], "ada@example.test");
    for secret in site.sandbox.issued_secrets() {
        assert!(!text(&response).contains(&secret));
    }
    assert_eq!(site.sandbox.count("/token"), 1);

    // A program elsewhere has the code but not the binding.
    let mut body = json!({"grant_type": "authorization_code", "server": "sandbox"});
    for (name, value) in parameters(&alice.agree("mail", "ada")) {
        body[name] = value.into();
    }
    let stolen = site.send(with_json(program(ALICE, Method::POST, "/v1/oauth/token"), &body));
    assert_eq!(json(&stolen)["error"], "invalid_grant");
}

#[test]
fn a_browser_keeps_its_part_wherever_the_server_wants_the_request() {
    // Some servers read the authorization request from the fragment, behind a `#`.
    let site = Site::with(valetkey::vault::SealedVault::in_memory(), |server| {
        server.authorization_fragment = Some("/authorize".into());
    });
    let mut alice = site.tab(ALICE);
    let address = alice.depart(&[("provider", "notes")]);
    assert!(address.contains("#/authorize?"), "{address}");
    assert_eq!(alice.flows(), 1);
}
