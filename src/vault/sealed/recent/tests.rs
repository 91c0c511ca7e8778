use std::time::Duration;

use super::*;
use crate::clock::monotonic::ManualMonotonic;
use crate::vault::tables::{Taken, Topic};

const GMAIL: Wanted<'_> = Wanted::Owner {
    owner: "ada",
    provider: "gmail",
};

fn stamp(theirs: u64, ours: u64) -> Stamp {
    Stamp {
        source: 2,
        state: [theirs, ours, 0, 0, 0, 0],
    }
}

fn state(theirs: u64, ours: u64) -> Basis {
    let taken = Taken {
        stamp: stamp(theirs, ours),
        writes: 0,
    };
    Basis::State(taken, [Topic::Tenant(7).place(); 3])
}

fn several() -> Arc<Answer> {
    Arc::new(Answer::Several)
}

#[test]
fn an_answer_is_known_while_the_stamp_is_the_same() {
    let recent = Recent::new();
    recent.put(state(1, 1), 7, GMAIL, &several());
    assert!(recent.get(stamp(1, 1), 7, GMAIL).is_some());
    for other in [
        stamp(2, 1),
        stamp(1, 2),
        Stamp {
            source: 3,
            ..stamp(1, 1)
        },
    ] {
        assert!(recent.get(other, 7, GMAIL).is_none(), "{other:?}");
    }
}

#[test]
fn only_the_same_query_has_the_answer() {
    let recent = Recent::new();
    recent.put(state(1, 1), 7, GMAIL, &several());
    let others = [
        (8, GMAIL),
        (
            7,
            Wanted::Owner {
                owner: "bob",
                provider: "gmail",
            },
        ),
        (
            7,
            Wanted::Owner {
                owner: "ada",
                provider: "notes",
            },
        ),
        (
            7,
            Wanted::Label {
                owner: "ada",
                provider: "gmail",
                label: "work",
            },
        ),
        (7, Wanted::Id(ConnectionId::from_bytes([1; 16]))),
    ];
    for (tenant, wanted) in others {
        assert!(recent.get(stamp(1, 1), tenant, wanted).is_none(), "{wanted:?}");
    }
}

#[test]
fn a_query_with_the_place_of_another_is_not_taken_for_it() {
    let mut answers = Answers::default();
    answers.put(
        1,
        Entry {
            asked: Asked::new(7, GMAIL),
            answer: several(),
            basis: state(1, 1),
            bytes: ENTRY,
        },
    );
    assert!(answers.get(1, 7, GMAIL).is_some());
    assert!(answers.get(1, 8, GMAIL).is_none());
}

#[test]
fn a_new_stamp_drops_everything_of_its_source() {
    let recent = Recent::new();
    for tenant in 0..10 {
        recent.put(state(1, 1), tenant, GMAIL, &several());
    }
    recent.put(state(2, 1), 0, GMAIL, &several());
    let since = recent.sources[2].read().unwrap();
    assert_eq!((since.answers.entries.len(), since.answers.bytes), (1, ENTRY));
}

#[test]
fn what_is_remembered_is_bounded() {
    let recent = Recent::new();
    let most = MAX_BYTES / ENTRY;
    for tenant in 0..i64::try_from(2 * most).unwrap() {
        recent.put(state(1, 1), tenant, GMAIL, &several());
    }
    let since = recent.sources[2].read().unwrap();
    assert_eq!(
        (since.answers.entries.len(), since.answers.bytes),
        (most, most * ENTRY)
    );
    drop(since);
    // Repeating the same query takes no additional room.
    let recent = Recent::new();
    for _ in 0..3 {
        recent.put(state(1, 1), 1, GMAIL, &several());
    }
    assert_eq!(recent.sources[2].read().unwrap().answers.bytes, ENTRY);
}

#[test]
fn what_holds_for_a_time_is_bounded_as_well_and_given_by_its_age() {
    let clock = ManualMonotonic::default();
    let staleness = Staleness::new(Duration::from_secs(1), Box::new(clock.clone()));
    let recent = Recent::new();
    let most = MAX_BYTES / ENTRY;
    for tenant in 0..i64::try_from(2 * most).unwrap() {
        let topics = [Topic::Tenant(tenant); 3];
        let moment = staleness.moment(staleness.begin(), topics, None);
        recent.put(Basis::Moment(moment), tenant, GMAIL, &several());
    }
    let aging = recent.aging.read().unwrap();
    assert_eq!((aging.entries.len(), aging.bytes), (most, most * ENTRY));
    drop(aging);
    let young = |tenant| recent.young(&staleness, tenant, GMAIL).is_some();
    let tenants = 0..i64::try_from(2 * most).unwrap();
    assert_eq!(tenants.clone().filter(|tenant| young(*tenant)).count(), most);
    clock.advance(Duration::from_secs(1));
    assert_eq!(tenants.filter(|tenant| young(*tenant)).count(), 0);
}
