//! Fields missing from a response keep their values, and new ones are read: lifetimes, scopes, the
//! expiry of the refresh token.

use std::time::Duration;

use valetkey::ConsentOptions;
use valetkey::connections::{Budget, HealthState};
use valetkey::internals::provider::RotationClass;
use valetkey::model::Connection;
use valetkey::provider::{AuthorizationServer, Provider};
use valetkey::testing::Fault;
use valetkey::vault::SealedVault;

use crate::support::world::{World, person};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Answers the next token request with this body, whose tokens the vault accepts.
fn answers(world: &World, body: &str) {
    world.http.on("/token").next(Fault::Status(200, body.into()));
}

fn connected(describe: impl Fn(&mut AuthorizationServer, &mut Provider), body: &str) -> (World, Connection) {
    let world = World::described(SealedVault::in_memory(), |_| {}, describe);
    answers(&world, body);
    let connection = world.connect_unnamed();
    (world, connection)
}

trait Unnamed {
    fn connect_unnamed(&self) -> Connection;
}

impl Unnamed for World {
    /// Connects with tokens that the sandbox did not issue, so it cannot identify their account.
    fn connect_unnamed(&self) -> Connection {
        self.try_connect(&person("alice"), "ada", ConsentOptions::default())
            .unwrap()
    }
}

fn without_account(_: &mut AuthorizationServer, provider: &mut Provider) {
    provider.account = None;
}

#[test]
fn a_refresh_that_names_no_lifetime_keeps_the_one_that_was_named() {
    let (world, connection) = connected(
        without_account,
        r#"{"access_token":"at-1","refresh_token":"rt-1","expires_in":3600}"#,
    );
    for generation in 2..5 {
        world.clock.advance(HOUR);
        answers(&world, r#"{"access_token":"at-2","refresh_token":"rt-2"}"#);
        let token = world.resolver.resolve(&person("alice"), "notes").unwrap();
        assert_eq!(token.generation(), generation);
        let shown = world.connections.get(&person("alice"), connection.id).unwrap();
        assert_eq!(shown.expires_at, Some(shown.refreshed_at + HOUR));
    }
}

#[test]
fn a_consent_that_names_no_lifetime_keeps_the_one_of_the_grant_that_it_replaces() {
    let (world, connection) = connected(
        without_account,
        r#"{"access_token":"at-1","refresh_token":"rt-1","expires_in":3600}"#,
    );
    answers(&world, r#"{"access_token":"at-2","refresh_token":"rt-2"}"#);
    let options = ConsentOptions::default().reconnect(connection.id);
    let again = world.try_connect(&person("alice"), "ada", options).unwrap();
    assert_eq!(again.id, connection.id);
    assert_eq!(again.expires_at, Some(again.refreshed_at + HOUR));
}

#[test]
fn a_lifetime_that_was_never_named_is_not_invented() {
    let (world, connection) = connected(without_account, r#"{"access_token":"at","refresh_token":"rt"}"#);
    assert_eq!(connection.expires_at, None);
    let health = world.connections.health(&person("alice"), connection.id).unwrap();
    assert_eq!(health.state, HealthState::Healthy { expires_in: None });
}

#[test]
fn the_end_of_the_refresh_token_is_known_in_time() {
    // Google: a user can allow access for a limited time, which a refresh does not extend.
    let limited = |server: &mut AuthorizationServer, provider: &mut Provider| {
        without_account(server, provider);
        server.rotation = RotationClass::Static;
        server.refresh_token_idle = Some(180 * DAY);
    };
    let answer =
        r#"{"access_token":"at","refresh_token":"rt","expires_in":3600,"refresh_token_expires_in":604799}"#;
    let (world, connection) = connected(limited, answer);
    let end = connection.consented_at + Duration::from_secs(604_799);
    let health = |world: &World| world.connections.health(&person("alice"), connection.id).unwrap();
    assert_eq!(health(&world).reconsent_by, Some(end));

    // A refresh response without the value does not remove it.
    world.clock.advance(HOUR);
    answers(&world, r#"{"access_token":"at-2","expires_in":3600}"#);
    world.connections.maintain(Budget::default()).unwrap();
    assert_eq!(health(&world).reconsent_by, Some(end));

    // If each refresh returns a new refresh token, the lifetime restarts each time.
    let rotating = |server: &mut AuthorizationServer, provider: &mut Provider| {
        without_account(server, provider);
        server.rotation = RotationClass::SingleUse;
    };
    let (world, connection) = connected(rotating, answer);
    let first = world.connections.health(&person("alice"), connection.id).unwrap();
    assert_eq!((first.reconsent_by, first.idle_until), (None, Some(end)));
    world.clock.advance(HOUR);
    answers(&world, answer);
    world.connections.maintain(Budget::default()).unwrap();
    let later = world.connections.health(&person("alice"), connection.id).unwrap();
    assert_eq!(later.idle_until, Some(end + HOUR));
}

/// oidc-provider returns only the scopes of the resource.
#[test]
fn offline_access_is_granted_where_a_refresh_token_came() {
    for (refresh_token, missing) in [
        (r#","refresh_token":"rt""#, "openid"),
        ("", "offline_access openid"),
    ] {
        let world = World::described(
            SealedVault::in_memory(),
            |_| {},
            |server, provider| {
                without_account(server, provider);
                provider.default_scopes = "notes.read offline_access openid".parse().unwrap();
            },
        );
        let options = ConsentOptions::default();
        let consent = world
            .connections
            .start(&person("alice"), "notes", options)
            .unwrap();
        let callback = format!(
            "https://app.test/callback?code=any&iss=https%3A%2F%2Fsandbox.test&state={}",
            consent
                .authorization_url()
                .as_str()
                .split("state=")
                .nth(1)
                .unwrap()
                .split('&')
                .next()
                .unwrap()
        );
        answers(
            &world,
            &format!(r#"{{"access_token":"at","scope":"notes.read"{refresh_token}}}"#),
        );
        let connection = world.complete(&person("alice"), &callback, &consent).unwrap();
        assert_eq!(connection.missing_scopes().to_string(), missing);
    }
}
