//! Rows that must be as they were read.

use super::checks;
use super::fixtures::{commit, connection, connection_id, grant, grant_id, read, tenant};
use crate::model::{ConnectionId, GrantId};
use crate::vault::tables::{Expected, GrantRow, Secrets, Tables, TenantRow, Write};

checks![
    expected_rows_let_a_transaction_commit,
    a_row_that_has_changed_or_is_missing_ends_it,
    nothing_is_expected_of_no_rows,
];

/// Replaces the first grant if the rows are as expected. Returns whether it did, or `None` if the
/// database has the caller read them.
fn replace(tables: &impl Tables, tenant: TenantRow, expected: &Expected) -> Option<bool> {
    let row = GrantRow {
        revision: 8,
        ..grant(1)
    };
    let written = tables.write(|rows| {
        if !rows.expect(tenant, expected)? {
            return Ok(Write::Unchanged(()));
        }
        rows.put_grant(tenant, &row, Secrets::Keep)?;
        Ok(Write::Commit(()))
    });
    match written.unwrap() {
        Write::Commit(()) => Some(true),
        Write::Moved => Some(false),
        Write::Unchanged(()) => None,
        Write::NewDataKey => panic!("no key was counted"),
    }
}

/// Stores two connections with their grants.
fn stored(tables: &impl Tables) -> TenantRow {
    let acme = tenant(tables, "acme");
    commit(tables, |rows| {
        for n in [1, 2] {
            let row = GrantRow {
                revision: 7,
                ..grant(n)
            };
            rows.put_grant(acme, &row, Secrets::Erase)?;
            assert!(rows.put_connection(acme, &connection(n, "alice", &format!("p{n}")))?);
        }
        Ok(())
    });
    acme
}

fn revision(tables: &impl Tables, tenant: TenantRow) -> u64 {
    read(tables, |rows| rows.grant(tenant, grant_id(1)))
        .unwrap()
        .revision
}

fn expected(
    grants: impl IntoIterator<Item = (GrantId, u64)>,
    connections: impl IntoIterator<Item = (ConnectionId, [u8; 32])>,
) -> Expected {
    Expected {
        grants: grants.into_iter().collect(),
        connections: connections.into_iter().collect(),
    }
}

fn expected_rows_let_a_transaction_commit<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = stored(&tables);
    let all = expected(
        [(grant_id(2), 7), (grant_id(1), 7)],
        [(connection_id(1), [1; 32]), (connection_id(2), [2; 32])],
    );
    if let Some(replaced) = replace(&tables, acme, &all) {
        assert!(replaced);
        assert_eq!(revision(&tables, acme), 8);
        // The grant has another revision now.
        assert_eq!(replace(&tables, acme, &all), Some(false));
    }
}

fn a_row_that_has_changed_or_is_missing_ends_it<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = stored(&tables);
    let zeta = tenant(&tables, "zeta");
    let grants = [(grant_id(1), 7), (grant_id(2), 7)];
    let connections = [(connection_id(1), [1; 32])];
    let others = [
        expected([(grant_id(1), 7), (grant_id(2), 6)], connections),
        expected([(grant_id(1), 7), (grant_id(3), 7)], connections),
        expected(grants, [(connection_id(1), [2; 32])]),
        expected(grants, [(connection_id(3), [3; 32])]),
        expected([], [(connection_id(1), [9; 32])]),
    ];
    for other in others {
        assert_ne!(replace(&tables, acme, &other), Some(true), "{other:?}");
        assert_eq!(revision(&tables, acme), 7, "{other:?}");
    }
    let there = expected(grants, connections);
    assert_ne!(replace(&tables, zeta, &there), Some(true));
    assert_ne!(replace(&tables, acme, &there), Some(false));
}

fn nothing_is_expected_of_no_rows<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = stored(&tables);
    assert_ne!(replace(&tables, acme, &Expected::default()), Some(false));
}
