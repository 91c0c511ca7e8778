//! A host with one service that most tests use, and the users of its workspace.

use std::ops::{Deref, DerefMut};

use valetkey::model::Connection;
use valetkey::provider::{AuthorizationServer, Provider};
use valetkey::testing::sandbox::Personality;
use valetkey::testing::{EventLog, Host};
use valetkey::vault::{SealedVault, Vault};
use valetkey::{ActingUser, AuthorizationResponse, Consent, ConsentOptions, Operator, Result, TenantId};

pub(crate) const REDIRECT: &str = Host::REDIRECT_URI;

/// Keeps events in order.
pub(crate) type Events = EventLog;

/// A [`Host`], and the steps of a consent for its service `notes`.
#[derive(Debug)]
pub(crate) struct World(Host);

impl Deref for World {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.0
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Host {
        &mut self.0
    }
}

impl World {
    /// Returns a host over a vault in memory, with the services `notes` and `mail` at the sandbox.
    pub(crate) fn new() -> Self {
        Self(Host::new())
    }

    pub(crate) fn over(vault: impl Vault) -> Self {
        Self::with(vault, |_| {})
    }

    /// Returns a host with a sandbox that behaves in this way.
    pub(crate) fn like(change: impl FnOnce(&mut Personality)) -> Self {
        Self::with(SealedVault::in_memory(), change)
    }

    pub(crate) fn with(vault: impl Vault, change: impl FnOnce(&mut Personality)) -> Self {
        Self::described(vault, change, |_, _| {})
    }

    /// Returns a host with modified descriptors of the server and of both services.
    pub(crate) fn described(
        vault: impl Vault,
        change: impl FnOnce(&mut Personality),
        describe: impl Fn(&mut AuthorizationServer, &mut Provider),
    ) -> Self {
        let builder = Host::builder().vault(vault).personality(change);
        Self(builder.describe(describe).build().unwrap())
    }

    /// Returns a host where Alice has connected an account, with her and the connection.
    pub(crate) fn connected() -> (Self, ActingUser, Connection) {
        let (world, alice) = (Self::new(), person("alice"));
        let connection = world.connect(&alice, "ada");
        (world, alice, connection)
    }

    /// Grants a consent at the server. Returns it with the callback of the user's browser.
    pub(crate) fn approved(&self, person: &ActingUser) -> (Consent, String) {
        let consent = self.start(person, ConsentOptions::default());
        let callback = self.sandbox.approve(consent.authorization_url(), "ada");
        (consent, callback)
    }

    pub(crate) fn start(&self, person: &ActingUser, options: ConsentOptions) -> Consent {
        self.connections.start(person, "notes", options).unwrap()
    }

    /// Completes a consent with this callback and the binding in the browser.
    pub(crate) fn complete(&self, by: &ActingUser, callback: &str, consent: &Consent) -> Result<Connection> {
        self.connections
            .complete(by, response(callback), consent.binding())
    }

    /// Connects an account of a user.
    pub(crate) fn connect(&self, person: &ActingUser, account: &str) -> Connection {
        self.try_connect(person, account, ConsentOptions::default())
            .unwrap()
    }

    pub(crate) fn try_connect(
        &self,
        person: &ActingUser,
        account: &str,
        options: ConsentOptions,
    ) -> Result<Connection> {
        self.connect_with(person, "notes", account, options)
    }

    /// Connects an account for the whole workspace, as an operator.
    pub(crate) fn connect_workspace_account(&self, account: &str) -> Connection {
        self.connect_workspace_with(&operator(), "notes", account, ConsentOptions::default())
            .unwrap()
    }

    /// Returns the number of requests to the token endpoint so far.
    pub(crate) fn token_requests(&self) -> usize {
        self.http.requests_to("/token")
    }
}

pub(crate) fn response(callback: &str) -> AuthorizationResponse {
    AuthorizationResponse::parse(callback).unwrap()
}

pub(crate) fn tenant() -> TenantId {
    TenantId::new(Host::TENANT).unwrap()
}

pub(crate) fn person(name: &str) -> ActingUser {
    ActingUser::authenticated(Host::TENANT, name).unwrap()
}

pub(crate) fn stranger(name: &str) -> ActingUser {
    ActingUser::authenticated("elsewhere", name).unwrap()
}

pub(crate) fn operator() -> Operator {
    Operator::authenticated(Host::TENANT, "olga").unwrap()
}
