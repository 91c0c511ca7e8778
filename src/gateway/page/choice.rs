//! The page `GET /consent/choose`: the account has several sites, and the user chooses one.

use askama::Template;
use http::StatusCode;
use url::form_urlencoded;

use super::shell::Shell;
use crate::gateway::answer::{self, Answer};
use crate::gateway::csrf::{self, Csrf};
use crate::gateway::refusal::Refusal;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner};
use crate::model::{ConsentId, ProviderId};

#[derive(Template)]
#[template(path = "choice.html")]
struct ChoicePage {
    shell: Shell,
    name: String,
    /// The name of the form field for the choice.
    field: String,
    choices: Vec<String>,
    /// The consent to be repeated.
    again: String,
}

/// The contents of the page, as given in its address.
struct Choice {
    consent: String,
    provider: String,
    parameter: String,
    choices: Vec<String>,
}

impl Choice {
    fn of(incoming: &Incoming<'_>) -> Self {
        let field = |name| incoming.query(name).unwrap_or_default().to_owned();
        Self {
            consent: field("consent"),
            provider: field("provider"),
            parameter: field("parameter"),
            choices: incoming.query_list("choice"),
        }
    }

    fn parts(&self) -> Vec<&[u8]> {
        [&self.consent, &self.provider, &self.parameter]
            .into_iter()
            .chain(&self.choices)
            .map(String::as_bytes)
            .collect()
    }
}

impl Inner {
    /// Redirects to the page. Its choices come from a provider and are kept in the address, with a
    /// proof that this gateway put them there for this user in this browser. Other parties cannot
    /// make the page show anything.
    pub(in crate::gateway) fn choice_location(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        consent: ConsentId,
        provider: &ProviderId,
        parameter: &str,
        choices: &[String],
    ) -> Answer {
        let choice = Choice {
            consent: consent.to_string(),
            provider: provider.to_string(),
            parameter: parameter.to_owned(),
            choices: choices.to_vec(),
        };
        let csrf = Csrf::of(self.cookies(), &incoming.head.headers)?;
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("consent", &choice.consent)
            .append_pair("provider", &choice.provider)
            .append_pair("parameter", &choice.parameter)
            .extend_pairs(choice.choices.iter().map(|one| ("choice", one)))
            .append_pair("proof", &csrf.proof(caller, &choice.parts()));
        let response = answer::see_other(&self.path(&format!("/consent/choose?{}", query.finish())))?;
        let cookie = csrf.fresh().and_then(|secret| self.cookies().keep_csrf(secret));
        Ok(answer::with_cookie(response, cookie))
    }

    pub(in crate::gateway) fn choice_page(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        let choice = Choice::of(incoming);
        let proof = incoming.query("proof").unwrap_or_default();
        let headers = &incoming.head.headers;
        if !csrf::proves(self.cookies(), headers, caller, &choice.parts(), proof) {
            return Err(Refusal::not_found());
        }
        self.page(caller, incoming, [])
            .show(StatusCode::OK, |shell| ChoicePage {
                shell,
                name: self.provider_name(&choice.provider),
                field: format!("parameter.{}", choice.parameter),
                choices: choice.choices,
                again: choice.consent,
            })
    }
}
