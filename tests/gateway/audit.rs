//! The audit over HTTP: access, paging, and the history on a connection's page.

use std::sync::Arc;

use http::Method;
use serde_json::Value;
use valetkey::connections::Budget;
use valetkey::internals::vault::{AuditLog as _, TokenUse, UseRecord};
use valetkey::model::{Connection, ConnectionId, Owner, ProviderId, Timestamp, UserId};
use valetkey::vault::SealedVault;
use valetkey::{ActingUser, ConsentOptions, Resolver, TenantId};

use crate::support::gateway::planted::plant;
use crate::support::gateway::{Site, json, program, text};

const ALICE: &str = "acme.alice.user";
const BOB: &str = "acme.bob.user";
const OLGA: &str = "acme.olga.operator";
const MALLORY: &str = "evil.alice.user";
const EVE: &str = "evil.olga.operator";

fn read(site: &Site, caller: &str, query: &str) -> Value {
    let response = site.send(program(caller, Method::GET, &format!("/v1/audit{query}")));
    assert_eq!(response.status(), 200, "{caller} {query}: {}", text(&response));
    json(&response)
}

fn entries(page: &Value) -> &Vec<Value> {
    page["entries"].as_array().unwrap()
}

fn users(page: &Value) -> std::collections::BTreeSet<&str> {
    entries(page)
        .iter()
        .filter_map(|entry| entry["user"].as_str())
        .collect()
}

/// Returns a record of one token use by a user of acme.
fn handout(connection: ConnectionId, user: &str, purpose: &str, second: i64) -> TokenUse {
    TokenUse {
        tenant: TenantId::new("acme").unwrap(),
        connection,
        provider: ProviderId::new("notes").unwrap(),
        at: Timestamp::from_unix_millis(1_700_000_100_000 + second * 1_000),
        user: UserId::new(user).unwrap(),
        shared: true,
        purpose: Some(purpose.into()),
        turn: Some("turn-7".into()),
    }
}

#[test]
fn a_person_reads_what_concerns_them_and_an_operator_all_of_the_tenants() {
    let site = Site::new();
    let own = site.connect(ALICE, "ada", ConsentOptions::default()).id;
    site.connect(BOB, "grace", ConsentOptions::default());
    let shared = site.connect_workspace_account("ada").id;
    site.connect(MALLORY, "grace", ConsentOptions::default());

    let all = read(&site, OLGA, "");
    assert_eq!(users(&all), ["alice", "bob", "olga"].into());
    assert_eq!(users(&read(&site, ALICE, "")), ["alice"].into());
    assert_eq!(users(&read(&site, BOB, "")), ["bob"].into());
    let foreign = read(&site, EVE, "");
    assert!(!entries(&foreign).is_empty());
    assert!(!foreign.to_string().contains(&own.to_string()));
    assert!(entries(&read(&site, "acme.new.user", "")).is_empty());

    let of_one = read(&site, OLGA, &format!("?connection={own}"));
    let given = entries(&of_one)
        .iter()
        .find(|entry| entry["kind"] == "consent_completed");
    let given = given.unwrap();
    assert_eq!(
        (&given["provider"], &given["user"]),
        (&"notes".into(), &"alice".into())
    );
    assert!(
        entries(&of_one)
            .iter()
            .all(|entry| entry["connection"] == own.to_string())
    );
    // All users can see a workspace connection, but not the uses by others.
    assert!(entries(&read(&site, ALICE, &format!("?connection={shared}"))).is_empty());
    assert!(!entries(&read(&site, OLGA, &format!("?connection={shared}"))).is_empty());

    for (caller, query, status) in [
        (BOB, format!("?connection={own}"), 404),
        (OLGA, "?connection=x".into(), 404),
        (OLGA, "?after=x".into(), 400),
        (OLGA, "?after=-1".into(), 400),
        (OLGA, "?limit=0".into(), 400),
        (OLGA, "?limit=201".into(), 400),
    ] {
        let response = site.send(program(caller, Method::GET, &format!("/v1/audit{query}")));
        assert_eq!(response.status(), status, "{caller} {query}");
    }
    assert!(entries(&read(&site, OLGA, &format!("?after={}", u64::MAX))).is_empty());
}

#[test]
fn pages_follow_each_other_without_gap_or_repetition() {
    let site = Site::new();
    for _ in 0..4 {
        site.connect(ALICE, "ada", ConsentOptions::default());
        site.connect(BOB, "grace", ConsentOptions::default());
    }
    for caller in [ALICE, OLGA] {
        let all = read(&site, caller, "?limit=200");
        assert!(entries(&all).len() >= 8 && all["next_after"].is_null());
        let mut seen = Vec::new();
        let mut query = "?limit=3".to_owned();
        loop {
            let page = read(&site, caller, &query);
            seen.extend(entries(&page).clone());
            let Some(after) = page["next_after"].as_u64() else {
                break;
            };
            assert_eq!(entries(&page).len(), 3);
            query = format!("?limit=3&after={after}");
        }
        assert_eq!(&seen, entries(&all), "{caller}");
    }
}

#[test]
fn the_page_of_a_connection_tells_what_happened_newest_first() {
    let site = Site::new();
    let id = site.connect(ALICE, "ada", ConsentOptions::default()).id;
    let mut alice = site.tab(ALICE);
    alice.post(&format!("/connections/{id}/refresh"), &[]);
    let page = |caller: &str| {
        text(&site.send(program(caller, Method::GET, &format!("/connections/{id}")))).to_owned()
    };
    let trail = page(ALICE);
    let trail = trail.split("id=\"trail\"").nth(1).unwrap();
    let refreshed = trail.find("<strong>Refreshed</strong>").unwrap();
    let given = trail.find("<strong>Consent given</strong> by you").unwrap();
    assert!(refreshed < given, "{trail}");
    assert!(trail.contains("<time datetime=\""));
    assert!(page(OLGA).contains("<strong>Consent given</strong> by alice"));
    alice.post(&format!("/connections/{id}/revoke"), &[]);
    assert!(page(ALICE).contains("<strong>Access ended here</strong>"));
    let ended = page(ALICE).contains("<strong>Revoked at Sandbox notes</strong>");
    let told = read(&site, ALICE, &format!("?connection={id}"));
    let kinds: Vec<_> = entries(&told).iter().map(|entry| &entry["kind"]).collect();
    assert_eq!(
        ended,
        kinds.iter().any(|kind| **kind == "revocation_ended"),
        "{kinds:?}"
    );
}

#[test]
fn the_trail_is_bounded_and_tells_nobody_of_others() {
    let vault = Arc::new(SealedVault::in_memory());
    let id = plant(&Arc::clone(&vault), 1, |connection: &mut Connection| {
        connection.owner = Owner::Workspace
    });
    let many: Vec<_> = (0..2_100)
        .map(|number| handout(id, "bob", &format!("use-{number}."), number))
        .collect();
    vault.record_uses(&many, UseRecord::Entries).unwrap();
    let site = Site::over(vault);
    let page = |caller: &str| {
        text(&site.send(program(caller, Method::GET, &format!("/connections/{id}")))).to_owned()
    };
    for (caller, by) in [(BOB, "you"), (OLGA, "bob")] {
        let html = page(caller);
        assert_eq!(html.matches("<strong>Used</strong>").count(), 50);
        assert!(html.contains(&format!(
            "<strong>Used</strong> by {by} through the workspace connection: use-2099."
        )));
        assert!(html.contains("<code>turn-7</code>") && html.contains("Showing the latest 50 entries"));
        let (newest, oldest) = (html.find("use-2099.").unwrap(), html.find("use-2050.").unwrap());
        assert!(newest < oldest && !html.contains("use-2049."));
    }
    let nothing = page(ALICE);
    assert!(nothing.contains("<h3>No activity yet</h3>") && !nothing.contains("use-"));
}

#[test]
fn the_audit_says_who_acted_and_whose_connection_it_is() {
    let site = Site::new();
    let first = site.connect(ALICE, "ada", ConsentOptions::default()).id;
    let mut alice = site.tab(ALICE);
    alice.post(&format!("/connections/{first}/refresh"), &[]);
    alice.post(&format!("/connections/{first}/default"), &[]);
    site.tab(OLGA).post(&format!("/connections/{first}/revoke"), &[]);

    let told = read(&site, OLGA, &format!("?connection={first}"));
    let by = |kind: &str| {
        let entry = entries(&told).iter().find(|entry| entry["kind"] == kind);
        let entry = entry.unwrap_or_else(|| panic!("no {kind} in {told}"));
        assert_eq!(entry["user"], "alice", "{kind}");
        (entry["actor"]["user"].clone(), entry["actor"]["role"].clone())
    };
    assert_eq!(by("revoked"), ("olga".into(), "operator".into()));
    assert_eq!(by("default_set"), ("alice".into(), "user".into()));
    assert_eq!(by("refreshed"), ("alice".into(), "user".into()));
    assert_eq!(by("consent_completed"), (Value::Null, Value::Null));

    let page = |caller: &str| {
        text(&site.send(program(caller, Method::GET, &format!("/connections/{first}")))).to_owned()
    };
    assert!(page(ALICE).contains("<strong>Access ended here</strong> by olga"));
    assert!(page(OLGA).contains("<strong>Access ended here</strong> by you"));
    assert!(page(ALICE).contains("<strong>Refreshed</strong> by you"));
}

#[cfg(feature = "sqlite")]
#[test]
fn an_audit_that_cannot_be_read_is_an_error_without_detail() {
    use valetkey::vault::{MasterKey, SqliteVault};

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault.db");
    let site = Site::over(SqliteVault::open(&path, MasterKey::generate().unwrap()).unwrap());
    let id = site.connect(ALICE, "ada", ConsentOptions::default()).id;
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("UPDATE audit SET body = zeroblob(length(body))")
        .unwrap();

    let page = site.send(program(ALICE, Method::GET, &format!("/connections/{id}")));
    let api = site.send(program(ALICE, Method::GET, "/v1/audit"));
    assert_eq!(api.status(), 503);
    assert_eq!(json(&api)["error"], "temporarily_unavailable", "{}", text(&api));
    // The page of a connection says that its history cannot be read, not that it is empty. Access
    // can still be ended there.
    assert_eq!(page.status(), 200);
    let html = text(&page);
    assert!(html.contains("The activity cannot be read right now."), "{html}");
    assert!(!html.contains("No activity yet") && html.contains("/revoke"));
    for body in [html, text(&api)] {
        for detail in ["tampered", "Tampered", "sqlite", "SQLite", "database", "vault.db"] {
            assert!(!body.contains(detail), "{detail} in {body}");
        }
    }
    site.tab(ALICE).post(&format!("/connections/{id}/revoke"), &[]);
    let list = site.send(program(ALICE, Method::GET, "/v1/connections"));
    assert!(
        json(&list)["connections"].as_array().unwrap().is_empty(),
        "{}",
        text(&list)
    );
}

#[test]
fn the_trail_names_the_turn_that_used_a_token() {
    let site = Site::new();
    let id = site.connect(ALICE, "ada", ConsentOptions::default()).id;
    let alice = ActingUser::authenticated("acme", "alice").unwrap();
    let turn = Resolver::new(site.connections.clone())
        .turn(alice)
        .id("turn-<9>")
        .unwrap()
        .purpose("read the <notes>")
        .unwrap();
    turn.resolve("notes").unwrap();
    site.connections.maintain(Budget::default()).unwrap();

    let page = read(&site, ALICE, &format!("?connection={id}"));
    let used = entries(&page).last().unwrap();
    assert_eq!(used["kind"], "token_used");
    assert_eq!(
        (&used["turn"], &used["purpose"]),
        (&"turn-<9>".into(), &"read the <notes>".into())
    );
    let html = site.send(program(ALICE, Method::GET, &format!("/connections/{id}")));
    let html = text(&html);
    for told in ["turn-&#60;9&#62;", "read the &#60;notes&#62;"] {
        assert!(html.contains(told), "{told}: {html}");
    }
}
