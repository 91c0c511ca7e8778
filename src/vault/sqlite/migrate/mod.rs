//! Migrates files of schemas 1 and 2 to schema 3. Several processes can run it at once, and it
//! resumes after a crash at any point.
//!
//! The first transaction renames the old tables, so that a process of an older version fails
//! instead of writing to them, and creates the new ones. Then records move in chunks: they are
//! read, opened and sealed again outside a transaction, then stored and deleted from the old table
//! inside one. The last transaction drops the empty tables. A process that opens the vault
//! meanwhile takes part; no process uses the vault before all records have moved.
//!
//! The entries of the audit stay in place: see
//! [`Chain::Legacy`](crate::vault::tables::Chain::Legacy).

pub(super) mod begin;
mod connections;
mod consents;
mod old;
mod revocations;

use begin::is_schema_2;
use begin::is_under_way;

use crate::clock::Clock as _;
use crate::clock::SystemClock;
use crate::model::{TenantId, Timestamp};
use crate::vault::VaultError;
use crate::vault::sealed::{Core, Upgraded, Upgrader};
use crate::vault::sqlite::data::slots::{self, Slot};
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::sql::Sql;
use crate::vault::sqlite::tables::SqliteTables;
use crate::vault::tables::{Tables as _, TenantRow, Write};

type Result<T> = std::result::Result<T, VaultError>;

/// The number of records that one transaction moves: well under 25 ms of the write lock.
const CHUNK: usize = 100;
/// The number of chunks after which the remaining rows are counted again, because other processes
/// may move some as well.
const RECOUNT: u64 = 50;

const DROP: &str = "DROP TABLE connections_2; DROP TABLE consents_2; DROP TABLE outbox_2;";

/// The rows that remain to be moved.
const LEFT: &str = "SELECT 1 FROM (SELECT 1 FROM connections_2 UNION ALL SELECT 1 FROM consents_2
    UNION ALL SELECT 1 FROM outbox_2) LIMIT 1";

/// A record in an old table.
struct Old<R> {
    row: i64,
    slot: Option<Slot>,
    record: R,
}

/// An old table.
trait Table {
    type Record;

    /// The statement that deletes a row.
    const DELETE: &'static str;
    /// The statement that checks whether a row exists.
    const EXISTS: &'static str;

    /// Reads some records, all of one tenant, and that tenant. They have no order, because sorting
    /// would read all of them.
    fn read(sql: Sql<'_>, limit: usize) -> Result<Vec<(TenantRow, Old<Self::Record>)>>;

    /// Seals a record again. Returns `None` if it is left behind because it can no longer be used.
    fn upgrade(
        name: &TenantId,
        old: &Self::Record,
        with: &Upgrader<'_, SqliteTables>,
    ) -> Result<Vec<Upgraded>>;
}

/// Moves all remaining records.
pub(super) fn run(core: &Core<SqliteTables>, progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
    let now = SystemClock.now();
    core.upgrade_vault()?;
    upgrade_tenants(core)?;
    let total = core.tables.sql(old::count)?;
    let mut report = |left: u64| progress(total.saturating_sub(left), total);
    report(total);
    let (mut left, mut chunks) = (total, 0_u64);
    while let Some(moved) = move_some(core, now)? {
        left = left.saturating_sub(moved);
        chunks += 1;
        if chunks % RECOUNT == 0 {
            left = left.min(core.tables.sql(old::count)?);
        }
        report(left);
    }
    finish(&core.tables)?;
    // The log is moved into the file itself: that overwrites its former content, and replacing the
    // file can then be detected.
    core.tables.clear_residue()?;
    report(0);
    Ok(())
}

fn upgrade_tenants(core: &Core<SqliteTables>) -> Result<()> {
    let mut after = 0;
    loop {
        let page = core.tables.read(|rows| rows.tenants(after, 1_000))?;
        let Some((last, _)) = page.last() else {
            return Ok(());
        };
        after = *last;
        for (row, name) in page {
            if let Some(name) = name {
                core.upgrade_tenant(row, &name)?;
            }
        }
    }
}

/// Moves some records of some table. Returns how many; `None` if all tables are empty.
fn move_some(core: &Core<SqliteTables>, now: Timestamp) -> Result<Option<u64>> {
    for move_chunk in [
        move_chunk::<old::Connections>,
        move_chunk::<old::Consents>,
        move_chunk::<old::Revocations>,
    ] {
        if let Some(moved) = move_chunk(core, now)? {
            return Ok(Some(moved));
        }
    }
    Ok(None)
}

/// Moves some records of one tenant. Returns how many; `None` if the table is empty.
fn move_chunk<T: Table>(core: &Core<SqliteTables>, now: Timestamp) -> Result<Option<u64>> {
    let chunk = core.tables.sql(|sql| T::read(sql, CHUNK))?;
    let Some((tenant, _)) = chunk.first() else {
        return Ok(None);
    };
    let name = core.tables.sql(|sql| old::tenant_name(sql, *tenant))?;
    match name {
        Some(name) => core
            .upgrade_chunk(&name, now, |with| upgrade_chunk::<T>(core, &name, &chunk, with))
            .map(Some),
        // The tenant is being erased: its keys are gone.
        None => delete_chunk::<T>(core, &chunk).map(Some),
    }
}

fn upgrade_chunk<T: Table>(
    core: &Core<SqliteTables>,
    name: &TenantId,
    chunk: &[(TenantRow, Old<T::Record>)],
    with: &Upgrader<'_, SqliteTables>,
) -> Result<Write<u64>> {
    let mut upgraded = Vec::with_capacity(chunk.len());
    for (_, old) in chunk {
        upgraded.push((old, T::upgrade(name, &old.record, with)?));
    }
    core.tables.write_sql(|writing| {
        let sql = writing.sql();
        if !is_under_way(sql.0)? {
            // Another process has moved the rest.
            return Ok(Write::Unchanged(0));
        }
        let (mut seals, mut moved) = (0, 0);
        for (old, records) in &upgraded {
            // Another process may have moved it.
            if !sql.exists(T::EXISTS, &[(":row", &old.row)])? {
                continue;
            }
            for record in records {
                record.store(writing, with.tenant())?;
                seals += record.seals();
            }
            delete::<T>(sql, old.row, old.slot)?;
            moved += 1;
        }
        if !with.count(writing, seals)? {
            return Ok(Write::NewDataKey);
        }
        Ok(Write::Commit(moved))
    })
}

fn delete_chunk<T: Table>(core: &Core<SqliteTables>, chunk: &[(TenantRow, Old<T::Record>)]) -> Result<u64> {
    let deleted = core.tables.write_sql(|writing| {
        let sql = writing.sql();
        if !is_under_way(sql.0)? {
            return Ok(Write::Unchanged(0));
        }
        let mut deleted = 0;
        for (_, old) in chunk {
            if sql.exists(T::EXISTS, &[(":row", &old.row)])? {
                delete::<T>(sql, old.row, old.slot)?;
                deleted += 1;
            }
        }
        Ok(Write::Commit(deleted))
    })?;
    match deleted {
        Write::Commit(deleted) | Write::Unchanged(deleted) => Ok(deleted),
        Write::NewDataKey | Write::Moved => Err(VaultError::Busy),
    }
}

/// Drops the old tables once they are empty, unless another process was faster.
fn finish(tables: &SqliteTables) -> Result<()> {
    tables.write_sql(|writing| {
        let sql = writing.sql();
        if !is_under_way(sql.0)? || sql.exists(LEFT, &[])? {
            return Ok(Write::Unchanged(()));
        }
        sql.0.execute_batch(DROP).map_err(failed)?;
        Ok(Write::Commit(()))
    })?;
    Ok(())
}

fn delete<T: Table>(sql: Sql<'_>, row: i64, slot: Option<Slot>) -> Result<()> {
    if let Some(slot) = slot {
        slots::free(sql, slot)?;
    }
    sql.execute(T::DELETE, &[(":row", &row)])?;
    Ok(())
}

#[cfg(test)]
mod tests;
