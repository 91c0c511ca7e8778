//! A model of a vault for the decisions: rows, and the place of each set of tokens.

use std::collections::BTreeMap;

use crate::model::{ConnectionId, GrantId, RevocationId, Status, Timestamp};
use crate::vault::Claim;
use crate::vault::change::lifecycle::Keep;
use crate::vault::change::{Change, Snapshot, StoredConnection, StoredGrant, TokenWrite};

/// One set of tokens, from a consent or a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tokens(u32);

/// The fate of a set of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// The set is sealed in a grant, current or former.
    Held,
    /// The set waits for the provider.
    Pending,
    /// The set was given to the caller who revoked.
    GivenOut,
    /// A refresh replaced the set by the next one.
    Refreshed,
    /// The server refused the set, or it was unusable: it was erased on request.
    Refused,
    /// The set is too old and dead at the server.
    Dead,
}

impl Fate {
    pub(super) const ALL: usize = 6;
}

/// The grants from which a step may take tokens, and the fate of those tokens.
pub(super) type Taken<'a> = (&'a [GrantId], Fate);

/// The rows of one tenant.
#[derive(Debug, Default)]
pub(super) struct World {
    connections: BTreeMap<ConnectionId, StoredConnection>,
    grants: BTreeMap<GrantId, StoredGrant>,
    tokens: BTreeMap<GrantId, Tokens>,
    pending: BTreeMap<RevocationId, Tokens>,
    fates: BTreeMap<Tokens, Fate>,
    shown: BTreeMap<ConnectionId, u64>,
    pub(super) claims: Vec<(GrantId, Claim)>,
    pub(super) now: i64,
    pub(super) last_id: u64,
}

impl World {
    pub(super) fn time(&self) -> Timestamp {
        Timestamp::from_unix_millis(1_000_000_000 + self.now * 1_000)
    }

    /// Returns the bytes of an id that was never used.
    pub(super) fn next_id(&mut self) -> [u8; 16] {
        self.last_id += 1;
        u128::from(self.last_id).to_be_bytes()
    }

    pub(super) fn connection(&self, id: ConnectionId) -> Option<&StoredConnection> {
        self.connections.get(&id)
    }

    pub(super) fn grant(&self, id: GrantId) -> Option<&StoredGrant> {
        self.grants.get(&id)
    }

    /// Returns an existing grant, former ones included.
    pub(super) fn pick(&self, number: u8) -> Option<GrantId> {
        let at = usize::from(number).checked_rem(self.grants.len())?;
        self.grants.keys().nth(at).copied()
    }

    pub(super) fn grants(&self) -> impl Iterator<Item = &StoredGrant> {
        self.grants.values()
    }

    pub(super) fn formers(&self) -> usize {
        self.grants()
            .filter(|stored| stored.grant.former_of.is_some())
            .count()
    }

    /// Returns the grants that hold tokens.
    pub(super) fn held(&self) -> Vec<GrantId> {
        self.tokens.keys().copied().collect()
    }

    pub(super) fn fates(&self) -> impl Iterator<Item = (&Tokens, &Fate)> {
        self.fates.iter()
    }

    /// Returns everything that a change can modify.
    pub(super) fn rows(&self) -> (Vec<StoredConnection>, Vec<StoredGrant>, Vec<(Tokens, Fate)>) {
        (
            self.connections.values().cloned().collect(),
            self.grants.values().cloned().collect(),
            self.fates.iter().map(|(tokens, fate)| (*tokens, *fate)).collect(),
        )
    }

    /// Returns the rows with these connections, these grants, and everything that a vault reads
    /// together with them.
    pub(super) fn snapshot(
        &self,
        wanted: &dyn Fn(&StoredConnection) -> bool,
        grants: &[GrantId],
    ) -> Snapshot {
        let mut ids = grants.to_vec();
        let of_wanted = self.connections.values().filter(|connection| wanted(connection));
        ids.extend(of_wanted.map(|connection| connection.grant));
        let successors = ids.iter().filter_map(|id| self.grants.get(id)?.grant.former_of);
        ids.extend(successors.collect::<Vec<_>>());
        let connections = self
            .connections
            .values()
            .filter(|connection| wanted(connection) || ids.contains(&connection.grant));
        let formers: Vec<_> = self
            .grants()
            .filter(|stored| stored.grant.former_of.is_some_and(|of| ids.contains(&of)))
            .map(|stored| stored.grant.id)
            .collect();
        let mut all = Snapshot {
            connections: connections.cloned().collect(),
            grants: Vec::new(),
        };
        ids.extend(formers);
        for id in ids {
            if let Some(stored) = self.grants.get(&id).filter(|_| all.grant(id).is_none()) {
                all.grants.push(stored.clone());
            }
        }
        all
    }

    /// Applies a change in the order in which a vault stores it. Only the grants that the step
    /// names may lose tokens.
    pub(super) fn apply(&mut self, change: &Change, taken: Taken<'_>) {
        for kept in &change.kept {
            let tokens = self.tokens[&kept.grant];
            assert!(self.pending.insert(kept.id, tokens).is_none(), "one id for each");
            self.fates.insert(tokens, Fate::Pending);
        }
        for write in &change.grants {
            let id = write.stored.grant.id;
            if let Some(before) = self.grants.get(&id) {
                let (before, after) = (before.lifecycle.generation, write.stored.lifecycle.generation);
                assert!(before <= after, "the generation of a grant falls");
            }
            match write.tokens {
                TokenWrite::New => {
                    assert_eq!(
                        write.stored.dead_at, None,
                        "nobody knows when new tokens are dead"
                    );
                    self.take(id, (&[id], Fate::Refreshed));
                    let tokens = Tokens(u32::try_from(self.fates.len()).unwrap());
                    self.fates.insert(tokens, Fate::Held);
                    self.tokens.insert(id, tokens);
                }
                TokenWrite::Keep(Keep::Nothing) => self.take(id, taken),
                TokenWrite::Keep(Keep::All | Keep::RefreshToken) => {}
            }
            self.grants.insert(id, write.stored.clone());
        }
        for id in &change.deleted {
            self.take(*id, taken);
            assert!(self.grants.remove(id).is_some(), "a grant is deleted once");
        }
        for connection in &change.connections {
            self.put(connection);
        }
    }

    /// Takes the tokens of a grant.
    fn take(&mut self, id: GrantId, (from, fate): Taken<'_>) {
        let Some(tokens) = self.tokens.remove(&id) else {
            return;
        };
        if self.fates[&tokens] != Fate::Pending {
            assert!(from.contains(&id), "the tokens of {id} are erased for no reason");
            self.fates.insert(tokens, fate);
        }
    }

    /// Deletes former grants that are dead.
    pub(super) fn delete_dead(&mut self) {
        let now = self.time();
        let is_dead = |stored: &&StoredGrant| {
            stored.grant.former_of.is_some() && stored.dead_at.is_some_and(|at| at <= now)
        };
        let dead: Vec<_> = self
            .grants()
            .filter(is_dead)
            .map(|stored| stored.grant.id)
            .collect();
        for id in &dead {
            self.take(*id, (&dead, Fate::Dead));
            self.grants.remove(id);
        }
    }

    /// Stores a connection as a table with unique indexes does: two connections may never have the
    /// same place.
    fn put(&mut self, connection: &StoredConnection) {
        for other in self
            .connections
            .values()
            .filter(|other| other.id != connection.id)
        {
            let is_rival = !connection.revoked
                && !other.revoked
                && (&other.owner, &other.provider) == (&connection.owner, &connection.provider);
            if is_rival {
                assert!(!(other.is_default && connection.is_default), "two defaults");
                let accounts = (&other.account, &connection.account);
                assert!(
                    accounts.0.is_none() || accounts.0 != accounts.1,
                    "two with an account"
                );
            }
        }
        self.connections.insert(connection.id, connection.clone());
    }

    /// Checks the invariants that hold at every moment.
    pub(super) fn check(&mut self) {
        for connection in self.connections.values() {
            let stored = &self.grants[&connection.grant];
            assert_eq!(stored.grant.former_of, None, "a former grant is used");
            let is_revoked = stored.lifecycle.status == Status::Revoked;
            assert_eq!(is_revoked, connection.revoked, "{connection:?}");
            assert!(!(connection.revoked && connection.is_default));
            let generation = stored.lifecycle.generation;
            let before = self.shown.insert(connection.id, generation).unwrap_or(0);
            assert!(before <= generation, "the generation of a connection falls");
        }
        for (id, stored) in &self.grants {
            assert_eq!(stored.has_tokens, self.tokens.contains_key(id), "{stored:?}");
            let mut shown = stored.grant.clone();
            stored.lifecycle.show_in(&mut shown);
            assert_eq!(shown, stored.grant, "it shows its lifecycle");
            match stored.grant.former_of {
                Some(of) => {
                    assert_eq!(
                        self.grants[&of].grant.former_of, None,
                        "a former grant of a former one"
                    );
                    assert!(stored.has_tokens, "a former grant without tokens is of no use");
                }
                None => {
                    let is_used = self.connections.values().any(|it| it.grant == *id);
                    assert!(is_used, "no connection uses {id}");
                }
            }
            if stored.lifecycle.status == Status::Active {
                assert!(stored.has_tokens, "an active grant has tokens");
            }
        }
        let held: Vec<_> = self.tokens.values().collect();
        for (tokens, fate) in &self.fates {
            let places = held.iter().filter(|it| **it == tokens).count();
            assert_eq!(places, usize::from(*fate == Fate::Held), "{tokens:?}: {fate:?}");
            let waits = self.pending.values().any(|it| it == tokens);
            assert_eq!(waits, *fate == Fate::Pending, "{tokens:?}: {fate:?}");
        }
    }
}
