//! Detects whether anything was committed since an earlier read.

use crate::vault::VaultError;
use crate::vault::sqlite::sql::Sql;
use crate::vault::tables::Stamp;

/// The value that SQLite changes, for the connection that asks, with each commit of another
/// connection, in this process or another.
const THEIRS: &str = "PRAGMA data_version";

/// Returns the stamp of a connection. A connection's own commits do not change its data version, so
/// its own writes are counted separately.
pub(in crate::vault::sqlite) fn stamp(source: usize, sql: Sql<'_>) -> Result<Stamp, VaultError> {
    Ok(Stamp {
        source,
        state: [version(sql)?, sql.0.total_changes(), 0, 0, 0, 0],
    })
}

/// Returns the value that changes with each commit of another connection.
pub(super) fn version(sql: Sql<'_>) -> Result<u64, VaultError> {
    let theirs: Option<i64> = sql.one(THEIRS, &[], |columns| columns.take())?;
    Ok(theirs.ok_or(VaultError::Damaged)?.cast_unsigned())
}
