//! One consent for several services: one record keeps the tokens, the connections share it.

use std::time::Duration;

use super::{
    Check, LEASE, Make, StoreOutcome, access, account, at, claim, connection, grant, granted, id, label,
    must, personal, provider, scopes, some, state, stored, tenant, tokens, user,
};
use crate::model::{Connection, FailureCode, NeedsConsent, Status};
use crate::vault::{
    Attempt, Claim, ClaimOutcome, CommitOutcome, ConnectionQuery, ConsentStatus, Found, Grant,
    RefreshFailure, Renewed, TokenQuery, Vault,
};
use std::sync::Arc;

pub(super) const CHECKS: &[Check] = &[
    ("one grant serves several connections", serves),
    ("a refresh of a grant is everybody's who shares it", refreshed),
    ("what joins a grant has no tokens of its own any more", joined),
    ("what leaves a grant has tokens of its own", left),
    ("who is revoked leaves the others to go on", revoked),
    (
        "to revoke what keeps tokens is to revoke all who share them",
        revoked_together,
    ),
    ("a grant that is refused is refused for all who share it", refused),
    ("a grant for several is stored whole or not at all", whole),
    ("what keeps tokens is no connection by itself", hidden),
];

/// The record that keeps the tokens: connection 1, because `claim` means that one.
fn keeper(generation: u64) -> Connection {
    let mut keeper = connection("acme", 1, personal("alice"));
    keeper.is_keeper = true;
    keeper.generation = generation;
    keeper.requested = scopes("mail.read mail.send calendar");
    keeper.granted = scopes("mail.read calendar more");
    keeper
}

/// Connection 2, to the mail, and connection 3, to the calendar, as they show themselves.
fn members(generation: u64) -> [Connection; 2] {
    let [mut mail, mut calendar] = [2, 3].map(|number| {
        let mut member = connection("acme", number, personal("alice"));
        member.account = account("account-1");
        member.shares = Some(id(1));
        member.generation = generation;
        member
    });
    mail.requested = scopes("mail.read mail.send");
    mail.granted = scopes("mail.read");
    calendar.provider = provider("calendar");
    calendar.requested = scopes("calendar");
    calendar.granted = scopes("calendar");
    calendar.parameters = [("site".to_owned(), "b".to_owned())].into();
    [mail, calendar]
}

#[track_caller]
fn grant_to(vault: &dyn Vault, keeper: &Connection, members: &[Connection], name: &str) -> StoreOutcome {
    must(vault.store_grant(&Grant {
        consent: &state("no such consent"),
        connection: keeper,
        tokens: &tokens(name),
        members,
    }))
}

#[track_caller]
fn with_two(make: Make<'_>) -> (Arc<dyn Vault>, [Connection; 2]) {
    let vault = make();
    let members = members(1);
    assert_eq!(grant_to(&*vault, &keeper(1), &members, "1"), StoreOutcome::Stored);
    (vault, members)
}

#[track_caller]
fn find(vault: &dyn Vault, name: &str, wanted: &str) -> Found {
    must(vault.find_token(&TokenQuery {
        tenant: &tenant("acme"),
        user: Some(&user("alice")),
        provider: &provider(name),
        label: None,
        scopes: &scopes(wanted),
    }))
}

/// The numbers of the connections that are listed.
#[track_caller]
fn listed(vault: &dyn Vault, change: &dyn Fn(&mut ConnectionQuery<'_>)) -> Vec<u8> {
    let acme = tenant("acme");
    let mut query = ConnectionQuery::of(&acme);
    change(&mut query);
    let found = must(vault.connections(&query));
    found
        .iter()
        .map(|connection| connection.id.as_bytes()[0])
        .collect()
}

#[track_caller]
fn commit(vault: &dyn Vault, number: u8, claim: &Claim, name: &str) -> CommitOutcome {
    must(vault.commit_refresh(
        &tenant("acme"),
        id(number),
        claim,
        &Renewed {
            tokens: &tokens(name),
            granted: None,
            expires_at: Some(at(7_200)),
            at: at(3_600),
            by: None,
        },
    ))
}

fn serves(make: Make<'_>) {
    let vault = make();
    let consent = super::consent("acme", "for two");
    must(vault.insert_consent(&consent, None));
    must(vault.take_consent(&consent.tenant, &consent.state, at(1)));
    let two = members(1);
    let outcome = must(vault.store_grant(&Grant {
        consent: &consent.state,
        connection: &keeper(1),
        tokens: &tokens("1"),
        members: &two,
    }));
    assert_eq!(outcome, StoreOutcome::Stored);
    let completed = some(
        must(vault.consent(&consent.tenant, &consent.state)),
        "the consent",
    );
    assert_eq!(
        completed.status,
        ConsentStatus::Completed(id(2)),
        "the first member"
    );
    for member in &two {
        assert_eq!(stored(&*vault, member), *member);
        assert_eq!(access(&*vault, member).as_deref(), Some("access-1"));
    }
    assert_eq!(
        must(vault.connections(&ConnectionQuery::of(&consent.tenant))),
        two
    );
    for (name, number, wanted, missing) in [
        ("gmail", 2, "mail.read", ""),
        ("gmail", 2, "mail.send", "mail.send"),
        ("calendar", 3, "calendar more", ""),
        ("calendar", 3, "mail.read other", "other"),
    ] {
        let Found::One(token) = find(&*vault, name, wanted) else {
            panic!("{name} is not found");
        };
        assert_eq!(
            (token.connection, token.shares, token.keeper()),
            (id(number), Some(id(1)), id(1))
        );
        assert_eq!(token.missing, scopes(missing), "judged by the whole grant");
        assert_eq!(token.parameters, two[usize::from(number) - 2].parameters);
        let access_token = some(token.access_token, "the access token");
        assert_eq!(access_token.expose_secret(), "access-1");
    }
}

fn refreshed(make: Make<'_>) {
    let (vault, two) = with_two(make);
    let due = must(vault.due(at(3_600), Duration::from_secs(60), 9));
    assert_eq!(due.iter().map(|due| due.connection).collect::<Vec<_>>(), [id(1)]);
    let idle = must(vault.idle(at(1), &two[0].issued_by.server, 9));
    assert_eq!(idle.iter().map(|due| due.connection).collect::<Vec<_>>(), [id(1)]);
    let (claim, _) = granted(claim(&*vault, 1, Attempt::Due, 3_500));
    for member in &two {
        assert!(
            stored(&*vault, member).refresh.in_flight.is_some(),
            "it shows the claim"
        );
    }
    assert_eq!(commit(&*vault, 1, &claim, "2"), CommitOutcome::Stored);
    for member in &two {
        let shown = stored(&*vault, member);
        assert_eq!((shown.generation, shown.expires_at), (2, Some(at(7_200))));
        assert_eq!((shown.refreshed_at, shown.refresh), (at(3_600), member.refresh));
        assert_eq!(access(&*vault, member).as_deref(), Some("access-2"));
    }
}

fn joined(make: Make<'_>) {
    let vault = make();
    let [mail, calendar] = members(1);
    let mut alone = mail.clone();
    alone.shares = None;
    assert_eq!(grant(&*vault, &alone, &tokens("alone")), StoreOutcome::Stored);
    alone.generation = 2;
    assert_eq!(grant(&*vault, &alone, &tokens("alone")), StoreOutcome::Stored);
    let request = crate::vault::ClaimRequest {
        tenant: &mail.tenant,
        connection: mail.id,
        holder: must(vault.holder()),
        generation: 2,
        attempt: Attempt::Forced,
        now: at(5),
        lease: LEASE,
    };
    let (late, _) = granted(must(vault.claim_refresh(&request)));
    for generation in [1, 2, 4] {
        let outcome = grant_to(&*vault, &keeper(generation), &members(generation), "2");
        assert_eq!(outcome, StoreOutcome::Conflict, "generation {generation}");
    }
    assert_eq!(access(&*vault, &alone).as_deref(), Some("access-alone"));
    let two = members(3);
    assert_eq!(grant_to(&*vault, &keeper(3), &two, "3"), StoreOutcome::Stored);
    assert_eq!(stored(&*vault, &mail), two[0]);
    assert_eq!(access(&*vault, &mail).as_deref(), Some("access-3"));
    assert_eq!(commit(&*vault, 2, &late, "late"), CommitOutcome::Superseded);
    let failure = RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at: at(6),
        quarantined_until: None,
    };
    let failed = must(vault.fail_refresh(&mail.tenant, mail.id, &late, &failure));
    assert_eq!(failed, CommitOutcome::Superseded);
    for generation in [2, 3] {
        let outcome = must(vault.need_consent(&mail.tenant, mail.id, generation, NeedsConsent::Expired));
        assert_eq!(outcome, CommitOutcome::Superseded, "it has no tokens of its own");
        let request = crate::vault::ClaimRequest {
            generation,
            ..request
        };
        let refused = must(vault.claim_refresh(&request));
        assert!(
            matches!(refused, ClaimOutcome::Moved | ClaimOutcome::NotRefreshable),
            "{refused:?}"
        );
    }
    for member in [&mail, &calendar] {
        assert_eq!(access(&*vault, member).as_deref(), Some("access-3"));
    }
}

fn left(make: Make<'_>) {
    let (vault, [mut mail, mut calendar]) = with_two(make);
    let (late, _) = granted(claim(&*vault, 1, Attempt::Forced, 5));
    assert_eq!(commit(&*vault, 1, &late, "2"), CommitOutcome::Stored);
    mail.shares = None;
    mail.generation = 2;
    let outcome = grant(&*vault, &mail, &tokens("x"));
    assert_eq!(outcome, StoreOutcome::Conflict, "it shows generation 2 already");
    mail.generation = 3;
    assert_eq!(grant(&*vault, &mail, &tokens("own")), StoreOutcome::Stored);
    assert_eq!(stored(&*vault, &mail), mail);
    assert_eq!(access(&*vault, &mail).as_deref(), Some("access-own"));
    assert_eq!(access(&*vault, &calendar).as_deref(), Some("access-2"));
    let (late, _) = granted(claim(&*vault, 2, Attempt::Forced, 50));
    calendar.shares = None;
    calendar.generation = 3;
    assert_eq!(grant(&*vault, &calendar, &tokens("own-2")), StoreOutcome::Stored);
    assert_eq!(access(&*vault, &calendar).as_deref(), Some("access-own-2"));
    // Nobody shares it: it is gone, and who comes late with its tokens is told so.
    assert_eq!(must(vault.connection(&mail.tenant, id(1))), None);
    assert!(must(vault.token(&mail.tenant, id(1))).is_none());
    assert_eq!(commit(&*vault, 1, &late, "late"), CommitOutcome::Gone);
    assert_eq!(listed(&*vault, &|query| query.with_revoked = true), [2, 3]);
}

fn revoked(make: Make<'_>) {
    let (vault, [mail, calendar]) = with_two(make);
    let acme = &mail.tenant;
    assert!(must(vault.set_default(acme, mail.id, None)));
    let (claim, _) = granted(claim(&*vault, 1, Attempt::Forced, 5));
    let gone = some(
        must(vault.revoke(acme, mail.id, None, at(6))),
        "what revoking gives",
    );
    assert_eq!(gone.still_used_by, [calendar.id]);
    assert!(gone.tokens.is_none() && gone.refused.is_none() && gone.queued.is_none());
    let history = stored(&*vault, &mail);
    assert_eq!((history.status, history.shares), (Status::Revoked, None));
    assert_eq!((history.generation, history.is_default), (1, false));
    assert_eq!(
        (&history.granted, history.expires_at),
        (&mail.granted, mail.expires_at)
    );
    assert_eq!(gone.connection, history);
    assert!(must(vault.token(acme, mail.id)).is_none());
    assert!(matches!(find(&*vault, "gmail", ""), Found::Nothing));
    assert!(
        must(vault.revoke(acme, mail.id, None, at(7))).is_none(),
        "it was revoked before"
    );
    // The refresh that was under way is the others'.
    assert_eq!(commit(&*vault, 1, &claim, "2"), CommitOutcome::Stored);
    assert_eq!(access(&*vault, &calendar).as_deref(), Some("access-2"));
    assert_eq!(
        stored(&*vault, &mail),
        history,
        "and changes nothing of what was revoked"
    );

    let (late, _) = granted(super::claim(&*vault, 2, Attempt::Forced, 50));
    let last = must(vault.revoke_and_queue(acme, calendar.id, None, at(60), at(9_999)));
    let last = some(last, "what revoking gives");
    assert!(last.still_used_by.is_empty());
    assert_eq!(
        (last.connection.id, last.connection.status),
        (calendar.id, Status::Revoked)
    );
    let given = some(last.tokens, "the tokens");
    assert_eq!(given.access_token.expose_secret(), "access-2");
    assert_eq!(
        given.refresh_token.as_ref().map(|token| token.expose_secret()),
        Some("refresh-2")
    );
    let queued = some(last.queued, "the pending revocation");
    let pending = must(vault.take_revocations(at(600), LEASE, 9));
    let [pending] = pending.as_slice() else {
        panic!("{pending:?}");
    };
    assert_eq!(pending.id, queued);
    let kept = pending.refresh_token.as_ref().map(|token| token.expose_secret());
    assert_eq!(kept, Some("refresh-2"));
    assert_eq!(commit(&*vault, 1, &late, "late"), CommitOutcome::Gone);
    assert!(must(vault.token(acme, id(1))).is_none());
    assert!(listed(&*vault, &|_| ()).is_empty());
    // What was revoked comes back with a generation that it never had.
    let mut again = mail;
    again.shares = None;
    again.generation = 2;
    assert_eq!(grant(&*vault, &again, &tokens("again")), StoreOutcome::Stored);
    assert_eq!(access(&*vault, &again).as_deref(), Some("access-again"));
}

fn revoked_together(make: Make<'_>) {
    let (vault, two) = with_two(make);
    let acme = &two[0].tenant;
    let gone = some(
        must(vault.revoke(acme, id(1), None, at(6))),
        "what revoking gives",
    );
    assert!(gone.still_used_by.is_empty());
    assert!(gone.tokens.is_some());
    for member in &two {
        let history = stored(&*vault, member);
        assert_eq!((history.status, history.shares), (Status::Revoked, None));
        assert!(must(vault.token(acme, member.id)).is_none());
    }
    assert!(must(vault.revoke(acme, id(1), None, at(7))).is_none());
}

fn refused(make: Make<'_>) {
    let (vault, two) = with_two(make);
    let acme = &two[0].tenant;
    let (claim, _) = granted(claim(&*vault, 1, Attempt::Forced, 5));
    let failure = RefreshFailure::Transient {
        code: FailureCode::ServerError,
        at: at(6),
        not_before: at(36),
    };
    assert_eq!(
        must(vault.fail_refresh(acme, id(1), &claim, &failure)),
        CommitOutcome::Stored
    );
    for member in &two {
        let refresh = stored(&*vault, member).refresh;
        assert_eq!((refresh.failures, refresh.not_before), (1, Some(at(36))));
    }
    let (claim, _) = granted(super::claim(&*vault, 1, Attempt::Forced, 50));
    let failure = RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at: at(51),
        quarantined_until: Some(at(100)),
    };
    assert_eq!(
        must(vault.fail_refresh(acme, id(1), &claim, &failure)),
        CommitOutcome::Stored
    );
    for member in &two {
        let shown = stored(&*vault, member);
        assert_eq!(shown.status, Status::NeedsConsent(NeedsConsent::Rejected));
        assert_eq!(shown.refresh.quarantined_until, Some(at(100)));
        assert_eq!(access(&*vault, member), None);
    }
    assert_eq!(must(vault.erase_quarantined(at(100), 9)), 1);
    // A new consent to the same record brings back all who share it, the ones that it does not name too.
    let [mail, calendar] = members(2);
    assert_eq!(grant_to(&*vault, &keeper(2), &[mail], "2"), StoreOutcome::Stored);
    assert_eq!(stored(&*vault, &calendar), calendar);
    assert_eq!(access(&*vault, &calendar).as_deref(), Some("access-2"));
}

fn whole(make: Make<'_>) {
    let vault = make();
    let mut other = connection("acme", 9, personal("alice"));
    other.provider = provider("calendar");
    other.label = Some(label("work"));
    assert_eq!(grant(&*vault, &other, &tokens("other")), StoreOutcome::Stored);
    let mut two = members(1);
    two[1].label = Some(label("work"));
    assert_eq!(grant_to(&*vault, &keeper(1), &two, "1"), StoreOutcome::Conflict);
    for number in [1, 2, 3] {
        assert_eq!(must(vault.connection(&other.tenant, id(number))), None);
    }
    assert!(matches!(find(&*vault, "gmail", ""), Found::Nothing));
    two[1].label = None;
    assert_eq!(grant_to(&*vault, &keeper(1), &two, "1"), StoreOutcome::Stored);
    assert!(matches!(find(&*vault, "calendar", ""), Found::Several));
    let mut changed = keeper(2);
    changed.is_keeper = false;
    assert_eq!(
        grant(&*vault, &changed, &tokens("x")),
        StoreOutcome::Conflict,
        "it is something else"
    );
}

fn hidden(make: Make<'_>) {
    let (vault, two) = with_two(make);
    let acme = &two[0].tenant;
    assert!(some(must(vault.connection(acme, id(1))), "the record").is_keeper);
    assert!(!must(vault.set_default(acme, id(1), None)));
    let (alice, gmail) = (personal("alice"), provider("gmail"));
    assert_eq!(listed(&*vault, &|_| ()), [2, 3]);
    assert_eq!(listed(&*vault, &|query| query.with_revoked = true), [2, 3]);
    assert_eq!(listed(&*vault, &|query| query.shares = Some(id(1))), [2, 3]);
    assert!(listed(&*vault, &|query| query.shares = Some(id(2))).is_empty());
    let mut query = ConnectionQuery::of(acme);
    (query.owner, query.provider) = (Some(&alice), Some(&gmail));
    for with_revoked in [true, false] {
        query.with_revoked = with_revoked;
        assert_eq!(must(vault.connections(&query)).len(), 1);
    }
    let forgotten = some(
        must(vault.forget_user(acme, &user("alice"), None, at(9))),
        "the receipt",
    );
    assert_eq!(forgotten.connections, 2, "only what people were told of");
    assert_eq!(must(vault.connection(acme, id(1))), None);
    assert!(must(vault.due(at(9_999), Duration::from_secs(60), 9)).is_empty());
}
