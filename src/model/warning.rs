//! What an operator should know about the place where a vault is kept.

use std::fmt;

/// A circumstance that weakens a vault without making it unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VaultWarning {
    /// Other users can create, replace and delete files in the directory of the vault.
    SharedDirectory,
}

impl fmt::Display for VaultWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SharedDirectory => "other users can write to the directory of the vault",
        })
    }
}
