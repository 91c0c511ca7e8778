//! Consent requests within a turn, also in the format of the Model Context Protocol.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use serde_json::json;
use valetkey::connections::ConsentState;
use valetkey::error::{ConsentError, ConsentReason, ConsentRequired};
use valetkey::http::HttpResponse;
use valetkey::resolver::mcp::{Action, input_required, url_elicitation_required};
use valetkey::resolver::{ConsentRequest, Policy, Turn, WorkspaceConnections};
use valetkey::testing::Fault;
use valetkey::vault::{MasterKey, SealedVault, SqliteVault};
use valetkey::{ConsentOptions, Error, Operator, Resolver};

use crate::support::world::{World, person, response};

fn need(turn: &Turn, provider: &str) -> Arc<ConsentRequest> {
    let error = turn.resolve(provider).unwrap_err();
    turn.ask(error.consent_required().unwrap()).unwrap()
}

#[test]
fn many_tools_that_need_the_same_ask_once() {
    let world = World::new();
    let turn = world.resolver.turn(person("alice"));
    let all: Vec<Arc<ConsentRequest>> = std::thread::scope(|scope| {
        let tools: Vec<_> = (0..20).map(|_| scope.spawn(|| need(&turn, "notes"))).collect();
        tools.into_iter().map(|tool| tool.join().unwrap()).collect()
    });
    assert!(all.iter().all(|asked| asked.id() == all[0].id()));
    assert_ne!(need(&turn, "mail").id(), all[0].id());
    world.clock.advance(Duration::from_secs(25 * 3600));
    assert_ne!(need(&turn, "notes").id(), all[0].id(), "the first one expired");
}

#[test]
fn the_ticket_opens_the_consent_for_its_person_alone_and_the_next_call_finds_it() {
    let world = World::new();
    let alice = person("alice");
    let turn = world.resolver.turn(alice.clone());
    let asked = need(&turn, "notes");
    assert_eq!(asked.need().reason, ConsentReason::NotConnected);
    assert_eq!(asked.message(), format!("Connect {} to go on.", name(&world)));
    let ticket = asked.prepared().ticket();
    assert!(world.connections.open_link(&person("bob"), ticket).is_err());
    let consent = world.connections.open_link(&alice, ticket).unwrap();
    let callback = world.sandbox.approve(consent.authorization_url(), "ada");
    world
        .connections
        .complete(&alice, response(&callback), consent.binding())
        .unwrap();
    assert!(turn.resolve("notes").is_ok());
}

/// The vault may have deleted a remembered consent: newer ones replaced it, or the user was erased.
#[test]
fn a_consent_that_the_vault_has_deleted_is_asked_for_again() {
    let world = World::new();
    let alice = person("alice");
    let turn = world.resolver.turn(alice.clone());
    let mut asked = need(&turn, "notes");
    let mut again = || {
        let new = need(&turn, "notes");
        assert_ne!(new.id(), asked.id());
        let ticket = new.prepared().ticket();
        assert!(world.connections.open_link(&alice, ticket).is_ok());
        asked = new;
    };
    world.clock.advance(Duration::from_secs(1));
    for _ in 0..64 {
        let options = ConsentOptions::default();
        world.connections.start(&alice, "mail", options).unwrap();
    }
    again();
    let olga = Operator::authenticated(alice.tenant().clone(), "olga").unwrap();
    world.connections.forget_user(&olga, alice.user()).unwrap();
    again();
}

fn name(world: &World) -> String {
    world
        .connections
        .providers()
        .into_iter()
        .find(|provider| provider.id.as_str() == "notes")
        .unwrap()
        .name
        .clone()
}

#[test]
fn more_access_is_asked_for_in_other_words() {
    let world = World::new();
    let alice = person("alice");
    let read = ConsentOptions::default().scopes("notes.read".parse().unwrap());
    world.try_connect(&alice, "ada", read).unwrap();
    let turn = world.resolver.turn(alice);
    let write = http::Request::post("/notes").body(b"{}".to_vec()).unwrap();
    let error = turn.send("notes", write).unwrap_err();
    let asked = turn.ask(error.consent_required().unwrap()).unwrap();
    assert!(
        asked.message().starts_with("More access to "),
        "{}",
        asked.message()
    );
}

#[test]
fn nobody_is_asked_for_what_only_an_operator_can_connect() {
    let world = World::new();
    let policy = Policy::new(WorkspaceConnections::Required);
    let turn = world.resolver.clone().policy(policy).turn(person("alice"));
    let error = turn.resolve("notes").unwrap_err();
    let refused = turn.ask(error.consent_required().unwrap()).unwrap_err();
    assert!(matches!(refused, Error::NotPermitted));
}

#[test]
fn both_revisions_of_the_protocol_are_served() {
    let world = World::new();
    let turn = world.resolver.turn(person("alice"));
    let asked = need(&turn, "notes");
    let id = asked.id().to_string();
    let link = format!(
        "https://app.test/connect/{}",
        asked.prepared().ticket().expose_secret()
    );
    let elicitations = [(&*asked, link.as_str())];
    let parameters = json!({ "mode": "url", "url": link, "message": asked.message() });

    let request = json!({ "method": "elicitation/create", "params": parameters });
    let mut result = json!({ "resultType": "input_required", "inputRequests": { id.clone(): request } });
    assert_eq!(input_required(&elicitations, None), result);
    result["requestState"] = "sealed".into();
    assert_eq!(input_required(&elicitations, Some("sealed")), result);

    let mut elicitation = parameters;
    elicitation["elicitationId"] = id.into();
    let error = url_elicitation_required(&elicitations);
    assert_eq!(error["code"], -32042);
    assert_eq!(error["data"], json!({ "elicitations": [elicitation] }));

    for printed in [result.to_string(), error.to_string(), format!("{asked:?}")] {
        for hidden in ["state=", "client_id", "/authorize", "alice", "acme"] {
            assert!(!printed.contains(hidden), "{hidden}");
        }
    }
    assert!(!format!("{asked:?}").contains(asked.prepared().ticket().expose_secret()));
}

#[test]
fn a_clients_answer_is_read_and_proves_nothing() {
    for (answer, action) in [
        (json!({ "action": "accept" }), Some(Action::Accepted)),
        (json!({ "action": "decline" }), Some(Action::Declined)),
        (json!({ "action": "cancel" }), Some(Action::Cancelled)),
        (json!({ "action": "other" }), None),
        (json!({ "action": 1 }), None),
        (json!("accept"), None),
    ] {
        assert_eq!(Action::of(&answer), action, "{answer}");
    }
    let world = World::new();
    let turn = world.resolver.turn(person("alice"));
    let asked = need(&turn, "notes");
    assert_eq!(
        need(&turn, "notes").id(),
        asked.id(),
        "accepted, and not yet given"
    );
}

#[test]
fn later_turns_of_the_same_person_have_the_same_consent_while_it_is_good() {
    let world = World::new();
    let alice = person("alice");
    let first = need(&world.resolver.turn(alice.clone()), "notes");
    let ask = |who: &str| need(&world.resolver.clone().turn(person(who)), "notes");
    assert_eq!(ask("alice").id(), first.id());
    assert_eq!(
        ask("alice").prepared().ticket().expose_secret(),
        first.prepared().ticket().expose_secret()
    );
    assert_ne!(ask("bob").id(), first.id());
    // The link no longer works after the consent was answered: a new request gets a new link.
    world
        .connections
        .open_link(&alice, first.prepared().ticket())
        .unwrap();
    let second = ask("alice");
    assert_ne!(second.id(), first.id());
    // Withdrawn in another process: only the vault knows.
    world.connections.cancel(&alice, second.id()).unwrap();
    assert_ne!(ask("alice").id(), second.id());
    // A resolver that does not know the link creates its own, and both are valid.
    let elsewhere = need(
        &Resolver::new(world.connections.clone()).turn(alice.clone()),
        "notes",
    );
    assert_ne!(elsewhere.id(), ask("alice").id());
    assert_eq!(
        world.connections.poll(&alice, ask("alice").id()).unwrap(),
        ConsentState::Pending
    );
    assert_eq!(
        world.connections.poll(&alice, elsewhere.id()).unwrap(),
        ConsentState::Pending
    );
}

#[test]
fn a_consent_can_be_followed_to_each_of_its_ends() {
    for world in [
        World::new(),
        World::over(SqliteVault::in_memory(MasterKey::generate().unwrap()).unwrap()),
    ] {
        let alice = person("alice");
        let turn = world.resolver.turn(alice.clone());
        let open = |asked: &ConsentRequest| world.connections.open_link(&alice, asked.prepared().ticket());

        let asked = need(&turn, "notes");
        let state = |id| turn.poll(id).unwrap();
        assert_eq!(state(asked.id()), ConsentState::Pending);
        let consent = open(&asked).unwrap();
        assert_eq!(
            (consent.id(), state(asked.id())),
            (asked.id(), ConsentState::Opened)
        );
        let denied = world.sandbox.deny(consent.authorization_url());
        assert!(
            world
                .connections
                .complete(&alice, response(&denied), consent.binding())
                .is_err()
        );
        assert_eq!(state(asked.id()), ConsentState::Denied);

        let asked = need(&turn, "notes");
        let consent = open(&asked).unwrap();
        world.http.next(Fault::Timeout);
        let callback = world.sandbox.approve(consent.authorization_url(), "ada");
        assert!(
            world
                .connections
                .complete(&alice, response(&callback), consent.binding())
                .is_err()
        );
        assert_eq!(state(asked.id()), ConsentState::Failed);

        let asked = need(&turn, "notes");
        let consent = open(&asked).unwrap();
        world.clock.advance(Duration::from_secs(601));
        // The link may be opened again.
        assert_eq!(state(consent.id()), ConsentState::Pending);
        let waits = need(&turn, "notes");
        world.clock.advance(Duration::from_secs(25 * 3600));
        assert_eq!(state(waits.id()), ConsentState::Expired);
        assert_eq!(state(consent.id()), ConsentState::Expired);

        let asked = need(&turn, "notes");
        let consent = open(&asked).unwrap();
        let callback = world.sandbox.approve(consent.authorization_url(), "ada");
        let connection = world
            .connections
            .complete(&alice, response(&callback), consent.binding())
            .unwrap();
        assert_eq!(state(asked.id()), ConsentState::Completed(connection.id));
        assert_eq!(
            turn.cancel(asked.id()).unwrap(),
            ConsentState::Completed(connection.id),
            "too late"
        );
        assert!(turn.resolve("notes").is_ok());
        // Another user's consent, and one that never existed.
        for who in ["bob", "alice"] {
            let id = if who == "bob" {
                asked.id()
            } else {
                valetkey::model::ConsentId::from_bytes([7; 16])
            };
            let turn = world.resolver.turn(person(who));
            assert!(matches!(turn.poll(id), Err(Error::NotFound)));
            assert!(matches!(turn.cancel(id), Err(Error::NotFound)));
        }
    }
}

#[test]
fn what_was_cancelled_can_be_neither_opened_nor_completed() {
    for world in [
        World::new(),
        World::over(SqliteVault::in_memory(MasterKey::generate().unwrap()).unwrap()),
    ] {
        let alice = person("alice");
        let turn = world.resolver.turn(alice.clone());
        let asked = need(&turn, "notes");
        assert!(matches!(
            world.resolver.turn(person("bob")).cancel(asked.id()),
            Err(Error::NotFound)
        ));
        assert_eq!(turn.poll(asked.id()).unwrap(), ConsentState::Pending);
        assert_eq!(turn.cancel(asked.id()).unwrap(), ConsentState::Cancelled);
        assert_eq!(turn.cancel(asked.id()).unwrap(), ConsentState::Cancelled, "twice");
        let opened = world.connections.open_link(&alice, asked.prepared().ticket());
        assert!(
            matches!(opened, Err(Error::Consent(ConsentError::Used(_)))),
            "{opened:?}"
        );

        let asked = need(&turn, "notes");
        let consent = world
            .connections
            .open_link(&alice, asked.prepared().ticket())
            .unwrap();
        assert_eq!(turn.cancel(asked.id()).unwrap(), ConsentState::Cancelled);
        let callback = world.sandbox.approve(consent.authorization_url(), "ada");
        let completed = world
            .connections
            .complete(&alice, response(&callback), consent.binding());
        assert!(
            matches!(completed, Err(Error::Consent(ConsentError::Used(_)))),
            "{completed:?}"
        );
        assert_eq!(turn.poll(asked.id()).unwrap(), ConsentState::Cancelled);
        assert!(turn.resolve("notes").unwrap_err().consent_required().is_some());
    }
}

/// Makes the API report these scopes as missing, whatever was granted.
fn wants(world: &World, scopes: &str) {
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scopes}\"");
    world.http.on("/api/notes").next(Fault::answer(move |_| {
        let answer = HttpResponse::new(StatusCode::FORBIDDEN, "");
        Ok(answer.with_header(WWW_AUTHENTICATE, challenge.parse().unwrap()))
    }));
}

fn refused(turn: &Turn) -> ConsentRequired {
    let request = http::Request::get("/notes").body(Vec::new()).unwrap();
    let error = turn.send("notes", request).unwrap_err();
    error.consent_required().unwrap().clone()
}

#[test]
fn an_api_cannot_choose_what_people_are_asked_for() {
    let world = World::new();
    let read = ConsentOptions::default().scopes("notes.read".parse().unwrap());
    world.try_connect(&person("alice"), "ada", read).unwrap();
    let turn = world.resolver.turn(person("alice"));
    wants(&world, "notes.write admin.everything");
    let need = refused(&turn);
    assert_eq!(need.missing_scopes.to_string(), "notes.write");
    assert_eq!(need.scopes_named_by_api.to_string(), "admin.everything");
    assert!(!format!("{need} {need:?}").contains("admin"), "{need:?}");
    let asked = turn.ask(&need).unwrap();
    let opened = world
        .connections
        .open_link(&person("alice"), asked.prepared().ticket())
        .unwrap();
    let url = opened.authorization_url().as_str();
    assert!(url.contains("notes.write") && !url.contains("admin"), "{url}");
}

#[test]
fn an_api_that_names_ever_new_scopes_leads_to_one_consent() {
    let world = World::new();
    let read = ConsentOptions::default().scopes("notes.read".parse().unwrap());
    world.try_connect(&person("alice"), "ada", read).unwrap();
    let turn = world.resolver.turn(person("alice"));
    let mut asked = BTreeSet::new();
    for number in 0..50 {
        wants(&world, &format!("scope.{number}"));
        let need = refused(&turn);
        assert!(need.missing_scopes.is_empty());
        asked.insert(turn.ask(&need).unwrap().id().to_string());
    }
    assert_eq!(asked.len(), 1);
}

#[test]
fn scopes_that_are_granted_already_are_not_asked_for_again() {
    let world = World::new();
    world.connect(&person("alice"), "ada");
    let turn = world.resolver.turn(person("alice"));
    wants(&world, "notes.write");
    let request = http::Request::get("/notes").body(Vec::new()).unwrap();
    let answer = turn.send("notes", request).unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[test]
fn needs_for_other_scopes_of_a_connection_are_asked_for_together() {
    let world = World::described(
        SealedVault::in_memory(),
        |_| {},
        |_, provider| {
            provider.tiers.read_write = Some("notes.read notes.write notes.share".parse().unwrap());
        },
    );
    let read = ConsentOptions::default().scopes("notes.read".parse().unwrap());
    world.try_connect(&person("alice"), "ada", read).unwrap();
    let turn = world.resolver.turn(person("alice"));
    let ask = |scopes| {
        wants(&world, scopes);
        turn.ask(&refused(&turn)).unwrap()
    };
    let first = ask("notes.write");
    assert_eq!(ask("notes.write").id(), first.id());
    let both = ask("notes.share");
    assert_eq!(both.need().missing_scopes.to_string(), "notes.share notes.write");
    for scopes in ["notes.write", "notes.share", "notes.write notes.share"] {
        assert_eq!(ask(scopes).id(), both.id(), "{scopes}");
    }
    // A withdrawn requirement is not combined with a new one.
    turn.cancel(both.id()).unwrap();
    turn.cancel(first.id()).unwrap();
    assert_eq!(
        ask("notes.share").need().missing_scopes.to_string(),
        "notes.share"
    );
}
