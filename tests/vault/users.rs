//! Several users of one machine: who may open a vault, and the safety of refreshes between them.
//!
//! Only root can start processes of other users; without root the tests do nothing.

#![cfg(all(unix, feature = "sqlite"))]
#![allow(clippy::print_stdout, reason = "how a child answers its parent")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use valetkey::internals::vault::{Attempt, ClaimOutcome};
use valetkey::vault::{SqliteVault, VaultError};

use crate::support::vault::*;

const PATH: &str = "VALETKEY_USERS_VAULT";
const ROLE: &str = "VALETKEY_USERS_ROLE";
const ANSWER: &str = "answer: ";

const OWNER: u32 = 6_001;
const MEMBER: u32 = 6_002;
const GROUP: u32 = 6_100;
const OTHER_GROUP: u32 = 6_200;

/// A directory of a group, and a copy of this program that every user can start.
struct Scene {
    directory: tempfile::TempDir,
    program: PathBuf,
    path: PathBuf,
}

impl Scene {
    /// Creates the scene. Returns `None` without the rights of root.
    fn new() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let program = directory.path().join("program");
        copy_program(&program);
        let data = directory.path().join("data");
        fs::create_dir(&data).unwrap();
        chown(&data, Some(OWNER), Some(GROUP)).ok()?;
        fs::set_permissions(&data, fs::Permissions::from_mode(0o2770)).unwrap();
        let path = data.join("vault.db");
        Some(Self {
            directory,
            program,
            path,
        })
    }

    fn command(&self, uid: u32, gid: u32, role: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["--exact", "users::play_a_role_in_a_child", "--nocapture"])
            .current_dir(self.directory.path())
            .env(PATH, &self.path)
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .uid(uid)
            .gid(gid);
        command
    }

    /// Plays a role as this user, and returns its answer.
    fn answer(&self, uid: u32, gid: u32, role: &str) -> String {
        let mut child = self.start(uid, gid, role);
        drop(child.0.stdin.take());
        child.0.wait().unwrap();
        child.1
    }

    /// Plays a role as this user until the child is ended.
    fn start(&self, uid: u32, gid: u32, role: &str) -> (Child, String) {
        let mut child = self.command(uid, gid, role).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let answer = output
            .lines()
            .find_map(|line| Some(line.unwrap().split_once(ANSWER)?.1.to_owned()));
        (child, answer.expect("the child answers"))
    }
}

/// Copies this program in a separate process. If this process wrote the copy, a child that another
/// test forks at that moment would inherit the open file, and the system refuses to start a program
/// that is open for writing.
fn copy_program(to: &Path) {
    let copied = Command::new("cp")
        .arg(std::env::current_exe().unwrap())
        .arg(to)
        .status()
        .unwrap();
    assert!(copied.success());
}

fn open_for_group(path: &Path) -> Result<SqliteVault, VaultError> {
    SqliteVault::options().share_with_group().open(path, key(1))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

/// Opens the vault and uses it. Returns the result as the answer.
fn used(vault: Result<SqliteVault, VaultError>) -> Result<String, VaultError> {
    let vault = vault?;
    vault.holder()?;
    let known = vault.connection(&tenant(), id(1))?;
    if known.is_none() {
        grant(&vault, &connection(1), &tokens("access", "refresh"));
    } else {
        refresh(&vault, 1, &tokens("access", "refresh"));
    }
    Ok(format!("generation {}", stored(&vault, 1).generation))
}

#[test]
fn play_a_role_in_a_child() {
    let (Some(path), Ok(role)) = (std::env::var_os(PATH).map(PathBuf::from), std::env::var(ROLE)) else {
        return;
    };
    let answer = |answer: Result<String, VaultError>| match answer {
        Ok(text) => println!("{ANSWER}{text}"),
        Err(error) => println!("{ANSWER}{error:?}"),
    };
    match role.as_str() {
        "use" => answer(used(open(&path))),
        "use for group" => answer(used(open_for_group(&path))),
        "claim" => {
            let vault = open_for_group(&path).unwrap();
            claimed(&vault, 1);
            answer(Ok("claimed".into()));
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
        "take over" => {
            let vault = open_for_group(&path).unwrap();
            answer(Ok(match claim(&vault, 1, Attempt::Forced, 2) {
                ClaimOutcome::Granted(claimed) => format!("granted, unknown: {}", claimed.outcome_unknown),
                _ => "not granted".into(),
            }));
        }
        other => panic!("no such role: {other}"),
    }
}

#[test]
fn promise_40_only_the_owner_opens_a_vault_by_default() {
    let Some(scene) = Scene::new() else { return };
    assert_eq!(scene.answer(OWNER, GROUP, "use"), "generation 1");
    assert_eq!(mode(&scene.path), 0o600);
    for wide in [0o600, 0o660, 0o666] {
        fs::set_permissions(&scene.path, fs::Permissions::from_mode(wide)).unwrap();
        let refused = scene.answer(MEMBER, GROUP, "use");
        assert_eq!(
            refused,
            format!("OtherOwner {{ file: {OWNER}, process: {MEMBER} }}")
        );
    }
}

#[test]
fn promise_40_the_members_of_a_group_share_a_vault() {
    let Some(scene) = Scene::new() else { return };
    assert_eq!(scene.answer(OWNER, GROUP, "use for group"), "generation 1");
    assert_eq!(mode(&scene.path), 0o660);
    for (number, uid) in (2..).zip([MEMBER, OWNER, 6_003, MEMBER]) {
        let answer = scene.answer(uid, GROUP, "use for group");
        assert_eq!(answer, format!("generation {number}"), "uid {uid}");
    }
    // New files of another group get the group of the directory, but the group's own rights end at
    // the directory.
    let refused = scene.answer(6_003, OTHER_GROUP, "use for group");
    assert!(refused.starts_with("AccessDenied("), "{refused}");
    chown(&scene.path, None, Some(OTHER_GROUP)).unwrap();
    let refused = scene.answer(MEMBER, GROUP, "use for group");
    let expected = format!("OtherGroup {{ file: {OTHER_GROUP}, process: {GROUP} }}");
    assert_eq!(refused, expected);
}

#[test]
fn promise_40_a_member_takes_over_the_claim_of_a_dead_member_and_of_no_living_one() {
    let Some(scene) = Scene::new() else { return };
    assert_eq!(scene.answer(OWNER, GROUP, "use for group"), "generation 1");
    let (mut claiming, answer) = scene.start(OWNER, GROUP, "claim");
    assert_eq!(answer, "claimed");
    assert_eq!(scene.answer(MEMBER, GROUP, "take over"), "not granted");
    claiming.kill().unwrap();
    claiming.wait().unwrap();
    assert_eq!(scene.answer(MEMBER, GROUP, "take over"), "granted, unknown: true");
}

#[test]
fn promise_40_root_maintains_a_vault_and_leaves_it_to_its_users() {
    for (role, rights) in [("use", 0o600), ("use for group", 0o660)] {
        let Some(scene) = Scene::new() else { return };
        assert_eq!(scene.answer(OWNER, GROUP, role), "generation 1");
        let vault = open(&scene.path).unwrap();
        refresh(&vault, 1, &tokens("access", "refresh"));
        vault.backup(&scene.directory.path().join("backup.db")).unwrap();
        // While root has it open, and after root has created the log.
        assert_eq!(scene.answer(OWNER, GROUP, role), "generation 3");
        drop(vault);
        SqliteVault::restore(scene.directory.path().join("backup.db"), &scene.path, key(1)).unwrap();
        let restored = fs::metadata(&scene.path).unwrap();
        assert_eq!((restored.uid(), restored.gid()), (OWNER, GROUP));
        assert_eq!(restored.mode() & 0o777, rights);
        assert_eq!(scene.answer(OWNER, GROUP, role), "generation 3");
    }
}

#[test]
fn missing_rights_are_told_apart_by_what_they_are_missing_for() {
    let Some(scene) = Scene::new() else { return };
    assert_eq!(scene.answer(OWNER, GROUP, "use for group"), "generation 1");
    let (mut claiming, _) = scene.start(OWNER, GROUP, "claim");
    let data = scene.path.parent().unwrap();
    for (name, rights, place) in [
        ("vault.db", 0o200, "a file of the vault"),
        ("vault.db-wal", 0o000, "the log (-wal) of the vault"),
        ("vault.db-wal", 0o200, "the log (-wal) of the vault"),
        ("vault.db-shm", 0o200, "the shared memory (-shm) of the vault"),
        ("", 0o555, "the directory of the vault"),
        ("", 0o000, "the directory of the vault"),
    ] {
        let file = data.join(name);
        let before = fs::metadata(&file).unwrap().permissions();
        fs::set_permissions(&file, fs::Permissions::from_mode(rights)).unwrap();
        let refused = scene.answer(OWNER, GROUP, "use for group");
        fs::set_permissions(&file, before).unwrap();
        assert_eq!(refused, format!("AccessDenied({place:?})"), "{name} {rights:o}");
    }
    claiming.kill().unwrap();
    claiming.wait().unwrap();
    assert_eq!(scene.answer(OWNER, GROUP, "use for group"), "generation 2");
}
