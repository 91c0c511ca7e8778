//! Whether a grant that several services share is what a run's report allows: as one step has left it, or as the next
//! would have, for all who share it alike.

use std::collections::{BTreeMap, BTreeSet};

use valetkey::model::{ConnectionId, Owner, Status};
use valetkey::vault::{ClaimOutcome, CommitOutcome, ConnectionQuery, Renewed, SqliteVault, Vault as _};

use crate::disturb::{Run, Taken};
use crate::scenario::{KEEPER, NEW, Scenario, Step};
use crate::world::{access, alice, at, claim, id, refresh, tenant, tokens};

/// The services that may share the grant, and the record that keeps its tokens.
pub(crate) const NUMBERS: [u8; 4] = [1, NEW[0], NEW[1], KEEPER];

/// All of it, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Family {
    /// Where the tokens lie, while anybody shares them.
    keeper: Option<Keeper>,
    members: BTreeMap<u8, Member>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Keeper {
    generation: u64,
    claimed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Absent,
    /// With tokens of its own, the first.
    Alone,
    Shares,
    Revoked,
}

pub(crate) fn is_judged(scenario: &Scenario) -> bool {
    scenario
        .steps
        .iter()
        .any(|step| matches!(step, Step::Share { .. }))
}

pub(crate) fn judge(scenario: &Scenario, run: &Run, vault: &SqliteVault, place: &str) {
    let allowed = allowed(scenario, run);
    let found = found(vault, run, place);
    assert!(
        allowed.contains(&found),
        "{place}: {found:?} is not one of {allowed:?}"
    );
    goes_on(&found, vault, run, place);
}

fn allowed(scenario: &Scenario, run: &Run) -> Vec<Family> {
    let absent = NEW.map(|number| (number, Member::Absent));
    let mut now = Family {
        keeper: None,
        members: BTreeMap::from_iter([(1, Member::Alone), absent[0], absent[1]]),
    };
    for (index, step) in scenario.steps.iter().enumerate() {
        match run.taken(index) {
            Some(Taken::Yes) => now = now.after(*step),
            // After this one there is none.
            Some(Taken::Maybe) => return vec![now.clone(), now.after(*step)],
            None => break,
        }
    }
    vec![now]
}

impl Family {
    fn after(&self, step: Step) -> Self {
        let mut next = self.clone();
        match step {
            Step::Share { generation, joining } => {
                next.keeper = Some(Keeper {
                    generation,
                    claimed: false,
                });
                for number in joining {
                    next.members.insert(*number, Member::Shares);
                }
            }
            Step::Claim { generation, .. } => {
                next.keeper = Some(Keeper {
                    generation,
                    claimed: true,
                });
            }
            Step::Commit { generation, .. } => {
                next.keeper = Some(Keeper {
                    generation,
                    claimed: false,
                });
            }
            Step::Leave { number } | Step::Revoke { number } => {
                next.members.insert(number, Member::Revoked);
                if next.sharing().is_empty() {
                    next.keeper = None;
                }
            }
            _ => {}
        }
        next
    }

    fn sharing(&self) -> BTreeSet<u8> {
        let sharing = self
            .members
            .iter()
            .filter(|(_, member)| **member == Member::Shares);
        sharing.map(|(number, _)| *number).collect()
    }
}

/// Reads how it stands. What each shows must fit what the others show.
fn found(vault: &SqliteVault, run: &Run, place: &str) -> Family {
    let keeper = vault
        .connection(&tenant(), id(KEEPER))
        .unwrap()
        .map(|connection| {
            assert!(
                connection.is_keeper && connection.status == Status::Active,
                "{place}"
            );
            Keeper {
                generation: connection.generation,
                claimed: connection.refresh.in_flight.is_some(),
            }
        });
    let mut members = BTreeMap::new();
    for number in NUMBERS.into_iter().filter(|number| *number != KEEPER) {
        members.insert(number, member(vault, number, keeper, place));
    }
    let family = Family { keeper, members };
    assert_eq!(
        family.keeper.is_none(),
        family.sharing().is_empty(),
        "{place}: tokens that nobody shares, or the reverse: {family:?}"
    );
    assert_eq!(listed(vault, Some(id(KEEPER))), family.sharing(), "{place}");
    assert!(
        !listed(vault, None).contains(&KEEPER),
        "{place}: the keeper is listed"
    );

    // Tokens lie where they are kept, and nowhere else.
    let mut keeping: BTreeSet<u8> = family
        .members
        .iter()
        .filter(|(_, member)| **member == Member::Alone)
        .map(|(number, _)| *number)
        .collect();
    keeping.extend(family.keeper.map(|_| KEEPER));
    assert_eq!(
        with_a_slot(run),
        keeping,
        "{place}: tokens in another place than {family:?} says"
    );
    family
}

fn member(vault: &SqliteVault, number: u8, keeper: Option<Keeper>, place: &str) -> Member {
    let Some(connection) = vault.connection(&tenant(), id(number)).unwrap() else {
        return Member::Absent;
    };
    let token = vault
        .token(&tenant(), id(number))
        .unwrap()
        .and_then(|stored| stored.access_token);
    let bears = |number, generation| {
        token
            .as_ref()
            .is_some_and(|token| token.expose_secret() == access(number, generation))
    };
    match (connection.status, connection.shares) {
        (Status::Revoked, None) => {
            assert!(token.is_none(), "{place}: {number} is revoked and has a token");
            assert!(!refreshes(vault, number, 1), "{place}: {number} is revoked");
            Member::Revoked
        }
        (Status::Active, None) => {
            assert!(
                connection.generation == 1 && bears(number, 1),
                "{place}: {number}"
            );
            Member::Alone
        }
        (Status::Active, Some(shared)) => {
            let keeper = keeper.unwrap_or_else(|| panic!("{place}: {number} shares what is not there"));
            assert_eq!(shared, id(KEEPER), "{place}: {number}");
            assert_eq!(connection.generation, keeper.generation, "{place}: {number}");
            assert_eq!(
                connection.refresh.in_flight.is_some(),
                keeper.claimed,
                "{place}: {number}"
            );
            assert!(
                bears(KEEPER, keeper.generation),
                "{place}: {number} has not the token of its grant"
            );
            Member::Shares
        }
        other => panic!("{place}: {number} is {other:?}"),
    }
}

/// A grant that is there is renewed for all who share it; then each leaves, and the last takes the tokens with it.
fn goes_on(family: &Family, vault: &SqliteVault, run: &Run, place: &str) {
    if family.members[&1] == Member::Alone {
        assert!(refreshes(vault, 1, 1), "{place}: 1 cannot be refreshed");
    }
    let Some(keeper) = family.keeper else {
        assert!(!refreshes(vault, KEEPER, 4), "{place}: it was revoked");
        return;
    };
    let next = keeper.generation + 1;
    assert!(
        refreshes(vault, KEEPER, keeper.generation),
        "{place}: the grant cannot be refreshed"
    );
    let mut left = family.sharing();
    for number in &family.sharing() {
        let shown = vault.connection(&tenant(), id(*number)).unwrap().unwrap();
        let token = vault.token(&tenant(), id(*number)).unwrap().unwrap();
        let token = token.access_token.unwrap();
        let is_new = shown.generation == next && token.expose_secret() == access(KEEPER, next);
        assert!(is_new, "{place}: {number} does not show generation {next}");

        left.remove(number);
        let gone = vault
            .revoke(&tenant(), id(*number), None, at(10_002))
            .unwrap()
            .unwrap();
        let still: BTreeSet<u8> = gone.still_used_by.iter().map(|id| id.as_bytes()[0]).collect();
        assert_eq!(still, left, "{place}: {number}");
        assert_eq!(gone.tokens.is_some(), left.is_empty(), "{place}: {number}");
    }
    assert!(
        vault.connection(&tenant(), id(KEEPER)).unwrap().is_none(),
        "{place}"
    );
    assert!(!with_a_slot(run).contains(&KEEPER), "{place}");
}

/// Whether the tokens of this generation can be renewed; they are, if so.
fn refreshes(vault: &SqliteVault, number: u8, generation: u64) -> bool {
    let ClaimOutcome::Granted(claimed) = claim(vault, number, generation, at(10_000)).unwrap() else {
        return false;
    };
    assert!(claimed.refresh_token.expose_secret() == refresh(number, generation));
    let tokens = tokens(number, generation + 1);
    let renewed = Renewed {
        tokens: &tokens,
        granted: None,
        expires_at: None,
        at: at(10_001),
        by: None,
    };
    let outcome = vault.commit_refresh(&tenant(), id(number), &claimed.claim, &renewed);
    outcome.unwrap() == CommitOutcome::Stored
}

/// Alice's connections that share this record, or all of them.
fn listed(vault: &SqliteVault, shares: Option<ConnectionId>) -> BTreeSet<u8> {
    let (tenant, owner) = (tenant(), Owner::Personal(alice()));
    let mut query = ConnectionQuery::of(&tenant);
    query.owner = Some(&owner);
    query.shares = shares;
    let found = vault.connections(&query).unwrap();
    found.iter().map(|found| found.id.as_bytes()[0]).collect()
}

/// Which of the family have a place for tokens in the file.
fn with_a_slot(run: &Run) -> BTreeSet<u8> {
    let db = rusqlite::Connection::open(run.vault()).unwrap();
    let mut statement = db
        .prepare("SELECT uuid FROM connections WHERE slot IS NOT NULL")
        .unwrap();
    let numbers = statement
        .query_map([], |row| Ok(row.get::<_, [u8; 16]>(0)?[0]))
        .unwrap();
    numbers
        .map(Result::unwrap)
        .filter(|number| NUMBERS.contains(number))
        .collect()
}
