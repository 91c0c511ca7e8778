//! Services that share an authorization server, which the sandbox plays, and a host that connects
//! them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use url::Url;
use valetkey::connections::ConnectionFilter;
use valetkey::error::ConsentReason;
use valetkey::model::{Connection, Scopes};
use valetkey::testing::sandbox::Logged;
use valetkey::testing::{FaultClient, ManualClock, Sandbox};
use valetkey::vault::{MasterKey, SealedVault, SqliteVault, Vault};
use valetkey::{ActingUser, Connections, ConsentOptions, Resolver, Result};

use super::world::{Events, REDIRECT, person, response};

pub(crate) const LOCAL: &str = "http://localhost:3000/callback";

/// A family of three services at one authorization server.
pub(crate) struct Family {
    pub(crate) server: &'static str,
    /// The two services of the first consent, and the one that is added later.
    pub(crate) services: [&'static str; 3],
    /// A scope of each service.
    pub(crate) scopes: [&'static str; 3],
    /// The parameter by which a later consent adds to the grant; `None` where the whole is
    /// requested again.
    pub(crate) adds: Option<(&'static str, &'static str)>,
    /// True if the provider supports revocation.
    pub(crate) ends: bool,
}

pub(crate) const FAMILIES: [Family; 2] = [
    Family {
        server: "google",
        services: ["gmail", "google-calendar", "google-drive"],
        scopes: [
            "https://www.googleapis.com/auth/gmail.modify",
            "https://www.googleapis.com/auth/calendar.events",
            "https://www.googleapis.com/auth/drive",
        ],
        adds: Some(("include_granted_scopes", "true")),
        ends: true,
    },
    Family {
        server: "microsoft",
        services: ["outlook-mail", "outlook-calendar", "onedrive"],
        scopes: ["Mail.ReadWrite", "Calendars.ReadWrite", "Files.ReadWrite"],
        adds: None,
        ends: false,
    },
];

pub(crate) struct Host {
    pub(crate) sandbox: Sandbox,
    pub(crate) http: FaultClient,
    pub(crate) clock: ManualClock,
    pub(crate) events: Events,
    pub(crate) connections: Connections,
    pub(crate) resolver: Resolver,
    pub(crate) alice: ActingUser,
}

impl Host {
    pub(crate) fn new(family: &Family) -> Self {
        Self::over(family, SealedVault::in_memory())
    }

    pub(crate) fn over(family: &Family, vault: impl Vault) -> Self {
        let clock = ManualClock::default();
        let sandbox = Sandbox::playing(family.services[0], clock.clone());
        let http = FaultClient::new(sandbox.clone());
        let events = Events::default();
        let redirect = if family.server == "google" {
            REDIRECT
        } else {
            LOCAL
        };
        let connections = Connections::builder(vault)
            .client(family.server, sandbox.registration(redirect))
            .http_client(http.clone())
            .clock(clock.clone())
            .events(events.clone())
            .build()
            .unwrap();
        Self {
            resolver: Resolver::new(connections.clone()),
            sandbox,
            http,
            clock,
            events,
            connections,
            alice: person("alice"),
        }
    }

    /// Walks through a consent. Returns the URL and the result.
    pub(crate) fn walk(
        &self,
        service: &str,
        account: &str,
        options: ConsentOptions,
    ) -> (Url, Result<Connection>) {
        let consent = self.connections.start(&self.alice, service, options).unwrap();
        let url = consent.authorization_url().clone();
        let callback = self.sandbox.approve(&url, account);
        let done = self
            .connections
            .complete(&self.alice, response(&callback), consent.binding());
        (url, done)
    }

    pub(crate) fn connect(&self, service: &str, options: ConsentOptions) -> Connection {
        self.walk(service, "ada", options).1.unwrap()
    }

    /// Connects the first two services of the family by one consent.
    pub(crate) fn two(&self, family: &Family) -> [Connection; 2] {
        let [first, second, _] = family.services;
        let named = self.connect(first, ConsentOptions::default().also(second));
        [named, self.of(second)]
    }

    /// Returns the only connection to a service that is not revoked.
    pub(crate) fn of(&self, service: &str) -> Connection {
        let filter = ConnectionFilter::provider(service);
        let mut found = self.connections.list(&self.alice, &filter).unwrap();
        assert_eq!(found.len(), 1, "{service}: {found:?}");
        found.remove(0)
    }

    pub(crate) fn token(&self, service: &str) -> String {
        let token = self.resolver.resolve(&self.alice, service).unwrap();
        assert_eq!(token.connection(), self.of(service).id, "{service}");
        token.access_token().expose_secret().to_owned()
    }

    pub(crate) fn refusal(&self, service: &str) -> ConsentReason {
        let error = self.resolver.resolve(&self.alice, service).unwrap_err();
        error.consent_required().unwrap().reason
    }

    pub(crate) fn token_requests(&self) -> Vec<Logged> {
        let mut log = self.sandbox.log();
        log.retain(|logged| logged.parameter("grant_type").is_some());
        log
    }

    pub(crate) fn revocations(&self) -> usize {
        self.http.requests_to("/revoke")
    }

    pub(crate) fn expire(&self) {
        self.clock.advance(Duration::from_secs(3601));
    }
}

pub(crate) fn scopes_of(url: &Url) -> BTreeSet<String> {
    let asked = parameter(url, "scope").unwrap();
    asked.split(' ').map(str::to_owned).collect()
}

pub(crate) fn parameter(url: &Url, name: &str) -> Option<String> {
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned())
}

pub(crate) fn names(url: &Url) -> BTreeSet<String> {
    url.query_pairs().map(|(name, _)| name.into_owned()).collect()
}

pub(crate) fn has(scopes: &Scopes, scope: &str) -> bool {
    scopes.contains(scope)
}
pub(crate) const GOOGLE: &Family = &FAMILIES[0];

pub(crate) fn vaults() -> [Box<dyn Fn() -> Arc<dyn Vault>>; 2] {
    [
        Box::new(|| Arc::new(SealedVault::in_memory())),
        Box::new(|| Arc::new(SqliteVault::in_memory(MasterKey::generate().unwrap()).unwrap())),
    ]
}
