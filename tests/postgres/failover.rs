//! A primary with a standby: commits wait for it, and it takes over.

use std::time::{Duration, Instant};

use valetkey::connections::ConnectionFilter;
use valetkey::internals::provider::RotationClass;
use valetkey::model::{EventKind, VaultWarning};
use valetkey::testing::Host;
use valetkey::vault::{PostgresVault, VaultError};
use valetkey::{ConsentOptions, Error, Resolver};

use crate::support::postgres::Cluster;
use crate::support::processes::{Part, Scene, alice, consent, count, key, renew};
use crate::support::world::person;

const FAILOVER: &str = "failover::promise_41_a_failover_to_a_synchronous_standby_loses_no_token";

#[test]
fn promise_41_a_failover_to_a_synchronous_standby_loses_no_token() {
    if let Some(part) = Part::of(FAILOVER) {
        let target: u64 = part.argument.parse().unwrap();
        let resolver = Resolver::new(part.connections());
        let until = Instant::now() + Duration::from_secs(240);
        while Instant::now() < until {
            match renew(&resolver) {
                Ok(generation) if generation > target => return,
                Ok(_) => {}
                Err(error) if error.is_retryable() => std::thread::yield_now(),
                Err(error) => panic!("{error:?}"),
            }
        }
        panic!("the target was not reached");
    }
    let Some(primary) = Cluster::start() else { return };
    let standby = primary.standby();
    primary.replicate_synchronously();
    let scene = Scene::new(|it| it.rotation = RotationClass::SingleUseRevokesFamily)
        .in_database(&primary.address_with(&standby));
    let connections = scene.connections();
    let connection = consent(&scene, &connections);
    let exchanges = scene.token_requests();
    let target = count(40, 1_000);
    let mut children: Vec<_> = (0..3)
        .map(|_| scene.spawn(FAILOVER, &target.to_string()))
        .collect();
    while scene.token_requests() - exchanges < target / 2 {
        std::thread::yield_now();
    }
    primary.kill();
    standby.promote();
    for child in &mut children {
        assert!(child.wait().unwrap().success(), "a host lost a token");
    }
    let stored = loop {
        match connections.get(&alice(), connection.id) {
            Ok(stored) => break stored,
            Err(error) if error.is_retryable() => std::thread::yield_now(),
            Err(error) => panic!("{error:?}"),
        }
    };
    // Each generation that a host was told of is on the standby: a lost one would be requested
    // again, with a refresh token that the server has replaced.
    let dials = u64::try_from(scene.token_requests() - exchanges).unwrap();
    assert_eq!(dials, stored.generation - connection.generation);
    assert_eq!(scene.sandbox.live_grants().len(), 1);
}

fn open(cluster: &Cluster) -> PostgresVault {
    PostgresVault::connect(&cluster.address(), key()).unwrap()
}

/// Returns the warnings that a host gets.
fn warnings(cluster: &Cluster) -> Vec<VaultWarning> {
    let host = Host::builder().vault(open(cluster)).build().unwrap();
    let events = host.events.all();
    let warning = |kind| match kind {
        EventKind::VaultWarning(warning) => Some(warning),
        _ => None,
    };
    events
        .into_iter()
        .filter_map(|event| warning(event.kind))
        .collect()
}

#[test]
fn standbys_that_commits_do_not_wait_for_are_reported() {
    let Some(primary) = Cluster::start() else { return };
    assert_eq!(warnings(&primary), []);
    let standby = primary.standby();
    while primary.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") != "1" {
        std::thread::yield_now();
    }
    assert_eq!(warnings(&primary), [VaultWarning::AsynchronousStandbys]);
    // A standby alone cannot be used.
    let error = PostgresVault::connect(&standby.address(), key()).unwrap_err();
    assert!(matches!(error, VaultError::ReadOnly), "{error:?}");
    primary.replicate_synchronously();
    assert_eq!(warnings(&primary), []);
}

#[test]
fn a_commit_that_did_not_wait_for_its_standby_is_not_taken_for_stored() {
    let Some(primary) = Cluster::start() else { return };
    let standby = primary.standby();
    primary.replicate_synchronously();
    let host = Host::builder().vault(open(&primary)).build().unwrap();
    let alice = person("alice");
    host.connect(&alice, "notes");
    standby.stop("immediate");
    std::thread::scope(|scope| {
        let began = scope.spawn(|| host.connections.start(&alice, "notes", ConsentOptions::default()));
        let waits = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        while primary.sql(waits) == "0" {
            std::thread::yield_now();
        }
        let error = began.join().unwrap().unwrap_err();
        assert!(
            matches!(error, Error::Vault(VaultError::Unreachable)),
            "{error:?}"
        );
    });
    // The earlier commit is there.
    let found = host
        .connections
        .list(&alice, &ConnectionFilter::default())
        .unwrap();
    assert_eq!(found.len(), 1);
}
