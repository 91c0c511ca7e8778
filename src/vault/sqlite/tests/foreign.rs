//! Commits of another process: a read that begins after one has returned never returns what the
//! commit removed.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::vault::sqlite::db::files::beside;
use crate::vault::sqlite::tests::fresh::{find, is_remembered, open, open_with, revoke, store, sweep};
use crate::vault::{SqliteVault, VaultError};

const PATH: &str = "VALETKEY_TEST_FOREIGN_VAULT";
const DONE: &str = "done ";
/// The pause of a reader, which leaves the processor to the writer.
const PAUSE: Duration = Duration::from_micros(50);

fn rounds(default: u64, full: u64) -> u64 {
    if std::env::var_os("VALETKEY_FULL").is_some() {
        full
    } else {
        default
    }
}

/// Returns a directory and a path in it, in memory if the system provides that: most tests here
/// would spend their time waiting for the disk.
fn file() -> (tempfile::TempDir, PathBuf) {
    let memory = Path::new("/dev/shm");
    let directory = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let directory = directory.unwrap();
    let path = directory.path().join("vault.db");
    (directory, path)
}

fn reads_the_index(vault: &SqliteVault) -> bool {
    vault.core().tables.store.log_index().is_some()
}

/// Another process that has the vault open, and runs commands.
struct Foreign {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Foreign {
    fn start(path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "vault::sqlite::tests::foreign::child"])
            .args(["--ignored", "--nocapture"])
            .env(PATH, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut foreign = Self { child, input, output };
        assert_eq!(foreign.answer().as_deref(), Some("ready"));
        foreign
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.input.as_mut().unwrap(), "{command}").unwrap();
    }

    /// Returns the next answer; `None` if the process has ended.
    fn answer(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.output.read_line(&mut line).is_ok_and(|read| read > 0) {
            if let Some((_, answer)) = line.trim_end().split_once(DONE) {
                return Some(answer.to_owned());
            }
            line.clear();
        }
        None
    }

    /// Runs a command, and waits until it is complete.
    fn run(&mut self, command: &str) {
        self.tell(command);
        assert_eq!(self.answer().as_deref(), Some(command));
    }

    /// Kills the process wherever it is.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

fn step(vault: &SqliteVault, generation: u64) {
    store(vault, generation);
    if generation.is_multiple_of(16) {
        sweep(vault);
    }
}

fn report(answer: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{DONE}{answer}").unwrap();
    output.flush().unwrap();
}

#[test]
#[ignore = "runs in a process of its own"]
fn child() {
    let Some(path) = std::env::var_os(PATH).map(PathBuf::from) else {
        return;
    };
    let vault = open(&path);
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.busy_timeout(Duration::from_secs(30)).unwrap();
    report("ready");
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (command, argument) = line.split_once(' ').unwrap_or((&line, ""));
        match command {
            "store" => step(&vault, argument.parse().unwrap()),
            "revoke" => revoke(&vault),
            // Stores generations for ever, and reports each after its commit.
            "flood" => {
                for generation in argument.parse::<u64>().unwrap().. {
                    step(&vault, generation);
                    report(&generation.to_string());
                }
            }
            "rollback" => {
                raw.execute_batch("BEGIN IMMEDIATE; DELETE FROM connections; ROLLBACK")
                    .unwrap();
            }
            "sql" => raw.execute_batch(argument).unwrap(),
            other => panic!("{other}"),
        }
        report(&line);
    }
}

/// Checks that the vault finds this generation, when it reads the rows and when it remembers them.
#[track_caller]
fn finds(vault: &SqliteVault, generation: u64) {
    for _ in 0..2 {
        assert_eq!(find(vault).unwrap(), Some(generation));
    }
}

#[test]
fn the_index_is_read_where_it_is_supported() {
    let (_directory, path) = file();
    let is_supported = cfg!(any(target_os = "linux", target_os = "macos"));
    assert_eq!(reads_the_index(&open(&path)), is_supported);
    let options = SqliteVault::options().without_log_index();
    assert!(!reads_the_index(&open_with(&path, &options)));
    let options = SqliteVault::options().trust_file_system("virtiofs");
    assert!(!reads_the_index(&open_with(&path, &options)));
    let in_memory = SqliteVault::in_memory(crate::vault::MasterKey::generate().unwrap()).unwrap();
    assert!(!reads_the_index(&in_memory));
}

#[test]
fn every_foreign_commit_is_seen_by_the_next_read() {
    let options = SqliteVault::options();
    for options in [options.clone(), options.without_log_index()] {
        let (_directory, path) = file();
        let vault = open_with(&path, &options);
        let mut foreign = Foreign::start(&path);
        let others = [
            "rollback",
            "sql PRAGMA wal_checkpoint(PASSIVE)",
            "sql PRAGMA wal_checkpoint(FULL)",
            "sql PRAGMA wal_checkpoint(RESTART)",
            "sql PRAGMA wal_checkpoint(TRUNCATE)",
            "sql VACUUM",
            "sql BEGIN; SELECT count(*) FROM connections; COMMIT",
        ];
        for generation in 1..=rounds(250, 20_000) {
            foreign.run(&format!("store {generation}"));
            finds(&vault, generation);
            let other = others.get(usize::try_from(generation % 17).unwrap());
            if let Some(other) = other {
                foreign.run(other);
                finds(&vault, generation);
            }
        }
        foreign.run("revoke");
        assert_eq!(find(&vault).unwrap(), None);
    }
}

#[test]
fn rows_are_remembered_through_a_rollback_and_a_checkpoint() {
    let (_directory, path) = file();
    let vault = open(&path);
    let mut foreign = Foreign::start(&path);
    store(&vault, 1);
    finds(&vault, 1);
    foreign.run("rollback");
    assert!(is_remembered(&vault));
    foreign.run("sql PRAGMA wal_checkpoint(PASSIVE)");
    assert!(is_remembered(&vault));
    foreign.run("store 2");
    assert!(!is_remembered(&vault));
}

/// Readers run all the time while another process commits. Each read must find at least the last
/// generation whose commit had returned before the read began.
#[test]
fn no_read_beside_a_foreign_writer_is_stale() {
    let (_directory, path) = file();
    let vault = open(&path);
    store(&vault, 1);
    let last = rounds(2_000, 1_000_000);
    let (committed, reads) = (AtomicU64::new(1), AtomicU64::new(0));
    let mut foreign = Foreign::start(&path);
    foreign.tell("flood 2");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let before = committed.load(Ordering::SeqCst);
                    let found = find(&vault).unwrap().unwrap();
                    assert!(found >= before, "{found} was read after {before}");
                    reads.fetch_add(1, Ordering::Relaxed);
                    if before >= last {
                        break;
                    }
                    std::thread::sleep(PAUSE);
                }
            });
        }
        while committed.load(Ordering::SeqCst) < last {
            let generation = foreign.answer().unwrap().parse().unwrap();
            committed.store(generation, Ordering::SeqCst);
        }
    });
    foreign.kill();
    assert!(reads.into_inner() > last / 10);
}

/// A writer is killed at any moment, also while it writes the header of the index.
#[test]
fn reads_and_writes_go_on_after_a_writer_was_killed() {
    let (_directory, path) = file();
    let vault = open(&path);
    store(&vault, 1);
    let mut generation = 1;
    for round in 0..rounds(8, 2_000) {
        let mut foreign = Foreign::start(&path);
        foreign.tell(&format!("flood {}", generation + 1));
        let ends = Instant::now() + Duration::from_micros(2_000 + round * 977 % 20_000);
        while Instant::now() < ends {
            generation = foreign.answer().unwrap().parse().unwrap();
            assert!(find(&vault).unwrap().unwrap() >= generation);
        }
        foreign.kill();
        while let Some(answer) = foreign.answer() {
            generation = answer.parse().unwrap();
        }
        let found = find(&vault).unwrap().unwrap();
        // The last commit may have returned without its report.
        assert!(
            (generation..=generation + 1).contains(&found),
            "{found} after {generation}"
        );
        finds(&vault, found);
        generation = found + 1;
        store(&vault, generation);
        finds(&vault, generation);
    }
}

#[test]
fn a_writer_that_is_killed_in_a_transaction_changes_nothing() {
    let (_directory, path) = file();
    let vault = open(&path);
    store(&vault, 1);
    finds(&vault, 1);
    let mut foreign = Foreign::start(&path);
    foreign.run(
        "sql PRAGMA cache_size = 1; BEGIN IMMEDIATE; UPDATE secrets SET access = zeroblob(length(access))",
    );
    finds(&vault, 1);
    foreign.kill();
    finds(&vault, 1);
    store(&vault, 2);
    finds(&vault, 2);
}

/// An index at the path that this process does not share validates nothing.
#[cfg(target_os = "linux")]
#[test]
fn rows_are_not_remembered_while_another_index_is_at_the_path() {
    let (directory, path) = file();
    let vault = open(&path);
    store(&vault, 1);
    finds(&vault, 1);
    assert!(is_remembered(&vault));
    fs::rename(beside(&path, "-shm"), directory.path().join("moved")).unwrap();
    store(&vault, 2);
    finds(&vault, 2);
    assert!(!is_remembered(&vault));
    fs::rename(directory.path().join("moved"), beside(&path, "-shm")).unwrap();
    finds(&vault, 2);
    assert!(is_remembered(&vault));
}

#[cfg(unix)]
#[test]
fn a_restored_file_is_read_anew() {
    let (directory, path) = file();
    let backup = directory.path().join("backup.db");
    let vault = open(&path);
    store(&vault, 1);
    crate::vault::Housekeeping::backup(&vault, &backup).unwrap();
    store(&vault, 2);
    finds(&vault, 2);
    drop(vault);
    let key = || crate::vault::MasterKey::of_bytes(zeroize::Zeroizing::new([7; 32]));
    SqliteVault::restore(&backup, &path, key()).unwrap();
    let vault = open(&path);
    finds(&vault, 1);
    store(&vault, 2);
    finds(&vault, 2);
    // A copy with another name takes the place of the file while it is open.
    fs::copy(&backup, directory.path().join("copy.db")).unwrap();
    fs::rename(directory.path().join("copy.db"), &path).unwrap();
    finds(&vault, 2);
    let replaced = crate::vault::Housekeeping::clear_residue(&vault);
    assert!(matches!(replaced, Err(VaultError::Replaced)), "{replaced:?}");
}

/// Returns the number of descriptors of this process for the index of this file.
#[cfg(target_os = "linux")]
fn descriptors(path: &Path) -> usize {
    let shm = beside(path, "-shm");
    let is_index = |entry: std::io::Result<fs::DirEntry>| {
        fs::read_link(entry.unwrap().path()).is_ok_and(|link| link == shm)
    };
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(is_index)
        .filter(|is| *is)
        .count()
}

/// Closing a descriptor of the index drops SQLite's locks on it. Another process would then take
/// itself for the only user of the index.
#[cfg(target_os = "linux")]
#[test]
fn the_index_is_closed_after_the_last_connection() {
    let (directory, path) = file();
    let path = directory
        .path()
        .canonicalize()
        .unwrap()
        .join(path.file_name().unwrap());
    let first = open(&path);
    store(&first, 1);
    // SQLite's own descriptor, and one that all handles share.
    assert_eq!(descriptors(&path), 2);
    let second = open(&path);
    finds(&second, 1);
    assert_eq!(descriptors(&path), 2);
    drop(second);
    assert_eq!(descriptors(&path), 2);
    // The other process closes the file while this one has it open, and must not delete the log.
    let mut foreign = Foreign::start(&path);
    foreign.run("store 2");
    drop(foreign);
    finds(&first, 2);
    store(&first, 3);
    let mut foreign = Foreign::start(&path);
    foreign.run("store 4");
    finds(&first, 4);
    drop(foreign);
    drop(first);
    assert_eq!(descriptors(&path), 0);
    let first = open(&path);
    finds(&first, 4);
    assert_eq!(descriptors(&path), 2);
}

/// Handles are opened and closed all the time, while another process commits.
#[test]
fn handles_that_come_and_go_share_the_index() {
    let (_directory, path) = file();
    store(&open(&path), 1);
    let mut foreign = Foreign::start(&path);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    let vault = open(&path);
                    assert!(find(&vault).unwrap() <= find(&vault).unwrap());
                }
            });
        }
        let vault = open(&path);
        for generation in 2..rounds(60, 2_000) {
            foreign.run(&format!("store {generation}"));
            finds(&vault, generation);
        }
        is_done.store(true, Ordering::Relaxed);
    });
}
