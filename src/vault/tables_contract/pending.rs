//! Entries that wait to be linked, in databases that keep them apart.

use super::checks;
use super::fixtures::{commit, name, read, tenant};
use crate::vault::tables::{PendingRow, Tables, TenantRow, VAULT_CHAIN, Write};

checks![
    both_halves_of_a_transaction_agree_on_entries_that_wait,
    entries_wait_in_the_order_in_which_they_were_added,
    entries_that_wait_are_kept_apart_by_tenant,
    entries_of_a_transaction_that_is_not_kept_do_not_wait,
    an_erased_tenant_has_no_entries_that_wait,
];

fn pending(n: u8) -> PendingRow {
    PendingRow {
        position: 0,
        at: -i64::from(n),
        kind: format!("kind {n}"),
        body: vec![n; usize::from(n)],
        mac: [n; 32],
    }
}

fn waits<T: Tables>(tables: &T) -> bool {
    read(tables, |rows| Ok(rows.unlinked().is_some()))
}

fn add(tables: &impl Tables, tenant: TenantRow, entries: &[u8]) {
    let entries: Vec<_> = entries.iter().copied().map(pending).collect();
    commit(tables, |rows| {
        rows.unlinked_mut().unwrap().add_pending(tenant, &entries)
    });
}

fn all(tables: &impl Tables, tenant: TenantRow, after: u64, limit: usize) -> Vec<PendingRow> {
    read(tables, |rows| {
        rows.unlinked().unwrap().pending(tenant, after, limit)
    })
}

/// Returns the entries without their positions, which ascend.
fn added(tables: &impl Tables, tenant: TenantRow) -> Vec<PendingRow> {
    let all = all(tables, tenant, 0, 1_000);
    assert!(all.is_sorted_by(|a, b| a.position < b.position));
    all.into_iter()
        .map(|entry| PendingRow { position: 0, ..entry })
        .collect()
}

fn tenants(tables: &impl Tables, after: TenantRow, limit: usize) -> Vec<TenantRow> {
    read(tables, |rows| {
        rows.unlinked().unwrap().tenants_with_pending(after, limit)
    })
}

fn both_halves_of_a_transaction_agree_on_entries_that_wait<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let reads = waits(&tables);
    let (seen, writes) = commit(&tables, |rows| {
        Ok((rows.unlinked().is_some(), rows.unlinked_mut().is_some()))
    });
    assert_eq!((seen, writes), (reads, reads));
}

fn entries_wait_in_the_order_in_which_they_were_added<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    if !waits(&tables) {
        return;
    }
    add(&tables, acme, &[5, 1, 9]);
    add(&tables, acme, &[]);
    add(&tables, acme, &[3, 0]);
    let expected: Vec<_> = [5, 1, 9, 3, 0].map(pending).into();
    assert_eq!(added(&tables, acme), expected);
    let two = all(&tables, acme, 0, 2);
    assert_eq!(two.len(), 2);
    let rest = all(&tables, acme, two[1].position, 9);
    assert_eq!(rest.len(), 3);
    commit(&tables, |rows| {
        let unlinked = rows.unlinked_mut().unwrap();
        unlinked.delete_pending(acme, &[two[0].position, rest[1].position])?;
        unlinked.add_pending(acme, &[pending(7)])
    });
    let expected: Vec<_> = [1, 9, 0, 7].map(pending).into();
    assert_eq!(added(&tables, acme), expected);
    assert!(all(&tables, acme, 0, 0).is_empty());
}

fn entries_that_wait_are_kept_apart_by_tenant<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let [acme, zeta, last] = ["acme", "zeta", "last"].map(|name| tenant(&tables, name));
    if !waits(&tables) {
        return;
    }
    assert!(tenants(&tables, VAULT_CHAIN, 9).is_empty());
    add(&tables, last, &[1]);
    add(&tables, acme, &[2, 3]);
    assert_eq!(tenants(&tables, VAULT_CHAIN, 9), [acme, last]);
    assert_eq!(tenants(&tables, VAULT_CHAIN, 1), [acme]);
    assert_eq!(tenants(&tables, acme, 9), [last]);
    assert!(tenants(&tables, last, 9).is_empty());
    assert!(all(&tables, zeta, 0, 9).is_empty());
    let position = all(&tables, last, 0, 1)[0].position;
    commit(&tables, |rows| {
        rows.unlinked_mut().unwrap().delete_pending(acme, &[position])
    });
    assert_eq!(added(&tables, last).len(), 1);
    commit(&tables, |rows| rows.unname_tenant(acme));
    assert_eq!(tenants(&tables, VAULT_CHAIN, 9), [last]);
}

fn entries_of_a_transaction_that_is_not_kept_do_not_wait<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    if !waits(&tables) {
        return;
    }
    tables
        .write(|rows| {
            rows.unlinked_mut().unwrap().add_pending(acme, &[pending(1)])?;
            Ok(Write::Unchanged(()))
        })
        .unwrap();
    assert!(added(&tables, acme).is_empty());
}

fn an_erased_tenant_has_no_entries_that_wait<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    if !waits(&tables) {
        return;
    }
    add(&tables, acme, &[1]);
    add(&tables, zeta, &[2]);
    commit(&tables, |rows| {
        rows.unname_tenant(acme)?;
        rows.delete_tenant(acme)
    });
    assert!(added(&tables, acme).is_empty());
    assert_eq!(added(&tables, zeta), [pending(2)]);
    assert_eq!(read(&tables, |rows| rows.tenant(&name("acme"))), None);
}
