//! The appearance that a host chooses, and the list and the chooser in the host's own page.

use http::{Method, Request, header};
use valetkey::ConsentOptions;
use valetkey::gateway::{Gateway, Mount};

use crate::support::gateway::{BASE, Door, ORIGIN, Site, header_of, program, text};

const ALICE: &str = "acme.alice.user";
const BOB: &str = "acme.bob.user";

fn themed(site: &Site) -> Gateway {
    Gateway::clone(&site.gateway)
        .stylesheet("https://cdn.test/theme.css")
        .unwrap()
        .logo("/brand.svg")
        .unwrap()
        .head("<meta name=\"robots\" content=\"noindex\">")
        .service_logos(|service| match service {
            "notes" => Some("/logos/notes.png".into()),
            _ => Some("https://elsewhere.test/x.png".into()),
        })
}

#[test]
fn the_host_chooses_style_sheet_logos_and_head() {
    let mut site = Site::new();
    site.connect(ALICE, "ada", ConsentOptions::default());
    site.gateway = themed(&site);
    let html = text(&site.send(program(ALICE, Method::GET, "/connect"))).to_owned();
    // The policy does not allow the origin, so nothing is requested from it.
    assert!(
        !html.contains("cdn.test") && !html.contains("elsewhere.test"),
        "{html}"
    );
    site.gateway = themed(&site).allow_resources_from("https://cdn.test").unwrap();
    let page = site.send(program(ALICE, Method::GET, "/connect"));
    let policy = header_of(&page, "content-security-policy").unwrap();
    assert!(policy.contains("style-src 'self' https://cdn.test;"), "{policy}");
    let html = text(&page);
    let (own, theme) = ("/at/assets/gateway.css", "https://cdn.test/theme.css");
    assert!(html.find(own) < html.find(theme), "the host's sheet comes last");
    for part in [
        "src=\"/brand.svg\"",
        "<meta name=\"robots\" content=\"noindex\">",
        "src=\"/logos/notes.png\"",
        "#generic\"",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let mount = || Gateway::clone(&site.gateway);
    for address in [
        "javascript:alert(1)",
        "//evil.test/x",
        "theme.css",
        "http://cdn.test/x.css",
    ] {
        let rule = mount().stylesheet(address).err().map(|error| error.rule());
        assert_eq!(rule, Some("host_address"), "{address}");
        assert!(mount().logo(address).is_err() && mount().switch_user(address, "to").is_err());
    }
    for origin in [
        "*",
        "https://cdn.test/x",
        "http://cdn.test",
        "https://cdn.test; img-src *",
    ] {
        let rule = mount()
            .allow_resources_from(origin)
            .err()
            .map(|error| error.rule());
        assert_eq!(rule, Some("host_origin"), "{origin}");
        assert!(mount().allow_embedding_in(origin).is_err());
    }
}

#[test]
fn a_frame_is_shown_only_where_the_host_says() {
    let mut site = Site::new();
    site.connect(ALICE, "ada", ConsentOptions::default());
    for path in ["/embed/connections", "/embed/connect"] {
        let page = site.send(program(ALICE, Method::GET, path));
        assert_eq!(header_of(&page, "x-frame-options"), Some("DENY"), "{path}");
    }
    site.gateway = Gateway::clone(&site.gateway)
        .allow_embedding_in("https://portal.test")
        .unwrap();
    for path in [
        "/embed/connections",
        "/embed/connect",
        "/embed/connect?provider=mail",
    ] {
        let page = site.send(program(ALICE, Method::GET, path));
        assert_eq!(page.status(), 200, "{path}");
        let policy = header_of(&page, "content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors https://portal.test"), "{policy}");
        assert_eq!(header_of(&page, "x-frame-options"), None, "{path}");
        let html = text(&page);
        assert!(
            html.contains("<base target=\"_top\">") && !html.contains("<header"),
            "{path}"
        );
    }
    for path in ["/", "/connect", "/fragments/connections", "/v1/connections"] {
        let page = site.send(program(ALICE, Method::GET, path));
        let policy = header_of(&page, "content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(header_of(&page, "x-frame-options"), Some("DENY"), "{path}");
    }
    let list = site.send(program(ALICE, Method::GET, "/embed/connections?q=ada"));
    assert!(text(&list).contains("action=\"/at/embed/connections\" target=\"_self\""));
}

#[test]
fn a_fragment_is_markup_for_the_hosts_own_page() {
    let site = Site::new();
    let mut alice = site.tab(ALICE);
    for path in ["/fragments/connect", "/fragments/connections"] {
        let page = alice.get(path);
        let html = text(&page);
        assert_eq!(page.status(), 200, "{path}");
        assert!(html.trim_start().starts_with("<div class=\"valetkey\""), "{html}");
        for part in ["<html", "<head", "<body", "<script", "<main", "<h1", "<title"] {
            assert!(!html.contains(part), "{path}: {part}");
        }
        assert_eq!(
            html.matches("<div").count(),
            html.matches("</div>").count(),
            "{path}"
        );
    }
    // Its forms work: the browser has the cookie for their tokens.
    assert_eq!(alice.post("/connect", &[("provider", "notes")]).status(), 200);
}

#[test]
fn a_link_for_another_user_leads_to_the_sign_in_and_back() {
    let site = Site::new();
    let mount = Mount::new(ORIGIN).unwrap().under(BASE).unwrap();
    let gateway = Gateway::new(site.connections.clone(), mount, Door)
        .switch_user("/sign-in?other=1", "return_to")
        .unwrap();
    let (_, link) = site.link(ALICE, ConsentOptions::default());
    let of = |who: Option<&str>| {
        let mut request = Request::get(&link[ORIGIN.len()..]);
        if let Some(who) = who {
            request = request.header(header::AUTHORIZATION, format!("Bearer {who}"));
        }
        gateway.handle(request.body(Vec::new()).unwrap())
    };
    let refused = of(Some(BOB));
    assert_eq!(refused.status(), 404);
    let ticket = link.rsplit('/').next().unwrap();
    let switch = format!("href=\"/sign-in?other=1&#38;return_to=%2Fat%2Fconnect%2F{ticket}\"");
    for part in ["You are signed in as bob.", "Sign in as another user", &switch] {
        assert!(text(&refused).contains(part), "{part}: {}", text(&refused));
    }
    assert_eq!(of(Some(ALICE)).status(), 303, "the link is still good");
    // Elsewhere, another user would not help.
    let missing = Request::get(format!("{BASE}/nothing"));
    let missing = missing.header(header::AUTHORIZATION, format!("Bearer {BOB}"));
    let missing = gateway.handle(missing.body(Vec::new()).unwrap());
    assert!(!text(&missing).contains("another user"));
}
