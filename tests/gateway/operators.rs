//! The pages of operators: open links, services, revoking all, the audit and its export.

use http::Method;
use std::sync::Arc;

use valetkey::ConsentOptions;
use valetkey::connections::ConnectionFilter;
use valetkey::model::{ConsentId, Status};
use valetkey::provider::{AuthorizationServer, ClientRegistration, Provider};
use valetkey::vault::SealedVault;

use crate::support::gateway::planted::plant;
use crate::support::gateway::{Site, header_of, json, location, program, text, with_json};

const ALICE: &str = "acme.alice.user";
const BOB: &str = "acme.bob.user";
const OLGA: &str = "acme.olga.operator";
const MALLORY: &str = "globex.mallory.operator";

fn page(site: &Site, caller: &str, path: &str) -> String {
    let response = site.send(program(caller, Method::GET, path));
    assert_eq!(response.status(), 200, "{path}: {}", text(&response));
    text(&response).to_owned()
}

#[test]
fn the_pages_of_operators_are_for_operators_of_the_tenant() {
    let site = Site::new();
    let id = site.connect(ALICE, "ada", ConsentOptions::default()).id;
    for path in [
        "/links",
        "/services",
        "/revoke?user=alice",
        "/v1/revocation?user=alice",
    ] {
        assert_eq!(
            site.send(program(ALICE, Method::GET, path)).status(),
            403,
            "{path}"
        );
    }
    let mut alice = site.tab(ALICE);
    assert_eq!(alice.post("/revoke", &[("user", "alice")]).status(), 403);
    let revoke = with_json(
        program(MALLORY, Method::POST, "/v1/revocation"),
        &serde_json::json!({"user": "alice"}),
    );
    assert_eq!(
        json(&site.send(revoke))["revocations"].as_array().unwrap().len(),
        0
    );
    assert!(!page(&site, MALLORY, "/audit").contains("alice"));
    assert!(!page(&site, MALLORY, "/links").contains("alice"));
    let still = site.connections.get(&site.user("alice"), id).unwrap();
    assert_eq!(still.status, Status::Active);
    // A user sees their own audit, and no tabs.
    let own = page(&site, ALICE, "/audit");
    assert!(own.contains("Consent given") && !own.contains("class=\"wide tabs\""));
}

/// Returns the id of a link that Alice has opened, and declined at the provider.
fn alice_declines(site: &Site) -> ConsentId {
    let (id, link) = site.link(ALICE, ConsentOptions::default());
    let mut alice = site.tab(ALICE);
    let address = location(&alice.get(&link));
    let callback = site.sandbox.deny(address);
    alice.get(&callback);
    id
}

#[test]
fn open_links_are_listed_and_withdrawn() {
    let site = Site::new();
    assert!(page(&site, OLGA, "/links").contains("No open links"));
    let (id, link) = site.link(ALICE, ConsentOptions::default());
    site.link(BOB, ConsentOptions::default());
    let links = page(&site, OLGA, "/links");
    assert!(
        links.contains("Open links <span class=\"count\">2</span>"),
        "{links}"
    );
    assert!(links.contains("Not opened") && links.contains(">alice<") && links.contains(">bob<"));
    let mut olga = site.tab(OLGA);
    let done = olga.post(&format!("/links/{id}/withdraw"), &[("user", "alice")]);
    assert_eq!(header_of(&done, "location"), Some("/at/links?done=withdrawn"));
    assert!(page(&site, OLGA, "/links?done=withdrawn").contains("The link was withdrawn."));
    assert_eq!(
        site.tab(ALICE).get(&link).status(),
        303,
        "leads to the page that says so"
    );
    let open = site.connections.all_pending(&site.operator("olga")).unwrap();
    assert_eq!(open.len(), 1);
    // A consent that its user has declined is not withdrawn.
    let denied = alice_declines(&site);
    let late = olga.post(&format!("/links/{denied}/withdraw"), &[("user", "alice")]);
    assert_eq!(header_of(&late, "location"), Some("/at/links?done=ended"));
    let listed = json(&site.send(program(OLGA, Method::GET, "/v1/consents?all=true")));
    assert_eq!(listed["consents"].as_array().unwrap().len(), 1);
    let refused = site.send(program(ALICE, Method::GET, "/v1/consents?all=true"));
    assert_eq!(refused.status(), 403);
}

#[test]
fn services_show_their_connections_and_registrations() {
    let site = Site::new();
    site.connect(ALICE, "ada", ConsentOptions::default());
    let services = page(&site, OLGA, "/services");
    for part in [
        "href=\"/at/?provider=notes\"",
        "The app registration for all workspaces",
        "Access ends at the service with the revocation",
        "href=\"/at/revoke?provider=notes\"",
    ] {
        assert!(services.contains(part), "{part}: {services}");
    }
    // Nothing is offered for a service without connections.
    assert!(!services.contains("revoke?provider=mail"));
    // The catalogue's services that the host did not set up are not listed.
    assert!(!services.contains("gmail"));
}

#[test]
fn all_connections_of_a_user_are_revoked_after_a_preview() {
    let site = Site::new();
    let first = site.connect(ALICE, "ada", ConsentOptions::default());
    let mail = site.connect_with(&site.user("alice"), "mail", "grace", ConsentOptions::default());
    let other = site.connect(BOB, "grace", ConsentOptions::default());
    let shown = page(&site, OLGA, "/?user=alice");
    assert!(shown.contains("href=\"/at/revoke?user=alice\""), "{shown}");
    let preview = page(&site, OLGA, "/revoke?user=alice");
    for part in [
        "2 connections",
        "Access ends at the service with the revocation",
        "ada@example.test",
        "Revoke 2 connections",
        "name=\"user\" value=\"alice\"",
    ] {
        assert!(preview.contains(part), "{part}: {preview}");
    }
    assert!(!preview.contains(&other.id.to_string()));
    let counted = json(&site.send(program(OLGA, Method::GET, "/v1/revocation?user=alice")));
    assert_eq!(counted["connections"], 2);
    assert_eq!(counted["services"][0]["ends"], "by_request");

    let mut olga = site.tab(OLGA);
    let result = olga.post("/revoke", &[("user", "alice")]);
    assert_eq!(result.status(), 200);
    assert!(
        text(&result).contains("2 connections revoked"),
        "{}",
        text(&result)
    );
    for id in [first.id, mail.unwrap().id] {
        let now = site.connections.get(&site.operator("olga"), id).unwrap();
        assert_eq!(now.status, Status::Revoked);
    }
    assert_eq!(site.sandbox.live_grants().len(), 1, "the provider ended them too");
    let kept = site.connections.get(&site.user("bob"), other.id).unwrap();
    assert_eq!(kept.status, Status::Active);
    assert!(page(&site, OLGA, "/revoke?user=alice").contains("There is nothing to revoke."));
    // Everything at once is not a selection.
    assert_eq!(site.send(program(OLGA, Method::GET, "/revoke")).status(), 400);
    assert_eq!(olga.post("/revoke", &[]).status(), 400);
}

#[test]
fn the_audit_is_filtered_paged_and_exported() {
    let site = Site::new();
    let first = site.connect(ALICE, "ada", ConsentOptions::default());
    site.clock.advance(std::time::Duration::from_secs(3 * 86_400));
    let second = site.connect(BOB, "grace", ConsentOptions::default());
    let entries = |path: &str| page(&site, OLGA, path).matches("<li><time").count();
    assert_eq!(entries("/audit"), 4);
    assert_eq!(entries("/audit?user=alice"), 2);
    assert_eq!(entries("/audit?kind=consent_completed"), 2);
    assert_eq!(entries("/audit?provider=mail"), 0);
    assert_eq!(entries(&format!("/audit?connection={}", first.id)), 1);
    let now = site.connections.get(&site.user("bob"), second.id).unwrap();
    let day = &now.created_at.to_string()[..10];
    assert_eq!(entries(&format!("/audit?since={day}")), 2);
    assert_eq!(entries(&format!("/audit?until={day}")), 4);
    assert_eq!(entries(&format!("/audit?since={day}&user=alice")), 0);
    for wrong in ["kind=x", "since=yesterday", "after=x", "connection=x"] {
        let response = site.send(program(OLGA, Method::GET, &format!("/audit?{wrong}")));
        assert!(response.status().is_client_error(), "{wrong}");
    }
    let file = site.send(program(OLGA, Method::GET, "/audit.csv?user=bob"));
    assert_eq!(header_of(&file, "content-type"), Some("text/csv; charset=utf-8"));
    let disposition = header_of(&file, "content-disposition").unwrap();
    assert_eq!(disposition, "attachment; filename=\"audit.csv\"");
    assert_eq!(text(&file).lines().count(), 3, "{}", text(&file));
    assert!(text(&file).contains("\"consent_completed\",\"notes\""));
    assert!(page(&site, OLGA, "/audit?user=bob").contains("href=\"/at/audit.csv?user=bob\""));

    let read = |query: &str| json(&site.send(program(OLGA, Method::GET, &format!("/v1/audit?{query}"))));
    let newest = read("order=newest&limit=1");
    assert_eq!(newest["entries"][0]["user"], "bob");
    let older = read(&format!("order=newest&after={}", newest["next_after"]));
    assert_eq!(older["entries"].as_array().unwrap().len(), 3);
    assert!(older["next_after"].is_null());
    assert_eq!(
        read("kind=consent_started&user=alice")["entries"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn the_list_is_sorted_and_keeps_its_order_from_page_to_page() {
    let mut site = Site::new();
    for (user, account) in [("acme.carol.user", "ada"), (ALICE, "grace"), (BOB, "ada")] {
        site.connect(user, account, ConsentOptions::default());
        site.clock.advance(std::time::Duration::from_secs(60));
    }
    site.connect_workspace_account("grace");
    site.gateway = site.gateway.clone().page_size(2);
    let rows = |path: &str| -> Vec<String> {
        let html = page(&site, OLGA, path);
        let rows = html.split("<li class=\"row").skip(1);
        rows.map(|row| {
            let row = row.split("</li>").next().unwrap();
            ["alice", "bob", "carol"]
                .into_iter()
                .find(|name| row.contains(&format!(">{name}<")))
                .unwrap_or("workspace")
                .to_owned()
        })
        .collect()
    };
    let all = |sort: &str| -> Vec<String> {
        let start = format!("/?sort={sort}");
        let html = page(&site, OLGA, &start);
        let next = html.split("rel=\"next\"").next().unwrap();
        let next = next
            .rsplit("href=\"/at")
            .next()
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        let mut all = rows(&start);
        all.extend(rows(&next.replace("&#38;", "&")));
        all
    };
    assert_eq!(all("user"), ["alice", "bob", "carol", "workspace"]);
    assert_eq!(all("newest"), ["workspace", "bob", "alice", "carol"]);
    assert_eq!(all(""), ["carol", "alice", "bob", "workspace"]);
    assert_eq!(rows("/?kind=workspace"), ["workspace"]);
    assert_eq!(rows("/?kind=personal&user=bob"), ["bob"]);
    let refused = site.send(program(OLGA, Method::GET, "/?sort=sideways"));
    assert_eq!(refused.status(), 400);
    let workspace = ConnectionFilter::default().workspace();
    assert_eq!(
        site.connections
            .list(&site.operator("olga"), &workspace)
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn services_that_the_workspace_added_have_their_place() {
    let site = Site::new();
    let tenant = site.user("alice").tenant().clone();
    let server = AuthorizationServer::from_json(
        r#"{"id": "board-server", "authorization_endpoint": "https://board.test/authorize",
            "token_endpoint": "https://board.test/token"}"#,
    )
    .unwrap();
    let provider = Provider::from_json(
        r#"{"id": "board", "server": "board-server", "name": "Team Board", "api_base": "https://api.board.test"}"#,
    )
    .unwrap();
    site.connections
        .add_provider(&tenant, Some(server), provider)
        .unwrap();
    let services = page(&site, OLGA, "/services");
    for part in [
        "Team Board",
        "Added to this workspace",
        "<code>board-server</code>",
    ] {
        assert!(services.contains(part), "{part}: {services}");
    }
    assert!(!page(&site, MALLORY, "/services").contains("Team Board"));
    let own = ClientRegistration::new("own", "secret", "https://app.test/at/callback/sandbox");
    site.connections.add_client(&tenant, "sandbox", own).unwrap();
    let mine = "This workspace’s own app registration";
    assert!(page(&site, OLGA, "/services").contains(mine));
    assert!(!page(&site, MALLORY, "/services").contains(mine));
}

#[test]
fn one_request_revokes_at_most_200_connections() {
    let vault = Arc::new(SealedVault::in_memory());
    for number in 0..203 {
        plant(&vault, number, |_| {});
    }
    let site = Site::over(Arc::clone(&vault));
    let revoke = || {
        let request = program(OLGA, Method::POST, "/v1/revocation");
        let answer = json(&site.send(with_json(request, &serde_json::json!({"provider": "notes"}))));
        (
            answer["revocations"].as_array().unwrap().len(),
            answer["more"].clone(),
        )
    };
    assert_eq!(revoke(), (200, true.into()));
    assert_eq!(revoke(), (3, false.into()));
}
