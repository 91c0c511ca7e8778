//! Tokens fetched while the vault cannot be written: retried, kept in memory, stored later, and
//! never lost.

use std::time::Duration;

use valetkey::connections::{AtProvider, Budget, Settings};
use valetkey::error::ConsentReason;
use valetkey::internals::revocation::ended;
use valetkey::model::{EventKind, VaultWarning};
use valetkey::testing::Sandbox;
use valetkey::vault::VaultError;
use valetkey::{ActingUser, Connections, ConsentOptions, Error, Resolver};

use crate::support::flaky::FlakyVault;
use crate::support::world::{Events, REDIRECT, person, response};

/// More failures than any retry in these tests.
const FOR_GOOD: usize = usize::MAX;

struct Host {
    vault: FlakyVault,
    sandbox: Sandbox,
    events: Events,
    connections: Connections,
    resolver: Resolver,
    alice: ActingUser,
}

impl Host {
    /// Returns a host whose writes are retried for this long, by the vault's clock.
    fn new(patience: Duration) -> Self {
        let mut settings = Settings::default();
        settings.refresh_lease = Duration::from_millis(100);
        settings.store_patience = patience;
        let mut vault = FlakyVault::default();
        vault.warnings.push(VaultWarning::SharedDirectory);
        let sandbox = Sandbox::new(vault.clock.clone());
        let events = Events::default();
        let connections = Connections::builder(vault.clone())
            .server(sandbox.server())
            .provider(sandbox.provider("notes"))
            .client("sandbox", sandbox.registration(REDIRECT))
            .http_client(sandbox.clone())
            .events(events.clone())
            .settings(settings)
            .build()
            .unwrap();
        Self {
            resolver: Resolver::new(connections.clone()),
            alice: person("alice"),
            vault,
            sandbox,
            events,
            connections,
        }
    }

    fn connect(&self) -> valetkey::Result<valetkey::model::Connection> {
        let consent = self
            .connections
            .start(&self.alice, "notes", ConsentOptions::default())?;
        let callback = self.sandbox.approve(consent.authorization_url(), "ada");
        self.connections
            .complete(&self.alice, response(&callback), consent.binding())
    }

    fn token(&self) -> valetkey::Result<String> {
        let token = self.resolver.resolve(&self.alice, "notes")?;
        Ok(token.access_token().expose_secret().to_owned())
    }

    fn expire(&self) {
        self.vault.clock.advance(Duration::from_secs(3_601));
    }
}

fn is_unreachable<T>(outcome: &valetkey::Result<T>) -> bool {
    matches!(outcome, Err(Error::Vault(VaultError::Unreachable)))
}

#[test]
fn a_vault_that_comes_back_in_time_stores_what_was_fetched() {
    let host = Host::new(Duration::from_secs(30));
    host.vault.fail(5);
    host.connect().unwrap();
    assert_eq!(host.vault.attempts(), 6);
    host.expire();
    host.vault.fail(5);
    let token = host.token().unwrap();
    assert!(host.sandbox.is_live(&token));
    assert_eq!((host.vault.attempts(), host.sandbox.count("/token")), (12, 2));
}

#[test]
fn what_could_not_be_stored_is_stored_by_the_next_resolve_without_a_request() {
    let host = Host::new(Duration::ZERO);
    host.connect().unwrap();
    host.expire();
    host.vault.fail(FOR_GOOD);
    assert!(is_unreachable(&host.token()));
    assert!(is_unreachable(&host.token()), "it is not asked for a second time");
    assert_eq!(host.sandbox.count("/token"), 2);
    host.vault.fail(0);
    let token = host.token().unwrap();
    assert!(host.sandbox.is_live(&token));
    assert_eq!(host.sandbox.count("/token"), 2);
    assert!(host.events.kinds().contains(&EventKind::Refreshed));
    // The next refresh uses the single-use refresh token from that response.
    host.expire();
    assert!(host.sandbox.is_live(&host.token().unwrap()));
}

#[test]
fn what_could_not_be_stored_is_stored_by_upkeep() {
    let host = Host::new(Duration::ZERO);
    host.connect().unwrap();
    host.expire();
    host.vault.fail(FOR_GOOD);
    assert!(is_unreachable(&host.token()));
    assert!(is_unreachable(&host.connections.maintain(Budget::default())));
    host.vault.fail(0);
    // Long after its claim has lapsed: the used refresh token must not be sent again.
    host.vault.clock.advance(Duration::from_secs(600));
    let upkeep = host.connections.maintain(Budget::default()).unwrap();
    assert_eq!((upkeep.tokens_saved, upkeep.refreshed), (1, 0));
    assert_eq!(host.sandbox.count("/token"), 2);
    assert!(host.sandbox.is_live(&host.token().unwrap()));
}

#[test]
fn what_could_not_be_stored_ends_with_its_connection() {
    let host = Host::new(Duration::ZERO);
    let connection = host.connect().unwrap();
    host.expire();
    host.vault.fail(FOR_GOOD);
    assert!(is_unreachable(&host.token()));
    assert_eq!(host.sandbox.live_grants().len(), 1);
    let revocation = host.connections.revoke(&host.alice, connection.id).unwrap();
    assert_eq!(revocation.at_provider, AtProvider::Revoked);
    assert_eq!(ended(&revocation).len(), 2);
    assert!(host.sandbox.live_grants().is_empty());
    host.vault.fail(0);
    let need = host.token().unwrap_err();
    assert_eq!(
        need.consent_required().unwrap().reason,
        ConsentReason::NotConnected
    );
}

#[test]
fn a_consent_that_could_not_be_stored_fails_and_can_be_given_again() {
    let host = Host::new(Duration::ZERO);
    host.vault.fail(FOR_GOOD);
    assert!(is_unreachable(&host.connect()));
    host.vault.fail(0);
    host.connect().unwrap();
    host.token().unwrap();
}

#[test]
fn the_vaults_clock_counts_and_its_warnings_are_told() {
    let host = Host::new(Duration::ZERO);
    let told = host.events.all();
    let warned: Vec<_> = told
        .iter()
        .map(|event| (event.kind, event.tenant.clone()))
        .collect();
    assert_eq!(
        warned,
        [(EventKind::VaultWarning(VaultWarning::SharedDirectory), None)]
    );
    let connection = host.connect().unwrap();
    let now = valetkey::Clock::now(&host.vault.clock);
    assert_eq!(connection.consented_at, now);
}
