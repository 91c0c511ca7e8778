//! The operations that only a transfer between vaults needs.

use super::checks;
use super::fixtures::{
    access, commit, entry, grant, grant_id, name, put_grants, read, rest, revocation, revocation_id, tenant,
};
use crate::vault::VaultError;
use crate::vault::tables::{
    Chain, CheckpointRow, GrantRow, Mark, Sealed, Secrets, Stage, Tables, TenantRow, Write, check_complete,
};

checks![
    grants_are_read_in_the_order_of_their_ids_with_and_without_tokens,
    pending_revocations_are_read_in_the_order_of_their_ids,
    checkpoints_are_read_in_the_order_of_their_numbers,
    a_numbered_tenant_keeps_its_number_and_later_ones_get_higher_ones,
    a_mark_forbids_claims_before_other_writes,
    a_mark_forbids_writes_that_began_before_it,
];

fn grants_are_read_in_the_order_of_their_ids_with_and_without_tokens<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    put_grants(&tables, acme, &[grant(3), grant(1), grant(2)]);
    put_grants(&tables, zeta, &[grant(1)]);
    let bare = GrantRow {
        key_version: 0,
        ..grant(2)
    };
    commit(&tables, |rows| rows.put_grant(acme, &bare, Secrets::Erase));
    let with = |n| {
        let sealed = Sealed {
            access: Some(access(n)),
            rest: Some(rest(n)),
        };
        (grant(n), sealed)
    };
    let after = |after, limit| read(&tables, |rows| rows.grants_after(acme, after, limit));
    assert_eq!(
        after(None, 9),
        [with(1), (bare.clone(), Sealed::default()), with(3)]
    );
    assert_eq!(after(None, 1), [with(1)]);
    assert_eq!(after(Some(grant_id(1)), 9), [(bare, Sealed::default()), with(3)]);
    assert_eq!(after(Some(grant_id(3)), 9), []);
}

fn pending_revocations_are_read_in_the_order_of_their_ids<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    let sealed = |n| Sealed {
        access: Some(access(n)),
        rest: None,
    };
    for n in [2, 1, 3] {
        commit(&tables, |rows| {
            rows.insert_revocation(acme, &revocation(n), &sealed(n))
        });
    }
    commit(&tables, |rows| {
        rows.insert_revocation(zeta, &revocation(1), &sealed(1))
    });
    let after = |after, limit| read(&tables, |rows| rows.revocations_after(acme, after, limit));
    let all = [1, 2, 3].map(|n| (revocation(n), sealed(n)));
    assert_eq!(after(None, 9), all);
    assert_eq!(after(None, 2), all[..2]);
    assert_eq!(after(Some(revocation_id(2)), 9), all[2..]);
}

fn checkpoints_are_read_in_the_order_of_their_numbers<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let row = |number: u8| CheckpointRow {
        number: u64::from(number),
        mac: [number; 32],
        seal: [9; 32],
    };
    for chain in [Chain::Of(acme), Chain::Legacy] {
        commit(&tables, |rows| {
            [7, 2, 5]
                .into_iter()
                .try_for_each(|number| rows.put_checkpoint(chain, &row(number)))
        });
        let after = |after, limit| read(&tables, |rows| rows.checkpoints_after(chain, after, limit));
        assert_eq!(after(0, 9), [row(2), row(5), row(7)]);
        assert_eq!(after(2, 1), [row(5)]);
        assert_eq!(after(7, 9), []);
    }
}

fn a_numbered_tenant_keeps_its_number_and_later_ones_get_higher_ones<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    commit(&tables, |rows| rows.insert_numbered_tenant(40, &name("acme")));
    commit(&tables, |rows| rows.insert_numbered_tenant(7, &name("mill")));
    assert_eq!(read(&tables, |rows| rows.tenant(&name("acme"))), Some(40));
    assert_eq!(read(&tables, |rows| rows.tenant(&name("mill"))), Some(7));
    assert!(tenant(&tables, "zeta") > 40);
    let again = tables.write(|rows| {
        rows.insert_numbered_tenant(90, &name("acme"))?;
        Ok(Write::Commit(()))
    });
    assert!(again.is_err(), "a name is given once");
}

fn mark(tables: &impl Tables, stage: Stage) {
    let mark = Mark {
        stage,
        transfer: [7; 16],
    };
    let written = tables.write_for_transfer(|rows| {
        rows.exclude_writers()?;
        mark.put(rows).map(Write::Commit)
    });
    assert!(matches!(written, Ok(Write::Commit(()))));
    assert_eq!(read(tables, |rows| Mark::read(rows)), mark);
}

/// Returns the outcomes of a write and of a claim.
fn allowed(tables: &impl Tables, acme: TenantRow) -> [Result<(), VaultError>; 2] {
    let written = tables.write(|rows| {
        let number = rows.last_number(Chain::Legacy)? + 1;
        rows.append_entries(Chain::Legacy, &[entry(number, Some(1))])?;
        Ok(Write::Commit(()))
    });
    let stored = read(tables, |rows| rows.grant(acme, grant_id(1))).unwrap();
    let next = GrantRow {
        revision: stored.revision + 1,
        ..stored.clone()
    };
    let claimed = tables.replace_grant(acme, &next, stored.revision);
    [written.map(drop), claimed.map(|claimed| assert!(claimed))]
}

fn a_mark_forbids_claims_before_other_writes<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    put_grants(&tables, acme, &[grant(1)]);
    let count = || {
        let revision = read(&tables, |rows| rows.grant(acme, grant_id(1)))
            .unwrap()
            .revision;
        read(&tables, |rows| rows.last_number(Chain::Legacy)) + revision
    };
    assert!(matches!(allowed(&tables, acme), [Ok(()), Ok(())]));
    for (stage, kept) in [
        (Stage::Closing, 1),
        (Stage::Moving, 0),
        (Stage::Moved, 0),
        (Stage::Receiving, 0),
        (Stage::Open, 2),
    ] {
        let before = count();
        mark(&tables, stage);
        let outcomes = allowed(&tables, acme);
        assert_eq!(count() - before, kept, "{stage:?}");
        let refused = match stage {
            Stage::Receiving => VaultError::Incomplete,
            _ => VaultError::Moved,
        };
        let refusals = outcomes.into_iter().filter_map(Result::err);
        assert!(
            refusals
                .map(|error| error.to_string())
                .all(|error| error == refused.to_string())
        );
        let complete = tables.read(|rows| check_complete(rows));
        assert_eq!(complete.is_err(), stage == Stage::Receiving, "{stage:?}");
        // What changes nothing is not refused.
        assert!(matches!(
            tables.write(|_| Ok(Write::Unchanged(()))),
            Ok(Write::Unchanged(()))
        ));
    }
}

/// A mark is stored between two writes of other threads, however they fall.
fn a_mark_forbids_writes_that_began_before_it<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut kept = 0_u64;
            loop {
                let number = kept + 1;
                let written = tables.write(|rows| {
                    rows.append_entries(Chain::Of(acme), &[entry(number, Some(acme))])?;
                    Ok(Write::Commit(()))
                });
                match written {
                    Ok(_) => kept = number,
                    Err(VaultError::Moved) => return kept,
                    Err(error) => panic!("{error:?}"),
                }
            }
        });
        while read(&tables, |rows| rows.last_number(Chain::Of(acme))) < 5 {
            std::thread::yield_now();
        }
        mark(&tables, Stage::Moving);
        let at_mark = read(&tables, |rows| rows.last_number(Chain::Of(acme)));
        assert_eq!(writer.join().ok(), Some(at_mark), "nothing was written after it");
    });
}
