//! Vaults that cannot be the sides of a transfer. Nothing is changed.

use std::sync::Arc;
use std::time::Duration;

use valetkey::Error;
use valetkey::internals::vault::*;
use valetkey::testing::{Fault, Gate};
use valetkey::vault::{MasterKey, MasterKeys, SealedVault, Transfer, TransferError, VaultError};

use crate::support::transfer::{FailingStore, How, full, own, seen, users};
use crate::support::world::person;

fn empty() -> SealedVault {
    FailingStore::default()
        .healthy()
        .vault(MasterKey::generate().unwrap())
}

fn source() -> (Arc<dyn Vault>, valetkey::testing::Host) {
    let vault: Arc<dyn Vault> = Arc::new(SealedVault::in_memory());
    let host = full(Arc::clone(&vault));
    (vault, host)
}

fn run(from: &dyn Vault, to: &dyn Vault) -> Result<(), TransferError> {
    Transfer::new(from, to).run(|_| {}).map(drop)
}

#[test]
fn a_vault_is_not_moved_into_itself() {
    let (vault, host) = source();
    let before = seen(&host, &vault);
    assert!(matches!(run(&vault, &vault), Err(TransferError::SameVault)));
    // Another handle on the same store.
    let store = FailingStore::default().healthy();
    let keys = || MasterKey::from_base64("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap();
    let handles = [store.vault(keys()), store.vault(keys())];
    assert!(matches!(
        run(&handles[0], &handles[1]),
        Err(TransferError::SameVault)
    ));
    assert_eq!(seen(&host, &vault), before);
    host.connect(&person("alice"), "mail");
}

#[test]
fn a_target_must_be_empty() {
    let ((vault, host), (other, other_host)) = (source(), another_source());
    let before = (seen(&host, &vault), seen(&other_host, &other));
    assert!(matches!(run(&vault, &other), Err(TransferError::NotEmpty)));
    assert_eq!((seen(&host, &vault), seen(&other_host, &other)), before);
    host.connect(&person("alice"), "mail");
    other_host.connect(&person("alice"), "mail");
}

fn another_source() -> (Arc<dyn Vault>, valetkey::testing::Host) {
    let vault: Arc<dyn Vault> = Arc::new(empty());
    let host = full(Arc::clone(&vault));
    (vault, host)
}

#[test]
fn a_source_moves_to_one_target_only() {
    let (vault, host) = source();
    let (first, second) = (FailingStore::default(), empty());
    let key = || MasterKey::from_base64("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap();
    drop(first.healthy().vault(key()));
    let interrupted = run(&vault, &first.dying_after(3, How::Before).vault(key()));
    assert!(matches!(
        interrupted,
        Err(TransferError::Target(
            VaultError::Unreachable | VaultError::DiskFull
        ))
    ));
    assert!(matches!(run(&vault, &second), Err(TransferError::OtherTarget)));
    // The target of one transfer is not that of another.
    let (other, _) = another_source();
    assert!(matches!(
        run(&other, &first.healthy().vault(key())),
        Err(TransferError::OtherTarget)
    ));
    // Nor is it a source.
    assert!(matches!(
        run(&first.healthy().vault(key()), &second),
        Err(TransferError::Source(VaultError::Incomplete))
    ));
    run(&vault, &first.healthy().vault(key())).unwrap();
    assert!(matches!(run(&vault, &second), Err(TransferError::OtherTarget)));
    // Running it again changes nothing.
    run(&vault, &first.healthy().vault(key())).unwrap();
    let refused = host.connections.refresh(&users()[0].0, connection_of(&host));
    assert!(matches!(refused, Err(Error::Vault(VaultError::Moved))));
}

fn connection_of(host: &valetkey::testing::Host) -> valetkey::model::ConnectionId {
    let (user, provider) = &users()[0];
    own(host, user, provider).id
}

#[test]
fn a_cancelled_transfer_gives_the_source_back() {
    let (vault, host) = source();
    let store = FailingStore::default();
    let key = || MasterKey::from_base64("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap();
    drop(store.healthy().vault(key()));
    assert!(run(&vault, &store.dying_after(6, How::After).vault(key())).is_err());
    let user = users()[0].0.clone();
    assert!(host.connections.refresh(&user, connection_of(&host)).is_err());
    Transfer::cancel(&vault).unwrap();
    host.connections.refresh(&user, connection_of(&host)).unwrap();
    seen(&host, &vault);
    // The target that was given up cannot be filled any more.
    assert!(matches!(
        run(&vault, &store.healthy().vault(key())),
        Err(TransferError::OtherTarget)
    ));
    let target = empty();
    run(&vault, &target).unwrap();
    assert!(matches!(Transfer::cancel(&vault), Err(TransferError::Ended)));
    // A vault without a transfer has nothing to cancel.
    Transfer::cancel(&target).unwrap();
}

#[test]
fn a_refresh_that_is_under_way_ends_first() {
    let (vault, host) = source();
    // The claim is judged by the clock of the vault.
    host.clock.set(valetkey::Clock::now(&valetkey::SystemClock));
    let target = empty();
    let (gate, user) = (Gate::new(), users()[0].0.clone());
    let id = connection_of(&host);
    host.http.on("/token").next(Fault::HoldAnswer(gate.clone()));
    std::thread::scope(|scope| {
        let refresh = scope.spawn(|| host.connections.refresh(&user, id));
        gate.wait_for_arrivals(1);
        let refused = run(&vault, &target);
        assert!(
            matches!(refused, Err(TransferError::RefreshUnderWay(1))),
            "{refused:?}"
        );
        assert!(refused.is_err_and(|error| error.is_retryable()));
        // No other refresh begins.
        let other = users()[1].clone();
        let found = own(&host, &other.0, other.1);
        let begun = host.connections.refresh(&other.0, found.id);
        assert!(matches!(begun, Err(Error::Vault(VaultError::Moved))), "{begun:?}");
        gate.open();
        let renewed = refresh.join().unwrap().unwrap();
        run(&vault, &target).unwrap();
        let to: Arc<dyn Vault> = Arc::new(target);
        let next = host.another().vault(to).build().unwrap();
        assert_eq!(
            next.connections.get(&user, id).unwrap().generation,
            renewed.generation
        );
        let token = next.resolver.resolve(&user, "notes").unwrap();
        assert!(host.sandbox.is_live(token.access_token().expose_secret()));
    });
}

#[test]
fn a_claim_of_a_host_that_died_delays_nothing_once_it_has_lapsed() {
    let (vault, host) = source();
    let user = users()[0].0.clone();
    host.http.on("/token").next(Fault::Timeout);
    assert!(host.connections.refresh(&user, connection_of(&host)).is_err());
    host.clock.advance(Duration::from_secs(3_600));
    run(&vault, &empty()).unwrap();
}

#[test]
fn a_source_needs_all_its_master_keys() {
    let store = FailingStore::default().healthy();
    let texts = [(); 3].map(|()| MasterKey::generate().unwrap().to_base64());
    let key = |at: usize| MasterKey::from_base64(&texts[at]).unwrap();
    let vault: Arc<dyn Vault> = Arc::new(store.vault(key(0)));
    let host = full(Arc::clone(&vault));
    let now = valetkey::Clock::now(&host.clock);
    // One key of a tenant is wrapped by another master key: the rotation has not ended.
    let rotating = SealedVault::open(store.clone(), MasterKeys::new(key(1), [key(0)])).unwrap();
    assert_eq!(rotating.rotate_master_key(1, now).unwrap().done, 1);
    let target = FailingStore::default().healthy();
    drop(target.vault(key(2)));
    let refused = run(&store.vault(key(0)), &target.vault(key(2)));
    assert!(
        matches!(refused, Err(TransferError::Source(VaultError::UnknownMasterKey))),
        "{refused:?}"
    );
    let both = SealedVault::open(store, MasterKeys::new(key(1), [key(0)])).unwrap();
    run(&both, &target.vault(key(2))).unwrap();
    let next = host.another().vault(target.vault(key(2))).build().unwrap();
    next.resolver.resolve(&users()[0].0, "notes").unwrap();
}

#[test]
fn a_full_disk_is_named_and_can_be_retried() {
    let (vault, host) = source();
    let store = FailingStore::default();
    let key = || MasterKey::from_base64("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap();
    drop(store.healthy().vault(key()));
    let full = run(&vault, &store.dying_after(5, How::Before).vault(key())).unwrap_err();
    assert!(
        matches!(full, TransferError::Target(VaultError::DiskFull)),
        "{full:?}"
    );
    assert!(full.is_retryable());
    run(&vault, &store.healthy().vault(key())).unwrap();
    let _ = host;
}
