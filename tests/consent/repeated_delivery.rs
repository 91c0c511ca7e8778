//! Callbacks and links that arrive more than once: the code is exchanged once, and the user sees
//! the state of the consent.

use std::sync::Barrier;
use std::time::Duration;

use valetkey::connections::{ConsentState, Prompt};
use valetkey::error::ConsentError;
use valetkey::model::{ConnectionId, EventKind, Scopes};
use valetkey::testing::Fault;
use valetkey::vault::{MasterKey, SqliteVault};
use valetkey::{ActingUser, Consent, ConsentOptions, Error};

use crate::support::world::{World, person, response};

/// Completes a consent, and returns the connection that it leads to, created now or before.
fn led_to(world: &World, who: &ActingUser, callback: &str, consent: &Consent) -> Option<ConnectionId> {
    match world.complete(who, callback, consent) {
        Ok(connection) => Some(connection.id),
        Err(Error::Consent(ConsentError::Used(id))) => match world.connections.poll(who, id).unwrap() {
            ConsentState::Completed(connection) => Some(connection),
            _ => None,
        },
        Err(error) => panic!("{error:?}"),
    }
}

fn state(consent: &Consent) -> String {
    let pairs = consent.authorization_url().query_pairs();
    let (_, state) = pairs.into_iter().find(|(name, _)| name == "state").unwrap();
    state.into_owned()
}

fn worlds() -> [World; 2] {
    [
        World::new(),
        World::over(SqliteVault::in_memory(MasterKey::generate().unwrap()).unwrap()),
    ]
}

#[test]
fn promise_38_a_callback_that_is_repeated_leads_to_the_connection() {
    for world in worlds() {
        let alice = person("alice");
        let (consent, callback) = world.approved(&alice);
        let connection = world.complete(&alice, &callback, &consent).unwrap();
        for after in [0, 1, 599, 900] {
            world.clock.advance(Duration::from_secs(after));
            assert_eq!(led_to(&world, &alice, &callback, &consent), Some(connection.id));
        }
        assert_eq!(world.token_requests(), 1);
        let completed = world.events.kinds();
        let completed = completed
            .iter()
            .filter(|kind| **kind == EventKind::ConsentCompleted);
        assert_eq!(completed.count(), 1);
    }
}

#[test]
fn promise_38_callbacks_at_once_are_one_exchange_and_all_lead_to_its_connection() {
    for world in worlds() {
        let alice = person("alice");
        let (consent, callback) = world.approved(&alice);
        let threads = 16;
        let begin = Barrier::new(threads);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    begin.wait();
                    let result = world.complete(&alice, &callback, &consent);
                    assert!(
                        matches!(&result, Ok(_) | Err(Error::Consent(ConsentError::Used(_)))),
                        "{result:?}"
                    );
                });
            }
        });
        assert!(led_to(&world, &alice, &callback, &consent).is_some());
        assert_eq!(world.token_requests(), 1);
    }
}

#[test]
fn promise_38_only_the_person_and_the_browser_of_the_consent_learn_what_it_led_to() {
    let world = World::new();
    let (alice, bob) = (person("alice"), person("bob"));
    let consent = world.start(&alice, ConsentOptions::default());
    let other = world.start(&alice, ConsentOptions::default());
    let callback = world.sandbox.approve(consent.authorization_url(), "ada");
    world.complete(&alice, &callback, &consent).unwrap();
    let error = world.complete(&bob, &callback, &consent).unwrap_err();
    assert!(
        matches!(error, Error::Consent(ConsentError::WrongUser)),
        "{error:?}"
    );
    let error = world.complete(&alice, &callback, &other).unwrap_err();
    assert!(
        matches!(error, Error::Consent(ConsentError::WrongBrowser)),
        "{error:?}"
    );
    assert!(matches!(
        world.connections.poll(&bob, consent.id()),
        Err(Error::NotFound)
    ));
}

#[test]
fn promise_38_a_repeated_callback_says_how_a_consent_ended_that_led_to_nothing() {
    let world = World::new();
    let alice = person("alice");
    let denied = world.start(&alice, ConsentOptions::default());
    let callback = world.sandbox.deny(denied.authorization_url());
    world.complete(&alice, &callback, &denied).unwrap_err();
    let again = world.complete(&alice, &callback, &denied).unwrap_err();
    assert!(
        matches!(again, Error::Consent(ConsentError::Used(id)) if id == denied.id()),
        "{again:?}"
    );
    assert_eq!(
        world.connections.poll(&alice, denied.id()).unwrap(),
        ConsentState::Denied
    );

    let failed = world.start(&alice, ConsentOptions::default());
    let callback = world.sandbox.approve(failed.authorization_url(), "ada");
    world.http.on("/token").next(Fault::Timeout);
    world.complete(&alice, &callback, &failed).unwrap_err();
    let again = world.complete(&alice, &callback, &failed).unwrap_err();
    assert!(
        matches!(again, Error::Consent(ConsentError::Used(_))),
        "{again:?}"
    );
    assert_eq!(
        world.connections.poll(&alice, failed.id()).unwrap(),
        ConsentState::Failed
    );
    assert_eq!(world.token_requests(), 1);
}

#[test]
fn promise_38_a_link_that_is_opened_again_leads_to_the_same_authorization() {
    for world in worlds() {
        let alice = person("alice");
        let options = ConsentOptions::default()
            .scopes("notes.read".parse().unwrap())
            .login_hint("ada@example.test");
        let prepared = world.connections.prepare(&alice, "notes", options).unwrap();
        let first = world.connections.open_link(&alice, prepared.ticket()).unwrap();
        world.clock.advance(Duration::from_secs(599));
        let second = world.connections.open_link(&alice, prepared.ticket()).unwrap();
        assert_eq!(second.authorization_url(), first.authorization_url());
        assert_eq!(second.binding().expose_secret(), first.binding().expose_secret());
        assert_eq!(second.id(), prepared.id());
        assert_eq!(
            second.expires_at(),
            first.expires_at(),
            "the time is not extended"
        );
        assert!(
            !first
                .authorization_url()
                .as_str()
                .contains(prepared.ticket().expose_secret())
        );

        let callback = world.sandbox.approve(second.authorization_url(), "ada");
        let connection = world.complete(&alice, &callback, &first).unwrap();
        assert_eq!(led_to(&world, &alice, &callback, &second), Some(connection.id));
        let again = world
            .connections
            .open_link(&alice, prepared.ticket())
            .unwrap_err();
        assert!(
            matches!(again, Error::Consent(ConsentError::Used(id)) if id == prepared.id()),
            "{again:?}"
        );
        assert_eq!(world.token_requests(), 1);
        // This also holds after the flow has been deleted.
        world.clock.advance(Duration::from_secs(3_600));
        world.connections.maintain(Default::default()).unwrap();
        let again = world
            .connections
            .open_link(&alice, prepared.ticket())
            .unwrap_err();
        assert!(
            matches!(again, Error::Consent(ConsentError::Used(_))),
            "{again:?}"
        );
    }
}

#[test]
fn promise_38_a_link_whose_authorization_expired_begins_another_one() {
    let world = World::new();
    let alice = person("alice");
    let prepared = world
        .connections
        .prepare(&alice, "notes", ConsentOptions::default())
        .unwrap();
    let mut states = Vec::new();
    for purge in [false, false, true, false] {
        let consent = world.connections.open_link(&alice, prepared.ticket()).unwrap();
        let again = world.connections.open_link(&alice, prepared.ticket()).unwrap();
        assert_eq!(again.authorization_url(), consent.authorization_url());
        states.push(state(&consent));
        assert_eq!(
            world.connections.poll(&alice, prepared.id()).unwrap(),
            ConsentState::Opened
        );
        world.clock.advance(Duration::from_secs(601));
        assert_eq!(
            world.connections.poll(&alice, prepared.id()).unwrap(),
            ConsentState::Pending
        );
        if purge {
            world.clock.advance(Duration::from_secs(700));
            world.connections.maintain(Default::default()).unwrap();
        }
        let callback = world.sandbox.approve(consent.authorization_url(), "ada");
        let late = world.complete(&alice, &callback, &consent).unwrap_err();
        assert!(
            matches!(
                late,
                Error::Consent(ConsentError::Expired | ConsentError::Unknown)
            ),
            "{late:?}"
        );
    }
    assert_ne!(states[0], states[1]);
    assert_ne!(states[1], states[2]);
    let consent = world.connections.open_link(&alice, prepared.ticket()).unwrap();
    let callback = world.sandbox.approve(consent.authorization_url(), "ada");
    world.complete(&alice, &callback, &consent).unwrap();
    assert_eq!(world.token_requests(), 1);
}

#[test]
fn promise_38_a_link_that_is_opened_many_times_at_once_is_one_flow() {
    for world in worlds() {
        let alice = person("alice");
        let prepared = world
            .connections
            .prepare(&alice, "notes", ConsentOptions::default())
            .unwrap();
        let threads = 16;
        let begin = Barrier::new(threads);
        let opened: Vec<String> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        begin.wait();
                        state(&world.connections.open_link(&alice, prepared.ticket()).unwrap())
                    })
                })
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(opened.iter().all(|state| *state == opened[0]));
        let started = world.events.kinds();
        let started = started.iter().filter(|kind| **kind == EventKind::ConsentStarted);
        assert_eq!(started.count(), 1);
    }
}

#[test]
fn promise_38_a_link_that_was_withdrawn_or_declined_opens_nothing() {
    let world = World::new();
    let alice = person("alice");
    for declines in [true, false] {
        let prepared = world
            .connections
            .prepare(&alice, "notes", ConsentOptions::default())
            .unwrap();
        let consent = world.connections.open_link(&alice, prepared.ticket()).unwrap();
        let callback = if declines {
            let callback = world.sandbox.deny(consent.authorization_url());
            world.complete(&alice, &callback, &consent).unwrap_err();
            callback
        } else {
            world.connections.cancel(&alice, prepared.id()).unwrap();
            world.sandbox.approve(consent.authorization_url(), "ada")
        };
        for refused in [
            world.connections.open_link(&alice, prepared.ticket()).map(drop),
            world
                .connections
                .complete(&alice, response(&callback), consent.binding())
                .map(drop),
        ] {
            assert!(
                matches!(refused, Err(Error::Consent(ConsentError::Used(id))) if id == prepared.id()),
                "{refused:?}"
            );
        }
        let expected = if declines {
            ConsentState::Denied
        } else {
            ConsentState::Cancelled
        };
        assert_eq!(world.connections.poll(&alice, prepared.id()).unwrap(), expected);
    }
    assert_eq!(world.token_requests(), 0);
}

#[test]
fn promise_37_a_prepared_consent_asks_for_the_same_as_one_that_is_started() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault.db");
    let key = || MasterKey::from_base64("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=").unwrap();
    let mut world = World::over(SqliteVault::open(&path, key()).unwrap());
    let alice = person("alice");
    let scopes = |text: &str| text.parse::<Scopes>().unwrap();
    let mut all = vec![
        ConsentOptions::default(),
        // An empty list of scopes differs from leaving the scopes to the provider.
        ConsentOptions::default().scopes(Scopes::default()),
        ConsentOptions::default().add_scopes(scopes("extra")),
        ConsentOptions::default()
            .scopes(scopes("a"))
            .add_scopes(scopes("b"))
            .also("mail"),
    ];
    for prompt in [
        Prompt::None,
        Prompt::Login,
        Prompt::Consent,
        Prompt::SelectAccount,
    ] {
        all.push(
            ConsentOptions::default()
                .login_hint("ada@example.test")
                .prompt(prompt)
                .max_age(Duration::from_secs(90))
                .acr_values("urn:example:mfa"),
        );
    }
    for options in all {
        let started = world.start(&alice, options.clone());
        let prepared = world.connections.prepare(&alice, "notes", options).unwrap();
        let vault = SqliteVault::open(&path, key()).unwrap();
        *world = world.another().vault(vault).build().unwrap();
        let opened = world.connections.open_link(&alice, prepared.ticket()).unwrap();
        let asked = |consent: &Consent| {
            let pairs = consent.authorization_url().query_pairs().into_owned();
            pairs
                .filter(|(name, _)| name != "state" && name != "code_challenge")
                .collect::<Vec<_>>()
        };
        assert_eq!(asked(&opened), asked(&started));
    }
}
