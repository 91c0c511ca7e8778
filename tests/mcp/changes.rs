//! Servers that change after they were connected.

use std::time::Duration;

use valetkey::connections::{Budget, HealthState};
use valetkey::error::ConsentReason;
use valetkey::model::{NeedsConsent, Status};
use valetkey::{ActingUser, ConsentOptions, Error};

use crate::host::{Host, ISSUER, SERVER, person, tenant};

fn reason(error: &Error) -> ConsentReason {
    match error {
        Error::ConsentRequired(need) => need.reason,
        error => panic!("{error:?}"),
    }
}

/// Satisfies the need that a call reported, as a host does.
fn satisfy(host: &Host, who: &ActingUser, error: &Error, account: &str) {
    let Error::ConsentRequired(need) = error else {
        panic!("{error:?}")
    };
    let options = ConsentOptions::from(&**need);
    let consent = host
        .connections
        .start(who, need.provider.as_str(), options)
        .unwrap();
    host.finish(who, &consent, account).unwrap();
}

#[test]
fn row_11_a_forgotten_registration_leads_to_another_one_and_to_a_consent() {
    let host = Host::new();
    let (alice, bob) = (person("alice"), person("bob"));
    let connection = host.connect(&alice, "ada");
    host.connect(&bob, "grace");
    let (_, client_id) = host.sandbox.registered_clients().remove(0);
    assert!(host.sandbox.forget_client(&client_id));
    host.clock.advance(Duration::from_secs(3_600));
    let before = host.count("/token");
    let error = host.call(&alice, "whoami").unwrap_err();
    assert_eq!(reason(&error), ConsentReason::ClientChanged);
    assert_eq!(host.count("/token"), before + 1);
    let stored = host.connections.get(&alice, connection.id).unwrap();
    assert_eq!(stored.status, Status::NeedsConsent(NeedsConsent::ClientChanged));
    let health = host.connections.health(&alice, connection.id).unwrap();
    assert_eq!(
        health.state,
        HealthState::NeedsConsent(NeedsConsent::ClientChanged)
    );
    assert!(host.connections.added_clients(&tenant()).unwrap().is_empty());

    // There are no retries: by the next call, by another user's, or by upkeep.
    let asked = host.count("/token");
    for who in [&alice, &bob] {
        assert_eq!(
            reason(&host.call(who, "whoami").unwrap_err()),
            ConsentReason::ClientChanged
        );
    }
    for _ in 0..3 {
        host.clock.advance(Duration::from_secs(3_600));
        host.connections.maintain(Budget::default()).unwrap();
    }
    assert_eq!(host.count("/token"), asked);

    let registrations = host.count("/register");
    let error = host.call(&alice, "whoami").unwrap_err();
    satisfy(&host, &alice, &error, "ada");
    assert_eq!(host.call(&alice, "whoami").unwrap().1, "ada");
    let error = host.call(&bob, "whoami").unwrap_err();
    satisfy(&host, &bob, &error, "grace");
    assert_eq!(host.call(&bob, "whoami").unwrap().1, "grace");
    assert_eq!(host.count("/register"), registrations + 1);
}

#[test]
fn a_registration_that_is_forgotten_during_a_consent_is_replaced_by_the_next() {
    let host = Host::new();
    let alice = person("alice");
    let consent = host.start(&alice).unwrap();
    let callback = host.sandbox.approve(consent.authorization_url().clone(), "ada");
    let (_, client_id) = host.sandbox.registered_clients().remove(0);
    host.sandbox.forget_client(&client_id);
    let response = valetkey::AuthorizationResponse::parse(&callback).unwrap();
    let error = host
        .connections
        .complete(&alice, response, consent.binding())
        .unwrap_err();
    assert!(matches!(error, Error::Consent(_)), "{error:?}");
    host.connect(&alice, "ada");
    assert_eq!(host.call(&alice, "whoami").unwrap().1, "ada");
    assert_eq!(host.count("/register"), 2);
}

#[test]
fn an_expired_secret_leads_to_another_registration() {
    let host = Host::new();
    let day = Duration::from_secs(24 * 3_600);
    host.sandbox.adjust(|it| it.client_secret_lifetime = Some(day));
    let alice = person("alice");
    host.connect(&alice, "ada");
    host.clock.advance(day);
    let before = host.count("/token");
    let error = host.call(&alice, "whoami").unwrap_err();
    assert_eq!(reason(&error), ConsentReason::ClientChanged);
    assert_eq!(host.count("/token"), before, "an expired secret is not sent");
    satisfy(&host, &alice, &error, "ada");
    assert_eq!(host.count("/register"), 2);
    assert_eq!(host.call(&alice, "whoami").unwrap().1, "ada");
}

#[test]
fn row_30_a_server_that_names_another_authorization_server_needs_a_new_consent() {
    let host = Host::new();
    let other = "https://second.sandbox.test";
    let alice = person("alice");
    let connection = host.connect(&alice, "ada");
    let old = host.resolver.resolve(&alice, SERVER).unwrap();
    let old = old.access_token().expose_secret().to_owned();
    host.sandbox.serve_mcp(SERVER, &[other]);
    host.sandbox.clear_log();
    let error = host.call(&alice, "whoami").unwrap_err();
    assert_eq!(reason(&error), ConsentReason::ClientChanged);
    let stored = host.connections.get(&alice, connection.id).unwrap();
    assert_eq!(stored.status, Status::NeedsConsent(NeedsConsent::ClientChanged));
    assert_eq!(
        reason(&host.call(&alice, "whoami").unwrap_err()),
        ConsentReason::ClientChanged
    );
    satisfy(&host, &alice, &error, "ada");
    assert_eq!(host.call(&alice, "whoami").unwrap().1, "ada");
    for logged in host.sandbox.log() {
        let text = format!("{} {:?}", logged.body(), logged.headers());
        let is_new = logged.address().starts_with(other);
        assert!(!(is_new && text.contains(&old)), "{}: {text}", logged.address());
        let is_old = logged.address().starts_with(ISSUER);
        assert!(
            !is_old,
            "nothing is sent to the former server: {}",
            logged.address()
        );
    }
    assert_eq!(host.sandbox.registered_clients().len(), 2);
}

#[test]
fn row_02_and_30_a_refusal_without_a_change_is_followed_by_one_refresh() {
    let host = Host::new();
    let alice = person("alice");
    host.connect(&alice, "ada");
    host.sandbox.expire_access_tokens();
    assert_eq!(host.call(&alice, "whoami").unwrap().1, "ada");
    // Metadata that cannot be read at that moment change nothing.
    host.sandbox.expire_access_tokens();
    host.sandbox
        .hide("https://mcp.sandbox.test/.well-known/oauth-protected-resource/mcp");
    assert_eq!(host.call(&alice, "whoami").unwrap().1, "ada");
}

#[test]
fn row_27_a_tool_that_needs_more_steps_up_by_the_union_of_scopes() {
    let host = Host::new();
    host.sandbox
        .adjust(|it| it.challenge_scope = Some("mcp.read".into()));
    let alice = person("alice");
    host.connect(&alice, "ada");
    assert_eq!(host.call(&alice, "whoami").unwrap().1, "ada");
    let error = host.call(&alice, "add_note").unwrap_err();
    assert_eq!(reason(&error), ConsentReason::MissingScopes);
    let Error::ConsentRequired(need) = &error else {
        unreachable!()
    };
    assert!(need.missing_scopes.contains("mcp.write"), "{need:?}");
    let options = ConsentOptions::from(&**need);
    let consent = host.connections.start(&alice, SERVER, options).unwrap();
    for scope in ["mcp.read", "mcp.write"] {
        assert!(consent.scopes().contains(scope), "{:?}", consent.scopes());
    }
    host.finish(&alice, &consent, "ada").unwrap();
    assert_eq!(host.call(&alice, "add_note").unwrap().0, 200);
}

#[test]
fn row_28_a_server_that_always_wants_more_is_not_followed_for_ever() {
    let host = Host::new();
    let alice = person("alice");
    host.connect(&alice, "ada");
    let mut asked = 0;
    for round in 0..8 {
        host.sandbox.answer_at(SERVER, move |_| {
            let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"mcp.more{round}\"");
            Ok(valetkey::http::HttpResponse::new(http::StatusCode::FORBIDDEN, "")
                .with_header(http::header::WWW_AUTHENTICATE, challenge.parse().unwrap()))
        });
        match host.call(&alice, "whoami") {
            Err(error) => {
                assert_eq!(reason(&error), ConsentReason::MissingScopes);
                asked += 1;
            }
            Ok((status, _)) => assert_eq!(status, 403, "the answer is passed on"),
        }
    }
    assert_eq!(asked, 3);
}
