//! Connections and the times of their last use.

use crate::model::ConnectionId;
use crate::vault::VaultError;
use crate::vault::postgres::data::grant::grant_columns;
use crate::vault::postgres::data::taken;
use crate::vault::postgres::sql::{Sql, Stored as _};
use crate::vault::postgres::value::{Bind, Columns};
use crate::vault::tables::{ConnectionRow, GrantRow, ListedRow, Listing, TenantRow};

type Result<T> = std::result::Result<T, VaultError>;

macro_rules! connection_columns {
    ($($form:tt)+) => {
        $crate::vault::postgres::data::columns! {$($form)+; ConnectionRow;
            uuid = id, owner = owner, provider = provider, label = label, is_default = is_default,
            revoked = revoked, grant_id = grant, account = account, details = details, mac = mac}
    };
}
connection_columns!(stored);

/// A connection with its grant and its last use. A connection without a grant is damaged and must
/// not be omitted.
macro_rules! listed {
    ($where:literal) => {
        concat!(
            "SELECT u.used_at, ",
            connection_columns!(names of "c"),
            ", ",
            grant_columns!(names of "g"),
            " FROM connections c LEFT JOIN grants g ON g.tenant = c.tenant AND g.uuid = c.grant_id
            LEFT JOIN uses u ON u.tenant = c.tenant AND u.uuid = c.uuid
            WHERE c.tenant = :tenant AND ",
            $where
        )
    };
}
/// A page of them.
macro_rules! listing {
    ($where:literal) => {
        concat!(
            listed!("c.uuid > :after"),
            $where,
            " AND (NOT c.revoked OR :with_revoked) AND (c.provider = :provider OR :provider IS NULL)
            ORDER BY c.uuid LIMIT :limit"
        )
    };
}

const ONE: &str = listed!("c.uuid = :uuid");
const LIST: &str = listing!("");
const LIST_OF_OWNER: &str = listing!(" AND c.owner = :owner");
const LIST_OF_GRANT: &str = listing!(" AND c.grant_id = :grant AND (c.owner = :owner OR :owner IS NULL)");
const COUNT: &str = "SELECT count(*) FROM connections WHERE tenant = :tenant";
const COUNT_OF_OWNER: &str = "SELECT count(*) FROM connections WHERE tenant = :tenant AND owner = :owner";

const PUT: &str = concat!(
    "INSERT INTO connections (tenant, ",
    connection_columns!(names),
    ") VALUES (:tenant, ",
    connection_columns!(values),
    ") ON CONFLICT (tenant, uuid) DO UPDATE SET ",
    connection_columns!(changes)
);
const TAKEN: &str = "SELECT 1 FROM connections WHERE tenant = :tenant AND owner = :owner
    AND provider = :provider AND NOT revoked AND uuid <> :uuid
    AND (label = :label OR account = :account OR (is_default AND :is_default)) LIMIT 1";
const RECORD_USES: &str = "INSERT INTO uses (tenant, uuid, used_at)
    SELECT c.tenant, c.uuid, max(u.at)
    FROM unnest(CAST(:tenants AS bigint[]), CAST(:uuids AS bytea[]), CAST(:times AS bigint[])) AS u (tenant, uuid, at)
    JOIN connections c ON c.tenant = u.tenant AND c.uuid = u.uuid
    GROUP BY c.tenant, c.uuid ORDER BY c.tenant, c.uuid
    ON CONFLICT (tenant, uuid) DO UPDATE SET used_at = excluded.used_at
    WHERE excluded.used_at > uses.used_at";

fn listed(columns: &mut Columns<'_>) -> Result<ListedRow> {
    let used_at = columns.take()?;
    let connection = ConnectionRow::read(columns)?;
    if columns.is_null()? {
        return Err(VaultError::Damaged);
    }
    Ok(ListedRow {
        connection,
        grant: GrantRow::read(columns)?,
        used_at,
    })
}

pub(crate) fn connection(sql: &Sql<'_>, tenant: TenantRow, id: ConnectionId) -> Result<Option<ListedRow>> {
    sql.one(ONE, &[(":tenant", &tenant), (":uuid", &id)], listed)
}

pub(crate) fn connections(sql: &Sql<'_>, tenant: TenantRow, listing: &Listing<'_>) -> Result<Vec<ListedRow>> {
    let after = listing.after.as_ref().map_or(&[][..], |id| id.as_bytes());
    let page: [(_, &dyn Bind); 5] = [
        (":tenant", &tenant),
        (":after", &after),
        (":with_revoked", &listing.with_revoked),
        (":provider", &listing.provider),
        (":limit", &listing.limit),
    ];
    let [a, b, c, d, e] = page;
    match (listing.grant, listing.owner) {
        (Some(grant), owner) => sql.all(
            LIST_OF_GRANT,
            &[a, b, c, d, e, (":grant", &grant), (":owner", &owner)],
            listed,
        ),
        (None, Some(owner)) => sql.all(LIST_OF_OWNER, &[a, b, c, d, e, (":owner", &owner)], listed),
        (None, None) => sql.all(LIST, &page, listed),
    }
}

pub(crate) fn count_connections(sql: &Sql<'_>, tenant: TenantRow, owner: Option<&str>) -> Result<usize> {
    let count = match owner {
        Some(owner) => sql.one(COUNT_OF_OWNER, &[(":tenant", &tenant), (":owner", &owner)], taken),
        None => sql.one(COUNT, &[(":tenant", &tenant)], taken),
    };
    Ok(count?.unwrap_or_default())
}

/// Writers of a tenant follow one another, so that what is free here is free when the row is
/// written.
pub(crate) fn put_connection(sql: &Sql<'_>, tenant: TenantRow, row: &ConnectionRow) -> Result<bool> {
    if !row.revoked
        && sql.exists(
            TAKEN,
            &[
                (":tenant", &tenant),
                (":owner", &row.owner),
                (":provider", &row.provider),
                (":uuid", &row.id),
                (":label", &row.label),
                (":account", &row.account),
                (":is_default", &row.is_default),
            ],
        )?
    {
        return Ok(false);
    }
    sql.put(PUT, row, &[(":tenant", &tenant)]);
    Ok(true)
}

pub(crate) fn record_uses(sql: &Sql<'_>, uses: &[(TenantRow, ConnectionId, i64)]) {
    if !sql.names_tenants() {
        return record(sql, uses);
    }
    let mut uses = uses.to_vec();
    uses.sort_by_key(|(tenant, ..)| *tenant);
    for of_tenant in uses.chunk_by(|(one, ..), (other, ..)| one == other) {
        if let [(tenant, ..), ..] = of_tenant {
            sql.about(*tenant);
        }
        record(sql, of_tenant);
    }
}

fn record(sql: &Sql<'_>, uses: &[(TenantRow, ConnectionId, i64)]) {
    if uses.is_empty() {
        return;
    }
    let tenants: Vec<i64> = uses.iter().map(|(tenant, ..)| *tenant).collect();
    let uuids: Vec<Vec<u8>> = uses.iter().map(|(_, id, _)| id.as_bytes().to_vec()).collect();
    let times: Vec<i64> = uses.iter().map(|(.., at)| *at).collect();
    sql.later(
        RECORD_USES,
        &[(":tenants", &tenants), (":uuids", &uuids), (":times", &times)],
    );
}
