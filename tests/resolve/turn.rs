//! A turn acts for one user, and the tokens that it returned do not leave it.

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderValue, Request, StatusCode};
use valetkey::Error;
use valetkey::http::{HttpError, HttpResponse};
use valetkey::resolver::{ResolveOptions, Turn};
use valetkey::testing::Fault;

use crate::support::world::{World, person};

fn get(address: &str) -> Request<Vec<u8>> {
    Request::get(address).body(Vec::new()).unwrap()
}

fn text(response: http::Response<Vec<u8>>) -> String {
    String::from_utf8(response.into_body()).unwrap()
}

fn turn_of_alice(world: &World) -> Turn {
    world.connect(&person("alice"), "ada");
    world.resolver.turn(person("alice"))
}

#[test]
fn a_turn_knows_what_it_handed_out_and_nothing_else() {
    let world = World::new();
    let turn = turn_of_alice(&world);
    world.connect(&person("bob"), "grace");
    let bobs = world.resolver.resolve(&person("bob"), "notes").unwrap();
    let bobs = bobs.access_token().expose_secret();

    assert!(!turn.contains_secret(bobs), "nothing was handed out yet");
    let token = turn.resolve("notes").unwrap();
    let token = token.access_token().expose_secret();
    assert!(turn.contains_secret(token));
    assert!(turn.contains_secret_bytes(token.as_bytes()));
    assert_eq!(turn.redact(token), "[redacted]");
    assert_eq!(&*turn.redact_bytes(token.as_bytes()), b"[redacted]");
    assert_eq!(turn.redact(bobs), bobs);
    assert!(matches!(turn.redact("clean"), Cow::Borrowed("clean")));
    let other = world.resolver.turn(person("alice"));
    assert!(!other.contains_secret(token), "another turn");
}

#[test]
fn a_peek_and_a_send_are_remembered_too() {
    let world = World::new();
    let turn = turn_of_alice(&world);
    let token = turn.peek("notes").unwrap().unwrap();
    assert!(turn.contains_secret(token.access_token().expose_secret()));

    let turn = world.resolver.turn(person("alice"));
    turn.send("notes", get("/notes")).unwrap();
    assert!(turn.contains_secret(token.access_token().expose_secret()));
}

#[test]
fn a_token_renewed_during_the_turn_is_still_masked() {
    let world = World::new();
    let turn = turn_of_alice(&world);
    let stored = world.resolver.resolve(&person("alice"), "notes").unwrap();
    world.expire();
    let new = turn.resolve("notes").unwrap();
    assert_ne!(stored.generation(), new.generation());
    // The turn found the old token in the vault and refreshed it; this turn never returned it.
    for token in [&stored, &new] {
        assert!(turn.contains_secret(token.access_token().expose_secret()));
    }
    world.sandbox.expire_access_tokens();
    assert_eq!(
        turn.send("notes", get("/notes")).unwrap().status(),
        StatusCode::OK
    );
    let newest = world.resolver.resolve(&person("alice"), "notes").unwrap();
    assert!(newest.generation() > new.generation());
    for token in [&stored, &new, &newest] {
        assert!(turn.contains_secret(token.access_token().expose_secret()));
    }
}

// Within the margin, a token is refreshed although it is still valid, also at the server.
#[test]
fn a_token_renewed_before_it_expired_is_still_masked() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    let old = world.resolver.resolve(&alice, "notes").unwrap();
    let old = old.access_token().expose_secret().to_owned();
    world.clock.advance(Duration::from_secs(3_570));
    let turn = world.resolver.turn(alice);
    let new = turn.resolve("notes").unwrap();
    assert_ne!(new.access_token().expose_secret(), old);
    assert_eq!(turn.redact(&format!("it was {old}")), "it was [redacted]");
}

#[test]
fn a_stream_begun_in_the_turn_is_masked_across_its_pieces() {
    let world = World::new();
    let turn = turn_of_alice(&world);
    let token = turn.resolve("notes").unwrap();
    let token = token.access_token().expose_secret();
    let mut redactor = turn.redactor();
    let mut clean = String::new();
    let (one, other) = token.split_at(token.len() / 2);
    for piece in ["The token is ", one, other, "."] {
        clean.push_str(&redactor.push(piece));
        assert!(!clean.contains(one));
    }
    assert_eq!(clean + &redactor.finish(), "The token is [redacted].");
}

#[test]
fn an_api_that_repeats_the_token_repeats_it_to_nobody() {
    let world = World::new();
    let turn = turn_of_alice(&world);
    let stored = world.resolver.resolve(&person("alice"), "notes").unwrap();
    let token = stored.access_token().expose_secret().to_owned();
    let echo = text(turn.send("notes", get("/echo")).unwrap());
    assert!(echo.contains("Bearer [redacted]"), "{echo}");
    assert!(!echo.contains(&token));
    let plain = text(
        world
            .resolver
            .send(&person("alice"), "notes", get("/echo"))
            .unwrap(),
    );
    assert_eq!(plain, echo);

    world.http.on("/api/notes").next(Fault::answer(move |_| {
        let encoded: String = token.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let value = |text: String| HeaderValue::from_str(&text).unwrap();
        Ok(HttpResponse::new(StatusCode::FOUND, token.clone())
            .with_header(http::header::CONTENT_LENGTH, value(token.len().to_string()))
            .with_header(
                http::header::LOCATION,
                value(format!("https://x.test/?t={encoded}")),
            ))
    }));
    let response = turn.send("notes", get("/notes")).unwrap();
    assert_eq!(response.headers()["location"], "https://x.test/?t=[redacted]");
    assert_eq!(response.headers()["content-length"], "10");
    assert_eq!(response.body(), b"[redacted]");
}

#[test]
fn the_api_is_asked_for_an_answer_that_can_be_searched() {
    let world = World::new();
    let turn = turn_of_alice(&world);
    let request = Request::get("/echo")
        .header("accept-encoding", "gzip")
        .body(Vec::new())
        .unwrap();
    let echo = text(turn.send("notes", request).unwrap());
    assert!(echo.contains("identity") && !echo.contains("gzip"), "{echo}");
}

#[test]
fn a_deadline_bounds_the_request() {
    let world = World::new();
    let turn = turn_of_alice(&world);
    let second = Duration::from_secs(1);
    let (sender, receiver) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    world.http.on("/api/notes").next(Fault::answer(move |request| {
        sender.lock().unwrap().send(request.timeout).unwrap();
        Ok(HttpResponse::new(StatusCode::OK, ""))
    }));
    let options = ResolveOptions::new("notes").deadline(second);
    turn.send(&options, get("/notes")).unwrap();
    assert!(receiver.recv().unwrap() <= second);
    let options = ResolveOptions::new("notes").deadline(Duration::ZERO);
    let requests = world.http.requests();
    let error = turn.send(&options, get("/notes")).unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert_eq!(world.http.requests(), requests);
    world
        .http
        .on("/api/notes")
        .next(Fault::answer(|_| Err(HttpError::Connect)));
    let unreachable = turn.send("notes", get("/notes")).unwrap_err();
    world.expire();
    world
        .http
        .on("/token")
        .next(Fault::answer(|_| Err(HttpError::Connect)));
    let not_refreshed = turn.resolve("notes").unwrap_err();
    let explained = turn.explain("notes");
    for error in [&error, &unreachable, &not_refreshed, explained.refusal().unwrap()] {
        assert!(error.to_string().starts_with("Sandbox notes: "), "{error}");
        let Error::Unavailable { provider, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(provider.as_ref().unwrap().id().as_str(), "notes");
    }
}

#[test]
fn a_turn_prints_no_token_and_has_an_id() {
    let world = World::new();
    let turn = turn_of_alice(&world).purpose("answer a message").unwrap();
    let token = turn.resolve("notes").unwrap();
    let printed = format!("{turn:?} {turn:#?} {:?}", turn.redactor());
    assert!(!turn.contains_secret(&printed));
    assert!(!printed.contains(token.access_token().expose_secret()));
    assert_eq!(turn.turn_purpose(), Some("answer a message"));
    assert_ne!(turn.turn_id(), world.resolver.turn(person("alice")).turn_id());
    let named = turn.id("turn-7").unwrap();
    assert_eq!(named.turn_id(), Some("turn-7"));
    assert_eq!(named.acting_user(), &person("alice"));
}

#[test]
fn a_turn_acts_for_its_person_alone() {
    let world = World::new();
    let turn = turn_of_alice(&world);
    let bob = world.resolver.turn(person("bob"));
    assert!(turn.resolve("notes").is_ok());
    assert!(bob.resolve("notes").unwrap_err().consent_required().is_some());
    let connection = world.connect(&person("bob"), "grace");
    assert_eq!(bob.resolve("notes").unwrap().connection(), connection.id);
    world.connections.revoke(&person("bob"), connection.id).unwrap();
    assert!(bob.resolve("notes").is_err());
}
