//! Copies rows as they are: sealed records open in the target because its vault has the same id and
//! its tenants have the same keys.

use crate::model::{TenantId, Timestamp};
use crate::vault::VaultError;
use crate::vault::sealed::tenant::ROW_KEY;
use crate::vault::tables::{Chain, KeyRow, Pruned, Rows, RowsMut, TenantRow, VAULT_CHAIN};
use crate::vault::transfer::error::TransferError;
use crate::vault::transfer::kinds::{
    Checkpoints, Connections, Consents, Definitions, Entries, Grants, Kind, Place, Revocations,
};
use crate::vault::transfer::report::{TransferPhase, TransferProgress};
use crate::vault::transfer::side::Side;

type Result<T> = std::result::Result<T, TransferError>;
/// The result of one side.
type Stored<T> = std::result::Result<T, VaultError>;

/// The number of rows in one page, and in one transaction.
pub(super) const PAGE: usize = 250;

/// Both sides of a transfer, and its progress.
pub(super) struct Sides<'a> {
    pub(super) from: &'a dyn Side,
    pub(super) to: &'a dyn Side,
    /// The time when this run began.
    pub(super) now: Timestamp,
    pub(super) total: u64,
    done: u64,
    phase: TransferPhase,
    progress: &'a mut dyn FnMut(TransferProgress),
}

/// Reads from one side.
pub(super) fn read<T>(side: &dyn Side, read: impl Fn(&dyn Rows) -> Stored<T>) -> Stored<T> {
    let mut found = None;
    side.read(&mut |rows| {
        found = Some(read(rows)?);
        Ok(())
    })?;
    found.ok_or(VaultError::Damaged)
}

impl<'a> Sides<'a> {
    pub(super) fn new(
        (from, to): (&'a dyn Side, &'a dyn Side),
        now: Timestamp,
        progress: &'a mut dyn FnMut(TransferProgress),
    ) -> Self {
        Self {
            from,
            to,
            now,
            total: 0,
            done: 0,
            phase: TransferPhase::Copying,
            progress,
        }
    }

    /// Reads from the source.
    pub(super) fn source<T>(&self, work: impl Fn(&dyn Rows) -> Stored<T>) -> Result<T> {
        read(self.from, work).map_err(TransferError::Source)
    }

    /// Reads from the target.
    pub(super) fn target<T>(&self, work: impl Fn(&dyn Rows) -> Stored<T>) -> Result<T> {
        read(self.to, work).map_err(TransferError::Target)
    }

    fn write(&self, mut work: impl FnMut(&mut dyn RowsMut) -> Stored<()>) -> Result<()> {
        self.to.write(&mut work).map_err(TransferError::Target)
    }

    pub(super) fn begin(&mut self, phase: TransferPhase) {
        self.phase = phase;
        self.done = 0;
        self.step(0);
    }

    /// Reports that this number of rows is done.
    pub(super) fn step(&mut self, rows: usize) {
        self.done += u64::try_from(rows).unwrap_or(u64::MAX);
        (self.progress)(TransferProgress::new(self.phase, self.done, self.total));
    }

    /// Returns tenants of the source after this one. Tenants without a name were erased before.
    pub(super) fn tenants(&self, after: TenantRow) -> Result<Vec<(TenantRow, TenantId)>> {
        let page = self.source(|rows| rows.tenants(after, PAGE))?;
        Ok(page
            .into_iter()
            .filter_map(|(row, name)| Some((row, name?)))
            .collect())
    }

    /// Copies everything that the target does not have yet.
    pub(super) fn copy_all(&mut self) -> Result<()> {
        self.begin(TransferPhase::Copying);
        let mut after = VAULT_CHAIN;
        loop {
            let page = self.tenants(after)?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (row, name) in page {
                self.copy_tenant(row, name)?;
            }
        }
        for place in &Place::CHAINS {
            self.copy::<Entries>(place)?;
            self.copy::<Checkpoints>(place)?;
            self.copy_chain(place, &[])?;
        }
        Ok(())
    }

    fn copy_tenant(&mut self, row: TenantRow, name: TenantId) -> Result<()> {
        let place = Place::tenant(row, name.clone());
        self.write(|rows| {
            if rows.tenant(&name)?.is_none() {
                rows.insert_numbered_tenant(row, &name)?;
            }
            Ok(())
        })?;
        // A listing of connections reads their grants.
        self.copy::<Grants>(&place)?;
        self.copy::<Connections>(&place)?;
        self.copy::<Consents>(&place)?;
        self.copy::<Definitions>(&place)?;
        self.copy::<Revocations>(&place)?;
        self.copy::<Entries>(&place)?;
        self.copy::<Checkpoints>(&place)?;
        // Without keys the target answers nothing about the tenant. They come last, so that it
        // never answers from a part of the rows.
        let mut keys = Vec::new();
        for key in self.source(|rows| keys_of(rows, row))? {
            let key = self
                .from
                .key_for(self.to.master_keys(), &name, &key)
                .map_err(TransferError::Source)?;
            keys.push(key);
        }
        self.copy_chain(&place, &keys)
    }

    /// Copies rows of one kind after the last one that the target has. A page is copied as a whole
    /// or not at all.
    fn copy<K: Kind>(&mut self, place: &Place) -> Result<()> {
        let mut after: Option<K::Key> = None;
        loop {
            let page = self.target(|rows| K::page(rows, place, after.as_ref(), PAGE))?;
            let Some(last) = page.last() else { break };
            after = Some(K::key(last));
            self.step(page.len());
        }
        loop {
            let page = self.source(|rows| K::page(rows, place, after.as_ref(), PAGE))?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(K::key(last));
            self.write(|rows| K::put(rows, place, &page))?;
            self.step(page.len());
        }
    }

    /// Copies what belongs to a chain as a whole, and the keys of its tenant.
    fn copy_chain(&self, place: &Place, keys: &[KeyRow]) -> Result<()> {
        let (of, tenant) = (place.chain, place.tenant);
        let passes = [
            (of, Pruned::Uses),
            (of, Pruned::Changes),
            (Chain::Legacy, Pruned::Uses),
            (Chain::Legacy, Pruned::Changes),
        ];
        let (gaps, head, pruned) = self.source(|rows| {
            let pruned = passes.map(|(chain, what)| rows.pruned_to(chain, tenant, what));
            Ok((rows.gaps(of)?, rows.head(of)?, pruned))
        })?;
        self.write(|rows| {
            for gap in &gaps {
                rows.put_gap(of, gap)?;
            }
            for ((chain, what), number) in passes.iter().zip(&pruned) {
                match number {
                    Ok(0) => {}
                    Ok(number) => rows.set_pruned_to(*chain, tenant, *what, *number)?,
                    Err(error) => return Err(error.clone()),
                }
            }
            if let Some(head) = &head {
                rows.put_head(of, head)?;
            }
            for key in keys {
                if rows.key(tenant, key.version)?.is_none() {
                    rows.insert_key(tenant, key)?;
                }
            }
            Ok(())
        })
    }
}

/// Returns all keys of a tenant, the newest first.
pub(super) fn keys_of(rows: &dyn Rows, tenant: TenantRow) -> Stored<Vec<KeyRow>> {
    let mut keys: Vec<_> = rows.key(tenant, ROW_KEY)?.into_iter().collect();
    let mut below = ROW_KEY;
    while let Some(key) = rows.newest_key(tenant, below)? {
        below = key.version;
        keys.push(key);
    }
    Ok(keys)
}
