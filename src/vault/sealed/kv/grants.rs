//! Grants and their sealed tokens.

use super::Result;
use super::key::{Key, Table};
use super::{row, tenants};
use crate::model::GrantId;
use crate::vault::VaultError;
use crate::vault::codec::{Decoder, Encoder};
use crate::vault::sealed::store::Transaction;
use crate::vault::tables::{DueRows, GrantRow, Of, Sealed, Secrets, TenantRow};

impl row::Row for GrantRow {
    fn key(&self, tenant: TenantRow) -> Key {
        key(tenant, self.id)
    }

    fn indexes(&self, tenant: TenantRow) -> Vec<Key> {
        let mut indexes = Vec::new();
        let mut add = |index: Key| indexes.push(index.id(self.id.as_bytes()));
        if let Some(of) = self.former_of {
            add(by_former(tenant, of));
        }
        if self.key_version != 0 {
            add(by_key(tenant, self.key_version));
        }
        if self.status == "active" && self.refreshable && self.former_of.is_none() {
            add(by_refresh(&self.server).time(self.refreshed_at).tenant(tenant));
            if let Some(expires_at) = self.expires_at {
                add(by_expiry(&self.server).time(expires_at).tenant(tenant));
            }
        }
        if let Some(until) = self.quarantined_until {
            add(Key::of(Table::GrantByQuarantine).time(until).tenant(tenant));
        }
        if let (Some(at), Some(_)) = (self.dead_at, self.former_of) {
            add(Key::of(Table::GrantByDeath).time(at).tenant(tenant));
        }
        indexes
    }

    fn encode(&self) -> Vec<u8> {
        Encoder::new()
            .bytes(self.id.as_bytes())
            .opt_bytes(self.former_of.as_ref().map(|id| id.as_bytes().as_slice()))
            .text(&self.status)
            .u64(self.generation)
            .flag(self.refreshable)
            .text(&self.server)
            .opt_i64(self.expires_at)
            .i64(self.refreshed_at)
            .opt_i64(self.not_before)
            .opt_i64(self.held_until)
            .opt_i64(self.quarantined_until)
            .opt_i64(self.dead_at)
            .bytes(&self.route)
            .bytes(&self.state)
            .u32(self.key_version)
            .u64(self.revision)
            .bytes(&self.mac)
            .finish()
    }

    fn decode(record: &mut Decoder<'_>) -> Result<Self> {
        Ok(Self {
            id: GrantId::from_bytes(record.array()?),
            former_of: record.opt_array()?.map(GrantId::from_bytes),
            status: record.text()?.to_owned(),
            generation: record.u64()?,
            refreshable: record.flag()?,
            server: record.text()?.to_owned(),
            expires_at: record.opt_i64()?,
            refreshed_at: record.i64()?,
            not_before: record.opt_i64()?,
            held_until: record.opt_i64()?,
            quarantined_until: record.opt_i64()?,
            dead_at: record.opt_i64()?,
            route: record.bytes()?.to_vec(),
            state: record.bytes()?.to_vec(),
            key_version: record.u32()?,
            revision: record.u64()?,
            mac: record.array()?,
        })
    }
}

fn key(tenant: TenantRow, id: GrantId) -> Key {
    Key::of(Table::Grant).tenant(tenant).id(id.as_bytes())
}

fn access_key(tenant: TenantRow, id: GrantId) -> Key {
    Key::of(Table::GrantAccess).tenant(tenant).id(id.as_bytes())
}

fn rest_key(tenant: TenantRow, id: GrantId) -> Key {
    Key::of(Table::GrantRest).tenant(tenant).id(id.as_bytes())
}

fn by_former(tenant: TenantRow, of: GrantId) -> Key {
    Key::of(Table::GrantByFormer).tenant(tenant).id(of.as_bytes())
}

/// Returns the beginning of the index entries of grants that this version of the key seals.
pub(super) fn by_key(tenant: TenantRow, version: u32) -> Key {
    Key::of(Table::GrantByKey).tenant(tenant).version(version)
}

fn by_expiry(server: &str) -> Key {
    Key::of(Table::GrantByExpiry).text(server)
}

fn by_refresh(server: &str) -> Key {
    Key::of(Table::GrantByRefresh).text(server)
}

pub(super) fn get(tx: &dyn Transaction, tenant: TenantRow, id: GrantId) -> Result<Option<GrantRow>> {
    row::get(tx, &key(tenant, id))
}

pub(super) fn access(tx: &dyn Transaction, tenant: TenantRow, id: GrantId) -> Result<Option<Vec<u8>>> {
    tx.get(access_key(tenant, id).as_bytes())
}

pub(super) fn secrets(tx: &dyn Transaction, tenant: TenantRow, id: GrantId) -> Result<Sealed> {
    Ok(Sealed {
        access: access(tx, tenant, id)?,
        rest: tx.get(rest_key(tenant, id).as_bytes())?,
    })
}

pub(super) fn formers(tx: &dyn Transaction, tenant: TenantRow, of: GrantId) -> Result<Vec<GrantRow>> {
    row::indexed(tx, by_former(tenant, of))
}

pub(super) fn sealed_by(
    tx: &dyn Transaction,
    tenant: TenantRow,
    version: u32,
    after: Option<GrantId>,
    limit: usize,
) -> Result<Vec<(GrantRow, Sealed)>> {
    let all = by_key(tenant, version);
    let from = match after {
        Some(after) => all.clone().id(after.as_bytes()).next(),
        None => all.clone(),
    };
    row::collect(tx, from, &all.end(), limit, |_, key| {
        let grant: GrantRow = row::expect(tx, &Key::from_bytes(key))?;
        let sealed = secrets(tx, tenant, grant.id)?;
        Ok(Some((grant, sealed)))
    })
}

pub(super) fn after(
    tx: &dyn Transaction,
    tenant: TenantRow,
    after: Option<GrantId>,
    limit: usize,
) -> Result<Vec<(GrantRow, Sealed)>> {
    let all = Key::of(Table::Grant).tenant(tenant);
    let from = after.map_or_else(|| all.clone(), |after| key(tenant, after).next());
    row::collect(tx, from, &all.end(), limit, |_, record| {
        let grant: GrantRow = row::decode(&record)?;
        let sealed = secrets(tx, tenant, grant.id)?;
        Ok(Some((grant, sealed)))
    })
}

/// Returns first the grants that expire, by expiry, then those that are only idle, by the time of
/// their last refresh.
pub(super) fn due(tx: &dyn Transaction, due: &DueRows<'_>) -> Result<Vec<Of<GrantRow>>> {
    let is_free = |grant: &GrantRow| {
        grant.held_until.is_none_or(|until| until <= due.now)
            && grant.not_before.is_none_or(|time| time <= due.now)
    };
    let expires = |grant: &GrantRow| grant.expires_at.is_some_and(|at| at < due.expires_before);

    let all = by_expiry(due.server);
    let end = all.clone().time(due.expires_before);
    let mut found = row::collect(tx, all, &end, due.limit, |_, key| {
        let (tenant, grant) = indexed(tx, key)?;
        if is_free(&grant) {
            tenants::named(tx, tenant, grant)
        } else {
            Ok(None)
        }
    })?;

    if let Some(before) = due.refreshed_before {
        let all = by_refresh(due.server);
        let end = all.clone().time(before);
        let idle = row::collect(tx, all, &end, due.limit - found.len(), |_, key| {
            let (tenant, grant) = indexed(tx, key)?;
            if is_free(&grant) && !expires(&grant) {
                tenants::named(tx, tenant, grant)
            } else {
                Ok(None)
            }
        })?;
        found.extend(idle);
    }
    Ok(found)
}

/// Returns the grant that an index entry leads to, and its tenant.
fn indexed(tx: &dyn Transaction, key: Vec<u8>) -> Result<(TenantRow, GrantRow)> {
    let key = Key::from_bytes(key);
    Ok((key.tenant_of_row()?, row::expect(tx, &key)?))
}

/// Returns the grants in an index by time whose time is not after `now`, the earliest first.
fn until(tx: &dyn Transaction, index: Table, now: i64, limit: usize) -> Result<Vec<Of<GrantId>>> {
    let end = Key::of(index).time(now).end();
    row::collect(tx, Key::of(index), &end, limit, |_, key| {
        let key = Key::from_bytes(key);
        let id = key.after(9)?.try_into().map_err(|_| VaultError::Damaged)?;
        tenants::named(tx, key.tenant_of_row()?, GrantId::from_bytes(id))
    })
}

pub(super) fn ended_quarantines(tx: &dyn Transaction, now: i64, limit: usize) -> Result<Vec<Of<GrantId>>> {
    until(tx, Table::GrantByQuarantine, now, limit)
}

pub(super) fn dead(tx: &dyn Transaction, now: i64, limit: usize) -> Result<Vec<Of<GrantId>>> {
    until(tx, Table::GrantByDeath, now, limit)
}

pub(super) fn put(
    tx: &mut dyn Transaction,
    tenant: TenantRow,
    row: &GrantRow,
    secrets: Secrets<'_>,
) -> Result<()> {
    let (access_key, rest_key) = (access_key(tenant, row.id), rest_key(tenant, row.id));
    match secrets {
        Secrets::Keep => {}
        Secrets::Set { access, rest } => {
            row::put_sealed(tx, &access_key, access)?;
            row::put_sealed(tx, &rest_key, rest)?;
        }
        Secrets::EraseAccess => tx.delete(access_key.as_bytes())?,
        Secrets::Erase => {
            tx.delete(access_key.as_bytes())?;
            tx.delete(rest_key.as_bytes())?;
        }
    }
    row::put(tx, tenant, row)
}

pub(super) fn delete(tx: &mut dyn Transaction, tenant: TenantRow, id: GrantId) -> Result<()> {
    tx.delete(access_key(tenant, id).as_bytes())?;
    tx.delete(rest_key(tenant, id).as_bytes())?;
    row::delete::<GrantRow>(tx, tenant, &key(tenant, id))
}

/// Returns some grants of a tenant.
pub(super) fn some(tx: &dyn Transaction, tenant: TenantRow, limit: usize) -> Result<Vec<GrantId>> {
    let all = Key::of(Table::Grant).tenant(tenant);
    row::collect(tx, all.clone(), &all.end(), limit, |key, _| {
        row::expect::<GrantRow>(tx, &key).map(|grant| Some(grant.id))
    })
}
