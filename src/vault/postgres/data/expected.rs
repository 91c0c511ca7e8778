//! Checks that rows are as they were read, in the statements that commit.
//!
//! Grants are locked before connections, as other writers lock them, and each kind in the order of
//! the ids. A writer that changes a connection has locked its grant before.

use crate::vault::postgres::sql::Sql;
use crate::vault::tables::{Expected, TenantRow};

/// Locks rows, and takes the logarithm of zero or less if one of them is missing or has changed, so
/// that the transaction fails before it can commit.
macro_rules! expected {
    ($table:literal, $state:literal, $states:literal) => {
        concat!(
            "WITH locked AS (SELECT r.uuid, r.",
            $state,
            " AS state FROM ",
            $table,
            " r WHERE r.tenant = :tenant AND r.uuid = ANY(:uuids) ORDER BY r.uuid FOR NO KEY UPDATE)
            SELECT ln(1 + count(*) - cardinality(:uuids)) FROM locked l
            JOIN unnest(CAST(:uuids AS bytea[]), CAST(:states AS ",
            $states,
            ")) AS e (uuid, state) ON e.uuid = l.uuid AND e.state = l.state"
        )
    };
}
const GRANTS: &str = expected!("grants", "revision", "bigint[]");
const CONNECTIONS: &str = expected!("connections", "mac", "bytea[]");

pub(crate) fn expect(sql: &Sql<'_>, tenant: TenantRow, expected: &Expected) {
    if !expected.grants.is_empty() {
        let (uuids, revisions): (Vec<_>, Vec<_>) = expected
            .grants
            .iter()
            // Revisions count up from zero.
            .map(|(id, revision)| {
                (
                    id.as_bytes().to_vec(),
                    i64::try_from(*revision).unwrap_or(i64::MAX),
                )
            })
            .unzip();
        sql.later(
            GRANTS,
            &[(":tenant", &tenant), (":uuids", &uuids), (":states", &revisions)],
        );
    }
    if !expected.connections.is_empty() {
        let (uuids, macs): (Vec<_>, Vec<_>) = expected
            .connections
            .iter()
            .map(|(id, mac)| (id.as_bytes().to_vec(), mac.to_vec()))
            .unzip();
        sql.later(
            CONNECTIONS,
            &[(":tenant", &tenant), (":uuids", &uuids), (":states", &macs)],
        );
    }
}
