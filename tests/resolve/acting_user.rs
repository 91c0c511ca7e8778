//! From an acting user to a token: which connection, how long it is valid, and which error
//! otherwise.

use std::time::Duration;

use valetkey::error::ConsentReason;
use valetkey::model::{EventKind, Label, ProviderId};
use valetkey::resolver::{Policy, ResolveOptions, WorkspaceConnections};
use valetkey::testing::Host;
use valetkey::{ConsentOptions, Error, Resolver};

use crate::support::world::{World, operator, person, stranger};

fn reason(error: &Error) -> ConsentReason {
    error
        .consent_required()
        .unwrap_or_else(|| panic!("consent is not the trouble: {error:?}"))
        .reason
}

#[test]
fn two_people_act_with_their_own_tokens() {
    let world = World::new();
    let (alice, bob) = (person("alice"), person("bob"));
    world.connect(&alice, "ada");
    world.connect(&bob, "grace");
    let alices = world.resolver.resolve(&alice, "notes").unwrap();
    let bobs = world.resolver.resolve(&bob, "notes").unwrap();
    assert_ne!(
        alices.access_token().expose_secret(),
        bobs.access_token().expose_secret()
    );
    assert_ne!(alices.connection(), bobs.connection());
    for nobody in [person("carol"), stranger("alice")] {
        assert_eq!(
            reason(&world.resolver.resolve(&nobody, "notes").unwrap_err()),
            ConsentReason::NotConnected
        );
    }
    assert_eq!(
        reason(&world.resolver.resolve(&alice, "mail").unwrap_err()),
        ConsentReason::NotConnected
    );
    assert!(matches!(
        world.resolver.resolve(&alice, "nothing"),
        Err(Error::UnknownProvider { .. })
    ));
}

#[test]
fn a_shared_connection_is_a_fallback_and_is_announced() {
    let world = World::new();
    let alice = person("alice");
    let shared = world.connect_workspace_account("grace");
    let token = world.resolver.resolve(&alice, "notes").unwrap();
    assert!(token.is_workspace());
    assert_eq!(token.connection(), shared.id);
    assert_eq!(world.events.kinds().last(), Some(&EventKind::WorkspaceFallback));

    let own = world.connect(&alice, "ada");
    let token = world.resolver.resolve(&alice, "notes").unwrap();
    assert!(!token.is_workspace());
    assert_eq!(token.connection(), own.id);
    assert!(world.resolver.resolve(&stranger("alice"), "notes").is_err());
}

#[test]
fn a_personal_connection_that_needs_consent_is_not_replaced_by_the_shared_one() {
    let world = World::new();
    let alice = person("alice");
    world.connect_workspace_account("grace");
    world.connect(&alice, "ada");
    world.sandbox.revoke_at_server("ada");
    world.expire();
    assert_eq!(
        reason(&world.resolver.resolve(&alice, "notes").unwrap_err()),
        ConsentReason::Rejected
    );
    assert_eq!(
        reason(&world.resolver.resolve(&alice, "notes").unwrap_err()),
        ConsentReason::Rejected
    );
}

#[test]
fn the_policy_can_forbid_or_require_the_shared_connection() {
    let world = World::new();
    let alice = person("alice");
    let shared = world.connect_workspace_account("grace");
    let notes = || ProviderId::new("notes").unwrap();

    let forbidden = Policy::default().provider(notes(), WorkspaceConnections::Forbidden);
    let resolver = Resolver::new(world.connections.clone()).policy(forbidden);
    assert_eq!(
        reason(&resolver.resolve(&alice, "notes").unwrap_err()),
        ConsentReason::NotConnected
    );

    world.connect(&alice, "ada");
    let required = Policy::new(WorkspaceConnections::Required);
    let resolver = Resolver::new(world.connections.clone()).policy(required);
    assert_eq!(resolver.resolve(&alice, "notes").unwrap().connection(), shared.id);
}

// ComposioHQ/composio#3894, #2039, tinyhumansai/opencompany#820: the wrong account was selected
// silently.
#[test]
fn several_accounts_are_ambiguous_until_one_is_named_or_the_default() {
    let world = World::new();
    let alice = person("alice");
    let labelled = |label: &str| ConsentOptions::default().label(Label::new(label).unwrap());
    world.try_connect(&alice, "ada", labelled("home")).unwrap();
    let work = world.try_connect(&alice, "grace", labelled("work")).unwrap();
    assert!(matches!(
        world.resolver.resolve(&alice, "notes"),
        Err(Error::Ambiguous { .. })
    ));

    let named = ResolveOptions::new("notes").label(Label::new("work").unwrap());
    assert_eq!(
        world.resolver.resolve(&alice, &named).unwrap().connection(),
        work.id
    );
    let unknown = ResolveOptions::new("notes").label(Label::new("other").unwrap());
    assert_eq!(
        reason(&world.resolver.resolve(&alice, &unknown).unwrap_err()),
        ConsentReason::NotConnected
    );

    world.connections.set_default(&alice, work.id).unwrap();
    assert_eq!(
        world.resolver.resolve(&alice, "notes").unwrap().connection(),
        work.id
    );
}

#[test]
fn scopes_that_are_missing_are_named_and_a_new_consent_adds_them() {
    let world = World::new();
    let alice = person("alice");
    let read = ConsentOptions::default().scopes("notes.read".parse().unwrap());
    let connection = world.try_connect(&alice, "ada", read).unwrap();
    let both = ResolveOptions::new("notes").scopes("notes.read notes.write".parse().unwrap());

    let error = world.resolver.resolve(&alice, &both).unwrap_err();
    let need = error.consent_required().unwrap();
    assert_eq!(need.reason, ConsentReason::MissingScopes);
    assert_eq!(need.missing_scopes.to_string(), "notes.write");
    assert_eq!(need.connection, Some(connection.id));

    let renewed = world
        .try_connect(&alice, "ada", ConsentOptions::from(need))
        .unwrap();
    assert_eq!(renewed.id, connection.id);
    assert_eq!(renewed.granted.to_string(), "notes.read notes.write");
    world.resolver.resolve(&alice, &both).unwrap();
}

// goose#11235, rust-sdk#594: a token without a refresh token or expiry is valid until it is
// refused.
#[test]
fn a_token_without_expiry_is_used_until_it_is_refused() {
    let world = World::like(|it| {
        it.access_token_lifetime = None;
        it.issues_refresh_tokens = false;
    });
    let alice = person("alice");
    world.connect(&alice, "ada");
    world.clock.advance(Duration::from_secs(365 * 24 * 3600));
    let token = world.resolver.resolve(&alice, "notes").unwrap();
    assert_eq!(token.expires_at(), None);
    assert_eq!(world.token_requests(), 1);
}

#[test]
fn an_expired_token_without_a_refresh_token_is_erased() {
    let world = World::like(|it| it.issues_refresh_tokens = false);
    let alice = person("alice");
    let connection = world.connect(&alice, "ada");
    world.clock.advance(Duration::from_secs(3_599));
    world.resolver.resolve(&alice, "notes").unwrap();
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(
        reason(&world.resolver.resolve(&alice, "notes").unwrap_err()),
        ConsentReason::Expired
    );
    assert!(world.resolver.peek(&alice, "notes").is_err());
    let events: Vec<_> = world
        .events
        .kinds()
        .into_iter()
        .filter(|kind| matches!(kind, EventKind::ConsentNeeded(_)))
        .collect();
    assert_eq!(events.len(), 1);
    assert_eq!(
        world.connections.get(&alice, connection.id).unwrap().id,
        connection.id
    );
}

#[test]
fn peek_never_touches_the_network() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    let requests = world.http.requests();
    assert!(world.resolver.peek(&alice, "notes").unwrap().is_some());
    let long = ResolveOptions::new("notes").min_ttl(Duration::from_secs(7_200));
    assert!(world.resolver.peek(&alice, &long).unwrap().is_none());
    world.expire();
    assert!(world.resolver.peek(&alice, "notes").unwrap().is_none());
    assert!(world.resolver.peek(&person("bob"), "notes").is_err());
    assert_eq!(world.http.requests(), requests);
}

#[test]
fn a_token_that_will_not_last_is_renewed_first() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    world.clock.advance(Duration::from_secs(1_800));
    let short = ResolveOptions::new("notes").min_ttl(Duration::from_secs(1_700));
    assert_eq!(world.resolver.resolve(&alice, &short).unwrap().generation(), 1);
    let long = ResolveOptions::new("notes").min_ttl(Duration::from_secs(1_900));
    assert_eq!(world.resolver.resolve(&alice, &long).unwrap().generation(), 2);
}

#[test]
fn the_header_goes_only_to_the_providers_api() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    let token = world.resolver.resolve(&alice, "notes").unwrap();
    let header = token.dangerous_header();
    assert!(header.is_sensitive());
    assert_eq!(
        header.as_bytes(),
        format!("Bearer {}", token.access_token().expose_secret()).as_bytes()
    );
    assert!(
        token
            .header_for(&"https://sandbox.test/api/notes".parse().unwrap())
            .is_ok()
    );
    for elsewhere in [
        "https://sandbox.test/userinfo",
        "https://sandbox.test.evil.test/api/notes",
        "http://sandbox.test/api/notes",
        "https://sandbox.test:8443/api/notes",
        "https://user@sandbox.test/api/notes",
        "https://sandbox.test/apis/notes",
        "https://sandbox.test./api/notes",
    ] {
        assert!(
            token.header_for(&elsewhere.parse().unwrap()).is_err(),
            "{elsewhere}"
        );
    }
}

#[test]
fn when_a_token_was_last_used_is_written_by_upkeep_and_not_by_resolve() {
    let world = World::new();
    let alice = person("alice");
    let connection = world.connect(&alice, "ada");
    world.clock.advance(Duration::from_secs(10));
    for _ in 0..3 {
        world.resolver.resolve(&alice, "notes").unwrap();
    }
    assert_eq!(
        world.connections.get(&alice, connection.id).unwrap().used_at,
        None
    );
    assert_eq!(
        world
            .connections
            .maintain(Default::default())
            .unwrap()
            .uses_recorded,
        1
    );
    let used = world
        .connections
        .get(&alice, connection.id)
        .unwrap()
        .used_at
        .unwrap();
    assert_eq!(used, connection.created_at + Duration::from_secs(10));
}

#[test]
fn a_user_sees_their_own_and_the_shared_ones_and_an_operator_all() {
    let world = World::new();
    let (alice, bob) = (person("alice"), person("bob"));
    let alices = world.connect(&alice, "ada");
    world.clock.advance(Duration::from_secs(1));
    let bobs = world.connect(&bob, "grace");
    world.clock.advance(Duration::from_secs(1));
    let shared = world.connect_workspace_account("ada");
    let ids = |connections: Vec<valetkey::model::Connection>| -> Vec<_> {
        connections.into_iter().map(|connection| connection.id).collect()
    };
    let all = Default::default();
    assert_eq!(
        ids(world.connections.list(&alice, &all).unwrap()),
        [alices.id, shared.id]
    );
    assert_eq!(
        ids(world.connections.list(&operator(), &all).unwrap()),
        [alices.id, bobs.id, shared.id]
    );
    assert!(
        world
            .connections
            .list(&stranger("alice"), &all)
            .unwrap()
            .is_empty()
    );

    assert!(matches!(
        world.connections.get(&alice, bobs.id),
        Err(Error::NotFound)
    ));
    assert!(matches!(
        world.connections.revoke(&alice, bobs.id),
        Err(Error::NotFound)
    ));
    assert!(matches!(
        world.connections.revoke(&stranger("bob"), bobs.id),
        Err(Error::NotFound)
    ));
    assert!(world.connections.get(&alice, shared.id).is_ok());
    assert!(matches!(
        world.connections.revoke(&alice, shared.id),
        Err(Error::NotPermitted)
    ));
    assert!(world.connections.revoke(&operator(), bobs.id).is_ok());
}

#[test]
fn uses_are_audited_as_the_host_wishes() {
    use valetkey::connections::{AuditPage, Settings};
    use valetkey::vault::AuditKind;
    for (settings, at_once, after_upkeep) in [
        (Settings::default().no_use_audit(), 0, 0),
        (Settings::default(), 0, 1),
        (Settings::default().strict_use_audit(), 3, 3),
    ] {
        let host = Host::builder().connections(|_, builder| builder.settings(settings));
        let host = host.build().unwrap();
        let alice = person("alice");
        host.connect(&alice, "notes");
        for _ in 0..3 {
            host.resolver.resolve(&alice, "notes").unwrap();
        }
        let used = || {
            let entries = host.connections.audit(&alice, &AuditPage::default()).unwrap();
            entries
                .into_iter()
                .filter(|entry| entry.kind == AuditKind::TokenUsed)
                .count()
        };
        assert_eq!(used(), at_once, "{settings:?}");
        host.connections.maintain(Default::default()).unwrap();
        assert_eq!(used(), after_upkeep, "{settings:?}");
    }
}
