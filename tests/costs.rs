//! Counts what the hot path takes from the allocator. The counts belong to the whole process, so
//! this is one test, alone in its program.
#![cfg(feature = "sqlite")]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use valetkey::testing::Host;
use valetkey::vault::{MasterKey, SqliteVault};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Returns the number of allocations of a call that was made before.
fn allocations<T>(mut call: impl FnMut() -> T) -> usize {
    for _ in 0..3 {
        call();
    }
    let region = Region::new(ALLOCATOR);
    let result = call();
    let counted = region.change();
    drop(result);
    counted.allocations + counted.reallocations
}

#[test]
fn a_resolve_allocates_its_token_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let vault = SqliteVault::open(directory.path().join("vault.db"), MasterKey::generate().unwrap());
    let host = Host::builder().vault(vault.unwrap()).build().unwrap();
    let ada = host.user("ada");
    host.connect(&ada, "notes");

    // The buffer in which the token is opened, and the owner that the turn shares with its caller.
    let resolve = allocations(|| host.resolver.resolve(&ada, "notes").unwrap());
    assert_eq!(resolve, 2);
    let peek = allocations(|| host.resolver.peek(&ada, "notes").unwrap());
    assert_eq!(peek, 2);

    let turn = host.resolver.turn(ada);
    let again = allocations(|| turn.resolve("notes").unwrap());
    assert_eq!(again, 0);

    // An error names the provider, whose id and name it owns.
    let bob = host.user("bob");
    let miss = allocations(|| host.resolver.resolve(&bob, "notes").unwrap_err());
    assert!(miss <= 5, "{miss}");
}
