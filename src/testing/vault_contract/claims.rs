//! Refreshing: one claim at a time, commits by generation, failures by claim.

use std::sync::Barrier;
use std::thread;

use super::failures;
use super::{
    Attempt, Check, ClaimOutcome, ClaimRequest, LEASE, Make, access, at, claim, claim_of, commit_to, fail,
    gid, granted, id, must, need_consent, reconnect, revoke, scopes, some, stored, tenant, token, tokens,
    with_one,
};
use crate::model::{Connection, FailureCode, InFlight, NeedsConsent, RefreshState, Scopes, Status};
use crate::vault::{Claim, CommitOutcome, RefreshFailure, Refreshed, Tokens, Vault};

pub(super) const CHECKS: &[Check] = &[
    ("a claim returns the data for a refresh", given),
    ("a claim that cannot be granted says why", refused),
    ("one of many threads gets the claim", one_of_many),
    (
        "a lapsed claim can be taken over, its outcome unknown",
        taken_over,
    ),
    ("a claim from a clock that went back expires", clock),
    ("a commit stores the tokens and clears the failures", committed),
    ("a commit counts by its generation", compare_and_swap),
    ("a late holder may store the only valid token", late),
    ("a revocation wins over a refresh in flight", revoked),
    ("the fence of a grant never decreases", fence),
    ("the last known lifetime is remembered", lifetime),
];

fn commit(vault: &dyn Vault, claim: &Claim, tokens: &Tokens, granted: Option<&Scopes>) -> CommitOutcome {
    let refreshed = Refreshed {
        refresh_token_expires_at: None,
        tokens,
        granted,
        expires_at: Some(at(7_200)),
        lifetime: None,
        at: at(100),
        by: None,
    };
    must(vault.commit_refresh(&tenant("acme"), gid(1), claim, &refreshed))
}

fn given(make: Make<'_>) {
    let (vault, connection) = with_one(make);
    let ClaimOutcome::Granted(claimed) = claim(&*vault, 1, Attempt::Due, 10) else {
        panic!("not granted");
    };
    assert_eq!(claimed.claim.generation, 1);
    assert!(!claimed.outcome_unknown);
    assert_eq!(claimed.refresh_token.expose_secret(), "refresh-1");
    assert_eq!(
        claimed.id_token.as_ref().map(|token| token.expose_secret()),
        Some("id-1")
    );
    let mut expected = connection.clone();
    expected.refresh.in_flight = Some(InFlight {
        since: at(10),
        until: at(10) + LEASE,
    });
    assert_eq!(claimed.grant.refresh, expected.refresh);
    let read = must(vault.grant(&connection.tenant, gid(1)));
    assert_eq!(read, Some(claimed.grant), "the grant, as it is stored");
    assert_eq!(stored(&*vault, &connection), expected);
    let token = some(token(&*vault, &connection.tenant, id(1)), "the token");
    assert_eq!(token.refresh, expected.refresh);
    assert!(token.access_token.is_some(), "it stays usable meanwhile");
}

fn refused(make: Make<'_>) {
    let vault = make();
    assert!(matches!(claim(&*vault, 1, Attempt::Due, 0), ClaimOutcome::Gone));
    let (vault, connection) = with_one(make);
    assert!(matches!(claim(&*vault, 2, Attempt::Due, 0), ClaimOutcome::Moved));
    granted(claim(&*vault, 1, Attempt::Due, 0));
    let held = stored(&*vault, &connection);
    for attempt in [Attempt::Due, Attempt::Forced] {
        let ClaimOutcome::Held(in_flight) = claim(&*vault, 1, attempt, 29) else {
            panic!("the claim is live, even for its own holder");
        };
        assert_eq!(Some(in_flight), held.refresh.in_flight);
    }
    assert_eq!(
        stored(&*vault, &connection),
        held,
        "a refused claim writes nothing"
    );

    let needed = need_consent(&*vault, &connection, 1, NeedsConsent::Expired);
    assert_eq!(needed, CommitOutcome::Stored);
    assert!(matches!(
        claim(&*vault, 1, Attempt::Due, 0),
        ClaimOutcome::NotActive(Status::NeedsConsent(NeedsConsent::Expired))
    ));
    assert!(revoke(&*vault, &connection, 1).is_some());
    assert!(matches!(
        claim(&*vault, 1, Attempt::Due, 0),
        ClaimOutcome::NotActive(Status::Revoked)
    ));

    let vault = make();
    let mut bare = tokens("1");
    bare.refresh_token = None;
    let grant = super::grant_of(&connection, 1, 1);
    super::store(&*vault, &grant, std::slice::from_ref(&connection), &bare);
    assert!(
        matches!(
            claim(&*vault, 1, Attempt::Forced, 0),
            ClaimOutcome::NotRefreshable
        ),
        "an id token is no refresh token"
    );
    assert!(!stored(&*vault, &connection).refreshable);
}

fn one_of_many(make: Make<'_>) {
    let (vault, _) = with_one(make);
    let threads = 8_u8;
    let barrier = Barrier::new(usize::from(threads));
    let (acme, vault, barrier) = (&tenant("acme"), &vault, &barrier);
    let winners = thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(move || {
                    let request = ClaimRequest {
                        tenant: acme,
                        grant: gid(1),
                        holder: must(vault.holder()),
                        generation: 1,
                        attempt: Attempt::Due,
                        now: at(0),
                        lease: LEASE,
                    };
                    barrier.wait();
                    match must(vault.claim_refresh(&request)) {
                        ClaimOutcome::Granted(_) => 1,
                        ClaimOutcome::Held(_) => 0,
                        other => panic!("neither granted nor held: {other:?}"),
                    }
                })
            })
            .collect();
        all.into_iter()
            .map(|thread| thread.join().unwrap_or(usize::MAX / 16))
            .sum::<usize>()
    });
    assert_eq!(winners, 1);
}

fn taken_over(make: Make<'_>) {
    let (vault, _) = with_one(make);
    let (first, unknown) = granted(claim(&*vault, 1, Attempt::Due, 0));
    assert!(!unknown);
    let (second, unknown) = granted(claim(&*vault, 1, Attempt::Due, 30));
    assert!(unknown, "nobody knows whether the first had dialled");
    assert!(second.fence > first.fence);
    assert_eq!(second.generation, 1);
}

fn clock(make: Make<'_>) {
    let (vault, _) = with_one(make);
    granted(claim(&*vault, 1, Attempt::Due, 3_600));
    let (second, unknown) = granted(claim(&*vault, 1, Attempt::Due, 0));
    assert!(unknown);
    assert_eq!(
        fail(
            &*vault,
            &second,
            &failures::for_now(FailureCode::RateLimited, 7_200)
        ),
        CommitOutcome::Stored
    );
    granted(claim(&*vault, 1, Attempt::Due, 1));
}

fn committed(make: Make<'_>) {
    let (vault, connection) = with_one(make);
    let (first, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    assert_eq!(
        fail(&*vault, &first, &failures::for_now(FailureCode::ServerError, 0)),
        CommitOutcome::Stored
    );
    let (second, _) = granted(claim(&*vault, 1, Attempt::Forced, 1));
    assert_eq!(
        commit(&*vault, &second, &tokens("2"), None),
        CommitOutcome::Stored
    );
    let mut expected = Connection {
        generation: 2,
        refreshed_at: at(100),
        expires_at: Some(at(7_200)),
        refresh: RefreshState::default(),
        ..connection.clone()
    };
    assert_eq!(
        stored(&*vault, &connection),
        expected,
        "scopes that are not named stay"
    );
    assert_eq!(access(&*vault, &connection).as_deref(), Some("access-2"));

    let (third, unknown) = granted(claim(&*vault, 2, Attempt::Due, 101));
    assert!(unknown, "the failed attempt's request may still arrive");
    let mut bare = tokens("3");
    bare.refresh_token = None;
    let narrower = scopes("mail.send");
    assert_eq!(
        commit(&*vault, &third, &bare, Some(&narrower)),
        CommitOutcome::Stored
    );
    expected.generation = 3;
    expected.granted = narrower;
    expected.refreshable = false;
    assert_eq!(stored(&*vault, &connection), expected);
    assert!(matches!(
        claim(&*vault, 3, Attempt::Due, 102),
        ClaimOutcome::NotRefreshable
    ));
}

fn compare_and_swap(make: Make<'_>) {
    let (vault, connection) = with_one(make);
    let (first, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    let wrong = Claim {
        generation: 2,
        ..first
    };
    assert_eq!(
        commit(&*vault, &wrong, &tokens("x"), None),
        CommitOutcome::Superseded
    );
    assert_eq!(commit(&*vault, &first, &tokens("2"), None), CommitOutcome::Stored);
    let after = stored(&*vault, &connection);
    assert_eq!(
        commit(&*vault, &first, &tokens("x"), None),
        CommitOutcome::Superseded,
        "a second time"
    );
    assert_eq!(stored(&*vault, &connection), after);
    assert_eq!(access(&*vault, &connection).as_deref(), Some("access-2"));
}

fn late(make: Make<'_>) {
    let (vault, connection) = with_one(make);
    let (first, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    let (second, _) = granted(claim(&*vault, 1, Attempt::Due, 31));
    assert_eq!(
        commit(&*vault, &first, &tokens("2"), None),
        CommitOutcome::Stored,
        "its claim lapsed, its generation did not"
    );
    assert_eq!(
        commit(&*vault, &second, &tokens("x"), None),
        CommitOutcome::Superseded
    );
    let refusal = RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at: at(32),
        quarantined_until: None,
    };
    assert_eq!(fail(&*vault, &second, &refusal), CommitOutcome::Superseded);
    assert_eq!(access(&*vault, &connection).as_deref(), Some("access-2"));

    // The same race, but the refusal arrived first.
    let (first, _) = granted(claim(&*vault, 2, Attempt::Due, 0));
    let (second, _) = granted(claim(&*vault, 2, Attempt::Due, 31));
    assert_eq!(fail(&*vault, &second, &refusal), CommitOutcome::Stored);
    assert_eq!(commit(&*vault, &first, &tokens("3"), None), CommitOutcome::Stored);
    assert_eq!(stored(&*vault, &connection).status, Status::Active);
    assert_eq!(access(&*vault, &connection).as_deref(), Some("access-3"));
}

fn revoked(make: Make<'_>) {
    let (vault, connection) = with_one(make);
    let (first, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    assert!(revoke(&*vault, &connection, 1).is_some());
    assert_eq!(commit(&*vault, &first, &tokens("2"), None), CommitOutcome::Gone);
    let timeout = failures::for_now(FailureCode::TimedOut, 2);
    assert_eq!(fail(&*vault, &first, &timeout), CommitOutcome::Gone);
    let after = stored(&*vault, &connection);
    assert_eq!(after.status, Status::Revoked);
    assert_eq!(after.refresh, RefreshState::default());
    assert!(token(&*vault, &connection.tenant, id(1)).is_none());
    // A new consent after the revocation is a new grant: late results do not affect it.
    let (connection, _) = reconnect(&*vault, &after, 2, "3");
    assert_eq!(commit(&*vault, &first, &tokens("2"), None), CommitOutcome::Gone);
    assert_eq!(access(&*vault, &connection).as_deref(), Some("access-3"));
    let unknown = Claim {
        generation: 1,
        fence: 1,
    };
    assert_eq!(commit_to(&*vault, 9, &unknown, "x"), CommitOutcome::Gone);
}

fn fence(make: Make<'_>) {
    let (vault, connection) = with_one(make);
    let mut last = 0;
    for generation in 1..=5 {
        let (lapsed, _) = granted(claim(&*vault, generation, Attempt::Due, 0));
        assert!(lapsed.fence > last, "{} after {last}", lapsed.fence);
        let (second, _) = granted(claim(&*vault, generation, Attempt::Due, 60));
        assert!(second.fence > lapsed.fence);
        last = second.fence;
        assert_eq!(commit_to(&*vault, 1, &second, "x"), CommitOutcome::Stored);
    }
    let (_, _) = reconnect(&*vault, &stored(&*vault, &connection), 2, "2");
    let (_, unknown) = granted(claim_of(&*vault, 2, 7, Attempt::Due, 0));
    assert!(!unknown, "a new consent brings a new token");
}

fn lifetime(make: Make<'_>) {
    let (vault, _) = with_one(make);
    let read = || some(must(vault.grant(&tenant("acme"), gid(1))), "the grant").lifetime;
    let named = [Some(600), None, Some(60)].map(|seconds| seconds.map(std::time::Duration::from_secs));
    for (generation, (lifetime, expected)) in (1..).zip(named.into_iter().zip([named[0], named[0], named[2]]))
    {
        let (claim, _) = granted(claim(&*vault, generation, Attempt::Due, 0));
        let refreshed = Refreshed {
            refresh_token_expires_at: None,
            tokens: &tokens("x"),
            granted: None,
            expires_at: None,
            lifetime,
            at: at(1),
            by: None,
        };
        let outcome = must(vault.commit_refresh(&tenant("acme"), gid(1), &claim, &refreshed));
        assert_eq!(outcome, CommitOutcome::Stored);
        assert_eq!(read(), expected, "the last one that was named");
    }
}
