//! Erasure by keys: copies of the database do not open once the former master key is destroyed.

#![cfg(feature = "sqlite")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use valetkey::model::Timestamp;
use valetkey::vault::{
    Destruction, KeyContext, KeyEncryption, KeyServiceError, MasterKey, MasterKeys, SqliteVault, VaultError,
};
use valetkey::{Clock as _, SecretBytes};

use crate::support::vault::find;
use crate::support::world::{World, person, tenant};

/// A key service whose key can be destroyed.
#[derive(Debug)]
struct Service {
    key: MasterKey,
    destroyed: AtomicBool,
}

impl Service {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            key: MasterKey::generate().unwrap(),
            destroyed: AtomicBool::new(false),
        })
    }

    fn check(&self) -> Result<(), KeyServiceError> {
        if self.destroyed.load(Ordering::SeqCst) {
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
        self.destroyed.store(true, Ordering::SeqCst);
        Ok(Destruction::Done)
    }
}

fn by(service: &Arc<Service>) -> MasterKeys {
    MasterKeys::wrapped_by(Arc::clone(service))
}

#[test]
fn a_copy_from_before_does_not_open_once_the_former_key_is_destroyed() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (former, next) = (Service::new(), Service::new());
    let vault = Arc::new(SqliteVault::open(path("agent.db"), by(&former)).unwrap());
    let world = World::over(Arc::clone(&vault));
    let (alice, bob) = (person("alice"), person("bob"));
    let (erased, _) = (world.connect(&alice, "ada"), world.connect(&bob, "ada"));
    let token = world.resolver.resolve(&alice, "notes").unwrap();
    vault.backup(&path("before.db")).unwrap();
    vault.backup(&path("unopened.db")).unwrap();
    world.connections.revoke(&alice, erased.id).unwrap();

    // The copy stands for what a log, a replica or a backup keeps: the former key opens it.
    let copy = SqliteVault::open(path("before.db"), by(&former)).unwrap();
    let found = find(&copy, &tenant(), erased.id).unwrap().unwrap();
    assert_eq!(
        found.access_token.unwrap().expose_secret(),
        token.access_token().expose_secret()
    );
    drop((copy, world, vault));

    let keys = by(&next).with_former(by(&former));
    let vault = SqliteVault::open(path("agent.db"), keys).unwrap();
    // The host's clock is years ahead of the system's.
    let years = 10 * 365 * 86_400_000;
    let now = Timestamp::from_unix_millis(valetkey::SystemClock.now().as_unix_millis() + years);
    let mut passes = 0;
    let destruction = loop {
        let rotated = vault.rotate_and_destroy(former.name(), 10, now).unwrap();
        if rotated.is_finished() {
            break rotated.destruction;
        }
        assert!(!former.destroyed.load(Ordering::SeqCst));
        passes += 1;
        assert!(passes < 100, "an old data key remains");
    };
    assert_eq!(destruction, Some(Destruction::Done));
    drop(vault);
    let db = rusqlite::Connection::open(path("agent.db")).unwrap();
    let entry = "SELECT at FROM audit WHERE kind = 'master_key_destroyed'";
    let dated: i64 = db.query_row(entry, [], |row| row.get(0)).unwrap();
    assert_eq!(Timestamp::from_unix_millis(dated), now);
    drop(db);

    let gone = SqliteVault::open(path("unopened.db"), by(&former));
    assert!(
        matches!(gone, Err(VaultError::KeyService(KeyServiceError::UnknownKey))),
        "{gone:?}"
    );
    let other = SqliteVault::open(path("unopened.db"), by(&next));
    assert!(matches!(other, Err(VaultError::WrongMasterKey)), "{other:?}");
    // What lives needs the new key alone.
    let world = World::over(SqliteVault::open(path("agent.db"), by(&next)).unwrap());
    let listed = world
        .connections
        .list(&bob, &valetkey::connections::ConnectionFilter::default());
    assert_eq!(listed.unwrap().len(), 1);
}
