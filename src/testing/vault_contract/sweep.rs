//! Deletion of expired records.

use std::time::Duration;

use super::{
    Attempt, Check, Make, access, at, claim, commit_to, connection, consent, ended, gid, granted, must,
    personal, renewed, revoke, some, state, stored_none, tokens, verifier, with_one,
};
use crate::vault::{CommitOutcome, Erasure, NewGrant, Retention, StoreOutcome, SweepLimits, VaultError};

pub(super) const CHECKS: &[Check] = &[
    ("an empty vault has nothing to sweep", empty),
    ("sweeping is bounded and takes expired requests only", consents),
    ("former grants whose tokens are dead are deleted", dead),
    ("the tokens of a refresh in progress live longer", revived),
    ("residue is cleared, or the vault reports otherwise", residue),
    ("a backup is written to a new file, or not supported", backup),
];

/// Sweeps at this second, with at most this many rows of each kind. The audit is not pruned.
pub(super) fn limits(now: i64, rows: usize) -> SweepLimits {
    SweepLimits {
        now: at(now),
        consents_before: at(now),
        retention: Retention::default(),
        rows,
    }
}

fn empty(make: Make<'_>) {
    let mut all = limits(0, 9);
    all.retention = Retention::default()
        .uses(Duration::from_secs(1))
        .changes(Duration::from_secs(1));
    let vault = make();
    let swept = must(vault.sweep(&all));
    assert_eq!((swept.consents, swept.quarantines), (0, 0));
    assert_eq!((swept.former_grants, swept.audit_entries), (0, 0));
    assert!(!swept.more);
    assert!(vault.warnings().len() < 99, "they can be read");
}

fn consents(make: Make<'_>) {
    let vault = make();
    for (tenant, name) in [("acme", "a"), ("acme", "b"), ("other", "c")] {
        must(vault.insert_consent(&consent(tenant, name), Some(&verifier())));
    }
    let mut fresh = consent("acme", "fresh");
    fresh.expires_at = at(601);
    must(vault.insert_consent(&fresh, None));
    for (now, deleted, more) in [(600, 0, false), (601, 2, true), (601, 1, false), (601, 0, false)] {
        let swept = must(vault.sweep(&limits(now, 2)));
        assert_eq!((swept.consents, swept.more), (deleted, more));
    }
    assert_eq!(must(vault.consent(&fresh.tenant, &fresh.state)), Some(fresh));
}

fn dead(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let (grant, connection) = renewed(&first, 2);
    let outcome = must(vault.store_grant(&NewGrant {
        consent: &state("none"),
        grant: &grant,
        tokens: &tokens("2"),
        connections: std::slice::from_ref(&connection),
        former_dead_at: Some(at(1_000)),
    }));
    assert_eq!(outcome, StoreOutcome::Stored { former: vec![gid(1)] });
    let swept = |now, rows| must(vault.sweep(&limits(now, rows))).former_grants;
    assert_eq!((swept(999, 9), swept(1_000, 0)), (0, 0));
    assert!(must(vault.grant(&first.tenant, gid(1))).is_some());
    assert_eq!((swept(1_000, 9), swept(1_000, 9)), (1, 0));
    assert_eq!(must(vault.grant(&first.tenant, gid(1))), None);
    assert_eq!(access(&*vault, &connection).as_deref(), Some("access-2"));
    let revoked = some(revoke(&*vault, &connection, 1_001), "the revocation");
    assert_eq!(ended(&revoked), [(Some("access-2"), Some("refresh-2"))]);
}

fn revived(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let (held, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    let (grant, connection) = renewed(&first, 2);
    let outcome = must(vault.store_grant(&NewGrant {
        consent: &state("none"),
        grant: &grant,
        tokens: &tokens("2"),
        connections: std::slice::from_ref(&connection),
        former_dead_at: Some(at(1_000)),
    }));
    assert_eq!(outcome, StoreOutcome::Stored { former: vec![gid(1)] });
    assert_eq!(commit_to(&*vault, 1, &held, "late"), CommitOutcome::Former);
    assert_eq!(must(vault.sweep(&limits(1_000, 9))).former_grants, 0);
    let revoked = some(revoke(&*vault, &connection, 1_001), "the revocation");
    assert_eq!(
        ended(&revoked),
        [
            (Some("access-2"), Some("refresh-2")),
            (Some("access-late"), Some("refresh-late"))
        ]
    );
}

fn residue(make: Make<'_>) {
    let vault = make();
    let first = connection("acme", 1, personal("alice"));
    let grant = super::grant_of(&first, 1, 1);
    let outcome = super::store(&*vault, &grant, std::slice::from_ref(&first), &tokens("1"));
    assert_eq!(outcome, stored_none());
    assert!(revoke(&*vault, &first, 9).is_some());
    assert!(matches!(
        must(vault.clear_residue()),
        Erasure::Cleared | Erasure::Pending
    ));
    assert_eq!(access(&*vault, &first), None);
}

fn backup(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let outcome = vault.backup(std::path::Path::new("/"));
    assert!(
        matches!(
            outcome,
            Err(VaultError::UnsafePath(_) | VaultError::Unsupported(_) | VaultError::NotSupported(_))
        ),
        "something exists there: {outcome:?}"
    );
    assert_eq!(access(&*vault, &first).as_deref(), Some("access-1"));
}
