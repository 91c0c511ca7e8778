//! Whether what a run has left is what its report allows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use valetkey::model::{Status, TenantId};
use valetkey::vault::{
    ClaimOutcome, CommitOutcome, ConsentStatus, Erasure, Renewed, Settlement, SqliteVault, Vault as _,
};

use crate::disturb::{Fault, Run, Taken};
use crate::family;
use crate::files::{intact, no_plaintext, nothing_of};
use crate::scenario::{ACTIVE, Beginning, HELD, NEW, REVOKED, Scenario, Step};
use crate::world::{
    Template, access, alice, at, claim, id, older, open, refresh, state, tenant, tenant_of, tokens, user_of,
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

/// What is allowed to be found.
struct Expected {
    connections: BTreeMap<u8, BTreeSet<Stand>>,
    consent: BTreeSet<Consent>,
    /// Whether tokens wait for the provider.
    waiting: BTreeMap<u8, BTreeSet<bool>>,
    /// Those that are revoked if and only if their tokens wait.
    queued: BTreeSet<u8>,
    /// Whether there must be a backup.
    backup: bool,
    /// Of these, nothing may be in any file.
    cleared: BTreeSet<u8>,
}

pub(crate) fn judge(scenario: &Scenario, template: &Template, run: &Run) {
    let place = format!("{} with {:?}: {:?}", scenario.name, run.fault, run.report);
    failures_are_named(run, &place);
    no_plaintext(run.directory.path(), &place);
    if scenario.begins_with == Beginning::Older {
        return older_vault(run, &place);
    }
    let expected = expected(scenario, run);
    nothing_of(&expected.cleared, template, run.directory.path(), &place);
    backup(template, run, &expected, &place);

    let vault = open(&run.vault()).unwrap_or_else(|error| panic!("{place}: does not open: {error:?}"));
    intact(&run.vault(), &place);
    audited(&vault, template, &place);
    let mut revoked = BTreeSet::new();
    for (number, stands) in &expected.connections {
        let stand = stand(&vault, *number, &place);
        assert!(
            stands.contains(&stand),
            "{place}: {number} is {stand:?}, not one of {stands:?}"
        );
        goes_on(&vault, *number, stand, &place);
        if stand == Stand::Revoked {
            revoked.insert(*number);
        }
    }
    if family::is_judged(scenario) {
        family::judge(scenario, run, &vault, &place);
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
    let waiting = waiting(&vault, &place);
    for (number, allowed) in &expected.waiting {
        let waits = waiting.contains(number);
        assert!(allowed.contains(&waits), "{place}: {number} waits: {waits}");
    }
    for number in &expected.queued {
        let both = (revoked.contains(number), waiting.contains(number));
        assert_eq!(
            both.0, both.1,
            "{place}: {number} is revoked, and waits: {both:?}"
        );
    }
    assert!(waiting.iter().all(|number| expected.waiting.contains_key(number)));

    // By now everything that the template held was renewed, revoked or forgotten: nothing of it comes back.
    audited(&vault, template, &place);
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared, "{place}");
    drop(vault);
    let all = template
        .sealed
        .iter()
        .filter(|(_, slot)| !slot.starts_with(&[0; 4]));
    nothing_of(
        &all.map(|(number, _)| *number).collect(),
        template,
        run.directory.path(),
        &place,
    );
    intact(&run.vault(), &place);
    no_plaintext(run.directory.path(), &place);
}

/// The audit is whole, and has lost nothing that was in it.
fn audited(vault: &SqliteVault, template: &Template, place: &str) {
    let report = match &template.head {
        Some(head) => vault.verify_against(head),
        None => vault.verify_audit(),
    };
    assert!(report.unwrap().is_intact(), "{place}: the audit is broken");
}

/// The connections whose tokens wait for the provider: each with its own, whole. They are ended by this.
fn waiting(vault: &SqliteVault, place: &str) -> BTreeSet<u8> {
    let pending = vault
        .take_revocations(at(80_000), std::time::Duration::ZERO, 99)
        .unwrap();
    let mut waiting = BTreeSet::new();
    for pending in pending {
        let number = pending.connection.as_bytes()[0];
        let own = pending
            .access_token
            .is_some_and(|token| token.expose_secret() == access(number, 1))
            && pending
                .refresh_token
                .is_some_and(|token| token.expose_secret() == refresh(number, 1));
        assert!(own, "{place}: what waits for {number} is not its own");
        waiting.insert(number);
        vault
            .settle_revocation(&pending.tenant, pending.id, Settlement::Confirmed, at(80_001))
            .unwrap();
    }
    waiting
}

/// There is no backup, or there is a whole one: opened like any other, with everything that was stored when it was made.
fn backup(template: &Template, run: &Run, expected: &Expected, place: &str) {
    let file = run.directory.path().join("backup.db");
    if !file.exists() {
        assert!(!expected.backup, "{place}: the backup is not there");
        return;
    }
    let aside = tempfile::tempdir().unwrap();
    let copy = aside.path().join("vault.db");
    fs::copy(&file, &copy).unwrap();
    let vault = open(&copy).unwrap_or_else(|error| panic!("{place}: the backup does not open: {error:?}"));
    intact(&copy, place);
    audited(&vault, template, place);
    let place = format!("{place}, in the backup");
    let first = |claimed| Stand::Active {
        generation: 1,
        claimed,
    };
    for number in ACTIVE {
        assert_eq!(
            stand(&vault, number, &place),
            first(number == HELD),
            "{place}: {number}"
        );
    }
    assert_eq!(stand(&vault, NEW[0], &place), first(false), "{place}");
    assert_eq!(stand(&vault, REVOKED, &place), Stand::Revoked, "{place}");
}

/// What the first schema's file held is there, whether it was brought up to the newest schema or not.
fn older_vault(run: &Run, place: &str) {
    let version = || -> u32 {
        let db = rusqlite::Connection::open(run.vault()).unwrap();
        db.pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap()
    };
    let before = version();
    let vault = open(&run.vault()).unwrap_or_else(|error| panic!("{place}: does not open: {error:?}"));
    let newest = version();
    // One transaction takes it all the way: there is nothing between.
    assert!(
        before == 1 || before == newest,
        "{place}: left at version {before}"
    );
    let globex = TenantId::new("globex").unwrap();
    for (tenant, number, token) in [
        (&tenant(), 1, "access-1-2"),
        (&tenant(), 2, "access-2"),
        (&globex, 5, "access-5"),
    ] {
        let found = vault
            .token(tenant, id(number))
            .unwrap()
            .and_then(|stored| stored.access_token);
        assert!(
            found.is_some_and(|found| found.expose_secret() == token),
            "{place}: {number} is lost"
        );
    }
    assert_eq!(
        vault
            .take_revocations(at(100), std::time::Duration::ZERO, 9)
            .unwrap()
            .len(),
        1,
        "{place}"
    );
    assert!(vault.verify_against(&older().1).unwrap().is_intact(), "{place}");
    intact(&run.vault(), place);
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
        waiting: BTreeMap::new(),
        queued: BTreeSet::new(),
        backup: false,
        cleared: BTreeSet::new(),
    };
    let mut revoked = BTreeSet::new();
    for (index, step) in scenario.steps.iter().enumerate() {
        let Some(taken) = run.taken(index) else { break };
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
            // What joins has no tokens of its own any more.
            Step::Share { joining, .. } if taken == Taken::Yes => revoked.extend(joining),
            Step::Share { .. } | Step::Leave { .. } => {}
            Step::Queue { number } => {
                expected.connection(number, taken, Stand::Revoked);
                expected.waits(number, taken, true);
                expected.queued.insert(number);
            }
            Step::QueueLate { number } => expected.waits(number, taken, true),
            Step::Settle { number } => {
                expected.waits(number, taken, false);
                expected.queued.remove(&number);
                if taken == Taken::Yes {
                    revoked.extend(ACTIVE.into_iter().filter(|one| *one == number));
                }
            }
            Step::ForgetUser | Step::ForgetTenant => {
                let forgotten = |number: &u8| {
                    let theirs = *step == Step::ForgetTenant || user_of(*number) == alice();
                    tenant_of(*number) == tenant() && theirs
                };
                for number in expected.connections.keys().copied().collect::<Vec<_>>() {
                    if forgotten(&number) {
                        expected.connection(number, taken, Stand::Absent);
                    }
                }
                for number in expected.waiting.keys().copied().collect::<Vec<_>>() {
                    expected.waits(number, taken, false);
                }
                expected.queued.clear();
                expected.consent(taken, Consent::Absent);
                if taken == Taken::Yes {
                    revoked.extend(ACTIVE.iter().filter(|number| forgotten(number)));
                }
            }
            Step::Backup => expected.backup = taken == Taken::Yes,
            // Who takes changes nothing but who may take next.
            Step::Take | Step::TryLater { .. } => {}
            Step::Clear if run.said("done", index).as_deref() == Some("cleared") => {
                expected.cleared.extend(&revoked);
            }
            Step::InsertConsent => expected.consent(taken, Consent::Pending),
            Step::TakeConsent => expected.consent(taken, Consent::Taken),
            // Rotation changes no connection: whatever happens to it, each opens as before.
            Step::Rotate | Step::Reseal | Step::Open | Step::Clear | Step::Close => {}
        }
    }
    if family::is_judged(scenario) {
        // Each of them is judged with those it shares tokens with.
        expected
            .connections
            .retain(|number, _| !family::NUMBERS.contains(number));
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

    fn waits(&mut self, number: u8, taken: Taken, waits: bool) {
        let allowed = self
            .waiting
            .entry(number)
            .or_insert_with(|| BTreeSet::from([false]));
        if taken == Taken::Yes {
            allowed.clear();
        }
        allowed.insert(waits);
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
    let Some(connection) = vault.connection(&tenant_of(number), id(number)).unwrap() else {
        return Stand::Absent;
    };
    let token = vault
        .token(&tenant_of(number), id(number))
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
    let outcome = vault.commit_refresh(&tenant_of(number), id(number), &claimed_now.claim, &renewed);
    assert_eq!(outcome.unwrap(), CommitOutcome::Stored, "{place}: {number}");
    let token = vault
        .token(&tenant_of(number), id(number))
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
