//! Former grants: grants replaced by a new consent, kept with their tokens to be revoked later.

use super::{
    Attempt, Check, ClaimOutcome, Make, StoreOutcome, access, claim, claim_of, commit_to, ended, fail, gid,
    granted, must, reconnect, revoke, sharing, some, store, stored, tokens, with_one,
};
use super::{at, tenant};
use crate::model::{FailureCode, GrantId, NeedsConsent, Status};
use crate::vault::{CommitOutcome, RefreshFailure, Vault};

pub(super) const CHECKS: &[Check] = &[
    (
        "a new consent turns the previous grant into a former grant",
        replaced,
    ),
    (
        "former grants follow the connection from grant to grant",
        followed,
    ),
    (
        "a grant that another connection uses stays current, with its former grants",
        still_used,
    ),
    ("one consent replaces several grants", several),
    ("a former grant is not claimed", not_claimed),
    ("a refresh in progress is stored in the former grant", under_way),
    ("a refresh of a former grant may fail", fails),
    ("a former grant without tokens is deleted", without_tokens),
    ("a former grant ends alone, the connections go on", ends_alone),
    ("a current grant ends with its former grants", ends_together),
];

fn former_of(vault: &dyn Vault, number: u8) -> Option<GrantId> {
    some(must(vault.grant(&tenant("acme"), gid(number))), "a grant").former_of
}

fn replaced(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let before = some(must(vault.grant(&first.tenant, gid(1))), "the grant");
    let (second, former) = reconnect(&*vault, &first, 2, "2");
    assert_eq!(former, [gid(1)]);
    let after = some(must(vault.grant(&first.tenant, gid(1))), "the grant");
    let expected = crate::model::Grant {
        former_of: Some(gid(2)),
        ..before
    };
    assert_eq!(after, expected, "nothing else changed");
    assert_eq!(stored(&*vault, &second), second);
    assert_eq!(access(&*vault, &second).as_deref(), Some("access-2"));
    let revoked = some(revoke(&*vault, &second, 5), "the revocation");
    assert_eq!(
        ended(&revoked),
        [
            (Some("access-1"), Some("refresh-1")),
            (Some("access-2"), Some("refresh-2"))
        ]
    );
    let mut ids: Vec<_> = revoked
        .ended
        .iter()
        .map(|ended| (ended.grant.id, ended.grant.former_of, ended.grant.generation))
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [(gid(1), Some(gid(2)), 1), (gid(2), None, 2)]);
    let ended = &revoked.ended[0];
    assert_eq!((ended.pending, ended.attempts), (None, 0));
    assert_eq!(ended.grant.issued_by, *first.issued_by);
    assert_eq!(must(vault.grant(&first.tenant, gid(1))), None);
    assert!(revoke(&*vault, &second, 6).is_none());
}

fn followed(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let (second, _) = reconnect(&*vault, &first, 2, "2");
    let (third, mut former) = reconnect(&*vault, &second, 3, "3");
    former.sort_unstable();
    assert_eq!(former, [gid(1), gid(2)]);
    assert_eq!([former_of(&*vault, 1), former_of(&*vault, 2)], [Some(gid(3)); 2]);
    let needed = super::need_consent(&*vault, &third, 3, NeedsConsent::Expired);
    assert_eq!(needed, CommitOutcome::Stored);
    let (fourth, mut former) = reconnect(&*vault, &stored(&*vault, &third), 4, "4");
    former.sort_unstable();
    assert_eq!(former, [gid(1), gid(2)], "the third had no tokens");
    assert_eq!(must(vault.grant(&first.tenant, gid(3))), None);
    assert_eq!([former_of(&*vault, 1), former_of(&*vault, 2)], [Some(gid(4)); 2]);
    let revoked = some(revoke(&*vault, &fourth, 5), "the revocation");
    let access: Vec<_> = ended(&revoked).into_iter().map(|(access, _)| access).collect();
    assert_eq!(access, [Some("access-1"), Some("access-2"), Some("access-4")]);
    for number in [1, 2, 3] {
        assert_eq!(must(vault.grant(&first.tenant, gid(number))), None);
    }
}

fn still_used(make: Make<'_>) {
    let (vault, _) = sharing::with_two(make);
    let grant = sharing::shared_grant(2, 2);
    let [mail, calendar] = sharing::users(&grant);
    let both = [mail.clone(), calendar.clone()];
    let outcome = store(&*vault, &grant, &both, &tokens("2"));
    assert_eq!(outcome, StoreOutcome::Stored { former: vec![gid(1)] });
    let (mail, former) = reconnect(&*vault, &mail, 3, "3");
    assert_eq!(former, []);
    assert_eq!(
        [former_of(&*vault, 1), former_of(&*vault, 2)],
        [Some(gid(2)), None]
    );
    let revoked = some(revoke(&*vault, &mail, 5), "the revocation");
    assert_eq!(ended(&revoked), [(Some("access-3"), Some("refresh-3"))]);
    assert_eq!(access(&*vault, &calendar).as_deref(), Some("access-2"));
    let revoked = some(revoke(&*vault, &calendar, 6), "the revocation");
    assert_eq!(
        ended(&revoked),
        [
            (Some("access-1"), Some("refresh-1")),
            (Some("access-2"), Some("refresh-2"))
        ]
    );
}

fn several(make: Make<'_>) {
    let vault = make();
    let [mut mail, mut calendar] = sharing::users(&sharing::shared_grant(1, 1));
    (mail.grant, calendar.grant) = (gid(5), gid(6));
    super::connect(&*vault, &mail, "mail");
    super::connect(&*vault, &calendar, "calendar");
    let (mail, _) = reconnect(&*vault, &mail, 7, "mail-2");
    let grant = sharing::shared_grant(1, 3);
    let outcome = store(&*vault, &grant, &[mail, calendar], &tokens("both"));
    let StoreOutcome::Stored { mut former } = outcome else {
        panic!("not stored");
    };
    former.sort_unstable();
    assert_eq!(former, [gid(5), gid(6), gid(7)]);
    for number in [5, 6, 7] {
        assert_eq!(former_of(&*vault, number), Some(gid(1)));
    }
    let revoked = some(sharing::revoke_grant(&*vault, gid(1), 9), "the revocation");
    assert_eq!(revoked.ended.len(), 4);
    assert_eq!(revoked.connections.len(), 2);
}

fn not_claimed(make: Make<'_>) {
    let (vault, first) = with_one(make);
    reconnect(&*vault, &first, 2, "2");
    for attempt in [Attempt::Due, Attempt::Forced, Attempt::Quarantined] {
        let outcome = claim(&*vault, 1, attempt, 5);
        assert!(
            matches!(outcome, ClaimOutcome::Moved),
            "the connections use another grant: {outcome:?}"
        );
    }
    granted(claim_of(&*vault, 2, 2, Attempt::Forced, 5));
}

fn under_way(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let (held, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    let (second, _) = reconnect(&*vault, &first, 2, "2");
    assert_eq!(commit_to(&*vault, 1, &held, "late"), CommitOutcome::Former);
    assert_eq!(
        commit_to(&*vault, 1, &held, "x"),
        CommitOutcome::Superseded,
        "a second time"
    );
    assert_eq!(former_of(&*vault, 1), Some(gid(2)));
    assert_eq!(stored(&*vault, &second), second);
    assert_eq!(access(&*vault, &second).as_deref(), Some("access-2"));
    let revoked = some(revoke(&*vault, &second, 5), "the revocation");
    assert_eq!(
        ended(&revoked),
        [
            (Some("access-2"), Some("refresh-2")),
            (Some("access-late"), Some("refresh-late"))
        ]
    );
    assert_eq!(commit_to(&*vault, 1, &held, "x"), CommitOutcome::Gone);
}

fn fails(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let (held, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    let (second, _) = reconnect(&*vault, &first, 2, "2");
    let failure = RefreshFailure::Transient {
        setup: None,
        code: FailureCode::TimedOut,
        at: at(1),
        not_before: at(31),
    };
    assert_eq!(fail(&*vault, &held, &failure), CommitOutcome::Stored);
    assert_eq!(stored(&*vault, &second), second);
    let revoked = some(revoke(&*vault, &second, 5), "the revocation");
    assert_eq!(revoked.ended.len(), 2);
}

fn without_tokens(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let (held, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    let (second, _) = reconnect(&*vault, &first, 2, "2");
    let refusal = RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at: at(1),
        quarantined_until: None,
    };
    assert_eq!(fail(&*vault, &held, &refusal), CommitOutcome::Stored);
    assert_eq!(must(vault.grant(&first.tenant, gid(1))), None);
    assert_eq!(stored(&*vault, &second), second);
    assert_eq!(access(&*vault, &second).as_deref(), Some("access-2"));
    assert_eq!(fail(&*vault, &held, &refusal), CommitOutcome::Gone);
}

fn ends_alone(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let (second, _) = reconnect(&*vault, &first, 2, "2");
    let (third, _) = reconnect(&*vault, &second, 3, "3");
    let revoked = some(sharing::revoke_grant(&*vault, gid(1), 5), "the revocation");
    assert_eq!(ended(&revoked), [(Some("access-1"), Some("refresh-1"))]);
    assert!(revoked.connections.is_empty(), "none ended");
    assert_eq!(must(vault.grant(&first.tenant, gid(1))), None);
    assert!(sharing::revoke_grant(&*vault, gid(1), 6).is_none());
    assert_eq!(stored(&*vault, &third), third);
    assert_eq!(access(&*vault, &third).as_deref(), Some("access-3"));
    let revoked = some(revoke(&*vault, &third, 7), "the revocation");
    assert_eq!(
        ended(&revoked),
        [
            (Some("access-2"), Some("refresh-2")),
            (Some("access-3"), Some("refresh-3"))
        ]
    );
}

fn ends_together(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let (second, _) = reconnect(&*vault, &first, 2, "2");
    let revoked = some(sharing::revoke_grant(&*vault, gid(2), 5), "the revocation");
    assert_eq!(revoked.ended.len(), 2);
    assert_eq!(revoked.connections, [stored(&*vault, &second)]);
    assert_eq!(revoked.connections[0].status, Status::Revoked);
    assert_eq!(must(vault.grant(&first.tenant, gid(1))), None);
}
