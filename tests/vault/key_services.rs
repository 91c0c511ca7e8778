//! Vaults whose keys a service wraps: how often it is called, and what happens when it fails.

#![cfg(feature = "sqlite")]

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use valetkey::connections::Budget;
use valetkey::testing::ManualClock;
use valetkey::testing::vault_contract::check;
use valetkey::vault::{
    Destruction, KeyContext, KeyEncryption, KeyServiceError, MasterKey, MasterKeys, SealedVault, SqliteVault,
    VaultError,
};
use valetkey::{Error, SecretBytes, Timestamp};

use crate::support::vault::key;
use crate::support::world::{World, person, tenant};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A key service in this process. It counts its calls, can be made to fail, and can write to the
/// vault that calls it.
#[derive(Debug)]
struct Service {
    key: MasterKey,
    calls: AtomicUsize,
    failure: Mutex<Option<KeyServiceError>>,
    writes_to: Mutex<Option<PathBuf>>,
}

impl Service {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            key: MasterKey::generate().unwrap(),
            calls: AtomicUsize::new(0),
            failure: Mutex::default(),
            writes_to: Mutex::default(),
        })
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn fail(&self, failure: impl Into<Option<KeyServiceError>>) {
        *self.failure.lock().unwrap() = failure.into();
    }

    fn called(&self) -> Result<(), KeyServiceError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if let Some(path) = &*self.writes_to.lock().unwrap() {
            // Fails with `Busy` if the caller holds the write lock of the file.
            let db = rusqlite::Connection::open(path).unwrap();
            db.busy_timeout(Duration::ZERO).unwrap();
            db.execute_batch("BEGIN IMMEDIATE; ROLLBACK").unwrap();
        }
        self.failure.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

impl KeyEncryption for Service {
    fn name(&self) -> &str {
        self.key.name()
    }

    fn wrap(&self, key: &SecretBytes, context: &KeyContext<'_>) -> Result<Vec<u8>, KeyServiceError> {
        self.called()?;
        self.key.wrap(key, context)
    }

    fn unwrap(&self, wrapped: &[u8], context: &KeyContext<'_>) -> Result<SecretBytes, KeyServiceError> {
        self.called()?;
        self.key.unwrap(wrapped, context)
    }

    fn destroy(&self) -> Result<Destruction, KeyServiceError> {
        self.called()?;
        self.key.destroy()
    }
}

fn wrapped_by(service: &Arc<Service>) -> MasterKeys {
    MasterKeys::wrapped_by(Arc::clone(service))
}

#[test]
fn the_contract_of_vaults_holds() {
    let directory = tempfile::tempdir().unwrap();
    let count = Cell::new(0);
    check(&|| {
        count.set(count.get() + 1);
        let path = directory.path().join(format!("{}.db", count.get()));
        Arc::new(SqliteVault::open(path, wrapped_by(&Service::new())).unwrap())
    });
}

#[test]
fn a_consent_and_its_turns_call_the_service_twice_and_never_inside_a_transaction() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.db");
    let service = Service::new();
    drop(SqliteVault::open(&path, wrapped_by(&service)).unwrap());
    assert_eq!(service.calls(), 1, "the key of the vault itself");
    *service.writes_to.lock().unwrap() = Some(path.clone());

    let world = World::over(SqliteVault::open(&path, wrapped_by(&service)).unwrap());
    assert_eq!(service.calls(), 2, "the proof that the key is the right one");
    let alice = person("alice");
    world.connect(&alice, "ada");
    assert_eq!(service.calls(), 3, "the key of the tenant");
    for user in ["bob", "carol"] {
        world.connect(&person(user), "ada");
    }
    world.expire();
    for _ in 0..3 {
        world.resolver.turn(alice.clone()).resolve("notes").unwrap();
    }
    world.connections.maintain(Budget::default()).unwrap();
    assert_eq!(service.calls(), 3);

    let cold = SqliteVault::open(&path, wrapped_by(&service)).unwrap();
    let report = cold.verify_audit(&tenant(), |_, _| {}).unwrap();
    assert!(report.is_intact(), "{report:?}");
    assert_eq!(service.calls(), 5, "the vault and the tenant");
}

#[test]
fn an_outage_is_an_error_to_retry_and_never_a_missing_connection() {
    let service = Service::new();
    let clock = ManualClock::default();
    let keys = || wrapped_by(&service).clock(clock.clone());
    let world = World::over(SqliteVault::in_memory(keys()).unwrap());
    let alice = person("alice");
    world.connect(&alice, "ada");
    let turn = || world.resolver.turn(alice.clone());

    service.fail(KeyServiceError::Unavailable { retry_after: None });
    assert!(turn().resolve("notes").is_ok(), "the key is in memory");
    assert!(turn().peek("notes").unwrap().is_some());
    clock.advance(HOUR);
    assert!(turn().peek("notes").unwrap().is_none(), "peek calls no service");
    let calls = service.calls();
    let failed = turn().resolve("notes").unwrap_err();
    assert!(
        matches!(
            &failed,
            Error::Vault(VaultError::KeyService(KeyServiceError::Unavailable { .. }))
        ),
        "{failed:?}"
    );
    assert!(failed.is_retryable());
    assert!(turn().resolve("notes").is_err());
    assert_eq!(service.calls(), calls + 1, "a failure is remembered for a moment");

    service.fail(KeyServiceError::Disabled);
    clock.advance(HOUR);
    let failed = turn().resolve("notes").unwrap_err();
    assert!(!failed.is_retryable(), "{failed:?}");
    service.fail(None);
    clock.advance(HOUR);
    assert!(turn().resolve("notes").is_ok());
}

#[test]
fn a_vault_does_not_open_while_the_service_fails_or_with_another_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.db");
    let service = Service::new();
    drop(SqliteVault::open(&path, wrapped_by(&service)).unwrap());
    for failure in [
        KeyServiceError::Denied,
        KeyServiceError::UnknownKey,
        KeyServiceError::Disabled,
        KeyServiceError::Unavailable { retry_after: None },
    ] {
        service.fail(failure.clone());
        let refused = SqliteVault::open(&path, wrapped_by(&service)).unwrap_err();
        assert!(matches!(refused, VaultError::KeyService(found) if found == failure));
    }
    service.fail(None);
    let other = SqliteVault::open(&path, wrapped_by(&Service::new())).unwrap_err();
    assert!(matches!(other, VaultError::WrongMasterKey), "{other:?}");
    let local = SqliteVault::open(&path, key(1)).unwrap_err();
    assert!(matches!(local, VaultError::WrongMasterKey), "{local:?}");
    assert!(SqliteVault::open(&path, wrapped_by(&service)).is_ok());
}

#[test]
fn a_vault_moves_to_a_service_and_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.db");
    let service = Service::new();
    let alice = person("alice");
    let resolves = |keys: MasterKeys| {
        let world = World::over(SqliteVault::open(&path, keys).unwrap());
        world.resolver.turn(alice.clone()).resolve("notes").map(drop)
    };
    let world = World::over(SqliteVault::open(&path, key(1)).unwrap());
    world.connect(&alice, "ada");
    drop(world);

    let rotate = |keys: MasterKeys| {
        let vault = SqliteVault::open(&path, keys).unwrap();
        let rotated = vault
            .rotate_master_key(100, Timestamp::from_unix_millis(1))
            .unwrap();
        assert!(rotated.still_named.is_empty(), "{rotated:?}");
    };
    rotate(wrapped_by(&service).with_former(key(1)));
    resolves(wrapped_by(&service)).unwrap();
    assert!(SqliteVault::open(&path, key(1)).is_err());

    rotate(MasterKeys::from(key(2)).with_former(wrapped_by(&service)));
    service.fail(KeyServiceError::Disabled);
    resolves(key(2).into()).unwrap();
}

#[test]
fn a_wrapped_key_of_another_tenant_or_an_altered_check_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.db");
    let service = Service::new();
    let world = World::over(SqliteVault::open(&path, wrapped_by(&service)).unwrap());
    world.connect(&person("alice"), "ada");
    drop(world);
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("UPDATE vault SET key_check = zeroblob(32)", [])
        .unwrap();
    drop(db);
    let refused = SqliteVault::open(&path, wrapped_by(&service)).unwrap_err();
    assert!(matches!(refused, VaultError::Tampered), "{refused:?}");
}

#[test]
fn a_sealed_master_key_needs_the_service_only_when_the_process_starts() {
    let service = Service::new();
    let sealed = MasterKey::generate().unwrap().seal(&service).unwrap();
    let vault = SealedVault::open(
        valetkey::internals::vault::MemoryStore::new(),
        MasterKey::unseal(&service, &sealed).unwrap(),
    );
    let world = World::over(vault.unwrap());
    let calls = service.calls();
    service.fail(KeyServiceError::Denied);
    let alice = person("alice");
    world.connect(&alice, "ada");
    world.resolver.turn(alice).resolve("notes").unwrap();
    assert_eq!(service.calls(), calls);
}
