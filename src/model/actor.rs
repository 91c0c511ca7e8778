//! Identifies who acts, for which user, and with which role.

use crate::model::{InvalidValue, TenantId, UserId};

/// The user on whose behalf a turn runs: a tenant and a user within it.
///
/// Two users who talk to the same agent are two acting users; each resolves to their own
/// connections.
///
/// # Examples
///
/// ```
/// use valetkey::ActingUser;
///
/// let alice = ActingUser::authenticated("acme", "alice")?;
/// assert_eq!((alice.tenant().as_str(), alice.user().as_str()), ("acme", "alice"));
/// # Ok::<(), valetkey::model::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ActingUser {
    tenant: TenantId,
    user: UserId,
}

impl ActingUser {
    /// Declares that the host has authenticated this user. Both names can be text or typed ids.
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
    /// [`InvalidValue`] if a name is not a valid id. Typed ids are valid and never fail.
    /// [`InvalidValue`] if a name cannot be an id. Typed ids are valid and never fail.
    ///
    /// # Security
    ///
    /// Isolation between users depends on this claim, which the library cannot check. Take both
    /// names from your authenticated session, never from a request's body, a model's output or a
    /// tool's arguments.
    pub fn authenticated<T, U>(tenant: T, user: U) -> Result<Self, InvalidValue>
    where
        T: TryInto<TenantId, Error: Into<InvalidValue>>,
        U: TryInto<UserId, Error: Into<InvalidValue>>,
    {
        let tenant = tenant.try_into().map_err(Into::into)?;
        let user = user.try_into().map_err(Into::into)?;
        Ok(Self::of(tenant, user))
    }

    /// Returns the user with these ids, on behalf of a caller that the host has authenticated.
    pub(crate) const fn of(tenant: TenantId, user: UserId) -> Self {
        Self { tenant, user }
    }

    /// Returns the user's tenant.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Returns the user's id within the tenant.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }
}

/// A user who manages a tenant's connections: sees all of them, can revoke any, and connects
/// workspace accounts.
///
/// An operator cannot obtain another user's token: resolution takes an [`ActingUser`].
///
/// # Examples
///
/// ```
/// use valetkey::Operator;
///
/// let operator = Operator::authenticated("acme", "olivia")?;
/// assert_eq!(operator.acting_user().tenant().as_str(), "acme");
/// # Ok::<(), valetkey::model::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Operator {
    acting_user: ActingUser,
}

impl Operator {
    /// Declares that the host has authenticated this user as an operator of the tenant. Both names
    /// can be text or typed ids.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if a name is not a valid id. Typed ids are valid and never fail.
    ///
    /// # Security
    ///
    /// The same rules apply as for [`ActingUser::authenticated`]. In addition, the host asserts
    /// that this user may manage the connections of everyone in the tenant.
    pub fn authenticated<T, U>(tenant: T, user: U) -> Result<Self, InvalidValue>
    where
        T: TryInto<TenantId, Error: Into<InvalidValue>>,
        U: TryInto<UserId, Error: Into<InvalidValue>>,
    {
        let acting_user = ActingUser::authenticated(tenant, user)?;
        Ok(Self { acting_user })
    }

    /// Returns the operator as a user with personal connections.
    #[must_use]
    pub const fn acting_user(&self) -> &ActingUser {
        &self.acting_user
    }
}

/// The user who caused a change, with their role, as the audit records it.
///
/// A user sees their own connections and those of the workspace, and can change their own. An
/// operator sees and can change all connections of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Actor {
    /// A user who acts as an [`ActingUser`].
    User(UserId),
    /// A user who acts as an [`Operator`].
    Operator(UserId),
}

impl Actor {
    /// Returns the user.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        match self {
            Self::User(user) | Self::Operator(user) => user,
        }
    }

    /// Returns the role as one lower-case word, for storage and display.
    #[must_use]
    pub const fn role(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Operator(_) => "operator",
        }
    }
}

/// A caller whom the host has authenticated: an [`ActingUser`] or an [`Operator`].
pub trait Principal: sealed::Sealed {
    /// Returns the tenant. The principal sees and changes nothing outside it.
    fn tenant(&self) -> &TenantId;
    /// Returns the user and the role, which determines what the principal sees and can change.
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
    /// Restricts principals to the two claims that a host can make.
    #[allow(unnameable_types, reason = "unnameable is what seals it")]
    pub trait Sealed {}
    impl Sealed for super::ActingUser {}
    impl Sealed for super::Operator {}
}

/// The owner of a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Owner {
    /// One user. No other user resolves the connection.
    Personal(UserId),
    /// The tenant. Users without a personal connection use the connection where the policy allows
    /// it.
    Workspace,
}

impl Owner {
    /// Returns the user, if the owner is one.
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
