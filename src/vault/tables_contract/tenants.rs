//! The vault's own row, and tenants.

use super::checks;
use super::fixtures::{commit, entry, key, name, read, tenant};
use crate::vault::tables::{Chain, HeadRow, Tables, VaultRow};

checks![
    the_vault_row_is_absent_until_it_is_put_and_can_be_replaced,
    tenants_are_found_by_name_and_listed_in_order,
    names_that_begin_alike_are_different_tenants,
    a_name_is_given_once,
    a_tenant_that_is_being_forgotten_has_neither_name_nor_keys,
    the_number_of_a_deleted_tenant_is_never_used_again,
];

fn the_vault_row_is_absent_until_it_is_put_and_can_be_replaced<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    assert_eq!(read(&tables, |rows| rows.vault()), None);
    let mut row = VaultRow {
        id: [1; 16],
        master_key: [2; 16],
        key_check: [3; 32],
        audit_key: vec![4; 60],
    };
    commit(&tables, |rows| rows.put_vault(&row));
    assert_eq!(read(&tables, |rows| rows.vault()), Some(row.clone()));
    row.master_key = [5; 16];
    row.audit_key = vec![6; 60];
    commit(&tables, |rows| rows.put_vault(&row));
    assert_eq!(read(&tables, |rows| rows.vault()), Some(row));
}

fn tenants_are_found_by_name_and_listed_in_order<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    assert!(read(&tables, |rows| rows.tenants(0, 9)).is_empty());
    let names = ["zeta", "acme", "mill"];
    let numbers = names.map(|name| tenant(&tables, name));
    assert!(numbers.is_sorted() && numbers[0] > 0);
    for (named, number) in names.iter().zip(numbers) {
        assert_eq!(read(&tables, |rows| rows.tenant(&name(named))), Some(number));
    }
    let listed = |after, limit| read(&tables, |rows| rows.tenants(after, limit));
    let all: Vec<_> = numbers
        .into_iter()
        .zip(names.map(|named| Some(name(named))))
        .collect();
    assert_eq!(listed(0, 9), all);
    assert_eq!(listed(0, 2), all[..2]);
    assert_eq!(listed(numbers[0], 9), all[1..]);
    assert_eq!(listed(numbers[2], 9), []);
}

fn names_that_begin_alike_are_different_tenants<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let long = "x".repeat(512);
    let names = ["a", "ab", "A", "a b", &long[..511], &long];
    let numbers = names.map(|name| tenant(&tables, name));
    for (named, number) in names.iter().zip(numbers) {
        assert_eq!(read(&tables, |rows| rows.tenant(&name(named))), Some(number));
    }
    assert_eq!(read(&tables, |rows| rows.tenant(&name(&long[..510]))), None);
}

fn a_name_is_given_once<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let again = tables.write(|rows| {
        rows.insert_tenant(&name("acme"))
            .map(crate::vault::tables::Write::Commit)
    });
    assert!(again.is_err());
    assert_eq!(
        read(&tables, |rows| rows.tenants(0, 9)),
        [(acme, Some(name("acme")))]
    );
}

fn a_tenant_that_is_being_forgotten_has_neither_name_nor_keys<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    commit(&tables, |rows| rows.insert_key(acme, &key(2)));
    assert_eq!(read(&tables, |rows| rows.forgotten_tenant()), None);

    commit(&tables, |rows| rows.unname_tenant(acme));
    assert_eq!(read(&tables, |rows| rows.forgotten_tenant()), Some(acme));
    assert_eq!(read(&tables, |rows| rows.tenant(&name("acme"))), None);
    assert_eq!(read(&tables, |rows| rows.key(acme, 1)), None);
    assert_eq!(read(&tables, |rows| rows.newest_key(acme, u32::MAX)), None);
    assert!(read(&tables, |rows| rows.key(zeta, 1)).is_some());
    assert_eq!(
        read(&tables, |rows| rows.tenants(0, 9)),
        [(acme, None), (zeta, Some(name("zeta")))]
    );

    // The name can be given to another tenant at once.
    let other = tenant(&tables, "acme");
    assert_ne!(other, acme);
    assert_eq!(read(&tables, |rows| rows.tenant(&name("acme"))), Some(other));
    assert_eq!(read(&tables, |rows| rows.forgotten_tenant()), Some(acme));
}

fn the_number_of_a_deleted_tenant_is_never_used_again<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    let head = HeadRow {
        number: 1,
        mac: [1; 32],
        broken: None,
        seal: [2; 32],
    };
    commit(&tables, |rows| {
        for of in [acme, zeta] {
            rows.append_entries(Chain::Of(of), &[entry(1, Some(of))])?;
            rows.put_head(Chain::Of(of), &head)?;
        }
        rows.unname_tenant(zeta)?;
        rows.delete_tenant(zeta)
    });
    assert_eq!(read(&tables, |rows| rows.forgotten_tenant()), None);
    assert_eq!(
        read(&tables, |rows| rows.tenants(0, 9)),
        [(acme, Some(name("acme")))]
    );
    assert_eq!(read(&tables, |rows| rows.head(Chain::Of(zeta))), None);
    assert_eq!(read(&tables, |rows| rows.last_number(Chain::Of(zeta))), 0);
    assert_eq!(read(&tables, |rows| rows.head(Chain::Of(acme))), Some(head));
    assert_eq!(read(&tables, |rows| rows.last_number(Chain::Of(acme))), 1);
    assert!(tenant(&tables, "zeta") > zeta);
}
