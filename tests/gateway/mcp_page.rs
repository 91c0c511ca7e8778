//! The pages on which a user connects an MCP server by its address.

use http::StatusCode;
use valetkey::connections::McpClient;
use valetkey::gateway::Mount;
use valetkey::testing::Sandbox;

use crate::support::gateway::{BASE, ORIGIN, Site, location, text};

fn site() -> Site {
    let callback = Mount::new(ORIGIN)
        .unwrap()
        .under(BASE)
        .unwrap()
        .callback_url("mcp");
    Site::offering(|sandbox, builder| {
        sandbox.serve_mcp(Sandbox::MCP_SERVER, &[Sandbox::MCP_ISSUER]);
        builder.mcp(McpClient::new("Acme Agent", callback))
    })
}

/// Returns the address behind the button that continues.
fn continues_to(html: &str) -> String {
    let at = html.find("class=\"button primary\" href=\"").unwrap();
    let address = html[at..]
        .split("href=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    address.replace("&#38;", "&")
}

#[test]
fn a_server_is_shown_before_anything_is_connected_and_then_connected() {
    let site = site().with_mcp_servers();
    let mut tab = site.tab("acme.alice.user");
    assert!(
        text(&tab.get("/connect")).contains("/mcp\""),
        "the choice leads there"
    );
    assert_eq!(tab.get("/mcp").status(), StatusCode::OK);
    let found = tab.post("/mcp", &[("url", Sandbox::MCP_SERVER)]);
    assert_eq!(found.status(), StatusCode::OK, "{}", text(&found));
    let html = text(&found).to_owned();
    for shown in [Sandbox::MCP_SERVER, "mcp.sandbox.test", "mcp.read"] {
        assert!(html.contains(shown), "{shown}: {html}");
    }
    assert!(!html.contains("http-equiv"), "the page waits for the user");
    let callback = site.sandbox.approve(continues_to(&html), "ada");
    let connected = tab.get(&callback);
    assert!(connected.status().is_redirection(), "{}", text(&connected));
    let detail = tab.get(&location(&connected));
    assert_eq!(detail.status(), StatusCode::OK);
    assert!(text(&detail).contains("mcp.sandbox.test"), "{}", text(&detail));
}

#[test]
fn a_mistake_is_shown_beside_the_address_in_the_language_of_the_browser() {
    let site = site().with_mcp_servers();
    let mut tab = site.tab("acme.alice.user");
    for address in [
        "",
        "no url",
        "http://mcp.sandbox.test/mcp",
        "https://127.0.0.1/mcp",
        "https://elsewhere.test/",
    ] {
        let page = tab.post("/mcp", &[("url", address)]);
        assert_eq!(page.status(), StatusCode::UNPROCESSABLE_ENTITY, "{address}");
        let html = text(&page);
        assert!(
            html.contains("aria-invalid=\"true\"") && html.contains("class=\"wrong\""),
            "{html}"
        );
        assert!(
            html.contains(&format!("value=\"{address}\"")),
            "the input is preserved: {html}"
        );
    }
    assert!(text(&tab.get("/")).contains("Connect"), "nothing was connected");
}

#[test]
fn without_the_permission_of_the_host_the_pages_do_not_exist() {
    let site = site();
    let mut tab = site.tab("acme.alice.user");
    assert!(!text(&tab.get("/connect")).contains("/mcp\""));
    assert_eq!(tab.get("/mcp").status(), StatusCode::NOT_FOUND);
    let refused = tab.post("/mcp", &[("url", Sandbox::MCP_SERVER)]);
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
    assert_eq!(site.sandbox.count("/mcp"), 0, "no request was sent");
}
