//! The process that opened a vault.
//!
//! A child that is forked without `exec` has a copy of all memory, and SQLite in it assumes locks
//! that only the parent has. The child must neither use nor close the inherited connections.

use crate::vault::VaultError;

/// The process that a value was made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process(u32);

impl Process {
    pub(super) fn current() -> Self {
        Self(std::process::id())
    }

    /// Returns whether the value was created in this process, and not in its parent before a fork.
    pub(super) fn is_current(self) -> bool {
        self == Self::current()
    }

    /// Fails if the value was created by a parent.
    pub(super) fn check(self) -> Result<(), VaultError> {
        if self.is_current() {
            Ok(())
        } else {
            Err(VaultError::Forked)
        }
    }
}
