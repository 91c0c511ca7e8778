//! Bodies sent from a reader.

use super::*;

#[test]
fn a_body_that_can_be_opened_again_is_sent_again_after_a_401() {
    let world = connected();
    world.sandbox.expire_access_tokens();
    world.sandbox.clear_log();
    let (upload, opened) = counted(b"from the beginning");
    let response = world
        .resolver
        .turn(person("alice"))
        .send_stream("notes", put(upload))
        .unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(opened.load(Ordering::Relaxed), 2);
    assert_eq!(
        (world.sandbox.count("/token"), world.sandbox.count("/api/file")),
        (1, 2)
    );
    let file = world
        .resolver
        .turn(person("alice"))
        .send_stream("notes", get("/file"))
        .unwrap();
    assert_eq!(all(file), b"from the beginning");
}

#[test]
fn a_body_that_is_read_once_is_not_sent_again_and_the_next_call_has_a_good_token() {
    let world = connected();
    world.sandbox.expire_access_tokens();
    world.sandbox.clear_log();
    let once = || put(Upload::once(4, &b"once"[..]));
    let refused = world
        .resolver
        .turn(person("alice"))
        .send_stream("notes", once())
        .unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        (world.sandbox.count("/token"), world.sandbox.count("/api/file")),
        (1, 1)
    );
    let sent = world
        .resolver
        .turn(person("alice"))
        .send_stream("notes", once())
        .unwrap();
    assert_eq!(sent.status(), StatusCode::CREATED);
    assert_eq!(world.sandbox.count("/token"), 1);
}

#[test]
fn a_want_of_scope_is_a_need_of_consent() {
    let world = World::new();
    let alice = person("alice");
    let read = ConsentOptions::default().scopes("notes.read".parse().unwrap());
    world.try_connect(&alice, "ada", read).unwrap();
    let error = world
        .resolver
        .turn(alice)
        .send_stream("notes", put(Upload::from(vec![1])))
        .unwrap_err();
    assert_eq!(
        error.consent_required().unwrap().missing_scopes.to_string(),
        "notes.write"
    );
}

#[test]
fn a_body_that_is_not_what_was_said_breaks_the_request_off() {
    let world = connected();
    let send = |upload| {
        let sent = world
            .resolver
            .turn(person("alice"))
            .send_stream("notes", put(upload));
        sent.map(|response| response.status())
    };
    let secret = || io::Error::new(io::ErrorKind::PermissionDenied, "/home/ada/marker");
    for (upload, kind) in [
        (
            Upload::new(9, || Ok(Cursor::new(b"short"))),
            io::ErrorKind::UnexpectedEof,
        ),
        (Upload::once(9, &b"short"[..]), io::ErrorKind::UnexpectedEof),
        (
            Upload::new(9, move || Err::<io::Empty, _>(secret())),
            io::ErrorKind::PermissionDenied,
        ),
        (
            Upload::new(9, move || Ok(Pieces::cut(b"part", 4).ending_in(secret()))),
            io::ErrorKind::PermissionDenied,
        ),
    ] {
        let error = send(upload).unwrap_err();
        assert!(
            matches!(error, Error::Request(RequestRefused::Upload(found)) if found == kind),
            "{error:?}"
        );
        assert!(!error.is_retryable() && !format!("{error:?} {error}").contains("marker"));
    }
    // Bytes beyond the announced length are not sent: the server would read them as the next
    // request.
    assert_eq!(
        send(Upload::new(4, || Ok(&b"fourPUT /evil"[..]))).unwrap(),
        StatusCode::CREATED
    );
    let file = world
        .resolver
        .turn(person("alice"))
        .send_stream("notes", get("/file"))
        .unwrap();
    assert_eq!(all(file), b"four");
}

#[test]
fn where_a_body_ends_is_for_the_client_to_say() {
    let world = connected();
    let request = |builder: http::request::Builder| {
        let builder = builder
            .header(TRANSFER_ENCODING, "chunked")
            .header(CONTENT_LENGTH, "0");
        builder.header(HOST, "evil.test")
    };
    for _ in 0..2 {
        world.http.on("/api/file").next(Fault::answer(|mut request| {
            for name in [TRANSFER_ENCODING, CONTENT_LENGTH, HOST] {
                assert!(!request.headers.contains_key(&name), "{name}");
            }
            let body = std::mem::take(&mut request.body);
            drop(body.into_reader().read(&mut [0; 8]));
            Ok(HttpResponse::new(StatusCode::OK, ""))
        }));
    }
    let alice = person("alice");
    let streamed = request(Request::put("/file"))
        .body(Upload::from(vec![1]))
        .unwrap();
    world
        .resolver
        .turn(alice.clone())
        .send_stream("notes", streamed)
        .unwrap();
    let whole = request(Request::put("/file")).body(vec![1]).unwrap();
    world.resolver.send(&alice, "notes", whole).unwrap();
    let turn = world.resolver.turn(person("alice"));
    let bearer = format!("Bearer {}", turn.placeholder("notes").unwrap());
    let built = request(Request::put("/file")).header(AUTHORIZATION, bearer);
    let filled = turn.fill(built.body(vec![1]).unwrap()).unwrap();
    assert_eq!(filled.headers.len(), 1, "{:?}", filled.headers.keys());
}
