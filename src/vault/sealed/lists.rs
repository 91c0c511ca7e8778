//! The lists that were read since the last commit: authenticated, and decoded once.
//!
//! Reading a row of a list takes three searches in the database and the authentication of two rows.
//! As for tokens (see [`recent`](super::recent)), a list cannot change without a commit, and the
//! stamp is taken before the rows are read. Lists contain no secret. Their texts are shared with
//! the connections that a caller receives, so a remembered list is returned without copying them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::model::{Account, Connection, ConnectionId, GrantId};
use crate::vault::Sought;
use crate::vault::tables::{Listing, Place, Stamp, Taken, TenantRow, Topic, Writes};

/// The number of bytes that are remembered for each source of stamps: some thousand connections.
const MAX_BYTES: usize = 2 << 20;
/// The largest list that is remembered: that of a page, and not that of an export.
pub(super) const MAX_ROWS: usize = 1_000;

/// The remembered lists, for each source of stamps.
#[derive(Debug, Default)]
pub(super) struct Lists {
    sources: [RwLock<Since>; Stamp::SOURCES],
}

/// The lists that were read since the state that a stamp names.
#[derive(Debug, Default)]
struct Since {
    stamp: Option<Stamp>,
    entries: HashMap<Asked, Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    list: Arc<[Connection]>,
    /// The number of the last write before it was read.
    writes: u64,
    bytes: usize,
}

/// A query that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    tenant: TenantRow,
    owner: Option<String>,
    provider: Option<String>,
    grant: Option<GrantId>,
    with_revoked: bool,
    is_of_revoked: bool,
    after: Option<ConnectionId>,
    limit: usize,
}

impl Asked {
    /// Returns the query of a list; `None` if its answer depends on the time.
    pub(super) fn new(tenant: TenantRow, listing: &Listing<'_>) -> Option<Self> {
        let is_of_revoked = match listing.sought {
            None => false,
            Some(Sought::Revoked) => true,
            Some(Sought::NeedsConsent { .. }) => return None,
        };
        Some(Self {
            tenant,
            owner: listing.owner.map(str::to_owned),
            provider: listing.provider.map(str::to_owned),
            grant: listing.grant,
            with_revoked: listing.with_revoked,
            is_of_revoked,
            after: listing.after,
            limit: listing.limit,
        })
    }

    /// Returns the places of the writes that change the answer.
    fn places(&self) -> [Place; 3] {
        let lists = Topic::Lists(self.tenant).place();
        [Topic::Tenant(self.tenant).place(), lists, lists]
    }
}

impl Lists {
    /// Returns the remembered answer to a query, if the tables are still in this state and none of
    /// these writes concerned the tenant's lists.
    pub(super) fn get(
        &self,
        stamp: Stamp,
        writes: Option<&Writes>,
        asked: &Asked,
    ) -> Option<Arc<[Connection]>> {
        let since = self.sources.get(stamp.source)?;
        let since = since.read().unwrap_or_else(PoisonError::into_inner);
        if since.stamp != Some(stamp) {
            return None;
        }
        let entry = since.entries.get(asked)?;
        let is_unwritten = writes.is_none_or(|writes| writes.are_unwritten(entry.writes, &asked.places()));
        is_unwritten.then(|| Arc::clone(&entry.list))
    }

    /// Remembers an answer from rows that were read after the stamp was taken.
    pub(super) fn put(&self, taken: Taken, asked: Asked, list: &[Connection]) {
        let stamp = taken.stamp;
        let Some(since) = self.sources.get(stamp.source).filter(|_| list.len() <= MAX_ROWS) else {
            return;
        };
        let entry = Entry {
            list: list.into(),
            writes: taken.writes,
            bytes: size_of::<Asked>() + list.iter().map(bytes).sum::<usize>(),
        };
        let mut since = since.write().unwrap_or_else(PoisonError::into_inner);
        if since.stamp != Some(stamp) {
            *since = Since {
                stamp: Some(stamp),
                ..Since::default()
            };
        }
        since.put(asked, entry);
    }
}

impl Since {
    fn put(&mut self, asked: Asked, entry: Entry) {
        self.bytes += entry.bytes;
        if let Some(before) = self.entries.insert(asked, entry) {
            self.bytes -= before.bytes;
        }
        while self.bytes > MAX_BYTES {
            // Hashes are random, so any entry will do.
            let victim = self.entries.keys().next().cloned();
            match victim.and_then(|asked| self.entries.remove(&asked)) {
                Some(victim) => self.bytes -= victim.bytes,
                None => return,
            }
        }
    }
}

/// Returns the size of a connection with its texts, some of which it shares with others.
fn bytes(connection: &Connection) -> usize {
    let account = |account: &Account| {
        let more = [&account.email, &account.label];
        account.id.len() + more.into_iter().flatten().map(String::len).sum::<usize>()
    };
    let parameters = connection.parameters.iter();
    let scopes = connection.requested.iter().chain(connection.granted.iter());
    let issued_by = &connection.issued_by;
    size_of::<Connection>()
        + connection.owner.user().map_or(0, |user| user.as_str().len())
        + connection.provider.as_str().len()
        + connection.label.as_ref().map_or(0, |label| label.as_str().len())
        + connection.account.as_ref().map_or(0, account)
        + parameters
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>()
        + scopes.map(|scope| scope.as_str().len()).sum::<usize>()
        + issued_by.token_endpoint.len()
        + issued_by.refresh_endpoint.len()
        + issued_by.revocation_endpoint.as_ref().map_or(0, String::len)
        + issued_by.client_id.len()
}

#[cfg(test)]
mod tests;
