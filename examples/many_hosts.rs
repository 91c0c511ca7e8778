//! Four hosts share a vault in PostgreSQL, refresh the same connection all the time, and one of
//! them is killed while it waits for the provider.
//!
//! `cargo run --features postgres --example many_hosts`
//!
//! Starts a private server, or uses the database that `DATABASE_URL` names. The hosts are processes
//! of this program. The provider accepts each refresh token once, and ends the access if one is
//! used twice.
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use valetkey::connections::Settings;
use valetkey::http::{HttpClient as _, HttpRequest, HttpResponse, UreqClient};
use valetkey::resolver::ResolveOptions;
use valetkey::testing::Sandbox;
use valetkey::vault::{MasterKey, PostgresOptions, PostgresVault};
use valetkey::{ActingUser, AuthorizationResponse, Connections, ConsentOptions, Resolver, SystemClock};

use support::cluster::Cluster;
use support::loopback::Loopback;

const HOSTS: usize = 4;
/// The request whose sender is killed.
const FATAL: usize = 10;
/// The generation at which the hosts stop.
const TARGET: u64 = 60;
const REDIRECT: &str = "https://app.test/callback";
/// Tells a host its number.
const HEADER: &str = "x-host";

/// The hosts that run, by their numbers.
#[derive(Clone, Default)]
struct Hosts(Arc<Mutex<BTreeMap<String, Child>>>);

impl Hosts {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Child>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills a host, and waits for its end.
    fn kill(&self, number: &str) {
        if let Some(mut child) = self.all().remove(number) {
            let _ = child.kill().and_then(|()| child.wait());
            println!("host {number}: killed during a refresh");
        }
    }

    /// Waits until all hosts that were not killed have ended. Returns their number.
    fn wait(&self) -> Result<usize, Box<dyn Error>> {
        let mut ended = 0;
        loop {
            let mut hosts = self.all();
            let mut running = BTreeMap::new();
            for (number, mut child) in std::mem::take(&mut *hosts) {
                match child.try_wait()? {
                    Some(status) => {
                        assert!(status.success(), "host {number} failed");
                        ended += 1;
                    }
                    None => drop(running.insert(number, child)),
                }
            }
            *hosts = running;
            if hosts.is_empty() {
                return Ok(ended);
            }
            drop(hosts);
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The facts that all processes share, passed by environment variables.
struct Shared {
    address: String,
    schema: String,
    origin: String,
    key: String,
}

impl Shared {
    fn of_parent() -> Option<Self> {
        let read = |name: &str| env::var(name).ok();
        Some(Self {
            address: read("MANY_HOSTS_ADDRESS")?,
            schema: read("MANY_HOSTS_SCHEMA")?,
            origin: read("MANY_HOSTS_ORIGIN")?,
            key: read("MANY_HOSTS_KEY")?,
        })
    }

    fn spawn(&self, number: usize) -> Result<Child, Box<dyn Error>> {
        Ok(Command::new(env::current_exe()?)
            .env("MANY_HOSTS_ADDRESS", &self.address)
            .env("MANY_HOSTS_SCHEMA", &self.schema)
            .env("MANY_HOSTS_ORIGIN", &self.origin)
            .env("MANY_HOSTS_KEY", &self.key)
            .env("MANY_HOSTS_NUMBER", number.to_string())
            .spawn()?)
    }

    fn vault(&self) -> Result<PostgresVault, Box<dyn Error>> {
        let options = PostgresOptions::new(&self.address)?.schema(&self.schema)?;
        Ok(options.connect(MasterKey::from_base64(&self.key)?)?)
    }

    /// Returns the connections of a host, which names itself in each request.
    fn connections(&self, number: &str, sent: &Arc<AtomicUsize>) -> Result<Connections, Box<dyn Error>> {
        // Only its descriptors are used here: the server that answers is in the parent.
        let sandbox = strict(&self.origin);
        let (client, number) = (
            UreqClient::new().dangerous_loopback_http(),
            HeaderValue::from_str(number)?,
        );
        let sent = Arc::clone(sent);
        Ok(Connections::builder(self.vault()?)
            .server(sandbox.server())
            .provider(sandbox.provider("notes"))
            .client("sandbox", sandbox.registration(REDIRECT))
            .http_client(move |mut request: HttpRequest| {
                sent.fetch_add(usize::from(request.url.path() == "/token"), Ordering::SeqCst);
                request.headers.insert(HEADER, number.clone());
                client.send(request)
            })
            .dangerous_loopback_http()
            // The others wait this long for a host that was killed. Default: 30 s.
            .settings(Settings::default().refresh_lease(Duration::from_secs(4)))
            .build()?)
    }
}

/// Returns a provider that ends the access when a refresh token is used twice.
fn strict(origin: &str) -> Sandbox {
    let sandbox = Sandbox::at(origin, SystemClock);
    sandbox.allow_redirect(REDIRECT);
    sandbox
}

fn alice() -> Result<ActingUser, Box<dyn Error>> {
    Ok(ActingUser::authenticated("acme", "alice")?)
}

fn main() -> Result<(), Box<dyn Error>> {
    match (Shared::of_parent(), env::var("MANY_HOSTS_NUMBER")) {
        (Some(shared), Ok(number)) => host(&shared, &number),
        _ => parent(),
    }
}

/// One host: refreshes until the target, and prints what it saw.
fn host(shared: &Shared, number: &str) -> Result<(), Box<dyn Error>> {
    let sent = Arc::default();
    let resolver = Resolver::new(shared.connections(number, &sent)?);
    // Longer than any token is valid, so that each call wants a newer one.
    let options = ResolveOptions::new("notes").min_ttl(Duration::from_secs(2 * 3_600));
    let (alice, mut calls, mut waits) = (alice()?, 0, 0);
    let mut last = 0;
    while last < TARGET {
        match resolver.resolve(&alice, &options) {
            Ok(token) => (calls, last) = (calls + 1, token.generation()),
            // Another host refreshes, or was killed while it did.
            Err(error) if error.is_retryable() => waits += 1,
            Err(error) => return Err(error.into()),
        }
    }
    let sent = sent.load(Ordering::SeqCst);
    println!(
        "host {number}: {calls} tokens up to generation {last}, {sent} requests sent, told to retry {waits} times"
    );
    Ok(())
}

fn parent() -> Result<(), Box<dyn Error>> {
    let (_cluster, address) = match env::var("DATABASE_URL") {
        Ok(url) => (None, url),
        Err(_) => {
            let cluster = Cluster::start()?;
            let address = cluster.address();
            (Some(cluster), address)
        }
    };
    let server = Loopback::bind("127.0.0.1", 0)?;
    let sandbox = strict(&server.origin());
    let shared = Shared {
        address,
        schema: format!("many_hosts_{}", std::process::id()),
        origin: server.origin(),
        key: MasterKey::generate()?.to_base64().to_string(),
    };
    let (hosts, requests) = (Hosts::default(), Arc::new(AtomicUsize::new(0)));
    serve(server, &sandbox, &hosts, &requests);

    let connections = shared.connections("0", &Arc::default())?;
    let consent = connections.start(&alice()?, "notes", ConsentOptions::default())?;
    let callback = sandbox.approve(consent.authorization_url(), "ada");
    let response = AuthorizationResponse::parse(&callback)?;
    let connection = connections.complete(&alice()?, response, consent.binding())?;
    requests.store(0, Ordering::SeqCst);
    println!("{HOSTS} hosts refresh one connection up to generation {TARGET}");

    for number in 1..=HOSTS {
        let mut all = hosts.all();
        all.insert(number.to_string(), shared.spawn(number)?);
    }
    assert_eq!(hosts.wait()?, HOSTS - 1, "one host was killed");

    let reached = connections.get(&alice()?, connection.id)?.generation;
    let (sent, generations) = (requests.load(Ordering::SeqCst), reached - connection.generation);
    println!("the provider answered {sent} requests for {generations} new generations");
    assert_eq!(
        u64::try_from(sent)?,
        generations,
        "one request for each generation"
    );
    assert_eq!(sandbox.live_grants().len(), 1, "the access still exists");
    println!("the access was not ended: no refresh token was used twice, and none was lost");
    Ok(())
}

/// Serves the provider. Kills the sender of one request before the provider acts on it.
fn serve(server: Loopback, sandbox: &Sandbox, hosts: &Hosts, requests: &Arc<AtomicUsize>) {
    let (sandbox, hosts, requests) = (sandbox.clone(), hosts.clone(), Arc::clone(requests));
    let refreshes = AtomicUsize::new(0);
    server.serve(move |request: HttpRequest| {
        if request.url.path() == "/token" {
            let from = request.headers.get(HEADER).and_then(|value| value.to_str().ok());
            // The parent, which asked for consent, has the number 0.
            if let Some(number) = from.filter(|number| *number != "0")
                && refreshes.fetch_add(1, Ordering::SeqCst) + 1 == FATAL
            {
                hosts.kill(number);
                return HttpResponse::new(StatusCode::SERVICE_UNAVAILABLE, "");
            }
            requests.fetch_add(1, Ordering::SeqCst);
        }
        sandbox.handle(request)
    });
}
