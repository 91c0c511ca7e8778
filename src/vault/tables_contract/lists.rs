//! Lists of connections, and their number.

use super::checks;
use super::fixtures::{
    ALL, NONE, commit, connect, connection, connection_id, filled, grant, grant_id, ids, put_grant, read,
    tenant,
};
use crate::model::Timestamp;
use crate::vault::Sought;
use crate::vault::tables::{ConnectionRow, Listing, Tables};

checks![
    connections_are_listed_by_every_filter_in_the_order_of_their_ids,
    long_lists_are_read_page_by_page,
    what_is_sought_is_never_left_out,
    connections_of_owners_whose_names_begin_alike_are_kept_apart,
    connections_are_counted,
];

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
        commit(&tables, |rows| connect(rows, acme, &row));
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
