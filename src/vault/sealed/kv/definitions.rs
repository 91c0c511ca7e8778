//! Definitions and their sealed content.

use super::Result;
use super::key::{Key, Table};
use super::row;
use crate::vault::DefinitionVersion;
use crate::vault::codec::{Decoder, Encoder};
use crate::vault::sealed::store::Transaction;
use crate::vault::tables::{DefinitionRow, SealedDefinition, TenantRow};

impl row::Row for DefinitionRow {
    fn key(&self, tenant: TenantRow) -> Key {
        key(tenant, &self.kind, &self.name)
    }

    fn indexes(&self, tenant: TenantRow) -> Vec<Key> {
        vec![
            Key::of(Table::DefinitionByName)
                .text(&self.kind)
                .text(&self.name)
                .tenant(tenant),
            by_key(tenant, self.key_version).text(&self.kind).text(&self.name),
        ]
    }

    fn encode(&self) -> Vec<u8> {
        Encoder::new()
            .text(&self.kind)
            .text(&self.name)
            .bytes(self.version.as_bytes())
            .u64(self.revision)
            .u32(self.key_version)
            .finish()
    }

    fn decode(record: &mut Decoder<'_>) -> Result<Self> {
        Ok(Self {
            kind: record.text()?.to_owned(),
            name: record.text()?.to_owned(),
            version: DefinitionVersion::from_bytes(record.array()?),
            revision: record.u64()?,
            key_version: record.u32()?,
        })
    }
}

fn key(tenant: TenantRow, kind: &str, name: &str) -> Key {
    Key::of(Table::Definition).tenant(tenant).text(kind).text(name)
}

fn content(tenant: TenantRow, kind: &str, name: &str) -> Key {
    Key::of(Table::DefinitionContent)
        .tenant(tenant)
        .text(kind)
        .text(name)
}

/// Returns the beginning of the index entries of definitions whose content this version of the key
/// seals.
pub(super) fn by_key(tenant: TenantRow, version: u32) -> Key {
    Key::of(Table::DefinitionByKey).tenant(tenant).version(version)
}

fn with_content(tx: &dyn Transaction, tenant: TenantRow, row: DefinitionRow) -> Result<SealedDefinition> {
    let sealed = tx.get(content(tenant, &row.kind, &row.name).as_bytes())?;
    Ok((row, sealed))
}

pub(super) fn get(
    tx: &dyn Transaction,
    tenant: TenantRow,
    kind: &str,
    name: &str,
) -> Result<Option<SealedDefinition>> {
    row::get(tx, &key(tenant, kind, name))?
        .map(|row| with_content(tx, tenant, row))
        .transpose()
}

/// Returns all rows in a range of keys, sorted by kind and name: keys sort by the length of a name
/// first.
fn sorted(rows: Vec<DefinitionRow>) -> Vec<DefinitionRow> {
    let mut rows = rows;
    rows.sort_by(|left, right| (&left.kind, &left.name).cmp(&(&right.kind, &right.name)));
    rows
}

fn of_tenant(tx: &dyn Transaction, all: Key) -> Result<Vec<DefinitionRow>> {
    let end = all.clone().end();
    let rows = row::collect(tx, all, &end, usize::MAX, |key, _| {
        row::expect(tx, &key).map(Some)
    })?;
    Ok(sorted(rows))
}

pub(super) fn list(
    tx: &dyn Transaction,
    tenant: TenantRow,
    kind: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<SealedDefinition>> {
    of_tenant(tx, Key::of(Table::Definition).tenant(tenant).text(kind))?
        .into_iter()
        .filter(|row| after.is_none_or(|after| row.name.as_str() > after))
        .take(limit)
        .map(|row| with_content(tx, tenant, row))
        .collect()
}

pub(super) fn count(tx: &dyn Transaction, tenant: TenantRow) -> Result<usize> {
    let all = Key::of(Table::Definition).tenant(tenant);
    let end = all.clone().end();
    Ok(row::collect(tx, all, &end, usize::MAX, |_, _| Ok(Some(())))?.len())
}

pub(super) fn names(
    tx: &dyn Transaction,
    kind: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>> {
    let all = row::indexed::<DefinitionRow>(tx, Key::of(Table::DefinitionByName).text(kind))?;
    let mut names: Vec<_> = sorted(all).into_iter().map(|row| row.name).collect();
    names.dedup();
    names.retain(|name| after.is_none_or(|after| name.as_str() > after));
    names.truncate(limit);
    Ok(names)
}

pub(super) fn sealed_by(
    tx: &dyn Transaction,
    tenant: TenantRow,
    version: u32,
    after: Option<(&str, &str)>,
    limit: usize,
) -> Result<Vec<SealedDefinition>> {
    sorted(row::indexed(tx, by_key(tenant, version))?)
        .into_iter()
        .filter(|row| after.is_none_or(|after| (row.kind.as_str(), row.name.as_str()) > after))
        .take(limit)
        .map(|row| with_content(tx, tenant, row))
        .collect()
}

pub(super) fn put(
    tx: &mut dyn Transaction,
    tenant: TenantRow,
    row: &DefinitionRow,
    sealed: &[u8],
) -> Result<()> {
    row::put(tx, tenant, row)?;
    row::put_sealed(tx, &content(tenant, &row.kind, &row.name), sealed)
}

pub(super) fn delete(tx: &mut dyn Transaction, tenant: TenantRow, kind: &str, name: &str) -> Result<()> {
    tx.delete(content(tenant, kind, name).as_bytes())?;
    row::delete::<DefinitionRow>(tx, tenant, &key(tenant, kind, name))
}

/// Returns the kinds and names of some definitions of a tenant.
pub(super) fn some(tx: &dyn Transaction, tenant: TenantRow, limit: usize) -> Result<Vec<(String, String)>> {
    let all = Key::of(Table::Definition).tenant(tenant);
    let end = all.clone().end();
    row::collect(tx, all, &end, limit, |key, _| {
        let row = row::expect::<DefinitionRow>(tx, &key)?;
        Ok(Some((row.kind, row.name)))
    })
}
