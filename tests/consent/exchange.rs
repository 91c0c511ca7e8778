//! The exchange of a code: its client and its deadline.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use valetkey::connections::Settings;
use valetkey::error::Misconfigured;
use valetkey::http::{HttpClient, HttpError, HttpRequest};
use valetkey::provider::ClientRegistration;
use valetkey::testing::{Fault, Host};
use valetkey::{ConsentOptions, Error};

use crate::support::world::{REDIRECT, World, person, response};

#[test]
fn a_code_is_not_exchanged_with_another_client_than_the_one_that_asked() {
    let world = World::new();
    let alice = person("alice");
    let (consent, callback) = world.approved(&alice);

    let other = ClientRegistration::new("another-client", "another-secret", REDIRECT);
    let error = world
        .another()
        .client(other)
        .build()
        .unwrap()
        .connections
        .complete(&alice, response(&callback), consent.binding())
        .unwrap_err();
    assert!(
        matches!(error, Error::Misconfigured(Misconfigured::IssuerChanged(_))),
        "{error:?}"
    );
    assert_eq!(world.sandbox.count("/token"), 0);
    // The consent is still open for the client that it belongs to.
    world.complete(&alice, &callback, &consent).unwrap();
}

#[test]
fn an_exchange_takes_less_than_half_of_a_claim() {
    for (http_timeout, lease, expected) in [(10, 10, 4), (3, 30, 3), (3_600, 30, 12)] {
        let timeouts = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&timeouts);
        let mut settings = Settings::default();
        settings.http_timeout = Duration::from_secs(http_timeout);
        settings.refresh_lease = Duration::from_secs(lease);
        let host = Host::builder().connections(|sandbox, builder| {
            let sandbox = sandbox.clone();
            let client = move |request: HttpRequest| {
                let call = (request.url.path().to_owned(), request.timeout);
                seen.lock().unwrap().push(call);
                sandbox.send(request)
            };
            builder.http_client(client).settings(settings)
        });
        host.build().unwrap().connect(&person("alice"), "notes");
        let timeouts = timeouts.lock().unwrap();
        let exchanges: Vec<_> = timeouts.iter().filter(|(path, _)| path == "/token").collect();
        assert_eq!(exchanges.len(), 1);
        assert_eq!(exchanges[0].1, Duration::from_secs(expected));
    }
}

/// A misconfiguration is reported at the consent as it is at a refresh.
#[test]
fn a_cause_has_one_class_of_error_at_the_exchange_and_at_a_refresh() {
    let causes: [fn() -> Fault; 5] = [
        || Fault::answer(|_| Err(HttpError::Refused)),
        || Fault::Status(401, r#"{"error":"invalid_client"}"#.into()),
        || Fault::Status(400, r#"{"error":"invalid_request"}"#.into()),
        || Fault::Status(302, String::new()),
        || Fault::Status(503, String::new()),
    ];
    for cause in causes {
        let world = World::new();
        let alice = person("alice");
        world.http.on("/token").next(cause());
        let exchange = world
            .try_connect(&alice, "ada", ConsentOptions::default())
            .unwrap_err();
        world.connect(&alice, "ada");
        world.expire();
        world.http.on("/token").next(cause());
        let refresh = world.resolver.resolve(&alice, "notes").unwrap_err();
        let is_operators = |error: &Error| matches!(error, Error::Misconfigured(_));
        assert_eq!(
            is_operators(&exchange),
            is_operators(&refresh),
            "{exchange:?} {refresh:?}"
        );
        assert!(!is_operators(&refresh) || exchange.to_string() == refresh.to_string());
    }
}
