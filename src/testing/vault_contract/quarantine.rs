//! Refused refresh tokens, which are kept for a while and retried on request.

use std::sync::Arc;

use super::failures::for_now;
use super::{
    Attempt, Check, ClaimOutcome, Make, access, at, claim, commit_to, ended, fail, granted, must, revoke,
    some, stored, sweep, with_one,
};
use crate::model::{Connection, FailureCode, NeedsConsent, Status};
use crate::vault::{AuditFilter, AuditKind, CommitOutcome, RefreshFailure, Vault};

pub(super) const CHECKS: &[Check] = &[
    ("a quarantined token can be retried", retried),
    ("a refused retry leaves the quarantine unchanged", refused_again),
    ("an ended quarantine leaves nothing", over),
    ("a revocation ends quarantined tokens", revoked),
    ("a quarantined token is kept as a former grant", replaced),
];

fn refusal(reason: NeedsConsent) -> RefreshFailure {
    RefreshFailure::Rejected {
        reason,
        at: at(5),
        quarantined_until: Some(at(900)),
    }
}

/// Returns a vault whose only grant was refused at second 5; its refresh token is in quarantine
/// until second 900.
fn quarantined(make: Make<'_>) -> (Arc<dyn Vault>, Connection) {
    let (vault, connection) = with_one(make);
    let (first, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    let refused = fail(&*vault, &first, &refusal(NeedsConsent::Rejected));
    assert_eq!(refused, CommitOutcome::Stored);
    let connection = stored(&*vault, &connection);
    (vault, connection)
}

/// Ends quarantines whose time has passed. Returns their number.
fn end(vault: &dyn Vault, now: i64, rows: usize) -> usize {
    must(vault.sweep(&sweep::limits(now, rows))).quarantines
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
    let outcome = commit_to(&*vault, 1, &claimed.claim, "2");
    assert_eq!(outcome, CommitOutcome::Stored);
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
    let outcome = fail(&*vault, &again, &refusal(NeedsConsent::LostInFlight));
    assert_eq!(outcome, CommitOutcome::Stored);
    assert_eq!(stored(&*vault, &refused), refused);

    let (again, _) = granted(claim(&*vault, 1, Attempt::Quarantined, 20));
    let outcome = fail(&*vault, &again, &for_now(FailureCode::RateLimited, 20));
    assert_eq!(outcome, CommitOutcome::Stored);
    let after = stored(&*vault, &refused);
    assert_eq!(after.status, refused.status);
    assert_eq!(after.refresh.quarantined_until, refused.refresh.quarantined_until);
    assert_eq!(after.refresh.failures, refused.refresh.failures + 1);
    assert_eq!(after.refresh.not_before, Some(at(50)));
    let (again, _) = granted(claim(&*vault, 1, Attempt::Quarantined, 21));
    assert_eq!(commit_to(&*vault, 1, &again, "2"), CommitOutcome::Stored);
}

fn over(make: Make<'_>) {
    let (vault, refused) = quarantined(make);
    assert_eq!(end(&*vault, 899, 9), 0);
    assert_eq!(end(&*vault, 900, 0), 0);
    assert_eq!(end(&*vault, 900, 9), 1);
    assert_eq!(end(&*vault, 900, 9), 0);
    let after = stored(&*vault, &refused);
    assert_eq!(after.status, Status::NeedsConsent(NeedsConsent::Rejected));
    assert_eq!(after.refresh.quarantined_until, None);
    assert!(matches!(
        claim(&*vault, 1, Attempt::Quarantined, 10),
        ClaimOutcome::NotActive(_)
    ));
    let entries = must(vault.audit(&AuditFilter::of(&refused.tenant)));
    let last = some(entries.last(), "an entry");
    assert_eq!((last.kind, last.at), (AuditKind::QuarantineErased, at(900)));
    // A holder whose claim began in time may still return with a valid token.
    let (vault, refused) = quarantined(make);
    let (late, _) = granted(claim(&*vault, 1, Attempt::Quarantined, 899));
    assert_eq!(end(&*vault, 900, 9), 1);
    assert_eq!(commit_to(&*vault, 1, &late, "2"), CommitOutcome::Stored);
    assert_eq!(access(&*vault, &refused).as_deref(), Some("access-2"));
    assert_eq!(end(&*vault, 9_000, 9), 0);
}

fn revoked(make: Make<'_>) {
    let (vault, refused) = quarantined(make);
    let revoked = some(revoke(&*vault, &refused, 10), "the revocation");
    assert_eq!(ended(&revoked), [(None, Some("refresh-1"))]);
    assert_eq!(end(&*vault, 900, 9), 0, "it was revoked");
}

fn replaced(make: Make<'_>) {
    let (vault, refused) = quarantined(make);
    let (connection, former) = super::reconnect(&*vault, &refused, 2, "2");
    assert_eq!(former, [super::gid(1)]);
    let revoked = some(revoke(&*vault, &connection, 10), "the revocation");
    assert_eq!(
        ended(&revoked),
        [(None, Some("refresh-1")), (Some("access-2"), Some("refresh-2"))]
    );
    // The end of the quarantine leaves nothing of a former grant.
    let (vault, refused) = quarantined(make);
    let (connection, _) = super::reconnect(&*vault, &refused, 2, "2");
    assert_eq!(end(&*vault, 900, 9), 1);
    assert_eq!(must(vault.grant(&connection.tenant, super::gid(1))), None);
    assert_eq!(access(&*vault, &connection).as_deref(), Some("access-2"));
    let revoked = some(revoke(&*vault, &connection, 901), "the revocation");
    assert_eq!(ended(&revoked), [(Some("access-2"), Some("refresh-2"))]);
}
