//! Erased users and tenants leave no data, and the audit proves the erasure.

#![cfg(feature = "sqlite")]

use std::time::Duration;

use valetkey::internals::secret::PkceVerifier;
use valetkey::internals::vault::{AuditFilter, ConnectionQuery, DueQuery, Taken};
use valetkey::model::{Owner, TenantId, UserId};
use valetkey::vault::{AuditKind, Erasure, SqliteVault};

use crate::support::vault::*;

/// Creates connections of two users: one was refreshed, one was connected again and has a former
/// grant, two use one grant, one was revoked with its tokens still to be revoked at the provider.
/// Also creates consent requests of both.
fn inhabited(vault: &SqliteVault) {
    for number in [11, 12, 13, 99] {
        let long = "a".repeat(usize::from(number) * 60);
        grant(vault, &connection(number), &tokens(&long, "refresh"));
    }
    refresh(vault, 12, &tokens("access-12", "refresh-12"));
    assert_eq!(grant(vault, &connection(11), &tokens("again", "again")).len(), 1);
    grant_all(vault, &[connection(14), connection(15)], &tokens("both", "both"));
    revoke_and_keep(vault, 13);
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
    let rounds = if full() { 100 } else { 6 };
    for (round, schema) in (0..rounds).zip(SCHEMAS.into_iter().cycle()) {
        a_forgotten_tenant_leaves_no_key_and_no_token(round, schema);
    }
}

fn a_forgotten_tenant_leaves_no_key_and_no_token(round: u8, schema: u32) {
    let (_directory, path) = place_of(schema);
    let vault = open(&path).unwrap();
    let other = open(&path).unwrap();
    inhabited(&vault);
    let mut neighbour = connection(1);
    neighbour.tenant = TenantId::new("neighbour").unwrap();
    grant(&vault, &neighbour, &tokens("theirs", "theirs"));
    let more = round % 60;
    for number in 20..20 + more {
        let long = "b".repeat(usize::from(number) * 30);
        grant(&vault, &connection(number), &tokens(&long, "r"));
    }
    rotate_data_key(&vault);
    refresh(&vault, 11, &tokens("new key", "new key"));
    assert!(access(&other, &tenant(), 11).is_some());
    let of_others =
        "slot IN (SELECT slot FROM grants WHERE tenant <> (SELECT id FROM tenants WHERE name = 'acme')
        UNION SELECT slot FROM tenant_keys WHERE tenant <> (SELECT id FROM tenants WHERE name = 'acme'))";
    let alive = records(&path, of_others);
    let mut dead = everything(&path);
    dead.retain(|record| !alive.contains(record));
    assert!(dead.len() >= 4 + 2 * 6, "keys and tokens: {}", dead.len());
    let mut all = ConnectionQuery::of(&neighbour.tenant);
    all.with_revoked = true;
    assert_eq!(vault.connections(&all).unwrap().len(), 1);

    let forgotten = forget_tenant(&vault, &tenant()).unwrap().unwrap();
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
    let older = [4, 4, 6, 6, 0][usize::try_from(schema).unwrap() - 1];
    assert_eq!(forgotten.connections, 6 + older + usize::from(more));
    assert_eq!(residue(&path, &dead), None);
    assert_eq!(everything(&path).len(), alive.len());
    for vault in [&vault, &other] {
        nothing_is_left_of_it(vault);
        assert!(vault.proves(&forgotten.proof).unwrap());
        assert_intact(vault);
        assert!(access(vault, &neighbour.tenant, 1).is_some());
    }
    assert!(forget_tenant(&vault, &tenant()).unwrap().is_none(), "once");
    vault.integrity_check().unwrap();

    // The name may be used again by a new user, even in a process that knew the former one.
    grant(&other, &connection(1), &tokens("again", "again"));
    assert_eq!(access(&vault, &tenant(), 1).as_deref(), Some("again"));
    let entries = vault.audit(&AuditFilter::of(&tenant())).unwrap();
    assert_eq!(entries.len(), 1, "nothing of the old one's");
    assert_intact(&vault);
}

fn nothing_is_left_of_it(vault: &SqliteVault) {
    let tenant = tenant();
    assert!(find(vault, &tenant, id(11)).unwrap().is_none());
    let mut all = ConnectionQuery::of(&tenant);
    all.with_revoked = true;
    assert!(vault.connections(&all).unwrap().is_empty());
    assert!(vault.consent(&tenant, &state("alice")).unwrap().is_none());
    let pending = vault.take_revocations(at(8_000), Duration::ZERO, 9);
    assert!(pending.unwrap().is_empty());
    assert!(vault.audit(&AuditFilter::of(&tenant)).unwrap().is_empty());
    assert!(vault.audit_heads(Some(&tenant)).unwrap().is_empty());
}

#[test]
fn promise_08_a_forgotten_user_leaves_no_token_and_a_neighbour_everything() {
    for schema in SCHEMAS {
        a_forgotten_user_leaves_no_token_and_a_neighbour_everything(schema);
    }
}

fn a_forgotten_user_leaves_no_token_and_a_neighbour_everything(schema: u32) {
    let (_directory, path) = place_of(schema);
    let vault = open(&path).unwrap();
    inhabited(&vault);
    let alive = records(
        &path,
        "slot IN (SELECT slot FROM grants WHERE uuid IN (SELECT grant_id FROM connections WHERE owner <> 'alice')
            UNION SELECT slot FROM consents WHERE user = 'stranger' UNION SELECT slot FROM tenant_keys
            UNION SELECT slot FROM definitions WHERE slot IS NOT NULL)",
    );
    let mut dead = everything(&path);
    dead.retain(|record| !alive.contains(record));
    // The files of older versions contain one active connection of alice's, one in quarantine, one
    // that waits for the provider, and a verifier.
    let older = match schema {
        NEWEST => 0,
        // Two more connections that use one grant, and a former grant.
        3 | 4 => 2 + 1 + 2 + 1 + 2 * 2,
        _ => 2 + 1 + 2 + 1,
    };
    assert_eq!(
        dead.len(),
        5 * 2 + 1 + older,
        "tokens of five grants and a verifier"
    );
    let forgotten = forget_user(&vault, &user()).unwrap().unwrap();
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
    assert_eq!(
        forgotten.connections,
        5 + [3, 3, 5, 5, 0][usize::try_from(schema).unwrap() - 1]
    );
    assert_eq!(residue(&path, &dead), None);
    assert_eq!(everything(&path).len(), alive.len());
    assert!(access(&vault, &tenant(), 99).is_some());
    assert!(vault.consent(&tenant(), &state("alice")).unwrap().is_none());
    let taken = take(&vault, "stranger", 5);
    assert!(matches!(taken, Taken::Consent(_, Some(_))), "{taken:?}");
    assert!(vault.proves(&forgotten.proof).unwrap());
    assert_eq!(forgotten.proof.tenant(), Some(&tenant()));
    assert_intact(&vault);
    let last = vault.audit(&AuditFilter::of(&tenant())).unwrap().pop().unwrap();
    assert_eq!(
        (last.kind, last.number),
        (AuditKind::UserForgotten, forgotten.proof.number())
    );
    assert_eq!(last.user, None);
    let nobody = UserId::new("nobody").unwrap();
    let receipt = forget_user(&vault, &nobody).unwrap().unwrap();
    assert_eq!(receipt.connections, 0);
}

/// Both handles know the old tenant, and one of them never writes.
#[test]
fn a_name_that_comes_back_is_found_by_a_process_that_knew_the_old_workspace() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    let other = open(&path).unwrap();
    grant(&vault, &connection(1), &tokens("old", "old"));
    assert_eq!(access(&other, &tenant(), 1).as_deref(), Some("old"));
    forget_tenant(&vault, &tenant()).unwrap().unwrap();
    grant(&vault, &connection(1), &tokens("new", "new"));
    assert_eq!(stored(&other, 1), stored(&vault, 1));
    assert_eq!(other.audit(&AuditFilter::of(&tenant())).unwrap().len(), 1);

    let third = open(&path).unwrap();
    assert_eq!(access(&third, &tenant(), 1).as_deref(), Some("new"));
    forget_tenant(&vault, &tenant()).unwrap().unwrap();
    grant(&vault, &connection(1), &tokens("newest", "newest"));
    assert_eq!(access(&third, &tenant(), 1).as_deref(), Some("newest"));
    assert_intact(&third);
}

#[test]
fn promise_08_what_a_crash_cut_off_is_finished_by_the_next_clearing() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    inhabited(&vault);
    let dead = everything(&path);
    // The state after a crash following the first transaction: the keys are gone, the rows are not.
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch(
        "PRAGMA secure_delete = ON;
         UPDATE secrets SET access = zeroblob(length(access)) WHERE slot IN (SELECT slot FROM tenant_keys);
         DELETE FROM tenant_keys; UPDATE tenants SET name = NULL",
    )
    .unwrap();
    drop(vault);
    let vault = open(&path).unwrap();
    assert!(find(&vault, &tenant(), id(11)).unwrap().is_none());
    let due = vault.claim_due(&DueQuery {
        server: connection(1).server(),
        holder: vault.holder().unwrap(),
        now: at(0),
        claim_time: at(0),
        lease: Duration::from_secs(9),
        horizon: Duration::from_secs(9),
        idle_since: Some(at(9_000)),
        limit: 9,
    });
    assert!(due.unwrap().is_empty());
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
    assert_eq!(residue(&path, &dead), None);
    let left = [
        "tenants",
        "connections",
        "grants",
        "consents",
        "revocations",
        "uses",
        "audit",
        "audit_gaps",
        "audit_checkpoints",
    ]
    .map(|table| format!("(SELECT count(*) FROM {table})"))
    .join(" + ");
    let rows: i64 = db
        .query_row(&format!("SELECT {left}"), [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 0);
    vault.integrity_check().unwrap();
}
