//! Pending consents that users were asked for. Each consent is requested once for each user, and
//! requests that differ only in their scopes are combined.
//!
//! A ticket is stored only as a hash, so only the process that created it can show its link again.
//! All turns of a resolver and its clones therefore share this list. Whether a link is still valid
//! is read from the vault each time, because it may have been used or withdrawn through another
//! process. A process that does not know another's link creates its own.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::ConsentRequired;
use crate::model::{ActingUser, Timestamp};
use crate::resolver::consent_request::ConsentRequest;

/// Several shelves, so that concurrent requests of different users rarely contend.
const SHELVES: usize = 16;

/// The capacity of a shelf. When it is full, the newest entry replaces the oldest, whose link stays
/// valid.
const KEPT: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct AskedConsents {
    shelves: [Mutex<Shelf>; SHELVES],
    hasher: RandomState,
}

/// The pending consents of some users, oldest first.
#[derive(Debug, Default)]
pub(super) struct Shelf(Vec<(ActingUser, Arc<ConsentRequest>)>);

impl AskedConsents {
    /// Returns the shelf of this user. It stays locked while a consent is prepared, so that two
    /// tools asking at the same time share one.
    pub(super) fn of(&self, person: &ActingUser) -> MutexGuard<'_, Shelf> {
        let place = self.hasher.hash_one(person) as usize % SHELVES;
        self.shelves[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    /// Returns the pending consent of this user that satisfies the request, if it has not expired.
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

    /// Returns the user's pending consent for the same reason but different scopes.
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
