//! Tampering with the audit is detected, and each tenant reads only its own entries.

#![cfg(feature = "sqlite")]
#![allow(clippy::print_stdout, reason = "a test tells how many cases it tried")]

mod tampering;

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection as Database;
use valetkey::internals::vault::{
    AuditChain, AuditFilter, AuditOrder, Claim, ConsentStatus, RefreshFailure, Retention, Revoke, RevokeWhat,
    Settlement, TokenUse, UseRecord, audit_head,
};
use valetkey::model::{Actor, NeedsConsent, TenantId, UserId};
use valetkey::vault::{AuditHead, AuditKind, AuditReport, SqliteVault, VaultError};

use crate::support::vault::*;

/// The events of each of the connections 11 and 12 in [`lived`], in order.
const KINDS: [AuditKind; 12] = [
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
];

fn a_use(number: u8, seconds: i64) -> TokenUse {
    TokenUse {
        tenant: tenant(),
        connection: id(number),
        provider: connection(number).provider,
        at: at(seconds),
        user: user(),
        shared: true,
        purpose: Some("send a mail".into()),
        turn: Some("turn-7".into()),
    }
}

fn fail(vault: &SqliteVault, number: u8, claim: &Claim, failure: &RefreshFailure) {
    let grant = stored(vault, number).grant;
    vault.fail_refresh(&tenant(), grant, claim, failure).unwrap();
}

/// Produces every event once, as [`KINDS`] lists them.
fn live(vault: &SqliteVault) {
    vault.insert_consent(&consent("one"), None).unwrap();
    take(vault, "one", 1);
    vault
        .close_consent(&tenant(), &state("one"), ConsentStatus::Denied, at(1))
        .unwrap();
    grant(vault, &connection(11), &tokens("MARKER-1", "MARKER-r1"));
    grant(vault, &connection(12), &tokens("MARKER-2", "MARKER-r2"));
    refresh(vault, 11, &tokens("MARKER-3", "MARKER-r3"));
    let refused = claimed(vault, 12);
    let refusal = RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at: at(5),
        quarantined_until: Some(at(9)),
    };
    fail(vault, 12, &refused.claim, &refusal);
    assert_eq!(sweep(vault, 9).quarantines, 1);
    assert!(vault.set_default(&tenant(), id(11), None, at(9)).unwrap());
    vault.record_uses(&[a_use(11, 10)], UseRecord::Entries).unwrap();
    rotate_data_key(vault);
    let claim = Claim {
        generation: 2,
        fence: 0,
    };
    let useless = RefreshFailure::ConsentNeeded {
        reason: NeedsConsent::Unexplained,
        at: at(10),
    };
    fail(vault, 11, &claim, &useless);
    assert!(revoke(vault, 11).is_some());
}

fn verify(vault: &SqliteVault, chain: &AuditChain) -> AuditReport {
    vault.verify_chain(chain, &mut |_, _| {}).unwrap()
}

fn own_chain() -> AuditChain {
    AuditChain::Tenant(tenant())
}

fn head_of(vault: &SqliteVault) -> AuditHead {
    let mut heads = vault.audit_heads(Some(&tenant())).unwrap();
    assert_eq!(heads.len(), 1);
    heads.remove(0)
}

#[test]
fn promise_28_every_change_has_its_entry() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    live(&vault);
    let entries = vault.audit(&AuditFilter::of(&tenant())).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.kind).collect::<Vec<_>>(), KINDS);
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
    assert_eq!(stored(&vault, 11).used_at, Some(at(10)));
    let report = verify(&vault, &own_chain());
    assert!(report.is_intact() && report.checked == 12, "{report:?}");

    // By page, by connection and by user; nothing for another tenant.
    let acme = tenant();
    let mut filter = AuditFilter::of(&acme);
    (filter.after, filter.limit) = (3, 2);
    let page = vault.audit(&filter).unwrap();
    assert_eq!(page.iter().map(|entry| entry.number).collect::<Vec<_>>(), [4, 5]);
    let mut filter = AuditFilter::of(&acme);
    filter.connection = Some(id(12));
    assert_eq!(vault.audit(&filter).unwrap().len(), 3);
    let nobody = UserId::new("nobody").unwrap();
    filter.user = Some(&nobody);
    assert!(vault.audit(&filter).unwrap().is_empty());
    let other = TenantId::new("other").unwrap();
    assert!(vault.audit(&AuditFilter::of(&other)).unwrap().is_empty());
}

/// If several connections use a grant, each of them gets its entry.
#[test]
fn promise_28_every_connection_of_a_grant_has_its_entry() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    let both = [connection(11), connection(12)];
    grant_all(&vault, &both, &tokens("one", "one"));
    refresh(&vault, 11, &tokens("two", "two"));
    grant_all(&vault, &both, &tokens("three", "three"));
    revoke(&vault, 12).unwrap();
    revoke(&vault, 11).unwrap();
    for number in [11, 12] {
        let acme = tenant();
        let mut filter = AuditFilter::of(&acme);
        filter.connection = Some(id(number));
        let entries = vault.audit(&filter).unwrap();
        let told: Vec<_> = entries
            .iter()
            .map(|entry| (entry.kind, entry.generation))
            .collect();
        assert_eq!(
            told,
            [
                (AuditKind::ConsentCompleted, Some(1)),
                (AuditKind::Refreshed, Some(2)),
                (AuditKind::ConsentCompleted, Some(3)),
                (AuditKind::Revoked, Some(3)),
            ]
        );
    }
    assert_intact(&vault);
}

#[test]
fn promise_28_each_tenant_and_the_vault_have_a_chain_of_their_own() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    let globex = TenantId::new("globex").unwrap();
    let mut theirs = connection(21);
    theirs.tenant = globex.clone();
    for round in 0..5 {
        grant(&vault, &connection(11), &tokens("access", "refresh"));
        if round % 2 == 0 {
            grant(&vault, &theirs, &tokens("access", "refresh"));
        }
    }
    let numbers = |tenant: &TenantId| -> Vec<u64> {
        let entries = vault.audit(&AuditFilter::of(tenant)).unwrap();
        entries.iter().map(|entry| entry.number).collect()
    };
    assert_eq!(numbers(&tenant()), [1, 2, 3, 4, 5]);
    assert_eq!(numbers(&globex), [1, 2, 3]);
    assert_eq!(
        chains(&vault),
        [AuditChain::Vault, own_chain(), AuditChain::Tenant(globex.clone())]
    );
    // Tampering with one chain is not reported for another.
    let db = Database::open(&path).unwrap();
    db.execute_batch("UPDATE audit SET at = at + 1 WHERE chain = 1 AND number = 2")
        .unwrap();
    assert_eq!(verify(&vault, &own_chain()).first_broken, Some(2));
    assert!(verify(&vault, &AuditChain::Tenant(globex.clone())).is_intact());
    forget_tenant(&vault, &globex).unwrap().unwrap();
    assert!(verify(&vault, &AuditChain::Vault).is_intact());
    assert_eq!(verify(&vault, &AuditChain::Vault).checked, 1);
}

/// Makes the index refuse every new row, so that no entry can be stored.
fn refuse_entries(path: &Path) {
    let db = Database::open(path).unwrap();
    db.execute_batch(
        "CREATE INDEX refuse ON audit (abs(-9223372036854775807 - 1)) WHERE chain = 0 OR number > 6",
    )
    .unwrap();
}

#[test]
fn promise_28_a_change_without_its_entry_does_not_happen() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    grant(&vault, &connection(11), &tokens("access", "refresh"));
    grant(&vault, &connection(12), &tokens("access", "refresh"));
    revoke_and_keep(&vault, 12);
    vault.insert_consent(&consent("taken"), None).unwrap();
    take(&vault, "taken", 1);
    grant(&vault, &connection(13), &tokens("access", "refresh"));
    let claimed_of = claimed(&vault, 11);
    let quarantined = claimed(&vault, 13);
    let refusal = RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at: at(2),
        quarantined_until: Some(at(3)),
    };
    fail(&vault, 13, &quarantined.claim, &refusal);
    let pending = vault
        .take_revocations(at(900), Duration::from_secs(9), 9)
        .unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(vault.audit(&AuditFilter::of(&tenant())).unwrap().len(), 6);
    refuse_entries(&path);

    let everything = || {
        let sealed = records(&path, "1 = 1");
        let shown: Vec<_> = [11, 12, 13].map(|number| stored(&vault, number)).into();
        (sealed, shown)
    };
    let before = everything();
    let new = tokens("new access", "new refresh");
    let of = claimed_of.grant.id;
    let useless = RefreshFailure::ConsentNeeded {
        reason: NeedsConsent::Expired,
        at: at(2),
    };
    let claim = &claimed_of.claim;
    let refused = [
        (
            "commit",
            vault
                .commit_refresh(&tenant(), of, claim, &refreshed(&new))
                .is_err(),
        ),
        (
            "reject",
            vault.fail_refresh(&tenant(), of, claim, &refusal).is_err(),
        ),
        (
            "need consent",
            vault.fail_refresh(&tenant(), of, claim, &useless).is_err(),
        ),
        ("a new grant", try_grant(&vault, &[connection(14)], &new).is_err()),
        (
            "another grant",
            try_grant(&vault, &[connection(11)], &new).is_err(),
        ),
        ("revoke", try_revoke(&vault, 11, None).is_err()),
        ("revoke and keep", try_revoke(&vault, 11, Some(at(99))).is_err()),
        (
            "set default",
            vault.set_default(&tenant(), id(11), None, at(2)).is_err(),
        ),
        ("start", vault.insert_consent(&consent("one"), None).is_err()),
        (
            "close",
            vault
                .close_consent(&tenant(), &state("taken"), ConsentStatus::Denied, at(2))
                .is_err(),
        ),
        (
            "settle",
            vault
                .settle_revocation(&tenant(), pending[0].id, Settlement::Confirmed, at(2))
                .is_err(),
        ),
        ("end a quarantine", vault.sweep(&sweep_limits(3)).is_err()),
        (
            "use",
            vault.record_uses(&[a_use(11, 3)], UseRecord::Entries).is_err(),
        ),
        ("a new data key", vault.rotate_data_key(&tenant(), at(2)).is_err()),
        ("forget a person", forget_user(&vault, &user()).is_err()),
        ("forget a workspace", forget_tenant(&vault, &tenant()).is_err()),
    ];
    for (what, is_refused) in refused {
        assert!(is_refused, "{what}");
    }
    assert_eq!(everything(), before);
    assert!(vault.connection(&tenant(), id(14)).unwrap().is_none());
    assert!(vault.consent(&tenant(), &state("one")).unwrap().is_none());
    let taken = vault.consent(&tenant(), &state("taken")).unwrap().unwrap();
    assert_eq!(taken.status, ConsentStatus::Taken);
    assert_eq!(vault.audit(&AuditFilter::of(&tenant())).unwrap().len(), 6);
}

#[test]
fn promise_28_the_first_broken_link_is_named() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    live(&vault);
    let db = Database::open(&path).unwrap();
    db.execute_batch(
        "UPDATE audit SET at = at + 1 WHERE number = 9; UPDATE audit SET at = at + 1 WHERE number = 7",
    )
    .unwrap();
    assert_eq!(verify(&vault, &own_chain()).first_broken, Some(7));
    db.execute_batch("DELETE FROM audit WHERE number = 4").unwrap();
    assert_eq!(verify(&vault, &own_chain()).first_broken, Some(4));
}

#[test]
fn promise_28_an_older_row_that_was_put_back_is_named() {
    for schema in SCHEMAS {
        let (_directory, path) = place_of(schema);
        let vault = open(&path).unwrap();
        for number in [11, 12, 13] {
            grant(&vault, &connection(number), &tokens("access", "refresh"));
        }
        let db = Database::open(&path).unwrap();
        let [grants, secrets] = ["grants", "secrets"];
        for table in ["connections", grants, secrets] {
            db.execute_batch(&format!("CREATE TEMP TABLE old_{table} AS SELECT * FROM {table}"))
                .unwrap();
        }
        refresh(&vault, 11, &tokens("newer", "newer"));
        revoke(&vault, 12).unwrap();
        assert_intact(&vault);
        db.execute_batch(
            "INSERT OR REPLACE INTO secrets SELECT * FROM old_secrets;
             INSERT OR REPLACE INTO grants SELECT * FROM old_grants;
             INSERT OR REPLACE INTO connections SELECT * FROM old_connections",
        )
        .unwrap();
        let report = verify(&vault, &own_chain());
        assert_eq!(report.first_broken, None);
        assert_eq!(report.out_of_date, [id(11), id(12)], "schema {schema}");
        db.execute(
            "DELETE FROM connections WHERE uuid = ?1",
            [id(13).as_bytes().as_slice()],
        )
        .unwrap();
        let report = verify(&vault, &own_chain());
        assert_eq!(report.out_of_date, [id(11), id(12), id(13)], "schema {schema}");
    }
}

#[test]
fn promise_28_a_rollback_is_noticed_against_an_exported_head() {
    for schema in SCHEMAS {
        a_rollback_is_noticed_against_an_exported_head(schema);
    }
}

fn a_rollback_is_noticed_against_an_exported_head(schema: u32) {
    let (directory, path) = place_of(schema);
    let vault = open(&path).unwrap();
    live(&vault);
    let backup = directory.path().join("backup.db");
    vault.backup(&backup).unwrap();
    let early = head_of(&vault);
    grant(&vault, &connection(13), &tokens("access", "refresh"));
    let exported: AuditHead = head_of(&vault).to_string().parse().unwrap();
    assert!(vault.proves(&exported).unwrap());
    assert!(vault.proves(&early).unwrap(), "the chain goes on");

    let restored = open(&backup).unwrap();
    assert_intact(&restored);
    assert!(restored.proves(&early).unwrap());
    assert!(!restored.proves(&exported).unwrap());
    // The rollback is still detected after the restored file has as many new entries.
    grant(&restored, &connection(14), &tokens("access", "refresh"));
    assert_eq!(head_of(&restored).number(), exported.number());
    assert!(!restored.proves(&exported).unwrap());
}

/// Two copies of a file continue independently. Each entry of both is genuine, and fits only into
/// its own history.
#[test]
fn promise_28_an_entry_of_another_history_does_not_fit() {
    let (directory, path) = place();
    let vault = open(&path).unwrap();
    grant(&vault, &connection(11), &tokens("access", "refresh"));
    drop(vault);
    let other = directory.path().join("other.db");
    fs::copy(&path, &other).unwrap();
    for (path, number) in [(&path, 12), (&other, 13)] {
        let vault = open(path).unwrap();
        grant(&vault, &connection(number), &tokens("access", "refresh"));
        grant(&vault, &connection(14), &tokens("access", "refresh"));
        assert_intact(&vault);
    }
    let db = Database::open(&path).unwrap();
    db.execute("ATTACH ?1 AS other", [other.to_str().unwrap()])
        .unwrap();
    let moved = db.execute(
        "UPDATE audit SET (at, kind, body, mac) = (SELECT at, kind, body, mac FROM other.audit
            WHERE chain = 1 AND number = 2) WHERE chain = 1 AND number = 2",
        [],
    );
    assert_eq!(moved.unwrap(), 1);
    drop(db);
    let report = verify(&open(&path).unwrap(), &own_chain());
    assert_eq!(report.first_broken, Some(3), "the next one followed another");
}

#[test]
fn the_newest_page_is_read_without_the_oldest_entries() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    live(&vault);
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
    grant(&vault, &connection(11), &tokens("access", "refresh"));
    let actor = Actor::Operator(UserId::new("MARKER-operator").unwrap());
    let revoked = vault.revoke(&Revoke {
        tenant: &tenant(),
        what: RevokeWhat::Connection(id(11)),
        by: Some(&actor),
        now: at(1),
        keep_until: None,
    });
    assert!(revoked.unwrap().is_some());
    let told = vault.audit(&AuditFilter::of(&tenant())).unwrap().pop().unwrap();
    assert_eq!((told.user, told.actor), (Some(user()), Some(actor)));
    let db = Database::open(&path).unwrap();
    let body: Vec<u8> = db
        .query_row("SELECT body FROM audit WHERE number = 2", [], |row| row.get(0))
        .unwrap();
    assert!(!body.windows(6).any(|window| window == b"MARKER"));
    db.execute_batch("UPDATE audit SET body = (SELECT body FROM audit WHERE number = 1) WHERE number = 2")
        .unwrap();
    assert_eq!(verify(&vault, &own_chain()).first_broken, Some(2));
}
