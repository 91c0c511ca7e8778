//! Revocations that a provider has not confirmed.

use super::checks;
use super::fixtures::{access, commit, connection_id, name, read, rest, revocation, revocation_id, tenant};
use crate::vault::tables::{Of, RevocationRow, Sealed, Tables, TenantRow};

checks![
    a_revocation_is_read_back_with_its_tokens,
    revocations_are_due_at_their_time_oldest_first,
    a_schedule_sets_the_time_and_the_attempts_only,
    revocations_are_found_by_their_connection,
    revocations_are_counted_up_to_a_bound,
    a_deleted_revocation_leaves_nothing,
];

fn sealed(n: u8) -> Sealed {
    Sealed {
        access: Some(access(n)),
        rest: Some(rest(n)),
    }
}

fn insert(tables: &impl Tables, tenant: TenantRow, row: &RevocationRow) {
    let n = row.id.as_bytes()[0];
    commit(tables, |rows| rows.insert_revocation(tenant, row, &sealed(n)));
}

fn a_revocation_is_read_back_with_its_tokens<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    insert(&tables, acme, &revocation(1));
    let partly = [
        Sealed {
            access: Some(access(2)),
            rest: None,
        },
        Sealed {
            access: None,
            rest: Some(rest(3)),
        },
    ];
    for (n, sealed) in (2..).zip(&partly) {
        commit(&tables, |rows| {
            rows.insert_revocation(acme, &revocation(n), sealed)
        });
    }
    let stored = |tenant, n| read(&tables, |rows| rows.revocation(tenant, revocation_id(n)));
    assert_eq!(stored(acme, 1), Some((revocation(1), sealed(1))));
    assert_eq!(stored(acme, 2), Some((revocation(2), partly[0].clone())));
    assert_eq!(stored(acme, 3), Some((revocation(3), partly[1].clone())));
    assert_eq!(stored(acme, 4), None);
    assert_eq!(stored(zeta, 1), None);
}

fn revocations_are_due_at_their_time_oldest_first<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    let at = |n, not_before| RevocationRow {
        not_before,
        ..revocation(n)
    };
    insert(&tables, acme, &at(1, 50));
    insert(&tables, zeta, &at(2, 30));
    insert(&tables, acme, &at(3, 51));
    insert(&tables, acme, &at(4, -1));
    let due = |now, limit| read(&tables, |rows| rows.due_revocations(now, limit));
    let of_acme = |n, time| Of {
        tenant: acme,
        name: name("acme"),
        row: (at(n, time), sealed(n)),
    };
    let of_zeta = Of {
        tenant: zeta,
        name: name("zeta"),
        row: (at(2, 30), sealed(2)),
    };
    assert_eq!(due(50, 9), [of_acme(4, -1), of_zeta.clone(), of_acme(1, 50)]);
    assert_eq!(due(50, 2), [of_acme(4, -1), of_zeta]);
    assert_eq!(due(-2, 9), []);
}

fn a_schedule_sets_the_time_and_the_attempts_only<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    insert(&tables, acme, &revocation(1));
    let scheduled = RevocationRow {
        not_before: 5_000,
        attempts: 3,
        ..revocation(1)
    };
    let asked = RevocationRow {
        give_up_at: 1,
        body: vec![7],
        ..scheduled.clone()
    };
    commit(&tables, |rows| rows.schedule_revocation(acme, &asked));
    let stored = read(&tables, |rows| rows.revocation(acme, revocation_id(1)));
    assert_eq!(stored, Some((scheduled, sealed(1))));
    assert!(read(&tables, |rows| rows.due_revocations(4_999, 9)).is_empty());
    assert_eq!(read(&tables, |rows| rows.due_revocations(5_000, 9)).len(), 1);
}

fn revocations_are_found_by_their_connection<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let of = |n, connection| RevocationRow {
        connection: connection_id(connection),
        ..revocation(n)
    };
    insert(&tables, acme, &of(1, 7));
    insert(&tables, acme, &of(2, 8));
    insert(&tables, acme, &of(3, 7));
    let mut found = read(&tables, |rows| rows.revocations_of(acme, connection_id(7)));
    found.sort_by_key(|(row, _)| row.id);
    assert_eq!(found, [(of(1, 7), sealed(1)), (of(3, 7), sealed(3))]);
    assert!(read(&tables, |rows| rows.revocations_of(acme, connection_id(9))).is_empty());
}

fn revocations_are_counted_up_to_a_bound<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    let has = |at_least| read(&tables, |rows| rows.has_revocations(at_least));
    assert!(!has(1));
    insert(&tables, acme, &revocation(1));
    insert(&tables, zeta, &revocation(1));
    assert_eq!([has(1), has(2), has(3)], [true, true, false]);
}

fn a_deleted_revocation_leaves_nothing<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    insert(&tables, acme, &revocation(1));
    insert(&tables, acme, &revocation(2));
    commit(&tables, |rows| rows.delete_revocation(acme, revocation_id(1)));
    assert_eq!(
        read(&tables, |rows| rows.revocation(acme, revocation_id(1))),
        None
    );
    assert!(read(&tables, |rows| rows.revocations_of(acme, connection_id(1))).is_empty());
    assert_eq!(read(&tables, |rows| rows.due_revocations(i64::MAX, 9)).len(), 1);
    assert!(!read(&tables, |rows| rows.has_revocations(2)));
}
