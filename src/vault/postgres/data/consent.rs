//! Consent requests and their sealed verifiers.

use crate::model::ConnectionId;
use crate::vault::postgres::data::{columns, of_tenant, record, taken};
use crate::vault::postgres::sql::{Sql, Stored as _};
use crate::vault::postgres::value::Columns;
use crate::vault::tables::{ConsentRow, Of, TenantRow};
use crate::vault::{StateHash, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

macro_rules! consent_columns {
    ($($form:tt)+) => {
        columns! {$($form)+; ConsentRow;
            state = state, id = id, person = user, owner = owner, expires_at = expires_at, status = status,
            completed = completed, body = body, key_version = key_version, mac = mac}
    };
}
consent_columns!(stored);

macro_rules! with_verifier {
    ($where:literal) => {
        concat!(
            "SELECT ",
            consent_columns!(names of "c"),
            ", c.verifier FROM consents c
            WHERE c.tenant = :tenant AND ",
            $where
        )
    };
}

const BY_STATE: &str = with_verifier!("c.state = :state");
const BY_USER: &str = with_verifier!("c.person = :person");
const AFTER: &str = with_verifier!("c.state > :after ORDER BY c.state LIMIT :limit");
const EXPIRED: &str = "SELECT t.id, t.name, c.state FROM consents c JOIN tenants t ON t.id = c.tenant
    WHERE c.expires_at < :before AND t.name IS NOT NULL ORDER BY c.expires_at LIMIT :limit";
const INSERT: &str = concat!(
    "INSERT INTO consents (tenant, verifier, ",
    consent_columns!(names),
    ") VALUES (:tenant, :verifier, ",
    consent_columns!(values),
    ")"
);
const END: &str =
    "UPDATE consents SET status = :status, completed = :completed, verifier = NULL, key_version = 0
    WHERE tenant = :tenant AND state = :state";
const DELETE: &str = "DELETE FROM consents WHERE tenant = :tenant AND state = :state";

fn with_verifier(columns: &mut Columns<'_>) -> Result<(ConsentRow, Option<Vec<u8>>)> {
    Ok((ConsentRow::read(columns)?, columns.take()?))
}

pub(crate) fn consent(
    sql: &Sql<'_>,
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
    sql: &Sql<'_>,
    tenant: TenantRow,
    user: &str,
) -> Result<Vec<(ConsentRow, Option<Vec<u8>>)>> {
    sql.all(
        BY_USER,
        &[(":tenant", &tenant), (":person", &user)],
        with_verifier,
    )
}

pub(crate) fn consents_after(
    sql: &Sql<'_>,
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

pub(crate) fn expired_consents(sql: &Sql<'_>, before: i64, limit: usize) -> Result<Vec<Of<StateHash>>> {
    sql.all(EXPIRED, &[(":before", &before), (":limit", &limit)], |columns| {
        of_tenant(columns, taken)
    })
}

pub(crate) fn insert_consent(sql: &Sql<'_>, tenant: TenantRow, row: &ConsentRow, sealed: &[u8]) {
    sql.put(
        INSERT,
        row,
        &[(":tenant", &tenant), (":verifier", &record(sealed))],
    );
}

pub(crate) fn end_consent(
    sql: &Sql<'_>,
    tenant: TenantRow,
    state: &StateHash,
    status: &str,
    completed: Option<ConnectionId>,
) {
    sql.later(
        END,
        &[
            (":tenant", &tenant),
            (":state", state),
            (":status", &status),
            (":completed", &completed),
        ],
    );
}

pub(crate) fn delete_consent(sql: &Sql<'_>, tenant: TenantRow, state: &StateHash) {
    sql.later(DELETE, &[(":tenant", &tenant), (":state", state)]);
}
