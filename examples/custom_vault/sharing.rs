//! One grant for several connections: one record keeps the tokens, and nobody else has a copy.

use valetkey::model::{Account, Connection, ConnectionId, Status, TenantId};
use valetkey::vault::lifecycle::{self, Keep};
use valetkey::vault::{Grant, VaultError};

use crate::outbox::Sealed;
use crate::rows::{Entry, is_sibling};
use crate::shelf::{Batch, Table};

/// A connection and the record with its tokens, which may be the same.
pub struct Kept {
    /// The connection, with the state of its grant.
    pub shown: Connection,
    /// The record that the token is sealed for.
    pub keeper: Connection,
    pub sealed: Option<Vec<u8>>,
}

/// What ends when a connection is revoked.
pub struct Ending {
    /// The connection, as it shows itself afterwards.
    pub connection: Connection,
    /// The connections that end.
    pub ended: Vec<Connection>,
    /// The record whose tokens end with it, and the tokens; none if others go on with them.
    pub last: Option<(Connection, Sealed)>,
    pub still_used_by: Vec<ConnectionId>,
}

impl Batch<'_> {
    fn keeper(&self, connection: &Connection) -> Result<Connection, VaultError> {
        match connection.shares {
            Some(keeper) => {
                let entry = self.entry(&connection.tenant, keeper)?;
                entry.map(|entry| entry.connection).ok_or(VaultError::Damaged)
            }
            None => Ok(connection.clone()),
        }
    }

    /// The connection with the state of its grant.
    pub fn shown(&self, mut connection: Connection) -> Result<Connection, VaultError> {
        if connection.shares.is_some() {
            connection.show_grant(&self.keeper(&connection)?);
        }
        Ok(connection)
    }

    pub fn kept(&self, connection: Connection) -> Result<Kept, VaultError> {
        let keeper = self.keeper(&connection)?;
        let sealed = self.get(&Table::AccessTokens.key(&keeper.tenant, keeper.id.as_bytes()));
        Ok(Kept {
            shown: self.shown(connection)?,
            keeper,
            sealed,
        })
    }

    fn sharing(&self, tenant: &TenantId, keeper: ConnectionId) -> Result<Vec<Connection>, VaultError> {
        let entries = self.entries(tenant)?.into_iter().map(|entry| entry.connection);
        Ok(entries
            .filter(|connection| connection.shares == Some(keeper))
            .collect())
    }

    /// Stores the records of a grant, and nothing if one of them is not as the grant saw it.
    pub fn join(&mut self, grant: &Grant<'_>) -> Result<bool, VaultError> {
        let new = grant.connection;
        let (mut left, mut shown) = (Vec::new(), 0);
        for record in [new].into_iter().chain(grant.members) {
            if self.is_taken(record)? {
                return Ok(false);
            }
            if let Some(stored) = self.entry(&new.tenant, record.id)? {
                let before = stored.connection.shares;
                left.extend(before.filter(|keeper| *keeper != new.id));
                shown = shown.max(self.shown(stored.connection)?.generation);
            }
        }
        let stored = self.entry(&new.tenant, new.id)?;
        let before = stored.as_ref().map(|stored| &stored.lifecycle);
        let refreshable = grant.tokens.refresh_token.is_some();
        let Some(lifecycle) = lifecycle::grant(before, shown, new.generation, refreshable) else {
            return Ok(false);
        };
        self.put_new(new, lifecycle)?;
        for member in grant.members {
            let stored = self.entry(&new.tenant, member.id)?;
            let before = stored.as_ref().map(|stored| &stored.lifecycle);
            self.take_tokens(&new.tenant, member.id, Keep::Nothing);
            self.put_new(member, lifecycle::share(before, new.generation))?;
        }
        for keeper in left {
            if self.sharing(&new.tenant, keeper)?.is_empty() {
                self.take_tokens(&new.tenant, keeper, Keep::Nothing);
                self.take(Table::Connections.key(&new.tenant, keeper.as_bytes()));
            }
        }
        Ok(true)
    }

    fn put_new(&mut self, new: &Connection, lifecycle: lifecycle::Lifecycle) -> Result<(), VaultError> {
        if new.is_default {
            self.choose_default(new)?;
        }
        let connection = new.clone();
        self.put_entry(Entry {
            connection,
            lifecycle,
        })?;
        Ok(())
    }

    /// Whether the id, the label or the account is another's. Where the database has partial unique indexes, they are
    /// the better place for the last two.
    fn is_taken(&self, new: &Connection) -> Result<bool, VaultError> {
        let stored = self.entry(&new.tenant, new.id)?;
        let is_other = stored.is_some_and(|stored| {
            !is_sibling(&stored.connection, new) || stored.connection.is_keeper != new.is_keeper
        });
        let collides = self.entries(&new.tenant)?.iter().any(|entry| {
            let other = &entry.connection;
            other.id != new.id
                && other.status != Status::Revoked
                && is_sibling(other, new)
                && collides(new, other)
        });
        Ok(is_other || collides)
    }

    /// Ends a connection, or all that share a record; the tokens only with the last.
    pub fn end(&mut self, tenant: &TenantId, id: ConnectionId) -> Result<Option<Ending>, VaultError> {
        let Some(named) = self.entry(tenant, id)? else {
            return Ok(None);
        };
        let kept_by = named.connection.keeper();
        let leaving = match named.connection.shares {
            Some(_) => vec![named.connection],
            None => self.sharing(tenant, id)?,
        };
        let mut ended = Vec::new();
        for member in leaving {
            ended.push(self.leave(member)?);
        }
        let still_used_by: Vec<_> = self
            .sharing(tenant, kept_by)?
            .iter()
            .map(|connection| connection.id)
            .collect();
        let mut last = None;
        if still_used_by.is_empty()
            && let Some(mut entry) = self.entry(tenant, kept_by)?
        {
            if !lifecycle::revoke(&mut entry.lifecycle) {
                return Ok(None);
            }
            entry.connection.is_default = false;
            let sealed = self.take_tokens(tenant, kept_by, Keep::Nothing);
            let connection = self.put_entry(entry)?;
            if connection.is_keeper {
                self.take(Table::Connections.key(tenant, kept_by.as_bytes()));
            } else {
                ended.push(connection.clone());
            }
            last = Some((connection, sealed));
        }
        let stored = self.entry(tenant, id)?.map(|entry| entry.connection);
        let connection = stored.or_else(|| last.as_ref().map(|(keeper, _)| keeper.clone()));
        Ok(connection.map(|connection| Ending {
            connection,
            ended,
            last,
            still_used_by,
        }))
    }

    /// Ends a connection that shares tokens: what it showed last is its own from now on.
    fn leave(&mut self, member: Connection) -> Result<Connection, VaultError> {
        let mut connection = self.shown(member)?;
        let entry = self.entry(&connection.tenant, connection.id)?;
        let mut lifecycle = entry.ok_or(VaultError::Damaged)?.lifecycle;
        lifecycle::leave(&mut lifecycle, connection.generation);
        connection.shares = None;
        connection.is_default = false;
        self.put_entry(Entry {
            connection,
            lifecycle,
        })
    }
}

/// Whether two connections of one owner to one provider could not be told apart.
fn collides(one: &Connection, other: &Connection) -> bool {
    let same_label = one.label.is_some() && one.label == other.label;
    let same_account = |(one, other): (&Account, &Account)| one.id == other.id;
    same_label
        || one
            .account
            .as_ref()
            .zip(other.account.as_ref())
            .is_some_and(same_account)
}
