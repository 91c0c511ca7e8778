//! Threads that process a shared list of work during one call.

use std::thread;

use crate::trace;

/// Runs `work` on up to `count` threads, including the caller's, until each call returns. If the
/// system cannot start that many, the running threads do all the work.
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
