//! The vault's own row, tenants and their keys.

use crate::model::TenantId;
use crate::vault::VaultError;
use crate::vault::postgres::data::{columns, of_tenant, row, taken};
use crate::vault::postgres::sql::Sql;
use crate::vault::postgres::value::Columns;
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
        "k.version, k.master_key, k.seals, k.retired, k.wrapped"
    };
}

const VAULT: &str = concat!("SELECT ", vault_columns!(names), " FROM vault WHERE single = 1");
const PUT_VAULT: &str = concat!(
    "INSERT INTO vault (single, ",
    vault_columns!(names),
    ") VALUES (1, ",
    vault_columns!(values),
    ") ON CONFLICT (single) DO UPDATE SET ",
    vault_columns!(changes)
);

const TENANT: &str = "SELECT id FROM tenants WHERE name = :name";
const TENANTS: &str = "SELECT id, name FROM tenants WHERE id > :after ORDER BY id LIMIT :limit";
const FORGOTTEN: &str = "SELECT id FROM tenants WHERE name IS NULL AND id > 0 LIMIT 1";
const INSERT_TENANT: &str = "INSERT INTO tenants (name) VALUES (:name) RETURNING id";
const INSERT_NUMBERED_TENANT: &str = "INSERT INTO tenants (id, name) VALUES (:tenant, :name)";
/// The next number is above all that are stored.
const COUNT_FROM: &str = "SELECT setval(pg_get_serial_sequence('tenants', 'id'), max(id)) FROM tenants";
/// Conflicts with the row locks that writers take, and with every write. The tables are in the
/// order in which changes of grants, and transactions that link, use them. All other writers lock a
/// tenant first.
const EXCLUDE: &str = "LOCK TABLE tenants, grants, connections, tenant_keys, uses, consents, definitions,
    revocations, audit_heads, audit_pending, audit IN EXCLUSIVE MODE";
/// Waits for every transaction that has checked a key, and may still store what the key seals.
const WAIT_FOR_SEALS: &str = "LOCK TABLE tenant_keys IN ACCESS EXCLUSIVE MODE";
const UNNAME: &str = "UPDATE tenants SET name = NULL WHERE id = :tenant";
const DELETE_TENANT: &str = "DELETE FROM tenants WHERE id = :tenant";

const NEWEST_KEY: &str = concat!(
    "SELECT ",
    key_columns!(),
    " FROM tenant_keys k
    WHERE k.tenant = :tenant AND k.version < :below ORDER BY k.version DESC LIMIT 1"
);
const KEY: &str = concat!(
    "SELECT ",
    key_columns!(),
    " FROM tenant_keys k
    WHERE k.tenant = :tenant AND k.version = :version"
);
const RETIRED: &str = "SELECT t.id, t.name, k.version FROM tenant_keys k JOIN tenants t ON t.id = k.tenant
    WHERE k.retired AND t.name IS NOT NULL ORDER BY k.tenant, k.version";
const NEXT_MASTER: &str =
    "SELECT master_key FROM tenant_keys WHERE master_key > :after ORDER BY master_key LIMIT 1";
const WRAPPED_BY: &str = concat!(
    "SELECT t.id, t.name, ",
    key_columns!(),
    " FROM tenant_keys k JOIN tenants t ON t.id = k.tenant
    WHERE k.master_key = :master_key AND t.name IS NOT NULL LIMIT :limit"
);
const NAMES_KEY: &str = "SELECT 1 WHERE EXISTS (SELECT 1 FROM grants
      WHERE tenant = :tenant AND key_version = :version AND (access IS NOT NULL OR rest IS NOT NULL))
    OR EXISTS (SELECT 1 FROM consents
      WHERE tenant = :tenant AND key_version = :version AND verifier IS NOT NULL)
    OR EXISTS (SELECT 1 FROM revocations WHERE tenant = :tenant AND key_version = :version)
    OR EXISTS (SELECT 1 FROM definitions WHERE tenant = :tenant AND key_version = :version)";
const INSERT_KEY: &str = "INSERT INTO tenant_keys (tenant, version, master_key, wrapped, seals, retired)
    VALUES (:tenant, :version, :master_key, :wrapped, :seals, :retired)";
/// Divides by zero if nothing was counted, so that the transaction fails before it can commit.
const COUNT_SEALS: &str = "WITH counted AS (UPDATE tenant_keys SET seals = seals + :seals
      WHERE tenant = :tenant AND version = :version AND NOT retired AND seals + :seals <= :most RETURNING 1)
    SELECT 1 / count(*) FROM counted";
const MAY_SEAL: &str = "SELECT 1 / count(*) FROM tenant_keys
    WHERE tenant = :tenant AND version = :version AND NOT retired";
const RETIRE: &str = "UPDATE tenant_keys SET retired = true
    WHERE tenant = :tenant AND version >= :from AND version < :below AND NOT retired";
const DELETE_KEY: &str = "DELETE FROM tenant_keys WHERE tenant = :tenant AND version = :version";
const DELETE_KEYS: &str = "DELETE FROM tenant_keys WHERE tenant = :tenant";
const REWRAP: &str = "UPDATE tenant_keys SET master_key = :master_key, wrapped = :wrapped
    WHERE tenant = :tenant AND version = :version AND master_key = :before AND wrapped = :wrapped_before";

fn key_row(columns: &mut Columns<'_>) -> Result<KeyRow> {
    Ok(KeyRow {
        version: columns.take()?,
        master_key: columns.take()?,
        seals: columns.take()?,
        retired: columns.take()?,
        wrapped: columns.take()?,
    })
}

pub(crate) fn vault(sql: &Sql<'_>) -> Result<Option<VaultRow>> {
    sql.one(VAULT, &[], row)
}

pub(crate) fn put_vault(sql: &Sql<'_>, row: &VaultRow) {
    sql.put(PUT_VAULT, row, &[]);
}

pub(crate) fn tenant(sql: &Sql<'_>, name: &TenantId) -> Result<Option<TenantRow>> {
    sql.one(TENANT, &[(":name", name)], taken)
}

pub(crate) fn tenants(
    sql: &Sql<'_>,
    after: TenantRow,
    limit: usize,
) -> Result<Vec<(TenantRow, Option<TenantId>)>> {
    sql.all(TENANTS, &[(":after", &after), (":limit", &limit)], |columns| {
        Ok((columns.take()?, columns.take()?))
    })
}

pub(crate) fn forgotten_tenant(sql: &Sql<'_>) -> Result<Option<TenantRow>> {
    sql.one(FORGOTTEN, &[], taken)
}

pub(crate) fn insert_tenant(sql: &Sql<'_>, name: &TenantId) -> Result<TenantRow> {
    sql.one(INSERT_TENANT, &[(":name", name)], taken)?
        .ok_or(VaultError::Damaged)
}

pub(crate) fn insert_numbered_tenant(sql: &Sql<'_>, tenant: TenantRow, name: &TenantId) {
    sql.later(INSERT_NUMBERED_TENANT, &[(":tenant", &tenant), (":name", name)]);
    sql.later(COUNT_FROM, &[]);
}

pub(crate) fn exclude_writers(sql: &Sql<'_>) {
    sql.control(EXCLUDE);
}

/// Waits for transactions that seal, and lets none seal until this one ends: a key that seals
/// nothing now may be destroyed. A transaction that changes grants does not lock its tenant.
pub(crate) fn wait_for_seals(sql: &Sql<'_>) {
    sql.control(WAIT_FOR_SEALS);
}

pub(crate) fn unname_tenant(sql: &Sql<'_>, tenant: TenantRow) {
    sql.later(DELETE_KEYS, &[(":tenant", &tenant)]);
    sql.later(UNNAME, &[(":tenant", &tenant)]);
}

/// Deletes the row of a tenant. The server refuses this while other rows name it.
pub(crate) fn delete_tenant(sql: &Sql<'_>, tenant: TenantRow) -> Result<()> {
    sql.execute(DELETE_TENANT, &[(":tenant", &tenant)])?;
    Ok(())
}

pub(crate) fn newest_key(sql: &Sql<'_>, tenant: TenantRow, below: u32) -> Result<Option<KeyRow>> {
    sql.one(NEWEST_KEY, &[(":tenant", &tenant), (":below", &below)], key_row)
}

pub(crate) fn key(sql: &Sql<'_>, tenant: TenantRow, version: u32) -> Result<Option<KeyRow>> {
    sql.one(KEY, &[(":tenant", &tenant), (":version", &version)], key_row)
}

pub(crate) fn retired_keys(sql: &Sql<'_>) -> Result<Vec<Of<u32>>> {
    sql.all(RETIRED, &[], |columns| of_tenant(columns, taken))
}

pub(crate) fn master_keys(sql: &Sql<'_>) -> Result<Vec<[u8; 16]>> {
    let mut all: Vec<[u8; 16]> = Vec::new();
    // One search for each, whatever the number of tenants.
    loop {
        let after = all.last().map_or(&[][..], |id| id);
        match sql.one(NEXT_MASTER, &[(":after", &after)], taken)? {
            Some(id) => all.push(id),
            None => return Ok(all),
        }
    }
}

pub(crate) fn keys_wrapped_by(sql: &Sql<'_>, master_key: &[u8; 16], limit: usize) -> Result<Vec<Of<KeyRow>>> {
    sql.all(
        WRAPPED_BY,
        &[(":master_key", master_key), (":limit", &limit)],
        |columns| of_tenant(columns, key_row),
    )
}

pub(crate) fn names_key(sql: &Sql<'_>, tenant: TenantRow, version: u32) -> Result<bool> {
    sql.exists(NAMES_KEY, &[(":tenant", &tenant), (":version", &version)])
}

pub(crate) fn insert_key(sql: &Sql<'_>, tenant: TenantRow, key: &KeyRow) {
    sql.later(
        INSERT_KEY,
        &[
            (":tenant", &tenant),
            (":version", &key.version),
            (":master_key", &key.master_key),
            (":wrapped", &key.wrapped),
            (":seals", &key.seals),
            (":retired", &key.retired),
        ],
    );
}

/// Counts with the next statements. A count that is refused fails the transaction.
pub(crate) fn count_seals(sql: &Sql<'_>, tenant: TenantRow, version: u32, seals: u32, most: u32) {
    sql.later(
        COUNT_SEALS,
        &[
            (":tenant", &tenant),
            (":version", &version),
            (":seals", &seals),
            (":most", &most),
        ],
    );
}

/// Checks the key with the next statements. A key that may not seal fails the transaction.
pub(crate) fn may_seal(sql: &Sql<'_>, tenant: TenantRow, version: u32) {
    sql.later(MAY_SEAL, &[(":tenant", &tenant), (":version", &version)]);
}

pub(crate) fn retire_keys(sql: &Sql<'_>, tenant: TenantRow, from: u32, below: u32) {
    sql.later(
        RETIRE,
        &[(":tenant", &tenant), (":from", &from), (":below", &below)],
    );
}

pub(crate) fn delete_key(sql: &Sql<'_>, tenant: TenantRow, version: u32) {
    sql.later(DELETE_KEY, &[(":tenant", &tenant), (":version", &version)]);
}

pub(crate) fn rewrap_key(sql: &Sql<'_>, tenant: TenantRow, before: &KeyRow, after: &KeyRow) -> Result<bool> {
    let written = sql.execute(
        REWRAP,
        &[
            (":tenant", &tenant),
            (":version", &before.version),
            (":master_key", &after.master_key),
            (":wrapped", &after.wrapped),
            (":before", &before.master_key),
            (":wrapped_before", &before.wrapped),
        ],
    )?;
    Ok(written == 1)
}
