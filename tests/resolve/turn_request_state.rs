//! A request state opens only for the user and the call that it was created for, once, and before
//! it expires.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use valetkey::ActingUser;
use valetkey::connections::ConsentState;
use valetkey::resolver::mcp::{Action, RequestStateError, RequestStateKey};
use valetkey::resolver::{ConsentRequest, Turn};
use valetkey::vault::MasterKey;

use crate::support::world::{World, person, response};

fn key() -> RequestStateKey {
    RequestStateKey::of(&MasterKey::generate().unwrap())
}

fn asked(turn: &Turn) -> Arc<ConsentRequest> {
    let error = turn.resolve("notes").unwrap_err();
    turn.ask(error.consent_required().unwrap()).unwrap()
}

const METHOD: &str = "tools/call";

fn arguments() -> Value {
    json!({ "to": ["ada"], "limit": 10 })
}

/// Returns the parameters of a call of this tool.
fn parameters(name: &str, arguments: &Value) -> Value {
    json!({ "name": name, "arguments": arguments, "_meta": { "progressToken": 1 } })
}

fn call() -> Value {
    parameters("send_mail", &arguments())
}

#[test]
fn it_opens_for_whom_and_what_it_was_made_and_for_nothing_else() {
    let world = World::new();
    let turn = world.resolver.turn(person("alice"));
    let (key, call) = (key(), call());
    let asked = asked(&turn);
    let state = key.seal(&turn, METHOD, &call, &[&asked]).unwrap();
    let open = |turn: &Turn, method: &str, call: &Value| key.open(turn, method, call, &state);

    for (tenant, user) in [("acme", "bob"), ("evil", "alice"), ("acmea", "lice")] {
        let other = ActingUser::authenticated(tenant, user).unwrap();
        let refused = open(&world.resolver.turn(other), METHOD, &call).unwrap_err();
        assert_eq!(refused, RequestStateError::WrongUser, "{tenant} {user}");
    }
    for (method, name) in [
        ("tools/call", "delete_mail"),
        ("tools/call", ""),
        ("prompts/get", "send_mail"),
        ("tools/cal", "lsend_mail"),
    ] {
        let refused = open(&turn, method, &parameters(name, &arguments())).unwrap_err();
        assert_eq!(refused, RequestStateError::OtherCall, "{method} {name}");
    }
    for other in [
        json!({ "to": ["eve"], "limit": 10 }),
        json!({ "to": ["ada"], "limit": 10.0 }),
        json!({ "to": "ada", "limit": 10 }),
        json!({ "to": ["ada"], "limit": 10, "bcc": null }),
        json!({ "to": ["ada"] }),
        json!(null),
    ] {
        let refused = open(&turn, METHOD, &parameters("send_mail", &other)).unwrap_err();
        assert_eq!(refused, RequestStateError::OtherArguments, "{other}");
    }
    for (other, refusal) in [
        (json!({ "name": "send_mail" }), RequestStateError::OtherArguments),
        (
            json!({ "name": "send_mail", "arguments": arguments(), "task": {} }),
            RequestStateError::OtherCall,
        ),
        (json!({ "arguments": arguments() }), RequestStateError::OtherCall),
        (json!(null), RequestStateError::OtherCall),
        (json!([]), RequestStateError::OtherCall),
    ] {
        assert_eq!(open(&turn, METHOD, &other), Err(refusal), "{other}");
    }
    let another_key = self::key().open(&turn, METHOD, &call, &state);
    assert_eq!(another_key, Err(RequestStateError::Forged));
    // None of these attempts used it up: it still opens for its user, in another turn, with the
    // arguments in another order and with other protocol members.
    let later = world.resolver.turn(person("alice"));
    let same = r#"{"arguments":{"limit":10,"to":["ada"]},"requestState":"x","inputResponses":{},"name":"send_mail"}"#;
    let same = serde_json::from_str(same).unwrap();
    assert_eq!(open(&later, METHOD, &same).unwrap(), [asked.id()]);
    assert_eq!(open(&later, METHOD, &call), Err(RequestStateError::Used));
}

#[test]
fn whatever_is_changed_in_it_is_noticed() {
    let world = World::new();
    let turn = world.resolver.turn(person("alice"));
    let (key, call) = (key(), call());
    let state = key.seal(&turn, METHOD, &call, &[&asked(&turn)]).unwrap();
    for at in 0..state.len() {
        for other in ['A', 'B', '!'] {
            let mut forged = state.clone();
            forged.replace_range(at..=at, &other.to_string());
            if forged != state {
                assert_eq!(
                    key.open(&turn, METHOD, &call, &forged),
                    Err(RequestStateError::Forged),
                    "{at}"
                );
            }
        }
        assert_eq!(
            key.open(&turn, METHOD, &call, &state[..at]),
            Err(RequestStateError::Forged),
            "cut at {at}"
        );
    }
    for text in [
        format!("{state}A"),
        format!("{state}="),
        state.repeat(20),
        "A".repeat(1 << 20),
    ] {
        assert_eq!(
            key.open(&turn, METHOD, &call, &text),
            Err(RequestStateError::Forged)
        );
    }
    assert!(key.open(&turn, METHOD, &call, &state).is_ok());
}

#[test]
fn it_is_good_for_its_time_and_not_longer() {
    let world = World::new();
    let turn = world.resolver.turn(person("alice"));
    let call = call();
    for (key, lifetime) in [(key(), 3600), (key().lifetime(Duration::from_secs(60)), 60)] {
        let states: Vec<_> = (0..2)
            .map(|_| key.seal(&turn, METHOD, &call, &[]).unwrap())
            .collect();
        world.clock.advance(Duration::from_secs(lifetime - 1));
        assert_eq!(key.open(&turn, METHOD, &call, &states[0]), Ok(Vec::new()));
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(
            key.open(&turn, METHOD, &call, &states[1]),
            Err(RequestStateError::Expired)
        );
        assert_eq!(
            key.open(&turn, METHOD, &call, &states[0]),
            Err(RequestStateError::Expired)
        );
    }
}

#[test]
fn it_says_nothing_to_who_holds_it_and_never_repeats() {
    let world = World::new();
    let turn = world.resolver.turn(person("alice"));
    let (key, call) = (key(), call());
    let asked = asked(&turn);
    let one = key.seal(&turn, METHOD, &call, &[&asked]).unwrap();
    assert_ne!(one, key.seal(&turn, METHOD, &call, &[&asked]).unwrap());
    assert!(
        one.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    );
    assert_eq!(format!("{key:?}"), "RequestStateKey([redacted])");
}

/// The whole sequence: asked, called again too early, consented, called again, and the same message
/// repeated.
#[test]
fn a_call_is_answered_again_after_the_consent_and_a_replay_is_refused() {
    let world = World::new();
    let alice = person("alice");
    let (key, call) = (key(), call());
    let first = world.resolver.turn(alice.clone());
    let waiting = asked(&first);
    let state = key.seal(&first, METHOD, &call, &[&waiting]).unwrap();

    let early = world.resolver.turn(alice.clone());
    assert_eq!(key.open(&early, METHOD, &call, &state).unwrap(), [waiting.id()]);
    assert_eq!(early.poll(waiting.id()).unwrap(), ConsentState::Pending);
    assert_eq!(asked(&early).id(), waiting.id(), "no second flow");
    let state = key.seal(&early, METHOD, &call, &[&waiting]).unwrap();

    let consent = world
        .connections
        .open_link(&alice, waiting.prepared().ticket())
        .unwrap();
    let callback = world.sandbox.approve(consent.authorization_url(), "ada");
    world
        .connections
        .complete(&alice, response(&callback), consent.binding())
        .unwrap();

    let last = world.resolver.turn(alice);
    let ids = key.open(&last, METHOD, &call, &state).unwrap();
    assert!(matches!(last.poll(ids[0]).unwrap(), ConsentState::Completed(_)));
    assert!(last.resolve("notes").is_ok());
    assert_eq!(
        key.open(&last, METHOD, &call, &state),
        Err(RequestStateError::Used)
    );
}

#[test]
fn who_declines_ends_the_matter_and_is_asked_anew_when_they_want_it_again() {
    let world = World::new();
    let alice = person("alice");
    for action in ["decline", "cancel"] {
        let turn = world.resolver.turn(alice.clone());
        let waiting = asked(&turn);
        let answer = Action::of(&json!({ "action": action })).unwrap();
        assert!(matches!(answer, Action::Declined | Action::Cancelled));
        assert_eq!(turn.cancel(waiting.id()).unwrap(), ConsentState::Cancelled);
        assert!(
            world
                .connections
                .open_link(&alice, waiting.prepared().ticket())
                .is_err()
        );
        let again = asked(&world.resolver.turn(alice.clone()));
        assert_ne!(again.id(), waiting.id());
        world.connections.cancel(&alice, again.id()).unwrap();
    }
}
