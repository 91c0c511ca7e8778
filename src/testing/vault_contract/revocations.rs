//! Revocation: returned tokens, erased tokens, and revocations pending at the provider.

use std::time::Duration;

use super::{
    Attempt, Check, LEASE, Make, access, at, claim, connection, ended, fail, gid, grant_of, granted, id,
    must, personal, reconnect, revoke, sharing, some, store, stored, stored_none, tenant, token, tokens,
    user, with_one,
};
use crate::model::{Connection, NeedsConsent, RevocationId, Status};
use crate::secret::{AccessToken, RefreshToken};
use crate::vault::{
    AuditFilter, AuditKind, LateTokens, PendingRevocation, RefreshFailure, Revoke, RevokeWhat, Revoked,
    Settlement, TokenUse, Tokens, UseRecord, Vault,
};

pub(super) const CHECKS: &[Check] = &[
    ("a revocation returns the tokens once and leaves none", revoked),
    ("a revocation without a refresh token", bare),
    ("a revoked connection is shown as it is stored", shown),
    ("a revocation waits for the provider with its tokens", kept),
    ("former grants wait for the provider as well", former_kept),
    ("a second revocation returns the pending tokens", second),
    ("a revocation after another consent returns all tokens", all_of_it),
    ("a pending revocation is leased, retried, and ended", settled),
    ("a pending revocation is given up in time", given_up),
    ("late tokens wait for the provider", late),
    ("a revocation keeps quarantined tokens", refused),
    ("pending revocations are taken up to the limit", limited),
];

/// Revokes a connection. The tokens are kept until this second.
#[track_caller]
pub(super) fn keep(vault: &dyn Vault, connection: &Connection, now: i64, until: i64) -> Option<Revoked> {
    must(vault.revoke(&Revoke {
        tenant: &connection.tenant,
        what: RevokeWhat::Connection(connection.id),
        by: None,
        now: at(now),
        keep_until: Some(at(until)),
    }))
}

pub(super) fn take(vault: &dyn Vault, now: i64) -> Vec<PendingRevocation> {
    must(vault.take_revocations(at(now), LEASE, 9))
}

#[track_caller]
fn only(mut pending: Vec<PendingRevocation>) -> PendingRevocation {
    assert_eq!(pending.len(), 1);
    some(pending.pop(), "a pending revocation")
}

/// Revokes a connection and keeps its tokens. Returns the id of the pending revocation.
#[track_caller]
fn queue(vault: &dyn Vault, connection: &Connection, until: i64) -> RevocationId {
    let revoked = some(keep(vault, connection, 0, until), "the revocation");
    assert_eq!(revoked.ended.len(), 1);
    some(revoked.ended[0].pending, "the pending revocation")
}

fn secrets(pending: &PendingRevocation) -> (Option<&str>, Option<&str>) {
    (
        pending.access_token.as_ref().map(AccessToken::expose_secret),
        pending.refresh_token.as_ref().map(RefreshToken::expose_secret),
    )
}

fn revoked(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let gone = some(revoke(&*vault, &first, 9), "the revocation");
    let [shown] = gone.connections.as_slice() else {
        panic!("{:?}", gone.connections);
    };
    assert_eq!((shown.id, shown.status), (first.id, Status::Revoked));
    assert!(!shown.refreshable);
    assert_eq!(ended(&gone), [(Some("access-1"), Some("refresh-1"))]);
    let [grant] = gone.ended.as_slice() else {
        panic!("{:?}", gone.ended);
    };
    assert_eq!((grant.grant.id, grant.grant.generation), (gid(1), 1));
    assert_eq!(grant.grant.issued_by, *first.issued_by);
    assert_eq!((grant.pending, grant.attempts), (None, 0));
    assert!(gone.still_used_by.is_empty());
    assert_eq!(stored(&*vault, &first), *shown, "the record stays as history");
    assert!(token(&*vault, &first.tenant, id(1)).is_none());
    assert!(revoke(&*vault, &first, 10).is_none());
    let nobody = connection("acme", 9, personal("alice"));
    assert!(revoke(&*vault, &nobody, 10).is_none());
    let nowhere = connection("nowhere", 1, personal("alice"));
    assert!(revoke(&*vault, &nowhere, 10).is_none());
    assert!(take(&*vault, 9_000).is_empty(), "nothing was kept");
}

fn bare(make: Make<'_>) {
    let vault = make();
    let mut bare = connection("acme", 1, personal("alice"));
    bare.refreshable = false;
    let held = Tokens {
        access_token: AccessToken::new("access-1"),
        refresh_token: None,
        id_token: None,
    };
    let outcome = store(
        &*vault,
        &grant_of(&bare, 1, 1),
        std::slice::from_ref(&bare),
        &held,
    );
    assert_eq!(outcome, stored_none());
    assert_eq!(stored(&*vault, &bare), bare);
    let gone = some(keep(&*vault, &bare, 9, 9_000), "the revocation");
    assert_eq!(ended(&gone), [(Some("access-1"), None)]);
    assert_eq!(secrets(&only(take(&*vault, 69))), (Some("access-1"), None));
}

fn shown(make: Make<'_>) {
    let (vault, [mail, calendar]) = sharing::with_two(make);
    let token_use = |connection: &Connection| TokenUse {
        tenant: connection.tenant.clone(),
        connection: connection.id,
        provider: connection.provider.clone(),
        at: at(5),
        user: user("alice"),
        shared: false,
        purpose: None,
        turn: None,
    };
    must(vault.record_uses(&[token_use(&mail), token_use(&calendar)], UseRecord::Times));
    for connection in [&mail, &calendar] {
        let gone = some(revoke(&*vault, connection, 9), "the revocation");
        let stored = stored(&*vault, connection);
        assert_eq!(stored.used_at, Some(at(5)));
        assert_eq!(gone.connections, [stored]);
    }
}

fn kept(make: Make<'_>) {
    let (vault, one) = with_one(make);
    let pending = queue(&*vault, &one, 9_000);
    assert!(
        token(&*vault, &one.tenant, one.id).is_none(),
        "nothing resolves it"
    );
    assert!(take(&*vault, 59).is_empty(), "the caller goes first");
    let (again, former) = reconnect(&*vault, &stored(&*vault, &one), 2, "2");
    assert_eq!(former, []);
    let taken = only(take(&*vault, 60));
    assert_eq!((taken.id, taken.attempts), (pending, 1));
    assert_eq!((&taken.grant.tenant, taken.connection), (&one.tenant, one.id));
    assert_eq!((taken.grant.id, taken.grant.generation), (gid(1), 1));
    assert_eq!(
        (&taken.grant.provider, &taken.grant.issued_by),
        (&one.provider, &*one.issued_by)
    );
    assert_eq!(taken.grant.parameters, one.parameters);
    assert_eq!(taken.give_up_at, at(9_000));
    assert_eq!(secrets(&taken), (Some("access-1"), Some("refresh-1")));
    assert_eq!(access(&*vault, &again).as_deref(), Some("access-2"));
    let nobody = connection("acme", 9, personal("alice"));
    assert!(keep(&*vault, &nobody, 0, 9).is_none());
}

fn former_kept(make: Make<'_>) {
    let (vault, one) = with_one(make);
    let (one, _) = reconnect(&*vault, &one, 2, "2");
    let gone = some(keep(&*vault, &one, 0, 9_000), "the revocation");
    let mut kept: Vec<_> = gone
        .ended
        .iter()
        .map(|ended| some(ended.pending, "its pending revocation"))
        .collect();
    let taken = take(&*vault, 60);
    let mut found: Vec<_> = taken.iter().map(|pending| pending.id).collect();
    kept.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, kept);
    assert!(taken.iter().all(|pending| pending.connection == one.id));
    let mut held: Vec<_> = taken.iter().map(secrets).collect();
    held.sort_unstable();
    let expected = [
        (Some("access-1"), Some("refresh-1")),
        (Some("access-2"), Some("refresh-2")),
    ];
    assert_eq!(held, expected);
    // One former grant is kept under the name of a connection that had replaced it.
    let (vault, one) = with_one(make);
    let (one, _) = reconnect(&*vault, &one, 2, "2");
    let request = Revoke {
        tenant: &one.tenant,
        what: RevokeWhat::Grant(gid(1)),
        by: None,
        now: at(0),
        keep_until: Some(at(9_000)),
    };
    let gone = some(must(vault.revoke(&request)), "the revocation");
    let taken = only(take(&*vault, 60));
    assert_eq!(Some(taken.id), gone.ended[0].pending);
    assert_eq!(taken.connection, one.id);
    assert_eq!(secrets(&taken), (Some("access-1"), Some("refresh-1")));
}

fn second(make: Make<'_>) {
    let (vault, one) = with_one(make);
    let pending = queue(&*vault, &one, 9_000);
    let history = stored(&*vault, &one);
    for until in [9_500, 9_900] {
        let again = some(keep(&*vault, &one, 10, until), "what still waits");
        assert_eq!(again.connections, std::slice::from_ref(&history));
        assert_eq!(ended(&again), [(Some("access-1"), Some("refresh-1"))]);
        assert_eq!(again.ended[0].pending, Some(pending), "it is the same one");
        assert!(again.still_used_by.is_empty());
    }
    assert_eq!(only(take(&*vault, 70)).attempts, 1);
    let again = some(keep(&*vault, &one, 71, 9_900), "what still waits");
    assert_eq!(again.ended[0].attempts, 1);
    must(vault.settle_revocation(&one.tenant, pending, Settlement::Confirmed, at(72)));
    assert!(keep(&*vault, &one, 73, 9_900).is_none());
    let entries = must(vault.audit(&AuditFilter::of(&one.tenant)));
    let revoked = entries.iter().filter(|entry| entry.kind == AuditKind::Revoked);
    assert_eq!(revoked.count(), 1, "it was revoked once");
}

fn all_of_it(make: Make<'_>) {
    let (vault, one) = with_one(make);
    let pending = queue(&*vault, &one, 9_000);
    let (second, _) = reconnect(&*vault, &stored(&*vault, &one), 2, "2");
    let (third, _) = reconnect(&*vault, &second, 3, "3");
    let gone = some(keep(&*vault, &third, 10, 9_500), "the revocation");
    assert_eq!(
        ended(&gone),
        [
            (Some("access-1"), Some("refresh-1")),
            (Some("access-2"), Some("refresh-2")),
            (Some("access-3"), Some("refresh-3")),
        ]
    );
    let ids: std::collections::HashSet<_> = gone.ended.iter().map(|ended| ended.pending).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.contains(&Some(pending)) && !ids.contains(&None));
    assert_eq!(take(&*vault, 100).len(), 3);
}

fn settled(make: Make<'_>) {
    let (vault, one) = with_one(make);
    let pending = queue(&*vault, &one, 9_000);
    assert_eq!(only(take(&*vault, 60)).attempts, 1);
    assert!(take(&*vault, 89).is_empty(), "it is lent");
    assert_eq!(only(take(&*vault, 90)).attempts, 2, "who had it has died");
    let again = Settlement::Again { at: at(500) };
    must(vault.settle_revocation(&one.tenant, pending, again, at(91)));
    assert!(take(&*vault, 499).is_empty());
    assert_eq!(only(take(&*vault, 500)).attempts, 3);
    let elsewhere = tenant("other");
    must(vault.settle_revocation(&elsewhere, pending, Settlement::Confirmed, at(501)));
    assert_eq!(
        only(take(&*vault, 600)).id,
        pending,
        "another tenant does not end it"
    );
    for _ in 0..2 {
        must(vault.settle_revocation(&one.tenant, pending, Settlement::Confirmed, at(601)));
    }
    must(vault.settle_revocation(&one.tenant, pending, again, at(602)));
    assert!(take(&*vault, 8_000).is_empty());
    let told: Vec<_> = must(vault.audit(&AuditFilter::of(&one.tenant)))
        .into_iter()
        .filter(|entry| entry.kind == AuditKind::RevocationEnded)
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].detail.as_deref(), Some("confirmed"));
    assert_eq!((told[0].at, told[0].connection), (at(601), Some(one.id)));
}

fn given_up(make: Make<'_>) {
    let (vault, one) = with_one(make);
    queue(&*vault, &one, 1_000);
    assert!(take(&*vault, 1_000).is_empty());
    let entries = must(vault.audit(&AuditFilter::of(&one.tenant)));
    let last = some(entries.last(), "an entry");
    assert_eq!(
        (last.kind, last.detail.as_deref()),
        (AuditKind::RevocationEnded, Some("given_up"))
    );
    assert_eq!(last.at, at(1_000));
    assert!(take(&*vault, 60).is_empty(), "it is gone");
}

fn late(make: Make<'_>) {
    let (vault, one) = with_one(make);
    assert!(revoke(&*vault, &one, 0).is_some());
    let mut grant = grant_of(&one, 1, 2);
    grant.parameters = [("site".to_owned(), "a".to_owned())].into();
    assert!(must(vault.queue_revocation(&LateTokens {
        grant: &grant,
        connection: one.id,
        tokens: &tokens("late"),
        now: at(5),
        give_up_at: at(9_000),
    })));
    assert!(take(&*vault, 4).is_empty());
    let taken = only(take(&*vault, 5));
    assert_eq!(secrets(&taken), (Some("access-late"), Some("refresh-late")));
    assert_eq!((taken.connection, taken.give_up_at), (one.id, at(9_000)));
    assert_eq!((taken.grant.id, taken.grant.generation), (gid(1), 2));
    assert_eq!(taken.grant.parameters, grant.parameters);
    assert!(token(&*vault, &one.tenant, id(1)).is_none());
    let again = some(revoke(&*vault, &one, 9), "what still waits");
    assert_eq!(ended(&again), [(Some("access-late"), Some("refresh-late"))]);
    must(vault.settle_revocation(&one.tenant, taken.id, Settlement::Refused, at(10)));
    assert!(revoke(&*vault, &one, 11).is_none());
}

fn refused(make: Make<'_>) {
    let (vault, one) = with_one(make);
    let (held, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    let refusal = RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at: at(5),
        quarantined_until: Some(at(900)),
    };
    fail(&*vault, &held, &refusal);
    let revoked = some(keep(&*vault, &one, 0, 9_000), "the revocation");
    assert_eq!(ended(&revoked), [(None, Some("refresh-1"))]);
    assert_eq!(secrets(&only(take(&*vault, 60))), (None, Some("refresh-1")));
    let swept = must(vault.sweep(&super::sweep::limits(900, 9)));
    assert_eq!(swept.quarantines, 0, "it was revoked");
}

fn limited(make: Make<'_>) {
    let vault = make();
    for number in 1..=3 {
        let one = connection("acme", number, personal("alice"));
        super::connect(&*vault, &one, &number.to_string());
        queue(&*vault, &one, 9_000);
    }
    let take = |limit| must(vault.take_revocations(at(60), Duration::from_secs(30), limit)).len();
    assert_eq!([take(0), take(2), take(2), take(2)], [0, 2, 1, 0]);
}
