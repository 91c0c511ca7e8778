//! What an operator should know about the place where a vault is kept.

/// A property of the vault's surroundings that weakens what the vault promises. The vault works all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VaultWarning {
    /// Other users can create and rename files in the vault's directory.
    SharedDirectory,
}
