//! The chains of the audit: heads, verification, and pruning.

use std::sync::Arc;
use std::time::Duration;

use super::audit::token_use;
use super::{
    Attempt, Check, Make, at, claim, commit_to, connect, connection, consent, fail, forget, gid, granted,
    must, personal, reconnect, revoke, sharing, some, stored, sweep, tenant, verifier, with_one,
};
use crate::model::{NeedsConsent, TenantId};
use crate::vault::{
    AuditChain, AuditFilter, AuditHead, AuditKind, AuditReport, CommitOutcome, RefreshFailure, Retention,
    Rotation, Taken, UseRecord, Vault,
};

pub(super) const CHECKS: &[Check] = &[
    ("an empty vault has intact chains", empty),
    ("every chain is intact after all kinds of changes", intact),
    ("each chain has its own head", heads),
    ("an exported head is proved, another is not", proved),
    ("nothing is pruned without a period", for_ever),
    ("token uses and changes have separate retention periods", periods),
    ("the newest entry about a connection's tokens survives", newest),
    ("pruning is bounded and continues where it stopped", bounded),
    (
        "heads and receipts are proved after their entries were pruned",
        pruned_heads,
    ),
    ("pruning the chain of a forgotten user keeps it intact", forgotten),
];

fn verify(vault: &dyn Vault, chain: &AuditChain) -> AuditReport {
    let mut last = None;
    let report = must(vault.verify_chain(chain, &mut |done, total| {
        assert!(done <= total);
        assert!(last.is_none_or(|last| last <= done), "it only grows");
        last = Some(done);
    }));
    assert!(report.is_intact(), "{chain:?}: {report:?}");
    report
}

/// Verifies every chain that the vault lists, and the one that only old vaults have.
fn verify_all(vault: &dyn Vault) {
    for head in must(vault.audit_heads(None)) {
        let _ = verify(vault, &head.chain);
        assert!(must(vault.proves(&head)));
    }
    for chain in [AuditChain::Legacy, AuditChain::Vault] {
        let _ = verify(vault, &chain);
    }
}

fn acme() -> AuditChain {
    AuditChain::Tenant(tenant("acme"))
}

/// Sweeps the audit at this second.
fn prune(vault: &dyn Vault, now: i64, retention: Retention, rows: usize) -> usize {
    let mut limits = sweep::limits(now, rows);
    limits.consents_before = at(-9_999);
    limits.retention = retention;
    must(vault.sweep(&limits)).audit_entries
}

const SECOND: Duration = Duration::from_secs(1);

fn both() -> Retention {
    Retention::default().uses(SECOND).changes(SECOND)
}

/// Prunes until nothing is left to prune. Returns the number of deleted entries.
fn prune_all(vault: &dyn Vault, now: i64, retention: Retention) -> usize {
    // Entries kept for a row may only be deleted in a later pass.
    (0..6).map(|_| prune(vault, now, retention, 99)).sum()
}

fn empty(make: Make<'_>) {
    let vault = make();
    verify_all(&*vault);
    let report = verify(&*vault, &AuditChain::Tenant(tenant("nowhere")));
    assert_eq!(report.checked, 0);
    let (nowhere, acme) = (tenant("nowhere"), tenant("acme"));
    assert!(must(vault.audit_heads(Some(&nowhere))).is_empty());
    connect(&*vault, &connection("acme", 1, personal("alice")), "1");
    assert_eq!(must(vault.audit_heads(Some(&acme))).len(), 1);
}

/// Makes every kind of change, some of them several times.
fn change_everything(vault: &dyn Vault, acme: &TenantId) {
    must(vault.insert_consent(&consent("acme", "one"), Some(&verifier())));
    let taken = must(vault.take_consent(acme, &super::state("one"), at(1)));
    assert!(matches!(taken, Taken::Consent(..)));
    let grant = sharing::shared_grant(1, 1);
    let two = sharing::users(&grant);
    super::store(vault, &grant, &two, &super::tokens("1"));
    let (held, _) = granted(claim(vault, 1, Attempt::Due, 0));
    assert_eq!(commit_to(vault, 1, &held, "2"), CommitOutcome::Stored);
    let (held, _) = granted(claim(vault, 2, Attempt::Due, 101));
    let (mail, _) = reconnect(vault, &stored(vault, &two[0]), 5, "5");
    let refusal = RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at: at(102),
        quarantined_until: Some(at(200)),
    };
    assert_eq!(fail(vault, &held, &refusal), CommitOutcome::Stored);
    must(vault.sweep(&sweep::limits(300, 9)));
    must(vault.set_default(acme, mail.id, None, at(301)));
    must(vault.record_uses(&[token_use(acme, 2, 302)], UseRecord::Entries));
    must(vault.rotate(Rotation::DataKey(acme), at(303)));
    must(vault.rotate(Rotation::Tokens { limit: 9 }, at(304)));
    let (mail, _) = reconnect(vault, &stored(vault, &mail), 6, "6");
    assert!(sharing::revoke_grant(vault, gid(5), 305).is_some());
    let needed = super::need_consent(vault, &mail, mail.generation, NeedsConsent::Expired);
    assert_eq!(needed, CommitOutcome::Stored);
    assert!(super::revocations::keep(vault, &two[1], 306, 307).is_none_or(|it| it.ended.is_empty()));
    let bobs = connection("acme", 8, personal("bob"));
    connect(vault, &bobs, "bob");
    assert!(super::revocations::keep(vault, &bobs, 308, 400).is_some());
    must(vault.take_revocations(at(500), super::LEASE, 9));
}

fn intact(make: Make<'_>) {
    let vault = with_another(make);
    let acme = tenant("acme");
    change_everything(&*vault, &acme);
    verify_all(&*vault);
    assert!(forget::forget(&*vault, "acme", Some("bob"), 600).is_some());
    verify_all(&*vault);
    assert!(forget::forget(&*vault, "other", None, 601).is_some());
    verify_all(&*vault);
    let report = verify(&*vault, &self::acme());
    let entries = must(vault.audit(&AuditFilter::of(&acme)));
    assert_eq!(report.checked, entries.len() as u64);
}

/// Returns a vault with a connection of another tenant.
fn with_another(make: Make<'_>) -> Arc<dyn Vault> {
    let vault = make();
    connect(&*vault, &connection("other", 1, personal("alice")), "1");
    vault
}

fn heads(make: Make<'_>) {
    let (vault, one) = with_one(make);
    connect(&*vault, &connection("other", 1, personal("alice")), "1");
    connect(&*vault, &connection("acme", 2, personal("bob")), "1");
    let other = tenant("other");
    let numbers = || {
        let mut numbers: Vec<_> = must(vault.audit_heads(None))
            .into_iter()
            .filter_map(|head| match head.chain {
                AuditChain::Tenant(name) => Some((name, head.number)),
                _ => None,
            })
            .collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(numbers(), [(one.tenant.clone(), 2), (other.clone(), 1)]);
    let head = some(must(vault.audit_heads(Some(&other))).pop(), "a head");
    assert_eq!(
        (&head.chain, head.number),
        (&AuditChain::Tenant(other.clone()), 1)
    );
    assert!(revoke(&*vault, &one, 5).is_some());
    assert_eq!(numbers(), [(one.tenant, 3), (other.clone(), 1)]);
    let again = some(must(vault.audit_heads(Some(&other))).pop(), "a head");
    assert_eq!(again, head, "another tenant's changes do not move it");
}

#[track_caller]
fn head_of(vault: &dyn Vault, name: &str) -> AuditHead {
    some(must(vault.audit_heads(Some(&tenant(name)))).pop(), "a head")
}

fn proved(make: Make<'_>) {
    let (vault, one) = with_one(make);
    let first = head_of(&*vault, "acme");
    assert!(revoke(&*vault, &one, 5).is_some());
    let second = head_of(&*vault, "acme");
    let written: AuditHead = must(second.to_string().parse());
    for head in [&first, &second, &written] {
        assert!(must(vault.proves(head)));
    }
    let mut forged = second.clone();
    forged.mac[31] ^= 1;
    assert!(!must(vault.proves(&forged)));
    forged = second.clone();
    forged.number = 1;
    assert!(!must(vault.proves(&forged)));
    forged.number = 99;
    assert!(!must(vault.proves(&forged)));
    forged = second;
    forged.chain = AuditChain::Tenant(tenant("nowhere"));
    assert!(!must(vault.proves(&forged)));
    let (another, _) = with_one(make);
    assert!(!must(another.proves(&first)), "of another vault");
}

fn for_ever(make: Make<'_>) {
    let (vault, one) = with_one(make);
    must(vault.record_uses(&[token_use(&one.tenant, 1, 5)], UseRecord::Entries));
    assert_eq!(prune(&*vault, 1_000_000, Retention::default(), 99), 0);
    assert_eq!(must(vault.audit(&AuditFilter::of(&one.tenant))).len(), 2);
}

fn periods(make: Make<'_>) {
    let (vault, one) = with_one(make);
    for seconds in [10, 20, 30] {
        must(vault.record_uses(&[token_use(&one.tenant, 1, seconds)], UseRecord::Entries));
        must(vault.set_default(&one.tenant, one.id, None, at(seconds + 1)));
    }
    let mut again = stored(&*vault, &one);
    again.refreshed_at = at(40);
    reconnect(&*vault, &again, 2, "2");
    let kinds = || super::audit::kinds(&*vault, "acme");
    let uses = |kinds: &[AuditKind]| kinds.iter().filter(|kind| **kind == AuditKind::TokenUsed).count();
    assert_eq!(kinds().len(), 8);
    assert_eq!(prune(&*vault, 26, Retention::default().uses(SECOND * 5), 99), 2);
    assert_eq!((kinds().len(), uses(&kinds())), (6, 1));
    verify_all(&*vault);
    assert_eq!(
        prune_all(&*vault, 27, Retention::default().changes(SECOND * 5)),
        3
    );
    assert_eq!((kinds().len(), uses(&kinds())), (3, 1));
    verify_all(&*vault);
    assert_eq!(prune_all(&*vault, 1_000, both()), 2);
    assert_eq!(kinds(), [AuditKind::ConsentCompleted]);
    verify_all(&*vault);
    let left = must(vault.audit(&AuditFilter::of(&one.tenant)));
    assert_eq!(left[0].number, 8, "numbers are not used again");
    assert!(must(vault.set_default(&one.tenant, one.id, None, at(2_000))));
    assert_eq!(head_of(&*vault, "acme").number, 9);
    verify_all(&*vault);
}

fn newest(make: Make<'_>) {
    let (vault, one) = with_one(make);
    let (held, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    assert_eq!(commit_to(&*vault, 1, &held, "2"), CommitOutcome::Stored);
    assert_eq!(prune_all(&*vault, 9_000, both()), 1, "the consent");
    assert_eq!(super::audit::kinds(&*vault, "acme"), [AuditKind::Refreshed]);
    verify_all(&*vault);
    assert!(revoke(&*vault, &one, 9_001).is_some());
    prune_all(&*vault, 99_000, both());
    let kinds = super::audit::kinds(&*vault, "acme");
    assert_eq!(kinds.last(), Some(&AuditKind::Revoked));
    verify_all(&*vault);
    reconnect(&*vault, &stored(&*vault, &one), 3, "3");
    prune_all(&*vault, 999_000, both());
    assert_eq!(
        super::audit::kinds(&*vault, "acme"),
        [AuditKind::ConsentCompleted]
    );
    verify_all(&*vault);
}

fn bounded(make: Make<'_>) {
    let (vault, one) = with_one(make);
    let uses: Vec<_> = (0..10).map(|at| token_use(&one.tenant, 1, at)).collect();
    must(vault.record_uses(&uses, UseRecord::Entries));
    connect(&*vault, &connection("other", 1, personal("alice")), "1");
    must(vault.record_uses(&[token_use(&tenant("other"), 1, 3)], UseRecord::Entries));
    let uses = Retention::default().uses(SECOND);
    let mut pruned = Vec::new();
    for _ in 0..5 {
        pruned.push(prune(&*vault, 1_000, uses, 4));
        verify_all(&*vault);
    }
    assert!(pruned.iter().all(|pruned| *pruned <= 4), "{pruned:?}");
    assert_eq!(pruned.iter().sum::<usize>(), 11);
    assert_eq!(
        super::audit::kinds(&*vault, "acme"),
        [AuditKind::ConsentCompleted]
    );
    assert_eq!(
        super::audit::kinds(&*vault, "other"),
        [AuditKind::ConsentCompleted]
    );
}

fn pruned_heads(make: Make<'_>) {
    let (vault, one) = with_one(make);
    let mut heads = vec![head_of(&*vault, "acme")];
    let mut receipts = Vec::new();
    let mut unexported = None;
    for number in 2..=5 {
        let (again, _) = reconnect(&*vault, &stored(&*vault, &one), number, "x");
        assert_eq!(again.generation, u64::from(number));
        if number == 3 {
            // Nothing exported this entry, so it cannot be recognized without its text.
            unexported = must(vault.audit(&AuditFilter::of(&one.tenant))).pop();
        } else {
            heads.push(head_of(&*vault, "acme"));
        }
        receipts.extend(forget::forget(&*vault, "acme", Some("nobody"), 50));
    }
    assert!(prune_all(&*vault, 100_000, both()) > 0);
    let left: Vec<_> = must(vault.audit(&AuditFilter::of(&one.tenant)))
        .iter()
        .map(|entry| entry.number)
        .collect();
    for head in heads.iter().chain(receipts.iter().map(|receipt| &receipt.proof)) {
        assert!(must(vault.proves(head)), "{head} with {left:?} left");
        let mut forged = head.clone();
        forged.mac[5] ^= 1;
        assert!(!must(vault.proves(&forged)));
    }
    let unexported = some(unexported, "an entry").number;
    assert!(!left.contains(&unexported));
    let mut forged = heads[0].clone();
    forged.number = unexported;
    assert!(!must(vault.proves(&forged)));
    verify_all(&*vault);
}

fn forgotten(make: Make<'_>) {
    // A pass may be interrupted at any point before a user is forgotten.
    for passes in 0..4 {
        let (vault, one) = with_one(make);
        let mut bobs = connection("acme", 2, personal("bob"));
        bobs.refreshed_at = at(9_000);
        connect(&*vault, &bobs, "1");
        for _ in 0..passes {
            let pruned = prune(&*vault, 9_000, both(), 99);
            assert_eq!(pruned, 0, "what tells of a row stays as long as the row");
        }
        assert!(forget::forget(&*vault, "acme", Some("alice"), 9_001).is_some());
        verify_all(&*vault);
        for _ in 0..6 {
            prune(&*vault, 99_000, both(), 1);
            verify_all(&*vault);
        }
        let left = must(vault.audit(&AuditFilter::of(&one.tenant)));
        let left: Vec<_> = left.iter().map(|entry| entry.number).collect();
        assert_eq!(left, [2], "only bob's is needed");
    }
}
