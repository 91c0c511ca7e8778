//! A single holder refreshes tokens: one request, nothing lost, and only a final response ends a
//! connection.

mod lost_answers;
mod several_hosts;

use std::sync::{Arc, Barrier};
use std::time::Duration;

use valetkey::connections::{Budget, HealthState};
use valetkey::error::{ConsentReason, Misconfigured};
use valetkey::internals::provider::RotationClass;
use valetkey::model::{EventKind, FailureCode, NeedsConsent, Status};
use valetkey::provider::ClientRegistration;
use valetkey::testing::sandbox::{ExpiresIn, RefreshTokenEcho, Refusal, ScopeEcho};
use valetkey::testing::{Fault, Gate};
use valetkey::vault::SealedVault;
use valetkey::{ActingUser, Clock as _, Error, Resolver};

use crate::support::world::{REDIRECT, World, person};

fn connected() -> (World, ActingUser) {
    connected_like(World::new())
}

fn connected_like(world: World) -> (World, ActingUser) {
    let alice = person("alice");
    world.connect(&alice, "ada");
    world.sandbox.clear_log();
    (world, alice)
}

fn token(world: &World, person: &ActingUser) -> String {
    world
        .resolver
        .resolve(person, "notes")
        .unwrap()
        .access_token()
        .expose_secret()
        .to_owned()
}

fn reason(error: &Error) -> ConsentReason {
    error
        .consent_required()
        .unwrap_or_else(|| panic!("consent is not the trouble: {error:?}"))
        .reason
}

// macro-inc/macro#5107, google/adk-python#5329, golang/oauth2#84: a refresh succeeded in memory but
// was never stored.
#[test]
fn an_expired_token_is_renewed_once_and_stored() {
    let (world, alice) = connected();
    let old = token(&world, &alice);
    world.expire();
    let new = token(&world, &alice);
    assert_ne!(old, new);
    assert_eq!(token(&world, &alice), new);
    assert_eq!(world.sandbox.count("/token"), 1);
    assert!(world.sandbox.is_live(&new));
    let request = &world.sandbox.log()[0];
    assert_eq!(request.parameter("grant_type"), Some("refresh_token"));
    assert_eq!(request.parameter("scope"), None);
}

// NangoHQ/nango#6136: the second refresh sent the first refresh token again; it must be stored in
// one place.
#[test]
fn rotation_goes_on_for_as_long_as_it_must() {
    for rotation in [
        RotationClass::Static,
        RotationClass::OldStaysValid,
        RotationClass::Grace(Duration::from_secs(60)),
        RotationClass::SingleUse,
        RotationClass::SingleUseRevokesFamily,
    ] {
        let (world, alice) = connected_like(World::like(|it| it.rotation = rotation));
        for generation in 2..6 {
            world.expire();
            assert_eq!(
                world.resolver.resolve(&alice, "notes").unwrap().generation(),
                generation,
                "{rotation:?}"
            );
        }
        assert_eq!(world.sandbox.count("/token"), 4);
    }
}

// NangoHQ/nango#298, openai/codex#26520: a response without a refresh token erased the stored one.
#[test]
fn an_answer_without_a_refresh_token_or_scope_keeps_the_old_ones() {
    for echo in [
        RefreshTokenEcho::Omit,
        RefreshTokenEcho::Empty,
        RefreshTokenEcho::Repeat,
    ] {
        let (world, alice) = connected_like(World::like(|it| {
            it.rotation = RotationClass::Static;
            it.static_refresh_token = echo;
        }));
        for _ in 0..3 {
            world.expire();
            token(&world, &alice);
        }
        let connection = &world.connections.list(&alice, &Default::default()).unwrap()[0];
        assert!(connection.refreshable);
        assert_eq!(connection.granted.to_string(), "notes.read notes.write");
    }
}

// n8n-io/n8n#12742, authlib/authlib#673, typescript-sdk#1813: concurrent callers refreshed the same
// token.
#[test]
fn sixty_four_callers_make_one_request() {
    let (world, alice) = connected();
    world.expire();
    let gate = Gate::new();
    world.http.on("/token").next(Fault::Hold(gate.clone()));
    let threads = 64;
    let start = Barrier::new(threads + 1);
    let tokens: Vec<String> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    token(&world, &alice)
                })
            })
            .collect();
        start.wait();
        gate.wait_for_arrivals(1);
        gate.open();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(world.sandbox.count("/token"), 1);
}

#[test]
fn an_early_refresh_happens_inside_the_margin_and_not_before() {
    let (world, alice) = connected();
    world.clock.advance(Duration::from_secs(3_600 - 400));
    assert_eq!(world.resolver.resolve(&alice, "notes").unwrap().generation(), 1);
    world.clock.advance(Duration::from_secs(200));
    assert_eq!(world.resolver.resolve(&alice, "notes").unwrap().generation(), 2);
}

// NousResearch/hermes-agent#110720: a refused early refresh erased a token that was still valid.
#[test]
fn while_the_token_is_good_a_failed_early_refresh_serves_it() {
    let (world, alice) = connected();
    let old = token(&world, &alice);
    world.clock.advance(Duration::from_secs(3_540));
    world
        .sandbox
        .adjust(|it| it.token_outage = Some(Refusal::JsonWith(503)));
    assert_eq!(token(&world, &alice), old);
    // During the back-off, the next turns send no request.
    assert_eq!(token(&world, &alice), old);
    assert_eq!(world.sandbox.count("/token"), 1);
    let listed = world.connections.list(&alice, &Default::default()).unwrap();
    assert_eq!(listed[0].last_failure(), Some(FailureCode::ServerError));
}

#[test]
fn a_turn_beside_a_refresh_in_flight_gets_the_good_token_without_waiting() {
    let (world, alice) = connected();
    let old = token(&world, &alice);
    world.clock.advance(Duration::from_secs(3_540));
    let gate = Gate::new();
    world.http.on("/token").next(Fault::Hold(gate.clone()));
    std::thread::scope(|scope| {
        let refreshing = scope.spawn(|| token(&world, &alice));
        gate.wait_for_arrivals(1);
        assert_eq!(token(&world, &alice), old);
        gate.open();
        assert_ne!(refreshing.join().unwrap(), old);
    });
    assert_eq!(world.sandbox.count("/token"), 1);
}

// PipedreamHQ/pipedream#5346 and others: an outage at the provider must not end connections.
// google/adk-python's refresher: an expired token was returned as if the refresh had succeeded.
#[test]
fn only_a_final_answer_ends_a_connection() {
    let cases: [(Fault, FailureCode); 8] = [
        (Fault::Connect, FailureCode::Unreachable),
        (Fault::Timeout, FailureCode::TimedOut),
        (Fault::Status(500, "<html>oops".into()), FailureCode::ServerError),
        (Fault::Status(503, String::new()), FailureCode::ServerError),
        (Fault::Status(429, "slow down".into()), FailureCode::RateLimited),
        (
            Fault::Status(200, "not json".into()),
            FailureCode::UnreadableAnswer,
        ),
        (Fault::Status(400, String::new()), FailureCode::Unexplained),
        // A page of a firewall in front of the server.
        (
            Fault::Status(403, "<html>blocked</html>".into()),
            FailureCode::UnreadableAnswer,
        ),
    ];
    for (fault, code) in cases {
        let (world, alice) = connected();
        world.expire();
        world.http.on("/token").next(fault);
        let error = world.resolver.resolve(&alice, "notes").unwrap_err();
        assert!(error.is_retryable(), "{code:?}: {error:?}");
        assert!(error.retry_after().is_some());
        let Error::Unavailable { failure, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(failure, code);
        let connection = &world.connections.list(&alice, &Default::default()).unwrap()[0];
        assert_eq!(connection.status, Status::Active);
        world.clock.advance(Duration::from_secs(61));
        assert_eq!(
            world.resolver.resolve(&alice, "notes").unwrap().generation(),
            2,
            "{code:?}"
        );
    }
}

#[test]
fn a_wrong_client_secret_is_the_operators_to_mend() {
    let (world, alice) = connected();
    world.expire();
    let right = world.sandbox.client_secret();
    world.sandbox.change_client_secret("sbx-cs-other");
    let error = world.resolver.resolve(&alice, "notes").unwrap_err();
    assert!(
        matches!(error, Error::Misconfigured(Misconfigured::ClientRejected(_))),
        "{error:?}"
    );
    world.sandbox.change_client_secret(right);
    world.clock.advance(Duration::from_secs(61));
    token(&world, &alice);
}

// openai/codex#39054, TheFab21/ha-samsungtv-smart#111: a dead refresh token was retried forever.
#[test]
fn a_refused_grant_is_asked_about_once() {
    for dead in [Refusal::Json, Refusal::JsonWith(401), Refusal::JsonWith(403)] {
        let (world, alice) = connected();
        world.sandbox.adjust(|it| it.dead_grant = dead.clone());
        world.sandbox.revoke_at_server("ada");
        world.expire();
        for _ in 0..5 {
            assert_eq!(
                reason(&world.resolver.resolve(&alice, "notes").unwrap_err()),
                ConsentReason::Rejected
            );
            world.clock.advance(Duration::from_secs(3_600));
        }
        assert_eq!(world.sandbox.count("/token"), 1, "{dead:?}");
        let needed = EventKind::ConsentNeeded(NeedsConsent::Rejected);
        assert_eq!(
            world
                .events
                .kinds()
                .iter()
                .filter(|kind| **kind == needed)
                .count(),
            1
        );

        world.connect(&alice, "ada");
        token(&world, &alice);
    }
}

// openclaw/openclaw#112032: a refresh token was sent to an endpoint from a changed configuration.
#[test]
fn a_refresh_token_goes_only_where_it_came_from() {
    let (world, alice) = connected();
    world.expire();
    let requests = world.http.requests();
    let rebuilt = |token_endpoint: &str, client_id: &str| {
        let client = ClientRegistration::new(client_id, "secret", REDIRECT);
        let host = world
            .another()
            .describe(|server, _| server.token_endpoint = token_endpoint.into())
            .client(client);
        host.build().unwrap().resolver
    };
    let client_id = world.sandbox.client_id();
    for resolver in [
        rebuilt("https://evil.test/token", &client_id),
        rebuilt("https://sandbox.test/token", "another-client"),
    ] {
        let error = resolver.resolve(&alice, "notes").unwrap_err();
        assert!(
            matches!(
                error,
                Error::Misconfigured(Misconfigured::IssuerChanged(_) | Misconfigured::ClientChanged(_))
            ),
            "{error:?}"
        );
    }
    assert_eq!(world.http.requests(), requests);
    token(&world, &alice);
}

#[test]
fn a_revocation_during_a_refresh_wins_and_the_late_token_is_revoked() {
    let (world, alice) = connected();
    let connection = world.connections.list(&alice, &Default::default()).unwrap()[0].id;
    world.expire();
    let gate = Gate::new();
    world.http.on("/token").next(Fault::HoldAnswer(gate.clone()));
    std::thread::scope(|scope| {
        let refreshing = scope.spawn(|| world.resolver.resolve(&alice, "notes"));
        gate.wait_for_arrivals(1);
        world.connections.revoke(&alice, connection).unwrap();
        gate.open();
        assert_eq!(
            reason(&refreshing.join().unwrap().unwrap_err()),
            ConsentReason::NotConnected
        );
    });
    assert_eq!(
        world.connections.get(&alice, connection).unwrap().status,
        Status::Revoked
    );
    let live: usize = world
        .sandbox
        .live_grants()
        .iter()
        .map(|grant| grant.refresh_tokens)
        .sum();
    assert_eq!(
        live, 0,
        "a refresh token of a revoked connection lives on at the server"
    );
    assert!(world.resolver.resolve(&alice, "notes").is_err());
}

#[test]
fn a_refresh_by_name_does_not_wait_for_the_margin_or_the_back_off() {
    let (world, alice) = connected();
    let id = world.connections.list(&alice, &Default::default()).unwrap()[0].id;
    assert_eq!(world.connections.refresh(&alice, id).unwrap().generation, 2);
    world.http.on("/token").next(Fault::Connect);
    assert!(world.connections.refresh(&alice, id).is_err());
    assert_eq!(world.connections.refresh(&alice, id).unwrap().generation, 3);
    assert!(matches!(
        world.connections.refresh(&person("bob"), id),
        Err(Error::NotFound)
    ));
}

#[test]
fn health_says_how_it_fares() {
    let (world, alice) = connected();
    let id = world.connections.list(&alice, &Default::default()).unwrap()[0].id;
    let state = || world.connections.health(&alice, id).unwrap().state;
    assert_eq!(
        state(),
        HealthState::Healthy {
            expires_in: Some(Duration::from_secs(3_600))
        }
    );
    world.clock.advance(Duration::from_secs(3_590));
    assert_eq!(state(), HealthState::Expiring);
    world.http.on("/token").next(Fault::Timeout);
    token(&world, &alice);
    assert!(matches!(
        state(),
        HealthState::BackingOff {
            failure: FailureCode::TimedOut,
            ..
        }
    ));
    world.clock.advance(Duration::from_secs(61));
    world.sandbox.revoke_at_server("ada");
    assert!(world.resolver.resolve(&alice, "notes").is_err());
    assert!(matches!(state(), HealthState::NeedsConsent(_)));
    world.connections.revoke(&alice, id).unwrap();
    assert_eq!(state(), HealthState::Revoked);
}

// Tokens with lifetimes of seconds must not be refreshed in each turn.
#[test]
fn a_short_lived_token_is_not_renewed_in_a_loop() {
    let (world, alice) = connected_like(World::like(|it| {
        it.access_token_lifetime = Some(Duration::from_secs(20))
    }));
    for _ in 0..5 {
        token(&world, &alice);
    }
    assert_eq!(world.sandbox.count("/token"), 0);
}

#[test]
fn an_answer_that_names_no_lifetime_keeps_the_last_one() {
    let (world, alice) = connected();
    world.sandbox.adjust(|it| it.expires_in = ExpiresIn::Absent);
    for generation in [2, 3] {
        world.expire();
        let token = world.resolver.resolve(&alice, "notes").unwrap();
        assert_eq!(token.generation(), generation);
        let lifetime = token.expires_at().unwrap().saturating_since(world.clock.now());
        assert_eq!(lifetime, Duration::from_secs(3_600));
    }
}

#[test]
fn an_answer_that_names_no_scopes_keeps_them() {
    let (world, alice) = connected();
    let before = world
        .connections
        .list(&alice, &Default::default())
        .unwrap()
        .remove(0);
    world.sandbox.adjust(|it| it.scope_echo = ScopeEcho::Absent);
    world.expire();
    world.resolver.resolve(&alice, "notes").unwrap();
    let after = world.connections.get(&alice, before.id).unwrap();
    assert_eq!((after.generation, after.granted), (2, before.granted));
    assert_eq!(after.account, before.account);
}

/// A token issued while the clock was a year ahead would count as valid for a year.
#[test]
fn times_of_a_clock_that_was_far_ahead_are_not_believed() {
    let year = Duration::from_secs(365 * 24 * 3_600);
    for refreshable in [true, false] {
        let world = World::like(|it| it.issues_refresh_tokens = refreshable);
        let alice = person("alice");
        world.clock.advance(year);
        let connection = world.connect(&alice, "ada");
        world.clock.rewind(year);
        let health = world.connections.health(&alice, connection.id).unwrap().state;
        let token = world.resolver.resolve(&alice, "notes").unwrap();
        if refreshable {
            assert_eq!(health, HealthState::Expiring);
            assert_eq!(token.generation(), 2);
            assert!(token.expires_at().unwrap() <= world.clock.now() + Duration::from_secs(3_600));
        } else {
            // Without a refresh token, it is used until the API refuses it.
            assert_eq!(health, HealthState::Healthy { expires_in: None });
            assert_eq!(token.generation(), 1);
        }
    }
}

/// Upkeep holds the claim; a turn that needs the token meanwhile gets the result.
#[test]
fn a_turn_joins_the_refresh_of_upkeep() {
    let (world, alice) = connected();
    world.expire();
    let gate = Gate::new();
    world.http.on("/token").next(Fault::HoldAnswer(gate.clone()));
    std::thread::scope(|scope| {
        let upkeep = scope.spawn(|| world.connections.maintain(Budget::default()).unwrap());
        gate.wait_for_arrivals(1);
        let turn = scope.spawn(|| world.resolver.resolve(&alice, "notes").unwrap().generation());
        gate.open();
        assert_eq!(turn.join().unwrap(), 2);
        assert_eq!(upkeep.join().unwrap().refreshed, 1);
    });
    assert_eq!(world.token_requests(), 2);
}
