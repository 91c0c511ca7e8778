//! Several real processes on one vault file, with one sandbox over real HTTP.
//!
//! A child is this same test binary. An environment variable tells it which part to play.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use valetkey::connections::{ConnectionsBuilder, Settings};
use valetkey::http::{HttpClient, HttpRequest, HttpResponse, UreqClient};
use valetkey::testing::Sandbox;
use valetkey::testing::sandbox::Personality;
#[cfg(feature = "postgres")]
use valetkey::vault::PostgresVault;
use valetkey::vault::{MasterKey, SqliteVault, Vault};
use valetkey::{
    ActingUser, AuthorizationResponse, Clock, Connections, ConsentOptions, Resolver, SystemClock, Timestamp,
};

use super::examples::loopback::Loopback;

/// Any 32 bytes, equal in children and parent.
const MASTER_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const REDIRECT: &str = "https://app.test/callback";

/// Returns the full count if the environment requests it, else the smaller one.
pub(crate) fn count(small: usize, full: usize) -> usize {
    if env::var_os("VALETKEY_FULL").is_some() {
        full
    } else {
        small
    }
}

/// The sandbox over HTTP, its request count, and the vault file of all processes.
pub(crate) struct Scene {
    pub(crate) sandbox: Sandbox,
    pub(crate) origin: String,
    pub(crate) file: PathBuf,
    token_requests: Arc<AtomicUsize>,
    _directory: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new(change: impl FnOnce(&mut Personality)) -> Self {
        Self::behind(change, |_, answer| answer())
    }

    /// Starts the sandbox with a hook for each request, which may inspect it, wait, and answer in
    /// its place.
    pub(crate) fn behind(
        change: impl FnOnce(&mut Personality),
        hand: impl Fn(&str, &mut dyn FnMut() -> HttpResponse) -> HttpResponse + Send + Sync + 'static,
    ) -> Self {
        let server = Loopback::bind("127.0.0.1", 0).unwrap();
        let origin = server.origin();
        let sandbox = Sandbox::at(&origin, SystemClock);
        sandbox.adjust(change);
        let token_requests = Arc::new(AtomicUsize::new(0));
        let (served, counted) = (sandbox.clone(), Arc::clone(&token_requests));
        server.serve(move |request: HttpRequest| {
            let path = request.url.path().to_owned();
            if path == "/token" {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            let mut request = Some(request);
            hand(&path, &mut || {
                served.handle(request.take().expect("a request is answered once"))
            })
        });
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("vault.db");
        sandbox.allow_redirect(REDIRECT);
        Self {
            sandbox,
            origin,
            file,
            token_requests,
            _directory: directory,
        }
    }

    /// Keeps the vault in the database with this address instead of a file.
    #[cfg(feature = "postgres")]
    pub(crate) fn in_database(mut self, address: &str) -> Self {
        self.file = address.into();
        self
    }

    pub(crate) fn token_requests(&self) -> usize {
        self.token_requests.load(Ordering::SeqCst)
    }

    /// Returns the connections of this process.
    pub(crate) fn connections(&self) -> Connections {
        self.connections_with(Settings::default())
    }

    pub(crate) fn connections_with(&self, settings: Settings) -> Connections {
        let client = UreqClient::new().dangerous_loopback_http();
        connections(
            &self.file,
            &self.origin,
            &self.sandbox.personality(),
            settings,
            client,
        )
    }

    /// Starts another process with a pipe to and from it.
    pub(crate) fn spawn_talking(&self, test: &str) -> Child {
        self.spawn_talking_about(test, "")
    }

    /// Starts another process with a pipe to and from it, and this argument.
    pub(crate) fn spawn_talking_about(&self, test: &str, argument: &str) -> Child {
        self.child(test, argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Starts another process, which plays the part `part` of the test named `test`, with this
    /// argument.
    pub(crate) fn spawn(&self, test: &str, argument: &str) -> Child {
        self.child(test, argument).stdout(Stdio::null()).spawn().unwrap()
    }

    fn child(&self, test: &str, argument: &str) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env("VALETKEY_CHILD", test)
            .env("VALETKEY_CHILD_FILE", &self.file)
            .env("VALETKEY_CHILD_ORIGIN", &self.origin)
            .env(
                "VALETKEY_CHILD_ROTATION",
                format!("{:?}", self.sandbox.personality().rotation),
            )
            .env("VALETKEY_CHILD_ARGUMENT", argument)
            .stderr(Stdio::inherit());
        command
    }
}

/// The part of a child.
pub(crate) struct Part {
    pub(crate) file: PathBuf,
    pub(crate) origin: String,
    pub(crate) argument: String,
}

impl Part {
    pub(crate) fn of(test: &str) -> Option<Self> {
        if env::var("VALETKEY_CHILD").ok()? != test {
            return None;
        }
        Some(Self {
            file: env::var_os("VALETKEY_CHILD_FILE")?.into(),
            origin: env::var("VALETKEY_CHILD_ORIGIN").ok()?,
            argument: env::var("VALETKEY_CHILD_ARGUMENT").ok()?,
        })
    }

    pub(crate) fn connections(&self) -> Connections {
        self.connections_with(Settings::default(), UreqClient::new().dangerous_loopback_http())
    }

    pub(crate) fn connections_with(&self, settings: Settings, client: impl HttpClient) -> Connections {
        connections(
            &self.file,
            &self.origin,
            &Personality::default(),
            settings,
            client,
        )
    }

    /// Returns the connections of a host whose clock is wrong.
    pub(crate) fn connections_at(&self, clock: WrongClock) -> Connections {
        let client = UreqClient::new().dangerous_loopback_http();
        builder(
            &self.file,
            &self.origin,
            &Personality::default(),
            Settings::default(),
            client,
        )
        .clock(clock)
        .build()
        .unwrap()
    }
}

/// The clock of a host that is wrong by a number of hours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WrongClock(pub(crate) i64);

impl Clock for WrongClock {
    fn now(&self) -> Timestamp {
        let by = Duration::from_secs(3_600 * self.0.unsigned_abs());
        let now = SystemClock.now();
        if self.0 < 0 {
            now.saturating_sub(by)
        } else {
            now + by
        }
    }
}

/// The master key of all processes.
pub(crate) fn key() -> MasterKey {
    MasterKey::from_base64(MASTER_KEY).unwrap()
}

/// Opens the vault in a database that may be out of order for a moment.
#[cfg(feature = "postgres")]
fn open_database(address: &str) -> PostgresVault {
    loop {
        match PostgresVault::connect(address, key()) {
            Ok(vault) => return vault,
            Err(error) if error.is_retryable() => std::thread::yield_now(),
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Opens the vault of all processes: a file, or a database if the path is the address of one.
fn open(file: &Path) -> Arc<dyn Vault> {
    #[cfg(feature = "postgres")]
    if let Some(address) = file.to_str().filter(|text| text.starts_with("host=")) {
        return Arc::new(open_database(address));
    }
    Arc::new(SqliteVault::open(file, key()).unwrap())
}

fn connections(
    file: &Path,
    origin: &str,
    like: &Personality,
    settings: Settings,
    client: impl HttpClient,
) -> Connections {
    builder(file, origin, like, settings, client).build().unwrap()
}

fn builder(
    file: &Path,
    origin: &str,
    like: &Personality,
    settings: Settings,
    client: impl HttpClient,
) -> ConnectionsBuilder {
    // Only its descriptors are used: the server that answers is in the parent.
    let described = Sandbox::at(origin, SystemClock);
    described.adjust(|personality| *personality = like.clone());
    Connections::builder(open(file))
        .server(described.server())
        .provider(described.provider("notes"))
        .client("sandbox", described.registration(REDIRECT))
        .http_client(client)
        .dangerous_loopback_http()
        .settings(settings)
}

pub(crate) fn alice() -> ActingUser {
    super::world::person("alice")
}

/// Grants Alice's consent, again if necessary.
pub(crate) fn consent(scene: &Scene, connections: &Connections) -> valetkey::model::Connection {
    let consent = connections
        .start(&alice(), "notes", ConsentOptions::default())
        .unwrap();
    let callback = scene.sandbox.approve(consent.authorization_url(), "ada");
    connections
        .complete(
            &alice(),
            AuthorizationResponse::parse(&callback).unwrap(),
            consent.binding(),
        )
        .unwrap()
}

/// Resolves a token with a longer remaining lifetime than any token has, so that each call is a
/// refresh.
pub(crate) fn renew(resolver: &Resolver) -> valetkey::Result<u64> {
    let options = valetkey::resolver::ResolveOptions::new("notes").min_ttl(Duration::from_secs(2 * 3600));
    resolver
        .resolve(&alice(), &options)
        .map(|token| token.generation())
}

/// Sends a signal to a child.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}
