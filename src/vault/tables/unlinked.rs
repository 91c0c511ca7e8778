//! Audit entries that wait to be linked to the chain of their tenant.
//!
//! Where many writers of one tenant commit at the same time, the end of the chain would be the one
//! row that all of them change. A database that keeps entries apart lets each transaction add its
//! entries without reading or locking the chain.

use crate::vault::VaultError;
use crate::vault::tables::row::{PendingRow, TenantRow};

type Result<T> = std::result::Result<T, VaultError>;

/// The entries that wait, in a view that also shows the rows and the chains.
pub(crate) trait Unlinked {
    /// Returns entries of a tenant after this position, ascending.
    ///
    /// Entries of transactions that waited for each other, because they changed the same row, are
    /// in the order of these transactions.
    fn pending(&self, tenant: TenantRow, after: u64, limit: usize) -> Result<Vec<PendingRow>>;
    /// Returns tenants after this one that have a name and entries that wait, ascending.
    fn tenants_with_pending(&self, after: TenantRow, limit: usize) -> Result<Vec<TenantRow>>;
}

/// Adds and removes entries that wait.
pub(crate) trait UnlinkedMut: Unlinked {
    /// Adds entries in this order.
    fn add_pending(&mut self, tenant: TenantRow, entries: &[PendingRow]) -> Result<()>;
    /// Deletes the entries at these positions.
    fn delete_pending(&mut self, tenant: TenantRow, positions: &[u64]) -> Result<()>;
}
