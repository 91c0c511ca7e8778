//! Which connection a turn acts through, and why.

mod world;

use valetkey::resolver::{Finding, ResolveOptions, SharedConnections, SharingPolicy, Step, TokenState};
use world::{World, person};

fn scopes(scopes: &str) -> ResolveOptions {
    ResolveOptions::default().scopes(scopes.parse().unwrap())
}

#[test]
fn reading_may_fall_back_and_writing_never() {
    let world = World::new();
    world.connect_shared("grace");
    let policy = SharingPolicy::default().personal_scopes("notes.write".parse().unwrap());
    let turn = world.resolver.clone().with_policy(policy).turn(person("alice"));
    assert!(
        turn.resolve_with("notes", &scopes("notes.read"))
            .unwrap()
            .is_shared()
    );
    for needed in ["notes.write", "notes.read notes.write"] {
        let error = turn.resolve_with("notes", &scopes(needed)).unwrap_err();
        assert!(error.consent_required().is_some(), "{needed}: {error:?}");
    }
    world.connect(&person("alice"), "ada");
    assert!(
        !turn
            .resolve_with("notes", &scopes("notes.write"))
            .unwrap()
            .is_shared()
    );
}

#[test]
fn the_explanation_is_the_decision() {
    let world = World::new();
    let alice = person("alice");
    let none = ResolveOptions::default();
    let explain = |options: &ResolveOptions| world.resolver.explain(&alice, "notes", options);
    let fallback = Step::Policy(SharedConnections::Fallback);
    let nothing = (Step::Personal(Finding::Nothing), Step::Shared(Finding::Nothing));

    let explanation = explain(&none);
    assert_eq!(explanation.steps, [fallback, nothing.0, nothing.1]);
    assert!(
        explanation
            .to_string()
            .ends_with("=> no token: notes needs consent: not connected yet")
    );

    let shared = Step::Shared(Finding::Active(world.connect_shared("grace").id));
    let fresh = Step::Token(TokenState::Fresh);
    assert_eq!(explain(&none).steps, [fallback, nothing.0, shared, fresh]);

    let own = Step::Personal(Finding::Active(world.connect(&alice, "ada").id));
    let explanation = explain(&none);
    assert_eq!(explanation.steps, [fallback, own, fresh]);
    assert!(explanation.refusal.is_none());
    let requests = world.http.requests();
    world.expire();
    assert_eq!(explain(&none).steps.last(), Some(&Step::Token(TokenState::Stale)));
    assert_eq!(world.http.requests(), requests, "a provider was asked");

    let token = world.resolver.resolve(&alice, "notes").unwrap();
    world.sandbox.clear_log();
    let printed = format!("{} {:?}", explain(&none), explain(&none));
    assert!(!printed.contains(token.access_token().expose_secret()));
    assert!(explain(&scopes("other")).refusal.is_some());
    let unknown = world.resolver.explain(&alice, "none", &none);
    assert!(unknown.steps.is_empty() && unknown.refusal.is_some());
}
