//! The users on a page: names and pictures from the host's directory, or else their ids.

use std::collections::{BTreeSet, HashMap};

use super::hue::hue;
use crate::gateway::directory::{Lookup, Person};
use crate::gateway::{Caller, Inner};
use crate::model::{Connection, TenantId, UserId};

/// The maximum number of users that a search returns.
pub(in crate::gateway) const MOST_FOUND: usize = 20;

/// A user as a page shows them.
#[derive(Debug, Clone)]
pub(super) struct PersonView {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) email: Option<String>,
    pub(super) picture: Option<String>,
    /// Up to two letters, in place of a picture.
    pub(super) initials: String,
    pub(super) hue: u8,
}

/// The users that one page shows.
#[derive(Default)]
pub(super) struct People {
    known: HashMap<UserId, Person>,
}

impl People {
    /// Looks up these users, and the caller, in one question to the directory.
    pub(super) fn of<'u>(
        gateway: &Inner,
        caller: &Caller,
        users: impl IntoIterator<Item = &'u UserId>,
    ) -> Self {
        let Some(directory) = &gateway.directory else {
            return Self::default();
        };
        let own = caller.acting_user();
        let ids: BTreeSet<UserId> = users.into_iter().cloned().chain([own.user().clone()]).collect();
        let ids: Vec<UserId> = ids.into_iter().collect();
        let found = directory.people(own.tenant(), Lookup::Ids(&ids));
        Self {
            known: found
                .into_iter()
                .filter(|person| ids.contains(person.id()))
                .map(|person| (person.id().clone(), person))
                .collect(),
        }
    }

    pub(super) fn view(&self, gateway: &Inner, user: &UserId) -> PersonView {
        let known = self.known.get(user);
        let named = known.map(Person::name).filter(|name| !name.trim().is_empty());
        let name = named.unwrap_or_else(|| user.as_str());
        let picture = known.and_then(Person::picture);
        PersonView {
            id: user.to_string(),
            name: name.to_owned(),
            email: known.and_then(Person::email).map(str::to_owned),
            picture: picture
                .and_then(|address| gateway.look.loadable(address))
                .map(str::to_owned),
            initials: initials(name),
            hue: hue(user.as_str()),
        }
    }

    /// Returns the display name of a user.
    pub(super) fn name<'a>(&'a self, user: &'a UserId) -> &'a str {
        self.known.get(user).map_or_else(|| user.as_str(), Person::name)
    }
}

/// Returns the users who own these connections.
pub(super) fn owners(connections: &[Connection]) -> impl Iterator<Item = &UserId> {
    connections
        .iter()
        .filter_map(|connection| connection.owner.user())
}

impl Inner {
    /// Searches the host's directory. Without one, no user is found.
    pub(in crate::gateway) fn find_people(&self, tenant: &TenantId, text: &str) -> Vec<Person> {
        let text = text.trim();
        match &self.directory {
            Some(directory) if !text.is_empty() => {
                let limit = MOST_FOUND;
                let mut found = directory.people(tenant, Lookup::Matching { text, limit });
                found.truncate(limit);
                found
            }
            _ => Vec::new(),
        }
    }

    /// Returns whether the directory knows this user; `true` without a directory.
    pub(in crate::gateway) fn knows(&self, tenant: &TenantId, user: &UserId) -> bool {
        self.directory.as_ref().is_none_or(|directory| {
            let found = directory.people(tenant, Lookup::Ids(std::slice::from_ref(user)));
            found.iter().any(|person| person.id() == user)
        })
    }
}

/// Returns the first letters of the first and the last word of a name.
fn initials(name: &str) -> String {
    let mut words = name
        .split(|c: char| !c.is_alphanumeric())
        .filter_map(|word| word.chars().next());
    let first = words.next();
    let last = words.next_back();
    let letters: String = first
        .into_iter()
        .chain(last)
        .flat_map(char::to_uppercase)
        .collect();
    if letters.is_empty() { "?".into() } else { letters }
}

#[cfg(test)]
mod tests {
    use super::initials;

    #[test]
    fn a_name_has_at_most_two_initials() {
        for (name, letters) in [
            ("Ada Lovelace", "AL"),
            ("ada", "A"),
            ("Ada King of Lovelace", "AL"),
            ("Анна Каренина", "АК"),
            ("u-1", "U1"),
            ("…", "?"),
        ] {
            assert_eq!(initials(name), letters);
        }
    }
}
