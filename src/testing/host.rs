//! A complete test host: the sandbox, its clock, and connections and a resolver that use both.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::connections::{Connections, ConnectionsBuilder, Consent, ConsentOptions};
use crate::error::Result;
use crate::model::{ActingUser, Connection, Event, EventSink, Operator};
use crate::protocol::AuthorizationResponse;
use crate::provider::{AuthorizationServer, ClientRegistration, Provider};
use crate::resolver::{Policy, Resolver};
use crate::testing::events::EventLog;
use crate::testing::sandbox::{Personality, TestAccount};
use crate::testing::{FaultClient, ManualClock, Sandbox};
use crate::vault::{SealedVault, Vault};

/// A host for tests and examples: a [`Sandbox`] with the services `notes` and `mail`, and
/// connections and a resolver over an in-memory vault. Everything uses one [`ManualClock`], without
/// network access or waiting.
///
/// ```
/// use valetkey::testing::Host;
///
/// let host = Host::new();
/// let ada = host.user("ada");
/// host.connect(&ada, "notes");
///
/// let request = http::Request::get("/notes").body(Vec::new())?;
/// let answer = host.resolver.send(&ada, "notes", request)?;
/// assert_eq!(answer.status(), 200);
///
/// host.expire();
/// host.resolver.resolve(&ada, "notes")?;
/// assert_eq!(host.http.requests_to("/token"), 2, "one for the code, one to refresh");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Host {
    /// The authorization server and API.
    pub sandbox: Sandbox,
    /// The clock of the sandbox, the connections and the resolver.
    pub clock: ManualClock,
    /// The client through which the host reaches the sandbox. It fails on demand and counts
    /// requests.
    pub http: FaultClient,
    /// All events of the connections.
    pub events: EventLog,
    /// The host's connections.
    pub connections: Connections,
    /// A resolver over the connections.
    pub resolver: Resolver,
    vault: Arc<dyn Vault>,
}

impl Host {
    /// The tenant of [`user`](Self::user) and [`operator`](Self::operator).
    pub const TENANT: &str = "acme";

    /// The redirect URI that a host registers at the sandbox unless the builder sets another.
    pub const REDIRECT_URI: &str = "https://host.test/callback";

    /// Builds a host over an empty in-memory vault, with the services `notes` and `mail`.
    ///
    /// # Panics
    ///
    /// If the operating system has no random numbers.
    #[must_use]
    pub fn new() -> Self {
        Self::builder()
            .build()
            .expect("the sandbox's own descriptors are valid")
    }

    /// Creates a builder for a host that differs from [`new`](Self::new).
    pub fn builder<'a>() -> HostBuilder<'a> {
        HostBuilder {
            origin: None,
            shared: None,
            vault: None,
            services: vec!["notes".to_owned(), "mail".to_owned()],
            redirect_uri: Self::REDIRECT_URI.to_owned(),
            client: None,
            policy: Policy::default(),
            sinks: Vec::new(),
            personality: Vec::new(),
            describe: Vec::new(),
            configure: Vec::new(),
        }
    }

    /// Builds another host over the same sandbox, clock and vault, like another process or this one
    /// after a restart. It has the default services and descriptors unless the builder changes
    /// them; events go to the same log.
    pub fn another<'a>(&self) -> HostBuilder<'a> {
        let mut builder = Self::builder();
        builder.shared = Some((
            self.sandbox.clone(),
            self.clock.clone(),
            self.http.clone(),
            self.events.clone(),
        ));
        builder.vault = Some(Arc::clone(&self.vault));
        builder
    }

    /// Returns this user of the tenant [`TENANT`](Self::TENANT), authenticated.
    ///
    /// # Panics
    ///
    /// If the name is not valid.
    #[must_use]
    pub fn user(&self, name: &str) -> ActingUser {
        ActingUser::authenticated(Self::TENANT, name).expect("the name is valid")
    }

    /// Returns this operator of the tenant [`TENANT`](Self::TENANT), authenticated.
    ///
    /// # Panics
    ///
    /// If the name is not valid.
    #[must_use]
    pub fn operator(&self, name: &str) -> Operator {
        Operator::authenticated(Self::TENANT, name).expect("the name is valid")
    }

    /// Performs a complete consent as this user: starts it, allows everything at the sandbox, and
    /// completes it. The account is the one with the user's name, or else [`TestAccount::ADA`].
    ///
    /// # Panics
    ///
    /// If the consent fails.
    pub fn connect(&self, user: &ActingUser, provider: &str) -> Connection {
        self.connect_with(user, provider, account_of(user), ConsentOptions::default())
            .expect("the consent is completed")
    }

    /// Performs a complete consent as this user, with this account of the sandbox and these
    /// options.
    ///
    /// # Errors
    ///
    /// Those of [`Connections::start`] and [`Connections::complete`].
    ///
    /// # Panics
    ///
    /// If there is no such account, or the sandbox refuses the authorization request.
    pub fn connect_with(
        &self,
        user: &ActingUser,
        provider: &str,
        account: &str,
        options: ConsentOptions,
    ) -> Result<Connection> {
        let consent = self.connections.start(user, provider, options)?;
        self.finish(user, &consent, account)
    }

    /// Performs a complete consent for a workspace connection, as this operator. The account is
    /// selected as in [`connect`](Self::connect).
    ///
    /// # Panics
    ///
    /// If the consent fails.
    pub fn connect_workspace(&self, operator: &Operator, provider: &str) -> Connection {
        let account = account_of(operator.acting_user());
        self.connect_workspace_with(operator, provider, account, ConsentOptions::default())
            .expect("the consent is completed")
    }

    /// Performs a complete consent for a workspace connection, as this operator, with this account
    /// of the sandbox and these options.
    ///
    /// # Errors
    ///
    /// Those of [`Connections::start_workspace`] and [`Connections::complete`].
    ///
    /// # Panics
    ///
    /// If there is no such account, or the sandbox refuses the authorization request.
    pub fn connect_workspace_with(
        &self,
        operator: &Operator,
        provider: &str,
        account: &str,
        options: ConsentOptions,
    ) -> Result<Connection> {
        let consent = self.connections.start_workspace(operator, provider, options)?;
        self.finish(operator.acting_user(), &consent, account)
    }

    fn finish(&self, user: &ActingUser, consent: &Consent, account: &str) -> Result<Connection> {
        let callback = self.sandbox.approve(consent.authorization_url(), account);
        let response = AuthorizationResponse::parse(&callback)?;
        self.connections.complete(user, response, consent.binding())
    }

    /// Moves the clock past the expiry of all access tokens that exist now.
    pub fn expire(&self) {
        let lifetime = self.sandbox.personality().access_token_lifetime;
        self.clock
            .advance(lifetime.unwrap_or_default() + Duration::from_secs(1));
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

fn account_of(user: &ActingUser) -> &'static str {
    TestAccount::find(user.user().as_str())
        .unwrap_or(TestAccount::ADA)
        .id
}

/// The parts that several hosts share.
type Shared = (Sandbox, ManualClock, FaultClient, EventLog);

type Change<'a, T> = Box<dyn FnOnce(&mut T) + 'a>;
type Describe<'a> = Box<dyn FnMut(&mut AuthorizationServer, &mut Provider) + 'a>;
type Configure<'a> = Box<dyn FnOnce(&Sandbox, ConnectionsBuilder) -> ConnectionsBuilder + 'a>;

/// Builds a [`Host`]: see [`Host::builder`].
///
/// ```
/// use std::time::Duration;
/// use valetkey::testing::Host;
///
/// let host = Host::builder()
///     .personality(|server| server.access_token_lifetime = Some(Duration::from_secs(60)))
///     .services(["calendar"])
///     .build()?;
/// host.connect(&host.user("grace"), "calendar");
/// # Ok::<(), valetkey::Error>(())
/// ```
#[must_use]
pub struct HostBuilder<'a> {
    origin: Option<String>,
    shared: Option<Shared>,
    vault: Option<Arc<dyn Vault>>,
    services: Vec<String>,
    redirect_uri: String,
    client: Option<ClientRegistration>,
    policy: Policy,
    sinks: Vec<Box<dyn EventSink>>,
    personality: Vec<Change<'a, Personality>>,
    describe: Vec<Describe<'a>>,
    configure: Vec<Configure<'a>>,
}

impl<'a> HostBuilder<'a> {
    /// Stores connections in this vault instead of an empty in-memory one.
    pub fn vault(mut self, vault: impl Vault) -> Self {
        self.vault = Some(Arc::new(vault));
        self
    }

    /// Serves the sandbox at this origin, such as `http://127.0.0.1:8080`, so that a real browser
    /// can reach it: see [`Sandbox::at`]. The host itself still calls the sandbox in process. This
    /// has no effect on a host that shares a sandbox ([`Host::another`]).
    pub fn at(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Changes the behavior of the sandbox before its descriptors are created.
    pub fn personality(mut self, change: impl FnOnce(&mut Personality) + 'a) -> Self {
        self.personality.push(Box::new(change));
        self
    }

    /// Registers these services at the sandbox instead of `notes` and `mail`. The API of each is
    /// the sandbox's notes API.
    pub fn services<S: Into<String>>(mut self, ids: impl IntoIterator<Item = S>) -> Self {
        self.services = ids.into_iter().map(Into::into).collect();
        self
    }

    /// Changes the descriptors. The closure is called once for each service, with the descriptor of
    /// the sandbox's server, which all services share.
    pub fn describe(mut self, change: impl FnMut(&mut AuthorizationServer, &mut Provider) + 'a) -> Self {
        self.describe.push(Box::new(change));
        self
    }

    /// Registers this redirect URI instead of [`Host::REDIRECT_URI`].
    pub fn redirect_uri(mut self, redirect_uri: impl Into<String>) -> Self {
        self.redirect_uri = redirect_uri.into();
        self
    }

    /// Uses this registration at the sandbox's server instead of the one that the sandbox accepts,
    /// for example one with a wrong secret.
    pub fn client(mut self, registration: ClientRegistration) -> Self {
        self.client = Some(registration);
        self
    }

    /// Sets the policy of the resolver.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Also sends all events to this sink, after [`Host::events`] has stored them.
    pub fn events(mut self, sink: impl EventSink) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// Changes the builder of the connections last, for example its settings or its providers and
    /// their clients.
    pub fn connections(
        mut self,
        configure: impl FnOnce(&Sandbox, ConnectionsBuilder) -> ConnectionsBuilder + 'a,
    ) -> Self {
        self.configure.push(Box::new(configure));
        self
    }

    /// Builds the host.
    ///
    /// # Errors
    ///
    /// Those of [`ConnectionsBuilder::build`]: a changed descriptor is not valid, or the vault
    /// fails.
    ///
    /// # Panics
    ///
    /// If a service's id or the origin is not valid.
    pub fn build(self) -> Result<Host> {
        let (sandbox, clock, http, events) = match self.shared {
            Some(shared) => shared,
            None => apart(self.origin.as_deref()),
        };
        for change in self.personality {
            sandbox.adjust(change);
        }
        let vault = self.vault.unwrap_or_else(|| Arc::new(SealedVault::in_memory()));
        let mut server = sandbox.server();
        let mut providers: Vec<Provider> = self.services.iter().map(|id| sandbox.provider(id)).collect();
        for mut describe in self.describe {
            for provider in &mut providers {
                describe(&mut server, provider);
            }
        }
        // The sandbox knows its own client in either case.
        let own_client = sandbox.registration(&self.redirect_uri);
        let mut builder = Connections::builder(Arc::clone(&vault))
            .server(server)
            .client("sandbox", self.client.unwrap_or(own_client))
            .http_client(http.clone())
            .clock(clock.clone())
            .events(Told {
                log: events.clone(),
                sinks: self.sinks,
            });
        for provider in providers {
            builder = builder.provider(provider);
        }
        if sandbox.base_url().scheme() == "http" {
            builder = builder.dangerous_loopback_http();
        }
        for configure in self.configure {
            builder = configure(&sandbox, builder);
        }
        let connections = builder.build()?;
        Ok(Host {
            resolver: Resolver::new(connections.clone()).policy(self.policy),
            sandbox,
            clock,
            http,
            events,
            connections,
            vault,
        })
    }
}

/// A separate sandbox with its clock, client and event log.
fn apart(origin: Option<&str>) -> Shared {
    let clock = ManualClock::default();
    let sandbox = match origin {
        Some(origin) => Sandbox::at(origin, clock.clone()),
        None => Sandbox::new(clock.clone()),
    };
    let http = FaultClient::new(sandbox.clone());
    (sandbox, clock, http, EventLog::default())
}

impl fmt::Debug for HostBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostBuilder")
            .field("origin", &self.origin)
            .field("vault", &self.vault)
            .field("services", &self.services)
            .field("redirect_uri", &self.redirect_uri)
            .finish_non_exhaustive()
    }
}

/// The log and the sinks that the test adds.
struct Told {
    log: EventLog,
    sinks: Vec<Box<dyn EventSink>>,
}

impl EventSink for Told {
    fn emit(&self, event: &Event) {
        self.log.emit(event);
        for sink in &self.sinks {
            sink.emit(event);
        }
    }
}

#[cfg(test)]
mod tests;
