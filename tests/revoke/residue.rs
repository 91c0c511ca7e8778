//! The state of the files that a revocation reports, and their actual contents.

#![cfg(feature = "sqlite")]

use std::path::Path;
use std::time::Duration;

use valetkey::connections::{AtProvider, Budget};
use valetkey::testing::Fault;
use valetkey::vault::Erasure;

use crate::support::vault::{ciphertexts, open, place, records, residue};
use crate::support::world::{World, person};

/// Returns a host over a vault in a file, with one connection, and its encrypted records.
fn connected(path: &Path) -> (World, valetkey::model::ConnectionId, Vec<Vec<u8>>) {
    let world = World::over(open(path).unwrap());
    let id = world.connect(&person("alice"), "ada").id;
    let sealed = ciphertexts(path);
    assert_eq!(sealed.len(), 2);
    (world, id, sealed)
}

#[test]
fn promise_07_cleared_is_said_when_nothing_is_left() {
    let (_directory, path) = place();
    let (world, id, sealed) = connected(&path);
    assert!(residue(&path, &sealed).is_some(), "so this test can see it");
    let revocation = world.connections.revoke(&person("alice"), id).unwrap();
    assert_eq!(revocation.here, Erasure::Cleared);
    assert_eq!(revocation.at_provider, AtProvider::Revoked);
    assert_eq!(residue(&path, &sealed), None);
}

#[test]
fn promise_07_what_waits_for_the_provider_is_pending() {
    let (_directory, path) = place();
    let (world, id, sealed) = connected(&path);
    world.http.on("/revoke").next(Fault::Timeout);
    let revocation = world.connections.revoke(&person("alice"), id).unwrap();
    assert!(matches!(revocation.at_provider, AtProvider::Unconfirmed { .. }));
    assert_eq!(revocation.here, Erasure::Pending);
    let kept = records(&path, "slot IN (SELECT slot FROM revocations)");
    assert_eq!(kept.len(), 2, "they are kept for the next attempt, sealed again");
    assert!(world.resolver.resolve(&person("alice"), "notes").is_err());

    world.clock.advance(Duration::from_secs(3_600));
    let upkeep = world.connections.maintain(Budget::default()).unwrap();
    assert_eq!(
        (upkeep.revocations_settled, upkeep.residue),
        (1, Erasure::Cleared)
    );
    assert_eq!(residue(&path, sealed.iter().chain(&kept)), None);
}

#[test]
fn promise_07_a_reader_makes_it_pending_until_upkeep() {
    let (_directory, path) = place();
    let (world, id, sealed) = connected(&path);
    let reader = rusqlite::Connection::open(&path).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM connections")
        .unwrap();
    let revocation = world.connections.revoke(&person("alice"), id).unwrap();
    assert_eq!(revocation.at_provider, AtProvider::Revoked);
    assert_eq!(revocation.here, Erasure::Pending);
    assert!(residue(&path, &sealed).is_some());
    let upkeep = world.connections.maintain(Budget::default()).unwrap();
    assert_eq!(upkeep.residue, Erasure::Pending, "the reader is still there");
    reader.execute_batch("COMMIT").unwrap();
    let upkeep = world.connections.maintain(Budget::default()).unwrap();
    assert_eq!(upkeep.residue, Erasure::Cleared);
    assert_eq!(residue(&path, &sealed), None);
}
