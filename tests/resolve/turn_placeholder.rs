//! Placeholders stand for a token in one turn and for one API.

use http::Request;
use http::header::AUTHORIZATION;
use valetkey::error::RequestRefused;
use valetkey::resolver::{ResolveOptions, Turn};
use valetkey::{ConsentOptions, Error};

use crate::support::world::{World, person};

fn turn_of_alice(world: &World) -> Turn {
    world.connect(&person("alice"), "ada");
    world.resolver.turn(person("alice"))
}

fn request(address: &str, value: &str) -> Request<Vec<u8>> {
    Request::get(address)
        .header(AUTHORIZATION, value)
        .body(Vec::new())
        .unwrap()
}

fn refused(turn: &Turn, request: Request<Vec<u8>>) -> RequestRefused {
    match turn.fill(request).unwrap_err() {
        Error::Request(refused) => refused,
        error => panic!("{error:?}"),
    }
}

#[test]
fn a_placeholder_becomes_the_token_on_its_way_to_the_api() {
    let world = World::new();
    let turn = turn_of_alice(&world);
    let placeholder = turn.placeholder("notes").unwrap();
    assert!(!turn.contains_secret(placeholder.as_str()));
    let bearer = format!("Bearer {placeholder}");
    let filled = turn
        .fill(request("https://sandbox.test/api/notes?a=b", &bearer))
        .unwrap();
    let token = turn.resolve("notes").unwrap();
    assert_eq!(filled.headers[AUTHORIZATION], token.dangerous_header());
    assert!(filled.headers[AUTHORIZATION].is_sensitive());
    assert_eq!(filled.url.query(), Some("a=b"));
    assert!(!turn.contains_secret(&format!("{filled:?} {placeholder:?}")));

    let response = turn.send_filled(request("/notes", &bearer)).unwrap();
    assert!(
        String::from_utf8(response.into_body())
            .unwrap()
            .contains("Note G")
    );
    let echo = turn.send_filled(request("/echo", &bearer)).unwrap();
    let echo = String::from_utf8(echo.into_body()).unwrap();
    assert!(echo.contains("Bearer [redacted]"), "{echo}");
    assert!(!echo.contains(placeholder.as_str()));
}

#[test]
fn a_placeholder_is_worthless_anywhere_else() {
    let world = World::new();
    let turn = turn_of_alice(&world);
    let placeholder = turn.placeholder("notes").unwrap();
    let bearer = format!("Bearer {placeholder}");
    for address in [
        "https://evil.test/api/notes",
        "https://sandbox.test/token",
        "http://sandbox.test/api/notes",
        "https://sandbox.test:444/api/notes",
    ] {
        assert_eq!(
            refused(&turn, request(address, &bearer)),
            RequestRefused::Address,
            "{address}"
        );
    }
    let other = world.resolver.turn(person("alice"));
    world.connect(&person("bob"), "grace");
    let bobs = world.resolver.turn(person("bob"));
    for turn in [&other, &bobs] {
        assert_eq!(
            refused(turn, request("/notes", &bearer)),
            RequestRefused::Placeholder
        );
    }
    for value in [
        "Bearer vkp_".to_owned(),
        format!("Bearer vkp_{}", "A".repeat(43)),
        format!("{bearer} {placeholder}"),
        "Bearer".to_owned(),
    ] {
        assert!(turn.fill(request("/notes", &value)).is_err(), "{value}");
    }
}

#[test]
fn a_placeholder_stands_in_headers_alone_and_beside_no_other_credential() {
    let world = World::new();
    let turn = turn_of_alice(&world);
    let placeholder = turn.placeholder("notes").unwrap();
    let in_query = request(
        &format!("/notes?token={placeholder}"),
        &format!("Bearer {placeholder}"),
    );
    assert_eq!(refused(&turn, in_query), RequestRefused::Placeholder);
    let none = Request::get("/notes").body(Vec::new()).unwrap();
    assert_eq!(refused(&turn, none), RequestRefused::Placeholder);
    let twice = Request::get("/notes")
        .header(AUTHORIZATION, format!("Bearer {placeholder}"))
        .header(AUTHORIZATION, "Bearer another")
        .body(Vec::new())
        .unwrap();
    assert_eq!(refused(&turn, twice), RequestRefused::Placeholder);
    let cookie = Request::get("/notes")
        .header(AUTHORIZATION, format!("Bearer {placeholder}"))
        .header("cookie", "a=b")
        .body(Vec::new())
        .unwrap();
    assert_eq!(refused(&turn, cookie), RequestRefused::ForeignCredentials);
    let body = Request::post("/notes")
        .header(AUTHORIZATION, format!("Bearer {placeholder}"))
        .body(placeholder.clone().into())
        .unwrap();
    assert_eq!(turn.fill(body).unwrap().body.as_bytes(), placeholder.as_bytes());
}

#[test]
fn whoever_is_not_connected_learns_it_when_the_placeholder_is_filled() {
    let world = World::new();
    let turn = world.resolver.turn(person("alice"));
    assert!(matches!(
        turn.placeholder("none"),
        Err(Error::UnknownProvider { .. })
    ));
    let placeholder = turn.placeholder("notes").unwrap();
    let error = turn
        .fill(request("/notes", &format!("Bearer {placeholder}")))
        .unwrap_err();
    assert!(error.consent_required().is_some());
}

/// A world in which `mail` has its own API, separate from that of `notes`.
fn two_apis() -> World {
    World::described(
        valetkey::vault::SealedVault::in_memory(),
        |_| {},
        |_, provider| {
            if provider.id.as_str() == "mail" {
                provider.api_base = Some("https://mail.test/api".into());
                provider.api_hosts = vec![valetkey::internals::provider::ApiHost::under(
                    "https://mail.test",
                    "/api",
                )];
                provider.account = None;
            }
        },
    )
}

#[test]
fn the_token_of_one_provider_never_goes_to_the_api_of_another() {
    let world = two_apis();
    let alice = person("alice");
    world.connect(&alice, "ada");
    let consent = world
        .connections
        .start(&alice, "mail", ConsentOptions::default())
        .unwrap();
    let callback = world.sandbox.approve(consent.authorization_url(), "ada");
    world.complete(&alice, &callback, &consent).unwrap();
    let turn = world.resolver.turn(alice);
    let [notes, mail] = ["notes", "mail"].map(|provider| turn.placeholder(provider).unwrap());
    for (first, second) in [(&notes, &mail), (&mail, &notes)] {
        for address in [
            "https://sandbox.test/api/notes",
            "https://mail.test/api/notes",
            "/notes",
        ] {
            let both = Request::get(address)
                .header(AUTHORIZATION, format!("Bearer {first}"))
                .header("x-second", second.as_str())
                .body(Vec::new())
                .unwrap();
            assert_eq!(refused(&turn, both), RequestRefused::Address, "{address}");
        }
    }
    let alone = |address, placeholder| turn.fill(request(address, &format!("Bearer {placeholder}")));
    assert!(alone("https://sandbox.test/api/notes", &notes).is_ok());
    assert!(alone("https://mail.test/api/notes", &mail).is_ok());
    assert!(alone("https://mail.test/api/notes", &notes).is_err());
}

#[test]
fn a_turn_makes_a_bounded_number_of_placeholders() {
    let world = World::new();
    let turn = turn_of_alice(&world);
    let first = turn.placeholder("notes").unwrap();
    for _ in 0..10_000 {
        assert_eq!(turn.placeholder("notes").unwrap(), first);
    }
    let labelled = |number: usize| {
        let label = valetkey::model::Label::new(format!("account {number}")).unwrap();
        turn.placeholder(ResolveOptions::new("notes").label(label))
    };
    let made = (0..10_000).take_while(|number| labelled(*number).is_ok()).count();
    assert_eq!(made, 1_023);
    assert!(matches!(
        labelled(10_000),
        Err(Error::Request(RequestRefused::TooManyPlaceholders))
    ));
    // Existing placeholders remain valid.
    assert_eq!(turn.placeholder("notes").unwrap(), first);
    assert!(turn.fill(request("/notes", &format!("Bearer {first}"))).is_ok());
}
