//! Former grants, which a later consent replaced: never used again, and revoked together with their
//! connection.

use std::time::Duration;

use proptest::prelude::*;
use valetkey::connections::{AtProvider, Budget, RevocationReport};
use valetkey::internals::provider::RotationClass;
use valetkey::internals::revocation::ended;
use valetkey::model::{Connection, Status};
use valetkey::testing::sandbox::Personality;
use valetkey::testing::{Fault, Gate};
use valetkey::vault::{Erasure, SealedVault};
use valetkey::{ActingUser, ConsentOptions};

use crate::support::world::{World, person};

fn token(world: &World, person: &ActingUser) -> String {
    let token = world.resolver.resolve(person, "notes").unwrap();
    token.access_token().expose_secret().to_owned()
}

fn reconnect(world: &World, alice: &ActingUser, connection: &Connection) -> Connection {
    let options = ConsentOptions::default().reconnect(connection.id);
    world.try_connect(alice, "ada", options).unwrap()
}

fn revoke(world: &World, alice: &ActingUser, connection: &Connection) -> RevocationReport {
    world.connections.revoke(alice, connection.id).unwrap()
}

/// Returns a host of a server where, according to its descriptor, each consent creates a separate
/// grant.
fn with_separate_grants() -> World {
    let describe =
        |server: &mut valetkey::provider::AuthorizationServer, _: &mut _| server.separate_grants = true;
    World::described(SealedVault::in_memory(), |_| {}, describe)
}

#[test]
fn promise_32_revoking_once_ends_the_tokens_of_every_consent() {
    for rotation in [
        RotationClass::Static,
        RotationClass::OldStaysValid,
        RotationClass::SingleUse,
        RotationClass::SingleUseRevokesFamily,
    ] {
        let world = World::like(|it| it.rotation = rotation);
        let alice = person("alice");
        let connection = world.connect(&alice, "ada");
        let mut tokens = vec![token(&world, &alice)];
        for round in 0..4 {
            if round % 2 == 0 {
                world.expire();
                tokens.push(token(&world, &alice));
            }
            assert_eq!(reconnect(&world, &alice, &connection).id, connection.id);
            tokens.push(token(&world, &alice));
        }
        assert_eq!(
            world.http.requests_to("/revoke"),
            0,
            "nothing is ended on the way"
        );
        assert_eq!(world.sandbox.live_grants().len(), 5);

        let revocation = revoke(&world, &alice, &connection);
        assert_eq!(revocation.at_provider, AtProvider::Revoked);
        assert_eq!(revocation.here, Erasure::Cleared);
        assert!(world.sandbox.live_grants().is_empty(), "{rotation:?}");
        assert!(tokens.iter().all(|token| !world.sandbox.is_live(token)));
        let former = ended(&revocation).iter().filter(|ended| ended.former).count();
        assert_eq!((ended(&revocation).len(), former), (5, 4));
    }
}

#[test]
fn promise_32_a_former_grant_is_never_resolved() {
    let (world, alice, connection) = World::connected();
    let old = token(&world, &alice);
    let again = reconnect(&world, &alice, &connection);
    assert_ne!(again.grant, connection.grant);
    assert_eq!(again.generation, connection.generation + 1);
    assert_ne!(token(&world, &alice), old);
    assert!(world.sandbox.is_live(&old), "the server was not told");
    world.expire();
    let refreshed = world.connections.maintain(Budget::default()).unwrap();
    assert_eq!(
        refreshed.refreshed, 1,
        "upkeep refreshes the connection's grant alone"
    );
}

#[test]
fn promise_32_where_each_consent_is_a_grant_of_its_own_the_old_one_ends_at_once() {
    let world = with_separate_grants();
    let alice = person("alice");
    let connection = world.connect(&alice, "ada");
    let old = token(&world, &alice);
    for _ in 0..3 {
        reconnect(&world, &alice, &connection);
        assert_eq!(world.sandbox.live_grants().len(), 1);
    }
    assert!(!world.sandbox.is_live(&old));
    assert!(world.sandbox.is_live(&token(&world, &alice)));
    let revocation = revoke(&world, &alice, &connection);
    assert_eq!(revocation.at_provider, AtProvider::Revoked);
    assert_eq!(ended(&revocation).len(), 1, "the former ones have ended before");
    assert!(world.sandbox.live_grants().is_empty());
}

#[test]
fn promise_32_an_old_grant_that_could_not_be_ended_at_once_is_ended_by_upkeep() {
    let world = with_separate_grants();
    let alice = person("alice");
    let connection = world.connect(&alice, "ada");
    world.http.on("/revoke").next(Fault::Timeout).next(Fault::Timeout);
    reconnect(&world, &alice, &connection);
    assert_eq!(world.sandbox.live_grants().len(), 2);
    world.clock.advance(Duration::from_secs(600));
    let upkeep = world.connections.maintain(Budget::default()).unwrap();
    assert_eq!(upkeep.revocations_settled, 1);
    assert_eq!(world.sandbox.live_grants().len(), 1);
    assert!(world.sandbox.is_live(&token(&world, &alice)));
}

#[test]
fn promise_32_where_a_browser_shares_one_grant_connecting_again_ends_nothing() {
    let joined = |it: &mut Personality| {
        it.one_grant_per_account = true;
        it.revocation_ends_grant = true;
    };
    let world = World::like(joined);
    let alice = person("alice");
    let connection = world.connect(&alice, "ada");
    reconnect(&world, &alice, &connection);
    assert!(world.sandbox.is_live(&token(&world, &alice)));
    let revocation = revoke(&world, &alice, &connection);
    assert_eq!(revocation.at_provider, AtProvider::Revoked);
    assert!(world.sandbox.live_grants().is_empty());
}

#[test]
fn promise_32_what_is_not_confirmed_is_listed_and_tried_again() {
    let (world, alice, connection) = World::connected();
    let old = token(&world, &alice);
    reconnect(&world, &alice, &connection);
    // The tokens of the connection are revoked; for those of the former grant, the server does not
    // answer.
    world.http.on("/revoke").next(Fault::Timeout).next(Fault::Timeout);
    let revocation = revoke(&world, &alice, &connection);
    assert!(matches!(revocation.at_provider, AtProvider::Unconfirmed { .. }));
    assert_eq!(revocation.here, Erasure::Pending);
    let open: Vec<_> = revocation.unconfirmed().collect();
    assert_eq!((ended(&revocation).len(), open.len()), (2, 1));
    assert!(open[0].0 != connection.grant, "the former grant is listed");
    assert!(matches!(open[0].1, AtProvider::Unconfirmed { .. }));
    assert_eq!(world.sandbox.live_grants().len(), 1);

    // The second call retries the pending revocations, and the report contains the result.
    world.http.on("/revoke").next(Fault::Timeout).next(Fault::Timeout);
    let again = revoke(&world, &alice, &connection);
    assert!(matches!(again.at_provider, AtProvider::Unconfirmed { .. }));
    assert_eq!((ended(&again).len(), again.here), (1, Erasure::Pending));
    let third = revoke(&world, &alice, &connection);
    assert_eq!(
        (third.at_provider.clone(), ended(&third).len()),
        (AtProvider::Revoked, 1)
    );
    assert_eq!(third.here, Erasure::Cleared);
    assert!(!world.sandbox.is_live(&old));
    assert!(world.sandbox.live_grants().is_empty());
    assert_eq!(
        revoke(&world, &alice, &connection).at_provider,
        AtProvider::NothingLeft
    );
}

#[test]
fn promise_32_the_grant_of_another_account_ends_too() {
    let (world, alice, connection) = World::connected();
    let options = ConsentOptions::default().reconnect_any_account(connection.id);
    let switched = world.try_connect(&alice, "grace", options).unwrap();
    assert_eq!(switched.id, connection.id);
    assert_eq!(world.sandbox.live_grants().len(), 2);
    assert_eq!(
        revoke(&world, &alice, &connection).at_provider,
        AtProvider::Revoked
    );
    assert!(world.sandbox.live_grants().is_empty());
}

#[test]
fn promise_32_a_refresh_that_a_consent_overtook_ends_with_the_connection() {
    let (world, alice, connection) = World::connected();
    world.expire();
    let gate = Gate::new();
    world.http.on("/token").next(Fault::HoldAnswer(gate.clone()));
    let shown = std::thread::scope(|scope| {
        let turn = scope.spawn(|| token(&world, &alice));
        gate.wait_for_arrivals(1);
        reconnect(&world, &alice, &connection);
        gate.open();
        turn.join().unwrap()
    });
    assert_eq!(
        shown,
        token(&world, &alice),
        "the turn got the token of the new consent"
    );
    assert_eq!(world.http.requests_to("/revoke"), 0);
    assert_eq!(world.sandbox.live_grants().len(), 2);
    let revocation = revoke(&world, &alice, &connection);
    assert_eq!(revocation.at_provider, AtProvider::Revoked);
    assert!(world.sandbox.live_grants().is_empty());
}

#[test]
fn promise_32_what_one_consent_serves_together_ends_together() {
    let world = World::new();
    let alice = person("alice");
    let notes = world
        .try_connect(&alice, "ada", ConsentOptions::default().also("mail"))
        .unwrap();
    let mail = world.connections.sharing(&alice, notes.id).unwrap().remove(0);
    let again = reconnect(&world, &alice, &notes);
    assert_eq!(world.connections.get(&alice, mail.id).unwrap().grant, again.grant);
    let first = revoke(&world, &alice, &notes);
    assert_eq!(first.at_provider, AtProvider::StillUsedBy(vec![mail.id]));
    assert!(ended(&first).is_empty());
    let last = revoke(&world, &alice, &mail);
    assert_eq!((&last.at_provider, ended(&last).len()), (&AtProvider::Revoked, 2));
    assert!(world.sandbox.live_grants().is_empty());
}

#[test]
fn promise_32_the_whole_grant_ends_with_its_former_ones() {
    let world = World::new();
    let alice = person("alice");
    let notes = world
        .try_connect(&alice, "ada", ConsentOptions::default().also("mail"))
        .unwrap();
    reconnect(&world, &alice, &notes);
    let whole = world.connections.revoke_grant(&alice, notes.id).unwrap();
    assert_eq!(
        (&whole.at_provider, ended(&whole).len()),
        (&AtProvider::Revoked, 2)
    );
    assert_eq!(whole.connection.status, Status::Revoked);
    assert!(world.sandbox.live_grants().is_empty());
}

#[test]
fn former_grants_whose_tokens_are_dead_are_deleted() {
    let world = World::like(|it| it.issues_refresh_tokens = false);
    let alice = person("alice");
    let connection = world.connect(&alice, "ada");
    for _ in 0..3 {
        reconnect(&world, &alice, &connection);
    }
    let upkeep = world.connections.maintain(Budget::default()).unwrap();
    assert_eq!(
        upkeep.former_grants_purged, 0,
        "their tokens are good for an hour"
    );
    world.expire();
    let upkeep = world.connections.maintain(Budget::default()).unwrap();
    assert_eq!(upkeep.former_grants_purged, 3);
    assert_eq!(ended(&revoke(&world, &alice, &connection)).len(), 1);
}

/// The steps performed on the connections of one user.
#[derive(Debug, Clone, Copy)]
enum Step {
    Connect,
    ConnectBoth,
    Reconnect,
    Extend,
    Switch,
    Refresh,
    Revoke,
    /// The next request to the revocation endpoint is lost.
    Lose,
    Upkeep,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Connect),
        Just(Step::ConnectBoth),
        Just(Step::Reconnect),
        Just(Step::Extend),
        Just(Step::Switch),
        Just(Step::Refresh),
        Just(Step::Revoke),
        Just(Step::Lose),
        Just(Step::Upkeep),
    ]
}

fn live(world: &World, alice: &ActingUser) -> Vec<Connection> {
    world.connections.list(alice, &Default::default()).unwrap()
}

fn carry_out(world: &World, alice: &ActingUser, step: Step) {
    let mut notes = live(world, alice);
    notes.retain(|it| it.provider.as_str() == "notes");
    let several = notes.len() > 1;
    let first = notes.into_iter().next();
    let options = ConsentOptions::default();
    // Refused consents are a separate case: their tokens never belong to a connection.
    let account = first.as_ref().and_then(|it| it.account.clone());
    let account = account.map_or_else(|| "ada".into(), |account| account.id);
    match (step, first) {
        (Step::Connect, _) => drop(world.connect(alice, "ada")),
        (Step::ConnectBoth, _) => drop(world.try_connect(alice, "ada", options.also("mail"))),
        (Step::Reconnect, Some(it)) => drop(world.try_connect(alice, &account, options.reconnect(it.id))),
        (Step::Extend, Some(it)) => drop(world.try_connect(alice, &account, options.extending(it.id))),
        // A consent to an account that another connection has is refused.
        (Step::Switch, Some(it)) if !several => {
            drop(world.try_connect(alice, "grace", options.reconnect_any_account(it.id)));
        }
        // An access token refreshed before its expiry expires by itself; here it has expired.
        (Step::Refresh, Some(it)) => {
            world.expire();
            drop(world.connections.refresh(alice, it.id));
        }
        (Step::Revoke, Some(it)) => drop(world.connections.revoke(alice, it.id)),
        (Step::Lose, _) => drop(world.http.on("/revoke").next(Fault::Timeout)),
        (Step::Upkeep, _) => {
            world.clock.advance(Duration::from_secs(7_200));
            world.connections.maintain(Budget::default()).unwrap();
        }
        (_, _) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("VALETKEY_FULL").is_some() { 2_000 } else { 64 }))]

    #[test]
    fn promise_32_revoked_is_said_only_if_every_pair_is_dead(steps in prop::collection::vec(step(), 1..24)) {
        let world = World::new();
        let alice = person("alice");
        for step in steps {
            carry_out(&world, &alice, step);
        }
        // Revoking each connection once more reports everything that earlier steps left
        // unconfirmed.
        let mut all = world.connections.list(
            &alice,
            &valetkey::connections::ConnectionFilter::default().include_revoked(),
        ).unwrap();
        all.sort_by_key(|it| it.status == Status::Revoked);
        let reports: Vec<_> = all.iter().map(|it| revoke(&world, &alice, it)).collect();
        let confirmed = reports.iter().flat_map(ended).all(|ended| {
            matches!(ended.at_provider, AtProvider::Revoked | AtProvider::NothingLeft)
        });
        for report in &reports {
            let worst = ended(report).iter().any(|ended| ended.at_provider != AtProvider::Revoked);
            prop_assert!(report.at_provider != AtProvider::Revoked || !worst, "{report:?}");
        }
        if confirmed {
            prop_assert!(world.sandbox.live_grants().is_empty(), "{reports:?}");
        }
        // In the end, upkeep has confirmed all of them.
        world.http.clear();
        for _ in 0..3 {
            world.clock.advance(Duration::from_secs(3_700));
            world.connections.maintain(Budget::default()).unwrap();
        }
        prop_assert!(world.sandbox.live_grants().is_empty(), "{reports:?}");
    }
}
