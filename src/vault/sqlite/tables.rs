//! The rows of a vault in one SQLite file.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use crate::clock::Clock;
use crate::vault::envelope::MasterKeys;
use crate::vault::sealed::keyring;
use crate::vault::sqlite::db::writer::{CommitSync, Store};
use crate::vault::sqlite::db::{backup, open, restore, stamp};
use crate::vault::sqlite::holders::Holders;
use crate::vault::sqlite::migrate::begin;
use crate::vault::sqlite::options::SqliteOptions;
use crate::vault::sqlite::sharing::Sharing;
use crate::vault::sqlite::sql::Sql;
use crate::vault::sqlite::writing::Writing;
use crate::vault::sqlite::{data, schema};
use crate::vault::tables::{
    self, FoundRows, GrantRow, ListedRow, Listing, Place, Rows, RowsMut, SealedDefinition, Staleness, Tables,
    Taken, TenantRow, Wanted, Write, Writer, Writes,
};
use crate::vault::{Holder, VaultError, VaultWarning};

/// Tells whether a database has a vault row yet.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fresh {
    /// The database has the tables and no vault row: it was just created, or its creation was
    /// interrupted.
    Yes,
    /// The database is a vault.
    No,
}

/// The rows of a vault in one SQLite file, shared by any number of threads and processes of one
/// machine.
///
/// The file is in WAL mode with full synchronisation: the changes of a method that has returned
/// survive a power cut, except for claims.
pub(crate) struct SqliteTables {
    holders: Holders,
    warnings: Vec<VaultWarning>,
    claim_sync: CommitSync,
    /// False if each query reads its rows.
    remembers: bool,
    pub(super) store: Store,
}

impl SqliteTables {
    /// Opens the file at `path`, or creates one there that only its owner can use.
    ///
    /// # Errors
    ///
    /// [`VaultError::NotAVault`], [`NewerVersion`](VaultError::NewerVersion),
    /// [`Damaged`](VaultError::Damaged), [`Mixed`](VaultError::Mixed),
    /// [`Tampered`](VaultError::Tampered) or [`ReadOnly`](VaultError::ReadOnly) for a file that
    /// cannot be used; [`VaultError::UnsafePath`] for a link, a directory or a file with a second
    /// name; [`OtherOwner`](VaultError::OtherOwner), [`OtherGroup`](VaultError::OtherGroup) or
    /// [`AccessDenied`](VaultError::AccessDenied) for one that this process may not use;
    /// [`VaultError::UnknownFileSystem`] where locks may not work; [`VaultError::Unsupported`] if
    /// SQLite cannot be trusted with it. The content of the file is unchanged then.
    pub(crate) fn open_with(
        path: &Path,
        options: &SqliteOptions,
        keys: &MasterKeys,
    ) -> Result<Self, VaultError> {
        let check = |db: &Connection| match Sql(db).vault()? {
            Some(row) => keyring::check(keys, &row).map(drop),
            // Its creation was interrupted, or it is no longer a vault: the layer above decides.
            None => Ok(()),
        };
        let upgrade = |db: &mut Connection| {
            Sql(db).vault()?.ok_or(VaultError::Damaged)?;
            begin::begin(db)
        };
        let opened = open::open(path, options, check, upgrade)?;
        Ok(Self {
            holders: Holders::new(Some(opened.place.path.clone()), options.sharing),
            warnings: opened.warnings,
            claim_sync: options.claim_sync(),
            remembers: options.remembers(),
            store: Store::new(opened.writer, Some(opened.place)),
        })
    }

    /// Opens a file of the newest schema, and returns whether it has a vault row yet.
    #[cfg(test)]
    pub(super) fn open(path: impl AsRef<Path>) -> Result<(Self, Fresh), VaultError> {
        Self::open_plain(path.as_ref(), &SqliteOptions::default())
    }

    /// Opens a file of the newest schema with these options.
    #[cfg(test)]
    pub(super) fn open_plain(path: &Path, options: &SqliteOptions) -> Result<(Self, Fresh), VaultError> {
        let refuse = |_: &mut Connection| Err(VaultError::Unsupported("a file of schema 1 or 2"));
        let opened = open::open(path, options, |_| Ok(()), refuse)?;
        let fresh = match Sql(&opened.writer).vault()? {
            Some(_) => Fresh::No,
            None => Fresh::Yes,
        };
        let tables = Self {
            holders: Holders::new(Some(opened.place.path.clone()), options.sharing),
            warnings: opened.warnings,
            claim_sync: options.claim_sync(),
            remembers: options.remembers(),
            store: Store::new(opened.writer, Some(opened.place)),
        };
        Ok((tables, fresh))
    }

    /// Returns whether records of schema 1 or 2 remain to be moved.
    pub(super) fn is_migrating(&self) -> Result<bool, VaultError> {
        self.sql(|sql| begin::is_under_way(sql.0))
    }

    /// Refuses a file with objects that differ from the schema.
    pub(super) fn verify_schema(&self) -> Result<(), VaultError> {
        self.sql(|sql| schema::verify(sql.0, schema::NEWEST))
    }

    /// Creates a database in memory, which is gone when it is dropped. It has no vault row.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if SQLite cannot be used or there are no random numbers.
    pub(crate) fn in_memory() -> Result<Self, VaultError> {
        Ok(Self {
            holders: Holders::new(None, Sharing::Owner),
            warnings: Vec::new(),
            claim_sync: CommitSync::AtOnce,
            remembers: true,
            store: Store::new(open::in_memory()?, None),
        })
    }

    /// Runs reads with the caller's own statements.
    pub(super) fn sql<T>(
        &self,
        read: impl FnOnce(Sql<'_>) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        self.store.read(read)
    }

    /// Runs writes with the caller's own statements.
    pub(super) fn write_sql<T>(
        &self,
        write: impl FnOnce(&mut Writing<'_>) -> Result<Write<T>, VaultError>,
    ) -> Result<Write<T>, VaultError> {
        self.store.write(|writing| {
            writing.concerns_everything();
            write(writing)
        })
    }

    /// Runs one statement unless `is_known` has its answer for the present stamp. Returns the stamp
    /// of the state that was read, or of an earlier one.
    fn since<R>(
        &self,
        is_known: &mut dyn FnMut(Taken) -> bool,
        read: impl FnOnce(Sql<'_>) -> Result<R, VaultError>,
    ) -> Result<Option<(Option<Taken>, R)>, VaultError> {
        if !self.remembers {
            return Ok(Some((None, self.store.read_once(|_, sql| read(sql))?)));
        }
        if let Some(index) = self.store.log_index() {
            self.store.check_process()?;
            let taken = self.store.continuity().take(|| index.stamp());
            if taken.is_some_and(&mut *is_known) {
                return Ok(None);
            }
            // The stamp is older than the read transaction of this statement.
            let found = self.store.read_once(|_, sql| read(sql))?;
            return Ok(Some((taken.filter(|_| index.is_in_place()), found)));
        }
        self.store.read_once(|source, sql| {
            let taken = Taken {
                stamp: stamp::stamp(source, sql)?,
                writes: self.store.continuity().writes().last(),
            };
            if is_known(taken) {
                return Ok(None);
            }
            Ok(Some((Some(taken), read(sql)?)))
        })
    }

    /// Returns the path of the file, with links resolved; `None` in memory.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.store.place().map(|place| place.path.as_path())
    }

    /// Replaces the vault at `to` by a copy of a backup that was made with these keys.
    pub(super) fn restore_with(
        backup: &Path,
        to: &Path,
        options: &SqliteOptions,
        keys: &MasterKeys,
    ) -> Result<(), VaultError> {
        restore::restore(backup, to, options, |row| keyring::check(keys, row).map(drop))
    }

    /// Replaces the file at `to` by a copy of a backup, without a check of its keys.
    #[cfg(test)]
    pub(super) fn restore(backup: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<(), VaultError> {
        restore::restore(
            backup.as_ref(),
            to.as_ref(),
            &SqliteOptions::default(),
            |_| Ok(()),
        )
    }

    /// Reads the whole file and checks its integrity. The time grows with the size of the file.
    ///
    /// # Errors
    ///
    /// [`VaultError::Damaged`] if the check fails.
    pub(crate) fn integrity_check(&self) -> Result<(), VaultError> {
        self.store.read(backup::integrity_check)
    }
}

impl fmt::Debug for SqliteTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteTables")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

impl Tables for SqliteTables {
    fn read<T>(&self, read: impl FnOnce(&dyn Rows) -> Result<T, VaultError>) -> Result<T, VaultError> {
        self.store.read(|sql| read(&sql))
    }

    fn token(
        &self,
        tenant: TenantRow,
        wanted: Wanted<'_>,
        is_known: &mut dyn FnMut(Taken) -> bool,
    ) -> Result<Option<(Option<Taken>, FoundRows)>, VaultError> {
        self.since(is_known, |sql| data::token::token(sql, tenant, wanted))
    }

    fn definition(
        &self,
        tenant: TenantRow,
        kind: &str,
        name: &str,
        is_known: &mut dyn FnMut(Taken) -> bool,
    ) -> Result<Option<(Option<Taken>, Option<SealedDefinition>)>, VaultError> {
        self.since(is_known, |sql| {
            data::definition::definition(sql, tenant, kind, name)
        })
    }

    fn tokens(&self, wanted: &[(TenantRow, Wanted<'_>)]) -> Result<Vec<FoundRows>, VaultError> {
        let each = wanted.iter();
        each.map(|(tenant, wanted)| self.read(|rows| rows.token(*tenant, *wanted)))
            .collect()
    }

    fn connections(
        &self,
        tenant: TenantRow,
        listing: &Listing<'_>,
        is_known: &mut dyn FnMut(Taken) -> bool,
    ) -> Result<Option<(Option<Taken>, Vec<ListedRow>)>, VaultError> {
        self.since(is_known, |sql| {
            data::connection::connections(sql, tenant, listing)
        })
    }

    fn is_unchanged_since(&self, taken: Taken, places: &[Place; 3]) -> Result<bool, VaultError> {
        if let Some(index) = self.store.log_index() {
            self.store.check_process()?;
            let continuity = self.store.continuity();
            let header = index.stamp();
            return Ok(header.is_some_and(|now| continuity.is_unchanged_since(taken, places, now)));
        }
        self.store
            .read_once(|source, sql| Ok(stamp::stamp(source, sql)? == taken.stamp))
    }

    fn writes(&self) -> Option<&Writes> {
        Some(self.store.continuity().writes())
    }

    fn staleness(&self) -> Option<&Staleness> {
        None
    }

    fn write<T>(
        &self,
        mut write: impl FnMut(&mut dyn RowsMut) -> Result<Write<T>, VaultError>,
    ) -> Result<Write<T>, VaultError> {
        self.store
            .write(|writing| allowed(writing, Writer::Host, |rows| write(rows)))
    }

    fn write_for_transfer<T>(
        &self,
        mut write: impl FnMut(&mut dyn RowsMut) -> Result<Write<T>, VaultError>,
    ) -> Result<Write<T>, VaultError> {
        self.store.write(|writing| {
            writing.concerns_everything();
            write(writing)
        })
    }

    /// The processes of one machine share the system's clock.
    fn clock(&self) -> Option<Arc<dyn Clock>> {
        None
    }

    fn replace_grant(&self, tenant: TenantRow, row: &GrantRow, revision: u64) -> Result<bool, VaultError> {
        let written = self.store.write_with(self.claim_sync, |writing| {
            allowed(writing, Writer::Claim, |rows| {
                tables::replace_grant(rows, tenant, row, revision)
            })
        })?;
        Ok(matches!(written, Write::Commit(true)))
    }

    fn holder(&self) -> Result<Holder, VaultError> {
        self.store.check_process()?;
        self.holders.own()
    }

    fn is_dead(&self, holder: Holder) -> bool {
        self.holders.is_dead(holder)
    }

    fn warnings(&self) -> Vec<VaultWarning> {
        self.warnings.clone()
    }

    fn backup(&self, path: &Path) -> Result<(), VaultError> {
        backup::backup(&self.store, path)
    }

    fn clear_residue(&self) -> Result<bool, VaultError> {
        self.store.cut_log()
    }
}

/// Writes, and refuses what the mark of a transfer forbids.
fn allowed<T>(
    writing: &mut Writing<'_>,
    writer: Writer,
    write: impl FnOnce(&mut dyn RowsMut) -> Result<Write<T>, VaultError>,
) -> Result<Write<T>, VaultError> {
    let end = write(writing)?;
    if matches!(end, Write::Commit(_)) {
        writer.check(writing)?;
    }
    Ok(end)
}
