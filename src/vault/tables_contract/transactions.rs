//! Transactions as a whole.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::checks;
use super::fixtures::{commit, connect, connection, connection_id, entry, grant_id, key, name, read, tenant};
use crate::vault::VaultError;
use crate::vault::tables::{Ahead, Chain, HeadRow, Listing, Rows, Tables, Write};

checks![
    a_commit_is_kept_and_returns_its_value,
    every_other_end_keeps_nothing,
    an_error_is_returned_and_keeps_nothing,
    a_panic_keeps_nothing_and_the_next_transaction_runs,
    a_write_sees_its_own_changes,
    an_error_of_a_read_is_returned,
    an_announced_read_has_the_same_answer,
    two_threads_that_write_lose_nothing,
    a_reader_never_sees_half_a_transaction,
    a_handle_has_one_holder_and_no_other_has_it,
    erased_secrets_can_be_cleared,
];

fn a_commit_is_kept_and_returns_its_value<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    assert_eq!(read(&tables, |rows| rows.tenant(&name("acme"))), Some(acme));
}

fn every_other_end_keeps_nothing<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let ends: [fn() -> Write<u8>; 3] = [|| Write::Unchanged(7), || Write::NewDataKey, || Write::Moved];
    for end in ends {
        let written = tables
            .write(|rows| {
                rows.insert_tenant(&name("acme"))?;
                Ok(end())
            })
            .unwrap();
        assert_eq!(format!("{written:?}"), format!("{:?}", end()));
        assert_eq!(read(&tables, |rows| rows.tenant(&name("acme"))), None);
        assert!(read(&tables, |rows| rows.tenants(0, 9)).is_empty());
    }
}

fn an_error_is_returned_and_keeps_nothing<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let result = tables.write(|rows| -> Result<Write<()>, _> {
        rows.insert_tenant(&name("acme"))?;
        Err(VaultError::Tampered)
    });
    assert!(matches!(result, Err(VaultError::Tampered)));
    assert_eq!(read(&tables, |rows| rows.tenant(&name("acme"))), None);
}

fn a_panic_keeps_nothing_and_the_next_transaction_runs<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        tables.write(|rows| -> Result<Write<()>, _> {
            rows.insert_tenant(&name("acme"))?;
            // Unwinds as a panic does, without a message in the output of the tests.
            std::panic::resume_unwind(Box::new("in the middle of a transaction"))
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(read(&tables, |rows| rows.tenant(&name("acme"))), None);
    tenant(&tables, "acme");
}

fn a_write_sees_its_own_changes<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    commit(&tables, |rows| {
        let acme = rows.insert_tenant(&name("acme"))?;
        assert_eq!(rows.tenant(&name("acme"))?, Some(acme));
        rows.insert_key(acme, &key(1))?;
        assert_eq!(rows.newest_key(acme, u32::MAX)?, Some(key(1)));
        connect(rows, acme, &connection(1, "ada", "notes"))?;
        assert!(rows.connection(acme, connection_id(1))?.is_some());
        rows.delete_key(acme, 1)?;
        assert_eq!(rows.key(acme, 1)?, None);
        rows.insert_key(acme, &key(1))
    });
}

fn an_error_of_a_read_is_returned<T: Tables>(make: &dyn Fn() -> T) {
    let result = make().read(|_| -> Result<(), _> { Err(VaultError::Tampered) });
    assert!(matches!(result, Err(VaultError::Tampered)));
}

fn an_announced_read_has_the_same_answer<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, chain) = (tenant(&tables, "acme"), Chain::Of(7));
    commit(&tables, |rows| {
        connect(rows, acme, &connection(1, "ada", "gmail"))
    });
    let head = HeadRow {
        number: 3,
        mac: [1; 32],
        broken: None,
        seal: [2; 32],
    };
    commit(&tables, |rows| {
        rows.append_entries(chain, &[entry(3, Some(7))])?;
        rows.put_head(chain, &head)
    });
    let of = grant_id(1);
    let answers = |rows: &dyn Rows| {
        Ok(format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            rows.tenant(&name("acme"))?,
            rows.grant(acme, of)?,
            rows.grant_secrets(acme, of)?,
            rows.connections(acme, &Listing::users(of))?,
            rows.connection(acme, connection_id(1))?,
            rows.last_number(chain)?,
            rows.head(chain)?,
            rows.grant(acme, grant_id(9))?,
            rows.tenant(&name("zeta"))?,
        ))
    };
    let expected = read(&tables, |rows| answers(rows));
    let (known, unknown) = (name("acme"), name("zeta"));
    let reads = [
        Ahead::Tenant(&known),
        Ahead::Grant(of),
        Ahead::Secrets(of),
        Ahead::Users(of),
        Ahead::Connection(connection_id(1)),
        Ahead::End(chain),
        Ahead::Grant(grant_id(9)),
        Ahead::Tenant(&unknown),
        // One that is never made.
        Ahead::Connection(connection_id(9)),
    ];
    let announced = |rows: &dyn Rows| {
        rows.announce(acme, &reads);
        let first = answers(rows)?;
        // An announcement answers one read. The next one sees what was written meanwhile.
        assert_eq!(answers(rows)?, first);
        Ok(first)
    };
    assert_eq!(read(&tables, |rows| announced(rows)), expected);
    let (mut within, mut after) = (String::new(), String::new());
    commit(&tables, |rows| {
        within = announced(rows)?;
        rows.announce(acme, &[Ahead::Grant(of)]);
        rows.put_head(
            chain,
            &HeadRow {
                number: 4,
                ..head.clone()
            },
        )?;
        rows.grant(acme, of)?;
        after = format!("{:?}", rows.head(chain)?.map(|head| head.number));
        Ok(())
    });
    assert_eq!((within, after.as_str()), (expected, "Some(4)"));
}

fn two_threads_that_write_lose_nothing<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..40 {
                    assert!(commit(&tables, |rows| rows.count_seals(acme, 1, 1, 1_000)));
                }
            });
        }
    });
    assert_eq!(read(&tables, |rows| rows.key(acme, 1)).unwrap().seals, 80);
}

fn a_reader_never_sees_half_a_transaction<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..40 {
                commit(&tables, |rows| {
                    rows.count_seals(acme, 1, 1, 1_000)?;
                    rows.count_seals(zeta, 1, 1, 1_000)
                });
            }
        });
        scope.spawn(|| {
            for _ in 0..40 {
                let (one, other) = read(&tables, |rows| Ok((rows.key(acme, 1)?, rows.key(zeta, 1)?)));
                assert_eq!(one.unwrap().seals, other.unwrap().seals);
            }
        });
    });
}

fn a_handle_has_one_holder_and_no_other_has_it<T: Tables>(make: &dyn Fn() -> T) {
    let (one, other) = (make(), make());
    let holder = one.holder().unwrap();
    assert_eq!(one.holder().unwrap(), holder);
    assert_ne!(other.holder().unwrap(), holder);
    assert!(!one.is_dead(holder));
}

fn erased_secrets_can_be_cleared<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    commit(&tables, |rows| rows.delete_key(acme, 1));
    tables.clear_residue().unwrap();
    assert_eq!(read(&tables, |rows| rows.tenant(&name("acme"))), Some(acme));
}
