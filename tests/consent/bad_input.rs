//! Bad input causes a clear, typed error that leaks nothing, and changes nothing.

use valetkey::error::Misconfigured;
use valetkey::provider::{ClientRegistration, InvalidDescriptor};
use valetkey::testing::{Fault, ManualClock, Sandbox};
use valetkey::vault::SealedVault;
use valetkey::{AuthorizationResponse, Binding, Connections, ConsentOptions, Error, TenantId, UserId};

use crate::support::world::{REDIRECT, World, person};

fn descriptor_error(error: &Error) -> &InvalidDescriptor {
    match error {
        Error::Misconfigured(Misconfigured::Descriptor(error)) => error,
        other => panic!("not a descriptor error: {other:?}"),
    }
}

#[test]
fn an_unknown_provider_and_a_missing_registration_are_told_apart() {
    let world = World::new();
    let alice = person("alice");
    let hostile = format!("x\r\nSet-Cookie: {}", "y".repeat(10_000));
    for unknown in ["", "nothing", "GMAIL", &hostile] {
        let error = world
            .connections
            .start(&alice, unknown, ConsentOptions::default())
            .unwrap_err();
        assert!(matches!(error, Error::UnknownProvider { .. }));
        assert!(!error.to_string().contains("Cookie"));
        assert!(
            error.to_string().contains("gitlab, gmail, google-calendar"),
            "{error}"
        );
        assert_eq!(error.to_string().contains("\"nothing\""), unknown == "nothing");
    }
    let error = world
        .connections
        .start(&alice, "gmail", ConsentOptions::default())
        .unwrap_err();
    assert!(
        matches!(&error, Error::Misconfigured(Misconfigured::NoClient(server)) if server.as_str() == "google")
    );
    assert!(error.to_string().contains("google"));
}

#[test]
fn promise_22_endpoints_must_be_https() {
    let sandbox = Sandbox::new(ManualClock::default());
    for endpoint in [
        "http://as.test/token",
        "ftp://as.test/token",
        "https://user@as.test/token",
        "https://as.test/token#fragment",
        "as.test/token",
        "",
    ] {
        let mut server = sandbox.server();
        server.token_endpoint = endpoint.into();
        let error = Connections::builder(SealedVault::in_memory())
            .server(server)
            .provider(sandbox.provider("notes"))
            .client("sandbox", sandbox.registration(REDIRECT))
            .http_client(sandbox.clone())
            .build()
            .unwrap_err();
        let text = descriptor_error(&error).to_string();
        assert!(
            text.contains("sandbox") && text.contains("token_endpoint"),
            "{endpoint}: {text}"
        );
    }
}

#[test]
fn a_redirect_uri_that_no_server_could_use_is_refused_when_it_is_registered() {
    let sandbox = Sandbox::new(ManualClock::default());
    for redirect in [
        "http://app.test/callback",
        "https://app.test/callback#x",
        "/callback",
        "javascript:alert(1)",
        "",
    ] {
        let error = Connections::builder(SealedVault::in_memory())
            .server(sandbox.server())
            .provider(sandbox.provider("notes"))
            .client(
                "sandbox",
                ClientRegistration::new("id", "secret-marker", redirect),
            )
            .http_client(sandbox.clone())
            .build()
            .unwrap_err();
        let text = descriptor_error(&error).to_string();
        assert!(text.contains("redirect"), "{redirect}: {text}");
        assert!(!text.contains("marker"));
    }
}

#[test]
fn parameters_that_would_override_the_protocol_are_refused() {
    let sandbox = Sandbox::new(ManualClock::default());
    for name in [
        "state",
        "client_id",
        "redirect_uri",
        "code_challenge",
        "response_type",
        "scope",
    ] {
        let mut server = sandbox.server();
        server.authorization_parameters.insert(name.into(), "x".into());
        let error = Connections::builder(SealedVault::in_memory())
            .server(server)
            .http_client(sandbox.clone())
            .build()
            .unwrap_err();
        assert!(
            descriptor_error(&error)
                .to_string()
                .contains("authorization_parameters"),
            "{name}"
        );
    }
}

#[test]
fn promise_23_malformed_callbacks_are_refused_before_anything_is_looked_up() {
    for (callback, expected) in [
        (
            "https://app.test/callback?code=a&code=b&state=s",
            "callback_duplicate_parameter",
        ),
        (
            "https://app.test/callback?state=s&state=t&code=a",
            "callback_duplicate_parameter",
        ),
        ("https://app.test/callback?code=a", "callback_missing_state"),
        ("https://app.test/callback?state=s", "callback_missing_code"),
        ("https://app.test/callback", "callback_malformed"),
        ("", "callback_malformed"),
    ] {
        let error = AuthorizationResponse::parse(callback).unwrap_err();
        assert_eq!(error.rule(), expected, "{callback}");
    }
    let huge = format!("https://app.test/callback?state=s&code={}", "c".repeat(4 << 20));
    assert!(AuthorizationResponse::parse(&huge).is_err());
}

#[test]
fn promise_23_ids_are_bounded_and_printable() {
    for (value, rule) in [
        (String::new(), "empty"),
        ("x".repeat(10 * 1024), "too_long"),
        ("a\u{1b}[31m".into(), "control_character"),
        ("a\nb".into(), "control_character"),
    ] {
        assert_eq!(TenantId::new(value.clone()).unwrap_err().rule(), rule);
        assert_eq!(UserId::new(value).unwrap_err().rule(), rule);
    }
}

#[test]
fn connection_parameters_are_checked_before_anything_is_stored() {
    let sandbox = Sandbox::new(ManualClock::default());
    let connections = Connections::builder(SealedVault::in_memory())
        .client(
            "gitlab",
            ClientRegistration::new("id", "secret", REDIRECT).for_base_urls(["https://gitlab.example"]),
        )
        .http_client(sandbox)
        .build()
        .unwrap();
    let alice = person("alice");
    for (name, value) in [
        ("base_url", "http://gitlab.example"),
        ("base_url", "https://user@gitlab.example"),
        ("base_url", "https://gitlab.example/?x=marker"),
        ("base_url", "javascript:marker"),
        ("nothing", "marker"),
    ] {
        let options = ConsentOptions::default().parameter(name, value);
        let error = connections.start(&alice, "gitlab", options).unwrap_err();
        assert!(matches!(error, Error::Parameter(_)), "{value}: {error:?}");
        // An unknown name may be arbitrary text, so the error does not repeat it.
        assert!(name == "nothing" || error.to_string().contains(name));
        assert!(!error.to_string().contains("marker"));
    }
    let options = ConsentOptions::default().parameter("base_url", "https://gitlab.example/sub/");
    let consent = connections.start(&alice, "gitlab", options).unwrap();
    assert!(
        consent
            .authorization_url()
            .as_str()
            .starts_with("https://gitlab.example/sub/oauth/authorize?")
    );
}

#[test]
fn a_token_answer_of_any_broken_kind_stores_nothing() {
    let broken = [
        (200, ""),
        (200, "{}"),
        (200, "[]"),
        (200, "null"),
        (200, "{\"access_token\":\"\"}"),
        (200, "{\"access_token\":null,\"token_type\":\"bearer\"}"),
        (200, "{\"access_token\":7,\"token_type\":\"bearer\"}"),
        (
            200,
            "{\"access_token\":\"a\\r\\nX: y\",\"token_type\":\"bearer\"}",
        ),
        (200, "{\"access_token\":\"a\",\"token_type\":\"mac\"}"),
        (
            200,
            "{\"error\":\"invalid_grant\",\"error_description\":\"marker\"}",
        ),
        (200, "{\"access_token\":\"a\",\"token_type\":\"bearer\""),
        (302, ""),
        (
            400,
            "{\"error\":\"invalid_grant\",\"error_description\":\"marker\"}",
        ),
        (500, "<html>marker</html>"),
    ];
    for (status, body) in broken {
        let world = World::new();
        let alice = person("alice");
        let (consent, callback) = world.approved(&alice);
        world.http.on("/token").next(Fault::Status(status, body.into()));
        let response = AuthorizationResponse::parse(&callback).unwrap();
        let error = world
            .connections
            .complete(&alice, response, consent.binding())
            .unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("marker"), "{status} {body}: {text}");
        assert!(
            world
                .connections
                .list(&alice, &Default::default())
                .unwrap()
                .is_empty(),
            "{status} {body}"
        );
    }
}

#[test]
fn an_empty_or_foreign_binding_is_no_panic() {
    let world = World::new();
    let alice = person("alice");
    let (_, callback) = world.approved(&alice);
    for binding in ["", "\0", &"x".repeat(1 << 20)] {
        let response = AuthorizationResponse::parse(&callback).unwrap();
        assert!(
            world
                .connections
                .complete(&alice, response, &Binding::new(binding))
                .is_err()
        );
    }
}
