//! The consent requirement of a turn: satisfying it makes the same call succeed.

use valetkey::ConsentOptions;
use valetkey::error::ConsentRequired;
use valetkey::model::{Label, Scopes};
use valetkey::resolver::ResolveOptions;

use crate::support::world::{World, person, response};

fn meet(world: &World, need: &ConsentRequired) {
    let alice = person("alice");
    let options = ConsentOptions::from(need);
    let consent = world
        .connections
        .start(&alice, need.provider.as_str(), options)
        .unwrap();
    finish(world, &consent);
}

fn finish(world: &World, consent: &valetkey::connections::Consent) {
    let callback = world.sandbox.approve(consent.authorization_url(), "ada");
    let completed = world
        .connections
        .complete(&person("alice"), response(&callback), consent.binding());
    completed.unwrap();
}

/// Returns every combination of options that a call can have.
fn calls() -> Vec<ResolveOptions<'static>> {
    let label = || Label::new("work").unwrap();
    let scopes = || "notes.write".parse::<Scopes>().unwrap();
    vec![
        ResolveOptions::new("notes"),
        ResolveOptions::new("notes").label(label()),
        ResolveOptions::new("notes").scopes(scopes()),
        ResolveOptions::new("notes").label(label()).scopes(scopes()),
    ]
}

#[test]
fn satisfying_a_need_makes_the_same_call_succeed() {
    for options in calls() {
        let world = World::new();
        let turn = world.resolver.turn(person("alice"));
        let error = turn.resolve(&options).unwrap_err();
        let need = error.consent_required().unwrap();
        meet(&world, need);
        assert!(turn.resolve(&options).is_ok(), "{options:?}");
    }
}

#[test]
fn satisfying_a_need_by_a_link_makes_the_same_call_succeed() {
    for options in calls() {
        let world = World::new();
        let turn = world.resolver.turn(person("alice"));
        let error = turn.resolve(&options).unwrap_err();
        let asked = turn.ask(error.consent_required().unwrap()).unwrap();
        let consent = world
            .connections
            .open_link(&person("alice"), asked.prepared().ticket())
            .unwrap();
        finish(&world, &consent);
        assert!(turn.resolve(&options).is_ok(), "{options:?}");
    }
}

#[test]
fn a_tool_that_needs_one_scope_does_not_take_the_others_away() {
    let world = World::new();
    let turn = world.resolver.turn(person("alice"));
    let write = ResolveOptions::new("notes").scopes("notes.write".parse().unwrap());
    let error = turn.resolve(&write).unwrap_err();
    meet(&world, error.consent_required().unwrap());
    let read = ResolveOptions::new("notes").scopes("notes.read".parse().unwrap());
    assert!(turn.resolve(&read).is_ok(), "the default scopes");
    assert!(turn.resolve(&write).is_ok());
}
