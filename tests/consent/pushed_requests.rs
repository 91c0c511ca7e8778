//! Authorization requests that are pushed to the server before the browser goes there.

use valetkey::error::Misconfigured;
use valetkey::internals::provider::ClientAuthentication;
use valetkey::model::FailureCode;
use valetkey::testing::Host;
use valetkey::testing::sandbox::{Personality, Refusal};
use valetkey::{AuthorizationResponse, ConsentOptions, Error};

fn host(change: impl FnOnce(&mut Personality)) -> Host {
    Host::builder()
        .personality(|it| {
            it.requires_pushed_requests = true;
            change(it);
        })
        .build()
        .unwrap()
}

#[test]
fn the_browser_carries_a_reference_and_nothing_else() {
    for authentication in [
        ClientAuthentication::Post,
        ClientAuthentication::Basic,
        ClientAuthentication::None,
    ] {
        let host = host(|it| it.client_authentication = authentication);
        let ada = host.user("ada");
        let consent = host
            .connections
            .start(&ada, "notes", ConsentOptions::default())
            .unwrap();
        let names: Vec<_> = consent
            .authorization_url()
            .query_pairs()
            .map(|(name, _)| name.into_owned())
            .collect();
        assert_eq!(names, ["client_id", "request_uri"]);

        let callback = host.sandbox.approve(consent.authorization_url(), "ada");
        let response = AuthorizationResponse::parse(&callback).unwrap();
        host.connections
            .complete(&ada, response, consent.binding())
            .unwrap();
        let log = host.sandbox.log();
        let pushed = log.iter().find(|logged| logged.path() == "/par").unwrap();
        assert_eq!(pushed.status(), 201);
        for name in ["client_id", "state", "code_challenge", "redirect_uri", "scope"] {
            assert!(pushed.parameter(name).is_some(), "{name}");
        }
        let in_header = pushed.header("authorization").is_some();
        assert_eq!(in_header, authentication == ClientAuthentication::Basic);
        assert_eq!(
            pushed.parameter("client_secret").is_some(),
            authentication == ClientAuthentication::Post
        );
        // A reference opens one page.
        assert_eq!(host.sandbox.consent(consent.authorization_url()).status(), 400);
    }
}

#[test]
fn a_link_that_is_opened_again_pushes_the_request_again() {
    let host = host(|_| {});
    let ada = host.user("ada");
    let prepared = host
        .connections
        .prepare(&ada, "notes", ConsentOptions::default())
        .unwrap();
    assert_eq!(
        host.sandbox.count("/par"),
        0,
        "nothing is sent before the link is opened"
    );
    let first = host.connections.open_link(&ada, prepared.ticket()).unwrap();
    assert_eq!(host.sandbox.consent(first.authorization_url()).status(), 200);
    let again = host.connections.open_link(&ada, prepared.ticket()).unwrap();
    assert_ne!(first.authorization_url(), again.authorization_url());
    assert_eq!(host.sandbox.count("/par"), 2);
    let callback = host.sandbox.approve(again.authorization_url(), "ada");
    let response = AuthorizationResponse::parse(&callback).unwrap();
    host.connections
        .complete(&ada, response, again.binding())
        .unwrap();
}

#[test]
fn a_refused_push_starts_nothing() {
    type Check = fn(&Error) -> bool;
    let unavailable: Check = |error| {
        matches!(
            error,
            Error::Unavailable {
                failure: FailureCode::ServerError,
                ..
            }
        )
    };
    let unreadable: Check = |error| {
        matches!(
            error,
            Error::Unavailable {
                failure: FailureCode::UnreadableAnswer,
                ..
            }
        )
    };
    let rejected: Check =
        |error| matches!(error, Error::Misconfigured(Misconfigured::RequestRejected { .. }));
    for (refusal, expected) in [
        (Refusal::Html(502), unavailable),
        (Refusal::JsonWith(500), unavailable),
        // 200 without a reference.
        (Refusal::JsonWith(200), unreadable),
        (
            Refusal::Code {
                status: 400,
                error: "invalid_request".into(),
            },
            rejected,
        ),
    ] {
        let host = host(|it| it.push_outage = Some(refusal.clone()));
        let ada = host.user("ada");
        let error = host
            .connections
            .start(&ada, "notes", ConsentOptions::default())
            .unwrap_err();
        assert!(expected(&error), "{refusal:?}: {error:?}");
        let operator = host.operator("root");
        let open = host.connections.pending(&operator, ada.user()).unwrap();
        assert!(open.is_empty(), "{refusal:?}");
    }
    let host = host(|_| {});
    host.sandbox.change_client_secret("sbx-cs-new");
    let error = host
        .connections
        .start(&host.user("ada"), "notes", ConsentOptions::default())
        .unwrap_err();
    assert!(
        matches!(error, Error::Misconfigured(Misconfigured::ClientRejected(_))),
        "{error:?}"
    );
}

#[test]
fn a_server_that_requires_pushed_requests_refuses_others() {
    let host = Host::new();
    host.sandbox.adjust(|it| it.requires_pushed_requests = true);
    let consent = host
        .connections
        .start(&host.user("ada"), "notes", ConsentOptions::default())
        .unwrap();
    assert_eq!(host.sandbox.consent(consent.authorization_url()).status(), 400);
}
