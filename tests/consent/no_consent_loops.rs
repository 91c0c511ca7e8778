//! Promise 36: satisfying a consent request makes the same call succeed, and an API that refuses a
//! fresh token causes one refresh, not one for each call.

use http::{Request, StatusCode};
use valetkey::connections::HealthState;
use valetkey::error::{ConsentReason, ConsentRequired};
use valetkey::http::HttpResponse;
use valetkey::model::ProviderId;
use valetkey::provider::{AuthorizationServer, Provider};
use valetkey::testing::Fault;
use valetkey::vault::SealedVault;
use valetkey::{ConsentOptions, Error};

use crate::support::world::{self, World, operator, person};

fn get(path: &str) -> Request<Vec<u8>> {
    Request::get(path).body(Vec::new()).unwrap()
}

/// The API answers every request with this status.
fn api_answers(world: &World, status: u16, requests: usize) {
    for _ in 0..requests {
        world
            .http
            .on("/api/notes")
            .next(Fault::Status(status, "the api's own words".into()));
    }
}

/// The API requires scopes, at every request.
fn api_wants(world: &World, scope: &'static str, requests: usize) {
    for _ in 0..requests {
        world.http.on("/api/notes").next(Fault::answer(move |_| {
            let challenge = format!(r#"Bearer error="insufficient_scope", scope="{scope}""#);
            let challenge = http::HeaderValue::from_str(&challenge).unwrap();
            Ok(HttpResponse::new(StatusCode::FORBIDDEN, "")
                .with_header(http::header::WWW_AUTHENTICATE, challenge))
        }));
    }
}

#[test]
fn promise_36_an_api_that_refuses_every_token_causes_one_refresh() {
    let (world, alice, connection) = World::connected();
    world.sandbox.clear_log();
    api_answers(&world, 401, 21);
    for _ in 0..20 {
        // The API's response is final: neither a refresh nor a consent would change it.
        let response = world.resolver.send(&alice, "notes", get("/notes")).unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.body(), b"the api's own words");
    }
    assert_eq!(world.sandbox.count("/token"), 1);
    let health = world.connections.health(&alice, connection.id).unwrap();
    assert!(
        matches!(health.state, HealthState::RefusedByApi { .. }),
        "{health:?}"
    );
    assert!(health.is_usable_now());
    assert!(world.resolver.resolve(&alice, "notes").is_ok());

    // Another process also knows this.
    let mut other = world;
    other.resolver = valetkey::Resolver::new(other.connections.clone());
    api_answers(&other, 401, 1);
    other.resolver.send(&alice, "notes", get("/notes")).unwrap();
    assert_eq!(other.sandbox.count("/token"), 1);
}

#[test]
fn promise_36_the_next_token_is_given_another_chance() {
    let (world, alice, connection) = World::connected();
    api_answers(&world, 401, 2);
    world.resolver.send(&alice, "notes", get("/notes")).unwrap();
    world.expire();
    let response = world.resolver.send(&alice, "notes", get("/notes")).unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let health = world.connections.health(&alice, connection.id).unwrap();
    assert!(matches!(health.state, HealthState::Healthy { .. }), "{health:?}");
}

#[test]
fn promise_36_a_refused_token_is_renewed_once_for_hosts_with_a_client_of_their_own() {
    let world = World::new();
    let (alice, bob) = (person("alice"), person("bob"));
    world.connect_workspace_account("grace");
    world.connect(&alice, "ada");
    // A user refreshes the workspace's token as well as their own.
    for user in [&alice, &bob] {
        let refused = world.resolver.resolve(user, "notes").unwrap();
        world.sandbox.clear_log();
        let renewed: Vec<_> = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        world
                            .resolver
                            .turn(user.clone())
                            .refresh_refused(&refused)
                            .unwrap()
                            .unwrap()
                    })
                })
                .collect();
            callers.into_iter().map(|caller| caller.join().unwrap()).collect()
        });
        assert_eq!(world.sandbox.count("/token"), 1);
        assert!(renewed.iter().all(|token| token.generation() == 2));
        assert!(
            renewed
                .iter()
                .all(|token| token.is_workspace() == refused.is_workspace())
        );

        // The API refuses that token as well: there is no better one.
        assert!(
            world
                .resolver
                .turn(user.clone())
                .refresh_refused(&renewed[0])
                .unwrap()
                .is_none()
        );
        assert_eq!(world.sandbox.count("/token"), 1);
        // A late caller with the old token gets the stored one.
        let late = world
            .resolver
            .turn(user.clone())
            .refresh_refused(&refused)
            .unwrap()
            .unwrap();
        assert_eq!(late.generation(), 2);
        assert_eq!(world.sandbox.count("/token"), 1);
    }
}

#[test]
fn promise_36_a_token_of_another_person_is_not_renewed() {
    let world = World::new();
    let (alice, bob) = (person("alice"), person("bob"));
    world.connect(&alice, "ada");
    let hers = world.resolver.resolve(&alice, "notes").unwrap();
    world.sandbox.clear_log();
    for stranger in [bob, world::stranger("alice")] {
        let error = world
            .resolver
            .turn(stranger.clone())
            .refresh_refused(&hers)
            .unwrap_err();
        assert!(matches!(error, Error::NotFound), "{error:?}");
    }
    assert_eq!(world.sandbox.count("/token"), 0);
}

#[test]
fn promise_36_a_renewal_after_a_revocation_gives_nothing() {
    let (world, alice, connection) = World::connected();
    let token = world.resolver.resolve(&alice, "notes").unwrap();
    world.connections.revoke(&alice, connection.id).unwrap();
    assert!(matches!(
        world.resolver.turn(alice).refresh_refused(&token),
        Err(Error::NotFound)
    ));
}

// Django OAuth Toolkit answers a dead token with 403 and no challenge, and a refresh invalidates
// the token that other callers hold.
#[test]
fn promise_36_whatever_the_refusal_a_newer_stored_token_is_tried() {
    for status in [400, 401, 403, 404, 422] {
        let (world, alice, connection) = World::connected();
        world.sandbox.clear_log();
        let (connections, who) = (world.connections.clone(), alice.clone());
        world.http.on("/api/notes").next(Fault::answer(move |_| {
            connections.refresh(&who, connection.id).unwrap();
            Ok(HttpResponse::new(StatusCode::from_u16(status).unwrap(), ""))
        }));
        let response = world.resolver.send(&alice, "notes", get("/notes")).unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{status}");
        assert_eq!(world.sandbox.count("/token"), 1, "{status}");
    }
}

#[test]
fn promise_36_a_service_can_say_by_which_statuses_it_refuses_a_token() {
    let refuses = |statuses: &'static [u16]| {
        move |_: &mut AuthorizationServer, provider: &mut Provider| provider.token_refused = statuses.to_vec()
    };
    for (statuses, status, refreshes) in [
        (&[401_u16, 403][..], 403, 1),
        (&[401], 403, 0),
        (&[401], 401, 1),
        (&[403], 401, 0),
    ] {
        let world = World::described(SealedVault::in_memory(), |_| {}, refuses(statuses));
        let alice = person("alice");
        world.connect(&alice, "ada");
        world.sandbox.clear_log();
        api_answers(&world, status, 1);
        let response = world.resolver.send(&alice, "notes", get("/notes")).unwrap();
        assert_eq!(world.sandbox.count("/token"), refreshes, "{statuses:?} {status}");
        assert_eq!(
            response.status() == StatusCode::OK,
            refreshes == 1,
            "{statuses:?} {status}"
        );
    }
}

#[test]
fn promise_36_the_same_step_up_is_requested_once() {
    let world = World::new();
    let alice = person("alice");
    let read = ConsentOptions::default().scopes("notes.read".parse().unwrap());
    world.try_connect(&alice, "ada", read).unwrap();
    api_wants(&world, "notes.write", 2);
    let error = world.resolver.send(&alice, "notes", get("/notes")).unwrap_err();
    let need = error.consent_required().unwrap();
    assert_eq!(need.reason, ConsentReason::MissingScopes);
    assert_eq!(need.missing_scopes.to_string(), "notes.write");

    // The user declines the scope. The API must not cause the same question again.
    let options = ConsentOptions::from(need);
    let consent = world.connections.start(&alice, "notes", options).unwrap();
    let callback = world
        .sandbox
        .approve_some(consent.authorization_url(), "ada", &["notes.read"]);
    world.complete(&alice, &callback, &consent).unwrap();
    let response = world.resolver.send(&alice, "notes", get("/notes")).unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[test]
fn promise_36_a_step_up_without_a_scope_or_for_one_that_is_granted_is_the_apis_answer() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    api_wants(&world, "notes.read", 1);
    let response = world.resolver.send(&alice, "notes", get("/notes")).unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    world.http.on("/api/notes").next(Fault::answer(|_| {
        let challenge = http::HeaderValue::from_static(r#"Bearer error="insufficient_scope""#);
        Ok(HttpResponse::new(StatusCode::FORBIDDEN, "")
            .with_header(http::header::WWW_AUTHENTICATE, challenge))
    }));
    let response = world.resolver.send(&alice, "notes", get("/notes")).unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

/// Every situation in which a call requires consent: the requested consent makes the same call
/// succeed.
#[test]
fn promise_36_each_consent_request_can_be_satisfied() {
    type Case = (
        &'static str,
        fn(&World),
        valetkey::resolver::ResolveOptions<'static>,
    );
    let options = || valetkey::resolver::ResolveOptions::new("notes");
    let work = valetkey::model::Label::new("work").unwrap();
    let cases: Vec<Case> = vec![
        ("not connected", |_| {}, options()),
        (
            "another label",
            |world| _ = world.connect(&person("alice"), "ada"),
            options().label(work.clone()),
        ),
        (
            "a label, and nothing connected",
            |_| {},
            options().label(work.clone()),
        ),
        (
            "a label and a scope",
            |world| _ = world.connect(&person("alice"), "ada"),
            options().label(work).scopes("notes.write".parse().unwrap()),
        ),
        (
            "a missing scope",
            |world| {
                let read = ConsentOptions::default().scopes("notes.read".parse().unwrap());
                world.try_connect(&person("alice"), "ada", read).unwrap();
            },
            options().scopes("notes.write".parse().unwrap()),
        ),
        (
            "expired",
            |world| {
                world.sandbox.adjust(|it| it.issues_refresh_tokens = false);
                world.connect(&person("alice"), "ada");
                world.expire();
            },
            options(),
        ),
        (
            "rejected",
            |world| {
                world.connect(&person("alice"), "ada");
                world.sandbox.revoke_at_server("ada");
                world.expire();
                world.resolver.resolve(&person("alice"), "notes").unwrap_err();
            },
            options(),
        ),
        (
            "revoked",
            |world| {
                let connection = world.connect(&person("alice"), "ada");
                world.connections.revoke(&person("alice"), connection.id).unwrap();
            },
            options(),
        ),
        (
            "lost in flight",
            |world| {
                world
                    .sandbox
                    .adjust(|it| it.rotation = valetkey::internals::provider::RotationClass::SingleUse);
                world.connect(&person("alice"), "ada");
                world.expire();
                world.http.on("/token").next(Fault::InterruptedAfterSend);
                world.resolver.resolve(&person("alice"), "notes").unwrap_err();
                world.clock.advance(std::time::Duration::from_secs(60));
                world.resolver.resolve(&person("alice"), "notes").unwrap_err();
            },
            options(),
        ),
    ];
    for (name, prepare, options) in cases {
        let world = World::new();
        prepare(&world);
        let alice = person("alice");
        let error = world.resolver.resolve(&alice, &options).unwrap_err();
        let need: &ConsentRequired = error
            .consent_required()
            .unwrap_or_else(|| panic!("{name}: {error}"));
        world.sandbox.adjust(|it| it.issues_refresh_tokens = true);
        let consent = ConsentOptions::from(need);
        world
            .try_connect(&alice, "ada", consent)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let token = world.resolver.resolve(&alice, &options);
        assert!(token.is_ok(), "{name}: {:?}", token.unwrap_err());
    }
}

#[test]
fn promise_36_a_service_that_is_not_set_up_asks_nobody_for_consent() {
    let world = World::new();
    let alice = person("alice");
    for id in ["gmail", "jira", "todoist"] {
        let errors = [
            world.resolver.resolve(&alice, id).unwrap_err(),
            world.resolver.peek(&alice, id).unwrap_err(),
            world.resolver.send(&alice, id, get("/")).unwrap_err(),
            world
                .resolver
                .turn(alice.clone())
                .explain(id)
                .refusal()
                .cloned()
                .unwrap(),
            world
                .connections
                .start(&alice, id, ConsentOptions::default())
                .unwrap_err(),
            world
                .connections
                .start_workspace(&operator(), id, ConsentOptions::default())
                .unwrap_err(),
        ];
        for error in errors {
            assert!(
                matches!(
                    &error,
                    Error::Misconfigured(valetkey::error::Misconfigured::NoClient(_))
                ),
                "{id}: {error:?}"
            );
        }
    }
    assert!(ProviderId::new("gmail").is_ok());
}
