//! Chains of audit entries.

use super::checks;
use super::fixtures::{commit, entry, read, tenant};
use crate::vault::tables::{
    Chain, CheckpointRow, Direction, GapRow, HeadRow, Pruned, Tables, TenantRow, VAULT_CHAIN, Write,
};

const NONE: [u64; 0] = [];

checks![
    an_empty_chain_is_empty,
    entries_are_read_in_both_directions,
    long_chains_are_read_whole,
    chains_are_kept_apart,
    a_number_is_given_once,
    the_legacy_chain_is_read_as_a_whole_or_of_one_tenant,
    a_head_can_be_replaced,
    deleted_entries_are_passed_over,
    the_last_number_counts_pruned_entries,
    a_gap_swallows_the_gaps_within_it,
    checkpoints_are_found_by_their_number,
    pruning_remembers_how_far_it_looked,
];

fn append(tables: &impl Tables, tenant: TenantRow, numbers: impl IntoIterator<Item = u64>) {
    let rows: Vec<_> = numbers
        .into_iter()
        .map(|number| entry(number, Some(tenant)))
        .collect();
    commit(tables, |tables| tables.append_entries(Chain::Of(tenant), &rows));
}

fn numbers(
    tables: &impl Tables,
    chain: Chain,
    of: Option<TenantRow>,
    after: u64,
    direction: Direction,
    limit: usize,
) -> Vec<u64> {
    read(tables, |rows| rows.entries(chain, of, after, direction, limit))
        .iter()
        .map(|row| row.number)
        .collect()
}

fn an_empty_chain_is_empty<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    for chain in [Chain::Of(acme), Chain::Of(VAULT_CHAIN), Chain::Legacy] {
        assert_eq!(read(&tables, |rows| rows.head(chain)), None);
        assert_eq!(read(&tables, |rows| rows.last_number(chain)), 0);
        assert!(read(&tables, |rows| rows.gaps(chain)).is_empty());
        assert_eq!(read(&tables, |rows| rows.pruned_to(chain, acme, Pruned::Uses)), 0);
        assert_eq!(numbers(&tables, chain, None, 0, Direction::Forward, 9), NONE);
        assert_eq!(numbers(&tables, chain, None, 9, Direction::Backward, 9), NONE);
    }
}

fn entries_are_read_in_both_directions<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    append(&tables, acme, 1..=5);
    append(&tables, acme, 6..=7);
    append(&tables, acme, []);
    let forward = |after, limit| numbers(&tables, Chain::Of(acme), None, after, Direction::Forward, limit);
    let backward = |after, limit| numbers(&tables, Chain::Of(acme), None, after, Direction::Backward, limit);
    assert_eq!(forward(0, 9), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(forward(5, 9), [6, 7]);
    assert_eq!(forward(2, 2), [3, 4]);
    assert_eq!(forward(7, 9), NONE);
    assert_eq!(backward(8, 9), [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(backward(i64::MAX.cast_unsigned(), 2), [7, 6]);
    assert_eq!(backward(5, 2), [4, 3]);
    assert_eq!(backward(2, 9), [1]);
    assert_eq!(backward(1, 9), NONE);
    assert_eq!([forward(0, 0), backward(9, 0)], [NONE, NONE]);
    let found = read(&tables, |rows| {
        rows.entries(Chain::Of(acme), None, 3, Direction::Forward, 1)
    });
    assert_eq!(found, [entry(4, Some(acme))]);
}

fn long_chains_are_read_whole<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    append(&tables, acme, 1..=500);
    let ascending: Vec<u64> = (1..=500).collect();
    let descending: Vec<u64> = (1..=500).rev().collect();
    let chain = Chain::Of(acme);
    assert_eq!(
        numbers(&tables, chain, None, 0, Direction::Forward, 1_000),
        ascending
    );
    assert_eq!(
        numbers(&tables, chain, None, 501, Direction::Backward, 1_000),
        descending
    );
    assert_eq!(
        numbers(&tables, chain, None, 501, Direction::Backward, 300),
        descending[..300]
    );
    assert_eq!(read(&tables, |rows| rows.last_number(chain)), 500);
}

fn chains_are_kept_apart<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    append(&tables, acme, 1..=2);
    append(&tables, zeta, 1..=3);
    commit(&tables, |rows| {
        rows.append_entries(Chain::Of(VAULT_CHAIN), &[entry(1, None)])?;
        rows.append_entries(Chain::Legacy, &[entry(1, Some(acme)), entry(2, None)])
    });
    let lengths = [
        Chain::Of(acme),
        Chain::Of(zeta),
        Chain::Of(VAULT_CHAIN),
        Chain::Legacy,
    ]
    .map(|chain| numbers(&tables, chain, None, 0, Direction::Forward, 9).len());
    assert_eq!(lengths, [2, 3, 1, 2]);
    let lasts = [
        Chain::Of(acme),
        Chain::Of(zeta),
        Chain::Of(VAULT_CHAIN),
        Chain::Legacy,
    ]
    .map(|chain| read(&tables, |rows| rows.last_number(chain)));
    assert_eq!(lasts, [2, 3, 1, 2]);
    commit(&tables, |rows| rows.delete_entries(Chain::Of(zeta), &[1, 2]));
    assert_eq!(
        numbers(&tables, Chain::Of(acme), None, 0, Direction::Forward, 9),
        [1, 2]
    );
}

fn a_number_is_given_once<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    append(&tables, acme, 1..=2);
    let again = tables.write(|rows| {
        rows.append_entries(Chain::Of(acme), &[entry(3, Some(acme)), entry(2, Some(acme))])
            .map(Write::Commit)
    });
    assert!(again.is_err());
    assert_eq!(read(&tables, |rows| rows.last_number(Chain::Of(acme))), 2);
}

fn the_legacy_chain_is_read_as_a_whole_or_of_one_tenant<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    let rows: Vec<_> = (1..=9)
        .map(|number| {
            entry(
                number,
                match number % 3 {
                    0 => None,
                    1 => Some(acme),
                    _ => Some(zeta),
                },
            )
        })
        .collect();
    commit(&tables, |tables| tables.append_entries(Chain::Legacy, &rows));
    let forward = |of, after, limit| numbers(&tables, Chain::Legacy, of, after, Direction::Forward, limit);
    let backward = |of, after, limit| numbers(&tables, Chain::Legacy, of, after, Direction::Backward, limit);
    assert_eq!(forward(None, 0, 20), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(backward(None, 4, 20), [3, 2, 1]);
    assert_eq!(forward(Some(acme), 0, 20), [1, 4, 7]);
    assert_eq!(forward(Some(acme), 1, 1), [4]);
    assert_eq!(backward(Some(zeta), 10, 20), [8, 5, 2]);
    assert_eq!(backward(Some(zeta), 8, 1), [5]);
    assert_eq!(
        backward(Some(zeta), 9, 2),
        [8, 5],
        "entries of others take no place in the limit"
    );
    let found = read(&tables, |rows| {
        rows.entries(Chain::Legacy, None, 0, Direction::Forward, 20)
    });
    assert_eq!(found, rows);
}

fn a_head_can_be_replaced<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let mut head = HeadRow {
        number: 4,
        mac: [1; 32],
        broken: None,
        seal: [2; 32],
    };
    for chain in [Chain::Of(acme), Chain::Of(VAULT_CHAIN), Chain::Legacy] {
        commit(&tables, |rows| rows.put_head(chain, &head));
        assert_eq!(read(&tables, |rows| rows.head(chain)), Some(head.clone()));
        head.number += 1;
        head.broken = Some(3);
        commit(&tables, |rows| rows.put_head(chain, &head));
        assert_eq!(read(&tables, |rows| rows.head(chain)), Some(head.clone()));
    }
}

fn gap(first: u64, last: u64) -> GapRow {
    GapRow {
        first,
        last,
        before: [1; 32],
        mac: [2; 32],
        seal: [3; 32],
    }
}

fn deleted_entries_are_passed_over<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let chain = Chain::Of(acme);
    append(&tables, acme, 1..=600);
    let pruned: Vec<u64> = (3..=500).chain(550..=598).collect();
    commit(&tables, |rows| rows.delete_entries(chain, &pruned));
    let backward = |after, limit| numbers(&tables, chain, None, after, Direction::Backward, limit);
    assert_eq!(
        numbers(&tables, chain, None, 1, Direction::Forward, 3),
        [2, 501, 502]
    );
    assert_eq!(backward(601, 3), [600, 599, 549]);
    assert_eq!(backward(503, 4), [502, 501, 2, 1]);
    assert_eq!(backward(400, 1), [2]);
    assert_eq!(backward(i64::MAX.cast_unsigned(), 1_000).len(), 53);
}

fn the_last_number_counts_pruned_entries<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let chain = Chain::Of(acme);
    append(&tables, acme, 1..=6);
    let last = || read(&tables, |rows| rows.last_number(chain));
    let head = HeadRow {
        number: 2,
        mac: [1; 32],
        broken: None,
        seal: [2; 32],
    };
    for number in [2, 6, 9] {
        commit(&tables, |rows| {
            rows.put_head(
                chain,
                &HeadRow {
                    number,
                    ..head.clone()
                },
            )
        });
        assert_eq!(last(), 6, "the entries count, whatever the head says");
    }
    commit(&tables, |rows| {
        rows.put_gap(chain, &gap(5, 6))?;
        rows.delete_entries(chain, &[5, 6])
    });
    assert_eq!(last(), 6);
    commit(&tables, |rows| {
        rows.put_gap(chain, &gap(1, 6))?;
        rows.delete_entries(chain, &[1, 2, 3, 4])
    });
    assert_eq!(last(), 6);
    append(&tables, acme, [7]);
    assert_eq!(last(), 7);
}

fn a_gap_swallows_the_gaps_within_it<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let chain = Chain::Of(acme);
    let put = |gap: &GapRow| commit(&tables, |rows| rows.put_gap(chain, gap));
    let gaps = || read(&tables, |rows| rows.gaps(chain));
    for (first, last) in [(30, 39), (5, 5), (10, 19), (20, 21)] {
        put(&gap(first, last));
    }
    assert_eq!(gaps(), [gap(5, 5), gap(10, 19), gap(20, 21), gap(30, 39)]);
    put(&gap(10, 25));
    assert_eq!(gaps(), [gap(5, 5), gap(10, 25), gap(30, 39)]);
    let same = GapRow {
        mac: [9; 32],
        ..gap(30, 39)
    };
    put(&same);
    assert_eq!(gaps(), [gap(5, 5), gap(10, 25), same.clone()]);
    commit(&tables, |rows| rows.put_gap(Chain::Of(VAULT_CHAIN), &gap(1, 99)));
    assert_eq!(gaps(), [gap(5, 5), gap(10, 25), same]);
    // A gap that begins within it and ends after it is not within it.
    put(&gap(35, 45));
    put(&gap(26, 37));
    assert!(gaps().contains(&gap(35, 45)));
    put(&gap(1, 99));
    assert_eq!(gaps(), [gap(1, 99)]);
}

fn checkpoints_are_found_by_their_number<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let row = |number, byte| CheckpointRow {
        number,
        mac: [byte; 32],
        seal: [2; 32],
    };
    commit(&tables, |rows| {
        rows.put_checkpoint(Chain::Of(acme), &row(4, 1))?;
        rows.put_checkpoint(Chain::Of(acme), &row(9, 1))?;
        // The same head may be exported again.
        rows.put_checkpoint(Chain::Of(acme), &row(9, 3))
    });
    let found = |chain, number| read(&tables, |rows| rows.checkpoint(chain, number));
    assert_eq!(found(Chain::Of(acme), 4), Some(row(4, 1)));
    assert_eq!(found(Chain::Of(acme), 9), Some(row(9, 3)));
    assert_eq!(found(Chain::Of(acme), 5), None);
    assert_eq!(found(Chain::Of(VAULT_CHAIN), 4), None);
}

fn pruning_remembers_how_far_it_looked<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    let globex = tenant(&tables, "globex");
    let seen = |chain, of, what| read(&tables, |rows| rows.pruned_to(chain, of, what));
    for number in [7, 12, 0, 5] {
        commit(&tables, |rows| {
            rows.set_pruned_to(Chain::Legacy, acme, Pruned::Uses, number)
        });
        assert_eq!(seen(Chain::Legacy, acme, Pruned::Uses), number);
    }
    assert_eq!(seen(Chain::Legacy, acme, Pruned::Changes), 0);
    assert_eq!(seen(Chain::Legacy, globex, Pruned::Uses), 0);
    assert_eq!(seen(Chain::Of(acme), acme, Pruned::Uses), 0);
}
