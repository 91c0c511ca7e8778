//! Claims that end without new tokens.

use super::{
    Attempt, Check, ClaimOutcome, Make, access, at, claim, commit_to, connect, fail, granted, need_consent,
    personal, reconnect, stored, with_one,
};
use crate::model::{FailureCode, NeedsConsent, Status, Timestamp};
use crate::vault::{CommitOutcome, RefreshFailure};

pub(super) const CHECKS: &[Check] = &[
    ("a transient failure backs off and keeps the tokens", transient),
    ("a failure counts for its own claim only", fenced),
    ("an unknown outcome is remembered until a success", unknown),
    ("a refusal erases the access token", rejected),
    ("a grant can need a consent while it is claimed", consent_needed),
];

/// A temporary failure: no attempt for the next 30 seconds.
pub(super) const fn for_now(code: FailureCode, seconds: i64) -> RefreshFailure {
    let millis = 1_800_000_000_000 + seconds * 1_000;
    RefreshFailure::Transient {
        setup: None,
        code,
        at: Timestamp::from_unix_millis(millis),
        not_before: Timestamp::from_unix_millis(millis + 30_000),
    }
}

fn transient(make: Make<'_>) {
    let (vault, connection) = with_one(make);
    for (failures, seconds) in [(1, 0), (2, 60), (3, 120)] {
        let (claim, _) = granted(claim(&*vault, 1, Attempt::Due, seconds));
        assert_eq!(
            fail(&*vault, &claim, &for_now(FailureCode::RateLimited, seconds)),
            CommitOutcome::Stored
        );
        let mut expected = connection.clone();
        expected.refresh.failures = failures;
        expected.refresh.not_before = Some(at(seconds + 30));
        expected.refresh.last_failure = Some(FailureCode::RateLimited);
        expected.refresh.failed_at = Some(at(seconds));
        assert_eq!(stored(&*vault, &connection), expected);
        assert_eq!(access(&*vault, &connection).as_deref(), Some("access-1"));
    }
    let ClaimOutcome::BackingOff(until) = claim(&*vault, 1, Attempt::Due, 149) else {
        panic!("it must wait");
    };
    assert_eq!(until, at(150));
    let (claim, unknown) = granted(claim(&*vault, 1, Attempt::Forced, 149));
    assert!(!unknown, "a refused request reached nothing");
    assert_eq!(commit_to(&*vault, 1, &claim, "2"), CommitOutcome::Stored);
}

fn fenced(make: Make<'_>) {
    let (vault, connection) = with_one(make);
    let (first, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    let (second, _) = granted(claim(&*vault, 1, Attempt::Due, 31));
    let before = stored(&*vault, &connection);
    let refusal = RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at: at(32),
        quarantined_until: None,
    };
    let timeout = for_now(FailureCode::TimedOut, 32);
    assert_eq!(fail(&*vault, &first, &timeout), CommitOutcome::Superseded);
    assert_eq!(fail(&*vault, &first, &refusal), CommitOutcome::Superseded);
    assert_eq!(stored(&*vault, &connection), before);
    assert_eq!(fail(&*vault, &second, &timeout), CommitOutcome::Stored);
    assert_eq!(
        fail(&*vault, &second, &timeout),
        CommitOutcome::Superseded,
        "a claim ends once"
    );
    assert_eq!(stored(&*vault, &connection).refresh.failures, 1);
}

fn unknown(make: Make<'_>) {
    for code in FailureCode::ALL {
        let (vault, _) = with_one(make);
        let (first, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
        assert_eq!(fail(&*vault, &first, &for_now(code, 0)), CommitOutcome::Stored);
        let (second, unknown) = granted(claim(&*vault, 1, Attempt::Due, 60));
        assert_eq!(unknown, code.outcome_unknown(), "{code:?}");
        assert_eq!(
            fail(&*vault, &second, &for_now(FailureCode::Unreachable, 60)),
            CommitOutcome::Stored
        );
        let (third, unknown) = granted(claim(&*vault, 1, Attempt::Due, 120));
        assert_eq!(unknown, code.outcome_unknown(), "{code:?}, one failure later");
        assert_eq!(commit_to(&*vault, 1, &third, "2"), CommitOutcome::Stored);
        // The lost request may still arrive; one generation later it does no harm.
        let (fourth, unknown) = granted(claim(&*vault, 2, Attempt::Due, 121));
        assert_eq!(
            unknown,
            code.outcome_unknown(),
            "{code:?}, right after the success"
        );
        assert_eq!(commit_to(&*vault, 1, &fourth, "3"), CommitOutcome::Stored);
        let (_, unknown) = granted(claim(&*vault, 3, Attempt::Due, 122));
        assert!(!unknown);
    }
}

fn rejected(make: Make<'_>) {
    for quarantined_until in [Some(at(900)), None] {
        let (vault, connection) = with_one(make);
        let (first, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
        let refusal = RefreshFailure::Rejected {
            reason: NeedsConsent::Rejected,
            at: at(5),
            quarantined_until,
        };
        assert_eq!(fail(&*vault, &first, &refusal), CommitOutcome::Stored);
        let after = stored(&*vault, &connection);
        assert_eq!(after.status, Status::NeedsConsent(NeedsConsent::Rejected));
        assert_eq!(after.generation, 1);
        assert!(!after.refreshable);
        assert_eq!(after.refresh.quarantined_until, quarantined_until);
        assert_eq!(after.refresh.last_failure, Some(FailureCode::GrantRejected));
        assert_eq!(after.refresh.failed_at, Some(at(5)));
        assert_eq!(after.refresh.in_flight, None);
        assert_eq!(access(&*vault, &connection), None);
        assert!(
            matches!(claim(&*vault, 1, Attempt::Forced, 60), ClaimOutcome::NotActive(_)),
            "what is in quarantine is out of reach"
        );
        let (again, _) = reconnect(&*vault, &connection, 2, "2");
        assert_eq!(stored(&*vault, &again), again);
    }
}

/// Without an open claim, a grant can still be marked as needing a consent: only the generation
/// counts.
fn consent_needed(make: Make<'_>) {
    let (vault, connection) = with_one(make);
    granted(claim(&*vault, 1, Attempt::Due, 0));
    let needed = need_consent(&*vault, &connection, 1, NeedsConsent::Expired);
    assert_eq!(needed, CommitOutcome::Stored);
    let after = stored(&*vault, &connection);
    assert_eq!(after.status, Status::NeedsConsent(NeedsConsent::Expired));
    assert_eq!((after.refreshable, after.refresh.in_flight), (false, None));
    assert_eq!(access(&*vault, &connection), None);
    let bobs = super::connection("acme", 2, personal("bob"));
    connect(&*vault, &bobs, "2");
    assert_eq!(stored(&*vault, &bobs), bobs);
}
