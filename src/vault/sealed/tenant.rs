//! A tenant with the keys that were read so far.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::model::TenantId;
use crate::vault::envelope::{DataKey, RowKey, VaultId};
use crate::vault::sealed::reserve::Reserve;
use crate::vault::tables::TenantRow;

/// From this version on, keys seal the bodies of audit entries; below it, tokens.
pub(in crate::vault) const AUDIT_KEYS: u32 = 1 << 31;
/// The version of the key that authenticates a tenant's rows. It is never replaced.
pub(in crate::vault) const ROW_KEY: u32 = u32::MAX;

/// A tenant, its number, and the keys that were used so far.
pub(in crate::vault) struct Tenant {
    pub(super) row: TenantRow,
    pub(super) name: TenantId,
    pub(super) vault: VaultId,
    pub(super) newest: DataKey,
    pub(super) rows: RowKey,
    pub(super) audit: WrappedKey,
    pub(super) audit_key: OnceLock<DataKey>,
    pub(super) older: RwLock<Vec<Arc<DataKey>>>,
    /// Seals of the newest data key that are counted ahead.
    pub(super) reserve: Reserve,
    /// Seals of the audit key that are counted ahead.
    pub(super) audit_reserve: Reserve,
}

/// The audit key of a tenant, which stays wrapped until it is needed.
pub(in crate::vault) struct WrappedKey {
    pub(super) version: u32,
    pub(super) wrapped: Vec<u8>,
}

impl Tenant {
    /// Returns the newest data key, which seals new records.
    pub(super) const fn key(&self) -> &DataKey {
        &self.newest
    }

    /// Returns the version of the key that seals the bodies of new audit entries.
    pub(super) const fn audit_version(&self) -> u32 {
        self.audit.version
    }

    /// Returns the key that authenticates the tenant's rows.
    pub(super) const fn row_key(&self) -> &RowKey {
        &self.rows
    }

    /// Returns whether this data key is in memory.
    pub(super) fn has_key(&self, version: u32) -> bool {
        let older = self.older.read().unwrap_or_else(PoisonError::into_inner);
        version == self.newest.version() || older.iter().any(|key| key.version() == version)
    }

    /// Returns a tenant with one data key, which also authenticates its rows, for tests that know
    /// the key.
    #[cfg(test)]
    pub(super) fn with_key(name: TenantId, vault: VaultId, key: DataKey) -> Self {
        Self {
            row: 1,
            name,
            vault,
            rows: key.row_key(),
            newest: key,
            audit: WrappedKey {
                version: AUDIT_KEYS,
                wrapped: Vec::new(),
            },
            audit_key: OnceLock::new(),
            older: RwLock::default(),
            reserve: Reserve::default(),
            audit_reserve: Reserve::default(),
        }
    }
}
