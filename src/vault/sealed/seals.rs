//! Counts what the keys of a tenant have sealed, in blocks.
//!
//! Random nonces are safe for a limited number of seals, so the database counts the seals of each
//! key, and a key is replaced long before that number. Counting in every transaction would rewrite
//! the rows of the keys in every transaction. A handle therefore counts a block ahead, together
//! with the first seals of the block, and takes later ones from it.
//!
//! A block is used only after its transaction has committed, so the stored count is never too low.
//! It may be too high: a transaction that fails, and a handle that ends, leave the rest of a block
//! unused.

use crate::vault::VaultError;
use crate::vault::sealed::reserve::Limits;
use crate::vault::sealed::tenant::Tenant;
use crate::vault::tables::RowsMut;

type Result<T> = std::result::Result<T, VaultError>;

/// Counts the seals of one write transaction.
pub(super) struct Seals<'a> {
    pub(super) tenant: &'a Tenant,
    limits: Limits,
    /// The seals that this transaction counts ahead, for the data key and for the audit key.
    ahead: [u32; 2],
}

#[derive(Debug, Clone, Copy)]
enum Of {
    Records,
    Entries,
}

impl<'a> Seals<'a> {
    pub(super) const fn new(tenant: &'a Tenant, limits: Limits) -> Self {
        Self {
            tenant,
            limits,
            ahead: [0; 2],
        }
    }

    /// Counts seals under the newest data key, in the transaction that stores them. Returns `false`
    /// if that key cannot be used any longer; the transaction must then store nothing.
    pub(super) fn count(&mut self, rows: &mut dyn RowsMut, seals: u32) -> Result<bool> {
        self.count_of(Of::Records, rows, seals)
    }

    /// Counts entries of the audit, as [`count`](Self::count) counts seals.
    pub(super) fn count_entries(&mut self, rows: &mut dyn RowsMut, entries: u32) -> Result<bool> {
        self.count_of(Of::Entries, rows, entries)
    }

    fn count_of(&mut self, of: Of, rows: &mut dyn RowsMut, seals: u32) -> Result<bool> {
        let tenant = self.tenant;
        let (version, reserve, ahead) = match of {
            Of::Records => (tenant.key().version(), &tenant.reserve, &mut self.ahead[0]),
            Of::Entries => (tenant.audit_version(), &tenant.audit_reserve, &mut self.ahead[1]),
        };
        if reserve.take(seals) {
            return rows.may_seal(tenant.row, version);
        }
        let block = self.limits.block();
        let counted = seals.saturating_add(block);
        let may_seal = rows.count_seals(tenant.row, version, counted, self.limits.most())?;
        if may_seal {
            *ahead = ahead.saturating_add(block);
        }
        Ok(may_seal)
    }

    /// Makes the blocks available that this transaction counted. It has committed.
    pub(super) fn committed(self) {
        let [records, entries] = self.ahead;
        self.tenant.reserve.add(records);
        self.tenant.audit_reserve.add(entries);
    }

    /// Discards the blocks that this transaction counted: it begins again.
    pub(super) const fn begin_again(&mut self) {
        self.ahead = [0; 2];
    }
}

#[cfg(test)]
mod tests;
