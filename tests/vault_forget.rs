//! What is forgotten is gone, and the audit proves it.

#![cfg(feature = "sqlite")]

mod vault_support;

use std::time::Duration;

use valetkey::model::{Owner, UserId};
use valetkey::secret::PkceVerifier;
use valetkey::vault::{AuditFilter, AuditKind, ConnectionQuery, Erasure, SqliteVault, Vault};
use vault_support::*;

/// Connections of two people, one of them refreshed, one revoked with its tokens still to be revoked at the provider,
/// and consents that wait for both.
fn inhabited(vault: &SqliteVault) {
    for number in [1, 2, 3, 99] {
        let long = "a".repeat(usize::from(number) * 60);
        grant(vault, &connection(number, 1), &tokens(&long, "refresh"));
    }
    refresh(vault, 2, 1, &tokens("access-2", "refresh-2"));
    let queued = vault
        .revoke_and_queue(&tenant(), id(3), None, at(3), at(9_000))
        .unwrap()
        .unwrap();
    assert!(queued.queued.is_some());
    let verifier = PkceVerifier::new("verifier-verifier-verifier-verifier-verifier");
    vault.insert_consent(&consent("alice"), Some(&verifier)).unwrap();
    let mut strangers = consent("stranger");
    strangers.user = user_of(99);
    strangers.owner = Owner::Personal(user_of(99));
    vault.insert_consent(&strangers, Some(&verifier)).unwrap();
}

fn everything(path: &std::path::Path) -> Vec<Vec<u8>> {
    records(path, "1 = 1")
}

#[test]
fn promise_08_a_forgotten_tenant_leaves_no_key_and_no_token() {
    let rounds = if full() { 100 } else { 5 };
    for round in 0..rounds {
        let (_directory, path) = place();
        let vault = open(&path).unwrap();
        let other = open(&path).unwrap();
        inhabited(&vault);
        let mut neighbour = connection(1, 1);
        neighbour.tenant = valetkey::TenantId::new("neighbour").unwrap();
        grant(&vault, &neighbour, &tokens("theirs", "theirs"));
        let more = round % 60;
        for number in 10..10 + more {
            grant(
                &vault,
                &connection(number, 1),
                &tokens(&"b".repeat(usize::from(number) * 30), "r"),
            );
        }
        vault.rotate_data_key(&tenant()).unwrap();
        refresh(&vault, 1, 1, &tokens("new key", "new key"));
        assert!(other.token(&tenant(), id(1)).unwrap().is_some());
        let theirs = "slot IN (SELECT slot FROM connections WHERE tenant = 2
            UNION SELECT slot FROM tenant_keys WHERE tenant = 2)";
        let alive = records(&path, theirs);
        let mut dead = everything(&path);
        dead.retain(|record| !alive.contains(record));
        assert!(dead.len() >= 3 + 2 * 4, "keys and tokens: {}", dead.len());

        let forgotten = vault.forget_tenant(&tenant(), at(5)).unwrap().unwrap();
        assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
        assert_eq!(forgotten.connections, 4 + usize::from(more));
        assert_eq!(residue(&path, &dead), None);
        assert_eq!(everything(&path).len(), alive.len());
        for vault in [&vault, &other] {
            assert!(vault.token(&tenant(), id(1)).unwrap().is_none());
            assert!(
                vault
                    .connections(&ConnectionQuery::of(&tenant()))
                    .unwrap()
                    .is_empty()
            );
            assert!(vault.consent(&tenant(), &state("alice")).unwrap().is_none());
            assert!(
                vault
                    .take_revocations(at(8_000), Duration::ZERO, 9)
                    .unwrap()
                    .is_empty()
            );
            assert!(vault.proves(&forgotten.proof).unwrap());
            assert!(vault.verify_audit().unwrap().is_intact());
            assert!(vault.token(&neighbour.tenant, id(1)).unwrap().is_some());
        }
        assert!(vault.forget_tenant(&tenant(), at(6)).unwrap().is_none(), "once");
        vault.integrity_check().unwrap();

        // The name may come back, as somebody new, even in a process that knew the old one.
        grant(&other, &connection(1, 1), &tokens("again", "again"));
        assert!(
            vault
                .token(&tenant(), id(1))
                .unwrap()
                .unwrap()
                .access_token
                .is_some()
        );
        let entries = vault.audit(&AuditFilter::of(&tenant())).unwrap();
        assert_eq!(entries.len(), 1, "nothing of the old one's");
    }
}

#[test]
fn promise_08_a_forgotten_user_leaves_no_token_and_a_neighbour_everything() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    inhabited(&vault);
    let alive = records(
        &path,
        "slot IN (SELECT slot FROM connections WHERE owner = 'stranger'
            UNION SELECT slot FROM consents WHERE user = 'stranger' UNION SELECT slot FROM tenant_keys)",
    );
    let mut dead = everything(&path);
    dead.retain(|record| !alive.contains(record));
    assert_eq!(dead.len(), 3 * 2 + 1, "three connections and a verifier");
    let forgotten = vault
        .forget_user(&tenant(), &user(), None, at(5))
        .unwrap()
        .unwrap();
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
    assert_eq!(forgotten.connections, 3);
    assert_eq!(residue(&path, &dead), None);
    assert_eq!(everything(&path).len(), alive.len());
    assert!(
        vault
            .token(&tenant(), id(99))
            .unwrap()
            .unwrap()
            .access_token
            .is_some()
    );
    assert!(vault.consent(&tenant(), &state("alice")).unwrap().is_none());
    assert!(
        vault
            .take_consent(&tenant(), &state("stranger"), at(5))
            .unwrap()
            .unwrap()
            .is_some()
    );
    assert!(vault.proves(&forgotten.proof).unwrap());
    assert!(vault.verify_audit().unwrap().is_intact());
    let last = vault.audit(&AuditFilter::of(&tenant())).unwrap().pop().unwrap();
    assert_eq!(
        (last.kind, last.number),
        (AuditKind::UserForgotten, forgotten.proof.number)
    );
    assert_eq!(last.user, None);
    let nobody = UserId::new("nobody").unwrap();
    let receipt = vault
        .forget_user(&tenant(), &nobody, None, at(6))
        .unwrap()
        .unwrap();
    assert_eq!(receipt.connections, 0);
}

#[test]
fn promise_08_what_was_cut_off_is_finished_by_the_next_clearing() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    inhabited(&vault);
    let dead = everything(&path);
    // As a crash leaves it after the first transaction: the keys are gone, the rows are not.
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch(
        "PRAGMA secure_delete = ON;
         UPDATE secrets SET access = zeroblob(length(access)) WHERE slot IN (SELECT slot FROM tenant_keys);
         DELETE FROM tenant_keys; UPDATE tenants SET name = NULL",
    )
    .unwrap();
    drop(vault);
    let vault = open(&path).unwrap();
    assert!(vault.token(&tenant(), id(1)).unwrap().is_none());
    assert!(vault.due(at(0), Duration::from_secs(9), 9).unwrap().is_empty());
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
    assert_eq!(residue(&path, &dead), None);
    let rows: i64 = db
        .query_row(
            "SELECT (SELECT count(*) FROM tenants) + (SELECT count(*) FROM connections)
                + (SELECT count(*) FROM consents) + (SELECT count(*) FROM outbox)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(rows, 0);
}
