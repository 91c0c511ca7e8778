//! Connections, their listing and their use.

use super::checks;
use super::fixtures::{commit, connect, connection, connection_id, grant, grant_id, put_grant, read, tenant};
use crate::model::Timestamp;
use crate::vault::Sought;
use crate::vault::tables::{ConnectionRow, ListedRow, Listing, Tables, TenantRow};

const NONE: [u8; 0] = [];

checks![
    a_connection_is_read_back_with_its_grant,
    a_connection_can_be_replaced,
    a_label_is_unique_among_connections_that_are_not_revoked,
    an_account_is_unique_among_connections_that_are_not_revoked,
    a_default_is_unique_among_connections_that_are_not_revoked,
    a_refused_connection_changes_nothing_and_the_transaction_goes_on,
    connections_are_listed_by_every_filter_in_the_order_of_their_ids,
    long_lists_are_read_page_by_page,
    what_is_sought_is_never_left_out,
    connections_of_owners_whose_names_begin_alike_are_kept_apart,
    connections_are_counted,
    uses_only_move_forward_and_unknown_connections_are_left_out,
];

const ALL: Listing<'_> = Listing {
    owner: None,
    provider: None,
    grant: None,
    with_revoked: true,
    sought: None,
    after: None,
    limit: 1_000,
};

fn ids(tables: &impl Tables, tenant: TenantRow, listing: &Listing<'_>) -> Vec<u8> {
    read(tables, |rows| rows.connections(tenant, listing))
        .iter()
        .map(|listed| listed.connection.id.as_bytes()[0])
        .collect()
}

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

/// Creates connections in no order: of ada (1 to 4), of bob (5) and of the workspace (6).
fn filled<T: Tables>(tables: &T) -> TenantRow {
    let acme = tenant(tables, "acme");
    let other = tenant(tables, "zeta");
    commit(tables, |rows| {
        connect(rows, other, &connection(7, "ada", "notes"))?;
        connect(rows, acme, &connection(5, "bob", "notes"))?;
        connect(rows, acme, &connection(4, "ada", "notes"))?;
        connect(rows, acme, &connection(6, "", "notes"))?;
        connect(rows, acme, &connection(1, "ada", "notes"))?;
        connect(rows, acme, &connection(3, "ada", "mail"))?;
        let shared = ConnectionRow {
            grant: grant_id(1),
            ..connection(2, "ada", "calendar")
        };
        connect(rows, acme, &shared)?;
        let revoked = ConnectionRow {
            revoked: true,
            ..connection(4, "ada", "notes")
        };
        assert!(rows.put_connection(acme, &revoked)?);
        Ok(())
    });
    acme
}

fn connections_are_listed_by_every_filter_in_the_order_of_their_ids<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = filled(&tables);
    let listed = |listing: Listing<'_>| ids(&tables, acme, &listing);
    let living = Listing {
        with_revoked: false,
        sought: None,
        ..ALL
    };
    let ada = Some("ada");
    assert_eq!(listed(ALL), [1, 2, 3, 4, 5, 6]);
    assert_eq!(listed(living), [1, 2, 3, 5, 6]);
    assert_eq!(listed(Listing { owner: ada, ..ALL }), [1, 2, 3, 4]);
    assert_eq!(listed(Listing { owner: ada, ..living }), [1, 2, 3]);
    assert_eq!(
        listed(Listing {
            owner: Some(""),
            ..ALL
        }),
        [6]
    );
    assert_eq!(
        listed(Listing {
            owner: Some("eve"),
            ..ALL
        }),
        NONE
    );
    assert_eq!(
        listed(Listing {
            provider: Some("notes"),
            ..ALL
        }),
        [1, 4, 5, 6]
    );
    assert_eq!(
        listed(Listing {
            provider: Some("notes"),
            ..living
        }),
        [1, 5, 6]
    );
    assert_eq!(
        listed(Listing {
            owner: ada,
            provider: Some("notes"),
            ..ALL
        }),
        [1, 4]
    );
    assert_eq!(
        listed(Listing {
            owner: ada,
            provider: Some("notes"),
            ..living
        }),
        [1]
    );
    assert_eq!(
        listed(Listing {
            grant: Some(grant_id(1)),
            ..ALL
        }),
        [1, 2]
    );
    assert_eq!(
        listed(Listing {
            grant: Some(grant_id(1)),
            provider: Some("notes"),
            ..ALL
        }),
        [1]
    );
    assert_eq!(
        listed(Listing {
            grant: Some(grant_id(1)),
            owner: Some("bob"),
            ..ALL
        }),
        NONE
    );
    assert_eq!(
        listed(Listing {
            grant: Some(grant_id(4)),
            ..living
        }),
        NONE
    );
    assert_eq!(
        listed(Listing {
            after: Some(connection_id(2)),
            ..ALL
        }),
        [3, 4, 5, 6]
    );
    assert_eq!(
        listed(Listing {
            after: Some(connection_id(3)),
            owner: ada,
            ..living
        }),
        NONE
    );
    assert_eq!(
        listed(Listing {
            after: Some(connection_id(6)),
            ..ALL
        }),
        NONE
    );
    assert_eq!(
        listed(Listing { limit: 4, ..living }),
        [1, 2, 3, 5],
        "revoked ones take no place"
    );
    assert_eq!(
        listed(Listing {
            limit: 1,
            owner: ada,
            ..ALL
        }),
        [1]
    );
    assert_eq!(listed(Listing { limit: 0, ..ALL }), NONE);
}

fn long_lists_are_read_page_by_page<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let owners = |n: u8| if n.is_multiple_of(2) { "ada" } else { "bob" };
    commit(&tables, |rows| {
        (0..=250)
            .rev()
            .try_for_each(|n| connect(rows, acme, &connection(n, owners(n), "notes")))
    });
    assert_eq!(ids(&tables, acme, &ALL), (0..=250).collect::<Vec<_>>());
    let of_ada = Listing {
        owner: Some("ada"),
        ..ALL
    };
    let mut read = Vec::new();
    loop {
        let after = read.last().copied().map(connection_id);
        let page = ids(
            &tables,
            acme,
            &Listing {
                after,
                limit: 30,
                ..of_ada
            },
        );
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    assert_eq!(read, (0..=250).step_by(2).collect::<Vec<_>>());
}

/// A search for a state finds all connections in it, in the order of their ids, and never one that
/// another filter excludes.
fn what_is_sought_is_never_left_out<T: Tables>(make: &dyn Fn() -> T) {
    const NOW: i64 = 1_000;
    let tables = make();
    let acme = tenant(&tables, "acme");
    // The ids of grants descend while those of connections ascend.
    let states: [(&str, bool, Option<i64>); 8] = [
        ("active", true, Some(NOW - 1)),
        ("rejected", true, Some(NOW + 1)),
        ("active", false, Some(NOW)),
        ("active", false, Some(NOW + 1)),
        ("active", false, None),
        ("expired", false, Some(NOW - 1)),
        ("rejected", false, None),
        ("rejected", true, None),
    ];
    let numbers = || (1..).zip(states);
    for (number, (status, refreshable, expires_at)) in numbers() {
        let id = 100 - number;
        let mut row = connection(number, "ada", if number % 2 == 0 { "mail" } else { "notes" });
        row.grant = grant_id(id);
        row.revoked = number == 8;
        commit(&tables, |rows| {
            let mut stored = grant(id);
            stored.status = status.to_owned();
            stored.refreshable = refreshable;
            stored.expires_at = expires_at;
            put_grant(rows, acme, id, &stored)?;
            assert!(rows.put_connection(acme, &row)?);
            Ok(())
        });
    }
    let needy = Listing {
        with_revoked: false,
        sought: Some(Sought::NeedsConsent {
            now: Timestamp::from_unix_millis(NOW),
        }),
        ..ALL
    };
    let holds = |found: &[u8], wanted: &[u8]| {
        assert!(found.is_sorted(), "{found:?}");
        assert!(
            wanted.iter().all(|id| found.contains(id)),
            "{wanted:?} in {found:?}"
        );
    };
    let found = ids(&tables, acme, &needy);
    holds(&found, &[2, 3, 6, 7]);
    assert!(!found.contains(&8), "revoked");
    let mail = Listing {
        provider: Some("mail"),
        ..needy
    };
    let found = ids(&tables, acme, &mail);
    holds(&found, &[2, 6]);
    assert!(found.iter().all(|id| id % 2 == 0), "{found:?}");
    let revoked = Listing {
        sought: Some(Sought::Revoked),
        ..ALL
    };
    holds(&ids(&tables, acme, &revoked), &[8]);
    // Page by page, each begins after the last connection of the one before.
    for listing in [needy, revoked] {
        let all = ids(&tables, acme, &listing);
        let mut paged = Vec::new();
        let mut after = None;
        loop {
            let page = ids(
                &tables,
                acme,
                &Listing {
                    after,
                    limit: 1,
                    ..listing
                },
            );
            let Some(last) = page.last() else { break };
            after = Some(connection_id(*last));
            paged.extend(page);
        }
        assert_eq!(paged, all);
    }
    assert!(ids(&tables, tenant(&tables, "zeta"), &needy).is_empty());
}

fn connections_of_owners_whose_names_begin_alike_are_kept_apart<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let long = "a".repeat(512);
    let owners = ["a", "aa", "A", "a ", &long[..511], &long];
    for (n, owner) in (1..).zip(owners) {
        let row = ConnectionRow {
            is_default: true,
            ..connection(n, owner, "notes")
        };
        assert!(put(&tables, acme, &row));
    }
    for (n, owner) in (1..).zip(owners) {
        assert_eq!(
            ids(
                &tables,
                acme,
                &Listing {
                    owner: Some(owner),
                    ..ALL
                }
            ),
            [n]
        );
        assert_eq!(read(&tables, |rows| rows.count_connections(acme, Some(owner))), 1);
    }
}

fn connections_are_counted<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = filled(&tables);
    let count = |owner| read(&tables, |rows| rows.count_connections(acme, owner));
    assert_eq!(count(None), 6);
    assert_eq!(count(Some("ada")), 4, "revoked ones are counted too");
    assert_eq!(count(Some("")), 1);
    assert_eq!(count(Some("eve")), 0);
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
