//! Finding tokens: the only one, the default, the labelled one, or none; and none after a
//! revocation.

use super::{
    Check, Make, access, at, connect, connection, find, gid, grant, grant_of, id, label, must, need_consent,
    personal, renewed, revoke, scopes, some, state, store, stored, tenant, token, with_one,
};
use crate::model::{Connection, ConnectionId, NeedsConsent, Owner, Status};
use crate::secret::AccessToken;
use crate::vault::{
    CommitOutcome, Found, NewGrant, Of, StoreOutcome, StoredToken, TokenQuery, Tokens, VaultError,
};

pub(super) const CHECKS: &[Check] = &[
    ("one connection is found and shown as it is", one),
    ("of several connections, the default or none", several),
    ("a label selects one connection or none", labelled),
    ("missing scopes are named", missing),
    ("an id names one connection, with its scopes judged", by_id),
    ("personal and workspace connections are separate", apart),
    (
        "a connection that needs consent is found without a token",
        needs_consent,
    ),
    ("a token of 64 KiB fits and a larger one is refused", large),
];

#[track_caller]
fn only(found: Found) -> StoredToken {
    match found {
        Found::One(token) => token,
        other => panic!("not one: {other:?}"),
    }
}

fn one(make: Make<'_>) {
    let vault = make();
    let alice = personal("alice");
    assert!(matches!(find(&*vault, &alice, None, &scopes("")), Found::Nothing));
    let mut grant = grant("acme", 7, alice.clone());
    grant.parameters = [("site".to_owned(), "a".to_owned())].into();
    let connection = Connection::new(id(1), &grant);
    connect(&*vault, &connection, "1");
    let by_owner = only(find(&*vault, &alice, None, &scopes("mail.read")));
    let by_id = some(token(&*vault, &connection.tenant, id(1)), "the token");
    for token in [by_owner, by_id] {
        assert_eq!((token.connection, token.grant), (connection.id, gid(7)));
        assert_eq!(token.generation, 1);
        assert_eq!(token.status, Status::Active);
        assert_eq!(
            token.access_token.as_ref().map(|token| token.expose_secret()),
            Some("access-1")
        );
        assert_eq!(token.refreshed_at, connection.refreshed_at);
        assert_eq!(token.expires_at, connection.expires_at);
        assert!(token.refreshable);
        assert!(token.missing.is_empty());
        assert_eq!(token.parameters, connection.parameters);
        assert_eq!(token.refresh, connection.refresh);
    }
    assert_eq!(stored(&*vault, &connection), connection, "finding writes nothing");
    assert!(token(&*vault, &connection.tenant, id(2)).is_none());
    assert!(matches!(
        find(&*vault, &personal("bob"), None, &scopes("")),
        Found::Nothing
    ));
}

fn found_id(found: Found) -> ConnectionId {
    only(found).connection
}

fn several(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let second = connection("acme", 2, first.owner.clone());
    connect(&*vault, &second, "2");
    let search = || find(&*vault, &first.owner, None, &scopes(""));
    assert!(matches!(search(), Found::Several));
    for chosen in [2, 1] {
        assert!(must(vault.set_default(&first.tenant, id(chosen), None, at(1))));
        assert_eq!(found_id(search()), id(chosen));
    }
    let third = connection("acme", 3, first.owner.clone());
    connect(&*vault, &third, "3");
    assert_eq!(found_id(search()), id(1));
    assert!(revoke(&*vault, &first, 1).is_some());
    assert!(
        matches!(search(), Found::Several),
        "the default is gone, nobody takes its place"
    );
    assert!(revoke(&*vault, &second, 1).is_some());
    assert_eq!(found_id(search()), id(3), "the only one left");
    assert!(revoke(&*vault, &third, 1).is_some());
    assert!(matches!(search(), Found::Nothing));
}

fn labelled(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let mut work = connection("acme", 2, first.owner.clone());
    work.label = Some(label("work"));
    connect(&*vault, &work, "2");
    assert!(must(vault.set_default(&first.tenant, id(1), None, at(1))));
    let search = |name: &str| find(&*vault, &first.owner, Some(&label(name)), &scopes(""));
    assert_eq!(found_id(search("work")), id(2));
    assert!(
        matches!(search("home"), Found::Nothing),
        "the default is no answer to a name"
    );
    assert!(matches!(search("Work"), Found::Nothing));
    assert!(revoke(&*vault, &work, 1).is_some());
    assert!(matches!(search("work"), Found::Nothing));
}

fn missing(make: Make<'_>) {
    let (vault, first) = with_one(make);
    for (wanted, missing) in [
        ("", ""),
        ("mail.read", ""),
        ("mail.read mail.send", "mail.send"),
        ("mail mail.rea MAIL.READ", "mail mail.rea MAIL.READ"),
    ] {
        let token = only(find(&*vault, &first.owner, None, &scopes(wanted)));
        assert_eq!(token.missing, scopes(missing), "of {wanted:?}");
        assert!(token.access_token.is_some());
    }
}

fn by_id(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let wanted = scopes("mail.read mail.send");
    let acme = tenant("acme");
    let query = |id| TokenQuery {
        tenant: &acme,
        of: Of::Id(id),
        scopes: &wanted,
    };
    let token = only(must(vault.find_token(&query(first.id))));
    assert_eq!(token.missing, scopes("mail.send"));
    assert!(matches!(must(vault.find_token(&query(id(9)))), Found::Nothing));
    assert!(revoke(&*vault, &first, 1).is_some());
    let found = must(vault.find_token(&query(first.id)));
    assert!(
        matches!(found, Found::Nothing),
        "revoked connections are passed over"
    );
}

fn apart(make: Make<'_>) {
    let vault = make();
    let shared = connection("acme", 1, Owner::Workspace);
    connect(&*vault, &shared, "1");
    assert!(matches!(
        find(&*vault, &personal("alice"), None, &scopes("")),
        Found::Nothing
    ));
    let own = connection("acme", 2, personal("alice"));
    connect(&*vault, &own, "2");
    assert_eq!(
        found_id(find(&*vault, &personal("alice"), None, &scopes(""))),
        id(2)
    );
    assert_eq!(
        found_id(find(&*vault, &Owner::Workspace, None, &scopes(""))),
        id(1)
    );
}

fn needs_consent(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let need = |generation| need_consent(&*vault, &first, generation, NeedsConsent::Unexplained);
    assert_eq!(need(2), CommitOutcome::Superseded);
    assert_eq!(stored(&*vault, &first), first);
    assert_eq!(need(1), CommitOutcome::Stored);
    assert_eq!(need(1), CommitOutcome::Superseded, "it is not active any more");
    let token = only(find(&*vault, &first.owner, None, &scopes("")));
    assert_eq!(token.status, Status::NeedsConsent(NeedsConsent::Unexplained));
    assert!(token.access_token.is_none());
    assert!(!token.refreshable);
    let revoked = some(revoke(&*vault, &first, 1), "the revocation");
    assert!(revoked.ended.is_empty(), "nothing was left");
    assert_eq!(need(1), CommitOutcome::Gone);
    let mut unknown = first.clone();
    unknown.grant = gid(9);
    let outcome = need_consent(&*vault, &unknown, 1, NeedsConsent::Expired);
    assert_eq!(outcome, CommitOutcome::Gone);
}

fn large(make: Make<'_>) {
    let vault = make();
    let bare = connection("acme", 1, personal("alice"));
    let with = |len: usize| Tokens {
        access_token: AccessToken::new("a".repeat(len)),
        refresh_token: None,
        id_token: None,
    };
    let grant = grant_of(&bare, 1, 1);
    let connections = std::slice::from_ref(&bare);
    let outcome = store(&*vault, &grant, connections, &with(64 * 1024));
    assert!(matches!(outcome, StoreOutcome::Stored { .. }));
    assert_eq!(access(&*vault, &bare).map(|token| token.len()), Some(64 * 1024));
    let (next, _) = renewed(&bare, 2);
    let refused = vault.store_grant(&NewGrant {
        consent: &state("none"),
        grant: &next,
        tokens: &with(64 * 1024 + 1),
        connections,
        former_dead_at: None,
    });
    assert!(matches!(refused, Err(VaultError::TooLarge)), "{refused:?}");
    assert_eq!(stored(&*vault, &bare).generation, 1);
}
