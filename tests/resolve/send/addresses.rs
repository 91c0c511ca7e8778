//! Addresses: the token is sent only to the API of its provider.

use super::*;

/// Addresses outside the API, in many notations.
const ELSEWHERE: &[&str] = &[
    "https://evil.test/api/notes",
    "https://sandbox.test.evil.test/api/notes",
    "https://sandbox.test@evil.test/api/notes",
    "https://alice:pass@sandbox.test/api/notes",
    "http://sandbox.test/api/notes",
    "https://sandbox.test:444/api/notes",
    "https://sandbox.test/token",
    "https://sandbox.test/api/../token",
    "https://sandbox.test/api/%2e%2e/token",
    "https://sandbox.test./api/notes",
    "https://127.0.0.1/api/notes",
    "https://[::1]/api/notes",
    "https://xn--sandbox-.test/api/notes",
    "https://s\u{430}ndbox.test/api/notes",
    "https://xn--sndbox-5nf.test/api/notes",
    "https://sandbox.test%2eevil.test/api/notes",
    "https://sandbox.test%00.evil.test/api/notes",
    "https://sandbox.test%20/api/notes",
    "https://sandbox.test\\@evil.test/api/notes",
    "https://sandbox.test#@evil.test/api/notes",
    "https://sandbox.test?@evil.test/api/notes",
    "https://sandbox.test@/api/notes",
    "https://:@sandbox.test:80/api/notes",
    "https://sandbox.test:0/api/notes",
    "https://sandbox.test:8443/api/notes",
    "https://sandbox.test../api/notes",
    "https://.sandbox.test/api/notes",
    "https://api.sandbox.test/api/notes",
    "https://2130706433/api/notes",
    "https://0x7f.1/api/notes",
    "https://[::ffff:127.0.0.1]/api/notes",
    "https://169.254.169.254/api/notes",
    "https://localhost/api/notes",
    "https://sandbox.test/api%2f..%2ftoken",
    "https://sandbox.test/api/..;/token",
    "https://sandbox.test/API/notes",
    "https://sandbox.test/apis",
    "wss://sandbox.test/api/notes",
    "file://sandbox.test/api/notes",
    "https://sandbox.test",
    "https://sandbox.test?q=/api/notes",
    "https://sandbox.test/?/api/notes",
    "https://sandbox.test\\api\\..\\token",
    "https://sandbox.test/api/\\..\\..\\token",
    "https://sandbox.test/api/.%2e/token",
    "https://sandbox.test/api/%2E%2E/token",
    "https://sandbox.test/api/./../token",
    "https://sandbox.test/api/notes/../../token",
    "https://sandbox.test:443@evil.test/api/notes",
    "https://evil.test/https://sandbox.test/api/notes",
    "https://evil.test:443/api/notes#https://sandbox.test/",
    "https://sandbox.test\t.evil.test/api/notes",
    "https://sandbox.test\r\nhost: evil.test/api/notes",
    "https://",
    "https:///api/notes",
    "https://:443/api/notes",
    "https://?q",
    "https:sandbox.test/api/notes",
    "HTTP://sandbox.test/api/notes",
    "ftp://sandbox.test/api/notes",
    "https://s\u{ff41}ndbox.test/api/notes",
    "https://sandbox\u{3002}test/api/notes",
    "https://[::1%25eth0]/api/notes",
    "https://[::]/api/notes",
    "https://017700000001/api/notes",
    "https://127.1/api/notes",
    "sandbox.test:443",
    "evil.test:443",
    "@evil.test",
    ".evil.test",
    "*",
    "/../token",
    "/%2e%2e/token",
    "/.%2e/../token",
    "/\\..\\..\\token",
    "/..\\token",
    "/notes/../../token",
];

#[test]
fn the_token_goes_nowhere_else() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    let turn = world.resolver.turn(alice);
    let bearer = format!("Bearer {}", turn.placeholder("notes").unwrap());
    let requests = world.http.requests();
    let mut unreadable = Vec::new();
    for address in ELSEWHERE {
        // Text that `http` itself cannot parse never becomes a request.
        let Ok(request) = Request::get(*address).body(Vec::new()) else {
            unreadable.push(address);
            continue;
        };
        let filled = Request::get(*address)
            .header(AUTHORIZATION, &bearer)
            .body(Vec::new());
        let streamed = Request::get(*address).body(Upload::empty());
        for refused in [
            turn.send("notes", request).unwrap_err(),
            turn.send_stream("notes", streamed.unwrap()).unwrap_err(),
            turn.fill(filled.unwrap()).unwrap_err(),
        ] {
            assert!(
                matches!(
                    refused,
                    Error::Request(RequestRefused::Address | RequestRefused::Malformed)
                ),
                "{address}: {refused:?}"
            );
        }
    }
    assert_eq!(world.http.requests(), requests);
    assert!(
        unreadable.len() * 3 < ELSEWHERE.len(),
        "not tried: {unreadable:?}"
    );
}

#[test]
fn however_the_apis_own_address_is_written_the_request_arrives_there() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    for (address, path) in [
        ("https://SANDBOX.test/api/notes", "/api/notes"),
        ("HTTPS://sandbox.test:443/api/notes", "/api/notes"),
        ("https://sandbox.test/api/notes#fragment", "/api/notes"),
        (
            "https://sandbox.test/api/notes?q=https://evil.test/",
            "/api/notes",
        ),
        ("https://sandbox.test/api/x/../notes", "/api/notes"),
        ("/notes", "/api/notes"),
        ("/notes#fragment", "/api/notes"),
        ("/notes?q=../token", "/api/notes"),
        ("//evil.test/notes", "/api//evil.test/notes"),
        ("/https://evil.test/notes", "/api/https://evil.test/notes"),
        ("/@evil.test", "/api/@evil.test"),
    ] {
        world.sandbox.clear_log();
        world.resolver.send(&alice, "notes", get(address)).unwrap();
        let log = world.sandbox.log();
        assert_eq!(log.len(), 1, "{address}");
        assert_eq!(
            log[0].address(),
            format!("https://sandbox.test{path}"),
            "{address}"
        );
    }
}

// A cloud's front end serves both the API and an attacker's site, and routes by this header.
#[test]
fn the_host_header_is_the_addresss_own() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    let request = || Request::get("/echo").header("host", "evil.test");
    let response = world
        .resolver
        .send(&alice, "notes", request().body(Vec::new()).unwrap())
        .unwrap();
    assert!(!String::from_utf8(response.into_body()).unwrap().contains("evil"));
    let turn = world.resolver.turn(alice);
    let bearer = format!("Bearer {}", turn.placeholder("notes").unwrap());
    let request = request().header(AUTHORIZATION, bearer).body(Vec::new()).unwrap();
    assert!(!turn.fill(request).unwrap().headers.contains_key("host"));
}
