//! What a vault's files show, and what files it refuses.

#![cfg(feature = "sqlite")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use valetkey::model::{
    Connection, ConnectionId, ConsentId, IssuedBy, Label, Owner, Parameters, ProviderId, Scopes, ServerId,
    TenantId, Timestamp, UserId,
};
use valetkey::secret::{AccessToken, IdToken, PkceVerifier, RefreshToken, State};
use valetkey::vault::envelope::MasterKey;
use valetkey::vault::{
    Attempt, ClaimOutcome, ClaimRequest, CommitOutcome, ConsentStatus, Erasure, Grant, Holder,
    PendingConsent, Purpose, Renewed, SqliteVault, StateHash, StoreOutcome, Tokens, Vault, VaultError,
};

fn key(byte: u8) -> MasterKey {
    MasterKey::from_base64(&STANDARD.encode([byte; 32])).unwrap()
}

fn open(path: &Path) -> Result<SqliteVault, VaultError> {
    SqliteVault::open(path, key(1))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(seconds * 1_000)
}

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn connection(number: u8, generation: u64) -> Connection {
    let mut connection = Connection::new(
        ConnectionId::from_bytes([number; 16]),
        tenant(),
        Owner::Personal(UserId::new("alice").unwrap()),
        ProviderId::new("gmail").unwrap(),
        IssuedBy {
            server: ServerId::new("google").unwrap(),
            token_endpoint: "https://issuer.test/token".into(),
            client_id: "client".into(),
        },
        at(0),
    );
    connection.generation = generation;
    connection.label = Some(Label::new(format!("label-{number}")).unwrap());
    connection
}

fn tokens(access: &str, refresh: &str) -> Tokens {
    Tokens {
        access_token: AccessToken::new(access),
        refresh_token: Some(RefreshToken::new(refresh)),
        id_token: Some(IdToken::new(format!("MARKER-id-{refresh}"))),
    }
}

fn grant(vault: &SqliteVault, connection: &Connection, tokens: &Tokens) {
    let consent = StateHash::of(&State::new("none"));
    let outcome = vault.store_grant(&Grant {
        consent: &consent,
        connection,
        tokens,
        members: &[],
    });
    assert_eq!(outcome.unwrap(), StoreOutcome::Stored);
}

fn refresh(vault: &SqliteVault, number: u8, generation: u64, tokens: &Tokens) {
    let id = ConnectionId::from_bytes([number; 16]);
    let outcome = vault.claim_refresh(&ClaimRequest {
        tenant: &tenant(),
        connection: id,
        holder: Holder::from_bytes([1; 16]),
        generation,
        attempt: Attempt::Forced,
        now: at(1),
        lease: Duration::from_secs(30),
    });
    let ClaimOutcome::Granted(claimed) = outcome.unwrap() else {
        panic!("not granted");
    };
    let renewed = Renewed {
        tokens,
        granted: None,
        expires_at: None,
        at: at(2),
    };
    let outcome = vault.commit_refresh(&tenant(), id, &claimed.claim, &renewed);
    assert_eq!(outcome.unwrap(), CommitOutcome::Stored);
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault.db");
    (directory, path)
}

/// The content of every file in the directory.
fn files(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|file| (file.clone(), fs::read(file).unwrap()))
        .collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn it_can_be_opened_again() {
    let (_directory, path) = place();
    for generation in 1..=3 {
        let vault = open(&path).unwrap();
        grant(&vault, &connection(1, generation), &tokens("access", "refresh"));
    }
    let names: Vec<_> = files(&path).into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, [path], "a closed vault is one file");
}

#[test]
fn promise_05_a_wrong_key_says_so_and_changes_nothing() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    grant(&vault, &connection(1, 1), &tokens("access", "refresh"));
    let before = fs::read(&path).unwrap();
    let wrong = SqliteVault::open(&path, key(2));
    assert!(matches!(wrong, Err(VaultError::WrongMasterKey)), "{wrong:?}");
    assert_eq!(fs::read(&path).unwrap(), before, "with another process at work");
    // As a crash leaves it: the log still holds everything.
    let crashed = tempfile::tempdir().unwrap();
    for (file, content) in files(&path) {
        let name = file.file_name().unwrap();
        if !name.to_str().unwrap().ends_with("-shm") {
            fs::write(crashed.path().join(name), content).unwrap();
        }
    }
    let copy = crashed.path().join("vault.db");
    let log = crashed.path().join("vault.db-wal");
    let (before, log_before) = (fs::read(&copy).unwrap(), fs::read(&log).unwrap());
    assert!(!log_before.is_empty());
    let wrong = SqliteVault::open(&copy, key(2));
    assert!(matches!(wrong, Err(VaultError::WrongMasterKey)), "{wrong:?}");
    assert_eq!(fs::read(&copy).unwrap(), before);
    assert_eq!(fs::read(&log).unwrap(), log_before);
    drop(vault);
    let before = fs::read(&path).unwrap();
    let wrong = SqliteVault::open(&path, key(2));
    assert!(matches!(wrong, Err(VaultError::WrongMasterKey)), "{wrong:?}");
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(open(&path).is_ok() && open(&copy).is_ok());
}

#[test]
fn what_is_no_vault_is_refused_and_left_alone() {
    let (directory, path) = place();
    let other = |name: &str, sql: &str| {
        let path = directory.path().join(name);
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch(sql)
            .unwrap();
        path
    };
    let foreign = [
        other("foreign.db", "CREATE TABLE t (a)"),
        other("foreign-id.db", "PRAGMA application_id = 7; CREATE TABLE t (a)"),
        other("wal.db", "PRAGMA journal_mode = WAL; CREATE TABLE t (a)"),
        other("version.db", "PRAGMA user_version = 1"),
    ];
    let text = directory.path().join("text");
    fs::write(
        &text,
        "This is a text of some length, and no database at all.".repeat(9),
    )
    .unwrap();
    let short = directory.path().join("short");
    fs::write(&short, "x").unwrap();
    for file in foreign.iter().chain([&text, &short]) {
        let before = fs::read(file).unwrap();
        let refused = open(file);
        assert!(
            matches!(refused, Err(VaultError::NotAVault)),
            "{file:?}: {refused:?}"
        );
        assert_eq!(fs::read(file).unwrap(), before);
    }

    drop(open(&path).unwrap());
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(newer);
    let before = fs::read(&path).unwrap();
    let refused = open(&path);
    assert!(
        matches!(refused, Err(VaultError::NewerVersion { found: 99, .. })),
        "{refused:?}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_cut_file_is_damaged() {
    let (directory, path) = place();
    let vault = open(&path).unwrap();
    grant(&vault, &connection(1, 1), &tokens(&"a".repeat(20_000), "refresh"));
    drop(vault);
    let whole = fs::read(&path).unwrap();
    for len in [1, 15, 16, 50, 99, 100, 512, 4_095, 4_096, 8_192, whole.len() - 1] {
        let cut = directory.path().join(format!("cut-{len}"));
        fs::write(&cut, &whole[..len]).unwrap();
        let refused = open(&cut);
        assert!(
            matches!(refused, Err(VaultError::Damaged)),
            "{len} bytes: {refused:?}"
        );
        assert_eq!(fs::read(&cut).unwrap(), &whole[..len]);
    }
}

#[test]
fn an_empty_file_becomes_a_vault() {
    let (_directory, path) = place();
    fs::write(&path, "").unwrap();
    drop(open(&path).unwrap());
    assert!(open(&path).is_ok());
}

#[test]
fn a_vault_without_its_row_is_damaged() {
    let (_directory, path) = place();
    drop(open(&path).unwrap());
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("DELETE FROM vault").unwrap();
    drop(db);
    assert!(matches!(open(&path), Err(VaultError::Damaged)));
}

#[test]
fn many_processes_may_make_it_at_once() {
    let (_directory, path) = place();
    std::thread::scope(|scope| {
        for number in 1..=8 {
            let path = &path;
            scope.spawn(move || {
                let vault = open(path).unwrap();
                grant(&vault, &connection(number, 1), &tokens("access", "refresh"));
            });
        }
    });
    let vault = open(&path).unwrap();
    let query = valetkey::vault::ConnectionQuery::of(&tenant()).limit;
    assert_eq!(query, usize::MAX);
    for number in 1..=8 {
        let token = vault.token(&tenant(), ConnectionId::from_bytes([number; 16]));
        assert!(token.unwrap().unwrap().access_token.is_some());
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn promise_26_files_are_for_their_owner_alone() {
        let (_directory, path) = place();
        let vault = open(&path).unwrap();
        grant(&vault, &connection(1, 1), &tokens("access", "refresh"));
        let all = files(&path);
        assert_eq!(all.len(), 3, "the file, the log and its index");
        for (file, _) in all {
            assert_eq!(mode(&file), 0o600, "{file:?}");
        }
        drop(vault);
        // A copy that came with wider rights loses them.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let _vault = open(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    /// The child of the next test, under a mask that takes no rights away.
    #[test]
    fn make_everything_in_a_child() {
        let Some(path) = std::env::var_os("VALETKEY_UMASK") else {
            return;
        };
        let path = Path::new(&path);
        let probe = path.with_file_name("probe");
        fs::write(&probe, "").unwrap();
        assert_eq!(mode(&probe), 0o666, "the mask is not 000");
        fs::remove_file(probe).unwrap();
        let vault = open(path).unwrap();
        vault.holder().unwrap();
        grant(&vault, &connection(1, 1), &tokens("access", "refresh"));
        vault.backup(path.with_file_name("backup.db")).unwrap();
        let all = files(path);
        assert_eq!(
            all.len(),
            5,
            "the vault, its log and index, a sign of life, a backup"
        );
        for (file, _) in all {
            assert_eq!(mode(&file), 0o600, "{file:?}");
        }
    }

    #[test]
    fn promise_26_files_are_for_their_owner_alone_under_umask_000() {
        let (_directory, path) = place();
        let status = std::process::Command::new("sh")
            .args([
                "-c",
                "umask 000; exec \"$0\" --exact unix::make_everything_in_a_child",
            ])
            .arg(std::env::current_exe().unwrap())
            .env("VALETKEY_UMASK", &path)
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        assert!(path.exists(), "the child did nothing");
    }

    #[test]
    fn promise_26_links_and_directories_are_refused() {
        let (directory, path) = place();
        drop(open(&path).unwrap());
        let link = directory.path().join("link.db");
        symlink(&path, &link).unwrap();
        let dangling = directory.path().join("dangling.db");
        symlink(directory.path().join("nowhere.db"), &dangling).unwrap();
        let inside = directory.path().join("inside");
        fs::create_dir(&inside).unwrap();
        for bad in [&link, &dangling, &inside] {
            let refused = open(bad);
            assert!(
                matches!(refused, Err(VaultError::UnsafePath(_))),
                "{bad:?}: {refused:?}"
            );
        }
        assert!(!directory.path().join("nowhere.db").exists());
        // A link on the way to the file is the host's own business.
        let alias = directory.path().join("alias");
        symlink(directory.path(), &alias).unwrap();
        assert!(open(&alias.join("vault.db")).is_ok());
    }

    #[test]
    fn promise_26_somebody_elses_file_is_refused() {
        let (_directory, path) = place();
        drop(open(&path).unwrap());
        // Only root may give a file away; for anybody else there is nothing to be tested.
        if std::os::unix::fs::chown(&path, Some(12_345), None).is_ok() {
            let refused = open(&path);
            assert!(matches!(refused, Err(VaultError::UnsafePath(_))), "{refused:?}");
        }
    }

    #[test]
    fn a_read_only_file_is_refused() {
        let (_directory, path) = place();
        drop(open(&path).unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        let refused = open(&path);
        assert!(matches!(refused, Err(VaultError::ReadOnly)), "{refused:?}");
        assert_eq!(mode(&path), 0o400);
    }
}

/// A text in the shapes in which it might lie in a file.
fn shapes(text: &str) -> Vec<Vec<u8>> {
    let bytes = text.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
    let utf16 = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    let mut shapes = vec![
        bytes.to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        percent.into_bytes(),
        utf16(u16::to_le_bytes),
        utf16(u16::to_be_bytes),
    ];
    for skip in 0..3 {
        // Base64 of the text at each of the three offsets that it may have within a longer one.
        let whole = bytes.len() - skip;
        let part = &bytes[skip..skip + whole / 3 * 3];
        shapes.push(STANDARD.encode(part).into_bytes());
        shapes.push(URL_SAFE.encode(part).into_bytes());
    }
    shapes
}

#[test]
fn promise_01_no_plaintext_in_any_file() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    let markers = ["MARKER-access", "MARKER-refresh", "MARKER-id", "MARKER-verifier"];
    let scan = |step: &str| {
        for (file, content) in files(&path) {
            for marker in markers {
                for shape in shapes(marker) {
                    assert!(!contains(&content, &shape), "{marker} in {file:?} after {step}");
                }
            }
        }
    };
    let consent = PendingConsent {
        id: ConsentId::from_bytes([1; 16]),
        state: StateHash::of(&State::new("MARKER-state")),
        binding: StateHash::of(&State::new("MARKER-binding")),
        tenant: tenant(),
        user: UserId::new("alice").unwrap(),
        owner: Owner::Shared,
        provider: ProviderId::new("gmail").unwrap(),
        server: ServerId::new("google").unwrap(),
        issuer: None,
        token_endpoint: "https://issuer.test/token".into(),
        client_id: "client".into(),
        redirect_uri: "https://host.test/".into(),
        scopes: Scopes::default(),
        services: std::collections::BTreeMap::new(),
        parameters: Parameters::new(),
        label: None,
        purpose: Purpose::Connect,
        return_to: None,
        created_at: at(0),
        expires_at: at(600),
        status: ConsentStatus::Pending,
    };
    let verifier = PkceVerifier::new("MARKER-verifier");
    vault.insert_consent(&consent, Some(&verifier)).unwrap();
    scan("start");
    assert!(
        vault
            .take_consent(&tenant(), &consent.state, at(1))
            .unwrap()
            .is_some()
    );
    scan("take");
    let long = "MARKER-access".repeat(900);
    grant(&vault, &connection(1, 1), &tokens(&long, "MARKER-refresh-1"));
    scan("connect");
    refresh(
        &vault,
        1,
        1,
        &tokens("MARKER-access-2", &"MARKER-refresh".repeat(900)),
    );
    scan("refresh");
    assert!(
        vault
            .revoke(&tenant(), ConnectionId::from_bytes([1; 16]), at(3))
            .unwrap()
            .is_some()
    );
    scan("revoke");
    vault.clear_residue().unwrap();
    scan("clearing");
    for number in 2..=4 {
        grant(&vault, &connection(number, 1), &tokens(&long, "MARKER-refresh-2"));
    }
    let id = |number| ConnectionId::from_bytes([number; 16]);
    let queued = vault
        .revoke_and_queue(&tenant(), id(2), at(3), at(9_000))
        .unwrap();
    assert!(queued.unwrap().queued.is_some());
    scan("queueing");
    vault.rotate_data_key(&tenant()).unwrap();
    vault.reseal(9).unwrap();
    scan("resealing");
    vault.backup(path.with_file_name("backup.db")).unwrap();
    scan("backing up");
    vault.holder().unwrap();
    vault
        .forget_user(&tenant(), &UserId::new("alice").unwrap(), at(4))
        .unwrap();
    scan("forgetting a person");
    vault.forget_tenant(&tenant(), at(5)).unwrap();
    scan("forgetting a workspace");
    drop(vault);
    scan("closing");
}

/// The sealed records that connections have now.
fn ciphertexts(path: &Path) -> Vec<Vec<u8>> {
    let db = rusqlite::Connection::open(path).unwrap();
    let mut statement = db
        .prepare(
            "SELECT access FROM connections JOIN secrets USING (slot)
             UNION ALL SELECT rest FROM connections JOIN secrets USING (slot)",
        )
        .unwrap();
    statement
        .query_map([], |row| row.get::<_, Vec<u8>>(0))
        .unwrap()
        .map(Result::unwrap)
        .filter_map(|slot| {
            let (len, rest) = slot.split_first_chunk::<4>()?;
            let record = rest[..u32::from_be_bytes(*len) as usize].to_vec();
            Some(record).filter(|record| !record.is_empty())
        })
        .collect()
}

/// Whether any 16 bytes in a row of a record are in any file.
fn residue(path: &Path, dead: &[Vec<u8>]) -> Option<String> {
    // Headers alike in all records do not count: what follows them is random.
    let windows: std::collections::HashSet<&[u8]> =
        dead.iter().flat_map(|record| record[5..].windows(16)).collect();
    for (file, content) in files(path) {
        if let Some(offset) = content.windows(16).position(|window| windows.contains(window)) {
            return Some(format!("{file:?} at {offset}"));
        }
    }
    None
}

#[test]
fn promise_07_revoke_leaves_nothing_in_the_files() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    let mut seed = 0x2545_f491_u32;
    let mut random = |below: u32| {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed % below
    };
    let histories = if std::env::var_os("VALETKEY_FULL").is_some() {
        1_000
    } else {
        25
    };
    let mut generations = [0_u64; 8];
    for history in 0..histories {
        let mut dead = Vec::new();
        for _ in 0..6 {
            let number = u8::try_from(random(8)).unwrap();
            let generation = &mut generations[usize::from(number)];
            dead.extend(ciphertexts(&path));
            // Mostly small, now and then up to the bound: overflow pages and pages that are split.
            let bound = [300, 2_000, 5_000, 40_000][random(4) as usize];
            let len = 100 + random(bound) as usize;
            let new = tokens(&"a".repeat(len), &"r".repeat(len / 2));
            let token = vault
                .token(&tenant(), ConnectionId::from_bytes([number; 16]))
                .unwrap();
            if token.is_some() && random(2) == 0 {
                refresh(&vault, number, *generation, &new);
            } else {
                grant(&vault, &connection(number, *generation + 1), &new);
            }
            *generation += 1;
        }
        let victim = u8::try_from(random(8)).unwrap();
        dead.extend(ciphertexts(&path));
        vault
            .revoke(&tenant(), ConnectionId::from_bytes([victim; 16]), at(9))
            .unwrap();
        let alive = ciphertexts(&path);
        dead.retain(|record| !alive.contains(record));
        assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
        assert_eq!(residue(&path, &dead), None, "after history {history}");
    }
}

#[test]
fn promise_07_a_reader_makes_it_pending() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    grant(&vault, &connection(1, 1), &tokens("access", "refresh"));
    let dead = ciphertexts(&path);
    let reader = rusqlite::Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let _: i64 = reader
        .query_row("SELECT count(*) FROM connections", [], |row| row.get(0))
        .unwrap();
    vault
        .revoke(&tenant(), ConnectionId::from_bytes([1; 16]), at(9))
        .unwrap();
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Pending);
    assert!(residue(&path, &dead).is_some(), "so this test can see it");
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
    assert_eq!(residue(&path, &dead), None);
}

/// The child of the next test: opens the vault, stores a connection and closes it again.
#[test]
fn open_and_close_in_a_child() {
    if let Some(path) = std::env::var_os("VALETKEY_OPEN") {
        let vault = open(Path::new(&path)).unwrap();
        grant(&vault, &connection(7, 1), &tokens("theirs", "theirs"));
    }
}

/// SQLite's locks belong to the process, and closing any descriptor of the file drops them all: whoever closes last in
/// another process would then cut away the log that this one still writes to.
#[test]
fn nothing_is_lost_when_another_process_closes_the_vault() {
    let (_directory, path) = place();
    drop(open(&path).unwrap());
    let vault = open(&path).unwrap();
    let again = open(&path).unwrap();
    assert!(
        vault
            .token(&tenant(), ConnectionId::from_bytes([1; 16]))
            .unwrap()
            .is_none()
    );
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt as _;

        let inode = format!(":{} ", fs::metadata(&path).unwrap().ino());
        let locks = fs::read_to_string("/proc/locks").unwrap();
        assert!(
            locks.is_empty() || locks.lines().any(|lock| lock.contains(&inode)),
            "no lock is held on the file:\n{locks}"
        );
    }
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "open_and_close_in_a_child"])
        .env("VALETKEY_OPEN", &path)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    assert!(
        path.with_file_name("vault.db-wal").exists(),
        "the log was taken away"
    );
    grant(&vault, &connection(1, 1), &tokens("access", "refresh"));
    drop((vault, again));
    let vault = open(&path).unwrap();
    for number in [1, 7] {
        let token = vault
            .token(&tenant(), ConnectionId::from_bytes([number; 16]))
            .unwrap();
        assert!(token.is_some(), "{number} is lost");
    }
}

#[test]
fn promise_29_after_the_quarantine_nothing_is_left() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    let count = if std::env::var_os("VALETKEY_FULL").is_some() {
        200
    } else {
        20
    };
    for number in 1..=count {
        grant(&vault, &connection(number, 1), &tokens("access", "refresh"));
    }
    let dead = ciphertexts(&path);
    for number in 1..=count {
        let id = ConnectionId::from_bytes([number; 16]);
        let outcome = vault.claim_refresh(&ClaimRequest {
            tenant: &tenant(),
            connection: id,
            holder: vault.holder().unwrap(),
            generation: 1,
            attempt: Attempt::Forced,
            now: at(1),
            lease: Duration::from_secs(30),
        });
        let ClaimOutcome::Granted(claimed) = outcome.unwrap() else {
            panic!("not granted");
        };
        let refusal = valetkey::vault::RefreshFailure::Rejected {
            reason: valetkey::model::NeedsConsent::Rejected,
            at: at(2),
            quarantined_until: Some(at(900)),
        };
        vault
            .fail_refresh(&tenant(), id, &claimed.claim, &refusal)
            .unwrap();
    }
    assert_eq!(
        ciphertexts(&path).len(),
        usize::from(count),
        "the refresh tokens alone"
    );
    assert_eq!(
        vault.erase_quarantined(at(900), 1_000).unwrap(),
        usize::from(count)
    );
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
    assert_eq!(residue(&path, &dead), None);
}

/// Every record moved into the place of every other, as a writer of the file can.
#[test]
fn promise_04_no_record_opens_in_the_place_of_another() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    let mut other = connection(9, 1);
    other.tenant = TenantId::new("other").unwrap();
    grant(&vault, &other, &tokens("access", "refresh"));
    for number in 1..=4 {
        grant(&vault, &connection(number, 1), &tokens("access", "refresh"));
    }
    refresh(&vault, 4, 1, &tokens("access", "refresh"));
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("CREATE TEMP TABLE good AS SELECT slot, access, rest FROM secrets")
        .unwrap();
    let slots: Vec<(i64, Vec<u8>)> = db
        .prepare("SELECT slot, uuid FROM connections")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut moved = 0;
    for (to, uuid) in &slots {
        for (from, _) in &slots {
            for column in ["access", "rest"] {
                if from == to && column == "access" {
                    continue;
                }
                db.execute(
                    &format!("UPDATE secrets SET access = (SELECT {column} FROM good WHERE slot = ?1) WHERE slot = ?2"),
                    [from, to],
                )
                .unwrap();
                let id = ConnectionId::from_bytes(uuid.as_slice().try_into().unwrap());
                let of = if uuid[0] == 9 { &other.tenant } else { &tenant() };
                let found = vault.token(of, id);
                assert!(
                    matches!(found, Err(VaultError::Tampered)),
                    "{column} of {from} in {to}: {found:?}"
                );
                moved += 1;
            }
        }
        db.execute_batch(
            "UPDATE secrets SET access = (SELECT access FROM good g WHERE g.slot = secrets.slot)",
        )
        .unwrap();
    }
    assert_eq!(moved, 5 * 5 * 2 - 5);
}
