//! Grants and their sealed tokens.

use super::checks;
use super::fixtures::{access, commit, grant, grant_id, key, put_grants, read, rest, tenant};
use crate::model::GrantId;
use crate::vault::tables::{DueRows, GrantRow, Sealed, Secrets, Tables, TenantRow};

const NONE: [u8; 0] = [];

checks![
    a_grant_is_read_back_and_can_be_replaced,
    a_write_does_to_the_tokens_what_it_says,
    a_deleted_grant_leaves_nothing,
    a_grant_is_replaced_only_if_it_has_the_revision,
    a_claim_between_the_read_and_the_write_of_another_is_never_lost,
    tokens_of_every_size_are_read_back,
    former_grants_are_found_by_the_grant_that_replaced_them,
    grants_are_found_by_the_key_that_seals_them,
];

fn secrets(tables: &impl Tables, tenant: TenantRow, n: u8) -> Sealed {
    read(tables, |rows| rows.grant_secrets(tenant, grant_id(n)))
}

fn sealed(access: Option<Vec<u8>>, rest: Option<Vec<u8>>) -> Sealed {
    Sealed { access, rest }
}

fn a_grant_is_read_back_and_can_be_replaced<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    put_grants(&tables, acme, &[grant(1)]);
    assert_eq!(
        read(&tables, |rows| rows.grant(acme, grant_id(1))),
        Some(grant(1))
    );
    assert_eq!(read(&tables, |rows| rows.grant(acme, grant_id(2))), None);
    assert_eq!(read(&tables, |rows| rows.grant(zeta, grant_id(1))), None);
    put_grants(&tables, acme, &[grant(2)]);
    let full = GrantRow {
        former_of: Some(grant_id(2)),
        status: "revoked".to_owned(),
        generation: 7,
        refreshable: false,
        server: "other".to_owned(),
        expires_at: Some(-5),
        refreshed_at: 0,
        not_before: Some(1),
        held_until: Some(2),
        quarantined_until: Some(3),
        dead_at: Some(4),
        route: Vec::new(),
        state: vec![0, 1, 0xff],
        revision: 9,
        ..grant(1)
    };
    put_grants(&tables, acme, std::slice::from_ref(&full));
    assert_eq!(read(&tables, |rows| rows.grant(acme, grant_id(1))), Some(full));
}

fn a_write_does_to_the_tokens_what_it_says<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let write = |secrets: Secrets<'_>| commit(&tables, |rows| rows.put_grant(acme, &grant(1), secrets));
    let stored = || secrets(&tables, acme, 1);
    write(Secrets::Keep);
    assert_eq!(stored(), sealed(None, None), "a new grant has no tokens to keep");
    put_grants(&tables, acme, &[grant(1), grant(2)]);
    assert_eq!(stored(), sealed(Some(access(1)), Some(rest(1))));
    write(Secrets::Keep);
    assert_eq!(stored(), sealed(Some(access(1)), Some(rest(1))));
    write(Secrets::EraseAccess);
    assert_eq!(stored(), sealed(None, Some(rest(1))));
    write(Secrets::Set {
        access: &access(3),
        rest: &rest(4),
    });
    assert_eq!(stored(), sealed(Some(access(3)), Some(rest(4))));
    write(Secrets::Set {
        access: &access(5),
        rest: &[],
    });
    assert_eq!(stored(), sealed(Some(access(5)), None));
    write(Secrets::Erase);
    assert_eq!(stored(), sealed(None, None));
    assert_eq!(secrets(&tables, acme, 2), sealed(Some(access(2)), Some(rest(2))));
}

fn a_deleted_grant_leaves_nothing<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let quarantined = GrantRow {
        quarantined_until: Some(5),
        expires_at: Some(5),
        ..grant(1)
    };
    put_grants(&tables, acme, &[quarantined, grant(2)]);
    commit(&tables, |rows| rows.delete_grant(acme, grant_id(1)));
    assert_eq!(read(&tables, |rows| rows.grant(acme, grant_id(1))), None);
    assert_eq!(secrets(&tables, acme, 1), sealed(None, None));
    assert!(read(&tables, |rows| rows.ended_quarantines(9, 9)).is_empty());
    let soon = DueRows {
        server: "server",
        now: 9,
        expires_before: 9,
        refreshed_before: Some(i64::MAX),
        limit: 9,
    };
    assert_eq!(
        read(&tables, |rows| rows.due_grants(&soon)).len(),
        1,
        "only the other one is idle"
    );
    assert_eq!(
        read(&tables, |rows| rows.grants_sealed_by(acme, 1, None, 9)).len(),
        1
    );
    commit(&tables, |rows| rows.put_grant(acme, &grant(1), Secrets::Keep));
    assert_eq!(secrets(&tables, acme, 1), sealed(None, None));
}

fn a_grant_is_replaced_only_if_it_has_the_revision<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    put_grants(&tables, acme, &[grant(1), grant(2)]);
    let stored = grant(1).revision;
    let claimed = GrantRow {
        held_until: Some(5),
        revision: stored + 1,
        ..grant(1)
    };
    for (tenant, revision) in [(acme, stored + 1), (acme, stored.wrapping_sub(1)), (zeta, stored)] {
        assert!(!tables.replace_grant(tenant, &claimed, revision).unwrap());
    }
    let current = || read(&tables, |rows| rows.grant(acme, grant_id(1)));
    assert_eq!(current(), Some(grant(1)));
    assert!(tables.replace_grant(acme, &claimed, stored).unwrap());
    assert_eq!(current(), Some(claimed.clone()));
    assert_eq!(secrets(&tables, acme, 1), sealed(Some(access(1)), Some(rest(1))));
    assert_eq!(
        read(&tables, |rows| rows.grant(acme, grant_id(2))),
        Some(grant(2))
    );
    assert!(!tables.replace_grant(acme, &claimed, stored).unwrap());
}

/// Each of two threads counts the revision up in its own way. Every step counts.
fn a_claim_between_the_read_and_the_write_of_another_is_never_lost<T: Tables>(make: &dyn Fn() -> T) {
    const STEPS: usize = 50;
    let tables = make();
    let acme = tenant(&tables, "acme");
    put_grants(&tables, acme, &[grant(1)]);
    let next = |row: GrantRow| GrantRow {
        revision: row.revision + 1,
        ..row
    };
    let current = || read(&tables, |rows| rows.grant(acme, grant_id(1))).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut done = 0;
            while done < STEPS {
                let before = current();
                let revision = before.revision;
                done += usize::from(tables.replace_grant(acme, &next(before), revision).unwrap());
            }
        });
        for _ in 0..STEPS {
            commit(&tables, |rows| {
                let row = rows.grant(acme, grant_id(1))?.unwrap();
                rows.put_grant(acme, &next(row), Secrets::Keep)
            });
        }
    });
    let steps = current().revision - grant(1).revision;
    assert_eq!(steps, 2 * STEPS as u64);
}

fn tokens_of_every_size_are_read_back<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    for (access, rest) in [
        (1, 1),
        (40, 131_200),
        (65_600, 1),
        (3_000, 6_000),
        (65_600, 131_200),
    ] {
        let (access, rest) = (vec![7; access], vec![8; rest]);
        commit(&tables, |rows| {
            rows.put_grant(
                acme,
                &grant(1),
                Secrets::Set {
                    access: &access,
                    rest: &rest,
                },
            )
        });
        assert_eq!(secrets(&tables, acme, 1), sealed(Some(access), Some(rest)));
    }
}

fn former_grants_are_found_by_the_grant_that_replaced_them<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let former = |n, of| GrantRow {
        former_of: Some(grant_id(of)),
        ..grant(n)
    };
    put_grants(
        &tables,
        acme,
        &[grant(1), grant(2), former(3, 1), former(4, 1), former(5, 2)],
    );
    let formers = |of| {
        let mut found = read(&tables, |rows| rows.former_grants(acme, grant_id(of)));
        found.sort_by_key(|grant| grant.id);
        found
    };
    assert_eq!(formers(1), [former(3, 1), former(4, 1)]);
    assert_eq!(formers(2), [former(5, 2)]);
    assert_eq!(formers(3), []);
    commit(&tables, |rows| rows.delete_grant(acme, grant_id(3)));
    put_grants(&tables, acme, &[grant(5)]);
    assert_eq!(formers(1), [former(4, 1)]);
    assert_eq!(formers(2), []);
}

fn grants_are_found_by_the_key_that_seals_them<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    commit(&tables, |rows| rows.insert_key(acme, &key(2)));
    let of_second = GrantRow {
        key_version: 2,
        ..grant(3)
    };
    put_grants(&tables, acme, &[grant(4), of_second, grant(2), grant(1)]);
    put_grants(&tables, zeta, &[grant(5)]);
    let ids = |version, after: Option<GrantId>, limit| -> Vec<u8> {
        read(&tables, |rows| rows.grants_sealed_by(acme, version, after, limit))
            .iter()
            .map(|(grant, _)| grant.id.as_bytes()[0])
            .collect()
    };
    assert_eq!(ids(1, None, 9), [1, 2, 4]);
    assert_eq!(ids(1, None, 2), [1, 2]);
    assert_eq!(ids(1, Some(grant_id(2)), 9), [4]);
    assert_eq!(ids(2, None, 9), [3]);
    assert_eq!(ids(3, None, 9), NONE);
    commit(&tables, |rows| {
        rows.put_grant(acme, &grant(1), Secrets::EraseAccess)
    });
    let found = read(&tables, |rows| rows.grants_sealed_by(acme, 1, None, 1));
    assert_eq!(found, [(grant(1), sealed(None, Some(rest(1))))]);
}
