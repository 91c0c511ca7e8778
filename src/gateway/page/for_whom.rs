//! The form fields for the owner and the name of a new connection.

use super::people::MOST_FOUND;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner};
use crate::model::UserId;

/// The owner and the name of a new connection.
#[derive(Default)]
pub(super) struct ForWhom {
    /// The user, as typed or chosen.
    pub(super) user: String,
    /// The mistake in the user.
    pub(super) user_error: Option<&'static str>,
    /// The users whom the input may mean, as id and description.
    pub(super) candidates: Vec<(String, String)>,
    /// True if the host has a directory that can be searched.
    pub(super) searches: bool,
    pub(super) shared: bool,
    pub(super) label: String,
    pub(super) label_error: Option<String>,
}

impl ForWhom {
    /// Returns the form for the user that a query names.
    pub(super) fn asked(gateway: &Inner, caller: &Caller, incoming: &Incoming<'_>) -> Self {
        let user = incoming.query("user").filter(|_| caller.is_operator());
        Self {
            user: user.unwrap_or_default().to_owned(),
            searches: gateway.directory.is_some(),
            ..Self::default()
        }
    }

    /// Returns the form as it was sent.
    pub(super) fn sent(gateway: &Inner, incoming: &Incoming<'_>) -> Self {
        let text = |name| incoming.field(name).unwrap_or_default().to_owned();
        Self {
            user: text("user"),
            searches: gateway.directory.is_some(),
            shared: incoming.flag("shared"),
            label: text("label"),
            ..Self::default()
        }
    }

    /// Adds the users whom the input may mean.
    pub(super) fn propose(&mut self, gateway: &Inner, caller: &Caller) {
        let found = gateway.find_people(caller.acting_user().tenant(), &self.user);
        self.candidates = found
            .into_iter()
            .take(MOST_FOUND)
            .map(|person| {
                let more = person.email().unwrap_or_else(|| person.id().as_str());
                (person.id().to_string(), format!("{} · {more}", person.name()))
            })
            .collect();
    }
}

/// Whom the operator named as the owner of a new connection.
pub(in crate::gateway) enum Named {
    /// This user.
    One(UserId),
    /// A user whom the host's directory does not know, or several.
    Unknown,
}

impl Inner {
    /// Returns the user whom an operator means: by id, or by a name or e-mail address that exactly
    /// one user of the directory has. A user whom the directory does not know would never be able
    /// to open a link.
    pub(in crate::gateway) fn named_user(&self, caller: &Caller, user: UserId) -> Named {
        let tenant = caller.acting_user().tenant();
        if user == *caller.acting_user().user() || self.knows(tenant, &user) {
            return Named::One(user);
        }
        let text = user.as_str().trim().to_lowercase();
        let found = self.find_people(tenant, &text);
        let is_exact = |name: &str| name.trim().to_lowercase() == text;
        let mut exact = found
            .iter()
            .filter(|person| is_exact(person.name()) || person.email().is_some_and(is_exact));
        match (exact.next(), exact.next()) {
            (Some(person), None) => Named::One(person.id().clone()),
            _ => Named::Unknown,
        }
    }
}
