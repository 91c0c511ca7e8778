//! Claims for upkeep: the soonest expiry first, then the longest idle.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use super::{
    Attempt, Check, LEASE, Make, access, at, claim_of, commit_to, connection, grant_of, granted, id, must,
    need_consent, personal, reconnect, revoke, some, store, stored, tenant, tokens, with_one,
};
use crate::model::{Connection, FailureCode, NeedsConsent, ServerId};
use crate::vault::{
    Claimed, CommitOutcome, DueQuery, Holder, RefreshFailure, Refreshed, StoreOutcome, Vault,
};

pub(super) const CHECKS: &[Check] = &[
    ("a handle claims under a stable id", named),
    ("due grants are claimed, the soonest expiry first", soonest),
    ("a claim on a due grant returns the data for a refresh", given),
    ("a grant that cannot be refreshed is not due", not_due),
    (
        "claimed grants and those that back off do not count for the limit",
        passed_over,
    ),
    (
        "a claim on a due grant lapses, and the grant is due again",
        lapses,
    ),
    ("idle grants come after those that expire", idle),
    ("only the grants of one server are claimed", other_server),
    ("a former grant is not due", former),
    ("several claimants divide what is due between them", divided),
    ("a refresh keeps the time of the consent", consented),
];

const HOUR: Duration = Duration::from_secs(3_600);

/// The holder, the limit and the rest of a query for grants that expire within an hour.
struct Wanted {
    server: ServerId,
    holder: Holder,
    now: i64,
    horizon: Duration,
    idle_since: Option<i64>,
    limit: usize,
}

impl Wanted {
    fn of(vault: &dyn Vault) -> Self {
        Self {
            server: must(ServerId::new("google")),
            holder: must(vault.holder()),
            now: 0,
            horizon: HOUR,
            idle_since: None,
            limit: 99,
        }
    }

    fn claim(&self, vault: &dyn Vault) -> Vec<Claimed> {
        must(vault.claim_due(&DueQuery {
            server: &self.server,
            holder: self.holder,
            now: at(self.now),
            claim_time: at(self.now),
            lease: LEASE,
            horizon: self.horizon,
            idle_since: self.idle_since.map(at),
            limit: self.limit,
        }))
    }

    /// Returns the numbers of the claimed grants.
    fn numbers(&self, vault: &dyn Vault) -> Vec<u8> {
        self.claim(vault)
            .iter()
            .map(|claimed| claimed.grant.id.as_bytes()[0])
            .collect()
    }
}

/// Stores a connection whose token expires at this second.
fn expiring(vault: &dyn Vault, tenant: &str, number: u8, expires: Option<i64>) -> Connection {
    let mut connection = connection(tenant, number, personal("alice"));
    connection.expires_at = expires.map(at);
    connection.refreshed_at = at(i64::from(number));
    let grant = grant_of(&connection, number, 1);
    let outcome = store(vault, &grant, std::slice::from_ref(&connection), &tokens("1"));
    assert!(matches!(outcome, StoreOutcome::Stored { .. }));
    connection
}

/// Returns a vault with grants of two tenants whose tokens expire at seconds 50, 10, 3,601, never
/// and -9.
fn with_five(make: Make<'_>) -> (Arc<dyn Vault>, Vec<Connection>) {
    let vault = make();
    let expiries = [Some(50), Some(10), Some(3_601), None, Some(-9)];
    let all = (1..)
        .zip(expiries)
        .map(|(number, expires)| {
            let tenant = if number == 1 { "acme" } else { "other" };
            expiring(&*vault, tenant, number, expires)
        })
        .collect();
    (vault, all)
}

fn named(make: Make<'_>) {
    let vault = make();
    assert_eq!(must(vault.holder()), must(vault.holder()));
    assert_ne!(must(vault.holder()), must(make().holder()));
}

fn soonest(make: Make<'_>) {
    let (vault, _) = with_five(make);
    let mut wanted = Wanted::of(&*vault);
    wanted.limit = 0;
    assert_eq!(wanted.numbers(&*vault), [0; 0]);
    (wanted.limit, wanted.horizon) = (99, Duration::ZERO);
    assert_eq!(wanted.numbers(&*vault), [5], "the token has expired");
    (wanted.limit, wanted.horizon) = (1, HOUR);
    assert_eq!(wanted.numbers(&*vault), [2]);
    wanted.limit = 99;
    assert_eq!(wanted.numbers(&*vault), [1], "the others are claimed or not due");
    wanted.horizon = HOUR + Duration::from_secs(2);
    assert_eq!(wanted.numbers(&*vault), [3]);
    wanted.now = 30;
    assert_eq!(wanted.numbers(&*vault), [5, 2, 1, 3], "all claims have lapsed");
}

fn given(make: Make<'_>) {
    let vault = make();
    let expiring = expiring(&*vault, "acme", 1, Some(50));
    let mut all = Wanted::of(&*vault).claim(&*vault);
    let claimed = some(all.pop(), "a claim");
    assert!(all.is_empty());
    assert_eq!(claimed.refresh_token.expose_secret(), "refresh-1");
    let id_token = claimed.id_token.as_ref().map(|token| token.expose_secret());
    assert_eq!(id_token, Some("id-1"));
    assert!(!claimed.outcome_unknown);
    assert_eq!(claimed.claim.generation, 1);
    assert_eq!(claimed.provider(), &expiring.provider);
    let read = must(vault.grant(&expiring.tenant, expiring.grant));
    assert_eq!(read.as_ref(), Some(&claimed.grant));
    assert!(claimed.grant.refresh.in_flight.is_some());
    let outcome = commit_to(&*vault, 1, &claimed.claim, "2");
    assert_eq!(outcome, CommitOutcome::Stored);
    assert_eq!(access(&*vault, &expiring).as_deref(), Some("access-2"));
}

fn not_due(make: Make<'_>) {
    let (vault, all) = with_five(make);
    assert!(revoke(&*vault, &all[4], 0).is_some());
    let needed = need_consent(&*vault, &all[1], 1, NeedsConsent::Expired);
    assert_eq!(needed, CommitOutcome::Stored);
    let mut bare = tokens("2");
    bare.refresh_token = None;
    let outcome = store(&*vault, &grant_of(&all[0], 9, 2), &all[..1], &bare);
    assert!(matches!(outcome, StoreOutcome::Stored { .. }));
    let mut wanted = Wanted::of(&*vault);
    wanted.idle_since = Some(4);
    assert_eq!(wanted.numbers(&*vault), [3], "the only one that can be refreshed");
}

fn passed_over(make: Make<'_>) {
    let vault = make();
    for number in 1..=4 {
        expiring(&*vault, "acme", number, Some(i64::from(number)));
    }
    granted(claim_of(&*vault, 1, 1, Attempt::Forced, 0));
    let (second, _) = granted(claim_of(&*vault, 2, 1, Attempt::Forced, 0));
    let failure = RefreshFailure::Transient {
        setup: None,
        code: FailureCode::RateLimited,
        at: at(0),
        not_before: at(20),
    };
    let failed = must(vault.fail_refresh(&tenant("acme"), super::gid(2), &second, &failure));
    assert_eq!(failed, CommitOutcome::Stored);
    let mut wanted = Wanted::of(&*vault);
    wanted.limit = 1;
    assert_eq!(wanted.numbers(&*vault), [3]);
    assert_eq!(wanted.numbers(&*vault), [4]);
    assert_eq!(wanted.numbers(&*vault), [0; 0]);
    wanted.now = 19;
    assert_eq!(wanted.numbers(&*vault), [0; 0]);
    wanted.now = 20;
    assert_eq!(wanted.numbers(&*vault), [2], "it has waited");
}

fn lapses(make: Make<'_>) {
    let vault = make();
    expiring(&*vault, "acme", 1, Some(50));
    let mut wanted = Wanted::of(&*vault);
    assert_eq!(wanted.numbers(&*vault), [1]);
    wanted.now = 29;
    assert_eq!(wanted.numbers(&*vault), [0; 0]);
    wanted.now = 30;
    let again = wanted.claim(&*vault);
    assert_eq!(again.len(), 1);
    assert!(again[0].outcome_unknown, "nobody knows what the first did");
    assert!(again[0].claim.fence > 1);
}

fn idle(make: Make<'_>) {
    let vault = make();
    for (number, expires) in [(1, Some(50_000)), (2, None), (3, Some(20)), (4, None)] {
        expiring(&*vault, "acme", number, expires);
    }
    let mut wanted = Wanted::of(&*vault);
    wanted.idle_since = Some(1);
    assert_eq!(wanted.numbers(&*vault), [3], "none is older than that");
    (wanted.now, wanted.idle_since, wanted.limit) = (100, Some(3), 2);
    assert_eq!(wanted.numbers(&*vault), [3, 1]);
    wanted.limit = 99;
    assert_eq!(wanted.numbers(&*vault), [2]);
    (wanted.now, wanted.idle_since) = (200, Some(9));
    assert_eq!(wanted.numbers(&*vault), [3, 1, 2, 4], "each of them once");
}

fn other_server(make: Make<'_>) {
    let vault = make();
    expiring(&*vault, "acme", 1, Some(50));
    let mut other = connection("acme", 2, personal("bob"));
    Arc::make_mut(&mut other.issued_by).server = must(ServerId::new("slack"));
    other.expires_at = Some(at(5));
    let outcome = store(
        &*vault,
        &grant_of(&other, 2, 1),
        std::slice::from_ref(&other),
        &tokens("2"),
    );
    assert!(matches!(outcome, StoreOutcome::Stored { .. }));
    let mut wanted = Wanted::of(&*vault);
    wanted.limit = 1;
    wanted.idle_since = Some(99);
    assert_eq!(wanted.numbers(&*vault), [1]);
    assert_eq!(wanted.numbers(&*vault), [0; 0]);
    wanted.server = must(ServerId::new("slack"));
    assert_eq!(wanted.numbers(&*vault), [2]);
    wanted.server = must(ServerId::new("nobody"));
    assert_eq!(wanted.numbers(&*vault), [0; 0]);
}

fn former(make: Make<'_>) {
    let vault = make();
    let first = expiring(&*vault, "acme", 1, Some(5));
    let (_, former) = reconnect(&*vault, &first, 2, "2");
    assert_eq!(former, [super::gid(1)]);
    let mut wanted = Wanted::of(&*vault);
    (wanted.limit, wanted.idle_since) = (1, Some(99));
    assert_eq!(wanted.numbers(&*vault), [2], "before the limit is counted");
    assert_eq!(wanted.numbers(&*vault), [0; 0]);
}

fn divided(make: Make<'_>) {
    let vault = make();
    let all: Vec<u8> = (1..=24).collect();
    for number in &all {
        expiring(&*vault, "acme", *number, Some(i64::from(*number)));
    }
    let threads = 4;
    let barrier = Barrier::new(threads);
    let mut claimed = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut wanted = Wanted::of(&*vault);
                    wanted.limit = 3;
                    barrier.wait();
                    let mut mine = Vec::new();
                    // A round may return nothing although grants are left, if the other threads
                    // were faster each time.
                    for _ in 0..all.len() {
                        mine.extend(wanted.numbers(&*vault));
                    }
                    mine
                })
            })
            .collect();
        let all = workers.into_iter().map(|worker| match worker.join() {
            Ok(numbers) => numbers,
            Err(_) => panic!("a thread failed"),
        });
        all.flatten().collect::<Vec<_>>()
    });
    claimed.sort_unstable();
    assert_eq!(claimed, all, "each is claimed once");
}

fn consented(make: Make<'_>) {
    let (vault, connection) = with_one(make);
    let (held, _) = granted(claim_of(&*vault, 1, 1, Attempt::Due, 0));
    let refreshed = Refreshed {
        refresh_token_expires_at: None,
        tokens: &tokens("2"),
        granted: None,
        expires_at: None,
        lifetime: None,
        at: at(77),
        by: None,
    };
    let outcome = must(vault.commit_refresh(&connection.tenant, connection.grant, &held, &refreshed));
    assert_eq!(outcome, CommitOutcome::Stored);
    let after = stored(&*vault, &connection);
    assert_eq!((after.consented_at, after.refreshed_at), (at(0), at(77)));
    let mut grant = grant_of(&after, 3, 3);
    grant.consented_at = at(99);
    let outcome = store(&*vault, &grant, &[after], &tokens("3"));
    assert!(matches!(outcome, StoreOutcome::Stored { .. }));
    assert_eq!(stored(&*vault, &connection).consented_at, at(99));
    assert_eq!(stored(&*vault, &connection).id, id(1));
}

/// Claims the only grant that is due at this second.
#[track_caller]
pub(super) fn claim_one(vault: &dyn Vault, now: i64) -> Claimed {
    let mut wanted = Wanted::of(vault);
    wanted.now = now;
    let mut claimed = wanted.claim(vault);
    assert_eq!(
        claimed.len(),
        1,
        "a grant is due once, however many connections use it"
    );
    some(claimed.pop(), "the claim")
}
