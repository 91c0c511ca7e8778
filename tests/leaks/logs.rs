//! Everything that this process logs, including records of dependencies, at every level.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

struct Logs(Mutex<String>);

static LOGS: Logs = Logs(Mutex::new(String::new()));

impl Logs {
    fn lines(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl log::Log for Logs {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        writeln!(
            self.lines(),
            "{} {} {}",
            record.level(),
            record.target(),
            record.args()
        )
        .unwrap();
    }
    fn flush(&self) {}
}

/// The log from a certain moment. It includes the records of concurrent tests, whose secrets must
/// not appear either.
pub(crate) struct Log {
    from: usize,
}

impl Log {
    /// Starts recording.
    pub(crate) fn listen() -> Self {
        static LISTENING: Once = Once::new();
        LISTENING.call_once(|| {
            log::set_logger(&LOGS).unwrap();
            log::set_max_level(log::LevelFilter::Trace);
        });
        Self {
            from: LOGS.lines().len(),
        }
    }

    pub(crate) fn lines(&self) -> String {
        LOGS.lines()[self.from..].to_owned()
    }
}
