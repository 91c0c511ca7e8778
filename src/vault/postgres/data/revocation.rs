//! Revocations that the provider has not confirmed, with their sealed tokens.

use crate::model::{ConnectionId, RevocationId};
use crate::vault::VaultError;
use crate::vault::postgres::data::{columns, of_tenant};
use crate::vault::postgres::sql::{Sql, Stored as _};
use crate::vault::postgres::value::Columns;
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
    ($where:literal) => {
        concat!(
            "SELECT ",
            revocation_columns!(names of "r"),
            ", r.access, r.rest FROM revocations r WHERE ",
            $where
        )
    };
}

const BY_ID: &str = with_tokens!("r.tenant = :tenant AND r.uuid = :uuid");
const BY_CONNECTION: &str = with_tokens!("r.tenant = :tenant AND r.connection = :connection ORDER BY r.uuid");
const AFTER: &str = with_tokens!("r.tenant = :tenant AND r.uuid > :after ORDER BY r.uuid LIMIT :limit");
const DUE: &str = concat!(
    "SELECT t.id, t.name, ",
    revocation_columns!(names of "r"),
    ", r.access, r.rest FROM revocations r JOIN tenants t ON t.id = r.tenant
    WHERE r.not_before <= :now AND t.name IS NOT NULL ORDER BY r.not_before LIMIT :limit"
);
const HAS: &str = "SELECT 1 FROM revocations LIMIT 1 OFFSET :others";
const INSERT: &str = concat!(
    "INSERT INTO revocations (tenant, access, rest, ",
    revocation_columns!(names),
    ") VALUES (:tenant, :access, :rest, ",
    revocation_columns!(values),
    ")"
);
const SCHEDULE: &str = "UPDATE revocations SET not_before = :not_before, attempts = :attempts
    WHERE tenant = :tenant AND uuid = :uuid";
const DELETE: &str = "DELETE FROM revocations WHERE tenant = :tenant AND uuid = :uuid";

fn with_tokens(columns: &mut Columns<'_>) -> Result<(RevocationRow, Sealed)> {
    let row = RevocationRow::read(columns)?;
    let sealed = Sealed {
        access: columns.take()?,
        rest: columns.take()?,
    };
    Ok((row, sealed))
}

pub(crate) fn due_revocations(
    sql: &Sql<'_>,
    now: i64,
    limit: usize,
) -> Result<Vec<Of<(RevocationRow, Sealed)>>> {
    sql.all(DUE, &[(":now", &now), (":limit", &limit)], |columns| {
        of_tenant(columns, with_tokens)
    })
}

pub(crate) fn revocation(
    sql: &Sql<'_>,
    tenant: TenantRow,
    id: RevocationId,
) -> Result<Option<(RevocationRow, Sealed)>> {
    sql.one(BY_ID, &[(":tenant", &tenant), (":uuid", &id)], with_tokens)
}

pub(crate) fn revocations_of(
    sql: &Sql<'_>,
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
    sql: &Sql<'_>,
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

pub(crate) fn has_revocations(sql: &Sql<'_>, at_least: usize) -> Result<bool> {
    match at_least.checked_sub(1) {
        Some(others) => sql.exists(HAS, &[(":others", &others)]),
        None => Ok(true),
    }
}

pub(crate) fn insert_revocation(sql: &Sql<'_>, tenant: TenantRow, row: &RevocationRow, secrets: &Sealed) {
    sql.put(
        INSERT,
        row,
        &[
            (":tenant", &tenant),
            (":access", &secrets.access),
            (":rest", &secrets.rest),
        ],
    );
}

pub(crate) fn schedule_revocation(sql: &Sql<'_>, tenant: TenantRow, row: &RevocationRow) {
    sql.later(
        SCHEDULE,
        &[
            (":tenant", &tenant),
            (":uuid", &row.id),
            (":not_before", &row.not_before),
            (":attempts", &row.attempts),
        ],
    );
}

pub(crate) fn delete_revocation(sql: &Sql<'_>, tenant: TenantRow, id: RevocationId) {
    sql.later(DELETE, &[(":tenant", &tenant), (":uuid", &id)]);
}
