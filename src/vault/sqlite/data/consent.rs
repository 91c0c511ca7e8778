//! Consent requests and their sealed verifiers.

use crate::model::ConnectionId;
use crate::vault::sqlite::data::slots::{self, Slot};
use crate::vault::sqlite::data::{columns, of_tenant, taken};
use crate::vault::sqlite::sql::{Sql, Stored as _};
use crate::vault::sqlite::value::Columns;
use crate::vault::tables::{ConsentRow, Of, TenantRow};
use crate::vault::{StateHash, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

macro_rules! consent_columns {
    ($($form:tt)+) => {
        columns! {$($form)+; ConsentRow;
            state = state, id = id, user = user, owner = owner, expires_at = expires_at, status = status,
            completed = completed, body = body, key_version = key_version, mac = mac}
    };
}
consent_columns!(stored);

macro_rules! with_verifier {
    ($index:literal, $where:literal) => {
        concat!(
            "SELECT ",
            consent_columns!(names of "c"),
            ", c.slot, s.access FROM consents c ",
            $index,
            " LEFT JOIN secrets s ON s.slot = c.slot
            WHERE c.tenant = :tenant AND ",
            $where
        )
    };
}

const BY_STATE: &str = with_verifier!("", "c.state = :state");
const BY_USER: &str = with_verifier!("INDEXED BY consents_by_user", "c.user = :user");
const AFTER: &str = with_verifier!("", "c.state > :after ORDER BY c.state LIMIT :limit");
const EXPIRED: &str = "SELECT t.id, t.name, c.state FROM consents c JOIN tenants t ON t.id = c.tenant
    WHERE c.expires_at < :before AND t.name IS NOT NULL ORDER BY c.expires_at LIMIT :limit";
const SLOT: &str = "SELECT slot FROM consents WHERE tenant = :tenant AND state = :state";
const INSERT: &str = concat!(
    "INSERT INTO consents (tenant, slot, ",
    consent_columns!(names),
    ") VALUES (:tenant, :slot, ",
    consent_columns!(values),
    ")"
);
const END: &str = "UPDATE consents SET status = :status, completed = :completed, slot = NULL, key_version = 0
    WHERE tenant = :tenant AND state = :state";
const DELETE: &str = "DELETE FROM consents WHERE tenant = :tenant AND state = :state";
const OF_USER: &str = "SELECT state FROM consents INDEXED BY consents_by_user
    WHERE tenant = :tenant AND user = :person LIMIT :limit";
const OF_OWNER: &str = "SELECT state FROM consents INDEXED BY consents_by_owner
    WHERE tenant = :tenant AND owner = :person LIMIT :limit";
const OF_TENANT: &str = "SELECT state FROM consents WHERE tenant = :tenant LIMIT :limit";

fn with_verifier(columns: &mut Columns<'_>) -> Result<(ConsentRow, Option<Vec<u8>>)> {
    Ok((ConsentRow::read(columns)?, slots::joined_record(columns)?))
}

pub(crate) fn consent(
    sql: Sql<'_>,
    tenant: TenantRow,
    state: &StateHash,
) -> Result<Option<(ConsentRow, Option<Vec<u8>>)>> {
    sql.one(
        BY_STATE,
        &[(":tenant", &tenant), (":state", state)],
        with_verifier,
    )
}

pub(crate) fn consents_of(
    sql: Sql<'_>,
    tenant: TenantRow,
    user: &str,
) -> Result<Vec<(ConsentRow, Option<Vec<u8>>)>> {
    sql.all(BY_USER, &[(":tenant", &tenant), (":user", &user)], with_verifier)
}

pub(crate) fn consents_after(
    sql: Sql<'_>,
    tenant: TenantRow,
    after: Option<&StateHash>,
    limit: usize,
) -> Result<Vec<(ConsentRow, Option<Vec<u8>>)>> {
    let after = after.map_or(&[][..], |state| state.as_bytes());
    sql.all(
        AFTER,
        &[(":tenant", &tenant), (":after", &after), (":limit", &limit)],
        with_verifier,
    )
}

pub(crate) fn expired_consents(sql: Sql<'_>, before: i64, limit: usize) -> Result<Vec<Of<StateHash>>> {
    sql.all(EXPIRED, &[(":before", &before), (":limit", &limit)], |columns| {
        of_tenant(columns, taken)
    })
}

pub(crate) fn insert_consent(sql: Sql<'_>, tenant: TenantRow, row: &ConsentRow, sealed: &[u8]) -> Result<()> {
    let slot = if sealed.is_empty() {
        None
    } else {
        Some(slots::store(sql, None, sealed, &[])?)
    };
    sql.put(INSERT, row, &[(":tenant", &tenant), (":slot", &slot)])
}

pub(crate) fn end_consent(
    sql: Sql<'_>,
    tenant: TenantRow,
    state: &StateHash,
    status: &str,
    completed: Option<ConnectionId>,
) -> Result<()> {
    wipe(sql, tenant, state)?;
    sql.execute(
        END,
        &[
            (":tenant", &tenant),
            (":state", state),
            (":status", &status),
            (":completed", &completed),
        ],
    )?;
    Ok(())
}

pub(crate) fn delete_consent(sql: Sql<'_>, tenant: TenantRow, state: &StateHash) -> Result<()> {
    wipe(sql, tenant, state)?;
    sql.execute(DELETE, &[(":tenant", &tenant), (":state", state)])?;
    Ok(())
}

fn wipe(sql: Sql<'_>, tenant: TenantRow, state: &StateHash) -> Result<()> {
    let slot = sql.one(
        SLOT,
        &[(":tenant", &tenant), (":state", state)],
        taken::<Option<Slot>>,
    )?;
    match slot.flatten() {
        Some(slot) => slots::free(sql, slot),
        None => Ok(()),
    }
}

/// Returns some consent requests that this user began.
pub(super) fn some_of_user(
    sql: Sql<'_>,
    tenant: TenantRow,
    person: &str,
    limit: usize,
) -> Result<Vec<StateHash>> {
    sql.all(
        OF_USER,
        &[(":tenant", &tenant), (":person", &person), (":limit", &limit)],
        taken,
    )
}

/// Returns some consent requests for connections of this owner.
pub(super) fn some_of_owner(
    sql: Sql<'_>,
    tenant: TenantRow,
    person: &str,
    limit: usize,
) -> Result<Vec<StateHash>> {
    sql.all(
        OF_OWNER,
        &[(":tenant", &tenant), (":person", &person), (":limit", &limit)],
        taken,
    )
}

/// Returns some consent requests of a tenant.
pub(super) fn some(sql: Sql<'_>, tenant: TenantRow, limit: usize) -> Result<Vec<StateHash>> {
    sql.all(OF_TENANT, &[(":tenant", &tenant), (":limit", &limit)], taken)
}
