//! One run of a scenario in a child process, disturbed or not.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::{env, fs};

use crate::faults::reading::Reading;
use crate::faults::scenario::Scenario;
use crate::faults::world::Template;

/// The system calls that change a file. SQLite writes with `pwrite64`. The child's report goes
/// through `write`, which never fails.
const CALLS: [&str; 9] = [
    "pwrite64",
    "fsync",
    "fdatasync",
    "ftruncate",
    "fallocate",
    "unlink",
    "linkat",
    "rename",
    "copy_file_range",
];

/// The number of times that each call is made.
pub(crate) type Calls = BTreeMap<&'static str, usize>;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The process dies before the n-th call.
    Kill(&'static str, usize),
    /// The n-th call fails.
    Eio(&'static str, usize),
    /// The n-th call finds the disk full, and later ones do not.
    Enospc(&'static str, usize),
    /// The disk is full from the n-th call on.
    StaysFull(&'static str, usize),
}

impl Fault {
    /// Returns the faults that can happen at a call.
    pub(crate) fn at(call: &'static str) -> Vec<Box<dyn Fn(usize) -> Self>> {
        let mut faults: Vec<Box<dyn Fn(usize) -> Self>> = vec![
            Box::new(move |nth| Self::Kill(call, nth)),
            Box::new(move |nth| Self::Eio(call, nth)),
        ];
        if call != "unlink" {
            faults.push(Box::new(move |nth| Self::Enospc(call, nth)));
        }
        if call == "pwrite64" {
            faults.push(Box::new(move |nth| Self::StaysFull(call, nth)));
        }
        faults
    }

    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Kill(..) => "killed",
            Self::Eio(..) => "EIO",
            Self::Enospc(..) => "ENOSPC once",
            Self::StaysFull(..) => "ENOSPC for good",
        }
    }

    fn injection(self) -> String {
        match self {
            Self::Kill(call, nth) => format!("inject={call}:signal=KILL:when={nth}"),
            Self::Eio(call, nth) => format!("inject={call}:error=EIO:when={nth}"),
            Self::Enospc(call, nth) => format!("inject={call}:error=ENOSPC:when={nth}"),
            Self::StaysFull(call, nth) => format!("inject={call}:error=ENOSPC:when={nth}+"),
        }
    }
}

/// The result of a run.
pub(crate) struct Run {
    /// The directory of its files.
    pub(crate) directory: tempfile::TempDir,
    /// The output of the child, line by line.
    pub(crate) report: Vec<String>,
    pub(crate) calls: Calls,
    pub(crate) fault: Option<Fault>,
    pub(crate) was_disturbed: bool,
}

impl Run {
    pub(crate) fn of(
        scenario: &Scenario,
        template: &Template,
        reading: Reading,
        fault: Option<Fault>,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let aside = tempfile::tempdir().unwrap();
        let vault = directory.path().join("vault.db");
        template.copy_to(directory.path());
        let (log, report) = (aside.path().join("calls"), aside.path().join("report"));
        fs::write(&report, "").unwrap();

        let mut command = strace(&log);
        command.arg("-e").arg(format!("trace={}", CALLS.join(",")));
        if let Some(fault) = fault {
            command.arg("-e").arg(fault.injection());
        }
        let output = command
            .arg(env::current_exe().unwrap())
            .args(["--exact", "faults::child", "--nocapture", "--test-threads=1"])
            .env("VALETKEY_FAULT_SCENARIO", scenario.name)
            .env("VALETKEY_FAULT_READING", reading.name())
            .env("VALETKEY_FAULT_VAULT", &vault)
            .env("VALETKEY_FAULT_REPORT", &report)
            .output()
            .unwrap();
        let log = fs::read_to_string(&log).unwrap_or_default();
        let died = matches!(fault, Some(Fault::Kill(..))) && log.contains("killed by SIGKILL");
        assert!(
            output.status.success() || died,
            "{} with {fault:?}, reading by {}: the child failed\n{}\n{}",
            scenario.name,
            reading.name(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        let mut calls = Calls::new();
        for line in log.lines() {
            let made = line.split_whitespace().nth(1).unwrap_or_default();
            if let Some(call) = CALLS.iter().find(|call| made.starts_with(&format!("{call}("))) {
                *calls.entry(call).or_default() += 1;
            }
        }
        Self {
            directory,
            report: fs::read_to_string(&report)
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect(),
            calls,
            fault,
            was_disturbed: died || log.contains("(INJECTED)"),
        }
    }

    pub(crate) fn vault(&self) -> PathBuf {
        self.directory.path().join("vault.db")
    }

    /// Returns the report of a step after this word.
    pub(crate) fn said(&self, word: &str, step: usize) -> Option<String> {
        let line = format!("{word} {step} ");
        self.report
            .iter()
            .find_map(|said| Some(format!("{said} ").strip_prefix(&line)?.trim().to_owned()))
    }

    /// Returns how certain it is that a step was taken; `None` if it was not begun.
    pub(crate) fn taken(&self, step: usize) -> Option<Taken> {
        match (self.said("done", step), self.said("begin", step)) {
            (Some(_), _) => Some(Taken::Yes),
            (None, Some(_)) => Some(Taken::Maybe),
            (None, None) => None,
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.report.last().is_some_and(|line| line == "end")
    }
}

/// The certainty that a step was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Yes,
    /// The step was begun, and there is no report that it was done.
    Maybe,
}

fn strace(log: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args([OsStr::new("-f"), "-o".as_ref(), log.as_os_str()]);
    command
}

/// Returns whether there is a `strace` that may trace: containers often forbid it.
pub(crate) fn is_possible() -> bool {
    static POSSIBLE: LazyLock<bool> = LazyLock::new(|| {
        strace(Path::new("/dev/null"))
            .args(["-e", "inject=fsync:error=EIO:when=1", "true"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    });
    *POSSIBLE
}
