//! Numbers the writes of a handle, and the last write that concerned each thing.
//!
//! A remembered answer names what it depends on, and the number of the last write before it was
//! read. It may be used while no later write concerned any of these. Things share places in a table
//! of fixed size, so an answer may be dropped in vain, and is never kept in vain.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::GrantId;

/// The number of places. Each takes eight bytes.
const PLACES: u64 = 4_096;

/// A thing that an answer depends on, or that a write concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Topic<'a> {
    /// Everything of the tenant with this number.
    Tenant(i64),
    /// The connections of an owner; empty for workspace connections.
    Owner(i64, &'a str),
    /// A grant.
    Grant(i64, GrantId),
    /// A definition: its kind and its name.
    Definition(i64, &'a str, &'a str),
    /// The lists of a tenant: its connections, their grants and the times of their use.
    #[cfg_attr(
        not(feature = "sqlite"),
        allow(dead_code, reason = "only lists of a file are remembered")
    )]
    Lists(i64),
}

impl Topic<'_> {
    /// Returns the place of the topic. Collisions that an attacker chooses cost a read each.
    pub(crate) fn place(self) -> Place {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(self) % PLACES;
        Place(u16::try_from(hash).unwrap_or(u16::MAX))
    }
}

/// The place of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u16);

/// The writes of a handle.
#[derive(Debug)]
pub(crate) struct Writes {
    last: AtomicU64,
    places: Box<[AtomicU64]>,
}

impl Writes {
    #[cfg(any(test, feature = "postgres", feature = "sqlite"))]
    pub(crate) fn new() -> Self {
        Self {
            last: AtomicU64::new(0),
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Returns the number of the last write that has ended.
    pub(crate) fn last(&self) -> u64 {
        self.last.load(Ordering::SeqCst)
    }

    /// Returns whether no write after `since` concerned one of these places.
    pub(crate) fn are_unwritten(&self, since: u64, places: &[Place; 3]) -> bool {
        places.iter().all(|place| {
            self.places
                .get(usize::from(place.0))
                .is_some_and(|last| last.load(Ordering::SeqCst) <= since)
        })
    }

    /// Numbers a write that concerned these places.
    #[cfg(any(test, feature = "postgres", feature = "sqlite"))]
    pub(crate) fn wrote(&self, places: impl IntoIterator<Item = Place>) {
        let number = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        for place in places {
            if let Some(last) = self.places.get(usize::from(place.0)) {
                last.fetch_max(number, Ordering::SeqCst);
            }
        }
    }
}
