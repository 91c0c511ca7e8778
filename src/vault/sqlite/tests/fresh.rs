//! Remembered rows are used again, and never after a commit.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use zeroize::Zeroizing;

use crate::model::{
    Connection, ConnectionId, Grant, GrantId, IssuedBy, Owner, ProviderId, Scopes, ServerId, Timestamp,
    UserId,
};
use crate::secret::AccessToken;
use crate::vault::envelope::MasterKey;
use crate::vault::sqlite::sql::tests::count;
use crate::vault::sqlite::tests::{file, name};
use crate::vault::tables::Wanted;
use crate::vault::{
    ConnectionQuery, Found, GrantStore as _, Housekeeping as _, NewGrant, Of, Retention,
    RevocationStore as _, Revoke, RevokeWhat, SqliteOptions, SqliteVault, StateHash, StoreOutcome,
    SweepLimits, TokenQuery, Tokens, VaultError,
};

const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000);

pub(super) fn open(path: &Path) -> SqliteVault {
    open_with(path, &SqliteVault::options())
}

pub(super) fn open_with(path: &Path, options: &SqliteOptions) -> SqliteVault {
    let key = MasterKey::of_bytes(Zeroizing::new([7; 32]));
    options.clone().open(path, key).unwrap()
}

/// Deletes the grants that later ones replaced. A write reads all of them.
pub(super) fn sweep(vault: &SqliteVault) {
    let limits = SweepLimits {
        now: NOW,
        consents_before: Timestamp::from_unix_millis(0),
        retention: Retention::default(),
        rows: 1_000,
    };
    vault.sweep(&limits).unwrap();
}

fn user() -> UserId {
    UserId::new("ada").unwrap()
}

fn gmail() -> ProviderId {
    ProviderId::new("gmail").unwrap()
}

/// Stores the tokens of a new consent. The access token contains the generation.
pub(super) fn store(vault: &SqliteVault, generation: u64) {
    store_for(vault, &user(), 1, generation);
}

/// Stores the tokens of a new consent of this user, whose only connection has this number.
fn store_for(vault: &SqliteVault, user: &UserId, connection: u8, generation: u64) {
    let issued_by = IssuedBy::new(
        ServerId::new("google").unwrap(),
        "https://issuer.test/token",
        "client",
    );
    let connection = [connection; 16];
    let mut id = connection;
    id[..8].copy_from_slice(&generation.to_be_bytes());
    let owner = Owner::Personal(user.clone());
    let mut grant = Grant::new(
        GrantId::from_bytes(id),
        name("acme"),
        owner,
        gmail(),
        issued_by,
        NOW,
    );
    grant.generation = generation;
    let store = || {
        vault.store_grant(&NewGrant {
            consent: &StateHash::from_bytes([0; 32]),
            grant: &grant,
            tokens: &Tokens {
                access_token: AccessToken::new(generation.to_string()),
                refresh_token: None,
                id_token: None,
            },
            connections: &[Connection::new(ConnectionId::from_bytes(connection), &grant)],
            former_dead_at: Some(NOW),
        })
    };
    let mut stored = store();
    // SQLite's lock is not fair: writers that commit all the time can keep one of them out.
    while matches!(stored, Err(VaultError::Busy)) {
        stored = store();
    }
    assert!(matches!(stored, Ok(StoreOutcome::Stored { .. })), "{stored:?}");
}

/// Returns the generation in the token that is found.
pub(super) fn find(vault: &SqliteVault) -> Result<Option<u64>, VaultError> {
    let found = vault.find_token(&TokenQuery {
        tenant: &name("acme"),
        of: Of::Owner {
            user: Some(&user()),
            provider: &gmail(),
            label: None,
        },
        scopes: &Scopes::default(),
    })?;
    Ok(match found {
        Found::One(token) => token
            .access_token
            .map(|token| token.expose_secret().parse().unwrap()),
        Found::Nothing => None,
        Found::Several => panic!("one connection"),
    })
}

pub(super) fn revoke(vault: &SqliteVault) {
    let revoked = vault.revoke(&Revoke {
        tenant: &name("acme"),
        what: RevokeWhat::Connection(ConnectionId::from_bytes([1; 16])),
        by: None,
        now: NOW,
        keep_until: None,
    });
    assert!(revoked.unwrap().is_some());
}

#[test]
fn a_commit_of_another_handle_is_seen_by_the_next_read() {
    let (_directory, path) = file();
    let (reading, writing) = (open(&path), open(&path));
    assert_eq!(find(&reading).unwrap(), None);
    for generation in 1..=20 {
        store(&writing, generation);
        for _ in 0..2 {
            assert_eq!(find(&reading).unwrap(), Some(generation));
            assert_eq!(find(&writing).unwrap(), Some(generation));
        }
    }
    revoke(&writing);
    assert_eq!(find(&reading).unwrap(), None);
    assert_eq!(find(&writing).unwrap(), None);
}

#[test]
fn a_vault_in_memory_sees_its_own_commits() {
    let vault = SqliteVault::in_memory(MasterKey::of_bytes(Zeroizing::new([7; 32]))).unwrap();
    for generation in 1..=3 {
        store(&vault, generation);
        assert_eq!(find(&vault).unwrap(), Some(generation));
        assert_eq!(find(&vault).unwrap(), Some(generation));
    }
    revoke(&vault);
    assert_eq!(find(&vault).unwrap(), None);
}

/// Rows that others write past the vault are authenticated at the next read, although the former
/// row was authentic.
#[test]
fn a_row_that_somebody_else_edits_is_not_remembered() {
    let (_directory, path) = file();
    let vault = open(&path);
    store(&vault, 1);
    assert_eq!(find(&vault).unwrap(), Some(1));
    let raw = rusqlite::Connection::open(&path).unwrap();
    let edit = |sql: &str| assert_eq!(raw.execute(sql, []).unwrap(), 1);
    edit("UPDATE connections SET details = CAST(details || x'00' AS BLOB)");
    assert!(matches!(find(&vault), Err(VaultError::Tampered)));
    edit("UPDATE connections SET details = substr(details, 1, length(details) - 1)");
    assert_eq!(find(&vault).unwrap(), Some(1));
    edit("UPDATE secrets SET access = zeroblob(length(access)) WHERE slot = (SELECT slot FROM grants)");
    assert!(matches!(find(&vault), Err(VaultError::Tampered)));
}

/// A read that begins after a commit has returned never returns the former row, with any number of
/// readers.
#[test]
fn no_reader_falls_behind_a_writer() {
    let (_directory, path) = file();
    falls_behind(&open(&path), &open(&path), &[]);
}

/// The readers remember across the commits for another user, which are made beside the others.
#[test]
fn no_reader_falls_behind_a_writer_of_the_same_handle() {
    let (_directory, path) = file();
    let (vault, other) = (open(&path), open(&path));
    falls_behind(&vault, &vault, &[&vault, &other]);
}

/// Reads with one handle while another commits for the same user, and each of `beside` for another
/// user.
fn falls_behind(reading: &SqliteVault, writing: &SqliteVault, beside: &[&SqliteVault]) {
    const ROUNDS: u64 = 150;
    store(writing, 1);
    let committed = AtomicU64::new(1);
    let committed = &committed;
    std::thread::scope(|scope| {
        for (number, vault) in beside.iter().enumerate() {
            scope.spawn(move || {
                let bob = UserId::new(format!("bob-{number}")).unwrap();
                let (mut seen, mut generation) = (0, 0);
                while seen < ROUNDS {
                    let now = committed.load(Ordering::SeqCst);
                    if now == seen {
                        std::thread::yield_now();
                        continue;
                    }
                    // One commit for each of the writer's, so that the test ends soon.
                    seen = now;
                    generation += 1;
                    store_for(vault, &bob, 2 + u8::try_from(number).unwrap(), generation);
                }
            });
        }
        for _ in 0..4 {
            scope.spawn(move || {
                loop {
                    let before = committed.load(Ordering::SeqCst);
                    let found = find(reading).unwrap().unwrap();
                    assert!(found >= before, "{found} was read after {before}");
                    if before == ROUNDS {
                        break;
                    }
                    // The writer needs the processor.
                    std::thread::sleep(std::time::Duration::from_micros(50));
                }
            });
        }
        for generation in 2..=ROUNDS {
            store(writing, generation);
            committed.store(generation, Ordering::SeqCst);
        }
    });
}

/// Returns whether the vault remembers the connection and nothing was committed since.
pub(super) fn is_remembered(vault: &SqliteVault) -> bool {
    let wanted = Wanted::Owner {
        owner: "ada",
        provider: "gmail",
    };
    vault.core().remembers(1, wanted).unwrap()
}

#[test]
fn nothing_is_read_twice_while_nothing_is_committed() {
    let (_directory, path) = file();
    for options in [SqliteVault::options(), SqliteVault::options().without_log_index()] {
        let vault = open_with(&path, &options);
        let generation = find(&vault).unwrap().unwrap_or(0) + 1;
        store(&vault, generation);
        assert!(!is_remembered(&vault));
        for _ in 0..3 {
            assert_eq!(find(&vault).unwrap(), Some(generation));
            assert!(is_remembered(&vault));
        }
        store(&vault, generation + 1);
        assert!(!is_remembered(&vault));
    }
}

#[test]
fn a_commit_of_this_handle_keeps_what_it_did_not_concern() {
    let (_directory, path) = file();
    let (vault, other) = (open(&path), open(&path));
    let bob = UserId::new("bob").unwrap();
    store(&vault, 1);
    find(&vault).unwrap();
    assert!(is_remembered(&vault));
    for generation in 1..4 {
        store_for(&vault, &bob, 2, generation);
        assert!(is_remembered(&vault), "{generation}");
    }
    // A commit of another handle drops it, whatever it concerned.
    store_for(&other, &bob, 2, 4);
    assert!(!is_remembered(&vault));
    assert_eq!(find(&vault).unwrap(), Some(1));
    assert!(is_remembered(&vault));
    revoke(&vault);
    assert!(!is_remembered(&vault));
    assert_eq!(find(&vault).unwrap(), None);
}

/// Returns the generations of the connections in a list, and the number of statements that it ran.
fn list(vault: &SqliteVault) -> (Vec<u64>, usize) {
    let before = count();
    let tenant = name("acme");
    let mut query = ConnectionQuery::of(&tenant);
    query.limit = 100;
    let list = vault.connections(&query).unwrap();
    let generations = list.iter().map(|connection| connection.generation);
    (generations.collect(), count() - before)
}

#[test]
fn a_list_runs_one_statement_and_none_while_nothing_is_committed() {
    let (_directory, path) = file();
    let vault = open(&path);
    store(&vault, 1);
    list(&vault);
    for generation in 2..5 {
        store(&vault, generation);
        assert_eq!(list(&vault), (vec![generation], 1));
        for _ in 0..3 {
            assert_eq!(list(&vault), (vec![generation], 0));
        }
    }
    revoke(&vault);
    // An empty list does not prove that the tenant is still the same.
    let (empty, statements) = list(&vault);
    assert!(empty.is_empty() && statements > 1);
    assert_eq!(list(&vault), (Vec::new(), 0));
}

#[test]
fn a_list_is_not_older_than_a_commit_of_another_handle() {
    let (_directory, path) = file();
    for options in [SqliteVault::options(), SqliteVault::options().without_log_index()] {
        let (reading, writing) = (open_with(&path, &options), open(&path));
        let first = list(&reading).0.first().copied().unwrap_or_default() + 1;
        for generation in first..first + 5 {
            store(&writing, generation);
            for _ in 0..2 {
                assert_eq!(list(&reading).0, [generation]);
            }
        }
        let raw = rusqlite::Connection::open(&path).unwrap();
        let edit = |by: &str| {
            let sql = format!("UPDATE grants SET generation = generation {by}");
            assert!(raw.execute(&sql, []).unwrap() > 0);
        };
        edit("+ 1");
        let tenant = name("acme");
        let tampered = reading.connections(&ConnectionQuery::of(&tenant));
        assert!(matches!(tampered, Err(VaultError::Tampered)));
        edit("- 1");
        assert_eq!(list(&reading).0, [first + 4]);
    }
}
