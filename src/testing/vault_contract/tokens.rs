//! Finding tokens: the one, the default, the labelled, or none; and nothing after a revocation.

use super::{
    Check, Make, StoreOutcome, access, at, connection, find, grant, id, label, must, personal, scopes, some,
    stored, tokens, with_one,
};
use crate::model::{ConnectionId, NeedsConsent, Owner, Status};
use crate::secret::AccessToken;
use crate::vault::{CommitOutcome, Erasure, Found, StoredToken, Tokens, VaultError};

pub(super) const CHECKS: &[Check] = &[
    ("one connection is found and shown as it is", one),
    ("of several the default or none", several),
    ("a label names one or none", labelled),
    ("missing scopes are named", missing),
    ("personal and shared are apart", apart),
    ("what needs consent is found without a token", needs_consent),
    ("a revocation gives the tokens out once and leaves none", revoked),
    ("a revocation without a refresh token", revoked_bare),
    ("a token of 64 KiB fits and a larger one is refused", large),
    ("residue can be cleared", cleared),
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
    let mut connection = connection("acme", 1, alice.clone());
    connection.parameters = [("site".to_owned(), "a".to_owned())].into();
    assert_eq!(grant(&*vault, &connection, &tokens("1")), StoreOutcome::Stored);
    let by_owner = only(find(&*vault, &alice, None, &scopes("mail.read")));
    let by_id = some(must(vault.token(&connection.tenant, id(1))), "the token");
    for token in [by_owner, by_id] {
        assert_eq!(token.connection, connection.id);
        assert_eq!(token.generation, 1);
        assert_eq!(token.status, Status::Active);
        assert_eq!(
            token.access_token.as_ref().map(AccessToken::expose_secret),
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
    assert!(must(vault.token(&connection.tenant, id(2))).is_none());
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
    assert_eq!(grant(&*vault, &second, &tokens("2")), StoreOutcome::Stored);
    let search = || find(&*vault, &first.owner, None, &scopes(""));
    assert!(matches!(search(), Found::Several));
    for chosen in [2, 1] {
        assert!(must(vault.set_default(&first.tenant, id(chosen), None)));
        assert_eq!(found_id(search()), id(chosen));
    }
    let third = connection("acme", 3, first.owner.clone());
    assert_eq!(grant(&*vault, &third, &tokens("3")), StoreOutcome::Stored);
    assert_eq!(found_id(search()), id(1));
    assert!(must(vault.revoke(&first.tenant, id(1), None, at(1))).is_some());
    assert!(
        matches!(search(), Found::Several),
        "the default is gone, nobody takes its place"
    );
    assert!(must(vault.revoke(&first.tenant, id(2), None, at(1))).is_some());
    assert_eq!(found_id(search()), id(3), "the only one left");
    assert!(must(vault.revoke(&first.tenant, id(3), None, at(1))).is_some());
    assert!(matches!(search(), Found::Nothing));
}

fn labelled(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let mut work = connection("acme", 2, first.owner.clone());
    work.label = Some(label("work"));
    assert_eq!(grant(&*vault, &work, &tokens("2")), StoreOutcome::Stored);
    assert!(must(vault.set_default(&first.tenant, id(1), None)));
    let search = |name: &str| find(&*vault, &first.owner, Some(&label(name)), &scopes(""));
    assert_eq!(found_id(search("work")), id(2));
    assert!(
        matches!(search("home"), Found::Nothing),
        "the default is no answer to a name"
    );
    assert!(matches!(search("Work"), Found::Nothing));
    assert!(must(vault.revoke(&first.tenant, id(2), None, at(1))).is_some());
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

fn apart(make: Make<'_>) {
    let vault = make();
    let shared = connection("acme", 1, Owner::Shared);
    assert_eq!(grant(&*vault, &shared, &tokens("1")), StoreOutcome::Stored);
    assert!(matches!(
        find(&*vault, &personal("alice"), None, &scopes("")),
        Found::Nothing
    ));
    let own = connection("acme", 2, personal("alice"));
    assert_eq!(grant(&*vault, &own, &tokens("2")), StoreOutcome::Stored);
    assert_eq!(
        found_id(find(&*vault, &personal("alice"), None, &scopes(""))),
        id(2)
    );
    assert_eq!(found_id(find(&*vault, &Owner::Shared, None, &scopes(""))), id(1));
}

fn needs_consent(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let need = |generation| {
        must(vault.need_consent(
            &first.tenant,
            id(1),
            generation,
            NeedsConsent::RejectedAfterRefresh,
        ))
    };
    assert_eq!(need(2), CommitOutcome::Superseded);
    assert_eq!(stored(&*vault, &first), first);
    assert_eq!(need(1), CommitOutcome::Stored);
    assert_eq!(need(1), CommitOutcome::Superseded, "it is active no more");
    let token = only(find(&*vault, &first.owner, None, &scopes("")));
    assert_eq!(
        token.status,
        Status::NeedsConsent(NeedsConsent::RejectedAfterRefresh)
    );
    assert!(token.access_token.is_none());
    assert!(!token.refreshable);
    let gone = must(vault.revoke(&first.tenant, id(1), None, at(1)));
    assert!(some(gone, "the revocation").tokens.is_none(), "nothing was left");
    assert_eq!(need(1), CommitOutcome::Gone);
    assert_eq!(
        must(vault.need_consent(&first.tenant, id(9), 1, NeedsConsent::Expired)),
        CommitOutcome::Gone
    );
}

fn revoked(make: Make<'_>) {
    let (vault, first) = with_one(make);
    let gone = some(
        must(vault.revoke(&first.tenant, id(1), None, at(9))),
        "the revocation",
    );
    assert_eq!(gone.connection.status, Status::Revoked);
    assert!(!gone.connection.refreshable);
    assert_eq!(gone.connection.id, first.id);
    let tokens = some(gone.tokens, "what it held");
    assert_eq!(tokens.access_token.expose_secret(), "access-1");
    assert_eq!(
        tokens.refresh_token.as_ref().map(|token| token.expose_secret()),
        Some("refresh-1")
    );
    assert_eq!(
        tokens.id_token.as_ref().map(|token| token.expose_secret()),
        Some("id-1")
    );
    assert_eq!(
        stored(&*vault, &first),
        gone.connection,
        "the record stays as history"
    );
    assert!(must(vault.token(&first.tenant, id(1))).is_none());
    assert!(must(vault.revoke(&first.tenant, id(1), None, at(10))).is_none());
    assert!(must(vault.revoke(&first.tenant, id(9), None, at(10))).is_none());
}

fn revoked_bare(make: Make<'_>) {
    let vault = make();
    let mut bare = connection("acme", 1, personal("alice"));
    bare.refreshable = false;
    let held = Tokens {
        access_token: AccessToken::new("access-1"),
        refresh_token: None,
        id_token: None,
    };
    assert_eq!(grant(&*vault, &bare, &held), StoreOutcome::Stored);
    assert_eq!(stored(&*vault, &bare), bare);
    let gone = some(
        must(vault.revoke(&bare.tenant, id(1), None, at(9))),
        "the revocation",
    );
    let tokens = some(gone.tokens, "what it held");
    assert!(tokens.refresh_token.is_none() && tokens.id_token.is_none());
}

fn large(make: Make<'_>) {
    let vault = make();
    let bare = connection("acme", 1, personal("alice"));
    let with = |len: usize| Tokens {
        access_token: AccessToken::new("a".repeat(len)),
        refresh_token: None,
        id_token: None,
    };
    assert_eq!(grant(&*vault, &bare, &with(64 * 1024)), StoreOutcome::Stored);
    assert_eq!(access(&*vault, &bare).map(|token| token.len()), Some(64 * 1024));
    let mut next = bare.clone();
    next.generation = 2;
    let refused = vault.store_grant(&crate::vault::Grant {
        consent: &super::state("none"),
        connection: &next,
        tokens: &with(64 * 1024 + 1),
        members: &[],
    });
    assert!(matches!(refused, Err(VaultError::TooLarge)), "{refused:?}");
    assert_eq!(stored(&*vault, &bare).generation, 1);
}

fn cleared(make: Make<'_>) {
    let (vault, first) = with_one(make);
    assert!(must(vault.revoke(&first.tenant, id(1), None, at(9))).is_some());
    assert_eq!(must(vault.clear_residue()), Erasure::Cleared);
}
