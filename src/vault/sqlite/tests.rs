use std::path::PathBuf;

use rusqlite::Connection as Database;

use super::*;
use crate::model::{IssuedBy, Owner, ProviderId, Scopes, ServerId, UserId};
use crate::secret::{AccessToken, RefreshToken, State};
use crate::vault::envelope::MasterKey;
use crate::vault::{Attempt, Holder, Tokens};

fn key() -> MasterKey {
    MasterKey::from_base64(&"A".repeat(43)).unwrap()
}

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn connection(number: u8) -> Connection {
    Connection::new(
        ConnectionId::from_bytes([number; 16]),
        tenant(),
        Owner::Personal(UserId::new("alice").unwrap()),
        ProviderId::new("gmail").unwrap(),
        IssuedBy {
            server: ServerId::new("google").unwrap(),
            token_endpoint: "https://issuer.test/token".into(),
            client_id: "client".into(),
        },
        Timestamp::from_unix_millis(0),
    )
}

fn tokens(name: &str) -> Tokens {
    Tokens {
        access_token: AccessToken::new(format!("access-{name}")),
        refresh_token: Some(RefreshToken::new(format!("refresh-{name}"))),
        id_token: None,
    }
}

fn grant(vault: &SqliteVault, connection: &Connection, name: &str) {
    let outcome = vault
        .store_grant(&Grant {
            consent: &StateHash::of(&State::new("none")),
            connection,
            tokens: &tokens(name),
            members: &[],
        })
        .unwrap();
    assert_eq!(outcome, StoreOutcome::Stored);
}

fn access(vault: &SqliteVault, number: u8) -> Result<String, VaultError> {
    let token = vault.token(&tenant(), ConnectionId::from_bytes([number; 16]))?;
    Ok(token.unwrap().access_token.unwrap().expose_secret().to_owned())
}

fn file() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault.db");
    (directory, path)
}

fn plan(db: &Database, sql: &str) -> Vec<String> {
    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let count = statement.parameter_count();
    for at in 1..=count {
        statement.raw_bind_parameter(at, 1).unwrap();
    }
    let mut rows = statement.raw_query();
    let mut plan = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        plan.push(row.get::<_, String>(3).unwrap());
    }
    plan
}

/// No statement reads a table from end to end, and the hot path does not even sort.
#[test]
fn every_statement_searches_an_index() {
    let vault = SqliteVault::in_memory(key()).unwrap();
    let db = vault.store.writer();
    let all = [
        ("token by owner", tokens::BY_OWNER),
        ("token by label", tokens::BY_LABEL),
        ("token by id", tokens::BY_ID),
        ("connection by id", connections::BY_ID),
        ("due", due::DUE),
        ("idle", due::IDLE),
        ("over", due::OVER),
        ("claim", refresh::WITH_REST),
        ("renew", refresh::RENEW),
        ("lifecycle", rows::UPDATE_LIFECYCLE),
        ("wipe access", slots::WIPE_ACCESS),
        ("wipe", slots::WIPE),
        ("overwrite", slots::OVERWRITE),
        ("secrets", slots::READ),
        ("lengths", slots::LENGTHS),
        ("find free", slots::FIND_FREE),
        ("take free", slots::TAKE_FREE),
        ("sharing", connections::LIST_SHARING),
        ("somebody shares", grants::SOMEBODY_SHARES),
        ("leave", erase::LEAVE),
        ("count of owner", forget::COUNT_OF),
        ("clear default of one", erase::CLEAR_DEFAULT),
        ("clear default", connections::CLEAR_DEFAULT),
        ("set default", connections::SET_DEFAULT),
        ("record use", connections::RECORD_USE),
        ("replace", grants::REPLACE),
        ("list", connections::LIST),
        ("list current", connections::LIST_CURRENT),
        ("list of provider", connections::LIST_OF_PROVIDER),
        ("list current of provider", connections::LIST_CURRENT_OF_PROVIDER),
        ("list of owner", connections::LIST_OF_OWNER),
        ("list current of owner", connections::LIST_CURRENT_OF_OWNER),
        ("list of both", connections::LIST_OF_BOTH),
        ("list current of both", connections::LIST_CURRENT_OF_BOTH),
        ("consent", consents::BY_STATE),
        ("consents of a person", consents::BY_USER),
        ("take consent", consents::TAKE),
        ("close consent", consents::CLOSE),
        ("complete consent", consents::COMPLETE),
        ("over consents", consents::OVER),
        ("delete consent", consents::DELETE),
        ("consent slot", consents::SLOT),
        ("tenant", keys::TENANT),
        ("newest key", keys::NEWEST_KEY),
        ("key", keys::KEY),
        ("count seals", keys::COUNT_SEALS),
        ("retire", keys::RETIRE),
        ("audit page", audit::PAGE),
        ("audit page back", audit::PAGE_BACK),
        ("audit chain", audit::CHAIN),
        ("audit mac", audit::MAC),
        ("audit head", audit::HEAD),
        ("outbox due", outbox::DUE),
        ("outbox lease", outbox::LEASE),
        ("outbox find", outbox::FIND),
        ("outbox again", outbox::AGAIN),
        ("outbox delete", outbox::DELETE),
        ("connections of", forget::CONNECTIONS_OF),
        ("consents of", forget::CONSENTS_OF),
        ("outbox of", forget::OUTBOX_OF),
        ("keys of", forget::KEYS),
        ("delete keys", forget::DELETE_KEYS),
        ("unname", forget::UNNAME),
        ("unnamed", forget::UNNAMED),
        ("count connections", forget::COUNT),
        ("some connections", forget::SOME_CONNECTIONS),
        ("some consents", forget::SOME_CONSENTS),
        ("some outbox", forget::SOME_OUTBOX),
        ("delete connection", forget::DELETE_CONNECTION),
        ("delete tenant", forget::DELETE_TENANT),
        ("next master", rotate::NEXT_MASTER),
        ("wrapped by", rotate::WRAPPED_BY),
        ("rewrap", rotate::REWRAP),
        ("sealed by", rotate::SEALED_BY),
        ("set version", rotate::SET_VERSION),
        ("key slot", rotate::KEY_SLOT),
        ("delete key", rotate::DELETE_KEY),
    ];
    for (name, sql) in all {
        let plan = plan(&db, sql);
        assert!(
            plan.iter().any(|step| step.starts_with("SEARCH")),
            "{name}: {plan:?}"
        );
        assert!(
            !plan.iter().any(|step| step.starts_with("SCAN")),
            "{name}: {plan:?}"
        );
        if name.starts_with("token") {
            assert!(
                !plan.iter().any(|step| step.contains("TEMP B-TREE")),
                "{name}: {plan:?}"
            );
        }
        if name.starts_with("list") {
            assert!(!sql.contains("secrets"), "{name} touches a secret");
        }
    }
    let by_owner = plan(&db, tokens::BY_OWNER).concat();
    assert!(by_owner.contains("connections_by_owner"), "{by_owner}");
    let by_label = plan(&db, tokens::BY_LABEL).concat();
    assert!(by_label.contains("connections_by_label"), "{by_label}");
    for (sql, index) in [
        (due::DUE, "connections_by_expiry"),
        (due::IDLE, "connections_by_renewal"),
        (due::OVER, "connections_by_quarantine"),
        (outbox::DUE, "outbox_by_time"),
        (rotate::RETIRED, "tenant_keys_retired"),
        (rotate::SEALED_BY, "connections_by_key"),
        (rotate::NEXT_MASTER, "tenant_keys_by_master"),
        (audit::PAGE, "audit_by_tenant"),
        (audit::PAGE_BACK, "audit_by_tenant"),
    ] {
        let plan = plan(&db, sql).concat();
        assert!(plan.contains(index) && !plan.contains("TEMP"), "{plan}");
    }
    for of_owner in [
        connections::LIST_OF_OWNER,
        connections::LIST_CURRENT_OF_OWNER,
        connections::LIST_OF_BOTH,
        connections::LIST_CURRENT_OF_BOTH,
    ] {
        // A person's few are sorted; the tenant's many are not walked.
        let plan = plan(&db, of_owner).concat();
        assert!(
            plan.contains("connections_by_owner (tenant=? AND owner=?"),
            "{plan}"
        );
    }
    let page = plan(&db, connections::LIST_CURRENT).concat();
    assert!(
        page.contains("connections_by_id") && !page.contains("TEMP"),
        "{page}"
    );
}

#[test]
fn promise_06_a_data_key_is_replaced_before_it_has_sealed_too_much() {
    let mut vault = SqliteVault::in_memory(key()).unwrap();
    vault.keyring.set_max_seals(4);
    for number in 1..=9 {
        grant(&vault, &connection(number), &number.to_string());
    }
    for number in 1..=9 {
        assert_eq!(access(&vault, number).unwrap(), format!("access-{number}"));
    }
    let db = vault.store.writer();
    let mut statement = db
        .prepare(
            "SELECT version, seals, retired FROM tenant_keys WHERE version < 2147483648 ORDER BY version",
        )
        .unwrap();
    let keys: Vec<(u32, u32, bool)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let expected = [
        (1, 4, true),
        (2, 4, true),
        (3, 4, true),
        (4, 4, true),
        (5, 2, false),
    ];
    assert_eq!(keys, expected);
    let most: u32 = db
        .query_row("SELECT max(seals) FROM tenant_keys", [], |row| row.get(0))
        .unwrap();
    assert_eq!(most, 4, "audit keys are counted too");
    drop(statement);
    drop(db);
    assert!(vault.verify_audit().unwrap().is_intact());
    assert_eq!(vault.audit(&AuditFilter::of(&tenant())).unwrap().len(), 9 + 4);
}

#[test]
fn another_process_sees_a_new_data_key() {
    let (_directory, path) = file();
    let mut one = SqliteVault::open(&path, key()).unwrap();
    let other = SqliteVault::open(&path, key()).unwrap();
    one.keyring.set_max_seals(2);
    grant(&one, &connection(1), "1");
    assert_eq!(access(&other, 1).unwrap(), "access-1");
    grant(&one, &connection(2), "2");
    assert_eq!(
        access(&other, 2).unwrap(),
        "access-2",
        "sealed with a key it had not seen"
    );
    grant(&other, &connection(3), "3");
    assert_eq!(access(&one, 3).unwrap(), "access-3");
    let retired: u32 = other
        .store
        .writer()
        .query_row("SELECT seals FROM tenant_keys WHERE version = 1", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(retired, 2, "nobody seals with a key that was replaced");
}

#[test]
fn slots_are_used_again_and_never_lost() {
    let vault = SqliteVault::in_memory(key()).unwrap();
    let count = |sql: &str| -> i64 { vault.store.writer().query_row(sql, [], |row| row.get(0)).unwrap() };
    for number in 1..=20 {
        grant(&vault, &connection(number), &"x".repeat(usize::from(number) * 50));
    }
    for number in 1..=20 {
        let id = ConnectionId::from_bytes([number; 16]);
        let revoked = vault.revoke(&tenant(), id, None, Timestamp::from_unix_millis(0));
        assert!(revoked.unwrap().unwrap().tokens.is_some());
    }
    assert_eq!(count("SELECT count(*) FROM free_slots"), 20);
    assert_eq!(
        count(
            "SELECT count(*) FROM secrets JOIN free_slots USING (slot)
             WHERE hex(secrets.access) || hex(secrets.rest) GLOB '*[1-9A-F]*'"
        ),
        0,
        "what is free is zeros"
    );
    for number in 1..=20 {
        let mut again = connection(number);
        again.generation = 2;
        grant(&vault, &again, &"y".repeat(usize::from(number) * 50));
        // A token of another size moves to another slot, one of a like size stays.
        again.generation = 3;
        grant(&vault, &again, &"z".repeat(usize::from(number) * 50 + 1));
        assert!(access(&vault, number).unwrap().starts_with("access-zz"));
    }
    let (slots, free) = (
        count("SELECT count(*) FROM secrets"),
        count("SELECT count(*) FROM free_slots"),
    );
    assert_eq!(
        slots - free,
        20 + 2,
        "every slot is free or somebody's: two are keys"
    );
    assert!(slots <= 26, "{slots} slots for 20 connections");
    let shared = "SELECT count(*) FROM connections JOIN free_slots USING (slot)";
    assert_eq!(count(shared), 0);
}

#[test]
fn reading_writes_nothing() {
    let vault = SqliteVault::in_memory(key()).unwrap();
    grant(&vault, &connection(1), "1");
    let changes = vault.store.writer().total_changes();
    let scopes = Scopes::default();
    let (user, provider) = (UserId::new("alice").unwrap(), ProviderId::new("gmail").unwrap());
    for _ in 0..3 {
        let found = vault.find_token(&TokenQuery {
            tenant: &tenant(),
            user: Some(&user),
            provider: &provider,
            label: None,
            scopes: &scopes,
        });
        assert!(matches!(found, Ok(Found::One(_))));
        access(&vault, 1).unwrap();
        vault.connections(&ConnectionQuery::of(&tenant())).unwrap();
    }
    assert_eq!(vault.store.writer().total_changes(), changes);
}

#[test]
fn readers_cannot_write() {
    let (_directory, path) = file();
    let vault = SqliteVault::open(&path, key()).unwrap();
    // While the writer is taken: otherwise it would read itself.
    let _writer = vault.store.writer();
    let written = vault
        .store
        .read(|db| db.execute("DELETE FROM tenants", []).map_err(failure::failed));
    assert!(matches!(written, Err(VaultError::ReadOnly)), "{written:?}");
}

#[test]
fn more_threads_than_slots_all_read() {
    let (_directory, path) = file();
    let vault = SqliteVault::open(&path, key()).unwrap();
    grant(&vault, &connection(1), "1");
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..200 {
                    assert_eq!(access(&vault, 1).unwrap(), "access-1");
                }
            });
        }
    });
}

#[test]
fn promise_04_a_moved_or_altered_record_is_an_error_and_stays_as_it_is() {
    let vault = SqliteVault::in_memory(key()).unwrap();
    for number in 1..=2 {
        grant(&vault, &connection(number), &number.to_string());
    }
    vault
        .store
        .writer()
        .execute_batch(
            "UPDATE secrets SET rest = x'00', access = (SELECT access FROM secrets WHERE slot =
                (SELECT slot FROM connections WHERE id = 2))
             WHERE slot = (SELECT slot FROM connections WHERE id = 1)",
        )
        .unwrap();
    let before = dump(&vault);
    assert!(matches!(access(&vault, 1), Err(VaultError::Tampered)));
    let claim = vault.claim_refresh(&ClaimRequest {
        tenant: &tenant(),
        connection: ConnectionId::from_bytes([1; 16]),
        holder: Holder::from_bytes([1; 16]),
        generation: 1,
        attempt: Attempt::Due,
        now: Timestamp::from_unix_millis(0),
        lease: Duration::from_secs(30),
    });
    assert!(matches!(claim, Err(VaultError::Tampered)), "{claim:?}");
    assert_eq!(dump(&vault), before, "no claim is held, nothing is overwritten");
    assert_eq!(access(&vault, 2).unwrap(), "access-2");
    // Revoking erases it all the same.
    let revoked = vault
        .revoke(
            &tenant(),
            ConnectionId::from_bytes([1; 16]),
            None,
            Timestamp::from_unix_millis(0),
        )
        .unwrap()
        .unwrap();
    assert!(revoked.tokens.is_none());
}

fn dump(vault: &SqliteVault) -> Vec<(i64, i64, String)> {
    let db = vault.store.writer();
    let mut statement = db
        .prepare("SELECT c.id, c.fence, hex(s.access) || hex(s.rest) FROM connections c JOIN secrets s ON s.slot = c.slot")
        .unwrap();
    statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

#[test]
fn promise_05_a_swapped_data_key_is_tampering() {
    let (_directory, path) = file();
    let vault = SqliteVault::open(&path, key()).unwrap();
    grant(&vault, &connection(1), "1");
    let mut theirs = connection(1);
    theirs.tenant = TenantId::new("other").unwrap();
    grant(&vault, &theirs, "1");
    vault
        .store
        .writer()
        .execute_batch(
            "UPDATE secrets SET access = (SELECT access FROM tenant_keys JOIN secrets USING (slot)
                WHERE tenant = 2 AND version = 1)
             WHERE slot = (SELECT slot FROM tenant_keys WHERE tenant = 1 AND version = 1)",
        )
        .unwrap();
    drop(vault);
    let vault = SqliteVault::open(&path, key()).unwrap();
    assert!(matches!(access(&vault, 1), Err(VaultError::Tampered)));
}

#[test]
fn a_foreign_writer_makes_it_busy_and_loses_nothing() {
    let (_directory, path) = file();
    let vault = SqliteVault::open(&path, key()).unwrap();
    grant(&vault, &connection(1), "1");
    vault
        .store
        .writer()
        .busy_timeout(Duration::from_millis(20))
        .unwrap();
    let foreign = Database::open(&path).unwrap();
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    let busy = vault.set_default(&tenant(), ConnectionId::from_bytes([1; 16]), None);
    assert!(matches!(busy, Err(VaultError::Busy)), "{busy:?}");
    assert_eq!(access(&vault, 1).unwrap(), "access-1", "reading goes on");
    foreign.execute_batch("COMMIT").unwrap();
    assert!(
        vault
            .set_default(&tenant(), ConnectionId::from_bytes([1; 16]), None)
            .unwrap()
    );
}

#[test]
fn the_claim_of_a_handle_that_is_gone_is_not_waited_for() {
    let (_directory, path) = file();
    let one = SqliteVault::open(&path, key()).unwrap();
    let other = SqliteVault::open(&path, key()).unwrap();
    let mut due = connection(1);
    due.expires_at = Some(Timestamp::from_unix_millis(0));
    grant(&one, &due, "1");
    let claim = |vault: &SqliteVault| {
        vault
            .claim_refresh(&ClaimRequest {
                tenant: &tenant(),
                connection: due.id,
                holder: vault.holder().unwrap(),
                generation: 1,
                attempt: Attempt::Due,
                now: Timestamp::from_unix_millis(1),
                lease: Duration::from_secs(30),
            })
            .unwrap()
    };
    let count = || {
        other
            .due(Timestamp::from_unix_millis(1), Duration::ZERO, 9)
            .unwrap()
            .len()
    };
    assert!(matches!(claim(&one), ClaimOutcome::Granted(_)));
    assert!(matches!(claim(&other), ClaimOutcome::Held(_)));
    assert_eq!(count(), 0);
    drop(one);
    assert_eq!(count(), 1);
    let ClaimOutcome::Granted(claimed) = claim(&other) else {
        panic!("waits for nobody");
    };
    assert!(claimed.outcome_unknown);
    assert!(
        matches!(claim(&other), ClaimOutcome::Held(_)),
        "two threads are two clients"
    );
}

#[test]
fn the_writer_reads_until_somebody_finds_it_busy() {
    let (_directory, path) = file();
    let vault = SqliteVault::open(path, key()).unwrap();
    grant(&vault, &connection(1), "1");
    assert_eq!(access(&vault, 1).unwrap(), "access-1");
    assert!(!vault.store.has_open_readers(), "one connection is enough");
    let commit = vault.store.writer();
    assert_eq!(
        access(&vault, 1).unwrap(),
        "access-1",
        "nobody waits behind a commit"
    );
    drop(commit);
    assert!(vault.store.has_open_readers());
    assert_eq!(access(&vault, 1).unwrap(), "access-1");
}

/// A file of the first schema gets what came later, and keeps what it has.
#[test]
fn a_file_of_the_first_version_is_brought_up_to_date() {
    let (_directory, path) = file();
    let vault = SqliteVault::open(&path, key()).unwrap();
    grant(&vault, &connection(1), "1");
    let before = vault.connection(&tenant(), connection(1).id).unwrap();
    drop(vault);
    let old = Database::open(&path).unwrap();
    old.execute_batch(
        "DROP INDEX connections_by_keeper;
         ALTER TABLE connections DROP COLUMN shares;
         ALTER TABLE connections DROP COLUMN is_keeper;
         ALTER TABLE consents DROP COLUMN services;
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(old);
    let vault = SqliteVault::open(&path, key()).unwrap();
    assert_eq!(vault.connection(&tenant(), connection(1).id).unwrap(), before);
    assert_eq!(access(&vault, 1).unwrap(), "access-1");
    let mut keeper = connection(2);
    keeper.is_keeper = true;
    keeper.generation = 2;
    let mut member = connection(1);
    member.shares = Some(keeper.id);
    let outcome = vault
        .store_grant(&Grant {
            consent: &StateHash::of(&State::new("none")),
            connection: &keeper,
            tokens: &tokens("2"),
            members: &[member],
        })
        .unwrap();
    assert_eq!(outcome, StoreOutcome::Stored);
    assert_eq!(access(&vault, 1).unwrap(), "access-2");
}

/// The hot path of a connection with tokens of its own is the one statement that it was.
#[test]
fn the_hot_path_looks_nowhere_else() {
    let vault = SqliteVault::in_memory(key()).unwrap();
    let db = vault.store.writer();
    let plan = plan(&db, tokens::BY_OWNER);
    assert_eq!(
        plan.len(),
        2,
        "one search for the row, one for the token: {plan:?}"
    );
}

/// Tokens that are shared, left or revoked leave no sealed record behind that nobody names.
#[test]
fn no_slot_outlives_its_tokens() {
    let vault = SqliteVault::in_memory(key()).unwrap();
    let used = || {
        let db = vault.store.writer();
        let sql = "SELECT count(*) FROM secrets WHERE slot NOT IN (SELECT slot FROM free_slots)
                   AND slot NOT IN (SELECT slot FROM tenant_keys)";
        db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let shared = |number: u8, generation: u64, members: &[u8]| {
        let mut keeper = connection(number);
        keeper.is_keeper = true;
        keeper.generation = generation;
        let members = members.iter().map(|member| {
            let mut member = connection(*member);
            member.provider = ProviderId::new(format!("service-{}", member.id)).unwrap();
            member.shares = Some(keeper.id);
            member
        });
        let outcome = vault.store_grant(&Grant {
            consent: &StateHash::of(&State::new("none")),
            connection: &keeper,
            tokens: &tokens("shared"),
            members: &members.collect::<Vec<_>>(),
        });
        assert_eq!(outcome.unwrap(), StoreOutcome::Stored);
    };
    let alone = |number: u8, generation: u64| {
        let mut alone = connection(number);
        alone.provider = ProviderId::new(format!("service-{}", alone.id)).unwrap();
        alone.generation = generation;
        grant(&vault, &alone, "alone");
    };
    let now = Timestamp::from_unix_millis(1);
    let revoke = |number: u8| {
        let id = ConnectionId::from_bytes([number; 16]);
        vault.revoke(&tenant(), id, None, now).unwrap().unwrap()
    };
    alone(1, 1);
    alone(2, 1);
    assert_eq!(used(), 2);
    shared(9, 2, &[1, 2, 3]);
    assert_eq!(used(), 1, "those that joined have none of their own");
    alone(1, 3);
    assert_eq!(used(), 2);
    shared(8, 4, &[1, 2, 3]);
    assert_eq!(used(), 1, "the record that nobody shares any more is gone");
    revoke(1);
    revoke(2);
    assert_eq!(used(), 1);
    revoke(3);
    assert_eq!(used(), 0);
    shared(7, 5, &[1, 2]);
    revoke(7);
    assert_eq!(used(), 0);
    shared(6, 6, &[1, 2]);
    alone(1, 7);
    alone(2, 7);
    assert_eq!(used(), 2, "the last to leave has taken the record with it");
}

/// A new data key reaches the tokens of a grant, and those who share it go on.
#[test]
fn what_keeps_tokens_is_resealed_like_any_other() {
    let vault = SqliteVault::in_memory(key()).unwrap();
    let mut keeper = connection(9);
    keeper.is_keeper = true;
    let mut member = connection(1);
    member.shares = Some(keeper.id);
    vault
        .store_grant(&Grant {
            consent: &StateHash::of(&State::new("none")),
            connection: &keeper,
            tokens: &tokens("1"),
            members: &[member],
        })
        .unwrap();
    assert!(vault.rotate_data_key(&tenant()).unwrap());
    let done = vault.reseal(10).unwrap();
    assert_eq!((done.resealed, done.destroyed, done.remaining), (1, 1, 0));
    assert_eq!(access(&vault, 1).unwrap(), "access-1");
}
