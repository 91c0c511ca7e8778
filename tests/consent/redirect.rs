//! Redirect URIs of native apps.

use valetkey::AuthorizationResponse;
use valetkey::error::Misconfigured;
use valetkey::internals::provider::ClientAuthentication;
use valetkey::testing::Host;
use valetkey::{ConsentOptions, Error};

const OWN_SCHEME: &str = "com.example.app:/callback";

#[test]
fn a_public_client_connects_through_a_scheme_of_its_own() {
    let host = Host::builder()
        .personality(|server| server.client_authentication = ClientAuthentication::None)
        .redirect_uri(OWN_SCHEME)
        .build()
        .unwrap();
    let ada = host.user("ada");
    let consent = host
        .connections
        .start(&ada, "notes", ConsentOptions::default())
        .unwrap();
    let callback = host.sandbox.approve(consent.authorization_url(), "ada");
    assert!(
        callback.starts_with("com.example.app:/callback?code="),
        "{callback}"
    );
    let response = AuthorizationResponse::parse(&callback).unwrap();
    host.connections
        .complete(&ada, response, consent.binding())
        .unwrap();
}

#[test]
fn a_client_with_a_secret_is_told_what_to_do_instead() {
    let refused = Host::builder().redirect_uri(OWN_SCHEME).build().unwrap_err();
    assert!(
        matches!(refused, Error::Misconfigured(Misconfigured::Descriptor(_))),
        "{refused:?}"
    );
    let text = refused.to_string();
    assert!(
        text.contains("requires a public client; register the client without a secret"),
        "{text}"
    );
}

#[test]
fn a_port_of_its_own_is_for_loopback_addresses() {
    let host = Host::new();
    let ada = host.user("ada");
    let options = || ConsentOptions::default().loopback_port(4_711);
    for refused in [
        host.connections.start(&ada, "notes", options()).map(drop),
        host.connections.prepare(&ada, "notes", options()).map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert!(
            matches!(
                refused,
                Error::Misconfigured(Misconfigured::NoLoopbackRedirect(_))
            ),
            "{refused:?}"
        );
    }
}

#[test]
fn a_link_keeps_the_port_and_the_code_is_exchanged_for_it() {
    let host = Host::builder()
        .redirect_uri("http://127.0.0.1:1/callback")
        .build()
        .unwrap();
    let ada = host.user("ada");
    let options = ConsentOptions::default().loopback_port(4_711);
    let prepared = host.connections.prepare(&ada, "notes", options).unwrap();
    let consent = host.connections.open_link(&ada, prepared.ticket()).unwrap();
    let callback = host.sandbox.approve(consent.authorization_url(), "ada");
    assert!(
        callback.starts_with("http://127.0.0.1:4711/callback?"),
        "{callback}"
    );
    let response = AuthorizationResponse::parse(&callback).unwrap();
    host.connections
        .complete(&ada, response, consent.binding())
        .unwrap();

    let consent = host
        .connections
        .start(&ada, "mail", ConsentOptions::default())
        .unwrap();
    let callback = host.sandbox.approve(consent.authorization_url(), "ada");
    assert!(callback.starts_with("http://127.0.0.1:1/callback?"), "{callback}");
}
