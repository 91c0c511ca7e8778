//! Whether what a run has left is what its report allows.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use valetkey::model::Status;
use valetkey::vault::{ClaimOutcome, CommitOutcome, ConsentStatus, Renewed, SqliteVault, Vault as _};

use crate::disturb::{Fault, Run};
use crate::scenario::{
    ACTIVE, Beginning, HELD, NEW, REVOKED, Scenario, Step, Template, access, at, claim, files, id, open,
    refresh, state, tenant, tokens,
};

/// Where a connection may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stand {
    Absent,
    Active { generation: u64, claimed: bool },
    Revoked,
}

/// Where the consent may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Consent {
    Absent,
    Pending,
    Taken,
    Completed,
}

/// How sure it is that a step was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Yes,
    /// It was begun, and nothing says that it was done.
    Maybe,
}

/// What is allowed to be found.
struct Expected {
    connections: BTreeMap<u8, BTreeSet<Stand>>,
    consent: BTreeSet<Consent>,
    /// Of these, nothing may be in any file.
    cleared: BTreeSet<u8>,
}

pub(crate) fn judge(scenario: &Scenario, template: &Template, run: &Run) {
    let place = format!("{} with {:?}: {:?}", scenario.name, run.fault, run.report);
    failures_are_named(run, &place);
    let expected = expected(scenario, run);
    no_plaintext(run.directory.path(), &place);
    nothing_of(&expected.cleared, template, run.directory.path(), &place);

    let vault = open(&run.vault()).unwrap_or_else(|error| panic!("{place}: does not open: {error:?}"));
    intact(&run.vault(), &place);
    for (number, stands) in &expected.connections {
        let stand = stand(&vault, *number, &place);
        assert!(
            stands.contains(&stand),
            "{place}: {number} is {stand:?}, not one of {stands:?}"
        );
        goes_on(&vault, *number, stand, &place);
    }
    let consent = consent(&vault);
    assert!(
        expected.consent.contains(&consent),
        "{place}: the consent is {consent:?}"
    );
    if consent != Consent::Pending {
        let again = vault.take_consent(&tenant(), &state(), at(1)).unwrap();
        assert!(again.is_none(), "{place}: the consent can be taken again");
    }
    drop(vault);
    intact(&run.vault(), &place);
    no_plaintext(run.directory.path(), &place);
}

/// A full disk must not be called a damaged file: somebody might throw it away.
fn failures_are_named(run: &Run, place: &str) {
    let mut failures = run.report.iter().filter(|line| line.starts_with("failed"));
    let allowed: &[&str] = match run.fault {
        None | Some(Fault::Kill(..)) => &[],
        Some(Fault::Eio(..)) => &["Storage", "ReadOnly"],
        Some(Fault::Enospc(..) | Fault::StaysFull(..)) => &["DiskFull", "Storage", "ReadOnly"],
    };
    let named = failures.all(|line| allowed.iter().any(|name| line.ends_with(name)));
    assert!(named, "{place}: a failure of another name");
    // What fails once succeeds when it is tried again.
    if !matches!(run.fault, Some(Fault::Kill(..) | Fault::StaysFull(..))) {
        let last = run.report.iter().rev().nth(1);
        assert!(
            last.is_some_and(|line| line.starts_with("done")),
            "{place}: it did not get through"
        );
    }
}

fn expected(scenario: &Scenario, run: &Run) -> Expected {
    let mut connections: BTreeMap<u8, BTreeSet<Stand>> = NEW
        .into_iter()
        .map(|number| (number, BTreeSet::from([Stand::Absent])))
        .collect();
    if scenario.begins_with != Beginning::Nothing {
        for number in ACTIVE {
            let generation = if number == 1 && scenario.begins_with == Beginning::Crashed {
                2
            } else {
                1
            };
            let stand = Stand::Active {
                generation,
                claimed: number == HELD,
            };
            connections.insert(number, BTreeSet::from([stand]));
        }
        connections.insert(REVOKED, BTreeSet::from([Stand::Revoked]));
    }
    let mut expected = Expected {
        connections,
        consent: BTreeSet::from([Consent::Absent]),
        cleared: BTreeSet::new(),
    };
    let mut revoked = BTreeSet::new();
    for (index, step) in scenario.steps.iter().enumerate() {
        let said = |word: &str| {
            let line = format!("{word} {index} ");
            run.report
                .iter()
                .find_map(|said| format!("{said} ").strip_prefix(&line).map(str::to_owned))
        };
        let taken = match (said("done"), said("begin")) {
            (Some(_), _) => Taken::Yes,
            (None, Some(_)) => Taken::Maybe,
            (None, None) => break,
        };
        match *step {
            Step::Grant { number, generation } | Step::Commit { number, generation } => {
                expected.connection(
                    number,
                    taken,
                    Stand::Active {
                        generation,
                        claimed: false,
                    },
                );
                // The consent of the scenario is completed by the first grant.
                if expected.consent.contains(&Consent::Taken) && matches!(step, Step::Grant { .. }) {
                    expected.consent(taken, Consent::Completed);
                }
            }
            Step::Claim { number, generation } => {
                expected.connection(
                    number,
                    taken,
                    Stand::Active {
                        generation,
                        claimed: true,
                    },
                );
            }
            Step::Fail { number } => {
                expected.connection(
                    number,
                    taken,
                    Stand::Active {
                        generation: 1,
                        claimed: false,
                    },
                );
            }
            Step::Revoke { number } => {
                expected.connection(number, taken, Stand::Revoked);
                if taken == Taken::Yes {
                    revoked.insert(number);
                }
            }
            Step::Clear if said("done").is_some_and(|what| what.trim() == "cleared") => {
                expected.cleared.extend(&revoked);
            }
            Step::InsertConsent => expected.consent(taken, Consent::Pending),
            Step::TakeConsent => expected.consent(taken, Consent::Taken),
            // Rotation changes no connection: whatever happens to it, each opens as before.
            Step::Rotate | Step::Reseal | Step::Open | Step::Clear | Step::Close => {}
        }
    }
    expected
}

impl Expected {
    fn connection(&mut self, number: u8, taken: Taken, stand: Stand) {
        let stands = self.connections.entry(number).or_default();
        if taken == Taken::Yes {
            stands.clear();
        }
        stands.insert(stand);
    }

    fn consent(&mut self, taken: Taken, consent: Consent) {
        if taken == Taken::Yes {
            self.consent.clear();
        }
        self.consent.insert(consent);
    }
}

/// Reads where a connection stands; its token, if it has one, must be its own of that very generation.
fn stand(vault: &SqliteVault, number: u8, place: &str) -> Stand {
    let Some(connection) = vault.connection(&tenant(), id(number)).unwrap() else {
        return Stand::Absent;
    };
    let token = vault
        .token(&tenant(), id(number))
        .unwrap()
        .and_then(|stored| stored.access_token);
    match connection.status {
        Status::Active => {
            let generation = connection.generation;
            let own = token.is_some_and(|token| token.expose_secret() == access(number, generation));
            assert!(
                own,
                "{place}: {number} has not the token of generation {generation}"
            );
            Stand::Active {
                generation,
                claimed: connection.refresh.in_flight.is_some(),
            }
        }
        Status::Revoked => {
            assert!(token.is_none(), "{place}: {number} is revoked and has a token");
            Stand::Revoked
        }
        other => panic!("{place}: {number} is {other:?}"),
    }
}

/// A claim that nobody ended lapses and is known to be one; what is active can be refreshed; what is revoked cannot.
fn goes_on(vault: &SqliteVault, number: u8, stand: Stand, place: &str) {
    let Stand::Active { generation, claimed } = stand else {
        let outcome = claim(vault, number, 1, at(10_000)).unwrap();
        let refused = matches!(
            outcome,
            ClaimOutcome::NotActive(Status::Revoked) | ClaimOutcome::Moved | ClaimOutcome::Gone
        );
        assert!(refused, "{place}: {number} can be refreshed");
        return;
    };
    if claimed {
        // Its holder is dead: nobody waits for the claim to lapse, and that its outcome is unknown is not forgotten.
        let early = claim(vault, number, generation, at(20)).unwrap();
        assert!(
            matches!(early, ClaimOutcome::Granted(claimed) if claimed.outcome_unknown),
            "{place}: {number} has lost its claim"
        );
    }
    let ClaimOutcome::Granted(claimed_now) = claim(vault, number, generation, at(10_000)).unwrap() else {
        panic!("{place}: {number} cannot be refreshed");
    };
    let own = claimed_now.refresh_token.expose_secret() == refresh(number, generation);
    assert!(
        own,
        "{place}: {number} has not the refresh token of generation {generation}"
    );
    assert!(
        claimed_now.outcome_unknown || !claimed,
        "{place}: {number} forgets an open claim"
    );
    let tokens = tokens(number, generation + 1);
    let renewed = Renewed {
        tokens: &tokens,
        granted: None,
        expires_at: None,
        at: at(10_001),
        by: None,
    };
    let outcome = vault.commit_refresh(&tenant(), id(number), &claimed_now.claim, &renewed);
    assert_eq!(outcome.unwrap(), CommitOutcome::Stored, "{place}: {number}");
    let token = vault
        .token(&tenant(), id(number))
        .unwrap()
        .unwrap()
        .access_token
        .unwrap();
    assert!(
        token.expose_secret() == access(number, generation + 1),
        "{place}: {number}"
    );
}

fn consent(vault: &SqliteVault) -> Consent {
    match vault
        .consent(&tenant(), &state())
        .unwrap()
        .map(|consent| consent.status)
    {
        None => Consent::Absent,
        Some(ConsentStatus::Pending) => Consent::Pending,
        Some(ConsentStatus::Taken) => Consent::Taken,
        Some(ConsentStatus::Completed(_)) => Consent::Completed,
        Some(other) => panic!("{other:?}"),
    }
}

fn intact(path: &Path, place: &str) {
    let db = rusqlite::Connection::open(path).unwrap();
    let check: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok", "{place}");
    let dangling = db
        .prepare("PRAGMA foreign_key_check")
        .and_then(|mut statement| statement.exists([]));
    assert!(!dangling.unwrap(), "{place}: a row refers to nothing");
    // A slot belongs to one row, or is free and empty.
    let strays: i64 = db
        .query_row(
            "WITH used AS (
                SELECT slot FROM connections WHERE slot IS NOT NULL
                UNION ALL SELECT slot FROM consents WHERE slot IS NOT NULL
                UNION ALL SELECT slot FROM outbox
                UNION ALL SELECT slot FROM tenant_keys)
             SELECT (SELECT count(*) - count(DISTINCT slot) FROM used)
                  + (SELECT count(*) FROM free_slots JOIN used USING (slot))
                  + (SELECT count(*) FROM free_slots JOIN secrets USING (slot)
                     WHERE secrets.access <> zeroblob(length(secrets.access))
                        OR secrets.rest <> zeroblob(length(secrets.rest)))
                  + (SELECT count(*) FROM secrets WHERE slot NOT IN
                        (SELECT slot FROM used UNION SELECT slot FROM free_slots))",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(
        strays, 0,
        "{place}: slots that are shared, lost, or free and full"
    );
}

fn no_plaintext(directory: &Path, place: &str) {
    let marker = b"MARKER";
    let hex: String = marker.iter().map(|byte| format!("{byte:02x}")).collect();
    let shapes = [
        marker.to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        STANDARD.encode(marker).into_bytes(),
    ];
    for file in files(directory) {
        let content = fs::read(&file).unwrap();
        for shape in &shapes {
            let found = content.windows(shape.len()).any(|window| window == shape);
            assert!(!found, "{place}: plaintext in {file:?}");
        }
    }
}

/// What was reported as cleared is in no file, sealed or not.
fn nothing_of(cleared: &BTreeSet<u8>, template: &Template, directory: &Path, place: &str) {
    // Behind the length and the header, which all records share, and before the zeros.
    let windows: HashSet<&[u8]> = template
        .sealed
        .iter()
        .filter(|(number, _)| cleared.contains(number))
        .flat_map(|(_, slot)| {
            let len = u32::from_be_bytes(*slot.first_chunk().unwrap()) as usize;
            slot[9..4 + len].windows(16)
        })
        .collect();
    assert_eq!(windows.is_empty(), cleared.is_empty());
    for file in files(directory) {
        let content = fs::read(&file).unwrap();
        let found = content.windows(16).any(|window| windows.contains(window));
        assert!(!found, "{place}: reported as cleared, and still in {file:?}");
    }
}
