//! The audit names the turn of each token use, its purpose, and the owner of the token.

use http::Request;
use valetkey::connections::{AuditPage, Budget};
use valetkey::resolver::Turn;
use valetkey::vault::{AuditEntry, AuditKind, MasterKey, SqliteVault};
use valetkey::{ActingUser, Error};

use crate::support::world::{World, person};

fn on_disk() -> World {
    World::over(SqliteVault::in_memory(MasterKey::generate().unwrap()).unwrap())
}

fn turn(world: &World, person: ActingUser, id: &str) -> Turn {
    let turn = world.resolver.turn(person).id(id).unwrap();
    turn.purpose(format!("to do {id}")).unwrap()
}

fn get(address: &str) -> http::request::Builder {
    Request::get(address)
}

/// Returns the audit entries about uses, after upkeep has written them.
fn uses(world: &World, by: &ActingUser) -> Vec<AuditEntry> {
    world.connections.maintain(Budget::default()).unwrap();
    let mut entries = world.connections.audit(by, &AuditPage::default()).unwrap();
    entries.retain(|entry| entry.kind == AuditKind::TokenUsed);
    entries
}

fn told(entry: &AuditEntry) -> (Option<&str>, Option<&str>, bool) {
    (entry.turn.as_deref(), entry.purpose.as_deref(), entry.shared)
}

#[test]
fn each_way_to_use_a_token_in_a_turn_is_told_with_its_turn() {
    let world = on_disk();
    let alice = person("alice");
    world.connect(&alice, "ada");
    turn(&world, alice.clone(), "resolve").resolve("notes").unwrap();
    turn(&world, alice.clone(), "peek")
        .peek("notes")
        .unwrap()
        .unwrap();
    let request = get("/notes").body(Vec::new()).unwrap();
    turn(&world, alice.clone(), "send")
        .send("notes", request)
        .unwrap();
    let filling = turn(&world, alice.clone(), "fill");
    let bearer = format!("Bearer {}", filling.placeholder("notes").unwrap());
    let request = get("https://sandbox.test/api/notes").header("authorization", bearer);
    filling.fill(request.body(Vec::new()).unwrap()).unwrap();
    world.resolver.resolve(&alice, "notes").unwrap();

    let uses = uses(&world, &alice);
    let mut expected: Vec<_> = ["resolve", "peek", "send", "fill"]
        .iter()
        .map(|id| (Some(*id), format!("to do {id}")))
        .collect();
    expected.push((None, String::new()));
    assert_eq!(uses.len(), expected.len());
    for (entry, (id, purpose)) in uses.iter().zip(&expected) {
        let purpose = (!purpose.is_empty()).then_some(purpose.as_str());
        assert_eq!(told(entry), (*id, purpose, false));
    }
}

#[test]
fn a_turn_without_a_name_of_the_hosts_has_one_of_its_own() {
    let world = on_disk();
    let alice = person("alice");
    world.connect(&alice, "ada");
    let turn = world.resolver.turn(alice.clone());
    turn.resolve("notes").unwrap();
    let uses = uses(&world, &alice);
    assert_eq!(uses[0].turn.as_deref(), turn.turn_id());
    assert_eq!(uses[0].purpose, None);
}

#[test]
fn many_calls_of_a_turn_within_a_second_are_one_entry_and_turns_are_never_joined() {
    let world = on_disk();
    let alice = person("alice");
    world.connect(&alice, "ada");
    let (one, other) = (
        turn(&world, alice.clone(), "one"),
        turn(&world, alice.clone(), "other"),
    );
    for _ in 0..10 {
        one.resolve("notes").unwrap();
        other.resolve("notes").unwrap();
    }
    let uses = uses(&world, &alice);
    let turns: Vec<_> = uses.iter().map(|entry| entry.turn.as_deref()).collect();
    assert_eq!(turns, [Some("one"), Some("other")]);
}

#[test]
fn a_fallback_is_told_as_such() {
    let world = on_disk();
    let alice = person("alice");
    world.connect_workspace_account("grace");
    turn(&world, alice.clone(), "shared").resolve("notes").unwrap();
    world.connect(&alice, "ada");
    turn(&world, alice.clone(), "own").resolve("notes").unwrap();
    let mut uses = uses(&world, &alice);
    // Uses of different connections are collected separately, and written in no guaranteed order.
    uses.sort_by_key(|entry| !entry.shared);
    let shared: Vec<_> = uses.iter().map(told).collect();
    assert_eq!(
        shared,
        [
            (Some("shared"), Some("to do shared"), true),
            (Some("own"), Some("to do own"), false)
        ]
    );
}

#[test]
fn what_the_audit_cannot_hold_is_refused_before_the_turn_has_it() {
    let world = on_disk();
    let alice = person("alice");
    let long = "x".repeat(513);
    for (text, rule) in [
        ("", "empty"),
        (long.as_str(), "too_long"),
        ("a\nb", "control_character"),
        ("a\u{2028}b", "control_character"),
    ] {
        let turn = || world.resolver.turn(alice.clone());
        for refused in [turn().id(text), turn().purpose(text)] {
            assert!(
                matches!(&refused, Err(Error::InvalidValue(found)) if found.rule() == rule),
                "{refused:?}"
            );
        }
    }
    world.connect(&alice, "ada");
    let turn = world.resolver.turn(alice.clone()).purpose(&long[..512]).unwrap();
    turn.resolve("notes").unwrap();
    assert_eq!(uses(&world, &alice)[0].purpose.as_deref(), Some(&long[..512]));
}
