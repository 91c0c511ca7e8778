//! A write transaction, and what it concerns.

use std::collections::BTreeSet;

use crate::vault::sqlite::sql::Sql;
use crate::vault::tables::{Place, Topic};

/// A write transaction.
#[derive(Debug)]
pub(super) struct Writing<'a> {
    sql: Sql<'a>,
    /// The places that it concerns; `None` if it may concern anything.
    places: Option<BTreeSet<Place>>,
}

impl<'a> Writing<'a> {
    pub(super) const fn new(sql: Sql<'a>) -> Self {
        Self {
            sql,
            places: Some(BTreeSet::new()),
        }
    }

    pub(super) const fn sql(&self) -> Sql<'a> {
        self.sql
    }

    /// Records that answers about this topic change.
    pub(super) fn concerns(&mut self, topic: Topic<'_>) {
        if let Some(places) = &mut self.places {
            places.insert(topic.place());
        }
    }

    /// Records that any answer may change.
    pub(super) fn concerns_everything(&mut self) {
        self.places = None;
    }

    pub(super) fn into_places(self) -> Option<BTreeSet<Place>> {
        self.places
    }
}
