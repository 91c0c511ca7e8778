//! The rows of a vault in a PostgreSQL database.

use std::path::Path;
use std::sync::Arc;

use crate::clock::{Clock, Monotonic, Uptime};
use crate::random;
use crate::vault::postgres::failure::Failure;
use crate::vault::postgres::io::Io;
use crate::vault::postgres::options::PostgresOptions;
use crate::vault::postgres::pool::Pool;
use crate::vault::postgres::server_clock::ServerClock;
use crate::vault::postgres::sql::Sql;
use crate::vault::postgres::{data, open, tls};
use crate::vault::tables::{
    FoundRows, GrantRow, ListedRow, Listing, Place, Rows, RowsMut, SealedDefinition, Staleness, Tables,
    Taken, TenantRow, Topic, Wanted, Write, Writer, Writes,
};
use crate::vault::{Holder, VaultError, VaultWarning};

/// The number of times that a transaction is run again after it lost against another one.
const ATTEMPTS: usize = 16;

/// Rows in a PostgreSQL database.
#[derive(Debug)]
pub(in crate::vault) struct PostgresTables {
    pool: Arc<Pool>,
    clock: Arc<ServerClock>,
    holder: Holder,
    warnings: Vec<VaultWarning>,
    staleness: Staleness,
}

impl PostgresTables {
    /// Connects to the server, and creates the schema if there is none.
    pub(super) fn open(options: PostgresOptions) -> Result<Self, VaultError> {
        Self::with_clock(options, Box::new(Uptime::new()))
    }

    /// Connects as [`open`](Self::open) does. The clock judges the age of remembered answers.
    pub(super) fn with_clock(
        options: PostgresOptions,
        clock: Box<dyn Monotonic>,
    ) -> Result<Self, VaultError> {
        let tls = tls::tls(&options)?;
        let io = Arc::new(Io::start()?);
        let pool = Arc::new(Pool::new(Arc::clone(&io), options, tls));
        let warnings = open::open(&io, &pool, pool.options())?;
        let mut id = [0; 16];
        random::fill(&mut id)?;
        Ok(Self {
            staleness: Staleness::new(pool.options().max_staleness, clock),
            clock: ServerClock::measure(&pool)?,
            pool,
            holder: Holder::from_bytes(id),
            warnings,
        })
    }

    #[cfg(any(test, feature = "_internals"))]
    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Returns the number of round trips since the last reset.
    #[cfg(test)]
    pub(super) fn trips(&self) -> usize {
        self.pool.trips.load(std::sync::atomic::Ordering::SeqCst)
    }

    #[cfg(test)]
    pub(super) fn reset_trips(&self) {
        self.pool.trips.store(0, std::sync::atomic::Ordering::SeqCst);
    }

    /// Runs a transaction until it does not lose against another one.
    fn write_as<T>(
        &self,
        writer: Writer,
        mut write: impl FnMut(&mut dyn RowsMut) -> Result<Write<T>, VaultError>,
    ) -> Result<Write<T>, VaultError> {
        for _ in 0..ATTEMPTS {
            match self.write_once(writer, &mut write) {
                Ok(written) => return Ok(written),
                Err(Failure::Again) => {}
                Err(Failure::Changed) => return Ok(Write::Moved),
                Err(Failure::UsedUp) => return Ok(Write::NewDataKey),
                Err(Failure::Refused) => {
                    self.read(|rows| writer.check(rows))?;
                    // The transfer was cancelled meanwhile.
                }
                Err(Failure::Vault(error)) => return Err(error),
            }
        }
        Err(VaultError::Busy)
    }

    fn write_once<T>(
        &self,
        writer: Writer,
        write: &mut impl FnMut(&mut dyn RowsMut) -> Result<Write<T>, VaultError>,
    ) -> Result<Write<T>, Failure> {
        let mut sql = Sql::write(&self.pool, writer)?;
        match write(&mut sql) {
            Ok(Write::Commit(value)) => {
                let written = sql.written();
                let committed = sql.commit();
                // Even a commit that failed may have been stored.
                self.staleness.wrote(written);
                committed.map(|()| Write::Commit(value))
            }
            Ok(other) => Ok(other),
            // A failure of a statement is more specific than the error that the caller passes on.
            Err(error) => Err(sql.take_failure().unwrap_or(Failure::Vault(error))),
        }
    }
}

impl Tables for PostgresTables {
    fn read<T>(&self, read: impl FnOnce(&dyn Rows) -> Result<T, VaultError>) -> Result<T, VaultError> {
        read(&Sql::read(&self.pool)?)
    }

    fn token(
        &self,
        tenant: TenantRow,
        wanted: Wanted<'_>,
        _: &mut dyn FnMut(Taken) -> bool,
    ) -> Result<Option<(Option<Taken>, FoundRows)>, VaultError> {
        let found = data::token::token(&Sql::single(&self.pool)?, tenant, wanted)?;
        Ok(Some((None, found)))
    }

    fn definition(
        &self,
        tenant: TenantRow,
        kind: &str,
        name: &str,
        _: &mut dyn FnMut(Taken) -> bool,
    ) -> Result<Option<(Option<Taken>, Option<SealedDefinition>)>, VaultError> {
        let found = data::definition::definition(&Sql::single(&self.pool)?, tenant, kind, name)?;
        Ok(Some((None, found)))
    }

    fn tokens(&self, wanted: &[(TenantRow, Wanted<'_>)]) -> Result<Vec<FoundRows>, VaultError> {
        data::token::tokens(&Sql::single(&self.pool)?, wanted)
    }

    fn connections(
        &self,
        tenant: TenantRow,
        listing: &Listing<'_>,
        _: &mut dyn FnMut(Taken) -> bool,
    ) -> Result<Option<(Option<Taken>, Vec<ListedRow>)>, VaultError> {
        let found = self.read(|rows| rows.connections(tenant, listing))?;
        Ok(Some((None, found)))
    }

    fn is_unchanged_since(&self, _: Taken, _: &[Place; 3]) -> Result<bool, VaultError> {
        Ok(false)
    }

    fn writes(&self) -> Option<&Writes> {
        None
    }

    fn staleness(&self) -> Option<&Staleness> {
        Some(&self.staleness)
    }

    fn write<T>(
        &self,
        write: impl FnMut(&mut dyn RowsMut) -> Result<Write<T>, VaultError>,
    ) -> Result<Write<T>, VaultError> {
        self.write_as(Writer::Host, write)
    }

    fn write_for_transfer<T>(
        &self,
        write: impl FnMut(&mut dyn RowsMut) -> Result<Write<T>, VaultError>,
    ) -> Result<Write<T>, VaultError> {
        self.write_as(Writer::Transfer, write)
    }

    /// One statement compares and replaces, so no lock is held while an answer travels. It also
    /// reads the mark of a transfer.
    fn replace_grant(&self, tenant: TenantRow, row: &GrantRow, revision: u64) -> Result<bool, VaultError> {
        let replaced = data::grant::replace_grant(Sql::single(&self.pool)?, tenant, row, revision);
        // Even a statement that failed may have been stored.
        self.staleness.wrote([Topic::Grant(tenant, row.id).place()]);
        let replaced = replaced.map_err(VaultError::from)?;
        if !replaced {
            self.read(|rows| Writer::Claim.check(rows))?;
        }
        Ok(replaced)
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        Some(Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    fn holder(&self) -> Result<Holder, VaultError> {
        Ok(self.holder)
    }

    /// A machine that cannot be reached may still be alive, so only the time of the server ends a
    /// claim.
    fn is_dead(&self, _: Holder) -> bool {
        false
    }

    fn warnings(&self) -> Vec<VaultWarning> {
        self.warnings.clone()
    }

    fn backup(&self, _: &Path) -> Result<(), VaultError> {
        Err(VaultError::NotSupported(
            "backups; use pg_dump or the backups of the server",
        ))
    }

    /// Old versions of a row stay in the heap until the server reuses their space, and in its log,
    /// its replicas and its backups until those are removed.
    fn clear_residue(&self) -> Result<bool, VaultError> {
        Ok(false)
    }
}
