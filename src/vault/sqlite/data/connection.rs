//! Connections and the times of their last use.

use std::collections::BTreeMap;

use crate::model::{ConnectionId, GrantId};
use crate::vault::sqlite::data::grant::grant_columns;
use crate::vault::sqlite::data::taken;
use crate::vault::sqlite::failure::{failed, is_unique_violation};
use crate::vault::sqlite::sql::{Sql, Stored as _};
use crate::vault::sqlite::value::{Bind, Columns};
use crate::vault::tables::{ConnectionRow, GrantRow, ListedRow, Listing, TenantRow};
use crate::vault::{Sought, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

macro_rules! connection_columns {
    ($($form:tt)+) => {
        $crate::vault::sqlite::data::columns! {$($form)+; ConnectionRow;
            uuid = id, owner = owner, provider = provider, label = label, is_default = is_default,
            revoked = revoked, grant_id = grant, account = account, details = details, mac = mac}
    };
}
connection_columns!(stored);

/// A connection with its grant and its last use. A connection without a grant is damaged and must
/// not be omitted.
macro_rules! listed {
    ($index:literal, $where:literal) => {
        concat!(
            "SELECT u.used_at, ",
            connection_columns!(names of "c"),
            ", ",
            grant_columns!(names of "g"),
            " FROM connections c ",
            $index,
            " LEFT JOIN grants g ON g.tenant = c.tenant AND g.uuid = c.grant_id
            LEFT JOIN uses u ON u.tenant = c.tenant AND u.uuid = c.uuid
            WHERE c.tenant = :tenant AND ",
            $where
        )
    };
}
/// A page of them. The index is named, because the planner would otherwise walk the whole tenant.
macro_rules! listing {
    ($index:literal, $where:literal) => {
        concat!(
            listed!($index, "c.uuid > :after"),
            $where,
            " AND (c.revoked = 0 OR :with_revoked) AND (c.provider = :provider OR :provider IS NULL)
            ORDER BY c.uuid LIMIT :limit"
        )
    };
}

const ONE: &str = listed!("", "c.uuid = :uuid");
const LIST: &str = listing!("", "");
const LIST_OF_OWNER: &str = listing!("INDEXED BY connections_owned", " AND c.owner = :owner");
const LIST_OF_GRANT: &str = listing!(
    "INDEXED BY connections_by_grant",
    " AND c.grant_id = :grant AND (c.owner = :owner OR :owner IS NULL)"
);
const LIST_OF_PROVIDER: &str = listing!(
    "INDEXED BY connections_by_provider",
    " AND c.provider = :provider"
);
const LIST_REVOKED: &str = listing!("INDEXED BY connections_revoked", " AND c.revoked = 1");
/// The connections of the grants that an index finds. They are few, and sorted by their ids before
/// their rows are read.
macro_rules! of_grants {
    ($index:literal, $where:literal) => {
        concat!(
            "SELECT n.uuid AS id FROM grants e INDEXED BY ",
            $index,
            " CROSS JOIN connections n INDEXED BY connections_by_grant
                ON n.tenant = e.tenant AND n.grant_id = e.uuid
            WHERE e.tenant = :tenant AND e.former_of IS NULL AND n.uuid > :after AND n.revoked = 0
              AND (n.provider = :provider OR :provider IS NULL) AND ",
            $where
        )
    };
}
const LIST_NEEDY: &str = concat!(
    listed!("", "c.uuid IN (SELECT id FROM ("),
    of_grants!("grants_ended", "e.status NOT IN ('active', 'revoked')"),
    " UNION ALL ",
    of_grants!(
        "grants_unrefreshable",
        "e.status = 'active' AND e.refreshable = 0 AND e.expires_at IS NOT NULL AND e.expires_at <= :now"
    ),
    ") ORDER BY id LIMIT :limit) ORDER BY c.uuid"
);
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
/// A consent that is given again changes the grant of a connection, and of the columns in an index
/// only that.
const PUT_GRANT: &str = "UPDATE connections SET grant_id = :grant_id, details = :details, mac = :mac
    WHERE tenant = :tenant AND uuid = :uuid AND owner = :owner AND provider = :provider AND label IS :label
      AND is_default = :is_default AND revoked = :revoked AND account IS :account";
const RECORD_USE: &str = "INSERT INTO uses (tenant, uuid, used_at)
    SELECT tenant, uuid, :at FROM connections WHERE tenant = :tenant AND uuid = :uuid
    ON CONFLICT (tenant, uuid) DO UPDATE SET used_at = excluded.used_at WHERE excluded.used_at > used_at";

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

pub(crate) fn connection(sql: Sql<'_>, tenant: TenantRow, id: ConnectionId) -> Result<Option<ListedRow>> {
    sql.one(ONE, &[(":tenant", &tenant), (":uuid", &id)], listed)
}

pub(crate) fn connections(sql: Sql<'_>, tenant: TenantRow, listing: &Listing<'_>) -> Result<Vec<ListedRow>> {
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
        (None, None) => match (listing.sought, listing.provider) {
            (Some(Sought::Revoked), _) if listing.with_revoked => sql.all(LIST_REVOKED, &page, listed),
            (Some(Sought::NeedsConsent { now }), _) => {
                let now = now.as_unix_millis();
                sql.all(LIST_NEEDY, &[a, b, d, e, (":now", &now)], listed)
            }
            (_, Some(_)) => sql.all(LIST_OF_PROVIDER, &page, listed),
            (_, None) => sql.all(LIST, &page, listed),
        },
    }
}

pub(crate) fn count_connections(sql: Sql<'_>, tenant: TenantRow, owner: Option<&str>) -> Result<usize> {
    let count = match owner {
        Some(owner) => sql.one(COUNT_OF_OWNER, &[(":tenant", &tenant), (":owner", &owner)], taken),
        None => sql.one(COUNT, &[(":tenant", &tenant)], taken),
    };
    Ok(count?.unwrap_or_default())
}

/// A violated index undoes only the statement; the transaction continues.
pub(crate) fn put_connection(sql: Sql<'_>, tenant: TenantRow, row: &ConnectionRow) -> Result<bool> {
    let updated = match sql.try_put(PUT_GRANT, row, &[(":tenant", &tenant)])? {
        Ok(0) => sql.try_put(PUT, row, &[(":tenant", &tenant)])?,
        updated => updated,
    };
    match updated {
        Ok(_) => Ok(true),
        Err(error) if is_unique_violation(&error) => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

pub(crate) fn record_uses(sql: Sql<'_>, uses: &[(TenantRow, ConnectionId, i64)]) -> Result<()> {
    let mut newest = BTreeMap::new();
    for (tenant, id, at) in uses {
        let newest: &mut i64 = newest.entry((*tenant, *id)).or_insert(*at);
        *newest = (*newest).max(*at);
    }
    for ((tenant, id), at) in &newest {
        sql.execute(RECORD_USE, &[(":tenant", tenant), (":uuid", id), (":at", at)])?;
    }
    Ok(())
}

/// Encodes bytes for `unhex`, because JSON has no bytes.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
    text
}

const OF_OWNER: &str = "SELECT uuid, grant_id FROM connections INDEXED BY connections_owned
    WHERE tenant = :tenant AND owner = :owner
    ORDER BY uuid LIMIT :limit";
const OF_TENANT: &str =
    "SELECT uuid, grant_id FROM connections WHERE tenant = :tenant ORDER BY uuid LIMIT :limit";
const USES_GRANT: &str = "SELECT 1 FROM connections INDEXED BY connections_by_grant
    WHERE tenant = :tenant AND grant_id = :grant LIMIT 1";
const DELETE: &str = "DELETE FROM connections WHERE tenant = :tenant AND uuid = :uuid";
const DELETE_USE: &str = "DELETE FROM uses WHERE tenant = :tenant AND uuid = :uuid";

/// Returns some connections with their grants: of one owner, or of the whole tenant.
pub(super) fn some(
    sql: Sql<'_>,
    tenant: TenantRow,
    owner: Option<&str>,
    limit: usize,
) -> Result<Vec<(ConnectionId, GrantId)>> {
    let read = |columns: &mut Columns<'_>| Ok((columns.take()?, columns.take()?));
    match owner {
        Some(owner) => sql.all(
            OF_OWNER,
            &[(":tenant", &tenant), (":owner", &owner), (":limit", &limit)],
            read,
        ),
        None => sql.all(OF_TENANT, &[(":tenant", &tenant), (":limit", &limit)], read),
    }
}

/// Returns whether a connection uses this grant.
pub(super) fn uses_grant(sql: Sql<'_>, tenant: TenantRow, grant: GrantId) -> Result<bool> {
    sql.exists(USES_GRANT, &[(":tenant", &tenant), (":grant", &grant)])
}

/// Deletes a connection and the time of its last use.
pub(super) fn delete(sql: Sql<'_>, tenant: TenantRow, id: ConnectionId) -> Result<()> {
    sql.execute(DELETE_USE, &[(":tenant", &tenant), (":uuid", &id)])?;
    sql.execute(DELETE, &[(":tenant", &tenant), (":uuid", &id)])?;
    Ok(())
}
