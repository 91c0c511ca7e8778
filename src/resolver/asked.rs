//! The consents that people were asked for and have not answered: each need of each person is asked
//! for once, and needs that differ in their scopes alone are asked for together.
//!
//! A ticket is stored as a hash alone, so only the process that made it can show its link again:
//! hence this memory, which all turns of a resolver and its clones share. Whether a link is still
//! good is read from the vault each time, for another process may have seen it used or withdrawn. A
//! process that does not know the link of another makes one of its own.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::ConsentRequired;
use crate::model::{ActingUser, Timestamp};
use crate::resolver::consent_request::ConsentRequest;

/// Several shelves, so that people who are asked at once seldom wait for each other.
const SHELVES: usize = 16;

/// A shelf holds at most so many; the oldest is forgotten for the newest, and its link stays good.
const KEPT: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct AskedConsents {
    shelves: [Mutex<Shelf>; SHELVES],
    hasher: RandomState,
}

/// Those asked of some people, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Shelf(Vec<(ActingUser, Arc<ConsentRequest>)>);

impl AskedConsents {
    /// Returns where this person's are. Held while one is prepared, so that two tools that ask at
    /// once are asked for together.
    pub(super) fn of(&self, person: &ActingUser) -> MutexGuard<'_, Shelf> {
        let place = self.hasher.hash_one(person) as usize % SHELVES;
        self.shelves[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    /// The one that this person was asked and that meets this need, if it has not expired.
    pub(super) fn known(
        &mut self,
        person: &ActingUser,
        need: &ConsentRequired,
        now: Timestamp,
    ) -> Option<Arc<ConsentRequest>> {
        self.0.retain(|(_, asked)| asked.prepared().expires_at() > now);
        let theirs = self.0.iter().rev();
        theirs
            .filter(|(who, asked)| who == person && asked.need().covers(need))
            .map(|(_, asked)| Arc::clone(asked))
            .next()
    }

    /// What this person was asked for the same reason, but for other scopes.
    pub(super) fn like<'a>(
        &'a self,
        person: &'a ActingUser,
        need: &'a ConsentRequired,
    ) -> impl Iterator<Item = &'a ConsentRequest> {
        let theirs = self
            .0
            .iter()
            .filter(move |(who, asked)| who == person && asked.need().is_like(need));
        theirs.map(|(_, asked)| &**asked)
    }

    pub(super) fn remember(&mut self, person: &ActingUser, asked: &Arc<ConsentRequest>) {
        self.0
            .retain(|(who, known)| who != person || !asked.need().covers(known.need()));
        if self.0.len() >= KEPT {
            self.0.remove(0);
        }
        self.0.push((person.clone(), Arc::clone(asked)));
    }
}
