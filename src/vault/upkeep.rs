//! Housekeeping: what a vault does apart from serving connections.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::model::{Actor, TenantId, Timestamp, UserId};
use crate::vault::{AuditHead, Erasure, VaultError, VaultWarning};

/// Keeps a vault small, its keys fresh and its copies safe.
pub trait Housekeeping {
    /// Returns the clock that decides claims and times: the store's own where several machines
    /// share it, otherwise the system's. Connections use it unless the host names another.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Returns what an operator should know about the place where the vault is kept.
    fn warnings(&self) -> Vec<VaultWarning>;

    /// Deletes what has had its time, at most `limits.rows` rows of each kind.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read or written. What was deleted before stays
    /// deleted.
    fn sweep(&self, limits: &SweepLimits) -> Result<Swept, VaultError>;

    /// Erases everything of a person or a workspace. `None` if there is no such workspace.
    ///
    /// A person's past entries in the audit stay, sealed under the workspace's key. Of a workspace
    /// the keys go first: what is sealed with them is lost to everybody, backups excepted.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if nothing was erased, or not all rows of a workspace: then
    /// [`clear_residue`](Self::clear_residue) continues.
    fn forget(&self, forget: &Forget<'_>) -> Result<Option<Forgotten>, VaultError>;

    /// Clears what erased secrets may have left behind, and continues what a crash cut off.
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

    /// Writes a consistent copy of the vault to a new file, while others read and write.
    ///
    /// # Errors
    ///
    /// [`VaultError::Unsupported`] if this vault is not kept in a file; [`VaultError::UnsafePath`]
    /// if something exists at `path`; [`VaultError`] if the copy could not be written. Nothing
    /// exists at `path` then.
    fn backup(&self, path: &Path) -> Result<(), VaultError>;
}

/// What [`Housekeeping::sweep`] may delete.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct SweepLimits {
    /// The current time.
    pub now: Timestamp,
    /// Consent requests that expired before this time.
    pub consents_before: Timestamp,
    /// The time for which entries of the audit are kept.
    pub retention: Retention,
    /// At most this many rows of each kind.
    pub rows: usize,
}

/// How long entries of the audit are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Token uses. `None`: for ever.
    pub uses: Option<Duration>,
    /// All other entries. `None`: for ever. The newest entry about the tokens of a connection is
    /// always kept.
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

/// What [`Housekeeping::sweep`] deleted.
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

/// A request to forget a person or a workspace.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Forget<'a> {
    /// The workspace.
    pub tenant: &'a TenantId,
    /// The person; `None` for the whole workspace.
    pub user: Option<&'a UserId>,
    /// Who requested it. The audit names them unless it is the person who is forgotten.
    pub by: Option<&'a Actor>,
    /// The current time.
    pub now: Timestamp,
}

/// A receipt for a person or workspace that was forgotten, for the host to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forgotten {
    /// The audit entry that proves it.
    pub proof: AuditHead,
    /// When.
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
        /// At most this many keys.
        limit: usize,
    },
    /// Gives a workspace a new data key.
    DataKey(&'a TenantId),
    /// Seals the tokens of at most `limit` grants, of all workspaces, with their newest data key,
    /// and destroys data keys that seal nothing any more.
    Tokens {
        /// At most this many grants.
        limit: usize,
    },
}

/// The progress of a key rotation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotated {
    /// The number of keys that were wrapped, data keys were added or grants were sealed.
    pub done: usize,
    /// The number of old data keys that were destroyed.
    pub destroyed: usize,
    /// The number of old data keys still seal something.
    pub remaining: usize,
    /// The ids of other master keys that still wrap keys. Empty: those can be removed from the
    /// host.
    pub still_named: Vec<[u8; 16]>,
}

impl Rotated {
    /// Returns whether nothing remains to be done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.remaining == 0 && self.still_named.is_empty()
    }
}
