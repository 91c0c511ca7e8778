//! A revocation report describes the grant, not a request: revoked, unconfirmed, or not revocable.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, StatusCode};
use valetkey::Connections;
use valetkey::connections::{AtProvider, Budget};
use valetkey::error::Misconfigured;
use valetkey::http::{HttpClient, HttpError, HttpRequest, HttpResponse};
use valetkey::internals::provider::{Revocation, RevocationAuth, RevocationTokens, RotationClass};
use valetkey::model::Connection;
use valetkey::model::ServerId;
use valetkey::provider::{AuthorizationServer, ClientRegistration, Provider};
use valetkey::testing::{Fault, Sandbox};
use valetkey::vault::{Erasure, SealedVault};

use crate::support::world::{REDIRECT, World, person};

const APP: &str = "https://sandbox.test/installed-app";

/// The grant is a resource that is deleted with the access token, as at SmartThings.
fn deletes(server: &mut AuthorizationServer, _: &mut Provider) {
    server.revocation = Revocation::DeleteWithBearer { url: APP.into() };
    server.already_revoked = vec![403];
    server.rotation = RotationClass::SingleUse;
}

/// The server accepts only the access token.
fn takes_access_tokens(server: &mut AuthorizationServer, _: &mut Provider) {
    server.revocation = Revocation::Endpoint {
        url: "https://sandbox.test/revoke".into(),
        authentication: RevocationAuth::SameAsToken,
        tokens: RevocationTokens::Access,
        grant_wide: false,
    };
    server.access_page = Some("https://sandbox.test/apps".into());
}

fn described(describe: impl Fn(&mut AuthorizationServer, &mut Provider)) -> (World, Connection) {
    let world = World::described(
        SealedVault::in_memory(),
        |it| it.rotation = RotationClass::SingleUse,
        describe,
    );
    let connection = world.connect(&person("alice"), "ada");
    world.sandbox.clear_log();
    (world, connection)
}

/// Answers a DELETE of the installed app: 401 unless its token is live, otherwise this status.
fn answers_delete(world: &World, status: u16) {
    let sandbox = world.sandbox.clone();
    world
        .http
        .on("/installed-app")
        .next(Fault::answer(move |request| {
            assert_eq!(request.method, Method::DELETE);
            let bearer = request.headers[http::header::AUTHORIZATION]
                .to_str()
                .unwrap()
                .to_owned();
            let lives = sandbox.is_live(bearer.trim_start_matches("Bearer "));
            let status = if lives { status } else { 401 };
            if lives && status == 204 {
                sandbox.revoke_at_server("ada");
            }
            Ok(HttpResponse::new(StatusCode::from_u16(status).unwrap(), ""))
        }));
}

#[test]
fn a_token_that_has_expired_is_renewed_to_delete_the_grant() {
    for expired_by in ["the clock", "the server alone"] {
        let (world, connection) = described(deletes);
        if expired_by == "the clock" {
            world.clock.advance(Duration::from_secs(25 * 3_600));
        } else {
            world.sandbox.expire_access_tokens();
            answers_delete(&world, 204);
        }
        answers_delete(&world, 204);
        let revocation = world.connections.revoke(&person("alice"), connection.id).unwrap();
        assert_eq!(revocation.at_provider, AtProvider::Revoked, "{expired_by}");
        assert!(world.sandbox.live_grants().is_empty(), "{expired_by}");
        assert_eq!(world.sandbox.count("/token"), 1, "{expired_by}");
        assert_eq!(world.http.pending(), 0, "{expired_by}");
    }
}

#[test]
fn a_grant_that_the_person_has_ended_there_is_ended() {
    for status in [403, 404, 410] {
        let (world, connection) = described(deletes);
        answers_delete(&world, status);
        let revocation = world.connections.revoke(&person("alice"), connection.id).unwrap();
        assert_eq!(revocation.at_provider, AtProvider::Revoked, "{status}");
    }
    // The refresh token is refused as well: nothing of the grant is live.
    let (world, connection) = described(deletes);
    world.sandbox.revoke_at_server("ada");
    world.clock.advance(Duration::from_secs(25 * 3_600));
    let revocation = world.connections.revoke(&person("alice"), connection.id).unwrap();
    assert_eq!(revocation.at_provider, AtProvider::NothingLeft);
}

#[test]
fn a_renewal_that_fails_leaves_the_revocation_to_upkeep() {
    let (world, connection) = described(deletes);
    world.clock.advance(Duration::from_secs(25 * 3_600));
    world.http.on("/token").next(Fault::Timeout);
    let revocation = world.connections.revoke(&person("alice"), connection.id).unwrap();
    assert!(matches!(revocation.at_provider, AtProvider::Unconfirmed { .. }));
    assert_eq!(revocation.here, Erasure::Pending);
    world.clock.advance(Duration::from_secs(3_600));
    answers_delete(&world, 204);
    let upkeep = world.connections.maintain(Budget::default()).unwrap();
    assert_eq!(upkeep.revocations_settled, 1);
    assert!(world.sandbox.live_grants().is_empty());
}

#[test]
fn a_renewed_token_that_was_not_taken_is_kept_for_another_attempt() {
    let (world, connection) = described(deletes);
    world.clock.advance(Duration::from_secs(25 * 3_600));
    world
        .http
        .on("/installed-app")
        .next(Fault::Status(503, String::new()));
    let revocation = world.connections.revoke(&person("alice"), connection.id).unwrap();
    assert!(matches!(revocation.at_provider, AtProvider::Unconfirmed { .. }));
    // The used refresh token is dead; the tokens obtained with it end the grant.
    world.clock.advance(Duration::from_secs(600));
    for _ in 0..2 {
        answers_delete(&world, 204);
    }
    world.connections.maintain(Budget::default()).unwrap();
    assert!(world.sandbox.live_grants().is_empty());
}

#[test]
fn a_revocation_that_fails_for_long_does_not_multiply() {
    for rotation in [
        RotationClass::Static,
        RotationClass::OldStaysValid,
        RotationClass::SingleUse,
    ] {
        let describe = |server: &mut AuthorizationServer, provider: &mut Provider| {
            deletes(server, provider);
            server.rotation = rotation;
        };
        let world = World::described(SealedVault::in_memory(), |it| it.rotation = rotation, describe);
        let connection = world.connect(&person("alice"), "ada");
        world.clock.advance(Duration::from_secs(25 * 3_600));
        let outage = || {
            for _ in 0..8 {
                world
                    .http
                    .on("/installed-app")
                    .next(Fault::Status(503, String::new()));
            }
        };
        outage();
        world.connections.revoke(&person("alice"), connection.id).unwrap();
        for hour in 0..72 {
            world.clock.advance(Duration::from_secs(3_600));
            world.http.clear();
            outage();
            let before = world.http.requests_to("/installed-app");
            world.connections.maintain(Budget::default()).unwrap();
            let asked = world.http.requests_to("/installed-app") - before;
            // The tokens of this attempt, and those obtained with them.
            assert!(asked <= 2, "{rotation:?}: {asked} requests in hour {hour}");
        }
        world.http.clear();
        answers_delete(&world, 204);
        world.clock.advance(Duration::from_secs(3_600));
        world.connections.maintain(Budget::default()).unwrap();
        assert!(world.sandbox.live_grants().is_empty(), "{rotation:?}");
    }
}

#[test]
fn revoking_an_access_token_is_not_called_the_end_of_a_refresh_token() {
    let (world, connection) = described(takes_access_tokens);
    let revocation = world.connections.revoke(&person("alice"), connection.id).unwrap();
    let url = Some("https://sandbox.test/apps".to_owned());
    assert_eq!(revocation.at_provider, AtProvider::Attempted { url });

    // Without a refresh token, no other token is left.
    let world = World::described(
        SealedVault::in_memory(),
        |it| it.issues_refresh_tokens = false,
        takes_access_tokens,
    );
    let connection = world.connect(&person("alice"), "ada");
    let revocation = world.connections.revoke(&person("alice"), connection.id).unwrap();
    assert_eq!(revocation.at_provider, AtProvider::Revoked);
}

#[test]
fn a_refusal_is_repeated_as_one_and_the_tokens_are_tried_again() {
    for refusal in [
        (200, r#"{"ok":false,"error":"fatal_error"}"#),
        (400, ""),
        (403, "<html>"),
        (401, r#"{"error":"invalid_client"}"#),
    ] {
        let (world, connection) = described(|_, _| {});
        let refuse = || {
            for _ in 0..2 {
                let (status, body) = refusal;
                world.http.on("/revoke").next(Fault::Status(status, body.into()));
            }
        };
        let alice = person("alice");
        refuse();
        let first = world.connections.revoke(&alice, connection.id).unwrap();
        assert_eq!(
            (&first.at_provider, first.here),
            (&AtProvider::Refused, Erasure::Pending),
            "{refusal:?}"
        );
        assert!(world.resolver.resolve(&alice, "notes").is_err());
        refuse();
        let second = world.connections.revoke(&alice, connection.id).unwrap();
        assert_eq!(second.at_provider, AtProvider::Refused, "{refusal:?}");
        // The server now accepts the request.
        let third = world.connections.revoke(&alice, connection.id).unwrap();
        assert_eq!(third.at_provider, AtProvider::Revoked, "{refusal:?}");
        assert!(world.sandbox.live_grants().is_empty());
    }
}

#[test]
fn a_refusal_is_not_repeated_for_ever() {
    let (world, connection) = described(|_, _| {});
    for _ in 0..2 {
        world.http.on("/revoke").next(Fault::Status(400, String::new()));
    }
    world.connections.revoke(&person("alice"), connection.id).unwrap();
    let mut requests = 0;
    for _ in 0..(10 * 24) {
        for _ in 0..2 {
            world.http.on("/revoke").next(Fault::Status(400, String::new()));
        }
        let before = world.http.requests();
        world.connections.maintain(Budget::default()).unwrap();
        requests += world.http.requests() - before;
        world.http.clear();
        world.clock.advance(Duration::from_secs(3_600));
    }
    assert!((2..=2 * 7).contains(&requests), "{requests}");
    // After a week the vault erases the tokens.
    let upkeep = world.connections.maintain(Budget::default()).unwrap();
    assert_eq!(upkeep.residue, Erasure::Cleared);
}

/// The host's configuration has changed since the consent.
fn rebuilt(
    world: &World,
    vault: &Arc<SealedVault>,
    registration: Option<ClientRegistration>,
    with_server: bool,
) -> Connections {
    let mut builder = Connections::builder(Arc::clone(vault))
        .http_client(world.http.clone())
        .clock(world.clock.clone());
    if with_server {
        builder = builder
            .server(world.sandbox.server())
            .provider(world.sandbox.provider("notes"));
        if let Some(registration) = registration {
            builder = builder.client("sandbox", registration);
        }
    }
    builder.build().unwrap()
}

#[test]
fn tokens_of_a_changed_configuration_go_nowhere_and_wait() {
    type Registered = fn(&Sandbox) -> Option<ClientRegistration>;
    type Case = (&'static str, Registered, bool, fn(ServerId) -> Misconfigured);
    let cases: [Case; 4] = [
        (
            "changed",
            |_| Some(ClientRegistration::new("another", "secret", REDIRECT)),
            true,
            Misconfigured::ClientChanged,
        ),
        (
            "replaced",
            |it| Some(ClientRegistration::new("another", "secret", REDIRECT).replacing(it.client_id())),
            true,
            Misconfigured::ClientChanged,
        ),
        ("no client", |_| None, true, Misconfigured::NoClient),
        ("no server", |_| None, false, Misconfigured::UnknownServer),
    ];
    for (name, registration, with_server, problem) in cases {
        let vault = Arc::new(SealedVault::in_memory());
        let world = World::over(Arc::clone(&vault));
        let connection = world.connect(&person("alice"), "ada");
        let host = rebuilt(&world, &vault, registration(&world.sandbox), with_server);
        let requests = world.http.requests();
        let revocation = host.revoke(&person("alice"), connection.id).unwrap();
        assert_eq!(
            revocation.at_provider,
            AtProvider::NotAttempted(problem(connection.server().clone())),
            "{name}"
        );
        assert_eq!(revocation.here, Erasure::Pending, "{name}");
        assert_eq!(
            world.http.requests(),
            requests,
            "{name}: a token went to a foreign client"
        );
        assert_eq!(world.sandbox.live_grants().len(), 1, "{name}");

        // The operator restores the configuration: upkeep ends the grant.
        let corrected = rebuilt(&world, &vault, Some(world.sandbox.registration(REDIRECT)), true);
        world.clock.advance(Duration::from_secs(3_600));
        corrected.maintain(Budget::default()).unwrap();
        assert!(world.sandbox.live_grants().is_empty(), "{name}");
    }
}

/// A client that counts the requests to an unresponsive server.
#[derive(Debug, Clone)]
struct Silent(Arc<Mutex<usize>>);

impl HttpClient for Silent {
    fn send(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
        *self.0.lock().unwrap() += 1;
        Err(HttpError::Timeout)
    }
}

#[test]
fn a_server_that_does_not_answer_is_not_asked_about_every_pending_revocation() {
    let world = World::new();
    let people: Vec<_> = (0..40)
        .map(|number| person(&format!("person-{number}")))
        .collect();
    for somebody in &people {
        let connection = world.connect(somebody, "ada");
        for _ in 0..2 {
            world.http.on("/revoke").next(Fault::Timeout);
        }
        world.connections.revoke(somebody, connection.id).unwrap();
    }
    world.clock.advance(Duration::from_secs(3_600));
    let silent = Silent(Arc::default());
    let host = world
        .another()
        .connections(|_, builder| builder.http_client(silent.clone()))
        .build()
        .unwrap();
    let upkeep = host.connections.maintain(Budget::default().workers(1)).unwrap();
    assert_eq!(
        (upkeep.revocations_settled, upkeep.next),
        (0, Duration::from_secs(60))
    );
    // Two requests for each set of tokens, and three sets of tokens.
    assert_eq!(*silent.0.lock().unwrap(), 6);
}
