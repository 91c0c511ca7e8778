//! One page of connections, for the page and the API.

use super::{Caller, Inner};
use crate::engine::lists::{ConnectionFilter, Extent, read_on};
use crate::error::Result;
use crate::model::{Connection, ConnectionId};

/// The number of connections that one page reads at most. Most workspaces have fewer, so they are
/// searched at once; in the largest, a page costs no more than in one of this size, and a dozen
/// round trips to a database server. A list that leaves out more than that ends early, and its next
/// page continues.
pub(super) const MOST_READ: usize = 5_000;

/// One page of connections.
pub(super) struct Listed {
    pub(super) connections: Vec<Connection>,
    /// The connection after which the list continues, if there may be more.
    pub(super) next: Option<ConnectionId>,
    /// True if the page ended because [`MOST_READ`] connections were read.
    pub(super) is_cut: bool,
}

impl Inner {
    /// Returns up to `size` connections that match the filter.
    pub(super) fn listed(&self, caller: &Caller, filter: &ConnectionFilter, size: usize) -> Result<Listed> {
        let services = self.connections.services(caller.acting_user().tenant());
        let extent = Extent {
            // One connection more than fits indicates another page.
            found: size + 1,
            read: MOST_READ,
        };
        let read = read_on(&services, caller.principal(), filter, extent, |_| true)?;
        let mut connections = read.connections;
        let is_full = connections.len() > size;
        connections.truncate(size);
        Ok(Listed {
            next: match is_full {
                true => connections.last().map(|connection| connection.id),
                false => read.next,
            },
            is_cut: !is_full && read.next.is_some(),
            connections,
        })
    }
}
