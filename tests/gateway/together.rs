//! Several services by one consent, through the gateway: the choices in forms, the results, the
//! refusals.

use std::collections::BTreeSet;

use http::Method;
use serde_json::json;
use valetkey::ConsentOptions;
use valetkey::internals::provider::Discovery;
use valetkey::model::{Connection, ConnectionId};
use valetkey::provider::ClientRegistration;

use crate::support::gateway::{self, Site, Tab, header_of, json, program, text, with_json};

const ALICE: &str = "acme.alice.user";
const BOB: &str = "acme.bob.user";
const OLGA: &str = "acme.olga.operator";

/// Five services at the sandbox, one of which has to be connected by itself and one of which needs
/// a different request, and services at other servers.
fn site() -> Site {
    Site::offering(|sandbox, builder| {
        let mut sites = sandbox.provider("sites");
        sites.discovery = Some(Discovery {
            url: "https://sandbox.test/sites".into(),
            entries: "".into(),
            pick: None,
            values: Default::default(),
        });
        let mut odd = sandbox.provider("odd");
        odd.authorization_parameters.insert("audience".into(), "b".into());
        let mut files = sandbox.provider("files");
        files
            .authorization_parameters
            .insert("audience".into(), "a".into());
        builder.provider(files).provider(sites).provider(odd).client(
            "google",
            ClientRegistration::new("id", "secret", "https://app.test/at/callback/google"),
        )
    })
}

/// Returns the services that a page offers as checkboxes. Each has a label, and all share a legend.
fn boxes(html: &str) -> BTreeSet<&str> {
    let labelled = "<label class=\"check box\"><input type=\"checkbox\" name=\"also\" value=\"";
    let offered: BTreeSet<&str> = html
        .split(labelled)
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(html.matches("name=\"also\"").count(), offered.len(), "{html}");
    assert_eq!(html.contains("<legend>"), !offered.is_empty(), "{html}");
    assert_eq!(
        html.matches("<fieldset").count(),
        html.matches("<legend>").count()
    );
    offered
}

fn offered(tab: &mut Tab<'_>, path: &str) -> Vec<String> {
    let page = tab.get(path);
    assert_eq!(page.status(), 200, "{path}");
    boxes(text(&page)).into_iter().map(str::to_owned).collect()
}

fn connections(site: &Site, who: &str) -> Vec<Connection> {
    site.connections
        .list(&gateway::person(who), &Default::default())
        .unwrap()
}

fn services(connections: &[Connection]) -> BTreeSet<&str> {
    connections.iter().map(|it| it.provider.as_str()).collect()
}

fn share_one_grant(connections: &[Connection]) -> bool {
    let grants: BTreeSet<_> = connections.iter().map(|it| it.grant).collect();
    grants.len() == 1
}

#[test]
fn a_form_offers_what_can_share_its_consent_and_is_not_connected() {
    let site = site();
    let mut alice = site.tab(ALICE);
    assert_eq!(
        offered(&mut alice, "/connect?provider=notes"),
        ["files", "mail", "odd"],
        "not itself, not what is elsewhere, not what is connected by itself"
    );
    assert_eq!(
        offered(&mut alice, "/connect?provider=files"),
        ["mail", "notes"],
        "not what asks in another way"
    );
    let page = alice.get("/connect");
    assert!(text(&page).contains("href=\"/at/connect?provider=notes\""));
    assert!(boxes(text(&page)).is_empty(), "which would fit is not known yet");
    assert_eq!(alice.get("/connect?provider=nothing").status(), 404);

    let fields = [("provider", "notes"), ("also", "mail")];
    let address = alice.depart(&fields);
    alice.get(&site.sandbox.approve(&address, "ada"));
    assert_eq!(offered(&mut alice, "/connect?provider=notes"), ["files", "odd"]);
    // Only an operator can choose the user; other callers cannot see another user's services.
    let mut bob = site.tab(BOB);
    for path in ["/connect?provider=notes", "/connect?provider=notes&user=alice"] {
        assert_eq!(offered(&mut bob, path), ["files", "mail", "odd"], "{path}");
    }
    let mut olga = site.tab(OLGA);
    let for_alice = "/connect?provider=notes&user=alice";
    assert_eq!(offered(&mut olga, for_alice), ["files", "odd"]);
    assert!(text(&olga.get(for_alice)).contains("name=\"user\" value=\"alice\""));
    let chooser = olga.get("/connect?user=alice");
    assert!(text(&chooser).contains("/at/connect?provider=notes&#38;user=alice"));
    let own = &connections(&site, ALICE)[0];
    site.connections.revoke(&gateway::person(ALICE), own.id).unwrap();
    assert_eq!(
        offered(&mut alice, "/connect?provider=files").len(),
        1,
        "what was revoked can be connected again"
    );
}

#[test]
fn boxes_that_are_ticked_are_connected_by_one_consent() {
    let site = site();
    let mut alice = site.tab(ALICE);
    let fields = [
        ("provider", "notes"),
        ("also", "mail"),
        ("also", "files"),
        ("also", ""),
    ];
    let address = alice.depart(&fields);
    assert!(address.contains("audience=a"), "{address}");
    let back = alice.get(&site.sandbox.approve(&address, "ada"));
    assert!(header_of(&back, "location").unwrap().ends_with("?done=connected"));
    let all = connections(&site, ALICE);
    assert_eq!(services(&all), ["files", "mail", "notes"].into());
    assert!(share_one_grant(&all));
    assert_eq!(site.sandbox.count("/token"), 1);
}

#[test]
fn a_link_is_for_several_services_too() {
    let site = site();
    let body = json!({"provider": "notes", "user": "alice", "also": ["mail"]});
    let made = site.send(with_json(program(OLGA, Method::POST, "/connect"), &body));
    assert_eq!(made.status(), 201, "{}", text(&made));
    let mut alice = site.tab(ALICE);
    let opened = alice.get(json(&made)["link"].as_str().unwrap());
    let callback = site
        .sandbox
        .approve(header_of(&opened, "location").unwrap(), "ada");
    alice.get(&callback);
    let all = connections(&site, ALICE);
    assert_eq!(services(&all), ["mail", "notes"].into());
    assert!(share_one_grant(&all));

    // Services are added to the existing connection. Without a service name, the list decides.
    let id = all[0].id.to_string();
    for body in [
        json!({"extends": id, "provider": "files"}),
        json!({"extends": id, "also": ["files"]}),
    ] {
        let made = site.send(with_json(program(OLGA, Method::POST, "/connect"), &body));
        assert_eq!(made.status(), 201, "{}", text(&made));
        assert_eq!(json(&made)["provider"], "files");
        let opened = alice.get(json(&made)["link"].as_str().unwrap());
        let callback = site
            .sandbox
            .approve(header_of(&opened, "location").unwrap(), "ada");
        alice.get(&callback);
        let all = connections(&site, ALICE);
        assert_eq!(services(&all), ["files", "mail", "notes"].into());
        assert!(share_one_grant(&all));
    }
}

#[test]
fn services_are_added_to_an_account_on_its_own_page() {
    let site = site();
    let mut alice = site.tab(ALICE);
    let id = site.connect(ALICE, "ada", ConsentOptions::default()).id;
    let page = format!("/connections/{id}");
    assert!(text(&alice.get(&page)).contains("<legend>Add a service</legend>"));
    assert_eq!(offered(&mut alice, &page), ["files", "mail", "odd"]);

    // Another account neither ends nor adds anything.
    let extends = id.to_string();
    let fields = [("extends", extends.as_str()), ("also", "mail"), ("also", "files")];
    let callback = site.sandbox.approve(alice.depart(&fields), "grace");
    let back = alice.get(&callback);
    assert!(header_of(&back, "location").unwrap().contains("other-account"));
    assert_eq!(services(&connections(&site, ALICE)), ["notes"].into());

    let callback = site.sandbox.approve(alice.depart(&fields), "ada");
    alice.get(&callback);
    let all = connections(&site, ALICE);
    assert_eq!(services(&all), ["files", "mail", "notes"].into());
    assert!(share_one_grant(&all) && all.iter().any(|it| it.id == id));
    assert_eq!(offered(&mut alice, &page), ["odd"]);

    // Other users cannot extend the grant, and a revoked connection cannot be extended.
    let shared = site.connect_workspace_account("grace").id;
    let seen = format!("/connections/{shared}");
    assert!(offered(&mut alice, &seen).is_empty());
    assert_eq!(offered(&mut site.tab(OLGA), &seen), ["files", "mail", "odd"]);
    let theirs = site.tab(OLGA).get(&page);
    assert!(text(&theirs).contains("Create link to add"));
    site.connections.revoke(&gateway::person(ALICE), id).unwrap();
    assert!(offered(&mut alice, &page).is_empty());
}

#[test]
fn what_cannot_share_a_consent_is_refused_and_begins_nothing() {
    let site = site();
    let mine = site.connect(ALICE, "ada", ConsentOptions::default()).id;
    let bobs = site.connect(BOB, "grace", ConsentOptions::default()).id;
    let shared = site.connect_workspace_account("grace").id;
    let unknown = ConnectionId::from_bytes([7; 16]).to_string();
    let (mine, bobs, shared) = (mine.to_string(), bobs.to_string(), shared.to_string());
    let asked = site.sandbox.count("/token");
    let mut alice = site.tab(ALICE);
    let cookies = {
        alice.token();
        alice.cookies.clone()
    };
    let cases: &[(u16, &[(&str, &str)])] = &[
        (400, &[("provider", "notes"), ("also", "nothing")]),
        (400, &[("provider", "notes"), ("also", "<script>")]),
        // The library knows the service, but this host has not set it up.
        (400, &[("provider", "notes"), ("also", "outlook-mail")]),
        (400, &[("provider", "notes"), ("also", "gmail")]),
        (400, &[("provider", "notes"), ("also", "mail"), ("also", "sites")]),
        (400, &[("provider", "files"), ("also", "odd")]),
        (400, &[("provider", "notes"), ("also", "files"), ("also", "odd")]),
        (400, &[("also", "mail")]),
        (400, &[("extends", &mine)]),
        (400, &[("extends", &mine), ("also", "")]),
        (400, &[("extends", &mine), ("also", "gmail")]),
        (400, &[("extends", &mine), ("provider", "gmail")]),
        (400, &[("extends", &mine), ("also", "nothing")]),
        (400, &[("extends", &mine), ("also", "sites")]),
        (400, &[("extends", &mine), ("provider", "sites")]),
        (400, &[("extends", &mine), ("reconnect", &mine), ("also", "mail")]),
        (404, &[("extends", &bobs), ("also", "mail")]),
        (404, &[("extends", &unknown), ("also", "mail")]),
        (404, &[("extends", "../x"), ("also", "mail")]),
        (403, &[("extends", &shared), ("also", "mail")]),
        (400, &[("provider", "notes"), ("provider", "mail")]),
    ];
    for (status, fields) in cases {
        let response = alice.post("/connect", fields);
        assert_eq!(response.status(), *status, "{fields:?}: {}", text(&response));
        assert!(!text(&response).contains("<script>"), "{fields:?}");
        assert_eq!(alice.cookies, cookies, "{fields:?}: a consent has begun");
    }
    let forged = [("provider", "notes"), ("also", "mail")];
    assert_eq!(alice.post_without_token("/connect", &forged).status(), 403);
    for also in [
        json!("mail"),
        json!(true),
        json!([1]),
        json!([["mail"]]),
        json!({"mail": true}),
        json!(["nothing"]),
        json!(["gmail"]),
    ] {
        let body = json!({"provider": "notes", "also": also});
        let response = site.send(with_json(program(ALICE, Method::POST, "/connect"), &body));
        assert_eq!(response.status(), 400, "{body}");
        assert_eq!(json(&response)["error"], "invalid_request", "{body}");
    }
    assert_eq!(site.sandbox.count("/token"), asked);
    assert_eq!(services(&connections(&site, ALICE)), ["notes"].into());
}
