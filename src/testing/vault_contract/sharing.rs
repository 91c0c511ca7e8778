//! One consent for several services: the connections use one grant.

use std::sync::Arc;

use super::{
    Attempt, Check, ClaimOutcome, Make, StoreOutcome, access, account, at, claim, commit_to, connection, due,
    ended, fail, find, gid, grant, granted, id, label, must, personal, provider, reconnect, revoke, scopes,
    some, state, store, stored, stored_none, tenant, token, tokens,
};
use crate::model::{Connection, FailureCode, Grant, GrantId, NeedsConsent, Status};
use crate::vault::{
    CommitOutcome, ConsentStatus, Found, NewGrant, Of, RefreshFailure, Revoke, RevokeWhat, Revoked,
    TokenQuery, Vault,
};

pub(super) const CHECKS: &[Check] = &[
    ("one grant serves several connections", serves),
    ("a refresh of a grant applies to all its connections", refreshed),
    ("a connection that joins a grant leaves its own", joined),
    ("a connection that leaves a grant has a separate one", left),
    ("a revoked connection leaves the grant to the others", revoked),
    (
        "a connection that leaves a shared grant keeps its last state",
        last_state,
    ),
    ("a grant is revoked with all its connections", revoked_together),
    (
        "connections that ended together are reactivated one by one",
        come_back,
    ),
    ("a refused grant is refused for all its connections", refused),
    ("a grant for several connections is stored atomically", whole),
];

/// Grant 1, for the mail and the calendar, of this generation.
pub(super) fn shared_grant(number: u8, generation: u64) -> Grant {
    let mut shared = grant("acme", number, personal("alice"));
    shared.generation = generation;
    shared.requested = scopes("mail.read mail.send calendar");
    shared.granted = scopes("mail.read calendar more");
    shared
}

/// Returns connection 2, to the mail, and connection 3, to the calendar, as they are listed.
pub(super) fn users(grant: &Grant) -> [Connection; 2] {
    let [mut mail, mut calendar] = [2, 3].map(|number| {
        let mut user = Connection::new(id(number), grant);
        user.account = account("account-1");
        user
    });
    mail.requested = scopes("mail.read mail.send");
    calendar.provider = provider("calendar");
    calendar.requested = scopes("calendar");
    calendar.parameters = [("site".to_owned(), "b".to_owned())].into();
    mail.use_grant(grant);
    calendar.use_grant(grant);
    [mail, calendar]
}

/// Returns a vault with connections 2 and 3, which use grant 1: generation 1, tokens "1".
#[track_caller]
pub(super) fn with_two(make: Make<'_>) -> (Arc<dyn Vault>, [Connection; 2]) {
    let vault = make();
    let grant = shared_grant(1, 1);
    let users = users(&grant);
    assert_eq!(store(&*vault, &grant, &users, &tokens("1")), stored_none());
    (vault, users)
}

/// Revokes a grant of tenant "acme" without keeping the tokens.
#[track_caller]
pub(super) fn revoke_grant(vault: &dyn Vault, id: GrantId, now: i64) -> Option<Revoked> {
    must(vault.revoke(&Revoke {
        tenant: &tenant("acme"),
        what: RevokeWhat::Grant(id),
        by: None,
        now: at(now),
        keep_until: None,
    }))
}

fn serves(make: Make<'_>) {
    let vault = make();
    let consent = super::consent("acme", "for two");
    must(vault.insert_consent(&consent, None));
    must(vault.take_consent(&consent.tenant, &consent.state, at(1)));
    let grant = shared_grant(1, 1);
    let two = users(&grant);
    assert_eq!(two[0].granted, scopes("mail.read more"));
    let outcome = must(vault.store_grant(&NewGrant {
        consent: &consent.state,
        grant: &grant,
        tokens: &tokens("1"),
        connections: &two,
        former_dead_at: None,
    }));
    assert_eq!(outcome, stored_none());
    let completed = some(
        must(vault.consent(&consent.tenant, &consent.state)),
        "the consent",
    );
    assert_eq!(completed.status, ConsentStatus::Completed(id(2)));
    for user in &two {
        assert_eq!(stored(&*vault, user), *user);
        assert_eq!(access(&*vault, user).as_deref(), Some("access-1"));
    }
    for (name, number, wanted, missing) in [
        ("gmail", 2, "mail.read", ""),
        ("gmail", 2, "mail.send", "mail.send"),
        ("calendar", 3, "calendar more", ""),
        ("calendar", 3, "mail.read other", "other"),
    ] {
        let found = must(vault.find_token(&TokenQuery {
            tenant: &consent.tenant,
            of: Of::Owner {
                user: Some(&consent.user),
                provider: &provider(name),
                label: None,
            },
            scopes: &scopes(wanted),
        }));
        let Found::One(token) = found else {
            panic!("{name} is not found");
        };
        assert_eq!((token.connection, token.grant), (id(number), gid(1)));
        assert_eq!(token.missing, scopes(missing), "judged by the whole grant");
        assert_eq!(token.parameters, two[usize::from(number) - 2].parameters);
        let access_token = some(token.access_token, "the access token");
        assert_eq!(access_token.expose_secret(), "access-1");
    }
}

fn refreshed(make: Make<'_>) {
    let (vault, two) = with_two(make);
    let claimed = due::claim_one(&*vault, 3_500);
    for user in &two {
        let shown = stored(&*vault, user);
        assert!(shown.refresh.in_flight.is_some(), "it shows the claim");
    }
    let outcome = commit_to(&*vault, 1, &claimed.claim, "2");
    assert_eq!(outcome, CommitOutcome::Stored);
    for user in &two {
        let shown = stored(&*vault, user);
        assert_eq!((shown.generation, shown.expires_at), (2, Some(at(7_200))));
        assert_eq!((shown.refreshed_at, shown.refresh), (at(100), user.refresh));
        assert_eq!(access(&*vault, user).as_deref(), Some("access-2"));
    }
}

fn joined(make: Make<'_>) {
    let vault = make();
    let [mail, calendar] = users(&shared_grant(1, 1));
    let mut alone = mail.clone();
    alone.grant = gid(4);
    super::connect(&*vault, &alone, "alone");
    let (alone, former) = reconnect(&*vault, &alone, 5, "alone");
    assert_eq!(former, [gid(4)]);
    let (late, _) = granted(super::claim_of(&*vault, 5, 2, Attempt::Forced, 5));
    for generation in [1, 2, 4] {
        let grant = shared_grant(1, generation);
        let outcome = store(&*vault, &grant, &users(&grant), &tokens("2"));
        assert_eq!(outcome, StoreOutcome::Conflict, "generation {generation}");
    }
    assert_eq!(access(&*vault, &alone).as_deref(), Some("access-alone"));
    let grant = shared_grant(1, 3);
    let two = users(&grant);
    let StoreOutcome::Stored { mut former } = store(&*vault, &grant, &two, &tokens("3")) else {
        panic!("not stored");
    };
    former.sort_unstable();
    assert_eq!(former, [gid(4), gid(5)], "its own, and the one before that");
    assert_eq!(stored(&*vault, &mail), two[0]);
    let outcome = commit_to(&*vault, 5, &late, "late");
    assert_eq!(outcome, CommitOutcome::Former);
    for user in [&mail, &calendar] {
        assert_eq!(access(&*vault, user).as_deref(), Some("access-3"));
    }
}

fn left(make: Make<'_>) {
    let (vault, two) = with_two(make);
    let (held, _) = granted(claim(&*vault, 1, Attempt::Forced, 5));
    assert_eq!(commit_to(&*vault, 1, &held, "2"), CommitOutcome::Stored);
    let [mail, calendar] = [&two[0], &two[1]].map(|user| stored(&*vault, user));
    let stale = super::grant_of(&mail, 8, 2);
    let outcome = store(&*vault, &stale, std::slice::from_ref(&mail), &tokens("x"));
    assert_eq!(outcome, StoreOutcome::Conflict, "it shows generation 2 already");
    let (mail, former) = reconnect(&*vault, &mail, 8, "own");
    assert_eq!(former, [], "the other connection still uses it");
    assert_eq!(stored(&*vault, &mail), mail);
    assert_eq!(access(&*vault, &mail).as_deref(), Some("access-own"));
    assert_eq!(stored(&*vault, &calendar), calendar);
    assert_eq!(access(&*vault, &calendar).as_deref(), Some("access-2"));
    let shared = some(must(vault.grant(&mail.tenant, gid(1))), "the grant");
    assert_eq!(shared.former_of, None, "it is current");
    let (late, _) = granted(claim(&*vault, 2, Attempt::Forced, 50));
    let (calendar, former) = reconnect(&*vault, &calendar, 9, "own-2");
    assert_eq!(former, [gid(1)]);
    assert_eq!(access(&*vault, &calendar).as_deref(), Some("access-own-2"));
    assert_eq!(commit_to(&*vault, 1, &late, "late"), CommitOutcome::Former);
    assert_eq!(access(&*vault, &calendar).as_deref(), Some("access-own-2"));
    assert_eq!(access(&*vault, &mail).as_deref(), Some("access-own"));
}

fn revoked(make: Make<'_>) {
    let (vault, [mail, calendar]) = with_two(make);
    let acme = &mail.tenant;
    assert!(must(vault.set_default(acme, mail.id, None, at(1))));
    let (held, _) = granted(claim(&*vault, 1, Attempt::Forced, 5));
    let gone = some(revoke(&*vault, &mail, 6), "what revoking gives");
    assert_eq!(gone.still_used_by, [calendar.id]);
    assert!(gone.ended.is_empty(), "no tokens ended");
    let history = stored(&*vault, &mail);
    assert_eq!((history.status, history.is_default), (Status::Revoked, false));
    assert_eq!(gone.connections, std::slice::from_ref(&history));
    assert!(token(&*vault, acme, mail.id).is_none());
    let found = find(&*vault, &mail.owner, None, &scopes(""));
    assert!(matches!(found, Found::Nothing));
    assert!(revoke(&*vault, &mail, 7).is_none(), "it was revoked before");
    // The refresh in progress belongs to the other connections.
    assert_eq!(commit_to(&*vault, 1, &held, "2"), CommitOutcome::Stored);
    assert_eq!(access(&*vault, &calendar).as_deref(), Some("access-2"));
    assert_eq!(
        stored(&*vault, &mail),
        history,
        "what was revoked does not change"
    );
    let (late, _) = granted(claim(&*vault, 2, Attempt::Forced, 50));
    let last = some(revoke(&*vault, &calendar, 60), "what revoking gives");
    assert!(last.still_used_by.is_empty());
    assert_eq!(last.connections, [stored(&*vault, &calendar)]);
    assert_eq!(last.connections[0].status, Status::Revoked);
    assert_eq!(ended(&last), [(Some("access-2"), Some("refresh-2"))]);
    assert_eq!(commit_to(&*vault, 1, &late, "late"), CommitOutcome::Gone);
    // A revoked connection returns with a generation that it never had.
    let (again, _) = reconnect(&*vault, &history, 7, "again");
    assert_eq!(again.generation, 2);
    assert_eq!(access(&*vault, &again).as_deref(), Some("access-again"));
    assert_eq!(stored(&*vault, &calendar), last.connections[0]);
}

fn last_state(make: Make<'_>) {
    let (vault, [mail, calendar]) = with_two(make);
    for generation in [1, 2] {
        let (held, _) = granted(claim(&*vault, generation, Attempt::Forced, 5));
        assert_eq!(commit_to(&*vault, 1, &held, "x"), CommitOutcome::Stored);
    }
    let shown = stored(&*vault, &mail);
    assert_eq!(shown.generation, 3);
    assert!(revoke(&*vault, &mail, 6).is_some());
    let history = stored(&*vault, &mail);
    assert_ne!(
        history.grant, shown.grant,
        "it is not a user of the grant any more"
    );
    let mut expected = shown;
    expected.grant = history.grant;
    expected.status = Status::Revoked;
    expected.refreshable = false;
    assert_eq!(history, expected, "everything else as it was last");
    assert!(revoke(&*vault, &calendar, 7).is_some());
    assert_eq!(stored(&*vault, &mail), history);
}

fn revoked_together(make: Make<'_>) {
    let (vault, two) = with_two(make);
    let gone = some(revoke_grant(&*vault, gid(1), 6), "what revoking gives");
    assert!(gone.still_used_by.is_empty());
    assert_eq!(ended(&gone), [(Some("access-1"), Some("refresh-1"))]);
    let mut revoked = gone.connections;
    revoked.sort_by_key(|connection| connection.id);
    assert_eq!(
        revoked,
        [&two[0], &two[1]].map(|connection| stored(&*vault, connection))
    );
    for user in &two {
        assert_eq!(stored(&*vault, user).status, Status::Revoked);
        assert!(token(&*vault, &user.tenant, user.id).is_none());
    }
    assert!(revoke_grant(&*vault, gid(1), 7).is_none());
    assert!(revoke_grant(&*vault, gid(9), 7).is_none(), "no such grant");
}

fn come_back(make: Make<'_>) {
    let (vault, two) = with_two(make);
    assert!(revoke_grant(&*vault, gid(1), 6).is_some());
    let [mail, calendar] = [&two[0], &two[1]].map(|user| stored(&*vault, user));
    let (mail, _) = reconnect(&*vault, &mail, 5, "mail");
    assert_eq!(
        stored(&*vault, &calendar),
        calendar,
        "the other is history as before"
    );
    let (calendar, _) = reconnect(&*vault, &calendar, 6, "calendar");
    for (connection, name) in [(&mail, "access-mail"), (&calendar, "access-calendar")] {
        assert_eq!(stored(&*vault, connection), *connection);
        assert_eq!(access(&*vault, connection).as_deref(), Some(name));
    }
}

fn refused(make: Make<'_>) {
    let (vault, two) = with_two(make);
    let (held, _) = granted(claim(&*vault, 1, Attempt::Forced, 5));
    let failure = RefreshFailure::Transient {
        setup: None,
        code: FailureCode::ServerError,
        at: at(6),
        not_before: at(36),
    };
    assert_eq!(fail(&*vault, &held, &failure), CommitOutcome::Stored);
    for user in &two {
        let refresh = stored(&*vault, user).refresh;
        assert_eq!((refresh.failures, refresh.not_before), (1, Some(at(36))));
    }
    let (held, _) = granted(claim(&*vault, 1, Attempt::Forced, 50));
    let failure = RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at: at(51),
        quarantined_until: Some(at(100)),
    };
    assert_eq!(fail(&*vault, &held, &failure), CommitOutcome::Stored);
    for user in &two {
        let shown = stored(&*vault, user);
        assert_eq!(shown.status, Status::NeedsConsent(NeedsConsent::Rejected));
        assert_eq!(shown.refresh.quarantined_until, Some(at(100)));
        assert_eq!(access(&*vault, user), None);
    }
    let claimed = claim(&*vault, 1, Attempt::Forced, 60);
    assert!(matches!(claimed, ClaimOutcome::NotActive(_)));
    assert_eq!(must(vault.sweep(&super::sweep::limits(100, 9))).quarantines, 1);
    // A new consent for both reactivates both.
    let grant = shared_grant(4, 2);
    let both = users(&grant);
    assert_eq!(store(&*vault, &grant, &both, &tokens("2")), stored_none());
    for user in &both {
        assert_eq!(stored(&*vault, user), *user);
        assert_eq!(access(&*vault, user).as_deref(), Some("access-2"));
    }
}

fn whole(make: Make<'_>) {
    let vault = make();
    let mut other = connection("acme", 9, personal("alice"));
    other.provider = provider("calendar");
    other.label = Some(label("work"));
    super::connect(&*vault, &other, "other");
    let grant = shared_grant(1, 1);
    let mut two = users(&grant);
    two[1].label = Some(label("work"));
    let consent = super::consent("acme", "for two");
    must(vault.insert_consent(&consent, None));
    must(vault.take_consent(&consent.tenant, &consent.state, at(1)));
    let outcome = must(vault.store_grant(&NewGrant {
        consent: &consent.state,
        grant: &grant,
        tokens: &tokens("1"),
        connections: &two,
        former_dead_at: None,
    }));
    assert_eq!(outcome, StoreOutcome::Conflict);
    for number in [2, 3] {
        assert_eq!(must(vault.connection(&other.tenant, id(number))), None);
    }
    assert_eq!(must(vault.grant(&other.tenant, gid(1))), None);
    let status = must(vault.consent(&consent.tenant, &consent.state)).map(|consent| consent.status);
    assert_eq!(status, Some(ConsentStatus::Taken));
    assert!(matches!(
        find(&*vault, &other.owner, None, &scopes("")),
        Found::Nothing
    ));
    two[1].label = None;
    let nowhere = must(vault.store_grant(&NewGrant {
        consent: &state("no such consent"),
        grant: &grant,
        tokens: &tokens("1"),
        connections: &two,
        former_dead_at: None,
    }));
    assert_eq!(nowhere, stored_none());
}
