//! The wrapped keys of tenants.

use super::checks;
use super::fixtures::{
    MASTER, commit, consent, grant, key, name, put_grant, read, revocation, state, tenant,
};
use crate::vault::tables::{KeyRow, Of, Sealed, Secrets, Tables, Write};

checks![
    the_newest_key_below_a_version_is_found,
    seals_are_counted_up_to_their_limit,
    keys_are_retired_by_range_and_deleted_one_by_one,
    keys_are_found_by_the_master_key_that_wraps_them,
    a_key_is_rewrapped_only_if_nobody_was_faster,
    a_key_is_named_as_long_as_something_is_sealed_with_it,
];

fn the_newest_key_below_a_version_is_found<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    commit(&tables, |rows| {
        rows.insert_key(acme, &key(2))?;
        rows.insert_key(acme, &key(7))?;
        rows.insert_key(zeta, &key(9))
    });
    let newest = |below| read(&tables, |rows| rows.newest_key(acme, below));
    assert_eq!(newest(u32::MAX), Some(key(7)));
    assert_eq!(newest(8), Some(key(7)));
    assert_eq!(newest(7), Some(key(2)));
    assert_eq!(newest(2), Some(key(1)));
    assert_eq!(newest(1), None);
    assert_eq!(newest(0), None);
    assert_eq!(read(&tables, |rows| rows.key(acme, 2)), Some(key(2)));
    assert_eq!(read(&tables, |rows| rows.key(acme, 9)), None);
}

fn seals_are_counted_up_to_their_limit<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    // A count that is refused is reported at once, or ends the transaction.
    let count = |version, seals, most| match tables
        .write(|rows| rows.count_seals(acme, version, seals, most).map(Write::Commit))
        .unwrap()
    {
        Write::Commit(counted) => counted,
        Write::NewDataKey => false,
        other => panic!("{other:?}"),
    };
    let stored = || read(&tables, |rows| rows.key(acme, 1)).unwrap();
    assert!(count(1, 3, 5));
    assert_eq!(stored(), KeyRow { seals: 3, ..key(1) });
    assert!(!count(1, 3, 5));
    assert_eq!(stored().seals, 3);
    assert!(count(1, 2, 5));
    assert!(!count(1, 1, 5));
    assert!(!count(2, 1, 5), "there is no such key");
    commit(&tables, |rows| {
        rows.insert_key(acme, &key(2))?;
        rows.retire_keys(acme, 1, 2)
    });
    assert!(!count(1, 1, 100), "it is retired");
    assert_eq!(stored().seals, 5);
    let may_seal = |version| match tables
        .write(|rows| rows.may_seal(acme, version).map(Write::Commit))
        .unwrap()
    {
        Write::Commit(may_seal) => may_seal,
        Write::NewDataKey => false,
        other => panic!("{other:?}"),
    };
    assert!(may_seal(2));
    assert!(!may_seal(1), "it is retired");
    assert!(!may_seal(3), "there is no such key");
}

fn keys_are_retired_by_range_and_deleted_one_by_one<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    commit(&tables, |rows| {
        for version in 2..=5 {
            rows.insert_key(acme, &key(version))?;
        }
        rows.retire_keys(acme, 2, 4)
    });
    let retired = || {
        let mut found = read(&tables, |rows| rows.retired_keys());
        found.sort_by_key(|of| (of.tenant, of.row));
        found
    };
    let of = |version| Of {
        tenant: acme,
        name: name("acme"),
        row: version,
    };
    assert_eq!(retired(), [of(2), of(3)]);
    assert!(read(&tables, |rows| rows.key(acme, 2)).unwrap().retired);
    assert!(!read(&tables, |rows| rows.key(acme, 4)).unwrap().retired);
    assert!(!read(&tables, |rows| rows.key(zeta, 1)).unwrap().retired);

    commit(&tables, |rows| rows.retire_keys(acme, 0, 2));
    assert_eq!(retired(), [of(1), of(2), of(3)]);
    commit(&tables, |rows| rows.delete_key(acme, 2));
    assert_eq!(retired(), [of(1), of(3)]);
    assert_eq!(read(&tables, |rows| rows.key(acme, 2)), None);
    assert_eq!(read(&tables, |rows| rows.newest_key(acme, 3)).unwrap().version, 1);
}

fn keys_are_found_by_the_master_key_that_wraps_them<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    let second = KeyRow {
        master_key: [2; 16],
        ..key(2)
    };
    commit(&tables, |rows| rows.insert_key(acme, &second));
    let mut masters = read(&tables, |rows| rows.master_keys());
    masters.sort_unstable();
    assert_eq!(masters, [MASTER, [2; 16]]);

    let wrapped_by = |master, limit| {
        let mut found = read(&tables, |rows| rows.keys_wrapped_by(master, limit));
        found.sort_by_key(|of| (of.tenant, of.row.version));
        found
    };
    let of_acme = Of {
        tenant: acme,
        name: name("acme"),
        row: key(1),
    };
    let of_zeta = Of {
        tenant: zeta,
        name: name("zeta"),
        row: key(1),
    };
    assert_eq!(wrapped_by(&MASTER, 9), [of_acme.clone(), of_zeta]);
    assert_eq!(wrapped_by(&MASTER, 1).len(), 1);
    assert_eq!(
        wrapped_by(&[2; 16], 9),
        [Of {
            row: second,
            ..of_acme
        }]
    );
    assert!(wrapped_by(&[3; 16], 9).is_empty());
}

fn a_key_is_rewrapped_only_if_nobody_was_faster<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let after = KeyRow {
        master_key: [2; 16],
        wrapped: vec![9; 61],
        ..key(1)
    };
    let rewrap = |before: &KeyRow| commit(&tables, |rows| rows.rewrap_key(acme, before, &after));
    assert!(!rewrap(&KeyRow {
        wrapped: vec![8; 60],
        ..key(1)
    }));
    assert_eq!(read(&tables, |rows| rows.key(acme, 1)), Some(key(1)));
    assert!(rewrap(&key(1)));
    assert_eq!(read(&tables, |rows| rows.key(acme, 1)), Some(after.clone()));
    assert!(!rewrap(&key(1)));
    assert!(!rewrap(&key(2)), "there is no such key");
    assert_eq!(read(&tables, |rows| rows.master_keys()), [[2; 16]]);
    assert!(read(&tables, |rows| rows.keys_wrapped_by(&MASTER, 9)).is_empty());
}

fn a_key_is_named_as_long_as_something_is_sealed_with_it<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    let named = || [1, 2].map(|version| read(&tables, |rows| rows.names_key(acme, version)));
    commit(&tables, |rows| {
        rows.insert_key(acme, &key(2))?;
        put_grant(rows, zeta, 1, &grant(1))
    });
    assert_eq!(named(), [false, false]);

    commit(&tables, |rows| put_grant(rows, acme, 1, &grant(1)));
    assert_eq!(named(), [true, false]);
    let mut resealed = grant(1);
    resealed.key_version = 2;
    commit(&tables, |rows| put_grant(rows, acme, 1, &resealed));
    assert_eq!(named(), [false, true]);
    resealed.key_version = 0;
    commit(&tables, |rows| rows.put_grant(acme, &resealed, Secrets::Erase));
    assert_eq!(named(), [false, false]);

    commit(&tables, |rows| rows.insert_consent(acme, &consent(1), &[1; 40]));
    assert_eq!(named(), [true, false]);
    commit(&tables, |rows| rows.end_consent(acme, &state(1), "taken", None));
    assert_eq!(named(), [false, false]);

    let sealed = Sealed {
        access: Some(vec![1; 40]),
        rest: None,
    };
    commit(&tables, |rows| {
        rows.insert_revocation(acme, &revocation(1), &sealed)
    });
    assert_eq!(named(), [true, false]);
    commit(&tables, |rows| rows.delete_revocation(acme, revocation(1).id));
    assert_eq!(named(), [false, false]);
}
