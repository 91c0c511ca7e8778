//! A turn uses a token that it holds again, unless anything was committed since.

use std::ptr;
use std::time::Duration;

use http::Request;
use valetkey::connections::AuditPage;
use valetkey::error::Error;
use valetkey::model::Label;
use valetkey::resolver::{Calls, Policy, ResolveOptions, ResolvedToken, Turn, WorkspaceConnections};
use valetkey::testing::Host;
use valetkey::vault::{AuditKind, MasterKey, SqliteOptions, SqliteVault};
use valetkey::{ConsentOptions, Resolver};

use crate::support::world::{World, operator, person};

/// Runs a test over every source that tells a vault whether anything was committed: the index of
/// the log, and SQLite's version of the data. The second host has its own handle on the same file,
/// as another process has.
fn everywhere(test: impl Fn(&World, &Host)) {
    for options in [SqliteVault::options(), SqliteVault::options().without_log_index()] {
        let directory = tempfile::tempdir().unwrap();
        let open = |options: &SqliteOptions| {
            let key = MasterKey::from_base64("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=").unwrap();
            options.open(directory.path().join("vault.db"), key).unwrap()
        };
        let world = World::over(open(&options));
        let other = world.another().vault(open(&options)).build().unwrap();
        test(&world, &other);
    }
}

fn is_same(one: &ResolvedToken, other: &ResolvedToken) -> bool {
    ptr::eq(one.access_token(), other.access_token())
}

fn turn_of_alice(resolver: &Resolver) -> Turn {
    resolver.turn(person("alice"))
}

#[test]
fn the_same_token_is_neither_read_nor_opened_again() {
    everywhere(|world, _| {
        world.connect(&person("alice"), "ada");
        let turn = turn_of_alice(&world.resolver);
        let first = turn.resolve("notes").unwrap();
        let second = turn.resolve("notes").unwrap();
        assert!(is_same(&first, &second));
        assert!(is_same(&first, &turn.peek("notes").unwrap().unwrap()));
        let request = Request::get("/notes").body(Vec::new()).unwrap();
        turn.send("notes", request).unwrap();
        assert!(is_same(&first, &turn.resolve("notes").unwrap()));
        // Outside of the turn, and in another one, the token is opened again.
        let another = turn_of_alice(&world.resolver).resolve("notes").unwrap();
        assert!(!is_same(&first, &another));
        let outside = world.resolver.resolve(&person("alice"), "notes").unwrap();
        assert!(!is_same(&first, &outside));
        // Both names of one connection are two queries.
        let scoped = ResolveOptions::new("notes").scopes("notes.read".parse().unwrap());
        assert!(!is_same(&first, &turn.resolve(&scoped).unwrap()));
        assert!(turn.resolve("mail").is_err());
    });
}

#[test]
fn any_commit_of_another_process_leads_to_a_new_read() {
    everywhere(|world, other| {
        let alice = person("alice");
        world.connect(&alice, "ada");
        let turn = turn_of_alice(&world.resolver);
        let first = turn.resolve("notes").unwrap();
        other.connect(&person("bob"), "notes");
        let second = turn.resolve("notes").unwrap();
        assert!(!is_same(&first, &second));
        assert_eq!(
            first.access_token().expose_secret(),
            second.access_token().expose_secret()
        );
        assert!(is_same(&second, &turn.resolve("notes").unwrap()));
    });
}

#[test]
fn a_revocation_ends_the_token_of_a_turn() {
    everywhere(|world, other| {
        let alice = person("alice");
        for host in [&**world, other] {
            let connection = world.connect(&alice, "ada");
            let turn = turn_of_alice(&world.resolver);
            turn.resolve("notes").unwrap();
            host.connections.revoke(&alice, connection.id).unwrap();
            let after = turn.resolve("notes");
            assert!(matches!(after, Err(Error::ConsentRequired(_))), "{after:?}");
            let request = Request::get("/notes").body(Vec::new()).unwrap();
            let sent = turn.send("notes", request);
            assert!(matches!(sent, Err(Error::ConsentRequired(_))), "{sent:?}");
        }
    });
}

#[test]
fn a_refresh_replaces_the_token_of_a_turn() {
    everywhere(|world, other| {
        let alice = person("alice");
        let connection = world.connect(&alice, "ada");
        for host in [&**world, other] {
            let turn = turn_of_alice(&world.resolver);
            let first = turn.resolve("notes").unwrap();
            host.connections.refresh(&alice, connection.id).unwrap();
            let second = turn.resolve("notes").unwrap();
            assert_eq!(second.generation(), first.generation() + 1);
            assert_ne!(
                first.access_token().expose_secret(),
                second.access_token().expose_secret()
            );
        }
    });
}

#[test]
fn an_expired_token_of_a_turn_is_refreshed() {
    everywhere(|world, _| {
        world.connect(&person("alice"), "ada");
        let turn = turn_of_alice(&world.resolver);
        let first = turn.resolve("notes").unwrap();
        let requests = world.token_requests();
        world.expire();
        let second = turn.resolve("notes").unwrap();
        assert_eq!(second.generation(), first.generation() + 1);
        assert_eq!(world.token_requests(), requests + 1);
    });
}

#[test]
fn the_policy_decides_about_every_call() {
    everywhere(|world, _| {
        let alice = person("alice");
        world.connect_workspace_account("grace");
        let policy = Policy::default()
            .deny(Calls::all().provider("notes").tool("wipe"))
            .tool("write", WorkspaceConnections::Forbidden);
        let turn = world.resolver.clone().policy(policy).turn(alice.clone());
        let options = ResolveOptions::new("notes");
        let shared = turn.resolve(&options).unwrap();
        assert!(is_same(&shared, &turn.resolve(&options).unwrap()));
        let denied = turn.resolve(options.clone().tool("wipe"));
        assert!(matches!(denied, Err(Error::Denied { .. })), "{denied:?}");
        let forbidden = turn.resolve(options.clone().tool("write"));
        assert!(
            matches!(forbidden, Err(Error::ConsentRequired(_))),
            "{forbidden:?}"
        );
        // A personal connection takes precedence from the next call on.
        world.connect(&alice, "ada");
        assert!(!turn.resolve(&options).unwrap().is_workspace());
        assert!(!turn.resolve(options.tool("write")).unwrap().is_workspace());
    });
}

#[test]
fn each_label_has_its_own_token() {
    everywhere(|world, other| {
        let alice = person("alice");
        let label = |name: &str| Label::new(name).unwrap();
        for (name, account) in [("home", "ada"), ("work", "grace")] {
            let options = ConsentOptions::default().label(label(name));
            world.try_connect(&alice, account, options).unwrap();
        }
        let turn = turn_of_alice(&world.resolver);
        let labelled = |name: &str| {
            turn.resolve(ResolveOptions::new("notes").label(label(name)))
                .unwrap()
        };
        let (home, work) = (labelled("home"), labelled("work"));
        assert_ne!(home.connection(), work.connection());
        assert!(is_same(&home, &labelled("home")) && is_same(&work, &labelled("work")));
        // Without a label the default decides, which another process changes.
        let unnamed = || turn.resolve("notes").map(|token| token.connection());
        for default in [home.connection(), work.connection()] {
            other.connections.set_default(&alice, default).unwrap();
            assert_eq!(unnamed().unwrap(), default);
            assert_eq!(unnamed().unwrap(), default);
        }
    });
}

#[test]
fn every_use_is_recorded() {
    everywhere(|world, _| {
        let alice = person("alice");
        world.connect(&alice, "ada");
        let turn = turn_of_alice(&world.resolver).id("turn-7").unwrap();
        let first = turn.resolve("notes").unwrap();
        for _ in 0..3 {
            // Uses within a second are one entry.
            world.clock.advance(Duration::from_secs(1));
            assert!(is_same(&first, &turn.resolve("notes").unwrap()));
        }
        world.connections.maintain(Default::default()).unwrap();
        let entries = world
            .connections
            .audit(&operator(), &AuditPage::default())
            .unwrap();
        let uses = entries.iter().filter(|entry| entry.kind == AuditKind::TokenUsed);
        assert_eq!(uses.count(), 4);
    });
}

#[test]
fn a_forgotten_user_has_no_token_in_a_turn() {
    everywhere(|world, other| {
        let alice = person("alice");
        world.connect(&alice, "ada");
        let turn = turn_of_alice(&world.resolver);
        turn.resolve("notes").unwrap();
        other.connections.forget_user(&operator(), alice.user()).unwrap();
        let after = turn.resolve("notes");
        assert!(matches!(after, Err(Error::ConsentRequired(_))), "{after:?}");
        // The whole tenant is erased, and its name is used by a new one.
        world.connect(&alice, "ada");
        let turn = turn_of_alice(&world.resolver);
        let first = turn.resolve("notes").unwrap();
        other.connections.forget_tenant(&operator()).unwrap();
        assert!(turn.resolve("notes").is_err());
        other.connect(&alice, "notes");
        assert_ne!(turn.resolve("notes").unwrap().connection(), first.connection());
    });
}
