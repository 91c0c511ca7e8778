use super::*;
use crate::model::TenantId;
use crate::vault::envelope::{DataKey, VaultId};
use crate::vault::sealed::kv::Kv;
use crate::vault::sealed::memory::MemoryStore;
use crate::vault::tables::{KeyRow, Tables as _, Write};

const LIMITS: Limits = Limits::new(80);

fn tables() -> Kv<MemoryStore> {
    let tables = Kv::new(MemoryStore::new());
    let made = tables.write(|rows| {
        let row = rows.insert_tenant(&TenantId::new("acme").unwrap())?;
        assert_eq!(row, 1);
        rows.insert_key(row, &key(1))?;
        Ok(Write::Commit(()))
    });
    assert!(matches!(made, Ok(Write::Commit(()))));
    tables
}

fn key(version: u32) -> KeyRow {
    KeyRow {
        version,
        master_key: [0; 16],
        wrapped: vec![1],
        seals: 0,
        retired: false,
    }
}

fn stored(tables: &Kv<MemoryStore>) -> u32 {
    let found = tables.read(|rows| rows.key(1, 1)).unwrap();
    found.unwrap().seals
}

/// A handle that was just opened.
fn handle() -> Tenant {
    let (name, vault) = (TenantId::new("acme").unwrap(), VaultId::generate().unwrap());
    Tenant::with_key(name, vault, DataKey::generate(1).unwrap())
}

/// Counts seals in one transaction that ends in this way. Returns whether the key may
/// still seal.
fn count(tables: &Kv<MemoryStore>, tenant: &Tenant, seals: u32, end: fn(()) -> Write<()>) -> bool {
    let mut counted = Seals::new(tenant, LIMITS);
    let mut may_seal = false;
    let end = tables.write(|rows| {
        counted.begin_again();
        may_seal = counted.count(rows, seals)?;
        Ok(if may_seal { end(()) } else { Write::NewDataKey })
    });
    if matches!(end.unwrap(), Write::Commit(())) {
        counted.committed();
    }
    may_seal
}

#[test]
fn promise_06_the_stored_count_is_never_below_the_seals_whatever_ends_a_transaction() {
    let tables = tables();
    let mut sealed = 0;
    let ends: [fn(()) -> Write<()>; 3] = [Write::Commit, |()| Write::Moved, Write::Unchanged];
    let (one, mut other) = (handle(), handle());
    'all: for round in 0.. {
        for (number, end) in ends.into_iter().cycle().skip(round % 5).take(7).enumerate() {
            let seals = u32::try_from(number % 3).unwrap() + 1;
            for tenant in [&one, &other] {
                let before = stored(&tables);
                if !count(&tables, tenant, seals, end) {
                    break 'all;
                }
                // The records of a transaction that fails were sealed as well, and are discarded.
                if matches!(end(()), Write::Commit(())) {
                    sealed += seals;
                }
                assert!(stored(&tables) >= sealed, "round {round}, entry {number}");
                assert!(stored(&tables) >= before && stored(&tables) <= LIMITS.most());
            }
        }
        // A process that is killed loses its block and nothing else.
        other = handle();
    }
    assert!(LIMITS.is_used_up(stored(&tables)), "it is replaced only then");
    assert!(sealed > LIMITS.most() / 4, "most seals are used: {sealed}");
}

#[test]
fn a_block_is_counted_once() {
    let (tables, tenant) = (tables(), handle());
    let counts: Vec<_> = (0..11)
        .map(|_| {
            assert!(count(&tables, &tenant, 1, Write::Commit));
            stored(&tables)
        })
        .collect();
    assert_eq!(counts, [11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11]);
    assert!(count(&tables, &tenant, 1, Write::Commit));
    assert_eq!(stored(&tables), 22);
}

#[test]
fn a_retired_key_does_not_seal_although_seals_are_counted_ahead() {
    let (tables, tenant) = (tables(), handle());
    assert!(count(&tables, &tenant, 1, Write::Commit));
    let retired = tables.write(|rows| {
        rows.insert_key(1, &key(2))?;
        rows.retire_keys(1, 1, 2)?;
        Ok(Write::Commit(()))
    });
    assert!(matches!(retired, Ok(Write::Commit(()))));
    assert!(!count(&tables, &tenant, 1, Write::Commit));
}
