//! Grants and connections.

use crate::model::{Actor, Connection, ConnectionId, Grant, GrantId, TenantId, Timestamp, UserId};
use crate::vault::change;
use crate::vault::sealed::apply::Needs;
use crate::vault::sealed::core::Core;
use crate::vault::sealed::lists::Asked;
use crate::vault::sealed::tenant::Tenant;
use crate::vault::sealed::{consents, rows};
use crate::vault::tables::{ListedRow, Listing, Tables};
use crate::vault::{ConnectionQuery, NewGrant, StoreOutcome, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// Returns a connection as the vault's callers see it.
pub(super) fn shown(row: &ListedRow, tenant: &Tenant) -> Result<Connection> {
    let connection = rows::connection(&row.connection, tenant.row_key())?;
    rows::same(&row.grant.id, &connection.grant)?;
    let stored = rows::grant(&row.grant, &tenant.name, tenant.row_key())?;
    Ok(connection.show(stored.grant, row.used_at.map(Timestamp::from_unix_millis)))
}

impl<T: Tables> Core<T> {
    pub(super) fn store_grant(&self, new: &NewGrant<'_>) -> Result<StoreOutcome> {
        let tenant = &new.grant.tenant;
        let user = self.consent_user(tenant, new.consent)?;
        let needs = Needs {
            tokens: Some(new.tokens),
            completes: new.connections.first().map(|first| (new.consent, first.id)),
            ..Needs::default()
        };
        let load = |reader: &mut super::snapshot::Reader<'_>| {
            reader.grant(new.grant.id)?;
            for connection in new.connections {
                reader.siblings(&connection.owner, &connection.provider)?;
                if let Some(known) = reader.connection(connection.id)? {
                    reader.users(known.grant)?;
                    reader.former(known.grant)?;
                }
            }
            Ok(())
        };
        let decide = |read: &super::snapshot::Read| change::grant::store(&read.snapshot, new, user.as_ref());
        let (outcome, _) = self.change(tenant, new.grant.refreshed_at, needs, load, decide)?;
        Ok(outcome)
    }

    /// Returns the user who began a consent request.
    fn consent_user(&self, tenant: &TenantId, state: &crate::vault::StateHash) -> Result<Option<UserId>> {
        let Some(tenant) = self.tenant(tenant)? else {
            return Ok(None);
        };
        let found = self.tables.read(|rows| rows.consent(tenant.row, state))?;
        found.map(|(row, _)| consents::person(row, &tenant)).transpose()
    }

    pub(super) fn grant(&self, name: &TenantId, id: GrantId) -> Result<Option<Grant>> {
        let Some(tenant) = self.tenant(name)? else {
            return Ok(None);
        };
        let Some(row) = self.tables.read(|rows| rows.grant(tenant.row, id))? else {
            return Ok(None);
        };
        rows::same(&row.id, &id)?;
        Ok(Some(rows::grant(&row, name, tenant.row_key())?.grant))
    }

    pub(super) fn connection(&self, name: &TenantId, id: ConnectionId) -> Result<Option<Connection>> {
        let Some(tenant) = self.tenant(name)? else {
            return Ok(None);
        };
        let Some(row) = self.tables.read(|rows| rows.connection(tenant.row, id))? else {
            return Ok(None);
        };
        rows::same(&row.connection.id, &id)?;
        shown(&row, &tenant).map(Some)
    }

    pub(super) fn connections(&self, query: &ConnectionQuery<'_>) -> Result<Vec<Connection>> {
        let Some(tenant) = self.remembered_tenant(query.tenant)? else {
            return Ok(Vec::new());
        };
        let listing = Listing {
            owner: query.owner.map(rows::owner_text),
            provider: query.provider.map(AsRef::<str>::as_ref),
            grant: query.grant,
            with_revoked: query.with_revoked,
            sought: query.sought,
            after: query.after,
            limit: query.limit,
        };
        if let Some(list) = self.listed(&tenant, &listing)? {
            return Ok(list);
        }
        // The tenant was erased since its number was read. Its name may belong to a new one.
        let Some(tenant) = self.tenant(query.tenant)? else {
            return Ok(Vec::new());
        };
        Ok(self.listed(&tenant, &listing)?.unwrap_or_default())
    }

    /// Returns a list: the remembered one if nothing was committed since, and otherwise a new read.
    /// Returns `None` if the tenant has another number now.
    fn listed(&self, tenant: &Tenant, listing: &Listing<'_>) -> Result<Option<Vec<Connection>>> {
        let asked = Asked::new(tenant.row, listing);
        let mut known = None;
        let read = self.tables.connections(tenant.row, listing, &mut |now| {
            let writes = self.tables.writes();
            known = asked
                .as_ref()
                .and_then(|asked| self.lists.get(now.stamp, writes, asked));
            known.is_some()
        })?;
        if let Some(list) = known {
            return Ok(Some(list.to_vec()));
        }
        let (taken, rows) = read.ok_or(VaultError::Damaged)?;
        // Rows that were read under the number of the tenant prove that it is still the same.
        if rows.is_empty()
            && self
                .tenant(&tenant.name)?
                .is_none_or(|current| current.row != tenant.row)
        {
            return Ok(None);
        }
        let list = rows
            .iter()
            .map(|row| {
                rows::matches(&row.connection, listing)?;
                shown(row, tenant)
            })
            .collect::<Result<Vec<_>>>()?;
        if let (Some(taken), Some(asked)) = (taken, asked) {
            self.lists.put(taken, asked, &list);
        }
        Ok(Some(list))
    }

    pub(super) fn set_default(
        &self,
        name: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Result<bool> {
        if self.tenant(name)?.is_none() {
            return Ok(false);
        }
        let load = |reader: &mut super::snapshot::Reader<'_>| {
            if let Some(chosen) = reader.connection(id)? {
                reader.siblings(&chosen.owner, &chosen.provider)?;
            }
            Ok(())
        };
        let decide = |read: &super::snapshot::Read| change::default::set_default(&read.snapshot, id, by, now);
        let (done, _) = self.change(name, now, Needs::default(), load, decide)?;
        Ok(done)
    }
}
