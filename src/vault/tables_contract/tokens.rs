//! Finding a connection and its access token.

use super::checks;
use super::fixtures::{access, commit, connect, connection, connection_id, grant, grant_id, read, tenant};
use crate::vault::tables::{ConnectionRow, FoundRows, Secrets, Tables, TenantRow, TokenRow, Wanted, Write};

checks![
    the_only_connection_or_the_default_is_found,
    a_labelled_connection_is_found_by_its_label_only,
    a_connection_is_found_by_its_id_unless_it_is_revoked,
    a_found_connection_comes_with_its_grant_and_access_token,
    a_connection_whose_grant_is_missing_is_damaged,
];

/// Returns the result in short: the first byte of the id of the connection.
fn find(tables: &impl Tables, tenant: TenantRow, wanted: Wanted<'_>) -> Result<u8, &'static str> {
    match read(tables, |rows| rows.token(tenant, wanted)) {
        FoundRows::One(found) => Ok(found.connection.id.as_bytes()[0]),
        FoundRows::Nothing => Err("nothing"),
        FoundRows::Several => Err("several"),
        FoundRows::Damaged => Err("damaged"),
    }
}

fn put(tables: &impl Tables, tenant: TenantRow, row: &ConnectionRow) {
    commit(tables, |rows| connect(rows, tenant, row));
}

fn the_only_connection_or_the_default_is_found<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    let of = |owner: &'static str| {
        find(
            &tables,
            acme,
            Wanted::Owner {
                owner,
                provider: "notes",
            },
        )
    };
    assert_eq!(of("ada"), Err("nothing"));
    put(&tables, acme, &connection(1, "ada", "notes"));
    put(&tables, acme, &connection(2, "bob", "notes"));
    put(&tables, acme, &connection(3, "ada", "mail"));
    put(&tables, zeta, &connection(4, "ada", "notes"));
    assert_eq!(of("ada"), Ok(1));
    assert_eq!(of(""), Err("nothing"));
    put(&tables, acme, &connection(5, "", "notes"));
    assert_eq!(of(""), Ok(5));

    put(&tables, acme, &connection(6, "ada", "notes"));
    assert_eq!(of("ada"), Err("several"));
    put(
        &tables,
        acme,
        &ConnectionRow {
            is_default: true,
            ..connection(6, "ada", "notes")
        },
    );
    assert_eq!(of("ada"), Ok(6));
    put(
        &tables,
        acme,
        &ConnectionRow {
            is_default: true,
            revoked: true,
            ..connection(6, "ada", "notes")
        },
    );
    assert_eq!(of("ada"), Ok(1), "a revoked default does not count");
    put(
        &tables,
        acme,
        &ConnectionRow {
            revoked: true,
            ..connection(1, "ada", "notes")
        },
    );
    assert_eq!(of("ada"), Err("nothing"));
}

fn a_labelled_connection_is_found_by_its_label_only<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let labelled = |n, label: &str| ConnectionRow {
        label: Some(label.to_owned()),
        ..connection(n, "ada", "notes")
    };
    put(&tables, acme, &labelled(1, "work"));
    put(&tables, acme, &labelled(2, "workshop"));
    put(
        &tables,
        acme,
        &ConnectionRow {
            is_default: true,
            ..connection(3, "ada", "notes")
        },
    );
    let of = |label: &'static str| {
        find(
            &tables,
            acme,
            Wanted::Label {
                owner: "ada",
                provider: "notes",
                label,
            },
        )
    };
    assert_eq!(
        [of("work"), of("workshop"), of("wor")],
        [Ok(1), Ok(2), Err("nothing")]
    );
    let others = find(
        &tables,
        acme,
        Wanted::Label {
            owner: "bob",
            provider: "notes",
            label: "work",
        },
    );
    assert_eq!(others, Err("nothing"));
    put(
        &tables,
        acme,
        &ConnectionRow {
            revoked: true,
            ..labelled(1, "work")
        },
    );
    assert_eq!(of("work"), Err("nothing"));
}

fn a_connection_is_found_by_its_id_unless_it_is_revoked<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    put(&tables, acme, &connection(1, "ada", "notes"));
    let of = |tenant, n| find(&tables, tenant, Wanted::Id(connection_id(n)));
    assert_eq!(
        [of(acme, 1), of(acme, 2), of(zeta, 1)],
        [Ok(1), Err("nothing"), Err("nothing")]
    );
    put(
        &tables,
        acme,
        &ConnectionRow {
            revoked: true,
            ..connection(1, "ada", "notes")
        },
    );
    assert_eq!(of(acme, 1), Err("nothing"));
}

fn a_found_connection_comes_with_its_grant_and_access_token<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let row = ConnectionRow {
        grant: grant_id(9),
        ..connection(1, "ada", "notes")
    };
    put(&tables, acme, &row);
    let found = || match read(&tables, |rows| rows.token(acme, Wanted::Id(connection_id(1)))) {
        FoundRows::One(found) => *found,
        other => panic!("{other:?}"),
    };
    assert_eq!(found(), TokenRow::new(row.clone(), grant(9), Some(access(9))));
    let alone = || tables.token(acme, Wanted::Id(connection_id(1)), &mut |_| false);
    let Some((stamp, FoundRows::One(first))) = alone().unwrap() else {
        panic!("nothing")
    };
    assert_eq!(*first, found());
    if let Some(stamp) = stamp {
        let mut asked = 0;
        let known = tables.token(acme, Wanted::Id(connection_id(1)), &mut |now| {
            asked += 1;
            now == stamp
        });
        assert!(
            known.unwrap().is_none(),
            "nothing was committed, so the stamp is the same"
        );
        assert_eq!(asked, 1);
    }
    commit(&tables, |rows| {
        rows.put_grant(acme, &grant(9), Secrets::EraseAccess)
    });
    assert_eq!(found(), TokenRow::new(row, grant(9), None));
    let after = alone().unwrap().expect("it is not known").0;
    assert!(stamp.is_none() || after != stamp, "a commit changes the stamp");
}

fn a_connection_whose_grant_is_missing_is_damaged<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    // A database may refuse such a row at once.
    let written = tables.write(|rows| {
        rows.put_connection(acme, &connection(1, "ada", "notes"))
            .map(Write::Commit)
    });
    let expected = if written.is_ok() { "damaged" } else { "nothing" };
    assert_eq!(find(&tables, acme, Wanted::Id(connection_id(1))), Err(expected));
    assert_eq!(
        find(
            &tables,
            acme,
            Wanted::Owner {
                owner: "ada",
                provider: "notes"
            }
        ),
        Err(expected)
    );
}
