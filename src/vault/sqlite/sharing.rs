//! The access that the files of a vault give: to their owner, or to a group as well.

/// Who may use the files of a vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Sharing {
    /// The user who owns them.
    #[default]
    Owner,
    /// The members of their group as well.
    Group,
}

impl Sharing {
    /// The rights of each file.
    pub(crate) const fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Group => 0o660,
        }
    }
}
