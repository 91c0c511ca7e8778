//! The wrapped keys of tenants.
//!
//! The wrapped bytes have their own key in the store: they are written once, however often the row
//! counts a seal.

use super::Result;
use super::key::{Key, Table};
use super::{consents, definitions, grants, revocations, row, tenants};
use crate::vault::VaultError;
use crate::vault::codec::{Decoder, Encoder};
use crate::vault::sealed::store::Transaction;
use crate::vault::tables::{KeyRow, Of, TenantRow};

/// A key without its wrapped bytes.
#[derive(Debug)]
struct Counted {
    version: u32,
    master_key: [u8; 16],
    seals: u32,
    retired: bool,
}

impl row::Row for Counted {
    fn key(&self, tenant: TenantRow) -> Key {
        key(tenant, self.version)
    }

    fn indexes(&self, tenant: TenantRow) -> Vec<Key> {
        let by_master = Key::of(Table::KeyByMaster)
            .id(&self.master_key)
            .tenant(tenant)
            .version(self.version);
        let retired = Key::of(Table::KeyRetired).tenant(tenant).version(self.version);
        if self.retired {
            vec![by_master, retired]
        } else {
            vec![by_master]
        }
    }

    fn encode(&self) -> Vec<u8> {
        Encoder::new()
            .u32(self.version)
            .bytes(&self.master_key)
            .u32(self.seals)
            .flag(self.retired)
            .finish()
    }

    fn decode(record: &mut Decoder<'_>) -> Result<Self> {
        Ok(Self {
            version: record.u32()?,
            master_key: record.array()?,
            seals: record.u32()?,
            retired: record.flag()?,
        })
    }
}

/// Returns the key of a row. Versions are inverted, so that the newest comes first.
fn key(tenant: TenantRow, version: u32) -> Key {
    Key::of(Table::Key).tenant(tenant).version(!version)
}

fn wrapped(tenant: TenantRow, version: u32) -> Key {
    Key::of(Table::KeyWrapped).tenant(tenant).version(!version)
}

fn read(tx: &dyn Transaction, tenant: TenantRow, key: Counted) -> Result<KeyRow> {
    let wrapped = tx.get(wrapped(tenant, key.version).as_bytes())?;
    Ok(KeyRow {
        version: key.version,
        master_key: key.master_key,
        wrapped: wrapped.ok_or(VaultError::Damaged)?,
        seals: key.seals,
        retired: key.retired,
    })
}

pub(super) fn newest(tx: &dyn Transaction, tenant: TenantRow, below: u32) -> Result<Option<KeyRow>> {
    let Some(highest) = below.checked_sub(1) else {
        return Ok(None);
    };
    let end = Key::of(Table::Key).tenant(tenant).end();
    let found = row::collect(tx, key(tenant, highest), &end, 1, |key, _| {
        read(tx, tenant, row::expect(tx, &key)?).map(Some)
    })?;
    Ok(found.into_iter().next())
}

pub(super) fn get(tx: &dyn Transaction, tenant: TenantRow, version: u32) -> Result<Option<KeyRow>> {
    row::get(tx, &key(tenant, version))?
        .map(|key| read(tx, tenant, key))
        .transpose()
}

pub(super) fn retired(tx: &dyn Transaction) -> Result<Vec<Of<u32>>> {
    let from = Key::of(Table::KeyRetired);
    row::collect(tx, from.clone(), &from.end(), usize::MAX, |_, key| {
        let key = Key::from_bytes(key);
        tenants::named(
            tx,
            key.tenant_of_row()?,
            row::expect::<Counted>(tx, &key)?.version,
        )
    })
}

pub(super) fn master_keys(tx: &dyn Transaction) -> Result<Vec<[u8; 16]>> {
    let end = Key::of(Table::KeyByMaster).end();
    let mut from = Key::of(Table::KeyByMaster);
    let mut all = Vec::new();
    // Reads one index entry for each master key.
    loop {
        let found = tx.scan(from.as_bytes(), end.as_bytes(), 1)?;
        let Some((key, _)) = found.into_iter().next() else {
            return Ok(all);
        };
        let key = Key::from_bytes(key);
        let id = *key.after(1)?.first_chunk().ok_or(VaultError::Damaged)?;
        from = Key::of(Table::KeyByMaster).id(&id).end();
        all.push(id);
    }
}

pub(super) fn wrapped_by(
    tx: &dyn Transaction,
    master_key: &[u8; 16],
    limit: usize,
) -> Result<Vec<Of<KeyRow>>> {
    let from = Key::of(Table::KeyByMaster).id(master_key);
    row::collect(tx, from.clone(), &from.end(), limit, |_, key| {
        let key = Key::from_bytes(key);
        let tenant = key.tenant_of_row()?;
        tenants::named(tx, tenant, read(tx, tenant, row::expect(tx, &key)?)?)
    })
}

pub(super) fn is_named(tx: &dyn Transaction, tenant: TenantRow, version: u32) -> Result<bool> {
    Ok(row::any(tx, grants::by_key(tenant, version))?
        || row::any(tx, consents::by_key(tenant, version))?
        || row::any(tx, revocations::by_key(tenant, version))?
        || row::any(tx, definitions::by_key(tenant, version))?)
}

pub(super) fn insert(tx: &mut dyn Transaction, tenant: TenantRow, key: &KeyRow) -> Result<()> {
    let counted = Counted {
        version: key.version,
        master_key: key.master_key,
        seals: key.seals,
        retired: key.retired,
    };
    row::insert(tx, tenant, &counted)?;
    tx.put(wrapped(tenant, key.version).as_bytes(), &key.wrapped)
}

pub(super) fn count_seals(
    tx: &mut dyn Transaction,
    tenant: TenantRow,
    version: u32,
    seals: u32,
    most: u32,
) -> Result<bool> {
    let Some(key) = row::get::<Counted>(tx, &key(tenant, version))? else {
        return Ok(false);
    };
    match key.seals.checked_add(seals) {
        Some(seals) if seals <= most && !key.retired => {
            row::put(tx, tenant, &Counted { seals, ..key })?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

pub(super) fn may_seal(tx: &dyn Transaction, tenant: TenantRow, version: u32) -> Result<bool> {
    let key = row::get::<Counted>(tx, &key(tenant, version))?;
    Ok(key.is_some_and(|key| !key.retired))
}

pub(super) fn retire(tx: &mut dyn Transaction, tenant: TenantRow, from: u32, below: u32) -> Result<()> {
    let Some(highest) = below.checked_sub(1) else {
        return Ok(());
    };
    let end = key(tenant, from).end();
    let found = row::collect(tx, key(tenant, highest), &end, usize::MAX, |key, _| {
        row::expect::<Counted>(tx, &key).map(Some)
    })?;
    for key in found {
        row::put(tx, tenant, &Counted { retired: true, ..key })?;
    }
    Ok(())
}

pub(super) fn delete(tx: &mut dyn Transaction, tenant: TenantRow, version: u32) -> Result<()> {
    tx.delete(wrapped(tenant, version).as_bytes())?;
    row::delete::<Counted>(tx, tenant, &key(tenant, version))
}

pub(super) fn delete_all(tx: &mut dyn Transaction, tenant: TenantRow) -> Result<()> {
    let from = Key::of(Table::Key).tenant(tenant);
    let versions = row::collect(tx, from.clone(), &from.end(), usize::MAX, |key, _| {
        row::expect::<Counted>(tx, &key).map(|key| Some(key.version))
    })?;
    for version in versions {
        delete(tx, tenant, version)?;
    }
    Ok(())
}

/// Replaces the fields that a rewrap changes. Seals that were counted since `before` was read are
/// kept.
pub(super) fn rewrap(
    tx: &mut dyn Transaction,
    tenant: TenantRow,
    before: &KeyRow,
    after: &KeyRow,
) -> Result<bool> {
    let Some(stored) = row::get::<Counted>(tx, &key(tenant, before.version))? else {
        return Ok(false);
    };
    let place = wrapped(tenant, before.version);
    let is_before = stored.master_key == before.master_key
        && tx.get(place.as_bytes())?.as_deref() == Some(&before.wrapped);
    if is_before {
        row::put(
            tx,
            tenant,
            &Counted {
                master_key: after.master_key,
                ..stored
            },
        )?;
        tx.put(place.as_bytes(), &after.wrapped)?;
    }
    Ok(is_before)
}
