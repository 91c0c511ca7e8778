//! Runs statements.

use rusqlite::{CachedStatement, Connection, Statement};

use crate::vault::VaultError;
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::value::{Bind, Columns};

type Result<T> = std::result::Result<T, VaultError>;

/// Named parameters with their values.
pub(super) type Named<'p> = [(&'static str, &'p dyn Bind)];

/// A connection to the database, for statements that are compiled once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sql<'a>(pub(super) &'a Connection);

/// A row whose columns are listed by [`columns`](super::data::columns).
pub(super) trait Stored: Sized {
    /// Binds each column's parameter to its value.
    fn bind(&self, statement: &mut Statement<'_>) -> Result<()>;
    /// Takes the columns in the order of the list.
    fn read(columns: &mut Columns<'_>) -> Result<Self>;
}

impl<'a> Sql<'a> {
    fn prepare(self, sql: &'static str, named: &Named<'_>) -> Result<CachedStatement<'a>> {
        #[cfg(test)]
        tests::record(sql);
        let mut statement = self.0.prepare_cached(sql).map_err(failed)?;
        for (name, value) in named {
            bind(&mut statement, name, *value)?;
        }
        Ok(statement)
    }

    /// Reads the first row, if there is one.
    pub(super) fn one<T>(
        self,
        sql: &'static str,
        named: &Named<'_>,
        read: impl FnOnce(&mut Columns<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.prepare(sql, named)?;
        let mut rows = statement.raw_query();
        match rows.next().map_err(failed)? {
            Some(row) => read(&mut Columns::new(row)).map(Some),
            None => Ok(None),
        }
    }

    /// Reads all rows.
    pub(super) fn all<T>(
        self,
        sql: &'static str,
        named: &Named<'_>,
        mut read: impl FnMut(&mut Columns<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.prepare(sql, named)?;
        let mut rows = statement.raw_query();
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            all.push(read(&mut Columns::new(row))?);
        }
        Ok(all)
    }

    /// Returns whether there is a row.
    pub(super) fn exists(self, sql: &'static str, named: &Named<'_>) -> Result<bool> {
        Ok(self.one(sql, named, |_| Ok(()))?.is_some())
    }

    /// Reads the first row, and returns whether there is another. This is for the hot path: the
    /// values are in the order in which the statement first names its parameters, so no name is
    /// looked up.
    pub(super) fn first_in_order<T>(
        self,
        sql: &'static str,
        values: &[&dyn Bind],
        read: impl FnOnce(&mut Columns<'_>) -> Result<T>,
    ) -> Result<Option<(T, bool)>> {
        let mut statement = self.prepare(sql, &[])?;
        for (at, value) in (1..).zip(values) {
            statement.raw_bind_parameter(at, value.bind()).map_err(failed)?;
        }
        let mut rows = statement.raw_query();
        let Some(row) = rows.next().map_err(failed)? else {
            return Ok(None);
        };
        let first = read(&mut Columns::new(row))?;
        let has_another = rows.next().map_err(failed)?.is_some();
        Ok(Some((first, has_another)))
    }

    /// Runs a write, and returns the number of rows that were written.
    pub(super) fn execute(self, sql: &'static str, named: &Named<'_>) -> Result<usize> {
        self.prepare(sql, named)?.raw_execute().map_err(failed)
    }

    /// Writes a row, with the values of additional columns.
    pub(super) fn put(self, sql: &'static str, row: &impl Stored, named: &Named<'_>) -> Result<()> {
        self.try_put(sql, row, named)?.map_err(failed)?;
        Ok(())
    }

    /// Writes a row like [`put`](Self::put). The inner error may be that of a constraint.
    pub(super) fn try_put(
        self,
        sql: &'static str,
        row: &impl Stored,
        named: &Named<'_>,
    ) -> Result<rusqlite::Result<usize>> {
        let mut statement = self.prepare(sql, named)?;
        row.bind(&mut statement)?;
        Ok(statement.raw_execute())
    }
}

/// Binds one parameter to its value.
pub(super) fn bind(statement: &mut Statement<'_>, name: &str, value: &dyn Bind) -> Result<()> {
    statement.raw_bind_parameter(name, value.bind()).map_err(failed)
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeSet;

    thread_local! {
        static RECORDED: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
        static COUNT: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn record(sql: &'static str) {
        RECORDED.with_borrow_mut(|all| all.insert(sql));
        COUNT.set(COUNT.get() + 1);
    }

    /// Returns how many statements this thread has run so far.
    pub(in crate::vault::sqlite) fn count() -> usize {
        COUNT.get()
    }

    /// Returns every statement that this thread has run so far.
    pub(in crate::vault::sqlite) fn recorded() -> Vec<&'static str> {
        RECORDED.with_borrow(|all| all.iter().copied().collect())
    }
}
