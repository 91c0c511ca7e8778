//! The users as the host knows them: names, pictures and e-mail addresses in place of ids.

use std::sync::Arc;

use crate::model::{TenantId, UserId};

/// Looks up users of the host, so that the pages show names in place of user ids.
///
/// # Contract
///
/// The gateway asks once for each page, with all ids that the page shows. It asks for a search only
/// on behalf of an operator. An answer may be shorter than the question: users who are missing are
/// shown by their id. A directory that fails returns an empty list. A call may block, but every
/// page waits for it.
///
/// A closure that takes the tenant and the lookup and returns the people implements this trait as
/// well:
///
/// ```
/// use valetkey::TenantId;
/// use valetkey::gateway::{Gateway, Lookup, Mount, Person, Refused};
/// use valetkey::model::UserId;
/// use valetkey::testing::Host;
///
/// let known = [("u-1", "Ada Lovelace"), ("u-2", "Grace Hopper")];
/// let directory = move |_: &TenantId, lookup: Lookup<'_>| -> Vec<Person> {
///     let person = |(id, name): &(&str, &str)| Some(Person::new(UserId::new(*id).ok()?, *name));
///     let all = known.iter().filter_map(person);
///     match lookup {
///         Lookup::Ids(ids) => all.filter(|person| ids.contains(person.id())).collect(),
///         Lookup::Matching { text, limit } => all
///             .filter(|person| person.name().to_lowercase().contains(&text.to_lowercase()))
///             .take(limit)
///             .collect(),
///         _ => Vec::new(),
///     }
/// };
/// # let authenticator = |_: &http::request::Parts| Err(Refused::Unauthenticated);
/// let mount = Mount::new("https://agent.example")?;
/// let gateway = Gateway::new(Host::new().connections, mount, authenticator).directory(directory);
/// # Ok::<(), valetkey::model::InvalidValue>(())
/// ```
///
/// # Security
///
/// An operator sees every user that a search returns. Return users of this tenant only.
pub trait Directory: Send + Sync + 'static {
    /// Returns the users of a tenant that the lookup selects, in the order in which a search shows
    /// them.
    fn people(&self, tenant: &TenantId, lookup: Lookup<'_>) -> Vec<Person>;
}

impl<F> Directory for F
where
    F: Fn(&TenantId, Lookup<'_>) -> Vec<Person> + Send + Sync + 'static,
{
    fn people(&self, tenant: &TenantId, lookup: Lookup<'_>) -> Vec<Person> {
        self(tenant, lookup)
    }
}

impl<D: Directory + ?Sized> Directory for Arc<D> {
    fn people(&self, tenant: &TenantId, lookup: Lookup<'_>) -> Vec<Person> {
        (**self).people(tenant, lookup)
    }
}

/// The users that a [`Directory`] is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lookup<'a> {
    /// The users with these ids.
    Ids(&'a [UserId]),
    /// The users whose name or e-mail address contains a text.
    Matching {
        /// The text, as the operator typed it, never empty.
        text: &'a str,
        /// The maximum number of users.
        limit: usize,
    },
}

/// A user as the pages show them: returned by a [`Directory`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    id: UserId,
    name: String,
    email: Option<String>,
    picture: Option<String>,
}

impl Person {
    /// Returns a user with this display name.
    #[must_use]
    pub fn new(id: UserId, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            email: None,
            picture: None,
        }
    }

    /// Adds the e-mail address, which tells users of one name apart.
    #[must_use]
    pub fn with_email(mut self, email: impl Into<String>) -> Self {
        self.email = Some(email.into());
        self
    }

    /// Adds the address of a picture: a path of the gateway's origin, such as `/avatars/u-1`, or a
    /// URL at an origin that
    /// [`Gateway::allow_resources_from`](crate::gateway::Gateway::allow_resources_from) names. The
    /// content security policy forbids all others, so they are not shown.
    #[must_use]
    pub fn with_picture(mut self, address: impl Into<String>) -> Self {
        self.picture = Some(address.into());
        self
    }

    /// Returns the id.
    #[must_use]
    pub const fn id(&self) -> &UserId {
        &self.id
    }

    /// Returns the display name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the e-mail address.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }

    /// Returns the address of the picture.
    #[must_use]
    pub fn picture(&self) -> Option<&str> {
        self.picture.as_deref()
    }
}
