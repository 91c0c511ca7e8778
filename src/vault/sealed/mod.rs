//! The vault: rules, keys and seals over a database that holds rows.
//!
//! ```text
//! core         read, decide and seal outside, store if nothing has changed meanwhile
//! keyring      the vault's keys and those of its tenants
//! rows         encodings of rows, and their authentication
//! snapshot     the rows that a decision is based on
//! recent, lists
//!              the rows and lists that were read since the last commit
//! apply        sealing and storing what a decision writes
//! consents, definitions, grants, find, refresh, revocations, audit, verify, prune, upkeep, rotate,
//! epoch
//!              the operations of the seven traits
//! side         what a transfer between vaults needs
//! chain        writing the chains of the audit
//! link         linking entries that were stored without a number
//! kv, memory, store
//!              rows in any store of keys and values
//! ```

mod apply;
mod audit;
mod chain;
mod consents;
mod core;
mod definitions;
mod epoch;
mod find;
mod grants;
mod host;
pub(in crate::vault) mod keyring;
mod kv;
mod link;
mod lists;
mod memory;
mod prune;
mod recent;
mod refresh;
mod reserve;
mod revocations;
mod rotate;
mod rows;
mod seals;
mod side;
mod snapshot;
mod store;
pub(in crate::vault) mod tenant;
#[cfg(test)]
mod tests;
mod tokens;
mod traits;
#[cfg(feature = "sqlite")]
mod upgrade;
mod upkeep;
mod verify;
mod verify_definitions;
mod verify_rows;

pub use memory::MemoryStore;
pub use store::{Store, Transaction};

pub(in crate::vault) use core::Core;
#[cfg(feature = "sqlite")]
pub(in crate::vault) use upgrade::{Upgraded, Upgrader};

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::vault::VaultError;
use crate::vault::envelope::{MasterKey, MasterKeys};
use kv::Kv;

/// A vault in memory, or over a host's own [`Store`].
///
/// All rules of a vault are implemented here, once: sealing, authenticated routing, claims, shared
/// and former grants, pending revocations, the audit. The store provides transactions over keys and
/// values. Keep the store in an [`Arc`] to use it independently of the vault.
///
/// ```
/// use valetkey::Connections;
/// use valetkey::vault::SealedVault;
///
/// let vault = SealedVault::in_memory();
/// # let _ = Connections::builder(vault);
/// ```
pub struct SealedVault {
    core: Core<Kv<Arc<dyn Store>>>,
}

impl SealedVault {
    /// Opens the vault in a store, or creates one there.
    ///
    /// # Errors
    ///
    /// [`VaultError::WrongMasterKey`] if the vault was created with another key; otherwise the
    /// error of the store.
    pub fn open(store: impl Store, keys: impl Into<MasterKeys>) -> Result<Self, VaultError> {
        let vault = Self::over(store, keys);
        vault.core.check_key()?;
        Ok(vault)
    }

    /// Creates an empty vault in memory, for tests and for hosts whose connections end with their
    /// process.
    ///
    /// It is sealed like every other vault, under a publicly known key, because nothing in the
    /// memory of a process is protected from that process.
    #[must_use]
    pub fn in_memory() -> Self {
        let key = MasterKey::of_bytes(Zeroizing::new([0; 32]));
        Self::over(MemoryStore::new(), key)
    }

    fn over(store: impl Store, keys: impl Into<MasterKeys>) -> Self {
        let store: Arc<dyn Store> = Arc::new(store);
        Self {
            core: Core::new(Kv::new(store), keys.into()),
        }
    }

    /// Returns the core of the vault.
    const fn core(&self) -> &Core<Kv<Arc<dyn Store>>> {
        &self.core
    }
}

impl fmt::Debug for SealedVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedVault").finish_non_exhaustive()
    }
}
