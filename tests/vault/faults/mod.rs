//! The state of a vault after the process dies or the disk fails at any write, sync, truncation,
//! renaming or removal.
//!
//! Each scenario runs in a child process under `strace`, which can make the n-th call of a kind
//! fail or kill the child there: without privileges, without unsafe code, and at exactly the calls
//! that SQLite makes. First the calls of an undisturbed run are counted, then the same run is
//! repeated with a fault at one call after another, or at some of them unless `VALETKEY_FULL` is
//! set.
//!
//! Killing a process is not a power cut: data that was written and not synced still exists. A
//! process that is killed in the middle of a call is like one that is killed before or after it.

#![cfg(all(target_os = "linux", feature = "sqlite"))]

mod contents;
mod disturb;
mod files;
mod host;
mod judge;
mod older;
mod reading;
mod scenario;
mod searched;
mod world;

use std::collections::BTreeMap;
use std::io::Write as _;

use disturb::{Calls, Fault, Run};
use reading::Reading;
use scenario::Scenario;

/// The child. It does nothing unless a parent started it.
#[test]
fn child() {
    host::run_if_asked();
}

#[test]
fn promise_12_making_a_vault() {
    survives(&scenario::CREATE);
}

#[test]
fn promise_12_connecting() {
    survives(&scenario::CONNECT);
}

#[test]
fn promise_12_connecting_again() {
    survives(&scenario::RECONNECT);
}

#[test]
fn promise_12_refreshing() {
    survives(&scenario::REFRESH);
}

#[test]
fn promise_12_revoking() {
    survives(&scenario::REVOKE);
}

#[test]
fn promise_12_sharing_a_grant() {
    survives(&scenario::SHARE);
}

#[test]
fn promise_12_rotating() {
    survives(&scenario::ROTATE);
}

#[test]
fn promise_12_opening_what_a_crash_left() {
    survives(&scenario::RECOVER);
}

#[test]
fn promise_12_forgetting_a_person() {
    survives(&scenario::FORGET_USER);
}

#[test]
fn promise_12_forgetting_a_tenant() {
    survives(&scenario::FORGET_TENANT);
}

#[test]
fn promise_12_revocations_that_wait_for_the_provider() {
    survives(&scenario::REVOCATIONS);
}

#[test]
fn promise_12_backing_up() {
    survives(&scenario::BACKUP);
}

#[test]
fn promise_12_restoring_a_backup() {
    survives(&scenario::RESTORE);
}

#[test]
fn promise_12_opening_a_file_of_schema_1() {
    survives(&scenario::MIGRATE_1);
}

#[test]
fn promise_12_opening_a_file_of_schema_2() {
    survives(&scenario::MIGRATE_2);
}

/// The number of calls at which each fault is injected, unless all of them are wanted.
const SAMPLE: usize = 6;

fn survives(scenario: &'static Scenario) {
    if !disturb::is_possible() {
        let full = std::env::var_os("VALETKEY_FULL").is_some();
        assert!(!full, "a full run needs strace, allowed to trace");
        say("skipped: there is no strace, or it may not trace");
        return;
    }
    let template = world::Template::new(scenario);
    let [undisturbed, ..] = Reading::ALL.map(|reading| {
        let undisturbed = Run::of(scenario, &template, reading, None);
        judge::judge(scenario, &template, &undisturbed);
        assert!(undisturbed.is_finished(), "undisturbed, it does not get through");
        undisturbed
    });

    let mut done: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    // The ways of reading take turns, so that each meets faults of every kind.
    for (fault, reading) in places(&undisturbed.calls)
        .into_iter()
        .zip(Reading::ALL.into_iter().cycle())
    {
        let run = Run::of(scenario, &template, reading, Some(fault));
        judge::judge(scenario, &template, &run);
        let (runs, hits) = done.entry(fault.kind()).or_default();
        *runs += 1;
        *hits += usize::from(run.was_disturbed);
    }
    for (kind, (runs, hits)) in done {
        // A run may lack a call or two of an earlier run (if a log was truncated already), but not
        // more.
        assert!(
            hits * 10 >= runs * 9,
            "{kind}: only {hits} of {runs} runs were disturbed"
        );
        say(&format!("{}: {kind}: {hits} of {runs}", scenario.name));
    }
}

/// Returns every fault at every call where it can happen, or a sample of them.
fn places(calls: &Calls) -> Vec<Fault> {
    let full = std::env::var_os("VALETKEY_FULL").is_some();
    let mut places = Vec::new();
    for (call, count) in calls {
        let step = if full { 1 } else { count.div_ceil(SAMPLE) };
        for faults in Fault::at(call) {
            // The sample begins at the end, so that it always contains the last call.
            places.extend((1..=*count).rev().step_by(step).map(faults));
        }
    }
    places
}

fn say(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}
