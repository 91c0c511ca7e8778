//! Reads the rows that a decision is based on, and checks later whether they have changed.

use std::collections::BTreeMap;

use crate::model::{ConnectionId, GrantId, Owner, ProviderId, Timestamp};
use crate::vault::change::{Snapshot, StoredConnection};
use crate::vault::sealed::rows;
use crate::vault::sealed::tenant::Tenant;
use crate::vault::tables::{
    Ahead, Chain, ConnectionRow, Expected, GrantRow, ListedRow, Listing, Rows, Sealed, TenantRow,
};
use crate::vault::{AuditEntry, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// The state of a row when it was read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SeenGrant {
    pub(super) revision: u64,
    pub(super) key_version: u32,
}

/// A snapshot, the state of its rows, and the sealed tokens that were read with it.
#[derive(Default)]
pub(super) struct Read {
    pub(super) snapshot: Snapshot,
    grants: BTreeMap<GrantId, Option<SeenGrant>>,
    connections: BTreeMap<ConnectionId, Option<[u8; 32]>>,
    used: BTreeMap<ConnectionId, Timestamp>,
    pub(super) sealed: BTreeMap<GrantId, Sealed>,
}

impl Read {
    /// Returns the state of a grant when it was read; zeros for one that did not exist.
    pub(super) fn seen(&self, id: GrantId) -> SeenGrant {
        self.grants.get(&id).copied().flatten().unwrap_or_default()
    }

    /// Returns whether a grant existed.
    pub(super) fn has_grant(&self, id: GrantId) -> bool {
        self.grants.get(&id).is_some_and(Option::is_some)
    }

    /// Returns the time of the last use of a connection.
    pub(super) fn used_at(&self, id: ConnectionId) -> Option<Timestamp> {
        self.used.get(&id).copied()
    }

    /// Announces the reads of [`is_current`](Self::is_current), and of the end of the tenant's
    /// chain if entries will be linked to it.
    pub(super) fn announce(&self, rows: &dyn Rows, tenant: TenantRow, entries: &[AuditEntry]) {
        let grants = self.grants.keys().map(|id| Ahead::Grant(*id));
        let connections = self.connections.keys().map(|id| Ahead::Connection(*id));
        let links = !entries.is_empty() && rows.unlinked().is_none();
        let end = links.then_some(Ahead::End(Chain::Of(tenant)));
        let reads: Vec<_> = grants.chain(connections).chain(end).collect();
        rows.announce(tenant, &reads);
    }

    /// Returns the state in which all rows were read. Returns `None` if one of them did not exist:
    /// its absence cannot be kept without keeping out other writers.
    pub(super) fn expected(&self) -> Option<Expected> {
        let grants = self.grants.iter();
        let connections = self.connections.iter();
        Some(Expected {
            grants: grants
                .map(|(id, seen)| seen.map(|seen| (*id, seen.revision)))
                .collect::<Option<_>>()?,
            connections: connections
                .map(|(id, mac)| mac.map(|mac| (*id, mac)))
                .collect::<Option<_>>()?,
        })
    }

    /// Returns whether no row has changed since it was read.
    pub(super) fn is_current(&self, rows: &dyn Rows, tenant: TenantRow) -> Result<bool> {
        for (id, seen) in &self.grants {
            let now = rows.grant(tenant, *id)?.map(|row| row.revision);
            if now != seen.map(|seen| seen.revision) {
                return Ok(false);
            }
        }
        for (id, seen) in &self.connections {
            let now = rows.connection(tenant, *id)?.map(|row| row.connection.mac);
            if now != *seen {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Collects a snapshot of one tenant.
pub(super) struct Reader<'a> {
    rows: &'a dyn Rows,
    tenant: &'a Tenant,
    read: Read,
}

impl<'a> Reader<'a> {
    pub(super) fn new(rows: &'a dyn Rows, tenant: &'a Tenant) -> Self {
        Self {
            rows,
            tenant,
            read: Read::default(),
        }
    }

    /// Announces reads that follow.
    pub(super) fn announce(&self, reads: &[Ahead<'_>]) {
        self.rows.announce(self.tenant.row, reads);
    }

    pub(super) fn finish(mut self) -> Read {
        self.read
            .snapshot
            .connections
            .sort_by_key(|connection| connection.id);
        self.read
    }

    /// Reads a connection and the grant that it uses.
    pub(super) fn connection(&mut self, id: ConnectionId) -> Result<Option<StoredConnection>> {
        if let Some(known) = self.read.snapshot.connection(id) {
            return Ok(Some(known.clone()));
        }
        match self.rows.connection(self.tenant.row, id)? {
            Some(row) => {
                rows::same(&row.connection.id, &id)?;
                self.listed(row).map(Some)
            }
            None => {
                self.read.connections.insert(id, None);
                Ok(None)
            }
        }
    }

    /// Reads the connections of an owner to a provider, and their grants.
    pub(super) fn siblings(&mut self, owner: &Owner, provider: &ProviderId) -> Result<()> {
        self.list(&Listing {
            owner: Some(rows::owner_text(owner)),
            provider: Some(provider.as_str()),
            grant: None,
            with_revoked: true,
            sought: None,
            after: None,
            limit: usize::MAX,
        })
    }

    /// Reads the connections that use a grant.
    pub(super) fn users(&mut self, grant: GrantId) -> Result<()> {
        self.list(&Listing::users(grant))
    }

    fn list(&mut self, listing: &Listing<'_>) -> Result<()> {
        for row in self.rows.connections(self.tenant.row, listing)? {
            rows::matches(&row.connection, listing)?;
            self.listed(row)?;
        }
        Ok(())
    }

    /// Reads a grant.
    pub(super) fn grant(&mut self, id: GrantId) -> Result<()> {
        if self.read.grants.contains_key(&id) {
            return Ok(());
        }
        match self.rows.grant(self.tenant.row, id)? {
            Some(row) => {
                rows::same(&row.id, &id)?;
                self.add_grant(&row)
            }
            None => {
                self.read.grants.insert(id, None);
                Ok(())
            }
        }
    }

    /// Reads the former grants of a grant.
    pub(super) fn former(&mut self, of: GrantId) -> Result<()> {
        for row in self.rows.former_grants(self.tenant.row, of)? {
            self.add_grant(&row)?;
        }
        Ok(())
    }

    /// Returns the grant that replaced a grant of the snapshot.
    pub(super) fn successor(&self, of: GrantId) -> Option<GrantId> {
        self.read.snapshot.grant(of)?.grant.former_of
    }

    /// Reads the sealed tokens of every grant of the snapshot.
    pub(super) fn secrets(&mut self) -> Result<()> {
        for stored in &self.read.snapshot.grants {
            let id = stored.grant.id;
            let sealed = self.rows.grant_secrets(self.tenant.row, id)?;
            self.read.sealed.insert(id, sealed);
        }
        Ok(())
    }

    fn listed(&mut self, row: ListedRow) -> Result<StoredConnection> {
        let connection = self.add_connection(&row.connection)?;
        if let Some(used_at) = row.used_at {
            let used_at = Timestamp::from_unix_millis(used_at);
            self.read.used.insert(connection.id, used_at);
        }
        rows::same(&row.grant.id, &connection.grant)?;
        self.add_grant(&row.grant)?;
        Ok(connection)
    }

    fn add_connection(&mut self, row: &ConnectionRow) -> Result<StoredConnection> {
        let connection = rows::connection(row, self.tenant.row_key())?;
        if self.read.connections.insert(row.id, Some(row.mac)).is_none() {
            self.read.snapshot.connections.push(connection.clone());
        }
        Ok(connection)
    }

    fn add_grant(&mut self, row: &GrantRow) -> Result<()> {
        if self.read.grants.contains_key(&row.id) {
            return Ok(());
        }
        let seen = SeenGrant {
            revision: row.revision,
            key_version: row.key_version,
        };
        self.read.grants.insert(row.id, Some(seen));
        let stored = rows::grant(row, &self.tenant.name, self.tenant.row_key())?;
        self.read.snapshot.grants.push(stored);
        Ok(())
    }
}
