//! Connections and the times of their use.

use super::Result;
use super::key::{Key, Table};
use super::{grants, row};
use crate::model::{ConnectionId, GrantId};
use crate::vault::VaultError;
use crate::vault::codec::{Decoder, Encoder};
use crate::vault::sealed::store::Transaction;
use crate::vault::tables::{ConnectionRow, FoundRows, ListedRow, Listing, TenantRow, TokenRow, Wanted};

impl row::Row for ConnectionRow {
    fn key(&self, tenant: TenantRow) -> Key {
        key(tenant, self.id)
    }

    fn indexes(&self, tenant: TenantRow) -> Vec<Key> {
        let id = self.id.as_bytes();
        let mut indexes = vec![
            by_owner(tenant, &self.owner).id(id),
            by_grant(tenant, self.grant).id(id),
        ];
        if !self.revoked {
            indexes.push(live(tenant, &self.owner, &self.provider).id(id));
            indexes.extend(unique(tenant, self));
        }
        indexes
    }

    fn encode(&self) -> Vec<u8> {
        Encoder::new()
            .bytes(self.id.as_bytes())
            .text(&self.owner)
            .text(&self.provider)
            .opt_text(self.label.as_deref())
            .flag(self.is_default)
            .flag(self.revoked)
            .bytes(self.grant.as_bytes())
            .opt_text(self.account.as_deref())
            .bytes(&self.details)
            .bytes(&self.mac)
            .finish()
    }

    fn decode(record: &mut Decoder<'_>) -> Result<Self> {
        Ok(Self {
            id: ConnectionId::from_bytes(record.array()?),
            owner: record.text()?.to_owned(),
            provider: record.text()?.to_owned(),
            label: record.opt_text()?.map(str::to_owned),
            is_default: record.flag()?,
            revoked: record.flag()?,
            grant: GrantId::from_bytes(record.array()?),
            account: record.opt_text()?.map(str::to_owned),
            details: record.bytes()?.to_vec(),
            mac: record.array()?,
        })
    }
}

/// Returns the index entries that no other connection may have, unless one of the two is revoked.
fn unique(tenant: TenantRow, row: &ConnectionRow) -> impl Iterator<Item = Key> {
    let of = |table| Key::of(table).tenant(tenant).text(&row.owner).text(&row.provider);
    let label = row
        .label
        .as_deref()
        .map(|label| of(Table::ConnectionByLabel).text(label));
    let account = row
        .account
        .as_deref()
        .map(|account| of(Table::ConnectionByAccount).text(account));
    let default = row.is_default.then(|| of(Table::ConnectionDefault));
    label.into_iter().chain(account).chain(default)
}

fn key(tenant: TenantRow, id: ConnectionId) -> Key {
    Key::of(Table::Connection).tenant(tenant).id(id.as_bytes())
}

fn used(tenant: TenantRow, id: ConnectionId) -> Key {
    Key::of(Table::ConnectionUse).tenant(tenant).id(id.as_bytes())
}

fn by_owner(tenant: TenantRow, owner: &str) -> Key {
    Key::of(Table::ConnectionByOwner).tenant(tenant).text(owner)
}

fn by_grant(tenant: TenantRow, grant: GrantId) -> Key {
    Key::of(Table::ConnectionByGrant)
        .tenant(tenant)
        .id(grant.as_bytes())
}

fn live(tenant: TenantRow, owner: &str, provider: &str) -> Key {
    Key::of(Table::ConnectionLive)
        .tenant(tenant)
        .text(owner)
        .text(provider)
}

/// Finds the connection that is the default, or the only one.
fn default_or_only(
    tx: &dyn Transaction,
    tenant: TenantRow,
    owner: &str,
    provider: &str,
) -> Result<std::result::Result<Key, FoundRows>> {
    let default = Key::of(Table::ConnectionDefault)
        .tenant(tenant)
        .text(owner)
        .text(provider);
    if let Some(key) = tx.get(default.as_bytes())? {
        return Ok(Ok(Key::from_bytes(key)));
    }
    let from = live(tenant, owner, provider);
    let mut found = tx.scan(from.as_bytes(), from.clone().end().as_bytes(), 2)?;
    Ok(match (found.pop(), found.pop()) {
        (Some((_, key)), None) => Ok(Key::from_bytes(key)),
        (None, _) => Err(FoundRows::Nothing),
        (Some(_), Some(_)) => Err(FoundRows::Several),
    })
}

pub(super) fn token(tx: &dyn Transaction, tenant: TenantRow, wanted: Wanted<'_>) -> Result<FoundRows> {
    let key = match wanted {
        Wanted::Owner { owner, provider } => match default_or_only(tx, tenant, owner, provider)? {
            Ok(key) => key,
            Err(found) => return Ok(found),
        },
        Wanted::Label {
            owner,
            provider,
            label,
        } => {
            let index = Key::of(Table::ConnectionByLabel)
                .tenant(tenant)
                .text(owner)
                .text(provider)
                .text(label);
            match tx.get(index.as_bytes())? {
                Some(key) => Key::from_bytes(key),
                None => return Ok(FoundRows::Nothing),
            }
        }
        Wanted::Id(id) => match row::get::<ConnectionRow>(tx, &key(tenant, id))? {
            Some(row) if !row.revoked => return with_access(tx, tenant, row),
            _ => return Ok(FoundRows::Nothing),
        },
    };
    with_access(tx, tenant, row::expect(tx, &key)?)
}

fn with_access(tx: &dyn Transaction, tenant: TenantRow, row: ConnectionRow) -> Result<FoundRows> {
    let Some(grant) = grants::get(tx, tenant, row.grant)? else {
        return Ok(FoundRows::Damaged);
    };
    let access = grants::access(tx, tenant, row.grant)?;
    Ok(FoundRows::One(Box::new(TokenRow::new(row, grant, access))))
}

fn listed(tx: &dyn Transaction, tenant: TenantRow, connection: ConnectionRow) -> Result<ListedRow> {
    let grant = grants::get(tx, tenant, connection.grant)?.ok_or(VaultError::Damaged)?;
    let used_at = last_use(tx, tenant, connection.id)?;
    Ok(ListedRow {
        connection,
        grant,
        used_at,
    })
}

fn last_use(tx: &dyn Transaction, tenant: TenantRow, id: ConnectionId) -> Result<Option<i64>> {
    let Some(value) = tx.get(used(tenant, id).as_bytes())? else {
        return Ok(None);
    };
    let mut record = Decoder::new(&value);
    let at = record.i64()?;
    record.finish()?;
    Ok(Some(at))
}

pub(super) fn get(tx: &dyn Transaction, tenant: TenantRow, id: ConnectionId) -> Result<Option<ListedRow>> {
    row::get(tx, &key(tenant, id))?
        .map(|row| listed(tx, tenant, row))
        .transpose()
}

/// Reads the narrowest range of keys that contains all the wanted connections. In each range, the
/// ids ascend.
pub(super) fn list(tx: &dyn Transaction, tenant: TenantRow, listing: &Listing<'_>) -> Result<Vec<ListedRow>> {
    let all = match (listing.grant, listing.owner, listing.provider) {
        (Some(grant), _, _) => by_grant(tenant, grant),
        (None, Some(owner), Some(provider)) if !listing.with_revoked => live(tenant, owner, provider),
        (None, Some(owner), _) => by_owner(tenant, owner),
        (None, None, _) => Key::of(Table::Connection).tenant(tenant),
    };
    let from = match listing.after {
        Some(after) => all.clone().id(after.as_bytes()).next(),
        None => all.clone(),
    };
    let beginning = all.as_bytes().len();
    row::collect(tx, from, &all.end(), listing.limit, |index, _| {
        let id = index
            .after(beginning)?
            .try_into()
            .map_err(|_| VaultError::Damaged)?;
        let row: ConnectionRow = row::expect(tx, &key(tenant, ConnectionId::from_bytes(id)))?;
        let is_wanted = listing.owner.is_none_or(|owner| row.owner == owner)
            && listing.provider.is_none_or(|provider| row.provider == provider)
            && listing.grant.is_none_or(|grant| row.grant == grant)
            && (listing.with_revoked || !row.revoked);
        if is_wanted {
            listed(tx, tenant, row).map(Some)
        } else {
            Ok(None)
        }
    })
}

pub(super) fn count(tx: &dyn Transaction, tenant: TenantRow, owner: Option<&str>) -> Result<usize> {
    let all = match owner {
        Some(owner) => by_owner(tenant, owner),
        None => Key::of(Table::Connection).tenant(tenant),
    };
    let mut count = 0;
    row::each(tx, all.clone(), &all.end(), |_, _| {
        count += 1;
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    Ok(count)
}

pub(super) fn put(tx: &mut dyn Transaction, tenant: TenantRow, row: &ConnectionRow) -> Result<bool> {
    if !row.revoked {
        let own = key(tenant, row.id);
        for index in unique(tenant, row) {
            if tx.get(index.as_bytes())?.is_some_and(|key| key != own.as_bytes()) {
                return Ok(false);
            }
        }
    }
    row::put(tx, tenant, row)?;
    Ok(true)
}

pub(super) fn record_uses(tx: &mut dyn Transaction, uses: &[(TenantRow, ConnectionId, i64)]) -> Result<()> {
    for &(tenant, id, at) in uses {
        let is_known = tx.get(key(tenant, id).as_bytes())?.is_some();
        if is_known && last_use(tx, tenant, id)?.is_none_or(|before| before < at) {
            tx.put(used(tenant, id).as_bytes(), &Encoder::new().i64(at).finish())?;
        }
    }
    Ok(())
}

/// Returns some connections of an owner, or of the tenant.
pub(super) fn some(
    tx: &dyn Transaction,
    tenant: TenantRow,
    owner: Option<&str>,
    limit: usize,
) -> Result<Vec<ConnectionRow>> {
    match owner {
        Some(owner) => {
            let all = by_owner(tenant, owner);
            row::collect(tx, all.clone(), &all.end(), limit, |_, key| {
                row::expect(tx, &Key::from_bytes(key)).map(Some)
            })
        }
        None => {
            let all = Key::of(Table::Connection).tenant(tenant);
            row::collect(tx, all.clone(), &all.end(), limit, |key, _| {
                row::expect(tx, &key).map(Some)
            })
        }
    }
}

/// Returns whether several connections use this grant.
pub(super) fn is_grant_shared(tx: &dyn Transaction, tenant: TenantRow, grant: GrantId) -> Result<bool> {
    let all = by_grant(tenant, grant);
    Ok(tx.scan(all.as_bytes(), all.clone().end().as_bytes(), 2)?.len() > 1)
}

/// Deletes a connection and the time of its last use.
pub(super) fn delete(tx: &mut dyn Transaction, tenant: TenantRow, id: ConnectionId) -> Result<()> {
    tx.delete(used(tenant, id).as_bytes())?;
    row::delete::<ConnectionRow>(tx, tenant, &key(tenant, id))
}
