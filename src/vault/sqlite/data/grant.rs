//! Grants and their sealed tokens.

use crate::model::GrantId;
use crate::vault::VaultError;
use crate::vault::sqlite::data::slots::{self, Slot};
use crate::vault::sqlite::data::{of_tenant, row, taken};
use crate::vault::sqlite::sql::{Named, Sql, Stored as _};
use crate::vault::sqlite::value::Bind;
use crate::vault::tables::{DueRows, GrantRow, Of, Sealed, Secrets, TenantRow};

type Result<T> = std::result::Result<T, VaultError>;

/// The columns of a grant, without the slot of its tokens.
macro_rules! grant_columns {
    ($($form:tt)+) => {
        $crate::vault::sqlite::data::columns! {$($form)+; GrantRow;
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
const FORMER: &str = concat!(
    "SELECT ",
    grant_columns!(names),
    " FROM grants INDEXED BY grants_former WHERE tenant = :tenant AND former_of = :of ORDER BY uuid"
);
const SECRETS: &str = "SELECT g.slot, s.access, s.rest FROM grants g LEFT JOIN secrets s ON s.slot = g.slot
    WHERE g.tenant = :tenant AND g.uuid = :uuid";
const SEALED_BY: &str = concat!(
    "SELECT ",
    grant_columns!(names of "g"),
    ", g.slot, s.access, s.rest FROM grants g INDEXED BY grants_by_key LEFT JOIN secrets s ON s.slot = g.slot
    WHERE g.tenant = :tenant AND g.key_version = :version AND g.slot IS NOT NULL AND g.uuid > :after
    ORDER BY g.uuid LIMIT :limit"
);
const AFTER: &str = concat!(
    "SELECT ",
    grant_columns!(names of "g"),
    ", g.slot, s.access, s.rest FROM grants g LEFT JOIN secrets s ON s.slot = g.slot
    WHERE g.tenant = :tenant AND g.uuid > :after ORDER BY g.uuid LIMIT :limit"
);
/// The conditions that both searches for due grants share, in addition to the time.
macro_rules! due_rows {
    () => {
        concat!(
            "SELECT t.id, t.name, ",
            grant_columns!(names of "g"),
            " FROM grants g JOIN tenants t ON t.id = g.tenant
            WHERE g.server = :server AND g.status = 'active' AND g.refreshable = 1 AND g.former_of IS NULL
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

/// SQLite rewrites each index with a column that an UPDATE names, whether its value changes or not.
/// A claim and a failure change no column of an index.
const PUT_STATE: &str =
    "UPDATE grants SET not_before = :not_before, held_until = :held_until, state = :state,
    revision = :revision, mac = :mac WHERE tenant = :tenant AND uuid = :uuid";
/// A refresh changes the columns of the two indexes by time.
const PUT_REFRESHED: &str = "UPDATE grants SET generation = :generation, expires_at = :expires_at,
    refreshed_at = :refreshed_at, not_before = :not_before, held_until = :held_until, route = :route,
    state = :state, revision = :revision, mac = :mac WHERE tenant = :tenant AND uuid = :uuid";
const BEFORE: &str = concat!(
    "SELECT slot, ",
    grant_columns!(names),
    " FROM grants WHERE tenant = :tenant AND uuid = :uuid"
);
const SLOT: &str = "SELECT slot FROM grants WHERE tenant = :tenant AND uuid = :uuid";
const PUT: &str = concat!(
    "INSERT INTO grants (tenant, slot, ",
    grant_columns!(names),
    ") VALUES (:tenant, :slot, ",
    grant_columns!(values),
    ") ON CONFLICT (tenant, uuid) DO UPDATE SET slot = excluded.slot, ",
    grant_columns!(changes)
);
const DELETE: &str = "DELETE FROM grants WHERE tenant = :tenant AND uuid = :uuid";

pub(crate) fn grant(sql: Sql<'_>, tenant: TenantRow, id: GrantId) -> Result<Option<GrantRow>> {
    sql.one(GRANT, &[(":tenant", &tenant), (":uuid", &id)], row)
}

pub(crate) fn former_grants(sql: Sql<'_>, tenant: TenantRow, of: GrantId) -> Result<Vec<GrantRow>> {
    sql.all(FORMER, &[(":tenant", &tenant), (":of", &of)], row)
}

pub(crate) fn grant_secrets(sql: Sql<'_>, tenant: TenantRow, id: GrantId) -> Result<Sealed> {
    let found = sql.one(SECRETS, &[(":tenant", &tenant), (":uuid", &id)], slots::joined)?;
    Ok(found.unwrap_or_default())
}

pub(crate) fn grants_sealed_by(
    sql: Sql<'_>,
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
        |columns| Ok((GrantRow::read(columns)?, slots::joined(columns)?)),
    )
}

pub(crate) fn grants_after(
    sql: Sql<'_>,
    tenant: TenantRow,
    after: Option<GrantId>,
    limit: usize,
) -> Result<Vec<(GrantRow, Sealed)>> {
    let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
    sql.all(
        AFTER,
        &[(":tenant", &tenant), (":after", &after), (":limit", &limit)],
        |columns| Ok((GrantRow::read(columns)?, slots::joined(columns)?)),
    )
}

pub(crate) fn due_grants(sql: Sql<'_>, due: &DueRows<'_>) -> Result<Vec<Of<GrantRow>>> {
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

pub(crate) fn ended_quarantines(sql: Sql<'_>, now: i64, limit: usize) -> Result<Vec<Of<GrantId>>> {
    sql.all(
        ENDED_QUARANTINES,
        &[(":now", &now), (":limit", &limit)],
        |columns| of_tenant(columns, taken),
    )
}

pub(crate) fn dead_grants(sql: Sql<'_>, now: i64, limit: usize) -> Result<Vec<Of<GrantId>>> {
    sql.all(DEAD, &[(":now", &now), (":limit", &limit)], |columns| {
        of_tenant(columns, taken)
    })
}

pub(crate) fn put_grant(
    sql: Sql<'_>,
    tenant: TenantRow,
    grant: &GrantRow,
    secrets: Secrets<'_>,
) -> Result<()> {
    let before = before(sql, tenant, grant.id)?;
    let slot_before = before.as_ref().and_then(|(slot, _)| *slot);
    let after = match (secrets, slot_before) {
        (Secrets::Set { access, rest }, before) => Some(slots::store(sql, before, access, rest)?),
        (Secrets::EraseAccess, Some(slot)) => {
            slots::wipe_access(sql, slot)?;
            Some(slot)
        }
        (Secrets::Erase, Some(slot)) => {
            slots::free(sql, slot)?;
            None
        }
        (Secrets::Keep, before) => before,
        (Secrets::EraseAccess | Secrets::Erase, None) => None,
    };
    let changed = match &before {
        Some((slot, before)) if *slot == after => Changed::between(before, grant),
        _ => Changed::Other,
    };
    match changed {
        Changed::State => update(sql, PUT_STATE, tenant, grant, &[]),
        Changed::Tokens => update(
            sql,
            PUT_REFRESHED,
            tenant,
            grant,
            &[
                (":generation", &grant.generation),
                (":expires_at", &grant.expires_at),
                (":refreshed_at", &grant.refreshed_at),
                (":route", &grant.route),
            ],
        ),
        Changed::Other => sql.put(PUT, grant, &[(":tenant", &tenant), (":slot", &after)]),
    }
}

/// The columns of a grant that a write changes, and with them the indexes that it rewrites.
#[derive(Debug, PartialEq, Eq)]
enum Changed {
    /// Those of the claim and of failures.
    State,
    /// Also those of the tokens.
    Tokens,
    /// Any.
    Other,
}

impl Changed {
    fn between(before: &GrantRow, after: &GrantRow) -> Self {
        // Every column is named, so that a new one must be assigned to a statement.
        let GrantRow {
            id: _,
            former_of,
            status,
            generation,
            refreshable,
            server,
            expires_at,
            refreshed_at,
            not_before: _,
            held_until: _,
            quarantined_until,
            dead_at,
            route,
            state: _,
            key_version,
            revision: _,
            mac: _,
        } = before;
        let others = *former_of == after.former_of
            && *status == after.status
            && *refreshable == after.refreshable
            && *server == after.server
            && *quarantined_until == after.quarantined_until
            && *dead_at == after.dead_at
            && *key_version == after.key_version;
        let tokens = *generation == after.generation
            && *expires_at == after.expires_at
            && *refreshed_at == after.refreshed_at
            && *route == after.route;
        match (others, tokens) {
            (true, true) => Self::State,
            (true, false) => Self::Tokens,
            (false, _) => Self::Other,
        }
    }
}

/// Updates a grant that exists: the columns of its state, and those that `more` names.
fn update(
    sql: Sql<'_>,
    statement: &'static str,
    tenant: TenantRow,
    grant: &GrantRow,
    more: &Named<'_>,
) -> Result<()> {
    let state: [(_, &dyn Bind); 7] = [
        (":tenant", &tenant),
        (":uuid", &grant.id),
        (":not_before", &grant.not_before),
        (":held_until", &grant.held_until),
        (":state", &grant.state),
        (":revision", &grant.revision),
        (":mac", &grant.mac),
    ];
    sql.execute(statement, &[&state, more].concat())?;
    Ok(())
}

fn before(sql: Sql<'_>, tenant: TenantRow, id: GrantId) -> Result<Option<(Option<Slot>, GrantRow)>> {
    sql.one(BEFORE, &[(":tenant", &tenant), (":uuid", &id)], |columns| {
        Ok((columns.take()?, GrantRow::read(columns)?))
    })
}

pub(crate) fn delete_grant(sql: Sql<'_>, tenant: TenantRow, id: GrantId) -> Result<()> {
    if let Some(slot) = slot(sql, tenant, id)?.flatten() {
        slots::free(sql, slot)?;
    }
    sql.execute(DELETE, &[(":tenant", &tenant), (":uuid", &id)])?;
    Ok(())
}

/// The slot of a grant's tokens. The outer `None` means that the grant does not exist, the inner
/// one that it has no slot.
#[allow(clippy::option_option, reason = "a grant or none, with or without tokens")]
fn slot(sql: Sql<'_>, tenant: TenantRow, id: GrantId) -> Result<Option<Option<Slot>>> {
    sql.one(SLOT, &[(":tenant", &tenant), (":uuid", &id)], taken)
}
