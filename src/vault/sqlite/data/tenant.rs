//! The vault's own row, tenants and their keys.

use crate::model::TenantId;
use crate::vault::VaultError;
use crate::vault::sqlite::data::slots::{self, Slot};
use crate::vault::sqlite::data::{columns, of_tenant, row, taken};
use crate::vault::sqlite::sql::Sql;
use crate::vault::sqlite::value::Columns;
use crate::vault::tables::{KeyRow, Of, TenantRow, VaultRow};

type Result<T> = std::result::Result<T, VaultError>;

macro_rules! vault_columns {
    ($($form:tt)+) => {
        columns! {$($form)+; VaultRow;
            id = id, master_key = master_key, key_check = key_check, audit_key = audit_key}
    };
}
vault_columns!(stored);

/// The columns of a key, its wrapped key last.
macro_rules! key_columns {
    () => {
        "k.version, k.master_key, k.seals, k.retired, k.slot, s.access"
    };
}

const VAULT: &str = concat!("SELECT ", vault_columns!(names), " FROM vault WHERE only = 1");
const PUT_VAULT: &str = concat!(
    "INSERT INTO vault (only, ",
    vault_columns!(names),
    ") VALUES (1, ",
    vault_columns!(values),
    ") ON CONFLICT (only) DO UPDATE SET ",
    vault_columns!(changes)
);

const TENANT: &str = "SELECT id FROM tenants WHERE name = :name";
const TENANTS: &str = "SELECT id, name FROM tenants WHERE id > :after ORDER BY id LIMIT :limit";
const FORGOTTEN: &str = "SELECT id FROM tenants WHERE name IS NULL LIMIT 1";
const INSERT_TENANT: &str = "INSERT INTO tenants (name) VALUES (:name)";
const INSERT_NUMBERED_TENANT: &str = "INSERT INTO tenants (id, name) VALUES (:tenant, :name)";
const UNNAME: &str = "UPDATE tenants SET name = NULL WHERE id = :tenant";
const DELETE_TENANT: &str = "DELETE FROM tenants WHERE id = :tenant";

const NEWEST_KEY: &str = concat!(
    "SELECT ",
    key_columns!(),
    " FROM tenant_keys k LEFT JOIN secrets s ON s.slot = k.slot
    WHERE k.tenant = :tenant AND k.version < :below ORDER BY k.version DESC LIMIT 1"
);
const KEY: &str = concat!(
    "SELECT ",
    key_columns!(),
    " FROM tenant_keys k LEFT JOIN secrets s ON s.slot = k.slot
    WHERE k.tenant = :tenant AND k.version = :version"
);
const RETIRED: &str = "SELECT t.id, t.name, k.version FROM tenant_keys k JOIN tenants t ON t.id = k.tenant
    WHERE k.retired = 1 AND t.name IS NOT NULL ORDER BY k.tenant, k.version";
const NEXT_MASTER: &str = "SELECT min(master_key) FROM tenant_keys WHERE master_key > :after";
const WRAPPED_BY: &str = concat!(
    "SELECT t.id, t.name, ",
    key_columns!(),
    " FROM tenant_keys k JOIN tenants t ON t.id = k.tenant LEFT JOIN secrets s ON s.slot = k.slot
    WHERE k.master_key = :master_key AND t.name IS NOT NULL LIMIT :limit"
);
const NAMES_KEY: &str = "SELECT 1 WHERE EXISTS (SELECT 1 FROM grants INDEXED BY grants_by_key
      WHERE tenant = :tenant AND key_version = :version AND slot IS NOT NULL)
    OR EXISTS (SELECT 1 FROM consents INDEXED BY consents_sealed
      WHERE tenant = :tenant AND key_version = :version AND slot IS NOT NULL)
    OR EXISTS (SELECT 1 FROM revocations INDEXED BY revocations_by_key
      WHERE tenant = :tenant AND key_version = :version)
    OR EXISTS (SELECT 1 FROM definitions INDEXED BY definitions_by_key
      WHERE tenant = :tenant AND key_version = :version)";
const INSERT_KEY: &str = "INSERT INTO tenant_keys (tenant, version, master_key, slot, seals, retired)
    VALUES (:tenant, :version, :master_key, :slot, :seals, :retired)";
const COUNT_SEALS: &str = "UPDATE tenant_keys SET seals = seals + :seals
    WHERE tenant = :tenant AND version = :version AND retired = 0 AND seals + :seals <= :most";
const MAY_SEAL: &str =
    "SELECT 1 FROM tenant_keys WHERE tenant = :tenant AND version = :version AND retired = 0";
const RETIRE: &str = "UPDATE tenant_keys SET retired = 1
    WHERE tenant = :tenant AND version >= :from AND version < :below AND retired = 0";
const KEY_SLOT: &str =
    "SELECT master_key, slot FROM tenant_keys WHERE tenant = :tenant AND version = :version";
const KEY_SLOTS: &str = "SELECT slot FROM tenant_keys WHERE tenant = :tenant";
const DELETE_KEY: &str = "DELETE FROM tenant_keys WHERE tenant = :tenant AND version = :version";
const DELETE_KEYS: &str = "DELETE FROM tenant_keys WHERE tenant = :tenant";
const REWRAP: &str = "UPDATE tenant_keys SET master_key = :master_key, slot = :slot
    WHERE tenant = :tenant AND version = :version";

fn key_row(columns: &mut Columns<'_>) -> Result<KeyRow> {
    Ok(KeyRow {
        version: columns.take()?,
        master_key: columns.take()?,
        seals: columns.take()?,
        retired: columns.take()?,
        wrapped: slots::joined_record(columns)?.ok_or(VaultError::Tampered)?,
    })
}

/// The master key that wraps a key, and the slot of the wrapped key.
fn key_slot(columns: &mut Columns<'_>) -> Result<([u8; 16], Slot)> {
    Ok((columns.take()?, columns.take()?))
}

pub(crate) fn vault(sql: Sql<'_>) -> Result<Option<VaultRow>> {
    sql.one(VAULT, &[], row)
}

pub(crate) fn put_vault(sql: Sql<'_>, row: &VaultRow) -> Result<()> {
    sql.put(PUT_VAULT, row, &[])
}

pub(crate) fn tenant(sql: Sql<'_>, name: &TenantId) -> Result<Option<TenantRow>> {
    sql.one(TENANT, &[(":name", name)], taken)
}

pub(crate) fn tenants(
    sql: Sql<'_>,
    after: TenantRow,
    limit: usize,
) -> Result<Vec<(TenantRow, Option<TenantId>)>> {
    sql.all(TENANTS, &[(":after", &after), (":limit", &limit)], |columns| {
        Ok((columns.take()?, columns.take()?))
    })
}

pub(crate) fn forgotten_tenant(sql: Sql<'_>) -> Result<Option<TenantRow>> {
    sql.one(FORGOTTEN, &[], taken)
}

pub(crate) fn insert_tenant(sql: Sql<'_>, name: &TenantId) -> Result<TenantRow> {
    sql.execute(INSERT_TENANT, &[(":name", name)])?;
    Ok(sql.0.last_insert_rowid())
}

/// SQLite continues to count after the highest number.
pub(crate) fn insert_numbered_tenant(sql: Sql<'_>, tenant: TenantRow, name: &TenantId) -> Result<()> {
    sql.execute(INSERT_NUMBERED_TENANT, &[(":tenant", &tenant), (":name", name)])?;
    Ok(())
}

pub(crate) fn unname_tenant(sql: Sql<'_>, tenant: TenantRow) -> Result<()> {
    for slot in sql.all(KEY_SLOTS, &[(":tenant", &tenant)], taken)? {
        slots::free(sql, slot)?;
    }
    sql.execute(DELETE_KEYS, &[(":tenant", &tenant)])?;
    sql.execute(UNNAME, &[(":tenant", &tenant)])?;
    Ok(())
}

/// Deletes the row of a tenant. SQLite refuses this while other rows name it.
pub(crate) fn delete_tenant(sql: Sql<'_>, tenant: TenantRow) -> Result<()> {
    sql.execute(DELETE_TENANT, &[(":tenant", &tenant)])?;
    Ok(())
}

pub(crate) fn newest_key(sql: Sql<'_>, tenant: TenantRow, below: u32) -> Result<Option<KeyRow>> {
    sql.one(NEWEST_KEY, &[(":tenant", &tenant), (":below", &below)], key_row)
}

pub(crate) fn key(sql: Sql<'_>, tenant: TenantRow, version: u32) -> Result<Option<KeyRow>> {
    sql.one(KEY, &[(":tenant", &tenant), (":version", &version)], key_row)
}

pub(crate) fn retired_keys(sql: Sql<'_>) -> Result<Vec<Of<u32>>> {
    sql.all(RETIRED, &[], |columns| of_tenant(columns, taken))
}

pub(crate) fn master_keys(sql: Sql<'_>) -> Result<Vec<[u8; 16]>> {
    let mut all: Vec<[u8; 16]> = Vec::new();
    // One search for each, whatever the number of tenants.
    loop {
        let after = all.last().map_or(&[][..], |id| id);
        match sql.one(NEXT_MASTER, &[(":after", &after)], taken::<Option<_>>)? {
            Some(Some(id)) => all.push(id),
            _ => return Ok(all),
        }
    }
}

pub(crate) fn keys_wrapped_by(sql: Sql<'_>, master_key: &[u8; 16], limit: usize) -> Result<Vec<Of<KeyRow>>> {
    sql.all(
        WRAPPED_BY,
        &[(":master_key", master_key), (":limit", &limit)],
        |columns| of_tenant(columns, key_row),
    )
}

pub(crate) fn names_key(sql: Sql<'_>, tenant: TenantRow, version: u32) -> Result<bool> {
    sql.exists(NAMES_KEY, &[(":tenant", &tenant), (":version", &version)])
}

pub(crate) fn insert_key(sql: Sql<'_>, tenant: TenantRow, key: &KeyRow) -> Result<()> {
    let slot = slots::store(sql, None, &key.wrapped, &[])?;
    sql.execute(
        INSERT_KEY,
        &[
            (":tenant", &tenant),
            (":version", &key.version),
            (":master_key", &key.master_key),
            (":slot", &slot),
            (":seals", &key.seals),
            (":retired", &key.retired),
        ],
    )?;
    Ok(())
}

pub(crate) fn count_seals(
    sql: Sql<'_>,
    tenant: TenantRow,
    version: u32,
    seals: u32,
    most: u32,
) -> Result<bool> {
    let counted = sql.execute(
        COUNT_SEALS,
        &[
            (":tenant", &tenant),
            (":version", &version),
            (":seals", &seals),
            (":most", &most),
        ],
    )?;
    Ok(counted == 1)
}

pub(crate) fn may_seal(sql: Sql<'_>, tenant: TenantRow, version: u32) -> Result<bool> {
    sql.exists(MAY_SEAL, &[(":tenant", &tenant), (":version", &version)])
}

pub(crate) fn retire_keys(sql: Sql<'_>, tenant: TenantRow, from: u32, below: u32) -> Result<()> {
    sql.execute(
        RETIRE,
        &[(":tenant", &tenant), (":from", &from), (":below", &below)],
    )?;
    Ok(())
}

pub(crate) fn delete_key(sql: Sql<'_>, tenant: TenantRow, version: u32) -> Result<()> {
    let stored = sql.one(
        KEY_SLOT,
        &[(":tenant", &tenant), (":version", &version)],
        key_slot,
    )?;
    if let Some((_, slot)) = stored {
        slots::free(sql, slot)?;
        sql.execute(DELETE_KEY, &[(":tenant", &tenant), (":version", &version)])?;
    }
    Ok(())
}

pub(crate) fn rewrap_key(sql: Sql<'_>, tenant: TenantRow, before: &KeyRow, after: &KeyRow) -> Result<bool> {
    let stored = sql.one(
        KEY_SLOT,
        &[(":tenant", &tenant), (":version", &before.version)],
        key_slot,
    )?;
    let Some((master_key, slot)) = stored else {
        return Ok(false);
    };
    let wrapped = slots::read(sql, slot)?.access;
    if master_key != before.master_key || wrapped.as_ref() != Some(&before.wrapped) {
        return Ok(false);
    }
    let slot = slots::store(sql, Some(slot), &after.wrapped, &[])?;
    let written = sql.execute(
        REWRAP,
        &[
            (":tenant", &tenant),
            (":version", &before.version),
            (":master_key", &after.master_key),
            (":slot", &slot),
        ],
    )?;
    Ok(written == 1)
}
