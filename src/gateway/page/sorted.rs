//! The orders of the list.

use std::cmp::Reverse;

use super::people::{People, owners};
use super::search::Search;
use crate::engine::lists::{ConnectionFilter, Extent, read_on};
use crate::error::Result;
use crate::gateway::{Caller, Inner};
use crate::model::{Connection, ConnectionId};

/// The largest number of connections that are read to sort those that match. A longer list keeps
/// the order of the vault until a service or a user makes it shorter.
pub(super) const MOST: usize = 20_000;

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// The order of the vault, which is read page by page.
    Oldest,
    Newest,
    Service,
    User,
    /// The latest use first, then those that were never used.
    Used,
}

impl Sort {
    const ALL: [Self; 5] = [Self::Oldest, Self::Newest, Self::Service, Self::User, Self::Used];

    /// Returns the order as one word in an address: empty for the usual one.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Oldest => "",
            Self::Newest => "newest",
            Self::Service => "service",
            Self::User => "user",
            Self::Used => "used",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.word() == word)
    }

    /// Sorts connections. Equal ones stay in the order of the vault.
    pub(super) fn sort(self, gateway: &Inner, caller: &Caller, mut all: Vec<Connection>) -> Vec<Connection> {
        match self {
            Self::Oldest => {}
            Self::Newest => all.reverse(),
            Self::Service => {
                all.sort_by_cached_key(|it| gateway.provider_name(it.provider.as_str()).to_lowercase())
            }
            Self::User => {
                let people = People::of(gateway, caller, owners(&all));
                // Workspace connections come last.
                all.sort_by_cached_key(|it| {
                    let user = it.owner.user();
                    (user.is_none(), user.map(|user| people.name(user).to_lowercase()))
                });
            }
            Self::Used => all.sort_by_key(|it| Reverse(it.used_at)),
        }
        all
    }
}

/// Returns all connections that match, or `None` if more than `most` would have to be read.
pub(super) fn all(
    gateway: &Inner,
    caller: &Caller,
    wanted: &ConnectionFilter,
    search: Option<&Search>,
    most: usize,
) -> Result<Option<Vec<Connection>>> {
    let everything = ConnectionFilter {
        after: None,
        ..wanted.clone()
    };
    // One more shows whether the list ends there.
    let extent = Extent {
        found: most + 1,
        read: most + 1,
    };
    let services = gateway.connections.services(caller.acting_user().tenant());
    let admits = |it: &Connection| search.is_none_or(|search| search.finds(it));
    let read = read_on(&services, caller.principal(), &everything, extent, admits)?;
    Ok(read.next.is_none().then_some(read.connections))
}

/// Returns the page after a connection, or the first one, and whether there are more.
pub(super) fn after(
    mut all: Vec<Connection>,
    after: Option<ConnectionId>,
    size: usize,
) -> (Vec<Connection>, bool) {
    let start = after.map_or(0, |after| {
        let place = all.iter().position(|connection| connection.id == after);
        // If the connection is gone since, the list begins again.
        place.map_or(0, |place| place + 1)
    });
    let mut page = all.split_off(start);
    let more = page.len() > size;
    page.truncate(size);
    (page, more)
}
