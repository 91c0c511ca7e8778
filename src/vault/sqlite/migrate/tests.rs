//! Files of schemas 1 and 2, migrated.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::{Connection as Database, params};

use crate::model::{ConnectionId, GrantId, Owner, Scopes, Status, TenantId, Timestamp};
use crate::vault::envelope::MasterKey;
use crate::vault::sqlite::schema;
use crate::vault::{
    AuditChain, AuditFilter, AuditHead, AuditLog as _, ConnectionQuery, Found, GrantStore as _, Of,
    RevocationStore as _, SqliteVault, TokenQuery, VaultError,
};

fn vector(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vectors/schema-{version}.db"))
}

fn copy(version: u32) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault.db");
    fs::write(&path, fs::read(vector(version)).unwrap()).unwrap();
    (directory, path)
}

fn key(byte: u8) -> MasterKey {
    MasterKey::from_base64(&STANDARD.encode([byte; 32])).unwrap()
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn access(vault: &SqliteVault, tenant: &TenantId, number: u8) -> Option<String> {
    let query = TokenQuery {
        tenant,
        of: Of::Id(ConnectionId::from_bytes([number; 16])),
        scopes: &Scopes::default(),
    };
    match vault.find_token(&query).unwrap() {
        Found::One(token) => token.access_token.map(|token| token.expose_secret().to_owned()),
        _ => None,
    }
}

/// Returns the master key of the kept files.
fn vector_key() -> MasterKey {
    key(1)
}

#[test]
fn everything_of_an_older_file_is_there_after_the_migration() {
    for version in [1, 2] {
        let (_directory, path) = copy(version);
        let mut reports = Vec::new();
        let vault =
            SqliteVault::open_with_progress(&path, vector_key(), |done, total| reports.push((done, total)))
                .unwrap();
        let (first, last) = (reports[0], reports[reports.len() - 1]);
        assert!(first.0 == 0 && first.1 > 0 && last.0 == last.1, "{reports:?}");
        let acme = tenant("acme");
        assert_eq!(access(&vault, &acme, 1).as_deref(), Some("access-1-2"));
        assert_eq!(access(&vault, &acme, 2).as_deref(), Some("access-2"));
        assert_eq!(access(&vault, &tenant("globex"), 5).as_deref(), Some("access-5"));
        let all = vault
            .connections(&ConnectionQuery {
                with_revoked: true,
                ..ConnectionQuery::of(&acme)
            })
            .unwrap();
        assert!(
            all.iter()
                .any(|it| it.owner == Owner::Workspace && it.used_at.is_some())
        );
        assert!(all.iter().any(|it| it.status == Status::Revoked));
        assert!(all.iter().any(|it| matches!(it.status, Status::NeedsConsent(_))));
        let pending = vault
            .take_revocations(
                Timestamp::from_unix_millis(i64::MAX / 4),
                Duration::from_secs(5),
                9,
            )
            .unwrap();
        assert!(pending.is_empty(), "they are too old by then and are given up");
        let head: AuditHead = fs::read_to_string(vector(version).with_extension("head"))
            .unwrap()
            .parse()
            .unwrap();
        assert!(vault.proves(&head).unwrap());
        for chain in [
            AuditChain::Legacy,
            AuditChain::Vault,
            AuditChain::Tenant(acme.clone()),
            AuditChain::Tenant(tenant("globex")),
        ] {
            let report = vault.verify_chain(&chain, &mut |_, _| {}).unwrap();
            assert!(report.is_intact(), "{chain:?}: {report:?}");
        }
        assert!(vault.audit(&AuditFilter::of(&acme)).unwrap().len() > 5);
        vault.integrity_check().unwrap();
        drop(vault);
        // A second call has nothing to migrate and nothing to report.
        let vault =
            SqliteVault::open_with_progress(&path, vector_key(), |_, _| panic!("migrated again")).unwrap();
        assert_eq!(access(&vault, &acme, 1).as_deref(), Some("access-1-2"));
    }
}

/// A process can die after it has moved any number of pages of the log into the file. Pages are
/// moved in the order of their numbers, so the version in the first page arrives before the first
/// beat.
#[test]
fn a_migration_whose_log_was_moved_in_part_opens() {
    for version in [1, 2] {
        let (directory, path) = copy(version);
        let mut taken = (Vec::new(), Vec::new());
        let vault = SqliteVault::open_with_progress(&path, vector_key(), |_, _| {
            let read = |path: &Path| fs::read(path).unwrap_or_default();
            let log = read(&path.with_extension("db-wal"));
            if log.len() > taken.1.len() {
                taken = (read(&path), log);
            }
        });
        drop(vault.unwrap());
        let (mut moved, log) = taken;
        let pages = pages_of(&log);
        assert!(
            pages.len() > 10,
            "{} pages: the log was moved already",
            pages.len()
        );
        for (step, (number, content)) in pages.iter().enumerate() {
            let end = number * PAGE_SIZE;
            if moved.len() < end {
                moved.resize(end, 0);
            }
            moved[end - PAGE_SIZE..end].copy_from_slice(content);
            let crashed = directory.path().join(format!("crashed-{step}.db"));
            fs::write(&crashed, &moved).unwrap();
            fs::write(crashed.with_extension("db-wal"), &log).unwrap();
            let vault = SqliteVault::open(&crashed, vector_key())
                .unwrap_or_else(|error| panic!("after page {number}: {error:?}"));
            assert_eq!(access(&vault, &tenant("acme"), 2).as_deref(), Some("access-2"));
        }
    }
}

const PAGE_SIZE: usize = 4096;

/// Returns the newest content of each page in a log, by the numbers of the pages.
fn pages_of(log: &[u8]) -> BTreeMap<usize, &[u8]> {
    log.get(32..)
        .unwrap_or_default()
        .chunks_exact(24 + PAGE_SIZE)
        .map(|frame| {
            let number = u32::from_be_bytes(*frame.first_chunk().unwrap());
            (usize::try_from(number).unwrap(), &frame[24..])
        })
        .collect()
}

#[test]
fn a_wrong_key_leaves_an_older_file_as_it_is() {
    for version in [1, 2] {
        let (_directory, path) = copy(version);
        let opened = SqliteVault::open(&path, key(9));
        assert!(matches!(opened, Err(VaultError::WrongMasterKey)), "{opened:?}");
        assert_eq!(fs::read(&path).unwrap(), fs::read(vector(version)).unwrap());
    }
}

#[test]
fn an_older_file_with_a_trigger_is_refused() {
    let (_directory, path) = copy(2);
    let db = Database::open(&path).unwrap();
    db.execute_batch("CREATE TRIGGER keep BEFORE UPDATE ON secrets BEGIN SELECT RAISE(IGNORE); END")
        .unwrap();
    drop(db);
    assert!(matches!(
        SqliteVault::open(&path, vector_key()),
        Err(VaultError::Tampered)
    ));
}

#[test]
fn several_migrate_at_once_and_each_can_use_the_vault_afterwards() {
    for version in [1, 2] {
        let (_directory, path) = copy(version);
        grow(&path, 600);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let vault = SqliteVault::open(&path, vector_key()).unwrap();
                    assert_eq!(access(&vault, &tenant("acme"), 1).as_deref(), Some("access-1-2"));
                    let all = vault.connections(&ConnectionQuery::of(&tenant("acme"))).unwrap();
                    assert!(all.len() >= 600, "{}", all.len());
                });
            }
        });
        schema::verify(&Database::open(&path).unwrap(), schema::NEWEST).unwrap();
    }
}

/// Adds connections that need a new consent: rows without tokens, which take a migration as long as
/// others.
fn grow(path: &Path, rows: u32) {
    let db = Database::open(path).unwrap();
    let columns: Vec<String> = db
        .prepare("SELECT name FROM pragma_table_info('connections') WHERE name NOT IN ('id', 'uuid', 'slot', 'label', 'account_id', 'is_default', 'status', 'owner')")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let columns = columns.join(", ");
    let sql = format!(
        "INSERT INTO connections (uuid, owner, is_default, status, slot, {columns})
         SELECT ?1, ?2, 0, 'expired', NULL, {columns} FROM connections WHERE uuid = ?3"
    );
    db.execute_batch("BEGIN").unwrap();
    for number in 0..rows {
        let uuid = [&[0xee; 12][..], &number.to_be_bytes()].concat();
        db.execute(&sql, params![uuid, format!("user-{number}"), [1_u8; 16]])
            .unwrap();
    }
    db.execute_batch("COMMIT").unwrap();
}

#[test]
fn a_migration_that_was_cut_off_goes_on() {
    let (_directory, path) = copy(2);
    grow(&path, 950);
    // Each report follows a committed chunk. The test exits there, like a killed process.
    for _ in 0..3 {
        let left = thread::scope(|scope| {
            scope
                .spawn(|| {
                    let mut seen = 0;
                    let _ = SqliteVault::open_with_progress(&path, vector_key(), |_, _| {
                        seen += 1;
                        assert!(seen < 3, "cut off");
                    });
                })
                .join()
        });
        assert!(left.is_err(), "the migration ended too soon");
    }
    let db = Database::open(&path).unwrap();
    let moved: i64 = db
        .query_row("SELECT count(*) FROM grants", [], |row| row.get(0))
        .unwrap();
    let left: i64 = db
        .query_row("SELECT count(*) FROM connections_2", [], |row| row.get(0))
        .unwrap();
    assert!(moved > 0 && left > 0, "{moved} moved, {left} left");
    drop(db);
    let vault = SqliteVault::open(&path, vector_key()).unwrap();
    assert_eq!(access(&vault, &tenant("acme"), 1).as_deref(), Some("access-1-2"));
    assert_eq!(
        vault
            .connections(&ConnectionQuery::of(&tenant("acme")))
            .unwrap()
            .iter()
            .filter(|it| it.status != Status::Active)
            .count(),
        951
    );
    assert!(
        vault
            .grant(&tenant("acme"), GrantId::from_bytes([1; 16]))
            .unwrap()
            .is_some()
    );
}
