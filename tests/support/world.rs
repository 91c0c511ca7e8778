//! A host, its users and the sandbox, for tests: no network, no waiting.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use valetkey::model::{Connection, Event, EventKind, EventSink};
use valetkey::provider::{AuthorizationServer, Provider};
use valetkey::testing::sandbox::Personality;
use valetkey::testing::{FaultClient, ManualClock, Sandbox};
use valetkey::vault::{MemoryVault, Vault};
use valetkey::{
    ActingUser, AuthorizationResponse, Connections, Consent, ConsentOptions, Operator, Resolver, Result,
    TenantId,
};

pub const REDIRECT: &str = "https://app.test/callback";

pub struct World {
    pub sandbox: Sandbox,
    pub clock: ManualClock,
    pub http: FaultClient,
    pub events: Events,
    pub connections: Connections,
    pub resolver: Resolver,
}

impl World {
    /// A host over a vault in memory, with the providers `notes` and `mail` at the sandbox.
    pub fn new() -> Self {
        Self::over(MemoryVault::new())
    }

    pub fn over(vault: impl Vault) -> Self {
        Self::with(vault, |_| {})
    }

    /// The same with a sandbox that behaves in this way.
    pub fn like(change: impl FnOnce(&mut Personality)) -> Self {
        Self::with(MemoryVault::new(), change)
    }

    pub fn with(vault: impl Vault, change: impl FnOnce(&mut Personality)) -> Self {
        Self::described(vault, change, |_, _| {})
    }

    /// The same with other descriptors of the server and of both services.
    pub fn described(
        vault: impl Vault,
        change: impl FnOnce(&mut Personality),
        describe: impl Fn(&mut AuthorizationServer, &mut Provider),
    ) -> Self {
        let clock = ManualClock::default();
        let sandbox = Sandbox::new(clock.clone());
        sandbox.adjust(change);
        let http = FaultClient::new(sandbox.clone());
        let events = Events::default();
        let connections = Self::host(vault, &sandbox, &http, &clock, &events, describe);
        let resolver = Resolver::new(connections.clone());
        Self {
            sandbox,
            clock,
            http,
            events,
            connections,
            resolver,
        }
    }

    fn host(
        vault: impl Vault,
        sandbox: &Sandbox,
        http: &FaultClient,
        clock: &ManualClock,
        events: &Events,
        describe: impl Fn(&mut AuthorizationServer, &mut Provider),
    ) -> Connections {
        let mut server = sandbox.server();
        let [notes, mail] = ["notes", "mail"].map(|id| {
            let mut provider = sandbox.provider(id);
            describe(&mut server, &mut provider);
            provider
        });
        Connections::builder(vault)
            .server(server)
            .provider(notes)
            .provider(mail)
            .client("sandbox", sandbox.registration(REDIRECT))
            .http_client(http.clone())
            .clock(clock.clone())
            .events(events.clone())
            .build()
            .unwrap()
    }

    /// The host starts again over the same vault, with other descriptors.
    pub fn restart(&mut self, vault: impl Vault, describe: impl Fn(&mut AuthorizationServer, &mut Provider)) {
        self.connections = Self::host(
            vault,
            &self.sandbox,
            &self.http,
            &self.clock,
            &self.events,
            describe,
        );
        self.resolver = Resolver::new(self.connections.clone());
    }

    /// The host starts again over the same vault, and no longer has the service `mail`.
    pub fn restart_without_mail(&mut self, vault: impl Vault) {
        self.connections = Connections::builder(vault)
            .server(self.sandbox.server())
            .provider(self.sandbox.provider("notes"))
            .client("sandbox", self.sandbox.registration(REDIRECT))
            .http_client(self.http.clone())
            .clock(self.clock.clone())
            .events(self.events.clone())
            .build()
            .unwrap();
        self.resolver = Resolver::new(self.connections.clone());
    }

    pub fn start(&self, person: &ActingUser, options: ConsentOptions) -> Consent {
        self.connections.start(person, "notes", options).unwrap()
    }

    /// A browser comes back with this callback, and with what the consent left in it.
    pub fn complete(&self, by: &ActingUser, callback: &str, consent: &Consent) -> Result<Connection> {
        self.connections
            .complete(by, response(callback), consent.binding())
    }

    /// A person gives their consent with an account of theirs.
    pub fn connect(&self, person: &ActingUser, account: &str) -> Connection {
        self.try_connect(person, account, ConsentOptions::default())
            .unwrap()
    }

    pub fn try_connect(
        &self,
        person: &ActingUser,
        account: &str,
        options: ConsentOptions,
    ) -> Result<Connection> {
        let consent = self.connections.start(person, "notes", options)?;
        let callback = self.sandbox.approve(consent.authorization_url(), account);
        self.complete(person, &callback, &consent)
    }

    /// An operator connects the account that the tenant shares.
    pub fn connect_shared(&self, account: &str) -> Connection {
        let operator = operator();
        let consent = self
            .connections
            .start_workspace(&operator, "notes", ConsentOptions::default())
            .unwrap();
        let callback = self.sandbox.approve(consent.authorization_url(), account);
        self.complete(operator.acting_user(), &callback, &consent)
            .unwrap()
    }

    /// The sandbox's access tokens have expired, by the clock.
    pub fn expire(&self) {
        self.clock.advance(Duration::from_secs(3601));
    }

    /// Requests to the token endpoint so far.
    pub fn token_requests(&self) -> usize {
        self.http.requests_to("/token")
    }
}

pub fn response(callback: &str) -> AuthorizationResponse {
    AuthorizationResponse::parse(callback).unwrap()
}

pub fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

pub fn person(name: &str) -> ActingUser {
    ActingUser::authenticated(tenant(), name).unwrap()
}

pub fn stranger(name: &str) -> ActingUser {
    ActingUser::authenticated("elsewhere", name).unwrap()
}

pub fn operator() -> Operator {
    Operator::authenticated(tenant(), "olga").unwrap()
}

/// Events, kept in order.
#[derive(Debug, Clone, Default)]
pub struct Events(Arc<Mutex<Vec<Event>>>);

impl EventSink for Events {
    fn emit(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Events {
    pub fn kinds(&self) -> Vec<EventKind> {
        self.0.lock().unwrap().iter().map(|event| event.kind).collect()
    }

    pub fn all(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }
}
