//! Selects the connection for a turn, and explains the decision.

use std::time::Duration;

use valetkey::error::ConsentReason;
use valetkey::model::{Label, ProviderId};
use valetkey::resolver::{Calls, Explanation, Policy, ResolveOptions, WorkspaceConnections};
use valetkey::vault::SealedVault;
use valetkey::{Error, TenantId, UserId};

use crate::support::world::{World, person};

fn scopes(scopes: &str) -> ResolveOptions<'static> {
    ResolveOptions::new("notes").scopes(scopes.parse().unwrap())
}

#[test]
fn reading_may_fall_back_and_writing_never() {
    let world = World::new();
    world.connect_workspace_account("grace");
    let policy = Policy::default().personal_scopes("notes.write".parse().unwrap());
    let turn = world.resolver.clone().policy(policy).turn(person("alice"));
    assert!(turn.resolve(scopes("notes.read")).unwrap().is_workspace());
    for needed in ["notes.write", "notes.read notes.write"] {
        let error = turn.resolve(scopes(needed)).unwrap_err();
        assert!(error.consent_required().is_some(), "{needed}: {error:?}");
    }
    world.connect(&person("alice"), "ada");
    assert!(!turn.resolve(scopes("notes.write")).unwrap().is_workspace());
}

fn steps(explanation: &Explanation) -> Vec<String> {
    explanation.steps().map(|step| step.to_string()).collect()
}

#[test]
fn the_explanation_is_the_decision() {
    let world = World::new();
    let alice = person("alice");
    let none = ResolveOptions::new("notes");
    let explain = |options: &ResolveOptions<'_>| world.resolver.turn(alice.clone()).explain(options);
    let fallback = "policy: the workspace connection is a fallback, by default".to_owned();
    let no_own = "the user's own connection: none".to_owned();
    let no_shared = "the workspace connection: none".to_owned();
    let fresh = "its token: good".to_owned();

    let explanation = explain(&none);
    let told = [fallback.clone(), no_own.clone(), no_shared];
    assert_eq!(steps(&explanation), told);
    assert_eq!(
        explanation.to_string(),
        format!(
            "1. {}\n2. {}\n3. {}\n=> no token: Sandbox notes: no account is connected; ask for consent",
            told[0], told[1], told[2]
        )
    );

    let shared = world.connect_workspace_account("grace").id;
    let shared = format!("the workspace connection: {shared} is chosen");
    let told = [fallback.clone(), no_own, shared, fresh.clone()];
    assert_eq!(steps(&explain(&none)), told);

    let own = world.connect(&alice, "ada").id;
    let own = format!("the user's own connection: {own} is chosen");
    let explanation = explain(&none);
    assert_eq!(steps(&explanation), [fallback, own, fresh]);
    assert!(explanation.refusal().is_none());
    let requests = world.http.requests();
    world.expire();
    let told = steps(&explain(&none));
    assert_eq!(told.last().unwrap(), "its token: refreshed first");
    assert_eq!(world.http.requests(), requests, "a provider was asked");

    let token = world.resolver.resolve(&alice, "notes").unwrap();
    world.sandbox.clear_log();
    let printed = format!("{} {:?}", explain(&none), explain(&none));
    assert!(!printed.contains(token.access_token().expose_secret()));
    assert!(explain(&scopes("other")).refusal().is_some());
    let unknown = world.resolver.turn(alice.clone()).explain("nowhere");
    assert!(steps(&unknown).is_empty() && unknown.refusal().is_some());
}

fn notes() -> ProviderId {
    ProviderId::new("notes").unwrap()
}

/// Every setting of a provider and a tool, combined with every scope requirement, with and without
/// a connection of each kind: the policy's decision, and the connection used for the call.
#[test]
fn the_whole_matrix_of_settings_is_decided_as_documented() {
    use WorkspaceConnections::{Fallback, Forbidden, Required};
    let settings = [None, Some(Fallback), Some(Required), Some(Forbidden)];
    let rank = |setting: WorkspaceConnections| {
        [Fallback, Required, Forbidden]
            .iter()
            .position(|it| *it == setting)
    };
    let mut decided = 0;
    for (personal, shared) in [(false, false), (false, true), (true, false), (true, true)] {
        let world = World::new();
        let alice = person("alice");
        if shared {
            world.connect_workspace_account("grace");
        }
        if personal {
            world.connect(&alice, "ada");
        }
        for default in [Fallback, Required, Forbidden] {
            for of_provider in settings {
                for of_tool in settings {
                    for (needed, writes) in [("notes.read", false), ("notes.write", true)] {
                        let mut policy = Policy::new(default).personal_scopes("notes.write".parse().unwrap());
                        if let Some(setting) = of_provider {
                            policy = policy.provider(notes(), setting);
                        }
                        if let Some(setting) = of_tool {
                            policy = policy.tool("t", setting);
                        }
                        // The documented rule, in different words.
                        let strictest = of_provider.into_iter().chain(of_tool).max_by_key(|it| rank(*it));
                        let mut expected = strictest.unwrap_or(default);
                        if writes && expected == Fallback {
                            expected = Forbidden;
                        }
                        let through = match expected {
                            Fallback if personal => Some(false),
                            Fallback | Required => shared.then_some(true),
                            _ => personal.then_some(false),
                        };
                        let label =
                            format!("{personal} {shared} {default:?} {of_provider:?} {of_tool:?} {needed}");
                        let resolver = world.resolver.clone().policy(policy);
                        let options = scopes(needed).tool("t");
                        let found = resolver.resolve(&alice, &options);
                        assert_eq!(
                            found.as_ref().ok().map(|token| token.is_workspace()),
                            through,
                            "{label}"
                        );
                        if let Err(error) = &found {
                            let need = error.consent_required().unwrap();
                            assert_eq!(need.reason, ConsentReason::NotConnected, "{label}");
                            assert_eq!(need.workspace, expected == Required, "{label}");
                        }
                        let explained = resolver.turn(alice.clone()).explain(&options);
                        assert!(
                            steps(&explained)[0].starts_with(&format!("policy: {expected}, ")),
                            "{label}: {explained}"
                        );
                        decided += 1;
                    }
                }
            }
        }
    }
    assert_eq!(decided, 4 * 3 * 4 * 4 * 2);
}

#[test]
fn the_explanation_names_the_setting_that_counted() {
    let world = World::new();
    let policy = Policy::default()
        .provider(notes(), WorkspaceConnections::Fallback)
        .tool("strict", WorkspaceConnections::Forbidden)
        .tool("loose", WorkspaceConnections::Fallback)
        .personal_scopes("notes.write".parse().unwrap());
    let resolver = world.resolver.clone().policy(policy);
    for (provider, options, setting) in [
        ("mail", scopes(""), "by default"),
        ("mail", scopes("").tool("other"), "by default"),
        ("mail", scopes("").tool("loose"), "as set for the tool"),
        ("notes", scopes(""), "as set for the provider"),
        ("notes", scopes("").tool("strict"), "as set for the tool"),
        ("notes", scopes("notes.write"), "for one of the scopes"),
    ] {
        let mut options = options;
        options.provider = provider.into();
        let explained = resolver.turn(person("alice")).explain(&options);
        assert!(
            steps(&explained)[0].ends_with(&format!(", {setting}")),
            "{setting}: {explained}"
        );
    }
}

#[test]
fn what_is_denied_is_denied_before_the_vault_is_asked() {
    let world = World::over(SealedVault::in_memory());
    let alice = person("alice");
    world.connect(&alice, "ada");
    world.connect(&person("bob"), "grace");
    let (acme, user) = (TenantId::new("acme").unwrap(), UserId::new("alice").unwrap());
    let evil = TenantId::new("evil").unwrap();
    let of_alice = Calls::all().user(acme, user.clone());
    let none = || ResolveOptions::new("notes");
    let by_tool = || ResolveOptions::new("notes").tool("send");
    for (calls, who, options, denied) in [
        (Calls::all(), "alice", none(), true),
        (Calls::all().provider(notes()), "alice", none(), true),
        (
            Calls::all().provider(ProviderId::new("mail").unwrap()),
            "alice",
            none(),
            false,
        ),
        (Calls::all().tool("send"), "alice", by_tool(), true),
        (Calls::all().tool("send"), "alice", none(), false),
        (Calls::all().tool("read"), "alice", by_tool(), false),
        (of_alice.clone(), "alice", none(), true),
        (of_alice.clone(), "bob", none(), false),
        (Calls::all().user(evil, user), "alice", none(), false),
        (
            of_alice.clone().provider(notes()).tool("send"),
            "alice",
            by_tool(),
            true,
        ),
        (
            of_alice.clone().provider(notes()).tool("read"),
            "alice",
            by_tool(),
            false,
        ),
        (of_alice.provider(notes()).tool("send"), "bob", by_tool(), false),
    ] {
        let resolver = world
            .resolver
            .clone()
            .policy(Policy::default().deny(calls.clone()));
        let turn = resolver.turn(person(who));
        let found = turn.resolve(&options);
        let explained = resolver.turn(person(who)).explain(&options);
        assert_eq!(
            matches!(found, Err(Error::Denied { .. })),
            denied,
            "{calls}: {found:?}"
        );
        assert_eq!(found.is_ok(), !denied, "{calls}: {found:?}");
        if denied {
            // The explanation does not reveal whether a connection exists.
            assert_eq!(steps(&explained), ["policy: denied: the policy lists it"]);
            let requests = world.http.requests();
            assert!(matches!(turn.peek(&options), Err(Error::Denied { .. })));
            let request = http::Request::get("/notes").body(Vec::new()).unwrap();
            assert!(matches!(turn.send(&options, request), Err(Error::Denied { .. })));
            let placeholder = turn.placeholder(options).unwrap();
            let request = http::Request::get("https://sandbox.test/api/notes")
                .header("authorization", format!("Bearer {placeholder}"));
            assert!(matches!(
                turn.fill(request.body(Vec::new()).unwrap()),
                Err(Error::Denied { .. })
            ));
            assert_eq!(world.http.requests(), requests);
        }
    }
}

/// If the vault fails, an operation that reads it before the policy returns the vault's error.
#[test]
#[cfg(feature = "sqlite")]
fn what_is_denied_asks_nothing_of_the_vault() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault.db");
    let key = valetkey::vault::MasterKey::generate().unwrap();
    let world = World::over(valetkey::vault::SqliteVault::open(&path, key).unwrap());
    let alice = person("alice");
    world.connect(&alice, "ada");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("ALTER TABLE connections RENAME TO hidden")
        .unwrap();

    let options = ResolveOptions::new("notes");
    let asked = world.resolver.resolve(&alice, "notes");
    assert!(matches!(asked, Err(Error::Vault(_))), "{asked:?}");
    let is_denied = |error: &Error| matches!(error, Error::Denied { .. } | Error::LabelRequired(_));
    for policy in [
        Policy::default().deny(Calls::all()),
        Policy::default().require_label(notes()),
    ] {
        let resolver = world.resolver.clone().policy(policy);
        let turn = resolver.turn(alice.clone());
        let denied = turn.resolve("notes");
        assert!(denied.as_ref().is_err_and(is_denied), "{denied:?}");
        let denied = turn.peek("notes");
        assert!(denied.as_ref().is_err_and(is_denied), "{denied:?}");
        let request = http::Request::get("/notes").body(Vec::new()).unwrap();
        let denied = turn.send("notes", request);
        assert!(denied.as_ref().is_err_and(is_denied), "{denied:?}");
        let explained = resolver.turn(alice.clone()).explain(&options);
        let told = steps(&explained);
        assert!(
            told.len() == 1 && told[0].starts_with("policy: denied: "),
            "{told:?}"
        );
    }
}

#[test]
fn a_label_that_must_be_named_is_not_left_to_a_default() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    let work = Label::new("work").unwrap();
    let labelled = valetkey::ConsentOptions::default().label(work.clone());
    let at_work = world.try_connect(&alice, "grace", labelled).unwrap();
    let resolver = world
        .resolver
        .clone()
        .policy(Policy::default().require_label(notes()));
    let denied = resolver.resolve(&alice, "notes").unwrap_err();
    assert!(matches!(&denied, Error::LabelRequired(provider) if *provider == notes()));
    assert_eq!(
        denied.to_string(),
        "Sandbox notes: denied by policy, which requires a label; pass one with ResolveOptions::label"
    );
    let resolver = world
        .resolver
        .clone()
        .policy(Policy::default().deny(Calls::all().provider("notes")));
    let denied = resolver.resolve(&alice, "notes").unwrap_err();
    assert_eq!(denied.to_string(), "Sandbox notes: denied by policy");
    let tool = ResolveOptions::new("notes").tool("delete_note");
    let denied = resolver.resolve(&alice, &tool).unwrap_err();
    assert_eq!(
        denied.to_string(),
        "Sandbox notes: the tool \"delete_note\" is denied by policy"
    );
    let resolver = world
        .resolver
        .clone()
        .policy(Policy::default().require_label(notes()));
    let options = ResolveOptions::new("notes").label(work);
    assert_eq!(
        resolver.resolve(&alice, &options).unwrap().connection(),
        at_work.id
    );
    assert!(
        resolver
            .resolve(&alice, "mail")
            .unwrap_err()
            .consent_required()
            .is_some()
    );
}

#[test]
fn nobody_is_asked_to_connect_what_only_an_operator_can() {
    let world = World::like(|it| it.issues_refresh_tokens = false);
    let alice = person("alice");
    world.connect_workspace_account("grace");
    world.clock.advance(Duration::from_secs(7200));
    let turn = world.resolver.turn(alice);
    let error = turn.resolve("notes").unwrap_err();
    let need = error.consent_required().unwrap();
    assert!(need.workspace && need.reason == ConsentReason::Expired);
    assert!(matches!(turn.ask(need), Err(Error::NotPermitted)));
}

/// A call by a tool with an invalid name fails, whatever the policy says.
#[test]
fn a_tool_without_a_valid_name_calls_nothing() {
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    for name in ["", "send\u{200b}", "send\n", &"x".repeat(513)] {
        for policy in [Policy::default(), Policy::default().deny(Calls::all().tool(name))] {
            let turn = world.resolver.clone().policy(policy).turn(alice.clone());
            let options = ResolveOptions::new("notes").tool(name);
            let requests = world.http.requests();
            assert!(
                matches!(turn.resolve(&options), Err(Error::InvalidValue(_))),
                "{name:?}"
            );
            assert!(
                matches!(turn.peek(&options), Err(Error::InvalidValue(_))),
                "{name:?}"
            );
            let request = http::Request::get("/notes").body(Vec::new()).unwrap();
            assert!(
                matches!(turn.send(&options, request), Err(Error::InvalidValue(_))),
                "{name:?}"
            );
            assert!(matches!(
                turn.explain(&options).refusal(),
                Some(Error::InvalidValue(_))
            ));
            assert_eq!(world.http.requests(), requests);
        }
    }
    let options = ResolveOptions::new("notes").tool("x".repeat(512));
    assert!(world.resolver.resolve(&alice, options).is_ok());
}

#[test]
fn a_policy_prints_itself_for_an_administrator() {
    let policy = Policy::new(WorkspaceConnections::Forbidden)
        .provider(notes(), WorkspaceConnections::Fallback)
        .tool("report", WorkspaceConnections::Required)
        .personal_scopes("notes.write".parse().unwrap())
        .deny(Calls::all().provider(notes()).tool("send"))
        .deny(Calls::all().user(TenantId::new("acme").unwrap(), UserId::new("mallory").unwrap()))
        .require_label(ProviderId::new("mail").unwrap());
    assert_eq!(
        policy.to_string(),
        "denied: calls to notes, by the tool send\n\
         denied: calls to every provider, of mallory in acme\n\
         mail: a label must be named\n\
         calls that need one of notes.write: the workspace connection is not a fallback\n\
         notes: the workspace connection is a fallback\n\
         the tool report: the workspace connection must be used\n\
         all other calls: the workspace connection may not be used"
    );
}
