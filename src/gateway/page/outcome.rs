//! The pages for consents that ended without a connection, and for refusals.

use askama::Template;
use http::StatusCode;

use super::shell::Shell;
use crate::gateway::answer::Answer;
use crate::gateway::outcome::Outcome;
use crate::gateway::refusal::{Refusal, Said};
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
    /// The address at which another user can sign in, if that may help.
    pub(super) switch: Option<String>,
}

/// Returns the refusal of a one-time link that this caller cannot use. Unknown links and those of
/// other users look the same.
pub(in crate::gateway) fn link_refused() -> Refusal {
    Refusal::link(Said::LinkRefused)
}

/// Returns the refusal of this caller's one-time link that expired unused.
pub(in crate::gateway) fn link_expired() -> Refusal {
    Refusal::link(Said::LinkExpired)
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
        let page = self.page(caller, incoming, []);
        let texts = page.texts;
        let name = provider.map_or(texts.the_service, crate::provider::Provider::name);
        let (title, text) = (texts.outcome)(outcome, name);
        let next = next(outcome);
        let service = provider.map(|provider| (provider.id().to_string(), provider.name().to_owned()));
        let values = provider
            .filter(|_| next == Next::OtherValues)
            .map(|provider| self.service_path(provider.id().as_str(), ""));
        page.show(StatusCode::OK, |shell| OutcomePage {
            shell,
            title,
            text,
            provider: service.filter(|_| next == Next::Again),
            values,
        })
    }
}

/// Returns the next step after each outcome.
const fn next(outcome: Outcome) -> Next {
    match outcome {
        Outcome::Denied
        | Outcome::Refused
        | Outcome::Interaction
        | Outcome::TryLater
        | Outcome::NotValid
        | Outcome::OtherBrowser
        | Outcome::OtherServer
        | Outcome::Withdrawn
        | Outcome::Failed
        | Outcome::Conflict
        | Outcome::OtherAccount
        | Outcome::UnknownAccount
        | Outcome::Unavailable => Next::Again,
        Outcome::Parameter => Next::OtherValues,
        Outcome::NotOffered
        | Outcome::NotOneGrant
        | Outcome::NotPermitted
        | Outcome::Misconfigured
        | Outcome::Internal => Next::Look,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::gateway::page::text::Language;

    #[test]
    fn every_outcome_has_its_own_words() {
        let mut titles = HashSet::new();
        for texts in Language::ALL.map(Language::texts) {
            for (outcome, word) in Outcome::ALL {
                let (title, text) = (texts.outcome)(outcome, "Jira");
                assert!(titles.insert(title), "{title}");
                assert!(text.ends_with('.') && text.len() > 20, "{word}");
                // The text for a consent that may have created a connection does not claim that
                // nothing changed.
                let unknown = matches!(
                    outcome,
                    Outcome::NotValid
                        | Outcome::OtherBrowser
                        | Outcome::Conflict
                        | Outcome::Unavailable
                        | Outcome::Internal
                );
                let refers = [
                    "onnections",
                    "подключениях",
                    "подключений",
                    "роверьте подключения",
                ];
                let refers = refers.iter().any(|it| text.contains(it));
                assert_eq!(refers, unknown, "{word}: {text}");
                let says_nothing = ["Nothing was", "No connection was", "Ничего не", "Подключение не"];
                let says_nothing = says_nothing.iter().any(|it| text.contains(it));
                assert_eq!(says_nothing, !unknown, "{word}: {text}");
                assert_eq!(next(outcome) == Next::OtherValues, outcome == Outcome::Parameter);
            }
        }
    }
}
