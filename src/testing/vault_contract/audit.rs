//! The entries of the audit.

use std::collections::HashSet;

use super::{
    Attempt, Check, Make, StoreOutcome, at, claim, commit_to, connect, connection, consent, fail, gid,
    grant_of, granted, id, must, personal, provider, reconnect, revoke, sharing, some, state, store, stored,
    tenant, tokens, user, verifier, with_one,
};
use crate::model::{Actor, ConnectionId, NeedsConsent, Owner, TenantId};
use crate::vault::{
    AuditEntry, AuditFilter, AuditKind, AuditOrder, Claim, CommitOutcome, ConsentStatus, Forget, NewGrant,
    RefreshFailure, Refreshed, Revoke, RevokeWhat, Rotation, TokenUse, UseRecord, Vault,
};

pub(super) const CHECKS: &[Check] = &[
    ("each change has one entry, in its own tenant", told),
    ("each connection of a grant has an entry", told_of_each),
    ("the entries of each tenant are numbered without gaps", numbered),
    ("an entry names the owner and the actor", acted),
    (
        "the actor of an erasure is named, unless erased as well",
        forgetter,
    ),
    ("a consent names the user who gave it", consented),
    ("the newest entries can be read first", newest_first),
    ("a use has an audit entry and counts as a use", used),
    ("entries have the times that the caller gave", times),
];

fn entries(vault: &dyn Vault, name: &str) -> Vec<AuditEntry> {
    must(vault.audit(&AuditFilter::of(&tenant(name))))
}

pub(super) fn kinds(vault: &dyn Vault, name: &str) -> Vec<AuditKind> {
    entries(vault, name).into_iter().map(|entry| entry.kind).collect()
}

const fn refusal(at: crate::model::Timestamp) -> RefreshFailure {
    RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at,
        quarantined_until: None,
    }
}

fn told(make: Make<'_>) {
    let vault = make();
    assert!(kinds(&*vault, "acme").is_empty());
    must(vault.insert_consent(&consent("acme", "one"), Some(&verifier())));
    let one = connection("acme", 1, personal("alice"));
    connect(&*vault, &one, "1");
    let stale = grant_of(&one, 2, 7);
    let outcome = store(&*vault, &stale, std::slice::from_ref(&one), &tokens("1"));
    assert_eq!(outcome, StoreOutcome::Conflict);
    let (held, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    fail(&*vault, &held, &refusal(at(5)));
    fail(&*vault, &held, &refusal(at(6)));
    assert!(revoke(&*vault, &one, 9).is_some());
    assert!(revoke(&*vault, &one, 9).is_none());
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
    filter.limit = 0;
    assert_eq!(must(vault.audit(&filter)), []);
}

fn told_of_each(make: Make<'_>) {
    let (vault, two) = sharing::with_two(make);
    let (held, _) = granted(claim(&*vault, 1, Attempt::Due, 0));
    assert_eq!(commit_to(&*vault, 1, &held, "2"), CommitOutcome::Stored);
    let (held, _) = granted(claim(&*vault, 2, Attempt::Due, 200));
    fail(&*vault, &held, &refusal(at(205)));
    let grant = sharing::shared_grant(8, 3);
    store(&*vault, &grant, &sharing::users(&grant), &tokens("3"));
    assert!(revoke(&*vault, &two[0], 210).is_some());
    assert!(revoke(&*vault, &two[1], 211).is_some());
    let about = |wanted: ConnectionId| {
        let all = entries(&*vault, "acme");
        let about = all.into_iter().filter(|entry| entry.connection == Some(wanted));
        about
            .map(|entry| (entry.kind, entry.generation, entry.detail))
            .collect::<Vec<_>>()
    };
    let expected = |last: Option<&str>| {
        [
            (AuditKind::ConsentCompleted, Some(1), None),
            (AuditKind::Refreshed, Some(2), None),
            (AuditKind::RefreshRejected, Some(2), Some("rejected".to_owned())),
            (AuditKind::ConsentCompleted, Some(3), None),
            (AuditKind::Revoked, Some(3), last.map(str::to_owned)),
        ]
    };
    assert_eq!(about(two[0].id), expected(Some("grant_still_used")));
    assert_eq!(about(two[1].id), expected(None));
    let prints: HashSet<_> = entries(&*vault, "acme")
        .into_iter()
        .filter_map(|entry| entry.fingerprint)
        .collect();
    assert_eq!(prints.len(), 6, "one of each token for each connection");
}

fn numbered(make: Make<'_>) {
    let (vault, one) = with_one(make);
    let elsewhere = connection("other", 1, personal("alice"));
    connect(&*vault, &elsewhere, "1");
    for number in 2..=5 {
        connect(&*vault, &connection("acme", number, personal("bob")), "1");
    }
    assert!(revoke(&*vault, &elsewhere, 3).is_some());
    assert!(revoke(&*vault, &one, 4).is_some());
    for (name, count) in [("acme", 6), ("other", 2)] {
        let numbers: Vec<_> = entries(&*vault, name).iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, (1..=count).collect::<Vec<u64>>(), "{name}");
    }
}

fn acted(make: Make<'_>) {
    let vault = make();
    let (alice, olga) = (user("alice"), user("olga"));
    let operator = Actor::Operator(olga.clone());
    let owner = Actor::User(alice.clone());
    let acme = tenant("acme");
    for number in [1, 2, 3] {
        connect(&*vault, &connection("acme", number, personal("alice")), "1");
    }
    let (held, _) = granted(claim(&*vault, 1, Attempt::Forced, 0));
    let refreshed = Refreshed {
        refresh_token_expires_at: None,
        tokens: &tokens("2"),
        granted: None,
        expires_at: None,
        lifetime: None,
        at: at(1),
        by: Some(&operator),
    };
    must(vault.commit_refresh(&acme, gid(1), &held, &refreshed));
    must(vault.set_default(&acme, id(1), Some(&owner), at(2)));
    for (number, by) in [(1, Some(&operator)), (2, Some(&owner)), (3, None)] {
        let request = Revoke {
            tenant: &acme,
            what: RevokeWhat::Connection(id(number)),
            by,
            now: at(3),
            keep_until: None,
        };
        assert!(must(vault.revoke(&request)).is_some());
    }
    let told: Vec<_> = entries(&*vault, "acme")
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
}

fn forgetter(make: Make<'_>) {
    let (vault, one) = with_one(make);
    let (alice, olga) = (user("alice"), user("olga"));
    let (operator, owner) = (Actor::Operator(olga), Actor::User(alice.clone()));
    for by in [&operator, &owner] {
        must(vault.forget(&Forget {
            tenant: &one.tenant,
            user: Some(&alice),
            by: Some(by),
            now: at(5),
        }));
    }
    let entries = entries(&*vault, "acme");
    let actors: Vec<_> = entries.iter().skip(1).map(|entry| entry.actor.as_ref()).collect();
    assert_eq!(
        actors,
        [Some(&operator), None],
        "a person who is forgotten is not named"
    );
}

fn consented(make: Make<'_>) {
    let vault = make();
    let mut request = consent("acme", "one");
    request.owner = Owner::Workspace;
    must(vault.insert_consent(&request, None));
    must(vault.take_consent(&request.tenant, &request.state, at(1)));
    let shared = connection("acme", 1, Owner::Workspace);
    must(vault.store_grant(&NewGrant {
        consent: &request.state,
        grant: &grant_of(&shared, 1, 1),
        tokens: &tokens("1"),
        connections: std::slice::from_ref(&shared),
        former_dead_at: None,
    }));
    assert!(revoke(&*vault, &shared, 2).is_some());
    let told: Vec<_> = entries(&*vault, "acme")
        .into_iter()
        .map(|entry| (entry.kind, entry.user))
        .collect();
    let expected = [
        (AuditKind::ConsentStarted, Some(request.user.clone())),
        (AuditKind::ConsentCompleted, Some(request.user)),
        (AuditKind::Revoked, None),
    ];
    assert_eq!(told, expected);
}

fn newest_first(make: Make<'_>) {
    let vault = make();
    for number in 1..=7 {
        let owner = personal(if number % 2 == 0 { "bob" } else { "alice" });
        connect(&*vault, &connection("acme", number, owner), "1");
        connect(&*vault, &connection("other", number, personal("alice")), "1");
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
    filter.user = None;
    filter.connection = Some(id(5));
    assert_eq!(must(vault.audit(&filter)).len(), 1);
}

pub(super) fn token_use(of: &TenantId, number: u8, seconds: i64) -> TokenUse {
    TokenUse {
        tenant: of.clone(),
        connection: id(number),
        provider: provider("gmail"),
        at: at(seconds),
        user: user("bob"),
        shared: true,
        purpose: Some("reads".into()),
        turn: None,
    }
}

fn used(make: Make<'_>) {
    let (vault, one) = with_one(make);
    let elsewhere = connection("other", 1, personal("alice"));
    connect(&*vault, &elsewhere, "1");
    let first = token_use(&one.tenant, 1, 70);
    let theirs = token_use(&elsewhere.tenant, 1, 71);
    let nowhere = token_use(&tenant("nowhere"), 1, 72);
    let uses = [first.clone(), nowhere, theirs, token_use(&one.tenant, 1, 73)];
    must(vault.record_uses(&uses, UseRecord::Entries));
    assert_eq!(stored(&*vault, &one).used_at, Some(at(73)));
    assert_eq!(stored(&*vault, &elsewhere).used_at, Some(at(71)));
    let acme = tenant("acme");
    let bob = user("bob");
    let mut filter = AuditFilter::of(&acme);
    filter.user = Some(&bob);
    let mut expected = first.entry();
    let found = must(vault.audit(&filter));
    assert_eq!(found.len(), 2);
    expected.number = 2;
    assert_eq!(found[0], expected);
    assert_eq!(found[1].number, 3);
    assert!(kinds(&*vault, "nowhere").is_empty());
    let before = kinds(&*vault, "acme");
    must(vault.record_uses(&[token_use(&acme, 1, 90)], UseRecord::Times));
    assert_eq!(stored(&*vault, &one).used_at, Some(at(90)));
    assert_eq!(kinds(&*vault, "acme"), before, "a time of use is no entry");
}

/// Makes one change of each kind at a different second, and searches for entries with another time.
fn times(make: Make<'_>) {
    let vault = make();
    let acme = tenant("acme");
    let mut request = consent("acme", "one");
    request.created_at = at(1);
    must(vault.insert_consent(&request, None));
    must(vault.take_consent(&acme, &request.state, at(2)));
    must(vault.close_consent(&acme, &request.state, ConsentStatus::Denied, at(3)));
    let mut one = connection("acme", 1, personal("alice"));
    one.refreshed_at = at(4);
    connect(&*vault, &one, "1");
    must(vault.set_default(&acme, one.id, None, at(5)));
    let (held, _) = granted(claim(&*vault, 1, Attempt::Due, 6));
    assert_eq!(commit_to(&*vault, 1, &held, "2"), CommitOutcome::Stored);
    let claim = Claim {
        generation: 2,
        fence: 0,
    };
    let needed = RefreshFailure::ConsentNeeded {
        reason: NeedsConsent::Expired,
        at: at(101),
    };
    fail(&*vault, &claim, &needed);
    let mut again = stored(&*vault, &one);
    again.refreshed_at = at(102);
    let (again, _) = reconnect(&*vault, &again, 2, "3");
    must(vault.rotate(Rotation::DataKey(&acme), at(103)));
    must(vault.record_uses(&[token_use(&acme, 1, 104)], UseRecord::Entries));
    assert!(super::revocations::keep(&*vault, &again, 105, 106).is_some());
    assert!(must(vault.take_revocations(at(165), super::LEASE, 9)).is_empty());
    let forgotten = super::forget::forget(&*vault, "acme", Some("alice"), 166);
    assert_eq!(some(forgotten, "a receipt").at, at(166));
    let told: Vec<_> = entries(&*vault, "acme").iter().map(|entry| entry.at).collect();
    let expected = [1, 3, 4, 5, 100, 101, 102, 103, 104, 105, 165, 166].map(at);
    assert_eq!(told, expected);
    assert!(must(vault.consent(&acme, &state("one"))).is_none());
}
