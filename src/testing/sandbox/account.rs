//! The users with an account at the sandbox.

/// A user with an account at the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TestAccount {
    /// The stable id: `sub` of the account endpoint.
    pub id: &'static str,
    /// The e-mail address.
    pub email: &'static str,
    /// The display name.
    pub name: &'static str,
}

impl TestAccount {
    /// The first account.
    pub const ADA: Self = Self {
        id: "ada",
        email: "ada@example.test",
        name: "Ada Lovelace",
    };

    /// The second account.
    pub const GRACE: Self = Self {
        id: "grace",
        email: "grace@example.test",
        name: "Grace Hopper",
    };

    /// All accounts.
    pub const ALL: [Self; 2] = [Self::ADA, Self::GRACE];

    /// Returns the account with this id or e-mail address.
    #[must_use]
    pub fn find(id_or_email: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|account| account.id == id_or_email || account.email == id_or_email)
    }
}
