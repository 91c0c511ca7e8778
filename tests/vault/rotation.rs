//! Key rotation while processes are killed and others read.

#![cfg(feature = "sqlite")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use valetkey::internals::vault::{AuditFilter, Settlement};
use valetkey::model::{Connection, ConnectionId, Label, Owner, UserId};
use valetkey::vault::{Erasure, MasterKeys, SqliteVault, VaultError};

use crate::support::vault::log::Watch;
use crate::support::vault::*;

const TENANTS: u32 = 8;

fn keys(new: bool) -> MasterKeys {
    if new {
        MasterKeys::new(key(2), [key(1)])
    } else {
        MasterKeys::new(key(1), [key(2)])
    }
}

fn tenant_of(number: u32) -> valetkey::TenantId {
    valetkey::TenantId::new(format!("tenant-{}", number % TENANTS)).unwrap()
}

fn id_of(number: u32) -> ConnectionId {
    let mut bytes = [7; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    ConnectionId::from_bytes(bytes)
}

fn numbered(number: u32) -> Connection {
    let mut connection = connection(1);
    connection.id = id_of(number);
    connection.tenant = tenant_of(number);
    connection.owner = Owner::Personal(UserId::new(format!("user-{number}")).unwrap());
    connection.label = Some(Label::new("work").unwrap());
    connection
}

fn resolves(vault: &SqliteVault, number: u32) -> Result<(), String> {
    match find(vault, &tenant_of(number), id_of(number)) {
        Ok(Some(token)) => match token.access_token {
            Some(token) if token.expose_secret() == format!("access-{number}") => Ok(()),
            _ => Err(format!("{number}: not its token")),
        },
        other => Err(format!("{number}: {other:?}")),
    }
}

/// The child of the kill test: rotates until it is killed.
#[test]
fn rotate_in_a_child() {
    let Some(path) = std::env::var_os("VALETKEY_ROTATE") else {
        return;
    };
    let vault = SqliteVault::open(Path::new(&path), keys(true)).unwrap();
    loop {
        let wrapped = vault.rotate_master_key(100, at(6));
        let sealed = vault.reseal_tokens(100, at(6));
        match (wrapped, sealed) {
            (Ok(wrapped), Ok(sealed)) if wrapped.is_finished() && sealed.is_finished() => {
                // This ensures that there is always work to interrupt.
                for number in 0..TENANTS {
                    let rotated = vault.rotate_data_key(&tenant_of(number), at(6)).unwrap();
                    assert_eq!(rotated.done, 1);
                }
            }
            (Ok(_) | Err(VaultError::Busy), Ok(_) | Err(VaultError::Busy)) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn child(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "rotation::rotate_in_a_child", "--nocapture"])
        .env("VALETKEY_ROTATE", path)
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

#[test]
fn promise_09_rotation_never_loses_a_token() {
    let (grants, kills) = if full() { (10_000, 200) } else { (400, 12) };
    let (_directory, path) = place();
    let vault = SqliteVault::open(&path, keys(false)).unwrap();
    for number in 0..grants {
        let all = tokens(&format!("access-{number}"), &format!("refresh-{number}"));
        grant(&vault, &numbered(number), &all);
    }
    // Former grants are sealed again as well.
    for number in 0..grants / 10 {
        let all = tokens(&format!("access-{number}"), &format!("refresh-{number}"));
        assert_eq!(grant(&vault, &numbered(number), &all).len(), 1);
    }
    for number in 0..TENANTS {
        vault.rotate_data_key(&tenant_of(number), at(6)).unwrap();
    }
    let (over, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut random = Random::new(9);
    thread::scope(|scope| {
        for reader in 0..4 {
            let (over, reads, path) = (&over, &reads, &path);
            scope.spawn(move || {
                // Each thread has its own handle and caches; all have both keys, as every process
                // must.
                let vault = SqliteVault::open(path, keys(reader % 2 == 0)).unwrap();
                let mut random = Random::new(100 + reader);
                while !over.load(Ordering::Relaxed) {
                    let number = u32::try_from(random.below(u64::from(grants))).unwrap();
                    if let Err(failed) = resolves(&vault, number) {
                        over.store(true, Ordering::Relaxed);
                        panic!("a reader failed: {failed}");
                    }
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..kills {
            if over.load(Ordering::Relaxed) {
                break;
            }
            let mut child = child(&path);
            thread::sleep(Duration::from_millis(20 + random.below(180)));
            let already = child.try_wait().unwrap();
            assert!(already.is_none(), "the child ended by itself: {already:?}");
            child.kill().unwrap();
            child.wait().unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(reads.load(Ordering::Relaxed) > 100);
    drop(vault);

    let vault = SqliteVault::open(&path, keys(true)).unwrap();
    vault.integrity_check().unwrap();
    while !vault.rotate_master_key(1_000, at(6)).unwrap().is_finished() {}
    let end = Instant::now() + Duration::from_secs(60);
    while !reseal(&vault, 1_000).is_finished() {
        assert!(Instant::now() < end, "it does not end");
    }
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
    assert_intact(&vault);
    drop(vault);

    let db = rusqlite::Connection::open(&path).unwrap();
    let count = |sql: &str| -> i64 { db.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(
        count("SELECT count(*) FROM tenant_keys WHERE retired = 1 AND version < 2147483648"),
        0
    );
    assert_eq!(count("SELECT count(DISTINCT master_key) FROM tenant_keys"), 1);
    let old = "SELECT count(*) FROM grants g WHERE slot IS NOT NULL AND key_version <>
        (SELECT max(version) FROM tenant_keys k WHERE k.tenant = g.tenant AND version < 2147483648)";
    assert_eq!(count(old), 0);
    drop(db);
    // The old master key can be removed.
    let vault = SqliteVault::open(&path, key(2)).unwrap();
    for number in 0..grants {
        resolves(&vault, number).unwrap();
    }
    for number in 0..grants / 10 {
        let connection = vault
            .connection(&tenant_of(number), id_of(number))
            .unwrap()
            .unwrap();
        assert_eq!(connection.generation, 2);
    }
    assert_intact(&vault);
    let entries = vault.audit(&AuditFilter::of(&tenant_of(0))).unwrap();
    assert!(
        entries.len() > 1,
        "what was written under the old master key is read"
    );
    let wrong = SqliteVault::open(&path, key(1));
    assert!(matches!(wrong, Err(VaultError::WrongMasterKey)), "{wrong:?}");
}

#[test]
fn promise_09_an_old_data_key_is_destroyed_and_leaves_nothing() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    for number in 1..=9 {
        grant(&vault, &connection(number), &tokens("access", "refresh"));
    }
    let dead = records(
        &path,
        "slot NOT IN (SELECT slot FROM tenant_keys WHERE version > 1)",
    );
    assert_eq!(dead.len(), 1 + 2 * 9);
    rotate_data_key(&vault);
    let first = reseal(&vault, 4);
    assert_eq!((first.done, first.destroyed, first.remaining), (4, 0, 1));
    // A write seals with the newest key, and a revocation leaves no token to seal again.
    refresh(&vault, 9, &tokens("access", "refresh"));
    assert!(revoke(&vault, 8).is_some());
    let second = reseal(&vault, 9);
    assert_eq!((second.done, second.destroyed, second.remaining), (3, 1, 0));
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
    assert_eq!(residue(&path, &dead), None);
    for number in (1..=7).chain([9]) {
        assert!(access(&vault, &tenant(), number).is_some());
    }
    assert_eq!(reseal(&vault, 9), valetkey::vault::Rotated::default());
}

/// Keys of a file that an older version wrote, two at once for one tenant, are rotated like others.
#[test]
fn promise_09_the_keys_of_an_older_file_are_rotated() {
    for schema in [1, 2] {
        let (_directory, path) = place_of(schema);
        drop(open(&path).unwrap());
        let dead = records(
            &path,
            "slot IN (SELECT slot FROM tenant_keys UNION SELECT slot FROM grants)",
        );
        assert!(dead.len() >= 4 + 8, "{}", dead.len());
        let vault = SqliteVault::open(&path, keys(true)).unwrap();
        assert_eq!(take_all(&vault), 1);
        vault.take_consent(&tenant(), &state("pending"), at(30)).unwrap();
        rotate_data_key(&vault);
        for name in ["globex", "acme"] {
            vault.rotate_data_key(&name.try_into().unwrap(), at(6)).unwrap();
        }
        while !reseal(&vault, 2).is_finished() {}
        while !vault.rotate_master_key(1, at(6)).unwrap().is_finished() {}
        drop(vault);
        let vault = SqliteVault::open(&path, key(2)).unwrap();
        assert_eq!(access(&vault, &tenant(), 1).as_deref(), Some("access-1-2"));
        assert_eq!(
            access(&vault, &"globex".try_into().unwrap(), 5).as_deref(),
            Some("access-5")
        );
        assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
        assert_eq!(residue(&path, &dead), None);
        assert_intact(&vault);
        assert!(vault.audit(&AuditFilter::of(&tenant())).unwrap().len() > 10);
    }
}

/// Settles the pending revocations, which keep an old key alive.
fn take_all(vault: &SqliteVault) -> usize {
    let pending = vault
        .take_revocations(at(100), Duration::from_secs(5), 9)
        .unwrap();
    for one in &pending {
        vault
            .settle_revocation(&tenant(), one.id, Settlement::Confirmed, at(100))
            .unwrap();
    }
    pending.len()
}

/// A transaction that writes few pages holds the write lock for a short time. Benches measure how
/// short.
#[test]
fn promise_09_a_rotation_writes_in_small_transactions() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    for number in 0..1_000 {
        let mut one = numbered(number);
        one.tenant = tenant();
        grant(&vault, &one, &tokens(&"a".repeat(600), &"r".repeat(200)));
    }
    rotate_data_key(&vault);
    let watch = Watch::new(&path);
    assert_eq!(reseal(&vault, usize::MAX).done, 1_000);
    let pages = watch.pages();
    assert!(pages.len() >= 4, "{pages:?}");
    assert!(pages.iter().all(|pages| *pages <= 200), "{pages:?}");
}
