//! Who was handed a token and when, gathered in memory.
//!
//! `resolve` must not write: a commit costs a hundred times the read. What is gathered here is written in one
//! transaction by `maintain`, by whoever finds a full page, and by the drop of the last handle; a crash loses what came
//! since. A host that may lose nothing takes [`UseAudit::Strict`].

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::manager::Inner;
use crate::model::{ActingUser, ConnectionId, ProviderId, Timestamp, TurnId, TurnPurpose};
use crate::vault::{TokenUse, UseRecord, VaultError};

/// Several pages, so that threads which resolve different connections seldom meet.
const PAGES: usize = 16;

/// A page with so many entries is written by whoever filled it.
const FULL: usize = 512;

/// A page that cannot be written keeps at most so many.
const KEPT: usize = 16 * FULL;

/// Uses by one person in one turn closer together than this are one: the page shows minutes, and a turn calls many tools.
const RESOLUTION_MILLIS: i64 = 1_000;

/// How the handing out of tokens is audited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UseAudit {
    /// Not at all; only the time of a connection's last use is kept, gathered and written as below.
    Off,
    /// Gathered in memory and written in batches. A crash loses what was gathered since the last one: at most a minute,
    /// where `maintain` is called each minute.
    #[default]
    Batched,
    /// Written before the token is handed out. Each resolve costs a commit, and fails if it cannot be written.
    Strict,
}

#[derive(Debug, Default)]
pub(crate) struct Usage {
    pages: [Mutex<Page>; PAGES],
}

#[derive(Debug, Default)]
struct Page {
    /// The place of the last entry of each connection, person and turn, by their hash.
    last: HashMap<u64, usize>,
    hasher: RandomState,
    entries: Vec<TokenUse>,
}

/// One handing out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handed<'a> {
    pub(crate) to: &'a ActingUser,
    pub(crate) connection: ConnectionId,
    pub(crate) provider: &'a ProviderId,
    pub(crate) shared: bool,
    pub(crate) turn: Option<&'a TurnId>,
    pub(crate) purpose: Option<&'a TurnPurpose>,
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
            purpose: self.purpose.map(|purpose| purpose.as_str().to_owned()),
            turn: self.turn.map(|turn| turn.as_str().to_owned()),
        }
    }

    /// Whether the entry tells of a use by the same person in the same turn, no longer ago than the resolution.
    fn continues(&self, known: &TokenUse) -> bool {
        let apart = self.at.as_unix_millis() - known.at.as_unix_millis();
        (0..RESOLUTION_MILLIS).contains(&apart)
            && known.connection == self.connection
            && known.user == *self.to.user()
            && known.turn.as_deref() == self.turn.map(TurnId::as_str)
            && known.purpose.as_deref() == self.purpose.map(TurnPurpose::as_str)
    }
}

impl Inner {
    /// Writes what was gathered, as the host wishes it audited.
    pub(crate) fn record(&self, uses: &[TokenUse]) -> Result<(), VaultError> {
        let record = match self.settings.use_audit {
            UseAudit::Off => UseRecord::Times,
            UseAudit::Batched | UseAudit::Strict => UseRecord::Entries,
        };
        self.vault.record_uses(uses, record)
    }
}

impl Usage {
    /// Gathers it. Gives back the whole page if this filled it: then it is to be written.
    pub(crate) fn note(&self, handed: Handed<'_>) -> Option<Vec<TokenUse>> {
        let mut page = self.page(usize::from(handed.connection.as_bytes()[15]) % PAGES);
        let Page {
            last,
            entries,
            hasher,
        } = &mut *page;
        // Turns that run side by side each find their own entry. Two that share a hash are told apart, and gathered twice.
        let whose = hasher.hash_one((handed.connection, handed.to.user(), handed.turn));
        let known = last.get(&whose).and_then(|place| entries.get(*place));
        if known.is_some_and(|known| handed.continues(known)) {
            return None;
        }
        last.insert(whose, entries.len());
        entries.push(handed.entry());
        entries.len().is_multiple_of(FULL).then(|| page.turn())
    }

    /// Takes all that was gathered.
    pub(crate) fn take(&self) -> Vec<TokenUse> {
        (0..PAGES).flat_map(|number| self.page(number).turn()).collect()
    }

    /// Keeps what could not be written for the next time, up to a bound: a vault that stays locked must not fill the
    /// memory.
    pub(crate) fn put_back(&self, uses: Vec<TokenUse>) {
        for entry in uses {
            let mut page = self.page(usize::from(entry.connection.as_bytes()[15]) % PAGES);
            if page.entries.len() < KEPT {
                page.entries.push(entry);
            }
        }
    }

    fn page(&self, number: usize) -> MutexGuard<'_, Page> {
        self.pages[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Page {
    fn turn(&mut self) -> Vec<TokenUse> {
        self.last.clear();
        std::mem::take(&mut self.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{TenantId, UserId};

    #[test]
    fn uses_within_a_second_are_one_unless_by_another_person_or_in_another_turn() {
        let usage = Usage::default();
        let tenant = TenantId::new("acme").unwrap();
        let person = |name| ActingUser::authenticated(tenant.clone(), UserId::new(name).unwrap());
        let (alice, bob) = (person("alice"), person("bob"));
        let provider = ProviderId::new("notes").unwrap();
        let (one, other) = (TurnId::new("one").unwrap(), TurnId::new("other").unwrap());
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
        // Two turns side by side are two entries, however their calls fall.
        for _ in 0..3 {
            note(&alice, Some(&one), 2_600);
            note(&alice, Some(&other), 2_600);
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
    fn a_full_page_is_given_out_and_what_could_not_be_written_is_kept() {
        let usage = Usage::default();
        let alice = ActingUser::authenticated(TenantId::new("acme").unwrap(), UserId::new("alice").unwrap());
        let provider = ProviderId::new("notes").unwrap();
        let note = |second: usize| {
            usage.note(Handed {
                to: &alice,
                connection: ConnectionId::from_bytes([7; 16]),
                provider: &provider,
                shared: false,
                turn: None,
                purpose: None,
                at: Timestamp::from_unix_millis(i64::try_from(second).unwrap() * 1_000),
            })
        };
        let full = (0..FULL).find_map(note).expect("a full page is given out");
        assert_eq!(full.len(), FULL);
        usage.put_back(full);
        // The next attempt comes with the next full page, not with the next turn.
        assert!(note(FULL).is_none());
        assert_eq!(usage.take().len(), FULL + 1);
    }
}
