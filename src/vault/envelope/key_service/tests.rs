use std::sync::Barrier;
use std::sync::atomic::{AtomicI64, AtomicUsize};
use std::thread;

use super::*;
use crate::model::TenantId;
use crate::secret::SecretBytes;
use crate::vault::envelope::{AuditKey, DataKey, MasterKey, MasterKeys, VaultId};

const VAULT: VaultId = VaultId::from_bytes([9; 16]);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A clock that the test sets. Clones share the time.
#[derive(Debug, Clone)]
struct TestClock(Arc<AtomicI64>);

impl TestClock {
    fn new(millis: i64) -> Self {
        Self(Arc::new(AtomicI64::new(millis)))
    }

    fn set(&self, now: Timestamp) {
        self.0.store(now.as_unix_millis(), Ordering::SeqCst);
    }

    fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A key service in this process, which counts its calls and can be made to fail.
#[derive(Debug)]
struct Service {
    key: MasterKey,
    calls: AtomicUsize,
    failure: Mutex<Option<KeyServiceError>>,
}

impl Service {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            key: MasterKey::generate().unwrap(),
            calls: AtomicUsize::new(0),
            failure: Mutex::default(),
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

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn wrapped_key(keys: &MasterKeys, name: &str, version: u32) -> Vec<u8> {
    DataKey::generate(version)
        .unwrap()
        .wrap(keys, VAULT, &tenant(name))
        .unwrap()
}

fn unwrap(keys: &MasterKeys, wrapped: &[u8], name: &str, version: u32) -> Result<DataKey, VaultError> {
    DataKey::unwrap(wrapped, keys, VAULT, &tenant(name), version)
}

#[test]
fn a_tenant_costs_one_call_however_many_keys_it_has() {
    let service = Service::new();
    let keys = MasterKeys::wrapped_by(Arc::clone(&service));
    let wrapped: Vec<_> = (1..=5)
        .map(|version| wrapped_key(&keys, "acme", version))
        .collect();
    for (version, wrapped) in (1..).zip(&wrapped) {
        assert!(unwrap(&keys, wrapped, "acme", version).is_ok());
    }
    assert_eq!(service.calls(), 1, "one wrap, which is remembered");
    let cold = MasterKeys::wrapped_by(Arc::clone(&service));
    for (version, wrapped) in (1..).zip(&wrapped) {
        assert_eq!(
            unwrap(&cold, wrapped, "acme", version).unwrap().version(),
            version
        );
    }
    assert_eq!(service.calls(), 2, "one unwrap");
    wrapped_key(&cold, "acme", 6);
    assert_eq!(service.calls(), 2, "the unwrapped key wraps the next one");
    wrapped_key(&cold, "other", 1);
    assert_eq!(service.calls(), 3, "another tenant has a key of its own");
}

#[test]
fn concurrent_callers_share_one_call_and_its_failure() {
    let service = Service::new();
    let wrapped = wrapped_key(&MasterKeys::wrapped_by(Arc::clone(&service)), "acme", 1);
    let cold = MasterKeys::wrapped_by(Arc::clone(&service));
    let run = || {
        let barrier = Barrier::new(32);
        thread::scope(|scope| {
            let threads: Vec<_> = (0..32)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        unwrap(&cold, &wrapped, "acme", 1)
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect::<Vec<_>>()
        })
    };
    let before = service.calls();
    service.fail(KeyServiceError::Denied);
    for outcome in run() {
        assert!(matches!(
            outcome,
            Err(VaultError::KeyService(KeyServiceError::Denied))
        ));
    }
    assert_eq!(service.calls(), before + 1);
}

#[test]
fn an_unwrapped_key_is_used_until_its_lifetime_ends() {
    let service = Service::new();
    let clock = TestClock::new(1_000_000);
    let keys = MasterKeys::wrapped_by(Arc::clone(&service)).clock(clock.clone());
    let wrapped = wrapped_key(&keys, "acme", 1);
    service.fail(KeyServiceError::Disabled);
    clock.advance(HOUR - Duration::from_millis(1));
    let key = unwrap(&keys, &wrapped, "acme", 1);
    assert!(key.is_ok(), "still remembered");
    assert!(keys.allows(key.unwrap().lifetime()));
    clock.advance(Duration::from_millis(1));
    assert!(matches!(
        unwrap(&keys, &wrapped, "acme", 1),
        Err(VaultError::KeyService(KeyServiceError::Disabled))
    ));
    service.fail(None);
    clock.advance(BACK_OFF);
    assert!(unwrap(&keys, &wrapped, "acme", 1).is_ok());
}

#[test]
fn a_clock_that_is_set_back_ends_the_lifetime() {
    let service = Service::new();
    let clock = TestClock::new(1_000_000_000);
    let keys = MasterKeys::wrapped_by(Arc::clone(&service)).clock(clock.clone());
    let key = unwrap(&keys, &wrapped_key(&keys, "acme", 1), "acme", 1).unwrap();
    clock.set(Timestamp::from_unix_millis(1));
    assert!(!keys.allows(key.lifetime()));
}

#[test]
fn a_failure_is_repeated_without_a_call_only_for_a_moment() {
    let service = Service::new();
    let clock = TestClock::new(1_000_000);
    let wrapped = wrapped_key(&MasterKeys::wrapped_by(Arc::clone(&service)), "acme", 1);
    let keys = MasterKeys::wrapped_by(Arc::clone(&service)).clock(clock.clone());
    let unavailable = KeyServiceError::Unavailable { retry_after: None };
    service.fail(unavailable.clone());
    let before = service.calls();
    for _ in 0..3 {
        let failed = unwrap(&keys, &wrapped, "acme", 1).unwrap_err();
        assert!(matches!(&failed, VaultError::KeyService(error) if *error == unavailable));
        assert!(failed.is_retryable());
    }
    assert_eq!(service.calls(), before + 1);
    service.fail(None);
    assert!(unwrap(&keys, &wrapped, "acme", 1).is_err(), "within the back-off");
    clock.advance(BACK_OFF);
    assert!(unwrap(&keys, &wrapped, "acme", 1).is_ok());
}

#[test]
fn promise_03_every_flipped_bit_and_every_wrong_length_is_refused() {
    let service = Service::new();
    let keys = MasterKeys::wrapped_by(Arc::clone(&service));
    let wrapped = wrapped_key(&keys, "acme", 1);
    for bit in 0..wrapped.len() * 8 {
        let mut bad = wrapped.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        match unwrap(&keys, &bad, "acme", 1).unwrap_err() {
            VaultError::UnknownMasterKey => assert!((1..17).contains(&(bit / 8)), "bit {bit}"),
            VaultError::Tampered => assert!(!(1..17).contains(&(bit / 8)), "bit {bit}"),
            other => panic!("{other:?}"),
        }
    }
    for len in 0..wrapped.len() {
        assert!(unwrap(&keys, &wrapped[..len], "acme", 1).is_err(), "{len} bytes");
    }
    for more in 1..=64 {
        let mut bad = wrapped.clone();
        bad.resize(wrapped.len() + more, 0);
        assert!(unwrap(&keys, &bad, "acme", 1).is_err(), "{more} bytes more");
    }
}

#[test]
fn promise_04_a_wrapped_key_opens_nowhere_else() {
    let service = Service::new();
    let keys = MasterKeys::wrapped_by(Arc::clone(&service));
    let wrapped = wrapped_key(&keys, "acme", 1);
    let elsewhere = DataKey::unwrap(&wrapped, &keys, VaultId::from_bytes([8; 16]), &tenant("acme"), 1);
    assert!(matches!(elsewhere, Err(VaultError::Tampered)));
    for (name, version) in [("acm", 1), ("acme", 2)] {
        assert!(matches!(
            unwrap(&keys, &wrapped, name, version),
            Err(VaultError::Tampered)
        ));
    }
    let other = MasterKeys::wrapped_by(Service::new());
    assert!(matches!(
        unwrap(&other, &wrapped, "acme", 1),
        Err(VaultError::UnknownMasterKey)
    ));
    let audit_key = AuditKey::generate().unwrap().wrap(&keys, VAULT).unwrap();
    assert!(matches!(
        unwrap(&keys, &audit_key, "acme", 1),
        Err(VaultError::Tampered)
    ));
}

#[test]
fn a_former_key_unwraps_whether_it_is_local_or_not() {
    let service = Service::new();
    let local = || MasterKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    let old = wrapped_key(&local().into(), "acme", 1);
    let moved = MasterKeys::wrapped_by(Arc::clone(&service)).with_former(local());
    assert!(unwrap(&moved, &old, "acme", 1).is_ok());
    let new = wrapped_key(&moved, "acme", 2);
    let back = MasterKeys::from(local()).with_former(MasterKeys::wrapped_by(service));
    assert!(unwrap(&back, &new, "acme", 2).is_ok());
}

#[test]
fn remembered_keys_take_bounded_memory_and_the_least_recently_used_goes_first() {
    let service = KeyService::new(Service::new());
    let names: Vec<_> = (0..6_000).map(|n| tenant(&format!("tenant-{n}"))).collect();
    let context = |n: usize| KeyContext::tenant_of(&VAULT, &names[n]);
    let first = service.current(&context(0)).unwrap();
    for n in 1..names.len() {
        service.current(&context(n)).unwrap();
        let again = service.current(&context(0)).unwrap();
        assert_eq!(again.wrapped, first.wrapped, "the first was used each time");
        assert!(service.lock().bytes <= MAX_BYTES);
    }
    let slots = service.lock();
    assert!(slots.by_name.len() < names.len());
    let counted: usize = slots.by_name.keys().map(Name::bytes).sum();
    assert_eq!(slots.bytes, counted);
}

#[test]
fn a_sealed_master_key_opens_with_one_call() {
    let service = Service::new();
    let master = MasterKey::generate().unwrap();
    let sealed = master.seal(&service).unwrap();
    let back = MasterKey::unseal(&service, &sealed).unwrap();
    assert_eq!(back.id(), master.id());
    assert_eq!(service.calls(), 2);
    for bit in 0..sealed.len() * 8 {
        let mut bad = sealed.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(
            MasterKey::unseal(&service, &bad),
            Err(VaultError::Tampered)
        ));
    }
}

#[test]
fn a_service_that_returns_another_key_length_is_refused() {
    #[derive(Debug)]
    struct Short;
    impl KeyEncryption for Short {
        fn name(&self) -> &'static str {
            "short"
        }
        fn wrap(&self, _: &SecretBytes, _: &KeyContext<'_>) -> Result<Vec<u8>, KeyServiceError> {
            Ok(vec![1; 9 * 1024])
        }
        fn unwrap(&self, _: &[u8], _: &KeyContext<'_>) -> Result<SecretBytes, KeyServiceError> {
            Ok(SecretBytes::new(vec![1; 16]))
        }
        fn destroy(&self) -> Result<Destruction, KeyServiceError> {
            Ok(Destruction::Done)
        }
    }
    assert!(matches!(
        MasterKey::unseal(&Short, b"sealed"),
        Err(VaultError::KeyService(KeyServiceError::Protocol(_)))
    ));
    let too_long = DataKey::generate(1)
        .unwrap()
        .wrap(&MasterKeys::wrapped_by(Short), VAULT, &tenant("acme"));
    assert!(matches!(
        too_long,
        Err(VaultError::KeyService(KeyServiceError::Protocol(_)))
    ));
}

#[test]
fn contexts_differ_in_every_part() {
    let (acme, other) = (tenant("acme"), tenant("other"));
    let elsewhere = VaultId::from_bytes([8; 16]);
    let contexts = [
        KeyContext::master_key(),
        KeyContext::vault(&VAULT),
        KeyContext::vault(&elsewhere),
        KeyContext::tenant_of(&VAULT, &acme),
        KeyContext::tenant_of(&VAULT, &other),
        KeyContext::tenant_of(&elsewhere, &acme),
    ];
    for (at, context) in contexts.iter().enumerate() {
        for before in &contexts[..at] {
            assert_ne!(context.to_bytes(), before.to_bytes());
            assert_ne!(context.pairs(), before.pairs());
        }
    }
}
