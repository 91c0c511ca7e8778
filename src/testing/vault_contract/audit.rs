//! What is told, what waits for a provider, what is forgotten.

use std::time::Duration;

use super::{
    Attempt, Check, Make, StoreOutcome, access, at, claim, connection, consent, grant, granted, id, must,
    personal, provider, some, stored, tenant, tokens, user, verifier, with_one,
};
use crate::model::{Actor, Connection, NeedsConsent, Owner};
use crate::secret::{AccessToken, RefreshToken};
use crate::vault::{
    AuditFilter, AuditKind, AuditOrder, ConnectionQuery, Handout, PendingRevocation, RefreshFailure, Renewed,
    Settlement, Vault,
};

pub(super) const CHECKS: &[Check] = &[
    ("each change is told once, to its own tenant", told),
    ("an entry names whose connection it is, and who acted", acted),
    ("the newest entries can be read first", newest_first),
    ("a use is told and counts as a use", used),
    ("a revocation waits for the provider with its tokens", queued),
    ("a pending revocation is lent, tried again, and ended", settled),
    ("a pending revocation is given up in time", given_up),
    ("late tokens wait for the provider", late),
    ("a revocation hands out what is in quarantine", refused),
    (
        "a forgotten person leaves nothing, a neighbour everything",
        user_forgotten,
    ),
    (
        "a forgotten tenant leaves nothing and may come back",
        tenant_forgotten,
    ),
];

const LEASE: Duration = Duration::from_secs(30);

fn kinds(vault: &dyn Vault, name: &str) -> Vec<AuditKind> {
    must(vault.audit(&AuditFilter::of(&tenant(name))))
        .into_iter()
        .map(|entry| entry.kind)
        .collect()
}

fn told(make: Make<'_>) {
    let vault = make();
    assert!(kinds(&*vault, "acme").is_empty());
    must(vault.insert_consent(&consent("acme", "one"), Some(&verifier())));
    let one = connection("acme", 1, personal("alice"));
    assert_eq!(grant(&*vault, &one, &tokens("1")), StoreOutcome::Stored);
    let mut stale = one.clone();
    stale.generation = 7;
    assert_eq!(grant(&*vault, &stale, &tokens("1")), StoreOutcome::Conflict);
    let (held, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    let refusal = RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at: at(5),
        quarantined_until: None,
    };
    must(vault.fail_refresh(&one.tenant, one.id, &held, &refusal));
    must(vault.fail_refresh(&one.tenant, one.id, &held, &refusal));
    assert!(must(vault.revoke(&one.tenant, one.id, None, at(9))).is_some());
    assert!(must(vault.revoke(&one.tenant, one.id, None, at(9))).is_none());
    let expected = [
        AuditKind::ConsentStarted,
        AuditKind::ConsentCompleted,
        AuditKind::RefreshRejected,
        AuditKind::Revoked,
    ];
    assert_eq!(kinds(&*vault, "acme"), expected);
    assert!(kinds(&*vault, "other").is_empty());
    let acme = tenant("acme");
    let mut filter = AuditFilter::of(&acme);
    let all = must(vault.audit(&filter));
    assert_eq!(all[1].connection, Some(one.id));
    assert_eq!(all[1].user, Some(user("alice")));
    assert_eq!(all[1].provider, Some(provider("gmail")));
    assert_eq!(all[1].generation, Some(1));
    assert_eq!(all[2].detail.as_deref(), Some("rejected"));
    assert_eq!((all[2].at, all[3].at), (at(5), at(9)));
    (filter.after, filter.limit) = (all[0].number, 2);
    assert_eq!(must(vault.audit(&filter)), all[1..3]);
}

fn acted(make: Make<'_>) {
    let vault = make();
    let (alice, olga) = (user("alice"), user("olga"));
    let operator = Actor::Operator(olga.clone());
    let owner = Actor::User(alice.clone());
    let acme = tenant("acme");
    for number in [1, 2, 3] {
        let one = connection("acme", number, personal("alice"));
        assert_eq!(grant(&*vault, &one, &tokens("1")), StoreOutcome::Stored);
    }
    let (held, _) = granted(claim(&*vault, 1, Attempt::Forced, 0));
    let new = tokens("2");
    let renewed = Renewed {
        tokens: &new,
        granted: None,
        expires_at: None,
        at: at(1),
        by: Some(&operator),
    };
    must(vault.commit_refresh(&acme, id(1), &held, &renewed));
    must(vault.set_default(&acme, id(1), Some(&owner)));
    must(vault.revoke(&acme, id(1), Some(&operator), at(2)));
    must(vault.revoke_and_queue(&acme, id(2), Some(&owner), at(3), at(9_000)));
    must(vault.revoke(&acme, id(3), None, at(4)));
    let filter = AuditFilter::of(&acme);
    let told: Vec<_> = must(vault.audit(&filter))
        .into_iter()
        .skip(3)
        .map(|entry| (entry.kind, entry.user, entry.actor))
        .collect();
    let of_alice = |kind, actor: Option<&Actor>| (kind, Some(alice.clone()), actor.cloned());
    let expected = [
        of_alice(AuditKind::Refreshed, Some(&operator)),
        of_alice(AuditKind::DefaultSet, Some(&owner)),
        of_alice(AuditKind::Revoked, Some(&operator)),
        of_alice(AuditKind::Revoked, Some(&owner)),
        of_alice(AuditKind::Revoked, None),
    ];
    assert_eq!(told, expected);
    let mut of_olga = AuditFilter::of(&acme);
    of_olga.user = Some(&olga);
    assert_eq!(
        must(vault.audit(&of_olga)).len(),
        2,
        "what she did is about her too"
    );

    // Who forgets somebody is named, and who is forgotten is not.
    must(vault.forget_user(&acme, &alice, Some(&operator), at(5)));
    must(vault.forget_user(&acme, &alice, Some(&owner), at(6)));
    let entries = must(vault.audit(&filter));
    let actors: Vec<_> = entries.iter().skip(8).map(|entry| entry.actor.as_ref()).collect();
    assert_eq!(actors, [Some(&operator), None]);
}

fn newest_first(make: Make<'_>) {
    let vault = make();
    for number in 1..=7 {
        let owner = personal(if number % 2 == 0 { "bob" } else { "alice" });
        let one = connection("acme", number, owner);
        assert_eq!(grant(&*vault, &one, &tokens("1")), StoreOutcome::Stored);
        let elsewhere = connection("other", number, personal("alice"));
        assert_eq!(grant(&*vault, &elsewhere, &tokens("1")), StoreOutcome::Stored);
    }
    let acme = tenant("acme");
    let mut filter = AuditFilter::of(&acme);
    let mut backwards = must(vault.audit(&filter));
    backwards.reverse();
    filter.order = AuditOrder::NewestFirst;
    assert_eq!(must(vault.audit(&filter)), backwards);
    filter.limit = 3;
    let mut paged = Vec::new();
    loop {
        let page = must(vault.audit(&filter));
        let Some(last) = page.last() else { break };
        filter.after = last.number;
        paged.extend(page);
    }
    assert_eq!(paged, backwards);
    let bob = user("bob");
    filter.after = 0;
    filter.user = Some(&bob);
    let his: Vec<_> = must(vault.audit(&filter))
        .into_iter()
        .map(|entry| entry.connection)
        .collect();
    assert_eq!(his, [Some(id(6)), Some(id(4)), Some(id(2))]);
}

fn used(make: Make<'_>) {
    let (vault, one) = with_one(make);
    let handout = Handout {
        tenant: one.tenant.clone(),
        connection: one.id,
        provider: one.provider.clone(),
        at: at(70),
        user: user("bob"),
        shared: true,
        purpose: Some("reads".into()),
        turn: None,
    };
    let mut elsewhere = handout.clone();
    elsewhere.tenant = tenant("nowhere");
    must(vault.record_handouts(&[handout.clone(), elsewhere]));
    assert_eq!(stored(&*vault, &one).used_at, Some(at(70)));
    let acme = tenant("acme");
    let bob = user("bob");
    let mut filter = AuditFilter::of(&acme);
    filter.user = Some(&bob);
    let mut expected = handout.entry();
    let found = must(vault.audit(&filter));
    assert_eq!(found.len(), 1);
    expected.number = found[0].number;
    assert_eq!(found[0], expected);
    assert!(kinds(&*vault, "nowhere").is_empty());
}

fn take(vault: &dyn Vault, now: i64) -> Vec<PendingRevocation> {
    must(vault.take_revocations(at(now), LEASE, 9))
}

#[track_caller]
fn only(mut pending: Vec<PendingRevocation>) -> PendingRevocation {
    assert_eq!(pending.len(), 1);
    some(pending.pop(), "a pending revocation")
}

fn queue(vault: &dyn Vault, one: &Connection, give_up: i64) -> u64 {
    let revoked = must(vault.revoke_and_queue(&one.tenant, one.id, None, at(0), at(give_up)));
    some(some(revoked, "the revocation").queued, "its number")
}

fn queued(make: Make<'_>) {
    let (vault, one) = with_one(make);
    let number = queue(&*vault, &one, 9_000);
    assert!(
        must(vault.token(&one.tenant, one.id)).is_none(),
        "nothing resolves it"
    );
    assert!(take(&*vault, 59).is_empty(), "whoever revokes goes first");
    let mut again = one.clone();
    again.generation = 2;
    assert_eq!(grant(&*vault, &again, &tokens("2")), StoreOutcome::Stored);
    let pending = only(take(&*vault, 60));
    assert_eq!((pending.id, pending.attempts), (number, 1));
    assert_eq!((&pending.tenant, pending.connection), (&one.tenant, one.id));
    assert_eq!(
        (&pending.provider, &pending.issued_by),
        (&one.provider, &one.issued_by)
    );
    assert_eq!(pending.parameters, one.parameters);
    assert_eq!(
        pending.access_token.as_ref().map(AccessToken::expose_secret),
        Some("access-1")
    );
    assert_eq!(
        pending.refresh_token.as_ref().map(RefreshToken::expose_secret),
        Some("refresh-1")
    );
    assert_eq!(access(&*vault, &one).as_deref(), Some("access-2"));
    assert!(must(vault.revoke_and_queue(&one.tenant, id(9), None, at(0), at(9))).is_none());
}

fn settled(make: Make<'_>) {
    let (vault, one) = with_one(make);
    let number = queue(&*vault, &one, 9_000);
    assert_eq!(only(take(&*vault, 60)).attempts, 1);
    assert!(take(&*vault, 89).is_empty(), "it is lent");
    assert_eq!(only(take(&*vault, 90)).attempts, 2, "who had it has died");
    let again = Settlement::Again { at: at(500) };
    must(vault.settle_revocation(&one.tenant, number, again, at(91)));
    assert!(take(&*vault, 499).is_empty());
    assert_eq!(only(take(&*vault, 500)).attempts, 3);
    for _ in 0..2 {
        must(vault.settle_revocation(&one.tenant, number, Settlement::Confirmed, at(501)));
    }
    assert!(take(&*vault, 8_000).is_empty());
    let acme = tenant("acme");
    let ended: Vec<_> = must(vault.audit(&AuditFilter::of(&acme)))
        .into_iter()
        .filter(|entry| entry.kind == AuditKind::RevocationEnded)
        .collect();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].detail.as_deref(), Some("confirmed"));
}

fn given_up(make: Make<'_>) {
    let (vault, one) = with_one(make);
    queue(&*vault, &one, 1_000);
    assert!(take(&*vault, 1_000).is_empty());
    assert_eq!(kinds(&*vault, "acme").last(), Some(&AuditKind::RevocationEnded));
    assert!(take(&*vault, 60).is_empty(), "it is gone");
}

fn late(make: Make<'_>) {
    let (vault, mut one) = with_one(make);
    assert!(must(vault.revoke(&one.tenant, one.id, None, at(0))).is_some());
    one.generation = 2;
    assert!(must(vault.queue_revocation(
        &one,
        &tokens("late"),
        at(5),
        at(9_000)
    )));
    assert!(take(&*vault, 4).is_empty());
    let pending = only(take(&*vault, 5));
    assert_eq!(
        pending.refresh_token.as_ref().map(RefreshToken::expose_secret),
        Some("refresh-late")
    );
    assert!(must(vault.token(&one.tenant, one.id)).is_none());
}

fn refused(make: Make<'_>) {
    let (vault, one) = with_one(make);
    let (held, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    let refusal = RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at: at(5),
        quarantined_until: Some(at(900)),
    };
    must(vault.fail_refresh(&one.tenant, one.id, &held, &refusal));
    let revoked = some(
        must(vault.revoke_and_queue(&one.tenant, one.id, None, at(0), at(9_000))),
        "it",
    );
    assert!(revoked.tokens.is_none());
    assert_eq!(
        revoked.refused.as_ref().map(RefreshToken::expose_secret),
        Some("refresh-1")
    );
    let pending = only(take(&*vault, 60));
    assert!(pending.access_token.is_none() && pending.refresh_token.is_some());
    assert_eq!(must(vault.erase_quarantined(at(900), 9)), 0, "it was revoked");
}

fn user_forgotten(make: Make<'_>) {
    let (vault, alices) = with_one(make);
    for (number, owner) in [(2, personal("bob")), (3, Owner::Shared)] {
        let other = connection("acme", number, owner);
        assert_eq!(grant(&*vault, &other, &tokens("2")), StoreOutcome::Stored);
    }
    let mut elsewhere = connection("other", 1, personal("alice"));
    assert_eq!(grant(&*vault, &elsewhere, &tokens("1")), StoreOutcome::Stored);
    elsewhere.generation = 2;
    must(vault.insert_consent(&consent("acme", "alices"), Some(&verifier())));
    let mut bobs = consent("acme", "bobs");
    (bobs.user, bobs.owner) = (user("bob"), personal("bob"));
    must(vault.insert_consent(&bobs, None));
    let alice = user("alice");
    let forgotten = some(
        must(vault.forget_user(&alices.tenant, &alice, None, at(5))),
        "a receipt",
    );
    assert_eq!((forgotten.connections, forgotten.at), (1, at(5)));
    assert!(must(vault.connection(&alices.tenant, id(1))).is_none());
    assert!(must(vault.consent(&alices.tenant, &super::state("alices"))).is_none());
    assert!(must(vault.consent(&alices.tenant, &super::state("bobs"))).is_some());
    assert_eq!(
        must(vault.connections(&ConnectionQuery::of(&alices.tenant))).len(),
        2
    );
    assert!(must(vault.connection(&elsewhere.tenant, id(1))).is_some());
    assert!(must(vault.forget_user(&tenant("nowhere"), &alice, None, at(5))).is_none());
    assert_eq!(kinds(&*vault, "acme").last(), Some(&AuditKind::UserForgotten));
}

fn tenant_forgotten(make: Make<'_>) {
    let (vault, one) = with_one(make);
    queue(&*vault, &one, 9_000);
    let second = connection("acme", 2, Owner::Shared);
    assert_eq!(grant(&*vault, &second, &tokens("2")), StoreOutcome::Stored);
    let neighbour = connection("other", 1, personal("alice"));
    assert_eq!(grant(&*vault, &neighbour, &tokens("1")), StoreOutcome::Stored);
    must(vault.insert_consent(&consent("acme", "one"), Some(&verifier())));
    let forgotten = some(must(vault.forget_tenant(&one.tenant, at(5))), "a receipt");
    assert_eq!(forgotten.connections, 2);
    assert!(must(vault.forget_tenant(&one.tenant, at(5))).is_none());
    assert!(must(vault.connections(&ConnectionQuery::of(&one.tenant))).is_empty());
    assert!(must(vault.consent(&one.tenant, &super::state("one"))).is_none());
    assert!(take(&*vault, 8_000).is_empty());
    assert!(kinds(&*vault, "acme").is_empty());
    assert_eq!(access(&*vault, &neighbour).as_deref(), Some("access-1"));
    assert_eq!(grant(&*vault, &one, &tokens("new")), StoreOutcome::Stored);
    assert_eq!(access(&*vault, &one).as_deref(), Some("access-new"));
    assert_eq!(kinds(&*vault, "acme"), [AuditKind::ConsentCompleted]);
}
