use super::*;
use crate::clock::monotonic::ManualMonotonic;
use crate::model::GrantId;

const BOUND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_nanos(1);

fn staleness() -> (Staleness, ManualMonotonic) {
    let clock = ManualMonotonic::default();
    (Staleness::new(BOUND, Box::new(clock.clone())), clock)
}

fn topics(tenant: i64) -> [Topic<'static>; 3] {
    [
        Topic::Tenant(tenant),
        Topic::Owner(tenant, "ada"),
        Topic::Grant(tenant, GrantId::from_bytes([1; 16])),
    ]
}

#[test]
fn the_age_counts_from_before_the_read_was_sent() {
    let (staleness, clock) = staleness();
    let begun = staleness.begin();
    // The answer arrives late.
    clock.advance(BOUND - TICK);
    let moment = staleness.moment(begun, topics(1), None);
    assert!(staleness.allows(&moment));
    clock.advance(TICK);
    assert!(!staleness.allows(&moment));
}

#[test]
fn a_shorter_validity_counts_and_a_longer_one_does_not() {
    let (staleness, clock) = staleness();
    let short = staleness.moment(staleness.begin(), topics(1), Some(BOUND / 2));
    let long = staleness.moment(staleness.begin(), topics(1), Some(BOUND * 2));
    clock.advance(BOUND / 2);
    assert!(!staleness.allows(&short) && staleness.allows(&long));
    clock.advance(BOUND / 2);
    assert!(!staleness.allows(&long));
}

#[test]
fn without_a_bound_nothing_is_used_again() {
    let clock = ManualMonotonic::default();
    let staleness = Staleness::new(Duration::ZERO, Box::new(clock));
    let moment = staleness.moment(staleness.begin(), topics(1), None);
    assert!(!staleness.allows(&moment));
}

#[test]
fn each_topic_of_an_answer_drops_it_and_others_do_not() {
    for written in topics(1) {
        let (staleness, _) = staleness();
        let moment = staleness.moment(staleness.begin(), topics(1), None);
        let other = staleness.moment(staleness.begin(), topics(2), None);
        staleness.wrote([Topic::Owner(1, "bob").place()]);
        assert!(staleness.allows(&moment));
        staleness.wrote([written.place()]);
        assert!(!staleness.allows(&moment), "{written:?}");
        assert!(staleness.allows(&other), "{written:?}");
        // Answers that are read from now on hold.
        let new = staleness.moment(staleness.begin(), topics(1), None);
        assert!(staleness.allows(&new));
    }
}

#[test]
fn a_write_during_the_read_drops_its_answer() {
    let (staleness, _) = staleness();
    let begun = staleness.begin();
    staleness.wrote([Topic::Owner(1, "ada").place()]);
    assert!(!staleness.allows(&staleness.moment(begun, topics(1), None)));
}
