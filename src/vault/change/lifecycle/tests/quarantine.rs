//! Refused refresh tokens in quarantine.

use super::*;

fn quarantined(reason: NeedsConsent) -> Lifecycle {
    Lifecycle {
        status: Status::NeedsConsent(reason),
        refreshable: false,
        failures: 1,
        last_failure: Some(FailureCode::GrantRejected),
        failed_at: Some(at(0)),
        quarantined_until: Some(at(900)),
        ..active()
    }
}

#[test]
fn what_is_quarantined_is_claimed_on_request_alone() {
    for reason in [NeedsConsent::Rejected, NeedsConsent::LostInFlight] {
        for (now, generation, granted_here) in [(0, 5, true), (899, 5, true), (900, 5, false), (0, 4, false)]
        {
            let decision = decide(&mut quarantined(reason), generation, Attempt::Quarantined, now);
            let expected = match (granted_here, generation) {
                (true, _) => granted(3, false),
                (false, 5) => Decision::NotActive(Status::NeedsConsent(reason)),
                (false, _) => Decision::Moved,
            };
            assert_eq!(decision, expected, "{reason:?} at {now}");
        }
        for attempt in [Attempt::Due, Attempt::Forced] {
            assert_eq!(
                decide(&mut quarantined(reason), 5, attempt, 1),
                Decision::NotActive(Status::NeedsConsent(reason))
            );
        }
    }
    for status in all_statuses() {
        let expected = match status {
            Status::Active => Decision::NotRefreshable,
            status => Decision::NotActive(status),
        };
        let mut lifecycle = Lifecycle { status, ..active() };
        assert_eq!(decide(&mut lifecycle, 5, Attempt::Quarantined, 0), expected);
    }
    let mut lifecycle = Lifecycle {
        held: Some(held(2, 0)),
        ..quarantined(NeedsConsent::Rejected)
    };
    assert!(matches!(
        decide(&mut lifecycle, 5, Attempt::Quarantined, 1),
        Decision::Held(_)
    ));
}

#[test]
fn a_retry_from_quarantine_ends_in_a_token_or_leaves_it_there() {
    let before = quarantined(NeedsConsent::Rejected);
    let mut claimed = before.clone();
    assert_eq!(
        decide(&mut claimed, 5, Attempt::Quarantined, 10),
        granted(3, false)
    );
    assert!(!claimed.refreshable, "out of reach of everybody else");
    let claim = Claim {
        generation: 5,
        fence: 3,
    };

    let mut after = claimed.clone();
    assert_eq!(commit(&mut after, &claim, true), CommitOutcome::Stored);
    assert_eq!(after, Lifecycle::granted(6, true, 3));

    for quarantined_until in [None, Some(at(5_000))] {
        let mut after = claimed.clone();
        let refusal = RefreshFailure::Rejected {
            reason: NeedsConsent::LostInFlight,
            at: at(11),
            quarantined_until,
        };
        assert_eq!(
            fail(&mut after, &claim, &refusal),
            (CommitOutcome::Stored, Keep::All)
        );
        assert_eq!(
            after,
            Lifecycle {
                fence: 3,
                ..before.clone()
            }
        );
    }

    let mut after = claimed.clone();
    let transient = RefreshFailure::Transient {
        setup: None,
        code: FailureCode::TimedOut,
        at: at(11),
        not_before: at(41),
    };
    assert_eq!(
        fail(&mut after, &claim, &transient),
        (CommitOutcome::Stored, Keep::All)
    );
    let expected = Lifecycle {
        fence: 3,
        failures: 2,
        not_before: Some(at(41)),
        last_failure: Some(FailureCode::TimedOut),
        failed_at: Some(at(11)),
        unknown_generation: Some(5),
        ..before
    };
    assert_eq!(after, expected);

    let mut over = claimed;
    assert!(!end_quarantine(&mut over, at(899)));
    assert!(end_quarantine(&mut over, at(900)));
    assert_eq!((over.quarantined_until, over.held), (None, None));
    assert!(!end_quarantine(&mut over, at(900)), "once");
    assert_eq!(fail(&mut over, &claim, &transient).0, CommitOutcome::Superseded);
    assert_eq!(
        commit(&mut over, &claim, true),
        CommitOutcome::Stored,
        "a late good token is kept"
    );
}
