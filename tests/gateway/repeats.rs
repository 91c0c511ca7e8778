//! Callbacks, links and forms that arrive twice: in turn, at once, after Back, in another tab, with
//! an extra slash. The user is led to the current state of the consent, and nothing is done twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier};

use http::{Method, Request, Response, header};
use serde_json::json;
use valetkey::ConsentOptions;
use valetkey::internals::vault::{ConsentStore as _, MAX_CONSENTS};
use valetkey::testing::Fault;
use valetkey::vault::SealedVault;

use crate::support::gateway::{self, Site, Tab, json, location, parameters, program, text, with_json};

const ALICE: &str = "acme.alice.user";
const OLGA: &str = "acme.olga.operator";

#[test]
fn promise_38_a_callback_leads_to_the_connection_as_often_as_it_arrives() {
    let site = Site::new();
    let mut alice = site.tab(ALICE);
    let callback = alice.agree("notes", "ada");
    let first = location(&alice.get(&callback));
    assert!(first.ends_with("?done=connected"), "{first}");
    let slashed = callback.replace("/callback/sandbox?", "/callback/sandbox/?");
    assert_ne!(slashed, callback);
    for again in [&callback, &slashed, &callback] {
        assert_eq!(location(&alice.get(again)), first);
    }
    assert!(text(&alice.get(&first)).contains("ada@example.test"));
    assert_eq!(site.sandbox.count("/token"), 1);

    // Another user with the same cookies learns nothing, and the same user in another browser is
    // not misled.
    let mut bob = site.tab("acme.bob.user");
    bob.steal_from(&alice);
    assert_eq!(location(&bob.get(&callback)), "/at/consent/not-valid");
    let elsewhere = location(&site.tab(ALICE).get(&callback));
    assert_eq!(elsewhere, "/at/consent/other-browser?provider=notes");
    let page = alice.get(&elsewhere);
    assert!(!text(&page).contains("Nothing was changed"), "{}", text(&page));

    // Revoked since: the page does not claim that it was just connected.
    alice.post(
        &first.replace("/at", "").replace("?done=connected", "/revoke"),
        &[],
    );
    let page = alice.get(&location(&alice_again(&site, &alice, &callback)));
    assert!(!text(&page).contains("Connected. Agents"), "{}", text(&page));
}

/// Sends a request of the same browser.
fn alice_again(site: &Site, alice: &Tab<'_>, path: &str) -> Response<Vec<u8>> {
    let path = path.strip_prefix(gateway::ORIGIN).unwrap_or(path);
    let request = Request::get(path).header(header::COOKIE, alice.cookie());
    site.send(request.body(Vec::new()).unwrap())
}

#[test]
fn promise_38_callbacks_at_once_all_lead_to_the_connection() {
    let site = Site::new();
    let mut alice = site.tab(ALICE);
    let callback = alice.agree("notes", "ada");
    let threads = 8;
    let begin = Barrier::new(threads);
    let (site_ref, alice_ref) = (&site, &alice);
    let led: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    begin.wait();
                    location(&alice_again(site_ref, alice_ref, &callback))
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let connected = location(&alice.get(&callback));
    for led in led {
        // A waiting page leads there as well, now that the consent has ended.
        let led = if led.starts_with("/at/consents/") {
            location(&alice.get(&led))
        } else {
            led
        };
        assert_eq!(led, connected);
    }
    assert_eq!(site.sandbox.count("/token"), 1);
}

#[test]
fn promise_38_a_callback_that_overtakes_its_exchange_waits_for_it() {
    let site = Site::new();
    let mut alice = site.tab(ALICE);
    let callback = alice.agree("notes", "ada");
    let gate = valetkey::testing::Gate::new();
    site.http.on("/token").next(Fault::Hold(gate.clone()));
    let (site_ref, alice_ref) = (&site, &alice);
    let (first, second, waiting) = std::thread::scope(|scope| {
        let first = scope.spawn(|| location(&alice_again(site_ref, alice_ref, &callback)));
        gate.wait_for_arrivals(1);
        let second = location(&alice_again(site_ref, alice_ref, &callback));
        let waiting = alice_again(site_ref, alice_ref, &second);
        gate.open();
        (first.join().unwrap(), second, waiting)
    });
    assert!(second.starts_with("/at/consents/"), "{second}");
    assert_eq!(waiting.status(), 200);
    assert!(
        text(&waiting).contains("http-equiv=\"refresh\""),
        "{}",
        text(&waiting)
    );
    assert_eq!(location(&alice.get(&second)), first);
    assert_eq!(site.tab("acme.bob.user").get(&second).status(), 404);
}

#[test]
fn promise_38_a_consent_that_led_to_nothing_is_shown_as_it_ended() {
    let site = Site::new();
    let mut alice = site.tab(ALICE);
    let denied = site.sandbox.deny(alice.depart(&[("provider", "notes")]));
    let failed = alice.agree("notes", "ada");
    site.http.on("/token").next(Fault::Timeout);
    for (callback, word) in [(denied, "denied"), (failed, "failed")] {
        let expected = format!("/at/consent/{word}?provider=notes");
        for _ in 0..3 {
            assert_eq!(location(&alice.get(&callback)), expected);
        }
    }
    assert_eq!(site.sandbox.count("/token"), 0);
}

#[test]
fn promise_38_a_link_is_clicked_twice() {
    let site = Site::new();
    let (_, link) = site.link(ALICE, ConsentOptions::default().return_to("/chat"));
    let mut alice = site.tab(ALICE);
    let address = location(&alice.get(&link));
    let cookies = alice.cookies.clone();
    for again in [link.clone(), format!("{link}/")] {
        assert_eq!(location(&alice.get(&again)), address);
        assert_eq!(alice.cookies, cookies, "the same binding");
    }
    // Another browser of the same user, such as the one on their phone, continues the same consent.
    let mut telephone = site.tab(ALICE);
    assert_eq!(location(&telephone.get(&link)), address);
    let head = program(
        ALICE,
        Method::HEAD,
        link.strip_prefix("https://app.test/at").unwrap(),
    );
    assert_eq!(site.send(head).status(), 405);

    let callback = site.sandbox.approve(&address, "ada");
    assert_eq!(location(&telephone.get(&callback)), "/chat");
    for tab in [&mut alice, &mut telephone] {
        assert_eq!(location(&tab.get(&link)), "/chat", "where the consent has led");
        assert_eq!(location(&tab.get(&callback)), "/chat");
    }
    assert_eq!(site.sandbox.count("/token"), 1);
    assert_eq!(site.tab(OLGA).get(&link).status(), 404);
}

#[test]
fn promise_38_a_link_that_was_withdrawn_says_so() {
    let site = Site::new();
    let (consent, link) = site.link(ALICE, ConsentOptions::default());
    site.connections.cancel(&gateway::person(ALICE), consent).unwrap();
    let mut alice = site.tab(ALICE);
    let to = location(&alice.get(&link));
    assert_eq!(to, "/at/consent/withdrawn?provider=notes");
    assert!(text(&alice.get(&to)).contains("withdrawn"));
}

#[test]
fn promise_38_a_code_that_is_exchanged_twice_gives_the_connection_twice() {
    let site = Site::new();
    let mut alice = site.tab(ALICE);
    let exchange = |callback: &str| {
        let mut fields = parameters(callback);
        fields.insert("grant_type".into(), "authorization_code".into());
        fields.insert(
            "redirect_uri".into(),
            "https://app.test/at/callback/sandbox".into(),
        );
        fields
    };
    let post = |tab: &mut Tab<'_>, fields: &BTreeMap<String, String>| {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        tab.post("/v1/oauth/token", &fields)
    };
    let fields = exchange(&alice.agree("notes", "ada"));
    let first = post(&mut alice, &fields);
    assert_eq!(first.status(), 200, "{}", text(&first));
    let again = post(&mut alice, &fields);
    assert_eq!((again.status().as_u16(), json(&again)), (200, json(&first)));
    assert_eq!(site.sandbox.count("/token"), 1);
    // Without the browser's binding the response belongs to no user.
    let stolen = post(&mut site.tab(ALICE), &fields);
    assert_eq!(json(&stolen)["error"], "invalid_grant");

    let denied = exchange(&site.sandbox.deny(alice.depart(&[("provider", "mail")])));
    for _ in 0..2 {
        let refused = site
            .connections
            .list(&gateway::person(ALICE), &Default::default());
        assert_eq!(refused.unwrap().len(), 1);
        assert_eq!(post(&mut alice, &denied).status(), 400);
    }
}

#[test]
fn promise_38_a_form_that_is_sent_twice_does_nothing_twice() {
    let site = Site::new();
    let first = site.connect(ALICE, "ada", ConsentOptions::default()).id;
    let second = site.connect(ALICE, "grace", ConsentOptions::default()).id;
    let mut alice = site.tab(ALICE);
    for _ in 0..2 {
        let default = alice.post(&format!("/connections/{second}/default"), &[]);
        assert_eq!(
            location(&default),
            format!("/at/connections/{second}?done=default")
        );
    }
    let mut requests = Vec::new();
    for _ in 0..2 {
        let revoked = alice.post(&format!("/connections/{first}/revoke"), &[]);
        assert_eq!(revoked.status(), 200);
        assert!(text(&revoked).contains("is revoked"), "{}", text(&revoked));
        requests.push(site.sandbox.count("/revoke"));
    }
    assert_eq!(requests[0], requests[1], "the provider is asked once");
    // Each submission of a form begins a consent. Both can be completed, and the account is
    // connected once.
    let addresses = [0, 1].map(|_| alice.depart(&[("provider", "mail")]));
    let led = addresses.map(|address| location(&alice.get(&site.sandbox.approve(&address, "ada"))));
    assert_eq!(led[0], led[1]);
}

#[test]
fn a_browser_that_begins_many_consents_keeps_few_cookies_and_the_vault_few_requests() {
    let vault = Arc::new(SealedVault::in_memory());
    let site = Site::over(Arc::clone(&vault));
    let mut alice = site.tab(ALICE);
    for _ in 0..40 {
        alice.depart(&[("provider", "notes")]);
    }
    assert!(alice.flows() <= 16, "{}", alice.flows());
    assert!(alice.cookie().len() < 4_096);
    let kept = |who: &str| {
        let person = gateway::person(who);
        vault.consents(person.tenant(), person.user()).unwrap().len()
    };
    assert_eq!(kept(ALICE), 40);
    for _ in 0..100 {
        let body = json!({"provider": "notes"});
        let made = site.send(with_json(program(ALICE, Method::POST, "/connect"), &body));
        assert_eq!(made.status(), 201);
    }
    assert_eq!(kept(ALICE), MAX_CONSENTS);
    // The latest still works, and no other user has lost a consent.
    let mut bob = site.tab("acme.bob.user");
    let of_bob = bob.depart(&[("provider", "notes")]);
    let of_alice = alice.depart(&[("provider", "notes")]);
    for (tab, address) in [(&mut alice, of_alice), (&mut bob, of_bob)] {
        assert!(location(&tab.get(&site.sandbox.approve(&address, "ada"))).contains("connected"));
    }
}
