//! Consent requests and their sealed verifiers.

use super::Result;
use super::key::{Key, Table};
use super::{row, tenants};
use crate::model::{ConnectionId, ConsentId};
use crate::vault::StateHash;
use crate::vault::codec::{Decoder, Encoder};
use crate::vault::sealed::store::Transaction;
use crate::vault::tables::{ConsentRow, Of, TenantRow};

impl row::Row for ConsentRow {
    fn key(&self, tenant: TenantRow) -> Key {
        key(tenant, &self.state)
    }

    fn indexes(&self, tenant: TenantRow) -> Vec<Key> {
        let mut indexes = vec![
            by_user(tenant, &self.user),
            by_owner(tenant, &self.owner),
            Key::of(Table::ConsentByExpiry)
                .time(self.expires_at)
                .tenant(tenant),
        ];
        if self.key_version != 0 {
            indexes.push(by_key(tenant, self.key_version));
        }
        indexes
            .into_iter()
            .map(|index| index.id(self.state.as_bytes()))
            .collect()
    }

    fn encode(&self) -> Vec<u8> {
        Encoder::new()
            .bytes(self.state.as_bytes())
            .bytes(self.id.as_bytes())
            .text(&self.user)
            .text(&self.owner)
            .i64(self.expires_at)
            .text(&self.status)
            .opt_bytes(self.completed.as_ref().map(|id| id.as_bytes().as_slice()))
            .bytes(&self.body)
            .u32(self.key_version)
            .bytes(&self.mac)
            .finish()
    }

    fn decode(record: &mut Decoder<'_>) -> Result<Self> {
        Ok(Self {
            state: StateHash::from_bytes(record.array()?),
            id: ConsentId::from_bytes(record.array()?),
            user: record.text()?.to_owned(),
            owner: record.text()?.to_owned(),
            expires_at: record.i64()?,
            status: record.text()?.to_owned(),
            completed: record.opt_array()?.map(ConnectionId::from_bytes),
            body: record.bytes()?.to_vec(),
            key_version: record.u32()?,
            mac: record.array()?,
        })
    }
}

fn key(tenant: TenantRow, state: &StateHash) -> Key {
    Key::of(Table::Consent).tenant(tenant).id(state.as_bytes())
}

fn verifier(tenant: TenantRow, state: &StateHash) -> Key {
    Key::of(Table::ConsentVerifier)
        .tenant(tenant)
        .id(state.as_bytes())
}

fn by_user(tenant: TenantRow, user: &str) -> Key {
    Key::of(Table::ConsentByUser).tenant(tenant).text(user)
}

fn by_owner(tenant: TenantRow, owner: &str) -> Key {
    Key::of(Table::ConsentByOwner).tenant(tenant).text(owner)
}

/// Returns the beginning of the index entries of consent requests whose verifier this version of
/// the key seals.
pub(super) fn by_key(tenant: TenantRow, version: u32) -> Key {
    Key::of(Table::ConsentByKey).tenant(tenant).version(version)
}

pub(super) fn get(
    tx: &dyn Transaction,
    tenant: TenantRow,
    state: &StateHash,
) -> Result<Option<(ConsentRow, Option<Vec<u8>>)>> {
    let Some(row) = row::get(tx, &key(tenant, state))? else {
        return Ok(None);
    };
    Ok(Some((row, tx.get(verifier(tenant, state).as_bytes())?)))
}

pub(super) fn of_user(
    tx: &dyn Transaction,
    tenant: TenantRow,
    user: &str,
) -> Result<Vec<(ConsentRow, Option<Vec<u8>>)>> {
    let mut all = Vec::new();
    for row in row::indexed::<ConsentRow>(tx, by_user(tenant, user))? {
        let sealed = tx.get(verifier(tenant, &row.state).as_bytes())?;
        all.push((row, sealed));
    }
    Ok(all)
}

pub(super) fn after(
    tx: &dyn Transaction,
    tenant: TenantRow,
    after: Option<&StateHash>,
    limit: usize,
) -> Result<Vec<(ConsentRow, Option<Vec<u8>>)>> {
    let all = Key::of(Table::Consent).tenant(tenant);
    let from = after.map_or_else(|| all.clone(), |after| key(tenant, after).next());
    row::collect(tx, from, &all.end(), limit, |_, record| {
        let row: ConsentRow = row::decode(&record)?;
        let sealed = tx.get(verifier(tenant, &row.state).as_bytes())?;
        Ok(Some((row, sealed)))
    })
}

pub(super) fn expired(tx: &dyn Transaction, before: i64, limit: usize) -> Result<Vec<Of<StateHash>>> {
    let all = Key::of(Table::ConsentByExpiry);
    let end = all.clone().time(before);
    row::collect(tx, all, &end, limit, |_, key| {
        let key = Key::from_bytes(key);
        let row: ConsentRow = row::expect(tx, &key)?;
        tenants::named(tx, key.tenant_of_row()?, row.state)
    })
}

pub(super) fn insert(
    tx: &mut dyn Transaction,
    tenant: TenantRow,
    row: &ConsentRow,
    sealed: &[u8],
) -> Result<()> {
    row::insert(tx, tenant, row)?;
    row::put_sealed(tx, &verifier(tenant, &row.state), sealed)
}

pub(super) fn end(
    tx: &mut dyn Transaction,
    tenant: TenantRow,
    state: &StateHash,
    status: &str,
    completed: Option<ConnectionId>,
) -> Result<()> {
    let Some(row) = row::get::<ConsentRow>(tx, &key(tenant, state))? else {
        return Ok(());
    };
    tx.delete(verifier(tenant, state).as_bytes())?;
    let ended = ConsentRow {
        status: status.to_owned(),
        completed,
        key_version: 0,
        ..row
    };
    row::put(tx, tenant, &ended)
}

pub(super) fn delete(tx: &mut dyn Transaction, tenant: TenantRow, state: &StateHash) -> Result<()> {
    tx.delete(verifier(tenant, state).as_bytes())?;
    row::delete::<ConsentRow>(tx, tenant, &key(tenant, state))
}

/// Returns some consent requests that a user began or that are for the user, or some of the tenant.
pub(super) fn some(
    tx: &dyn Transaction,
    tenant: TenantRow,
    person: Option<&str>,
    limit: usize,
) -> Result<Vec<StateHash>> {
    let state = |key: &Key| row::expect::<ConsentRow>(tx, key).map(|row| Some(row.state));
    let Some(person) = person else {
        let all = Key::of(Table::Consent).tenant(tenant);
        return row::collect(tx, all.clone(), &all.end(), limit, |key, _| state(&key));
    };
    let mut found = Vec::new();
    for all in [by_user(tenant, person), by_owner(tenant, person)] {
        found.extend(row::collect(tx, all.clone(), &all.end(), limit, |_, key| {
            state(&Key::from_bytes(key))
        })?);
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(limit);
    Ok(found)
}
