//! No secret is readable in the database, in its files or in its log.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use valetkey::connections::{Budget, ConnectionFilter};
use valetkey::internals::vault::envelope::{Context, DataKey, Kind, VaultId};
use valetkey::model::ProviderId;
use valetkey::testing::Host;
use valetkey::vault::{
    Destruction, Erasure, KeyContext, KeyEncryption, KeyServiceError, MasterKey, MasterKeys, VaultError,
};
use valetkey::{Clock as _, SecretBytes, UserId};

use crate::support::postgres::Cluster;
use crate::support::processes::key;
use crate::support::world::person;
use crate::{options, vault};

#[test]
fn promise_01_no_plaintext_in_the_files_of_the_server() {
    let settings = ["fsync=off", "log_statement=all", "log_parameter_max_length=-1"];
    let Some(cluster) = Cluster::with(&settings) else {
        return;
    };
    let host = Host::builder().vault(vault(&cluster)).build().unwrap();
    let alice = person("alice");
    let mut tokens = Vec::new();
    host.connect(&alice, "notes");
    for _ in 0..3 {
        let token = host.resolver.resolve(&alice, "notes").unwrap();
        tokens.push(token.access_token().expose_secret().to_owned());
        host.expire();
    }
    cluster.sql("CHECKPOINT");
    for token in &tokens {
        let found = files_with(&cluster.directory(), token.as_bytes());
        assert!(found.is_empty(), "a token is in {found:?}");
    }
}

/// Returns the files below a directory that contain these bytes.
fn files_with(directory: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let mut searched = 0;
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(content) = fs::read(&path) {
                searched += 1;
                if content.windows(bytes.len()).any(|window| window == bytes) {
                    found.push(path);
                }
            }
        }
    }
    assert!(searched > 100, "{searched} files were searched");
    found
}

#[test]
fn erased_tokens_remain_sealed_where_the_guide_says() {
    let Some(cluster) = Cluster::start() else { return };
    let options = options(&cluster);
    let host = Host::builder()
        .vault(options.connect(key()).unwrap())
        .build()
        .unwrap();
    let alice = person("alice");
    let connection = host.connect(&alice, "notes");
    let schema = cluster.sql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'vault_%'");
    let sealed = cluster.sql(&format!("SELECT encode(access, 'hex') FROM {schema}.grants"));
    let sealed: Vec<u8> = (0..sealed.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&sealed[at..at + 2], 16).unwrap())
        .collect();
    // The part that is not a header.
    let sealed = &sealed[sealed.len() - 32..];
    let report = host.connections.revoke(&alice, connection.id).unwrap();
    assert_eq!(report.here, Erasure::Pending);
    let left = || {
        cluster.sql("CHECKPOINT");
        let files = files_with(&cluster.directory().join("data"), sealed);
        let is_in = |part: &str| files.iter().any(|file| file.to_str().unwrap().contains(part));
        (is_in("/base/"), is_in("/pg_wal/"))
    };
    // In the table until its space is reused, and in the log of the server.
    assert_eq!(left(), (true, true));
    cluster.sql(&format!("VACUUM FULL {schema}.grants"));
    assert_eq!(left(), (false, true));
    host.connections.maintain(Budget::default()).unwrap();
    assert_eq!(left(), (false, true));
}

/// A key service in this process whose key can be destroyed.
#[derive(Debug)]
struct Service {
    key: MasterKey,
    is_destroyed: AtomicBool,
}

impl Service {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            key: MasterKey::generate().unwrap(),
            is_destroyed: AtomicBool::new(false),
        })
    }

    fn check(&self) -> Result<(), KeyServiceError> {
        if self.is_destroyed.load(Ordering::SeqCst) {
            return Err(KeyServiceError::UnknownKey);
        }
        Ok(())
    }
}

impl KeyEncryption for Service {
    fn name(&self) -> &str {
        self.key.name()
    }

    fn wrap(&self, key: &SecretBytes, context: &KeyContext<'_>) -> Result<Vec<u8>, KeyServiceError> {
        self.check()?;
        self.key.wrap(key, context)
    }

    fn unwrap(&self, wrapped: &[u8], context: &KeyContext<'_>) -> Result<SecretBytes, KeyServiceError> {
        self.check()?;
        self.key.unwrap(wrapped, context)
    }

    fn destroy(&self) -> Result<Destruction, KeyServiceError> {
        self.is_destroyed.store(true, Ordering::SeqCst);
        Ok(Destruction::Done)
    }
}

fn by(service: &Arc<Service>) -> MasterKeys {
    MasterKeys::wrapped_by(Arc::clone(service))
}

/// The data that someone with a copy of the server's files needs in order to read a token.
struct Residue {
    vault: VaultId,
    grant: [u8; 16],
    route: Vec<u8>,
    sealed: Vec<u8>,
    wrapped: Vec<u8>,
}

impl Residue {
    /// Reads the only grant of this user, and the only data key.
    fn of(cluster: &Cluster, schema: &str, owner: &str) -> Self {
        let hex = |sql: &str| bytes_of(&cluster.sql(sql));
        let of_grant = |column: &str| {
            hex(&format!(
                "SELECT encode(g.{column}, 'hex') FROM {schema}.grants g
                 JOIN {schema}.connections c ON c.grant_id = g.uuid WHERE c.owner LIKE '%{owner}%'"
            ))
        };
        let vault = hex(&format!("SELECT encode(id, 'hex') FROM {schema}.vault"));
        Self {
            vault: VaultId::from_bytes(vault.try_into().unwrap()),
            grant: of_grant("uuid").try_into().unwrap(),
            route: of_grant("route"),
            sealed: of_grant("access"),
            wrapped: hex(&format!(
                "SELECT encode(wrapped, 'hex') FROM {schema}.tenant_keys WHERE version = 1"
            )),
        }
    }

    /// Opens the token with the former data key, if these master keys unwrap that.
    fn open(&self, keys: &MasterKeys, owner: &str) -> Result<Vec<u8>, VaultError> {
        let tenant = person("alice").tenant().clone();
        let key = DataKey::unwrap(&self.wrapped, keys, self.vault, &tenant, 1)?;
        let context = Context {
            kind: Kind::AccessToken,
            vault: self.vault,
            tenant: &tenant,
            owner: Some(&UserId::new(owner).unwrap()),
            provider: &ProviderId::new("notes").unwrap(),
            id: &self.grant,
            generation: 1,
            route: &self.route,
        };
        let fields = key.open(&context, self.sealed.clone())?;
        Ok(fields.expose_all()?[0].to_vec())
    }
}

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

/// Returns everything in the files of the server that looks like a key which this service wrapped.
fn wrapped_keys(directory: &Path, id: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let header = [&[2], id].concat();
    for path in files_with(directory, &header) {
        let content = fs::read(path).unwrap();
        for at in 0..content.len().saturating_sub(header.len() + 2) {
            let Some(rest) = content[at..].strip_prefix(&*header) else {
                continue;
            };
            let opaque = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            // The length and the wrapped key, then nonce, key and tag.
            if let Some(rest) = rest.get(..2 + opaque + 12 + 32 + 16) {
                found.push([&*header, rest].concat());
            }
        }
    }
    found
}

#[test]
fn nothing_opens_what_was_erased_once_the_former_master_key_is_destroyed() {
    let Some(cluster) = Cluster::start() else { return };
    let (former, next) = (Service::new(), Service::new());
    let options = options(&cluster);
    let vault = Arc::new(options.clone().connect(by(&former)).unwrap());
    let host = Host::builder().vault(vault).build().unwrap();
    let (alice, bob) = (person("alice"), person("bob"));
    let connection = host.connect(&alice, "notes");
    host.connect(&bob, "notes");
    let token = host.resolver.resolve(&alice, "notes").unwrap();
    let schema = cluster.sql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'vault_%'");
    let residue = Residue::of(&cluster, &schema, "alice");
    let report = host.connections.revoke(&alice, connection.id).unwrap();
    assert_eq!(report.here, Erasure::Pending);
    drop(host);
    let data = cluster.directory().join("data");
    let is_left = || {
        cluster.sql("CHECKPOINT");
        let is_there = |bytes: &[u8]| !files_with(&data, &bytes[bytes.len() - 32..]).is_empty();
        is_there(&residue.sealed) && is_there(&residue.wrapped)
    };
    // The files of the server and the former key are enough to read the erased token.
    assert!(is_left());
    let opened = residue.open(&by(&former), "alice").unwrap();
    assert_eq!(opened, token.access_token().expose_secret().as_bytes());

    let keys = by(&next).with_former(by(&former));
    let vault = Arc::new(options.clone().connect(keys).unwrap());
    let mut calls = 0;
    let destruction = loop {
        let rotated = vault
            .rotate_and_destroy(former.name(), 1, valetkey::SystemClock.now())
            .unwrap();
        if rotated.is_finished() {
            break rotated.destruction;
        }
        assert!(!former.is_destroyed.load(Ordering::SeqCst));
        calls += 1;
        assert!(calls < 100, "it does not end: {rotated:?}");
    };
    assert_eq!(destruction, Some(Destruction::Done));
    assert!(is_left(), "the files are as they were");
    let gone = residue.open(&by(&former), "alice").unwrap_err();
    assert!(
        matches!(gone, VaultError::KeyService(KeyServiceError::UnknownKey)),
        "{gone:?}"
    );
    let unknown = residue.open(&by(&next), "alice").unwrap_err();
    assert!(matches!(unknown, VaultError::UnknownMasterKey), "{unknown:?}");
    // Nor does any file have the former data key in a form that the new master key opens.
    let id = bytes_of(&cluster.sql(&format!("SELECT encode(master_key, 'hex') FROM {schema}.vault")));
    let wrapped = wrapped_keys(&data, &id);
    let (keys, tenant) = (by(&next), alice.tenant());
    let opens = |version| {
        let unwrap =
            |wrapped: &Vec<u8>| DataKey::unwrap(wrapped, &keys, residue.vault, tenant, version).is_ok();
        wrapped.iter().filter(|wrapped| unwrap(wrapped)).count()
    };
    assert!(
        opens(2) > 0,
        "the new data key is not found in {} places",
        wrapped.len()
    );
    assert_eq!(opens(1), 0);

    // What lives needs the new key alone.
    let host = Host::builder()
        .vault(options.connect(by(&next)).unwrap())
        .build()
        .unwrap();
    let listed = host.connections.list(&bob, &ConnectionFilter::default()).unwrap();
    assert_eq!(listed.len(), 1);
    assert!(vault.verify_audit(tenant, |_, _| {}).unwrap().is_intact());
}
