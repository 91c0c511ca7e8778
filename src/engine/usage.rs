//! Token uses collected in memory until they are written.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{ActingUser, ConnectionId, ProviderId, Timestamp};
use crate::prehashed::HashedMap;
use crate::vault::TokenUse;

/// Several pages, so that threads resolving different connections rarely contend.
const PAGES: usize = 16;

/// The capacity of a page. When it is full, `resolve` writes a batch of it, and `peek` stops
/// adding to it.
const FULL: usize = 8_192;

/// The maximum number of a tenant's uses written in one transaction. Other writers wait about 10 ms
/// for it.
pub(crate) const BATCH: usize = 512;

/// Uses by the same user in the same turn within this interval are recorded once: the page shows
/// minutes, and a turn calls many tools.
const RESOLUTION_MILLIS: i64 = 1_000;

#[derive(Debug, Default)]
pub(crate) struct Usage {
    pages: [Mutex<Page>; PAGES],
}

#[derive(Debug, Default)]
struct Page {
    /// The index of the last entry of each connection, user and turn, by their hash.
    last: HashedMap<usize>,
    hasher: RandomState,
    entries: Vec<TokenUse>,
    /// The number of entries above [`FULL`] to collect before the next attempt to write, after a
    /// failed one.
    patience: usize,
}

/// One token use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handed<'a> {
    pub(crate) to: &'a ActingUser,
    pub(crate) connection: ConnectionId,
    pub(crate) provider: &'a ProviderId,
    pub(crate) shared: bool,
    pub(crate) turn: Option<&'a str>,
    pub(crate) purpose: Option<&'a str>,
    pub(crate) at: Timestamp,
}

impl Handed<'_> {
    pub(crate) fn entry(&self) -> TokenUse {
        TokenUse {
            tenant: self.to.tenant().clone(),
            connection: self.connection,
            provider: self.provider.clone(),
            at: self.at,
            user: self.to.user().clone(),
            shared: self.shared,
            purpose: self.purpose.map(str::to_owned),
            turn: self.turn.map(str::to_owned),
        }
    }

    /// Returns whether the entry is a use by the same user in the same turn within the resolution.
    fn continues(&self, known: &TokenUse) -> bool {
        let apart = self.at.as_unix_millis() - known.at.as_unix_millis();
        (0..RESOLUTION_MILLIS).contains(&apart)
            && known.connection == self.connection
            && known.user == *self.to.user()
            && known.turn.as_deref() == self.turn
            && known.purpose.as_deref() == self.purpose
    }
}

impl Usage {
    /// Adds a use. If the page is full, returns the oldest entries of one tenant, to be written.
    pub(crate) fn note(&self, handed: Handed<'_>) -> Option<Vec<TokenUse>> {
        let mut page = self.page(handed.connection);
        page.add(handed);
        page.is_full().then(|| page.oldest())
    }

    /// Adds a use, unless the page is full. Returns whether it was added.
    pub(crate) fn note_if_room(&self, handed: Handed<'_>) -> bool {
        let mut page = self.page(handed.connection);
        let room = page.entries.len() < FULL;
        if room {
            page.add(handed);
        }
        room
    }

    /// Takes all entries.
    pub(crate) fn take(&self) -> Vec<TokenUse> {
        let pages = self.pages.iter();
        pages.flat_map(|page| lock(page).turn()).collect()
    }

    /// Puts back uses that could not be written, up to a limit: a vault that stays locked must not
    /// fill the memory.
    pub(crate) fn put_back(&self, uses: &[TokenUse]) {
        for entry in uses {
            let mut page = self.page(entry.connection);
            if page.entries.len() < FULL {
                page.entries.push(entry.clone());
            }
            page.patience = BATCH;
        }
    }

    fn page(&self, connection: ConnectionId) -> MutexGuard<'_, Page> {
        lock(&self.pages[usize::from(connection.as_bytes()[15]) % PAGES])
    }
}

fn lock(page: &Mutex<Page>) -> MutexGuard<'_, Page> {
    page.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Page {
    fn add(&mut self, handed: Handed<'_>) {
        // Concurrent turns each find their own entry. A turn has one user, so its id is sufficient.
        // Two entries that share a hash are distinguished and recorded twice.
        let whose = handed.turn.unwrap_or(handed.to.user().as_str());
        let whose = self.hasher.hash_one((handed.connection.as_bytes(), whose));
        let known = self.last.get(&whose).and_then(|place| self.entries.get(*place));
        if known.is_some_and(|known| handed.continues(known)) {
            return;
        }
        self.last.insert(whose, self.entries.len());
        self.entries.push(handed.entry());
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= FULL + self.patience
    }

    fn oldest(&mut self) -> Vec<TokenUse> {
        self.last.clear();
        self.patience = 0;
        let tenant = self.entries.first().map(|entry| entry.tenant.clone());
        let of_tenant = |entry: &mut TokenUse| Some(&entry.tenant) == tenant.as_ref();
        self.entries.extract_if(.., of_tenant).take(BATCH).collect()
    }

    fn turn(&mut self) -> Vec<TokenUse> {
        self.last.clear();
        self.patience = 0;
        std::mem::take(&mut self.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TenantId;

    #[test]
    fn uses_within_a_second_are_one_unless_by_another_person_or_in_another_turn() {
        let usage = Usage::default();
        let tenant = TenantId::new("acme").unwrap();
        let person = |name| ActingUser::authenticated(tenant.clone(), name).unwrap();
        let (alice, bob) = (person("alice"), person("bob"));
        let provider = ProviderId::new("notes").unwrap();
        let note = |to, turn, at| {
            let handed = Handed {
                to,
                connection: ConnectionId::from_bytes([7; 16]),
                provider: &provider,
                shared: true,
                turn,
                purpose: None,
                at: Timestamp::from_unix_millis(at),
            };
            assert!(usage.note(handed).is_none());
        };
        note(&alice, None, 0);
        note(&alice, None, 999);
        note(&bob, None, 999);
        note(&alice, None, 1_000);
        note(&alice, None, 2_500);
        // Two concurrent turns are two entries, in whatever order their calls arrive.
        for _ in 0..3 {
            note(&alice, Some("one"), 2_600);
            note(&alice, Some("other"), 2_600);
        }
        let taken: Vec<_> = usage
            .take()
            .into_iter()
            .map(|entry| (entry.user.to_string(), entry.turn, entry.at.as_unix_millis()))
            .collect();
        let expected = [
            ("alice", None, 0),
            ("bob", None, 999),
            ("alice", None, 1_000),
            ("alice", None, 2_500),
            ("alice", Some("one"), 2_600),
            ("alice", Some("other"), 2_600),
        ];
        assert_eq!(
            taken,
            expected.map(|(user, turn, at)| (user.to_owned(), turn.map(str::to_owned), at))
        );
        assert!(usage.take().is_empty());
    }

    #[test]
    fn a_full_page_gives_its_oldest_entries_and_keeps_within_its_bound() {
        let usage = Usage::default();
        let alice = ActingUser::authenticated("acme", "alice").unwrap();
        let provider = ProviderId::new("notes").unwrap();
        let handed = |second: usize| Handed {
            to: &alice,
            connection: ConnectionId::from_bytes([7; 16]),
            provider: &provider,
            shared: false,
            turn: None,
            purpose: None,
            at: Timestamp::from_unix_millis(i64::try_from(second).unwrap() * 1_000),
        };
        let note = |second| usage.note(handed(second));
        assert!((1..FULL).all(|second| note(second).is_none()));
        assert!(usage.note_if_room(handed(FULL)));
        assert!(!usage.note_if_room(handed(FULL + 1)));
        let batch = note(FULL + 1).expect("a full page gives a batch");
        assert_eq!(batch.len(), BATCH);
        assert_eq!(batch[0].at, handed(1).at);
        assert!(usage.note_if_room(handed(FULL + 2)));
        // After a failure, the next attempt comes one batch later, and the page stays within its
        // limit.
        usage.put_back(&batch);
        let next = (FULL + 3..).find_map(|second| note(second).map(|batch| (second, batch)));
        let (_, again) = next.unwrap();
        assert_eq!(again.len(), BATCH);
        for _ in 0..3 {
            usage.put_back(&again);
        }
        assert_eq!(usage.take().len(), FULL);
        assert!(usage.take().is_empty());
    }
}
