//! Revocations that the provider has not confirmed, with their sealed tokens.

use crate::model::{ConnectionId, RevocationId};
use crate::vault::VaultError;
use crate::vault::sqlite::data::slots::{self, Slot};
use crate::vault::sqlite::data::{columns, of_tenant, taken};
use crate::vault::sqlite::sql::{Sql, Stored as _};
use crate::vault::sqlite::value::Columns;
use crate::vault::tables::{Of, RevocationRow, Sealed, TenantRow};

type Result<T> = std::result::Result<T, VaultError>;

macro_rules! revocation_columns {
    ($($form:tt)+) => {
        columns! {$($form)+; RevocationRow;
            uuid = id, connection = connection, owner = owner, not_before = not_before, attempts = attempts,
            give_up_at = give_up_at, body = body, key_version = key_version}
    };
}
revocation_columns!(stored);

macro_rules! with_tokens {
    ($index:literal, $where:literal) => {
        concat!(
            "SELECT ",
            revocation_columns!(names of "r"),
            ", r.slot, s.access, s.rest FROM revocations r ",
            $index,
            " LEFT JOIN secrets s ON s.slot = r.slot WHERE ",
            $where
        )
    };
}

const BY_ID: &str = with_tokens!("", "r.tenant = :tenant AND r.uuid = :uuid");
const BY_CONNECTION: &str = with_tokens!(
    "INDEXED BY revocations_by_connection",
    "r.tenant = :tenant AND r.connection = :connection ORDER BY r.uuid"
);
const AFTER: &str = with_tokens!(
    "",
    "r.tenant = :tenant AND r.uuid > :after ORDER BY r.uuid LIMIT :limit"
);
const DUE: &str = concat!(
    "SELECT t.id, t.name, ",
    revocation_columns!(names of "r"),
    ", r.slot, s.access, s.rest FROM revocations r JOIN tenants t ON t.id = r.tenant
    LEFT JOIN secrets s ON s.slot = r.slot
    WHERE r.not_before <= :now AND t.name IS NOT NULL ORDER BY r.not_before LIMIT :limit"
);
const HAS: &str = "SELECT 1 FROM revocations LIMIT 1 OFFSET :others";
const INSERT: &str = concat!(
    "INSERT INTO revocations (tenant, slot, ",
    revocation_columns!(names),
    ") VALUES (:tenant, :slot, ",
    revocation_columns!(values),
    ")"
);
const SCHEDULE: &str = "UPDATE revocations SET not_before = :not_before, attempts = :attempts
    WHERE tenant = :tenant AND uuid = :uuid";
const SLOT: &str = "SELECT slot FROM revocations WHERE tenant = :tenant AND uuid = :uuid";
const DELETE: &str = "DELETE FROM revocations WHERE tenant = :tenant AND uuid = :uuid";
const OF_OWNER: &str = "SELECT uuid FROM revocations INDEXED BY revocations_by_owner
    WHERE tenant = :tenant AND owner = :owner LIMIT :limit";
const OF_TENANT: &str = "SELECT uuid FROM revocations WHERE tenant = :tenant LIMIT :limit";

fn with_tokens(columns: &mut Columns<'_>) -> Result<(RevocationRow, Sealed)> {
    Ok((RevocationRow::read(columns)?, slots::joined(columns)?))
}

pub(crate) fn due_revocations(
    sql: Sql<'_>,
    now: i64,
    limit: usize,
) -> Result<Vec<Of<(RevocationRow, Sealed)>>> {
    sql.all(DUE, &[(":now", &now), (":limit", &limit)], |columns| {
        of_tenant(columns, with_tokens)
    })
}

pub(crate) fn revocation(
    sql: Sql<'_>,
    tenant: TenantRow,
    id: RevocationId,
) -> Result<Option<(RevocationRow, Sealed)>> {
    sql.one(BY_ID, &[(":tenant", &tenant), (":uuid", &id)], with_tokens)
}

pub(crate) fn revocations_of(
    sql: Sql<'_>,
    tenant: TenantRow,
    connection: ConnectionId,
) -> Result<Vec<(RevocationRow, Sealed)>> {
    sql.all(
        BY_CONNECTION,
        &[(":tenant", &tenant), (":connection", &connection)],
        with_tokens,
    )
}

pub(crate) fn revocations_after(
    sql: Sql<'_>,
    tenant: TenantRow,
    after: Option<RevocationId>,
    limit: usize,
) -> Result<Vec<(RevocationRow, Sealed)>> {
    let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
    sql.all(
        AFTER,
        &[(":tenant", &tenant), (":after", &after), (":limit", &limit)],
        with_tokens,
    )
}

pub(crate) fn has_revocations(sql: Sql<'_>, at_least: usize) -> Result<bool> {
    match at_least.checked_sub(1) {
        Some(others) => sql.exists(HAS, &[(":others", &others)]),
        None => Ok(true),
    }
}

pub(crate) fn insert_revocation(
    sql: Sql<'_>,
    tenant: TenantRow,
    row: &RevocationRow,
    secrets: &Sealed,
) -> Result<()> {
    let (access, rest) = (secrets.access.as_deref(), secrets.rest.as_deref());
    let slot = match (access, rest) {
        (None, None) => None,
        _ => Some(slots::store(
            sql,
            None,
            access.unwrap_or_default(),
            rest.unwrap_or_default(),
        )?),
    };
    sql.put(INSERT, row, &[(":tenant", &tenant), (":slot", &slot)])
}

pub(crate) fn schedule_revocation(sql: Sql<'_>, tenant: TenantRow, row: &RevocationRow) -> Result<()> {
    sql.execute(
        SCHEDULE,
        &[
            (":tenant", &tenant),
            (":uuid", &row.id),
            (":not_before", &row.not_before),
            (":attempts", &row.attempts),
        ],
    )?;
    Ok(())
}

pub(crate) fn delete_revocation(sql: Sql<'_>, tenant: TenantRow, id: RevocationId) -> Result<()> {
    let slot = sql.one(
        SLOT,
        &[(":tenant", &tenant), (":uuid", &id)],
        taken::<Option<Slot>>,
    )?;
    if let Some(slot) = slot.flatten() {
        slots::free(sql, slot)?;
    }
    sql.execute(DELETE, &[(":tenant", &tenant), (":uuid", &id)])?;
    Ok(())
}

/// Returns some pending revocations: of one owner, or of the whole tenant.
pub(super) fn some(
    sql: Sql<'_>,
    tenant: TenantRow,
    owner: Option<&str>,
    limit: usize,
) -> Result<Vec<RevocationId>> {
    match owner {
        Some(owner) => sql.all(
            OF_OWNER,
            &[(":tenant", &tenant), (":owner", &owner), (":limit", &limit)],
            taken,
        ),
        None => sql.all(OF_TENANT, &[(":tenant", &tenant), (":limit", &limit)], taken),
    }
}
