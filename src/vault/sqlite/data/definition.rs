//! Definitions and their sealed content.

use crate::vault::VaultError;
use crate::vault::sqlite::data::slots::{self, Slot};
use crate::vault::sqlite::data::{columns, taken};
use crate::vault::sqlite::sql::{Sql, Stored as _};
use crate::vault::sqlite::value::Columns;
use crate::vault::tables::{DefinitionRow, SealedDefinition, TenantRow};

type Result<T> = std::result::Result<T, VaultError>;

macro_rules! definition_columns {
    ($($form:tt)+) => {
        columns! {$($form)+; DefinitionRow;
            kind = kind, name = name, version = version, revision = revision, key_version = key_version}
    };
}
definition_columns!(stored);

macro_rules! with_content {
    ($index:literal, $where:literal) => {
        concat!(
            "SELECT ",
            definition_columns!(names of "d"),
            ", d.slot, s.access FROM definitions d ",
            $index,
            " LEFT JOIN secrets s ON s.slot = d.slot
            WHERE d.tenant = :tenant AND ",
            $where
        )
    };
}

const BY_NAME: &str = with_content!("", "d.kind = :kind AND d.name = :name");
const OF_KIND: &str = with_content!(
    "",
    "d.kind = :kind AND d.name > :after ORDER BY d.name LIMIT :limit"
);
const SEALED_BY: &str = with_content!(
    "INDEXED BY definitions_by_key",
    "d.key_version = :version AND (d.kind, d.name) > (:kind, :name)
    ORDER BY d.kind, d.name LIMIT :limit"
);
const COUNT: &str = "SELECT count(*) FROM definitions WHERE tenant = :tenant";
const NAMES: &str = "SELECT DISTINCT name FROM definitions INDEXED BY definitions_by_name
    WHERE kind = :kind AND name > :after ORDER BY name LIMIT :limit";
const SLOT: &str = "SELECT slot FROM definitions WHERE tenant = :tenant AND kind = :kind AND name = :name";
const PUT: &str = concat!(
    "INSERT INTO definitions (tenant, slot, ",
    definition_columns!(names),
    ") VALUES (:tenant, :slot, ",
    definition_columns!(values),
    ") ON CONFLICT (tenant, kind, name) DO UPDATE SET slot = excluded.slot, ",
    definition_columns!(changes)
);
const DELETE: &str = "DELETE FROM definitions WHERE tenant = :tenant AND kind = :kind AND name = :name";
const OF_TENANT: &str = "SELECT kind, name FROM definitions WHERE tenant = :tenant LIMIT :limit";

fn with_content(columns: &mut Columns<'_>) -> Result<SealedDefinition> {
    Ok((DefinitionRow::read(columns)?, slots::joined_record(columns)?))
}

pub(crate) fn definition(
    sql: Sql<'_>,
    tenant: TenantRow,
    kind: &str,
    name: &str,
) -> Result<Option<SealedDefinition>> {
    sql.one(
        BY_NAME,
        &[(":tenant", &tenant), (":kind", &kind), (":name", &name)],
        with_content,
    )
}

pub(crate) fn definitions(
    sql: Sql<'_>,
    tenant: TenantRow,
    kind: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<SealedDefinition>> {
    sql.all(
        OF_KIND,
        &[
            (":tenant", &tenant),
            (":kind", &kind),
            // No name is empty.
            (":after", &after.unwrap_or_default()),
            (":limit", &limit),
        ],
        with_content,
    )
}

pub(crate) fn count_definitions(sql: Sql<'_>, tenant: TenantRow) -> Result<usize> {
    Ok(sql.one(COUNT, &[(":tenant", &tenant)], taken)?.unwrap_or(0))
}

pub(crate) fn definition_names(
    sql: Sql<'_>,
    kind: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>> {
    sql.all(
        NAMES,
        &[
            (":kind", &kind),
            (":after", &after.unwrap_or_default()),
            (":limit", &limit),
        ],
        taken,
    )
}

pub(crate) fn definitions_sealed_by(
    sql: Sql<'_>,
    tenant: TenantRow,
    version: u32,
    after: Option<(&str, &str)>,
    limit: usize,
) -> Result<Vec<SealedDefinition>> {
    let (kind, name) = after.unwrap_or_default();
    sql.all(
        SEALED_BY,
        &[
            (":tenant", &tenant),
            (":version", &version),
            (":kind", &kind),
            (":name", &name),
            (":limit", &limit),
        ],
        with_content,
    )
}

fn slot(sql: Sql<'_>, tenant: TenantRow, kind: &str, name: &str) -> Result<Option<Slot>> {
    sql.one(
        SLOT,
        &[(":tenant", &tenant), (":kind", &kind), (":name", &name)],
        taken,
    )
}

pub(crate) fn put_definition(
    sql: Sql<'_>,
    tenant: TenantRow,
    row: &DefinitionRow,
    sealed: &[u8],
) -> Result<()> {
    let before = slot(sql, tenant, &row.kind, &row.name)?;
    let slot = slots::store(sql, before, sealed, &[])?;
    sql.put(PUT, row, &[(":tenant", &tenant), (":slot", &slot)])
}

pub(crate) fn delete_definition(sql: Sql<'_>, tenant: TenantRow, kind: &str, name: &str) -> Result<()> {
    if let Some(slot) = slot(sql, tenant, kind, name)? {
        slots::free(sql, slot)?;
    }
    sql.execute(
        DELETE,
        &[(":tenant", &tenant), (":kind", &kind), (":name", &name)],
    )?;
    Ok(())
}

/// Returns the kinds and names of some definitions of a tenant.
pub(super) fn some(sql: Sql<'_>, tenant: TenantRow, limit: usize) -> Result<Vec<(String, String)>> {
    sql.all(
        OF_TENANT,
        &[(":tenant", &tenant), (":limit", &limit)],
        |columns| Ok((columns.take()?, columns.take()?)),
    )
}
