//! Connections: granted by compare and swap, listed in order, one default.

use super::{
    Check, Make, StoreOutcome, access, account, at, connection, find, grant, id, label, must, personal,
    provider, scopes, some, stored, tenant, tokens, user, with_one,
};
use crate::model::{Connection, NeedsConsent, Owner, Status};
use crate::vault::{CommitOutcome, ConnectionQuery, Found, Use};

pub(super) const CHECKS: &[Check] = &[
    ("a connection comes back as it was stored", round_trip),
    ("a grant names the next generation", compare_and_swap),
    ("a new grant replaces the tokens and the record", replaced),
    (
        "a grant brings back what was revoked or needs consent",
        brought_back,
    ),
    ("a connection keeps its owner and its provider", not_moved),
    ("labels are unique while not revoked", labels),
    ("accounts are unique while not revoked", accounts),
    ("tenants never cross", separate),
    ("at most one connection is the default", default),
    ("lists are in order of the id, filtered and paged", listed),
    ("the time of use only grows", used),
];

fn round_trip(make: Make<'_>) {
    let vault = make();
    let mut full = connection("acme", 1, personal("alice"));
    full.label = Some(label("work"));
    full.is_default = true;
    full.account = account("account-1");
    full.parameters = [("site".to_owned(), "a \"b\" \u{e9}".to_owned())].into();
    full.used_at = Some(at(5));
    let mut bare = connection("acme", 2, Owner::Shared);
    bare.expires_at = None;
    bare.requested = scopes("");
    bare.granted = scopes("");
    assert_eq!(grant(&*vault, &full, &tokens("1")), StoreOutcome::Stored);
    assert_eq!(grant(&*vault, &bare, &tokens("2")), StoreOutcome::Stored);
    assert_eq!(stored(&*vault, &full), full);
    assert_eq!(stored(&*vault, &bare), bare);
    assert_eq!(access(&*vault, &full).as_deref(), Some("access-1"));
    assert_eq!(must(vault.connection(&tenant("acme"), id(9))), None);
}

fn compare_and_swap(make: Make<'_>) {
    let vault = make();
    let mut connection = connection("acme", 1, personal("alice"));
    for (generation, outcome) in [
        (2, StoreOutcome::Conflict),
        (1, StoreOutcome::Stored),
        (1, StoreOutcome::Conflict),
        (3, StoreOutcome::Conflict),
        (2, StoreOutcome::Stored),
    ] {
        connection.generation = generation;
        let before = must(vault.connection(&connection.tenant, connection.id));
        assert_eq!(
            grant(&*vault, &connection, &tokens(&generation.to_string())),
            outcome
        );
        if outcome == StoreOutcome::Conflict {
            assert_eq!(must(vault.connection(&connection.tenant, connection.id)), before);
        }
    }
    assert_eq!(access(&*vault, &connection).as_deref(), Some("access-2"));
}

fn replaced(make: Make<'_>) {
    let (vault, mut connection) = with_one(make);
    connection.generation = 2;
    connection.label = Some(label("home"));
    connection.granted = scopes("mail.read mail.send");
    connection.refreshed_at = at(9);
    connection.refreshable = false;
    let mut renewed = tokens("2");
    renewed.refresh_token = None;
    assert_eq!(grant(&*vault, &connection, &renewed), StoreOutcome::Stored);
    assert_eq!(stored(&*vault, &connection), connection);
    assert_eq!(access(&*vault, &connection).as_deref(), Some("access-2"));
    assert!(!stored(&*vault, &connection).refreshable);
}

fn brought_back(make: Make<'_>) {
    let (vault, mut connection) = with_one(make);
    let outcome = must(vault.need_consent(&connection.tenant, id(1), 1, NeedsConsent::Expired));
    assert_eq!(outcome, CommitOutcome::Stored);
    connection.generation = 2;
    assert_eq!(grant(&*vault, &connection, &tokens("2")), StoreOutcome::Stored);
    assert_eq!(stored(&*vault, &connection), connection);
    assert!(must(vault.revoke(&connection.tenant, id(1), None, at(3))).is_some());
    assert_eq!(grant(&*vault, &connection, &tokens("3")), StoreOutcome::Conflict);
    connection.generation = 3;
    assert_eq!(grant(&*vault, &connection, &tokens("3")), StoreOutcome::Stored);
    assert_eq!(stored(&*vault, &connection), connection);
    assert_eq!(access(&*vault, &connection).as_deref(), Some("access-3"));
}

fn not_moved(make: Make<'_>) {
    let (vault, original) = with_one(make);
    let mut moved = connection("acme", 1, personal("bob"));
    moved.generation = 2;
    assert_eq!(grant(&*vault, &moved, &tokens("2")), StoreOutcome::Conflict);
    let mut moved = original.clone();
    moved.generation = 2;
    moved.provider = provider("calendar");
    assert_eq!(grant(&*vault, &moved, &tokens("2")), StoreOutcome::Conflict);
    assert_eq!(stored(&*vault, &original), original);
}

fn labels(make: Make<'_>) {
    unique(make, &|connection| connection.label = Some(label("work")));
}

fn accounts(make: Make<'_>) {
    unique(make, &|connection| connection.account = account("account-1"));
}

fn unique(make: Make<'_>, mark: &dyn Fn(&mut Connection)) {
    let vault = make();
    let marked = |number: u8, owner: Owner| {
        let mut connection = connection("acme", number, owner);
        mark(&mut connection);
        connection
    };
    let first = marked(1, personal("alice"));
    assert_eq!(grant(&*vault, &first, &tokens("1")), StoreOutcome::Stored);
    let second = marked(2, personal("alice"));
    assert_eq!(grant(&*vault, &second, &tokens("2")), StoreOutcome::Conflict);
    assert_eq!(must(vault.connection(&second.tenant, second.id)), None);
    for other in [marked(3, personal("bob")), marked(4, Owner::Shared)] {
        assert_eq!(grant(&*vault, &other, &tokens("3")), StoreOutcome::Stored);
    }
    let mut calendar = marked(5, personal("alice"));
    calendar.provider = provider("calendar");
    assert_eq!(grant(&*vault, &calendar, &tokens("5")), StoreOutcome::Stored);
    let unmarked = connection("acme", 6, personal("alice"));
    assert_eq!(grant(&*vault, &unmarked, &tokens("6")), StoreOutcome::Stored);
    assert!(must(vault.revoke(&first.tenant, first.id, None, at(1))).is_some());
    assert_eq!(grant(&*vault, &second, &tokens("2")), StoreOutcome::Stored);
    let mut again = first;
    again.generation = 2;
    assert_eq!(
        grant(&*vault, &again, &tokens("7")),
        StoreOutcome::Conflict,
        "its place is taken"
    );
    assert_eq!(stored(&*vault, &again).status, Status::Revoked);
}

fn separate(make: Make<'_>) {
    let (vault, ours) = with_one(make);
    let theirs = connection("other", 2, personal("alice"));
    assert_eq!(grant(&*vault, &theirs, &tokens("2")), StoreOutcome::Stored);
    let other = &theirs.tenant;
    assert_eq!(must(vault.connection(other, ours.id)), None);
    assert!(must(vault.token(other, ours.id)).is_none());
    assert!(!must(vault.set_default(other, ours.id, None)));
    assert!(must(vault.revoke(other, ours.id, None, at(1))).is_none());
    assert_eq!(
        must(vault.need_consent(other, ours.id, 1, NeedsConsent::Expired)),
        CommitOutcome::Gone
    );
    must(vault.record_use(&[Use {
        tenant: other.clone(),
        connection: ours.id,
        at: at(9),
    }]));
    assert_eq!(
        must(vault.connections(&ConnectionQuery::of(other))),
        std::slice::from_ref(&theirs)
    );
    assert_eq!(stored(&*vault, &ours), ours);
    assert_eq!(access(&*vault, &ours).as_deref(), Some("access-1"));
    // The same id in two tenants is two connections.
    let mut same_id = connection("other", 1, personal("carol"));
    same_id.granted = scopes("other");
    assert_eq!(grant(&*vault, &same_id, &tokens("3")), StoreOutcome::Stored);
    assert_eq!(stored(&*vault, &ours), ours);
    assert_eq!(access(&*vault, &same_id).as_deref(), Some("access-3"));
}

fn default(make: Make<'_>) {
    let vault = make();
    let all: Vec<_> = (1..=3)
        .map(|number| connection("acme", number, personal("alice")))
        .collect();
    for connection in &all {
        assert_eq!(grant(&*vault, connection, &tokens("x")), StoreOutcome::Stored);
    }
    let bobs = connection("acme", 4, personal("bob"));
    assert_eq!(grant(&*vault, &bobs, &tokens("x")), StoreOutcome::Stored);
    let defaults = || {
        let mut query = ConnectionQuery::of(&bobs.tenant);
        query.with_revoked = true;
        let mut defaults = must(vault.connections(&query));
        defaults.retain(|connection| connection.is_default);
        defaults
            .iter()
            .map(|connection| connection.id)
            .collect::<Vec<_>>()
    };
    assert!(defaults().is_empty());
    assert!(must(vault.set_default(&bobs.tenant, id(4), None)));
    assert!(must(vault.set_default(&bobs.tenant, id(1), None)));
    assert!(must(vault.set_default(&bobs.tenant, id(3), None)));
    assert_eq!(defaults(), [id(3), id(4)], "one for each owner");
    assert!(!must(vault.set_default(&bobs.tenant, id(9), None)));
    assert!(must(vault.revoke(&bobs.tenant, id(3), None, at(1))).is_some());
    assert!(
        !must(vault.set_default(&bobs.tenant, id(3), None)),
        "it is revoked"
    );
    assert_eq!(defaults(), [id(4)]);
    let mut new = connection("acme", 5, personal("alice"));
    new.is_default = true;
    assert!(must(vault.set_default(&bobs.tenant, id(1), None)));
    assert_eq!(grant(&*vault, &new, &tokens("x")), StoreOutcome::Stored);
    assert_eq!(defaults(), [id(4), id(5)], "a grant may bring the new default");
}

fn listed(make: Make<'_>) {
    let vault = make();
    for (number, owner, name) in [
        (9, personal("alice"), "gmail"),
        (3, personal("alice"), "calendar"),
        (5, personal("bob"), "gmail"),
        (7, Owner::Shared, "gmail"),
        (4, personal("alice"), "gmail"),
    ] {
        let mut connection = connection("acme", number, owner);
        connection.provider = provider(name);
        assert_eq!(grant(&*vault, &connection, &tokens("x")), StoreOutcome::Stored);
    }
    let acme = tenant("acme");
    assert!(must(vault.revoke(&acme, id(4), None, at(1))).is_some());
    let (alice, gmail) = (Owner::Personal(user("alice")), provider("gmail"));
    let list = |change: &dyn Fn(&mut ConnectionQuery<'_>)| {
        let mut query = ConnectionQuery::of(&acme);
        change(&mut query);
        let found = must(vault.connections(&query));
        found
            .iter()
            .map(|connection| connection.id.as_bytes()[0])
            .collect::<Vec<_>>()
    };
    let filters: [(Option<&Owner>, bool, &[u8]); 6] = [
        (None, false, &[3, 4, 5, 7, 9]),
        (None, true, &[4, 5, 7, 9]),
        (Some(&alice), false, &[3, 4, 9]),
        (Some(&alice), true, &[4, 9]),
        (Some(&Owner::Shared), false, &[7]),
        (Some(&Owner::Shared), true, &[7]),
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
    assert_eq!(list(&|query| query.limit = 2), [3, 5]);
    assert_eq!(
        list(&|query| {
            query.limit = 2;
            query.after = Some(id(5));
        }),
        [7, 9]
    );
    assert!(list(&|query| query.after = Some(id(9))).is_empty());
    assert!(list(&|query| query.limit = 0).is_empty());
    let nobody = tenant("nobody");
    assert!(must(vault.connections(&ConnectionQuery::of(&nobody))).is_empty());
}

fn used(make: Make<'_>) {
    let (vault, connection) = with_one(make);
    for (seconds, expected) in [(10, 10), (5, 10), (12, 12), (12, 12)] {
        must(vault.record_use(&[
            Use {
                tenant: connection.tenant.clone(),
                connection: connection.id,
                at: at(seconds),
            },
            Use {
                tenant: connection.tenant.clone(),
                connection: id(99),
                at: at(seconds),
            },
        ]));
        assert_eq!(stored(&*vault, &connection).used_at, Some(at(expected)));
    }
    must(vault.record_use(&[]));
    let found = find(&*vault, &connection.owner, None, &scopes(""));
    let Found::One(token) = found else {
        panic!("{found:?}");
    };
    assert_eq!(token.generation, 1, "using is no new generation");
    let _ = some(token.access_token, "the token");
}
