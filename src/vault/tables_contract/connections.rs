//! Connections and their use.

use super::checks;
use super::fixtures::{
    ALL, NONE, commit, connect, connection, connection_id, filled, grant, grant_id, ids, put_grant, read,
    tenant,
};
use crate::vault::tables::{ConnectionRow, ListedRow, Listing, Tables, TenantRow};

checks![
    a_connection_is_read_back_with_its_grant,
    a_connection_can_be_replaced,
    a_label_is_unique_among_connections_that_are_not_revoked,
    an_account_is_unique_among_connections_that_are_not_revoked,
    a_default_is_unique_among_connections_that_are_not_revoked,
    a_refused_connection_changes_nothing_and_the_transaction_goes_on,
    uses_only_move_forward_and_unknown_connections_are_left_out,
];

/// Stores a connection and returns whether it was accepted.
fn put(tables: &impl Tables, tenant: TenantRow, row: &ConnectionRow) -> bool {
    commit(tables, |rows| {
        let n = row.grant.as_bytes()[0];
        put_grant(rows, tenant, n, &grant(n))?;
        rows.put_connection(tenant, row)
    })
}

fn a_connection_is_read_back_with_its_grant<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    let mut row = connection(1, "ada", "notes");
    assert!(put(&tables, acme, &row));
    let listed = |row: &ConnectionRow| ListedRow {
        connection: row.clone(),
        grant: grant(1),
        used_at: None,
    };
    assert_eq!(
        read(&tables, |rows| rows.connection(acme, row.id)),
        Some(listed(&row))
    );
    row.label = Some(String::new());
    row.account = Some("ada@notes.test".to_owned());
    row.is_default = true;
    row.details = Vec::new();
    assert!(put(&tables, acme, &row));
    assert_eq!(
        read(&tables, |rows| rows.connection(acme, row.id)),
        Some(listed(&row))
    );
    assert_eq!(
        read(&tables, |rows| rows.connection(acme, connection_id(2))),
        None
    );
    assert_eq!(read(&tables, |rows| rows.connection(zeta, row.id)), None);
}

fn a_connection_can_be_replaced<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let mut row = connection(1, "ada", "notes");
    row.label = Some("work".to_owned());
    row.is_default = true;
    assert!(put(&tables, acme, &row));
    row.label = Some("home".to_owned());
    row.is_default = false;
    row.grant = grant_id(2);
    assert!(put(&tables, acme, &row));
    assert_eq!(
        read(&tables, |rows| rows.connection(acme, row.id))
            .unwrap()
            .connection,
        row
    );
    // The former label and the default are free, and no search finds the former row any longer.
    let mut other = connection(3, "ada", "notes");
    other.label = Some("work".to_owned());
    other.is_default = true;
    assert!(put(&tables, acme, &other));
    assert_eq!(
        ids(
            &tables,
            acme,
            &Listing {
                grant: Some(grant_id(1)),
                ..ALL
            }
        ),
        NONE
    );
    assert_eq!(
        ids(
            &tables,
            acme,
            &Listing {
                grant: Some(grant_id(2)),
                ..ALL
            }
        ),
        [1]
    );
    assert_eq!(ids(&tables, acme, &ALL), [1, 3]);
}

/// Checks that what `mark` sets is unique within an owner's connections to a provider that are not
/// revoked.
fn check_unique<T: Tables>(tables: &T, mark: fn(ConnectionRow) -> ConnectionRow) {
    let (acme, zeta) = (tenant(tables, "acme"), tenant(tables, "zeta"));
    let first = mark(connection(1, "ada", "notes"));
    let second = mark(connection(2, "ada", "notes"));
    assert!(put(tables, acme, &first));
    assert!(put(tables, acme, &first), "it does not collide with itself");
    assert!(!put(tables, acme, &second));
    assert_eq!(read(tables, |rows| rows.connection(acme, second.id)), None);

    assert!(put(tables, acme, &mark(connection(3, "bob", "notes"))));
    assert!(put(tables, acme, &mark(connection(4, "ada", "mail"))));
    assert!(put(tables, acme, &mark(connection(5, "", "notes"))));
    assert!(put(tables, zeta, &mark(connection(6, "ada", "notes"))));

    let revoked = ConnectionRow {
        revoked: true,
        ..second.clone()
    };
    assert!(put(tables, acme, &revoked), "a revoked one collides with nothing");
    assert!(!put(tables, acme, &second), "it cannot come back");
    assert!(put(
        tables,
        acme,
        &ConnectionRow {
            revoked: true,
            ..first.clone()
        }
    ));
    assert!(put(tables, acme, &second), "a revoked one stands in nobody's way");
    assert!(!put(tables, acme, &first));
}

fn a_label_is_unique_among_connections_that_are_not_revoked<T: Tables>(make: &dyn Fn() -> T) {
    check_unique(&make(), |row| ConnectionRow {
        label: Some("work".to_owned()),
        ..row
    });
}

fn an_account_is_unique_among_connections_that_are_not_revoked<T: Tables>(make: &dyn Fn() -> T) {
    check_unique(&make(), |row| ConnectionRow {
        account: Some("account".to_owned()),
        ..row
    });
}

fn a_default_is_unique_among_connections_that_are_not_revoked<T: Tables>(make: &dyn Fn() -> T) {
    check_unique(&make(), |row| ConnectionRow {
        is_default: true,
        ..row
    });
}

fn a_refused_connection_changes_nothing_and_the_transaction_goes_on<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let labelled = |n, label: &str| ConnectionRow {
        label: Some(label.to_owned()),
        ..connection(n, "ada", "notes")
    };
    commit(&tables, |rows| {
        connect(rows, acme, &labelled(1, "work"))?;
        connect(rows, acme, &labelled(2, "home"))?;
        assert!(!rows.put_connection(acme, &labelled(2, "work"))?);
        assert_eq!(
            rows.connection(acme, connection_id(2))?.unwrap().connection,
            labelled(2, "home")
        );
        connect(rows, acme, &labelled(3, "other"))
    });
    assert_eq!(ids(&tables, acme, &ALL), [1, 2, 3]);
    assert!(
        !put(&tables, acme, &labelled(4, "home")),
        "the refused row still has its former label"
    );
}

fn uses_only_move_forward_and_unknown_connections_are_left_out<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = filled(&tables);
    let used = |n| read(&tables, |rows| rows.connection(acme, connection_id(n))).map(|listed| listed.used_at);
    commit(&tables, |rows| {
        rows.record_uses(&[
            (acme, connection_id(1), 50),
            (acme, connection_id(99), 50),
            (acme, connection_id(2), 60),
            (acme, connection_id(2), 55),
        ])
    });
    assert_eq!(
        [used(1), used(2), used(3), used(99)],
        [Some(Some(50)), Some(Some(60)), Some(None), None]
    );
    commit(&tables, |rows| {
        rows.record_uses(&[(acme, connection_id(1), 49), (acme, connection_id(3), -5)])
    });
    assert_eq!([used(1), used(3)], [Some(Some(50)), Some(Some(-5))]);
    commit(&tables, |rows| rows.record_uses(&[(acme, connection_id(1), 51)]));
    let listed = read(&tables, |rows| rows.connections(acme, &ALL));
    assert_eq!(listed[0].used_at, Some(51));
    assert!(put(&tables, acme, &connection(1, "ada", "notes")));
    assert_eq!(used(1), Some(Some(51)), "a connection that is replaced keeps it");
    commit(&tables, |rows| rows.record_uses(&[]));
}
