//! Consent requests and their sealed verifiers.

use super::checks;
use super::fixtures::{commit, connect, connection, connection_id, consent, name, read, state, tenant};
use crate::vault::StateHash;
use crate::vault::tables::{ConsentRow, Of, Tables, TenantRow, Write};

checks![
    a_consent_request_is_read_back_with_its_verifier,
    a_state_is_used_once,
    an_ended_consent_request_has_no_verifier,
    consent_requests_are_found_by_the_person_who_began_them,
    expired_consent_requests_are_found_earliest_first,
    a_deleted_consent_request_leaves_nothing,
];

const VERIFIER: [u8; 60] = [9; 60];

fn insert(tables: &impl Tables, tenant: TenantRow, row: &ConsentRow) {
    commit(tables, |rows| rows.insert_consent(tenant, row, &VERIFIER));
}

fn a_consent_request_is_read_back_with_its_verifier<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    let row = ConsentRow {
        owner: String::new(),
        ..consent(1)
    };
    insert(&tables, acme, &row);
    assert_eq!(
        read(&tables, |rows| rows.consent(acme, &state(1))),
        Some((row, Some(VERIFIER.to_vec())))
    );
    assert_eq!(read(&tables, |rows| rows.consent(acme, &state(2))), None);
    assert_eq!(read(&tables, |rows| rows.consent(zeta, &state(1))), None);
}

fn a_state_is_used_once<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    insert(&tables, acme, &consent(1));
    let other = ConsentRow {
        user: "eve".to_owned(),
        ..consent(1)
    };
    let again = tables.write(|rows| rows.insert_consent(acme, &other, &[1; 40]).map(Write::Commit));
    assert!(again.is_err());
    let stored = read(&tables, |rows| rows.consent(acme, &state(1)));
    assert_eq!(stored, Some((consent(1), Some(VERIFIER.to_vec()))));
}

fn an_ended_consent_request_has_no_verifier<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    insert(&tables, acme, &consent(1));
    insert(&tables, acme, &consent(2));
    commit(&tables, |rows| rows.end_consent(acme, &state(1), "taken", None));
    let taken = ConsentRow {
        status: "taken".to_owned(),
        key_version: 0,
        ..consent(1)
    };
    assert_eq!(
        read(&tables, |rows| rows.consent(acme, &state(1))),
        Some((taken.clone(), None))
    );
    commit(&tables, |rows| {
        connect(rows, acme, &connection(7, "ada", "notes"))?;
        rows.end_consent(acme, &state(1), "completed", Some(connection_id(7)))
    });
    let completed = ConsentRow {
        status: "completed".to_owned(),
        completed: Some(connection_id(7)),
        ..taken
    };
    assert_eq!(
        read(&tables, |rows| rows.consent(acme, &state(1))),
        Some((completed, None))
    );
    let other = read(&tables, |rows| rows.consent(acme, &state(2)));
    assert_eq!(other, Some((consent(2), Some(VERIFIER.to_vec()))));
}

fn consent_requests_are_found_by_the_person_who_began_them<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    let by = |n, user: &str, owner: &str| ConsentRow {
        user: user.to_owned(),
        owner: owner.to_owned(),
        ..consent(n)
    };
    insert(&tables, acme, &by(1, "ada", "ada"));
    insert(&tables, acme, &by(2, "bob", "ada"));
    insert(&tables, acme, &by(3, "ada", ""));
    insert(&tables, zeta, &by(4, "ada", "ada"));
    commit(&tables, |rows| rows.end_consent(acme, &state(3), "denied", None));
    let mut found = read(&tables, |rows| rows.consents_of(acme, "ada"));
    found.sort_by_key(|(row, _)| row.state);
    let denied = ConsentRow {
        status: "denied".to_owned(),
        key_version: 0,
        ..by(3, "ada", "")
    };
    assert_eq!(
        found,
        [(by(1, "ada", "ada"), Some(VERIFIER.to_vec())), (denied, None)]
    );
    assert!(read(&tables, |rows| rows.consents_of(acme, "ad")).is_empty());

    let states = |after: Option<u8>, limit: usize| -> Vec<StateHash> {
        let after = after.map(state);
        let page = read(&tables, |rows| rows.consents_after(acme, after.as_ref(), limit));
        page.iter().map(|(row, _)| row.state).collect()
    };
    assert_eq!(states(None, 9), [state(1), state(2), state(3)]);
    assert_eq!(states(Some(1), 1), [state(2)]);
    assert!(states(Some(3), 9).is_empty() && states(None, 0).is_empty());
}

fn expired_consent_requests_are_found_earliest_first<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    let until = |n, expires_at| ConsentRow {
        expires_at,
        ..consent(n)
    };
    insert(&tables, acme, &until(1, 50));
    insert(&tables, acme, &until(2, 20));
    insert(&tables, zeta, &until(3, 49));
    commit(&tables, |rows| rows.end_consent(acme, &state(2), "failed", None));
    let expired = |before, limit| read(&tables, |rows| rows.expired_consents(before, limit));
    let of_acme = |n| Of {
        tenant: acme,
        name: name("acme"),
        row: state(n),
    };
    let of_zeta = Of {
        tenant: zeta,
        name: name("zeta"),
        row: state(3),
    };
    assert_eq!(expired(50, 9), [of_acme(2), of_zeta.clone()]);
    assert_eq!(expired(51, 9), [of_acme(2), of_zeta, of_acme(1)]);
    assert_eq!(expired(51, 1), [of_acme(2)]);
    assert_eq!(expired(20, 9), []);
}

fn a_deleted_consent_request_leaves_nothing<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    insert(&tables, acme, &consent(1));
    insert(&tables, acme, &consent(2));
    commit(&tables, |rows| rows.delete_consent(acme, &state(1)));
    assert_eq!(read(&tables, |rows| rows.consent(acme, &state(1))), None);
    assert_eq!(read(&tables, |rows| rows.consents_of(acme, "ada")).len(), 1);
    assert_eq!(read(&tables, |rows| rows.expired_consents(i64::MAX, 9)).len(), 1);
}
