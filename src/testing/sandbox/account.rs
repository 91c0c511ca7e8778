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

    /// Returns another account, for [`Sandbox::add_account`](super::Sandbox::add_account).
    #[must_use]
    pub const fn new(id: &'static str, email: &'static str, name: &'static str) -> Self {
        Self { id, email, name }
    }

    /// The accounts that every sandbox has.
    pub const ALL: [Self; 2] = [Self::ADA, Self::GRACE];

    /// Returns the account with this id or e-mail address among those that every sandbox has.
    #[must_use]
    pub fn find(id_or_email: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|account| account.is(id_or_email))
    }

    pub(super) fn is(&self, id_or_email: &str) -> bool {
        self.id == id_or_email || self.email == id_or_email
    }
}
