use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::model::{
    Connection, ConnectionId, ConsentId, Grant, GrantId, IssuedBy, Owner, ProviderId, Scopes, ServerId,
    TenantId, UserId,
};
use crate::secret::{AccessToken, PkceVerifier, SecretBytes};
use crate::vault::sealed::{MemoryStore, SealedVault, Store, Transaction};
use crate::vault::*;

const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000);
const TENANTS: [&str; 3] = ["acme", "other", "third"];
/// More calls than any rotation here needs.
const MANY: usize = 200;

/// A key service whose key can be destroyed, or whose calls to destroy it fail.
#[derive(Debug)]
struct Service {
    key: MasterKey,
    is_destroyed: AtomicBool,
    destroyed: AtomicUsize,
    outcome: Destruction,
    fails: Mutex<Option<Fails>>,
}

#[derive(Debug, Clone, Copy)]
enum Fails {
    Before,
    After,
}

impl Service {
    fn new() -> Arc<Self> {
        Self::with(Destruction::Done)
    }

    fn with(outcome: Destruction) -> Arc<Self> {
        Arc::new(Self {
            key: MasterKey::generate().unwrap(),
            is_destroyed: AtomicBool::new(false),
            destroyed: AtomicUsize::new(0),
            outcome,
            fails: Mutex::default(),
        })
    }

    fn is_destroyed(&self) -> bool {
        self.is_destroyed.load(Ordering::SeqCst)
    }

    fn check(&self) -> std::result::Result<(), KeyServiceError> {
        if self.is_destroyed() {
            return Err(KeyServiceError::UnknownKey);
        }
        Ok(())
    }
}

impl KeyEncryption for Service {
    fn name(&self) -> &str {
        self.key.name()
    }

    fn wrap(
        &self,
        key: &SecretBytes,
        context: &KeyContext<'_>,
    ) -> std::result::Result<Vec<u8>, KeyServiceError> {
        self.check()?;
        self.key.wrap(key, context)
    }

    fn unwrap(
        &self,
        wrapped: &[u8],
        context: &KeyContext<'_>,
    ) -> std::result::Result<SecretBytes, KeyServiceError> {
        self.check()?;
        self.key.unwrap(wrapped, context)
    }

    fn destroy(&self) -> std::result::Result<Destruction, KeyServiceError> {
        let fails = self.fails.lock().unwrap().take();
        let lost = Err(KeyServiceError::Unavailable { retry_after: None });
        if matches!(fails, Some(Fails::Before)) {
            return lost;
        }
        self.is_destroyed.store(true, Ordering::SeqCst);
        self.destroyed.fetch_add(1, Ordering::SeqCst);
        if fails.is_some() { lost } else { Ok(self.outcome) }
    }
}

/// Nothing is remembered, so that a key that is destroyed is missed at once.
fn by(service: &Arc<Service>) -> MasterKeys {
    MasterKeys::wrapped_by(Arc::clone(service)).keep_unwrapped(Duration::ZERO)
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn open(store: &Arc<MemoryStore>, keys: MasterKeys) -> Result<SealedVault> {
    SealedVault::open(Arc::clone(store), keys)
}

fn connect(vault: &SealedVault, name: &str) -> Result<StoreOutcome> {
    let owner = Owner::Personal(UserId::new("alice").unwrap());
    let issued_by = IssuedBy::new(
        ServerId::new("google").unwrap(),
        "https://issuer.test/token",
        "client",
    );
    let mut grant = Grant::new(
        GrantId::from_bytes([1; 16]),
        tenant(name),
        owner,
        ProviderId::new("gmail").unwrap(),
        issued_by,
        NOW,
    );
    grant.generation = 1;
    let connection = Connection::new(ConnectionId::from_bytes([1; 16]), &grant);
    vault.store_grant(&NewGrant {
        consent: &StateHash::from_bytes([0; 32]),
        grant: &grant,
        tokens: &Tokens {
            access_token: AccessToken::new(format!("access-{name}")),
            refresh_token: None,
            id_token: None,
        },
        connections: &[connection],
        former_dead_at: None,
    })
}

fn consent() -> PendingConsent {
    PendingConsent {
        id: ConsentId::from_bytes([7; 16]),
        state: StateHash::from_bytes([7; 32]),
        binding: StateHash::from_bytes([8; 32]),
        tenant: tenant("acme"),
        user: UserId::new("alice").unwrap(),
        owner: Owner::Personal(UserId::new("alice").unwrap()),
        provider: ProviderId::new("gmail").unwrap(),
        server: ServerId::new("google").unwrap(),
        issuer: None,
        token_endpoint: "https://issuer.test/token".into(),
        client_id: "client".into(),
        redirect_uri: "https://host.test/callback".into(),
        scopes: Scopes::default(),
        services: Default::default(),
        parameters: Default::default(),
        label: None,
        purpose: Purpose::Connect,
        require_account: false,
        return_to: None,
        request: RequestOptions::default(),
        created_at: NOW,
        expires_at: NOW + Duration::from_secs(600),
        status: ConsentStatus::Pending,
    }
}

fn access(vault: &SealedVault, name: &str) -> Result<Option<String>> {
    let found = vault.find_token(&TokenQuery {
        tenant: &tenant(name),
        of: Of::Id(ConnectionId::from_bytes([1; 16])),
        scopes: &Scopes::default(),
    })?;
    Ok(match found {
        Found::One(token) => token.access_token.map(|token| token.expose_secret().to_owned()),
        _ => None,
    })
}

fn assert_opens(vault: &SealedVault) {
    for name in TENANTS {
        let expected = format!("access-{name}");
        assert_eq!(access(vault, name).unwrap(), Some(expected));
    }
    for head in vault.audit_heads(None).unwrap() {
        let report = vault.verify_chain(&head.chain, &mut |_, _| ()).unwrap();
        assert!(report.is_intact(), "{:?}: {report:?}", head.chain);
    }
}

/// Returns a store with a tenant each of which has a token, wrapped by this service.
fn filled(service: &Arc<Service>) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    let vault = open(&store, by(service)).unwrap();
    for name in TENANTS {
        connect(&vault, name).unwrap();
    }
    store
}

/// Repeats the rotation until it has ended or fails.
fn finish(vault: &SealedVault, former: &Service, limit: usize) -> Result<Option<Destruction>> {
    for _ in 0..MANY {
        let rotated = vault.rotate_and_destroy(former.name(), limit, NOW)?;
        assert!(rotated.done <= limit, "{rotated:?}");
        if rotated.is_finished() {
            return Ok(rotated.destruction);
        }
    }
    panic!("it does not end");
}

fn told(vault: &SealedVault) -> u64 {
    let heads = vault.audit_heads(None).unwrap();
    let head = heads.iter().find(|head| head.chain == AuditChain::Vault);
    head.map_or(0, |head| head.number)
}

/// A store whose process ends at one write, before or after it was stored.
#[derive(Debug)]
struct Dying {
    inner: Arc<MemoryStore>,
    left: Mutex<usize>,
    fails: Fails,
}

impl Dying {
    fn check(&self) -> Result<()> {
        match *self.left.lock().unwrap() {
            0 => Err(VaultError::Unreachable),
            _ => Ok(()),
        }
    }
}

impl Store for Dying {
    fn read(&self, work: &mut dyn FnMut(&mut dyn Transaction) -> Result<()>) -> Result<()> {
        self.check()?;
        self.inner.read(work)
    }

    fn write(&self, work: &mut dyn FnMut(&mut dyn Transaction) -> Result<()>) -> Result<()> {
        self.check()?;
        let left = {
            let mut left = self.left.lock().unwrap();
            *left -= 1;
            *left
        };
        match self.fails {
            Fails::Before if left == 0 => Err(VaultError::Unreachable),
            _ => {
                self.inner.write(work)?;
                self.check()
            }
        }
    }

    fn erase_residue(&self) -> Result<bool> {
        Ok(false)
    }
}

/// Ends the process at this write. Returns whether the rotation got there.
fn interrupted_at(write: usize, fails: Fails) -> bool {
    let (former, next) = (Service::new(), Service::new());
    let store = filled(&former);
    let keys = || by(&next).with_former(by(&former));
    let dying = Dying {
        inner: Arc::clone(&store),
        left: Mutex::new(write),
        fails,
    };
    let vault = SealedVault::open(dying, keys()).unwrap();
    let ended = finish(&vault, &former, 2);
    let was_interrupted = ended.is_err();

    let needed = open(&store, keys()).unwrap();
    if former.is_destroyed() {
        let alone = open(&store, by(&next)).unwrap();
        assert_opens(&alone);
    } else {
        assert_opens(&needed);
    }
    assert_eq!(finish(&needed, &former, 2).unwrap(), Some(Destruction::Done));
    assert!(former.is_destroyed());
    let alone = open(&store, by(&next)).unwrap();
    assert_opens(&alone);
    assert_eq!(told(&alone), 1, "the destruction is recorded once");
    was_interrupted
}

#[test]
fn an_interruption_at_each_write_leaves_a_vault_that_opens_and_is_continued() {
    for fails in [Fails::Before, Fails::After] {
        let writes = (1..MANY)
            .take_while(|write| interrupted_at(*write, fails))
            .count();
        assert!(writes > 10, "only {writes} writes were interrupted");
    }
}

#[test]
fn an_interruption_while_the_service_destroys_its_key_is_continued() {
    for fails in [Fails::Before, Fails::After] {
        let (former, next) = (Service::new(), Service::new());
        let store = filled(&former);
        let vault = open(&store, by(&next).with_former(by(&former))).unwrap();
        *former.fails.lock().unwrap() = Some(fails);
        let failed = finish(&vault, &former, 99);
        assert!(matches!(failed, Err(VaultError::KeyService(_))), "{failed:?}");
        assert_eq!(told(&vault), 0);
        assert_eq!(finish(&vault, &former, 99).unwrap(), Some(Destruction::Done));
        assert_opens(&open(&store, by(&next)).unwrap());
        assert_eq!(told(&vault), 1);
    }
}

#[test]
fn the_key_is_not_destroyed_before_its_last_row_and_wraps_former_data_keys_alone() {
    let (former, next) = (Service::new(), Service::new());
    let store = filled(&former);
    let keys = by(&next).with_former(by(&former));
    let former_id = *keys.former_named(former.name()).unwrap();
    let vault = open(&store, keys).unwrap();
    let mut calls = 0;
    loop {
        let rotated = vault.rotate_and_destroy(former.name(), 1, NOW).unwrap();
        calls += 1;
        let (ids, first) = vault
            .core()
            .tables
            .read(|rows| {
                let firsts = TENANTS.map(|name| {
                    let row = rows.tenant(&tenant(name)).unwrap().unwrap();
                    rows.key(row, 1).unwrap()
                });
                Ok((rows.master_keys()?, firsts))
            })
            .unwrap();
        for key in first.into_iter().flatten() {
            assert_eq!(key.master_key, former_id, "the new key opens what it must not");
        }
        assert_eq!(former.is_destroyed(), !ids.contains(&former_id));
        assert_eq!(rotated.still_named.is_empty(), former.is_destroyed());
        if rotated.is_finished() {
            break;
        }
    }
    // New data keys, tokens, and the keys of rows and audits, of each tenant.
    assert!(calls >= 4 * TENANTS.len(), "{calls} calls");
    assert_eq!(former.destroyed.load(Ordering::SeqCst), 1);
    assert_opens(&vault);
}

#[test]
fn a_consent_request_keeps_the_key_until_it_ends() {
    let (former, next) = (Service::new(), Service::new());
    let store = filled(&former);
    let vault = open(&store, by(&next).with_former(by(&former))).unwrap();
    // A process in which the former key is active still writes for tenants that exist.
    let other = open(&store, by(&former).with_former(by(&next))).unwrap();
    let consent = consent();
    let verifier = PkceVerifier::new("verifier");
    other.insert_consent(&consent, Some(&verifier)).unwrap();
    for _ in 0..9 {
        let rotated = vault.rotate_and_destroy(former.name(), 99, NOW).unwrap();
        assert_eq!((rotated.remaining, rotated.destruction), (1, None));
        assert!(!rotated.is_finished() && !former.is_destroyed());
    }
    let taken = other.take_consent(&tenant("acme"), &consent.state, NOW).unwrap();
    assert!(matches!(taken, Taken::Consent(_, Some(_))));
    assert_eq!(finish(&vault, &former, 99).unwrap(), Some(Destruction::Done));
    assert_opens(&open(&store, by(&next)).unwrap());
}

#[test]
fn from_its_beginning_on_no_process_wraps_with_the_former_key() {
    let (former, next) = (Service::new(), Service::new());
    let store = filled(&former);
    let late = open(&store, by(&former).with_former(by(&next))).unwrap();
    let vault = open(&store, by(&next).with_former(by(&former))).unwrap();
    vault.rotate_and_destroy(former.name(), 0, NOW).unwrap();
    let refused = |outcome: Result<Rotated>| {
        assert!(matches!(outcome, Err(VaultError::FormerMasterKey)), "{outcome:?}");
    };
    let new = connect(&late, "new");
    assert!(matches!(new, Err(VaultError::FormerMasterKey)), "{new:?}");
    refused(late.rotate_data_key(&tenant("acme"), NOW));
    // Tenants that exist have keys, whichever master key wraps them.
    assert_opens(&late);
    // The new key must not open what the former one sealed.
    let failed = vault.rotate_master_key(99, NOW);
    assert!(matches!(failed, Err(VaultError::NotSupported(_))), "{failed:?}");
    finish(&vault, &former, 99).unwrap();
    assert!(late.rotate_master_key(99, NOW).is_err() && connect(&late, "new").is_err());
    assert_opens(&vault);
    connect(&vault, "new").unwrap();
}

#[test]
fn a_process_that_read_the_vault_before_works_on() {
    let (former, next) = (Service::new(), Service::new());
    let store = filled(&former);
    let keys = || by(&next).with_former(by(&former));
    let early = open(&store, keys()).unwrap();
    assert_opens(&early);
    finish(&open(&store, keys()).unwrap(), &former, 99).unwrap();
    assert!(former.is_destroyed());
    assert_opens(&early);
    connect(&early, "new").unwrap();
}

#[test]
fn a_key_that_has_rewrapped_former_keys_does_not_erase() {
    let (former, next, third) = (Service::new(), Service::new(), Service::new());
    let store = filled(&former);
    let vault = open(&store, by(&next).with_former(by(&former))).unwrap();
    vault.rotate_master_key(1, NOW).unwrap();
    let refused = |vault: &SealedVault, name: &str| {
        let failed = vault.rotate_and_destroy(name, 99, NOW);
        assert!(matches!(failed, Err(VaultError::NotSupported(_))), "{failed:?}");
    };
    refused(&vault, former.name());
    while !vault.rotate_master_key(1, NOW).unwrap().is_finished() {}
    refused(&vault, former.name());
    let vault = open(&store, by(&third).with_former(by(&next)).with_former(by(&former))).unwrap();
    let unknown = vault.rotate_and_destroy("unknown", 99, NOW);
    assert!(
        matches!(unknown, Err(VaultError::UnknownMasterKey)),
        "{unknown:?}"
    );
    let active = vault.rotate_and_destroy(third.name(), 99, NOW);
    assert!(matches!(active, Err(VaultError::UnknownMasterKey)), "{active:?}");
    vault.rotate_and_destroy(next.name(), 1, NOW).unwrap();
    refused(&vault, former.name());
    assert_eq!(finish(&vault, &next, 99).unwrap(), Some(Destruction::Done));
    assert!(!former.is_destroyed() && next.is_destroyed());
    assert_opens(&open(&store, by(&third)).unwrap());
}

#[test]
fn the_outcome_says_when_the_key_is_gone_or_what_the_host_must_do() {
    let until = Timestamp::from_unix_millis(9_000_000);
    let next = Service::new();
    let former = Service::with(Destruction::Scheduled(until));
    let store = filled(&former);
    let vault = open(&store, by(&next).with_former(by(&former))).unwrap();
    for _ in 0..2 {
        assert_eq!(
            finish(&vault, &former, 99).unwrap(),
            Some(Destruction::Scheduled(until))
        );
    }
    assert_eq!(told(&vault), 1);

    let store = Arc::new(MemoryStore::new());
    let texts = [(); 2].map(|()| MasterKey::generate().unwrap().to_base64());
    let [local, next] = texts
        .each_ref()
        .map(|text| || MasterKey::from_base64(text).unwrap());
    connect(&open(&store, local().into()).unwrap(), "acme").unwrap();
    let keys = MasterKeys::new(next(), [local()]);
    let vault = open(&store, keys).unwrap();
    let ended = loop {
        let rotated = vault.rotate_and_destroy(local().name(), 1, NOW).unwrap();
        if rotated.is_finished() {
            break rotated.destruction;
        }
    };
    let Some(Destruction::ByHost(text)) = ended else {
        panic!("{ended:?}")
    };
    assert!(text.contains("delete the former master key"), "{text}");
    assert_eq!(access(&vault, "acme").unwrap().unwrap(), "access-acme");
    assert_eq!(told(&vault), 1);
    // The key still exists, and a process in which it is active must not use it again.
    let late = open(&store, MasterKeys::new(local(), [next()])).unwrap();
    for failed in [
        late.rotate_master_key(99, NOW),
        late.rotate_data_key(&tenant("acme"), NOW),
    ] {
        assert!(matches!(failed, Err(VaultError::FormerMasterKey)), "{failed:?}");
    }
    let failed = connect(&late, "new");
    assert!(matches!(failed, Err(VaultError::FormerMasterKey)), "{failed:?}");
}
