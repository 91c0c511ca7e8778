//! Random histories of changes, without a database: invariants that hold after each change.

mod steps;
mod world;

use proptest::prelude::*;

use steps::{End, Step, Store};
use world::{Fate, World};

/// A step. It selects grants and claims of the past by number, so that a shortened history keeps
/// its meaning.
fn step() -> impl Strategy<Value = Step> {
    let store = (
        1_u8..16,
        prop::option::of(0_u8..4),
        prop::option::of(0_u8..2),
        any::<bool>(),
        prop::bool::weighted(0.9),
        prop::option::of(0_i64..300),
    )
        .prop_map(
            |(connections, default, account, refreshable, is_next, dead_in)| Store {
                connections,
                default,
                account,
                refreshable,
                is_next,
                dead_in,
            },
        );
    let end = prop_oneof![
        Just(End::Transient),
        Just(End::Rejected),
        (0_i64..200).prop_map(End::Quarantined),
        Just(End::ConsentNeeded),
    ];
    prop_oneof![
        4 => store.prop_map(Step::Store),
        3 => (any::<u8>(), 0_u8..3).prop_map(|(grant, attempt)| Step::Claim { grant, attempt }),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(claim, refreshable)| Step::Commit { claim, refreshable }),
        2 => (any::<u8>(), end).prop_map(|(claim, end)| Step::Fail { claim, end }),
        2 => (0_u8..4, any::<bool>()).prop_map(|(connection, keep)| Step::Revoke { connection, keep }),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(grant, keep)| Step::RevokeGrant { grant, keep }),
        1 => (0_u8..4).prop_map(|connection| Step::SetDefault { connection }),
        1 => (0_i64..150).prop_map(|seconds| Step::Sweep { seconds }),
    ]
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn promise_32_no_set_of_tokens_is_ever_lost(history in history()) {
        let mut world = World::default();
        for step in &history {
            steps::take(&mut world, step);
            world.check();
        }
    }

    /// After any history: once everything is revoked, every set of tokens that was stored is dead,
    /// was handed out, or waits for the provider.
    #[test]
    fn promise_32_in_the_end_every_set_of_tokens_is_accounted_for(history in history()) {
        let mut world = World::default();
        for step in &history {
            steps::take(&mut world, step);
        }
        for connection in 0..4 {
            steps::take(&mut world, &Step::Revoke { connection, keep: true });
        }
        world.check();
        prop_assert!(world.held().is_empty(), "{:?} are still held", world.held());
        for (tokens, fate) in world.fates() {
            prop_assert!(*fate != Fate::Held, "{tokens:?} were lost");
        }
    }

    /// A request that does not match the stored state changes nothing.
    #[test]
    fn what_conflicts_writes_nothing(history in history(), wrong in any::<u8>()) {
        let mut world = World::default();
        for step in &history {
            steps::take(&mut world, step);
        }
        let store = Store {
            connections: wrong % 15 + 1,
            default: None,
            account: None,
            refreshable: true,
            is_next: false,
            dead_in: None,
        };
        let before = world.rows();
        steps::take(&mut world, &Step::Store(store));
        prop_assert_eq!(before, world.rows());
    }
}

/// The histories reach every kind of step; otherwise they test nothing.
#[test]
fn histories_reach_all_fates() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeSet::new();
    let mut formers = 0;
    for _ in 0..400 {
        let mut world = World::default();
        for step in history().new_tree(&mut runner).unwrap().current() {
            steps::take(&mut world, &step);
            formers = formers.max(world.formers());
        }
        seen.extend(world.fates().map(|(_, fate)| *fate));
    }
    assert_eq!(seen.len(), Fate::ALL, "{seen:?}");
    assert!(formers >= 3, "former grants of former grants");
}
