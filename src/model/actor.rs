//! Who acts, for whom, and how far they reach.

use crate::model::{InvalidValue, TenantId, UserId};

/// The person on whose behalf a turn runs: a tenant and a user within it.
///
/// Two people who talk to the same agent are two acting users; each resolves to their own
/// connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ActingUser {
    tenant: TenantId,
    user: UserId,
}

impl ActingUser {
    /// Declares that the host has authenticated this person. Both names can be text or typed ids.
    ///
    /// ```
    /// use valetkey::{ActingUser, TenantId, UserId};
    ///
    /// let ada = ActingUser::authenticated("acme", "ada")?;
    /// let same = ActingUser::authenticated(TenantId::new("acme")?, UserId::new("ada")?)?;
    /// assert_eq!(ada, same);
    /// # Ok::<(), valetkey::model::InvalidValue>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if a name cannot be an id. Typed ids are valid and never fail.
    ///
    /// # Security
    ///
    /// Everything rests on this claim: the library cannot check it. Take the two names from your
    /// authenticated session, never from a request's body, a model's output or a tool's arguments.
    pub fn authenticated<T, U>(tenant: T, user: U) -> Result<Self, InvalidValue>
    where
        T: TryInto<TenantId, Error: Into<InvalidValue>>,
        U: TryInto<UserId, Error: Into<InvalidValue>>,
    {
        let tenant = tenant.try_into().map_err(Into::into)?;
        let user = user.try_into().map_err(Into::into)?;
        Ok(Self::of(tenant, user))
    }

    /// Returns the person with these ids, on behalf of a caller that the host has authenticated.
    pub(crate) const fn of(tenant: TenantId, user: UserId) -> Self {
        Self { tenant, user }
    }

    /// The workspace of this person.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The person within the workspace.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }
}

/// A person who looks after a tenant's connections: sees all of them, revokes any, makes shared
/// ones.
///
/// An operator gets no token of another person: resolution takes an [`ActingUser`], not this.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Operator {
    acting_user: ActingUser,
}

impl Operator {
    /// Declares that the host has authenticated this person as an operator of the tenant. Both
    /// names can be text or typed ids.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if a name cannot be an id. Typed ids are valid and never fail.
    ///
    /// # Security
    ///
    /// As for [`ActingUser::authenticated`], and the host vouches for the role as well.
    pub fn authenticated<T, U>(tenant: T, user: U) -> Result<Self, InvalidValue>
    where
        T: TryInto<TenantId, Error: Into<InvalidValue>>,
        U: TryInto<UserId, Error: Into<InvalidValue>>,
    {
        let acting_user = ActingUser::authenticated(tenant, user)?;
        Ok(Self { acting_user })
    }

    /// The operator as a person with connections of their own.
    #[must_use]
    pub const fn acting_user(&self) -> &ActingUser {
        &self.acting_user
    }
}

/// Who did something, as the audit keeps it: the name that the host has authenticated, and the
/// role.
///
/// The role decides how far somebody reaches: a user to their own connections, and to see those of
/// the workspace; an operator to all connections of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Actor {
    /// A person, as an [`ActingUser`].
    User(UserId),
    /// A person, as an [`Operator`].
    Operator(UserId),
}

impl Actor {
    /// The person.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        match self {
            Self::User(user) | Self::Operator(user) => user,
        }
    }

    /// The role as one lower-case word, for storage and display.
    #[must_use]
    pub const fn role(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Operator(_) => "operator",
        }
    }
}

/// Somebody whom the host has authenticated: an [`ActingUser`] or an [`Operator`].
pub trait Principal: sealed::Sealed {
    /// The workspace; nothing outside it is in reach.
    fn tenant(&self) -> &TenantId;
    /// Returns the person and the role, which says how far the principal reaches.
    fn actor(&self) -> Actor;
}

impl Principal for ActingUser {
    fn tenant(&self) -> &TenantId {
        &self.tenant
    }
    fn actor(&self) -> Actor {
        Actor::User(self.user.clone())
    }
}

impl Principal for Operator {
    fn tenant(&self) -> &TenantId {
        self.acting_user.tenant()
    }
    fn actor(&self) -> Actor {
        Actor::Operator(self.acting_user.user().clone())
    }
}

mod sealed {
    /// Only the two claims that a host can make are principals.
    #[allow(unnameable_types, reason = "unnameable is what seals it")]
    pub trait Sealed {}
    impl Sealed for super::ActingUser {}
    impl Sealed for super::Operator {}
}

/// To whom a connection belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Owner {
    /// One person: nobody else resolves it.
    Personal(UserId),
    /// The tenant: a fallback for people without a connection of their own, where the policy allows
    /// it.
    Workspace,
}

impl Owner {
    /// The person, if it belongs to one.
    #[must_use]
    pub const fn user(&self) -> Option<&UserId> {
        match self {
            Self::Personal(user) => Some(user),
            Self::Workspace => None,
        }
    }

    /// Returns whether this actor may see a connection of this owner.
    pub(crate) fn is_visible_to(&self, actor: &Actor) -> bool {
        *self == Self::Workspace || self.is_managed_by(actor)
    }

    /// Returns whether this actor may revoke, refresh or rename a connection of this owner.
    pub(crate) fn is_managed_by(&self, actor: &Actor) -> bool {
        match actor {
            Actor::User(user) => self.user() == Some(user),
            Actor::Operator(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_whether_they_are_text_or_ids() {
        let tenant = TenantId::new("acme").unwrap();
        let user = UserId::new("ada").unwrap();
        let typed = ActingUser::authenticated(tenant.clone(), user.clone()).unwrap();
        assert_eq!((typed.tenant(), typed.user()), (&tenant, &user));
        assert_eq!(ActingUser::authenticated("acme", String::from("ada")), Ok(typed));
        assert_eq!(ActingUser::authenticated("", "ada").unwrap_err().rule(), "empty");
        assert_eq!(
            ActingUser::authenticated(tenant.clone(), "a\nda")
                .unwrap_err()
                .rule(),
            "control_character"
        );
        let operator = Operator::authenticated("acme", user.clone()).unwrap();
        assert_eq!(operator.actor(), Actor::Operator(user));
        assert_eq!(Operator::authenticated(tenant, "").unwrap_err().rule(), "empty");
    }
}
