//! How a consent ended, where it did not end well; and refusals.

use askama::Template;
use http::StatusCode;

use super::view::Shell;
use crate::gateway::answer::Answer;
use crate::gateway::finish::Outcome;
use crate::gateway::refusal::Refusal;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner};

#[derive(Template)]
#[template(path = "outcome.html")]
struct OutcomePage {
    shell: Shell,
    title: String,
    text: String,
    provider: Option<(String, String)>,
}

#[derive(Template)]
#[template(path = "refusal.html")]
pub(super) struct RefusalPage {
    pub(super) shell: Shell,
    pub(super) title: &'static str,
    pub(super) text: String,
}

/// A one-time link that opens nothing for this caller: unknown, used, expired and somebody else's read the same.
pub(in crate::gateway) fn link_refused() -> Refusal {
    let mut refusal = Refusal::not_found();
    refusal.text = "This link is not good for you: it was used, is too old, or was made for somebody else. \
                    Ask for a new one, or sign in as the person that it was made for."
        .into();
    refusal
}

impl Inner {
    pub(in crate::gateway) fn outcome_page(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        word: &str,
    ) -> Answer {
        let outcome = Outcome::from_word(word).ok_or_else(Refusal::not_found)?;
        // Only a service of ours is named, whatever the address says.
        let provider = incoming.query("provider").and_then(|id| self.provider(id));
        let name = provider.map_or("The service", |provider| &provider.name);
        let (title, text) = told(outcome, name);
        let again = match outcome {
            Outcome::Misconfigured => None,
            _ => provider.map(|provider| (provider.id.to_string(), provider.name.clone())),
        };
        self.show(caller, incoming, StatusCode::OK, |shell| OutcomePage {
            shell,
            title: title.to_owned(),
            text,
            provider: again,
        })
    }
}

fn told(outcome: Outcome, name: &str) -> (&'static str, String) {
    match outcome {
        Outcome::Denied => (
            "Access was not given",
            format!("You said no, or {name} did for you. Nothing was connected and nothing was changed."),
        ),
        Outcome::Refused => (
            "Access was not given",
            format!("{name} did not let the question be asked. Nothing was connected. If it happens again, tell an operator."),
        ),
        Outcome::NotValid => (
            "This consent is not valid any more",
            "It was used already, took longer than ten minutes, or was begun by another person or in another browser. \
             Nothing was changed. Start again."
                .into(),
        ),
        Outcome::Failed => (
            "The connection could not be completed",
            format!("{name} did not give what was promised, or not in time. Nothing was stored. Start again."),
        ),
        Outcome::OtherAccount => (
            "That was another account",
            "Another account was chosen than the one that is connected. Nothing was changed. Start again with the same \
             account, or connect the other one as a new connection."
                .into(),
        ),
        Outcome::UnknownAccount => (
            "It is not known which account that was",
            format!("{name} did not say which account was chosen, so it cannot be told whether it is the same one. Nothing was changed."),
        ),
        Outcome::Misconfigured => (
            "The service is not set up rightly",
            format!("An operator has to mend how this host is registered at {name}. Nothing was stored."),
        ),
        Outcome::Unavailable => (
            "That did not work for now",
            "The connection could not be stored at the moment. Start again in a while.".into(),
        ),
    }
}
