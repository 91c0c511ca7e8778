//! What upkeep looks for: who claims, what is due, what lies idle, what is over.

use std::time::Duration;

use super::{
    Attempt, Check, ClaimOutcome, Make, StoreOutcome, access, at, claim, connection, grant, granted, must,
    personal, provider, stored, tokens, with_one,
};
use crate::model::{Connection, FailureCode, NeedsConsent, ServerId, Status};
use crate::vault::{Claim, CommitOutcome, Due, RefreshFailure, Renewed, Vault};

pub(super) const CHECKS: &[Check] = &[
    ("a handle claims under one name", named),
    ("what is due comes soonest first", due),
    ("what is claimed or backing off is not due", not_due),
    ("idle grants are found by their server", idle),
    ("a quarantined token can be tried again", retried),
    (
        "a retry that is refused leaves the quarantine as it is",
        refused_again,
    ),
    ("a quarantine that is over leaves nothing", over),
    ("a refresh keeps the time of the consent", consented),
];

const HOUR: Duration = Duration::from_secs(3_600);

fn named(make: Make<'_>) {
    let vault = make();
    assert_eq!(must(vault.holder()), must(vault.holder()));
    assert_ne!(must(vault.holder()), must(make().holder()));
}

fn named_due(connection: &Connection) -> Due {
    Due {
        tenant: connection.tenant.clone(),
        connection: connection.id,
        generation: connection.generation,
        provider: provider("gmail"),
        expires_at: connection.expires_at,
    }
}

/// A vault with connections that expire at these seconds, the first in one tenant and the rest in another.
fn expiring(make: Make<'_>, seconds: &[Option<i64>]) -> (std::sync::Arc<dyn Vault>, Vec<Connection>) {
    let vault = make();
    let mut all = Vec::new();
    for (number, seconds) in (1..).zip(seconds) {
        let tenant = if number == 1 { "acme" } else { "other" };
        let mut one = connection(tenant, number, personal("alice"));
        one.expires_at = seconds.map(at);
        one.refreshed_at = at(i64::from(number));
        assert_eq!(grant(&*vault, &one, &tokens("1")), StoreOutcome::Stored);
        all.push(one);
    }
    (vault, all)
}

fn due(make: Make<'_>) {
    let (vault, all) = expiring(make, &[Some(50), Some(10), Some(3_601), None, Some(-9)]);
    let expected = [&all[4], &all[1], &all[0]].map(named_due);
    assert_eq!(must(vault.due(at(0), Duration::from_secs(3_601), 9)), expected);
    assert_eq!(must(vault.due(at(0), HOUR, 2)), expected[..2]);
    assert_eq!(must(vault.due(at(0), Duration::ZERO, 9)), expected[..1]);
    assert!(must(vault.due(at(0), HOUR, 0)).is_empty());

    assert!(must(vault.revoke(&all[4].tenant, all[4].id, None, at(0))).is_some());
    let needy = must(vault.need_consent(&all[1].tenant, all[1].id, 1, NeedsConsent::Expired));
    assert_eq!(needy, CommitOutcome::Stored);
    let mut bare = tokens("2");
    bare.refresh_token = None;
    let mut next = all[0].clone();
    next.generation = 2;
    assert_eq!(grant(&*vault, &next, &bare), StoreOutcome::Stored);
    assert!(must(vault.due(at(0), HOUR, 9)).is_empty());
}

fn not_due(make: Make<'_>) {
    let (vault, connection) = with_one(make);
    let is_due = |now: i64| !must(vault.due(at(now), HOUR * 9, 9)).is_empty();
    assert!(is_due(0));
    let (held, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    assert!(!is_due(29));
    assert!(is_due(30), "it has lapsed");
    assert!(is_due(-3_600), "nothing holds from a clock that went back");
    assert_eq!(
        fail(&*vault, &connection, &held, transient(0)),
        CommitOutcome::Stored
    );
    assert!(!is_due(29));
    assert!(is_due(30), "it has waited");
    assert!(is_due(-3_600));
}

fn idle(make: Make<'_>) {
    let (vault, all) = expiring(make, &[Some(50), None, Some(20)]);
    let google = &all[0].issued_by.server;
    let expected = [&all[0], &all[1]].map(named_due);
    assert_eq!(must(vault.idle(at(3), google, 9)), expected);
    assert_eq!(must(vault.idle(at(3), google, 1)), expected[..1]);
    assert!(must(vault.idle(at(1), google, 9)).is_empty());
    assert!(must(vault.idle(at(9), &must(ServerId::new("slack")), 9)).is_empty());
    assert!(must(vault.revoke(&all[0].tenant, all[0].id, None, at(0))).is_some());
    assert_eq!(must(vault.idle(at(3), google, 9)), expected[1..]);
}

const fn transient(seconds: i64) -> RefreshFailure {
    let millis = 1_800_000_000_000 + seconds * 1_000;
    RefreshFailure::Transient {
        code: FailureCode::RateLimited,
        at: crate::model::Timestamp::from_unix_millis(millis),
        not_before: crate::model::Timestamp::from_unix_millis(millis + 30_000),
    }
}

fn refusal(reason: NeedsConsent) -> RefreshFailure {
    RefreshFailure::Rejected {
        reason,
        at: at(5),
        quarantined_until: Some(at(900)),
    }
}

fn fail(vault: &dyn Vault, connection: &Connection, claim: &Claim, failure: RefreshFailure) -> CommitOutcome {
    must(vault.fail_refresh(&connection.tenant, connection.id, claim, &failure))
}

/// A vault whose one connection was refused at second 5; its token is in quarantine until second 900.
fn quarantined(make: Make<'_>) -> (std::sync::Arc<dyn Vault>, Connection) {
    let (vault, connection) = with_one(make);
    let (first, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    let refused = fail(&*vault, &connection, &first, refusal(NeedsConsent::Rejected));
    assert_eq!(refused, CommitOutcome::Stored);
    let connection = stored(&*vault, &connection);
    (vault, connection)
}

fn renew(vault: &dyn Vault, connection: &Connection, claim: &Claim) -> CommitOutcome {
    let renewed = Renewed {
        tokens: &tokens("2"),
        granted: None,
        expires_at: Some(at(7_200)),
        at: at(100),
        by: None,
    };
    must(vault.commit_refresh(&connection.tenant, connection.id, claim, &renewed))
}

fn retried(make: Make<'_>) {
    let (vault, refused) = quarantined(make);
    let ClaimOutcome::Granted(claimed) = claim(&*vault, 1, Attempt::Quarantined, 899) else {
        panic!("not granted");
    };
    assert_eq!(claimed.refresh_token.expose_secret(), "refresh-1");
    assert_eq!(access(&*vault, &refused), None, "it resolves nothing meanwhile");
    assert!(matches!(
        claim(&*vault, 1, Attempt::Quarantined, 899),
        ClaimOutcome::Held(_)
    ));
    assert_eq!(renew(&*vault, &refused, &claimed.claim), CommitOutcome::Stored);
    let after = stored(&*vault, &refused);
    assert_eq!((after.status, after.generation), (Status::Active, 2));
    assert!(after.refreshable && after.refresh.quarantined_until.is_none());
    assert_eq!(access(&*vault, &refused).as_deref(), Some("access-2"));
    assert!(matches!(
        claim(&*vault, 2, Attempt::Quarantined, 899),
        ClaimOutcome::NotRefreshable
    ));
}

fn refused_again(make: Make<'_>) {
    let (vault, refused) = quarantined(make);
    let (again, _) = granted(claim(&*vault, 1, Attempt::Quarantined, 10));
    let outcome = fail(&*vault, &refused, &again, refusal(NeedsConsent::LostInFlight));
    assert_eq!(outcome, CommitOutcome::Stored);
    assert_eq!(stored(&*vault, &refused), refused);

    let (again, _) = granted(claim(&*vault, 1, Attempt::Quarantined, 20));
    assert_eq!(
        fail(&*vault, &refused, &again, transient(20)),
        CommitOutcome::Stored
    );
    let after = stored(&*vault, &refused);
    assert_eq!(after.status, refused.status);
    assert_eq!(after.refresh.quarantined_until, refused.refresh.quarantined_until);
    assert_eq!(after.refresh.failures, refused.refresh.failures + 1);
    assert_eq!(after.refresh.not_before, Some(at(50)));
    let (again, _) = granted(claim(&*vault, 1, Attempt::Quarantined, 21));
    assert_eq!(renew(&*vault, &refused, &again), CommitOutcome::Stored);
}

fn over(make: Make<'_>) {
    let (vault, refused) = quarantined(make);
    assert_eq!(must(vault.erase_quarantined(at(899), 9)), 0);
    assert_eq!(must(vault.erase_quarantined(at(900), 0)), 0);
    assert_eq!(must(vault.erase_quarantined(at(900), 9)), 1);
    assert_eq!(must(vault.erase_quarantined(at(900), 9)), 0);
    let after = stored(&*vault, &refused);
    assert_eq!(after.status, Status::NeedsConsent(NeedsConsent::Rejected));
    assert_eq!(after.refresh.quarantined_until, None);
    assert!(matches!(
        claim(&*vault, 1, Attempt::Quarantined, 10),
        ClaimOutcome::NotActive(_)
    ));
    // A holder whose claim began in time may still come back with a good token.
    let (vault, refused) = quarantined(make);
    let (late, _) = granted(claim(&*vault, 1, Attempt::Quarantined, 899));
    assert_eq!(must(vault.erase_quarantined(at(900), 9)), 1);
    assert_eq!(renew(&*vault, &refused, &late), CommitOutcome::Stored);
    assert_eq!(access(&*vault, &refused).as_deref(), Some("access-2"));
    assert_eq!(must(vault.erase_quarantined(at(9_000), 9)), 0);
}

fn consented(make: Make<'_>) {
    let (vault, mut connection) = with_one(make);
    let (held, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    assert_eq!(renew(&*vault, &connection, &held), CommitOutcome::Stored);
    assert_eq!(stored(&*vault, &connection).consented_at, at(0));
    connection.generation = 3;
    connection.consented_at = at(77);
    assert_eq!(grant(&*vault, &connection, &tokens("3")), StoreOutcome::Stored);
    assert_eq!(stored(&*vault, &connection).consented_at, at(77));
}
