//! Definitions and their sealed content.

use crate::vault::VaultError;
use crate::vault::postgres::data::{columns, taken};
use crate::vault::postgres::sql::{Sql, Stored as _};
use crate::vault::postgres::value::Columns;
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
    ($where:literal) => {
        concat!(
            "SELECT ",
            definition_columns!(names of "d"),
            ", d.content FROM definitions d
            WHERE d.tenant = :tenant AND ",
            $where
        )
    };
}

const BY_NAME: &str = with_content!("d.kind = :kind AND d.name = :name");
const OF_KIND: &str = with_content!("d.kind = :kind AND d.name > :after ORDER BY d.name LIMIT :limit");
const SEALED_BY: &str = with_content!(
    "d.key_version = :version AND (d.kind, d.name) > (:kind, :name)
    ORDER BY d.kind, d.name LIMIT :limit"
);
const COUNT: &str = "SELECT count(*) FROM definitions WHERE tenant = :tenant";
const NAMES: &str = "SELECT DISTINCT name FROM definitions
    WHERE kind = :kind AND name > :after ORDER BY name LIMIT :limit";
const PUT: &str = concat!(
    "INSERT INTO definitions (tenant, content, ",
    definition_columns!(names),
    ") VALUES (:tenant, :content, ",
    definition_columns!(values),
    ") ON CONFLICT (tenant, kind, name) DO UPDATE SET content = excluded.content, ",
    definition_columns!(changes)
);
const DELETE: &str = "DELETE FROM definitions WHERE tenant = :tenant AND kind = :kind AND name = :name";

fn with_content(columns: &mut Columns<'_>) -> Result<SealedDefinition> {
    Ok((DefinitionRow::read(columns)?, columns.take()?))
}

pub(crate) fn definition(
    sql: &Sql<'_>,
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
    sql: &Sql<'_>,
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

pub(crate) fn count_definitions(sql: &Sql<'_>, tenant: TenantRow) -> Result<usize> {
    Ok(sql.one(COUNT, &[(":tenant", &tenant)], taken)?.unwrap_or(0))
}

pub(crate) fn definition_names(
    sql: &Sql<'_>,
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
    sql: &Sql<'_>,
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

pub(crate) fn put_definition(sql: &Sql<'_>, tenant: TenantRow, row: &DefinitionRow, sealed: &[u8]) {
    sql.put(PUT, row, &[(":tenant", &tenant), (":content", &sealed)]);
}

pub(crate) fn delete_definition(sql: &Sql<'_>, tenant: TenantRow, kind: &str, name: &str) {
    sql.later(
        DELETE,
        &[(":tenant", &tenant), (":kind", &kind), (":name", &name)],
    );
}
