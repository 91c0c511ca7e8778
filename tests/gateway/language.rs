//! The language of the pages: chosen by the host or by the browser, and complete.

use http::{Method, header};
use valetkey::ConsentOptions;
use valetkey::gateway::{Gateway, Language};

use crate::support::gateway::{Site, program, text};

const ALICE: &str = "acme.alice.user";
const OLGA: &str = "acme.olga.operator";

fn page(site: &Site, caller: &str, path: &str, languages: &str) -> String {
    let mut request = program(caller, Method::GET, path);
    request
        .headers_mut()
        .insert(header::ACCEPT_LANGUAGE, languages.parse().unwrap());
    text(&site.send(request)).to_owned()
}

/// Returns the visible text of a page: between tags, and in attributes that a user sees or hears.
fn visible(html: &str) -> String {
    let mut words = String::new();
    for part in html.split('<') {
        let (tag, after) = part.split_once('>').unwrap_or(("", part));
        for name in [
            "placeholder=\"",
            "aria-label=\"",
            "data-done=\"",
            "data-copied=\"",
        ] {
            if let Some((_, value)) = tag.split_once(name) {
                words += value.split('"').next().unwrap();
                words.push(' ');
            }
        }
        if !tag.starts_with("code") && !tag.starts_with("title") {
            words += after;
            words.push(' ');
        }
    }
    words
}

#[test]
fn the_browser_chooses_unless_the_host_does() {
    let mut site = Site::new();
    for (languages, lang, heading) in [
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru", "Ваши подключения"),
        ("en-GB,ru;q=0.5", "en", "Your connections"),
        ("de", "en", "Your connections"),
    ] {
        let html = page(&site, ALICE, "/", languages);
        assert!(html.contains(&format!("<html lang=\"{lang}\">")), "{languages}");
        assert!(html.contains(heading), "{languages}: {html}");
    }
    site.gateway = Gateway::clone(&site.gateway).language(Language::Russian);
    assert!(page(&site, ALICE, "/", "en").contains("<html lang=\"ru\">"));
}

#[test]
fn every_page_is_in_one_language() {
    let site = Site::new();
    let id = site.connect(ALICE, "ada", ConsentOptions::default()).id;
    let mut paths: Vec<String> = [
        "/",
        "/?q=xyz",
        "/?user=alice",
        "/connect",
        "/connect?provider=notes",
        "/nothing",
        "/connect/x",
        "/consents/x",
        "/v2",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.push(format!("/connections/{id}"));
    paths.push(format!("/connections/{id}?done=renewed"));
    paths.push(format!("/connections/{id}/revoke"));
    for outcome in ["denied", "failed", "internal", "parameter", "other-account"] {
        paths.push(format!("/consent/{outcome}?provider=notes"));
    }
    let data = [
        "Sandbox",
        "notes",
        "mail",
        "alice",
        "olga",
        "ada",
        "Ada Lovelace",
        "Ada",
        "Lovelace",
        "example",
        "test",
        "UTC",
        "xyz",
        &id.to_string(),
    ];
    for caller in [ALICE, OLGA] {
        for path in &paths {
            let html = page(&site, caller, path, "ru");
            let mut words = visible(&html);
            for data in data {
                words = words.replace(data, "");
            }
            let foreign: Vec<_> = words
                .split(|c: char| !c.is_ascii_alphabetic())
                .filter(|word| word.len() > 2)
                .collect();
            assert!(foreign.is_empty(), "{caller} {path}: {foreign:?}");
            let html = page(&site, caller, path, "en");
            let foreign: String = html.chars().filter(|c| ('а'..='я').contains(c)).collect();
            assert!(foreign.is_empty(), "{caller} {path}: {foreign}");
        }
    }
}
