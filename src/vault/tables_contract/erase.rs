//! Erases a user or a tenant in chunks.

use super::checks;
use super::fixtures::{
    access, commit, connect, connection, connection_id, consent, entry, grant, grant_id, put_grant, read,
    revocation, revocation_id, state, tenant,
};
use crate::vault::tables::{
    Chain, ConnectionRow, ConsentRow, Doomed, GrantRow, RevocationRow, Sealed, Tables, TenantRow,
};

checks![
    a_person_is_erased_in_chunks_and_nobody_else,
    former_grants_are_erased_with_the_grant_that_replaced_them,
    a_grant_that_another_person_uses_stays,
    a_tenant_is_erased_in_chunks_and_no_other,
    a_chunk_leaves_every_connection_its_grant,
    an_erased_persons_labels_are_free,
];

const CHUNK: usize = 3;

/// Erases in chunks until nothing is left. Returns the number of chunks.
fn erase(tables: &impl Tables, tenant: TenantRow, doomed: Doomed<'_>) -> usize {
    (1..1_000)
        .find(|_| {
            let before = read(tables, |rows| rows.count_connections(tenant, None));
            let is_done = commit(tables, |rows| rows.erase(tenant, doomed, CHUNK));
            let after = read(tables, |rows| rows.count_connections(tenant, None));
            assert!(before - after <= CHUNK);
            is_done
        })
        .expect("an end")
}

/// Creates connections of ada (1 to 9), bob (10) and the workspace (11), and consent requests and
/// revocations of each.
fn fill(tables: &impl Tables, tenant: TenantRow) {
    commit(tables, |rows| {
        for n in 1..=9 {
            connect(rows, tenant, &connection(n, "ada", "notes"))?;
        }
        connect(rows, tenant, &connection(10, "bob", "notes"))?;
        connect(rows, tenant, &connection(11, "", "notes"))?;
        rows.record_uses(&[(tenant, connection_id(1), 50), (tenant, connection_id(10), 50)])?;
        for (n, user, owner) in [
            (1, "ada", "ada"),
            (2, "ada", ""),
            (3, "bob", "ada"),
            (4, "bob", "bob"),
        ] {
            let row = ConsentRow {
                user: user.to_owned(),
                owner: owner.to_owned(),
                ..consent(n)
            };
            rows.insert_consent(tenant, &row, &[n; 40])?;
        }
        for (n, owner) in [(1, "ada"), (2, "ada"), (3, "bob"), (4, "")] {
            let row = RevocationRow {
                owner: owner.to_owned(),
                ..revocation(n)
            };
            let sealed = Sealed {
                access: Some(access(n)),
                rest: None,
            };
            rows.insert_revocation(tenant, &row, &sealed)?;
        }
        rows.append_entries(Chain::Of(tenant), &[entry(1, Some(tenant))])
    });
}

/// Returns the numbers of the remaining rows: connections, grants, consent requests, revocations.
fn left(tables: &impl Tables, tenant: TenantRow) -> [Vec<u8>; 4] {
    read(tables, |rows| {
        let mut left = [const { Vec::new() }; 4];
        for n in 1..=20 {
            let is_there = [
                rows.connection(tenant, connection_id(n))?.is_some(),
                rows.grant(tenant, grant_id(n))?.is_some(),
                rows.consent(tenant, &state(n))?.is_some(),
                rows.revocation(tenant, revocation_id(n))?.is_some(),
            ];
            for (all, is_there) in left.iter_mut().zip(is_there) {
                all.extend(is_there.then_some(n));
            }
        }
        Ok(left)
    })
}

fn a_person_is_erased_in_chunks_and_nobody_else<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    fill(&tables, acme);
    fill(&tables, zeta);
    let of_zeta = left(&tables, zeta);
    assert!(erase(&tables, acme, Doomed::Owner("ada")) > 1);
    assert_eq!(
        left(&tables, acme),
        [vec![10, 11], vec![10, 11], vec![4], vec![3, 4]]
    );
    assert_eq!(left(&tables, zeta), of_zeta);
    for n in 1..=9 {
        assert_eq!(
            read(&tables, |rows| rows.grant_secrets(acme, grant_id(n))),
            Sealed::default()
        );
    }
    assert_eq!(read(&tables, |rows| rows.due_revocations(i64::MAX, 99)).len(), 6);
    assert_eq!(read(&tables, |rows| rows.expired_consents(i64::MAX, 99)).len(), 5);
    assert_eq!(
        read(&tables, |rows| rows.grants_sealed_by(acme, 1, None, 99)).len(),
        2
    );
    assert!(read(&tables, |rows| rows.key(acme, 1)).is_some());
    assert_eq!(read(&tables, |rows| rows.last_number(Chain::Of(acme))), 1);
    let bob = read(&tables, |rows| rows.connection(acme, connection_id(10))).unwrap();
    assert_eq!(bob.used_at, Some(50));
    assert!(commit(&tables, |rows| rows.erase(
        acme,
        Doomed::Owner("ada"),
        CHUNK
    )));
    assert!(commit(&tables, |rows| rows.erase(
        acme,
        Doomed::Owner("ad"),
        CHUNK
    )));
    assert_eq!(left(&tables, acme)[0], [10, 11]);

    // The times of use are deleted too: a connection with the same id would start without one.
    commit(&tables, |rows| {
        connect(rows, acme, &connection(1, "ada", "notes"))
    });
    assert_eq!(
        read(&tables, |rows| rows.connection(acme, connection_id(1)))
            .unwrap()
            .used_at,
        None
    );
}

fn former_grants_are_erased_with_the_grant_that_replaced_them<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    commit(&tables, |rows| {
        connect(rows, acme, &connection(1, "ada", "notes"))?;
        connect(rows, acme, &connection(2, "bob", "notes"))?;
        // 3 to 6 were replaced one after another, 7 by the same grant as 6.
        for (n, of) in [(6, 1), (7, 1), (5, 6), (4, 5), (3, 4), (8, 2)] {
            put_grant(
                rows,
                acme,
                n,
                &GrantRow {
                    former_of: Some(grant_id(of)),
                    ..grant(n)
                },
            )?;
        }
        Ok(())
    });
    assert!(erase(&tables, acme, Doomed::Owner("ada")) > 1);
    assert_eq!(left(&tables, acme)[..2], [vec![2], vec![2, 8]]);
}

fn a_grant_that_another_person_uses_stays<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    commit(&tables, |rows| {
        connect(rows, acme, &connection(1, "ada", "notes"))?;
        connect(
            rows,
            acme,
            &ConnectionRow {
                grant: grant_id(1),
                ..connection(2, "", "mail")
            },
        )?;
        // Two of ada's own connections that share a grant.
        connect(rows, acme, &connection(3, "ada", "calendar"))?;
        connect(
            rows,
            acme,
            &ConnectionRow {
                grant: grant_id(3),
                ..connection(4, "ada", "mail")
            },
        )
    });
    erase(&tables, acme, Doomed::Owner("ada"));
    assert_eq!(left(&tables, acme)[..2], [vec![2], vec![1]]);
}

fn a_tenant_is_erased_in_chunks_and_no_other<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    fill(&tables, acme);
    fill(&tables, zeta);
    let of_zeta = left(&tables, zeta);
    commit(&tables, |rows| {
        put_grant(
            rows,
            acme,
            15,
            &GrantRow {
                former_of: Some(grant_id(1)),
                ..grant(15)
            },
        )?;
        rows.unname_tenant(acme)
    });
    assert!(erase(&tables, acme, Doomed::Everything) > 1);
    assert!(left(&tables, acme).iter().all(Vec::is_empty));
    assert_eq!(left(&tables, zeta), of_zeta);
    assert_eq!(
        read(&tables, |rows| rows.last_number(Chain::Of(acme))),
        1,
        "its audit stays"
    );
    commit(&tables, |rows| rows.delete_tenant(acme));
    assert_eq!(read(&tables, |rows| rows.tenants(0, 9)).len(), 1);
    assert!(!read(&tables, |rows| rows.has_revocations(5)));
}

fn a_chunk_leaves_every_connection_its_grant<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    fill(&tables, acme);
    for chunk in 1..100 {
        let is_done = commit(&tables, |rows| {
            rows.erase(acme, Doomed::Owner("ada"), 1 + chunk % 4)
        });
        // Fails if a connection has lost its grant.
        left(&tables, acme);
        if is_done {
            return;
        }
    }
    panic!("no end");
}

fn an_erased_persons_labels_are_free<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let marked = |n| ConnectionRow {
        label: Some("work".to_owned()),
        account: Some("account".to_owned()),
        is_default: true,
        ..connection(n, "ada", "notes")
    };
    commit(&tables, |rows| connect(rows, acme, &marked(1)));
    erase(&tables, acme, Doomed::Owner("ada"));
    commit(&tables, |rows| connect(rows, acme, &marked(2)));
    assert_eq!(left(&tables, acme)[0], [2]);
}
