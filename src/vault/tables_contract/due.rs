//! Grants that are due: for a refresh, at the end of a quarantine, at the end of their tokens.

use super::checks;
use super::fixtures::{commit, grant, grant_id, name, put_grants, read, tenant};
use crate::vault::tables::{DueRows, GrantRow, Of, Tables, TenantRow};

const NONE: [u8; 0] = [];

checks![
    expiring_grants_are_due_soonest_first,
    idle_grants_follow_the_longest_idle_first,
    grants_that_cannot_be_refreshed_are_not_due,
    held_and_backing_off_grants_take_no_place_in_the_limit,
    quarantines_end_at_their_time_earliest_first,
    former_grants_die_at_their_time_earliest_first,
    nothing_is_due_of_a_tenant_that_is_being_forgotten,
];

const NOW: DueRows<'_> = DueRows {
    server: "server",
    now: 100,
    expires_before: 200,
    refreshed_before: None,
    limit: 9,
};

fn due(tables: &impl Tables, due: &DueRows<'_>) -> Vec<u8> {
    read(tables, |rows| rows.due_grants(due))
        .iter()
        .map(|of| of.row.id.as_bytes()[0])
        .collect()
}

fn expiring(n: u8, at: i64) -> GrantRow {
    GrantRow {
        expires_at: Some(at),
        ..grant(n)
    }
}

fn expiring_grants_are_due_soonest_first<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    put_grants(
        &tables,
        acme,
        &[
            expiring(1, 150),
            expiring(2, -7),
            expiring(3, 199),
            expiring(4, 200),
        ],
    );
    put_grants(
        &tables,
        acme,
        &[
            grant(5),
            GrantRow {
                server: "other".to_owned(),
                ..expiring(6, 1)
            },
        ],
    );
    put_grants(&tables, zeta, &[expiring(7, 120)]);
    assert_eq!(due(&tables, &NOW), [2, 7, 1, 3]);
    assert_eq!(due(&tables, &DueRows { limit: 2, ..NOW }), [2, 7]);
    assert_eq!(
        due(
            &tables,
            &DueRows {
                server: "other",
                ..NOW
            }
        ),
        [6]
    );
    assert_eq!(
        due(
            &tables,
            &DueRows {
                server: "serve",
                ..NOW
            }
        ),
        NONE
    );
    let found = read(&tables, |rows| rows.due_grants(&DueRows { limit: 2, ..NOW }));
    assert_eq!(
        found[1],
        Of {
            tenant: zeta,
            name: name("zeta"),
            row: expiring(7, 120)
        }
    );
    put_grants(&tables, acme, &[expiring(2, 900)]);
    assert_eq!(
        due(&tables, &NOW),
        [7, 1, 3],
        "a grant that was refreshed is not due any longer"
    );
}

fn idle_grants_follow_the_longest_idle_first<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let idle = |n, refreshed_at| GrantRow {
        refreshed_at,
        ..expiring(n, 10_000)
    };
    put_grants(
        &tables,
        acme,
        &[idle(1, 40), idle(2, 30), idle(3, 50), expiring(4, 150)],
    );
    put_grants(
        &tables,
        acme,
        &[GrantRow {
            refreshed_at: 10,
            ..expiring(5, 199)
        }],
    );
    let idle_since = DueRows {
        refreshed_before: Some(50),
        ..NOW
    };
    assert_eq!(due(&tables, &idle_since), [4, 5, 2, 1], "none twice");
    assert_eq!(
        due(
            &tables,
            &DueRows {
                limit: 3,
                ..idle_since
            }
        ),
        [4, 5, 2]
    );
    assert_eq!(due(&tables, &NOW), [4, 5]);
    assert_eq!(
        due(
            &tables,
            &DueRows {
                expires_before: 0,
                ..idle_since
            }
        ),
        [5, 2, 1]
    );
    put_grants(
        &tables,
        acme,
        &[GrantRow {
            refreshed_at: 20,
            ..grant(6)
        }],
    );
    let found = due(&tables, &idle_since);
    assert!(found.contains(&6), "one whose expiry is unknown can be idle too");
    assert_eq!(found[..2], [4, 5], "expiring ones come before it");
}

fn grants_that_cannot_be_refreshed_are_not_due<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let base = |n| GrantRow {
        refreshed_at: 1,
        ..expiring(n, 150)
    };
    put_grants(
        &tables,
        acme,
        &[
            base(1),
            GrantRow {
                status: "revoked".to_owned(),
                ..base(2)
            },
            GrantRow {
                refreshable: false,
                ..base(3)
            },
            GrantRow {
                former_of: Some(grant_id(1)),
                ..base(4)
            },
        ],
    );
    assert_eq!(
        due(
            &tables,
            &DueRows {
                refreshed_before: Some(50),
                ..NOW
            }
        ),
        [1]
    );
}

fn held_and_backing_off_grants_take_no_place_in_the_limit<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let held = |n, until| GrantRow {
        held_until: Some(until),
        ..expiring(n, i64::from(n))
    };
    let backing_off = |n, until| GrantRow {
        not_before: Some(until),
        ..expiring(n, i64::from(n))
    };
    let blocked: Vec<_> = (10..100)
        .map(|n| held(n, 101))
        .chain((100..190).map(|n| backing_off(n, 101)))
        .collect();
    put_grants(&tables, acme, &blocked);
    put_grants(
        &tables,
        acme,
        &[held(190, 100), backing_off(191, 100), expiring(192, 192)],
    );
    let soon = DueRows {
        expires_before: 1_000,
        ..NOW
    };
    assert_eq!(
        due(&tables, &DueRows { limit: 2, ..soon }),
        [190, 191],
        "a time that has come blocks nothing"
    );
    assert_eq!(due(&tables, &soon), [190, 191, 192]);
    let later = due(
        &tables,
        &DueRows {
            now: 101,
            limit: 3,
            ..soon
        },
    );
    assert_eq!(later, [10, 11, 12]);
    let idle = DueRows {
        expires_before: 0,
        refreshed_before: Some(i64::MAX),
        limit: 3,
        ..NOW
    };
    let mut found = due(&tables, &idle);
    found.sort_unstable();
    assert_eq!(found, [190, 191, 192]);
}

fn quarantines_end_at_their_time_earliest_first<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let quarantined = |n, until| GrantRow {
        quarantined_until: Some(until),
        ..grant(n)
    };
    put_grants(
        &tables,
        acme,
        &[
            quarantined(1, 50),
            quarantined(2, 51),
            quarantined(3, 20),
            grant(4),
        ],
    );
    let ended = |now, limit| read(&tables, |rows| rows.ended_quarantines(now, limit));
    let of = |n| Of {
        tenant: acme,
        name: name("acme"),
        row: grant_id(n),
    };
    assert_eq!(ended(50, 9), [of(3), of(1)]);
    assert_eq!(ended(50, 1), [of(3)]);
    assert_eq!(ended(19, 9), []);
    put_grants(&tables, acme, &[grant(3)]);
    assert_eq!(ended(50, 9), [of(1)]);
}

fn former_grants_die_at_their_time_earliest_first<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let former = |n, dead_at| GrantRow {
        former_of: Some(grant_id(1)),
        dead_at,
        ..grant(n)
    };
    put_grants(
        &tables,
        acme,
        &[
            grant(1),
            former(2, Some(50)),
            former(3, Some(20)),
            former(4, Some(51)),
            former(5, None),
        ],
    );
    let dead = |now, limit| read(&tables, |rows| rows.dead_grants(now, limit));
    let of = |n| Of {
        tenant: acme,
        name: name("acme"),
        row: grant_id(n),
    };
    assert_eq!(dead(50, 9), [of(3), of(2)]);
    assert_eq!(dead(50, 1), [of(3)]);
    assert_eq!(dead(19, 9), []);
    commit(&tables, |rows| rows.delete_grant(acme, grant_id(3)));
    assert_eq!(dead(50, 9), [of(2)]);
}

fn nothing_is_due_of_a_tenant_that_is_being_forgotten<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    for of in [acme, zeta] {
        put_grants(
            &tables,
            of,
            &[GrantRow {
                quarantined_until: Some(5),
                refreshed_at: 1,
                ..expiring(1, 150)
            }],
        );
        let former = GrantRow {
            former_of: Some(grant_id(1)),
            dead_at: Some(5),
            ..grant(2)
        };
        put_grants(&tables, of, &[former]);
    }
    commit(&tables, |rows| rows.unname_tenant(acme));
    let names = |rows: Vec<TenantRow>| assert_eq!(rows, [zeta]);
    let due = DueRows { limit: 1, ..NOW };
    names(
        read(&tables, |rows| rows.due_grants(&due))
            .iter()
            .map(|of| of.tenant)
            .collect(),
    );
    names(
        read(&tables, |rows| rows.ended_quarantines(9, 1))
            .iter()
            .map(|of| of.tenant)
            .collect(),
    );
    names(
        read(&tables, |rows| rows.dead_grants(9, 1))
            .iter()
            .map(|of| of.tenant)
            .collect(),
    );
}
