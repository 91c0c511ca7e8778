//! The page `GET /connect`, where a service and its owner are chosen, and the pages that follow it.

use askama::Template;
use http::{Response, StatusCode};

use super::service::ForWhom;
use super::view::{Group, Moment, Shell, groups};
use crate::engine::consent::link::PreparedConsent;
use crate::engine::consent::options::Consent;
use crate::gateway::answer::Answer;
use crate::gateway::refusal::Refusal;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner, time};
use crate::model::ActingUser;

#[derive(Template)]
#[template(path = "connect.html")]
struct ChooserPage {
    shell: Shell,
    groups: Vec<Group>,
    form: ForWhom,
}

/// The page between a form and the provider. The content security policy lets a form lead to the
/// gateway alone, but a page may lead on.
#[derive(Template)]
#[template(path = "departure.html")]
struct DeparturePage {
    shell: Shell,
    provider: String,
    host: String,
    address: String,
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage {
    shell: Shell,
    user: String,
    link: String,
    text: String,
}

impl Inner {
    pub(in crate::gateway) fn chooser_page(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        if let Some(named) = incoming.query("provider") {
            return self.service_page(caller, incoming, named);
        }
        let user = incoming.query("user").unwrap_or_default();
        let groups = groups(self, self.texts(&incoming.head.headers), caller, user)?;
        self.show(caller, incoming, StatusCode::OK, |shell| ChooserPage {
            shell,
            groups,
            form: ForWhom::of_user(user),
        })
    }

    pub(in crate::gateway) fn departure_page(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        provider: &str,
        consent: &Consent,
    ) -> Result<Response<Vec<u8>>, Refusal> {
        let url = consent.authorization_url();
        self.show(caller, incoming, StatusCode::OK, |shell| DeparturePage {
            shell,
            provider: provider.to_owned(),
            host: url.host_str().unwrap_or_default().to_owned(),
            address: url.to_string(),
        })
    }

    pub(in crate::gateway) fn link_page(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        link: &str,
        prepared: &PreparedConsent,
        person: &ActingUser,
    ) -> Answer {
        let now = self.now();
        let texts = self.texts(&incoming.head.headers);
        let expires = Moment::new(texts, prepared.expires_at(), now);
        let lasts = time::span(texts, prepared.expires_at().saturating_since(now));
        let provider = self.provider_name(prepared.provider().as_str());
        self.show(caller, incoming, StatusCode::CREATED, |shell| LinkPage {
            shell,
            text: (texts.link_text)(person.user().as_str(), &provider, &lasts, &expires.full),
            user: person.user().to_string(),
            link: link.to_owned(),
        })
    }
}
