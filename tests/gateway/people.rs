//! The host's directory: names in place of ids, and the choice of a user.

use std::sync::{Arc, Mutex};

use http::Method;
use valetkey::gateway::{Gateway, Lookup, Person};
use valetkey::model::UserId;
use valetkey::{ConsentOptions, TenantId};

use crate::support::gateway::{Site, header_of, json, program, text, with_json};

const ALICE: &str = "acme.alice.user";
const BOB: &str = "acme.bob.user";
const OLGA: &str = "acme.olga.operator";

type Asked = Arc<Mutex<Vec<String>>>;

/// Returns a site whose directory knows Alice, Bob and two users of one name, and the questions to
/// the directory.
fn site() -> (Site, Asked) {
    let mut site = Site::new();
    let asked = Asked::default();
    let log = Arc::clone(&asked);
    let directory = move |tenant: &TenantId, lookup: Lookup<'_>| -> Vec<Person> {
        log.lock().unwrap().push(format!("{tenant} {lookup:?}"));
        let known = [
            ("alice", "Alice <Liddell>", "alice@acme.test"),
            ("bob", "Bob Builder", "bob@acme.test"),
            ("sam-1", "Sam Smith", "sam@acme.test"),
            ("sam-2", "Sam Smith", "smith@acme.test"),
        ];
        let person = |(id, name, email): (&str, &str, &str)| {
            let id = UserId::new(id).unwrap();
            let picture = match id.as_str() {
                "alice" => "/faces/alice.svg",
                "bob" => "https://cdn.test/bob.png",
                _ => "https://elsewhere.test/x.png",
            };
            Person::new(id, name).with_email(email).with_picture(picture)
        };
        known
            .into_iter()
            .map(person)
            .filter(|person| match lookup {
                Lookup::Ids(ids) => ids.contains(person.id()),
                Lookup::Matching { text, .. } => {
                    let text = text.to_lowercase();
                    person.name().to_lowercase().contains(&text) || person.email().unwrap().contains(&text)
                }
                _ => false,
            })
            .collect()
    };
    site.gateway = Gateway::clone(&site.gateway)
        .directory(directory)
        .allow_resources_from("https://cdn.test")
        .unwrap();
    (site, asked)
}

#[test]
fn users_have_the_names_and_pictures_of_the_directory() {
    let (site, asked) = site();
    site.connect(ALICE, "ada", ConsentOptions::default());
    site.connect(BOB, "grace", ConsentOptions::default());
    asked.lock().unwrap().clear();
    let list = site.send(program(OLGA, Method::GET, "/"));
    let policy = header_of(&list, "content-security-policy").unwrap();
    assert!(policy.contains("img-src 'self' https://cdn.test;"), "{policy}");
    let html = text(&list);
    for part in [
        "Alice &#60;Liddell&#62;",
        "Bob Builder",
        "src=\"/faces/alice.svg\"",
        "src=\"https://cdn.test/bob.png\"",
        // The directory does not know the operator.
        ">olga</span>",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let questions = asked.lock().unwrap().clone();
    assert_eq!(questions.len(), 1, "one question for the page: {questions:?}");
    assert!(questions[0].starts_with("acme Ids("));
    // The policy forbids pictures from elsewhere, so none is requested.
    site.connect("acme.sam-1.user", "ada", ConsentOptions::default());
    let list = site.send(program(OLGA, Method::GET, "/"));
    assert!(text(&list).contains("Sam Smith") && !text(&list).contains("elsewhere.test"));
    // A search finds connections by the names of their owners.
    let found = site.send(program(OLGA, Method::GET, "/?q=builder"));
    assert_eq!(text(&found).matches("<li class=\"row").count(), 1);
    // A user cannot use the list to search the directory.
    asked.lock().unwrap().clear();
    site.send(program(ALICE, Method::GET, "/?q=builder"));
    assert!(
        asked
            .lock()
            .unwrap()
            .iter()
            .all(|question| !question.contains("Matching"))
    );
}

#[test]
fn a_link_is_made_for_a_user_whom_the_directory_knows() {
    let (site, _) = site();
    let mut olga = site.tab(OLGA);
    for (typed, user) in [
        ("bob", "Bob Builder"),
        ("Bob Builder", "Bob Builder"),
        ("bob@acme.test", "Bob Builder"),
    ] {
        let page = olga.post("/connect", &[("provider", "notes"), ("user", typed)]);
        assert_eq!(page.status(), 201, "{typed}: {}", text(&page));
        assert!(text(&page).contains(&format!("A link for {user}")), "{typed}");
    }
    let open = site.connections.all_pending(&site.operator("olga")).unwrap();
    assert!(open.iter().all(|consent| consent.user.as_str() == "bob"));
    assert_eq!(open.len(), 3);

    let unknown = olga.post(
        "/connect",
        &[("provider", "notes"), ("user", "bobb"), ("label", "mine")],
    );
    assert_eq!(unknown.status(), 400);
    let html = text(&unknown);
    for part in [
        "No user has this name or ID",
        "value=\"bobb\"",
        "aria-invalid=\"true\"",
        "value=\"mine\"",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let several = olga.post("/connect", &[("provider", "notes"), ("user", "Sam Smith")]);
    assert_eq!(several.status(), 400);
    for part in [
        "Choose the user you mean",
        "name=\"user\" value=\"sam-1\"",
        "name=\"user\" value=\"sam-2\"",
        "Sam Smith · smith@acme.test",
    ] {
        assert!(text(&several).contains(part), "{part}");
    }
    let refused = site.send(with_json(
        program(OLGA, Method::POST, "/connect"),
        &serde_json::json!({"provider": "notes", "user": "nobody"}),
    ));
    assert_eq!(refused.status(), 400);
    assert_eq!(
        site.connections
            .all_pending(&site.operator("olga"))
            .unwrap()
            .len(),
        3
    );
}

#[test]
fn operators_search_the_directory() {
    let (site, _) = site();
    let found = json(&site.send(program(OLGA, Method::GET, "/v1/people?q=sam")));
    assert_eq!(found["people"].as_array().unwrap().len(), 2);
    assert_eq!(found["people"][0]["name"], "Sam Smith");
    let nothing = json(&site.send(program(OLGA, Method::GET, "/v1/people?q=%20")));
    assert!(nothing["people"].as_array().unwrap().is_empty());
    assert_eq!(
        site.send(program(ALICE, Method::GET, "/v1/people?q=sam"))
            .status(),
        403
    );
    let plain = json(&Site::new().send(program(OLGA, Method::GET, "/v1/people?q=sam")));
    assert!(plain["people"].as_array().unwrap().is_empty());
}
