//! The process that opened a vault.
//!
//! A child that is forked without `exec` has a copy of everything, and SQLite in it believes to
//! hold locks that only the parent has: it must neither use nor close what it inherited.

use crate::vault::VaultError;

/// The process that a value was made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process(u32);

impl Process {
    pub(super) fn current() -> Self {
        Self(std::process::id())
    }

    /// Returns whether the value was made in this process, and not in a parent that was forked.
    pub(super) fn is_current(self) -> bool {
        self == Self::current()
    }

    /// Refuses to use a value of a parent.
    pub(super) fn check(self) -> Result<(), VaultError> {
        if self.is_current() {
            Ok(())
        } else {
            Err(VaultError::Forked)
        }
    }
}
