//! A private server for the tests.
//!
//! The server listens on a Unix socket in a directory of the test, and ends with the test. The tests
//! of one process share it; each uses its own schema.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::vault::PostgresOptions;

/// A server that runs until this is dropped.
#[derive(Debug)]
pub(in crate::vault) struct Cluster {
    bin: PathBuf,
    directory: tempfile::TempDir,
    schemas: AtomicUsize,
}

impl Cluster {
    /// Starts a server, or returns `None` where PostgreSQL is not installed and not required.
    pub(in crate::vault) fn start() -> Option<Self> {
        Self::with(&["fsync=off"])
    }

    /// Starts a server with these settings.
    pub(in crate::vault) fn with(settings: &[&str]) -> Option<Self> {
        let Some(bin) = programs() else {
            skipped();
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        // The server refuses to run as root, and its directory must belong to its user.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let cluster = Self {
            bin,
            directory,
            schemas: AtomicUsize::new(0),
        };
        cluster.run(
            "initdb",
            [
                "-D",
                &cluster.data(),
                "-U",
                "valetkey",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "-N",
            ],
        );
        let mut options = format!(
            "-c listen_addresses= -c unix_socket_directories={}",
            cluster.path().display()
        );
        for setting in settings {
            options.push_str(" -c ");
            options.push_str(setting);
        }
        let log = cluster.path().join("log");
        cluster.run(
            "pg_ctl",
            [
                "-D",
                &cluster.data(),
                "-w",
                "-t",
                "60",
                "-l",
                log.to_str().unwrap(),
                "-o",
                &options,
                "start",
            ],
        );
        Some(cluster)
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn data(&self) -> String {
        self.path().join("data").to_str().unwrap().to_owned()
    }

    /// Returns the address of the database.
    pub(in crate::vault) fn address(&self) -> String {
        format!("host={} user=valetkey dbname=postgres", self.path().display())
    }

    /// Returns options for a schema that no other test uses.
    pub(in crate::vault) fn options(&self) -> PostgresOptions {
        let number = self.schemas.fetch_add(1, Ordering::SeqCst);
        self.options_of(&format!("vault_{number}"))
    }

    /// Returns options for this schema.
    pub(in crate::vault) fn options_of(&self, schema: &str) -> PostgresOptions {
        PostgresOptions::new(&self.address())
            .unwrap()
            .schema(schema)
            .unwrap()
    }

    /// Stops the server: `fast`, or `immediate` as in a crash.
    pub(in crate::vault) fn stop(&self, mode: &str) {
        self.run("pg_ctl", ["-D", &self.data(), "-m", mode, "-w", "stop"]);
    }

    /// Starts a server again that was stopped.
    pub(in crate::vault) fn start_again(&self) {
        let log = self.path().join("log");
        let options = format!(
            "-c listen_addresses= -c unix_socket_directories={}",
            self.path().display()
        );
        self.run(
            "pg_ctl",
            [
                "-D",
                &self.data(),
                "-w",
                "-t",
                "60",
                "-l",
                log.to_str().unwrap(),
                "-o",
                &options,
                "start",
            ],
        );
    }

    fn run<S: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = S>) {
        let mut command = self.command(program);
        let status = command
            .args(arguments)
            .current_dir(self.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(status.success(), "{program} failed");
    }

    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self
            .command("pg_ctl")
            .args(["-D", &self.data(), "-m", "immediate", "-w", "stop"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// Returns the directory of the server's programs.
fn programs() -> Option<PathBuf> {
    let named = std::env::var_os("VALETKEY_PG_BIN").map(PathBuf::from);
    let mut installed: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    installed.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    named
        .into_iter()
        .chain(installed.into_iter().rev())
        .chain(std::env::split_paths(&path))
        .find(|bin| bin.join("initdb").exists() && bin.join("pg_ctl").exists())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0)
}

#[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
fn skipped() {
    let is_required = std::env::var_os("VALETKEY_PG").is_some_and(|value| value == "required");
    assert!(!is_required, "PostgreSQL is not installed");
    eprintln!("skipped: PostgreSQL is not installed (package postgresql)");
}
