//! Consent requests are taken once, by one caller.

use std::sync::Barrier;
use std::thread;

use super::{
    Check, Make, StoreOutcome, at, connection, consent, grant, id, must, personal, state, stored_none,
    tenant, tokens, verifier,
};
use crate::model::{ConsentId, Scopes, Timestamp, UserId};
use crate::protocol::Prompt;
use crate::secret::PkceVerifier;
use crate::vault::{
    AuditFilter, AuditKind, ConsentStatus, MAX_CONSENTS, NewGrant, PendingConsent, Purpose, RequestOptions,
    Taken, Vault,
};

pub(super) const CHECKS: &[Check] = &[
    ("a consent comes back as it was stored", round_trip),
    ("only the user's own consents are found", found),
    ("the consents of a tenant are read page by page", paged),
    ("a pending consent is opened without being taken", opened),
    ("a user has a bounded number of consents", bounded),
    ("a consent is taken once", taken_once),
    ("one of many threads takes a consent", taken_by_one_thread),
    ("an expired consent is not taken", expired),
    ("a consent belongs to its tenant", separate),
    ("a taken consent can be closed, another cannot", closed),
    ("a stored grant completes its consent", completed),
    ("a conflicting grant leaves its consent unchanged", not_completed),
];

fn round_trip(make: Make<'_>) {
    let vault = make();
    let full = consent("acme", "full");
    must(vault.insert_consent(&full, Some(&verifier())));
    let mut bare = consent("acme", "bare");
    bare.owner = crate::model::Owner::Workspace;
    bare.issuer = None;
    bare.label = None;
    bare.return_to = None;
    bare.parameters.clear();
    bare.services.clear();
    bare.require_account = false;
    bare.request = RequestOptions::default();
    bare.purpose = Purpose::Connect;
    must(vault.insert_consent(&bare, None));
    assert_eq!(must(vault.consent(&full.tenant, &full.state)), Some(full.clone()));
    assert_eq!(must(vault.consent(&bare.tenant, &bare.state)), Some(bare.clone()));
    assert_eq!(must(vault.consent(&full.tenant, &state("other"))), None);
    for (name, purpose) in [
        ("reconnect", Purpose::Reconnect(id(3))),
        ("extend", Purpose::Extend(id(3))),
    ] {
        let mut other = consent("acme", name);
        other.purpose = purpose;
        must(vault.insert_consent(&other, None));
        assert_eq!(must(vault.consent(&other.tenant, &other.state)), Some(other));
    }
    for (name, prompt) in [
        ("none", Prompt::None),
        ("login", Prompt::Login),
        ("consent", Prompt::Consent),
    ] {
        let mut other = consent("acme", name);
        // An empty list of scopes differs from leaving the scopes to the provider.
        other.request.scopes = Some(Scopes::default());
        other.request.hints.prompt = Some(prompt);
        must(vault.insert_consent(&other, None));
        assert_eq!(must(vault.consent(&other.tenant, &other.state)), Some(other));
    }
    let taken = must(vault.take_consent(&bare.tenant, &bare.state, at(1)));
    assert!(
        matches!(taken, Taken::Consent(_, None)),
        "taken, and there is no verifier: {taken:?}"
    );
}

fn found(make: Make<'_>) {
    let vault = make();
    let user = consent("acme", "one").user;
    assert_eq!(must(vault.consents(&tenant("acme"), &user)), Vec::new());
    let (one, two) = (consent("acme", "one"), consent("acme", "two"));
    let mut of_another = consent("acme", "three");
    of_another.user = must(UserId::new("somebody-else"));
    must(vault.insert_consent(&one, Some(&verifier())));
    must(vault.insert_consent(&two, None));
    must(vault.insert_consent(&of_another, None));
    must(vault.insert_consent(&consent("globex", "four"), None));
    assert!(taken(&*vault, "two", at(1)).is_some());
    must(vault.close_consent(&two.tenant, &two.state, ConsentStatus::Cancelled, at(2)));
    let mut consents = must(vault.consents(&tenant("acme"), &user));
    consents.sort_by_key(|consent| consent.state != one.state);
    let two = PendingConsent {
        status: ConsentStatus::Cancelled,
        ..two
    };
    assert_eq!(consents, [one, two]);
}

/// A page continues after the last request of the one before it, and nothing is left out.
fn paged(make: Make<'_>) {
    let vault = make();
    assert_eq!(must(vault.tenant_consents(&tenant("acme"), None, 9)), Vec::new());
    let mut all: Vec<_> = ["one", "two", "three", "four", "five"]
        .into_iter()
        .map(|name| consent("acme", name))
        .collect();
    for consent in &mut all {
        consent.user = must(UserId::new(format!("user of {}", consent.id)));
        must(vault.insert_consent(consent, Some(&verifier())));
    }
    must(vault.insert_consent(&consent("globex", "six"), None));
    all.sort_by_key(|consent| consent.state);
    let mut found = Vec::new();
    loop {
        let after = found.last().map(|consent: &PendingConsent| consent.state);
        let page = must(vault.tenant_consents(&tenant("acme"), after.as_ref(), 2));
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found, all);
}

fn opened(make: Make<'_>) {
    let vault = make();
    let one = consent("acme", "one");
    let mut two = consent("acme", "two");
    two.expires_at = at(2);
    must(vault.insert_consent(&one, Some(&verifier())));
    must(vault.insert_consent(&two, None));
    for _ in 0..2 {
        let (consent, secret) = must(vault.open_consent(&one.tenant, &one.state)).expect("it is pending");
        assert_eq!(consent, one);
        let secret = secret.as_ref().map(PkceVerifier::expose_secret);
        assert_eq!(secret, Some(verifier().expose_secret()));
    }
    let (consent, secret) = must(vault.open_consent(&two.tenant, &two.state)).expect("it is pending");
    assert_eq!((consent, secret.is_none()), (two, true), "also after its time");
    assert!(must(vault.open_consent(&one.tenant, &state("other"))).is_none());
    assert!(must(vault.open_consent(&tenant("globex"), &one.state)).is_none());
    assert!(taken(&*vault, "one", at(1)).is_some());
    assert!(must(vault.open_consent(&one.tenant, &one.state)).is_none());
}

fn bounded(make: Make<'_>) {
    let vault = make();
    let nth = |number: usize| {
        let mut nth = consent("acme", &format!("n{number}"));
        let number = u8::try_from(number).expect("a small number");
        nth.id = ConsentId::from_bytes([number; 16]);
        nth.created_at = at(i64::from(number));
        nth
    };
    let mut others = consent("acme", "others");
    others.user = must(UserId::new("somebody-else"));
    must(vault.insert_consent(&others, None));
    for number in 0..MAX_CONSENTS {
        must(vault.insert_consent(&nth(number), Some(&verifier())));
    }
    let is_there = |number| must(vault.consent(&tenant("acme"), &nth(number).state)).is_some();
    assert!((0..MAX_CONSENTS).all(is_there));
    // Ended requests make room first; a request whose code is being exchanged never does.
    assert!(taken(&*vault, "n0", at(70)).is_some());
    assert!(taken(&*vault, "n9", at(70)).is_some());
    must(vault.close_consent(&tenant("acme"), &nth(9).state, ConsentStatus::Denied, at(70)));
    must(vault.insert_consent(&nth(MAX_CONSENTS), None));
    assert!(!is_there(9));
    let before = must(vault.audit(&AuditFilter::of(&tenant("acme")))).len();
    must(vault.insert_consent(&nth(MAX_CONSENTS + 1), None));
    assert!(is_there(0) && !is_there(1) && is_there(2));
    let audit = must(vault.audit(&AuditFilter::of(&tenant("acme"))));
    let kinds: Vec<_> = audit[before..].iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [AuditKind::ConsentDenied, AuditKind::ConsentStarted]);
    let user = nth(0).user;
    assert_eq!(must(vault.consents(&tenant("acme"), &user)).len(), MAX_CONSENTS);
    assert_eq!(must(vault.consent(&others.tenant, &others.state)), Some(others));
}

/// Takes a consent request of tenant "acme". Returns its verifier.
fn taken(vault: &dyn Vault, name: &str, now: Timestamp) -> Option<String> {
    match must(vault.take_consent(&tenant("acme"), &state(name), now)) {
        Taken::Nothing => None,
        Taken::Consent(_, verifier) => {
            let verifier = verifier.as_ref().map(PkceVerifier::expose_secret);
            Some(verifier.unwrap_or_default().to_owned())
        }
    }
}

fn taken_once(make: Make<'_>) {
    let vault = make();
    assert_eq!(taken(&*vault, "one", at(1)), None, "nothing is there yet");
    let one = consent("acme", "one");
    must(vault.insert_consent(&one, Some(&verifier())));
    let outcome = must(vault.take_consent(&one.tenant, &one.state, at(1)));
    let Taken::Consent(mut consent, verifier) = outcome else {
        panic!("{outcome:?}");
    };
    let verifier = verifier.as_ref().map(PkceVerifier::expose_secret);
    assert_eq!(verifier, Some("verifier-1"));
    consent.status = ConsentStatus::Pending;
    assert_eq!(consent, one, "whole, as it was stored");
    assert_eq!(taken(&*vault, "one", at(1)), None, "a second time");
    let read = must(vault.consent(&one.tenant, &one.state)).map(|consent| consent.status);
    assert_eq!(read, Some(ConsentStatus::Taken));
}

fn taken_by_one_thread(make: Make<'_>) {
    for round in 0..10 {
        let vault = make();
        must(vault.insert_consent(&consent("acme", "one"), Some(&verifier())));
        let threads = 2 + round;
        let barrier = Barrier::new(threads);
        let winners = thread::scope(|scope| {
            let all: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        taken(&*vault, "one", at(1))
                    })
                })
                .collect();
            all.into_iter()
                .map(|thread| match thread.join() {
                    Ok(taken) => usize::from(taken.is_some()),
                    Err(_) => panic!("a thread failed"),
                })
                .sum::<usize>()
        });
        assert_eq!(winners, 1, "of {threads} threads");
    }
}

fn expired(make: Make<'_>) {
    let vault = make();
    must(vault.insert_consent(&consent("acme", "one"), Some(&verifier())));
    assert_eq!(taken(&*vault, "one", at(600)), None, "at its last moment");
    assert_eq!(taken(&*vault, "one", at(601)), None);
    assert!(taken(&*vault, "one", at(599)).is_some());
}

fn separate(make: Make<'_>) {
    let vault = make();
    let ours = consent("acme", "one");
    must(vault.insert_consent(&ours, Some(&verifier())));
    let mut theirs = consent("other", "one");
    theirs.redirect_uri = "https://other.test/callback".into();
    must(vault.insert_consent(&theirs, None));
    assert_eq!(must(vault.consent(&tenant("other"), &state("one"))), Some(theirs));
    let third = must(vault.take_consent(&tenant("third"), &state("one"), at(1)));
    assert!(matches!(third, Taken::Nothing));
    must(vault.close_consent(&tenant("third"), &state("one"), ConsentStatus::Denied, at(2)));
    let other = must(vault.take_consent(&tenant("other"), &state("one"), at(1)));
    assert!(matches!(other, Taken::Consent(..)));
    assert_eq!(must(vault.consent(&ours.tenant, &ours.state)), Some(ours));
}

fn closed(make: Make<'_>) {
    let vault = make();
    let one = consent("acme", "one");
    let status = || must(vault.consent(&one.tenant, &one.state)).map(|consent| consent.status);
    let close = |status, now| must(vault.close_consent(&one.tenant, &one.state, status, at(now)));
    must(vault.insert_consent(&one, Some(&verifier())));
    close(ConsentStatus::Failed, 1);
    assert_eq!(status(), Some(ConsentStatus::Pending), "it was not taken");
    assert!(taken(&*vault, "one", at(1)).is_some());
    close(ConsentStatus::Denied, 2);
    assert_eq!(status(), Some(ConsentStatus::Denied));
    close(ConsentStatus::Failed, 3);
    assert_eq!(status(), Some(ConsentStatus::Denied), "it was closed already");
    assert_eq!(taken(&*vault, "one", at(1)), None);
    let entries = must(vault.audit(&AuditFilter::of(&one.tenant)));
    let told: Vec<_> = entries.iter().map(|entry| (entry.kind, entry.at)).collect();
    let expected = [
        (AuditKind::ConsentStarted, at(0)),
        (AuditKind::ConsentDenied, at(2)),
    ];
    assert_eq!(told, expected);
    assert!(entries.iter().all(|entry| entry.user.as_ref() == Some(&one.user)));
}

/// Stores a grant of this generation for new connections with these numbers, which completes the
/// request.
fn complete(vault: &dyn Vault, consent: &PendingConsent, generation: u64, numbers: &[u8]) -> StoreOutcome {
    let mut grant = grant("acme", 1, personal("alice"));
    grant.generation = generation;
    let connections: Vec<_> = numbers
        .iter()
        .map(|number| connection("acme", *number, personal("alice")))
        .collect();
    must(vault.store_grant(&NewGrant {
        consent: &consent.state,
        grant: &grant,
        tokens: &tokens("1"),
        connections: &connections,
        former_dead_at: None,
    }))
}

fn completed(make: Make<'_>) {
    let vault = make();
    let one = consent("acme", "one");
    must(vault.insert_consent(&one, Some(&verifier())));
    assert!(taken(&*vault, "one", at(1)).is_some());
    assert_eq!(complete(&*vault, &one, 1, &[2, 1]), stored_none());
    let read = must(vault.consent(&one.tenant, &one.state)).map(|consent| consent.status);
    assert_eq!(
        read,
        Some(ConsentStatus::Completed(id(2))),
        "the first of its connections"
    );
    must(vault.close_consent(&one.tenant, &one.state, ConsentStatus::Failed, at(2)));
    let read = must(vault.consent(&one.tenant, &one.state)).map(|consent| consent.status);
    assert_eq!(read, Some(ConsentStatus::Completed(id(2))));
}

fn not_completed(make: Make<'_>) {
    let vault = make();
    let one = consent("acme", "one");
    must(vault.insert_consent(&one, Some(&verifier())));
    assert!(taken(&*vault, "one", at(1)).is_some());
    assert_eq!(complete(&*vault, &one, 2, &[1]), StoreOutcome::Conflict);
    let read = must(vault.consent(&one.tenant, &one.state)).map(|consent| consent.status);
    assert_eq!(read, Some(ConsentStatus::Taken));
}
