//! The vault's own row, and tenants.

use super::Result;
use super::key::{Key, Table};
use super::row::{self, Duplicate};
use crate::model::{StoredName as _, TenantId};
use crate::vault::VaultError;
use crate::vault::codec::{Decoder, Encoder};
use crate::vault::sealed::store::Transaction;
use crate::vault::tables::{Of, TenantRow, VaultRow};

/// The version of keys and rows that this crate writes.
const FORMAT: u32 = 1;

pub(super) fn vault(tx: &dyn Transaction) -> Result<Option<VaultRow>> {
    let Some(value) = tx.get(Key::of(Table::Vault).as_bytes())? else {
        return Ok(None);
    };
    let mut record = Decoder::new(&value);
    let found = record.u32()?;
    if found > FORMAT {
        return Err(VaultError::NewerVersion {
            found,
            supported: FORMAT,
        });
    }
    let row = VaultRow {
        id: record.array()?,
        master_key: record.array()?,
        key_check: record.array()?,
        audit_key: record.bytes()?.to_vec(),
    };
    record.finish()?;
    Ok(Some(row))
}

pub(super) fn put_vault(tx: &mut dyn Transaction, row: &VaultRow) -> Result<()> {
    let record = Encoder::new()
        .u32(FORMAT)
        .bytes(&row.id)
        .bytes(&row.master_key)
        .bytes(&row.key_check)
        .bytes(&row.audit_key);
    tx.put(Key::of(Table::Vault).as_bytes(), &record.finish())
}

/// A tenant. A tenant without a name is being erased.
#[derive(Debug)]
struct Tenant {
    number: TenantRow,
    name: Option<TenantId>,
}

impl row::Row for Tenant {
    fn key(&self, tenant: TenantRow) -> Key {
        Key::of(Table::Tenant).tenant(tenant)
    }

    fn indexes(&self, tenant: TenantRow) -> Vec<Key> {
        vec![match &self.name {
            Some(name) => Key::of(Table::TenantByName).text(name.as_str()),
            None => Key::of(Table::TenantForgotten).tenant(tenant),
        }]
    }

    fn encode(&self) -> Vec<u8> {
        Encoder::new()
            .i64(self.number)
            .opt_text(self.name.as_ref().map(TenantId::as_str))
            .finish()
    }

    fn decode(record: &mut Decoder<'_>) -> Result<Self> {
        let number = record.i64()?;
        let name = record.opt_text()?.map(TenantId::stored).transpose();
        Ok(Self {
            number,
            name: name.map_err(|_| VaultError::Damaged)?,
        })
    }
}

fn key(tenant: TenantRow) -> Key {
    Key::of(Table::Tenant).tenant(tenant)
}

/// Returns the name of a tenant, unless it is being erased or does not exist.
pub(super) fn name(tx: &dyn Transaction, tenant: TenantRow) -> Result<Option<TenantId>> {
    Ok(row::get::<Tenant>(tx, &key(tenant))?.and_then(|tenant| tenant.name))
}

/// Returns a row with the name of its tenant; `None` if the tenant is being erased.
pub(super) fn named<T>(tx: &dyn Transaction, tenant: TenantRow, row: T) -> Result<Option<Of<T>>> {
    Ok(name(tx, tenant)?.map(|name| Of { tenant, name, row }))
}

pub(super) fn find(tx: &dyn Transaction, name: &TenantId) -> Result<Option<TenantRow>> {
    let index = Key::of(Table::TenantByName).text(name.as_str());
    let Some(key) = tx.get(index.as_bytes())? else {
        return Ok(None);
    };
    Key::from_bytes(key).tenant_of_row().map(Some)
}

pub(super) fn list(
    tx: &dyn Transaction,
    after: TenantRow,
    limit: usize,
) -> Result<Vec<(TenantRow, Option<TenantId>)>> {
    let end = Key::of(Table::Tenant).end();
    row::collect(tx, key(after).next(), &end, limit, |key, _| {
        let tenant = row::expect::<Tenant>(tx, &key)?;
        Ok(Some((tenant.number, tenant.name)))
    })
}

pub(super) fn forgotten(tx: &dyn Transaction) -> Result<Option<TenantRow>> {
    let found = row::collect(
        tx,
        Key::of(Table::TenantForgotten),
        &Key::of(Table::TenantForgotten).end(),
        1,
        |_, key| Key::from_bytes(key).tenant_of_row().map(Some),
    )?;
    Ok(found.first().copied())
}

pub(super) fn insert(tx: &mut dyn Transaction, name: &TenantId) -> Result<TenantRow> {
    if find(tx, name)?.is_some() {
        return Err(VaultError::storage(Duplicate));
    }
    let counter = Key::of(Table::LastTenant);
    let last = row::number(tx, &counter)?.unwrap_or(0);
    let next = last.checked_add(1).ok_or(VaultError::Damaged)?;
    let tenant = TenantRow::try_from(next).map_err(|_| VaultError::Damaged)?;
    row::put_number(tx, &counter, next)?;
    let row = Tenant {
        number: tenant,
        name: Some(name.clone()),
    };
    row::insert(tx, tenant, &row)?;
    Ok(tenant)
}

/// Inserts a tenant with this number. Later tenants get higher ones.
pub(super) fn insert_numbered(tx: &mut dyn Transaction, tenant: TenantRow, name: &TenantId) -> Result<()> {
    if find(tx, name)?.is_some() {
        return Err(VaultError::storage(Duplicate));
    }
    let counter = Key::of(Table::LastTenant);
    let last = row::number(tx, &counter)?.unwrap_or(0);
    let number = u64::try_from(tenant).map_err(|_| VaultError::Damaged)?;
    row::put_number(tx, &counter, last.max(number))?;
    let row = Tenant {
        number: tenant,
        name: Some(name.clone()),
    };
    row::insert(tx, tenant, &row)
}

/// Removes the name of a tenant.
pub(super) fn unname(tx: &mut dyn Transaction, tenant: TenantRow) -> Result<()> {
    if tx.get(key(tenant).as_bytes())?.is_some() {
        row::put(
            tx,
            tenant,
            &Tenant {
                number: tenant,
                name: None,
            },
        )?;
    }
    Ok(())
}

/// Deletes the row of a tenant.
pub(super) fn delete(tx: &mut dyn Transaction, tenant: TenantRow) -> Result<()> {
    row::delete::<Tenant>(tx, tenant, &key(tenant))
}
