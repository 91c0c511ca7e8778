//! Revocations that a provider has not confirmed, and their sealed tokens.

use super::Result;
use super::key::{Key, Table};
use super::{row, tenants};
use crate::model::{ConnectionId, RevocationId};
use crate::vault::codec::{Decoder, Encoder};
use crate::vault::sealed::store::Transaction;
use crate::vault::tables::{Of, RevocationRow, Sealed, TenantRow};

impl row::Row for RevocationRow {
    fn key(&self, tenant: TenantRow) -> Key {
        key(tenant, self.id)
    }

    fn indexes(&self, tenant: TenantRow) -> Vec<Key> {
        let mut indexes = vec![
            Key::of(Table::RevocationByTime)
                .time(self.not_before)
                .tenant(tenant),
            by_connection(tenant, self.connection),
            by_owner(tenant, &self.owner),
        ];
        if self.key_version != 0 {
            indexes.push(by_key(tenant, self.key_version));
        }
        indexes
            .into_iter()
            .map(|index| index.id(self.id.as_bytes()))
            .collect()
    }

    fn encode(&self) -> Vec<u8> {
        Encoder::new()
            .bytes(self.id.as_bytes())
            .bytes(self.connection.as_bytes())
            .text(&self.owner)
            .i64(self.not_before)
            .u32(self.attempts)
            .i64(self.give_up_at)
            .bytes(&self.body)
            .u32(self.key_version)
            .finish()
    }

    fn decode(record: &mut Decoder<'_>) -> Result<Self> {
        Ok(Self {
            id: RevocationId::from_bytes(record.array()?),
            connection: ConnectionId::from_bytes(record.array()?),
            owner: record.text()?.to_owned(),
            not_before: record.i64()?,
            attempts: record.u32()?,
            give_up_at: record.i64()?,
            body: record.bytes()?.to_vec(),
            key_version: record.u32()?,
        })
    }
}

fn key(tenant: TenantRow, id: RevocationId) -> Key {
    Key::of(Table::Revocation).tenant(tenant).id(id.as_bytes())
}

fn access_key(tenant: TenantRow, id: RevocationId) -> Key {
    Key::of(Table::RevocationAccess).tenant(tenant).id(id.as_bytes())
}

fn rest_key(tenant: TenantRow, id: RevocationId) -> Key {
    Key::of(Table::RevocationRest).tenant(tenant).id(id.as_bytes())
}

fn by_connection(tenant: TenantRow, connection: ConnectionId) -> Key {
    Key::of(Table::RevocationByConnection)
        .tenant(tenant)
        .id(connection.as_bytes())
}

fn by_owner(tenant: TenantRow, owner: &str) -> Key {
    Key::of(Table::RevocationByOwner).tenant(tenant).text(owner)
}

/// Returns the beginning of the index entries of revocations whose tokens this version of the key
/// seals.
pub(super) fn by_key(tenant: TenantRow, version: u32) -> Key {
    Key::of(Table::RevocationByKey).tenant(tenant).version(version)
}

fn with_secrets(
    tx: &dyn Transaction,
    tenant: TenantRow,
    row: RevocationRow,
) -> Result<(RevocationRow, Sealed)> {
    let sealed = Sealed {
        access: tx.get(access_key(tenant, row.id).as_bytes())?,
        rest: tx.get(rest_key(tenant, row.id).as_bytes())?,
    };
    Ok((row, sealed))
}

pub(super) fn get(
    tx: &dyn Transaction,
    tenant: TenantRow,
    id: RevocationId,
) -> Result<Option<(RevocationRow, Sealed)>> {
    row::get(tx, &key(tenant, id))?
        .map(|row| with_secrets(tx, tenant, row))
        .transpose()
}

pub(super) fn due(tx: &dyn Transaction, now: i64, limit: usize) -> Result<Vec<Of<(RevocationRow, Sealed)>>> {
    let all = Key::of(Table::RevocationByTime);
    let end = all.clone().time(now).end();
    row::collect(tx, all, &end, limit, |_, key| {
        let key = Key::from_bytes(key);
        let tenant = key.tenant_of_row()?;
        let row = row::expect(tx, &key)?;
        tenants::named(tx, tenant, with_secrets(tx, tenant, row)?)
    })
}

pub(super) fn of_connection(
    tx: &dyn Transaction,
    tenant: TenantRow,
    connection: ConnectionId,
) -> Result<Vec<(RevocationRow, Sealed)>> {
    row::indexed(tx, by_connection(tenant, connection))?
        .into_iter()
        .map(|row| with_secrets(tx, tenant, row))
        .collect()
}

pub(super) fn after(
    tx: &dyn Transaction,
    tenant: TenantRow,
    after: Option<RevocationId>,
    limit: usize,
) -> Result<Vec<(RevocationRow, Sealed)>> {
    let all = Key::of(Table::Revocation).tenant(tenant);
    let from = after.map_or_else(|| all.clone(), |after| key(tenant, after).next());
    row::collect(tx, from, &all.end(), limit, |_, record| {
        with_secrets(tx, tenant, row::decode(&record)?).map(Some)
    })
}

pub(super) fn are_at_least(tx: &dyn Transaction, count: usize) -> Result<bool> {
    let all = Key::of(Table::RevocationByTime);
    let found = row::collect(tx, all.clone(), &all.end(), count, |_, _| Ok(Some(())))?;
    Ok(found.len() >= count)
}

pub(super) fn insert(
    tx: &mut dyn Transaction,
    tenant: TenantRow,
    row: &RevocationRow,
    secrets: &Sealed,
) -> Result<()> {
    row::insert(tx, tenant, row)?;
    row::put_sealed(
        tx,
        &access_key(tenant, row.id),
        secrets.access.as_deref().unwrap_or_default(),
    )?;
    row::put_sealed(
        tx,
        &rest_key(tenant, row.id),
        secrets.rest.as_deref().unwrap_or_default(),
    )
}

pub(super) fn schedule(tx: &mut dyn Transaction, tenant: TenantRow, row: &RevocationRow) -> Result<()> {
    let Some(stored) = row::get::<RevocationRow>(tx, &key(tenant, row.id))? else {
        return Ok(());
    };
    let scheduled = RevocationRow {
        not_before: row.not_before,
        attempts: row.attempts,
        ..stored
    };
    row::put(tx, tenant, &scheduled)
}

pub(super) fn delete(tx: &mut dyn Transaction, tenant: TenantRow, id: RevocationId) -> Result<()> {
    tx.delete(access_key(tenant, id).as_bytes())?;
    tx.delete(rest_key(tenant, id).as_bytes())?;
    row::delete::<RevocationRow>(tx, tenant, &key(tenant, id))
}

/// Returns some revocations of an owner, or of the tenant.
pub(super) fn some(
    tx: &dyn Transaction,
    tenant: TenantRow,
    owner: Option<&str>,
    limit: usize,
) -> Result<Vec<RevocationId>> {
    let id = |key: &Key| row::expect::<RevocationRow>(tx, key).map(|row| Some(row.id));
    match owner {
        Some(owner) => {
            let all = by_owner(tenant, owner);
            row::collect(tx, all.clone(), &all.end(), limit, |_, key| {
                id(&Key::from_bytes(key))
            })
        }
        None => {
            let all = Key::of(Table::Revocation).tenant(tenant);
            row::collect(tx, all.clone(), &all.end(), limit, |key, _| id(&key))
        }
    }
}
