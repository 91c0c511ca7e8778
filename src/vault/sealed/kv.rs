//! The rows of a vault in a store of keys and values.
//!
//! ```text
//! key          how keys are made: a table's number, then components that sort as their values do
//! row          rows and their index entries: put, delete, list
//! rows         the reading half of the transaction, method by method
//! rows_mut     the writing half
//! tenants, keys, connections, grants, consents, definitions, revocations, audit, erase
//!              what each kind of row consists of, and how it is found
//! ```
//!
//! Each row has its own key. An index entry is a key without a row: its value is the key of the row
//! that it leads to. Sealed secrets have their own keys as well, so that listing rows never reads
//! one.

mod audit;
mod connections;
mod consents;
mod definitions;
mod erase;
mod grants;
mod key;
mod keys;
mod revocations;
mod row;
mod rows;
mod rows_mut;
mod tenants;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::clock::Clock;
use crate::random;
use crate::vault::sealed::store::{Store, Transaction};
use crate::vault::tables::{
    self, FoundRows, GrantRow, ListedRow, Listing, Place, Rows, RowsMut, SealedDefinition, Staleness, Tables,
    Taken, TenantRow, Wanted, Write, Writer, Writes,
};
use crate::vault::{Holder, VaultError, VaultWarning};

type Result<T> = std::result::Result<T, VaultError>;

/// A vault's rows in a [`Store`].
#[derive(Debug)]
pub(in crate::vault) struct Kv<S> {
    store: S,
    holder: OnceLock<Holder>,
}

impl<S: Store> Kv<S> {
    /// Returns the rows in this store.
    pub(in crate::vault) const fn new(store: S) -> Self {
        Self {
            store,
            holder: OnceLock::new(),
        }
    }

    fn write_as<T>(
        &self,
        writer: Writer,
        mut write: impl FnMut(&mut dyn RowsMut) -> Result<Write<T>>,
    ) -> Result<Write<T>> {
        let mut end = None;
        let result = self.store.write(&mut |tx| {
            end = None;
            let mut view = View { tx };
            let written = write(&mut view)?;
            let is_kept = matches!(written, Write::Commit(_));
            if is_kept {
                writer.check(&view)?;
            }
            end = Some(written);
            if is_kept {
                Ok(())
            } else {
                Err(VaultError::storage(Abandoned))
            }
        });
        match (result, end) {
            (Ok(()), Some(end @ Write::Commit(_))) => Ok(end),
            (Ok(()), Some(_)) => Err(VaultError::storage(Breach::Kept)),
            (Ok(()), None) => Err(VaultError::storage(Breach::NotRun)),
            (Err(error), Some(end)) if Abandoned::is(&error) => Ok(end),
            (Err(error), _) => Err(error),
        }
    }
}

/// Ends a transaction whose changes are not kept. It never leaves this module.
#[derive(Debug, thiserror::Error)]
#[error("the transaction was abandoned")]
struct Abandoned;

impl Abandoned {
    fn is(error: &VaultError) -> bool {
        matches!(error, VaultError::Storage(source) if source.is::<Self>())
    }
}

/// The error for a store that violates its contract.
#[derive(Debug, thiserror::Error)]
enum Breach {
    #[error("the store reported success without running the transaction")]
    NotRun,
    #[error("the store kept a transaction that had failed")]
    Kept,
}

impl<S: Store> Tables for Kv<S> {
    fn read<T>(&self, read: impl FnOnce(&dyn Rows) -> Result<T>) -> Result<T> {
        let mut read = Some(read);
        let mut found = None;
        self.store.read(&mut |tx| {
            // `read` calls its argument once; a second call violates the contract.
            let read = read.take().ok_or(VaultError::Busy)?;
            found = Some(read(&View { tx })?);
            Ok(())
        })?;
        found.ok_or_else(|| VaultError::storage(Breach::NotRun))
    }

    /// A store has no stamps.
    fn token(
        &self,
        tenant: TenantRow,
        wanted: Wanted<'_>,
        _: &mut dyn FnMut(Taken) -> bool,
    ) -> Result<Option<(Option<Taken>, FoundRows)>> {
        let found = self.read(|rows| rows.token(tenant, wanted))?;
        Ok(Some((None, found)))
    }

    fn tokens(&self, wanted: &[(TenantRow, Wanted<'_>)]) -> Result<Vec<FoundRows>> {
        let each = wanted.iter();
        each.map(|(tenant, wanted)| self.read(|rows| rows.token(*tenant, *wanted)))
            .collect()
    }

    /// A store has no stamps.
    fn connections(
        &self,
        tenant: TenantRow,
        listing: &Listing<'_>,
        _: &mut dyn FnMut(Taken) -> bool,
    ) -> Result<Option<(Option<Taken>, Vec<ListedRow>)>> {
        let found = self.read(|rows| rows.connections(tenant, listing))?;
        Ok(Some((None, found)))
    }

    fn is_unchanged_since(&self, _: Taken, _: &[Place; 3]) -> Result<bool> {
        Ok(false)
    }

    fn writes(&self) -> Option<&Writes> {
        None
    }

    fn staleness(&self) -> Option<&Staleness> {
        None
    }

    /// A store has no stamps.
    fn definition(
        &self,
        tenant: TenantRow,
        kind: &str,
        name: &str,
        _: &mut dyn FnMut(Taken) -> bool,
    ) -> Result<Option<(Option<Taken>, Option<SealedDefinition>)>> {
        let found = self.read(|rows| rows.definition(tenant, kind, name))?;
        Ok(Some((None, found)))
    }

    fn write<T>(&self, write: impl FnMut(&mut dyn RowsMut) -> Result<Write<T>>) -> Result<Write<T>> {
        self.write_as(Writer::Host, write)
    }

    fn write_for_transfer<T>(
        &self,
        write: impl FnMut(&mut dyn RowsMut) -> Result<Write<T>>,
    ) -> Result<Write<T>> {
        self.write_as(Writer::Transfer, write)
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        None
    }

    fn replace_grant(&self, tenant: TenantRow, row: &GrantRow, revision: u64) -> Result<bool> {
        let written = self.write_as(Writer::Claim, |rows| {
            tables::replace_grant(rows, tenant, row, revision)
        })?;
        Ok(matches!(written, Write::Commit(true)))
    }

    fn holder(&self) -> Result<Holder> {
        if let Some(holder) = self.holder.get() {
            return Ok(*holder);
        }
        let mut bytes = [0; 16];
        random::fill(&mut bytes)?;
        Ok(*self.holder.get_or_init(|| Holder::from_bytes(bytes)))
    }

    fn is_dead(&self, _: Holder) -> bool {
        false
    }

    fn warnings(&self) -> Vec<VaultWarning> {
        Vec::new()
    }

    fn backup(&self, _: &Path) -> Result<()> {
        Err(VaultError::NotSupported("a backup; use that of the store"))
    }

    fn clear_residue(&self) -> Result<bool> {
        self.store.erase_residue()
    }
}

/// The rows as one transaction sees them.
struct View<'a> {
    tx: &'a mut (dyn Transaction + 'a),
}
