//! Upkeep on its own thread.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use valetkey::connections::UpkeepReport;
use valetkey::testing::Host;
use valetkey::{Error, Result, UpkeepGuard};

use crate::support::substitute::Substitute;

/// Longer than any test waits: events that occur earlier do not depend on time.
const NEVER: Duration = Duration::from_secs(24 * 3600);
/// The timeout for expected events.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connections whose runs end as the closure determines, and the number of each run as it starts.
fn counted(
    end: impl Fn() -> Option<Result<UpkeepReport>> + Send + Sync + 'static,
) -> (Substitute, Receiver<()>) {
    let (sender, runs) = sync_channel(64);
    let mut substitute = Substitute::new(Host::new().connections);
    substitute.on_maintain = Box::new(move || {
        sender.send(()).unwrap();
        end()
    });
    (substitute, runs)
}

#[test]
fn it_runs_at_once_and_whenever_it_is_woken_and_ends_with_the_guard() {
    let (connections, runs) = counted(|| None);
    let guard = UpkeepGuard::options().interval(NEVER).spawn(connections).unwrap();
    assert_eq!(runs.recv_timeout(PATIENCE), Ok(()));
    for _ in 0..3 {
        guard.wake();
        assert_eq!(runs.recv_timeout(PATIENCE), Ok(()));
    }
    drop(guard);
    // The thread's handle of the connections was dropped with it.
    assert_eq!(
        runs.recv_timeout(Duration::ZERO),
        Err(RecvTimeoutError::Disconnected)
    );
}

#[test]
fn failures_are_told_and_do_not_end_it() {
    let (connections, runs) = counted(|| Some(Err(Error::NotFound)));
    let (sender, results) = sync_channel(64);
    let guard = UpkeepGuard::options()
        .interval(NEVER)
        .on_run(move |result| {
            sender
                .send(result.as_ref().map(drop).map_err(ToString::to_string))
                .unwrap()
        })
        .spawn(connections)
        .unwrap();
    for _ in 0..3 {
        let result = results.recv_timeout(PATIENCE).unwrap();
        assert_eq!(
            result,
            Err("there is no such connection or consent, or it is not visible to the caller".to_owned())
        );
        guard.wake();
    }
    assert!(results.recv_timeout(PATIENCE).unwrap().is_err());
    drop(guard);
    assert_eq!(
        runs.try_iter().count(),
        4,
        "one at the start, and one each time it was woken"
    );
}

#[test]
fn dropping_the_guard_waits_for_the_run_that_is_under_way() {
    let (release, released) = sync_channel(0);
    let released = Mutex::new(released);
    let (connections, runs) = counted(move || {
        released.lock().unwrap().recv().unwrap();
        None
    });
    let (sender, results) = sync_channel(1);
    let guard = UpkeepGuard::options()
        .on_run(move |result| sender.send(result.is_ok()).unwrap())
        .spawn(connections)
        .unwrap();
    runs.recv_timeout(PATIENCE).unwrap();
    let releasing = thread::spawn(move || release.send(()).unwrap());
    drop(guard);
    assert_eq!(results.try_recv(), Ok(true));
    releasing.join().unwrap();
}

#[test]
fn the_callback_may_drop_the_guard() {
    let (connections, runs) = counted(|| None);
    let place: Arc<Mutex<Option<UpkeepGuard>>> = Arc::default();
    let taken = Arc::clone(&place);
    let (kept, keep) = sync_channel(0);
    let (dropped, is_dropped) = sync_channel(1);
    let guard = UpkeepGuard::options()
        .interval(NEVER)
        .on_run(move |_| {
            keep.recv().unwrap();
            drop(taken.lock().unwrap().take());
            dropped.send(()).unwrap();
        })
        .spawn(connections)
        .unwrap();
    *place.lock().unwrap() = Some(guard);
    kept.send(()).unwrap();
    assert_eq!(is_dropped.recv_timeout(PATIENCE), Ok(()));
    assert_eq!(runs.recv_timeout(PATIENCE), Ok(()));
    assert_eq!(runs.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
}
