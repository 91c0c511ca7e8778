//! Connections: separate for each tenant, listed in order, one default.

use super::{
    Check, Make, access, at, claim_of, connect, connection, find, gid, grant_of, id, must, need_consent,
    personal, provider, revoke, scopes, some, store, stored, tenant, token, tokens, user, with_one,
};
use crate::model::{Connection, NeedsConsent, Owner, TenantId};
use crate::vault::{
    Attempt, ClaimOutcome, CommitOutcome, ConnectionQuery, Found, RevokeWhat, StoreOutcome, TokenUse,
    UseRecord,
};

pub(super) const CHECKS: &[Check] = &[
    ("tenants never cross", separate),
    ("at most one connection is the default", default),
    ("lists are in order of the id, filtered and paged", listed),
    ("the connections of a grant are listed", of_grant),
    ("the time of use only grows", used),
];

fn token_use(tenant: &TenantId, connection: &Connection, seconds: i64) -> TokenUse {
    TokenUse {
        tenant: tenant.clone(),
        connection: connection.id,
        provider: connection.provider.clone(),
        at: at(seconds),
        user: user("alice"),
        shared: false,
        purpose: None,
        turn: None,
    }
}

fn separate(make: Make<'_>) {
    let (vault, ours) = with_one(make);
    let theirs = connection("other", 2, personal("alice"));
    connect(&*vault, &theirs, "2");
    let other = &theirs.tenant;
    let mut foreign = ours.clone();
    foreign.tenant = other.clone();
    assert_eq!(must(vault.connection(other, ours.id)), None);
    assert_eq!(must(vault.grant(other, ours.grant)), None);
    assert!(token(&*vault, other, ours.id).is_none());
    assert!(!must(vault.set_default(other, ours.id, None, at(1))));
    assert!(revoke(&*vault, &foreign, 1).is_none());
    for what in [RevokeWhat::Connection(ours.id), RevokeWhat::Grant(ours.grant)] {
        let request = crate::vault::Revoke {
            tenant: other,
            what,
            by: None,
            now: at(1),
            keep_until: None,
        };
        assert!(must(vault.revoke(&request)).is_none());
    }
    let outcome = need_consent(&*vault, &foreign, 1, NeedsConsent::Expired);
    assert_eq!(outcome, CommitOutcome::Gone);
    let claimed = claim_of(&*vault, 2, 1, Attempt::Forced, 1);
    assert!(matches!(claimed, ClaimOutcome::Gone), "theirs is not ours");
    must(vault.record_uses(&[token_use(other, &ours, 9)], UseRecord::Times));
    let listed = must(vault.connections(&ConnectionQuery::of(other)));
    assert_eq!(listed, std::slice::from_ref(&theirs));
    assert_eq!(stored(&*vault, &ours), ours);
    assert_eq!(access(&*vault, &ours).as_deref(), Some("access-1"));
    // The same ids in two tenants are two connections and two grants.
    let same_id = connection("other", 1, personal("carol"));
    connect(&*vault, &same_id, "3");
    assert_eq!(stored(&*vault, &ours), ours);
    assert_eq!(access(&*vault, &ours).as_deref(), Some("access-1"));
    assert_eq!(access(&*vault, &same_id).as_deref(), Some("access-3"));
}

fn default(make: Make<'_>) {
    let vault = make();
    for number in 1..=3 {
        connect(&*vault, &connection("acme", number, personal("alice")), "x");
    }
    let bobs = connection("acme", 4, personal("bob"));
    connect(&*vault, &bobs, "x");
    let mut calendar = connection("acme", 6, personal("alice"));
    calendar.provider = provider("calendar");
    connect(&*vault, &calendar, "x");
    let acme = tenant("acme");
    let set = |number: u8| must(vault.set_default(&acme, id(number), None, at(1)));
    let defaults = || {
        let mut query = ConnectionQuery::of(&acme);
        query.with_revoked = true;
        let mut defaults = must(vault.connections(&query));
        defaults.retain(|connection| connection.is_default);
        defaults
            .iter()
            .map(|connection| connection.id)
            .collect::<Vec<_>>()
    };
    assert!(defaults().is_empty());
    assert!(set(4) && set(6) && set(1) && set(3));
    assert_eq!(
        defaults(),
        [id(3), id(4), id(6)],
        "one for each owner and provider"
    );
    assert!(!set(9));
    let third = connection("acme", 3, personal("alice"));
    assert!(revoke(&*vault, &third, 1).is_some());
    assert!(!set(3), "it is revoked");
    assert_eq!(defaults(), [id(4), id(6)]);
}

/// Returns the numbers of the connections that a query finds.
#[track_caller]
fn numbers(vault: &dyn crate::vault::Vault, change: &dyn Fn(&mut ConnectionQuery<'_>)) -> Vec<u8> {
    let acme = tenant("acme");
    let mut query = ConnectionQuery::of(&acme);
    change(&mut query);
    let found = must(vault.connections(&query));
    found
        .iter()
        .map(|connection| connection.id.as_bytes()[0])
        .collect()
}

fn listed(make: Make<'_>) {
    let vault = make();
    for (number, owner, name) in [
        (9, personal("alice"), "gmail"),
        (3, personal("alice"), "calendar"),
        (5, personal("bob"), "gmail"),
        (7, Owner::Workspace, "gmail"),
        (4, personal("alice"), "gmail"),
    ] {
        let mut connection = connection("acme", number, owner);
        connection.provider = provider(name);
        connect(&*vault, &connection, "x");
    }
    let fourth = connection("acme", 4, personal("alice"));
    assert!(revoke(&*vault, &fourth, 1).is_some());
    let acme = tenant("acme");
    let (alice, gmail) = (Owner::Personal(user("alice")), provider("gmail"));
    let filters: [(Option<&Owner>, bool, &[u8]); 6] = [
        (None, false, &[3, 4, 5, 7, 9]),
        (None, true, &[4, 5, 7, 9]),
        (Some(&alice), false, &[3, 4, 9]),
        (Some(&alice), true, &[4, 9]),
        (Some(&Owner::Workspace), false, &[7]),
        (Some(&Owner::Workspace), true, &[7]),
    ];
    for (owner, of_gmail, expected) in filters {
        let mut query = ConnectionQuery::of(&acme);
        query.owner = owner;
        query.provider = of_gmail.then_some(&gmail);
        for with_revoked in [true, false] {
            query.with_revoked = with_revoked;
            let expected: Vec<u8> = expected
                .iter()
                .copied()
                .filter(|number| with_revoked || *number != 4)
                .collect();
            let found: Vec<u8> = must(vault.connections(&query))
                .iter()
                .map(|connection| connection.id.as_bytes()[0])
                .collect();
            assert_eq!(found, expected, "{owner:?}, gmail: {of_gmail}");
        }
    }
    let list = |change: &dyn Fn(&mut ConnectionQuery<'_>)| numbers(&*vault, change);
    assert_eq!(list(&|query| query.limit = 2), [3, 5]);
    let after_five = list(&|query| {
        query.limit = 2;
        query.after = Some(id(5));
    });
    assert_eq!(after_five, [7, 9]);
    assert!(list(&|query| query.after = Some(id(9))).is_empty());
    assert!(list(&|query| query.limit = 0).is_empty());
    let nobody = tenant("nobody");
    assert!(must(vault.connections(&ConnectionQuery::of(&nobody))).is_empty());
}

fn of_grant(make: Make<'_>) {
    let vault = make();
    let two = [5, 3].map(|number| connection("acme", number, personal("alice")));
    let outcome = store(&*vault, &grant_of(&two[0], 7, 1), &two, &tokens("both"));
    assert!(matches!(outcome, StoreOutcome::Stored { .. }));
    connect(&*vault, &connection("acme", 4, personal("alice")), "4");
    let list = |change: &dyn Fn(&mut ConnectionQuery<'_>)| numbers(&*vault, change);
    assert_eq!(list(&|query| query.grant = Some(gid(7))), [3, 5]);
    assert_eq!(list(&|query| query.grant = Some(gid(4))), [4]);
    assert!(list(&|query| query.grant = Some(gid(9))).is_empty());
    let after_three = list(&|query| {
        query.grant = Some(gid(7));
        query.after = Some(id(3));
    });
    assert_eq!(after_three, [5]);
}

fn used(make: Make<'_>) {
    let (vault, connection) = with_one(make);
    let mut unknown = connection.clone();
    unknown.id = id(99);
    for (seconds, expected) in [(10, 10), (5, 10), (12, 12), (12, 12)] {
        let uses = [&connection, &unknown].map(|used| token_use(&used.tenant, used, seconds));
        must(vault.record_uses(&uses, UseRecord::Times));
        assert_eq!(stored(&*vault, &connection).used_at, Some(at(expected)));
    }
    must(vault.record_uses(&[], UseRecord::Times));
    must(vault.record_uses(&[], UseRecord::Entries));
    let found = find(&*vault, &connection.owner, None, &scopes(""));
    let Found::One(token) = found else {
        panic!("{found:?}");
    };
    assert_eq!(token.generation, 1, "using is no new generation");
    let _ = some(token.access_token, "the token");
}
