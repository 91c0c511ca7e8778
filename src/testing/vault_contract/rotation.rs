//! Key rotation, as far as it is visible through the interface.

use super::{
    Attempt, Check, Make, access, at, claim, connect, connection, consent, ended, granted, must, personal,
    reconnect, revocations, revoke, some, state, stored, tenant, verifier, with_one,
};
use crate::vault::{AuditChain, AuditFilter, AuditKind, Rotation, Taken};

pub(super) const CHECKS: &[Check] = &[
    ("a new data key has no visible effect", data_key),
    ("an old data key is destroyed once it is unused", destroyed),
    ("the master key that is active needs no rotation", master_key),
    ("a missing tenant is not rotated", nothing),
];

const ALL: Rotation<'static> = Rotation::Tokens { limit: 99 };

fn data_key(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let acme = tenant("acme");
    let (second, _) = reconnect(&*vault, &first, 2, "2");
    must(vault.insert_consent(&consent("acme", "one"), Some(&verifier())));
    for seconds in [3, 4] {
        let rotated = must(vault.rotate(Rotation::DataKey(&acme), at(seconds)));
        assert_eq!((rotated.done, rotated.destroyed), (1, 0));
    }
    let entries = must(vault.audit(&AuditFilter::of(&acme)));
    let told: Vec<_> = entries
        .iter()
        .filter(|entry| entry.kind == AuditKind::DataKeyRotated)
        .collect();
    assert_eq!(
        told.iter().map(|entry| entry.at).collect::<Vec<_>>(),
        [at(3), at(4)]
    );
    assert_eq!(stored(&*vault, &second), second);
    assert_eq!(access(&*vault, &second).as_deref(), Some("access-2"));
    let mut left = 9;
    for _ in 0..9 {
        let rotated = must(vault.rotate(Rotation::Tokens { limit: 1 }, at(5)));
        assert!(rotated.done <= 1);
        left = rotated.remaining;
    }
    assert_eq!(left, 1, "a consent request keeps one of them alive");
    assert_eq!(access(&*vault, &second).as_deref(), Some("access-2"));
    let taken = must(vault.take_consent(&acme, &state("one"), at(6)));
    assert!(matches!(taken, Taken::Consent(_, Some(_))));
    let rotated = must(vault.rotate(ALL, at(7)));
    assert_eq!((rotated.destroyed, rotated.remaining), (1, 0));
    assert!(rotated.is_finished());
    let chain = AuditChain::Tenant(acme);
    assert!(must(vault.verify_chain(&chain, &mut |_, _| ())).is_intact());
    let revoked = some(revoke(&*vault, &second, 8), "the revocation");
    assert_eq!(
        ended(&revoked),
        [
            (Some("access-1"), Some("refresh-1")),
            (Some("access-2"), Some("refresh-2"))
        ],
        "former grants were sealed again as well"
    );
}

fn destroyed(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let mut bobs = connection("acme", 2, personal("bob"));
    bobs.expires_at = None;
    connect(&*vault, &bobs, "bob");
    let (held, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    assert!(revocations::keep(&*vault, &bobs, 1, 9_000).is_some());
    must(vault.rotate(Rotation::DataKey(&first.tenant), at(2)));
    let rotated = must(vault.rotate(ALL, at(3)));
    assert_eq!((rotated.done, rotated.destroyed, rotated.remaining), (1, 0, 1));
    let outcome = super::commit_to(&*vault, 1, &held, "2");
    assert_eq!(outcome, crate::vault::CommitOutcome::Stored, "claims survive");
    let pending = revocations::take(&*vault, 100);
    assert_eq!(pending.len(), 1);
    assert!(pending[0].refresh_token.is_some());
    let confirmed = crate::vault::Settlement::Confirmed;
    must(vault.settle_revocation(&bobs.tenant, pending[0].id, confirmed, at(101)));
    let rotated = must(vault.rotate(ALL, at(102)));
    assert_eq!((rotated.done, rotated.destroyed, rotated.remaining), (0, 1, 0));
    assert_eq!(access(&*vault, &first).as_deref(), Some("access-2"));
}

fn master_key(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let rotated = must(vault.rotate(Rotation::MasterKey { limit: 99 }, at(2)));
    assert_eq!((rotated.done, rotated.remaining), (0, 0));
    assert!(rotated.is_finished());
    assert_eq!(access(&*vault, &first).as_deref(), Some("access-1"));
    let told = must(vault.audit_heads(None));
    let vaults = told.iter().find(|head| head.chain == AuditChain::Vault);
    assert!(vaults.is_none_or(|head| head.number == 0), "nothing happened");
}

fn nothing(make: Make<'_>) {
    let vault = make();
    let nowhere = tenant("nowhere");
    for rotation in [Rotation::MasterKey { limit: 9 }, Rotation::DataKey(&nowhere), ALL] {
        let rotated = must(vault.rotate(rotation, at(1)));
        assert_eq!((rotated.done, rotated.destroyed), (0, 0));
        assert!(rotated.is_finished());
    }
    assert!(must(vault.audit(&AuditFilter::of(&nowhere))).is_empty());
}
