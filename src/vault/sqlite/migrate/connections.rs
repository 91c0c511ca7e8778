//! Moves connections and the records that kept tokens for several of them.

use crate::model::TenantId;
use crate::vault::VaultError;
use crate::vault::sealed::{Upgraded, Upgrader};
use crate::vault::sqlite::migrate::old::{self, Connections, OldConnection, connection_columns};
use crate::vault::sqlite::migrate::{Old, Table};
use crate::vault::sqlite::sql::Sql;
use crate::vault::sqlite::tables::SqliteTables;
use crate::vault::tables::{Sealed, TenantRow};

macro_rules! read {
    ($shares:literal) => {
        concat!(
            "SELECT c.tenant, c.id, c.slot, ",
            connection_columns!($shares),
            " FROM connections_2 c LEFT JOIN secrets s ON s.slot = c.slot
              WHERE c.tenant = (SELECT min(tenant) FROM connections_2) LIMIT :limit"
        )
    };
}

const READ_1: &str = read!("NULL, 0");
const READ_2: &str = read!("c.shares, c.is_keeper");

impl Table for Connections {
    type Record = OldConnection;

    const DELETE: &'static str = "DELETE FROM connections_2 WHERE id = :row";
    const EXISTS: &'static str = "SELECT 1 FROM connections_2 WHERE id = :row";

    fn read(sql: Sql<'_>, limit: usize) -> Result<Vec<(TenantRow, Old<OldConnection>)>, VaultError> {
        if !super::is_under_way(sql.0)? {
            return Ok(Vec::new());
        }
        let read = if super::is_schema_2(sql)? { READ_2 } else { READ_1 };
        sql.all(read, &[(":limit", &limit)], |columns| {
            let (tenant, row, slot) = (columns.take()?, columns.take()?, columns.take()?);
            let record = old::connection(columns)?;
            Ok((tenant, Old { row, slot, record }))
        })
    }

    /// A row with its own tokens becomes a grant and a connection that uses it; one that kept
    /// tokens for others becomes a grant; one that shared such a record becomes a connection.
    fn upgrade(
        name: &TenantId,
        old: &OldConnection,
        with: &Upgrader<'_, SqliteTables>,
    ) -> Result<Vec<Upgraded>, VaultError> {
        let mut upgraded = Vec::with_capacity(2);
        if old.shares.is_none() {
            let sealed = Sealed {
                access: old.sealed.access.clone(),
                rest: old.sealed.rest.clone(),
            };
            upgraded.push(with.grant(&old.grant(name), sealed)?);
        }
        if !old.keeps_for_others {
            let (connection, grant) = old.connection(name);
            upgraded.push(with.connection(&connection, grant));
        }
        Ok(upgraded)
    }
}
