//! A writer of the database who has no key: the possible changes and their effects.

#![cfg(feature = "sqlite")]
#![allow(clippy::print_stdout, reason = "a test says how much it has tried")]

mod breaks;
mod definitions;
mod edit;
mod history;
mod limits;
mod objects;
mod probe;
mod rows;
mod rules;
mod servers;
mod world;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use edit::{Edit, Stored};
use probe::{Outcome, Probe};
use rows::{File, Random};
use rules::{COLUMNS, REMEMBERED, Rule};
use valetkey::vault::VaultError;
use world::{Host, World};

fn full() -> bool {
    std::env::var_os("VALETKEY_FULL").is_some()
}

/// The moment at which the file is edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Before the file is opened.
    Closed,
    /// While the file is open and has been used.
    Open,
    /// During a token request: for a refresh, then for a code.
    Requesting,
}

/// Uses an edited copy of the file. Returns `None` if SQLite refuses the edit.
fn outcome(world: &World, edit: &Edit, when: When) -> Option<Outcome> {
    let (_directory, path) = world.copy();
    let host = match when {
        When::Closed => {
            if !edit.apply(&path, &world.older) {
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
            if !edit.apply(&path, &world.older) {
                return None;
            }
            host
        }
        When::Requesting => {
            let host = Host::open(&path, world.now).unwrap();
            during_requests(&host, world, edit, &path);
            host
        }
    };
    Some(Probe::new(&host, world).after(edit.effect).run())
}

/// Edits the file while a token is refreshed, or, if the edit concerns consents, while a code is
/// exchanged.
fn during_requests(host: &Host, world: &World, edit: &Edit, path: &Path) {
    let (edit, path, older) = (edit.clone(), path.to_owned(), world.older.clone());
    let is_about_consents = edit.label.starts_with("consents");
    host.network.meanwhile(move || {
        edit.apply(&path, &older);
    });
    if !is_about_consents {
        // All tokens have expired. Alice's is refreshed first.
        host.clock.advance(Duration::from_secs(2 * 3_600));
        let _ = host.resolver.resolve(&world::person(world::PEOPLE[0]), "notes");
    }
}

/// Processes many cases on a few threads. Returns the errors that `work` reports.
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
            for (nth, value) in edit::values(&db, column, row).iter().enumerate() {
                // Half of the kinds of values for each column, and the other half for the next one.
                if !full() && nth % 2 != at % 2 {
                    continue;
                }
                let edit = edit::set(column, row, value);
                // An open handle differs only in the rows that it remembers: some values of each
                // column are enough to test that.
                let when: &[When] = if full() || nth % 4 < 2 {
                    &[When::Closed, When::Open]
                } else {
                    &[When::Closed]
                };
                cases.extend(when.iter().map(|when| Case {
                    column: column.clone(),
                    edit: edit.clone(),
                    when: *when,
                    rule: rule.rule,
                }));
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
        // The attempted operations must be possible: otherwise the test proves nothing.
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

/// Applies edits to copies of the file, each at the named moments. No secret may be redirected.
fn nothing_is_redirected(world: &World, edits: &[Edit], when: &[When]) {
    let cases: Vec<_> = edits
        .iter()
        .flat_map(|edit| when.iter().map(move |when| (edit, *when)))
        .collect();
    let (refused, noticed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let wrong = each(&cases, |(edit, when)| {
        let Some(outcome) = outcome(world, edit, *when) else {
            refused.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        noticed.fetch_add(usize::from(outcome.is_detected()), Ordering::Relaxed);
        let is_broken = !outcome.broken.is_empty();
        is_broken.then(|| format!("{} ({when:?}): {:#?}", edit.label, outcome.broken))
    });
    println!(
        "{} cases: {} noticed, {} refused by SQLite",
        cases.len(),
        noticed.into_inner(),
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

/// Returns a sample that depends only on the size of the run.
fn sample(mut edits: Vec<Edit>, most: usize, random: &mut Random) -> Vec<Edit> {
    while !full() && edits.len() > most {
        edits.swap_remove(random.below(edits.len()));
    }
    edits
}

#[test]
fn promise_30_edits_of_two_columns_redirect_nothing() {
    let world = World::build();
    let file = File::of(&world);
    let mut random = Random::new(30);
    let mut edits = sample(file.pairs_within_rows(&mut random), 120, &mut random);
    let across = if full() { usize::MAX } else { 100 };
    edits.extend(file.pairs_across_tables(&mut random, across));
    nothing_is_redirected(&world, &edits, &[When::Closed]);
}

#[test]
fn promise_30_moved_copied_and_deleted_rows_redirect_nothing() {
    let world = World::build();
    let mut random = Random::new(31);
    let edits = sample(File::of(&world).whole_rows(), 120, &mut random);
    nothing_is_redirected(&world, &edits, &[When::Closed]);
    for edit in rows::forged() {
        let (_directory, path) = world.copy();
        assert!(edit.apply(&path, &world.older), "{} changes nothing", edit.label);
    }
    nothing_is_redirected(&world, &rows::forged(), &[When::Closed, When::Open]);
}

#[test]
fn promise_30_rows_of_an_older_copy_redirect_nothing() {
    let world = World::build();
    let mut random = Random::new(32);
    let edits = sample(File::of(&world).older_rows(), 120, &mut random);
    nothing_is_redirected(&world, &edits, &[When::Closed]);
}

/// A result that is stored at the end of a request is sealed together with the row, so the row must
/// be unaltered.
#[test]
fn promise_30_an_edit_during_a_request_redirects_nothing() {
    let world = World::build();
    let cases = cases(&world);
    let edits: Vec<_> = cases
        .into_iter()
        .filter(|case| case.when == When::Closed)
        .filter(|case| ["grants", "consents", "connections"].contains(&case.column.table.as_str()))
        .map(|case| case.edit)
        .collect();
    let mut random = Random::new(33);
    let mut edits = sample(edits, 100, &mut random);
    let file = File::of(&world);
    edits.extend(file.routes(if full() { usize::MAX } else { 2 }));
    nothing_is_redirected(&world, &edits, &[When::Requesting]);
}

#[test]
fn promise_30_a_file_with_other_objects_is_refused() {
    let world = World::build();
    for (label, sql) in objects::ADDED.iter().chain(&objects::CHANGED) {
        let (_directory, path) = world.copy();
        edit::writer(&path).execute_batch(sql).unwrap();
        let opened = Host::open(&path, world.now).map(drop);
        assert!(matches!(opened, Err(VaultError::Tampered)), "{label}: {opened:?}");
    }
}

#[test]
fn promise_30_an_object_that_is_added_has_no_effect_on_an_open_handle() {
    let world = World::build();
    let nothing = Edit::new("nothing", "UPDATE tenants SET id = id");
    let untouched = outcome(&world, &nothing, When::Open).unwrap();
    for (label, sql) in objects::ADDED {
        let outcome = outcome(&world, &Edit::new(label, sql), When::Open).unwrap();
        assert_eq!(outcome, untouched, "{label}");
    }
}
