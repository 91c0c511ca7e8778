//! The choice between reading only and the usual access.

use http::Method;
use url::Url;
use valetkey::internals::provider::{ParameterKind, ParameterRule, ScopeModes, ScopeTiers};
use valetkey::model::Scopes;

use crate::support::gateway::{Site, json, person, program, text, with_json};

const ALICE: &str = "acme.alice.user";

fn scopes(names: &[&str]) -> Scopes {
    Scopes::new(names.iter().copied()).unwrap()
}

/// Returns a site whose service `mail` can be limited to reading.
fn site() -> Site {
    Site::described(
        |_, mail| {
            mail.tiers = ScopeTiers::default();
            mail.tiers.read_only = Some(scopes(&["notes.read"]));
        },
        |_, builder| builder,
    )
}

fn requested(address: &str) -> String {
    let url = Url::parse(address).unwrap();
    let (_, scope) = url.query_pairs().find(|(name, _)| name == "scope").unwrap();
    scope.into_owned()
}

#[test]
fn a_user_can_allow_reading_only() {
    let site = site();
    let mut alice = site.tab(ALICE);
    let page = alice.get("/connect?provider=mail");
    for part in [
        "name=\"access\" value=\"full\" checked",
        "name=\"access\" value=\"read_only\"",
        "Read only",
    ] {
        assert!(text(&page).contains(part), "{part}: {}", text(&page));
    }
    assert!(!text(&alice.get("/connect?provider=notes")).contains("name=\"access\""));
    let usual = alice.depart(&[("provider", "mail"), ("access", "full")]);
    assert_eq!(requested(&usual), "notes.read notes.write");
    let address = alice.depart(&[("provider", "mail"), ("access", "read_only")]);
    assert_eq!(requested(&address), "notes.read");
    let callback = site.sandbox.approve(address, "ada");
    alice.get(&callback);
    let list = site
        .connections
        .list(&person(ALICE), &Default::default())
        .unwrap();
    assert_eq!(list[0].granted, scopes(&["notes.read"]));
    assert!(list[0].missing_scopes().is_empty(), "nothing is missing");

    // Reconnecting does not ask for more, unless the user says so.
    let id = list[0].id.to_string();
    assert_eq!(requested(&alice.depart(&[("reconnect", &id)])), "notes.read");
    let detail = alice.get(&format!("/connections/{id}"));
    let change = format!("/connect?reconnect={id}");
    assert!(
        text(&detail).contains(&format!("href=\"/at{change}\"")),
        "{}",
        text(&detail)
    );
    let page = alice.get(&change);
    assert!(
        text(&page).contains("name=\"access\" value=\"read_only\" checked"),
        "{}",
        text(&page)
    );
    let more = alice.depart(&[("reconnect", &id), ("access", "full")]);
    assert_eq!(requested(&more), "notes.read notes.write");
}

#[test]
fn reading_only_is_refused_where_it_would_not_be_true() {
    let site = Site::described(
        |server, mail| {
            let mode = ParameterKind::OneOf(vec!["everything".into()]);
            server.parameters = vec![ParameterRule::new("mode", mode).optional()];
            mail.tiers.read_only = Some(scopes(&["notes.read"]));
            mail.scope_modes = Some(ScopeModes {
                parameter: "mode".into(),
                scopes: [("everything".to_owned(), scopes(&["notes.admin"]))].into(),
            });
        },
        |_, builder| builder,
    );
    let send =
        |body: serde_json::Value| site.send(with_json(program(ALICE, Method::POST, "/connect"), &body));
    for body in [
        serde_json::json!({"provider": "notes", "access": "read_only"}),
        serde_json::json!({"provider": "mail", "also": ["notes"], "access": "read_only"}),
        serde_json::json!({"provider": "mail", "access": "read_only", "parameters": {"mode": "everything"}}),
        serde_json::json!({"provider": "mail", "access": "some"}),
    ] {
        let refused = send(body.clone());
        assert_eq!(refused.status(), 400, "{body}");
        assert_eq!(json(&refused)["error"], "invalid_request");
    }
    let taken = send(serde_json::json!({"provider": "mail", "access": "read_only"}));
    assert_eq!(taken.status(), 201);
    assert!(
        site.connections
            .list(&person(ALICE), &Default::default())
            .unwrap()
            .is_empty()
    );
}
