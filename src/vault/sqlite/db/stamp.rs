//! Whether anything was committed since.

use crate::vault::VaultError;
use crate::vault::sqlite::sql::Sql;
use crate::vault::tables::Stamp;

/// Changes, for the connection that asks, with each commit of another connection, in this process
/// or another.
const THEIRS: &str = "PRAGMA data_version";

/// Takes the stamp of a connection. Its own commits do not change the version of its data, so what
/// it has written itself is counted beside it.
pub(in crate::vault::sqlite) fn stamp(source: usize, sql: Sql<'_>) -> Result<Stamp, VaultError> {
    let theirs = sql.one(THEIRS, &[], |columns| columns.take())?;
    Ok(Stamp {
        source,
        theirs: theirs.ok_or(VaultError::Damaged)?,
        ours: sql.0.total_changes(),
    })
}
