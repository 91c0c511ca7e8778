mod quarantine;

use super::*;
use crate::model::{GrantId, TenantId};

const LEASE: Duration = Duration::from_secs(30);
const NEEDS: [NeedsConsent; 4] = [
    NeedsConsent::Rejected,
    NeedsConsent::Expired,
    NeedsConsent::LostInFlight,
    NeedsConsent::Unexplained,
];

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_000_000_000 + seconds * 1_000)
}

fn active() -> Lifecycle {
    Lifecycle::granted(5, true, 2)
}

fn held(fence: u64, since: i64) -> Held {
    Held {
        holder: Holder::from_bytes([1; 16]),
        fence,
        since: at(since),
        until: at(since) + LEASE,
    }
}

fn decide(lifecycle: &mut Lifecycle, generation: u64, attempt: Attempt, now: i64) -> Decision {
    let tenant = TenantId::new("acme").unwrap();
    let request = ClaimRequest {
        tenant: &tenant,
        grant: GrantId::from_bytes([1; 16]),
        holder: Holder::from_bytes([1; 16]),
        generation,
        attempt,
        now: at(now),
        lease: LEASE,
    };
    let before = lifecycle.clone();
    let decision = claim(lifecycle, &request, None);
    if !matches!(decision, Decision::Granted { .. }) {
        assert_eq!(*lifecycle, before, "a refused claim changes nothing");
    }
    decision
}

fn granted(fence: u64, outcome_unknown: bool) -> Decision {
    Decision::Granted {
        claim: Claim { generation: 5, fence },
        outcome_unknown,
    }
}

fn all_statuses() -> impl Iterator<Item = Status> {
    [Status::Active, Status::Revoked]
        .into_iter()
        .chain(NEEDS.map(Status::NeedsConsent))
}

#[test]
fn a_claim_is_refused_in_the_order_of_the_reasons() {
    for generation in [0, 4, 6, u64::MAX] {
        for status in all_statuses() {
            let mut lifecycle = Lifecycle { status, ..active() };
            assert_eq!(
                decide(&mut lifecycle, generation, Attempt::Due, 0),
                Decision::Moved
            );
        }
    }
    for status in all_statuses().filter(|status| *status != Status::Active) {
        let mut lifecycle = Lifecycle { status, ..active() };
        assert_eq!(
            decide(&mut lifecycle, 5, Attempt::Forced, 0),
            Decision::NotActive(status)
        );
    }
    let mut lifecycle = Lifecycle {
        refreshable: false,
        held: Some(held(2, 0)),
        ..active()
    };
    assert_eq!(
        decide(&mut lifecycle, 5, Attempt::Forced, 0),
        Decision::NotRefreshable
    );
}

#[test]
fn a_claim_is_granted_with_the_next_fence() {
    let mut lifecycle = active();
    assert_eq!(decide(&mut lifecycle, 5, Attempt::Due, 7), granted(3, false));
    assert_eq!(lifecycle.held, Some(held(3, 7)));
    assert_eq!(lifecycle.fence, 3);
    assert_eq!(
        lifecycle.unknown_generation, None,
        "unknown only once it has lapsed"
    );
}

#[test]
fn a_live_claim_holds_and_a_lapsed_one_does_not() {
    for attempt in [Attempt::Due, Attempt::Forced] {
        for (now, holds) in [
            (100, true),
            (129, true),
            (130, false),
            (100_000, false),
            // The clock was set back: by up to the length of the lease, the claim holds; beyond
            // that, it lapses.
            (99, true),
            (70, true),
            (69, false),
            (-3_500, false),
        ] {
            let mut lifecycle = Lifecycle {
                held: Some(held(2, 100)),
                ..active()
            };
            let decision = decide(&mut lifecycle, 5, attempt, now);
            if holds {
                assert_eq!(
                    decision,
                    Decision::Held(InFlight {
                        since: at(100),
                        until: at(130)
                    }),
                    "{now}"
                );
            } else {
                assert_eq!(decision, granted(3, true), "{now}");
                assert_eq!(lifecycle.unknown_generation, Some(5));
            }
        }
    }
}

#[test]
fn no_clock_makes_a_claim_hold_for_more_than_two_leases() {
    for since in [-7_200, -3_600, -31, -1, 0, 1, 31, 3_600, 7_200, 1_000_000] {
        let mut lifecycle = Lifecycle {
            held: Some(held(2, since)),
            ..active()
        };
        if let Decision::Held(_) = decide(&mut lifecycle.clone(), 5, Attempt::Due, 0) {
            assert!(matches!(
                decide(&mut lifecycle, 5, Attempt::Due, 60),
                Decision::Granted { .. }
            ));
        }
    }
}

#[test]
fn back_off_holds_what_is_due_and_not_what_is_forced() {
    for (now, due) in [
        (0, false),
        (59, false),
        (60, true),
        (61, true),
        (-60, false),
        (-61, true),
        (-3_600, true),
    ] {
        let lifecycle = Lifecycle {
            failures: 1,
            failed_at: Some(at(0)),
            not_before: Some(at(60)),
            ..active()
        };
        let decision = decide(&mut lifecycle.clone(), 5, Attempt::Due, now);
        if due {
            assert_eq!(decision, granted(3, false), "{now}");
        } else {
            assert_eq!(decision, Decision::BackingOff(at(60)), "{now}");
        }
        assert_eq!(
            decide(&mut lifecycle.clone(), 5, Attempt::Forced, now),
            granted(3, false)
        );
    }
}

#[test]
fn an_unknown_outcome_is_remembered_for_one_success_more() {
    let mut lifecycle = active();
    assert_eq!(decide(&mut lifecycle, 5, Attempt::Due, 0), granted(3, false));
    assert_eq!(decide(&mut lifecycle, 5, Attempt::Due, 40), granted(4, true));
    // The next attempt did not reach the server; the previous one still may have.
    let failure = RefreshFailure::Transient {
        setup: None,
        code: FailureCode::Unreachable,
        at: at(41),
        not_before: at(71),
    };
    let claim = Claim {
        generation: 5,
        fence: 4,
    };
    assert_eq!(
        fail(&mut lifecycle, &claim, &failure),
        (CommitOutcome::Stored, Keep::All)
    );
    assert_eq!(decide(&mut lifecycle, 5, Attempt::Due, 71), granted(5, true));
    let claim = Claim {
        generation: 5,
        fence: 5,
    };
    assert_eq!(commit(&mut lifecycle, &claim, true), CommitOutcome::Stored);
    // The request of the first attempt may still arrive, and a strict server may revoke the family
    // when it does.
    let claim = Claim {
        generation: 6,
        fence: 6,
    };
    let unknown = Decision::Granted {
        claim,
        outcome_unknown: true,
    };
    assert_eq!(decide(&mut lifecycle, 6, Attempt::Due, 80), unknown);
    assert_eq!(commit(&mut lifecycle, &claim, true), CommitOutcome::Stored);
    assert_eq!(lifecycle, Lifecycle::granted(7, true, 6));
}

#[test]
fn the_code_of_a_failure_says_whether_the_outcome_is_unknown() {
    for code in FailureCode::ALL {
        let mut lifecycle = Lifecycle {
            held: Some(held(2, 0)),
            ..active()
        };
        let claim = Claim {
            generation: 5,
            fence: 2,
        };
        let failure = RefreshFailure::Transient {
            setup: None,
            code,
            at: at(1),
            not_before: at(31),
        };
        assert_eq!(
            fail(&mut lifecycle, &claim, &failure),
            (CommitOutcome::Stored, Keep::All)
        );
        let expected = Lifecycle {
            failures: 1,
            not_before: Some(at(31)),
            last_failure: Some(code),
            failed_at: Some(at(1)),
            unknown_generation: code.outcome_unknown().then_some(5),
            ..active()
        };
        assert_eq!(lifecycle, expected);
        assert_eq!(
            fail(&mut lifecycle, &claim, &failure),
            (CommitOutcome::Superseded, Keep::All),
            "a claim ends once"
        );
        assert_eq!(lifecycle, expected);
    }
}

/// Every combination of status, generation and claim, with each of the writes.
#[test]
fn the_table_of_writes() {
    let transient = RefreshFailure::Transient {
        setup: None,
        code: FailureCode::TimedOut,
        at: at(1),
        not_before: at(31),
    };
    let rejected = RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at: at(1),
        quarantined_until: None,
    };
    for status in all_statuses() {
        for stored_claim in [None, Some(held(2, 0)), Some(held(3, 0))] {
            for generation in [4, 5, 6] {
                let before = Lifecycle {
                    status,
                    held: stored_claim,
                    ..active()
                };
                let claim = Claim { generation, fence: 2 };
                let expected = |counts: bool| {
                    if status == Status::Revoked {
                        CommitOutcome::Gone
                    } else if counts {
                        CommitOutcome::Stored
                    } else {
                        CommitOutcome::Superseded
                    }
                };
                let mut after = before.clone();
                let outcome = commit(&mut after, &claim, false);
                assert_eq!(outcome, expected(generation == 5));
                if outcome == CommitOutcome::Stored {
                    assert_eq!(after, Lifecycle::granted(6, false, 2));
                } else {
                    assert_eq!(after, before);
                }

                let is_open = generation == 5 && status == Status::Active && stored_claim == Some(held(2, 0));
                for failure in [&transient, &rejected] {
                    let mut after = before.clone();
                    let (outcome, keep) = fail(&mut after, &claim, failure);
                    assert_eq!(outcome, expected(is_open));
                    assert_eq!(after == before, outcome != CommitOutcome::Stored);
                    assert_eq!(
                        keep == Keep::Nothing,
                        outcome == CommitOutcome::Stored && failure == &rejected
                    );
                }
            }
        }
    }
}

#[test]
fn a_grant_needs_a_consent_with_or_without_a_claim() {
    for status in all_statuses() {
        for (stored_claim, generation) in [(None, 5), (Some(held(3, 0)), 5), (None, 4), (Some(held(2, 0)), 6)]
        {
            let before = Lifecycle {
                status,
                held: stored_claim,
                ..active()
            };
            let claim = Claim { generation, fence: 0 };
            let needed = RefreshFailure::ConsentNeeded {
                reason: NeedsConsent::Expired,
                at: at(1),
            };
            let mut after = before.clone();
            let (outcome, keep) = fail(&mut after, &claim, &needed);
            match (status, generation) {
                (Status::Active, 5) => {
                    assert_eq!((outcome, keep), (CommitOutcome::Stored, Keep::Nothing));
                    assert_eq!(after.status, Status::NeedsConsent(NeedsConsent::Expired));
                    assert_eq!((after.refreshable, after.held), (false, None));
                }
                (Status::Revoked, _) => assert_eq!(outcome, CommitOutcome::Gone),
                _ => assert_eq!(outcome, CommitOutcome::Superseded),
            }
            if outcome != CommitOutcome::Stored {
                assert_eq!((after, keep), (before, Keep::All));
            }
        }
    }
}

#[test]
fn a_refusal_keeps_the_refresh_token_only_in_quarantine() {
    for (until, kept) in [(Some(at(900)), Keep::RefreshToken), (None, Keep::Nothing)] {
        let mut lifecycle = Lifecycle {
            held: Some(held(2, 0)),
            failures: 3,
            not_before: Some(at(-5)),
            ..active()
        };
        let claim = Claim {
            generation: 5,
            fence: 2,
        };
        let failure = RefreshFailure::Rejected {
            reason: NeedsConsent::LostInFlight,
            at: at(1),
            quarantined_until: until,
        };
        assert_eq!(
            fail(&mut lifecycle, &claim, &failure),
            (CommitOutcome::Stored, kept)
        );
        assert_eq!(
            lifecycle,
            Lifecycle {
                status: Status::NeedsConsent(NeedsConsent::LostInFlight),
                refreshable: false,
                failures: 4,
                last_failure: Some(FailureCode::GrantRejected),
                failed_at: Some(at(1)),
                quarantined_until: until,
                ..active()
            }
        );
        // A late holder still has the only valid token.
        assert_eq!(commit(&mut lifecycle, &claim, true), CommitOutcome::Stored);
        assert_eq!(lifecycle, Lifecycle::granted(6, true, 2));
    }
}

#[test]
fn revoking_is_once_and_final_for_what_is_in_flight() {
    for status in all_statuses() {
        let mut lifecycle = Lifecycle {
            status,
            held: Some(held(2, 0)),
            quarantined_until: Some(at(9)),
            ..active()
        };
        assert_eq!(revoke(&mut lifecycle), status != Status::Revoked);
        assert_eq!(lifecycle.status, Status::Revoked);
        assert!(!revoke(&mut lifecycle));
        let claim = Claim {
            generation: 5,
            fence: 2,
        };
        assert_eq!(commit(&mut lifecycle, &claim, true), CommitOutcome::Gone);
    }
}

#[test]
fn the_claim_of_a_dead_holder_holds_nobody() {
    let request = |tenant: &TenantId, dead: Option<Holder>| {
        let mut lifecycle = Lifecycle {
            held: Some(held(2, 0)),
            ..active()
        };
        let request = ClaimRequest {
            tenant,
            grant: GrantId::from_bytes([1; 16]),
            holder: Holder::from_bytes([2; 16]),
            generation: 5,
            attempt: Attempt::Due,
            now: at(1),
            lease: LEASE,
        };
        claim(&mut lifecycle, &request, dead)
    };
    let tenant = TenantId::new("acme").unwrap();
    let dead = Holder::from_bytes([1; 16]);
    assert!(matches!(request(&tenant, None), Decision::Held(_)));
    assert!(matches!(
        request(&tenant, Some(Holder::from_bytes([3; 16]))),
        Decision::Held(_)
    ));
    assert_eq!(
        request(&tenant, Some(dead)),
        granted(3, true),
        "whether it dialled nobody knows"
    );
}
