//! Audit entries that wait to be linked.
//!
//! The server numbers them when they are added. A transaction that changes a row adds its entries
//! after it has locked the row, so that entries about the same row are in the order of the changes,
//! whatever the clocks of the hosts say.

use crate::vault::VaultError;
use crate::vault::postgres::data::{columns, row, taken};
use crate::vault::postgres::sql::Sql;
use crate::vault::tables::{PendingRow, TenantRow, Unlinked, UnlinkedMut};

type Result<T> = std::result::Result<T, VaultError>;

macro_rules! pending_columns {
    ($($form:tt)+) => {
        columns! {$($form)+; PendingRow;
            position = position, at = at, kind = kind, body = body, mac = mac}
    };
}
pending_columns!(stored);

const PENDING: &str = concat!(
    "SELECT ",
    pending_columns!(names),
    " FROM audit_pending WHERE tenant = :tenant AND position > :after ORDER BY position LIMIT :limit"
);
/// The next tenant is searched for from each one that was found.
const TENANTS: &str = "WITH RECURSIVE waiting AS (
      (SELECT tenant FROM audit_pending WHERE tenant > :after ORDER BY tenant LIMIT 1)
      UNION ALL
      SELECT (SELECT p.tenant FROM audit_pending p WHERE p.tenant > w.tenant ORDER BY p.tenant LIMIT 1)
        FROM waiting w WHERE w.tenant IS NOT NULL)
    SELECT w.tenant FROM waiting w
    WHERE EXISTS (SELECT 1 FROM tenants t WHERE t.id = w.tenant AND t.name IS NOT NULL)
    LIMIT :limit";
const ADD: &str = "INSERT INTO audit_pending (tenant, at, kind, body, mac)
    SELECT :tenant, e.at, e.kind, e.body, e.mac
    FROM unnest(CAST(:times AS bigint[]), CAST(:kinds AS text[]), CAST(:bodies AS bytea[]), CAST(:macs AS bytea[]))
      WITH ORDINALITY AS e (at, kind, body, mac, place) ORDER BY e.place";
const DELETE: &str = "DELETE FROM audit_pending WHERE tenant = :tenant AND position = ANY(:positions)";

impl Unlinked for Sql<'_> {
    fn pending(&self, tenant: TenantRow, after: u64, limit: usize) -> Result<Vec<PendingRow>> {
        self.all(
            PENDING,
            &[(":tenant", &tenant), (":after", &after), (":limit", &limit)],
            row,
        )
    }

    fn tenants_with_pending(&self, after: TenantRow, limit: usize) -> Result<Vec<TenantRow>> {
        self.all(TENANTS, &[(":after", &after), (":limit", &limit)], taken)
    }
}

impl UnlinkedMut for Sql<'_> {
    fn add_pending(&mut self, tenant: TenantRow, entries: &[PendingRow]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let times: Vec<i64> = entries.iter().map(|entry| entry.at).collect();
        let kinds: Vec<String> = entries.iter().map(|entry| entry.kind.clone()).collect();
        let bodies: Vec<Vec<u8>> = entries.iter().map(|entry| entry.body.clone()).collect();
        let macs: Vec<Vec<u8>> = entries.iter().map(|entry| entry.mac.to_vec()).collect();
        self.later(
            ADD,
            &[
                (":tenant", &tenant),
                (":times", &times),
                (":kinds", &kinds),
                (":bodies", &bodies),
                (":macs", &macs),
            ],
        );
        Ok(())
    }

    fn delete_pending(&mut self, tenant: TenantRow, positions: &[u64]) -> Result<()> {
        let positions: Vec<i64> = positions
            .iter()
            .map(|position| i64::try_from(*position).unwrap_or(i64::MAX))
            .collect();
        self.later(DELETE, &[(":tenant", &tenant), (":positions", &positions)]);
        Ok(())
    }
}
