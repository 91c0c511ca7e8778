mod data_keys;
mod plans;
mod tampering;

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
