//! Grants and their connections: stored atomically by compare-and-swap.

use super::{
    Check, Make, StoreOutcome, access, account, at, connect, connection, gid, grant, grant_of, id, label,
    must, need_consent, personal, provider, reconnect, renewed, revoke, scopes, store, stored, stored_none,
    tenant, tokens, with_one,
};
use crate::model::{Connection, NeedsConsent, Owner, Status};
use crate::vault::{CommitOutcome, Tokens, Vault};

pub(super) const CHECKS: &[Check] = &[
    (
        "a connection and its grant come back as they were stored",
        round_trip,
    ),
    ("a grant names the next generation", compare_and_swap),
    (
        "a grant of several connections has a generation above the highest",
        highest,
    ),
    ("an id names one grant", used_id),
    ("a new grant replaces the tokens and the record", replaced),
    (
        "a grant reactivates connections that were revoked or need consent",
        brought_back,
    ),
    ("a connection keeps its owner and its provider", not_moved),
    ("labels are unique while not revoked", labels),
    ("accounts are unique while not revoked", accounts),
    (
        "one grant does not contain the same label or account twice",
        twice,
    ),
    ("a grant needs a connection", unused),
    ("a grant may set and move the default", default),
];

fn round_trip(make: Make<'_>) {
    let vault = make();
    let mut full_grant = grant("acme", 1, personal("alice"));
    full_grant.account = account("account-1");
    full_grant.parameters = [("site".to_owned(), "a \"b\" \u{e9}".to_owned())].into();
    full_grant.lifetime = Some(std::time::Duration::from_secs(3_599));
    let mut full = Connection::new(id(1), &full_grant);
    full.label = Some(label("work"));
    full.is_default = true;
    let mut bare_grant = grant("acme", 2, Owner::Workspace);
    bare_grant.expires_at = None;
    bare_grant.requested = scopes("");
    bare_grant.granted = scopes("");
    bare_grant.issued_by.revocation_endpoint = None;
    bare_grant.refreshable = false;
    let bare = Connection::new(id(2), &bare_grant);
    let no_refresh = Tokens {
        refresh_token: None,
        id_token: None,
        ..tokens("2")
    };
    for (grant, connection, tokens) in [
        (&full_grant, &full, tokens("1")),
        (&bare_grant, &bare, no_refresh),
    ] {
        let outcome = store(&*vault, grant, std::slice::from_ref(connection), &tokens);
        assert_eq!(outcome, stored_none());
        assert_eq!(stored(&*vault, connection), *connection);
        let read = must(vault.grant(&tenant("acme"), grant.id));
        assert_eq!(read.as_ref(), Some(grant));
    }
    assert_eq!(access(&*vault, &full).as_deref(), Some("access-1"));
    assert_eq!(must(vault.connection(&tenant("acme"), id(9))), None);
    assert_eq!(must(vault.grant(&tenant("acme"), gid(9))), None);
    assert_eq!(must(vault.grant(&tenant("other"), gid(1))), None);
}

fn compare_and_swap(make: Make<'_>) {
    let vault = make();
    let connection = connection("acme", 1, personal("alice"));
    for (number, generation, is_stored) in [
        (1, 2, false),
        (2, 1, true),
        (3, 1, false),
        (4, 3, false),
        (5, 0, false),
        (6, 2, true),
    ] {
        let before = must(vault.connection(&connection.tenant, connection.id));
        let grant = grant_of(&connection, number, generation);
        let name = number.to_string();
        let outcome = store(&*vault, &grant, std::slice::from_ref(&connection), &tokens(&name));
        assert_eq!(
            outcome != StoreOutcome::Conflict,
            is_stored,
            "generation {generation}"
        );
        if !is_stored {
            assert_eq!(must(vault.connection(&connection.tenant, connection.id)), before);
            assert_eq!(must(vault.grant(&connection.tenant, gid(number))), None);
        }
    }
    assert_eq!(access(&*vault, &connection).as_deref(), Some("access-6"));
}

fn highest(make: Make<'_>) {
    let (vault, mail) = with_one(make);
    let mail = reconnect(&*vault, &mail, 2, "2").0;
    let mail = reconnect(&*vault, &mail, 3, "3").0;
    let mut calendar = connection("acme", 4, personal("alice"));
    calendar.provider = provider("calendar");
    connect(&*vault, &calendar, "calendar");
    let both = [mail.clone(), calendar];
    for generation in [1, 2, 3, 5] {
        let outcome = store(&*vault, &grant_of(&mail, 5, generation), &both, &tokens("x"));
        assert_eq!(outcome, StoreOutcome::Conflict, "generation {generation}");
    }
    let outcome = store(&*vault, &grant_of(&mail, 5, 4), &both, &tokens("both"));
    assert!(matches!(outcome, StoreOutcome::Stored { .. }));
    for connection in &both {
        let shown = stored(&*vault, connection);
        assert_eq!((shown.generation, shown.grant), (4, gid(5)));
        assert_eq!(access(&*vault, connection).as_deref(), Some("access-both"));
    }
}

fn used_id(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let (again, _) = renewed(&first, 1);
    let outcome = store(&*vault, &again, std::slice::from_ref(&first), &tokens("x"));
    assert_eq!(outcome, StoreOutcome::Conflict, "its own");
    let second = connection("acme", 2, personal("bob"));
    let foreign = grant_of(&second, 1, 1);
    let outcome = store(&*vault, &foreign, std::slice::from_ref(&second), &tokens("x"));
    assert_eq!(outcome, StoreOutcome::Conflict, "another one's");
    assert_eq!(must(vault.connection(&second.tenant, second.id)), None);
    assert_eq!(stored(&*vault, &first), first);
    assert_eq!(access(&*vault, &first).as_deref(), Some("access-1"));
}

fn replaced(make: Make<'_>) {
    let (vault, mut connection) = with_one(make);
    connection.label = Some(label("home"));
    let mut grant = grant_of(&connection, 2, 2);
    grant.granted = scopes("mail.read mail.send");
    grant.refreshed_at = at(9);
    grant.consented_at = at(9);
    connection.use_grant(&grant);
    connection.refreshable = false;
    let mut tokens = tokens("2");
    tokens.refresh_token = None;
    let outcome = store(&*vault, &grant, std::slice::from_ref(&connection), &tokens);
    assert_eq!(outcome, StoreOutcome::Stored { former: vec![gid(1)] });
    assert_eq!(stored(&*vault, &connection), connection);
    assert_eq!(access(&*vault, &connection).as_deref(), Some("access-2"));
}

fn brought_back(make: Make<'_>) {
    let (vault, connection) = with_one(make);
    let outcome = need_consent(&*vault, &connection, 1, NeedsConsent::Expired);
    assert_eq!(outcome, CommitOutcome::Stored);
    let (connection, former) = reconnect(&*vault, &connection, 2, "2");
    assert_eq!(former, [], "the grant had no tokens");
    assert_eq!(must(vault.grant(&connection.tenant, gid(1))), None);
    assert_eq!(stored(&*vault, &connection), connection);
    assert!(revoke(&*vault, &connection, 3).is_some());
    let stale = grant_of(&connection, 3, 2);
    let outcome = store(&*vault, &stale, std::slice::from_ref(&connection), &tokens("3"));
    assert_eq!(outcome, StoreOutcome::Conflict);
    let (connection, former) = reconnect(&*vault, &connection, 3, "3");
    assert_eq!(former, []);
    assert_eq!(must(vault.grant(&connection.tenant, gid(2))), None);
    assert_eq!(stored(&*vault, &connection), connection);
    assert_eq!(access(&*vault, &connection).as_deref(), Some("access-3"));
}

fn not_moved(make: Make<'_>) {
    let (vault, original) = with_one(make);
    let moved = connection("acme", 1, personal("bob"));
    let outcome = store(&*vault, &grant_of(&moved, 2, 2), &[moved], &tokens("2"));
    assert_eq!(outcome, StoreOutcome::Conflict);
    let mut moved = original.clone();
    moved.provider = provider("calendar");
    let outcome = store(&*vault, &grant_of(&moved, 2, 2), &[moved], &tokens("2"));
    assert_eq!(outcome, StoreOutcome::Conflict);
    assert_eq!(stored(&*vault, &original), original);
}

fn labels(make: Make<'_>) {
    unique(make, &|connection| connection.label = Some(label("work")));
}

fn accounts(make: Make<'_>) {
    unique(make, &|connection| connection.account = account("account-1"));
}

#[track_caller]
fn conflicts(vault: &dyn Vault, connection: &Connection, number: u8, why: &str) {
    let before = must(vault.connection(&connection.tenant, connection.id));
    let generation = before.as_ref().map_or(0, |before| before.generation) + 1;
    let grant = grant_of(connection, number, generation);
    let outcome = store(vault, &grant, std::slice::from_ref(connection), &tokens("x"));
    assert_eq!(outcome, StoreOutcome::Conflict, "{why}");
    assert_eq!(must(vault.connection(&connection.tenant, connection.id)), before);
    assert_eq!(must(vault.grant(&connection.tenant, gid(number))), None);
}

fn unique(make: Make<'_>, mark: &dyn Fn(&mut Connection)) {
    let vault = make();
    let marked = |number: u8, owner: Owner| {
        let mut connection = connection("acme", number, owner);
        mark(&mut connection);
        connection
    };
    let first = marked(1, personal("alice"));
    connect(&*vault, &first, "1");
    let second = marked(2, personal("alice"));
    conflicts(&*vault, &second, 2, "it is taken");
    for other in [marked(3, personal("bob")), marked(4, Owner::Workspace)] {
        connect(&*vault, &other, "3");
    }
    let mut calendar = marked(5, personal("alice"));
    calendar.provider = provider("calendar");
    connect(&*vault, &calendar, "5");
    let unmarked = connection("acme", 6, personal("alice"));
    connect(&*vault, &unmarked, "6");
    let mut late = unmarked;
    mark(&mut late);
    conflicts(&*vault, &late, 7, "an existing connection cannot take it either");
    assert!(revoke(&*vault, &first, 1).is_some());
    connect(&*vault, &second, "2");
    conflicts(&*vault, &first, 8, "its place is taken");
    assert_eq!(stored(&*vault, &first).status, Status::Revoked);
}

fn twice(make: Make<'_>) {
    let vault = make();
    let marks: [&dyn Fn(&mut Connection); 2] = [&|it| it.label = Some(label("work")), &|it| {
        it.account = account("a")
    }];
    for mark in marks {
        let mut two = [1, 2].map(|number| connection("acme", number, personal("alice")));
        two.iter_mut().for_each(mark);
        let outcome = store(&*vault, &grant_of(&two[0], 1, 1), &two, &tokens("x"));
        assert_eq!(outcome, StoreOutcome::Conflict);
    }
    let one = connection("acme", 1, personal("alice"));
    let outcome = store(
        &*vault,
        &grant_of(&one, 1, 1),
        &[one.clone(), one.clone()],
        &tokens("x"),
    );
    assert_eq!(outcome, StoreOutcome::Conflict, "the same connection twice");
    assert_eq!(must(vault.connection(&one.tenant, one.id)), None);
}

fn unused(make: Make<'_>) {
    let vault = make();
    let grant = grant("acme", 1, personal("alice"));
    let outcome = store(&*vault, &grant, &[], &tokens("x"));
    assert_eq!(outcome, StoreOutcome::Conflict);
    assert_eq!(must(vault.grant(&grant.tenant, grant.id)), None);
}

fn default(make: Make<'_>) {
    let vault = make();
    let mut first = connection("acme", 1, personal("alice"));
    first.is_default = true;
    connect(&*vault, &first, "1");
    let mut second = connection("acme", 2, personal("alice"));
    second.is_default = true;
    connect(&*vault, &second, "2");
    let defaults = || [&first, &second].map(|connection| stored(&*vault, connection).is_default);
    assert_eq!(defaults(), [false, true]);
    // A shared grant for both connections moves the default from one to the other.
    let mut grant = grant_of(&first, 3, 2);
    for (number, chosen) in [(3, 0), (4, 1)] {
        grant.id = gid(number);
        let both = [(&first, chosen == 0), (&second, chosen == 1)].map(|(connection, is_default)| {
            let mut connection = connection.clone();
            connection.is_default = is_default;
            connection
        });
        for order in [[0, 1], [1, 0]] {
            let ordered = order.map(|at| both[at].clone());
            let outcome = store(&*vault, &grant, &ordered, &tokens("both"));
            assert!(matches!(outcome, StoreOutcome::Stored { .. }), "{outcome:?}");
            assert_eq!(defaults(), [chosen == 0, chosen == 1]);
            for connection in [&first, &second] {
                assert_eq!(stored(&*vault, connection).grant, grant.id);
                assert_eq!(access(&*vault, connection).as_deref(), Some("access-both"));
            }
            grant.generation += 1;
            grant.id = gid(number + 10);
        }
    }
    let two = [&first, &second].map(|connection| {
        let mut connection = connection.clone();
        connection.is_default = true;
        connection
    });
    grant.id = gid(99);
    let outcome = store(&*vault, &grant, &two, &tokens("x"));
    assert_eq!(outcome, StoreOutcome::Conflict, "two defaults");
}
