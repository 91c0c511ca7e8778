//! The users who have access to the files of a vault: their owner, or a group as well.

/// The users who may use the files of a vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Sharing {
    /// Only the user who owns them.
    #[default]
    Owner,
    /// The owner and the members of the files' group.
    Group,
}

impl Sharing {
    /// Returns the mode of each file.
    pub(crate) const fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Group => 0o660,
        }
    }
}
