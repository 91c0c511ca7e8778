//! Callbacks other than the one that a consent waits for: each is refused, and the consent stays
//! open.

use valetkey::error::ConsentError;
use valetkey::{ActingUser, Binding, ConsentOptions};

use crate::start_to_complete::consent_error;
use crate::support::world::{World, person, response, stranger};

/// A callback other than the one that the consent waits for.
struct Foreign {
    promise: u8,
    name: &'static str,
    by: fn() -> ActingUser,
    /// The browser's binding, given those of this consent and of another consent of the same user.
    binding: fn(own: &str, other: &str) -> String,
    /// The callback, derived from the genuine one.
    callback: fn(genuine: &str) -> String,
    expected: ConsentError,
}

const FOREIGN: [Foreign; 7] = [
    // PrefectHQ/fastmcp#3201, Robert-Velhorst/000-LARO#155, BasedHardware/omi#16093: a consent link
    // sent to a victim attached the victim's account to the attacker.
    Foreign {
        promise: 19,
        name: "another person",
        by: || person("bob"),
        expected: ConsentError::WrongUser,
        ..GENUINE
    },
    Foreign {
        promise: 19,
        name: "a person of another workspace",
        by: || stranger("alice"),
        expected: ConsentError::Unknown,
        ..GENUINE
    },
    Foreign {
        promise: 18,
        name: "the browser of another consent",
        binding: |_, other| other.into(),
        expected: ConsentError::WrongBrowser,
        ..GENUINE
    },
    Foreign {
        promise: 18,
        name: "a guessed binding",
        binding: |_, _| "guess".into(),
        expected: ConsentError::WrongBrowser,
        ..GENUINE
    },
    Foreign {
        promise: 18,
        name: "no binding",
        binding: |_, _| String::new(),
        expected: ConsentError::WrongBrowser,
        ..GENUINE
    },
    Foreign {
        promise: 18,
        name: "a state that nobody was given",
        callback: |_| "?code=c&state=nobody".into(),
        expected: ConsentError::Unknown,
        ..GENUINE
    },
    // modelcontextprotocol/rust-sdk#1167: the pending consent must survive a response that is not
    // from the server.
    Foreign {
        promise: 20,
        name: "an answer of another issuer",
        callback: |genuine| genuine.replace("sandbox.test", "evil.test"),
        expected: ConsentError::IssuerMismatch,
        ..GENUINE
    },
];

/// The genuine callback, which each row of the table modifies.
const GENUINE: Foreign = Foreign {
    promise: 0,
    name: "",
    by: || person("alice"),
    binding: |own, _| own.into(),
    callback: str::to_owned,
    expected: ConsentError::Unknown,
};

/// Each callback is refused without a request, and the genuine callback still completes the
/// consent.
fn is_refused_and_leaves_the_consent_open(promise: u8) {
    let mut tried = 0;
    for foreign in FOREIGN.iter().filter(|foreign| foreign.promise == promise) {
        let name = foreign.name;
        let world = World::new();
        let alice = person("alice");
        let consent = world.start(&alice, ConsentOptions::default());
        let other = world.start(&alice, ConsentOptions::default());
        let genuine = world.sandbox.approve(consent.authorization_url(), "ada");
        let binding = (foreign.binding)(consent.binding().expose_secret(), other.binding().expose_secret());
        let answer = response(&(foreign.callback)(&genuine));
        let error = world
            .connections
            .complete(&(foreign.by)(), answer, &Binding::new(binding))
            .unwrap_err();
        assert_eq!(consent_error(&error), foreign.expected, "{name}");
        assert_eq!(world.token_requests(), 0, "{name}");
        let completed = world.complete(&alice, &genuine, &consent);
        assert!(completed.is_ok(), "{name}: {completed:?}");
        tried += 1;
    }
    assert!(tried > 0);
}

#[test]
fn promise_19_only_the_person_who_began_it_can_complete_it() {
    is_refused_and_leaves_the_consent_open(19);
}

#[test]
fn promise_18_only_the_browser_in_which_it_began_can_complete_it() {
    is_refused_and_leaves_the_consent_open(18);
}

#[test]
fn promise_20_a_forged_callback_does_not_close_the_door_for_the_genuine_one() {
    is_refused_and_leaves_the_consent_open(20);
}
