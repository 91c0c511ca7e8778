//! A host checks that its artifacts contain no token.

use std::panic::catch_unwind;

use valetkey::testing::assert_no_secrets;

use crate::support::world::{World, person};

#[test]
fn clean_artefacts_pass_and_a_leak_is_named_without_being_repeated() {
    let world = World::new();
    world.connect(&person("alice"), "ada");
    let turn = world.resolver.turn(person("alice"));
    let token = turn.resolve("notes").unwrap();
    let token = token.access_token().expose_secret();
    assert_no_secrets(&turn, [("prompt", "clean"), ("log", "also clean")]);

    let log = format!("GET /notes\nauthorization: Bearer {token}\n");
    let artefacts = [("prompt", "clean"), ("log", &log)];
    let caught = catch_unwind(std::panic::AssertUnwindSafe(|| {
        assert_no_secrets(&turn, artefacts)
    }));
    let message = caught.unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert!(message.contains("log at byte 33 (1 in all)"), "{message}");
    assert!(!message.contains("prompt"));
    assert!(!turn.contains_secret(message));
}
