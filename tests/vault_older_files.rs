//! A file that an older version of this crate wrote opens with today's, and all that was in it is there.
//!
//! `tests/vectors/schema-<n>.db` was written by the version whose newest schema was `n`, and is never written again.

#![cfg(feature = "sqlite")]

mod vault_support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rusqlite::Connection as Database;
use valetkey::model::{Connection, NeedsConsent, Owner, Status, TenantId, UserId};
use valetkey::secret::PkceVerifier;
use valetkey::vault::{
    Attempt, AuditFilter, AuditHead, AuditKind, ClaimOutcome, ClaimRequest, ConsentStatus, Erasure, Found,
    Handout, RefreshFailure, Settlement, SqliteVault, TokenQuery, Vault, VaultError,
};
use vault_support::*;

const VERIFIER: &str = "verifier-verifier-verifier-verifier-verifier";

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn other_tenant() -> TenantId {
    TenantId::new("globex").unwrap()
}

/// Everybody's, by the policy of the host.
fn shared(number: u8) -> Connection {
    let mut shared = connection(number, 1);
    shared.owner = Owner::Shared;
    shared
}

fn of_bob(number: u8) -> Connection {
    let mut of_bob = connection(number, 1);
    of_bob.tenant = other_tenant();
    of_bob.owner = Owner::Personal(UserId::new("bob").unwrap());
    of_bob
}

fn version(db: &Database) -> u32 {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

/// Lives through what a vault of some age has behind it.
fn live(vault: &SqliteVault) {
    grant(vault, &connection(1, 1), &tokens("access-1", "refresh-1"));
    refresh(vault, 1, 1, &tokens("access-1-2", "refresh-1-2"));
    grant(vault, &shared(2), &tokens("access-2", "refresh-2"));
    grant(vault, &connection(3, 1), &tokens("access-3", "refresh-3"));
    grant(
        vault,
        &connection(4, 1),
        &tokens(&"long".repeat(2_000), "refresh-4"),
    );
    grant(vault, &of_bob(5), &tokens("access-5", "refresh-5"));
    let queued = vault
        .revoke_and_queue(&tenant(), id(3), None, at(20), at(9_000))
        .unwrap()
        .unwrap();
    assert!(queued.queued.is_some());
    let ClaimOutcome::Granted(claimed) = claim(vault, 4, 1) else {
        panic!("not granted");
    };
    let refusal = RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at: at(21),
        quarantined_until: Some(at(9_000)),
    };
    vault
        .fail_refresh(&tenant(), id(4), &claimed.claim, &refusal)
        .unwrap();
    assert!(vault.set_default(&tenant(), id(1), None).unwrap());
    let handout = Handout {
        tenant: tenant(),
        connection: id(2),
        provider: connection(2, 1).provider,
        at: at(22),
        user: user(),
        shared: true,
        purpose: Some("read the calendar".into()),
        turn: Some("turn-1".into()),
    };
    vault.record_handouts(&[handout]).unwrap();
    // Two keys at once: what is sealed with the older one is still there.
    assert!(vault.rotate_data_key(&tenant()).unwrap());
    vault
        .insert_consent(&consent("pending"), Some(&PkceVerifier::new(VERIFIER)))
        .unwrap();
}

/// Whoever adds a schema keeps a file of it: `VALETKEY_WRITE_VECTORS=1 cargo test --test vault_older_files` writes the one
/// that is missing, and never one that is there.
#[test]
fn the_newest_schema_has_its_file() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    live(&vault);
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
    let head = vault.audit_head().unwrap();
    drop(vault);
    let newest = version(&Database::open(&path).unwrap());
    let kept = vectors().join(format!("schema-{newest}.db"));
    if !kept.exists() && std::env::var_os("VALETKEY_WRITE_VECTORS").is_some() {
        fs::copy(&path, &kept).unwrap();
        fs::write(kept.with_extension("head"), format!("{head}\n")).unwrap();
    }
    assert!(kept.exists(), "no file of schema {newest} is kept");
    everything_is_there(&open(&path).unwrap(), &head);
}

/// Every file that was kept, with the version that it has and the head that was exported from it.
fn kept() -> Vec<(PathBuf, u32, AuditHead)> {
    let mut kept: Vec<_> = fs::read_dir(vectors())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "db"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let version = name.strip_prefix("schema-").unwrap().parse().unwrap();
            let head = fs::read_to_string(path.with_extension("head")).unwrap();
            (path, version, head.parse().unwrap())
        })
        .collect();
    kept.sort_by_key(|(_, version, _)| *version);
    assert_eq!(kept.first().map(|(_, version, _)| *version), Some(1));
    kept
}

/// A copy that tests may open, with the rights that copies come with.
fn copy(of: &Path) -> (tempfile::TempDir, PathBuf) {
    let (directory, path) = place();
    fs::write(&path, fs::read(of).unwrap()).unwrap();
    (directory, path)
}

/// What `live` left.
fn everything_is_there(vault: &SqliteVault, head: &AuditHead) {
    let access = |tenant: &TenantId, number| {
        let token = vault.token(tenant, id(number)).unwrap();
        token
            .and_then(|stored| stored.access_token)
            .map(|token| token.expose_secret().to_owned())
    };
    assert_eq!(access(&tenant(), 1).as_deref(), Some("access-1-2"));
    assert_eq!(access(&tenant(), 2).as_deref(), Some("access-2"));
    assert_eq!(access(&other_tenant(), 5).as_deref(), Some("access-5"));
    for gone in [3, 4] {
        assert_eq!(access(&tenant(), gone), None);
    }
    let stored = |number| vault.connection(&tenant(), id(number)).unwrap().unwrap();
    assert!(stored(1).is_default && stored(1).generation == 2 && stored(1).status == Status::Active);
    assert_eq!(stored(2).owner, Owner::Shared);
    assert_eq!(stored(2).used_at, Some(at(22)));
    assert_eq!(stored(3).status, Status::Revoked);
    assert_eq!(stored(4).status, Status::NeedsConsent(NeedsConsent::Rejected));
    let provider = stored(1).provider;
    let (tenant, user) = (tenant(), user());
    for owner in [Some(&user), None] {
        let found = vault.find_token(&TokenQuery {
            tenant: &tenant,
            user: owner,
            provider: &provider,
            label: None,
            scopes: &valetkey::model::Scopes::default(),
        });
        assert!(matches!(found, Ok(Found::One(_))), "{owner:?}: {found:?}");
    }

    let mut pending = vault
        .take_revocations(at(100), Duration::from_secs(5), 9)
        .unwrap();
    assert_eq!(pending.len(), 1);
    let pending = pending.pop().unwrap();
    assert_eq!(pending.refresh_token.unwrap().expose_secret(), "refresh-3");
    let waiting = vault.consent(&tenant, &state("pending")).unwrap().unwrap();
    assert_eq!(waiting.status, ConsentStatus::Pending);
    let verifier = vault
        .take_consent(&tenant, &waiting.state, at(30))
        .unwrap()
        .unwrap();
    assert_eq!(verifier.unwrap().expose_secret(), VERIFIER);

    let kinds: Vec<_> = vault
        .audit(&AuditFilter::of(&tenant))
        .unwrap()
        .into_iter()
        .map(|entry| entry.kind)
        .collect();
    let told = [
        AuditKind::ConsentCompleted,
        AuditKind::Refreshed,
        AuditKind::ConsentCompleted,
        AuditKind::ConsentCompleted,
        AuditKind::ConsentCompleted,
        AuditKind::Revoked,
        AuditKind::RefreshRejected,
        AuditKind::DefaultSet,
        AuditKind::TokenUsed,
        AuditKind::DataKeyRotated,
        AuditKind::ConsentStarted,
    ];
    assert_eq!(kinds, told);
    assert_eq!(vault.audit(&AuditFilter::of(&other_tenant())).unwrap().len(), 1);
    assert!(vault.verify_against(head).unwrap().is_intact());
    vault.integrity_check().unwrap();
}

/// And it goes on as any other: what was sealed then is renewed, refused, resealed and erased now.
fn it_goes_on(vault: &SqliteVault, head: &AuditHead) {
    refresh(vault, 1, 2, &tokens("access-1-3", "refresh-1-3"));
    let quarantined = vault.claim_refresh(&ClaimRequest {
        tenant: &tenant(),
        connection: id(4),
        holder: vault.holder().unwrap(),
        generation: 1,
        attempt: Attempt::Quarantined,
        now: at(40),
        lease: Duration::from_secs(30),
    });
    let Ok(ClaimOutcome::Granted(claimed)) = quarantined else {
        panic!("{quarantined:?}");
    };
    assert_eq!(claimed.refresh_token.expose_secret(), "refresh-4");
    // A pending revocation keeps the older data key until it ends.
    assert_eq!(vault.reseal(100).unwrap().remaining, 1);
    for pending in vault
        .take_revocations(at(200), Duration::from_secs(5), 9)
        .unwrap()
    {
        vault
            .settle_revocation(&tenant(), pending.id, Settlement::Confirmed, at(200))
            .unwrap();
    }
    let resealed = vault.reseal(100).unwrap();
    assert_eq!((resealed.remaining, resealed.destroyed), (0, 1));
    assert!(
        vault
            .revoke(&tenant(), id(2), None, at(41))
            .unwrap()
            .unwrap()
            .tokens
            .is_some()
    );
    assert_eq!(
        vault
            .forget_tenant(&other_tenant(), at(42))
            .unwrap()
            .unwrap()
            .connections,
        1
    );
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
    assert!(vault.verify_against(head).unwrap().is_intact());
    vault.integrity_check().unwrap();
}

#[test]
fn each_older_file_opens_with_all_that_was_in_it() {
    for (file, _, head) in kept() {
        let (_directory, path) = copy(&file);
        let vault = open(&path).unwrap();
        everything_is_there(&vault, &head);
        it_goes_on(&vault, &head);
        drop(vault);
        let vault = open(&path).unwrap();
        assert!(vault.verify_against(&head).unwrap().is_intact());
    }
}

/// The columns of every table and the indexes, in an order that does not depend on their history.
fn shape(db: &Database) -> Vec<String> {
    let mut statement = db
        .prepare(
            "SELECT t.name || '.' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || c.pk
                FROM sqlite_schema t, pragma_table_xinfo(t.name) c WHERE t.type = 'table'
             UNION ALL SELECT i.name || ': ' || i.sql FROM sqlite_schema i WHERE i.type = 'index' AND i.sql IS NOT NULL
             ORDER BY 1",
        )
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn an_older_file_comes_to_have_the_tables_of_a_new_one() {
    let (_directory, new) = place();
    drop(open(&new).unwrap());
    let new = Database::open(&new).unwrap();
    for (file, then, _) in kept() {
        let (_directory, path) = copy(&file);
        assert_eq!(version(&Database::open(&path).unwrap()), then);
        drop(open(&path).unwrap());
        let migrated = Database::open(&path).unwrap();
        assert_eq!(version(&migrated), version(&new), "{file:?}");
        assert_eq!(shape(&migrated), shape(&new), "{file:?}");
    }
}

#[cfg(unix)]
#[test]
fn promise_26_an_older_file_that_came_with_wide_rights_loses_them() {
    use std::os::unix::fs::PermissionsExt as _;

    for (file, ..) in kept() {
        let (directory, path) = copy(&file);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let vault = open(&path).unwrap();
        vault.holder().unwrap();
        grant(&vault, &connection(9, 1), &tokens("access", "refresh"));
        for entry in fs::read_dir(directory.path()).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}

#[test]
fn promise_05_a_wrong_key_leaves_an_older_file_as_it_was() {
    for (file, ..) in kept() {
        let (_directory, path) = copy(&file);
        let wrong = SqliteVault::open(&path, key(2));
        assert!(matches!(wrong, Err(VaultError::WrongMasterKey)), "{wrong:?}");
        assert_eq!(fs::read(&path).unwrap(), fs::read(&file).unwrap());
    }
}

/// The child of the next test: opens the file as soon as it may, and stores a connection of its own.
#[test]
fn open_in_a_child() {
    let Some(path) = std::env::var_os("VALETKEY_OPEN_OLDER") else {
        return;
    };
    let number = std::env::var("VALETKEY_NUMBER").unwrap().parse().unwrap();
    let path = Path::new(&path);
    while !path.with_file_name("go").exists() {
        std::thread::yield_now();
    }
    let vault = open(path).unwrap();
    grant(&vault, &connection(number, 1), &tokens("theirs", "theirs"));
}

#[test]
fn several_processes_may_open_an_older_file_at_once() {
    for (file, _, head) in kept() {
        let (_directory, path) = copy(&file);
        let numbers = 10..14;
        let children: Vec<Child> = numbers
            .clone()
            .map(|number| {
                Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "open_in_a_child"])
                    .env("VALETKEY_OPEN_OLDER", &path)
                    .env("VALETKEY_NUMBER", number.to_string())
                    .stdout(Stdio::null())
                    .spawn()
                    .unwrap()
            })
            .collect();
        fs::write(path.with_file_name("go"), "").unwrap();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        let vault = open(&path).unwrap();
        for number in numbers {
            assert!(
                vault.token(&tenant(), id(number)).unwrap().is_some(),
                "{number} is lost"
            );
        }
        assert!(vault.verify_against(&head).unwrap().is_intact());
        vault.integrity_check().unwrap();
    }
}
