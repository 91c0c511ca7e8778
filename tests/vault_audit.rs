//! The audit notices whatever is done to it, and tells only its own tenant.

#![cfg(feature = "sqlite")]

mod vault_support;

use std::fs;

use rusqlite::Connection as Database;
use valetkey::model::{Actor, NeedsConsent, UserId};
use valetkey::vault::{
    AuditFilter, AuditHead, AuditKind, AuditOrder, ClaimOutcome, Grant, Handout, RefreshFailure, Renewed,
    SqliteVault, Vault, VaultError,
};
use vault_support::*;

/// A vault in which everything happened once, and its entries' kinds in order.
fn lived(vault: &SqliteVault) -> Vec<AuditKind> {
    vault.insert_consent(&consent("one"), None).unwrap();
    vault
        .take_consent(&tenant(), &state("one"), at(1))
        .unwrap()
        .unwrap();
    vault
        .close_consent(&tenant(), &state("one"), valetkey::vault::ConsentStatus::Denied)
        .unwrap();
    grant(vault, &connection(1, 1), &tokens("MARKER-1", "MARKER-r1"));
    grant(vault, &connection(2, 1), &tokens("MARKER-2", "MARKER-r2"));
    refresh(vault, 1, 1, &tokens("MARKER-3", "MARKER-r3"));
    let ClaimOutcome::Granted(claimed) = claim(vault, 2, 1) else {
        panic!("not granted");
    };
    let refusal = RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at: at(5),
        quarantined_until: Some(at(9)),
    };
    vault
        .fail_refresh(&tenant(), id(2), &claimed.claim, &refusal)
        .unwrap();
    assert_eq!(vault.erase_quarantined(at(9), 9).unwrap(), 1);
    assert!(vault.set_default(&tenant(), id(1), None).unwrap());
    vault
        .record_handouts(&[Handout {
            tenant: tenant(),
            connection: id(1),
            provider: connection(1, 1).provider,
            at: at(10),
            user: user(),
            shared: true,
            purpose: Some("send a mail".into()),
            turn: Some("turn-7".into()),
        }])
        .unwrap();
    assert!(vault.rotate_data_key(&tenant()).unwrap());
    vault
        .need_consent(&tenant(), id(1), 2, NeedsConsent::RejectedAfterRefresh)
        .unwrap();
    assert!(vault.revoke(&tenant(), id(1), None, at(11)).unwrap().is_some());
    vec![
        AuditKind::ConsentStarted,
        AuditKind::ConsentDenied,
        AuditKind::ConsentCompleted,
        AuditKind::ConsentCompleted,
        AuditKind::Refreshed,
        AuditKind::RefreshRejected,
        AuditKind::QuarantineErased,
        AuditKind::DefaultSet,
        AuditKind::TokenUsed,
        AuditKind::DataKeyRotated,
        AuditKind::ConsentNeeded,
        AuditKind::Revoked,
    ]
}

#[test]
fn promise_28_every_change_has_its_entry() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    let kinds = lived(&vault);
    let entries = vault.audit(&AuditFilter::of(&tenant())).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.kind).collect::<Vec<_>>(), kinds);
    let numbers: Vec<_> = entries.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    assert!(!format!("{entries:?}").contains("MARKER"));
    assert_eq!(entries[5].detail.as_deref(), Some("rejected"));
    assert_eq!(entries[4].generation, Some(2));
    assert_ne!(entries[3].fingerprint, entries[4].fingerprint);
    let used = &entries[8];
    assert_eq!(used.user, Some(user()));
    assert_eq!(used.purpose.as_deref(), Some("send a mail"));
    assert_eq!(used.turn.as_deref(), Some("turn-7"));
    assert!(used.shared);
    assert_eq!(
        vault.connection(&tenant(), id(1)).unwrap().unwrap().used_at,
        Some(at(10))
    );
    let report = vault.verify_audit().unwrap();
    assert!(report.is_intact() && report.checked == 12);

    // By page, by connection, by person; and nothing for another tenant.
    let acme = tenant();
    let mut filter = AuditFilter::of(&acme);
    (filter.after, filter.limit) = (3, 2);
    let page = vault.audit(&filter).unwrap();
    assert_eq!(page.iter().map(|entry| entry.number).collect::<Vec<_>>(), [4, 5]);
    let mut filter = AuditFilter::of(&acme);
    filter.connection = Some(id(2));
    assert_eq!(vault.audit(&filter).unwrap().len(), 3);
    let nobody = UserId::new("nobody").unwrap();
    filter.user = Some(&nobody);
    assert!(vault.audit(&filter).unwrap().is_empty());
    let other = valetkey::TenantId::new("other").unwrap();
    assert!(vault.audit(&AuditFilter::of(&other)).unwrap().is_empty());
}

#[test]
fn promise_28_a_change_without_its_entry_does_not_happen() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    grant(&vault, &connection(1, 1), &tokens("access", "refresh"));
    let db = Database::open(&path).unwrap();
    db.execute_batch("CREATE TRIGGER no BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END")
        .unwrap();
    let ClaimOutcome::Granted(claimed) = claim(&vault, 1, 1) else {
        panic!("not granted");
    };
    let before = vault.connection(&tenant(), id(1)).unwrap();
    let sealed = records(&path, "1 = 1");
    let new = tokens("new access", "new refresh");
    let renewed = Renewed {
        tokens: &new,
        granted: None,
        expires_at: None,
        at: at(2),
        by: None,
    };
    let refusal = RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at: at(2),
        quarantined_until: None,
    };
    assert!(
        vault
            .commit_refresh(&tenant(), id(1), &claimed.claim, &renewed)
            .is_err()
    );
    assert!(
        vault
            .fail_refresh(&tenant(), id(1), &claimed.claim, &refusal)
            .is_err()
    );
    for (number, generation) in [(1, 2), (2, 1)] {
        let stored = vault.store_grant(&Grant {
            consent: &state("none"),
            connection: &connection(number, generation),
            tokens: &new,
            members: &[],
        });
        assert!(stored.is_err(), "{number}");
    }
    assert!(vault.forget_user(&tenant(), &user(), None, at(1)).is_err());
    assert!(vault.forget_tenant(&tenant(), at(1)).is_err());
    assert!(vault.rotate_data_key(&tenant()).is_err());
    let queued = vault.revoke_and_queue(&tenant(), id(1), None, at(1), at(9));
    assert!(queued.is_err());
    assert!(vault.revoke(&tenant(), id(1), None, at(1)).is_err());
    assert!(vault.set_default(&tenant(), id(1), None).is_err());
    assert!(vault.insert_consent(&consent("one"), None).is_err());
    assert!(
        vault
            .need_consent(&tenant(), id(1), 1, NeedsConsent::Expired)
            .is_err()
    );
    assert_eq!(vault.connection(&tenant(), id(1)).unwrap(), before);
    assert!(vault.connection(&tenant(), id(2)).unwrap().is_none());
    assert_eq!(records(&path, "1 = 1"), sealed, "tokens and keys");
    assert!(vault.consent(&tenant(), &state("one")).unwrap().is_none());
}

/// One way of tampering with the chain, as a writer of the file can. Says what it did, if it changed anything.
fn tamper(db: &Database, random: &mut Random, entries: u64) -> String {
    let pick = 1 + random.below(entries);
    let other = 1 + random.below(entries);
    let bit = 1 << random.below(8);
    let place = random.below(1 << 16);
    let flip = |column: &str| {
        let read = format!("SELECT {column} FROM audit WHERE number = {pick}");
        let mut bytes: Vec<u8> = db.query_row(&read, [], |row| row.get(0)).unwrap();
        let at = usize::try_from(place).unwrap() % bytes.len();
        bytes[at] ^= u8::try_from(bit).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("UPDATE audit SET {column} = x'{hex}' WHERE number = {pick}")
    };
    let sql = match random.below(9) {
        0 => format!("UPDATE audit SET at = at + {bit} WHERE number = {pick}"),
        1 => format!("UPDATE audit SET kind = kind || 'x' WHERE number = {pick}"),
        2 => format!("UPDATE audit SET tenant = coalesce(tenant, 0) + {bit} WHERE number = {pick}"),
        3 => flip("body"),
        4 => flip("mac"),
        5 => format!("DELETE FROM audit WHERE number = {pick}"),
        6 => format!(
            "UPDATE audit SET number = number + 1000000 WHERE number >= {pick};
             INSERT INTO audit SELECT {pick}, at, tenant, kind, body, mac FROM audit
                WHERE number IN ({other}, {other} + 1000000) LIMIT 1;
             UPDATE audit SET number = number - 999999 WHERE number >= 1000000"
        ),
        7 if pick != other => format!(
            "UPDATE audit SET number = -1 WHERE number = {pick};
             UPDATE audit SET number = {pick} WHERE number = {other};
             UPDATE audit SET number = {other} WHERE number = -1"
        ),
        _ => {
            let head = match random.below(4) {
                0 => format!(
                    "UPDATE audit_head SET number = {pick} - 1, mac = coalesce((SELECT mac FROM audit WHERE number = {pick} - 1), zeroblob(32))"
                ),
                1 => "DELETE FROM audit_head".to_owned(),
                2 => "UPDATE audit_head SET seal = zeroblob(32)".to_owned(),
                _ => "SELECT 1".to_owned(),
            };
            format!("DELETE FROM audit WHERE number >= {pick}; {head}")
        }
    };
    db.execute_batch(&sql).unwrap();
    sql
}

#[test]
fn promise_28_whatever_is_done_to_the_chain_is_noticed() {
    let (directory, path) = place();
    let vault = open(&path).unwrap();
    lived(&vault);
    for number in 3..20 {
        grant(&vault, &connection(number, 1), &tokens("access", "refresh"));
    }
    vault.clear_residue().unwrap();
    let entries = vault.audit_head().unwrap().number;
    let dump = |db: &Database| -> String {
        let rows =
            "SELECT group_concat(number || '|' || at || '|' || coalesce(tenant, '') || '|' || kind || '|'
            || hex(body) || hex(mac), ',') FROM (SELECT * FROM audit ORDER BY number)";
        let head = "SELECT group_concat(number || hex(mac) || hex(seal), ',') FROM audit_head";
        [rows, head]
            .map(|sql| {
                db.query_row(sql, [], |row| row.get::<_, Option<String>>(0))
                    .unwrap()
                    .unwrap_or_default()
            })
            .concat()
    };
    drop(vault);
    let copy = directory.path().join("copy.db");
    fs::copy(&path, &copy).unwrap();
    let vault = open(&copy).unwrap();
    let db = Database::open(&copy).unwrap();
    db.execute_batch("PRAGMA synchronous = OFF; CREATE TEMP TABLE a AS SELECT * FROM audit; CREATE TEMP TABLE h AS SELECT * FROM audit_head;")
        .unwrap();
    let whole = dump(&db);
    let mut random = Random::new(28);
    let rounds = if full() { 10_000 } else { 600 };
    let (mut tampered, mut noticed) = (0, 0);
    while tampered < rounds {
        let sql = tamper(&db, &mut random, entries);
        if dump(&db) != whole {
            tampered += 1;
            let report = vault.verify_audit().unwrap();
            assert!(!report.is_intact(), "not noticed: {sql}");
            noticed += 1;
            // What is written afterwards does not cover it up.
            if tampered % 10 == 0 {
                grant(&vault, &connection(99, 1), &tokens("access", "refresh"));
                assert!(!vault.verify_audit().unwrap().is_intact(), "covered up: {sql}");
                vault.forget_user(&tenant(), &user_of(99), None, at(1)).unwrap();
            }
        }
        db.execute_batch(
            "BEGIN; DELETE FROM audit; INSERT INTO audit SELECT * FROM a;
             DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM h; COMMIT",
        )
        .unwrap();
    }
    assert_eq!(noticed, rounds);
    assert!(vault.verify_audit().unwrap().is_intact(), "put back, it is whole");
}

#[test]
fn promise_28_the_first_broken_link_is_named() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    lived(&vault);
    let db = Database::open(&path).unwrap();
    db.execute_batch(
        "UPDATE audit SET at = at + 1 WHERE number = 9; UPDATE audit SET at = at + 1 WHERE number = 7",
    )
    .unwrap();
    assert_eq!(vault.verify_audit().unwrap().first_broken, Some(7));
    db.execute_batch("DELETE FROM audit WHERE number = 4").unwrap();
    assert_eq!(vault.verify_audit().unwrap().first_broken, Some(4));
}

#[test]
fn promise_28_a_rollback_is_noticed_against_an_exported_head() {
    let (directory, path) = place();
    let vault = open(&path).unwrap();
    lived(&vault);
    let backup = directory.path().join("backup.db");
    vault.backup(&backup).unwrap();
    let early = vault.audit_head().unwrap();
    grant(&vault, &connection(3, 1), &tokens("access", "refresh"));
    let exported: AuditHead = vault.audit_head().unwrap().to_string().parse().unwrap();
    assert!(vault.verify_against(&exported).unwrap().is_intact());
    assert!(
        vault.verify_against(&early).unwrap().is_intact(),
        "the chain goes on"
    );

    let restored = open(&backup).unwrap();
    assert!(
        restored.verify_audit().unwrap().is_intact(),
        "in itself it is whole"
    );
    assert!(restored.verify_against(&early).unwrap().is_intact());
    assert!(!restored.verify_against(&exported).unwrap().is_intact());
    // And it stays noticed when the restored one has gone on by as many entries.
    grant(&restored, &connection(4, 1), &tokens("access", "refresh"));
    assert_eq!(restored.audit_head().unwrap().number, exported.number);
    assert!(!restored.verify_against(&exported).unwrap().is_intact());
}

/// Two copies of a file go on by themselves. Each entry of both is genuine, and fits into its own history alone.
#[test]
fn promise_28_an_entry_of_another_history_does_not_fit() {
    let (directory, path) = place();
    grant(
        &open(&path).unwrap(),
        &connection(1, 1),
        &tokens("access", "refresh"),
    );
    let other = directory.path().join("other.db");
    fs::copy(&path, &other).unwrap();
    for (path, number) in [(&path, 2), (&other, 3)] {
        let vault = open(path).unwrap();
        grant(&vault, &connection(number, 1), &tokens("access", "refresh"));
        grant(&vault, &connection(4, 1), &tokens("access", "refresh"));
        assert!(vault.verify_audit().unwrap().is_intact());
    }
    let db = Database::open(&path).unwrap();
    db.execute("ATTACH ?1 AS other", [other.to_str().unwrap()])
        .unwrap();
    let moved = db.execute(
        "UPDATE audit SET (at, kind, body, mac) = (SELECT at, kind, body, mac FROM other.audit WHERE number = 2)
         WHERE number = 2",
        [],
    );
    assert_eq!(moved.unwrap(), 1);
    let report = open(&path).unwrap().verify_audit().unwrap();
    assert_eq!(report.first_broken, Some(3), "the one after it followed another");
}

#[test]
fn the_newest_page_is_read_without_the_oldest_entries() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    lived(&vault);
    let db = Database::open(&path).unwrap();
    db.execute_batch("UPDATE audit SET body = zeroblob(length(body)) WHERE number <= 9")
        .unwrap();
    let acme = tenant();
    let mut filter = AuditFilter::of(&acme);
    (filter.order, filter.limit) = (AuditOrder::NewestFirst, 3);
    let newest = vault.audit(&filter).unwrap();
    let numbers: Vec<_> = newest.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, [12, 11, 10]);
    filter.limit = 4;
    assert!(matches!(vault.audit(&filter), Err(VaultError::Tampered)));
}

#[test]
fn who_acted_is_sealed_and_chained_like_the_rest() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    grant(&vault, &connection(1, 1), &tokens("access", "refresh"));
    let actor = Actor::Operator(UserId::new("MARKER-operator").unwrap());
    vault.revoke(&tenant(), id(1), Some(&actor), at(1)).unwrap();
    let told = vault.audit(&AuditFilter::of(&tenant())).unwrap().pop().unwrap();
    assert_eq!((told.user, told.actor), (Some(user()), Some(actor)));
    let db = Database::open(&path).unwrap();
    let body: Vec<u8> = db
        .query_row("SELECT body FROM audit WHERE number = 2", [], |row| row.get(0))
        .unwrap();
    assert!(!body.windows(6).any(|window| window == b"MARKER"));
    db.execute_batch("UPDATE audit SET body = (SELECT body FROM audit WHERE number = 1) WHERE number = 2")
        .unwrap();
    assert_eq!(vault.verify_audit().unwrap().first_broken, Some(2));
}
