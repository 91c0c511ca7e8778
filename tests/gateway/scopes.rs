//! Requested access in words: on the chooser, the page of a service, and the page of a connection.

use http::{Method, header};
use valetkey::ConsentOptions;
use valetkey::internals::provider::ScopeName;

use crate::support::gateway::{Site, program, text};

const ALICE: &str = "acme.alice.user";

fn name(scope: &str, writes: bool, english: &str, russian: Option<&str>) -> ScopeName {
    let russian = russian.map(|text| ("ru".to_owned(), text.to_owned()));
    ScopeName {
        scope: scope.into(),
        writes,
        text: [("en".to_owned(), english.to_owned())]
            .into_iter()
            .chain(russian)
            .collect(),
    }
}

fn site() -> Site {
    Site::described(
        |_, mail| {
            mail.scope_names = vec![
                name("notes.read", false, "Read notes", Some("Читать заметки")),
                name("notes.write", true, "Change <notes>", None),
            ];
        },
        |_, builder| builder,
    )
}

fn page(site: &Site, path: &str, language: &str) -> String {
    let mut request = program(ALICE, Method::GET, path);
    request
        .headers_mut()
        .insert(header::ACCEPT_LANGUAGE, language.parse().unwrap());
    text(&site.send(request)).to_owned()
}

#[test]
fn requested_access_is_explained_in_words() {
    let site = site();
    let mut alice = site.tab(ALICE);
    let callback = alice.agree("mail", "ada");
    let connected = alice.get(&callback);
    let place = connected.headers()[header::LOCATION].to_str().unwrap();
    let place = place
        .strip_prefix("/at")
        .unwrap()
        .split('?')
        .next()
        .unwrap()
        .to_owned();
    for path in ["/connect", "/connect?provider=mail", &place] {
        let html = page(&site, path, "en");
        let write = html.find("Change</span> Change &#60;notes&#62;").expect(path);
        let read = html.find("View</span> Read notes").expect(path);
        assert!(write < read, "{path}: changes come first");
        // The spelling of the provider is available on request.
        assert!(
            html.contains("<details class=\"raw\"><summary>Technical names"),
            "{path}"
        );
        assert!(html.contains("<code>notes.write</code>"), "{path}");
        // A sentence without a translation is shown in English.
        let html = page(&site, path, "ru");
        assert!(html.contains("Просмотр</span> Читать заметки"), "{path}");
        assert!(html.contains("Изменение</span> Change &#60;notes&#62;"), "{path}");
    }
    assert!(page(&site, "/", "en").contains("Can change data</span>"));
    assert!(page(&site, "/", "ru").contains("Может менять данные</span>"));
}

#[test]
fn a_scope_without_a_sentence_is_shown_as_it_is() {
    let site = Site::new();
    let id = site.connect(ALICE, "ada", ConsentOptions::default()).id;
    for path in ["/connect?provider=notes", &format!("/connections/{id}")] {
        let html = page(&site, path, "en");
        assert!(
            html.contains("title=\"notes.read\"><code>notes.read</code>"),
            "{path}"
        );
        assert!(!html.contains("View</span>"), "{path}");
    }
}
