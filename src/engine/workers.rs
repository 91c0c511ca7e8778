//! Several threads that share a list of work, for the time of one call.

use std::thread;

use crate::trace;

/// Runs `work` on at most `count` threads, one of them the caller's, until each of them returns.
/// Where the system starts fewer threads, those that run do it all.
pub(crate) fn run(count: usize, work: impl Fn() + Sync) {
    let span = trace::current();
    let work = &work;
    thread::scope(|scope| {
        for _ in 1..count {
            let span = &span;
            let started = thread::Builder::new()
                .name("valetkey upkeep".into())
                .spawn_scoped(scope, move || span.within(work));
            if started.is_err() {
                break;
            }
        }
        work();
    });
}
