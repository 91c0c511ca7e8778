//! Requests sent as a user: their destination, their contents, and the effects of refusals.

mod addresses;

use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use valetkey::error::{ConsentError, ConsentReason, RequestRefused};
use valetkey::http::{Body, HttpError, HttpResponse};
use valetkey::model::FailureCode;
use valetkey::resolver::Upload;
use valetkey::testing::Fault;
use valetkey::{ConsentOptions, Error};

use crate::support::world::{World, person};

fn get(address: &str) -> Request<Vec<u8>> {
    Request::get(address).body(Vec::new()).unwrap()
}

#[test]
fn each_person_reads_their_own() {
    let world = World::new();
    let (alice, bob) = (person("alice"), person("bob"));
    world.connect(&alice, "ada");
    world.connect(&bob, "grace");
    let read = |who, address| {
        let response = world.resolver.send(who, "notes", get(address)).unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        String::from_utf8(response.into_body()).unwrap()
    };
    assert!(read(&alice, "https://sandbox.test/api/notes").contains("Note G"));
    assert!(read(&bob, "/notes").contains("moth"));
    assert!(!read(&bob, "/notes").contains("Note G"));
}

/// Sends a request by each method that uses a user's token, and returns the refusals.
fn refused(world: &World, request: impl Fn() -> http::request::Builder) -> [RequestRefused; 3] {
    let turn = world.resolver.turn(person("alice"));
    let placeholder = turn.placeholder("notes").unwrap();
    let filled = request().header("x-note", placeholder).body(Vec::new()).unwrap();
    [
        turn.send("notes", request().body(Vec::new()).unwrap())
            .unwrap_err(),
        turn.send_stream("notes", request().body(Upload::empty()).unwrap())
            .unwrap_err(),
        turn.fill(filled).unwrap_err(),
    ]
    .map(|error| match error {
        Error::Request(refused) => refused,
        error => panic!("{error:?}"),
    })
}

#[test]
fn a_request_with_credentials_of_its_own_is_refused() {
    let world = World::new();
    world.connect(&person("alice"), "ada");
    let requests = world.http.requests();
    for name in [
        "authorization",
        "cookie",
        "cookie2",
        "private-token",
        "sudo",
        "x-api-key",
    ] {
        let refused = refused(&world, || Request::get("/notes").header(name, "x"));
        assert_eq!(refused, [RequestRefused::ForeignCredentials; 3], "{name}");
    }
    for name in ["x-http-method-override", "x-original-url", "x-forwarded-host"] {
        let refused = refused(&world, || Request::get("/notes").header(name, "/token"));
        assert_eq!(refused, [RequestRefused::Override; 3], "{name}");
    }
    for method in ["CONNECT", "TRACE", "track"] {
        let refused = refused(&world, || Request::builder().method(method).uri("/notes"));
        assert_eq!(refused, [RequestRefused::Method; 3], "{method}");
    }
    assert_eq!(world.http.requests(), requests);
}

#[test]
fn a_header_that_the_descriptor_sends_may_be_chosen_by_the_request() {
    let world = World::described(
        valetkey::vault::SealedVault::in_memory(),
        |_| {},
        |_, provider| {
            provider
                .api_headers
                .insert("X-Api-Key".into(), "of the host".into());
        },
    );
    let alice = person("alice");
    world.connect(&alice, "ada");
    for request in [
        Request::get("/echo").body(Vec::new()),
        Request::get("/echo")
            .header("x-api-key", "of the host")
            .body(Vec::new()),
    ] {
        let echo = world.resolver.send(&alice, "notes", request.unwrap()).unwrap();
        let echo = String::from_utf8(echo.into_body()).unwrap();
        assert!(echo.contains("of the host"), "{echo}");
    }
}

// A proxy drops headers that `Connection` names, such as the credential, which would cause a 401 at
// will.
#[test]
fn headers_of_the_connection_do_not_go_out() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    let request = |connection| {
        Request::get("/echo")
            .header("connection", connection)
            .header("x-hop", "h0p")
            .header("upgrade", "h2c")
            .header("te", "trailers")
            .header("expect", "100-continue")
            .header("keep-alive", "timeout=7")
            .header("proxy-connection", "keep-alive")
            .header("trailer", "x")
            .header("x-stays", "st4ys")
    };
    let turn = world.resolver.turn(alice);
    let sent = turn
        .send("notes", request("authorization, x-hop").body(Vec::new()).unwrap())
        .unwrap();
    let echo = String::from_utf8(sent.into_body()).unwrap().to_lowercase();
    assert!(echo.contains("st4ys") && echo.contains("bearer"), "{echo}");
    let bearer = format!("Bearer {}", turn.placeholder("notes").unwrap());
    let filled = request("X-Hop, close").header(AUTHORIZATION, bearer);
    let filled = turn.fill(filled.body(Vec::new()).unwrap()).unwrap();
    for name in [
        "connection",
        "x-hop",
        "upgrade",
        "te",
        "expect",
        "keep-alive",
        "trailer",
    ] {
        assert!(
            !echo.contains(&format!("{name}:")) && !echo.contains("h0p"),
            "{name}: {echo}"
        );
        assert!(!filled.headers.contains_key(name), "{name}");
    }
    assert!(filled.headers.contains_key("x-stays"));
}

#[test]
fn a_redirect_is_handed_back_and_not_followed() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    let requests = world.http.requests();
    let response = world.resolver.send(&alice, "notes", get("/redirect")).unwrap();
    assert!(response.status().is_redirection());
    assert_eq!(world.http.requests(), requests + 1);
}

#[test]
fn a_401_leads_to_one_refresh_and_one_more_try() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    world.sandbox.expire_access_tokens();
    world.sandbox.clear_log();
    let response = world.resolver.send(&alice, "notes", get("/notes")).unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(world.sandbox.count("/token"), 1);
    assert_eq!(world.sandbox.count("/api/notes"), 2);
}

// netclaw#1697: two late refusals of the same old token cause one refresh.
#[test]
fn a_refusal_of_a_token_that_was_renewed_meanwhile_needs_no_request() {
    let world = World::new();
    let alice = person("alice");
    let connection = world.connect(&alice, "ada");
    world.sandbox.clear_log();
    // Between sending the token and receiving the refusal, another caller refreshes it.
    let connections = world.connections.clone();
    let who = alice.clone();
    world.http.on("/api/notes").next(Fault::answer(move |_| {
        connections.refresh(&who, connection.id).unwrap();
        Ok(HttpResponse::new(StatusCode::UNAUTHORIZED, ""))
    }));
    assert_eq!(
        world
            .resolver
            .send(&alice, "notes", get("/notes"))
            .unwrap()
            .status(),
        StatusCode::OK
    );
    assert_eq!(world.sandbox.count("/token"), 1);
}

#[test]
fn a_401_without_a_refresh_token_is_handed_back() {
    let world = World::like(|it| it.issues_refresh_tokens = false);
    let alice = person("alice");
    world.connect(&alice, "ada");
    world.sandbox.expire_access_tokens();
    let response = world.resolver.send(&alice, "notes", get("/notes")).unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn a_403_for_want_of_scope_names_the_scope() {
    let world = World::new();
    let alice = person("alice");
    let read = ConsentOptions::default().scopes("notes.read".parse().unwrap());
    world.try_connect(&alice, "ada", read).unwrap();
    let write = Request::post("/notes")
        .body(b"{\"text\":\"hello\"}".to_vec())
        .unwrap();
    let error = world.resolver.send(&alice, "notes", write).unwrap_err();
    let need = error.consent_required().unwrap();
    assert_eq!(need.reason, ConsentReason::MissingScopes);
    assert_eq!(need.missing_scopes.to_string(), "notes.write");
}

#[test]
fn any_other_answer_is_handed_back() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    for status in [400, 403, 404, 429, 500] {
        world
            .http
            .on("/api/notes")
            .next(Fault::Status(status, "body".into()));
        let response = world.resolver.send(&alice, "notes", get("/notes")).unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.body(), b"body");
    }
    world.http.on("/api/notes").next(Fault::Timeout);
    assert!(
        world
            .resolver
            .send(&alice, "notes", get("/notes"))
            .unwrap_err()
            .is_retryable()
    );
}

#[test]
fn a_header_that_is_named_after_the_token_is_left_out() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    world.http.on("/api/notes").next(Fault::answer(|request| {
        let token = request.headers[AUTHORIZATION].to_str().unwrap().to_lowercase();
        let token = token.strip_prefix("bearer ").unwrap();
        let answer = HttpResponse::new(StatusCode::OK, "");
        let answer = answer.with_header(format!("x-{token}").parse().unwrap(), "1".parse().unwrap());
        Ok(answer.with_header("x-other".parse().unwrap(), "2".parse().unwrap()))
    }));
    let response = world.resolver.send(&alice, "notes", get("/notes")).unwrap();
    let names: Vec<_> = response.headers().keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["x-other"]);
}

#[test]
fn limits_of_this_side_are_told_apart_from_failures_of_the_provider() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    let limit = valetkey::connections::Settings::default().send_max_bytes;
    for (kind, expected, words) in [
        (HttpError::TooLarge, Some(limit), limit.to_string()),
        (HttpError::HeadTooLarge, None, "headers".to_owned()),
    ] {
        let fault = Fault::answer(move |_| Err(kind));
        world.http.on("/api/notes").next(fault);
        let error = world.resolver.send(&alice, "notes", get("/notes")).unwrap_err();
        assert!(
            matches!(error, Error::AnswerTooLarge { limit } if limit == expected),
            "{error:?}"
        );
        let said = error.to_string();
        assert!(
            said.contains("processed the request") && said.contains(&words),
            "{said}"
        );
        assert!(!error.is_retryable());
    }
    for (kind, code) in [
        (HttpError::UnknownHost, FailureCode::Unreachable),
        (HttpError::Tls, FailureCode::Unreachable),
        (HttpError::Proxy, FailureCode::Unreachable),
        (HttpError::Untrusted, FailureCode::Untrusted),
        (HttpError::Timeout, FailureCode::TimedOut),
    ] {
        let fault = Fault::answer(move |_| Err(kind));
        world.http.on("/api/notes").next(fault);
        let error = world.resolver.send(&alice, "notes", get("/notes")).unwrap_err();
        assert!(
            matches!(&error, Error::Unavailable { failure, .. } if *failure == code),
            "{error:?}"
        );
    }
    let fault = Fault::answer(|_| Err(HttpError::Refused));
    world.http.on("/api/notes").next(fault);
    let error = world.resolver.send(&alice, "notes", get("/notes")).unwrap_err();
    assert!(matches!(error, Error::Request(RequestRefused::Client)));
}

/// A client that returns a stream although the whole body is requested.
#[test]
fn a_reader_that_is_too_large_or_breaks_is_told_apart() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    let limit = valetkey::connections::Settings::default().send_max_bytes;
    let answer = |reader: Box<dyn std::io::Read + Send>| {
        Fault::answer(|_| Ok(HttpResponse::new(StatusCode::OK, Body::from_reader(reader, None))))
    };
    let endless = answer(Box::new(std::io::repeat(b'x')));
    world.http.on("/api/notes").next(endless);
    let error = world.resolver.send(&alice, "notes", get("/notes")).unwrap_err();
    assert!(matches!(error, Error::AnswerTooLarge { limit: Some(found) } if found == limit));
    struct Breaks;
    impl std::io::Read for Breaks {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
    world.http.on("/api/notes").next(answer(Box::new(Breaks)));
    let error = world.resolver.send(&alice, "notes", get("/notes")).unwrap_err();
    assert!(matches!(
        &error,
        Error::Unavailable {
            failure: FailureCode::Interrupted,
            ..
        }
    ));
}

#[test]
fn a_certificate_that_is_not_trusted_is_said_at_the_consent_and_at_the_refresh() {
    let world = World::new();
    let alice = person("alice");
    let untrusted = || Fault::answer(|_| Err(HttpError::Untrusted));
    world.http.on("/token").next(untrusted());
    let error = world
        .try_connect(&alice, "ada", ConsentOptions::default())
        .unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Consent(ConsentError::ExchangeFailed(FailureCode::Untrusted))
        ),
        "{error:?}"
    );
    world.connect(&alice, "ada");
    world.expire();
    world.http.on("/token").next(untrusted());
    let error = world.resolver.resolve(&alice, "notes").unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Unavailable {
                failure: FailureCode::Untrusted,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("certificate"), "{error}");
}
