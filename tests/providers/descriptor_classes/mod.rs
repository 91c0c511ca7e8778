//! Classes of services by their requirements. Each class has a descriptor, written as JSON, and a
//! walk with it against a server that records every request. The classes and the number of services
//! in each come from a count of 343 services of a public catalog; a service with several
//! requirements counts once, in its rarest class. The share is therefore by class, not by service.
//!
//! `VALETKEY_SHOW_WALKS=1` prints the requests, to be reviewed before they are recorded here.

mod added;
mod answers;
mod places;
mod plain;
mod walk;

use walk::Class;

/// Requirements that no descriptor can express, and the number of services with them.
const BEYOND: [(&str, u32); 6] = [
    (
        "a token request that is signed, or made by a library of their own",
        3,
    ),
    (
        "an assertion signed with a private key in the place of a secret",
        1,
    ),
    ("a second login after the token", 1),
    ("a code that stands for client credentials, or a mix of both", 2),
    ("an installation by webhook", 1),
    (
        "renewal by GET with the token in the URL: it would be in every log",
        2,
    ),
];

fn classes() -> Vec<&'static Class> {
    [plain::CLASSES, added::CLASSES, places::CLASSES, answers::CLASSES]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn each_class_is_walked_and_every_request_is_as_the_service_wants_it() {
    let show = std::env::var_os("VALETKEY_SHOW_WALKS").is_some();
    let mut shown = String::new();
    for class in classes() {
        let sent = class.walk();
        if show {
            shown.push_str(&format!("\n== {}\n{}\n", class.name, sent.join("\n")));
        } else {
            assert_eq!(sent, class.sends, "{}", class.name);
        }
    }
    assert!(!show, "{shown}");
}

#[test]
fn at_least_97_percent_of_the_services_can_be_said() {
    let said: u32 = classes().iter().map(|class| class.services).sum();
    let beyond: u32 = BEYOND.iter().map(|(_, services)| services).sum();
    assert_eq!(said + beyond, 343);
    assert!(said * 1000 >= 343 * 970, "{said} of 343; not {BEYOND:?}");
}
