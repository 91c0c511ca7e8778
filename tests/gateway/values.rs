//! Parameters of a service: as fields of a form, as members of a program's request, and as a choice
//! between several sites.

use http::{Method, StatusCode};
use serde_json::json;
use valetkey::connections::ConnectionsBuilder;
use valetkey::http::{HttpClient, HttpRequest, HttpResponse};
use valetkey::internals::provider::{Discovery, ParameterKind, ParameterRule, ParameterSource, Pick};
use valetkey::model::Label;
use valetkey::provider::{AuthorizationServer, Provider};
use valetkey::testing::Sandbox;
use valetkey::{ConsentOptions, Error};

use crate::support::gateway::{self, Site, json, location, program, text, with_json};

const ALICE: &str = "acme.alice.user";

/// Ties connections of the server to one site: `notes` needs a region, `mail` finds the site.
fn with_sites(server: &mut AuthorizationServer, tickets: &mut Provider) {
    let mut region = ParameterRule::new("region", ParameterKind::OneOf(vec!["eu".into(), "us".into()]));
    region.title = Some("Region".into());
    let mut site = ParameterRule::new("site_url", ParameterKind::Text).optional();
    site.title = Some("Site".into());
    site.example = Some("https://acme.sites.test".into());
    site.pattern = Some("^https://[a-z]+\\.sites\\.test$".into());
    let mut found = ParameterRule::new("site_id", ParameterKind::Word);
    found.source = ParameterSource::Discovery;
    server.parameters = vec![region, site, found];
    tickets.discovery = Some(Discovery {
        url: "https://sandbox.test/sites".into(),
        entries: "".into(),
        pick: Some(Pick {
            parameter: "site_url".into(),
            pointer: "/url".into(),
        }),
        values: [("site_id".to_owned(), "/id".into())].into(),
    });
}

/// Makes the service answer with these sites.
fn answering(sandbox: &Sandbox, builder: ConnectionsBuilder, sites: &'static str) -> ConnectionsBuilder {
    let inner = sandbox.clone();
    let client = move |request: HttpRequest| {
        if request.url.path() == "/sites" {
            return Ok(HttpResponse::new(StatusCode::OK, sites));
        }
        inner.send(request)
    };
    builder.http_client(client)
}

const TWO: &str = r#"[{"id":"s1","url":"https://one.sites.test"},{"id":"s2","url":"https://two.sites.test"},
    {"id":"s3","url":"https://evil.test/\"><script>alert(1)</script>"}]"#;

fn site(sites: &'static str) -> Site {
    Site::described(with_sites, |sandbox, builder| answering(sandbox, builder, sites))
}

#[test]
fn a_form_has_a_field_for_each_value_and_shows_what_is_wrong_beside_it() {
    let site = site(TWO);
    let mut alice = site.tab(ALICE);
    let chooser = alice.get("/connect");
    assert!(
        text(&chooser).contains("/at/connect?provider=notes"),
        "{}",
        text(&chooser)
    );
    let page = alice.get("/connect?provider=notes");
    let html = text(&page);
    for part in [
        "name=\"parameter.region\"",
        "<option value=\"eu\"",
        "name=\"parameter.site_url\"",
        "For example: <code>https://acme.sites.test</code>",
        "pattern=\"^https://[a-z]+\\.sites\\.test$\"",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("site_id"), "a discovered value has no field");

    // A card of the chooser sends only the service; the page then requests the missing value.
    let missing = alice.post("/connect", &[("provider", "notes"), ("label", "work")]);
    assert_eq!(missing.status(), 400);
    let html = text(&missing);
    assert!(
        html.contains("Enter a value.") && html.contains("value=\"work\""),
        "{html}"
    );

    let wrong = [
        ("provider", "notes"),
        ("label", "work <b>"),
        ("parameter.region", "eu"),
        ("parameter.site_url", "https://acme.evil.test"),
    ];
    let wrong = alice.post("/connect", &wrong);
    assert_eq!(wrong.status(), 400);
    let html = text(&wrong);
    assert!(html.contains("This value is not valid."), "{html}");
    assert!(
        html.contains("value=\"https://acme.evil.test\""),
        "what was entered stays: {html}"
    );
    assert!(html.contains("<option value=\"eu\" selected>"), "{html}");
    assert!(html.contains("work &#60;b&#62;"), "{html}");

    let hidden = [
        ("provider", "notes"),
        ("label", "wo\u{200b}rk"),
        ("parameter.region", "eu"),
    ];
    let hidden = alice.post("/connect", &hidden);
    assert_eq!(hidden.status(), 400);
    assert!(text(&hidden).contains("invisible character"), "{}", text(&hidden));

    let unknown = alice.post("/connect", &[("provider", "notes"), ("parameter.x", "y")]);
    assert_eq!(unknown.status(), 400);
    let twice = [
        ("provider", "notes"),
        ("parameter.region", "eu"),
        ("parameter.region", "us"),
    ];
    assert_eq!(alice.post("/connect", &twice).status(), 400);

    let address = alice.depart(&[
        ("provider", "mail"),
        ("label", "work"),
        ("parameter.region", "eu"),
        ("parameter.site_url", " https://one.sites.test "),
    ]);
    let to = location(&alice.get(&site.sandbox.approve(&address, "ada")));
    assert!(to.contains("done=connected"), "{to}");
    let connections = site
        .connections
        .list(&gateway::person(ALICE), &Default::default());
    let connection = connections.unwrap().remove(0);
    assert_eq!(connection.parameters["region"], "eu");
    assert_eq!(connection.label, Some(Label::new("work").unwrap()));
}

#[test]
fn a_program_names_values_and_learns_what_there_is() {
    let site = site(TWO);
    let providers = json(&site.send(program(ALICE, Method::GET, "/v1/providers")));
    let notes = providers["providers"].as_array().unwrap();
    let notes = notes.iter().find(|it| it["id"] == "notes").unwrap();
    assert_eq!(
        notes["parameters"],
        json!([
            {"name": "region", "title": "Region", "example": null, "default": null, "required": true, "values": ["eu", "us"]},
            {"name": "site_url", "title": "Site", "example": "https://acme.sites.test", "default": null, "required": false,
             "values": null},
        ])
    );
    for (parameters, status) in [
        (json!({"region": "eu"}), 201),
        (json!({}), 400),
        (json!({"region": "mars"}), 400),
        (json!({"region": 1}), 400),
        (json!(["region"]), 400),
        (json!({"region": "eu", "other": "x"}), 400),
    ] {
        let body = json!({"provider": "notes", "parameters": parameters});
        let response = site.send(with_json(program(ALICE, Method::POST, "/connect"), &body));
        assert_eq!(response.status(), status, "{parameters}: {}", text(&response));
    }
}

#[test]
fn of_several_sites_the_person_chooses_one() {
    let site = site(TWO);
    let mut alice = site.tab(ALICE);
    let address = alice.depart(&[
        ("provider", "mail"),
        ("label", "work"),
        ("return_to", "/chat"),
        ("parameter.region", "us"),
        ("parameter.site_url", ""),
    ]);
    let callback = site.sandbox.approve(&address, "ada");
    let to = location(&alice.get(&callback));
    assert!(to.starts_with("/at/consent/choose?"), "{to}");
    let page = alice.get(&to);
    let html = text(&page);
    for part in [
        "https://one.sites.test",
        "https://two.sites.test",
        "name=\"again\"",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(
        !html.contains("evil.test") && !html.contains("alert(1)"),
        "{html}"
    );
    // Nothing is connected, and the grant was revoked.
    assert!(
        site.connections
            .list(&gateway::person(ALICE), &Default::default())
            .unwrap()
            .is_empty()
    );
    assert!(site.sandbox.count("/revoke") > 0);

    // Other parties can neither forge nor see this page.
    for other in [
        to.replace("one.sites", "bad.sites"),
        to.replace("&choice=", "&x="),
        to.split("&proof=").next().unwrap().to_owned(),
    ] {
        assert_eq!(alice.get(&other).status(), 404, "{other}");
    }
    assert_eq!(site.tab(ALICE).get(&to).status(), 404, "another browser");
    assert_eq!(site.tab("acme.bob.user").get(&to).status(), 404);

    let again = html.split("name=\"again\" value=\"").nth(1).unwrap();
    let again = again.split('"').next().unwrap().to_owned();
    let address = alice.depart(&[
        ("again", &again),
        ("parameter.site_url", "https://two.sites.test"),
    ]);
    let to = location(&alice.get(&site.sandbox.approve(&address, "ada")));
    assert_eq!(to, "/chat", "the rest is as it was asked for first");
    let connections = site
        .connections
        .list(&gateway::person(ALICE), &Default::default());
    let connection = connections.unwrap().remove(0);
    assert_eq!(connection.parameters["site_id"], "s2");
    assert_eq!(connection.parameters["region"], "us");
    assert_eq!(connection.label, Some(Label::new("work").unwrap()));
    // Another user's consent cannot be repeated.
    let mut bob = site.tab("acme.bob.user");
    let taken = [
        ("again", again.as_str()),
        ("parameter.site_url", "https://one.sites.test"),
    ];
    assert_eq!(bob.post("/connect", &taken).status(), 404);
}

#[test]
fn a_site_that_the_account_does_not_have_is_named_as_such() {
    for sites in [TWO, "[]"] {
        let site = site(sites);
        let mut alice = site.tab(ALICE);
        let address = alice.depart(&[
            ("provider", "mail"),
            ("parameter.region", "eu"),
            ("parameter.site_url", "https://other.sites.test"),
        ]);
        let to = location(&alice.get(&site.sandbox.approve(&address, "ada")));
        assert_eq!(to, "/at/consent/parameter?provider=mail");
        let page = alice.get(&to);
        assert!(
            text(&page).contains("href=\"/at/connect?provider=mail\""),
            "{}",
            text(&page)
        );
    }
}

#[test]
fn the_library_names_the_sites_to_a_host() {
    let site = site(TWO);
    let person = gateway::person(ALICE);
    let options = ConsentOptions::default().parameter("region", "eu");
    let consent = site.connections.start(&person, "mail", options).unwrap();
    let callback = site.sandbox.approve(consent.authorization_url(), "ada");
    let response = valetkey::AuthorizationResponse::parse(&callback).unwrap();
    let error = site
        .connections
        .complete(&person, response, consent.binding())
        .unwrap_err();
    let Error::ChoiceRequired {
        provider,
        parameter,
        choices,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!((provider.as_str(), parameter.as_str()), ("mail", "site_url"));
    assert_eq!(*choices, ["https://one.sites.test", "https://two.sites.test"]);
    assert!(!error.to_string().contains("sites.test"), "{error}");
    assert!(!error.is_retryable());
}

#[test]
fn a_member_or_field_that_comes_twice_is_refused_wherever_it_stands() {
    let site = site(TWO);
    for (media_type, body) in [
        ("application/json", r#"{"provider":"notes","provider":"mail"}"#),
        (
            "application/json",
            r#"{"user":"ada","user":"grace","provider":"notes"}"#,
        ),
        (
            "application/json",
            r#"{"user":"ada","\u0075ser":"grace","provider":"notes"}"#,
        ),
        ("application/json", r#"{"provider":"notes","provider":null}"#),
        (
            "application/json",
            r#"{"provider":"notes","also":[],"also":["mail"]}"#,
        ),
        (
            "application/json",
            r#"{"provider":"notes","parameters":{"region":"eu","region":"us"}}"#,
        ),
        (
            "application/json",
            r#"{"provider":"notes","unknown":{"a":1,"a":2}}"#,
        ),
        (
            "application/x-www-form-urlencoded",
            "provider=notes&provider=mail",
        ),
        (
            "application/x-www-form-urlencoded",
            "provider=notes&provide%72=mail",
        ),
        (
            "application/x-www-form-urlencoded",
            "provider=notes&parameter.region=eu&parameter.region=eu",
        ),
    ] {
        let mut request = program("acme.olga.operator", Method::POST, "/connect");
        request
            .headers_mut()
            .insert("content-type", media_type.parse().unwrap());
        *request.body_mut() = body.as_bytes().to_vec();
        assert_eq!(site.send(request).status(), 400, "{body}");
    }
}
