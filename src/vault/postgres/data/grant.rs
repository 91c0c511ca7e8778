//! Grants and their sealed tokens.

use crate::model::GrantId;
use crate::vault::VaultError;
use crate::vault::postgres::data::{of_tenant, record, row, taken};
use crate::vault::postgres::failure::Failure;
use crate::vault::postgres::sql::{Sql, Stored as _};
use crate::vault::postgres::value::{Bind as _, Columns};
use crate::vault::tables::{DueRows, GrantRow, Of, Sealed, Secrets, TenantRow};

type Result<T> = std::result::Result<T, VaultError>;

/// The columns of a grant, without the slot of its tokens.
macro_rules! grant_columns {
    ($($form:tt)+) => {
        $crate::vault::postgres::data::columns! {$($form)+; GrantRow;
            uuid = id, former_of = former_of, status = status, generation = generation,
            refreshable = refreshable, server = server, expires_at = expires_at, refreshed_at = refreshed_at,
            not_before = not_before, held_until = held_until, quarantined_until = quarantined_until,
            dead_at = dead_at, route = route, state = state, key_version = key_version, revision = revision,
            mac = mac}
    };
}
pub(super) use grant_columns;
grant_columns!(stored);

const GRANT: &str = concat!(
    "SELECT ",
    grant_columns!(names),
    " FROM grants WHERE tenant = :tenant AND uuid = :uuid"
);
/// Claims and changes of grants take no lock of the tenant, so a writer locks the grants on which
/// its decision depends.
const GRANT_TO_WRITE: &str = concat!(
    "SELECT ",
    grant_columns!(names),
    " FROM grants WHERE tenant = :tenant AND uuid = :uuid FOR NO KEY UPDATE"
);
/// A transfer waits for the lock of the table before it changes its mark, and the statement reads
/// the mark after it has the lock.
const REPLACE: &str = concat!(
    "UPDATE grants SET ",
    grant_columns!(assigned),
    " WHERE tenant = :tenant AND uuid = :uuid AND revision = :before
    AND NOT EXISTS (SELECT 1 FROM audit_heads WHERE chain = -2 AND number > 0)"
);
const FORMER: &str = concat!(
    "SELECT ",
    grant_columns!(names),
    " FROM grants WHERE tenant = :tenant AND former_of = :of ORDER BY uuid"
);
const SECRETS: &str = "SELECT access, rest FROM grants WHERE tenant = :tenant AND uuid = :uuid";
const SEALED_BY: &str = concat!(
    "SELECT ",
    grant_columns!(names of "g"),
    ", g.access, g.rest FROM grants g
    WHERE g.tenant = :tenant AND g.key_version = :version AND (g.access IS NOT NULL OR g.rest IS NOT NULL)
    AND g.uuid > :after
    ORDER BY g.uuid LIMIT :limit"
);
const AFTER: &str = concat!(
    "SELECT ",
    grant_columns!(names of "g"),
    ", g.access, g.rest FROM grants g
    WHERE g.tenant = :tenant AND g.uuid > :after ORDER BY g.uuid LIMIT :limit"
);
/// The conditions that both searches for due grants share, in addition to the time.
macro_rules! due_rows {
    () => {
        concat!(
            "SELECT t.id, t.name, ",
            grant_columns!(names of "g"),
            " FROM grants g JOIN tenants t ON t.id = g.tenant
            WHERE g.server = :server AND g.status = 'active' AND g.refreshable AND g.former_of IS NULL
              AND t.name IS NOT NULL AND (g.held_until IS NULL OR g.held_until <= :now)
              AND (g.not_before IS NULL OR g.not_before <= :now)"
        )
    };
}
const EXPIRING: &str = concat!(
    due_rows!(),
    " AND g.expires_at IS NOT NULL AND g.expires_at < :expires_before ORDER BY g.expires_at LIMIT :limit"
);
const IDLE: &str = concat!(
    due_rows!(),
    " AND g.refreshed_at < :refreshed_before
    AND (g.expires_at IS NULL OR g.expires_at >= :expires_before)
    ORDER BY g.refreshed_at LIMIT :limit"
);
const ENDED_QUARANTINES: &str = "SELECT t.id, t.name, g.uuid FROM grants g JOIN tenants t ON t.id = g.tenant
    WHERE g.quarantined_until <= :now AND t.name IS NOT NULL ORDER BY g.quarantined_until LIMIT :limit";
const DEAD: &str = "SELECT t.id, t.name, g.uuid FROM grants g JOIN tenants t ON t.id = g.tenant
    WHERE g.dead_at <= :now AND t.name IS NOT NULL ORDER BY g.dead_at LIMIT :limit";

/// A statement that writes a grant, with the effect on its tokens.
macro_rules! put {
    ($secrets:literal) => {
        concat!(
            "INSERT INTO grants (tenant, access, rest, ",
            grant_columns!(names),
            ") VALUES (:tenant, :access, :rest, ",
            grant_columns!(values),
            ") ON CONFLICT (tenant, uuid) DO UPDATE SET ",
            $secrets,
            grant_columns!(changes)
        )
    };
}
const PUT: &str = put!("access = excluded.access, rest = excluded.rest, ");
const PUT_KEEPING: &str = put!("");
const PUT_ERASING_ACCESS: &str = put!("access = NULL, ");
const DELETE: &str = "DELETE FROM grants WHERE tenant = :tenant AND uuid = :uuid";

pub(crate) fn grant(sql: &Sql<'_>, tenant: TenantRow, id: GrantId) -> Result<Option<GrantRow>> {
    let statement = if sql.is_write() { GRANT_TO_WRITE } else { GRANT };
    sql.one(statement, &[(":tenant", &tenant), (":uuid", &id)], row)
}

pub(crate) fn former_grants(sql: &Sql<'_>, tenant: TenantRow, of: GrantId) -> Result<Vec<GrantRow>> {
    sql.all(FORMER, &[(":tenant", &tenant), (":of", &of)], row)
}

pub(crate) fn grant_secrets(sql: &Sql<'_>, tenant: TenantRow, id: GrantId) -> Result<Sealed> {
    let found = sql.one(SECRETS, &[(":tenant", &tenant), (":uuid", &id)], secrets)?;
    Ok(found.unwrap_or_default())
}

pub(crate) fn grants_sealed_by(
    sql: &Sql<'_>,
    tenant: TenantRow,
    version: u32,
    after: Option<GrantId>,
    limit: usize,
) -> Result<Vec<(GrantRow, Sealed)>> {
    let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
    sql.all(
        SEALED_BY,
        &[
            (":tenant", &tenant),
            (":version", &version),
            (":after", &after),
            (":limit", &limit),
        ],
        |columns| Ok((GrantRow::read(columns)?, secrets(columns)?)),
    )
}

pub(crate) fn grants_after(
    sql: &Sql<'_>,
    tenant: TenantRow,
    after: Option<GrantId>,
    limit: usize,
) -> Result<Vec<(GrantRow, Sealed)>> {
    let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
    sql.all(
        AFTER,
        &[(":tenant", &tenant), (":after", &after), (":limit", &limit)],
        |columns| Ok((GrantRow::read(columns)?, secrets(columns)?)),
    )
}

pub(crate) fn due_grants(sql: &Sql<'_>, due: &DueRows<'_>) -> Result<Vec<Of<GrantRow>>> {
    let mut all = sql.all(
        EXPIRING,
        &[
            (":server", &due.server),
            (":now", &due.now),
            (":expires_before", &due.expires_before),
            (":limit", &due.limit),
        ],
        |columns| of_tenant(columns, row),
    )?;
    let Some(refreshed_before) = due.refreshed_before else {
        return Ok(all);
    };
    let left = due.limit.saturating_sub(all.len());
    all.extend(sql.all(
        IDLE,
        &[
            (":server", &due.server),
            (":now", &due.now),
            (":expires_before", &due.expires_before),
            (":refreshed_before", &refreshed_before),
            (":limit", &left),
        ],
        |columns| of_tenant(columns, row),
    )?);
    Ok(all)
}

pub(crate) fn ended_quarantines(sql: &Sql<'_>, now: i64, limit: usize) -> Result<Vec<Of<GrantId>>> {
    sql.all(
        ENDED_QUARANTINES,
        &[(":now", &now), (":limit", &limit)],
        |columns| of_tenant(columns, taken),
    )
}

pub(crate) fn dead_grants(sql: &Sql<'_>, now: i64, limit: usize) -> Result<Vec<Of<GrantId>>> {
    sql.all(DEAD, &[(":now", &now), (":limit", &limit)], |columns| {
        of_tenant(columns, taken)
    })
}

pub(crate) fn put_grant(sql: &Sql<'_>, tenant: TenantRow, grant: &GrantRow, secrets: Secrets<'_>) {
    let (statement, access, rest) = match secrets {
        Secrets::Set { access, rest } => (PUT, record(access), record(rest)),
        Secrets::Keep => (PUT_KEEPING, None, None),
        Secrets::EraseAccess => (PUT_ERASING_ACCESS, None, None),
        Secrets::Erase => (PUT, None, None),
    };
    sql.put(
        statement,
        grant,
        &[(":tenant", &tenant), (":access", &access), (":rest", &rest)],
    );
}

/// Replaces a grant that still has this revision, and keeps its tokens.
pub(crate) fn replace_grant(
    sql: Sql<'_>,
    tenant: TenantRow,
    grant: &GrantRow,
    revision: u64,
) -> std::result::Result<bool, Failure> {
    let mut values = grant.bind();
    values.extend([(":tenant", tenant.bind()), (":before", revision.bind())]);
    sql.execute_alone(REPLACE, &values).map(|replaced| replaced == 1)
}

pub(crate) fn delete_grant(sql: &Sql<'_>, tenant: TenantRow, id: GrantId) {
    sql.later(DELETE, &[(":tenant", &tenant), (":uuid", &id)]);
}

fn secrets(columns: &mut Columns<'_>) -> Result<Sealed> {
    Ok(Sealed {
        access: columns.take()?,
        rest: columns.take()?,
    })
}
