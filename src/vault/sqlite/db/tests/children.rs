//! Other processes: this test binary, started again to run one of the functions below.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use super::*;

const PATH: &str = "VALETKEY_TEST_VAULT";

/// A process that has a vault open until this is dropped.
pub(super) struct Other(Child);

impl Other {
    /// Waits until the process is ready.
    pub(super) fn start(role: &str, path: &Path) -> Self {
        let name = format!("vault::sqlite::db::tests::children::{role}");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--ignored", "--nocapture"])
            .env(PATH, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.as_mut().unwrap());
        assert!(
            stdout.lines().any(|line| line.unwrap().contains("ready")),
            "the other process is not ready"
        );
        Self(child)
    }

    /// Has the process write this many times while this one continues.
    pub(super) fn write(&mut self, times: usize) {
        self.0
            .stdin
            .as_mut()
            .unwrap()
            .write_all(&vec![b'.'; times])
            .unwrap();
    }

    /// Kills the process without any clean-up.
    pub(super) fn kill(mut self) {
        self.0.kill().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn path() -> Option<PathBuf> {
    std::env::var_os(PATH).map(PathBuf::from)
}

fn ready() {
    std::io::stdout().write_all(b"\nready\n").unwrap();
    std::io::stdout().flush().unwrap();
}

fn wait() {
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
#[ignore = "runs in a process of its own"]
fn holds() {
    let Some(path) = path() else { return };
    let _tables = open(&path);
    ready();
    wait();
}

#[test]
#[ignore = "runs in a process of its own"]
fn writes() {
    let Some(path) = path() else { return };
    let tables = open(&path);
    ready();
    for (number, _) in BufReader::with_capacity(1, std::io::stdin()).bytes().enumerate() {
        step(&tables, &format!("other-{number}")).unwrap();
        if number % 7 == 0 {
            tables.clear_residue().unwrap();
        }
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn writes_once() {
    let Some(path) = path() else { return };
    let tables = open(&path);
    step(&tables, "other").unwrap();
    ready();
    wait();
}
