//! The contents of a vault, as far as the scenarios use them: as the steps leave them, and as they
//! are read.

use std::collections::{BTreeMap, BTreeSet};

use valetkey::internals::model::refresh_state;
use valetkey::internals::vault::{
    ConsentStatus, ConsentStore as _, Found, GrantStore as _, Of, RevocationStore as _, TokenQuery,
};
use valetkey::model::{Scopes, Status, TenantId};
use valetkey::vault::SqliteVault;

use crate::faults::disturb::{Run, Taken};
use crate::faults::scenario::{
    ACTIVE, BOBS, Beginning, FAMILY, HELD, NEIGHBOUR, Name, REVOKED, Scenario, Step, of,
};
use crate::faults::world::{
    ALL_NUMBERS, Template, access, at, grant_id, id, name_of, refresh, state, tenant, tenant_of,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) connections: BTreeMap<u8, Use>,
    /// The grants that have tokens.
    pub(crate) grants: BTreeMap<Name, Held>,
    pub(crate) consent: Consent,
    /// The grants whose tokens wait for the provider.
    pub(crate) waiting: BTreeSet<Name>,
    /// True if the entries that the audit had at the beginning are still in it.
    pub(crate) keeps_audit: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Active(Name),
    Revoked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) generation: u64,
    pub(crate) claimed: bool,
    pub(crate) former_of: Option<Name>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    Absent,
    Pending,
    Taken,
    Completed,
}

impl Held {
    const fn new(generation: u64) -> Self {
        Self {
            generation,
            claimed: false,
            former_of: None,
        }
    }
}

impl Contents {
    pub(crate) fn at_the_beginning(beginning: Beginning) -> Self {
        let mut contents = Self {
            connections: BTreeMap::new(),
            grants: BTreeMap::new(),
            consent: Consent::Absent,
            waiting: BTreeSet::new(),
            keeps_audit: true,
        };
        if beginning == Beginning::Nothing {
            return contents;
        }
        for number in ACTIVE {
            contents.store(of(number, 1), &[number]);
        }
        contents.held(of(HELD, 1)).claimed = true;
        contents.connections.insert(REVOKED, Use::Revoked);
        if beginning == Beginning::Crashed {
            contents.store(of(1, 2), &[1]);
        }
        contents
    }

    /// Returns the contents after this step.
    pub(crate) fn after(&self, step: Step) -> Self {
        let mut next = self.clone();
        match step {
            Step::InsertConsent => next.consent = Consent::Pending,
            Step::TakeConsent => next.consent = Consent::Taken,
            Step::Grant(name) => next.store(name, &[name.number]),
            Step::Share { first, joining } => next.share(of(FAMILY, first), joining),
            Step::Claim(name, _) => next.held(name).claimed = true,
            Step::Fail(name) => next.held(name).claimed = false,
            Step::Commit(name, generation) | Step::CommitLate(name, generation) => {
                next.held(name).generation = generation;
                next.held(name).claimed = false;
            }
            Step::Revoke(number) | Step::Leave(number) => drop(next.revoke(number)),
            Step::End(name) => drop(next.grants.remove(&name)),
            Step::Queue(number) => {
                let ended = next.revoke(number);
                next.waiting.extend(ended.into_keys());
            }
            Step::QueueLate(name) => drop(next.waiting.insert(name)),
            Step::Settle(name) => drop(next.waiting.remove(&name)),
            Step::ForgetUser => next.forget(|number| ![BOBS, NEIGHBOUR].contains(&number)),
            Step::ForgetTenant => {
                next.forget(|number| number != NEIGHBOUR);
                next.keeps_audit = false;
            }
            _ => {}
        }
        next
    }

    /// Revokes a connection. Returns the grants that end with it, in their former state.
    pub(crate) fn revoke(&mut self, number: u8) -> BTreeMap<Name, Held> {
        let Some(Use::Active(name)) = self.connections.insert(number, Use::Revoked) else {
            panic!("{number} is not active");
        };
        if !self.users(name).is_empty() {
            return BTreeMap::new();
        }
        let (ended, kept) = std::mem::take(&mut self.grants)
            .into_iter()
            .partition(|(one, held)| *one == name || held.former_of == Some(name));
        self.grants = kept;
        ended
    }

    /// Returns the connections that use a grant.
    pub(crate) fn users(&self, name: Name) -> BTreeSet<u8> {
        let users = self
            .connections
            .iter()
            .filter(|(_, used)| **used == Use::Active(name));
        users.map(|(number, _)| *number).collect()
    }

    /// Returns those of these grants whose first tokens are no longer contained.
    pub(crate) fn lacking(&self, names: impl Iterator<Item = Name>) -> BTreeSet<Name> {
        let is_there = |name: &Name| {
            self.grants
                .get(name)
                .is_some_and(|held| held.generation == u64::from(name.first))
        };
        names.filter(|name| !is_there(name)).collect()
    }

    fn held(&mut self, name: Name) -> &mut Held {
        self.grants.get_mut(&name).unwrap()
    }

    fn share(&mut self, name: Name, joining: &[u8]) {
        let sharing = self
            .connections
            .iter()
            .filter(|(_, used)| matches!(used, Use::Active(used) if used.number == FAMILY));
        let mut numbers: Vec<u8> = sharing.map(|(number, _)| *number).collect();
        numbers.extend(joining);
        self.store(name, &numbers);
    }

    fn store(&mut self, name: Name, numbers: &[u8]) {
        for number in numbers {
            let before = self.connections.insert(*number, Use::Active(name));
            let Some(Use::Active(replaced)) = before else {
                continue;
            };
            if !self.users(replaced).is_empty() {
                continue;
            }
            for (one, held) in &mut self.grants {
                if *one == replaced || held.former_of == Some(replaced) {
                    held.former_of = Some(name);
                }
            }
        }
        self.grants.insert(name, Held::new(name.first.into()));
        if self.consent == Consent::Taken {
            self.consent = Consent::Completed;
        }
    }

    fn forget(&mut self, is_forgotten: impl Fn(u8) -> bool) {
        self.connections.retain(|number, _| !is_forgotten(*number));
        self.grants.retain(|name, _| !is_forgotten(name.number));
        self.waiting.retain(|name| !is_forgotten(name.number));
        self.consent = Consent::Absent;
    }
}

/// The contents that a run may leave.
pub(crate) struct Allowed {
    /// The contents after each of the steps that may have been the last.
    pub(crate) contents: Vec<Contents>,
    /// The grants whose first tokens may not be in any file.
    pub(crate) cleared: BTreeSet<Name>,
    /// The contents of a backup, and whether there must be one.
    pub(crate) backup: Option<(Contents, Taken)>,
}

impl Allowed {
    pub(crate) fn after(scenario: &Scenario, template: &Template, run: &Run) -> Self {
        let mut now = Contents::at_the_beginning(scenario.begins_with);
        let mut allowed = Self {
            contents: Vec::new(),
            cleared: BTreeSet::new(),
            backup: None,
        };
        for (index, step) in scenario.steps.iter().enumerate() {
            let Some(taken) = run.taken(index) else { break };
            let mut next = now.after(*step);
            match step {
                Step::Backup => allowed.backup = Some((now.clone(), taken)),
                Step::Restore => {
                    let (backup, _) = allowed.backup.as_ref().expect("a backup");
                    next = backup.clone();
                    // The contents of the backup come back.
                    allowed.cleared.clear();
                }
                Step::Clear if run.said("done", index).as_deref() == Some("cleared") => {
                    allowed.cleared = now.lacking(template.names());
                }
                _ => {}
            }
            if taken == Taken::Maybe {
                // After this step there is no backup.
                allowed.contents = vec![now, next];
                return allowed;
            }
            now = next;
        }
        allowed.contents = vec![now];
        allowed
    }
}

/// Reads the contents of a vault. Its parts must agree with each other.
pub(crate) fn read(vault: &SqliteVault, template: &Template, place: &str) -> Contents {
    let mut grants = BTreeMap::new();
    for name in ALL_NUMBERS
        .into_iter()
        .flat_map(|number| (1..=4).map(move |first| of(number, first)))
    {
        let found = vault.grant(&tenant_of(name.number), grant_id(name)).unwrap();
        if let Some(grant) = found.filter(|grant| grant.status == Status::Active) {
            let held = Held {
                generation: grant.generation,
                claimed: grant.refresh.in_flight.is_some(),
                former_of: grant.former_of.map(name_of),
            };
            grants.insert(name, held);
        }
    }
    let connections = ALL_NUMBERS
        .into_iter()
        .filter_map(|number| Some((number, connection(vault, number, &grants, place)?)))
        .collect();
    Contents {
        connections,
        grants,
        consent: consent(vault),
        waiting: waiting(vault, place),
        keeps_audit: template.heads.iter().all(|head| vault.proves(head).unwrap()),
    }
}

/// Reads a connection. It has the state of its grant and the token of exactly that generation.
fn connection(vault: &SqliteVault, number: u8, grants: &BTreeMap<Name, Held>, place: &str) -> Option<Use> {
    let connection = vault.connection(&tenant_of(number), id(number)).unwrap()?;
    let token = token(vault, &tenant_of(number), number);
    if connection.status == Status::Revoked {
        assert!(token.is_none(), "{place}: {number} is revoked and has a token");
        return Some(Use::Revoked);
    }
    assert_eq!(connection.status, Status::Active, "{place}: {number}");
    let name = name_of(connection.grant);
    let held = grants
        .get(&name)
        .unwrap_or_else(|| panic!("{place}: {number} has no grant"));
    let shown = Held {
        generation: connection.generation,
        claimed: refresh_state(&connection).in_flight.is_some(),
        former_of: None,
    };
    assert_eq!(shown, *held, "{place}: {number}");
    assert!(
        token == Some(access(name, held.generation)),
        "{place}: {number} does not have the token of {name:?}"
    );
    Some(Use::Active(name))
}

/// Returns the access token that a turn gets from this connection.
pub(crate) fn token(vault: &SqliteVault, tenant: &TenantId, number: u8) -> Option<String> {
    let found = vault.find_token(&TokenQuery {
        tenant,
        of: Of::Id(id(number)),
        scopes: &Scopes::default(),
    });
    match found.unwrap() {
        Found::One(stored) => Some(stored.access_token?.expose_secret().to_owned()),
        Found::Nothing => None,
        Found::Several => panic!("an id names one"),
    }
}

fn consent(vault: &SqliteVault) -> Consent {
    let found = vault.consent(&tenant(), &state()).unwrap();
    match found.map(|consent| consent.status) {
        None => Consent::Absent,
        Some(ConsentStatus::Pending) => Consent::Pending,
        Some(ConsentStatus::Taken) => Consent::Taken,
        Some(ConsentStatus::Completed(_)) => Consent::Completed,
        Some(other) => panic!("{other:?}"),
    }
}

/// Returns the grants whose tokens wait for the provider. Each waits with its own tokens.
fn waiting(vault: &SqliteVault, place: &str) -> BTreeSet<Name> {
    let pending = vault.take_revocations(at(80_000), std::time::Duration::ZERO, 99);
    let mut waiting = BTreeSet::new();
    for pending in pending.unwrap() {
        let (name, generation) = (name_of(pending.grant.id), pending.grant.generation);
        let own = pending
            .access_token
            .is_some_and(|token| token.expose_secret() == access(name, generation))
            && pending
                .refresh_token
                .is_some_and(|token| token.expose_secret() == refresh(name, generation));
        assert!(own, "{place}: what waits for {name:?} is not its own");
        assert!(waiting.insert(name), "{place}: {name:?} waits twice");
    }
    waiting
}
