//! The connections that were read before: authenticated, and still sealed.
//!
//! Reading a connection takes three searches in the database and the authentication of two rows. An
//! answer is remembered with its [`Basis`], which says when it may be given again:
//!
//! * Tables that report commits do so with a [`Stamp`], which is taken before the rows are read, so
//!   the rows are at least as new as their stamp. If a later stamp is equal, no process has
//!   committed in between, and the rows are those that a transaction begun now would read. The
//!   first stamp that differs drops all remembered rows. Tables may let a stamp outlive writes of
//!   this handle; those drop the answers that they concern.
//! * A database across a network has no stamps. Its answers hold for a bounded time; see
//!   [`Staleness`].
//!
//! Access tokens are remembered as the database stores them. Each call opens its own copy.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

use zeroize::Zeroizing;

use crate::model::{ConnectionId, GrantId, Parameters, RefreshState, Status, Timestamp};
use crate::prehashed::HashedMap;
use crate::vault::envelope::{Binding, DataKey};
use crate::vault::sealed::tenant::Tenant;
use crate::vault::tables::{Basis, Staleness, Stamp, TenantRow, Wanted};

/// The number of bytes that are remembered for each source of stamps, and without stamps: about two
/// thousand connections.
const MAX_BYTES: usize = 2 << 20;
/// The size of an entry without its texts and records.
const ENTRY: usize = 512;

/// The answer to a query.
#[derive(Debug)]
pub(super) enum Answer {
    Nothing,
    Several,
    One(Box<Known>),
}

/// A connection whose rows are authentic, with its access token still sealed.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) connection: ConnectionId,
    pub(super) grant: GrantId,
    pub(super) generation: u64,
    pub(super) status: Status,
    pub(super) refreshed_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) refreshable: bool,
    /// The granted scopes, separated by spaces.
    pub(super) granted: String,
    pub(super) parameters: Parameters,
    pub(super) refresh: RefreshState,
    /// The sealed access token. `None` unless the grant is active.
    pub(super) access: Option<SealedAccess>,
}

/// A sealed access token, ready to be opened.
#[derive(Debug)]
pub(super) struct SealedAccess {
    /// The encoded additional data of the record.
    pub(super) binding: Binding,
    /// The record, wiped when dropped.
    pub(super) record: Zeroizing<Vec<u8>>,
}

/// The remembered answers.
#[derive(Debug)]
pub(super) struct Recent {
    hasher: RandomState,
    /// For each source of stamps, those that were read since the newest stamp.
    sources: [RwLock<Since>; Stamp::SOURCES],
    /// Those that hold for a bounded time.
    aging: RwLock<Answers>,
}

/// The answers that were read since the state that a stamp names.
#[derive(Debug, Default)]
struct Since {
    stamp: Option<Stamp>,
    answers: Answers,
}

/// Answers by the places of their queries.
#[derive(Debug, Default)]
struct Answers {
    entries: HashedMap<Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    asked: Asked,
    answer: Arc<Answer>,
    basis: Basis,
    bytes: usize,
}

/// A query that was answered.
#[derive(Debug)]
struct Asked {
    tenant: TenantRow,
    of: AskedOf,
}

#[derive(Debug)]
enum AskedOf {
    Id(ConnectionId),
    Owner(String, String),
    Label(String, String, String),
}

impl Recent {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            sources: Default::default(),
            aging: RwLock::default(),
        }
    }

    /// Returns the remembered answer to a query and its basis, if the tables are still in this
    /// state. A write of this handle may have concerned it.
    pub(super) fn get(
        &self,
        stamp: Stamp,
        tenant: TenantRow,
        wanted: Wanted<'_>,
    ) -> Option<(Arc<Answer>, Basis)> {
        let since = self.sources.get(stamp.source)?;
        let since = since.read().unwrap_or_else(PoisonError::into_inner);
        if since.stamp != Some(stamp) {
            return None;
        }
        let entry = since.answers.get(self.place(tenant, wanted), tenant, wanted)?;
        Some((Arc::clone(&entry.answer), entry.basis))
    }

    /// Returns the remembered answer to a query, if it is not too old, and its basis.
    pub(super) fn young(
        &self,
        staleness: &Staleness,
        tenant: TenantRow,
        wanted: Wanted<'_>,
    ) -> Option<(Arc<Answer>, Basis)> {
        let aging = self.aging.read().unwrap_or_else(PoisonError::into_inner);
        let entry = aging.get(self.place(tenant, wanted), tenant, wanted)?;
        let is_young = matches!(&entry.basis, Basis::Moment(moment) if staleness.allows(moment));
        is_young.then(|| (Arc::clone(&entry.answer), entry.basis))
    }

    /// Remembers an answer from rows that were read after the basis was taken.
    pub(super) fn put(&self, basis: Basis, tenant: TenantRow, wanted: Wanted<'_>, answer: &Arc<Answer>) {
        let entry = Entry {
            asked: Asked::new(tenant, wanted),
            answer: Arc::clone(answer),
            basis,
            bytes: answer.len(),
        };
        let place = self.place(tenant, wanted);
        let stamp = match basis {
            Basis::State(taken, _) => taken.stamp,
            Basis::Moment(_) => {
                let mut aging = self.aging.write().unwrap_or_else(PoisonError::into_inner);
                return aging.put(place, entry);
            }
        };
        let Some(since) = self.sources.get(stamp.source) else {
            return;
        };
        let mut since = since.write().unwrap_or_else(PoisonError::into_inner);
        if since.stamp != Some(stamp) {
            *since = Since {
                stamp: Some(stamp),
                ..Since::default()
            };
        }
        since.answers.put(place, entry);
    }

    /// Returns the place of the answer to a query. Two queries may have the same place; the later
    /// one takes it.
    fn place(&self, tenant: TenantRow, wanted: Wanted<'_>) -> u64 {
        self.hasher.hash_one((tenant, wanted))
    }
}

impl Answers {
    fn get(&self, place: u64, tenant: TenantRow, wanted: Wanted<'_>) -> Option<&Entry> {
        self.entries
            .get(&place)
            .filter(|entry| entry.asked.is(tenant, wanted))
    }

    fn put(&mut self, place: u64, entry: Entry) {
        self.bytes += entry.bytes;
        if let Some(before) = self.entries.insert(place, entry) {
            self.bytes -= before.bytes;
        }
        while self.bytes > MAX_BYTES {
            // Places are random, so any entry will do.
            let victim = self.entries.keys().next().copied();
            match victim.and_then(|place| self.entries.remove(&place)) {
                Some(victim) => self.bytes -= victim.bytes,
                None => return,
            }
        }
    }
}

impl Answer {
    /// Returns whether the key that sealed the access token is in memory.
    pub(super) fn is_open_to(&self, tenant: &Tenant) -> bool {
        match self {
            Self::One(known) => known.access.as_ref().is_none_or(|access| {
                DataKey::version_of(&access.record).is_ok_and(|version| tenant.has_key(version))
            }),
            Self::Nothing | Self::Several => true,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::One(known) => {
                let access = known.access.as_ref();
                let access = access.map_or(0, |access| access.binding.len() + access.record.len());
                ENTRY + known.granted.len() + access
            }
            Self::Nothing | Self::Several => ENTRY,
        }
    }
}

impl Asked {
    fn new(tenant: TenantRow, wanted: Wanted<'_>) -> Self {
        let of = match wanted {
            Wanted::Id(id) => AskedOf::Id(id),
            Wanted::Owner { owner, provider } => AskedOf::Owner(owner.to_owned(), provider.to_owned()),
            Wanted::Label {
                owner,
                provider,
                label,
            } => AskedOf::Label(owner.to_owned(), provider.to_owned(), label.to_owned()),
        };
        Self { tenant, of }
    }

    fn is(&self, tenant: TenantRow, wanted: Wanted<'_>) -> bool {
        let of = match &self.of {
            AskedOf::Id(id) => Wanted::Id(*id),
            AskedOf::Owner(owner, provider) => Wanted::Owner { owner, provider },
            AskedOf::Label(owner, provider, label) => Wanted::Label {
                owner,
                provider,
                label,
            },
        };
        self.tenant == tenant && of == wanted
    }
}

#[cfg(test)]
mod tests;
