//! Erases the rows of an owner or of a whole tenant in chunks.

use crate::vault::VaultError;
use crate::vault::postgres::data::taken;
use crate::vault::postgres::sql::Sql;
use crate::vault::tables::{Doomed, TenantRow};

type Result<T> = std::result::Result<T, VaultError>;

const CONNECTIONS_OF_OWNER: &str = "SELECT uuid FROM connections
    WHERE tenant = :tenant AND owner = :owner ORDER BY uuid LIMIT :limit";
const CONNECTIONS: &str = "SELECT uuid FROM connections WHERE tenant = :tenant ORDER BY uuid LIMIT :limit";
const GRANTS_OF: &str =
    "SELECT DISTINCT grant_id FROM connections WHERE tenant = :tenant AND uuid = ANY(:uuids)";
/// Grants are locked before the connections that use them are written, as every change does.
const LOCK_GRANTS: &str = "SELECT 1 FROM grants WHERE tenant = :tenant AND uuid = ANY(:grants)
    ORDER BY uuid FOR UPDATE";
const DELETE_USES: &str = "DELETE FROM uses WHERE tenant = :tenant AND uuid = ANY(:uuids)";
const DELETE_CONNECTIONS: &str = "DELETE FROM connections WHERE tenant = :tenant AND uuid = ANY(:uuids)";
/// Deletes the grants that no connection uses any longer, and those that they replaced.
const DELETE_GRANTS: &str = "WITH RECURSIVE doomed AS (
      SELECT g.uuid FROM grants g WHERE g.tenant = :tenant AND g.uuid = ANY(:grants)
        AND NOT EXISTS (SELECT 1 FROM connections c WHERE c.tenant = :tenant AND c.grant_id = g.uuid)
      UNION
      SELECT f.uuid FROM grants f JOIN doomed d ON f.former_of = d.uuid WHERE f.tenant = :tenant)
    DELETE FROM grants WHERE tenant = :tenant AND uuid IN (SELECT uuid FROM doomed)";

const REVOCATIONS_OF_OWNER: &str = "DELETE FROM revocations WHERE tenant = :tenant AND uuid IN (
      SELECT uuid FROM revocations WHERE tenant = :tenant AND owner = :owner LIMIT :limit)";
const CONSENTS_OF_USER: &str = "DELETE FROM consents WHERE tenant = :tenant AND state IN (
      SELECT state FROM consents WHERE tenant = :tenant AND person = :owner LIMIT :limit)";
const CONSENTS_OF_OWNER: &str = "DELETE FROM consents WHERE tenant = :tenant AND state IN (
      SELECT state FROM consents WHERE tenant = :tenant AND owner = :owner LIMIT :limit)";

const ALL_REVOCATIONS: &str = "DELETE FROM revocations WHERE tenant = :tenant AND uuid IN (
      SELECT uuid FROM revocations WHERE tenant = :tenant LIMIT :limit)";
const ALL_CONSENTS: &str = "DELETE FROM consents WHERE tenant = :tenant AND state IN (
      SELECT state FROM consents WHERE tenant = :tenant LIMIT :limit)";
const ALL_DEFINITIONS: &str = "DELETE FROM definitions WHERE tenant = :tenant AND (kind, name) IN (
      SELECT kind, name FROM definitions WHERE tenant = :tenant LIMIT :limit)";
const OTHER_GRANTS: &str = "DELETE FROM grants WHERE tenant = :tenant AND uuid IN (
      SELECT uuid FROM grants WHERE tenant = :tenant LIMIT :limit)";

/// A connection is erased together with the grants that only it uses, so that no connection is left
/// without its grant. The number of rows may therefore exceed the limit slightly.
pub(crate) fn erase(sql: &Sql<'_>, tenant: TenantRow, doomed: Doomed<'_>, limit: usize) -> Result<bool> {
    let mut left = limit;
    match doomed {
        Doomed::Owner(owner) => {
            let uuids = sql.all(
                CONNECTIONS_OF_OWNER,
                &[(":tenant", &tenant), (":owner", &owner), (":limit", &left)],
                taken,
            )?;
            left = left.saturating_sub(delete_connections(sql, tenant, uuids)?);
            for statement in [REVOCATIONS_OF_OWNER, CONSENTS_OF_USER, CONSENTS_OF_OWNER] {
                let deleted = sql.execute(
                    statement,
                    &[(":tenant", &tenant), (":owner", &owner), (":limit", &left)],
                )?;
                left = less(left, deleted);
            }
        }
        Doomed::Everything => {
            let uuids = sql.all(CONNECTIONS, &[(":tenant", &tenant), (":limit", &left)], taken)?;
            left = left.saturating_sub(delete_connections(sql, tenant, uuids)?);
            for statement in [ALL_REVOCATIONS, ALL_CONSENTS, ALL_DEFINITIONS, OTHER_GRANTS] {
                let deleted = sql.execute(statement, &[(":tenant", &tenant), (":limit", &left)])?;
                left = less(left, deleted);
            }
        }
    }
    Ok(left > 0)
}

/// Deletes connections with their grants. Returns the number of rows.
fn delete_connections(sql: &Sql<'_>, tenant: TenantRow, uuids: Vec<Vec<u8>>) -> Result<usize> {
    if uuids.is_empty() {
        return Ok(0);
    }
    let count = uuids.len();
    let grants: Vec<Vec<u8>> = sql.all(GRANTS_OF, &[(":tenant", &tenant), (":uuids", &uuids)], taken)?;
    sql.later(LOCK_GRANTS, &[(":tenant", &tenant), (":grants", &grants)]);
    sql.later(DELETE_USES, &[(":tenant", &tenant), (":uuids", &uuids)]);
    sql.later(DELETE_CONNECTIONS, &[(":tenant", &tenant), (":uuids", &uuids)]);
    let deleted = sql.execute(DELETE_GRANTS, &[(":tenant", &tenant), (":grants", &grants)])?;
    Ok(count + usize::try_from(deleted).unwrap_or(usize::MAX))
}

fn less(left: usize, deleted: u64) -> usize {
    left.saturating_sub(usize::try_from(deleted).unwrap_or(usize::MAX))
}
