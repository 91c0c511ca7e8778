//! Warnings about the place where a vault is stored.

use std::fmt;

/// A circumstance that weakens a vault without making it unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum VaultWarning {
    /// Other users can create, replace and delete files in the directory of the vault.
    SharedDirectory,
    /// The database has standbys, and commits wait for none of them. A failover loses the last
    /// commits, and with them refresh tokens that the provider has replaced.
    AsynchronousStandbys,
}

impl VaultWarning {
    /// Every warning.
    pub const ALL: [Self; 2] = [Self::SharedDirectory, Self::AsynchronousStandbys];

    /// Returns the warning as one lower-case word, for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SharedDirectory => "shared_directory",
            Self::AsynchronousStandbys => "asynchronous_standbys",
        }
    }
}

impl fmt::Display for VaultWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SharedDirectory => "other users can write to the directory of the vault",
            Self::AsynchronousStandbys => {
                "the database has standbys, but commits wait for none; set up a synchronous standby"
            }
        })
    }
}
