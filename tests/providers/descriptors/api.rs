//! Additional headers and parameters of API requests.

use valetkey::provider::DescriptorFile;
use valetkey::{ConsentOptions, Resolver};

use super::walk::{PLAIN, Walk, file, pairs};

/// Every API request has the service's headers and parameters, and the caller's own headers are
/// unchanged.
#[test]
fn every_request_to_the_api_has_what_the_service_wants() {
    let file = file(
        r#""parameters":[{"name":"shop","kind":"text","default":"corner"},{"name":"gone","kind":"text","optional":true}]"#,
        r#""api_base":"https://api.test/v1","account":{"url":"https://api.test/v1/me","id":["/id"]},
           "authorization_parameters":{"shop":"{shop}","gone":"{gone}"},
           "api_headers":{"x-version":"2","x-client":"{client_id}","x-gone":"{gone}"},"api_query":{"shop":"{shop}"}"#,
    );
    let walk = Walk::new(&file, |seen| match seen.url.path() {
        "/v1/me" => r#"{"id":"1"}"#.into(),
        _ => PLAIN.into(),
    });
    let (url, consent) = walk.start(ConsentOptions::default());
    assert_eq!(pairs(&url).get("shop").map(String::as_str), Some("corner"));
    assert!(!pairs(&url).contains_key("gone"), "{url}");
    walk.complete(&consent, "code=c").unwrap();
    let resolver = Resolver::new(walk.connections.clone());
    let own = http::Request::get("/things?shop=mine").header("x-version", "3");
    let own = own.body(Vec::new()).unwrap();
    resolver.send(&walk.alice, "acme", own).unwrap();
    let turn = resolver.turn(walk.alice.clone());
    let placeholder = turn.placeholder("acme").unwrap();
    let filled = http::Request::get("https://api.test/v1/things")
        .header("authorization", format!("Bearer {placeholder}"))
        .body(Vec::new())
        .unwrap();
    turn.send_filled(filled).unwrap();
    for (index, version, address) in [
        (1, "2", "https://api.test/v1/me?shop=corner"),
        (2, "3", "https://api.test/v1/things?shop=mine"),
        (3, "2", "https://api.test/v1/things?shop=corner"),
    ] {
        let seen = walk.seen(index);
        assert_eq!(seen.url.as_str(), address);
        assert_eq!(seen.headers["x-version"], version, "{address}");
        assert_eq!(seen.headers["x-client"], "the-client", "{address}");
        assert_eq!(seen.headers["authorization"], "Bearer at-1", "{address}");
        assert!(!seen.headers.contains_key("x-gone"), "{address}");
    }
    // Token requests are not API requests.
    assert!(!walk.seen(0).headers.contains_key("x-version"));
    // Without a list of hosts, the token is sent only below the API's base.
    for (address, allowed) in [
        ("https://api.test/v1/x", true),
        ("https://api.test/v10", false),
        ("https://api.test/", false),
    ] {
        let request = http::Request::get(address).body(Vec::new()).unwrap();
        let sent = resolver.send(&walk.alice, "acme", request);
        assert_eq!(sent.is_ok(), allowed, "{address}");
    }
}

#[test]
fn a_provider_names_the_statuses_that_refuse_a_token() {
    for (written, refusing) in [("", &[401][..]), (r#""token_refused":[401,403]"#, &[401, 403])] {
        let file: DescriptorFile = serde_json::from_str(&file("", written)).unwrap();
        file.validate().unwrap();
        let provider = &file.providers[0];
        for status in 100..600 {
            assert_eq!(
                provider.refuses_token(status),
                refusing.contains(&status),
                "{status}"
            );
        }
    }
}
