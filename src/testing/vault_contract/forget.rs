//! Forgetting users and tenants.

use super::{
    Attempt, Check, ClaimOutcome, Make, access, at, claim, claim_of, commit_to, connect, connection, consent,
    gid, granted, id, must, personal, reconnect, revocations, sharing, some, state, stored, tenant, user,
    verifier, with_one,
};
use crate::model::Owner;
use crate::vault::{
    AuditChain, AuditFilter, AuditKind, CommitOutcome, ConnectionQuery, Erasure, Forget, Forgotten, Vault,
};

pub(super) const CHECKS: &[Check] = &[
    (
        "a forgotten user leaves nothing, other users are unaffected",
        person,
    ),
    (
        "a forgotten user's grants are deleted, including former ones",
        grants,
    ),
    ("a forgotten tenant leaves nothing and may come back", workspace),
    ("a receipt is proved as long as the vault exists", receipts),
];

#[track_caller]
pub(super) fn forget(
    vault: &dyn Vault,
    tenant_name: &str,
    name: Option<&str>,
    now: i64,
) -> Option<Forgotten> {
    let user = name.map(user);
    must(vault.forget(&Forget {
        tenant: &tenant(tenant_name),
        user: user.as_ref(),
        by: None,
        now: at(now),
    }))
}

fn person(make: Make<'_>) {
    let (vault, alices) = with_one(make);
    for (number, owner) in [(2, personal("bob")), (3, Owner::Workspace)] {
        connect(&*vault, &connection("acme", number, owner), "2");
    }
    let elsewhere = connection("other", 1, personal("alice"));
    connect(&*vault, &elsewhere, "1");
    must(vault.insert_consent(&consent("acme", "alices"), Some(&verifier())));
    let mut bobs = consent("acme", "bobs");
    (bobs.user, bobs.owner) = (user("bob"), personal("bob"));
    must(vault.insert_consent(&bobs, None));
    let forgotten = some(forget(&*vault, "acme", Some("alice"), 5), "a receipt");
    assert_eq!((forgotten.connections, forgotten.at), (1, at(5)));
    assert!(must(vault.connection(&alices.tenant, id(1))).is_none());
    assert!(must(vault.grant(&alices.tenant, gid(1))).is_none());
    assert!(must(vault.consent(&alices.tenant, &state("alices"))).is_none());
    assert!(must(vault.consent(&alices.tenant, &state("bobs"))).is_some());
    assert_eq!(
        must(vault.connections(&ConnectionQuery::of(&alices.tenant))).len(),
        2
    );
    assert_eq!(stored(&*vault, &elsewhere), elsewhere);
    assert!(forget(&*vault, "nowhere", Some("alice"), 5).is_none());
    let entries = must(vault.audit(&AuditFilter::of(&alices.tenant)));
    let last = some(entries.last(), "an entry");
    assert_eq!((last.kind, last.at), (AuditKind::UserForgotten, at(5)));
    assert_eq!((&last.user, &last.actor), (&None, &None), "it names nobody");
    let report = must(vault.verify_chain(&AuditChain::Tenant(alices.tenant), &mut |_, _| ()));
    assert!(
        report.is_intact(),
        "the rows are gone with good reason: {report:?}"
    );
}

fn grants(make: Make<'_>) {
    let (vault, two) = sharing::with_two(make);
    let grant = sharing::shared_grant(7, 2);
    let both = sharing::users(&grant);
    super::store(&*vault, &grant, &both, &super::tokens("2"));
    let mut third = connection("acme", 4, personal("alice"));
    third.label = Some(super::label("work"));
    connect(&*vault, &third, "4");
    let pending = revocations::keep(&*vault, &third, 0, 9_000);
    assert!(pending.is_some());
    let third = stored(&*vault, &third);
    reconnect(&*vault, &third, 5, "5");
    let (held, _) = granted(claim_of(&*vault, 7, 2, Attempt::Forced, 1));
    let forgotten = some(forget(&*vault, "acme", Some("alice"), 5), "a receipt");
    assert_eq!(forgotten.connections, 3);
    for number in [1, 4, 5, 7] {
        assert_eq!(must(vault.grant(&two[0].tenant, gid(number))), None);
    }
    assert!(revocations::take(&*vault, 8_000).is_empty());
    assert_eq!(commit_to(&*vault, 7, &held, "late"), CommitOutcome::Gone);
    assert!(matches!(
        claim_of(&*vault, 7, 2, Attempt::Forced, 1),
        ClaimOutcome::Gone
    ));
    let again = some(forget(&*vault, "acme", Some("alice"), 6), "a receipt");
    assert_eq!(again.connections, 0);
}

fn workspace(make: Make<'_>) {
    let (vault, one) = with_one(make);
    assert!(revocations::keep(&*vault, &one, 0, 9_000).is_some());
    connect(&*vault, &connection("acme", 2, Owner::Workspace), "2");
    let neighbour = connection("other", 1, personal("alice"));
    connect(&*vault, &neighbour, "1");
    must(vault.insert_consent(&consent("acme", "one"), Some(&verifier())));
    let head = some(must(vault.audit_heads(Some(&one.tenant))).pop(), "a head");
    let forgotten = some(forget(&*vault, "acme", None, 5), "a receipt");
    assert_eq!((forgotten.connections, forgotten.at), (2, at(5)));
    assert!(forget(&*vault, "acme", None, 5).is_none());
    assert!(must(vault.connections(&ConnectionQuery::of(&one.tenant))).is_empty());
    assert!(must(vault.consent(&one.tenant, &state("one"))).is_none());
    assert!(must(vault.grant(&one.tenant, gid(2))).is_none());
    assert!(matches!(
        claim_of(&*vault, 2, 1, Attempt::Forced, 5),
        ClaimOutcome::Gone
    ));
    assert!(revocations::take(&*vault, 8_000).is_empty());
    assert!(must(vault.audit(&AuditFilter::of(&one.tenant))).is_empty());
    assert!(must(vault.audit_heads(Some(&one.tenant))).is_empty());
    assert!(!must(vault.proves(&head)), "its chain is gone");
    assert!(matches!(
        must(vault.clear_residue()),
        Erasure::Cleared | Erasure::Pending
    ));
    assert_eq!(access(&*vault, &neighbour).as_deref(), Some("access-1"));
    connect(&*vault, &one, "new");
    assert_eq!(access(&*vault, &one).as_deref(), Some("access-new"));
    granted(claim(&*vault, 1, Attempt::Forced, 6));
    let entries = must(vault.audit(&AuditFilter::of(&one.tenant)));
    let told: Vec<_> = entries.iter().map(|entry| (entry.number, entry.kind)).collect();
    assert_eq!(told, [(1, AuditKind::ConsentCompleted)]);
    for chain in [AuditChain::Vault, AuditChain::Tenant(one.tenant)] {
        assert!(must(vault.verify_chain(&chain, &mut |_, _| ())).is_intact());
    }
}

fn receipts(make: Make<'_>) {
    let (vault, one) = with_one(make);
    connect(&*vault, &connection("other", 1, personal("alice")), "1");
    let of_person = some(forget(&*vault, "acme", Some("alice"), 5), "a receipt");
    let of_workspace = some(forget(&*vault, "other", None, 6), "a receipt");
    assert_eq!(of_person.proof.chain, AuditChain::Tenant(one.tenant.clone()));
    assert_eq!(of_workspace.proof.chain, AuditChain::Vault);
    connect(&*vault, &one, "new");
    for receipt in [&of_person, &of_workspace] {
        assert!(must(vault.proves(&receipt.proof)));
        let mut forged = receipt.proof.clone();
        forged.mac[0] ^= 1;
        assert!(!must(vault.proves(&forged)));
        forged = receipt.proof.clone();
        forged.number += 1;
        assert!(!must(vault.proves(&forged)));
    }
    assert!(!must(make().proves(&of_workspace.proof)), "of another vault");
}
