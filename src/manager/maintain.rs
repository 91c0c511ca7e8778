//! Upkeep, as a call that the host makes: once a minute or so, from any process.

use crate::error::Result;
use crate::manager::Inner;
use crate::vault::Erasure;

/// How much upkeep one call may do.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Budget {
    /// At most so many rows are deleted: 1000.
    pub rows: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { rows: 1_000 }
    }
}

impl Budget {
    /// A budget of so many rows.
    #[must_use]
    pub const fn rows(rows: usize) -> Self {
        Self { rows }
    }
}

/// What upkeep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upkeep {
    /// How many times of last use were written.
    pub uses_recorded: usize,
    /// How many expired consents were deleted.
    pub consents_purged: usize,
    /// Whether every file is free of erased secrets.
    pub residue: Erasure,
}

impl Inner {
    pub(crate) fn maintain(&self, budget: Budget) -> Result<Upkeep> {
        let uses = self.usage.take();
        if !uses.is_empty() {
            self.vault.record_use(&uses)?;
        }
        // A used consent is remembered for one more lifetime, so that a late replay is told from a stranger's guess.
        let before = self.now().saturating_sub(self.settings.consent_lifetime);
        let consents_purged = self.vault.purge_consents(before, budget.rows)?;
        let residue = self.vault.clear_residue()?;
        Ok(Upkeep {
            uses_recorded: uses.len(),
            consents_purged,
            residue,
        })
    }
}
