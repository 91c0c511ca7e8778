//! The pages for consents that ended without a connection, and for refusals.

use askama::Template;
use http::StatusCode;

use super::view::Shell;
use crate::gateway::answer::Answer;
use crate::gateway::outcome::Outcome;
use crate::gateway::refusal::Refusal;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner};

#[derive(Template)]
#[template(path = "outcome.html")]
struct OutcomePage {
    shell: Shell,
    title: &'static str,
    text: String,
    /// The service to try again.
    provider: Option<(String, String)>,
    /// The address of the page for other values.
    values: Option<String>,
}

#[derive(Template)]
#[template(path = "refusal.html")]
pub(super) struct RefusalPage {
    pub(super) shell: Shell,
    pub(super) title: &'static str,
    pub(super) text: String,
}

/// Returns the refusal of a one-time link that this caller cannot use. Unknown links and those of
/// other users look the same.
pub(in crate::gateway) fn link_refused() -> Refusal {
    let mut refusal = Refusal::not_found();
    refusal.text =
        "This link is not valid for you: it may have been made for somebody else, or was withdrawn. \
                    Ask for a new one, or sign in as the person that it was made for."
            .into();
    refusal
}

/// Returns the refusal of this caller's one-time link that expired unused.
pub(in crate::gateway) fn link_expired() -> Refusal {
    let mut refusal = Refusal::not_found();
    refusal.text =
        "This link has expired. Ask for a new one, or connect the service from your connections.".into();
    refusal
}

/// The next step that the page offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Begin again with the same values.
    Again,
    /// Begin again with other values.
    OtherValues,
    /// Go to the list of connections.
    Look,
}

impl Inner {
    pub(in crate::gateway) fn outcome_page(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        word: &str,
    ) -> Answer {
        let outcome = Outcome::from_word(word).ok_or_else(Refusal::not_found)?;
        // Only a registered service is named, whatever the address contains.
        let provider = incoming.query("provider").and_then(|id| self.provider(id));
        let name = provider.map_or("The service", crate::provider::Provider::name);
        let (title, text, next) = told(outcome, name);
        let service = provider.map(|provider| (provider.id().to_string(), provider.name().to_owned()));
        let values = provider
            .filter(|_| next == Next::OtherValues)
            .map(|provider| self.service_path(provider.id().as_str(), ""));
        self.show(caller, incoming, StatusCode::OK, |shell| OutcomePage {
            shell,
            title,
            text,
            provider: service.filter(|_| next == Next::Again),
            values,
        })
    }
}

/// Returns the title, the text and the next step of each outcome.
fn told(outcome: Outcome, name: &str) -> (&'static str, String, Next) {
    match outcome {
        Outcome::Denied => (
            "Access was declined",
            format!("{name} says that access was declined. Nothing was connected and nothing was changed."),
            Next::Again,
        ),
        Outcome::Refused => (
            "Access was not given",
            format!("{name} gave no access and no reason that is known here. Nothing was connected."),
            Next::Again,
        ),
        Outcome::Interaction => (
            "More is needed at the service",
            format!("{name} has to ask you something before it gives access, and was not allowed to. Nothing was connected."),
            Next::Again,
        ),
        Outcome::TryLater => (
            "The service cannot answer now",
            format!("{name} has a problem at the moment. Nothing was connected. Try again later."),
            Next::Again,
        ),
        Outcome::NotValid => (
            "This consent is no longer valid",
            "It has expired, or was begun by another person. If you have completed it, the account is among your \
             connections. Otherwise, start again."
                .into(),
            Next::Again,
        ),
        Outcome::OtherBrowser => (
            "This consent was begun in another browser",
            "Go on in the browser in which you began, or start again here. If you have completed it there, the account is \
             among your connections."
                .into(),
            Next::Again,
        ),
        Outcome::OtherServer => (
            "The answer came from somewhere else",
            format!("The answer does not come from {name}, so it was not used. Nothing was connected. If this happens \
                     again, ask an administrator."),
            Next::Again,
        ),
        Outcome::Withdrawn => (
            "This request was withdrawn",
            "It was withdrawn before you answered it. Nothing was connected.".into(),
            Next::Again,
        ),
        Outcome::Failed => (
            "The connection could not be completed",
            format!("{name} did not return what was expected, or not in time. No connection was stored. Start again."),
            Next::Again,
        ),
        Outcome::Conflict => (
            "Something else changed at the same time",
            "The same connection was changed by another request. Look at your connections, and start again if the \
             account is not there."
                .into(),
            Next::Again,
        ),
        Outcome::OtherAccount => (
            "That was another account",
            "Another account was chosen than the one that is connected. Nothing was changed. Start again with the same \
             account, or connect the other one as a new connection."
                .into(),
            Next::Again,
        ),
        Outcome::UnknownAccount => (
            "The account is not known",
            format!("{name} did not say which account was chosen, so it cannot be compared with the one that is \
                     connected. Nothing was changed."),
            Next::Again,
        ),
        Outcome::Parameter => (
            "The values do not fit this account",
            format!("{name} needs another value than the one that was given, or the account has no access there. Nothing \
                     was connected. Check the values, or choose another account."),
            Next::OtherValues,
        ),
        Outcome::NotOffered => (
            "This service is not offered",
            "The service was removed from this host. Nothing was connected.".into(),
            Next::Look,
        ),
        Outcome::NotOneGrant => (
            "These services cannot share one consent",
            "Connect each of them by itself. Nothing was connected.".into(),
            Next::Look,
        ),
        Outcome::NotPermitted => (
            "Not allowed",
            "You may not connect this. Nothing was connected. Ask an administrator.".into(),
            Next::Look,
        ),
        Outcome::Misconfigured => (
            "This service is not configured correctly",
            format!("{name} refuses the way in which this host asks. Nothing was connected. Ask an administrator to check \
                     the registration."),
            Next::Look,
        ),
        Outcome::Unavailable => (
            "The connection could not be stored",
            "The store of connections does not answer. Look at your connections in a while, and start again if the account \
             is not there."
                .into(),
            Next::Again,
        ),
        Outcome::Internal => (
            "Something went wrong here",
            "The request could not be handled. Look at your connections, and ask an administrator if this happens again."
                .into(),
            Next::Look,
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_outcome_has_words_of_its_own() {
        let mut titles = HashSet::new();
        for (outcome, word) in Outcome::ALL {
            let (title, text, next) = told(outcome, "Jira");
            assert!(titles.insert(title), "{title}");
            assert!(text.ends_with('.') && text.len() > 20, "{word}");
            // The text for a consent that may have created a connection does not claim that nothing
            // changed.
            let unknown = matches!(
                outcome,
                Outcome::NotValid
                    | Outcome::OtherBrowser
                    | Outcome::Conflict
                    | Outcome::Unavailable
                    | Outcome::Internal
            );
            assert_eq!(text.contains("onnections"), unknown, "{word}: {text}");
            let says_nothing = ["Nothing was", "No connection was"]
                .iter()
                .any(|it| text.contains(it));
            assert_eq!(says_nothing, !unknown, "{word}: {text}");
            assert_eq!(next == Next::OtherValues, outcome == Outcome::Parameter);
        }
    }
}
