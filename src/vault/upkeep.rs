//! Housekeeping: the operations of a vault that do not serve a connection.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::model::{Actor, TenantId, Timestamp, UserId};
use crate::vault::{AuditHead, Destruction, Erasure, VaultError, VaultWarning};

/// Deletes expired records, rotates keys and writes backups.
pub trait Housekeeping {
    /// Returns the clock of the store, if several machines share it. It decides which claims have
    /// lapsed, even if the host names another clock; for other times, it is the default. `None` if
    /// the clock of the host decides.
    fn clock(&self) -> Option<Arc<dyn Clock>>;

    /// Returns warnings for the administrator about the place where the vault is stored.
    fn warnings(&self) -> Vec<VaultWarning>;

    /// Deletes records whose time has come, at most `limits.rows` rows of each kind.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read or written. Rows that were deleted before the
    /// failure stay deleted.
    fn sweep(&self, limits: &SweepLimits) -> Result<Swept, VaultError>;

    /// Erases all data of a user or a tenant. Returns `None` if there is no such tenant.
    ///
    /// A user's past entries in the audit stay, sealed under the tenant's key. The keys of a tenant
    /// are deleted first: the records sealed with them can then no longer be opened, except in
    /// backups.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if nothing was erased, or not all rows of a tenant: then
    /// [`clear_residue`](Self::clear_residue) continues.
    fn forget(&self, forget: &Forget<'_>) -> Result<Option<Forgotten>, VaultError>;

    /// Removes the remains of erased secrets, and continues operations that a crash interrupted.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read or written.
    fn clear_residue(&self) -> Result<Erasure, VaultError>;

    /// Carries out one step of a key rotation.
    ///
    /// # Errors
    ///
    /// [`VaultError::UnknownMasterKey`] if a key is wrapped by a master key that was not given;
    /// otherwise [`VaultError`] if the store cannot be read or written. An interrupted rotation
    /// continues at the next call.
    fn rotate(&self, rotation: Rotation<'_>, now: Timestamp) -> Result<Rotated, VaultError>;

    /// Writes a consistent copy of the vault to a new file, while other callers read and write.
    ///
    /// # Errors
    ///
    /// [`VaultError::Unsupported`] if this vault is not stored in a file;
    /// [`VaultError::UnsafePath`] if something exists at `path`; [`VaultError`] if the copy could
    /// not be written. Nothing exists at `path` then.
    fn backup(&self, path: &Path) -> Result<(), VaultError>;
}

/// Limits of [`Housekeeping::sweep`].
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct SweepLimits {
    /// The current time.
    pub now: Timestamp,
    /// Consent requests that expired before this time are deleted.
    pub consents_before: Timestamp,
    /// The retention of the audit's entries.
    pub retention: Retention,
    /// The largest number of rows of each kind.
    pub rows: usize,
}

/// The retention of audit entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// The retention of token uses. `None` keeps them for ever.
    pub uses: Option<Duration>,
    /// The retention of all other entries. `None` keeps them for ever. The newest entry about the
    /// tokens of a connection is always kept.
    pub changes: Option<Duration>,
}

impl Retention {
    /// Keeps token uses for this long.
    #[must_use]
    pub const fn uses(mut self, period: Duration) -> Self {
        self.uses = Some(period);
        self
    }

    /// Keeps all other entries for this long.
    #[must_use]
    pub const fn changes(mut self, period: Duration) -> Self {
        self.changes = Some(period);
        self
    }
}

/// The numbers of records that [`Housekeeping::sweep`] deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Consent requests.
    pub consents: usize,
    /// Refused refresh tokens whose quarantine ended.
    pub quarantines: usize,
    /// Former grants whose tokens are dead.
    pub former_grants: usize,
    /// Entries of the audit.
    pub audit_entries: usize,
    /// True if a limit was reached.
    pub more: bool,
}

/// A request to erase a user or a tenant.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Forget<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The user; `None` for the whole tenant.
    pub user: Option<&'a UserId>,
    /// The actor who requested it. The audit names the actor unless it is the erased user.
    pub by: Option<&'a Actor>,
    /// The current time.
    pub now: Timestamp,
}

/// A receipt for an erased user or tenant, for the host to store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forgotten {
    /// The audit entry that proves it.
    pub proof: AuditHead,
    /// The time of the erasure.
    pub at: Timestamp,
    /// The number of connections that were erased.
    pub connections: usize,
}

impl Forgotten {
    /// Returns a receipt.
    #[must_use]
    pub const fn new(proof: AuditHead, at: Timestamp, connections: usize) -> Self {
        Self {
            proof,
            at,
            connections,
        }
    }
}

/// A step of a key rotation.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Rotation<'a> {
    /// Wraps at most `limit` keys with the active master key.
    MasterKey {
        /// The largest number of keys.
        limit: usize,
    },
    /// Gives a tenant a new data key.
    DataKey(&'a TenantId),
    /// Seals the tokens of grants, and definitions, of all tenants with their newest data key, at
    /// most `limit` records, and destroys data keys that no longer seal anything.
    Tokens {
        /// The largest number of records.
        limit: usize,
    },
    /// Replaces all data keys, and then destroys the former master key.
    Destroy {
        /// The name of the former master key.
        former: &'a str,
        /// The largest number of keys and records.
        limit: usize,
    },
}

/// The progress of a key rotation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotated {
    /// The number of keys that were wrapped, data keys that were added or grants that were sealed.
    pub done: usize,
    /// The number of old data keys that were destroyed.
    pub destroyed: usize,
    /// The number of old data keys that still seal something.
    pub remaining: usize,
    /// The ids of other master keys that still wrap keys. If empty, the host can remove those keys.
    pub still_named: Vec<[u8; 16]>,
    /// The end of the former master key, once nothing in the vault names it. Only a rotation that
    /// destroys it sets this.
    pub destruction: Option<Destruction>,
}

impl Rotated {
    /// Returns whether nothing remains to be done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let is_underway = self.destruction == Some(Destruction::Underway);
        self.remaining == 0 && self.still_named.is_empty() && !is_underway
    }
}
