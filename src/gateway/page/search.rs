//! The search of the list by a text.
//!
//! The vault has an index for the connections of one user and for those of one service. The
//! connections of users and services that the text names therefore come first. Accounts, labels and
//! parts of user ids have no index. They are found by reading the other connections, a bounded
//! number for each page. Both parts are in the order of the vault, and no connection is in both.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::lists::{ConnectionFilter, Extent, read_on};
use crate::error::Result;
use crate::gateway::{Caller, Inner};
use crate::model::{Connection, ConnectionId, ProviderId, UserId};

/// The largest number of lists that one search reads by an index. The services that a short text
/// names can be more: their connections are found by reading.
const MOST_LISTS: usize = 25;

/// The connection after which a search continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the lists of the owners and the services that the text names, or at their beginning.
    Named(Option<ConnectionId>),
    /// Among the others.
    Others(ConnectionId),
}

/// The connections of one page.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) connections: Vec<Connection>,
    /// The place at which the list continues, if there may be more.
    pub(super) next: Option<Place>,
    /// True if the page ended because it had read enough.
    pub(super) is_cut: bool,
}

/// A text, and what it names.
pub(super) struct Search {
    /// The text in small letters, never empty.
    text: String,
    users: BTreeSet<UserId>,
    providers: BTreeSet<ProviderId>,
    /// True if the services have lists of their own.
    lists_providers: bool,
}

impl Search {
    /// Returns a search for this text, or `None` if the text is blank.
    pub(super) fn new(
        gateway: &Inner,
        caller: &Caller,
        filter: &ConnectionFilter,
        text: &str,
    ) -> Option<Self> {
        let typed = text.trim();
        if typed.is_empty() {
            return None;
        }
        let text = typed.to_lowercase();
        let tenant = caller.acting_user().tenant();
        let added = gateway.connections.added_providers(tenant).unwrap_or_default();
        let of_host = gateway.connections.registry().providers();
        let all = of_host.map(|provider| provider.as_provider()).chain(&added);
        let is_named = |name: &str| name.to_lowercase().contains(&text);
        let providers: BTreeSet<_> = all
            .filter(|provider| is_named(provider.name()) || is_named(provider.id().as_str()))
            .map(|provider| provider.id().clone())
            .collect();
        let mut users = BTreeSet::new();
        if caller.is_operator() {
            // The names of users are known to the directory alone.
            let people = gateway.find_people(tenant, typed);
            users.extend(people.iter().map(|person| person.id().clone()));
            users.extend(UserId::new(typed));
        }
        let lists = users.len() + providers.len();
        Some(Self {
            // The list of one user or one service is read as it is, and users see few connections.
            lists_providers: caller.is_operator()
                && filter.user.is_none()
                && filter.provider.is_none()
                && lists <= MOST_LISTS,
            text,
            users,
            providers,
        })
    }

    /// Returns the connections of one page, from a place on.
    pub(super) fn page(
        &self,
        gateway: &Inner,
        caller: &Caller,
        filter: &ConnectionFilter,
        place: Place,
        extent: Extent,
    ) -> Result<Found> {
        let (mut found, mut last) = match place {
            Place::Others(after) => (Vec::new(), Some(after)),
            Place::Named(after) => {
                let named = self.named(gateway, caller, filter, after, extent)?;
                if named.next.is_some() {
                    return Ok(named);
                }
                (named.connections, None)
            }
        };
        let others = ConnectionFilter {
            after: last,
            ..filter.clone()
        };
        let left = extent.found - found.len();
        let extent = Extent {
            // One connection more than fits indicates another page.
            found: left + 1,
            ..extent
        };
        let services = gateway.connections.services(caller.acting_user().tenant());
        let admits = |it: &Connection| self.finds(it) && !self.is_listed(it);
        let read = read_on(&services, caller.principal(), &others, extent, admits)?;
        let is_full = read.connections.len() > left;
        // If the named connections fill the page, the others begin after the last of them.
        let named = found.last().map(|it| Place::Named(Some(it.id)));
        for connection in read.connections.into_iter().take(left) {
            last = Some(connection.id);
            found.push(connection);
        }
        let next = if is_full { last } else { read.next };
        Ok(Found {
            next: next.map(Place::Others).or(named.filter(|_| is_full)),
            is_cut: !is_full && read.next.is_some(),
            connections: found,
        })
    }

    /// Returns the connections of one page from the lists that the text names.
    fn named(
        &self,
        gateway: &Inner,
        caller: &Caller,
        filter: &ConnectionFilter,
        after: Option<ConnectionId>,
        extent: Extent,
    ) -> Result<Found> {
        let size = extent.found;
        let lists = self.lists(filter);
        let services = gateway.connections.services(caller.acting_user().tenant());
        let extent = Extent {
            found: size + 1,
            read: (extent.read / lists.len().max(1)).max(size + 1),
        };
        let mut found = BTreeMap::new();
        let mut end: Option<ConnectionId> = None;
        for list in lists {
            let list = ConnectionFilter { after, ..list };
            let read = read_on(&services, caller.principal(), &list, extent, |_| true)?;
            found.extend(read.connections.into_iter().map(|it| (it.id, it)));
            // No list is known further than to the end of the one that was read least far.
            end = end.into_iter().chain(read.next).min();
        }
        let known = found
            .into_values()
            .filter(|it| end.is_none_or(|end| it.id <= end));
        let mut connections: Vec<_> = known.take(size + 1).collect();
        let is_full = connections.len() > size;
        connections.truncate(size);
        let last = connections.last().map(|connection| connection.id);
        let next = if is_full { last } else { end };
        Ok(Found {
            is_cut: !is_full && end.is_some(),
            next: next.map(|id| Place::Named(Some(id))),
            connections,
        })
    }

    /// Returns the lists of the owners and the services that the text names.
    fn lists(&self, filter: &ConnectionFilter) -> Vec<ConnectionFilter> {
        let wanted = filter.user.as_ref();
        let users = self.users.iter();
        let users = users.filter(|user| wanted.is_none_or(|wanted| wanted == *user));
        let of_users = users.map(|user| filter.clone().user(user.clone()));
        let providers = self.providers.iter().filter(|_| self.lists_providers);
        let of_providers = providers.map(|provider| ConnectionFilter {
            provider: Some(provider.to_string()),
            ..filter.clone()
        });
        of_users.chain(of_providers).collect()
    }

    /// Returns whether a connection is in one of the lists.
    fn is_listed(&self, connection: &Connection) -> bool {
        self.is_of_user(connection) || (self.lists_providers && self.providers.contains(&connection.provider))
    }

    fn is_of_user(&self, connection: &Connection) -> bool {
        let owner = connection.owner.user();
        owner.is_some_and(|user| self.users.contains(user))
    }

    /// Returns whether a row of the list contains the text, or is of a user whom it names.
    pub(super) fn finds(&self, connection: &Connection) -> bool {
        let account = connection.account.as_ref();
        let fields = [
            // A service that was removed is shown by its id.
            Some(connection.provider.as_str()),
            connection.owner.user().map(UserId::as_str),
            connection.label.as_ref().map(AsRef::as_ref),
            account.map(|account| account.id.as_str()),
            account.and_then(|account| account.email.as_deref()),
            account.and_then(|account| account.label.as_deref()),
        ];
        self.is_of_user(connection)
            || self.providers.contains(&connection.provider)
            || fields
                .into_iter()
                .flatten()
                .any(|field| field.to_lowercase().contains(&self.text))
    }
}

#[cfg(test)]
mod tests;
