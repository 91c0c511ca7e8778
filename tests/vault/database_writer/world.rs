//! A vault file with every kind of record that a writer could attack, and hosts over copies of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;
use valetkey::connections::{Budget, Settings};
use valetkey::internals::vault::{AuditChain, AuditLog as _, GrantStore as _, Housekeeping as _};
use valetkey::model::{Connection, ConnectionId, ConsentId, GrantId, Label};
use valetkey::testing::ManualClock;
use valetkey::vault::{AuditHead, MasterKey, SqliteVault, VaultError};
use valetkey::{
    ActingUser, AuthorizationResponse, Binding, Clock as _, Connections, Consent, ConsentOptions, Operator,
    Resolver, TenantId, Ticket, Timestamp,
};

use crate::database_writer::definitions;
use crate::database_writer::servers::{Network, honest_server, hostile_server, provider, registration};

pub(crate) const ACME: &str = "acme";
pub(crate) const ELSEWHERE: &str = "elsewhere";

/// The users who have records in the vault, with their tenants, and the attacker.
pub(crate) const PEOPLE: [(&str, &str); 8] = [
    (ACME, "alice"),
    (ACME, "bob"),
    (ACME, "carol"),
    (ACME, "dave"),
    (ACME, "erin"),
    (ACME, "frank"),
    (ACME, "mallory"),
    (ELSEWHERE, "alice"),
];

/// Returns a directory for one file, in memory if the system provides one: there are many cases,
/// and each would wait for the disk some dozen times.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() && std::env::var_os("TMPDIR").is_none() {
        return tempfile::tempdir_in(memory).unwrap();
    }
    tempfile::tempdir().unwrap()
}

pub(crate) fn key() -> MasterKey {
    MasterKey::from_base64(&STANDARD.encode([7; 32])).unwrap()
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

pub(crate) fn person((workspace, name): (&str, &str)) -> ActingUser {
    ActingUser::authenticated(tenant(workspace), name).unwrap()
}

pub(crate) fn operator(workspace: &str) -> Operator {
    Operator::authenticated(tenant(workspace), "olga").unwrap()
}

/// A host over one copy of the file.
pub(crate) struct Host {
    pub(crate) vault: Arc<SqliteVault>,
    pub(crate) connections: Connections,
    pub(crate) resolver: Resolver,
    pub(crate) network: Network,
    pub(crate) clock: ManualClock,
}

impl Host {
    pub(crate) fn open(path: &Path, now: Timestamp) -> Result<Self, VaultError> {
        Self::with(path, now, Settings::default())
    }

    pub(crate) fn with(path: &Path, now: Timestamp, mut settings: Settings) -> Result<Self, VaultError> {
        let vault = Arc::new(SqliteVault::open(path, key())?);
        let clock = ManualClock::new(now);
        let network = Network::new(clock.clone());
        // No other process writes to the file: a write that fails once would always fail.
        settings.store_patience = Duration::ZERO;
        settings.consent_lifetime = Duration::from_secs(24 * 3_600);
        let connections = Connections::builder(Arc::clone(&vault))
            .server(honest_server())
            .server(hostile_server())
            .provider(provider("notes", "honest"))
            .provider(provider("mail", "honest"))
            .provider(provider("game", "robber"))
            .client("honest", registration("honest"))
            .client("robber", registration("robber"))
            .http_client(network.clone())
            .clock(clock.clone())
            .settings(settings)
            .build()
            .unwrap();
        Ok(Self {
            resolver: Resolver::new(connections.clone()),
            vault,
            connections,
            network,
            clock,
        })
    }

    /// Returns the callback of a user who has consented.
    pub(crate) fn callback(&self, consent: &Consent, account: &str) -> String {
        callback(consent.authorization_url(), account)
    }

    pub(crate) fn connect(
        &self,
        who: &ActingUser,
        service: &str,
        account: &str,
        options: ConsentOptions,
    ) -> Connection {
        let consent = self.connections.start(who, service, options).unwrap();
        let callback = self.callback(&consent, account);
        self.connections
            .complete(
                who,
                AuthorizationResponse::parse(&callback).unwrap(),
                consent.binding(),
            )
            .unwrap()
    }

    pub(crate) fn connect_workspace(&self, workspace: &str, service: &str, account: &str) -> Connection {
        let operator = operator(workspace);
        let consent = self
            .connections
            .start_workspace(&operator, service, ConsentOptions::default())
            .unwrap();
        let callback = self.callback(&consent, account);
        let response = AuthorizationResponse::parse(&callback).unwrap();
        self.connections
            .complete(operator.acting_user(), response, consent.binding())
            .unwrap()
    }

    pub(crate) fn chains() -> [AuditChain; 3] {
        [
            AuditChain::Tenant(tenant(ACME)),
            AuditChain::Tenant(tenant(ELSEWHERE)),
            AuditChain::Vault,
        ]
    }
}

fn callback(authorization_url: &Url, account: &str) -> String {
    let parameter = |name: &str| {
        let mut pairs = authorization_url.query_pairs();
        pairs.find(|(key, _)| key == name).unwrap().1.into_owned()
    };
    let world = authorization_url.host_str().unwrap().split('.').next().unwrap();
    let scopes = parameter("scope").replace(' ', "%2B");
    format!(
        "https://app.test/callback?state={}&code=code-{world}-{account}-{scopes}",
        parameter("state")
    )
}

/// The facts about the file that the tests need.
pub(crate) struct World {
    _directory: tempfile::TempDir,
    pub(crate) path: PathBuf,
    pub(crate) now: Timestamp,
    /// Alice's pending consent for `mail`, with its callback.
    pub(crate) pending: (ConsentId, String),
    binding: String,
    /// The link that was prepared for bob.
    pub(crate) link: ConsentId,
    ticket: String,
    pub(crate) connections: Vec<Connection>,
    pub(crate) grants: Vec<(TenantId, GrantId)>,
    pub(crate) heads: Vec<AuditHead>,
    /// A connection of a grant that two connections share.
    pub(crate) family: ConnectionId,
    /// The file before tokens were refreshed, replaced and revoked.
    pub(crate) older: PathBuf,
}

impl World {
    pub(crate) fn binding(&self) -> Binding {
        Binding::new(self.binding.clone())
    }

    pub(crate) fn ticket(&self) -> Ticket {
        Ticket::new(self.ticket.clone())
    }

    pub(crate) fn build() -> Self {
        let directory = scratch();
        let path = directory.path().join("vault.db");
        let mut settings = Settings::default();
        settings.use_retention = Some(Duration::from_secs(3_600));
        let host = Host::with(&path, ManualClock::START, settings).unwrap();
        let none = ConsentOptions::default;
        let [alice, bob, carol, dave, erin, frank, mallory, namesake] = PEOPLE.map(person);
        let ada = host.connect(&alice, "notes", "ada", none());
        let work = ConsentOptions::default().label(Label::new("work").unwrap());
        host.connect(&alice, "notes", "adawork", work);
        host.connections.set_default(&alice, ada.id).unwrap();
        host.connect(&alice, "game", "adaplays", none());
        host.connect(&bob, "notes", "bobby", none());
        host.connect(&mallory, "game", "mal", none());
        host.connect(&mallory, "notes", "malnotes", none());
        host.connect_workspace(ACME, "mail", "team");
        host.connect_workspace(ELSEWHERE, "mail", "otherteam");
        host.connect(&namesake, "notes", "anna", none());
        let family = host.connect(&carol, "notes", "carla", none().also("mail")).id;
        let stuck = host.connect(&frank, "notes", "stuck", none());

        definitions::define(&host.vault, 1, host.clock.now());
        // Uses that are pruned, and tokens that are refreshed.
        for who in [&alice, &bob] {
            host.resolver.resolve(who, "notes").unwrap();
        }
        host.connections.maintain(Budget::default()).unwrap();
        host.clock.advance(Duration::from_secs(2 * 3_600));
        host.connections.maintain(Budget::default()).unwrap();
        let older = directory.path().join("older.db");
        host.vault.backup(&older).unwrap();
        definitions::define(&host.vault, 2, host.clock.now());
        host.clock.advance(Duration::from_secs(2 * 3_600));
        host.connections.maintain(Budget::default()).unwrap();
        let refused = host.connect(&erin, "notes", "refused", none());
        let _ = host.connections.refresh(&erin, refused.id);
        let dave_notes = host.connect(&dave, "notes", "davy", none());
        host.connect(&dave, "notes", "davy", none().reconnect(dave_notes.id));
        host.connections.revoke(&frank, stuck.id).unwrap();
        host.resolver.resolve(&alice, "notes").unwrap();
        host.connections.maintain(Budget::default().refreshes(0)).unwrap();

        let consent = host.connections.start(&alice, "mail", none()).unwrap();
        let pending = (consent.id(), host.callback(&consent, "adamail"));
        let link = host.connections.prepare(&bob, "mail", none()).unwrap();
        let now = host.clock.now();
        let (connections, grants) = inventory(&host, &path);
        let heads = host.vault.audit_heads(None).unwrap();
        for chain in Host::chains() {
            let report = host.vault.verify_chain(&chain, &mut |_, _| {}).unwrap();
            assert!(report.is_intact(), "{chain:?}: {report:?}");
        }
        Self {
            pending,
            binding: consent.binding().expose_secret().to_owned(),
            link: link.id(),
            ticket: link.ticket().expose_secret().to_owned(),
            connections,
            grants,
            heads,
            family,
            now,
            path,
            older,
            _directory: directory,
        }
    }

    /// Returns a copy of the file in its own directory.
    pub(crate) fn copy(&self) -> (tempfile::TempDir, PathBuf) {
        let directory = scratch();
        let path = directory.path().join("vault.db");
        fs::copy(&self.path, &path).unwrap();
        (directory, path)
    }
}

/// Returns all connections and grants, former ones included.
fn inventory(host: &Host, path: &Path) -> (Vec<Connection>, Vec<(TenantId, GrantId)>) {
    let db = rusqlite::Connection::open(path).unwrap();
    let ids = |sql: &str| -> Vec<(TenantId, [u8; 16])> {
        let mut statement = db.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)));
        let rows = rows.unwrap().map(Result::unwrap);
        rows.map(|(name, id)| (tenant(&name), id)).collect()
    };
    let connections = ids("SELECT t.name, c.uuid FROM connections c JOIN tenants t ON t.id = c.tenant");
    let grants = ids("SELECT t.name, g.uuid FROM grants g JOIN tenants t ON t.id = g.tenant");
    let read = |(tenant, id): &(TenantId, [u8; 16])| {
        let id = ConnectionId::from_bytes(*id);
        host.vault.connection(tenant, id).unwrap().unwrap()
    };
    (
        connections.iter().map(read).collect(),
        grants
            .into_iter()
            .map(|(tenant, id)| (tenant, GrantId::from_bytes(id)))
            .collect(),
    )
}
