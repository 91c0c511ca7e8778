//! A writer of the database who has no key: what they can change, and what comes of it.

#![cfg(feature = "sqlite")]

mod edit;
mod probe;
mod rules;
mod servers;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use edit::{Edit, Stored};
use probe::{Outcome, Probe};
use rules::{COLUMNS, REMEMBERED, Rule};
use world::{Host, World};

fn full() -> bool {
    std::env::var_os("VALETKEY_FULL").is_some()
}

/// When the file is edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Before it is opened.
    Closed,
    /// While it is open and has been used.
    Open,
}

/// Uses a copy of the file that was edited. `None` if SQLite refuses the edit.
fn outcome(world: &World, edit: &Edit, when: When) -> Option<Outcome> {
    let (_directory, path) = world.copy();
    let host = match when {
        When::Closed => {
            if !edit.apply(&path) {
                return None;
            }
            match Host::open(&path, world.now) {
                Ok(host) => host,
                Err(error) => return Some(Outcome::refused(&error)),
            }
        }
        When::Open => {
            let host = Host::open(&path, world.now).unwrap();
            Probe::new(&host, world).warm();
            if !edit.apply(&path) {
                return None;
            }
            host
        }
    };
    Some(Probe::new(&host, world).run())
}

/// Works on many cases with a few threads. Returns what `work` says is wrong.
fn each<T: Sync>(cases: &[T], work: impl Fn(&T) -> Option<String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(2, usize::from).min(8);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(what) = work(case) {
                        wrong.lock().unwrap().push(what);
                    }
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}

struct Case {
    column: Stored,
    edit: Edit,
    when: When,
    rule: Rule,
}

impl Case {
    fn wrong(&self, outcome: &Outcome, untouched: &Outcome) -> Option<String> {
        let Self { edit, when, .. } = self;
        if !outcome.broken.is_empty() {
            return Some(format!("{} ({when:?}): {:#?}", edit.label, outcome.broken));
        }
        let is_remembered = *when == When::Open && REMEMBERED.contains(&self.column.table.as_str());
        match self.rule {
            Rule::MustFail(_) if is_remembered => None,
            Rule::MustFail(kinds) => {
                let found = outcome
                    .alarms
                    .values()
                    .any(|alarm| kinds.contains(&alarm.as_str()));
                (!found).then(|| format!("{} ({when:?}): not noticed: {:?}", edit.label, outcome.alarms))
            }
            Rule::Harmless(why) => {
                let same = outcome.calls == untouched.calls && !outcome.is_detected();
                (!same).then(|| {
                    format!(
                        "{} ({when:?}): is not harmless ({why}): {:?}",
                        edit.label, outcome.alarms
                    )
                })
            }
            Rule::DenialOnly(_) => None,
        }
    }
}

fn cases(world: &World) -> Vec<Case> {
    let db = edit::writer(&world.path);
    let columns = edit::columns(&db);
    let mut cases = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let rule = edit::rule(column).unwrap();
        let rows = edit::rows(&db, &columns, &column.table, rule.rows);
        let many = if full() { rows.len() } else { 1 };
        for row in rows.iter().cycle().skip(at).take(many.min(rows.len())) {
            for value in edit::values(&db, column, row) {
                let edit = edit::set(column, row, &value);
                for when in [When::Closed, When::Open] {
                    cases.push(Case {
                        column: column.clone(),
                        edit: edit.clone(),
                        when,
                        rule: rule.rule,
                    });
                }
            }
        }
    }
    cases
}

#[test]
fn an_untouched_copy_raises_no_alarm() {
    let world = World::build();
    let nothing = Edit::new("nothing", "UPDATE tenants SET id = id");
    for when in [When::Closed, When::Open] {
        let outcome = outcome(&world, &nothing, when).unwrap();
        assert!(!outcome.is_detected(), "{:#?}", outcome.alarms);
        assert_eq!(outcome.broken, Vec::<String>::new());
        // What is tried here must be possible: otherwise nothing is tested.
        for call in ["complete", "open", "complete link", "maintain"] {
            assert_eq!(outcome.calls[call], "ok", "{call}");
        }
    }
}

#[test]
fn promise_30_every_column_has_a_rule() {
    let world = World::build();
    let columns = edit::columns(&edit::writer(&world.path));
    let without: Vec<_> = columns
        .iter()
        .filter(|column| edit::rule(column).is_none())
        .collect();
    assert!(without.is_empty(), "no rule for {without:?}");
    for rule in COLUMNS {
        let is_there = columns
            .iter()
            .any(|column| column.table == rule.table && column.name == rule.name);
        assert!(is_there, "no column for {rule:?}");
    }
}

#[test]
fn promise_30_an_edit_of_any_column_redirects_nothing() {
    let world = World::build();
    let nothing = Edit::new("nothing", "UPDATE tenants SET id = id");
    let untouched = outcome(&world, &nothing, When::Closed).unwrap();
    let cases = cases(&world);
    let refused = AtomicUsize::new(0);
    let wrong = each(&cases, |case| {
        let Some(outcome) = outcome(&world, &case.edit, case.when) else {
            refused.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        case.wrong(&outcome, &untouched)
    });
    println!(
        "{} edits, {} of them refused by SQLite",
        cases.len(),
        refused.into_inner()
    );
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}
