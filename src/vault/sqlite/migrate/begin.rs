//! The first transaction of a migration, the only one from schema 3, and the check whether one is
//! in progress.

use rusqlite::{Connection, TransactionBehavior};

use crate::vault::VaultError;
use crate::vault::sqlite::db::beat;
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::schema::{self, NEWEST, State};
use crate::vault::sqlite::sql::Sql;

type Result<T> = std::result::Result<T, VaultError>;

const RENAME: &str = "
ALTER TABLE vault RENAME TO vault_2;
ALTER TABLE connections RENAME TO connections_2;
ALTER TABLE consents RENAME TO consents_2;
ALTER TABLE outbox RENAME TO outbox_2;
ALTER TABLE audit RENAME TO audit_legacy;
ALTER TABLE audit_head RENAME TO audit_head_2;
";

const TAKE_OVER: &str = "
INSERT INTO vault (only, id, master_key, key_check, audit_key)
    SELECT only, id, master_key, key_check, audit_key FROM vault_2;
INSERT INTO audit_heads (chain, number, mac, broken, seal)
    SELECT -1, number, mac, broken, seal FROM audit_head_2;
DROP TABLE vault_2;
DROP TABLE audit_head_2;
";

const UNDER_WAY: &str = "SELECT 1 FROM sqlite_schema WHERE name = 'connections_2'";

/// Returns a row if the columns that schema 2 added to schema 1 exist.
const IS_SCHEMA_2: &str = "SELECT 1 FROM pragma_table_info('connections_2') WHERE name = 'shares'";

/// Returns whether a migration has begun and not ended.
pub(in crate::vault::sqlite) fn is_under_way(db: &Connection) -> Result<bool> {
    Sql(db).exists(UNDER_WAY, &[])
}

/// Returns whether the old tables have the columns that schema 2 added to schema 1.
pub(super) fn is_schema_2(sql: Sql<'_>) -> Result<bool> {
    sql.exists(IS_SCHEMA_2, &[])
}

/// Adds the tables that a file of schema 3 lacks, unless another process was faster. No record
/// changes.
pub(in crate::vault::sqlite) fn add_tables(db: &mut Connection) -> Result<()> {
    let transaction = db
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let State::Vault(version) = schema::state(&transaction)? else {
        return Err(VaultError::Damaged);
    };
    if version >= NEWEST {
        return Ok(());
    }
    schema::create_missing(&transaction)?;
    beat::write_next(&transaction)?;
    transaction
        .pragma_update(None, "user_version", NEWEST)
        .map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// Renames the old tables and creates the new ones, unless another process was faster.
pub(in crate::vault::sqlite) fn begin(db: &mut Connection) -> Result<()> {
    let transaction = db
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let State::Vault(version) = schema::state(&transaction)? else {
        return Err(VaultError::Damaged);
    };
    if version >= NEWEST {
        return Ok(());
    }
    // No statement here reads the rows, however many there are.
    transaction.execute_batch(RENAME).map_err(failed)?;
    schema::create_missing(&transaction)?;
    transaction.execute_batch(TAKE_OVER).map_err(failed)?;
    beat::found(&transaction)?;
    transaction
        .pragma_update(None, "user_version", NEWEST)
        .map_err(failed)?;
    transaction.commit().map_err(failed)
}
